"""The query protocol: form parameters in, XML out. STS, SES version 1, and SQS for older clients."""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from duestream.errors import ServiceError
from duestream.local.wire import codec, models, moments
from duestream.local.wire.constraints import Constraints
from duestream.local.wire.http import HttpRequest, HttpResponse
from duestream.local.wire.refusals import SerializationException
from duestream.local.wire.shapes import read_blob, write_blob
from duestream.local.wire.xml import element, escape

#: A queue's URL as the path of a request, as SQS's query protocol has it.
_QUEUE_PATH = re.compile(r"/\d{12}/[A-Za-z0-9_.-]+")
MAX_FORM_FIELDS = 10_000
#: A form names members by position; a gap beyond the last field could otherwise make a list of any length.
_POSITION = re.compile(r"[1-9][0-9]{0,4}")


def form_of(request: HttpRequest) -> dict[str, str]:
    """The form fields of the query string and the body; the body wins.

    Raises:
        SerializationException: the body is no form.
    """
    fields: dict[str, str] = {}
    try:
        for text in (request.query, request.body.decode("utf-8")):
            if text:
                fields.update(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS))
    except ValueError:
        raise SerializationException("The request body is not a form of UTF-8 text.") from None
    return fields


class Query:
    """One service's codec."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._model = models.query_model(service)
        self._namespace = self._model.metadata["xmlNamespace"]
        self._constraints = Constraints(service)
        self._checkers: dict[str, Callable[[Mapping[str, Any]], None]] = {}

    def operation_of(self, request: HttpRequest) -> str:
        return form_of(request).get("Action", "")

    def parameters(self, operation: str, request: HttpRequest) -> dict[str, Any]:
        fields = form_of(request)
        model = models.operation_model(self._model, operation)
        parameters: dict[str, Any] = {}
        if model.input_shape is not None:
            parameters = _read_structure(model.input_shape, _tree(fields))
            if self._service == "sqs" and _QUEUE_PATH.fullmatch(request.path):
                parameters.setdefault("QueueUrl", request.path)
        if operation not in self._checkers:
            self._checkers[operation] = self._constraints.checker(model)
        self._checkers[operation](parameters)
        return parameters

    def answer(self, operation: str, result: Mapping[str, Any] | bytes, request_id: str) -> HttpResponse:
        shape = models.operation_model(self._model, operation).output_shape
        parts = []
        if shape is not None and not isinstance(result, bytes):
            wrapper = shape.serialization.get("resultWrapper", f"{operation}Result")
            parts.append(element(wrapper, _write_members(shape, result)))
        parts.append(element("ResponseMetadata", element("RequestId", escape(request_id))))
        return _respond(200, element(f"{operation}Response", parts, self._namespace), request_id)

    def refusal(self, error: ServiceError, request_id: str) -> HttpResponse:
        status = codec.status_of(self._service, error)
        parts = [
            element("Type", "Sender" if status < 500 else "Receiver"),
            element("Code", escape(codec.query_code_of(self._service, error))),
            element("Message", escape(error.message)),
        ]
        shape = codec.error_shape(self._service, error)
        if shape is not None and error.members:
            parts.append(_write_members(shape, error.members))
        content = [element("Error", parts), element("RequestId", escape(request_id))]
        return _respond(status, element("ErrorResponse", content, self._namespace), request_id)


def _respond(status: int, body: str, request_id: str) -> HttpResponse:
    headers = {"x-amzn-RequestId": request_id, "Content-Type": "text/xml"}
    return HttpResponse(status, f'<?xml version="1.0"?>\n{body}\n'.encode(), headers)


# Reading -----------------------------------------------------------------------------------------------------------


class _Node:
    """Fields under one name: ``Destination.ToAddresses.member.1`` is three nodes below the root."""

    __slots__ = ("children", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.children: dict[str, _Node] = {}


#: Deeper than any shape of a query service.
_MAX_DEPTH = 32


def _tree(fields: Mapping[str, str]) -> _Node:
    root = _Node()
    for name, text in fields.items():
        node = root
        for part in name.split(".", _MAX_DEPTH):
            node = node.children.setdefault(part, _Node())
        node.text = text
    return root


def _read_structure(shape: Any, node: _Node) -> dict[str, Any]:
    values = {}
    for name, member in shape.members.items():
        wire_name = _name_of(member, name)
        if member.type_name == "list" and _is_flattened(member):
            wire_name = member.member.serialization.get("name") or wire_name
        child = node.children.get(wire_name)
        if child is not None:
            values[name] = _read(member, child)
    return values


def _read(shape: Any, node: _Node) -> Any:
    match shape.type_name:
        case "structure":
            return _read_structure(shape, node)
        case "list":
            inner = node if _is_flattened(shape) else node.children.get(_name_of(shape.member, "member"), _Node())
            return [_read(shape.member, child) for child in _in_order(inner)]
        case "map":
            inner = node if _is_flattened(shape) else node.children.get("entry", _Node())
            return _read_map(shape, inner)
        case _:
            return _read_scalar(shape.type_name, node.text or "")


def _read_map(shape: Any, node: _Node) -> dict[str, Any]:
    key_name, value_name = _name_of(shape.key, "key"), _name_of(shape.value, "value")
    values = {}
    for entry in _in_order(node):
        key, value = entry.children.get(key_name), entry.children.get(value_name)
        if key is None or key.text is None:
            raise SerializationException(f"Entry without a {key_name}")
        values[key.text] = _read(shape.value, value or _Node())
    return values


def _in_order(node: _Node) -> list[_Node]:
    """Members by their number; what is not numbered is not a member."""
    numbers = sorted(int(name) for name in node.children if _POSITION.fullmatch(name))
    return [node.children[str(number)] for number in numbers]


def _read_scalar(type_name: str, text: str) -> Any:
    try:
        match type_name:
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "timestamp":
                return moments.parse(text)
            case "blob":
                return read_blob(text)
            case _:
                return text
    except (ValueError, KeyError):
        raise SerializationException(f"'{text[:100]}' is not a valid {type_name}") from None


# Writing -----------------------------------------------------------------------------------------------------------


def _write_members(shape: Any, values: Mapping[str, Any]) -> str:
    return "".join(
        _write(member, values[name], _name_of(member, name))
        for name, member in shape.members.items()
        if values.get(name) is not None
    )


def _write(shape: Any, value: Any, name: str) -> str:
    match shape.type_name:
        case "structure":
            return element(name, _write_members(shape, value))
        case "list":
            if _is_flattened(shape):
                return "".join(_write(shape.member, given, _name_of(shape.member, name)) for given in value)
            return element(name, (_write(shape.member, given, _name_of(shape.member, "member")) for given in value))
        case "map":
            entry = name if _is_flattened(shape) else "entry"
            key_name, value_name = _name_of(shape.key, "key"), _name_of(shape.value, "value")
            entries = "".join(
                element(entry, element(key_name, escape(key)) + _write(shape.value, given, value_name))
                for key, given in value.items()
            )
            return entries if _is_flattened(shape) else element(name, entries)
        case _:
            return element(name, escape(_write_scalar(shape.type_name, value)))


def _write_scalar(type_name: str, value: Any) -> str:
    if type_name == "timestamp":
        return moments.to_iso(value)
    if type_name == "blob":
        return write_blob(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def _name_of(shape: Any, default: str) -> str:
    return str(shape.serialization.get("name") or default)


def _is_flattened(shape: Any) -> bool:
    return bool(shape.serialization.get("flattened"))
