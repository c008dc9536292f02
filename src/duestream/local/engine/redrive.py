"""Dead letters redriven or dropped: each letter leaves its queue in the transaction of what becomes of it.

So a letter that is redriven twice at once is redriven once, and one that is in flight (somebody received it through
SQS) is left to who has it. A delivery becomes a one-time schedule that is due now, with the request of the letter
and the retry policy anew. A stream record is planned again, by the rule as it is now. A message that SQS took out of
another queue goes back there.

What an item says now counts more than what was given up: a record whose item has changed since is dropped, as the
newer records have been planned; a rule's delivery whose item is gone, or has a newer schedule of that rule, is
refused unless it is forced.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from duestream.clock import Clock, from_ms
from duestream.core.planner import DeadLetterRecord, Operation
from duestream.core.record import EventName, StreamRecord
from duestream.core.rule import Rule
from duestream.core.schedule import Place, at_expression
from duestream.errors import ServiceError, ValidationException
from duestream.local.engine import counts
from duestream.local.engine.call import service_and_action
from duestream.local.engine.letter_box import FoundLetter, find_letter, moment, redrive_name
from duestream.local.engine.poller import Poller
from duestream.local.store import (
    dead_letters,
    items,
    messages,
    move_tasks,
    queues,
    schedule_groups,
    schedules,
    streams,
    tables,
)
from duestream.local.store.schedules import ItemIdentity
from duestream.local.store.store import Store
from duestream.local.store.streams import decode_image
from duestream.local.store.writer import Transaction

logger = logging.getLogger("duestream.flow")

#: What became of a letter. ``refused``: it stays, for the reason given. ``gone``: there is none of that number.
RedriveEnd = Literal["redriven", "dropped", "refused", "in flight", "gone"]


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of one letter, or would have, without its being done."""

    id: str
    result: RedriveEnd
    reason: str | None = None
    #: ``group/name`` of the schedule that delivers it now.
    schedule: str | None = None
    #: Of the delivery that was given up; None: a stream record, or nobody knows.
    delivery_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Replanned:
    """What a record asks for now, if its item still is what was looked at."""

    record: StreamRecord
    operations: Sequence[Operation]
    item: ItemIdentity
    image: bytes


class Redriver:
    """Takes letters out of their queues.

    Args:
        poller: of the app that is loaded; None: there is none, so rules' letters stay.
    """

    def __init__(self, store: Store, clock: Clock, place: Place, poller: Poller | None) -> None:
        self._store, self._clock, self._place, self._poller = store, clock, place, poller

    async def redrive(self, named: str, *, dry_run: bool = False, force: bool = False) -> Redriven:
        """Deliver, or plan, one letter again.

        Args:
            named: its number, or its SQS MessageId.
            dry_run: only say what would become of it.
            force: deliver it also if its item is gone or has a newer schedule.
        """
        letter = find_letter(self._store.reader, named)
        replanned: _Replanned | Redriven | None = None
        if letter is not None and letter.kind == "record":
            replanned = await self._replan(named, letter)

        def carry_out(tx: Transaction) -> Redriven:
            present = _waiting(tx, named, self._clock.now_ms())
            if isinstance(present, Redriven):
                return present
            if present.kind == "delivery":
                return self._redrive_delivery(tx, named, present, dry_run=dry_run, force=force)
            if present.kind == "message":
                return self._move_back(tx, named, present, dry_run=dry_run)
            if not isinstance(replanned, _Replanned):
                assert replanned is not None, "a letter does not change its kind"
                return self._put_away(tx, present, replanned, dry_run=dry_run)
            return self._redrive_record(tx, named, present, replanned, dry_run=dry_run)

        ended = await self._store.write(carry_out)
        if not dry_run:
            _log(ended)
        return ended

    async def drop(self, named: str, *, dry_run: bool = False) -> Redriven:
        """Delete one letter."""

        def carry_out(tx: Transaction) -> Redriven:
            letter = _waiting(tx, named, self._clock.now_ms())
            if isinstance(letter, Redriven):
                return letter
            return self._put_away(tx, letter, Redriven(named, "dropped", "dropped by hand"), dry_run=dry_run)

        ended = await self._store.write(carry_out)
        if not dry_run:
            _log(ended)
        return ended

    def _put_away(self, tx: Transaction, letter: FoundLetter, ended: Redriven, *, dry_run: bool) -> Redriven:
        """Take the letter out of its queue, if it has come to an end."""
        if ended.result not in ("redriven", "dropped") or dry_run:
            return ended
        now_ms = self._clock.now_ms()
        messages.remove_message(tx, letter.message, now_ms=now_ms)
        if ended.result == "redriven" and letter.kind != "message":  # that is no delivery of a schedule's
            group_name = ended.schedule.partition("/")[0] if ended.schedule else str(letter.content["app"])
            counts.redriven(tx, group_name, now_ms)
        if letter.kept is not None:
            what = ended.schedule if ended.schedule is not None else ended.reason or ""
            end: dead_letters.LetterEnd = "redriven" if ended.result == "redriven" else "dropped"
            dead_letters.end_letter(tx, letter.kept.id, end, what, now_ms=now_ms)
            return replace(ended, delivery_id=letter.kept.delivery_id)
        return ended

    # Deliveries ----------------------------------------------------------------------------------------

    def _redrive_delivery(
        self, tx: Transaction, named: str, letter: FoundLetter, *, dry_run: bool, force: bool
    ) -> Redriven:
        kept, now_ms = letter.kept, self._clock.now_ms()
        target = _target_of(tx, letter)
        problem = target if isinstance(target, str) else self._problem(tx, letter, force=force)
        if isinstance(target, str) or problem is not None:
            return Redriven(named, "refused", problem)
        group_name, _, name = _schedule_of(letter).partition("/")
        group = schedule_groups.get_group(tx, group_name)
        if group is None or group.state != "ACTIVE":
            group = schedule_groups.put_group(
                tx, schedule_groups.DEFAULT_GROUP, region=self._place.region, now_ms=now_ms
            )
        if kept is None or kept.rule is None or schedules.get_schedule(tx, group.name, name) is not None:
            name = redrive_name(letter.id)
        ended = Redriven(named, "redriven", schedule=f"{group.name}/{name}")
        if dry_run:
            return ended
        schedules.put_schedule(
            tx,
            group_id=group.id,
            group_name=group.name,
            name=name,
            state="ENABLED",
            due_at_ms=now_ms,
            body={
                "ScheduleExpression": at_expression(from_ms(now_ms)),
                "ScheduleExpressionTimezone": "UTC",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "ActionAfterCompletion": "DELETE",
                "Description": _description(letter),
                "Target": target,
            },
            now_ms=now_ms,
            rule=None if kept is None else kept.rule,
            item=None if kept is None else kept.item,
            redrives=_delivery_of(letter),
        )
        return self._put_away(tx, letter, ended, dry_run=False)

    def _problem(self, tx: Transaction, letter: FoundLetter, *, force: bool) -> str | None:
        """Why a rule's delivery is better not made again."""
        kept = letter.kept
        if kept is None or kept.rule is None or kept.item is None:
            return None
        if self._poller is None or not self._poller.owns(kept.schedule_group, kept.rule):
            return f"the app that is loaded has no rule {kept.rule}"
        table = tables.get_table_by_id(tx.connection, kept.item.table_id)
        if table is None:
            return "the item's table is gone"
        if force:
            return None
        key = (kept.item.partition_key, kept.item.sort_key)
        if items.get_stored_item(tx.connection, table, key) is None:
            return "the item is gone"
        is_one_time = str(kept.content.get("ScheduleExpression", "at(")).startswith("at(")
        newer = schedules.get_schedule(tx, kept.schedule_group, kept.schedule_name) if is_one_time else None
        if newer is not None and newer.due_at_ms is not None:
            return f"the item has changed since: what it says now is due at {moment(newer.due_at_ms)}"
        return None

    # Messages of other queues --------------------------------------------------------------------------

    def _move_back(self, tx: Transaction, named: str, letter: FoundLetter, *, dry_run: bool) -> Redriven:
        """Send the message to the queue that it was moved out of, as SQS's own message move tasks do."""
        name, now_ms = str(letter.source_queue), self._clock.now_ms()
        source = queues.get_queue(tx.connection, name)
        if source is None:
            return Redriven(named, "refused", f"its queue {name} is gone")
        if not dry_run:
            move_tasks.move_message(tx, letter.message, source, now_ms=now_ms)
        return Redriven(named, "redriven", f"it is in queue {name} again")

    # Stream records ------------------------------------------------------------------------------------

    async def _replan(self, named: str, letter: FoundLetter) -> _Replanned | Redriven:
        """What the record's rule, as it is now, makes of its item, if that is still as the record says."""
        poller, content = self._poller, letter.content
        said = content["record"]
        rule = None if poller is None else poller.rule_of(str(said["tableName"]), str(content["rule"]))
        if poller is None or rule is None or rule.app_name != content["app"]:
            return Redriven(named, "refused", f"the app that is loaded has no rule {content['rule']}")
        if not isinstance(said.get("newImage"), dict):
            return Redriven(named, "refused", "its images were cut to fit into the queue: write the item anew instead")
        found = self._unchanged_item(said)
        if isinstance(found, str):
            return Redriven(named, "dropped", found)
        image, item = found
        record = StreamRecord(
            table_name=rule.table.name,
            event_name=EventName.INSERT,  # what an older image had was deleted when the record was dead-lettered
            keys=said["keys"],
            old_image=None,
            new_image=said["newImage"],
            sequence_number=str(said.get("sequenceNumber", "")),
            created_at=_written_at(said),
        )
        operations = await poller.plan_again(record, _delivering_what_is_past(rule))
        refusal = next((one for one in operations if isinstance(one, DeadLetterRecord)), None)
        if refusal is not None:
            return Redriven(named, "refused", f"{refusal.kind}: {refusal.reason}")
        return _Replanned(record, operations, item, image)

    def _unchanged_item(self, said: dict[str, Any]) -> tuple[bytes, ItemIdentity] | str:
        """The record's item as it is stored, if it is what the record says; else why the record counts no more."""
        reader = self._store.reader
        table = tables.get_table(reader, str(said["tableName"]))
        if table is None:
            return "the item's table is gone"
        try:
            key = items.key_of_key(table, said["keys"])
        except ValidationException:
            return "the table has another key now"
        image = items.get_item(reader, table, said["keys"])
        if image is None:
            return "the item is gone"
        sequence = streams.parse_sequence_number(str(said.get("sequenceNumber", "")))
        newer = None if sequence is None else streams.last_record_of_item(reader, sequence, table.id, key)
        if newer is not None or decode_image(image) != said["newImage"]:
            return "the item has changed since; its newer records count"
        return image, ItemIdentity(table.id, *key)

    def _redrive_record(
        self, tx: Transaction, named: str, letter: FoundLetter, replanned: _Replanned, *, dry_run: bool
    ) -> Redriven:
        item = replanned.item
        table = tables.get_table_by_id(tx.connection, item.table_id)
        image = None if table is None else items.get_item(tx.connection, table, replanned.record.keys)
        if image != replanned.image:
            return Redriven(named, "refused", "the item was written in this moment: try again")
        kept = letter.kept
        schedule = None if kept is None else f"{kept.schedule_group}/{kept.schedule_name}"
        ended = Redriven(named, "redriven", None if replanned.operations else "the rule asks for nothing now", schedule)
        if dry_run:
            return ended
        assert self._poller is not None
        self._poller.carry_out_again(tx, replanned.record, replanned.operations, item)
        return self._put_away(tx, letter, ended, dry_run=False)


def _waiting(tx: Transaction, named: str, now_ms: int) -> FoundLetter | Redriven:
    """The letter, if it waits in its queue."""
    letter = find_letter(tx.connection, named)
    if letter is None:
        return Redriven(named, "gone", "there is no such dead letter in a queue")
    if letter.state(now_ms) == "in flight":
        visible_at = moment(letter.message.visible_at_ms)
        return Redriven(named, "in flight", f"somebody received it; it is visible again at {visible_at}")
    return letter


def _target_of(tx: Transaction, letter: FoundLetter) -> dict[str, Any] | str:
    """The target with the request of the letter; or why there is none."""
    kept = letter.kept
    if kept is not None:
        target: dict[str, Any] = kept.content["Target"]
        return target
    if letter.attribute("IS_PAYLOAD_TRUNCATED") == "true":
        return "its request was cut to fit into the queue, and the whole one is not kept here"
    arn = str(letter.attribute("TARGET_ARN"))
    try:
        service_and_action(arn)
    except ServiceError as error:
        return error.message
    queue = queues.get_queue(tx.connection, letter.queue_name)
    assert queue is not None
    return {"Arn": arn, "Input": letter.message.body, "DeadLetterConfig": {"Arn": queue.arn}}


def _schedule_of(letter: FoundLetter) -> str:
    """``group/name`` of the schedule whose delivery was given up."""
    if letter.kept is not None:
        return f"{letter.kept.schedule_group}/{letter.kept.schedule_name}"
    return str(letter.attribute("SCHEDULE_ARN")).rpartition(":schedule/")[2]


def _delivery_of(letter: FoundLetter) -> str:
    if letter.kept is not None and letter.kept.delivery_id is not None:
        return letter.kept.delivery_id
    return f"of dead letter {letter.message.message_id}"


def _description(letter: FoundLetter) -> str:
    due_at = letter.attribute("SCHEDULED_TIME")
    return f"Redrives delivery {_delivery_of(letter)} of {_schedule_of(letter)}, due at {due_at}"[:512]


def _written_at(said: dict[str, Any]) -> datetime | None:
    text = said.get("writtenAt")
    try:
        return None if text is None else datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _delivering_what_is_past(rule: Rule) -> Rule:
    """A record whose due time was past was put aside for somebody to decide; redriving it is to deliver it."""
    return replace(rule, past_due="deliver", max_lateness=timedelta.max) if rule.past_due == "dead_letter" else rule


def _log(ended: Redriven) -> None:
    if ended.result in ("redriven", "dropped"):
        action = "redrive" if ended.result == "redriven" else "drop_letter"
        facts = {"schedule": ended.schedule, "reason": ended.reason, "delivery_id": ended.delivery_id}
        logger.info("dead letter %s", ended.result, extra={"action": action, "letter": ended.id, **facts})
