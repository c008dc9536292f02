"""botocore is the oracle: what it writes we read, and what we write it reads, for every operation of every service."""

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import parsers, serialize
from botocore.awsrequest import HeadersDict, create_request_object, prepare_request_dict

from duestream.errors import ServiceError
from duestream.local.server import codec_of
from duestream.local.wire import codec as codecs
from duestream.local.wire import models, route
from duestream.local.wire.codec import Codec
from duestream.local.wire.http import HttpRequest, HttpResponse

ENDPOINT = "http://127.0.0.1:8787"
MOMENT = datetime(2030, 1, 1, 9, 30, 15, tzinfo=UTC)
SERVED = [
    ("dynamodb", route.JSON),
    ("dynamodbstreams", route.JSON),
    ("sqs", route.JSON),
    ("sqs", route.QUERY),
    ("ses", route.QUERY),
    ("sesv2", route.REST_JSON),
    ("sts", route.QUERY),
    ("scheduler", route.REST_JSON),
    ("cloudwatch", route.CBOR),
    ("cloudwatch", route.JSON),
    ("cloudwatch", route.QUERY),
]
#: A text that every protocol has to escape in its own way.
TEXT = "a/b c&d=<é>\"'+%25\t𝄞"


def model_of(service: str, protocol: str) -> Any:
    return models.query_model(service) if protocol == route.QUERY else models.service_model(service)


def operations() -> Iterator[tuple[str, str, str]]:
    for service, protocol in SERVED:
        for operation in model_of(service, protocol).operation_names:
            yield service, protocol, operation


def sample(shape: Any, *, depth: int = 0, is_answer: bool = False) -> Any:
    """A value with every member of the shape."""
    match shape.type_name:
        case "structure":
            if shape.name == "AttributeValue":
                return {"M": {"text": {"S": TEXT}, "number": {"N": "17.5"}, "flag": {"BOOL": True}}}
            if depth > 12:
                return {}
            members = list(shape.members.items())
            return {
                name: sample(member, depth=depth + 1, is_answer=is_answer)
                for name, member in (members[:1] if shape.is_tagged_union else members)
                if not (is_answer and member.serialization.get("location") == "statusCode")
            }
        case "list":
            return [sample(shape.member, depth=depth + 1, is_answer=is_answer) for _ in range(2)]
        case "map":
            return {key: sample(shape.value, depth=depth + 1, is_answer=is_answer) for key in ("one", TEXT)}
        case "integer" | "long":
            return 17
        case "double" | "float":
            return 0.25
        case "boolean":
            return True
        case "timestamp":
            return MOMENT
        case "blob":
            return b"\x00\xff bytes"
        case _:
            return shape.enum[0] if getattr(shape, "enum", None) else TEXT


def lenient(service: str, protocol: str) -> Codec:
    """A codec that leaves the constraints out: samples break them."""
    codec: Any = type(codec_of(service, protocol))(service)  # type: ignore[call-arg]  # every codec takes a service
    codec._constraints.checker = lambda operation: lambda parameters: None
    return codec  # type: ignore[no-any-return]


def written_by_botocore(service: str, protocol: str, operation: str, parameters: Mapping[str, Any]) -> HttpRequest:
    model = model_of(service, protocol).operation_model(operation)
    described = serialize.create_serializer(protocol, include_validation=False).serialize_to_request(parameters, model)
    prepare_request_dict(described, ENDPOINT)
    prepared = create_request_object(described).prepare()
    path, _, query = prepared.url.removeprefix(ENDPOINT).partition("?")
    body = prepared.body or b""
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in prepared.headers.items()
    }
    return HttpRequest(prepared.method, path, query, headers, body.encode() if isinstance(body, str) else body)


def read_by_botocore(protocol: str, response: HttpResponse, shape: Any) -> dict[str, Any]:
    described = {
        "headers": HeadersDict(response.headers),
        "status_code": response.status,
        "body": response.body,
        "context": {"operation_name": "Any"},
    }
    parsed: dict[str, Any] = parsers.create_parser(protocol).parse(described, shape)
    return parsed


@pytest.mark.parametrize(("service", "protocol", "operation"), list(operations()))
def test_we_read_what_botocore_writes(service: str, protocol: str, operation: str) -> None:
    shape = model_of(service, protocol).operation_model(operation).input_shape
    parameters = {} if shape is None else sample(shape)
    request = written_by_botocore(service, protocol, operation, parameters)
    codec = lenient(service, protocol)
    assert codec.operation_of(request) == operation
    assert codec.parameters(operation, request) == parameters


@pytest.mark.parametrize(("service", "protocol", "operation"), list(operations()))
def test_nothing_given_is_nothing_read(service: str, protocol: str, operation: str) -> None:
    shape = model_of(service, protocol).operation_model(operation).input_shape
    members = {} if shape is None else shape.members
    labels = {name: TEXT for name, member in members.items() if member.serialization.get("location") == "uri"}
    request = written_by_botocore(service, protocol, operation, labels)
    assert lenient(service, protocol).parameters(operation, request) == labels


@pytest.mark.parametrize(("service", "protocol", "operation"), list(operations()))
def test_botocore_reads_what_we_write(service: str, protocol: str, operation: str) -> None:
    shape = model_of(service, protocol).operation_model(operation).output_shape
    result = {} if shape is None else sample(shape, is_answer=True)
    response = lenient(service, protocol).answer(operation, result, "request-17")
    parsed = read_by_botocore(protocol, response, shape)
    metadata = parsed.pop("ResponseMetadata")
    if shape is not None or protocol != route.CBOR:  # of RPC v2's empty answers botocore does not read the headers
        assert metadata["RequestId"] == "request-17"
    assert parsed == result


@pytest.mark.parametrize(("service", "protocol"), SERVED)
def test_botocore_reads_our_errors(service: str, protocol: str) -> None:
    codec = codec_of(service, protocol)
    for shape in model_of(service, protocol).error_shapes:
        members = {name: sample(member) for name, member in shape.members.items() if name.lower() != "message"}
        error: ServiceError = type(shape.name, (ServiceError,), {})(f"reason {TEXT}", **members)
        response = codec.refusal(error, "request-17")
        assert response.status >= 400
        parsed = read_by_botocore(protocol, response, None)
        assert parsed["ResponseMetadata"]["RequestId"] == "request-17"
        assert parsed["Error"]["Message"] == f"reason {TEXT}"
        codes = {shape.name, codecs.query_code_of(service, error)}
        assert parsed["Error"]["Code"] in codes
        modelled = read_by_botocore(protocol, response, shape)
        assert {name: modelled[name] for name in members} == members, shape.name


@pytest.mark.parametrize(("service", "protocol"), SERVED)
def test_requests_find_their_service(service: str, protocol: str) -> None:
    model = model_of(service, protocol)
    for operation in model.operation_names:
        shape = model.operation_model(operation).input_shape
        request = written_by_botocore(service, protocol, operation, {} if shape is None else sample(shape))
        scope = f"AWS4-HMAC-SHA256 Credential=AKID/20300101/eu-west-3/{route.signing_name(service)}/aws4_request, X"
        request.headers["authorization"] = scope  # type: ignore[index]  # a dict, made above
        found = route.destination_of(request)
        assert (found.service, found.protocol, found.region) == (service, protocol, "eu-west-3"), operation


def test_attribute_values_keep_their_wire_form() -> None:
    item = {"id": {"S": "1"}, "bytes": {"B": b"\x00\xff"}, "set": {"BS": [b"a"]}}
    request = written_by_botocore("dynamodb", route.JSON, "PutItem", {"TableName": "Offers", "Item": item})
    parameters = codec_of("dynamodb", route.JSON).parameters("PutItem", request)
    encoded = base64.b64encode(b"\x00\xff").decode()
    assert parameters["Item"] == {"id": {"S": "1"}, "bytes": {"B": encoded}, "set": {"BS": ["YQ=="]}}
