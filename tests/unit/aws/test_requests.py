"""What EventBridge Scheduler is told of each kind of schedule: the whole body."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator
from tests.unit.aws.stream_bench import NOW, PLACE, ROLE, WHEN_DUE

from duestream import App, BusEvent, DeleteItem, HttpRequest, QueueMessage, Retry
from duestream.aws.requests import (
    LEAD,
    continued_rate,
    is_rate_from_when_written,
    next_occurrence_at,
    schedule_request,
    target_number,
)
from duestream.core.planner import PutSchedule, plan
from duestream.core.record import EventName, Item, StreamRecord
from duestream.core.rule import Rule
from duestream.core.schedule import Schedule

QUEUE = "arn:aws:sqs:eu-west-1:123456789012"
_MODEL = get_session().get_service_model("scheduler")


def asked(rule: Rule, **texts: str) -> list[Schedule]:
    """What a rule asks for on behalf of an item, written now."""
    item: Item = {"PK": {"S": "p"}, **{name: {"S": text} for name, text in texts.items()}}
    record = StreamRecord("Offers", EventName.INSERT, {"PK": {"S": "p"}}, None, item, "1", created_at=NOW)
    operations = plan(record, [rule], now=NOW, place=PLACE)
    assert all(isinstance(operation, PutSchedule) for operation in operations), operations
    return [operation.schedule for operation in operations if isinstance(operation, PutSchedule)]


def request_of(schedule: Schedule, rule: Rule | None, now: datetime | None = NOW) -> dict[str, Any]:
    """The request, which botocore must find no fault with."""
    request = schedule_request(schedule, rule=rule, execution_role_arn=ROLE, when_due_arn=WHEN_DUE, now=now)
    for operation in ("CreateSchedule", "UpdateSchedule"):
        report = ParamValidator().validate(request, _MODEL.operation_model(operation).input_shape)
        assert not report.has_errors(), report.generate_report()
    return request


def offers() -> Any:
    return App("shop").table("Offers", partition_key="PK")


def test_the_whole_body_of_a_one_time_schedule() -> None:
    table = offers()
    rule = table.rule("AT", QueueMessage("q", "hello"), name="tell", retry=Retry(3, timedelta(minutes=5)))
    (schedule,) = asked(rule, AT="2026-11-23T13:00:00.250Z")
    assert request_of(schedule, rule) == {
        "Name": schedule.name,
        "GroupName": "shop",
        "ScheduleExpression": "at(2026-11-23T13:00:01)",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": f"{QUEUE}:q",
            "Input": "hello",
            "RoleArn": ROLE,
            "RetryPolicy": {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 3},
            "DeadLetterConfig": {"Arn": f"{QUEUE}:shop-dead-letters"},
        },
    }


@pytest.mark.parametrize(
    ("at", "expression"),
    [
        ("2026-11-23T11:59:00Z", "at(2026-11-23T12:00:05)"),
        ("2026-11-23T12:00:04Z", "at(2026-11-23T12:00:05)"),
        ("2026-11-23T12:00:05.001Z", "at(2026-11-23T12:00:06)"),
    ],
)
def test_a_moment_that_is_past_or_too_near_becomes_the_lead_from_now(at: str, expression: str) -> None:
    rule = offers().rule("AT", DeleteItem())
    (schedule,) = asked(rule, AT=at)
    assert request_of(schedule, rule)["ScheduleExpression"] == expression


def test_to_compare_with_a_moment_is_as_it_was_asked_for() -> None:
    rule = offers().rule("AT", DeleteItem())
    (schedule,) = asked(rule, AT="2026-11-23T11:59:00Z")
    assert request_of(schedule, rule, None)["ScheduleExpression"] == "at(2026-11-23T11:59:00)"


def test_a_fifo_queue_has_its_message_group() -> None:
    rule = offers().rule("AT", QueueMessage("q.fifo", "hello", group_id="g"), name="tell")
    (schedule,) = asked(rule, AT="2026-11-23T13:00:00Z")
    assert request_of(schedule, rule)["Target"]["SqsParameters"] == {"MessageGroupId": "g"}


@pytest.mark.parametrize("kind", ["when due", "guarded", "http"])
def test_what_scheduler_cannot_do_itself_goes_to_the_due_function(kind: str) -> None:
    table = offers()
    if kind == "when due":

        @table.when_due("AT", name="tell")
        def tell(item: dict[str, Any], due: object) -> None:
            raise AssertionError("not run here")
    else:
        targets = [QueueMessage("q", "1"), HttpRequest("https://example.com/hook")]
        table.rule("AT", targets if kind == "http" else QueueMessage("q.fifo", "1", group_id="g"), name="tell",
                   guarded=kind == "guarded")  # fmt: skip
    (rule,) = table.rules
    schedule = asked(rule, AT="2026-11-23T13:00:00Z")[-1]
    target = request_of(schedule, rule)["Target"]
    assert target["Arn"] == WHEN_DUE
    assert json.loads(target["Input"]) == {
        "Rule": "tell",
        "Table": "Offers",
        "Key": {"PK": {"S": "p"}},
        "DueAt": "2026-11-23T13:00:00Z",
        "Schedule": schedule.name,
        "Target": 1 if kind == "http" else 0,
    }
    assert "SqsParameters" not in target


def test_a_targets_number_is_in_its_schedules_name() -> None:
    rule = offers().rule("AT", [QueueMessage("q", str(number)) for number in range(12)], name="tell-2")
    assert [target_number(schedule) for schedule in asked(rule, AT="2026-11-23T13:00:00Z")] == list(range(12))


def test_an_event_for_a_bus_is_universal_and_needs_no_block_of_its_own() -> None:
    rule = offers().rule("AT", BusEvent("Offer ended", {"a": 1}, "com.example"), name="tell")
    (schedule,) = asked(rule, AT="2026-11-23T13:00:00Z")
    assert request_of(schedule, rule)["Target"]["Arn"] == "arn:aws:scheduler:::aws-sdk:eventbridge:putEvents"


def recurring(expression: str, **moments: str) -> tuple[Rule, Schedule]:
    rule = offers().recurring(
        "EVERY", QueueMessage("q"), name="tell", start="FROM", end="UNTIL", timezone="Europe/Paris"
    )
    (schedule,) = asked(rule, EVERY=expression, **moments)
    return rule, schedule


def test_a_cron_expression_is_read_in_its_zone_and_begins_of_itself() -> None:
    rule, schedule = recurring("cron(0 9 ? * MON-FRI *)", FROM="2026-11-01T00:00:00Z")
    request = request_of(schedule, rule)
    assert (request["ScheduleExpression"], request["ScheduleExpressionTimezone"]) == (
        "cron(0 9 ? * MON-FRI *)",
        "Europe/Paris",
    )
    assert request["ActionAfterCompletion"] == "DELETE"
    assert "StartDate" not in request, "AWS refuses one that is older than five minutes"


def test_a_start_ahead_and_an_end_are_said() -> None:
    rule, schedule = recurring("cron(0 9 ? * MON-FRI *)", FROM="2027-01-01T00:00:00Z", UNTIL="2027-02-01T00:00:00.5Z")
    request = request_of(schedule, rule)
    assert request["StartDate"] == datetime(2027, 1, 1, tzinfo=UTC)
    assert request["EndDate"] == datetime(2027, 2, 1, 0, 0, 1, tzinfo=UTC)


def test_a_rate_without_a_start_begins_now() -> None:
    rule, schedule = recurring("rate(10 minutes)")
    assert is_rate_from_when_written(schedule)
    assert request_of(schedule, rule)["StartDate"] == NOW + LEAD


def test_a_rate_whose_record_comes_late_keeps_its_step() -> None:
    rule, schedule = recurring("rate(10 minutes)")
    late = NOW + timedelta(minutes=23)
    assert request_of(schedule, rule, late)["StartDate"] == NOW + timedelta(minutes=30)


def test_a_rate_with_a_start_long_ago_keeps_its_step() -> None:
    rule, schedule = recurring("rate(10 minutes)", FROM="2026-11-23T00:03:00Z")
    assert not is_rate_from_when_written(schedule)
    assert request_of(schedule, rule)["StartDate"] == datetime(2026, 11, 23, 12, 3, tzinfo=UTC)


def test_the_start_is_always_before_the_end() -> None:
    rule, schedule = recurring("rate(10 minutes)", FROM="2026-11-23T13:00:00Z", UNTIL="2026-11-23T13:00:00Z")
    request = request_of(schedule, rule)
    assert request["StartDate"] < request["EndDate"] < request["StartDate"] + timedelta(minutes=10)


def test_a_series_that_has_ended_has_no_next_occurrence() -> None:
    _, schedule = recurring("rate(10 minutes)", UNTIL="2026-11-23T12:30:00Z")
    assert next_occurrence_at(schedule, NOW) == NOW + timedelta(minutes=10)
    assert next_occurrence_at(schedule, NOW + timedelta(minutes=31)) is None


def test_the_same_rate_goes_on_where_it_stands() -> None:
    rule, schedule = recurring("rate(10 minutes)")
    standing = {"ScheduleExpression": "rate(10 minutes)", "StartDate": NOW - timedelta(minutes=4)}
    request = continued_rate(request_of(schedule, rule), standing, NOW)
    assert request["StartDate"] == NOW + timedelta(minutes=6)


def test_a_rate_that_has_not_begun_yet_begins_when_it_was_to() -> None:
    rule, schedule = recurring("rate(10 minutes)")
    standing = {"ScheduleExpression": "rate(10 minutes)", "StartDate": NOW + timedelta(seconds=2)}
    assert continued_rate(request_of(schedule, rule), standing, NOW)["StartDate"] == NOW + timedelta(seconds=2)


@pytest.mark.parametrize(
    "standing",
    [None, {"ScheduleExpression": "rate(10 minutes)"}, {"ScheduleExpression": "rate(1 day)", "StartDate": NOW}],
)
def test_another_rate_begins_anew(standing: dict[str, Any] | None) -> None:
    rule, schedule = recurring("rate(10 minutes)")
    request = request_of(schedule, rule)
    assert continued_rate(request, standing, NOW) == request
