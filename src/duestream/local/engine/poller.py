"""The poller: stream records to plans to schedules, each record's effect and the checkpoint in one transaction.

It wakes at the commit that wrote records, so there is no polling delay. Users' rules run in a thread of
their own: one that is slow, or calls this very server, does not hold up anything but planning.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from duestream.alarm import Alarm
from duestream.clock import Clock, to_ms
from duestream.core.app import App
from duestream.core.batch import coalesce
from duestream.core.deliverable import CALLS, Forwarded, check_target
from duestream.core.planner import (
    DeadLetterRecord,
    DeleteSchedule,
    Operation,
    PutSchedule,
    SkipDelivery,
    plan,
    plan_swept,
)
from duestream.core.record import StreamRecord
from duestream.core.rule import Refusal, Rule
from duestream.core.schedule import Place, Schedule, delivery_id_of, schedule_name
from duestream.errors import ValidationException
from duestream.local.engine import counts
from duestream.local.engine.call import HTTP_REQUEST, WHEN_DUE, service_and_action
from duestream.local.engine.letters import put_record_letter
from duestream.local.engine.log_text import for_log
from duestream.local.store import outcomes, schedule_groups, schedules, streams, tables
from duestream.local.store.rule_schedules import put_rule_schedule
from duestream.local.store.schedule_groups import ScheduleGroup
from duestream.local.store.schedules import ItemIdentity, schedule_arn
from duestream.local.store.store import Store
from duestream.local.store.streams import RecordRow
from duestream.local.store.writer import RecordsWritten, StreamSwitched, Transaction

logger = logging.getLogger("duestream.flow")

T = TypeVar("T")

BATCH_SIZE = 256
#: Records of tables without rules move the checkpoint in memory only; it is written down this often.
CHECKPOINT_EVERY = 5_000
FAULT_PAUSE_MS = 1_000


@dataclass(frozen=True, slots=True)
class _Planned:
    """What one record asks for, and which item it is of."""

    item: ItemIdentity
    record: StreamRecord
    operations: Sequence[Operation]


@dataclass(frozen=True, slots=True)
class _Effect:
    """What was done for a record, and of which delivery (None: of none)."""

    operation: Operation
    delivery_id: str | None
    due_at_ms: int | None


@dataclass(frozen=True, slots=True)
class SweptChunk:
    """What a rule makes of entries of its index: of those that are due, and of those that nobody can tell of."""

    planned: list[tuple[StreamRecord, list[Operation]]]
    refused: list[tuple[StreamRecord, Refusal]]


class Poller:
    """Plans what the tables' streams tell, for one app.

    Args:
        forwarded: what a target must have that is not delivered in here.
    """

    def __init__(self, store: Store, clock: Clock, app: App, place: Place, forwarded: Forwarded) -> None:
        self._store, self._clock, self._app, self._place = store, clock, app, place
        self._forwarded = forwarded
        self._rules: Mapping[str, Sequence[Rule]] = {table.name: table.rules for table in app.tables}
        self._names = frozenset(rule.name for rule in app.rules)
        self._planner = ThreadPoolExecutor(1, thread_name_prefix="duestream-planner")
        self._written = self.planned_through = streams.checkpoint(store.reader, app.name)
        self.alarm = Alarm(clock)
        self.stopping = False
        self._on_planned: Callable[[], None] = lambda: None
        store.listen(self._on_commit)

    def when_planned(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after each batch is applied."""
        self._on_planned = callback

    def owns(self, group_name: str, rule: str) -> bool:
        """Whether this app has the rule; schedules of rules that are gone are kept, and not delivered."""
        return group_name == self._app.name and rule in self._names

    async def run(self) -> None:
        """Until stopped: plan what there is, then sleep until something is written."""
        while not self.stopping:
            try:
                handled = await self.run_once()
            except Exception:
                logger.exception("planning met a fault of ours, and goes on", extra={"action": "plan"})
                await self._pause(self._clock.now_ms() + FAULT_PAUSE_MS)
                continue
            if not handled:
                await self.alarm.sleep_until(None)

    async def _pause(self, until_ms: int) -> None:
        """Sleep, whatever is written meanwhile: a fault that comes again must not fill the log."""
        while not self.stopping and self._clock.now_ms() < until_ms:
            await self.alarm.sleep_until(until_ms)

    def stop(self) -> None:
        """End `run` after its present batch."""
        self.stopping = True
        self.alarm.ring()

    def close(self) -> None:
        """Let the planning thread go; one that a rule keeps busy is left to end with the process."""
        self._planner.shutdown(wait=False, cancel_futures=True)

    async def run_once(self) -> int:
        """Plan and apply one batch; says how many records it had."""
        rows = streams.records_after(self._store.reader, self.planned_through, BATCH_SIZE)
        if not rows:
            return 0
        last = rows[-1].sequence
        watched = [row for row in rows if self._rules.get(row.table_name)]
        planned: list[_Planned] = []
        if watched:
            planned = await asyncio.get_running_loop().run_in_executor(self._planner, self._plan, watched)
        if planned or last - self._written >= CHECKPOINT_EVERY:
            job = partial(self._apply, planned=planned, last=last)
            effects = await self._store.write(job)
            self._written = last
            if logger.isEnabledFor(logging.INFO):
                for record, operation in effects:
                    _log(record, operation)
        self.planned_through = last
        self._on_planned()
        return len(rows)

    async def evaluate(self, function: Callable[[], T]) -> T:
        """Run what calls users' rules, in the planning thread."""
        return await asyncio.get_running_loop().run_in_executor(self._planner, function)

    async def plan_again(self, record: StreamRecord, rule: Rule) -> list[Operation]:
        """What one rule makes of a record now, past what was planned of it before."""
        now = self._clock.now()

        def plan_it() -> list[Operation]:
            planned = plan(record, [rule], now=now, place=self._place)
            return [self._deliverable(operation, record) for operation in planned]

        return await self.evaluate(plan_it)

    async def plan_swept(self, records: Sequence[StreamRecord], rule: Rule) -> "SweptChunk":
        """What a rule that sweeps an index makes of items that are in it."""
        now, chunk = self._clock.now(), SweptChunk([], [])

        def plan_them() -> None:
            for record in records:
                planned = plan_swept(record, rule, now=now, place=self._place)
                if isinstance(planned, Refusal):
                    chunk.refused.append((record, planned))
                elif planned is not None:
                    chunk.planned.append((record, [self._deliverable(one, record) for one in planned]))

        await self.evaluate(plan_them)
        return chunk

    def carry_out_again(
        self, tx: Transaction, record: StreamRecord, operations: Sequence[Operation], item: ItemIdentity
    ) -> None:
        """Carry out what `plan_again` said."""
        now_ms = self._clock.now_ms()
        group = schedule_groups.put_group(tx, self._app.name, region=self._place.region, now_ms=now_ms)
        for operation in operations:
            effect = self._carry_out(tx, operation, item, group, now_ms)
            if effect is not None and logger.isEnabledFor(logging.INFO):
                _log(record, effect)

    @property
    def app_name(self) -> str:
        """The app whose rules these are."""
        return self._app.name

    def rules_of(self, table_name: str) -> Sequence[Rule]:
        """The rules that watch a table."""
        return self._rules.get(table_name, ())

    def rule_of(self, table_name: str, rule_name: str) -> Rule | None:
        """The rule, if the app that is loaded has it."""
        return next((rule for rule in self._rules.get(table_name, ()) if rule.name == rule_name), None)

    def _plan(self, rows: Sequence[RecordRow]) -> list[_Planned]:
        """In the planning thread: what the rules make of these records, an item's last one counting."""
        identities = {
            streams.sequence_number(row.sequence): ItemIdentity(row.table_id, row.partition_key, row.sort_key)
            for row in rows
        }
        now = self._clock.now()
        planned: list[_Planned] = []
        for record in coalesce([row.stream_record() for row in rows]):
            operations = plan(record, self._rules[record.table_name], now=now, place=self._place)
            if operations:
                checked = [self._deliverable(operation, record) for operation in operations]
                planned.append(_Planned(identities[record.sequence_number], record, checked))
        return planned

    def _deliverable(self, operation: Operation, record: StreamRecord) -> Operation:
        """What this engine could never deliver is said now, not when it is due."""
        if not isinstance(operation, PutSchedule):
            return operation
        invocation = operation.schedule.invocation
        try:
            call = service_and_action(invocation.target_arn)
            if call not in CALLS and call not in (HTTP_REQUEST, WHEN_DUE):
                target = {"Arn": invocation.target_arn, "Input": invocation.input}
                check_target(target, region=self._place.region, forwarded=self._forwarded)
        except ValidationException as error:
            rule = next(rule for rule in self._rules[record.table_name] if rule.name == operation.schedule.rule)
            return DeadLetterRecord(rule, record, error.message, "rule raised")
        return operation

    def _apply(self, tx: Transaction, planned: Sequence[_Planned], last: int) -> list[tuple[StreamRecord, "_Effect"]]:
        """Carry the plan out; says what had an effect."""
        now_ms = self._clock.now_ms()
        group = schedule_groups.put_group(tx, self._app.name, region=self._place.region, now_ms=now_ms)
        effects: list[tuple[StreamRecord, _Effect]] = []
        table_ids = {of_record.item.table_id for of_record in planned}
        there = {table_id for table_id in table_ids if tables.get_table_by_id(tx.connection, table_id) is not None}
        for of_record in planned:
            for operation in of_record.operations:
                if isinstance(operation, PutSchedule) and of_record.item.table_id not in there:
                    continue  # deleted meanwhile, with its items
                effect = self._carry_out(tx, operation, of_record.item, group, now_ms)
                if effect is not None:
                    effects.append((of_record.record, effect))
        streams.set_checkpoint(tx, self._app.name, last)
        return effects

    def _carry_out(
        self, tx: Transaction, operation: Operation, item: ItemIdentity, group: ScheduleGroup, now_ms: int
    ) -> "_Effect | None":
        """Do what the plan says; None: that had no effect."""
        delivery_id, due_at_ms = None, None
        match operation:
            case PutSchedule(schedule):
                placed = put_rule_schedule(tx, schedule, group_id=group.id, item=item, now_ms=now_ms)
                due_at_ms = placed.due_at_ms
                if logger.isEnabledFor(logging.INFO):
                    delivery_id = placed.delivery_id(schedule_arn(group.region, group.name, schedule.name))
            case DeleteSchedule(group_name, name):
                if not schedules.delete_schedule(tx, group_name, name):
                    return None
            case SkipDelivery(schedule, reason):
                due_at_ms = to_ms(schedule.due_at)
                delivery_id = self._skip(tx, schedule, reason, item, now_ms)
            case DeadLetterRecord():
                self._dead_letter(tx, operation, item, now_ms)
        return _Effect(operation, delivery_id, due_at_ms)

    def _skip(self, tx: Transaction, schedule: Schedule, reason: str, item: ItemIdentity, now_ms: int) -> str:
        """Record it; says under which delivery id."""
        due_at_ms = to_ms(schedule.due_at)
        outcome = outcomes.Outcome(
            kind="skipped",
            delivery_id=delivery_id_of(schedule.name, due_at_ms),
            target_arn=schedule.invocation.target_arn,
            due_at_ms=due_at_ms,
            ended_at_ms=now_ms,
            attempts=0,
            reason=reason,
        )
        counts.skipped(tx, schedule.group_name, now_ms)
        outcomes.record_outcome(
            tx, outcome, group_name=schedule.group_name, name=schedule.name, rule=schedule.rule, table_id=item.table_id
        )
        return outcome.delivery_id

    def _dead_letter(self, tx: Transaction, letter: DeadLetterRecord, item: ItemIdentity, now_ms: int) -> None:
        """Keep the record itself with the reason, so that nothing has to be read again."""
        problem = put_record_letter(tx, letter, item, region=self._place.region, now_ms=now_ms)
        if problem is None:
            return
        name = schedule_name(letter.record.table_name, letter.rule.name, letter.record.keys)
        outcome = outcomes.Outcome(
            kind="dropped",
            delivery_id=delivery_id_of(name, letter.record.sequence_number),
            target_arn="",
            due_at_ms=now_ms,
            ended_at_ms=now_ms,
            attempts=0,
            reason=f"{letter.kind}: {letter.reason}; {problem}",
        )
        outcomes.record_outcome(
            tx,
            outcome,
            group_name=letter.rule.app_name,
            name=name,
            rule=letter.rule.name,
            table_id=item.table_id,
        )
        logger.error(
            "stream record dropped",
            extra={"action": "drop_record", "rule": letter.rule.name, "key": letter.record.keys, "reason": problem},
        )

    def _on_commit(self, announcements: Sequence[object]) -> None:
        if any(isinstance(announcement, RecordsWritten) for announcement in announcements):
            self.alarm.ring()
        for announcement in announcements:
            if isinstance(announcement, StreamSwitched) and not announcement.is_on:
                self._say_rules_see_nothing(announcement.table_name)

    def _say_rules_see_nothing(self, table_name: str) -> None:
        """Rules work off the table's stream, so without one they are silent; as on AWS, but hard to notice."""
        rules = self._rules.get(table_name)
        if rules:
            logger.warning(
                "table has no stream, so its rules do not see what is written",
                extra={"action": "no_stream", "table": table_name, "rules": sorted({rule.name for rule in rules})},
            )


def _log(record: StreamRecord, effect: "_Effect") -> None:
    """Say what a record led to."""
    ids = {"delivery_id": effect.delivery_id, "due_at_ms": effect.due_at_ms}
    item = {"table": record.table_name, "key": record.keys, "event_name": str(record.event_name)}
    match effect.operation:
        case PutSchedule(schedule):
            facts = {"rule": schedule.rule, "schedule": f"{schedule.group_name}/{schedule.name}"}
            logger.info("schedule put", extra={"action": "put_schedule", **item, **facts, **ids})
        case DeleteSchedule(group_name, name):
            logger.info(
                "schedule deleted", extra={"action": "delete_schedule", **item, "schedule": f"{group_name}/{name}"}
            )
        case SkipDelivery(schedule, reason):
            facts = {"rule": schedule.rule, "schedule": f"{schedule.group_name}/{schedule.name}", "reason": reason}
            logger.warning("skipped", extra={"action": "skip_past_due", **item, **facts, **ids})
        case DeadLetterRecord(rule, _, reason):
            logger.error(
                "stream record dead-lettered",
                extra={"action": "dead_letter_record", **item, "rule": rule.name, "reason": for_log(reason)},
            )
