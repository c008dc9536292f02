"""Why an item was, was not, or will be delivered on AWS: what each rule says of it now, and what is on record.

Reads only; but SQS counts the look through the dead letters as a receive. EventBridge Scheduler tells neither of
attempts nor of what it delivered, so that much stays unknown, and is said to be.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from duestream.aws.due_work import DueWork
from duestream.aws.requests import is_carried_by_due_function
from duestream.aws.settings import Settings
from duestream.aws.stack.session import Access, AwsError, told_plainly
from duestream.aws.upkeep.dead_letter_queues import DeadLetterQueues, Look
from duestream.aws.upkeep.dead_letters import Letter, facts_of
from duestream.aws.upkeep.explaining_words import sentences
from duestream.aws.upkeep.group import Group
from duestream.aws.upkeep.keepers import Finding, Keeper
from duestream.aws.upkeep.scanning import read_items
from duestream.clock import from_ms, to_ms
from duestream.core.app import App
from duestream.core.evaluation import evaluate
from duestream.core.expected import expected_of
from duestream.core.json_text import moment_text
from duestream.core.key_text import read_key
from duestream.core.record import Item
from duestream.core.rule import MAX_TARGETS, Rule, TableDeclaration
from duestream.core.schedule import Schedule, schedule_name
from duestream.core.schedule_expression import OneTime, next_occurrence, parse_schedule_expression


class AwsExplainer:
    """Tells of one item of an app on AWS.

    Args:
        access: the way to AWS.
        app: as it is now.
        settings: those of the app's functions.
        group: the app's schedule group.
        keeper: holds the item against its schedules.
        queues: the app's dead letters.
        now: tells the present moment.
    """

    def __init__(
        self,
        access: Access,
        app: App,
        settings: Settings,
        group: Group,
        keeper: Keeper,
        queues: DeadLetterQueues,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._access, self._app, self._settings, self._group = access, app, settings, group
        self._keeper, self._queues, self._now = keeper, queues, now

    def explain(self, table_name: str, text: str) -> dict[str, Any]:
        """Everything that is known of an item and its rules, under the names that a duestream server says it.

        Args:
            table_name: the item's table.
            text: the key as JSON, or ``PK=..,SK=..``, or the partition key's bare value.

        Raises:
            ValidationException: it is no key of the table's.
            AwsError: AWS cannot be asked.
        """
        now = self._now()
        facts: dict[str, Any] = {"table": table_name, "now": moment_text(now), "known": False, "rules": []}
        types = self._key_types(table_name)
        if types is None:
            return facts | {"says": [f"There is no table {table_name} ({self._access.where})."]}
        key = read_key(text, types, table_name=table_name)
        image = next(iter(read_items(self._access, table_name, [key])), None)
        table = next((table.declaration for table in self._app.tables if table.name == table_name), None)
        rules = self._app.rules_of(table_name)
        findings = [] if table is None else self._findings(table, rules, key)
        names = {schedule_name(table_name, rule.name, key, number) for rule in rules for number in range(MAX_TARGETS)}
        with self._queues.look(lambda letter: _is_about(letter, table_name, key, names)) as look:
            told = [self._rule(rule, key, image, look.letters, findings, now) for rule in rules]
            batches = sum(letter.form == "batch" for letter in look.letters)
            facts |= {"key": key, "item": image, "says": self._says(image, table, told, look, batches)}
        facts["known"] = image is not None or any(rule["schedules"] for rule in told)
        if not facts["known"]:
            facts["says"].insert(0, "Nothing is known of such an item: it is not there, and it has left no trace.")
        now_ms = to_ms(now)
        facts["rules"] = [{**rule, "says": sentences(rule, now_ms=now_ms)} for rule in told]
        return facts

    def _says(
        self,
        image: Item | None,
        table: TableDeclaration | None,
        told: Sequence[Mapping[str, Any]],
        look: Look,
        batches: int,
    ) -> list[str]:
        says = []
        if image is None and any(rule["schedules"] for rule in told):
            says.append("The item is not there; what is told is what it left.")
        if table is None or not told:
            says.append(f"No rule of {self._app.name} watches this table.")
        if batches:
            says.append(
                f"The stream function failed on {batches} batch{'' if batches == 1 else 'es'} of this table's records, "
                "and the item may be in it: `duestream dead-letters list --kind record`."
            )
        if look.in_flight:
            says.append(f"About {look.in_flight} dead letters are held by somebody else, and were not looked at.")
        if look.is_cut_off:
            says.append("There are more dead letters than were looked at.")
        return says

    def _key_types(self, table_name: str) -> dict[str, str] | None:
        try:
            with told_plainly(self._access):
                shown = self._access.client("dynamodb").describe_table(TableName=table_name)["Table"]
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        types = {one["AttributeName"]: one["AttributeType"] for one in shown["AttributeDefinitions"]}
        names = sorted(shown["KeySchema"], key=lambda one: one["KeyType"] != "HASH")
        return {one["AttributeName"]: types[one["AttributeName"]] for one in names}

    def _findings(self, table: TableDeclaration, rules: Sequence[Rule], key: Item) -> Sequence[Finding]:
        if all(rule.via is not None for rule in rules):
            return ()
        return self._keeper.look_again(table, [key], mend=False).findings

    def _rule(
        self,
        rule: Rule,
        key: Item,
        image: Item | None,
        letters: Sequence[Letter],
        findings: Sequence[Finding],
        now: datetime,
    ) -> dict[str, Any]:
        said = evaluate(rule, image, self._settings.place)
        wanted = () if image is None or rule.via is not None else self._wanted(rule, image, now)
        count = len(said.get("targets", ()))
        traces: list[dict[str, Any]] = []
        for number in range(MAX_TARGETS):
            name = schedule_name(rule.table.name, rule.name, key, number)
            schedule = next((one for one in wanted if one.name == name), None)
            trace = self._trace(name, schedule, rule, letters, now)
            if trace is not None:
                traces.append(trace)
            elif number >= max(count, 1) - 1:
                break
        records = [letter for letter in letters if letter.form == "record" and letter.rule == rule.name]
        if records:
            traces.append(_trace_of(None, None, None, records, now))
        return {
            "rule": rule.name,
            "app": rule.app_name,
            "location": rule.location,
            "attribute": rule.attribute,
            "value": None if image is None else image.get(rule.attribute),
            "offset_seconds": rule.offset.total_seconds(),
            "timezone": rule.timezone,
            "timezone_attribute": rule.timezone_attribute,
            "is_loaded": True,
            "item_says": said,
            "schedules": traces,
            "findings": [
                {"kind": one.kind, "schedule": one.name, "detail": one.detail}
                for one in findings
                if one.rule == rule.name
            ],
        }

    def _wanted(self, rule: Rule, image: Item, now: datetime) -> Sequence[Schedule]:
        expected = expected_of(image, rule.table, [rule], now=now, place=self._settings.place)
        return (*expected.pending, *expected.past)

    def _trace(
        self, name: str, schedule: Schedule | None, rule: Rule, letters: Sequence[Letter], now: datetime
    ) -> dict[str, Any] | None:
        """One schedule of the item; None: there is no trace of it."""
        standing = self._group.get(name)
        ours = [letter for letter in letters if letter.form != "record" and _schedule_of(letter) == name]
        mark = None
        if schedule is not None and schedule.recurrence is None and is_carried_by_due_function(schedule, rule):
            work = DueWork(rule.name, schedule.table_name, schedule.key, schedule.due_at, name)
            mark = self._mark(work)
        if standing is None and not ours and mark is None:
            return None
        return _trace_of(f"{self._group.name}/{name}", standing, mark, ours, now)

    def _mark(self, work: DueWork) -> dict[str, Any] | None:
        """What the due function has put down of a delivery, and when its next attempt is."""
        with told_plainly(self._access):
            answer = self._access.client("dynamodb").get_item(
                TableName=self._settings.deliveries_table, Key={"id": {"S": work.identity}}, ConsistentRead=True
            )
        item = answer.get("Item")
        if item is None:
            return None
        attempt = int(item["attempt"]["N"])
        until = item.get("until", {}).get("N")
        mark = {
            "state": item["state"]["S"],
            "outcome": item.get("outcome", {}).get("S"),
            "attempt": attempt,
            "until": None if until is None else moment_text(from_ms(int(until))),
            "next_attempt_at": None,
        }
        if mark["state"] == "failed":
            again = DueWork(work.rule, work.table_name, work.key, work.due_at, work.schedule, attempt=attempt + 1)
            standing = self._group.get(again.retry_schedule)
            due_at = None if standing is None else _next_due(standing, self._now())
            mark["next_attempt_at"] = None if due_at is None else moment_text(due_at)
        return mark


def _trace_of(
    schedule: str | None,
    standing: Mapping[str, Any] | None,
    mark: Mapping[str, Any] | None,
    letters: Sequence[Letter],
    now: datetime,
) -> dict[str, Any]:
    return {
        "schedule": schedule,
        "pending": None if standing is None else _pending(standing, now),
        "delivery": mark,
        "dead_letters": [{**facts_of(letter, now), "at": moment_text(letter.sent_at)} for letter in letters],
    }


def _pending(standing: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    due_at = _next_due(standing, now)
    return {
        "state": standing.get("State"),
        "expression": standing["ScheduleExpression"],
        "timezone": standing.get("ScheduleExpressionTimezone"),
        "due_at": None if due_at is None else moment_text(due_at),
        "due_at_ms": None if due_at is None else to_ms(due_at),
        "target_arn": standing.get("Target", {}).get("Arn"),
        "description": standing.get("Description"),
    }


def _next_due(standing: Mapping[str, Any], now: datetime) -> datetime | None:
    """When a schedule is due, or was; of a recurring one, when next. None: never again."""
    expression = parse_schedule_expression(
        standing["ScheduleExpression"], standing.get("ScheduleExpressionTimezone") or "UTC"
    )
    if isinstance(expression, OneTime):
        return expression.due_at.astimezone(UTC)
    start = standing.get("StartDate") or standing.get("CreationDate") or now
    return next_occurrence(expression, after=now, start=start, end=standing.get("EndDate"))


def _schedule_of(letter: Letter) -> str:
    """The item's schedule that a letter is of: a retry has a name of its own, but says whose it is."""
    return letter.schedule_name if letter.work is None else letter.work.schedule


def _is_about(letter: Letter, table_name: str, key: Item, names: set[str]) -> bool:
    if letter.form == "batch":
        return letter.table == table_name
    return _schedule_of(letter) in names or (letter.table == table_name and letter.key == key)
