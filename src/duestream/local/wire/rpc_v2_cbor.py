"""Smithy's RPC v2 CBOR: CloudWatch, as botocore and the other SDKs of today speak to it.

``POST /service/<service>/operation/<operation>`` with one CBOR map as its body, and one in the answer. CBOR itself is
`cbor2`'s matter: the codec with the most users and releases, compiled, typed, and bounded in depth. (botocore has one
of its own inside its serializers, not for others to call; as the oracle of our tests it has to be another.)
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from duestream.errors import ServiceError
from duestream.local.wire import codec, models, moments
from duestream.local.wire.constraints import Constraints
from duestream.local.wire.http import HttpRequest, HttpResponse
from duestream.local.wire.refusals import SerializationException
from duestream.local.wire.shapes import SCALAR_READERS, Reader, Shapes, Writer

PATH = re.compile(r"/service/(?P<service>[A-Za-z0-9_.]+)/operation/(?P<operation>[A-Za-z0-9_]+)")
PROTOCOL_HEADER, PROTOCOL = "smithy-protocol", "rpc-v2-cbor"
_CONTENT_TYPE = "application/cbor"


def _read_blob(value: Any) -> bytes:
    if type(value) is not bytes:
        raise SerializationException("Expected a byte string")
    return value


def _read_timestamp(value: Any) -> datetime:
    """A tagged epoch; CBOR's text form of moments is no part of the protocol."""
    if not isinstance(value, datetime):
        raise SerializationException("Expected an epoch timestamp (tag 1)")
    return value.astimezone(UTC)


def _write_timestamp(value: datetime | float) -> datetime:
    return value if isinstance(value, datetime) else moments.from_epoch(value)


_READERS: dict[str, Reader] = {**SCALAR_READERS, "blob": _read_blob, "timestamp": _read_timestamp}
_WRITERS: dict[str, Writer] = {"timestamp": _write_timestamp, "float": float, "double": float}


class RpcV2Cbor:
    """One service's codec."""

    def __init__(self, service: str) -> None:
        import cbor2  # noqa: PLC0415 - only where it is spoken: it costs a start 10 ms

        self._encode, self._decode, self._decode_error = cbor2.dumps, cbor2.loads, cbor2.CBORDecodeError
        self._service = service
        self._model = models.service_model(service)
        self._shapes = Shapes(readers=_READERS, writers=_WRITERS)
        self._constraints = Constraints(service)
        self._checkers: dict[str, Callable[[Mapping[str, Any]], None]] = {}

    def operation_of(self, request: HttpRequest) -> str:
        found = PATH.fullmatch(request.path)
        return found["operation"] if found else ""

    def parameters(self, operation: str, request: HttpRequest) -> dict[str, Any]:
        model = models.operation_model(self._model, operation)
        parameters: dict[str, Any] = {}
        if model.input_shape is not None:
            parameters = self._shapes.reader(model.input_shape)(self._body_of(request))
        if operation not in self._checkers:
            self._checkers[operation] = self._constraints.checker(model)
        self._checkers[operation](parameters)
        return parameters

    def _body_of(self, request: HttpRequest) -> Any:
        if not request.body:
            return {}
        try:
            return self._decode(request.body, object_hook=_with_text_keys, strict_hashable_types=True)
        except (self._decode_error, RecursionError, ValueError):
            raise SerializationException("The body is not CBOR") from None

    def answer(self, operation: str, result: Mapping[str, Any] | bytes, request_id: str) -> HttpResponse:
        shape = models.operation_model(self._model, operation).output_shape
        if shape is None or isinstance(result, bytes):
            return self._respond(200, {}, request_id)
        writer = self._shapes.writer(shape)
        return self._respond(200, dict(result) if writer is None else writer(result), request_id)

    def refusal(self, error: ServiceError, request_id: str) -> HttpResponse:
        shape = codec.error_shape(self._service, error)
        writer = None if shape is None else self._shapes.writer(shape)
        members = error.members if writer is None else writer(error.members)
        body = {"__type": f"com.amazonaws.{self._service}#{error.code}", **members}
        if error.message:
            body[codec.message_member(self._service, error)] = error.message
        status = codec.status_of(self._service, error)
        headers = {}
        if "awsQueryCompatible" in self._model.metadata:
            fault = "Sender" if status < 500 else "Receiver"
            headers["x-amzn-query-error"] = f"{codec.query_code_of(self._service, error)};{fault}"
        return self._respond(status, body, request_id, headers)

    def _respond(
        self, status: int, body: Mapping[str, Any], request_id: str, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        all_headers = {"x-amzn-RequestId": request_id, "Content-Type": _CONTENT_TYPE, PROTOCOL_HEADER: PROTOCOL}
        if headers:
            all_headers.update(headers)
        return HttpResponse(status, self._encode(body, datetime_as_timestamp=True), all_headers)


def _with_text_keys(value: Mapping[Any, Any], _is_key: object) -> Mapping[Any, Any]:
    if any(type(key) is not str for key in value):
        raise ValueError("a map's keys are text")
    return value
