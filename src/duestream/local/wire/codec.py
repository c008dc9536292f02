"""What every protocol does for the server, and what the protocols share."""

from collections.abc import Mapping
from typing import Any, Protocol

from duestream.errors import ServiceError
from duestream.local.wire.http import HttpRequest, HttpResponse
from duestream.local.wire.models import error_shapes

#: DynamoDB answers 400 where others answer 403 (measured by the authors of dynalite).
_ALWAYS_400 = frozenset({"dynamodb", "dynamodbstreams"})


class Codec(Protocol):
    """One service in one protocol: bytes to parameters, answers and errors to bytes."""

    def operation_of(self, request: HttpRequest) -> str:
        """The name of the operation asked for, served or not; empty where the request names none."""
        ...

    def parameters(self, operation: str, request: HttpRequest) -> dict[str, Any]:
        """The parameters under AWS's names, checked against the model.

        Timestamps are aware datetimes, blobs bytes (but attribute values stay wire form).

        Raises:
            SerializationException: the body cannot be read.
            ServiceError: a constraint is broken; the error is the service's.
        """
        ...

    def answer(self, operation: str, result: Mapping[str, Any] | bytes, request_id: str) -> HttpResponse:
        """The answer of an operation that succeeded."""
        ...

    def refusal(self, error: ServiceError, request_id: str) -> HttpResponse:
        """The answer of an operation that did not."""
        ...


def error_shape(service: str, error: ServiceError) -> Any | None:
    """The model's shape of this error, None where the model does not know it."""
    return error_shapes(service).get(error.code)


def status_of(service: str, error: ServiceError) -> int:
    """The HTTP status of an error: the model's word counts most, then the class's."""
    shape = error_shape(service, error)
    if shape is not None and (status := shape.metadata.get("error", {}).get("httpStatusCode")):
        return int(status)
    if service in _ALWAYS_400 and error.status == 403:
        return 400
    return error.status


def query_code_of(service: str, error: ServiceError) -> str:
    """The error code in the query protocol: the class's own, the model's, else the class's name."""
    if error.query_code is not None:
        return error.query_code
    shape = error_shape(service, error)
    if shape is not None and (code := shape.metadata.get("error", {}).get("code")):
        return str(code)
    return error.code


def message_member(service: str, error: ServiceError) -> str:
    """``message`` or ``Message``, as the model has it; without a model of the error, as the service's others do."""
    shape = error_shape(service, error)
    shapes = [shape] if shape is not None else list(error_shapes(service).values())
    names = [name for known in shapes for name in known.members if name.lower() == "message"]
    return max(("message", "Message"), key=names.count)
