"""How fast calls are made: as fast as they go until AWS throttles, and from then on a little slower than that.

EventBridge Scheduler has a quota of calls a second for the whole account and refuses what is above it. Waiting
blindly after each refusal leaves most of a quota unused or most calls refused. So the rate itself is found, as TCP
finds it: cut when a call is throttled, once for all calls that were under way then, and raised slowly otherwise.
Functions that share a quota come to share it evenly in this way.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from duestream.aws.failures import CallError, Meaning

#: What is left of the rate after a throttled call.
CUT = 0.9
#: How much it grows each second: this share of itself, and so many calls more.
GROWTH_SHARE = 0.05
GROWTH_CALLS = 5.0
MIN_CALLS_PER_SECOND = 1.0
#: So long without a throttled call, and the rate is free again.
FREE_AFTER_SECONDS = 60.0
#: The rate at the first throttled call is told from so many calls before it.
_REMEMBERED_CALLS = 256
_MIN_OBSERVED_SECONDS = 0.05

#: Full jitter: each wait is a random part of these, which double.
FIRST_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 5.0

_T = TypeVar("_T")


class Stopwatch(Protocol):
    """Measures and waits."""

    def seconds(self) -> float:
        """Seconds since some moment; never less than before."""
        ...

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        ...


class SystemStopwatch:
    """The machine's."""

    def seconds(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: TID251 - threads have no alarm to sleep by


class Pace:
    """The rate of calls that share a quota. May be used by several threads."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch
        self._lock = threading.Lock()
        self._calls_per_second: float | None = None
        self._next_at = 0.0
        self._grown_at = 0.0
        self._cut_at = 0.0
        self._began: deque[float] = deque(maxlen=_REMEMBERED_CALLS)

    @property
    def calls_per_second(self) -> float | None:
        """The rate; None: as fast as they go."""
        return self._calls_per_second

    def turn(self) -> float:
        """Take the next turn: how many seconds to wait before making the call."""
        now = self._stopwatch.seconds()
        with self._lock:
            rate = self._grown(now)
            if rate is None:
                self._began.append(now)
                return 0.0
            turn_at = max(now, self._next_at)
            self._next_at = turn_at + 1 / rate
            return turn_at - now

    def throttled(self, began_at: float) -> None:
        """Tell that a call was throttled, and when (by the stopwatch) it had begun."""
        now = self._stopwatch.seconds()
        with self._lock:
            rate = self._grown(now)
            if rate is not None and began_at <= self._cut_at:
                return  # it began at the rate before
            if rate is None:
                since = self._began[0] if self._began else now
                rate = len(self._began) / max(now - since, _MIN_OBSERVED_SECONDS)
            self._calls_per_second = max(rate * CUT, MIN_CALLS_PER_SECOND)
            self._cut_at = self._grown_at = now
            self._began.clear()

    def _grown(self, now: float) -> float | None:
        if self._calls_per_second is not None:
            if now - self._cut_at >= FREE_AFTER_SECONDS:
                self._calls_per_second = None
            else:
                rate, elapsed = self._calls_per_second, now - self._grown_at
                self._calls_per_second = rate + elapsed * (rate * GROWTH_SHARE + GROWTH_CALLS)
                self._grown_at = now
        return self._calls_per_second


class Patience:
    """Calls that are made again until they go well, or time is up. May be used by several threads.

    Args:
        pace: of all calls that share the quota.
        stopwatch: measures and waits.
        jitter: gives random numbers from 0 to under 1.
        on_call: told of each try: None when it went well, or why it did not.
    """

    def __init__(
        self,
        pace: Pace,
        stopwatch: Stopwatch,
        jitter: Callable[[], float],
        on_call: Callable[[Meaning | None], None],
    ) -> None:
        self._pace, self._stopwatch, self._jitter, self._on_call = pace, stopwatch, jitter, on_call

    def made(self, call: Callable[[float], _T], *, deadline: float, is_conflict_passing: bool = False) -> _T:
        """What the call answers.

        Args:
            call: is told how many seconds there are; raises `CallError`.
            deadline: by the stopwatch; no try begins after it.
            is_conflict_passing: a conflict is with another call under way, and goes by.

        Raises:
            CallError: the last one, when time is up or another try would not help.
        """
        again = {Meaning.THROTTLED, Meaning.TRANSIENT}
        if is_conflict_passing:
            again.add(Meaning.CONFLICT)
        tries, last = 0, CallError("OutOfTime", "there was no time for the call")
        while True:
            turn = self._pace.turn()
            if self._stopwatch.seconds() + turn >= deadline:
                raise last
            if turn > 0:
                self._stopwatch.wait(turn)
            began_at = self._stopwatch.seconds()
            try:
                answer = call(max(deadline - began_at, 0.0))
            except CallError as error:
                self._on_call(error.meaning)
                if error.meaning is Meaning.THROTTLED:
                    self._pace.throttled(began_at)
                if error.meaning not in again:
                    raise
                last = error
            else:
                self._on_call(None)
                return answer
            backoff = self._jitter() * min(FIRST_BACKOFF_SECONDS * 2**tries, MAX_BACKOFF_SECONDS)
            tries = min(tries + 1, 30)
            if self._stopwatch.seconds() + backoff >= deadline:
                raise last
            self._stopwatch.wait(backoff)
