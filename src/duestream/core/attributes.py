"""Attribute values: sizes, key order, comparison, and Python values for DynamoDB's ten types.

Wire form in means wire form out: blobs stay base64 text, numbers stay decimal text. The values here are in
normal form (`normalize_item`), where equal values are equal objects for `==`.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from duestream.core.normalform import EMPTY_VALUE, normalize_item, normalize_value
from duestream.core.numbers import normalize_number, number_key_bytes, number_of_key_bytes, number_size_bytes
from duestream.core.record import AttributeValue, Item
from duestream.errors import Error, ValidationException

__all__ = [
    "AttributeTypeError",
    "compare_values",
    "item_size_bytes",
    "key_bytes",
    "key_value",
    "marshal",
    "marshal_item",
    "normalize_item",
    "normalize_number",
    "normalize_value",
    "unmarshal",
    "unmarshal_item",
    "value_size_bytes",
    "values_equal",
]


class AttributeTypeError(Error):
    """A Python value has no attribute value of DynamoDB's."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def item_size_bytes(item: Item) -> int:
    """Count an item's bytes as DynamoDB does for its 400 KB limit (names and values, in UTF-8).

    Source: Developer Guide, "DynamoDB item sizes and formats". Without the 100 bytes of storage for each item.
    """
    size_bytes = 0
    for name, value in item.items():  # every write counts its item: nearly all of it is text, counted without a call
        size_bytes += len(name) if name.isascii() else len(name.encode())
        text = value.get("S")
        if text is None:
            size_bytes += value_size_bytes(value)
        else:
            size_bytes += len(text) if text.isascii() else len(text.encode())
    return size_bytes


def value_size_bytes(value: AttributeValue) -> int:
    """Count one attribute value's bytes, without its name."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return _text_size_bytes(content)
        case "N":
            return number_size_bytes(content)
        case "B":
            return _blob_size_bytes(content)
        case "SS":
            return sum(map(_text_size_bytes, content))
        case "NS":
            return sum(map(number_size_bytes, content))
        case "BS":
            return sum(map(_blob_size_bytes, content))
        case "L":
            return 3 + sum(1 + value_size_bytes(member) for member in content)
        case "M":
            return 3 + sum(1 + _text_size_bytes(name) + value_size_bytes(member) for name, member in content.items())
        case _:
            return 1


def _text_size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _blob_size_bytes(text: str) -> int:
    return len(text) // 4 * 3 - text.count("=", -2)


def key_bytes(value: AttributeValue) -> bytes:
    """Give bytes that sort, as unsigned bytes, the way DynamoDB sorts key values of one type.

    Args:
        value: of type S, N or B; other types are no keys and are a fault of the caller.
    """
    ((kind, content),) = value.items()
    if kind == "S":
        text: str = content
        return text.encode()
    if kind == "N":
        return number_key_bytes(content)
    assert kind == "B", f"a key is of type S, N or B, not {kind}"
    return b64decode(content)


def values_equal(left: AttributeValue, right: AttributeValue) -> bool:
    """Say whether two values in normal form are the same: type and content, maps and sets without order."""
    return left == right


def compare_values(left: AttributeValue, right: AttributeValue) -> int | None:
    """Order two values as DynamoDB's comparators do.

    Returns:
        Less than, equal to or greater than 0; None where the two cannot be compared: other types than S, N and B,
        or two different ones.
    """
    ((left_kind, left_content),) = left.items()
    right_content = right.get(left_kind)
    if right_content is None:
        return None
    match left_kind:
        case "S":  # code points order as their UTF-8 bytes do
            low, high = left_content, right_content
        case "N":
            low, high = Decimal(left_content), Decimal(right_content)
        case "B":
            low, high = b64decode(left_content), b64decode(right_content)
        case _:
            return None
    return int(low > high) - int(low < high)


def unmarshal(value: AttributeValue) -> Any:
    """Give the Python value: str, Decimal, bytes, bool, None, list, dict, or a set of str, Decimal or bytes."""
    ((kind, content),) = value.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return Decimal(content)
        case "B":
            return b64decode(content)
        case "NULL":
            return None
        case "L":
            return [unmarshal(member) for member in content]
        case "M":
            return unmarshal_item(content)
        case "SS":
            return set(content)
        case "NS":
            return set(map(Decimal, content))
        case "BS":
            return set(map(b64decode, content))
    raise ValidationException(EMPTY_VALUE)


def unmarshal_item(item: Item) -> dict[str, Any]:
    """Give an item's attributes as Python values."""
    return {name: unmarshal(value) for name, value in item.items()}


def marshal(value: Any) -> AttributeValue:
    """Give the attribute value, in normal form, of a Python value. The reverse of `unmarshal`; ints are numbers too.

    Raises:
        AttributeTypeError: DynamoDB has no type for it. A float is refused too, as it is not the decimal it shows.
        ValidationException: a number is out of DynamoDB's range, or a set is empty.
    """
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, int | Decimal):
        return {"N": normalize_number(str(value))}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"B": b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {"M": marshal_item(value)}
    if isinstance(value, list | tuple):
        return {"L": [marshal(member) for member in value]}
    if isinstance(value, set | frozenset):
        return _marshal_set(value)
    if isinstance(value, float):
        raise AttributeTypeError(f"a float has no exact decimal value: write Decimal('{value}') instead of {value!r}")
    raise AttributeTypeError(f"DynamoDB has no type for {type(value).__name__}")


def marshal_item(values: Mapping[str, Any]) -> Item:
    """Give the item, in normal form, of Python values; errors as in `marshal`."""
    item: Item = {}
    for name, value in values.items():
        if not isinstance(name, str):
            raise AttributeTypeError(f"an attribute's name is text, not {type(name).__name__}")
        item[name] = marshal(value)
    return item


def _marshal_set(members: set[Any] | frozenset[Any]) -> AttributeValue:
    marshalled = [marshal(member) for member in members]
    kinds = {kind for member in marshalled for kind in member}
    if not kinds <= {"S", "N", "B"} or len(kinds) > 1:
        raise AttributeTypeError("a set holds only text, only numbers or only bytes")
    if not kinds:
        raise AttributeTypeError("DynamoDB has no empty set")
    (kind,) = kinds
    return normalize_value({kind + "S": [member[kind] for member in marshalled]})


def key_value(data: bytes, kind: str) -> AttributeValue:
    """Give back the key value that `key_bytes` gave these bytes for; `kind` is S, N or B."""
    if kind == "S":
        return {"S": data.decode()}
    if kind == "N":
        return {"N": number_of_key_bytes(data)}
    return {"B": b64encode(data).decode("ascii")}
