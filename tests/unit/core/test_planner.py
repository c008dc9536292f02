from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from duestream import App, DeleteItem, QueueMessage, Retry
from duestream.core.planner import DeadLetterRecord, DeleteSchedule, Operation, PutSchedule, SkipDelivery, plan
from duestream.core.record import EventName, Item, StreamRecord
from duestream.core.rule import PastDue, Rule
from duestream.core.schedule import Place, schedule_name

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACE = Place("eu-west-1", "123456789012")
KEY: Item = {"PK": {"S": "p"}}
AHEAD, LATER = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
JUST_PAST, LONG_PAST = NOW - timedelta(minutes=1), NOW - timedelta(hours=1)


def image(at: datetime | str | None = None, **others: str) -> Item:
    """An item; `targets` tells the rule what to answer, one message for each letter, ``!`` to raise."""
    item = {**KEY, **{name: {"S": value} for name, value in others.items()}}
    if at is not None:
        item["AT"] = {"S": at if isinstance(at, str) else at.isoformat()}
    return item


def record(old: Item | None, new: Item | None, **others: Any) -> StreamRecord:
    name = EventName.MODIFY
    if old is None:
        name = EventName.INSERT
    if new is None:
        name = EventName.REMOVE
    return StreamRecord("Offers", others.pop("event_name", name), KEY, old, new, "17", **others)


def rule_of(**options: Any) -> Rule:
    def messages(item: dict[str, Any]) -> list[QueueMessage] | None:
        texts = item.get("targets", "a")
        if "!" in texts:
            raise RuntimeError("no target today")
        return [QueueMessage("q", text) for text in texts] or None

    table = App("clinic").table("Offers", partition_key="PK")
    table.rule("AT", **options)(messages)
    return table.rules[0]


def name(number: int = 0) -> str:
    return schedule_name("Offers", "messages", KEY, number)


def planned(old: Item | None, new: Item | None, rule: Rule | None = None, **others: Any) -> list[Operation]:
    return plan(record(old, new, **others), [rule or rule_of()], now=NOW, place=PLACE)


def short(operations: list[Operation]) -> list[str]:
    """The operations as words: ``put 0 a``, ``delete 1``, ``skip 0``, ``dead-letter past due``."""
    numbers = {name(number): number for number in range(9)}
    words = []
    for operation in operations:
        match operation:
            case PutSchedule(schedule, is_past_due):
                late = " late" if is_past_due else ""
                words.append(f"put {numbers[schedule.name]} {schedule.invocation.input}{late}")
            case DeleteSchedule("clinic", deleted):
                words.append(f"delete {numbers[deleted]}")
            case SkipDelivery(schedule, _):
                words.append(f"skip {numbers[schedule.name]}")
            case DeadLetterRecord(kind=kind):
                words.append(f"dead-letter {kind}")
    return words


def test_a_schedule_says_everything_its_delivery_needs() -> None:
    (operation,) = planned(None, image(AHEAD), rule_of(retry=Retry(attempts=3)))
    assert isinstance(operation, PutSchedule)
    schedule = operation.schedule
    assert schedule.name == name()
    assert (schedule.group_name, schedule.rule, schedule.table_name) == ("clinic", "messages", "Offers")
    assert (schedule.due_at, schedule.key, schedule.retry) == (AHEAD, KEY, Retry(attempts=3))
    assert schedule.invocation.target_arn == "arn:aws:sqs:eu-west-1:123456789012:q"
    assert schedule.dead_letter_queue_arn == "arn:aws:sqs:eu-west-1:123456789012:clinic-dead-letters"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # INSERT
        (None, image(AHEAD), ["put 0 a"]),
        (None, image(AHEAD, targets="ab"), ["put 0 a", "put 1 b"]),
        (None, image(JUST_PAST), ["put 0 a late"]),
        (None, image(NOW), ["put 0 a late"]),
        (None, image(LONG_PAST), ["skip 0"]),
        (None, image(), []),
        (None, image(AHEAD, targets=""), []),
        (None, image("soon"), ["dead-letter unreadable timestamp"]),
        (None, image(AHEAD, targets="!"), ["dead-letter rule raised"]),
        # attribute missing, or the rule answers None
        (image(AHEAD), image(), ["delete 0"]),
        (image(AHEAD, targets="ab"), image(AHEAD, targets=""), ["delete 0", "delete 1"]),
        (image(), image(), []),
        (image(AHEAD, targets=""), image(), []),
        # MODIFY, due and target both unchanged
        (image(AHEAD), image(AHEAD, other="x"), []),
        (image(LONG_PAST), image(LONG_PAST, other="x"), []),
        (image(JUST_PAST), image(JUST_PAST, other="x"), []),
        (image("2026-11-24T00:00:00Z"), image("2026-11-24 07:00+07"), []),
        # MODIFY, due changed
        (image(AHEAD), image(LATER), ["put 0 a"]),
        (image(LONG_PAST), image(AHEAD), ["put 0 a"]),
        (image(AHEAD), image(JUST_PAST), ["put 0 a late"]),
        (image(AHEAD), image(LONG_PAST), ["delete 0", "skip 0"]),
        (image(AHEAD, targets="abc"), image(LONG_PAST, targets="a"), ["delete 0", "delete 1", "delete 2", "skip 0"]),
        (image(AHEAD, targets="abc"), image(JUST_PAST, targets="a"), ["put 0 a late", "delete 1", "delete 2"]),
        # MODIFY, target changed
        (image(AHEAD), image(AHEAD, targets="b"), ["put 0 b"]),
        (image(AHEAD, targets="ab"), image(AHEAD, targets="ac"), ["put 1 c"]),
        (image(AHEAD, targets="ab"), image(AHEAD, targets="a"), ["delete 1"]),
        (image(AHEAD, targets="a"), image(AHEAD, targets="ab"), ["put 1 b"]),
        (image(LONG_PAST), image(LONG_PAST, targets="b"), []),
        (image(LONG_PAST, targets="ab"), image(LONG_PAST, targets="c"), ["delete 1"]),
        (image(JUST_PAST, targets="a"), image(JUST_PAST, targets="ab"), ["put 1 b late"]),
        # MODIFY that gives the item a due time: like INSERT
        (image(), image(AHEAD), ["put 0 a"]),
        (image(), image(JUST_PAST), ["put 0 a late"]),
        (image(AHEAD, targets=""), image(AHEAD), ["put 0 a"]),
        (image(LONG_PAST, targets=""), image(LONG_PAST), ["skip 0"]),
        # the new image cannot be evaluated: what the old one asked for goes
        (image(AHEAD, targets="ab"), image("soon"), ["delete 0", "delete 1", "dead-letter unreadable timestamp"]),
        (image(AHEAD), image(AHEAD, targets="!"), ["delete 0", "dead-letter rule raised"]),
        (image("soon"), image("sooner"), ["delete 0", "dead-letter unreadable timestamp"]),
        # the old image cannot be evaluated: unknown
        (image("soon"), image(AHEAD), ["put 0 a"]),
        (image("soon"), image(JUST_PAST), ["put 0 a late"]),
        (image("soon"), image(LONG_PAST), ["delete 0", "skip 0"]),
        (image("soon"), image(), ["delete 0"]),
        (image(AHEAD, targets="!"), image(AHEAD, targets="ab"), ["put 0 a", "put 1 b"]),
        (image(LONG_PAST, targets="!"), image(LONG_PAST, targets="ab"), []),
        (image(JUST_PAST, targets="!"), image(JUST_PAST), []),
        # REMOVE
        (image(AHEAD), None, ["delete 0"]),
        (image(LONG_PAST, targets="ab"), None, ["delete 0", "delete 1"]),
        (image("soon"), None, ["delete 0"]),
        (image(AHEAD, targets=""), None, ["delete 0"]),
        (image(), None, []),
    ],
)
def test_every_row_of_the_table(old: Item | None, new: Item | None, expected: list[str]) -> None:
    assert short(planned(old, new)) == expected


@pytest.mark.parametrize(
    ("policy", "at", "expected"),
    [
        ("deliver", NOW - timedelta(minutes=15), ["put 0 a late"]),
        ("deliver", NOW - timedelta(minutes=15, microseconds=1), ["skip 0"]),
        ("skip", JUST_PAST, ["skip 0"]),
        ("dead_letter", JUST_PAST, ["dead-letter past due"]),
    ],
)
def test_a_due_time_that_is_past_when_first_seen_follows_the_policy(
    policy: PastDue, at: datetime, expected: list[str]
) -> None:
    rule = rule_of(past_due=policy)
    assert short(planned(None, image(at), rule)) == expected
    moved = short(planned(image(AHEAD), image(at), rule))
    assert moved == (expected if policy == "deliver" and "put" in expected[0] else ["delete 0", *expected])


def test_the_reason_of_a_skip_and_a_dead_letter_tells_the_due_time() -> None:
    (skip,) = planned(None, image(LONG_PAST))
    assert isinstance(skip, SkipDelivery)
    assert skip.reason == "due at 2026-11-23T11:00:00+00:00, 1:00:00 ago, later than 0:15:00"
    (letter,) = planned(None, image(LONG_PAST), rule_of(past_due="dead_letter"))
    assert isinstance(letter, DeadLetterRecord)
    assert letter.reason == "due at 2026-11-23T11:00:00+00:00, 1:00:00 ago"
    assert letter.record.sequence_number == "17"


def test_what_was_ahead_when_it_was_written_is_delivered_however_late_it_is_read() -> None:
    written = LONG_PAST - timedelta(seconds=1)
    assert short(planned(None, image(LONG_PAST), created_at=written)) == ["put 0 a"]
    assert short(planned(image(LONG_PAST), image(LONG_PAST, targets="b"), created_at=written)) == ["put 0 b"]
    assert short(planned(None, image(LONG_PAST), created_at=NOW + timedelta(days=1))) == ["skip 0"]


def test_an_item_removed_and_written_again_is_put_as_new_and_its_surplus_deleted() -> None:
    again: dict[str, Any] = {"event_name": EventName.INSERT}
    old = image(AHEAD, targets="abc")
    assert short(planned(old, image(AHEAD, targets="a"), **again)) == ["put 0 a", "delete 1", "delete 2"]
    assert short(planned(old, image(), **again)) == ["delete 0", "delete 1", "delete 2"]
    assert short(planned(image(JUST_PAST), image(JUST_PAST), **again)) == ["put 0 a late"]


def test_one_rules_fault_leaves_the_others_alone() -> None:
    table = App("clinic").table("Offers", partition_key="PK")

    @table.rule("AT")
    def wrong(item: dict[str, Any]) -> None:
        raise RuntimeError("broken")

    table.rule("AT", DeleteItem(), when=lambda item: item["missing"], name="filtered")
    right = table.rule("AT", DeleteItem())
    first, second, third = plan(record(None, image(AHEAD)), table.rules, now=NOW, place=PLACE)
    assert isinstance(first, DeadLetterRecord)
    assert (first.rule.name, first.kind) == ("wrong", "rule raised")
    assert isinstance(second, DeadLetterRecord)
    assert (second.rule.name, second.kind) == ("filtered", "rule raised")
    assert isinstance(third, PutSchedule)
    assert third.schedule.rule == right.name


def test_rules_of_other_tables_are_passed_over() -> None:
    other = App("clinic").table("Others", partition_key="PK").rule("AT", DeleteItem())
    assert plan(record(None, image(AHEAD)), [other], now=NOW, place=PLACE) == []


def test_a_filter_that_stops_holding_deletes() -> None:
    rule = rule_of(when=lambda item: item.get("state") != "closed")
    assert short(planned(image(AHEAD), image(AHEAD, state="closed"), rule)) == ["delete 0"]
    assert short(planned(image(AHEAD, state="closed"), image(AHEAD), rule)) == ["put 0 a"]


def test_code_that_runs_when_due_is_not_put_again_because_another_attribute_changed() -> None:
    table = App("clinic").table("Offers", partition_key="PK")
    table.when_due("AT", name="ask")(lambda item, due: None)
    assert plan(record(image(AHEAD), image(AHEAD, other="x")), table.rules, now=NOW, place=PLACE) == []
    (put,) = plan(record(image(AHEAD), image(LATER)), table.rules, now=NOW, place=PLACE)
    assert isinstance(put, PutSchedule)


def test_the_own_items_delete_moves_with_the_timestamps_text() -> None:
    rule = App("clinic").table("Offers", partition_key="PK").rule("AT", DeleteItem())
    same_moment = (image("2026-11-24T00:00:00Z"), image("2026-11-24 07:00+07"))
    (put,) = planned(*same_moment, rule)
    assert isinstance(put, PutSchedule)
    assert "2026-11-24 07:00+07" in put.schedule.invocation.input


def test_a_timestamp_in_another_zone_is_another_due_time() -> None:
    rule = rule_of(timezone_attribute="TZ")
    at = "2026-11-24T12:00"
    assert short(planned(image(at, TZ="UTC"), image(at, TZ="Asia/Bangkok"), rule)) == ["put 0 a"]
    past = "2026-11-23T11:55"
    assert short(planned(image(past, TZ="nowhere"), image(past, TZ="UTC"), rule)) == ["put 0 a late"]
