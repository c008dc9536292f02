"""How fast calls are made: as fast as they go until AWS throttles, and from then on a little slower than that.

EventBridge Scheduler has a quota of calls a second for the whole account and refuses what is above it. Waiting
blindly after each refusal leaves most of a quota unused or most calls refused. So the rate itself is found: when a call
is throttled it becomes what was admitted in the second before, or a little less, and it is raised slowly otherwise.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from duestream.aws.failures import CallError, Meaning

#: After a throttled call the rate is a little under what was admitted in the second before it,
BELOW_ADMITTED = 0.97
#: but no less than this part of what it was: nothing may have been asked for a while,
MOST_CUT = 0.7
#: and what the new rate does is seen before it is cut again.
SECONDS_BETWEEN_CUTS = 0.5
ADMITTED_SECONDS = 1.0
#: How much it grows each second: this share of itself, and so many calls more.
GROWTH_SHARE = 0.05
GROWTH_CALLS = 5.0
MIN_CALLS_PER_SECOND = 1.0
#: Turns that nobody took may be made up for, so many seconds' worth: between two batches there are some.
MAKE_UP_SECONDS = 0.05
#: So long without a throttled call, and the rate is free again.
FREE_AFTER_SECONDS = 60.0
_MIN_OBSERVED_SECONDS = 0.1

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
    """The rate of calls that share a quota. May be used by several threads.

    Args:
        stopwatch: measures and waits.
        growth_share: how much the rate grows each second, as a share of itself,
        growth_calls: and so many calls more.
    """

    def __init__(
        self, stopwatch: Stopwatch, *, growth_share: float = GROWTH_SHARE, growth_calls: float = GROWTH_CALLS
    ) -> None:
        self._stopwatch = stopwatch
        self._growth_share, self._growth_calls = growth_share, growth_calls
        self._lock = threading.Lock()
        self._calls_per_second: float | None = None
        self._next_at = 0.0
        self._grown_at = 0.0
        self._cut_at = 0.0
        self._began_at: float | None = None
        self._admitted: deque[float] = deque()

    @property
    def calls_per_second(self) -> float | None:
        """The rate; None: as fast as they go."""
        return self._calls_per_second

    def turn(self) -> float:
        """Take the next turn: how many seconds to wait before making the call."""
        if self._calls_per_second is None:
            return 0.0
        now = self._stopwatch.seconds()
        with self._lock:
            self._grow(now)
            if self._calls_per_second is None:
                return 0.0
            turn_at = max(now - MAKE_UP_SECONDS, self._next_at)
            self._next_at = turn_at + 1 / self._calls_per_second
            return max(turn_at - now, 0.0)

    def admitted(self) -> None:
        """Tell that a call was not throttled."""
        now = self._stopwatch.seconds()
        with self._lock:
            if self._began_at is None:
                self._began_at = now
            self._admitted.append(now)
            while self._admitted[0] < now - ADMITTED_SECONDS:
                self._admitted.popleft()

    def throttled(self, began_at: float) -> None:
        """Tell that a call was throttled, and when (by the stopwatch) it had begun."""
        now = self._stopwatch.seconds()
        with self._lock:
            self._grow(now)
            rate = self._calls_per_second
            if rate is not None and (began_at <= self._cut_at or now - self._cut_at < SECONDS_BETWEEN_CUTS):
                return
            since = max(now - ADMITTED_SECONDS, now if self._began_at is None else self._began_at)
            count = sum(1 for admitted_at in self._admitted if admitted_at >= since)
            admitted = count / max(now - since, _MIN_OBSERVED_SECONDS)
            least = MIN_CALLS_PER_SECOND if rate is None else max(rate * MOST_CUT, MIN_CALLS_PER_SECOND)
            self._calls_per_second = max(admitted * BELOW_ADMITTED, least)
            if rate is not None:
                self._calls_per_second = min(self._calls_per_second, rate)
            self._cut_at = self._grown_at = now

    def _grow(self, now: float) -> None:
        rate = self._calls_per_second
        if rate is None:
            return
        if now - self._cut_at >= FREE_AFTER_SECONDS:
            self._calls_per_second = None
        else:
            self._calls_per_second = rate + (now - self._grown_at) * (rate * self._growth_share + self._growth_calls)
            self._grown_at = now


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
                else:
                    self._pace.admitted()
                if error.meaning not in again:
                    raise
                last = error
            else:
                self._on_call(None)
                self._pace.admitted()
                return answer
            backoff = self._jitter() * min(FIRST_BACKOFF_SECONDS * 2**tries, MAX_BACKOFF_SECONDS)
            tries = min(tries + 1, 30)
            if self._stopwatch.seconds() + backoff >= deadline:
                raise last
            self._stopwatch.wait(backoff)
