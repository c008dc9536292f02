"""Recurrence: the occurrences of a recurring schedule, from one to the next, without drift.

An occurrence is computed from the expression and the moment of another one, never from when that was delivered.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from duestream.core.cron import Cron

#: What becomes of occurrences that were due while nothing could be delivered (the engine was down). Those that
#: are not delivered are counted as missed. ``deliver_last``: the last one is delivered, late; ``deliver_all``: all
#: of them, the last `MAX_CAUGHT_UP` at the most; ``skip``: none that is later than `ON_TIME`.
CatchUp = Literal["deliver_last", "deliver_all", "skip"]
CATCH_UP_POLICIES: tuple[CatchUp, ...] = ("deliver_last", "deliver_all", "skip")
MAX_CAUGHT_UP = 1_000
#: An occurrence that is no later than this is on time: AWS promises the minute.
ON_TIME = timedelta(minutes=1)

_LAST_MOMENT = datetime(9999, 12, 30, tzinfo=UTC)
_MICROSECOND, _SECOND = timedelta(microseconds=1), timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Rate:
    """``rate(...)``: a fixed length of time, so a day is 24 hours also where clocks change."""

    interval: timedelta


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What a rule asks for: an expression as it was written, and between which moments it holds.

    Args:
        expression: ``cron(...)`` or ``rate(...)``.
        timezone: IANA name of the zone in which a cron expression is read.
        start: no occurrence before it; None: from when it was written. A rate counts from it.
        end: no occurrence after it; None: without end.
        catch_up: what becomes of missed occurrences.
    """

    expression: str
    timezone: str
    start: datetime | None = None
    end: datetime | None = None
    catch_up: CatchUp = "deliver_last"


@dataclass(frozen=True, slots=True)
class Series:
    """The occurrences themselves: aware moments in UTC.

    Args:
        recurs: what an expression was parsed to.
        zone: where a cron expression is read.
        start: no occurrence before it; a rate counts from it, and its first occurrence is this very moment.
        end: no occurrence after it.
    """

    recurs: Rate | Cron
    zone: ZoneInfo
    start: datetime
    end: datetime | None = None

    def next_after(self, after: datetime) -> datetime | None:
        """The first occurrence later than `after`; None: there is none any more."""
        until = self.end if self.end is not None else _LAST_MOMENT
        after = max(after, _just_before(self.start))
        if isinstance(self.recurs, Cron):
            return self.recurs.next_after(after, self.zone, until)
        steps = (after - self.start) // self.recurs.interval + 1
        try:
            moment = self.start + steps * self.recurs.interval
        except OverflowError:
            return None
        return moment if moment <= until else None

    def first_from(self, moment: datetime) -> datetime | None:
        """The first occurrence at this moment or later."""
        return self.next_after(_just_before(moment))

    def count(self, after: datetime, until: datetime) -> int:
        """How many occurrences are later than `after` and not later than `until`."""
        until = until if self.end is None else min(until, self.end)
        after = max(after, _just_before(self.start))
        if until <= after:
            return 0
        if isinstance(self.recurs, Cron):
            return self.recurs.count(after, until, self.zone)
        return (until - self.start) // self.recurs.interval - (after - self.start) // self.recurs.interval

    def last_until(self, after: datetime, until: datetime) -> datetime | None:
        """The last occurrence that is later than `after` and not later than `until`."""
        return self._nth_from_last(after, until, 1)

    def _nth_from_last(self, after: datetime, until: datetime, number: int) -> datetime | None:
        """The occurrence from which on there are so many up to `until`; None: there are not so many."""
        if self.count(after, until) < number:
            return None
        if isinstance(self.recurs, Rate):
            until = until if self.end is None else min(until, self.end)
            return self.start + ((until - self.start) // self.recurs.interval - (number - 1)) * self.recurs.interval
        # At least `number` are later than `after`, fewer are later than `beyond`; all are on whole minutes of their
        # zone, whose offset may have seconds.
        beyond = until
        while beyond - after > _SECOND:
            middle = after + (beyond - after) / 2
            if self.count(middle, until) >= number:
                after = middle
            else:
                beyond = middle
        return self.next_after(after)

    def caught_up(
        self, due_at: datetime, now: datetime, policy: CatchUp, *, on_time: timedelta = ON_TIME
    ) -> "CaughtUp":
        """What is to be delivered of an occurrence that is late, and of those that have become due since.

        Args:
            due_at: the occurrence; not later than `now`.
            now: the present moment.
            policy: see `CatchUp`.
            on_time: how late the last one may be for ``skip`` to deliver it still.
        """
        more = self.count(due_at, now)
        if policy == "deliver_all":
            surplus = more + 1 - MAX_CAUGHT_UP
            if surplus <= 0:
                return CaughtUp(due_at, 0)
            return CaughtUp(self._nth_from_last(due_at, now, MAX_CAUGHT_UP), surplus)
        last = due_at if more == 0 else self.last_until(due_at, now)
        assert last is not None, "there is the occurrence itself"
        if policy == "skip" and now - last > on_time:
            return CaughtUp(None, more + 1)
        return CaughtUp(last, more)


def _just_before(moment: datetime) -> datetime:
    try:
        return moment - _MICROSECOND
    except OverflowError:  # the calendar begins with it
        return moment


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The occurrence to deliver now (None: none), and how many are missed before or with it."""

    due_at: datetime | None
    missed: int


def window_delay(identity: str, due_at: datetime, window: timedelta) -> timedelta:
    """Where in its flexible time window an occurrence is delivered: uniform over the window, whole milliseconds.

    The same for the same occurrence of the same schedule, whenever it is asked for, so that a restart does not
    draw again. (AWS says "within the window" and publishes no distribution.)

    Args:
        identity: the schedule's group and name.
        due_at: the occurrence, the window's beginning.
        window: its length.
    """
    text = f"{identity}\n{due_at.astimezone(UTC).isoformat()}"
    drawn = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    return timedelta(milliseconds=drawn * (window // timedelta(milliseconds=1)) >> 64)
