"""Every call that AWS has, as botocore's models know it: names, what a request needs, and how it is written.

EventBridge Scheduler names services as the SDKs for Java 2 and JavaScript 3 do (``sfn``, ``eventbridge``,
``cloudwatchlogs``), botocore as the AWS CLI does, and credential scopes have a third name for some.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from botocore.utils import CLIENT_NAME_TO_HYPHENIZED_SERVICE_ID_OVERRIDES

from duestream.core.deliverable import Members
from duestream.core.request_shape import shaped_request
from duestream.errors import ValidationException
from duestream.local.wire.models import available_services, operation_names, service_model

#: Credential scopes whose name botocore has no service under, or another one, among services that are much used.
_SCOPES = {
    "airflow": "mwaa",
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elbv2",
    "elasticmapreduce": "emr",
    "email": "ses",
    "iotdata": "iot-data",
    "mobiletargeting": "pinpoint",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation under botocore's names: (``stepfunctions``, ``StartExecution``)."""

    service: str
    name: str


def botocore_service(name: str) -> str | None:
    """botocore's name of a service that goes by this name in a target, a credential scope or botocore itself."""
    if name in _SCOPES:
        return _SCOPES[name]
    if name in available_services():
        return name
    return _by_scheduler_name().get(name)


@lru_cache(maxsize=1024)
def operation_of(service: str, action: str) -> Operation:
    """The operation behind ``aws-sdk:service:action``.

    Raises:
        ValidationException: AWS has none such; the texts are those of SEMANTICS.md B6.
    """
    # A target's own name first: a credential scope's may be another service's.
    name = _by_scheduler_name().get(service) or botocore_service(service)
    if name is None:
        raise ValidationException(f"{service} is not a supported service for a target")
    wanted = action.lower()
    for operation in operation_names(name):
        if operation.lower() == wanted:
            return Operation(name, operation)
    raise ValidationException(f"{action} API is not supported")


@lru_cache(maxsize=1024)
def members_of(service: str, action: str) -> Members:
    """What an input for ``aws-sdk:service:action`` must and may have; each name with an upper-case first letter.

    Raises:
        ValidationException: AWS has none such.
    """
    operation = operation_of(service, action)
    shape = service_model(operation.service).operation_model(operation.name).input_shape
    if shape is None:
        return Members((), frozenset())
    required = tuple(_upper_first(name) for name in shape.required_members)
    return Members(required, frozenset(_upper_first(name) for name in shape.members) - frozenset(required))


def to_request(operation: Operation, parameters: Mapping[str, Any], *, token: str) -> dict[str, Any]:
    """An input as botocore takes the request: the model's own member names, texts of blobs as UTF-8.

    Args:
        operation: what is called.
        parameters: the input; members are found however their letters are written.
        token: for members that make a repeated request the same one, where the input has none of its own.
    """
    shape = service_model(operation.service).operation_model(operation.name).input_shape
    return shaped_request(shape, parameters, token=token)


def _upper_first(name: str) -> str:
    return name[0].upper() + name[1:]


@lru_cache(maxsize=1)
def _by_scheduler_name() -> dict[str, str]:
    """The service's id in lower case, letters and digits only, to botocore's name."""
    renamed = CLIENT_NAME_TO_HYPHENIZED_SERVICE_ID_OVERRIDES
    return {re.sub("[^a-z0-9]", "", renamed.get(name, name)): name for name in available_services()}
