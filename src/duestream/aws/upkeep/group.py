"""The schedule group of an app, as it is looked through and tidied up: on AWS or on a duestream server."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from duestream.aws.pace import Pace, Patience, Stopwatch, SystemStopwatch
from duestream.aws.schedules import EventBridgeSchedules
from duestream.aws.stack.session import Access

#: Calls that are under way at once.
CONCURRENCY = 16
#: One call, with its retries, may take so long.
CALL_SECONDS = 120.0
#: The schedules of rules; not those that repeat a delivery that failed (``retry-``, and ``redrive-``).
_of_a_rule = re.compile(r"(?!retry-[0-9a-f]{20}-\d+\Z)(?!redrive-)(?P<rule>.+)-[0-9a-f]{20}(?:-\d+)?\Z").match

_T = TypeVar("_T")


def rule_of_name(name: str) -> str | None:
    """The rule whose schedule this is, by its name; None: no rule's."""
    found = _of_a_rule(name)
    return None if found is None else found["rule"]


class CallLimit:
    """So many calls a second, of all threads together.

    Args:
        calls_per_second: None: as many as there are.
        stopwatch: measures and waits.
    """

    def __init__(self, calls_per_second: float | None, stopwatch: Stopwatch) -> None:
        self._seconds = 0.0 if calls_per_second is None else 1 / calls_per_second
        self._stopwatch, self._lock, self._next_at = stopwatch, threading.Lock(), 0.0

    def turn(self) -> None:
        """Wait for the next turn."""
        if not self._seconds:
            return
        now = self._stopwatch.seconds()
        with self._lock:
            turn_at = max(now, self._next_at)
            self._next_at = turn_at + self._seconds
        if turn_at > now:
            self._stopwatch.wait(turn_at - now)


class Group:
    """Schedules of one group. May be used by several threads.

    Args:
        access: the way to EventBridge Scheduler.
        name: the group's.
        calls_per_second: at the most; None: as many as are taken.
    """

    def __init__(self, access: Access, name: str, *, calls_per_second: float | None = None) -> None:
        self.name = name
        stopwatch = SystemStopwatch()
        self._stopwatch, self._limit = stopwatch, CallLimit(calls_per_second, stopwatch)
        self.patience = Patience(Pace(stopwatch), stopwatch, random.random, lambda _: None)
        self.schedules = EventBridgeSchedules(
            access.session._session,  # noqa: SLF001 - boto3 shows its botocore session nowhere else
            region=access.region,
            endpoint_url=access.endpoint_url,
            connections=CONCURRENCY,
        )
        self.pool = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="schedules")

    def made(self, call: Callable[[float], _T], *, is_conflict_passing: bool = False) -> _T:
        """What a call answers, in its turn and with patience.

        Args:
            call: is told how many seconds there are.
            is_conflict_passing: see `Patience.made`.

        Raises:
            CallError: it failed for good.
        """
        self._limit.turn()
        return self.patience.made(call, deadline=self.deadline(), is_conflict_passing=is_conflict_passing)

    def deadline(self) -> float:
        """By when a call that begins now has to be done, by the patience's stopwatch."""
        return self._stopwatch.seconds() + CALL_SECONDS

    def turn(self) -> None:
        """Wait until another call may be made."""
        self._limit.turn()

    def get(self, name: str) -> dict[str, Any] | None:
        """GetSchedule; None: there is none.

        Raises:
            CallError: it cannot be had.
        """
        return self.made(lambda seconds: self.schedules.get(self.name, name, seconds=seconds))

    def delete(self, name: str) -> bool:
        """DeleteSchedule; False: there was none.

        Raises:
            CallError: it is not known to be done.
        """
        return self.made(
            lambda seconds: self.schedules.delete(self.name, name, seconds=seconds), is_conflict_passing=True
        )

    def list_all(self) -> Iterator[dict[str, Any]]:
        """All of them as ListSchedules shows them: without expression and input.

        Raises:
            CallError: they cannot be had.
        """
        next_token: str | None = None
        while True:
            page, next_token = self._page(next_token)
            yield from page
            if next_token is None:
                return

    def _page(self, next_token: str | None) -> tuple[list[dict[str, Any]], str | None]:
        return self.made(lambda _: self.schedules.list_page(self.name, next_token=next_token))
