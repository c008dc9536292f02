"""Delivery: brings what is due to its target, in batches inside the engine and one by one outside.

What is decided about a schedule is decided in a transaction (`attempts`); here is who is under way, who waits
for a free place at a kind of target, and who is to be looked at again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from duestream.clock import Clock
from duestream.local.engine.attempts import (
    Attempts,
    Claimed,
    Fault,
    GoesOutside,
    Held,
    NotYet,
    OutsideTarget,
    Planning,
)
from duestream.local.engine.delivery_log import log_settled
from duestream.local.engine.settle import Settled
from duestream.local.store.store import Store
from duestream.local.store.writer import Transaction

logger = logging.getLogger("duestream.flow")

#: Deliveries that have been started and not settled, at the most; the timer waits while there are more.
MAX_STARTED = 512
#: Deliveries that share one transaction.
BATCH_SIZE = 128
#: How many of those may wait for a free place at a slow kind of target before the timer waits too.
MAX_WAITING = 20_000
#: How many settled deliveries wait at the most until they are told to the log, and how long before it is tried again.
MAX_UNTOLD = 20_000
TELLING_PAUSE_SECONDS = 0.02
#: Earlier than any moment a clock may be set back to.
AT_ONCE = -(2**62)
#: Wait after an error of our own (a refusing disk, say) before the schedule is looked at again.
FAULT_PAUSE_MS = 1_000


class Timer(Protocol):
    """Who hands over what is due."""

    def push(self, attempt_at_ms: int, schedule_id: int, version: int) -> None:
        """Hand this one over at that moment (again)."""
        ...

    def delivery_ended(self) -> None:
        """There may be room again."""
        ...


class Deliveries:
    """Started by the timer; each looks after itself until it is settled."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        outside: Mapping[tuple[str, str], OutsideTarget],
        forwarded: OutsideTarget,
        planning: Planning | None,
    ) -> None:
        """`outside` has a lane for each call; `forwarded` takes what is neither there nor inside."""
        self._store, self._clock, self._planning = store, clock, planning
        self._attempts = Attempts(clock, planning, frozenset(outside))
        self._timer: Timer
        self._lanes = {kind: _Lane(target) for kind, target in outside.items()}
        self._forwarded = forwarded
        self._started: set[tuple[int, int]] = set()
        self._held: list[tuple[int, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._batch: list[tuple[int, int]] = []
        self._again: set[tuple[int, int]] = set()
        self._waiting = 0  # in all lanes
        self._batches = 0  # under way
        self._untold: deque[Settled] = deque()

    @property
    def has_room(self) -> bool:
        return len(self._started) - self._waiting < MAX_STARTED and self._waiting < MAX_WAITING

    @property
    def in_progress(self) -> int:
        """How many are started and not settled."""
        return len(self._started)

    @property
    def held(self) -> int:
        """How many are due, and wait until planning has come further."""
        return len(self._held)

    def attach(self, timer: Timer) -> None:
        """Tell who is to be asked to hand over again. Before the first `start`."""
        self._timer = timer

    def start(self, schedule_id: int, version: int) -> None:
        """Begin the delivery, unless it is under way; returns at once. What is started together is one batch."""
        if (schedule_id, version) in self._started:
            self._again.add((schedule_id, version))  # a retry that is due before its attempt has quite ended
            return
        self._started.add((schedule_id, version))
        if not self._batch:
            asyncio.get_running_loop().call_soon(self._run_batch)
        self._batch.append((schedule_id, version))

    def release_held(self) -> None:
        """Look again at what waited for planning; called when planning has come further."""
        held, self._held = self._held, []
        for schedule_id, version in held:
            self._timer.push(AT_ONCE, schedule_id, version)

    async def drain(self, grace_seconds: float) -> None:
        """Wait until everything under way has ended; what has not by then is cut off, and tried again at the next
        start. Deliveries that wait for a place are left for the next start as well."""
        for lane in self._lanes.values():
            lane.waiting.clear()
        self._waiting = 0
        deadline = asyncio.get_running_loop().time() + grace_seconds
        await asyncio.sleep(0)  # a batch that was started has its task then
        while self._tasks:
            left = deadline - asyncio.get_running_loop().time()
            _, pending = await asyncio.wait(self._tasks, timeout=max(left, 0))
            if pending and left <= 0:
                for task in pending:
                    task.cancel()
                await asyncio.gather(*pending, return_exceptions=True)
        while self._untold:
            log_settled(self._untold.popleft())

    # The way of one delivery ---------------------------------------------------------------------------

    def _run_batch(self) -> None:
        batch, self._batch = self._batch, []
        for first in range(0, len(batch), BATCH_SIZE):
            self._spawn(self._deliver_batch(batch[first : first + BATCH_SIZE]))

    def _spawn(self, step: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(step)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_batch(self, batch: Sequence[tuple[int, int]]) -> None:
        """Look at each once, in one transaction; what is inside the engine is delivered in it."""
        self._batches += 1
        try:
            steps = await self._store.write(lambda tx: self._attempts.look_at(tx, batch))
        except Exception as error:  # noqa: BLE001 - a refusing disk, say
            steps = [Fault(error)] * len(batch)
        finally:
            self._batches -= 1
        for (schedule_id, version), step in zip(batch, steps, strict=True):
            if isinstance(step, GoesOutside):
                self._enter_lane(self._lane_of(step.kind), schedule_id, version)
            else:
                self._end(schedule_id, version, step)

    def _lane_of(self, kind: tuple[str, str]) -> "_Lane":
        """The kind's own lane; what is forwarded has one for each service, so that a slow one holds up no other."""
        if kind in self._lanes:
            return self._lanes[kind]
        service = (kind[0], "")
        if service not in self._lanes:
            self._lanes[service] = _Lane(self._forwarded)
        return self._lanes[service]

    def _enter_lane(self, lane: "_Lane", schedule_id: int, version: int) -> None:
        if lane.running >= lane.target.limit:
            lane.waiting.append((schedule_id, version))
            self._waiting += 1
        else:
            lane.running += 1
            self._spawn(self._deliver_outside(lane, schedule_id, version))

    def _end(self, schedule_id: int, version: int, step: "Settled | NotYet | Held | Fault | None") -> None:
        """This look is over. Whatever goes wrong in our own code or on the disk, the schedule is looked at again."""
        match step:
            case NotYet(moment_ms):
                self._timer.push(moment_ms, schedule_id, version)
            case Held(sequence):
                self._hold(sequence, schedule_id, version)
            case Fault(error):
                facts = {"action": "deliver", "schedule_id": schedule_id}
                logger.error("a delivery met a fault of ours", extra=facts, exc_info=error)
                self._timer.push(self._clock.now_ms() + FAULT_PAUSE_MS, schedule_id, version)
            case Settled():
                self._tell_later(step)
        self._started.discard((schedule_id, version))
        if (schedule_id, version) in self._again:
            self._again.discard((schedule_id, version))
            self._timer.push(AT_ONCE, schedule_id, version)
        self._timer.delivery_ended()

    # What is told of it --------------------------------------------------------------------------------

    def _tell_later(self, settled: Settled) -> None:
        """Log it once no batch is under way: in a burst, telling makes the rest of it later (10,000 by a tenth)."""
        if not self._untold:
            asyncio.get_running_loop().call_soon(self._tell)
        self._untold.append(settled)

    def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        if self._batches and len(self._untold) < MAX_UNTOLD:
            loop.call_later(TELLING_PAUSE_SECONDS, self._tell)
            return
        for _ in range(min(len(self._untold), BATCH_SIZE)):
            log_settled(self._untold.popleft())
        if self._untold:
            loop.call_soon(self._tell)

    async def _deliver_outside(self, lane: "_Lane", schedule_id: int, version: int) -> None:
        step: Settled | NotYet | Held | Fault | None = None
        apart: list[tuple[int, int]] = []

        def on_apart(apart_id: int, apart_version: int) -> None:
            self._started.add((apart_id, apart_version))
            apart.append((apart_id, apart_version))

        try:
            claimed = await self._store.write(
                lambda tx: self._attempts.claim(tx, lane.target, schedule_id, version, on_apart)
            )
            step = await self._send(lane.target, claimed) if isinstance(claimed, Claimed) else claimed
        except Exception as error:  # noqa: BLE001 - a fault of ours, or a refusing disk
            step = Fault(error)
        finally:
            if lane.waiting:
                self._waiting -= 1
                self._spawn(self._deliver_outside(lane, *lane.waiting.popleft()))
            else:
                lane.running -= 1
            for occurrence in apart:
                self._started.discard(occurrence)
                if isinstance(step, Fault):
                    self._timer.push(self._clock.now_ms() + FAULT_PAUSE_MS, *occurrence)
            self._end(schedule_id, version, step)

    def _hold(self, sequence: int, schedule_id: int, version: int) -> None:
        assert self._planning is not None
        if self._planning.planned_through >= sequence:
            self._timer.push(AT_ONCE, schedule_id, version)  # planning went on while we asked
        else:
            self._held.append((schedule_id, version))

    async def _send(self, target: OutsideTarget, claimed: Claimed) -> Settled | None:
        also: Callable[[Transaction], None] | None = None
        error: Exception | None = None
        try:
            also = await target.send(claimed.call, claimed.attempt, claimed.prepared)
        except Exception as failed:  # noqa: BLE001 - whatever a target raises is a failed attempt
            error = failed
        return await self._store.write(lambda tx: self._attempts.settle(tx, claimed, error, also))


class _Lane:
    """One kind of outside target: how many are under way, and who waits for a place."""

    __slots__ = ("running", "target", "waiting")

    def __init__(self, target: OutsideTarget) -> None:
        self.target = target
        self.running = 0
        self.waiting: deque[tuple[int, int]] = deque()
