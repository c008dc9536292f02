"""Timestamp attributes: the moment an attribute value names.

Read are

- a string (``S``) in ISO 8601's extended format: ``2026-11-23T09:30:00+07:00``. The separator is ``T``, ``t``
  or a space; seconds may be missing; a fraction may have any length and is cut to microseconds; the offset
  is ``+07:00``, ``+0700``, ``+07``, ``Z`` or ``z``. Without an offset the time is one of the rule's or the
  item's time zone. A date alone is its midnight in that zone.
- a number (``N``): seconds since 1970, also with a fraction, or milliseconds since 1970. Which of the two is
  told from the size: from 100,000,000,000 (10^11) on, either sign, it is milliseconds. As seconds that would
  be the year 5138, as milliseconds it is 3 March 1973, so that no date in use is mistaken.

Where clocks are put forward, a local time in the gap moves forward by the gap's length: 02:30 on the day
02:00 becomes 03:00 is 03:30 (the offset before the change holds). Where they are put back, a local time that
comes twice means the first.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_FLOOR, Context, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from duestream.core.record import AttributeValue
from duestream.errors import TimestampError

#: A number of this size or more, either sign, is milliseconds since 1970; a smaller one is seconds.
MIN_EPOCH_MILLISECONDS = 100_000_000_000

_FORMS = (
    'Write ISO 8601 ("2026-11-23T09:30:00Z", "2026-11-23T09:30:00+07:00", without an offset in the rule\'s time '
    'zone, or "2026-11-23" alone) as a string, or seconds or milliseconds since 1970 as a number'
)
_ISO_8601 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?([Zz]|([+-])(\d{2})(?::?(\d{2}))?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Beyond it no reading is a moment; checked first, since 1E+125 has too many digits to compute with.
_MAX_NUMBER = 10**15
_EXACT = Context(prec=100)
#: Files of the time zone database that are no zones of their own, or depend on the machine.
_NO_ZONES = ("posix/", "right/", "posixrules", "localtime", "Factory", "leap")


def parse_timestamp(value: AttributeValue, *, timezone: str) -> datetime:
    """The moment an attribute value names, aware, in UTC.

    Args:
        value: the attribute value in its wire form.
        timezone: IANA name of the zone for texts without an offset; looked at only for those.

    Raises:
        TimestampError: the value is in none of the forms above, or the zone is needed and unknown.
    """
    match value:
        case {"S": str(text)}:
            return _parse_text(text, timezone)
        case {"N": str(text)}:
            return _parse_number(text)
        case _:
            types = "/".join(value)
            raise TimestampError(f"a value of type {types} is no timestamp. {_FORMS}")


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name.

    Raises:
        TimestampError: the time zone database has none of that name.
    """
    try:
        if name.startswith(_NO_ZONES):
            raise ValueError(name)
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of one of the database's folders
        raise TimestampError(
            f"time zone {name!r} is unknown. Use a name of the IANA database, such as Asia/Bangkok or UTC"
        ) from error


def _parse_text(text: str, timezone_name: str) -> datetime:
    match = _ISO_8601.fullmatch(text)
    if match is None:
        raise TimestampError(f"{text[:80]!r} is no timestamp. {_hint(text)}{_FORMS}")
    year, month, day, hour, minute, second, fraction, zone_text, sign, zone_hours, zone_minutes = match.groups()
    microsecond = int((fraction or "")[:6].ljust(6, "0"))
    zone: timezone | ZoneInfo
    try:
        if zone_text is None:
            zone = find_zone(timezone_name)
        else:
            zone = _fixed_zone(sign, zone_hours, zone_minutes)
        # fold=0, the default, is both decisions: the offset before a gap, and the first of two instants.
        local = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), microsecond, zone
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise TimestampError(f"{text[:80]!r} is no timestamp: {error}. {_FORMS}") from error


def _fixed_zone(sign: str | None, hours: str | None, minutes: str | None) -> timezone:
    if sign is None:
        return UTC
    if int(hours or 0) > 23 or int(minutes or 0) > 59:
        raise ValueError(f"the offset {sign}{hours}:{minutes or '00'} is out of range")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    return timezone(-offset if sign == "-" else offset)


def _hint(text: str) -> str:
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
        return "Digits in a string are ambiguous: store epoch seconds or milliseconds as a number (N). "
    if text != text.strip():
        return "Leave out the space around it. "
    if re.match(r"\d{4}-?W\d", text):
        return "Week dates are not read. "
    return ""


def _parse_number(text: str) -> datetime:
    try:
        number = Decimal(text)
        if abs(number) > _MAX_NUMBER:
            raise OverflowError
        factor = 1_000 if abs(number) >= MIN_EPOCH_MILLISECONDS else 1_000_000
        microseconds = _EXACT.multiply(number, factor).to_integral_value(ROUND_FLOOR)
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except (ArithmeticError, ValueError) as error:
        raise TimestampError(f"the number {text[:80]} is no moment between the years 1 and 9999. {_FORMS}") from error
