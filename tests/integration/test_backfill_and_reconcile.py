"""Backfill and reconcile: against EventBridge Scheduler's API, and against a server that carries the rules out."""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.integration.conftest import REGION, RunningServer

from duestream import App, QueueMessage, Sweep
from duestream.aws.settings import Settings
from duestream.aws.stack.session import Access
from duestream.aws.upkeep.backfill import TableProgress, backfill, scheduled_tables
from duestream.aws.upkeep.group import Group
from duestream.aws.upkeep.keepers import Keeper, SchedulerKeeper
from duestream.aws.upkeep.reconcile import Reconciled, Reconciler
from duestream.aws.upkeep.scanning import Progress
from duestream.cli.admin_client import AdminClient
from duestream.cli.local_keeper import ServerKeeper
from duestream.clock import ManualClock
from duestream.core.schedule import Place, schedule_name
from duestream.errors import Error, RuleError

pytestmark = pytest.mark.slow

TABLE = "Appointments"
AHEAD, PAST = "2030-06-01T09:00:00Z", "2029-01-01T09:00:00Z"
LATER = "2030-07-01T09:00:00Z"
PLACE = Place(region=REGION)


def make_app() -> App:
    app = App("clinic")
    table = app.table(TABLE, partition_key="id")
    table.rule("STARTS_AT", QueueMessage("reminders"), name="reminder")

    @table.rule("STARTS_AT", offset=-timedelta(days=1))
    def day_before(item: dict[str, Any]) -> QueueMessage | None:
        return None if item.get("CANCELLED") else QueueMessage("reminders", {"who": item["id"]})

    return app


def access_to(server: RunningServer) -> Access:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    return Access(session, REGION, server.endpoint_url)


def put(server: RunningServer, key: str, starts_at: str, **attributes: Any) -> None:
    item = {"id": {"S": key}, "STARTS_AT": {"S": starts_at}, **attributes}
    server.client("dynamodb").put_item(TableName=TABLE, Item=item)


class Tended:
    """An app's tables and schedules at a server, and what keeps them in step."""

    def __init__(self, server: RunningServer, app: App, keeper: Keeper, clock: ManualClock) -> None:
        self.server, self.app, self.keeper, self.clock = server, app, keeper, clock
        self.access = access_to(server)
        self.dynamodb, self.scheduler = server.client("dynamodb"), server.client("scheduler")
        self.tables = scheduled_tables(app)

    def put(self, key: str, starts_at: str) -> None:
        put(self.server, key, starts_at)

    def backfill(self, progress: Progress | None = None, *, dry_run: bool = False, segments: int = 2) -> dict[str, int]:
        told: list[TableProgress] = []
        counts = backfill(
            self.access,
            self.tables,
            self.keeper,
            progress or Progress(None, {}),
            segments=segments,
            dry_run=dry_run,
            tell=told.append,
        )
        assert told[-1].table == TABLE
        return counts[TABLE]

    def reconcile(self, *, mend: bool = False, compare: bool = True, now: datetime | None = None) -> Reconciled:
        reconciler = Reconciler(
            self.access,
            self.app,
            self.keeper,
            Group(self.access, self.app.name),
            place=PLACE,
            now=lambda: now or self.clock.now(),
            tell=lambda what, count: None,
        )
        return reconciler.run(self.tables, segments=2, mend=mend, compare=compare)

    def schedules(self) -> dict[str, str]:
        """Expressions by name, of all rules' schedules."""
        pages = self.scheduler.get_paginator("list_schedules").paginate(GroupName="clinic")
        names = [schedule["Name"] for page in pages for schedule in page["Schedules"]]
        return {
            name: self.scheduler.get_schedule(GroupName="clinic", Name=name)["ScheduleExpression"] for name in names
        }


@pytest.fixture(params=["scheduler", "server"])
def tended(
    request: pytest.FixtureRequest, start_server: Callable[..., RunningServer], clock: ManualClock, tmp_path: Path
) -> Iterator[Tended]:
    """Items that were there before the rules: at a server that only speaks AWS's protocols, or one with the rules."""
    first = start_server(clock=clock, data=tmp_path / "data")
    first.client("dynamodb").create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(5):
        put(first, f"before-{number}", AHEAD)
    put(first, "past", PAST)
    put(first, "cancelled", AHEAD, CANCELLED={"BOOL": True})
    app = make_app()
    if request.param == "scheduler":
        first.client("scheduler").create_schedule_group(Name="clinic")
        settings = Settings(
            app="rules:app",
            place=PLACE,
            execution_role_arn="arn:aws:iam::000000000000:role/execution",
            stream_dead_letter_queue_url="",
            deliveries_table="",
            when_due_function_arn="arn:aws:lambda:eu-central-1:000000000000:function:clinic-when-due",
        )
        access = access_to(first)
        keeper: Keeper = SchedulerKeeper(access, app, settings, Group(access, "clinic"), now=clock.now)
        yield Tended(first, app, keeper, clock)
        return
    first.run(first.local.stop())
    server = start_server(clock=clock, data=tmp_path / "data", app=app, region=REGION)
    keeper = ServerKeeper(AdminClient(server.endpoint_url), app, clock)
    yield Tended(server, app, keeper, clock)


def test_items_that_were_there_get_their_schedules(tended: Tended) -> None:
    assert tended.schedules() == {}
    counts = tended.backfill()
    assert (counts["items"], counts["made"], counts["past"]) == (7, 11, 2)
    assert len(tended.schedules()) == 11
    assert set(tended.schedules().values()) == {"at(2030-06-01T09:00:00)", "at(2030-05-31T09:00:00)"}
    again = tended.backfill()
    assert (again.get("made", 0), again["there"]) == (0, counts["pending"])
    assert tended.reconcile().findings == ()


def test_a_dry_run_only_counts(tended: Tended) -> None:
    assert tended.backfill(dry_run=True)["pending"] == 11
    assert tended.schedules() == {}


def test_what_is_wrong_is_found_told_and_mended(tended: Tended) -> None:
    tended.backfill()
    names = sorted(name for name in tended.schedules() if name.startswith("reminder-"))
    missing, different, disabled = names[:3]
    tended.scheduler.delete_schedule(GroupName="clinic", Name=missing)
    for name, change in (
        (different, {"ScheduleExpression": "at(2031-01-01T00:00:00)"}),
        (disabled, {"State": "DISABLED"}),
    ):
        found = tended.scheduler.get_schedule(GroupName="clinic", Name=name)
        members = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target", "ActionAfterCompletion")
        tended.scheduler.update_schedule(**{member: found[member] for member in members} | change)
    told = {(finding.kind, finding.name, finding.detail) for finding in tended.reconcile().findings}
    assert told == {
        ("missing", missing, "not there"),
        ("different", different, "ScheduleExpression"),
        ("different", disabled, "State"),
    }
    shallow = tended.reconcile(compare=False).findings
    assert ("missing", missing) in {(finding.kind, finding.name) for finding in shallow}
    assert disabled not in {finding.name for finding in shallow}
    mended = tended.reconcile(mend=True).findings
    assert all(finding.is_mended for finding in mended)
    assert tended.reconcile().findings == ()


def test_a_schedule_that_nothing_wants_is_orphaned_once_it_is_old_enough(tended: Tended) -> None:
    tended.backfill()
    name = next(name for name in tended.schedules() if name.startswith("reminder-"))
    found = tended.scheduler.get_schedule(GroupName="clinic", Name=name)
    orphan, strange = f"reminder-{'0' * 20}", f"forgotten-{'1' * 20}-2"
    for new in (orphan, strange, "made-by-hand", f"retry-{'2' * 20}-3"):
        members = ("GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        tended.scheduler.create_schedule(Name=new, **{member: found[member] for member in members})
    assert tended.reconcile().findings == (), "somebody may just have put them, for an item that was scanned before"
    tended.clock.tick(timedelta(minutes=5))
    told = {(finding.name, finding.detail) for finding in tended.reconcile().findings}
    assert told == {(orphan, "no item wants it"), (strange, "the app has no rule forgotten")}
    tended.reconcile(mend=True)
    assert {orphan, strange} & tended.schedules().keys() == set()
    assert {"made-by-hand", f"retry-{'2' * 20}-3"} <= tended.schedules().keys()


def test_a_rule_that_raises_costs_no_schedules(tended: Tended) -> None:
    tended.backfill()
    before = tended.schedules()
    tended.clock.tick(timedelta(minutes=5))
    rule = next(rule for rule in tended.app.rules if rule.name == "day_before")
    broken = dataclasses.replace(rule, action=lambda item: item["NO_SUCH_ATTRIBUTE"])
    tended.app.tables[0]._rules["day_before"] = broken
    found = tended.reconcile(mend=True)
    assert found.counts["undigested"] == 7
    assert found.findings == ()
    assert tended.schedules() == before


@pytest.mark.parametrize("tended", ["scheduler"], indirect=True)
def test_an_item_that_changes_under_a_backfill_ends_as_it_is(tended: Tended, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan's snapshot is stale by the time that its schedules are made."""
    assert isinstance(tended.keeper, SchedulerKeeper)
    group = tended.keeper._group
    create = group.schedules.create
    changed: list[bool] = []

    def create_late(request: Any, *, seconds: float | None = None) -> None:
        if not changed:
            changed.append(True)
            tended.dynamodb.delete_item(TableName=TABLE, Key={"id": {"S": "before-0"}})
            tended.put("before-1", LATER)
        create(request, seconds=seconds)

    monkeypatch.setattr(group.schedules, "create", create_late)
    counts = tended.backfill(segments=1)
    assert counts["changed"] == 2
    assert Counter(tended.schedules().values()) == {
        "at(2030-05-31T09:00:00)": 3,
        "at(2030-06-01T09:00:00)": 4,  # the cancelled one's too
        "at(2030-06-30T09:00:00)": 1,
        "at(2030-07-01T09:00:00)": 1,
    }


@pytest.mark.parametrize("tended", ["scheduler"], indirect=True)
def test_an_interrupted_backfill_goes_on_where_it_stopped(
    tended: Tended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        tended.put(f"item-{number}", AHEAD)
    asked, path = {"app": "clinic"}, tmp_path / "progress.json"
    make = tended.keeper.make_missing
    pages: list[bool] = []

    def make_two_pages(*arguments: Any, **options: Any) -> Any:
        if len(pages) == 2:
            raise Error("the network is gone")
        pages.append(True)
        return make(*arguments, **options)

    monkeypatch.setattr(tended.keeper, "make_missing", make_two_pages)
    with pytest.raises(Error, match="the network is gone"):
        tended.backfill(Progress(path, asked), segments=1)
    kept = json.loads(path.read_text())
    assert kept["tables"][TABLE]["counts"]["items"] == 200
    with pytest.raises(Error, match="progress of something else"):
        Progress(path, {"app": "other"})
    monkeypatch.setattr(tended.keeper, "make_missing", make)
    resumed = Progress(path, asked)
    assert resumed.was_found
    counts = tended.backfill(resumed, segments=1)
    assert counts["items"] == 257
    assert len(tended.schedules()) == counts["pending"]
    assert not path.exists()


@pytest.mark.parametrize("tended", ["scheduler"], indirect=True)
def test_a_table_with_another_key_is_refused_before_anything_is_done(tended: Tended) -> None:
    changed = App("clinic")
    changed.table(TABLE, partition_key="name").rule("STARTS_AT", QueueMessage("reminders"), name="reminder")
    tended.app, tended.tables = changed, scheduled_tables(changed)
    refused = r"table Appointments has the key id \(S\), and the app declares name \(S\)"
    with pytest.raises(Error, match=refused):
        tended.backfill()
    with pytest.raises(Error, match=refused):
        tended.reconcile(mend=True)


@pytest.mark.parametrize("tended", ["scheduler"], indirect=True)
def test_schedules_of_another_tables_rule_of_the_same_name_are_no_orphans(tended: Tended) -> None:
    tended.app.table("Visits", partition_key="id").rule("STARTS_AT", QueueMessage("visits"), name="reminder")
    assert [table.name for table in scheduled_tables(tended.app)] == [TABLE, "Visits"]
    tended.backfill()
    name = next(name for name in tended.schedules() if name.startswith("reminder-"))
    found = tended.scheduler.get_schedule(GroupName="clinic", Name=name)
    members = ("GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    of_a_visit = schedule_name("Visits", "reminder", {"id": {"S": "1"}})
    tended.scheduler.create_schedule(Name=of_a_visit, **{member: found[member] for member in members})
    tended.clock.tick(timedelta(minutes=5))
    assert tended.reconcile(mend=True).findings == (), "only the appointments were looked through"
    assert of_a_visit in tended.schedules()


@pytest.mark.parametrize("tended", ["scheduler"], indirect=True)
def test_schedules_of_a_rule_that_sweeps_now_are_orphans(tended: Tended) -> None:
    tended.backfill()
    changed = App("clinic")
    table = changed.table(TABLE, partition_key="id")
    table.rule("STARTS_AT", QueueMessage("reminders"), name="reminder", via=Sweep("ByStart"))
    table.rule("STARTS_AT", QueueMessage("reminders"), name="another")
    tended.app = changed
    tended.clock.tick(timedelta(minutes=5))
    told = {(finding.rule, finding.detail) for finding in tended.reconcile().findings if finding.kind == "orphaned"}
    assert told == {
        ("reminder", "rule reminder sweeps an index and makes no schedules"),
        ("day_before", "the app has no rule day_before"),
    }


@pytest.mark.parametrize("tended", ["scheduler"], indirect=True)
def test_what_is_left_of_an_app_that_only_sweeps_now_is_found_without_a_table(tended: Tended) -> None:
    tended.backfill()
    changed = App("clinic")
    rule = changed.table(TABLE, partition_key="id").rule
    rule("STARTS_AT", QueueMessage("reminders"), name="reminder", via=Sweep("ByStart"))
    tended.app, tended.tables = changed, []
    tended.clock.tick(timedelta(minutes=5))
    assert {finding.kind for finding in tended.reconcile(mend=True).findings} == {"orphaned"}
    assert tended.schedules() == {}


def test_an_app_that_makes_no_schedules_has_nothing_to_backfill() -> None:
    with pytest.raises(RuleError, match=re.escape("app 'empty' has no rule that makes schedules")):
        scheduled_tables(App("empty"))
