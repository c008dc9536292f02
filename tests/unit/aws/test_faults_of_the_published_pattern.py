"""Each fault of the published code (SEMANTICS.md A1, A3, A4, as printed in our copy) that the stream function mends.

Tests are named after the fault. Those of the stack's policies, of the due function and of the sweep are with those.
"""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.aws.memory_scheduler import Fault
from tests.unit.aws.policy_evaluator import is_allowed
from tests.unit.aws.stack.resolved import ACCOUNT_ID, Resolved, arn
from tests.unit.aws.stream_bench import NOW, ROLE, Bench, Item

from duestream import App, DeleteItem, Email, Retry
from duestream.aws.failures import CallError
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.template import template
from duestream.core.rule import PastDue

SOON, LATER = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
DELETE_ITEM = "arn:aws:scheduler:::aws-sdk:dynamodb:deleteItem"


def epoch(moment: datetime) -> dict[str, str]:
    return {"N": str(int(moment.timestamp()))}


def item(ttl: datetime | None = None, key: str = "a", **others: Any) -> Item:
    return {"PK": {"S": key}, **({} if ttl is None else {"ttl": epoch(ttl)}), **others}


def part_1(past_due: PastDue = "deliver", **options: Any) -> Bench:
    """Items that go when their `ttl` comes."""
    app = App("clinic")
    app.table("Appointments", partition_key="PK").rule("ttl", DeleteItem(), past_due=past_due, **options)
    return Bench(app)


def part_3() -> Bench:
    """A reminder by email."""
    app = App("clinic")
    appointments = app.table("Appointments", partition_key="PK")

    @appointments.rule("REMINDER_TIMESTAMP")
    def reminder(item: dict[str, Any]) -> Email:
        return Email(source="clinic@example.com", to=item["email"], subject="Soon", text=item.get("text", "Hello"))

    return Bench(app)


def appointment(at: str = "2026-11-23T13:00:00", **others: str) -> Item:
    texts = {"PK": "a", "REMINDER_TIMESTAMP": at, "email": "ann@example.com", **others}
    return {name: {"S": text} for name, text in texts.items()}


def only_request(bench: Bench) -> dict[str, Any]:
    (request,) = bench.scheduler.schedules.values()
    return request


def test_a1_1_an_update_keeps_action_after_completion_and_the_whole_body() -> None:
    bench = part_1()
    bench.run(bench.table.put(item(SOON)))
    created = only_request(bench)
    bench.run(bench.table.put(item(LATER)))
    assert bench.scheduler.calls[-1][0] == "update"
    updated = only_request(bench)
    assert updated["ActionAfterCompletion"] == "DELETE"
    assert updated.keys() == created.keys()
    assert updated["Target"].keys() == created["Target"].keys()
    assert updated["ScheduleExpression"] == "at(2026-11-23T14:00:00)"


def test_a1_2_a_record_that_fails_is_reported_and_drops_nothing_of_its_batch() -> None:
    bench = part_1()
    records = [bench.table.put(item(SOON, key)) for key in ("a", "b", "c")]
    bench.scheduler.refuse = lambda operation, request: (
        CallError("ServiceQuotaExceededException", "no room", 402) if '"b"' in request["Target"]["Input"] else None
    )
    assert bench.run(*records) == records[1]["dynamodb"]["SequenceNumber"]
    assert len(bench.scheduler.schedules) == 2
    bench.scheduler.refuse = lambda operation, request: None
    assert bench.run(*records[1:]) is None
    assert len(bench.scheduler.schedules) == 3


def test_a1_3_an_item_without_the_timestamp_is_no_error() -> None:
    bench = part_1()
    assert bench.run(bench.table.put(item()), bench.table.put(item(SOON, "b"))) is None
    assert len(bench.scheduler.schedules) == 1
    assert bench.letters.sent == []


def test_a1_4_a_timestamp_that_is_added_makes_a_schedule_and_one_that_is_removed_takes_it_away() -> None:
    bench = part_1()
    bench.run(bench.table.put(item()))
    assert bench.expressions == {}
    bench.run(bench.table.put(item(SOON)))
    assert list(bench.expressions.values()) == ["at(2026-11-23T13:00:00)"]
    bench.run(bench.table.put(item()))
    assert bench.expressions == {}


@pytest.mark.parametrize(
    "keys",
    [
        [{"PK": {"S": "über/alles #1"}, "SK": {"S": "x" * 1000}}],
        [{"PK": {"S": "a_b"}, "SK": {"S": "c"}}, {"PK": {"S": "a"}, "SK": {"S": "b_c"}}],
        [{"PK": {"N": "17"}, "SK": {"B": "AAEC/w=="}}, {"PK": {"S": "17"}, "SK": {"B": "AAEC/w=="}}],
    ],
    ids=["other characters and more than 64", "keys that collide when joined", "numbers and binary values"],
)
def test_a1_5_any_key_makes_a_name_of_its_own(keys: list[Item]) -> None:
    app = App("clinic")
    app.table("Appointments", partition_key="PK", sort_key="SK").rule("ttl", DeleteItem())
    bench = Bench(app, key=("PK", "SK"))
    bench.run(*(bench.table.put({**key, "ttl": epoch(SOON)}) for key in keys))
    inputs = [json.loads(request["Target"]["Input"]) for request in bench.scheduler.schedules.values()]
    assert [request["Key"] for request in inputs] == keys


def test_a1_5_two_tables_do_not_share_names() -> None:
    app = App("clinic")
    for name in ("Appointments", "Visits"):
        app.table(name, partition_key="PK").rule("ttl", DeleteItem())
    bench = Bench(app)
    record = bench.table.put(item(SOON))
    other = {**record, "eventSourceARN": record["eventSourceARN"].replace("Appointments", "Visits")}
    bench.run(record)
    bench.run(other)
    assert len(bench.scheduler.schedules) == 2


def test_a1_6_the_delete_happens_only_if_the_timestamp_is_what_it_was() -> None:
    bench = part_1()
    bench.run(bench.table.put(item(SOON)))
    target = only_request(bench)["Target"]
    assert target["Arn"] == DELETE_ITEM
    request = json.loads(target["Input"])
    assert request["ConditionExpression"].startswith("#ts = :due")
    assert request["ExpressionAttributeNames"]["#ts"] == "ttl"
    assert request["ExpressionAttributeValues"][":due"] == epoch(SOON)


def test_a1_7_an_epoch_is_a_moment_in_utc_whatever_zone_a_rule_names() -> None:
    bench = part_1(timezone="America/New_York")
    bench.run(bench.table.put(item(SOON)))
    request = only_request(bench)
    assert (request["ScheduleExpression"], request["ScheduleExpressionTimezone"]) == ("at(2026-11-23T13:00:00)", "UTC")


def test_a1_8_a_schedule_has_a_dead_letter_queue_and_the_rules_retry_policy() -> None:
    bench = part_1(retry=Retry(attempts=5, max_age=timedelta(hours=1)))
    bench.run(bench.table.put(item(SOON)))
    target = only_request(bench)["Target"]
    assert target["DeadLetterConfig"] == {"Arn": "arn:aws:sqs:eu-west-1:123456789012:clinic-dead-letters"}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 5}
    assert target["RoleArn"] == ROLE


def test_a1_8_an_insert_that_comes_again_is_no_conflict() -> None:
    bench = part_1()
    record = bench.table.put(item(SOON))
    assert bench.run(record) is None
    once = dict(bench.scheduler.schedules)
    assert bench.run(record) is None
    assert bench.scheduler.schedules == once
    assert bench.scheduler.operations() == ["create", "create", "update"]


@pytest.mark.parametrize(
    ("past_due", "expressions", "letters", "counted"),
    [
        ("deliver", ["at(2026-11-23T12:00:05)"], 0, {"Put": 1, "PastDue": 1, "Skipped": 0}),
        ("skip", [], 0, {"Put": 0, "PastDue": 1, "Skipped": 1}),
        ("dead_letter", [], 1, {"Put": 0, "DeadLettered": 1}),
    ],
)
def test_a1_8_a_past_timestamp_is_decided_on_by_the_rule_and_never_sent(
    past_due: PastDue, expressions: list[str], letters: int, counted: dict[str, int]
) -> None:
    bench = part_1(past_due)
    bench.run(bench.table.put(item(NOW - timedelta(minutes=1))))
    assert list(bench.expressions.values()) == expressions
    assert len(bench.letters.sent) == letters
    assert counted.items() <= bench.counted().items()


def test_a1_9_schedules_are_in_a_group_of_the_apps_own_and_name_only_its_execution_role() -> None:
    bench = part_1()
    bench.run(bench.table.put(item(SOON)))
    assert only_request(bench)["GroupName"] == "clinic"
    assert only_request(bench)["Target"]["RoleArn"] == ROLE


def stack_of_part_1() -> Resolved:
    app = App("clinic")
    app.table("Appointments", partition_key="PK").rule("ttl", DeleteItem())
    return Resolved(template(app, StackOptions(entry="rules:app")))


def test_a1_9_only_the_execution_role_is_passed_and_only_schedules_of_the_group_may_use_it() -> None:
    stack = stack_of_part_1()
    (passing,) = [one for one in stack.statements("StreamFunctionRole") if one["Action"] == ["iam:PassRole"]]
    assert passing["Resource"] == [stack.fill_in({"Fn::GetAtt": ["ExecutionRole", "Arn"]})]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    (trust,) = stack.trust("ExecutionRole")
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": ACCOUNT_ID,
        "aws:SourceArn": arn("scheduler", "schedule-group/clinic"),
    }


def test_a3_both_dead_letter_queues_may_be_written_to_by_those_who_have_to() -> None:
    stack = stack_of_part_1()
    assert is_allowed(stack.statements("ExecutionRole"), "sqs:SendMessage", arn("sqs", "clinic-dead-letters"), {})
    letters = arn("sqs", "clinic-stream-dead-letters")
    assert is_allowed(stack.statements("StreamFunctionRole"), "sqs:SendMessage", letters, {})


def test_a4_the_stream_is_read_from_its_beginning_and_a_poison_batch_is_given_up_in_hours_not_in_a_day() -> None:
    mapping = stack_of_part_1().resource("AppointmentsTableMapping")
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["MaximumRetryAttempts"] > 0
    assert mapping["MaximumRecordAgeInSeconds"] < timedelta(hours=24).total_seconds()
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"]


def test_a3_a_target_is_made_from_the_new_image() -> None:
    bench = part_3()
    bench.run(bench.table.put(appointment()))
    target = only_request(bench)["Target"]
    assert target["Arn"] == "arn:aws:scheduler:::aws-sdk:ses:sendEmail"
    assert json.loads(target["Input"])["Destination"] == {"ToAddresses": ["ann@example.com"]}


def test_a3_a_change_moves_the_one_reminder_and_adds_none() -> None:
    bench = part_3()
    bench.run(bench.table.put(appointment()))
    bench.run(bench.table.put(appointment("2026-11-24T08:00:00")))
    assert list(bench.expressions.values()) == ["at(2026-11-24T08:00:00)"]


def test_a3_a_change_of_another_attribute_makes_no_call() -> None:
    bench = part_3()
    bench.run(bench.table.put(appointment()))
    bench.run(bench.table.put(appointment(room="7")))
    assert bench.scheduler.operations() == ["create"]


def test_a3_a_remove_has_no_new_image_and_deletes_the_reminder() -> None:
    bench = part_3()
    bench.run(bench.table.put(appointment()))
    assert bench.run(bench.table.delete(appointment())) is None
    assert bench.expressions == {}


def test_a3_the_name_is_found_again_from_the_item() -> None:
    bench = part_3()
    records = [bench.table.put(appointment()), bench.table.delete(appointment()), bench.table.put(appointment())]
    names: set[str] = set()
    for record in records:
        bench.run(record)
        names |= bench.expressions.keys()
    assert len(names) == 1


def test_a3_a_poison_record_reaches_the_dead_letter_queue_with_the_record_inside() -> None:
    bench = part_3()
    assert bench.run(bench.table.put(appointment("next Tuesday")), bench.table.put(appointment(PK="b"))) is None
    (letter,) = bench.letters.sent
    assert (letter["rule"], letter["kind"]) == ("reminder", "unreadable timestamp")
    assert letter["record"]["newImage"] == appointment("next Tuesday")
    assert len(bench.expressions) == 1


def test_a4_every_record_of_a_batch_is_handled() -> None:
    bench = part_3()
    bench.run(*(bench.table.put(appointment(PK=str(number))) for number in range(25)))
    assert len(bench.expressions) == 25


def test_a4_quotes_in_an_attribute_do_not_break_the_input() -> None:
    bench = part_3()
    bench.run(bench.table.put(appointment(text='He said "now"\n\\')))
    request = json.loads(only_request(bench)["Target"]["Input"])
    assert request["Message"]["Body"]["Text"]["Data"] == 'He said "now"\n\\'


def test_a4_a_modify_updates_what_is_there() -> None:
    bench = part_3()
    bench.run(bench.table.put(appointment()))
    bench.run(bench.table.put(appointment("2026-11-24T08:00:00")))
    assert bench.scheduler.operations() == ["create", "update"]


@pytest.mark.parametrize("fault", list(Fault))
def test_a4_an_error_of_schedulers_is_overcome_within_the_batch(fault: Fault) -> None:
    bench = part_3()
    first, second = bench.table.put(appointment()), bench.table.put(appointment("2026-11-24T08:00:00"))
    bench.scheduler.faults = iter([fault, fault, None, fault])
    assert bench.run(first) is None
    assert bench.run(second) is None
    assert list(bench.expressions.values()) == ["at(2026-11-24T08:00:00)"]
