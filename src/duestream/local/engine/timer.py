"""The timer: holds the near future in memory, sleeps to the next due time, and hands over what is due.

Only what is due within the horizon is loaded, in pages, so that start-up, memory and idle work do not
grow with the number of pending schedules. A schedule that is put while the timer sleeps is pushed if
it lies within what was loaded; otherwise its page will bring it.
"""

import heapq
import logging
from collections.abc import Sequence
from typing import Protocol

from duestream.alarm import Alarm
from duestream.clock import Clock
from duestream.local.store import schedules
from duestream.local.store.store import Store
from duestream.local.store.writer import Announcement, ScheduleChanged

logger = logging.getLogger(__name__)

#: How far ahead schedules are loaded, and when to look for more.
HORIZON_MS = 60_000
PAGE = 2_000
FAULT_PAUSE_MS = 1_000
#: Later than any row's id: the whole of a moment has been seen.
EVERY_ROW = 2**63 - 1


class Deliveries(Protocol):
    """Who takes what is due."""

    @property
    def has_room(self) -> bool:
        """False: hand over nothing more until a delivery has ended."""
        ...

    def start(self, schedule_id: int, version: int) -> None:
        """Begin the delivery, unless it is under way; returns at once."""
        ...


class Timer:
    """Hands schedules over to `deliveries` when they are due, oldest first, never early."""

    def __init__(self, store: Store, clock: Clock, deliveries: Deliveries) -> None:
        self._store, self._clock, self._deliveries = store, clock, deliveries
        self._heap: list[tuple[int, int, int]] = []
        self._seen: schedules.Horizon = (-(2**63), 0)
        self.alarm = Alarm(clock)
        self.stopping = False
        self._waits_for_room = False
        store.listen(self._on_commit)

    @property
    def loaded(self) -> int:
        """How many schedules are held in memory."""
        return len(self._heap)

    async def run(self) -> None:
        """Until stopped: one pass, then sleep to the next moment at which there is something to do."""
        while not self.stopping:
            try:
                look_again_ms = self.run_due()
            except Exception:
                logger.exception("the timer met a fault of ours, and goes on", extra={"action": "run_due"})
                look_again_ms = self._clock.now_ms() + FAULT_PAUSE_MS
            await self.alarm.sleep_until(look_again_ms)

    def stop(self) -> None:
        """End `run` after its present pass."""
        self.stopping = True
        self.alarm.ring()

    def run_due(self) -> int | None:
        """Hand over everything that is due now; says when to look again (None: when rung)."""
        now_ms = self._clock.now_ms()
        while self._deliveries.has_room:
            if not self._heap or self._heap[0][0] > now_ms:
                if not self._load(now_ms):
                    break
                continue
            _, schedule_id, version = heapq.heappop(self._heap)
            self._deliveries.start(schedule_id, version)
        self._waits_for_room = not self._deliveries.has_room
        if self._waits_for_room:
            return None
        next_load_ms = now_ms + HORIZON_MS // 2
        return min(self._heap[0][0], next_load_ms) if self._heap else next_load_ms

    def delivery_ended(self) -> None:
        """Go on handing over, if that had to wait for room."""
        if self._waits_for_room:
            self.alarm.ring()

    def push(self, attempt_at_ms: int, schedule_id: int, version: int) -> None:
        """Hand this one over at that moment (again)."""
        if not self._heap or attempt_at_ms < self._heap[0][0]:
            self.alarm.ring()
        heapq.heappush(self._heap, (attempt_at_ms, schedule_id, version))

    def _load(self, now_ms: int) -> bool:
        """Load the next page up to the horizon, if what was seen ends before it; says whether it brought anything."""
        until_ms = now_ms + HORIZON_MS
        if self._seen[0] > (now_ms if len(self._heap) >= PAGE else now_ms + HORIZON_MS // 2):
            return False
        page = schedules.due(self._store.reader, after=self._seen, until_ms=until_ms, limit=PAGE)
        if len(page) == PAGE:
            self._seen = (page[-1][0], page[-1][1])
        else:
            self._seen = (until_ms, EVERY_ROW)
        for row in page:
            heapq.heappush(self._heap, row)
        return bool(page)

    def _on_commit(self, announcements: Sequence[Announcement]) -> None:
        for change in announcements:
            if not isinstance(change, ScheduleChanged) or change.attempt_at_ms is None:
                continue
            if (change.attempt_at_ms, change.schedule_id) <= self._seen:
                self.push(change.attempt_at_ms, change.schedule_id, change.version)
