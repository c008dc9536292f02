"""Schedule expressions as EventBridge Scheduler takes them: ``at(...)``, ``rate(...)``, ``cron(...)``.

The grammar is what AWS accepted and refused in recordings (SEMANTICS.md B3). An ``at()`` becomes a moment;
``rate()`` and ``cron()`` are only told from nonsense here.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from duestream.core.timestamps import find_zone
from duestream.errors import TimestampError, ValidationException

_read_at = re.compile(r"(?i:at)\(([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?\)\Z").match
#: AWS checks neither singular nor plural, and wants no space beside the parentheses.
_read_rate = re.compile(r"(?i:rate)\(([0-9]+) *(?:minutes?|hours?|days?)\)\Z").match
_read_cron = re.compile(r"(?i:cron)\(([^()]*)\)\Z").match

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True)
class OneTime:
    """``at(...)``: one moment, aware, in UTC."""

    due_at: datetime


@dataclass(frozen=True, slots=True)
class Recurring:
    """``rate(...)`` or ``cron(...)``, well formed."""

    keyword: Literal["rate", "cron"]


@dataclass(frozen=True, slots=True)
class _CronField:
    """What one field of a cron expression may hold."""

    lowest: int
    highest: int
    names: tuple[str, ...] = ()
    #: The number of the first name.
    first_name: int = 1
    #: The field's own forms beside numbers, ranges, steps and names.
    special: str | None = None

    def number(self, text: str) -> int | None:
        """The value that a number or a name stands for, if it is one of the field's."""
        if text.upper() in self.names:
            return self.names.index(text.upper()) + self.first_name
        if not re.fullmatch(r"[0-9]{1,4}", text) or not self.lowest <= int(text) <= self.highest:
            return None
        return int(text)

    def takes(self, text: str) -> bool:
        """Whether a whole field is well formed; ``?`` is looked at elsewhere."""
        return all(self._takes_part(part) for part in text.split(","))

    def _takes_part(self, part: str) -> bool:
        if self.special is not None and re.fullmatch(self.special, part, re.IGNORECASE):
            return True
        span, slash, step = part.partition("/")
        if slash and not re.fullmatch(r"0*[1-9][0-9]{0,3}", step):
            return False
        if span == "*":
            return True
        first, dash, last = span.partition("-")
        return self.number(first) is not None and (not dash or self.number(last) is not None)


_DAY_OF_MONTH = _CronField(1, 31, special=r"L(-[0-9]{1,2})?|LW|(0?[1-9]|[12][0-9]|3[01])W")
_DAY_OF_WEEK = _CronField(1, 7, _DAYS, special=r"L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])")
_CRON_FIELDS = (
    _CronField(0, 59),
    _CronField(0, 23),
    _DAY_OF_MONTH,
    _CronField(1, 12, _MONTHS),
    _DAY_OF_WEEK,
    _CronField(1970, 2199),
)


def parse_schedule_expression(text: str, timezone: str = "UTC") -> OneTime | Recurring:
    """Read an expression in an IANA time zone.

    A local time that a clock change skips is moved forward by what is skipped; one that comes twice is its
    first instant. AWS documents neither for ``at()``; the rule is the one of timestamps without an offset.

    Raises:
        ValidationException: with AWS's text for a malformed expression; AWS's text for an unknown zone is
            not known, so that one is ours.
    """
    try:
        zone = find_zone(timezone)
    except TimestampError:
        raise ValidationException(f"Invalid ScheduleExpressionTimezone {timezone}.") from None
    found = _read_at(text)
    if found is not None:
        return OneTime(_moment(text, [int(part or 0) for part in found.groups()], zone))
    rate = _read_rate(text)
    if rate is not None and rate[1].strip("0"):
        return Recurring("rate")
    cron = _read_cron(text)
    if cron is not None and _is_cron(cron[1]):
        return Recurring("cron")
    raise _invalid(text)


def _moment(text: str, parts: list[int], zone: ZoneInfo) -> datetime:
    year, month, day, hour, minute, second = parts
    try:
        # fold=0 does what the rule above says, in the gap as in the overlap.
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day or time; or beyond year 1 or 9999 once in UTC
        raise _invalid(text) from None


def _is_cron(text: str) -> bool:
    """Five fields or six; exactly one of day-of-month and day-of-week is ``?`` (measured)."""
    fields = text.split()
    if text != text.strip() or len(fields) not in (5, 6):
        return False
    day_of_month, day_of_week = fields[2], fields[4]
    if (day_of_month == "?") == (day_of_week == "?"):
        return False
    if day_of_week.count("#") > 1:
        return False
    return all(
        (field == "?" and rule in (_DAY_OF_MONTH, _DAY_OF_WEEK)) or rule.takes(field)
        for rule, field in zip(_CRON_FIELDS, fields, strict=False)
    )


def _invalid(text: str) -> ValidationException:
    return ValidationException(f"Invalid Schedule Expression {text}.")
