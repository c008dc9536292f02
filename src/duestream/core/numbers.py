"""DynamoDB's numbers: decimal, at most 38 significant digits, magnitudes 1E-130 to below 1E+126.

Numbers stay text, in the one normal form DynamoDB answers with: plain notation, no exponent, no
leading or trailing zeros. Two numbers are equal when their normal forms are.

The limits are AWS's (Developer Guide, "Supported data types and naming rules in Amazon DynamoDB",
section Number). The texts of the errors were measured against AWS by dynalite's and by Alternator's tests, those
of the newer checks by paritysuite/dynamodb-conformance (``valueLayers`` and ``numberExponent``, 2026-10-09): the
newer checks read an exponent of up to 64 bits, the older ones one of 32 bits, as Java's BigDecimal does.
"""

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import NamedTuple

from duestream.errors import ValidationException

MAX_SIGNIFICANT_DIGITS = 38
MAX_MAGNITUDE = 125
MIN_MAGNITUDE = -130
MAX_EXPONENT = 2**63 - 1
#: The largest exponent of the older checks; this one itself they take for its opposite (valueLayers, 2026-10-09).
MAX_OLDER_EXPONENT = 2**31 - 1

NOT_NUMERIC = "The parameter cannot be converted to a numeric value"
TOO_MANY_DIGITS = "Attempting to store more than 38 significant digits in a Number"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"

#: Matches what is in normal form already and needs no further look: most numbers are whole.
is_plain_integer = re.compile(r"(?:-?[1-9][0-9]{0,37}|0)\Z").match
_read_number = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?\Z").match
#: No operation on two numbers in range is ever rounded here: their digits span 256 + 38 places at most.
_EXACT = Context(prec=600, Emax=MAX_EMAX, Emin=MIN_EMIN)


class Number(NamedTuple):
    """A number taken apart: ``0.<digits> * 10 ** (magnitude + 1)``; zero has no digits.

    `digits` begin and end with another digit than 0. `magnitude` is the power of ten of the first digit.
    """

    is_negative: bool
    digits: str
    magnitude: int


_ZERO = Number(is_negative=False, digits="", magnitude=0)


def normalize_number(text: str) -> str:
    """Give the normal form of a number.

    Args:
        text: as a client sends it: ``17``, ``+1.50``, ``.5``, ``1e3``.

    Returns:
        DynamoDB's plain notation: ``17``, ``1.5``, ``0.5``, ``1000``. The same object where nothing changes.

    Raises:
        ValidationException: it is no number, has more than 38 significant digits, or its magnitude is out of range.
    """
    if is_plain_integer(text):
        return text
    normal = _plain_text(parse_number(text))
    return text if normal == text else normal


def parse_number(text: str) -> Number:
    """Take a number apart and check its limits.

    Raises:
        ValidationException: as `normalize_number` does.
    """
    found = _read_number(text)
    if found is None:
        raise _not_numeric(text)
    sign, whole, fraction, bare_fraction, exponent = found.groups()
    whole = whole or ""
    fraction = fraction or bare_fraction or ""
    power = 0 if exponent is None else _power(exponent, text)
    digits = (whole + fraction).lstrip("0")
    magnitude = power + len(digits) - len(fraction) - 1 if digits else power
    digits = digits.rstrip("0")
    if len(digits) > MAX_SIGNIFICANT_DIGITS:
        raise ValidationException(TOO_MANY_DIGITS)
    if magnitude > MAX_MAGNITUDE:
        raise _out_of_range(OVERFLOW, power, text)
    if magnitude < MIN_MAGNITUDE:
        raise _out_of_range(UNDERFLOW, power, text)
    return Number(sign == "-", digits, magnitude) if digits else _ZERO


def add_numbers(left: str, right: str) -> str:
    """Add two numbers exactly and give the normal form of the sum.

    Raises:
        ValidationException: the sum is out of range. AWS answers the text of an overflow also where the
            sum would need more than 38 digits, such as 1E50 + 1 (measured by Alternator's
            ``test_update_expression_plus_imprecise``).
    """
    return _computed(_EXACT.add(Decimal(left), Decimal(right)))


def subtract_numbers(left: str, right: str) -> str:
    """Subtract `right` from `left` exactly; errors as in `add_numbers`."""
    return _computed(_EXACT.subtract(Decimal(left), Decimal(right)))


def number_key_bytes(text: str) -> bytes:
    """Give bytes that sort (as unsigned bytes) as the numbers do. Equal numbers give equal bytes.

    One byte for the sign, one for the magnitude, then one for each two digits; a negative number has all but
    the sign complemented, and an end mark above every digit, since there the longer is the smaller.
    """
    is_negative, digits, magnitude = parse_number(text)
    if not digits:
        return b"\x01"
    if len(digits) % 2:
        digits += "0"
    body = bytes([magnitude - MIN_MAGNITUDE, *(int(digits[at : at + 2]) + 1 for at in range(0, len(digits), 2))])
    if is_negative:
        return b"\x00" + bytes(255 - byte for byte in body) + b"\xff"
    return b"\x02" + body


def number_of_key_bytes(data: bytes) -> str:
    """Give back, in normal form, the number that `number_key_bytes` gave these bytes for."""
    sign, body = data[0], data[1:]
    if sign == 1:
        return "0"
    if sign == 0:
        body = bytes(255 - byte for byte in body[:-1])
    digits = "".join(f"{pair - 1:02d}" for pair in body[1:])
    return _plain_text(Number(sign == 0, digits.rstrip("0"), body[0] + MIN_MAGNITUDE))


def number_size_bytes(text: str) -> int:
    """Count a number as DynamoDB does for the size of an item.

    One byte, one for each two significant digits before the point, one for each two after it, and one for a
    minus sign. Measured to the byte by nubo-db/dynamodb-conformance (``src/item-size.ts``, eu-west-2, 2026-08);
    AWS documents it as "approximately" one byte for two digits and one more.
    """
    if is_plain_integer(text):
        digits = len(text.rstrip("0"))
        return 2 + digits // 2 if text[0] == "-" else 1 + (digits + 1) // 2
    is_negative, significant, magnitude = parse_number(text)
    if not significant:
        return 1
    whole = min(max(magnitude + 1, 0), len(significant))
    fraction = len(significant) - whole
    return 1 + (whole + 1) // 2 + (fraction + 1) // 2 + is_negative


def _power(exponent: str, text: str) -> int:
    """Read an exponent without letting a long one cost time."""
    digits = exponent.lstrip("+-").lstrip("0")
    power = int(digits or "0") if len(digits) <= 19 else MAX_EXPONENT + 1
    if power > MAX_EXPONENT:
        raise _not_numeric(text)
    return -power if exponent[0] == "-" else power


def _not_numeric(text: str) -> ValidationException:
    error = ValidationException(f"{NOT_NUMERIC}: {text}")
    if not text:
        error.older_message = NOT_NUMERIC
    return error


def _out_of_range(problem: str, power: int, text: str) -> ValidationException:
    error = ValidationException(problem)
    if power == MAX_OLDER_EXPONENT:
        error.older_message = UNDERFLOW
    elif abs(power) > MAX_OLDER_EXPONENT:
        error.older_message = f"{NOT_NUMERIC}: {text}"
    return error


def _plain_text(number: Number) -> str:
    is_negative, digits, magnitude = number
    if not digits:
        return "0"
    point = magnitude + 1
    if point <= 0:
        text = "0." + "0" * -point + digits
    elif point >= len(digits):
        text = digits + "0" * (point - len(digits))
    else:
        text = f"{digits[:point]}.{digits[point:]}"
    return "-" + text if is_negative else text


def _computed(value: Decimal) -> str:
    try:
        return normalize_number(str(value))
    except ValidationException as error:
        if error.message == TOO_MANY_DIGITS:
            raise ValidationException(OVERFLOW) from None
        raise
