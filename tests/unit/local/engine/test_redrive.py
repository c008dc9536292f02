"""Dead letters on the manual clock: what is listed, redriven and dropped, and what their queues may be like."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.engine.bench import START, Bench, at, bench, run

from duestream import App, AwsCall, QueueMessage, Retry
from duestream.clock import to_ms
from duestream.core.attributes import key_bytes, key_value, normalize_number
from duestream.local.engine import letter_box
from duestream.local.engine.letter_box import LetterFilter
from duestream.local.engine.redrive import Redriven
from duestream.local.store import messages, outcomes, queues, schedule_groups, schedules

ONE_RETRY = Retry(attempts=1, max_age=timedelta(minutes=5))
DEAD, STREAM_DEAD = "clinic-dead-letters", "clinic-stream-dead-letters"


def clinic() -> App:
    """A rule whose queue is missing until somebody makes it."""
    app = App("clinic")
    table = app.table("Appointments", partition_key="PK", sort_key="SK", sort_key_type="N")

    @table.rule("REMINDER", retry=ONE_RETRY)
    def reminder(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("reminders", {"pk": item["PK"]})

    return app


class Fickle:
    """A rule that raises until it is mended."""

    def __init__(self, **options: Any) -> None:
        self.app = App("clinic")
        self.mended = False
        table = self.app.table("Appointments", partition_key="PK")

        @table.rule("REMINDER", **options)
        def fickle(item: dict[str, Any]) -> QueueMessage:
            if not self.mended:
                raise LookupError("no such thing")
            return QueueMessage("reminders", {"pk": item["PK"][:10]})


def letters(b: Bench, **wanted: Any) -> list[dict[str, Any]]:
    now_ms = b.clock.now_ms()
    return letter_box.list_letters(b.store.reader, LetterFilter(**wanted), token=None, limit=100, now_ms=now_ms).letters


async def redrive(b: Bench, letter: Mapping[str, Any], **options: bool) -> Redriven:
    return await b.engine.redriver.redrive(str(letter["id"]), **options)


async def give_up(b: Bench, *names: str) -> None:
    """Items whose reminders end as dead letters."""
    for name in names:
        await b.put("Appointments", PK=name, SK=7, REMINDER=at(minutes=1))
    await b.settle()
    await b.tick(minutes=1)
    await b.tick(minutes=1)


def with_bench(tmp_path: Path, app: App, scenario: Callable[[Bench], Any]) -> None:
    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await scenario(b)

    run(work())


def test_a_letter_tells_what_happened_and_is_redriven_with_its_history(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "a")
        (letter,) = letters(b)
        assert (letter["kind"], letter["state"], letter["rule"], letter["attempts"]) == (
            "delivery",
            "waiting",
            "reminder",
            2,
        )
        assert (letter["table"], letter["key"]) == ("Appointments", {"PK": {"S": "a"}, "SK": {"N": "7"}})
        assert letter["reason"].startswith("AWS.SimpleQueueService.NonExistentQueue: ")
        await b.make_queue("reminders")
        ended = await redrive(b, letter)
        assert ended.result == "redriven"
        assert letters(b) == []
        await b.settle()
        (message,) = await b.messages("reminders")
        assert json.loads(message.body) == {"pk": "a"}
        assert b.outcomes() == ["dead_lettered", "delivered"]
        group, _, name = str(letter["schedule"]).partition("/")
        first, second = outcomes.outcomes_of(b.store.reader, group, name)
        assert second.attempts == 1
        assert second.reason == f"redrives delivery {first.delivery_id}"
        assert second.delivery_id != first.delivery_id
        kept = letter_box.ended_letter(b.store.reader, str(letter["id"]))
        assert kept is not None
        (entry,) = letter_box.history_of(b.store.reader, kept)
        assert (entry["ended"], entry["ended_reason"], entry["attempts"]) == ("redriven", letter["schedule"], 2)

    with_bench(tmp_path, clinic(), scenario)


def test_a_redriven_letter_that_fails_again_is_a_new_letter_with_the_old_one_in_its_history(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "a")
        (first,) = letters(b)
        await redrive(b, first)
        await b.settle()
        assert letters(b) == []  # the retry policy is anew: it is tried again
        await b.tick(seconds=2)
        (second,) = letters(b)
        assert second["attempts"] == 2
        assert second["redrives"] == first["delivery_id"]
        found = letter_box.find_letter(b.store.reader, str(second["id"]))
        assert found is not None
        assert found.kept is not None
        assert [entry["id"] for entry in letter_box.history_of(b.store.reader, found.kept)] == [
            first["id"],
            second["id"],
        ]

    with_bench(tmp_path, clinic(), scenario)


def test_redriving_one_letter_twice_at_once_delivers_it_once(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "a")
        (letter,) = letters(b)
        await b.make_queue("reminders")
        ended = await asyncio.gather(*(redrive(b, letter) for _ in range(5)))
        assert sorted(one.result for one in ended) == ["gone", "gone", "gone", "gone", "redriven"]
        await b.settle()
        assert len(await b.messages("reminders")) == 1

    with_bench(tmp_path, clinic(), scenario)


def test_a_letter_that_somebody_received_is_in_flight_and_left_to_them(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "a")
        queue = queues.get_queue(b.store.reader, DEAD)
        assert queue is not None
        now_ms = b.clock.now_ms()
        (received,) = await b.store.write(
            lambda tx: messages.receive_messages(tx, queue, limit=1, visibility_timeout_seconds=30, now_ms=now_ms)
        )
        assert received.message.attributes["RETRY_ATTEMPTS"]["StringValue"] == "1"
        (letter,) = letters(b)
        assert (letter["state"], letter["received"]) == ("in flight", 1)
        assert (await redrive(b, letter)).result == "in flight"
        assert (await b.engine.redriver.drop(str(letter["id"]))).result == "in flight"
        b.clock.tick(timedelta(seconds=30))
        assert letters(b)[0]["state"] == "waiting"
        assert (await redrive(b, letter)).result == "redriven"

    with_bench(tmp_path, clinic(), scenario)


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "a")
        (letter,) = letters(b)
        assert (await redrive(b, letter, dry_run=True)).result == "redriven"
        assert (await b.engine.redriver.drop(str(letter["id"]), dry_run=True)).result == "dropped"
        assert letters(b) == [letter]
        assert b.pending() == 0

    with_bench(tmp_path, clinic(), scenario)


def test_a_dropped_letter_is_gone_and_its_history_stays(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "a")
        (letter,) = letters(b)
        assert (await b.engine.redriver.drop(str(letter["id"]))).result == "dropped"
        assert letters(b) == []
        assert (await redrive(b, letter)).result == "gone"
        kept = letter_box.ended_letter(b.store.reader, str(letter["message_id"]))
        assert kept is not None
        assert kept.ended == "dropped"

    with_bench(tmp_path, clinic(), scenario)


def test_a_delivery_whose_item_is_gone_or_moved_is_refused_unless_it_is_forced(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "gone", "moved")
        await b.make_queue("reminders")
        await b.delete("Appointments", PK="gone", SK=7)
        await b.put("Appointments", PK="moved", SK=7, REMINDER=at(minutes=30))
        await b.settle()
        gone, moved = sorted(letters(b), key=lambda letter: str(letter["key"]["PK"]))
        assert (await redrive(b, gone)).reason == "the item is gone"
        assert "what it says now is due at 2030-01-01T08:30:00Z" in str((await redrive(b, moved)).reason)
        assert len(letters(b)) == 2
        assert {(await redrive(b, letter, force=True)).result for letter in (gone, moved)} == {"redriven"}
        await b.settle()
        assert len(await b.messages("reminders")) == 2
        assert b.pending() == 1  # the moved item's own one

    with_bench(tmp_path, clinic(), scenario)


def test_a_letter_of_a_rule_that_is_not_loaded_stays(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "a")

    async def without(b: Bench) -> None:
        (letter,) = letters(b)
        ended = await redrive(b, letter, force=True)
        assert (ended.result, ended.reason) == ("refused", "the app that is loaded has no rule reminder")
        assert len(letters(b)) == 1

    with_bench(tmp_path, clinic(), scenario)
    other = App("clinic")
    other.table("Appointments", partition_key="PK", sort_key="SK", sort_key_type="N")
    with_bench(tmp_path, other, without)


async def put_api_schedule(b: Bench, dead_letter_queue: str, body: str = "x") -> None:
    """As CreateSchedule leaves it; its target queue does not exist."""
    now_ms = b.clock.now_ms()
    group = schedule_groups.get_group(b.store.reader, "default")
    assert group is not None
    target = {
        "Arn": "arn:aws:sqs:us-east-1:000000000000:elsewhere",
        "Input": f"{body} for <aws.scheduler.scheduled-time>",
        "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
        "DeadLetterConfig": {"Arn": f"arn:aws:sqs:us-east-1:000000000000:{dead_letter_queue}"},
    }
    schedule = {
        "ScheduleExpression": "at(2030-01-01T08:00:00)",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "NONE",
        "Target": target,
    }
    await b.store.write(
        lambda tx: schedules.put_schedule(
            tx,
            group_id=group.id,
            group_name="default",
            name="mine",
            state="ENABLED",
            due_at_ms=now_ms,
            body=schedule,
            now_ms=now_ms,
        )
    )
    await b.settle()


def test_a_schedule_of_the_apis_is_redriven_from_the_queue_it_names_with_the_request_as_it_was(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await b.make_queue("mine-failed")
        await put_api_schedule(b, "mine-failed")
        (letter,) = letters(b)
        assert (letter["queue"], letter["schedule"], letter["rule"]) == ("mine-failed", "default/mine", None)
        b.clock.tick(timedelta(hours=1))
        await b.make_queue("elsewhere")
        ended = await redrive(b, letter)
        assert ended.schedule == f"default/redrive-{letter['id']}"
        await b.settle()
        (message,) = await b.messages("elsewhere")
        assert message.body == "x for 2030-01-01T08:00:00Z"
        assert schedules.get_schedule(b.store.reader, "default", str(ended.schedule)[8:]) is None

    with_bench(tmp_path, clinic(), scenario)


@pytest.mark.parametrize(
    ("queue", "attributes", "reason"),
    [
        ("missing", None, "the dead-letter queue missing does not exist"),
        ("ordered.fifo", {"FifoQueue": "true"}, "the dead-letter queue ordered.fifo is a FIFO queue"),
    ],
)
def test_a_dead_letter_queue_that_cannot_be_used_is_said_in_the_outcome(
    tmp_path: Path, queue: str, attributes: Mapping[str, str] | None, reason: str
) -> None:
    async def scenario(b: Bench) -> None:
        if attributes is not None:
            await b.store.write(
                lambda tx: queues.create_queue(
                    tx, queue, region="us-east-1", attributes=attributes, now_ms=to_ms(START)
                )
            )
        await put_api_schedule(b, queue)
        (outcome,) = outcomes.outcomes_of(b.store.reader, "default", "mine")
        assert outcome.kind == "dropped"
        assert reason in str(outcome.reason)

    with_bench(tmp_path, clinic(), scenario)


def test_what_does_not_fit_is_cut_for_the_queue_and_redriven_whole(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        small = {"MaximumMessageSize": "1024"}
        await b.store.write(
            lambda tx: queues.create_queue(tx, "small", region="us-east-1", attributes=small, now_ms=to_ms(START))
        )
        await put_api_schedule(b, "small", body="long " * 1000)
        (message,) = await b.messages("small")
        assert message.attributes["IS_PAYLOAD_TRUNCATED"]["StringValue"] == "true"
        assert 200 < len(message.body) < 1024
        await b.make_queue("elsewhere")
        (letter,) = letters(b)
        assert (await redrive(b, letter)).result == "redriven"
        await b.settle()
        (whole,) = await b.messages("elsewhere")
        assert len(whole.body) > 5000

    with_bench(tmp_path, clinic(), scenario)


def test_letters_that_only_their_message_tells_of_are_redriven_too(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        attributes = {
            "SCHEDULE_ARN": "arn:aws:scheduler:us-east-1:000000000000:schedule/elsewhere/theirs",
            "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
            "ERROR_CODE": "Oops",
            "ERROR_MESSAGE": "it failed",
            "RETRY_ATTEMPTS": "4",
            "SCHEDULED_TIME": "2029-12-31T08:00:00Z",
        }
        wire = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
        cut = {**wire, "IS_PAYLOAD_TRUNCATED": {"DataType": "String", "StringValue": "true"}}
        dead = queues.get_queue(b.store.reader, DEAD)
        assert dead is not None
        await b.make_queue("reminders")
        body = json.dumps({"QueueUrl": "reminders", "MessageBody": "again"})
        for with_attributes in (wire, cut, None):
            await b.store.write(
                lambda tx, with_attributes=with_attributes: queues.send_message(  # type: ignore[misc]
                    tx, dead, body=body, attributes=with_attributes, now_ms=b.clock.now_ms()
                )
            )
        whole, cut_one = letters(b)
        assert (whole["attempts"], whole["reason"], whole["schedule"]) == (5, "Oops: it failed", "elsewhere/theirs")
        assert (await redrive(b, cut_one)).result == "refused"
        ended = await redrive(b, whole)
        assert ended.schedule == f"default/redrive-{whole['id']}"
        await b.settle()
        (message,) = await b.messages("reminders")
        assert message.body == "again"
        assert len(await b.messages(DEAD)) == 2  # what is no letter of ours is left alone

    with_bench(tmp_path, clinic(), scenario)


def test_letters_are_filtered_and_paged(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "a", "b")
        b.clock.tick(timedelta(hours=2))
        await b.put("Appointments", PK="c", SK=1, REMINDER="tomorrow, perhaps")
        await b.settle()
        now_ms = b.clock.now_ms()
        assert len(letters(b)) == 3
        assert len(letters(b, kind="record")) == 1
        assert len(letters(b, rule="reminder")) == 3
        assert len(letters(b, rule="other")) == 0
        assert len(letters(b, table="Appointments", kind="delivery")) == 2
        assert len(letters(b, error="nonexistentqueue")) == 2
        assert len(letters(b, error="TOMORROW")) == 1
        assert len(letters(b, sent_before_ms=now_ms - 3_600_000)) == 2
        assert len(letters(b, sent_after_ms=now_ms - 3_600_000)) == 1
        seen, token = [], None
        while True:
            page = letter_box.list_letters(b.store.reader, LetterFilter(), token=token, limit=1, now_ms=now_ms)
            seen += [letter["id"] for letter in page.letters]
            token = page.next_token
            if token is None:
                break
        assert seen == [letter["id"] for letter in letters(b)]

    with_bench(tmp_path, clinic(), scenario)


def test_a_stream_record_is_planned_again_by_the_rule_as_it_is_now(tmp_path: Path) -> None:
    fickle = Fickle()

    async def scenario(b: Bench) -> None:
        await b.make_queue("reminders")
        await b.put("Appointments", PK="a", REMINDER=at(minutes=1))
        await b.settle()
        (letter,) = letters(b)
        assert (letter["kind"], letter["queue"], letter["key"]) == ("record", STREAM_DEAD, {"PK": {"S": "a"}})
        assert (await redrive(b, letter)).result == "refused"
        fickle.mended = True
        assert (await redrive(b, letter)).result == "redriven"
        assert (letters(b), b.pending()) == ([], 1)
        await b.tick(minutes=1)
        assert len(await b.messages("reminders")) == 1

    with_bench(tmp_path, fickle.app, scenario)


@pytest.mark.parametrize("change", ["gone", "changed", "written twice"])
def test_a_stream_record_whose_item_has_changed_since_is_dropped(tmp_path: Path, change: str) -> None:
    fickle = Fickle()

    async def scenario(b: Bench) -> None:
        await b.put("Appointments", PK="a", REMINDER=at(minutes=1))
        await b.settle()
        (letter,) = letters(b)
        fickle.mended = True
        if change == "gone":
            await b.delete("Appointments", PK="a")
        else:
            await b.put("Appointments", PK="a", REMINDER=at(minutes=2))
        if change == "written twice":
            await b.put("Appointments", PK="a", REMINDER=at(minutes=1))
        await b.settle()
        pending = b.pending()
        ended = await redrive(b, letter)
        assert ended.result == "dropped"
        assert "the item is gone" in str(ended.reason) or "has changed since" in str(ended.reason)
        assert (letters(b), b.pending()) == ([], pending)

    with_bench(tmp_path, fickle.app, scenario)


def test_what_was_ahead_when_it_was_written_is_delivered_when_it_is_redriven_late(tmp_path: Path) -> None:
    fickle = Fickle()

    async def scenario(b: Bench) -> None:
        await b.make_queue("reminders")
        await b.put("Appointments", PK="a", REMINDER=at(minutes=1))
        await b.settle()
        fickle.mended = True
        b.clock.tick(timedelta(days=2))
        (letter,) = letters(b)
        await redrive(b, letter)
        await b.settle()
        assert len(await b.messages("reminders")) == 1

    with_bench(tmp_path, fickle.app, scenario)


def test_a_record_put_aside_as_past_due_is_delivered_when_it_is_redriven(tmp_path: Path) -> None:
    fickle = Fickle(past_due="dead_letter")
    fickle.mended = True

    async def scenario(b: Bench) -> None:
        await b.make_queue("reminders")
        await b.put("Appointments", PK="a", REMINDER=at(days=-3))
        await b.settle()
        (letter,) = letters(b)
        assert letter["reason"].startswith("past due: ")
        assert (await redrive(b, letter)).result == "redriven"
        await b.settle()
        assert len(await b.messages("reminders")) == 1

    with_bench(tmp_path, fickle.app, scenario)


def test_records_that_do_not_fit_are_cut_for_the_queue_and_never_hold_planning_up(tmp_path: Path) -> None:
    fickle = Fickle()

    async def scenario(b: Bench) -> None:
        queue = queues.get_queue(b.store.reader, STREAM_DEAD)
        assert queue is not None
        small = {"MaximumMessageSize": "1024"}
        await b.store.write(lambda tx: queues.set_attributes(tx, queue, small, now_ms=to_ms(START)))
        await b.put("Appointments", PK="0123456789\uffff", REMINDER=at(minutes=1), NOTE="long " * 1000)
        await b.settle()
        (message,) = await b.messages(STREAM_DEAD)
        assert "newImage" not in json.loads(message.body)["record"]
        fickle.mended = True
        (letter,) = letters(b)
        assert (await redrive(b, letter)).result == "redriven"  # the whole record was kept beside it
        long_key = "k" * 1500
        await b.put("Appointments", PK=long_key, REMINDER="what?")
        await b.put("Appointments", PK="b", REMINDER=at(minutes=1))
        await b.settle()
        assert b.pending() == 2
        assert b.outcomes() == ["dropped"]

    with_bench(tmp_path, fickle.app, scenario)


def test_letters_outlive_their_message_by_fifteen_days_from_the_start(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        await give_up(b, "a")
        (letter,) = letters(b)
        b.clock.tick(timedelta(days=14, hours=12))
        await b.engine._housekeeper.run_once()
        assert letters(b) == []
        assert letter_box.ended_letter(b.store.reader, str(letter["id"])) is not None
        b.clock.tick(timedelta(days=1))
        await b.engine._housekeeper.run_once()
        assert letter_box.ended_letter(b.store.reader, str(letter["id"])) is None

    with_bench(tmp_path, clinic(), scenario)


def test_calls_of_other_services_are_redriven_as_they_were(tmp_path: Path) -> None:
    app = App("clinic")
    call = AwsCall("sqs", "sendMessage", {"QueueUrl": "reminders", "MessageBody": "<aws.scheduler.scheduled-time>"})
    app.table("Things", partition_key="id").rule("DUE", call, retry=Retry(attempts=0))

    async def scenario(b: Bench) -> None:
        await b.put("Things", id="1", DUE=at(minutes=1))
        await b.settle()
        await b.tick(minutes=1)
        await b.make_queue("reminders")
        b.clock.tick(timedelta(hours=1))
        (letter,) = letters(b)
        await redrive(b, letter)
        await b.settle()
        (message,) = await b.messages("reminders")
        assert message.body == "2030-01-01T08:01:00Z"

    with_bench(tmp_path, app, scenario)


@pytest.mark.parametrize(
    "number", ["0", "7", "-7", "12.5", "-0.00042", "1E+100", "-123456789012345678901234567890.12345678"]
)
def test_a_number_key_is_read_back_from_its_bytes(number: str) -> None:
    normal = normalize_number(number)
    assert key_value(key_bytes({"N": normal}), "N") == {"N": normal}


@pytest.mark.parametrize("value", [{"S": "ü"}, {"B": "AAEC"}])
def test_text_and_binary_keys_are_read_back_from_their_bytes(value: dict[str, str]) -> None:
    assert key_value(key_bytes(value), next(iter(value))) == value


def test_an_occurrence_of_a_recurring_schedule_is_redriven_beside_it(tmp_path: Path) -> None:
    app = App("clinic")
    app.table("Plans", partition_key="id").recurring("EVERY", QueueMessage("billing", {}), retry=Retry(attempts=0))

    async def scenario(b: Bench) -> None:
        await b.put("Plans", id="1", EVERY="rate(1 hour)")
        await b.settle()
        await b.tick(hours=1)
        found = letters(b)
        assert found
        pending = b.pending()
        await b.make_queue("billing")
        ended = await redrive(b, found[0])
        assert ended.schedule == f"clinic/redrive-{found[0]['id']}"
        await b.settle()
        assert len(await b.messages("billing")) == 1
        assert b.pending() == pending

    with_bench(tmp_path, app, scenario)


def test_a_function_that_runs_when_due_is_redriven_with_the_item_as_it_is(tmp_path: Path) -> None:
    app, seen = App("clinic"), list[Any]()
    fickle = Fickle()

    @app.table("Things", partition_key="id").when_due("DUE", retry=Retry(attempts=0))
    def work(item: dict[str, Any], due: object) -> None:
        if not fickle.mended:
            raise LookupError("no such thing")
        seen.append(item["note"])

    async def scenario(b: Bench) -> None:
        await b.put("Things", id="1", DUE=at(minutes=1), note="old")
        await b.settle()
        await b.tick(minutes=1)
        (letter,) = letters(b)
        assert letter["reason"] == "LookupError: no such thing"
        await b.put("Things", id="1", DUE=at(minutes=1), note="new")
        await b.settle()
        fickle.mended = True
        assert (await redrive(b, letter)).result == "redriven"
        await b.settle()
        assert seen == ["new"]

    with_bench(tmp_path, app, scenario)
