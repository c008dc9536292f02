"""What `why` says of one rule of an app on AWS."""

from typing import Any

import pytest

from duestream.aws.upkeep.explaining_words import sentences

NOW_MS = 1_893_488_400_000  # 2030-01-01T09:00:00Z
HOUR_MS = 3_600_000


def trace(**parts: Any) -> dict[str, Any]:
    return {"schedule": "clinic/reminder-1", "pending": None, "delivery": None, "dead_letters": [], **parts}


def pending(due_in_ms: int | None = HOUR_MS, **parts: Any) -> dict[str, Any]:
    return {
        "state": "ENABLED",
        "expression": "at(2030-01-01T10:00:00)",
        "due_at": None if due_in_ms is None else "2030-01-01T10:00:00Z",
        "due_at_ms": None if due_in_ms is None else NOW_MS + due_in_ms,
        "target_arn": "arn:aws:sqs:eu-central-1:123456789012:reminders",
        "description": None,
        **parts,
    }


def said(*traces: dict[str, Any], item_says: dict[str, Any] | None = None, findings: Any = ()) -> list[str]:
    wanted = {"state": "wanted", "due_at_ms": NOW_MS + HOUR_MS, "due_at": "2030-01-01T10:00:00Z"}
    rule = {"rule": "reminder", "attribute": "AT", "item_says": item_says or wanted}
    return sentences({**rule, "schedules": traces, "findings": list(findings)}, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (pending(), "Will be delivered: due 2030-01-01T10:00:00Z (in 60 min), by sqs reminders."),
        (pending(-HOUR_MS), "Is being delivered, or tried again: due 2030-01-01T10:00:00Z (60 min ago)"),
        (pending(state="DISABLED"), "Will not be delivered: its schedule is disabled"),
        (pending(expression="rate(1 hours)"), "Will be delivered: rate(1 hours), next due 2030-01-01T10:00:00Z"),
        (pending(None, expression="rate(1 hours)"), "Its schedule stands (rate(1 hours)), and is due no more."),
    ],
)
def test_what_is_to_come(standing: dict[str, Any], words: str) -> None:
    (sentence,) = said(trace(pending=standing))
    assert words in sentence


def test_a_schedule_that_is_not_as_the_item_asks_is_told_of() -> None:
    different = {"kind": "different", "detail": "ScheduleExpression", "schedule": "s"}
    sentence = said(trace(pending=pending()), findings=[different])[1]
    assert "the item asks for another one (ScheduleExpression)" in sentence


def test_a_schedule_that_redrives_a_letter_is_not_taken_for_the_items_own() -> None:
    redriving = trace(pending=pending(5_000, description="Redrives dead letter 7 of schedule s"))
    past = {"state": "wanted", "due_at_ms": NOW_MS - HOUR_MS, "due_at": "2030-01-01T08:00:00Z"}
    different = {"kind": "different", "detail": "ScheduleExpression", "schedule": "s"}
    (sentence,) = said(redriving, item_says=past, findings=[different])
    assert "(Redrives dead letter 7 of schedule s)." in sentence
    assert "but there is no schedule for it" in said(redriving, findings=[different])[1], "its own is still missing"


@pytest.mark.parametrize(
    ("item_says", "words"),
    [
        ({"state": "no item"}, "Nothing is to come: the item is not there."),
        ({"state": "no attribute"}, "Nothing is to come: the item has no AT."),
        ({"state": "rule raised", "reason": "KeyError."}, "the rule's code raised KeyError."),
        (
            {"state": "wanted", "due_at_ms": NOW_MS - HOUR_MS, "due_at": "2030-01-01T08:00:00Z"},
            "EventBridge Scheduler has delivered it, or it was never made. Which of both, AWS does not tell",
        ),
        (
            {"state": "wanted", "due_at_ms": NOW_MS + HOUR_MS, "due_at": "2030-01-01T10:00:00Z"},
            "but there is no schedule for it: the stream function has not come to the item's last write yet",
        ),
        (
            {"state": "wanted", "due_at_ms": None, "expression": "rate(1 days)", "timezone": "UTC"},
            "The item asks for rate(1 days) in UTC, which has no occurrence to come.",
        ),
    ],
)
def test_why_nothing_is_to_come(item_says: dict[str, Any], words: str) -> None:
    (sentence,) = said(item_says=item_says)
    assert words in sentence


def test_a_recurring_schedule_that_is_missing_is_not_taken_for_one_that_is_over() -> None:
    series = {"state": "wanted", "due_at_ms": None, "expression": "rate(1 days)", "timezone": "UTC"}
    (sentence,) = said(item_says=series, findings=[{"kind": "missing", "detail": "not there", "schedule": "s"}])
    assert "there is no schedule for it" in sentence


@pytest.mark.parametrize(
    ("state", "outcome", "words"),
    [
        ("done", "delivered", "has delivered it, in attempt 2"),
        ("done", "dead_lettered", "gave it up after 2 attempts"),
        ("failed", None, "attempt 2 failed; the next one is at 2030-01-01T09:05:00Z"),
        ("in progress", None, "makes attempt 2, until 2030-01-01T09:01:00Z at the latest"),
    ],
)
def test_what_the_due_function_put_down(state: str, outcome: str | None, words: str) -> None:
    mark = {
        "state": state,
        "outcome": outcome,
        "attempt": 2,
        "until": "2030-01-01T09:01:00Z",
        "next_attempt_at": "2030-01-01T09:05:00Z",
    }
    past = {"state": "wanted", "due_at_ms": NOW_MS - HOUR_MS, "due_at": "2030-01-01T08:00:00Z"}
    first, second = said(trace(delivery=mark), item_says=past)
    assert "what came of it stands below" in first
    assert words in second


def test_letters_are_told_with_the_command_that_redrives_them() -> None:
    told = {"id": "7", "at": "2030-01-01T08:00:00Z", "kind": "record", "reason": "rule raised: no.", "queue": "q"}
    sentence = said(trace(dead_letters=[told]), item_says={"state": "no item"})[1]
    assert sentence == (
        "Dead letter 7 of 2030-01-01T08:00:00Z, a stream record, given up: rule raised: no. It waits in q: "
        "`duestream dead-letters redrive --app APP 7`."
    )
