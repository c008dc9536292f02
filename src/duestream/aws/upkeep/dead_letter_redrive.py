"""Dead letters on AWS redriven: what each asks for is done first, and whoever asked deletes the letter then.

So a process that dies in between leaves a letter that can be redriven once more: what is delivered by the due function
is then not delivered twice (it knows the letter's id), all else may be.

What an item says now counts more than what was given up. A record or a batch brings its items up to date, as they are
now; a delivery whose item is known to ask for it no longer is refused, unless it is forced.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from duestream.aws.due_work import DueWork, NothingToDoError, still_wanted
from duestream.aws.failures import CallError, Meaning
from duestream.aws.letters import MAX_BODY_BYTES
from duestream.aws.requests import is_carried_by_due_function
from duestream.aws.settings import Settings
from duestream.aws.stack.session import Access, AwsError, told_plainly
from duestream.aws.steady import SteadySchedules
from duestream.aws.upkeep.dead_letter_requests import description_of, redrive_request
from duestream.aws.upkeep.dead_letter_streams import RecordsGoneError, read_batch
from duestream.aws.upkeep.dead_letters import Letter, redrive_name
from duestream.aws.upkeep.group import Group
from duestream.aws.upkeep.keepers import Keeper
from duestream.aws.upkeep.scanning import read_items
from duestream.core.app import App
from duestream.core.batch import coalesce
from duestream.core.dead_letter import record_letter, record_letter_text
from duestream.core.json_text import json_text
from duestream.core.planner import (
    DeadLetterRecord,
    Operation,
    PutSchedule,
    plan,
)
from duestream.core.record import EventName, Item, StreamRecord
from duestream.core.rule import Rule, TableDeclaration
from duestream.core.schedule import Schedule
from duestream.core.why_words import times
from duestream.errors import DeliveryError

#: What became of a letter. ``refused``: it stays, for the reason given.
RedriveEnd = Literal["redriven", "dropped", "refused", "in flight", "gone"]


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of one letter, or would have."""

    id: str
    result: RedriveEnd
    reason: str | None = None
    #: ``group/name`` of the schedule that delivers it now.
    schedule: str | None = None
    #: Of the delivery that was given up; on AWS nobody knows it.
    delivery_id: str | None = None


class Redriver:
    """Redrives the letters of an app. May be used by several threads.

    Args:
        access: the way to AWS.
        app: as it is now.
        settings: those of the app's functions.
        group: the app's schedule group.
        keeper: brings schedules up to their items.
        now: tells the present moment.
    """

    def __init__(
        self, access: Access, app: App, settings: Settings, group: Group, keeper: Keeper, *, now: Callable[[], datetime]
    ) -> None:
        self._access, self._app, self._settings, self._group, self._keeper = access, app, settings, group, keeper
        self._now = now
        self._rules = threading.Lock()  # a user's code, which need not bear threads
        self._steady = SteadySchedules(
            group.schedules,
            group.patience,
            execution_role_arn=settings.execution_role_arn,
            when_due_arn=settings.when_due_function_arn,
            now=now,
        )

    def redrive(self, letter: Letter, *, dry_run: bool = False, force: bool = False) -> Redriven:
        """Deliver, or plan, what a letter is about once more. The letter itself stays where it is.

        Args:
            letter: held by us.
            dry_run: only say what would become of it.
            force: deliver it also if its item asks for it no longer.
        """
        try:
            if letter.form == "record":
                return self._record(letter, dry_run=dry_run)
            if letter.form == "batch":
                return self._batch(letter, dry_run=dry_run, force=force)
            if letter.work is not None:
                return self._due_work(letter, letter.work, dry_run=dry_run, force=force)
            if letter.form == "delivery":
                return self._delivery(letter, dry_run=dry_run, force=force)
        except (AwsError, CallError) as error:
            return _refused(letter, str(error))
        return _refused(letter, "nobody knows how to deliver it: it can only be dropped")

    # The due function's ----------------------------------------------------------------------------------

    def _due_work(self, letter: Letter, work: DueWork, *, dry_run: bool, force: bool) -> Redriven:
        """Have the due function make the delivery once more, with the item as it is now."""
        rule = self._rule_of(work.table_name, work.rule)
        if rule is None:
            return _refused(letter, f"the app has no rule {work.rule} on table {work.table_name}")
        again = replace(work, attempt=1, failure=None, redrive=letter.message_id)
        if (letter.form == "crashed" and self._is_delivered(work)) or self._is_delivered(again):
            return Redriven(letter.message_id, "dropped", "it has been delivered since")
        image = next(iter(read_items(self._access, work.table_name, [work.key])), None)
        try:
            with self._rules:
                still_wanted(rule, work, image, self._settings.place)
        except NothingToDoError as nothing:
            if not force:
                return _refused(letter, f"{nothing}; --force delivers it all the same")
            return self._forced(letter, str(nothing), dry_run=dry_run)
        except DeliveryError as error:
            return _refused(letter, error.message)
        if not dry_run:
            with told_plainly(self._access):
                self._access.client("lambda").invoke(
                    FunctionName=self._settings.when_due_function_arn,
                    InvocationType="Event",
                    Payload=json_text(again.lambda_event()).encode(),
                )
        schedule = f"{self._app.name}/{work.schedule}"
        return Redriven(letter.message_id, "redriven", "the due function has it", schedule)

    def _forced(self, letter: Letter, why: str, *, dry_run: bool) -> Redriven:
        """Send the request of the letter without the due function, which would not for such an item."""
        if letter.form == "crashed" or letter.attributes["TARGET_ARN"].endswith(":aws-sdk:lambda:invoke"):
            return _refused(letter, f"{why}, and there is no request in it that could be sent without the item")
        return self._send(letter, redrive_name(letter.message_id), None, dry_run=dry_run)

    def _is_delivered(self, work: DueWork) -> bool:
        with told_plainly(self._access):
            answer = self._access.client("dynamodb").get_item(
                TableName=self._settings.deliveries_table, Key={"id": {"S": work.identity}}, ConsistentRead=True
            )
        return bool(answer.get("Item", {}).get("outcome", {}).get("S") == "delivered")

    # Scheduler's -----------------------------------------------------------------------------------------

    def _delivery(self, letter: Letter, *, dry_run: bool, force: bool) -> Redriven:
        """Have EventBridge Scheduler send the request once more, by a schedule that is due now."""
        rule = next((rule for rule in self._app.rules if rule.name == letter.rule), None)
        name = letter.schedule_name
        if letter.rule is not None and rule is None and not force:
            return _refused(letter, f"the app has no rule {letter.rule}; --force delivers it all the same")
        if rule is None or rule.repeats is not None:
            return self._send(letter, redrive_name(letter.message_id), rule, dry_run=dry_run)
        standing = self._group.get(name)
        if standing is None:
            return self._send(letter, name, rule, dry_run=dry_run)
        if standing.get("Description") == description_of(letter):  # we were here, and the letter was not deleted
            return Redriven(letter.message_id, "redriven", "it is under way", f"{self._group.name}/{name}")
        # When exactly AWS deletes a schedule that it gave up is not documented: it may be the letter's own.
        is_its_own = standing["ScheduleExpression"] == f"at({letter.attributes.get('SCHEDULED_TIME', '')[:19]})"
        if not force and not is_its_own:
            return _refused(
                letter,
                f"the item has changed since: what it says now stands as {standing['ScheduleExpression']}; --force "
                "delivers it all the same",
            )
        return self._send(letter, redrive_name(letter.message_id), rule, dry_run=dry_run)

    def _send(self, letter: Letter, name: str, rule: Rule | None, *, dry_run: bool) -> Redriven:
        request = redrive_request(letter, name, rule, app_name=self._app.name, settings=self._settings, now=self._now())
        if isinstance(request, str):
            return _refused(letter, request)
        ended = Redriven(letter.message_id, "redriven", schedule=f"{self._group.name}/{name}")
        if dry_run:
            return ended
        try:
            self._group.made(lambda seconds: self._group.schedules.create(request, seconds=seconds))
        except CallError as error:
            if error.meaning is not Meaning.CONFLICT:
                raise
            if name != redrive_name(letter.message_id):
                return _refused(letter, "its item was written in this moment: try again")
        return ended

    # Stream records --------------------------------------------------------------------------------------

    def _record(self, letter: Letter, *, dry_run: bool) -> Redriven:
        """Plan the record by its rule as it is now, and bring its item up to date."""
        content = letter.content
        said = content["record"]
        table, rule = self._table(str(said["tableName"])), self._rule_of(str(said["tableName"]), str(content["rule"]))
        if table is None or rule is None or content["app"] != self._app.name:
            return _refused(letter, f"the app has no rule {content['rule']} on table {said['tableName']}")
        key = said["keys"]
        image = next(iter(read_items(self._access, table.name, [key])), None)
        is_as_it_was = image is not None and said.get("newImage", image) == image  # cut: nobody knows
        operations = self._planned(content, image, rule) if image is not None and is_as_it_was else []
        refusal = next((one for one in operations if isinstance(one, DeadLetterRecord)), None)
        if refusal is not None:
            return _refused(letter, f"{refusal.kind}: {refusal.reason}")
        if not dry_run:
            self._bring_up_to_date(table, {_text(key): image}, operations)
        if image is None:
            return Redriven(letter.message_id, "dropped", "the item is gone")
        if not is_as_it_was:
            return Redriven(letter.message_id, "dropped", "the item has changed since; its newer records count")
        return Redriven(letter.message_id, "redriven", None if operations else "the rule asks for nothing now")

    def _planned(self, content: Mapping[str, Any], image: Item, rule: Rule) -> Sequence[Operation]:
        """What a record's rule asks for. What was past already when it was written is delivered, unless it had been
        delivered before that."""
        said = content["record"]
        record = StreamRecord(
            table_name=rule.table.name,
            event_name=EventName.INSERT,  # what an older image had was deleted when the record was dead-lettered
            keys=said["keys"],
            old_image=None,
            new_image=image,
            sequence_number=str(said.get("sequenceNumber", "0")),
            created_at=_written_at(said),
        )
        # Put aside for somebody to decide; redriving is to decide for it.
        delivering = (
            replace(rule, past_due="deliver", max_lateness=timedelta.max) if rule.past_due == "dead_letter" else rule
        )
        now, place = self._now(), self._settings.place
        with self._rules:
            operations = plan(record, [delivering], now=now, place=place)
            if content["kind"] == "past due" or said.get("eventName") == EventName.INSERT:
                return operations
            old_image = said.get("oldImage")
            late: set[str] = set()
            if isinstance(old_image, dict):
                modified = replace(record, event_name=EventName.MODIFY, old_image=old_image)
                late = {one.schedule.name for one in _late(plan(modified, [delivering], now=now, place=place))}
        before = {one.schedule.name for one in _late(operations)} - late
        return [one for one in operations if not (isinstance(one, PutSchedule) and one.schedule.name in before)]

    def _batch(self, letter: Letter, *, dry_run: bool, force: bool) -> Redriven:
        """Read the records once more, and carry out what those ask for that are their items' last."""
        batch = letter.content["DDBStreamBatchInfo"]
        table = self._table(str(letter.table))
        if table is None:
            return _refused(letter, f"the app has no rules on table {letter.table}")
        try:
            records = read_batch(self._access, batch)
        except RecordsGoneError as gone:
            return _refused(letter, f"{gone}. `duestream reconcile --repair` mends what it left; then drop it")
        coalesced = coalesce(records)
        keys = [record.keys for record in coalesced]
        items = {_text(_key_of(table, item)): item for item in read_items(self._access, table.name, keys)}
        as_it_was = {_text(record.keys): items.get(_text(record.keys)) for record in coalesced}
        asked = [
            operation
            for record in coalesced
            if as_it_was[_text(record.keys)] == record.new_image  # otherwise newer records count
            for operation in self._plan(record, self._app.rules_of(table.name))
        ]
        doubtful = 0 if len(records) == batch.get("batchSize") else len(self._unmarked(asked))
        if doubtful and not force:
            return _refused(
                letter,
                f"its place in the stream has {len(records)} records, and the batch had {batch.get('batchSize')} of "
                f"them; {doubtful} of their deliveries have become due since, and nobody knows which were made. --force "
                "makes them all; or drop it after `duestream reconcile --repair`",
            )
        undigested = [one for one in asked if isinstance(one, DeadLetterRecord)]
        if not dry_run:
            for undigestible in undigested:  # letters of their own, as the stream function would have sent
                self._send_record(undigestible)
            self._bring_up_to_date(table, as_it_was, asked)
        told = f"{times(len(records), 'record')} of {times(len(keys), 'item')}, up to date now"
        if undigested:
            told += f"; rules cannot digest {len(undigested)}, which are letters of their own now"
        return Redriven(letter.message_id, "redriven", told)

    def _plan(self, record: StreamRecord, rules: Sequence[Rule]) -> list[Operation]:
        with self._rules:
            return plan(record, rules, now=self._now(), place=self._settings.place)

    def _unmarked(self, asked: Sequence[Operation]) -> list[Schedule]:
        """What has become due, and is not made by the due function, which knows what it has made.

        A mapping with several invocations to a shard, or a filter, leaves records between a batch's first and last
        that were handled well.
        """
        now = self._now()
        due = [one.schedule for one in asked if isinstance(one, PutSchedule) and one.schedule.due_at <= now]
        return [
            schedule
            for schedule in due
            if schedule.recurrence is None
            and not is_carried_by_due_function(schedule, self._rule_of(schedule.table_name, schedule.rule))
        ]

    def _bring_up_to_date(
        self, table: TableDeclaration, as_it_was: Mapping[str, Item | None], asked: Sequence[Operation]
    ) -> None:
        """Have items' schedules as they ask for them now, and deliver what was to be delivered meanwhile.

        Args:
            table: the items'.
            as_it_was: the items that were planned, by the texts of their keys.
            asked: what was planned.

        Raises:
            Error: it is not known to be done.
        """
        keys: list[Item] = [json.loads(text) for text in as_it_was]
        self._keeper.look_again(table, keys, mend=True)
        for put in asked:  # what is ahead is there now
            if isinstance(put, PutSchedule) and put.schedule.recurrence is None and put.schedule.due_at <= self._now():
                rule = self._rule_of(put.schedule.table_name, put.schedule.rule)
                self._group.turn()
                self._steady.put(put.schedule, rule, deadline=self._group.deadline())
        as_it_is = {_text(_key_of(table, item)): item for item in read_items(self._access, table.name, keys)}
        changed = [key for key in keys if as_it_is.get(_text(key)) != as_it_was[_text(key)]]
        if changed:
            self._keeper.look_again(table, changed, mend=True)

    def _send_record(self, undigestible: DeadLetterRecord) -> None:
        with told_plainly(self._access):
            self._access.client("sqs").send_message(
                QueueUrl=self._settings.stream_dead_letter_queue_url,
                MessageBody=record_letter_text(record_letter(undigestible), limit_bytes=MAX_BODY_BYTES),
            )

    def _rule_of(self, table_name: str, name: str) -> Rule | None:
        return next((rule for rule in self._app.rules_of(table_name) if rule.name == name), None)

    def _table(self, name: str) -> TableDeclaration | None:
        return next((table.declaration for table in self._app.tables if table.name == name), None)


def _refused(letter: Letter, reason: str) -> Redriven:
    return Redriven(letter.message_id, "refused", reason)


def _late(operations: Sequence[Operation]) -> list[PutSchedule]:
    """Those that were past due when their record was written."""
    return [one for one in operations if isinstance(one, PutSchedule) and one.is_past_due]


def _written_at(said: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(said["writtenAt"])
    except (KeyError, TypeError, ValueError):
        return None


def _key_of(table: TableDeclaration, item: Item) -> Item:
    return {name: item[name] for name in (table.partition_key, table.sort_key) if name is not None}


def _text(key: Item) -> str:
    return json.dumps(key, sort_keys=True)
