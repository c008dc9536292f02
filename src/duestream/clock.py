"""Where time comes from. Nothing else in the package asks the system for it; what sleeps by it is in `alarm`."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

#: A sleep is never longer than this, so that a system clock that was set, or a machine that was
#: suspended, is noticed within this time (monotonic sleeps see neither).
MAX_SLEEP_SECONDS = 0.5


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware moment, cut down to the millisecond."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)


def from_ms(moment_ms: int) -> datetime:
    """The aware moment (UTC) that is so many milliseconds after 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)


class Clock(Protocol):
    """Tells the time, and whom to ring when it was set."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        ...

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def seconds_until(self, moment_ms: int) -> float | None:
        """How long to sleep at most before looking again; None: until somebody rings."""
        ...

    def when_set(self, callback: Callable[[], None]) -> None:
        """Have `callback` called whenever the clock is moved by hand."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000  # noqa: TID251 - this is the clock

    def now(self) -> datetime:
        return from_ms(self.now_ms())

    def seconds_until(self, moment_ms: int) -> float | None:
        # Wakes a little after the millisecond begins, never before it: nothing is delivered early.
        remaining = moment_ms / 1000 - time.time()  # noqa: TID251 - this is the clock
        return min(max(remaining, 0.0), MAX_SLEEP_SECONDS)

    def when_set(self, callback: Callable[[], None]) -> None:
        """Nobody moves the machine's clock through us; sleeps are short instead."""


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, start: datetime) -> None:
        self._now_ms = to_ms(start)
        self._callbacks: list[Callable[[], None]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def now(self) -> datetime:
        return from_ms(self._now_ms)

    def seconds_until(self, moment_ms: int) -> float | None:
        return 0.0 if moment_ms <= self._now_ms else None

    def when_set(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def tick(self, by: timedelta) -> None:
        """Move on by so much, and wake who sleeps."""
        if by < timedelta(0):
            raise ValueError("a clock does not run backwards")
        self.set(self.now() + by)

    def set(self, to: datetime) -> None:
        """Jump, forwards or backwards, as a machine's clock does when it is corrected."""
        self._now_ms = to_ms(to)
        for callback in self._callbacks:
            callback()
