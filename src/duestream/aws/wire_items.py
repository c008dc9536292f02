"""Items in their wire form, where binary values are base64 text, and as boto3's clients have them, as bytes."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from duestream.core.record import Item


def to_boto3(value: Any) -> Any:
    """An item, a key, or a request of DynamoDB's with some in it, for boto3."""
    match value:
        case {"B": str(text)} if len(value) == 1:
            return {"B": b64decode(text)}
        case {"BS": [*texts]} if len(value) == 1:
            return {"BS": [b64decode(text) if isinstance(text, str) else to_boto3(text) for text in texts]}
        case Mapping():
            return {name: to_boto3(member) for name, member in value.items()}
        case list():
            return [to_boto3(member) for member in value]
    return value


def from_boto3(item: Mapping[str, Any]) -> Item:
    """An item of boto3's in its wire form."""
    return {name: _wire(value) for name, value in item.items()}


def _wire(value: Any) -> Any:
    match value:
        case bytes() | bytearray():
            return b64encode(value).decode("ascii")
        case Mapping():
            return {name: _wire(member) for name, member in value.items()}
        case list():
            return [_wire(member) for member in value]
    return value
