"""What a request that is passed on calls, in botocore's names: for its count, so only names that AWS has."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from duestream.local.wire import models, rpc_v2_cbor
from duestream.local.wire.aws_calls import botocore_service
from duestream.local.wire.http import HttpRequest
from duestream.local.wire.query import form_of
from duestream.local.wire.refusals import SerializationException
from duestream.local.wire.route import is_form

_LABEL = re.compile(r"\{[^}+]+(\+?)\}")


@dataclass(frozen=True, slots=True)
class _Route:
    """How an operation of a REST service is told: all of this is in its requests."""

    operation: str
    method: str
    path: re.Pattern[str]
    labels: int
    #: Name and value; None: any.
    query: tuple[tuple[str, str | None], ...]
    headers: tuple[str, ...]

    def fits(self, request: HttpRequest, path: str, query: dict[str, str]) -> bool:
        return (
            self.method == request.method
            and self.path.fullmatch(path) is not None
            and all(name in query and value in (None, query[name]) for name, value in self.query)
            and all(name in request.headers for name in self.headers)
        )


def called_operation(scope_service: str, request: HttpRequest) -> tuple[str, str | None] | None:
    """Service and operation of a request; loads the service's model, which may take a tenth of a second.

    Args:
        scope_service: the service in the request's credential scope.

    Returns:
        botocore's names; the operation None where the service has none such; None where AWS has no such service.
    """
    service = botocore_service(scope_service)
    if service is None:
        return None
    return service, _named(service, request) or _routed(service, request)


def _named(service: str, request: HttpRequest) -> str | None:
    """The operation that the request names."""
    target = request.headers.get("x-amz-target")
    cbor = rpc_v2_cbor.PATH.fullmatch(request.path)
    name = None
    if target is not None:
        name = target.rpartition(".")[2]
    elif cbor is not None:
        name = cbor["operation"]
    elif is_form(request):
        try:
            name = form_of(request).get("Action")
        except SerializationException:
            return None
    return name if name in models.operation_names(service) else None


def _routed(service: str, request: HttpRequest) -> str | None:
    """The operation that method, path, query string and headers stand for: the one that asks for most of them."""
    path = request.path.rstrip("/") or "/"
    query = dict(field.partition("=")[::2] for field in request.query.split("&"))
    fitting = [route for route in _routes(service) if route.fits(request, path, query)]
    if not fitting:
        return None
    return max(fitting, key=lambda route: (len(route.query) + len(route.headers), -route.labels)).operation


@lru_cache(maxsize=32)
def _routes(service: str) -> tuple[_Route, ...]:
    model = models.service_model(service)
    if not str(model.metadata.get("protocol", "")).startswith("rest-"):
        return ()
    return tuple(_route_of(model.operation_model(name)) for name in model.operation_names)


def _route_of(operation: Any) -> _Route:
    path, _, literal = operation.http["requestUri"].partition("?")
    path = path.rstrip("/") or "/"
    pattern, start = "", 0
    for label in _LABEL.finditer(path):
        pattern += re.escape(path[start : label.start()]) + (".+" if label[1] else "[^/]+")
        start = label.end()
    query: dict[str, str | None] = {name: value or None for name, value in parse_qsl(literal, keep_blank_values=True)}
    headers: list[str] = []
    shape = operation.input_shape
    for name in () if shape is None else shape.required_members:
        serialization = shape.members[name].serialization
        wire_name = serialization.get("name", name)
        if serialization.get("location") == "querystring":
            query.setdefault(wire_name, None)
        elif serialization.get("location") == "header":
            headers.append(wire_name.lower())
    return _Route(
        operation.name,
        operation.http["method"],
        re.compile(pattern + re.escape(path[start:])),
        len(_LABEL.findall(path)),
        tuple(query.items()),
        tuple(headers),
    )
