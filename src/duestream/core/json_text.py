"""JSON texts of what a rule says: exact numbers, and the same text for the same value whatever the order."""

import base64
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from decimal import Decimal
from json.encoder import encode_basestring  # in C, and without an encoder made for each text
from operator import itemgetter
from typing import Any

#: Beyond so many digits an integral Decimal is written with an exponent.
_MAX_PLAIN_DIGITS = 40
_first = itemgetter(0)


def json_text(value: Any) -> str:
    """The value as JSON, compact, keys sorted, so that equal values give equal texts.

    Beside JSON's own types it takes what DynamoDB items hold and what rules compute with: `Decimal`
    (written exactly), sets (sorted lists), bytes (base64), dates and moments (ISO 8601, ``Z`` for UTC).

    Raises:
        TypeError: a value or a key of a type that JSON has no form for.
        ValueError: NaN, infinity, or text that is not Unicode (a lone surrogate).
    """
    text = _text(value)
    if not text.isascii():
        text.encode()  # a lone surrogate is refused here, not by a store or a socket much later
    return text


def _text(value: Any) -> str:
    match value:
        case str():
            return encode_basestring(value)
        case None | bool():
            return json.dumps(value)
        case int():
            return str(int(value))
        case float():
            return json.dumps(value, allow_nan=False)
        case Decimal():
            return _number(value)
        case Mapping():
            members = [(_key(key), member) for key, member in value.items()]
            members.sort(key=_first)
            return "{" + ",".join([f"{key}:{_text(member)}" for key, member in members]) + "}"
        case list() | tuple():
            return "[" + ",".join([_text(member) for member in value]) + "]"
        case AbstractSet():
            return "[" + ",".join(sorted(map(_text, value))) + "]"
        case _:
            return json.dumps(_scalar(value))


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r} cannot be a JSON object's key. Use a string.")
    return encode_basestring(key)


def _number(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is not a number that JSON can say")
    if value == value.to_integral_value() and value.adjusted() < _MAX_PLAIN_DIGITS:
        return str(int(value))
    return str(value.normalize() if len(value.as_tuple().digits) <= 28 else value)  # normalize() rounds beyond 28


def _scalar(value: Any) -> str:
    match value:
        case datetime():
            text = value.isoformat()
            return text.removesuffix("+00:00") + "Z" if value.tzinfo is not None and text.endswith("+00:00") else text
        case date():
            return value.isoformat()
        case bytes() | bytearray():
            return base64.b64encode(value).decode("ascii")
        case _:
            raise TypeError(
                f"{value!r} ({type(value).__name__}) has no form in JSON. Use strings, numbers, booleans, None, "
                "lists, sets, dicts, bytes, dates and datetimes."
            )


def moment_text(moment: datetime) -> str:
    """An aware moment as ISO 8601 in UTC with ``Z``; a fraction of a second only where there is one."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
