"""REST-JSON: EventBridge Scheduler and SES version 2. The operation is told from method and path."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from duestream.errors import ServiceError
from duestream.local.wire import codec, models, moments
from duestream.local.wire.constraints import Constraints
from duestream.local.wire.http import HttpRequest, HttpResponse
from duestream.local.wire.refusals import SerializationException
from duestream.local.wire.shapes import Shapes, Writer, write_blob

#: Routes of older service models, which clients in use still take (the AWS CLI 1.46 among them).
_OLDER_ROUTES = {"sesv2": (("GET", "/v2/email/identities", "ListEmailIdentities"),)}
_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
MAX_QUERY_FIELDS = 1000


class RestJson:
    """One service's codec."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._model = models.service_model(service)
        self._shapes = Shapes()
        self._constraints = Constraints(service)
        self._checkers: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        self._routes = _routes(self._model) + [
            (method, re.compile(re.escape(path)), operation)
            for method, path, operation in _OLDER_ROUTES.get(service, ())
        ]

    def operation_of(self, request: HttpRequest) -> str:
        found = self._match(request)
        return found[0] if found is not None else ""

    def _match(self, request: HttpRequest) -> tuple[str, dict[str, str]] | None:
        """The operation and its path's labels, decoded."""
        path = request.path.rstrip("/") or "/"
        for method, pattern, operation in self._routes:
            if method == request.method and (found := pattern.fullmatch(path)) is not None:
                labels = dict(zip(_label_names(self._model, operation), found.groups(), strict=True))
                return operation, {name: unquote(text) for name, text in labels.items()}
        return None

    def parameters(self, operation: str, request: HttpRequest) -> dict[str, Any]:
        model = models.operation_model(self._model, operation)
        shape = model.input_shape
        if shape is None:
            return {}
        found = self._match(request)
        labels = found[1] if found is not None else {}
        parameters = self._body(shape, request.body)
        try:
            query = parse_qsl(request.query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:
            raise SerializationException("Too many fields in the query string") from None
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            if location is None and request.method == "GET":
                location = "querystring"  # an older route: what is in the body today was in the query string
            if location is not None:
                parameters.pop(name, None)
                value = _located(member, location, member.serialization.get("name", name), labels, query, request)
                if value is not None:
                    parameters[name] = value
        if operation not in self._checkers:
            self._checkers[operation] = self._constraints.checker(model)
        self._checkers[operation](parameters)
        return parameters

    def _body(self, shape: Any, body: bytes) -> dict[str, Any]:
        payload = shape.serialization.get("payload")
        if payload is not None and shape.members[payload].type_name in ("blob", "string"):
            raw = body if shape.members[payload].type_name == "blob" else body.decode("utf-8", "replace")
            return {payload: raw} if body else {}
        if not body:
            return {}
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SerializationException from None
        if payload is not None:
            return {payload: self._shapes.reader(shape.members[payload])(document)}
        renamed = _wire_names(shape)
        if renamed and isinstance(document, dict):
            document = {renamed.get(name, name): value for name, value in document.items()}
        parameters: dict[str, Any] = self._shapes.reader(shape)(document)
        return parameters

    def answer(self, operation: str, result: Mapping[str, Any] | bytes, request_id: str) -> HttpResponse:
        model = models.operation_model(self._model, operation)
        status = int(model.http.get("responseCode", 200))
        headers: dict[str, str] = {}
        if isinstance(result, bytes):
            return self._respond(status, result, request_id, headers)
        body: Mapping[str, Any] = result
        shape = model.output_shape
        if shape is not None:
            body = {}
            for name, value in result.items():
                member = shape.members.get(name)
                location = None if member is None else member.serialization.get("location")
                if location == "statusCode":
                    status = int(value)
                elif location == "header" and value is not None:
                    headers[member.serialization.get("name", name)] = _text_of(member, value)
                elif location is None:
                    body[name] = value
            payload = shape.serialization.get("payload")
            if payload is not None:
                return self._payload(shape.members[payload], body.get(payload), status, request_id, headers)
        writer: Writer | None = None if shape is None else self._shapes.writer(shape)
        return self._respond(status, msgspec.json.encode(writer(body) if writer else body), request_id, headers)

    def _payload(self, member: Any, value: Any, status: int, request_id: str, headers: dict[str, str]) -> HttpResponse:
        if member.type_name in ("blob", "string"):
            raw = value or b""
            return self._respond(status, raw.encode() if isinstance(raw, str) else raw, request_id, headers)
        writer = self._shapes.writer(member)
        document = {} if value is None else (writer(value) if writer else value)
        return self._respond(status, msgspec.json.encode(document), request_id, headers)

    def refusal(self, error: ServiceError, request_id: str) -> HttpResponse:
        # Here the path names the operation: one that is not known is a page that is not there.
        status = 404 if error.code == "UnknownOperationException" else codec.status_of(self._service, error)
        shape = codec.error_shape(self._service, error)
        writer = None if shape is None else self._shapes.writer(shape)
        body = dict(error.members if writer is None else writer(error.members))
        if error.message:
            body[codec.message_member(self._service, error)] = error.message
        return self._respond(status, msgspec.json.encode(body), request_id, {"x-amzn-ErrorType": error.code})

    def _respond(self, status: int, body: bytes, request_id: str, headers: Mapping[str, str]) -> HttpResponse:
        return HttpResponse(
            status, body, {"x-amzn-RequestId": request_id, "Content-Type": "application/json", **headers}
        )


def _routes(model: Any) -> list[tuple[str, "re.Pattern[str]", str]]:
    """Method, pattern of the path, operation; the more literal paths come first."""
    routes = []
    for operation in model.operation_names:
        http = model.operation_model(operation).http
        path = http["requestUri"].partition("?")[0].rstrip("/") or "/"
        pattern, start = "", 0
        for label in _LABEL.finditer(path):
            pattern += re.escape(path[start : label.start()]) + ("(.+)" if label[2] else "([^/]+)")
            start = label.end()
        routes.append(
            (len(_LABEL.findall(path)), http["method"], re.compile(pattern + re.escape(path[start:])), operation)
        )
    # An ARN is sent with its slashes encoded by every SDK, but written plainly by hand: /tags/{ResourceArn} takes both.
    routes += [
        (count + 100, method, re.compile(pattern.pattern.removesuffix("([^/]+)") + "(arn:.+)"), operation)
        for count, method, pattern, operation in routes
        if pattern.pattern.endswith("/([^/]+)") and "tags" in pattern.pattern
    ]
    return [
        (method, pattern, operation) for _, method, pattern, operation in sorted(routes, key=lambda route: route[0])
    ]


def _label_names(model: Any, operation: str) -> list[str]:
    path = model.operation_model(operation).http["requestUri"].partition("?")[0]
    return [label[1] for label in _LABEL.finditer(path)]


def _wire_names(shape: Any) -> dict[str, str]:
    """Name in the body to name of the member, where they differ."""
    return {
        wire_name: name
        for name, member in shape.members.items()
        if "location" not in member.serialization and (wire_name := member.serialization.get("name", name)) != name
    }


def _located(
    member: Any,
    location: str,
    wire_name: str,
    labels: Mapping[str, str],
    query: list[tuple[str, str]],
    request: HttpRequest,
) -> Any:
    """A member that is not in the body; None where it was not given."""
    match location:
        case "uri":
            texts = [labels[wire_name]] if wire_name in labels else []
        case "querystring":
            texts = [text for name, text in query if name == wire_name]
        case "header":
            texts = [request.headers[wire_name.lower()]] if wire_name.lower() in request.headers else []
        case _:
            return None
    if not texts:
        return None
    if member.type_name == "list":
        return [_value_of(member.member, text) for text in texts]
    return _value_of(member, texts[-1])


def _value_of(shape: Any, text: str) -> Any:
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "timestamp":
                return moments.parse(text)
            case _:
                return text
    except (ValueError, KeyError):
        raise SerializationException(f"'{text[:100]}' can not be converted to {shape.type_name.capitalize()}") from None


def _text_of(shape: Any, value: Any) -> str:
    """A value as a header. Line breaks cannot be in it: they are percent-encoded."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return moments.to_http_date(value)
    if shape.type_name == "blob":
        return write_blob(value)
    return quote(str(value), safe=" !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~")
