"""AWS JSON 1.0 and 1.1: DynamoDB, DynamoDB Streams, SQS."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from duestream.errors import ServiceError
from duestream.local.wire import codec, models
from duestream.local.wire.constraints import Constraints
from duestream.local.wire.http import HttpRequest, HttpResponse
from duestream.local.wire.refusals import SerializationException
from duestream.local.wire.shapes import Shapes, Writer

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

#: The namespaces of AWS's own error types; clients read what stands after the #.
_PREFIXES = {"dynamodb": "com.amazonaws.dynamodb.v20120810", "dynamodbstreams": "com.amazonaws.dynamodb.v20120810"}
_FRAMEWORK = "com.amazon.coral.service"
_VALIDATION = "com.amazon.coral.validate"
_FRAMEWORK_ERRORS = frozenset(
    {
        "AccessDeniedException",
        "SerializationException",
        "UnknownOperationException",
        "MissingAuthenticationTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "UnrecognizedClientException",
        "InternalFailure",
    }
)
#: The framework's errors whose text stands under ``Message``, though the services' own have ``message``.
_WITH_CAPITAL = frozenset({"AccessDeniedException", "SerializationException"})
#: These services' answers carry a checksum of the body.
_CHECKSUMMED = frozenset({"dynamodb", "dynamodbstreams"})


class AwsJson:
    """One service's codec."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._model = models.service_model(service)
        self._content_type = f"application/x-amz-json-{self._model.metadata['jsonVersion']}"
        self._has_checksum = service in _CHECKSUMMED
        self._shapes = Shapes()
        self._constraints = Constraints(service)
        self._readers: dict[str, Callable[[Any], dict[str, Any]]] = {}
        self._checkers: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        self._writers: dict[str, Writer | None] = {}

    def operation_of(self, request: HttpRequest) -> str:
        return request.headers.get("x-amz-target", "").rpartition(".")[2]

    def parameters(self, operation: str, request: HttpRequest) -> dict[str, Any]:
        try:
            body = _decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SerializationException from None  # AWS says no more than the name
        try:
            read, check = self._readers[operation], self._checkers[operation]
        except KeyError:
            read, check = self._compile(operation)
        parameters = read(body)
        check(parameters)
        return parameters

    def _compile(self, operation: str) -> tuple[Callable[[Any], dict[str, Any]], Callable[[Mapping[str, Any]], None]]:
        model = models.operation_model(self._model, operation)
        read = (lambda body: {}) if model.input_shape is None else self._shapes.reader(model.input_shape)
        check = self._constraints.checker(model)
        self._readers[operation], self._checkers[operation] = read, check
        return read, check

    def answer(self, operation: str, result: Mapping[str, Any] | bytes, request_id: str) -> HttpResponse:
        if not isinstance(result, bytes):
            if operation not in self._writers:
                shape = models.operation_model(self._model, operation).output_shape
                self._writers[operation] = None if shape is None else self._shapes.writer(shape)
            writer = self._writers[operation]
            result = _encode(result if writer is None else writer(result))
        return self._respond(200, result, request_id)

    def refusal(self, error: ServiceError, request_id: str) -> HttpResponse:
        shape = codec.error_shape(self._service, error)
        writer = None if shape is None else self._shapes.writer(shape)
        members = error.members if writer is None else writer(error.members)
        body: dict[str, Any] = {"__type": f"{self._prefix(error.code)}#{error.code}", **members}
        if error.message:
            name = "Message" if error.code in _WITH_CAPITAL else codec.message_member(self._service, error)
            body[name] = error.message
        status = codec.status_of(self._service, error)
        headers = {}
        if "awsQueryCompatible" in self._model.metadata:
            fault = "Sender" if status < 500 else "Receiver"
            headers["x-amzn-query-error"] = f"{codec.query_code_of(self._service, error)};{fault}"
        return self._respond(status, _encode(body), request_id, headers)

    def _prefix(self, code: str) -> str:
        if code in _FRAMEWORK_ERRORS:
            return _FRAMEWORK
        if code == "ValidationException":
            return _VALIDATION
        return _PREFIXES.get(self._service, f"com.amazonaws.{self._service}")

    def _respond(
        self, status: int, body: bytes, request_id: str, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        all_headers = {"x-amzn-RequestId": request_id, "Content-Type": self._content_type}
        if self._has_checksum:
            all_headers["x-amz-crc32"] = str(zlib.crc32(body))
        if headers:
            all_headers.update(headers)
        return HttpResponse(status, body, all_headers)
