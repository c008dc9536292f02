"""The plan: which schedules must change because of one stream record. Pure; executors carry it out.

For each rule, from what it wants of the old and of the new image:

===========================  =========================================================================
the new image wants          operations
===========================  =========================================================================
nothing                      delete what the old image had
a due time ahead             put each target that is new or changed, or all of them if the due time is
due, unchanged and past      nothing for targets that were there before: they have been delivered
due, new or moved, and past  the rule's `past_due` policy; what was pending is deleted or replaced
what cannot be told          dead-letter the record for this rule, and delete what the old image had
===========================  =========================================================================

A recurring rule has due times without end, so it has neither a due time nor a policy for past ones: its schedules
are put when expression, zone, start, end or target changed, and go on where they stand when only the target or the
end did. Where the series has no occurrence to come, none is put.

In all of them, targets that the old image had beyond the new one's number are deleted. Rules do not touch
each other: what one raises is dead-lettered for that rule alone.

Decided here:

- A record that is dead-lettered leaves no schedule of the old image behind: the item no longer says that time
  or that target, and for each rule and item there is one pending schedule *or* one recorded outcome.
- An old image that the rule cannot evaluate is unknown. The rule was dead-lettered for it and left nothing, so
  a due time ahead is put. A past one counts as delivered only if the timestamp's attribute value is unchanged.
- Ahead and past are told at the moment of the write, if the record says it. What was ahead then is put, and
  so delivered, also when the record is read late (after a stop of the engine): the policy is for writes that
  name a moment already past.
- A REMOVE deletes the item's first schedule also if the rule, as its code is now, wants nothing of the old image.
- An INSERT may carry an old image (`batch.coalesce`): the item was removed and written again. Everything is
  put as on any INSERT, and what only the old image had is deleted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from duestream.core.record import EventName, StreamRecord
from duestream.core.recurrence import Recurrence
from duestream.core.rule import Refusal, Rule, Wanted, WantedSeries
from duestream.core.schedule import Invocation, Place, Schedule, schedule_name
from duestream.core.schedule_expression import series_of
from duestream.errors import TimestampError


@dataclass(frozen=True, slots=True)
class PutSchedule:
    """Create or replace a schedule.

    Args:
        schedule: as it is to be.
        is_past_due: its due time had passed when it was written; it is delivered at once, and counted.
    """

    schedule: Schedule
    is_past_due: bool = False


@dataclass(frozen=True, slots=True)
class DeleteSchedule:
    """Delete a schedule; fine if there is none."""

    group_name: str
    name: str


@dataclass(frozen=True, slots=True)
class SkipDelivery:
    """Record that a delivery is not made (outcome ``skipped``), and why."""

    schedule: Schedule
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """Put the stream record, on behalf of one rule, into the stream-side dead-letter queue."""

    rule: Rule
    record: StreamRecord
    reason: str
    kind: Literal["unreadable timestamp", "unreadable expression", "rule raised", "past due"]


Operation = PutSchedule | DeleteSchedule | SkipDelivery | DeadLetterRecord
#: What a rule asks for on behalf of an image.
Asked = Wanted | WantedSeries | Refusal | None


def schedule_dead_letter_queue(app_name: str) -> str:
    """The queue for deliveries that are given up."""
    return f"{app_name}-dead-letters"


def stream_dead_letter_queue(app_name: str) -> str:
    """The queue for stream records that a rule could not make a schedule from."""
    return f"{app_name}-stream-dead-letters"


def plan(record: StreamRecord, rules: Iterable[Rule], *, now: datetime, place: Place) -> list[Operation]:
    """What must change because of this record.

    Args:
        record: one change of one item.
        rules: of any tables; those of other tables are passed over, and those that sweep an index: their items have
            no schedules.
        now: the present moment, aware; it only tells ahead from past, where the record has no `created_at`.
        place: where the targets are that rules name without an ARN.

    Returns:
        The operations in the order in which to carry them out; carrying them out again changes nothing.
    """
    seen_at = now if record.created_at is None else min(now, record.created_at)
    operations: list[Operation] = []
    for rule in rules:
        if rule.table.name == record.table_name and rule.via is None:
            operations += _RulePlan(rule, record, seen_at, place).operations()
    return operations


def plan_swept(record: StreamRecord, rule: Rule, *, now: datetime, place: Place) -> list[Operation] | Refusal | None:
    """What is to be done about an item that a sweep found in its index.

    Args:
        record: with the item as it is as its new image.
        rule: with ``via=Sweep(...)``.
        now: the present moment, aware.
        place: where the targets are that rules name without an ARN.

    Returns:
        The schedules to put, due already (none: the rule asks for nothing), after which the item leaves the index;
        None: it is not due; a refusal: nobody can tell.
    """
    image = record.new_image or {}
    try:
        due_at = rule.due_at(image)
    except TimestampError as error:
        return Refusal("unreadable timestamp", str(error))
    if due_at is None or due_at > now:
        return None
    wanted = rule.wanted(image, place)
    if isinstance(wanted, Refusal):
        return wanted
    if not isinstance(wanted, Wanted):
        return []
    planned = _RulePlan(rule, record, now, place)
    return [
        PutSchedule(planned.schedule(invocation, number, due_at))
        for number, invocation in enumerate(wanted.invocations)
    ]


@dataclass(frozen=True, slots=True)
class _RulePlan:
    """One rule's part."""

    rule: Rule
    record: StreamRecord
    seen_at: datetime
    place: Place

    def operations(self) -> list[Operation]:
        removed = self.record.event_name is EventName.REMOVE
        new = None if removed else self.rule.wanted(self.record.new_image, self.place)
        old = self.rule.wanted(self.record.old_image, self.place)
        match new:
            case None:
                return self._deletes(max(self._count(old), self._count_removed()))
            case Refusal(kind, reason):
                letter = DeadLetterRecord(self.rule, self.record, reason, kind)
                return [*self._deletes(self._count(old)), letter]
            case WantedSeries():
                return self._recurring(old, new)
            case Wanted(due_at) if due_at > self.seen_at:
                return self._ahead(old, new)
            case _:
                return self._past(old, new)

    def _recurring(self, old: Asked, new: WantedSeries) -> list[Operation]:
        """Put the series, or of an unchanged one what is invoked otherwise."""
        had, count = self._count(old), len(new.invocations)
        surplus = self._deletes(had, beyond=count)
        is_modified = self.record.event_name is EventName.MODIFY
        series = series_of(new.recurrence, written_at=self.seen_at)
        first_at = series.first_from(self.seen_at)
        if is_modified and isinstance(old, WantedSeries) and old.recurrence == new.recurrence:
            # Without an occurrence to come, its last one may still be tried.
            pending = new.invocations if first_at is None else old.invocations
        else:
            pending = ()
            if not is_modified or first_at is None:  # an item written anew begins anew
                surplus = [*self._deletes(min(had, count)), *surplus]
        if first_at is None:
            return surplus
        puts = [
            PutSchedule(self.schedule(invocation, number, first_at, new.recurrence, series.start))
            for number, invocation in enumerate(new.invocations)
            if number >= len(pending) or pending[number] != invocation
        ]
        return [*surplus, *puts]

    def _ahead(self, old: Asked, new: Wanted) -> list[Operation]:
        """Due in the future: put what is not already so."""
        pending: tuple[Invocation, ...] = ()
        if isinstance(old, Wanted) and old.due_at == new.due_at and self.record.event_name is EventName.MODIFY:
            pending = old.invocations
        puts: list[Operation] = [
            PutSchedule(self.schedule(invocation, number, new.due_at))
            for number, invocation in enumerate(new.invocations)
            if number >= len(pending) or pending[number] != invocation
        ]
        return [*puts, *self._deletes(self._count(old), beyond=len(new.invocations))]

    def _past(self, old: Asked, new: Wanted) -> list[Operation]:
        """Due now or in the past: what has been due before is done with; the policy decides on the rest."""
        had, count = self._count(old), len(new.invocations)
        surplus = self._deletes(had, beyond=count)
        first_new = self._count_due_before(old, new)
        if first_new == count:
            return surplus
        late = [
            self.schedule(invocation, number, new.due_at)
            for number, invocation in enumerate(new.invocations)
            if number >= first_new
        ]
        lateness = self.seen_at - new.due_at
        pending = self._deletes(min(had, count), beyond=first_new)
        match self.rule.past_due:
            case "deliver" if lateness <= self.rule.max_lateness:
                return [*(PutSchedule(schedule, is_past_due=True) for schedule in late), *surplus]
            case "dead_letter":
                reason = f"due at {new.due_at.isoformat()}, {lateness} ago"
                return [*pending, *surplus, DeadLetterRecord(self.rule, self.record, reason, "past due")]
            case policy:
                limit = f", later than {self.rule.max_lateness}" if policy == "deliver" else ""
                reason = f"due at {new.due_at.isoformat()}, {lateness} ago{limit}"
                return [*pending, *surplus, *(SkipDelivery(schedule, reason) for schedule in late)]

    def _count_due_before(self, old: Asked, new: Wanted) -> int:
        """How many of the new targets, from the first, were due at this moment before the change already."""
        if old is None or self.record.event_name is not EventName.MODIFY:
            return 0
        if isinstance(old, Wanted):
            return min(len(old.invocations), len(new.invocations)) if old.due_at == new.due_at else 0
        old_image, new_image = self.record.old_image or {}, self.record.new_image or {}
        tells_time = (self.rule.attribute, self.rule.timezone_attribute or self.rule.attribute)
        is_same = all(old_image.get(name) == new_image.get(name) for name in tells_time)
        return len(new.invocations) if is_same else 0

    def schedule(
        self,
        invocation: Invocation,
        number: int,
        due_at: datetime,
        recurrence: Recurrence | None = None,
        anchor_at: datetime | None = None,
    ) -> Schedule:
        rule, record = self.rule, self.record
        return Schedule(
            name=schedule_name(record.table_name, rule.name, record.keys, number),
            group_name=rule.app_name,
            due_at=due_at,
            invocation=invocation,
            retry=rule.retry,
            rule=rule.name,
            table_name=record.table_name,
            key=record.keys,
            dead_letter_queue_arn=self.place.arn("sqs", schedule_dead_letter_queue(rule.app_name)),
            recurrence=recurrence,
            anchor_at=anchor_at,
        )

    def _deletes(self, count: int, *, beyond: int = 0) -> list[Operation]:
        """Deletes of the schedules numbered from `beyond` up to, not including, `count`."""
        rule, record = self.rule, self.record
        return [
            DeleteSchedule(rule.app_name, schedule_name(record.table_name, rule.name, record.keys, number))
            for number in range(beyond, count)
        ]

    def _count(self, old: Asked) -> int:
        """How many schedules the old image may have."""
        match old:
            case None:
                return 0
            case Wanted(_, invocations) | WantedSeries(_, invocations):
                return len(invocations)
            case Refusal():
                # It should have none. Should the rule have learnt to raise since, the first at least is found.
                return len(self.rule.action) if isinstance(self.rule.action, tuple) else 1

    def _count_removed(self) -> int:
        """How many schedules to delete at least: a removed item's, also if the rule's code changed since."""
        is_removed = self.record.event_name is EventName.REMOVE
        return int(is_removed and self.rule.attribute in (self.record.old_image or {}))
