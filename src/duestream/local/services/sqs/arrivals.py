"""Waiting for messages: a long poll sleeps until a commit, a moment or a clock that was set may have brought one."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

from duestream.clock import Clock
from duestream.local.store.store import Store
from duestream.local.store.writer import Announcement, MessagesSent


class Arrivals:
    """Who waits at which queue, first come, first woken."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: defaultdict[int, list[Waiter]] = defaultdict(list)
        self._stopping = False
        clock.when_set(self._wake_all)

    def hear(self, announcements: Sequence[Announcement]) -> None:
        """Wake one waiter for each message that came; the store calls this after a commit."""
        messages = Counter(sent.queue_id for sent in announcements if isinstance(sent, MessagesSent))
        for queue_id, count in messages.items():
            self.wake(queue_id, count)

    def wake(self, queue_id: int, count: int = 1) -> None:
        """Wake the first `count` that still sleep at the queue."""
        for waiter in self._waiting.get(queue_id, ()):
            if count == 0:
                return
            if not waiter.woken:
                waiter.wake()
                count -= 1

    def waiter(self, queue_id: int, seconds: float) -> "Waiter":
        """A place in the line, to be entered with `with`, for at most so long."""
        return Waiter(self, self._clock, queue_id, seconds)

    def stop(self) -> None:
        """End all waiting, now and later: the server is stopping."""
        self._stopping = True
        self._wake_all()

    @property
    def stopping(self) -> bool:
        """Whether nobody is to wait any more."""
        return self._stopping

    def enter(self, waiter: "Waiter") -> None:
        """Stand in line."""
        self._waiting[waiter.queue_id].append(waiter)

    def leave(self, waiter: "Waiter") -> None:
        """Leave the line; whoever comes next looks too: there may be more, or this one may have gone without taking."""
        line = self._waiting[waiter.queue_id]
        line.remove(waiter)
        if line:
            self.wake(waiter.queue_id)
        else:
            del self._waiting[waiter.queue_id]

    def _wake_all(self) -> None:
        for line in self._waiting.values():
            for waiter in line:
                waiter.wake()


class Waiter:
    """One receive that waits. Whatever happens between two looks at the queue ends the next sleep at once."""

    def __init__(self, arrivals: Arrivals, clock: Clock, queue_id: int, seconds: float) -> None:
        self._arrivals, self._clock, self.queue_id = arrivals, clock, queue_id
        self._woken = False
        self._sleep: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        # A client's patience is real time; where the clock is a manual one, its moving on ends the wait too.
        self._ends_at_ms = clock.now_ms() + int(seconds * 1000)
        self._ends_at = self._loop.time() + seconds

    @property
    def woken(self) -> bool:
        """Whether something happened since the last sleep."""
        return self._woken

    @property
    def is_over(self) -> bool:
        """Whether the time to wait is up."""
        return self._arrivals.stopping or self._loop.time() >= self._ends_at or self._clock.now_ms() >= self._ends_at_ms

    def wake(self) -> None:
        """End the sleep."""
        self._woken = True
        self._end_sleep()

    def _end_sleep(self) -> None:
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    async def sleep_until(self, moment_ms: int | None) -> None:
        """Sleep until woken, until the clock shows the moment, or until the time to wait is up."""
        while not (self._woken or self.is_over):
            seconds = self._ends_at - self._loop.time()
            if moment_ms is not None:
                if moment_ms <= self._clock.now_ms():
                    break
                # The machine's clock gives short sleeps, so that its being set is noticed; nothing is read meanwhile.
                until = self._clock.seconds_until(moment_ms)
                seconds = seconds if until is None else min(seconds, until)
            # Not asyncio.wait_for: in Python 3.11 it loses a cancellation that comes together with the wake-up.
            self._sleep = self._loop.create_future()
            timer = self._loop.call_later(max(seconds, 0), self._end_sleep)
            try:
                await self._sleep
            finally:
                timer.cancel()
        self._woken = False

    def __enter__(self) -> Self:
        self._arrivals.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._arrivals.leave(self)


_of_store: WeakKeyDictionary[Store, Arrivals] = WeakKeyDictionary()


def arrivals_of(store: Store, clock: Clock) -> Arrivals:
    """The one line of waiters of a store; it hears of the store's commits from the first call on."""
    arrivals = _of_store.get(store)
    if arrivals is None:
        arrivals = _of_store[store] = Arrivals(clock)
        store.listen(arrivals.hear)
    return arrivals
