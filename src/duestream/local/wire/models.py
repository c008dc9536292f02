"""AWS's service models, as botocore ships them: which operations there are, and what their shapes look like."""

import copy
from functools import lru_cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

#: SQS spoke the query protocol until 2023, and older clients still do. Its model has only the JSON names since;
#: these are the old ones of its flattened lists and maps (SQS API reference, "Making Query API requests").
_SQS_LIST_NAMES = {
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "AWSAccountIdList": "AWSAccountId",
    "BinaryList": "BinaryListValue",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl",
    "StringList": "StringListValue",
    "TagKeyList": "TagKey",
}
_SQS_MAP_NAMES = {
    "MessageAttributes": ("MessageAttribute", "Name", "Value"),
    "MessageSystemAttributes": ("MessageSystemAttribute", "Name", "Value"),
    "Attributes": ("Attribute", "Name", "Value"),
    "Tags": ("Tag", "Key", "Value"),
    "tags": ("Tag", "Key", "Value"),
}
SQS_XML_NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"


@lru_cache(maxsize=1)
def _loader() -> Any:
    # Only what botocore ships: a customer's own models in ~/.aws/models are none of ours.
    return Loader(include_default_search_paths=True, extra_search_paths=[])


@lru_cache(maxsize=1)
def available_services() -> frozenset[str]:
    """The name of every service that botocore knows."""
    return frozenset(_loader().list_available_services("service-2"))


@lru_cache(maxsize=32)
def service_model(service: str) -> Any:
    """botocore's ServiceModel of a service (botocore's name of it: ``dynamodbstreams``, ``sesv2``). Loaded once.

    Raises:
        botocore.exceptions.UnknownServiceError: botocore has no such service.
    """
    return ServiceModel(_loader().load_service_model(service, "service-2"), service)


@lru_cache(maxsize=8)
def query_model(service: str) -> Any:
    """The model that the query protocol is read and written by. SQS's gets its old XML names back."""
    if service != "sqs":
        return service_model(service)
    description = copy.deepcopy(_loader().load_service_model("sqs", "service-2"))
    description["metadata"].update(protocol="query", protocols=["query"], xmlNamespace=SQS_XML_NAMESPACE)
    for name, shape in description["shapes"].items():
        if shape["type"] == "list":
            member = shape["member"]
            member["locationName"] = _SQS_LIST_NAMES.get(name, member["shape"])
        for member_name, member in shape.get("members", {}).items():
            target = description["shapes"][member["shape"]]
            if target["type"] == "map" and member_name in _SQS_MAP_NAMES:
                member["locationName"], key, value = _SQS_MAP_NAMES[member_name]
                target["key"]["locationName"], target["value"]["locationName"] = key, value
    for name, operation in description["operations"].items():
        if "output" in operation:
            operation["output"]["resultWrapper"] = f"{name}Result"
    return ServiceModel(description, service)


def operation_model(model: Any, operation: str) -> Any:
    """botocore's OperationModel, from its cache. The operation is one of the model's."""
    return model.operation_model(operation)


@lru_cache(maxsize=32)
def operation_names(service: str) -> frozenset[str]:
    """Every operation that AWS has in this service."""
    return frozenset(service_model(service).operation_names)


@lru_cache(maxsize=32)
def error_shapes(service: str) -> dict[str, Any]:
    """A service's modelled errors: name of the exception shape to shape."""
    return {shape.name: shape for shape in service_model(service).error_shapes}
