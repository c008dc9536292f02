"""EventBridge Scheduler's operations on a real store. Sources: SEMANTICS.md B2-B6; "ours" where AWS's answer is unknown."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from duestream.clock import ManualClock, to_ms
from duestream.core.schedule import Place, Retry, Schedule
from duestream.core.target import QueueMessage
from duestream.errors import ServiceError, ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.scheduler import (
    OPERATIONS,
    group_deletions,
    resume_group_deletions,
    stop_group_deletions,
)
from duestream.local.services.scheduler.errors import (
    ConflictException,
    ResourceNotFoundException,
    ServiceQuotaExceededException,
)
from duestream.local.store import rule_schedules, schedule_groups, schedules
from duestream.local.store.outcomes import Outcome, OutcomeKind
from duestream.local.store.schedules import ItemIdentity, ScheduleRow
from duestream.local.store.store import Store
from duestream.local.store.writer import Announcement, ScheduleChanged

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
DUE = datetime(2030, 1, 1, 13, tzinfo=UTC)
AT = "at(2030-01-01T13:00:00)"
PLACE = Place()
QUEUE = "arn:aws:sqs:us-east-1:000000000000:reminders"
ROLE = "arn:aws:iam::000000000000:role/scheduler"
TARGET: dict[str, Any] = {"Arn": QUEUE, "RoleArn": ROLE, "Input": "hello"}
DEFAULT_RETRY = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


def declared(name: str = "s", **members: Any) -> dict[str, Any]:
    """A schedule's parameters, with some of them replaced."""
    return {
        "Name": name,
        "ScheduleExpression": AT,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": TARGET,
        **members,
    }


class Scheduler:
    """The operations, called as the server calls them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock(NOW)
        self.announced: list[Announcement] = []
        store.listen(self.announced.extend)
        self.place = PLACE

    async def call(self, operation: str, parameters: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        context = RequestContext(self.store, self.clock, self.place, "http://127.0.0.1:8787", "r-1")
        answer = await OPERATIONS[operation](context, {**(parameters or {}), **more})
        assert isinstance(answer, dict)
        return answer

    async def refused(
        self, error: type[ServiceError], operation: str, parameters: Mapping[str, Any] | None = None, **more: Any
    ) -> str:
        with pytest.raises(error) as refused:
            await self.call(operation, parameters, **more)
        assert type(refused.value) is error
        return refused.value.message

    def row(self, name: str = "s", group: str = "default") -> ScheduleRow | None:
        return schedules.get_schedule(self.store.reader, group, name)

    def attempt_at(self, name: str = "s") -> datetime | None:
        row = self.row(name)
        assert row is not None
        return (
            None
            if row.attempt_at_ms is None
            else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=row.attempt_at_ms)
        )

    async def end(self, name: str = "s", kind: OutcomeKind = "delivered") -> None:
        """End the delivery, as the engine does."""
        row = self.row(name)
        assert row is not None
        assert row.due_at_ms is not None
        outcome = Outcome(kind, "d", QUEUE, row.due_at_ms, self.clock.now_ms(), 1)
        await self.store.write(lambda tx: schedules.complete(tx, row, outcome))

    async def names(self, **filters: Any) -> list[str]:
        """All names of a list, page by page."""
        names: list[str] = []
        while True:
            answer = await self.call("ListSchedules", filters)
            names += [summary["Name"] for summary in answer["Schedules"]]
            if "NextToken" not in answer:
                return names
            filters["NextToken"] = answer["NextToken"]


def with_scheduler(folder: Path, body: Callable[[Scheduler], Awaitable[None]]) -> None:
    async def run() -> None:
        store = Store.open(folder)
        try:
            await body(Scheduler(store))
        finally:
            await group_deletions()
            await store.close()

    asyncio.run(run())


def test_a_schedule_is_shown_with_aws_defaults(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        arn = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"
        assert await scheduler.call("CreateSchedule", declared()) == {"ScheduleArn": arn}
        assert await scheduler.call("GetSchedule", Name="s") == {
            "Arn": arn,
            "GroupName": "default",
            "Name": "s",
            "ScheduleExpression": AT,
            "ScheduleExpressionTimezone": "UTC",
            "State": "ENABLED",
            "ActionAfterCompletion": "NONE",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {**TARGET, "RetryPolicy": DEFAULT_RETRY},
            "CreationDate": NOW,
            "LastModificationDate": NOW,
        }
        assert scheduler.attempt_at() == DUE
        assert ScheduleChanged(1, 1, to_ms(DUE)) in scheduler.announced

    with_scheduler(tmp_path, body)


def test_everything_declared_is_shown_again(tmp_path: Path) -> None:
    given = declared(
        ScheduleExpressionTimezone="Asia/Bangkok",
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 4},
        State="DISABLED",
        ActionAfterCompletion="DELETE",
        Description="",
        KmsKeyArn="arn:aws:kms:us-east-1:000000000000:key/k",
        StartDate=NOW - timedelta(minutes=5),
        EndDate=NOW + timedelta(days=1, milliseconds=250),
        Target={
            **TARGET,
            "DeadLetterConfig": {"Arn": f"{QUEUE}-dead"},
            "RetryPolicy": {"MaximumRetryAttempts": 0},
        },
    )

    async def body(scheduler: Scheduler) -> None:
        await scheduler.call("CreateSchedule", given)
        shown = await scheduler.call("GetSchedule", Name="s")
        policy = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 0}
        assert {name: shown[name] for name in given} == {**given, "Target": {**given["Target"], "RetryPolicy": policy}}
        row = scheduler.row()
        assert row is not None
        assert row.due_at_ms == to_ms(datetime(2030, 1, 1, 6, tzinfo=UTC))
        assert row.attempt_at_ms is None, "a disabled schedule is not tried"

    with_scheduler(tmp_path, body)


REFUSED: list[tuple[dict[str, Any], str]] = [
    # B3 [m LS-S]
    ({"ScheduleExpression": "at(2021-12-31)"}, "Invalid Schedule Expression at(2021-12-31)."),
    ({"ScheduleExpression": "rate(10 seconds)"}, "Invalid Schedule Expression rate(10 seconds)."),
    # B6 [m PF]
    (
        {"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}},
        "MaximumWindowInMinutes must not be provided when FlexibleTimeWindowMode is set to OFF.",
    ),
    (
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}},
        "MaximumWindowInMinutes must be provided when FlexibleTimeWindowMode is set to FLEXIBLE",
    ),
    ({"Target": {**TARGET, "Arn": "arn:aws:s3:::bucket"}}, "s3 is not a supported service for a target"),
    # B3 [m PF], [c moto#8172]
    (
        {"StartDate": NOW + timedelta(days=1), "EndDate": NOW + timedelta(days=1)},
        "The StartDate you specify must come before the EndDate.",
    ),
    (
        {"StartDate": NOW - timedelta(minutes=5, seconds=1)},
        "The StartDate you specify cannot be earlier than 5 minutes ago.",
    ),
    # ours
    ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "Invalid ScheduleExpressionTimezone Mars/Olympus."),
    (
        {"Target": {**TARGET, "DeadLetterConfig": {"Arn": f"{QUEUE}.fifo"}}},
        "A FIFO queue is not supported as a dead-letter queue of a schedule.",
    ),
]


@pytest.mark.parametrize(("members", "text"), REFUSED)
def test_what_aws_refuses_is_refused_at_create_and_at_update(
    tmp_path: Path, members: dict[str, Any], text: str
) -> None:
    async def body(scheduler: Scheduler) -> None:
        assert await scheduler.refused(ValidationException, "CreateSchedule", declared(**members)) == text
        assert scheduler.row() is None
        await scheduler.call("CreateSchedule", declared())
        assert await scheduler.refused(ValidationException, "UpdateSchedule", declared(**members)) == text

    with_scheduler(tmp_path, body)


RECURRING = [
    # User Guide, "Rate-based schedules": at once, or at the StartDate
    ("rate(5 minutes)", {}, NOW),
    ("rate(5 minutes)", {"StartDate": NOW + timedelta(hours=2)}, NOW + timedelta(hours=2)),
    # ours: a StartDate that AWS still takes is caught up with
    ("rate(1 day)", {"StartDate": NOW - timedelta(minutes=4)}, NOW - timedelta(minutes=4)),
    ("cron(0 18 ? * MON-FRI *)", {}, NOW.replace(hour=18)),
    ("cron(0 12 * * ? *)", {}, NOW),
    ("cron(0 18 ? * MON-FRI *)", {"StartDate": NOW + timedelta(hours=7)}, NOW.replace(day=2, hour=18)),
    ("cron(0 18 ? * MON-FRI *)", {"ScheduleExpressionTimezone": "Asia/Bangkok"}, NOW.replace(day=2, hour=11)),
    ("cron(0 18 ? * MON-FRI *)", {"EndDate": NOW + timedelta(hours=5)}, None),
    ("cron(0 12 29 2 ? 2031)", {}, None),
]


@pytest.mark.parametrize(("expression", "members", "first"), RECURRING)
def test_a_recurring_schedule_has_its_first_occurrence(
    tmp_path: Path, expression: str, members: dict[str, Any], first: datetime | None
) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.call("CreateSchedule", declared(ScheduleExpression=expression, **members))
        assert scheduler.attempt_at() == first
        shown = await scheduler.call("GetSchedule", Name="s")
        assert shown["State"] == "ENABLED"
        assert {name: shown[name] for name in members} == members
        assert shown["ScheduleExpression"] == expression

    with_scheduler(tmp_path, body)


def test_a_recurring_schedule_goes_on_where_it_stands_when_another_part_is_updated(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        hourly = declared(ScheduleExpression="rate(1 hour)")
        await scheduler.call("CreateSchedule", hourly)
        await scheduler.end()
        scheduler.clock.tick(timedelta(minutes=20))
        await scheduler.call("UpdateSchedule", hourly, Target={**TARGET, "Input": "other"})
        assert scheduler.attempt_at() == NOW + timedelta(hours=1), "neither repeated nor shifted"
        await scheduler.call("UpdateSchedule", hourly, State="DISABLED")
        assert scheduler.attempt_at() is None
        scheduler.clock.tick(timedelta(hours=3))
        await scheduler.call("UpdateSchedule", hourly)
        assert scheduler.attempt_at() == NOW + timedelta(hours=4), "nothing was missed while it was disabled"
        await scheduler.call("UpdateSchedule", declared(ScheduleExpression="rate(2 hours)"))
        assert scheduler.attempt_at() == NOW + timedelta(hours=3, minutes=20), "another rate begins at once"
        await scheduler.call("UpdateSchedule", declared())
        assert scheduler.attempt_at() == DUE

    with_scheduler(tmp_path, body)


def test_a_shorter_end_takes_occurrences_away_and_a_longer_one_gives_them_back(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        hourly = declared(ScheduleExpression="rate(1 hour)")
        await scheduler.call("CreateSchedule", hourly)
        await scheduler.end()
        await scheduler.call("UpdateSchedule", hourly, EndDate=NOW + timedelta(minutes=59))
        assert scheduler.attempt_at() is None
        scheduler.clock.tick(timedelta(minutes=90))
        await scheduler.call("UpdateSchedule", hourly, EndDate=NOW + timedelta(hours=2))
        assert scheduler.attempt_at() == NOW + timedelta(hours=2)
        await scheduler.end()
        assert scheduler.attempt_at() is None
        assert (await scheduler.call("GetSchedule", Name="s"))["State"] == "ENABLED"

    with_scheduler(tmp_path, body)


def test_a_recurring_schedule_is_deleted_after_its_last_occurrence_if_it_asks_for_that(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        given = declared(ScheduleExpression="rate(1 hour)", ActionAfterCompletion="DELETE")
        await scheduler.call("CreateSchedule", given, EndDate=NOW + timedelta(hours=1))
        await scheduler.end()
        assert scheduler.attempt_at() == NOW + timedelta(hours=1)
        await scheduler.end()
        assert scheduler.row() is None

    with_scheduler(tmp_path, body)


def test_a_flexible_window_has_a_place_for_each_occurrence(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30}
        given = declared(ScheduleExpression="rate(10 minutes)", FlexibleTimeWindow=window)
        await scheduler.call("CreateSchedule", given)
        delays = []
        for number in range(20):
            due_at, attempt_at = NOW + timedelta(minutes=10 * number), scheduler.attempt_at()
            assert attempt_at is not None
            delays.append(attempt_at - due_at)
            await scheduler.call("UpdateSchedule", given)
            assert scheduler.attempt_at() == attempt_at, "not drawn again"
            await scheduler.end()
        assert len(set(delays)) == 20
        assert min(delays) >= timedelta(0)
        assert max(delays) < timedelta(minutes=10), "never at or after the next occurrence"
        await scheduler.call("CreateSchedule", declared("once", FlexibleTimeWindow=window))
        at = scheduler.attempt_at("once")
        assert at is not None
        assert timedelta(0) < at - DUE < timedelta(minutes=30)

    with_scheduler(tmp_path, body)


def test_a_moment_in_the_past_is_taken_and_due_at_once(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:  # B4 [m LS-S]
        await scheduler.call("CreateSchedule", declared(ScheduleExpression="at(2022-12-31T23:59:59)"))
        assert scheduler.attempt_at() == datetime(2022, 12, 31, 23, 59, 59, tzinfo=UTC)

    with_scheduler(tmp_path, body)


def test_names_are_taken_once_in_a_group(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.call("CreateScheduleGroup", Name="g")
        await scheduler.call("CreateSchedule", declared())
        arn = "arn:aws:scheduler:us-east-1:000000000000:schedule/g/s"
        assert await scheduler.call("CreateSchedule", declared(GroupName="g")) == {"ScheduleArn": arn}
        for group in ("default", "g"):
            text = await scheduler.refused(ConflictException, "CreateSchedule", declared(GroupName=group))
            assert text == "Schedule s already exists."  # B6

    with_scheduler(tmp_path, body)


@pytest.mark.parametrize("operation", ["GetSchedule", "UpdateSchedule", "DeleteSchedule"])
def test_a_missing_schedule_or_group_is_not_found(tmp_path: Path, operation: str) -> None:
    async def body(scheduler: Scheduler) -> None:
        text = await scheduler.refused(ResourceNotFoundException, operation, declared())
        assert text == "Schedule s does not exist."  # B6 [m]
        text = await scheduler.refused(ResourceNotFoundException, operation, declared(GroupName="g"))
        assert text == "Schedule group g does not exist."

    with_scheduler(tmp_path, body)


def test_a_schedule_needs_its_group(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        text = await scheduler.refused(ResourceNotFoundException, "CreateSchedule", declared(GroupName="g"))
        assert text == "Schedule group g does not exist."
        text = await scheduler.refused(ResourceNotFoundException, "ListSchedules", GroupName="g")
        assert text == "Schedule group g does not exist."

    with_scheduler(tmp_path, body)


def test_an_update_replaces_everything(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:  # B5 [d]
        await scheduler.call(
            "CreateSchedule", declared(Description="d", ActionAfterCompletion="DELETE", State="DISABLED")
        )
        scheduler.clock.tick(timedelta(minutes=1))
        later = "at(2030-01-01T14:00:00)"
        answer = await scheduler.call("UpdateSchedule", declared(ScheduleExpression=later))
        shown = await scheduler.call("GetSchedule", Name="s")
        assert answer == {"ScheduleArn": shown["Arn"]}
        assert "Description" not in shown
        assert (shown["ActionAfterCompletion"], shown["State"]) == ("NONE", "ENABLED")
        assert (shown["CreationDate"], shown["LastModificationDate"]) == (NOW, NOW + timedelta(minutes=1))
        assert scheduler.attempt_at() == DUE + timedelta(hours=1)

    with_scheduler(tmp_path, body)


def test_an_update_does_not_deliver_again_what_was_delivered(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:  # ours, as the planner's table has it for a rule's schedules
        await scheduler.call("CreateSchedule", declared())
        scheduler.clock.set(DUE)
        await scheduler.end()
        assert (await scheduler.call("GetSchedule", Name="s"))["State"] == "ENABLED"  # B5 [d]
        await scheduler.call("UpdateSchedule", declared(Description="changed"))
        assert scheduler.attempt_at() is None
        await scheduler.call("UpdateSchedule", declared(ScheduleExpression="at(2030-01-01T14:00:00)"))
        assert scheduler.attempt_at() == DUE + timedelta(hours=1)

    with_scheduler(tmp_path, body)


def test_an_update_tries_again_what_was_given_up(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.call("CreateSchedule", declared())
        scheduler.clock.set(DUE)
        await scheduler.end(kind="dropped")
        await scheduler.call("UpdateSchedule", declared())
        assert scheduler.attempt_at() == DUE

    with_scheduler(tmp_path, body)


def test_a_deleted_schedule_is_gone(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.call("CreateSchedule", declared())
        assert await scheduler.call("DeleteSchedule", Name="s") == {}
        assert scheduler.row() is None
        assert scheduler.announced[-1] == ScheduleChanged(1, 1, None)
        await scheduler.refused(ResourceNotFoundException, "GetSchedule", Name="s")

    with_scheduler(tmp_path, body)


async def put_rule_schedule(scheduler: Scheduler) -> str:
    await scheduler.call("CreateScheduleGroup", Name="clinic")
    group = schedule_groups.get_group(scheduler.store.reader, "clinic")
    assert group is not None
    schedule = Schedule(
        name="reminder-abc",
        group_name="clinic",
        due_at=DUE,
        invocation=QueueMessage("reminders", {"a": 1}).invocation(PLACE),
        retry=Retry(),
        rule="reminder",
        table_name="T",
        key={"PK": {"S": "1"}},
    )
    await scheduler.store.write(
        lambda tx: rule_schedules.put_rule_schedule(
            tx, schedule, group_id=group.id, item=ItemIdentity(1, b"1", b""), now_ms=scheduler.clock.now_ms()
        )
    )
    return schedule.name


def test_a_rules_schedule_is_listed_shown_and_deleted_like_any_other(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        name = await put_rule_schedule(scheduler)
        assert await scheduler.names(GroupName="clinic") == [name]
        shown = await scheduler.call("GetSchedule", Name=name, GroupName="clinic")
        assert (shown["ScheduleExpression"], shown["Target"]["Input"]) == (AT, '{"a":1}')
        await scheduler.call("DeleteSchedule", Name=name, GroupName="clinic")
        assert await scheduler.names() == []

    with_scheduler(tmp_path, body)


def test_an_updated_rules_schedule_is_the_apis_own(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        name = await put_rule_schedule(scheduler)
        await scheduler.call("UpdateSchedule", declared(name, GroupName="clinic"))
        row = scheduler.row(name, "clinic")
        assert row is not None
        assert (row.rule, row.table_id) == (None, None)

    with_scheduler(tmp_path, body)


def test_lists_are_filtered_and_paged(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.call("CreateScheduleGroup", Name="g")
        made = [f"{'ab'[number % 2]}-{number}" for number in range(7)]
        for number, name in enumerate(made):
            state = "DISABLED" if number < 3 else "ENABLED"
            await scheduler.call("CreateSchedule", declared(name, State=state, GroupName=("g", "default")[number // 6]))
        assert await scheduler.names() == made
        assert await scheduler.names(MaxResults=1) == made
        assert await scheduler.names(MaxResults=7) == made
        assert await scheduler.names(GroupName="g") == made[:6]
        assert await scheduler.names(GroupName="default") == made[6:]
        assert await scheduler.names(NamePrefix="b-", MaxResults=2) == ["b-1", "b-3", "b-5"]
        assert await scheduler.names(NamePrefix="-") == []
        assert await scheduler.names(State="DISABLED", MaxResults=2) == made[:3]
        assert await scheduler.names(State="ENABLED", NamePrefix="a", GroupName="g") == ["a-4"]
        page = await scheduler.call("ListSchedules", MaxResults=1)
        assert page["Schedules"] == [  # B1: no expression, no input
            {
                "Arn": "arn:aws:scheduler:us-east-1:000000000000:schedule/g/a-0",
                "GroupName": "g",
                "Name": "a-0",
                "State": "DISABLED",
                "CreationDate": NOW,
                "LastModificationDate": NOW,
                "Target": {"Arn": QUEUE},
            }
        ]

    with_scheduler(tmp_path, body)


def test_lists_pass_over_what_does_not_match_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duestream.local.services.scheduler.schedules.SCANNED_AT_ONCE", 2)

    async def body(scheduler: Scheduler) -> None:
        for number in range(9):
            await scheduler.call("CreateSchedule", declared(f"{'x' if number in (3, 8) else 'y'}-{number}"))
        await scheduler.call("DeleteSchedule", Name="y-4")
        assert await scheduler.names(NamePrefix="x") == ["x-3", "x-8"]
        assert await scheduler.names(NamePrefix="x", MaxResults=1) == ["x-3", "x-8"]
        assert len(await scheduler.names(MaxResults=3)) == 8

    with_scheduler(tmp_path, body)


@pytest.mark.parametrize("operation", ["ListSchedules", "ListScheduleGroups"])
def test_a_garbled_next_token_is_refused(tmp_path: Path, operation: str) -> None:
    async def body(scheduler: Scheduler) -> None:
        for name in ("a", "b"):
            await scheduler.call("CreateScheduleGroup", Name=name)
            await scheduler.call("CreateSchedule", declared(name))
        tokens = {
            other: (await scheduler.call(other, MaxResults=1))["NextToken"]
            for other in ("ListSchedules", "ListScheduleGroups")
        }
        good = tokens.pop(operation)
        for token in ("x", "é", "AAAA", good[:-4], good[4:], "A" + good[1:], good + "AAAA", *tokens.values()):
            assert (
                await scheduler.refused(ValidationException, operation, NextToken=token)
                == "The NextToken you specify is not valid."
            )

    with_scheduler(tmp_path, body)


CREATED = ("CreateSchedule", declared(ClientToken="t"))


def test_a_repeated_create_is_answered_alike(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        first = await scheduler.call(*CREATED)
        assert await scheduler.call(*CREATED) == first
        assert await scheduler.names() == ["s"]

    with_scheduler(tmp_path, body)


def test_a_client_token_with_other_parameters_is_a_conflict(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.call(*CREATED)
        for other in (declared(Description="d"), declared("other"), declared(Target={**TARGET, "Input": "x"})):
            text = await scheduler.refused(ConflictException, "CreateSchedule", other, ClientToken="t")
            assert text == "The client token t was used with other parameters."
        await scheduler.call("UpdateSchedule", declared(Description="d"), ClientToken="t")  # another operation's token

    with_scheduler(tmp_path, body)


def test_a_client_token_is_remembered_for_eight_hours(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.call(*CREATED)
        scheduler.clock.tick(timedelta(hours=8, milliseconds=-1))
        await scheduler.call(*CREATED)
        scheduler.clock.tick(timedelta(milliseconds=1))
        text = await scheduler.refused(ConflictException, *CREATED)
        assert text == "Schedule s already exists."
        await scheduler.call("CreateSchedule", declared("other", ClientToken="t"))
        kept = list(scheduler.store.reader.execute("SELECT count(*) FROM client_token"))
        assert kept == [(1,)], "what is too old is trimmed"

    with_scheduler(tmp_path, body)


def test_a_client_token_survives_a_restart(tmp_path: Path) -> None:
    async def create(scheduler: Scheduler) -> None:
        await scheduler.call(*CREATED)

    with_scheduler(tmp_path, create)
    with_scheduler(tmp_path, create)


def test_a_create_repeated_after_its_delivery_does_not_deliver_again(tmp_path: Path) -> None:
    parameters = declared(ActionAfterCompletion="DELETE", ClientToken="t")

    async def body(scheduler: Scheduler) -> None:
        first = await scheduler.call("CreateSchedule", parameters)
        scheduler.clock.set(DUE)
        await scheduler.end()
        assert await scheduler.call("CreateSchedule", parameters) == first
        assert scheduler.row() is None

    with_scheduler(tmp_path, body)


def test_a_create_repeated_after_a_delete_creates(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.call(*CREATED)
        await scheduler.call("DeleteSchedule", Name="s")
        await scheduler.call(*CREATED)
        assert scheduler.attempt_at() == DUE

    with_scheduler(tmp_path, body)


def test_a_repeated_update_does_not_undo_a_later_one(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.call("CreateSchedule", declared())
        update = declared(Description="first", ClientToken="t")
        await scheduler.call("UpdateSchedule", update)
        row = scheduler.row()
        assert row is not None
        await scheduler.call("UpdateSchedule", update)
        assert scheduler.row() == row, "nothing is put a second time"
        await scheduler.call("UpdateSchedule", declared(Description="second"))
        await scheduler.call("UpdateSchedule", update)
        assert (await scheduler.call("GetSchedule", Name="s"))["Description"] == "first", "asked for anew"

    with_scheduler(tmp_path, body)


def test_a_repeated_delete_is_answered_alike(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        delete: dict[str, Any] = {"Name": "s", "ClientToken": "t"}
        await scheduler.call("CreateSchedule", declared())
        for _ in range(2):
            assert await scheduler.call("DeleteSchedule", delete) == {}
        await scheduler.refused(ResourceNotFoundException, "DeleteSchedule", Name="s", ClientToken="u")
        await scheduler.call("CreateSchedule", declared())
        await scheduler.call("DeleteSchedule", delete)
        assert scheduler.row() is None, "what was made since goes too"

    with_scheduler(tmp_path, body)


def test_groups_are_made_shown_and_listed(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        arn = "arn:aws:scheduler:us-east-1:000000000000:schedule-group/"
        assert await scheduler.call("CreateScheduleGroup", Name="g") == {"ScheduleGroupArn": f"{arn}g"}
        text = await scheduler.refused(ConflictException, "CreateScheduleGroup", Name="g")
        assert text == "Schedule group g already exists."
        shown = {"Name": "g", "Arn": f"{arn}g", "State": "ACTIVE", "CreationDate": NOW, "LastModificationDate": NOW}
        assert await scheduler.call("GetScheduleGroup", Name="g") == shown
        answer = await scheduler.call("ListScheduleGroups")
        assert [group["Name"] for group in answer["ScheduleGroups"]] == ["default", "g"]
        assert answer["ScheduleGroups"][1] == shown
        first = await scheduler.call("ListScheduleGroups", MaxResults=1)
        second = await scheduler.call("ListScheduleGroups", MaxResults=1, NextToken=first["NextToken"])
        assert [group["Name"] for group in second["ScheduleGroups"]] == ["g"]
        assert "NextToken" not in second
        assert (await scheduler.call("ListScheduleGroups", NamePrefix="g"))["ScheduleGroups"] == [shown]
        text = await scheduler.refused(ResourceNotFoundException, "GetScheduleGroup", Name="h")
        assert text == "Schedule group h does not exist."

    with_scheduler(tmp_path, body)


@pytest.mark.parametrize("operation", ["CreateScheduleGroup", "DeleteScheduleGroup"])
def test_the_default_group_is_neither_made_nor_deleted(tmp_path: Path, operation: str) -> None:
    async def body(scheduler: Scheduler) -> None:
        text = await scheduler.refused(ValidationException, operation, Name="default")
        assert text == "This operation cannot be performed on schedule group default."  # B5 [m PF]

    with_scheduler(tmp_path, body)


def test_the_default_group_is_there_before_anything_else(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        assert (await scheduler.call("ListSchedules", GroupName="default"))["Schedules"] == []
        assert (await scheduler.call("GetScheduleGroup", Name="default"))["State"] == "ACTIVE"

    with_scheduler(tmp_path, body)


def test_there_are_as_many_groups_as_the_quota_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duestream.local.services.scheduler.groups.MAX_GROUPS", 2)

    async def body(scheduler: Scheduler) -> None:
        for name in ("a", "b"):
            await scheduler.call("CreateScheduleGroup", Name=name)
        await scheduler.refused(ServiceQuotaExceededException, "CreateScheduleGroup", Name="c")

    with_scheduler(tmp_path, body)


def test_a_deleted_group_goes_with_its_schedules_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duestream.local.services.scheduler.groups.DELETED_AT_ONCE", 2)

    async def body(scheduler: Scheduler) -> None:
        for name in ("g", "h"):
            await scheduler.call("CreateScheduleGroup", Name=name)
        for number in range(7):
            await scheduler.call("CreateSchedule", declared(f"s-{number}", GroupName="gh"[number % 2]))
        assert await scheduler.call("DeleteScheduleGroup", Name="g", ClientToken="t") == {}
        assert (await scheduler.call("GetScheduleGroup", Name="g"))["State"] == "DELETING"  # B5 [d]
        text = await scheduler.refused(ConflictException, "CreateSchedule", declared(GroupName="g"))
        assert text == "Schedule group g is being deleted."  # ours
        await scheduler.call("DeleteScheduleGroup", Name="g")
        await group_deletions()
        await scheduler.refused(ResourceNotFoundException, "GetScheduleGroup", Name="g")
        assert await scheduler.names() == ["s-1", "s-3", "s-5"]
        assert [change for change in scheduler.announced if isinstance(change, ScheduleChanged)][-4:] == [
            ScheduleChanged(schedule_id, 1, None) for schedule_id in (1, 3, 5, 7)
        ]
        assert await scheduler.call("DeleteScheduleGroup", Name="g", ClientToken="t") == {}
        await scheduler.refused(ResourceNotFoundException, "DeleteScheduleGroup", Name="g")
        await scheduler.call("CreateScheduleGroup", Name="g")
        assert await scheduler.names(GroupName="g") == []

    with_scheduler(tmp_path, body)


def test_a_deletion_that_a_stop_cut_short_is_resumed(tmp_path: Path) -> None:
    async def begin(scheduler: Scheduler) -> None:
        await scheduler.call("CreateScheduleGroup", Name="g")
        await scheduler.call("CreateSchedule", declared(GroupName="g"))
        group = schedule_groups.get_group(scheduler.store.reader, "g")
        assert group is not None
        await scheduler.store.write(lambda tx: schedule_groups.begin_deletion(tx, group, now_ms=1))

    async def resume(scheduler: Scheduler) -> None:
        resume_group_deletions(scheduler.store)
        await group_deletions()
        assert await scheduler.names() == []
        await scheduler.refused(ResourceNotFoundException, "GetScheduleGroup", Name="g")

    with_scheduler(tmp_path, begin)
    with_scheduler(tmp_path, resume)


def test_a_deletion_is_put_off_at_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duestream.local.services.scheduler.groups.DELETED_AT_ONCE", 1)

    async def begin(scheduler: Scheduler) -> None:
        await scheduler.call("CreateScheduleGroup", Name="g")
        for number in range(5):
            await scheduler.call("CreateSchedule", declared(f"s-{number}", GroupName="g"))
        await scheduler.call("DeleteScheduleGroup", Name="g")
        await stop_group_deletions()
        assert (await scheduler.call("GetScheduleGroup", Name="g"))["State"] == "DELETING"

    async def resume(scheduler: Scheduler) -> None:
        resume_group_deletions(scheduler.store)
        await group_deletions()
        assert await scheduler.names() == []

    with_scheduler(tmp_path, begin)
    with_scheduler(tmp_path, resume)


def test_groups_are_tagged(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        tags = [{"Key": "stage", "Value": "test"}, {"Key": "team", "Value": "clinic"}]
        arn = (await scheduler.call("CreateScheduleGroup", Name="g", Tags=tags))["ScheduleGroupArn"]
        assert await scheduler.call("ListTagsForResource", ResourceArn=arn) == {"Tags": tags}
        assert await scheduler.call("TagResource", ResourceArn=arn, Tags=[{"Key": "stage", "Value": "live"}]) == {}
        assert await scheduler.call("UntagResource", ResourceArn=arn, TagKeys=["team", "none"]) == {}
        answer = await scheduler.call("ListTagsForResource", ResourceArn=arn)
        assert answer == {"Tags": [{"Key": "stage", "Value": "live"}]}

    with_scheduler(tmp_path, body)


def test_tags_are_refused_where_they_make_no_sense(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        arn = (await scheduler.call("CreateScheduleGroup", Name="g"))["ScheduleGroupArn"]
        twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
        await scheduler.refused(ValidationException, "TagResource", ResourceArn=arn, Tags=twice)
        many = [{"Key": f"k{number}", "Value": "v"} for number in range(200)]
        await scheduler.call("TagResource", ResourceArn=arn, Tags=many)
        await scheduler.refused(ValidationException, "TagResource", ResourceArn=arn, Tags=[{"Key": "b", "Value": "v"}])
        missing: dict[str, Any] = {"ResourceArn": f"{arn}-missing"}
        cases: tuple[tuple[str, dict[str, Any]], ...] = (
            ("ListTagsForResource", {}),
            ("TagResource", {"Tags": []}),
            ("UntagResource", {"TagKeys": []}),
        )
        for operation, more in cases:
            text = await scheduler.refused(ResourceNotFoundException, operation, missing, **more)
            assert text == "Schedule group g-missing does not exist."
        default = arn.replace("/g", "/default")
        assert await scheduler.call("ListTagsForResource", ResourceArn=default) == {"Tags": []}
        await scheduler.call("TagResource", ResourceArn=default, Tags=many[:1])
        assert await scheduler.call("ListTagsForResource", ResourceArn=default) == {"Tags": many[:1]}

    with_scheduler(tmp_path, body)


def test_arns_keep_the_region_of_their_group(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        scheduler.place = Place("eu-west-1")
        queue = QUEUE.replace("us-east-1", "eu-west-1")
        await scheduler.call("CreateScheduleGroup", Name="g")
        created = await scheduler.call("CreateSchedule", declared(GroupName="g", Target={**TARGET, "Arn": queue}))
        assert created == {"ScheduleArn": "arn:aws:scheduler:eu-west-1:000000000000:schedule/g/s"}
        scheduler.place = PLACE
        assert (await scheduler.call("GetSchedule", Name="s", GroupName="g"))["Arn"] == created["ScheduleArn"]

    with_scheduler(tmp_path, body)


def test_every_operation_of_aws_is_served() -> None:
    from duestream.local.wire.models import operation_names

    assert set(OPERATIONS) == operation_names("scheduler")
