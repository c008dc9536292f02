"""Attempts: what becomes of a due schedule, decided and carried out in one transaction.

Targets inside the engine are carried out in the transaction that completes the schedule: exactly once.
Targets outside are tried with the attempt counted first (`claim`) and settled after (`settle`): at least
once, each attempt with the same delivery id. Either way the schedule is looked at as it is then, so that
one that was moved or deleted, or whose item has stream records that are not planned yet, is not delivered.
"""

import logging
import random
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import apsw

from duestream.clock import Clock
from duestream.errors import ConditionalCheckFailedException, Error, ServiceError
from duestream.local.engine import counts
from duestream.local.engine.call import Attempt, Call, read_call, service_and_action
from duestream.local.engine.catch_up import catch_up, is_late
from duestream.local.engine.inside import INSIDE
from duestream.local.engine.settle import (
    Settled,
    attempt_of,
    settle_failure,
    settle_skip,
    settle_success,
)
from duestream.local.engine.together import Together
from duestream.local.store import outcomes, recurring, schedules, streams, tables
from duestream.local.store.schedules import ScheduleRow
from duestream.local.store.writer import Transaction

logger = logging.getLogger("duestream.flow")


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
class Held:
    """To be looked at again once planning has come past this record."""

    sequence: int


@dataclass(frozen=True, slots=True)
class NotYet:
    """To be tried at this moment: it was moved, or the clock was set back since it was handed over."""

    moment_ms: int


@dataclass(frozen=True, slots=True)
class GoesOutside:
    """The target is outside; `kind` is its service and action."""

    kind: tuple[str, str]


class _NeedsASavepointError(Error):
    """This delivery cannot share one with its batch."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Ours, not the target's."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt at an outside target that is counted, and is to be made now."""

    row: ScheduleRow
    attempt: Attempt
    call: Call
    prepared: Any


Step = Settled | NotYet | Held | GoesOutside | Fault | None


class Attempts:
    """Looks at due schedules in a transaction of the caller's.

    Args:
        outside: the calls that leave the engine although it could carry them out, such as emails that are relayed.
    """

    def __init__(self, clock: Clock, planning: Planning | None, outside: Container[tuple[str, str]]) -> None:
        self._clock, self._planning, self._outside = clock, planning, outside
        self._unowned: set[tuple[str, str]] = set()
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing

    def look_at(self, tx: Transaction, batch: Sequence[tuple[int, int]]) -> list[Step]:
        """Deliver all of the batch; if one of them cannot be, each anew with a savepoint of its own.

        The savepoints are a sixth of what a delivery to a queue costs, and hardly any is needed.
        """
        now_ms = self._clock.now_ms()
        rows = schedules.get_schedules_by_id(tx, [schedule_id for schedule_id, _ in batch])
        looks = [(rows.get(schedule_id), version) for schedule_id, version in batch]
        tx.execute("SAVEPOINT batch")
        mark = tx.mark()
        items, together = _Items(tx, self._planning), Together(tx, now_ms)
        steps: list[Step]
        try:
            steps = [self._look_boldly(tx, row, version, now_ms, items, together) for row, version in looks]
            together.carry_out()
        except apsw.Error:
            raise  # the disk's matter, and the whole group's
        except Exception:  # noqa: BLE001 - which of them it was, and what follows, is found out below
            tx.undo_to("batch", mark)
            items = _Items(tx, self._planning)
            steps = [self._look(tx, row, version, now_ms, items) for row, version in looks]
        tx.execute("RELEASE batch")
        return steps

    def _look_boldly(
        self,
        tx: Transaction,
        row: ScheduleRow | None,
        version: int,
        now_ms: int,
        items: "_Items",
        together: Together,
    ) -> Settled | NotYet | Held | GoesOutside | None:
        """`_look` for what goes well.

        Raises:
            Exception: any; the batch is to be undone.
        """
        checked = self._check(row, version, now_ms, items)
        if not isinstance(checked, ScheduleRow):
            return checked
        if is_late(checked, now_ms):
            raise _NeedsASavepointError
        body = checked.body
        target = body["Target"]
        kind = service_and_action(target["Arn"])
        if kind in self._outside or kind not in INSIDE:
            return GoesOutside(kind)
        attempt = attempt_of(checked, number=checked.attempts + 1, now_ms=now_ms)
        INSIDE[kind](tx, read_call(target, attempt).parameters, attempt)
        items.forget_if_written(kind)
        is_last = checked.anchor_at_ms is None and schedules.is_deleted_at_end(checked, body)
        return together.delivered(checked, attempt, target["Arn"], is_last=is_last)

    def _look(self, tx: Transaction, row: ScheduleRow | None, version: int, now_ms: int, items: "_Items") -> Step:
        checked = self._check(row, version, now_ms, items)
        if not isinstance(checked, ScheduleRow):
            return checked
        tx.execute("SAVEPOINT delivery")
        mark = tx.mark()
        step: Settled | GoesOutside | Fault | None = None
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
            step = Fault(error)
        tx.execute("RELEASE delivery")
        return step

    def _check(
        self, row: ScheduleRow | None, version: int, now_ms: int, items: "_Items"
    ) -> ScheduleRow | NotYet | Held | None:
        """The schedule, if it is to be delivered now; None: not, or not any more."""
        if row is None or row.version != version or row.attempt_at_ms is None:
            return None
        if row.attempt_at_ms > now_ms:
            return NotYet(row.attempt_at_ms)
        if row.rule is None:
            return row
        if self._planning is None or not self._planning.owns(row.group_name, row.rule):
            self._warn_of(row.group_name, row.rule)
            return None
        if not items.has_table_of(row):
            return None  # deleted with its items; its schedules are being removed
        blocking = items.unplanned_record_of(row)
        return row if blocking is None else Held(blocking)

    def _warn_of(self, group_name: str, rule: str) -> None:
        """Say once that a rule's schedules are due and nobody is here to deliver them for."""
        if (group_name, rule) not in self._unowned:
            self._unowned.add((group_name, rule))
            reason = f"the app that is loaded has no such rule; schedules of {group_name} wait until one has"
            logger.warning("not delivered", extra={"action": "unowned", "rule": rule, "reason": reason})

    def _deliver(self, tx: Transaction, row: ScheduleRow, now_ms: int, items: "_Items") -> Settled | GoesOutside:
        """Carry out a target inside the engine, or say that it is outside."""
        target = row.body["Target"]
        attempt = attempt_of(row, number=row.attempts + 1, now_ms=now_ms)
        parameters: Mapping[str, Any] = {}
        mark = tx.mark()
        try:
            kind = service_and_action(target["Arn"])
            if kind in self._outside or kind not in INSIDE:
                return GoesOutside(kind)
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

    def claim(
        self,
        tx: Transaction,
        target: OutsideTarget,
        schedule_id: int,
        version: int,
        on_apart: Callable[[int, int], None],
    ) -> Claimed | Settled | NotYet | Held | None:
        """Count an attempt at an outside target, unless it is not to be made any more.

        An occurrence of a recurring schedule gets a row of its own, which `on_apart` is told at once: the commit
        announces it, and nobody else is to begin it.
        """
        now_ms = self._clock.now_ms()
        items = _Items(tx, self._planning)
        row = self._check(schedules.get_schedule_by_id(tx, schedule_id), version, now_ms, items)
        if not isinstance(row, ScheduleRow):
            return row
        row = recurring.set_apart(tx, row)
        if row.id != schedule_id:
            on_apart(row.id, row.version)
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
        return Claimed(row, attempt, call, prepared)

    def settle(
        self,
        tx: Transaction,
        claimed: Claimed,
        error: Exception | None,
        also: Callable[[Transaction], None] | None,
    ) -> Settled | None:
        """Settle an attempt that was made outside.

        Args:
            error: what it failed with; None: the target has it.
            also: what the target wants done in the completing transaction.
        """
        row = claimed.row
        attempt = attempt_of(row, number=claimed.attempt.number, now_ms=self._clock.now_ms())
        present = schedules.get_schedule_by_id(tx, row.id)
        is_current = present is not None and present.version == row.version
        if error is not None:
            if not is_current:
                return None
            parameters = claimed.call.parameters
            return settle_failure(tx, row, attempt, error, parameters=parameters, jitter=self._random.random())
        if also is not None:
            also(tx)
        if is_current:
            return settle_success(tx, row, attempt)
        # It was replaced or deleted while it was under way: the new one stands, this one is recorded.
        arn = row.body["Target"]["Arn"]
        outcome = outcomes.Outcome(
            "delivered", attempt.delivery_id, arn, attempt.due_at_ms, attempt.now_ms, attempt.number
        )
        outcomes.record_outcome(
            tx, outcome, group_name=row.group_name, name=row.name, rule=row.rule, table_id=row.table_id
        )
        counts.delivered(tx, row, attempt)
        return Settled(row, attempt, "delivered")


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
