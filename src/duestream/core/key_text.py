"""Keys as people write them: ``PK=a,SK=b``, JSON, or the bare value of a table's only key attribute. Pure."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from duestream.core.record import AttributeValue, Item
from duestream.errors import ValidationException


def read_key(text: str, types: Mapping[str, str], *, table_name: str) -> Item:
    """The key that a text names.

    Args:
        text: a JSON object with plain values or DynamoDB's (``{"PK": {"S": "a"}}``); ``PK=a,SK=b``; or the bare value
            of a table's only key attribute.
        types: the key's attributes and their types (``S``, ``N``, ``B``), the partition key first.
        table_name: named in the error.

    Raises:
        ValidationException: it is no key of this table's.
    """
    names = tuple(types)
    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text, parse_float=str, parse_int=str)
        except ValueError as error:
            raise ValidationException(f"The key is no JSON: {error}") from None
    else:
        values = _read_shorthand(names, text)
    if values.keys() != set(names):
        form = ",".join(f"{name}=..." for name in names)
        raise ValidationException(f"The key of table {table_name} is {' and '.join(names)}: write {form}, or JSON.")
    return {name: _key_part(name, values[name], types[name]) for name in names}


def _read_shorthand(names: tuple[str, ...], text: str) -> dict[str, str]:
    """``PK=a,b,SK=c``: a value goes on to where the next key attribute begins."""
    first = next((name for name in names if text.startswith(f"{name}=")), None)
    if first is None:
        return {names[0]: text} if len(names) == 1 else {}
    if len(names) == 1:
        return {first: text[len(first) + 1 :]}
    other = next(name for name in names if name != first)
    value, found, rest = text[len(first) + 1 :].rpartition(f",{other}=")
    return {first: value, other: rest} if found else {}


def _key_part(name: str, value: Any, kind: str) -> AttributeValue:
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise ValidationException(f"The value of {name} cannot be part of a key.")
    if kind == "B":
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValidationException(f"{name} is binary: write it in base64.") from None
    return {kind: value}
