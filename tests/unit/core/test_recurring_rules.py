"""`table.recurring`: declared, checked, and planned from an item's expression."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from duestream import App, DeleteItem, QueueMessage, Retry, RuleError
from duestream.core.app import WatchedTable
from duestream.core.planner import DeadLetterRecord, DeleteSchedule, Operation, PutSchedule, plan
from duestream.core.record import EventName, Item, StreamRecord
from duestream.core.recurrence import Recurrence
from duestream.core.rule import Repeats
from duestream.core.schedule import Place, schedule_name

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY: Item = {"id": {"S": "basic"}}
DAILY, WEEKLY = "cron(0 9 * * ? *)", "cron(0 9 ? * MON *)"


def table() -> WatchedTable:
    return App("clinic").table("Plans", partition_key="id")


def image(expression: str | None = DAILY, **others: str) -> Item:
    """An item; `targets` tells the rule what to answer, one message for each letter."""
    values = {**others} if expression is None else {"SCHEDULE": expression, **others}
    return {**KEY, **{name: {"S": value} for name, value in values.items()}}


def planned(old: Item | None, new: Item | None, **record: Any) -> list[Operation]:
    watched = table()

    @watched.recurring("SCHEDULE", timezone="Europe/Berlin", timezone_attribute="TZ", start="FROM", end="UNTIL")
    def billing(item: dict[str, Any]) -> list[QueueMessage]:
        return [QueueMessage("billing", text) for text in item.get("targets", "a")]

    name = EventName.INSERT if old is None else EventName.REMOVE if new is None else EventName.MODIFY
    change = StreamRecord("Plans", record.pop("event_name", name), KEY, old, new, "17", **record)
    return plan(change, watched.rules, now=NOW, place=Place())


def short(operations: list[Operation]) -> list[str]:
    numbers = {schedule_name("Plans", "billing", KEY, number): number for number in range(5)}
    words = []
    for operation in operations:
        match operation:
            case PutSchedule(schedule):
                words.append(f"put {numbers[schedule.name]} {schedule.invocation.input}")
            case DeleteSchedule(_, name):
                words.append(f"delete {numbers[name]}")
            case DeadLetterRecord(kind=kind):
                words.append(f"dead-letter {kind}")
    return words


def test_the_design_loads_as_it_is_written() -> None:
    plans = table()
    rule = plans.recurring("SCHEDULE", QueueMessage("billing"), timezone_attribute="TZ", start="FROM", end="UNTIL")
    assert plans.rules == (rule,)
    assert rule.name == "schedule-queue-message"
    assert rule.repeats == Repeats("FROM", "UNTIL", "deliver_last")
    assert rule.timezone_attribute == "TZ"


def test_a_message_without_a_body_says_what_is_due() -> None:
    plans = table()
    plans.recurring("SCHEDULE", QueueMessage("billing"), name="bill")
    (operation,) = plan(
        StreamRecord("Plans", EventName.INSERT, KEY, None, image(), "1"), plans.rules, now=NOW, place=Place()
    )
    assert isinstance(operation, PutSchedule)
    assert json.loads(operation.schedule.invocation.input) == {
        "rule": "bill",
        "table": "Plans",
        "key": {"id": "basic"},
        "due": "<aws.scheduler.scheduled-time>",
    }
    assert json.loads(QueueMessage("billing").invocation(Place()).input) == {"due": "<aws.scheduler.scheduled-time>"}
    assert QueueMessage("billing", None).invocation(Place()).input == "null"


def test_a_series_has_expression_zone_start_end_and_its_first_occurrence() -> None:
    start, end = NOW + timedelta(days=3), NOW + timedelta(days=30)
    (operation,) = planned(None, image(TZ="Asia/Bangkok", FROM=start.isoformat(), UNTIL=end.isoformat()))
    assert isinstance(operation, PutSchedule)
    schedule = operation.schedule
    assert schedule.recurrence == Recurrence(DAILY, "Asia/Bangkok", start, end)
    assert schedule.due_at == datetime(2026, 11, 27, 2, tzinfo=UTC)


def test_a_rate_begins_when_it_is_written_or_at_its_start() -> None:
    written_at = NOW - timedelta(hours=5)
    (operation,) = planned(None, image("rate(1 hour)"), created_at=written_at)
    assert isinstance(operation, PutSchedule)
    assert (operation.schedule.due_at, operation.schedule.anchor_at) == (written_at, written_at)
    long_ago = NOW - timedelta(days=100, minutes=10)
    (operation,) = planned(None, image("rate(1 hour)", FROM=long_ago.isoformat()))
    assert isinstance(operation, PutSchedule)
    assert operation.schedule.due_at == NOW + timedelta(minutes=50), "in step with its start"


PAST = (NOW - timedelta(days=1)).isoformat()
PLANS = [
    # written
    (None, image(), ["put 0 a"]),
    (None, image(targets="ab"), ["put 0 a", "put 1 b"]),
    (None, image(None), []),
    (None, image("rate(5 minutes)"), ["put 0 a"]),
    (None, image(UNTIL=PAST), []),
    # changed
    (image(), image(other="x"), []),
    (image(), image(WEEKLY), ["put 0 a"]),
    (image(), image(TZ="Asia/Bangkok"), ["put 0 a"]),
    (image(), image(FROM=PAST), ["put 0 a"]),
    (image(), image(UNTIL="2030-01-01"), ["put 0 a"]),
    (image(), image(targets="b"), ["put 0 b"]),
    (image(targets="ab"), image(targets="ac"), ["put 1 c"]),
    (image(targets="ab"), image(targets="a"), ["delete 1"]),
    (image(targets="a"), image(targets="ab"), ["put 1 b"]),
    # ended
    (image(), image(UNTIL=PAST), ["delete 0"]),
    (image(UNTIL=PAST), image(UNTIL=PAST, targets="b"), []),
    (image(UNTIL=PAST), image(), ["put 0 a"]),
    # gone
    (image(), image(None), ["delete 0"]),
    (image(targets="ab"), None, ["delete 0", "delete 1"]),
    (image(None), image(None), []),
    # unreadable
    (None, image("daily"), ["dead-letter unreadable expression"]),
    (image(), image("cron(0 9 * * * *)"), ["delete 0", "dead-letter unreadable expression"]),
    (image("nonsense"), image(), ["put 0 a"]),
    (None, image("at(2030-01-01T00:00:00)"), ["dead-letter unreadable expression"]),
    (None, image(TZ="Mars/Olympus"), ["dead-letter unreadable expression"]),
    (None, image(FROM="soon"), ["dead-letter unreadable timestamp"]),
    (None, {**KEY, "SCHEDULE": {"N": "5"}}, ["dead-letter unreadable expression"]),
]


@pytest.mark.parametrize(("old", "new", "expected"), PLANS)
def test_what_a_change_of_an_item_does_to_its_series(old: Item | None, new: Item | None, expected: list[str]) -> None:
    assert short(planned(old, new)) == expected


def test_an_item_written_anew_begins_its_series_anew() -> None:
    both = planned(image(), image(), event_name=EventName.INSERT)
    assert short(both) == ["delete 0", "put 0 a"]


def test_a_dead_letter_says_what_was_found_and_what_to_write() -> None:
    (letter,) = planned(None, image("cron(0 9 * *)"))
    assert isinstance(letter, DeadLetterRecord)
    assert "'SCHEDULE'" in letter.reason
    assert "cron(0 9 * *)" in letter.reason
    assert "cron(0 9 ? * MON-FRI *)" in letter.reason


def test_a_filter_and_none_take_an_item_out() -> None:
    watched = table()
    watched.recurring("SCHEDULE", DeleteItem(), when=lambda item: item.get("ACTIVE"), retry=Retry(attempts=1))
    for old, new, expected in (
        (None, image(), []),
        (None, image(ACTIVE="yes"), [PutSchedule]),
        (image(ACTIVE="yes"), image(), [DeleteSchedule]),
    ):
        name = EventName.INSERT if old is None else EventName.MODIFY
        found = plan(StreamRecord("Plans", name, KEY, old, new, "1"), watched.rules, now=NOW, place=Place())
        assert [type(operation) for operation in found] == expected


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"catch_up": "all"}, "catch_up='all' is no policy"),
        ({"start": ""}, "start='' names no attribute"),
        ({"end": 5}, "end=5 names no attribute"),
        ({"offset": timedelta(1)}, "there is no option offset"),
        ({"past_due": "skip"}, "there is no option past_due"),
        ({"timezone": "Mars"}, "timezone='Mars' is unknown"),
    ],
)
def test_a_wrong_option_is_said_where_it_is_declared(options: dict[str, Any], text: str) -> None:
    with pytest.raises(RuleError) as refused:
        table().recurring("SCHEDULE", QueueMessage("q"), **options)
    assert text in str(refused.value)
    assert __file__ in str(refused.value.location)


def test_a_rule_of_timestamps_takes_no_options_of_recurring_ones() -> None:
    with pytest.raises(RuleError, match="there is no option catch_up"):
        table().rule("AT", QueueMessage("q", "x"), catch_up="skip")  # type: ignore[call-overload]
