"""Schedule expressions as EventBridge Scheduler takes them: ``at(...)``, ``rate(...)``, ``cron(...)``.

The grammar is what AWS accepted and refused in recordings (SEMANTICS.md B3).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from duestream.core.cron import Cron, CronError, parse_cron
from duestream.core.recurrence import Rate, Recurrence, Series
from duestream.core.timestamps import find_zone
from duestream.errors import TimestampError, ValidationException

_read_at = re.compile(r"(?i:at)\(([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?\)\Z").match
#: AWS checks neither singular nor plural, and wants no space beside the parentheses.
_read_rate = re.compile(r"(?i:rate)\(([0-9]+) *(minute|hour|day)s?\)\Z").match
_read_cron = re.compile(r"(?i:cron)\(([^()]*)\)\Z").match
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
#: Longer than the calendar: a rate that never comes a second time.
_MAX_INTERVAL = timedelta(days=4_000_000)


@dataclass(frozen=True, slots=True)
class OneTime:
    """``at(...)``: one moment, aware, in UTC."""

    due_at: datetime


@dataclass(frozen=True, slots=True)
class Recurring:
    """``rate(...)`` or ``cron(...)``, and the zone in which it is read."""

    keyword: Literal["rate", "cron"]
    recurs: Rate | Cron
    zone: ZoneInfo

    def series(self, start: datetime, end: datetime | None = None) -> Series:
        """Its occurrences from `start` on, up to and with `end`; a rate counts from `start`."""
        return Series(self.recurs, self.zone, start, end)


def parse_schedule_expression(text: str, timezone: str = "UTC") -> OneTime | Recurring:
    """Read an expression in an IANA time zone.

    A local time of an ``at()`` that a clock change skips is moved forward by what is skipped; one that comes twice
    is its first instant. AWS documents neither for ``at()``; the rule is the one of timestamps without an offset.

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
        return Recurring("rate", Rate(_interval(rate[1], rate[2])), zone)
    cron = _read_cron(text)
    if cron is not None:
        try:
            return Recurring("cron", parse_cron(cron[1]), zone)
        except CronError:
            raise _invalid(text) from None
    raise _invalid(text)


def series_of(recurrence: Recurrence, *, written_at: datetime) -> Series:
    """The occurrences that a rule asks for, of which none is before it was written.

    A rate counts from the recurrence's start; without one, from when it was written, and begins then.

    Raises:
        ValidationException: the expression or the zone cannot be read.
    """
    expression = parse_schedule_expression(recurrence.expression, recurrence.timezone)
    if isinstance(expression, OneTime):
        raise ValidationException(f"{recurrence.expression} is not recurring.")
    start = written_at if recurrence.start is None else recurrence.start
    if expression.keyword == "cron":
        start = max(start, written_at)
    return expression.series(start, recurrence.end)


def next_occurrence(
    expression: Recurring, *, after: datetime, start: datetime, end: datetime | None = None
) -> datetime | None:
    """The first occurrence later than `after`, not before `start` and not after `end`, aware, in UTC.

    Args:
        expression: with its zone.
        after: aware.
        start: the schedule's StartDate; without one, when it was made. A rate counts from it.
        end: the schedule's EndDate.

    Returns:
        None: there is none any more.
    """
    return expression.series(start, end).next_after(after)


def _interval(digits: str, unit: str) -> timedelta:
    digits = digits.lstrip("0")
    return _MAX_INTERVAL if len(digits) > 10 else min(int(digits), _MAX_INTERVAL // _UNITS[unit]) * _UNITS[unit]


def _moment(text: str, parts: list[int], zone: ZoneInfo) -> datetime:
    year, month, day, hour, minute, second = parts
    try:
        # fold=0 does what the rule above says, in the gap as in the overlap.
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day or time; or beyond year 1 or 9999 once in UTC
        raise _invalid(text) from None


def _invalid(text: str) -> ValidationException:
    return ValidationException(f"Invalid Schedule Expression {text}.")
