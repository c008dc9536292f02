"""The normal form of attribute values: what DynamoDB would store of what a client sent.

An item in normal form has canonical numbers and sorted sets, so that equal values are equal for `==`.

The texts of the errors were measured against AWS by dynalite's tests (``test/putItem.js`` and others) and by the
tests of paritysuite/dynamodb-conformance (``valueLayers``, ``nestingDepth``, ``deepRequests``; 2026-10-09). Where
the operations of AWS differ, the text is that of the newer checks, and `ValidationException.older_message` has
that of the older ones.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from duestream.core.numbers import is_plain_integer, normalize_number
from duestream.core.record import AttributeValue, Item
from duestream.errors import SerializationException, ValidationException

#: The attribute itself is the first level (AWS: "Nested attribute depth ... up to 32 levels deep").
MAX_NESTING_LEVELS = 32

INVALID = "One or more parameter values were invalid: "
EMPTY_VALUE = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
_SEVERAL = (
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
)
_TOO_DEEP = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)

_EMPTY_NAME = "Empty attribute name"
_NOT_NULL = INVALID + "Null attribute value types must have the value of true"

_find_foreign_base64 = re.compile(r"[^A-Za-z0-9+/=]|=(?=[^=])").search


def normalize_item(item: Any) -> Item:
    """Check an item, or a key, in wire form and bring it into normal form.

    Args:
        item: what was read from the request's JSON.

    Returns:
        The item; the same object where nothing had to change. `item` itself is never changed.

    Raises:
        ValidationException: a value is not one that DynamoDB would store.
        SerializationException: a value has another JSON type than its attribute type asks for.
    """
    if type(item) is not dict:
        raise SerializationException(_unexpected_structure(item))
    if "" in item:
        raise ValidationException(_EMPTY_NAME)
    changed: Item | None = None
    for name, value in item.items():
        # nearly every attribute is a string or a whole number: those two without a call
        if type(value) is dict and len(value) == 1:
            ((kind, content),) = value.items()
            if type(content) is str and (kind == "S" or (kind == "N" and is_plain_integer(content))):
                continue
        normal = _normalize(value, 1)
        if normal is not value:
            if changed is None:
                changed = dict(item)
            changed[name] = normal
    return item if changed is None else changed


def normalize_value(value: Any) -> AttributeValue:
    """Check one attribute value in wire form and bring it into normal form; errors as in `normalize_item`."""
    return _normalize(value, 1)


def _normalize(value: Any, level: int) -> AttributeValue:
    if type(value) is not dict:
        raise SerializationException(_unexpected_structure(value))
    if level > MAX_NESTING_LEVELS:
        raise ValidationException(_TOO_DEEP)
    if len(value) == 1:
        ((kind, content),) = value.items()
        if kind in _NORMALIZERS and content is not None:
            normal = _NORMALIZERS[kind](content, level)
            return value if normal is content else {kind: normal}
    return _normalize_odd(value, level)


def _normalize_odd(value: dict[str, Any], level: int) -> AttributeValue:
    """Several members, none, or unknown ones: AWS ignores unknown ones and complains of bad contents first."""
    known = {kind: content for kind, content in value.items() if kind in _NORMALIZERS and content is not None}
    if not known:
        raise ValidationException(EMPTY_VALUE)
    normal = {kind: _NORMALIZERS[kind](content, level) for kind, content in known.items()}
    if len(normal) > 1:
        raise ValidationException(_SEVERAL)
    return normal


def _normalize_string(content: Any, level: int) -> str:
    if type(content) is not str:
        raise SerializationException(_not_convertible(content, "String"))
    return content


def _normalize_number(content: Any, level: int) -> str:
    if type(content) is not str:
        raise SerializationException(_not_convertible(content, "String"))
    return normalize_number(content)


def _normalize_binary(content: Any, level: int) -> str:
    """Check base64. Only canonical text passes, so equal blobs are equal texts."""
    if type(content) is not str:
        raise SerializationException(_not_convertible(content, "ByteBuffer"))
    problem = _base64_problem(content)
    if problem:
        raise SerializationException(problem)
    return content


def _normalize_boolean(content: Any, level: int) -> bool:
    if type(content) is bool:
        return content
    if type(content) is str:
        return content.lower() == "true"
    raise SerializationException(_not_convertible(content, "Boolean"))


def _normalize_null(content: Any, level: int) -> bool:
    if not _normalize_boolean(content, level):
        raise ValidationException(_NOT_NULL)
    return True


def _normalize_list(content: Any, level: int) -> list[AttributeValue]:
    members = _as_list(content)
    normal = [_normalize(member, level + 1) for member in members]
    unchanged = all(new is old for new, old in zip(normal, members, strict=True))
    return members if unchanged else normal


def _normalize_map(content: Any, level: int) -> dict[str, AttributeValue]:
    if type(content) is not dict:
        raise SerializationException(_unexpected_structure(content))
    normal = {name: _normalize(value, level + 1) for name, value in content.items()}
    if "" in content:
        raise ValidationException(_EMPTY_NAME)
    unchanged = all(normal[name] is value for name, value in content.items())
    return content if unchanged else normal


def _normalize_string_set(content: Any, level: int) -> list[str]:
    members = [_normalize_string(member, level) for member in _as_list(content)]
    if not members:
        raise ValidationException(INVALID + "An string set  may not be empty")
    if len(set(members)) < len(members):
        shown = ", ".join(f'"{member}"' for member in _up_to_repeat(members, str.encode))
        raise _duplicates(f"Input collection [{shown}] contains", f"Input collection [{', '.join(members)}] contains")
    members.sort()
    return _same_list(members, content)


def _normalize_number_set(content: Any, level: int) -> list[str]:
    members = [_normalize_number(member, level) for member in _as_list(content)]
    if not members:
        raise ValidationException(INVALID + "An number set  may not be empty")
    if len(set(members)) < len(members):
        error = ValidationException(INVALID + "Input collection contains duplicates.")
        error.older_message = "Input collection contains duplicates"
        raise error
    members.sort(key=Decimal)
    return _same_list(members, content)


def _normalize_binary_set(content: Any, level: int) -> list[str]:
    members = [_normalize_binary(member, level) for member in _as_list(content)]
    if not members:
        raise ValidationException(INVALID + "Binary sets should not be empty")
    if len(set(members)) < len(members):
        shown = ",".join(f'"{member}"' for member in _up_to_repeat(members, b64decode))
        older = f"Input collection [{', '.join(members)}]of type BS contains"
        raise _duplicates(f"Input collection [{shown}]of type BS contains", older)
    members.sort(key=b64decode)
    return _same_list(members, content)


_NORMALIZERS: dict[str, Callable[[Any, int], Any]] = {
    "S": _normalize_string,
    "N": _normalize_number,
    "B": _normalize_binary,
    "BOOL": _normalize_boolean,
    "NULL": _normalize_null,
    "L": _normalize_list,
    "M": _normalize_map,
    "SS": _normalize_string_set,
    "NS": _normalize_number_set,
    "BS": _normalize_binary_set,
}


def _up_to_repeat(members: list[str], order: Callable[[str], bytes]) -> list[str]:
    """Members as AWS lists them: in the order of a set as far as they differ, then the rest as it was sent."""
    seen: set[str] = set()
    for member in members:
        if member in seen:
            break
        seen.add(member)
    return sorted(seen, key=order) + members[len(seen) :]


def _duplicates(problem: str, older: str) -> ValidationException:
    error = ValidationException(f"{INVALID}{problem} duplicates.")
    error.older_message = f"{INVALID}{older} duplicates."
    return error


def _same_list(members: list[str], content: list[str]) -> list[str]:
    return content if members == content else members


def _as_list(content: Any) -> list[Any]:
    if type(content) is list:
        return content
    if type(content) is dict:
        raise SerializationException("Start of structure or map found where not expected")
    raise SerializationException("Unexpected field type")


def _base64_problem(text: str) -> str | None:
    if len(text) % 4:
        return f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(text)}"
    foreign = _find_foreign_base64(text)
    if foreign:
        return f"Invalid Base64 character: '{foreign.group()}'"
    try:
        canonical = b64encode(b64decode(text, validate=True)).decode("ascii") == text
    except Base64Error:
        canonical = False
    return None if canonical else "Invalid last non-pad Base64 character dectected"


def _not_convertible(content: Any, wanted: str) -> str:
    """Say what the request's JSON has where text or a flag must stand, as AWS's reader does."""
    if type(content) is dict:
        return "Start of structure or map found where not expected"
    if type(content) is list:
        return f"Unrecognized collection type class java.{'nio' if wanted == 'ByteBuffer' else 'lang'}.{wanted}"
    if type(content) is bool:
        found = "TRUE_VALUE" if content else "FALSE_VALUE"
    elif type(content) is str:
        found = "STRING_VALUE"
    else:
        found = "DECIMAL_VALUE" if type(content) is float else "NUMBER_VALUE"
    return f"{found} cannot be converted to {wanted}"


def _unexpected_structure(content: Any) -> str:
    if type(content) is list:
        return "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"
    return "Unexpected value type in payload"


def check_nesting(value: AttributeValue, level: int) -> None:
    """Refuse a value that would lie too deep where an update puts it.

    Args:
        value: in normal form.
        level: the level it would lie at; an attribute of the item lies at 1.

    Raises:
        ValidationException: it or something in it would lie below `MAX_NESTING_LEVELS`.
    """
    if level > MAX_NESTING_LEVELS:
        raise ValidationException(_TOO_DEEP)
    for member in value.get("L", ()):
        check_nesting(member, level + 1)
    for member in value.get("M", {}).values():
        check_nesting(member, level + 1)
