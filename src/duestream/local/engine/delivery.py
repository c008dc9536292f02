"""Delivery: brings what is due to its target.

Targets inside the engine are carried out in the transaction that completes the schedule: exactly once.
Targets outside are tried with the attempt counted first and settled after: at least once, each attempt
with the same delivery id. Either way one job looks at the schedule as it is then, so that one that was
moved or deleted, or whose item has stream records that are not planned yet, is not delivered.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import apsw

from duestream.clock import Clock
from duestream.errors import ConditionalCheckFailedException, Error, ServiceError
from duestream.local.engine import counts
from duestream.local.engine.call import Attempt, Call, read_call, service_and_action
from duestream.local.engine.catch_up import catch_up, is_late
from duestream.local.engine.inside import INSIDE
from duestream.local.engine.log_text import for_log
from duestream.local.engine.settle import (
    Settled,
    attempt_of,
    settle_failure,
    settle_skip,
    settle_success,
)
from duestream.local.store import outcomes, recurring, schedules, streams, tables
from duestream.local.store.schedules import ScheduleRow
from duestream.local.store.store import Store
from duestream.local.store.writer import Transaction

logger = logging.getLogger("duestream.flow")

#: Deliveries that have been started and not settled, at the most; the timer waits while there are more.
MAX_STARTED = 512
#: Deliveries that share one transaction.
BATCH_SIZE = 128
#: How many of those may wait for a free place at a slow kind of target before the timer waits too.
MAX_WAITING = 20_000
#: Earlier than any moment a clock may be set back to.
AT_ONCE = -(2**62)
#: Wait after an error of our own (a refusing disk, say) before the schedule is looked at again.
FAULT_PAUSE_MS = 1_000


class NothingToDoError(Error):
    """Raised by a target that finds that there is nothing to deliver any more; recorded as skipped."""


class OutsideTarget(Protocol):
    """A kind of target outside the engine."""

    @property
    def limit(self) -> int:
        """How many deliveries go on at a time."""
        ...

    def prepare(self, tx: Transaction, call: Call) -> Any:
        """Read what is needed, in the transaction that counts the attempt.

        Raises:
            NothingToDoError: there is nothing to deliver any more.
        """
        ...

    async def send(self, call: Call, attempt: Attempt, prepared: Any) -> Callable[[Transaction], None] | None:
        """Try once; what is answered is carried out in the transaction that completes the schedule.

        Raises:
            Exception: any is a failed attempt (`settle.failure_of`).
        """
        ...


class Timer(Protocol):
    """Who hands over what is due."""

    def push(self, attempt_at_ms: int, schedule_id: int, version: int) -> None:
        """Hand this one over at that moment (again)."""
        ...

    def delivery_ended(self) -> None:
        """There may be room again."""
        ...


class Planning(Protocol):
    """What planning says about a rule's schedule before it is delivered."""

    @property
    def planned_through(self) -> int:
        """The last stream record whose plan is applied."""
        ...

    def owns(self, group_name: str, rule: str) -> bool:
        """Whether the app that is loaded has this rule."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """To be looked at again once planning has come past this record."""

    sequence: int


@dataclass(frozen=True, slots=True)
class _NotYet:
    """To be tried at this moment: it was moved, or the clock was set back since it was handed over."""

    moment_ms: int


@dataclass(frozen=True, slots=True)
class _GoesOutside:
    kind: tuple[str, str]


class _NeedsASavepointError(Error):
    """This delivery cannot share one with its batch."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """Ours, not the target's."""

    error: Exception


@dataclass(frozen=True, slots=True)
class _Claimed:
    row: ScheduleRow
    attempt: Attempt
    call: Call
    prepared: Any


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
        self._timer: Timer
        self._lanes = {kind: _Lane(target) for kind, target in outside.items()}
        self._forwarded = forwarded
        self._started: set[tuple[int, int]] = set()
        self._held: list[tuple[int, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._unowned: set[tuple[str, str]] = set()
        self._batch: list[tuple[int, int]] = []
        self._again: set[tuple[int, int]] = set()
        self._waiting = 0  # in all lanes
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing

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
        try:
            steps = await self._store.write(lambda tx: self._look_at(tx, batch))
        except Exception as error:  # noqa: BLE001 - a refusing disk, say
            steps = [_Fault(error)] * len(batch)
        for (schedule_id, version), step in zip(batch, steps, strict=True):
            if isinstance(step, _GoesOutside):
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

    def _end(self, schedule_id: int, version: int, step: "Settled | _NotYet | _Held | _Fault | None") -> None:
        """This look is over. Whatever goes wrong in our own code or on the disk, the schedule is looked at again."""
        match step:
            case _NotYet(moment_ms):
                self._timer.push(moment_ms, schedule_id, version)
            case _Held(sequence):
                self._hold(sequence, schedule_id, version)
            case _Fault(error):
                facts = {"action": "deliver", "schedule_id": schedule_id}
                logger.error("a delivery met a fault of ours", extra=facts, exc_info=error)
                self._timer.push(self._clock.now_ms() + FAULT_PAUSE_MS, schedule_id, version)
            case Settled():
                _log(step)
        self._started.discard((schedule_id, version))
        if (schedule_id, version) in self._again:
            self._again.discard((schedule_id, version))
            self._timer.push(AT_ONCE, schedule_id, version)
        self._timer.delivery_ended()

    async def _deliver_outside(self, lane: "_Lane", schedule_id: int, version: int) -> None:
        step: Settled | _NotYet | _Held | _Fault | None = None
        apart: list[tuple[int, int]] = []
        try:
            claimed = await self._store.write(lambda tx: self._claim(tx, lane.target, schedule_id, version, apart))
            step = await self._send(lane.target, claimed) if isinstance(claimed, _Claimed) else claimed
        except Exception as error:  # noqa: BLE001 - a fault of ours, or a refusing disk
            step = _Fault(error)
        finally:
            if lane.waiting:
                self._waiting -= 1
                self._spawn(self._deliver_outside(lane, *lane.waiting.popleft()))
            else:
                lane.running -= 1
            for occurrence in apart:
                self._started.discard(occurrence)
                if isinstance(step, _Fault):
                    self._timer.push(self._clock.now_ms() + FAULT_PAUSE_MS, *occurrence)
            self._end(schedule_id, version, step)

    def _hold(self, sequence: int, schedule_id: int, version: int) -> None:
        assert self._planning is not None
        if self._planning.planned_through >= sequence:
            self._timer.push(AT_ONCE, schedule_id, version)  # planning went on while we asked
        else:
            self._held.append((schedule_id, version))

    # In the transaction --------------------------------------------------------------------------------

    def _look_at(
        self, tx: Transaction, batch: Sequence[tuple[int, int]]
    ) -> list["Settled | _NotYet | _Held | _GoesOutside | _Fault | None"]:
        """Deliver all of the batch; if one of them cannot be, each anew with a savepoint of its own.

        The savepoints are a sixth of what a delivery to a queue costs, and hardly any is needed.
        """
        now_ms = self._clock.now_ms()
        rows = schedules.get_schedules_by_id(tx, [schedule_id for schedule_id, _ in batch])
        looks = [(rows.get(schedule_id), version) for schedule_id, version in batch]
        tx.execute("SAVEPOINT batch")
        mark = tx.mark()
        items = _Items(tx, self._planning)
        steps: list[Settled | _NotYet | _Held | _GoesOutside | _Fault | None]
        try:
            steps = [self._look_boldly(tx, row, version, now_ms, items) for row, version in looks]
        except apsw.Error:
            raise  # the disk's matter, and the whole group's
        except Exception:  # noqa: BLE001 - which of them it was, and what follows, is found out below
            tx.undo_to("batch", mark)
            items = _Items(tx, self._planning)
            steps = [self._look(tx, row, version, now_ms, items) for row, version in looks]
        tx.execute("RELEASE batch")
        return steps

    def _look_boldly(
        self, tx: Transaction, row: ScheduleRow | None, version: int, now_ms: int, items: "_Items"
    ) -> Settled | _NotYet | _Held | _GoesOutside | None:
        """`_look` for what goes well.

        Raises:
            Exception: any; the batch is to be undone.
        """
        checked = self._check(row, version, now_ms, items)
        if not isinstance(checked, ScheduleRow):
            return checked
        if is_late(checked, now_ms):
            raise _NeedsASavepointError
        target = checked.body["Target"]
        kind = service_and_action(target["Arn"])
        if kind in self._lanes or kind not in INSIDE:
            return _GoesOutside(kind)
        attempt = attempt_of(checked, number=checked.attempts + 1, now_ms=now_ms)
        INSIDE[kind](tx, read_call(target, attempt).parameters, attempt)
        items.forget_if_written(kind)
        counts.attempted(tx, checked, attempt)
        return settle_success(tx, checked, attempt)

    def _look(
        self, tx: Transaction, row: ScheduleRow | None, version: int, now_ms: int, items: "_Items"
    ) -> "Settled | _NotYet | _Held | _GoesOutside | _Fault | None":
        checked = self._check(row, version, now_ms, items)
        if not isinstance(checked, ScheduleRow):
            return checked
        tx.execute("SAVEPOINT delivery")
        mark = tx.mark()
        step: Settled | _GoesOutside | _Fault | None = None
        try:
            if is_late(checked, now_ms):
                delivery_id = attempt_of(checked, number=1, now_ms=now_ms).delivery_id
                checked = catch_up(tx, checked, delivery_id, now_ms)
                tx.execute("RELEASE delivery")  # what is missed is missed, also if the target fails
                tx.execute("SAVEPOINT delivery")
                mark = tx.mark()
            if checked is not None:
                step = self._deliver(tx, checked, now_ms, items)
        except apsw.Error:
            raise  # the disk's matter, and the whole group's
        except Exception as error:  # noqa: BLE001 - one delivery's fault is not its neighbours'
            tx.undo_to("delivery", mark)
            step = _Fault(error)
        tx.execute("RELEASE delivery")
        return step

    def _check(
        self, row: ScheduleRow | None, version: int, now_ms: int, items: "_Items"
    ) -> "ScheduleRow | _NotYet | _Held | None":
        """The schedule, if it is to be delivered now; None: not, or not any more."""
        if row is None or row.version != version or row.attempt_at_ms is None:
            return None
        if row.attempt_at_ms > now_ms:
            return _NotYet(row.attempt_at_ms)
        if row.rule is None:
            return row
        if self._planning is None or not self._planning.owns(row.group_name, row.rule):
            self._warn_of(row.group_name, row.rule)
            return None
        if not items.has_table_of(row):
            return None  # deleted with its items; its schedules are being removed
        blocking = items.unplanned_record_of(row)
        return row if blocking is None else _Held(blocking)

    def _warn_of(self, group_name: str, rule: str) -> None:
        """Say once that a rule's schedules are due and nobody is here to deliver them for."""
        if (group_name, rule) not in self._unowned:
            self._unowned.add((group_name, rule))
            reason = f"the app that is loaded has no such rule; schedules of {group_name} wait until one has"
            logger.warning("not delivered", extra={"action": "unowned", "rule": rule, "reason": reason})

    def _deliver(self, tx: Transaction, row: ScheduleRow, now_ms: int, items: "_Items") -> Settled | _GoesOutside:
        """Carry out a target inside the engine, or say that it is outside."""
        target = row.body["Target"]
        attempt = attempt_of(row, number=row.attempts + 1, now_ms=now_ms)
        parameters: Mapping[str, Any] = {}
        mark = tx.mark()
        try:
            kind = service_and_action(target["Arn"])
            if kind in self._lanes or kind not in INSIDE:
                return _GoesOutside(kind)
            call = read_call(target, attempt)
            parameters = call.parameters
            INSIDE[kind](tx, parameters, attempt)
            items.forget_if_written(kind)
        except ServiceError as error:
            tx.undo_to("delivery", mark)
            if row.rule is not None and isinstance(error, ConditionalCheckFailedException):
                return settle_skip(tx, row, attempt, "the item is not as the condition demands any more")
            counts.attempted(tx, row, attempt)
            return settle_failure(tx, row, attempt, error, parameters=parameters, jitter=self._random.random())
        counts.attempted(tx, row, attempt)
        return settle_success(tx, row, attempt)

    def _claim(
        self, tx: Transaction, target: OutsideTarget, schedule_id: int, version: int, apart: list[tuple[int, int]]
    ) -> _Claimed | Settled | _NotYet | _Held | None:
        """Count the attempt; an occurrence of a recurring schedule gets a row of its own, added to `apart`."""
        now_ms = self._clock.now_ms()
        items = _Items(tx, self._planning)
        row = self._check(schedules.get_schedule_by_id(tx, schedule_id), version, now_ms, items)
        if not isinstance(row, ScheduleRow):
            return row
        row = recurring.set_apart(tx, row)
        if row.id != schedule_id:
            self._started.add((row.id, row.version))
            apart.append((row.id, row.version))
        attempt = attempt_of(row, number=schedules.begin_attempt(tx, row), now_ms=now_ms)
        try:
            call = read_call(row.body["Target"], attempt)
            prepared = target.prepare(tx, call)
        except NothingToDoError as error:
            return settle_skip(tx, row, attempt, str(error))
        except ServiceError as error:
            counts.attempted(tx, row, attempt)
            return settle_failure(tx, row, attempt, error, parameters={}, jitter=self._random.random())
        counts.attempted(tx, row, attempt)
        return _Claimed(row, attempt, call, prepared)

    async def _send(self, target: OutsideTarget, claimed: _Claimed) -> Settled | None:
        row, call = claimed.row, claimed.call
        also: Callable[[Transaction], None] | None = None
        error: Exception | None = None
        try:
            also = await target.send(call, claimed.attempt, claimed.prepared)
        except Exception as failed:  # noqa: BLE001 - whatever a target raises is a failed attempt
            error = failed
        jitter = self._random.random()

        def settle(tx: Transaction) -> Settled | None:
            attempt = attempt_of(row, number=claimed.attempt.number, now_ms=self._clock.now_ms())
            present = schedules.get_schedule_by_id(tx, row.id)
            is_current = present is not None and present.version == row.version
            if error is None:
                if also is not None:
                    also(tx)
                if is_current:
                    return settle_success(tx, row, attempt)
                # It was replaced or deleted while it was under way: the new one stands, this one is recorded.
                outcome = outcomes.Outcome(
                    "delivered",
                    attempt.delivery_id,
                    row.body["Target"]["Arn"],
                    attempt.due_at_ms,
                    attempt.now_ms,
                    attempt.number,
                )
                outcomes.record_outcome(
                    tx, outcome, group_name=row.group_name, name=row.name, rule=row.rule, table_id=row.table_id
                )
                counts.delivered(tx, row, attempt)
                return Settled(row, attempt, "delivered")
            if not is_current:
                return None
            return settle_failure(tx, row, attempt, error, parameters=call.parameters, jitter=jitter)

        return await self._store.write(settle)


class _Items:
    """What the deliveries of one transaction ask about their items, looked up no more often than needed."""

    def __init__(self, tx: Transaction, planning: Planning | None) -> None:
        self._connection = tx.connection
        self._planned_through = 0 if planning is None else planning.planned_through
        self._tables: dict[int, bool] = {}
        self._newest: int | None = None

    def forget_if_written(self, kind: tuple[str, str]) -> None:
        """A delivery of this kind was carried out: if it wrote an item, there is a stream record more."""
        if kind[0] == "dynamodb":
            self._newest = None

    def has_table_of(self, row: ScheduleRow) -> bool:
        """Whether the item's table is there."""
        assert row.table_id is not None
        if row.table_id not in self._tables:
            table = tables.get_table_by_id(self._connection, row.table_id)
            self._tables[row.table_id] = table is not None
        return self._tables[row.table_id]

    def unplanned_record_of(self, row: ScheduleRow) -> int | None:
        """The position of the item's last stream record that is not planned yet."""
        if self._newest is None:
            self._newest = streams.newest_sequence(self._connection)
        if self._newest <= self._planned_through:
            return None
        assert row.table_id is not None
        assert row.partition_key is not None
        assert row.sort_key is not None
        key = (row.partition_key, row.sort_key)
        return streams.last_record_of_item(self._connection, self._planned_through, row.table_id, key)


class _Lane:
    """One kind of outside target: how many are under way, and who waits for a place."""

    __slots__ = ("running", "target", "waiting")

    def __init__(self, target: OutsideTarget) -> None:
        self.target = target
        self.running = 0
        self.waiting: deque[tuple[int, int]] = deque()


def _log(settled: Settled) -> None:
    if not logger.isEnabledFor(logging.INFO):
        return
    row, attempt = settled.row, settled.attempt
    facts = {
        "schedule": f"{row.group_name}/{row.name}",
        "rule": row.rule,
        "target_arn": row.body["Target"]["Arn"],
        "delivery_id": attempt.delivery_id,
        "attempt": attempt.number,
        "due_at_ms": attempt.due_at_ms,
        "lateness_ms": attempt.now_ms - attempt.due_at_ms,
        "reason": for_log(settled.reason),
    }
    match settled.kind:
        case "delivered":
            logger.info("delivered", extra={"action": "delivered", **facts})
        case "skipped":
            logger.info("skipped", extra={"action": "skipped", **facts})
        case "dead_lettered":
            logger.warning("dead-lettered", extra={"action": "dead_lettered", **facts})
        case "dropped":
            logger.error("dropped", extra={"action": "dropped", **facts})
        case None:
            facts["retry_at_ms"] = settled.retry_at_ms
            logger.warning("failed, to be retried", extra={"action": "retry", **facts})
