"""Who keeps an app's schedules, and brings them up to its items: EventBridge Scheduler, or a duestream server.

Both are asked the same: look at these items as they are now, say what is missing or different, and mend it if wanted.
A keeper never acts on a snapshot: after each change the item is read again, and what came of a write in between is
done as well.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from duestream.aws.failures import CallError, Meaning
from duestream.aws.requests import next_occurrence_at, schedule_request
from duestream.aws.settings import Settings
from duestream.aws.stack.names import function_name
from duestream.aws.stack.session import Access, AwsError, told_plainly
from duestream.aws.steady import SteadySchedules
from duestream.aws.upkeep.group import Group
from duestream.aws.upkeep.scanning import read_items
from duestream.core.app import App
from duestream.core.expected import Expected, differences, expected_of
from duestream.core.record import Item
from duestream.core.rule import MAX_TARGETS, Rule, TableDeclaration
from duestream.core.schedule import Schedule, schedule_name

Kind = Literal["missing", "different", "orphaned"]
#: How often an item may change while it is looked at before somebody has to look at why.
MAX_LOOKS = 10
#: A one-time schedule that was put just before it is due was put for a few seconds later than that.
NEAR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Finding:
    """A schedule that is not as its item wants it.

    Args:
        kind: ``missing``; ``different``; ``orphaned``: nothing wants it.
        name: the schedule's.
        rule: the rule's.
        table_name: of the item; None: nobody knows whose it was.
        key: of the item; None: nobody knows.
        detail: what is different, or why it is wrong.
        is_mended: it is right now.
    """

    kind: Kind
    name: str
    rule: str
    table_name: str | None
    key: Item | None
    detail: str
    is_mended: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found of some items.

    Args:
        findings: what was wrong.
        counts: of ``items``; of what they want: ``pending``, ``past`` and ``undigested``; of schedules ``made`` and
            ``there``; of items ``changed`` meanwhile.
    """

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]


class Keeper(Protocol):
    """Keeps schedules."""

    def make_missing(self, table: TableDeclaration, items: Sequence[Item], *, dry_run: bool) -> Looked:
        """Make the schedules that are not there; those that are there stay as they are.

        Raises:
            Error: it cannot be done.
        """

    def look_again(self, table: TableDeclaration, keys: Sequence[Item], *, mend: bool) -> Looked:
        """Look at items as they are now, and mend what is missing or different.

        Raises:
            Error: it cannot be done.
        """


class SchedulerKeeper:
    """EventBridge Scheduler.

    Args:
        access: the way to AWS.
        app: whose schedules they are.
        settings: those of the app's functions.
        now: tells the present moment.
        group: the app's schedule group there.
    """

    def __init__(
        self, access: Access, app: App, settings: Settings, group: Group, *, now: Callable[[], datetime]
    ) -> None:
        self._access, self._app, self._settings, self._now = access, app, settings, now
        self._group = group
        self._steady = SteadySchedules(
            group.schedules,
            group.patience,
            execution_role_arn=settings.execution_role_arn,
            when_due_arn=settings.when_due_function_arn,
            now=now,
        )

    def make_missing(self, table: TableDeclaration, items: Sequence[Item], *, dry_run: bool) -> Looked:
        """As `Keeper.make_missing`. Each schedule costs one call; then the items are read again."""
        expected = [self._expected(table, item) for item in items]
        counts = counts_of(expected)
        if dry_run:
            return Looked((), counts)
        outcomes = Counter(self._group.pool.map(self._make, [schedule for one in expected for schedule in one.pending]))
        by_key = {_text(_key_of(table, item)): item for item in items}
        keys = [_key_of(table, item) for item, one in zip(items, expected, strict=True) if one.pending]
        as_it_is = {_text(_key_of(table, item)): item for item in read_items(self._access, table.name, keys)}
        changed = [key for key in keys if as_it_is.get(_text(key)) != by_key[_text(key)]]
        if changed:  # what was just made may be what the item wanted before: no stale snapshot is left behind
            self.look_again(table, changed, mend=True)
        return Looked((), {**counts, **outcomes, "changed": len(changed)})

    def look_again(self, table: TableDeclaration, keys: Sequence[Item], *, mend: bool) -> Looked:
        """As `Keeper.look_again`. Each schedule that is wanted costs a call, and each rule one more."""
        found = {_text(_key_of(table, item)): item for item in read_items(self._access, table.name, keys)}
        looks = self._group.pool.map(lambda key: self._look(table, key, found.get(_text(key)), mend=mend), keys)
        findings = [finding for look in looks for finding in look]
        return Looked(tuple(findings), {"items": len(found)})

    def _differences(self, schedule: Schedule, found: Mapping[str, Any]) -> list[str]:
        names = differences(self._request(schedule), found)
        if schedule.recurrence is None and schedule.due_at - self._now() < NEAR:
            names = [name for name in names if name != "ScheduleExpression"]
        return names

    def _expected(self, table: TableDeclaration, item: Item) -> Expected:
        return expected_of(item, table, self._app.rules, now=self._now(), place=self._settings.place)

    def _request(self, schedule: Schedule, now: datetime | None = None) -> dict[str, Any]:
        return schedule_request(
            schedule,
            rule=self._rule_of(schedule),
            execution_role_arn=self._settings.execution_role_arn,
            when_due_arn=self._settings.when_due_function_arn,
            now=now,
        )

    def _rule_of(self, schedule: Schedule) -> Rule:
        return next(rule for rule in self._app.rules_of(schedule.table_name) if rule.name == schedule.rule)

    def _make(self, schedule: Schedule) -> str:
        """Create it if it is not there."""
        if schedule.recurrence is not None and next_occurrence_at(schedule, self._now()) is None:
            return "past"
        try:
            self._group.made(
                lambda seconds: self._group.schedules.create(self._request(schedule, self._now()), seconds=seconds)
            )
        except CallError as error:
            if error.meaning is Meaning.CONFLICT:
                return "there"
            raise
        return "made"

    def _look(self, table: TableDeclaration, key: Item, item: Item | None, *, mend: bool) -> list[Finding]:
        """Hold one item against its schedules, until it stays the same while that is done."""
        found: dict[tuple[str, str], Finding] = {}
        for _ in range(MAX_LOOKS):
            for finding in self._look_once(table, key, item, mend=mend):
                found[finding.kind, finding.name] = finding
            if not mend:
                break
            as_it_is = next(iter(read_items(self._access, table.name, [key])), None)
            if as_it_is == item:
                break
            item = as_it_is
        else:
            raise AwsError(
                f"item {_text(key)} of table {table.name} changed {MAX_LOOKS} times while it was looked at",
                remedy="Run it again when less is written.",
            )
        return list(found.values())

    def _look_once(self, table: TableDeclaration, key: Item, item: Item | None, *, mend: bool) -> Iterator[Finding]:
        expected = Expected((), (), ()) if item is None else self._expected(table, item)
        for schedule in expected.pending:
            standing = self._group.get(schedule.name)
            detail = "" if standing is None else ", ".join(self._differences(schedule, standing))
            if standing is not None and not detail:
                continue
            if mend:
                self._group.turn()
                self._steady.put(
                    schedule, self._rule_of(schedule), deadline=self._group.deadline(), is_there=standing is not None
                )
            kind: Kind = "missing" if standing is None else "different"
            yield Finding(kind, schedule.name, schedule.rule, table.name, key, detail or "not there", mend)
        wanted = Counter(schedule.rule for schedule in (*expected.pending, *expected.past))
        unread = {letter.rule.name for letter in expected.undigested}  # what the item wants of them, nobody knows
        for rule in self._app.rules_of(table.name):
            if rule.via is None and rule.name not in unread:
                yield from self._surplus(rule, key, wanted[rule.name], mend=mend)

    def _surplus(self, rule: Rule, key: Item, count: int, *, mend: bool) -> Iterator[Finding]:
        """Schedules of the item beyond those that it wants."""
        for number in range(count, MAX_TARGETS):
            name = schedule_name(rule.table.name, rule.name, key, number)
            if self._group.get(name) is None:
                return
            if mend:
                self._group.delete(name)
            yield Finding("orphaned", name, rule.name, rule.table.name, key, "the item does not want it", mend)


def settings_of_deployed(access: Access, app: App) -> Settings:
    """What the app's functions were told when it was deployed; of an app that only sweeps, its sweep function.

    Raises:
        AwsError: the app is not deployed there, or AWS cannot be asked.
    """
    for part in ("stream", "sweep"):
        try:
            with told_plainly(access):
                name = function_name(app.name, part)
                found = access.client("lambda").get_function_configuration(FunctionName=name)
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            continue
        environment = found.get("Environment", {}).get("Variables", {})
        return Settings.from_environment({"AWS_REGION": access.region, **environment})
    raise AwsError(
        f"there is no function {function_name(app.name, 'stream')} ({access.where}), so {app.name} is not deployed there",
        remedy="Deploy it first: duestream deploy. Or is it another region, or another profile?",
        code="ResourceNotFoundException",
    )


def counts_of(expected: Sequence[Expected]) -> dict[str, int]:
    """How much several items want."""
    return {
        "items": len(expected),
        "pending": sum(len(one.pending) for one in expected),
        "past": sum(len(one.past) for one in expected),
        "undigested": sum(len(one.undigested) for one in expected),
    }


def _key_of(table: TableDeclaration, item: Item) -> Item:
    return {name: item[name] for name in (table.partition_key, table.sort_key) if name is not None}


def _text(key: Item) -> str:
    return json.dumps(key, sort_keys=True)
