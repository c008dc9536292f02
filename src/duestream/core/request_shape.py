"""A universal target's input as the request of an operation: the names that botocore's model has for its members."""

from collections.abc import Iterator, Mapping
from typing import Any


def shaped_request(shape: Any, parameters: Mapping[str, Any], *, token: str) -> dict[str, Any]:
    """An input as botocore takes the request: the model's own member names, texts of blobs as UTF-8.

    Args:
        shape: botocore's of the operation's input; None: it takes none.
        parameters: the input; members are found however their letters are written.
        token: for members that make a repeated request the same one, where the input has none of its own.
    """
    if shape is None:
        return {}
    request: dict[str, Any] = _value(shape, parameters)
    for name, member in shape.members.items():
        if member.metadata.get("idempotencyToken") and name not in request and _fits(member, token):
            request[name] = token
    return request


def _value(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure" if isinstance(value, Mapping) and not getattr(shape, "is_document_type", False):
            return dict(_members(shape, value))
        case "list" if isinstance(value, list):
            return [_value(shape.member, one) for one in value]
        case "map" if isinstance(value, Mapping):
            return {key: _value(shape.value, one) for key, one in value.items()}
        case "blob" if isinstance(value, str):
            return value.encode()
    return value


def _members(shape: Any, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    names = {name.lower(): name for name in shape.members}
    for given, one in value.items():
        name = given if given in shape.members else names.get(given.lower())
        # What the model does not know goes on as it is: botocore says so in its own words.
        yield (given, one) if name is None else (name, _value(shape.members[name], one))


def _fits(shape: Any, token: str) -> bool:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", len(token))
    return bool(least <= len(token) <= most)
