"""What `why` finds on the manual clock, and how it says it."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.engine.bench import Bench, at, bench, run

from duestream import App, QueueMessage, Retry
from duestream.errors import ValidationException
from duestream.local.engine.why import read_key
from duestream.local.store import messages, queues
from duestream.local.store.tables import Table

KEY = "PK=a,SK=1"


def clinic(*, without: str = "") -> App:
    app = App("clinic")
    table = app.table("Appointments", partition_key="PK", sort_key="SK")

    def reminder(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("reminders", {"pk": item["PK"]})

    def day_before(item: dict[str, Any]) -> list[QueueMessage]:
        return [QueueMessage("reminders", item["email"]), QueueMessage("others", item["email"])]

    if without != "reminder":
        table.rule("REMINDER", retry=Retry(attempts=1))(reminder)
    table.rule("START", offset=-timedelta(days=1), when=lambda item: not item.get("CANCELLED"))(day_before)
    return app


async def why(b: Bench, key: str = KEY) -> dict[str, Any]:
    return await b.engine.explainer.explain("Appointments", key)


def said(facts: Mapping[str, Any], rule: str) -> str:
    (found,) = [one for one in facts["rules"] if one["rule"] == rule]
    return " ".join(found["says"])


def scenario_on(tmp_path: Path, app: App, scenario: Any) -> None:
    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await scenario(b)

    run(work())


def test_what_is_to_come_is_told_with_its_moment_and_target(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await b.put("Appointments", PK="a", SK="1", REMINDER=at(minutes=30), START=at(days=3), email="x@example.com")
        behind = await why(b)
        assert behind["planning"]["caught_up"] is False
        assert "planning has not come to its last write yet" in said(behind, "reminder")
        await b.settle()
        facts = await why(b)
        assert facts["known"]
        assert facts["planning"]["caught_up"]
        assert said(facts, "reminder") == (
            "Will be delivered: due 2030-01-01T08:30:00Z (in 30 min), by sqs reminders; no attempt has failed yet."
        )
        assert said(facts, "day_before").count("Will be delivered: due 2030-01-03T08:00:00Z (in 2 days)") == 2

    scenario_on(tmp_path, clinic(), scenario)


def test_retries_and_their_end_are_told_with_the_last_failure(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await b.put("Appointments", PK="a", SK="1", REMINDER=at(minutes=1))
        await b.settle()
        await b.tick(minutes=1)
        facts = await why(b)
        (trace,) = facts["rules"][0]["schedules"]
        assert trace["pending"]["attempts"] == 1
        assert trace["pending"]["last_failure"].startswith("AWS.SimpleQueueService.NonExistentQueue: ")
        assert trace["pending"]["next_attempt_at"] > "2030-01-01T08:01:00.4"
        assert "1 attempt made; the last one failed with AWS.SimpleQueueService.NonExistentQueue" in said(
            facts, "reminder"
        )
        await b.tick(seconds=2)
        ended = await why(b)
        letter = ended["rules"][0]["schedules"][0]["dead_letters"][0]
        assert (letter["state"], letter["queue"]) == ("waiting", "clinic-dead-letters")
        assert "Was given up at 2030-01-01T08:01:02Z after 2 attempts" in said(ended, "reminder")
        assert f"`duestream dead-letters redrive {letter['id']}`" in said(ended, "reminder")
        await b.make_queue("reminders")
        await b.engine.redriver.redrive(str(letter["id"]))
        assert "again out of a dead letter" in said(await why(b), "reminder")
        await b.settle()
        redriven = said(await why(b), "reminder")
        assert "Was delivered at 2030-01-01T08:01:02Z, 0 ms late" in redriven
        assert f"Dead letter {letter['id']} of 2030-01-01T08:01:02Z. It was redriven" in redriven

    scenario_on(tmp_path, clinic(), scenario)


def test_a_delivery_is_told_with_its_lateness(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await b.make_queue("reminders")
        await b.put("Appointments", PK="a", SK="1", REMINDER=at(minutes=1))
        await b.settle()
        await b.tick(minutes=1, milliseconds=250)
        told = "Was delivered at 2030-01-01T08:01:00.250000Z, 250 ms late (due 2030-01-01T08:01:00Z; 1 attempt)."
        assert said(await why(b), "reminder") == told
        await b.delete("Appointments", PK="a", SK="1")
        await b.settle()
        gone = await why(b)
        assert gone["known"]
        assert gone["item"] is None
        assert said(gone, "reminder") == f"Nothing is to come: the item is not there. {told}"

    scenario_on(tmp_path, clinic(), scenario)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({}, "the item has no START"),
        ({"START": at(days=3), "CANCELLED": True}, "the rule's filter (`when`) leaves this item out"),
        ({"START": "soon"}, "attribute 'START': "),
        ({"START": at(days=3)}, "the rule's code raised KeyError: 'email'"),
    ],
)
def test_why_nothing_is_to_come(item: Mapping[str, Any], reason: str, tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await b.put("Appointments", PK="a", SK="1", **item)
        await b.settle()
        assert f"Nothing is to come: {reason}" in said(await why(b), "day_before")

    scenario_on(tmp_path, clinic(), scenario)


def test_a_due_time_that_was_past_is_told_as_skipped(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await b.put("Appointments", PK="a", SK="1", REMINDER=at(days=-3))
        await b.settle()
        assert "Was skipped at 2030-01-01T08:00:00Z (due 2029-12-29T08:00:00Z)" in said(await why(b), "reminder")

    scenario_on(tmp_path, clinic(), scenario)


def test_a_rule_that_came_after_the_item_is_told_apart(tmp_path: Path) -> None:
    async def without(b: Bench) -> None:
        await b.put("Appointments", PK="a", SK="1", REMINDER=at(minutes=30))
        await b.put("Appointments", PK="b", SK="1", START=at(days=3), email="x@example.com")  # moves the checkpoint
        await b.settle()

    async def with_it(b: Bench) -> None:
        assert "Write it again to have it planned." in said(await why(b), "reminder")

    scenario_on(tmp_path, clinic(without="reminder"), without)
    scenario_on(tmp_path, clinic(), with_it)


def test_a_rule_that_is_gone_is_told_of_by_what_it_left(tmp_path: Path) -> None:
    async def with_it(b: Bench) -> None:
        await b.put("Appointments", PK="a", SK="1", REMINDER=at(minutes=30))
        await b.settle()

    async def without(b: Bench) -> None:
        facts = await why(b)
        assert [rule["is_loaded"] for rule in facts["rules"]] == [True, False]
        assert said(facts, "reminder").startswith("Waits, due 2030-01-01T08:30:00Z (in 30 min), by sqs reminders")
        assert [rule["rule"] for rule in (await why(b, "PK=b,SK=1"))["rules"]] == ["day_before"]

    scenario_on(tmp_path, clinic(), with_it)
    scenario_on(tmp_path, clinic(without="reminder"), without)


def test_a_letter_in_flight_and_one_that_was_taken_are_told(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await b.put("Appointments", PK="a", SK="1", START="soon")
        await b.settle()
        queue = queues.get_queue(b.store.reader, "clinic-stream-dead-letters")
        assert queue is not None
        now_ms = b.clock.now_ms()
        (received,) = await b.store.write(
            lambda tx: messages.receive_messages(tx, queue, limit=1, visibility_timeout_seconds=30, now_ms=now_ms)
        )
        assert "and somebody has received it" in said(await why(b), "day_before")
        await b.store.write(lambda tx: messages.delete_message(tx, queue, received.receipt_handle, now_ms=now_ms))
        assert "taken out of the queue by somebody" in said(await why(b), "day_before")

    scenario_on(tmp_path, clinic(), scenario)


def test_of_an_item_that_never_was_nothing_is_known(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        facts = await why(b)
        assert facts["known"] is False
        assert facts["says"] == ["Nothing is known of such an item: it is not there, and it has left no trace."]
        nowhere = await b.engine.explainer.explain("Nowhere", KEY)
        assert nowhere["known"] is False
        assert nowhere["says"] == ["There is no table Nowhere in the data folder."]

    scenario_on(tmp_path, clinic(), scenario)


def table(**keys: str) -> Table:
    names = list(keys)
    return Table(
        id=1,
        name="T",
        region="us-east-1",
        status="ACTIVE",
        partition_key=names[0],
        partition_key_type=keys[names[0]],
        sort_key=names[1] if len(names) > 1 else None,
        sort_key_type=keys[names[1]] if len(names) > 1 else None,
        stream=None,
        declaration={},
        created_at_ms=0,
    )


@pytest.mark.parametrize(
    ("keys", "text", "key"),
    [
        ({"PK": "S", "SK": "S"}, "PK=a,SK=b", {"PK": {"S": "a"}, "SK": {"S": "b"}}),
        ({"PK": "S", "SK": "S"}, "SK=b,PK=a=1,2", {"PK": {"S": "a=1,2"}, "SK": {"S": "b"}}),
        ({"PK": "S", "SK": "N"}, "PK=a,b,SK=7", {"PK": {"S": "a,b"}, "SK": {"N": "7"}}),
        ({"PK": "S", "SK": "N"}, '{"PK": "a", "SK": 7.50}', {"PK": {"S": "a"}, "SK": {"N": "7.50"}}),
        ({"PK": "S"}, '{"PK": {"S": "a"}}', {"PK": {"S": "a"}}),
        ({"id": "S"}, "a=b", {"id": {"S": "a=b"}}),
        ({"id": "N"}, "id=7", {"id": {"N": "7"}}),
        ({"id": "B"}, "id=AAEC", {"id": {"B": "AAEC"}}),
    ],
)
def test_keys_are_read_as_people_write_them(keys: dict[str, str], text: str, key: Mapping[str, Any]) -> None:
    assert read_key(table(**keys), text) == key


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"PK": "S", "SK": "S"}, "a"),
        ({"PK": "S", "SK": "S"}, "PK=a"),
        ({"PK": "S", "SK": "S"}, '{"PK": "a"}'),
        ({"PK": "S"}, '{"PK": ["a"]}'),
        ({"PK": "S"}, '{"PK": '),
        ({"PK": "B"}, "PK=!"),
    ],
)
def test_what_is_no_key_is_refused(keys: dict[str, str], text: str) -> None:
    with pytest.raises(ValidationException):
        read_key(table(**keys), text)


def test_a_recurring_rule_tells_its_next_occurrence_and_those_under_way(tmp_path: Path) -> None:
    app = App("clinic")
    app.table("Plans", partition_key="id").recurring("EVERY", QueueMessage("billing", {}))

    async def scenario(b: Bench) -> None:
        await b.put("Plans", id="1", EVERY="rate(1 hour)")
        await b.settle()
        await b.tick(hours=1)
        facts = await b.engine.explainer.explain("Plans", "1")
        (_, under_way, to_come) = facts["rules"][0]["says"]  # a rate's first occurrence is at once
        assert under_way.startswith("Is being tried: due 2030-01-01T09:00:00Z")
        assert "the last one failed with AWS.SimpleQueueService.NonExistentQueue" in under_way
        assert to_come.startswith("Will be delivered: rate(1 hour), next due 2030-01-01T10:00:00Z (in 60 min), by sqs")
        await b.put("Plans", id="1", EVERY="hourly")
        await b.settle()
        (rule,) = (await b.engine.explainer.explain("Plans", "1"))["rules"]
        assert "Nothing is to come: attribute 'EVERY': " in " ".join(rule["says"])

    scenario_on(tmp_path, app, scenario)
