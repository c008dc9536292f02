"""The whole way inside one process: written, planned, due, delivered, settled."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.engine.bench import START, at, bench, run

from duestream import App, AwsCall, DeleteItem, Due, Email, PutItem, QueueMessage, Retry, UpdateItem
from duestream.clock import ManualClock
from duestream.local.engine import timer as timer_room
from duestream.local.store import outcomes, schedules, tables


def _clinic(**options: Any) -> App:
    app = App("clinic")
    appointments = app.table("Appointments", partition_key="PK")

    @appointments.rule("REMINDER", **options)
    def reminder(item: dict[str, Any]) -> Email:
        return Email(source="clinic@example.com", to=item["email"], subject="Time", text="You have a reminder")

    return app


def test_an_email_goes_at_its_due_time_and_not_a_millisecond_before(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            await b.put("Appointments", PK="1", REMINDER=at(minutes=3), email="a@example.com")
            await b.settle()
            assert b.pending() == 1
            await b.tick(seconds=179.999)
            assert b.emails() == []
            await b.tick(milliseconds=1)
            (email,) = b.emails()
            assert (email.to, email.subject) == (("a@example.com",), "Time")
            assert (b.pending(), b.outcomes()) == (0, ["delivered"])

    run(work())


def test_a_moved_item_moves_and_a_deleted_one_is_not_delivered(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            for key in ("stays", "moves", "goes"):
                await b.put("Appointments", PK=key, REMINDER=at(minutes=1), email=f"{key}@example.com")
            await b.settle()
            await b.put("Appointments", PK="moves", REMINDER=at(minutes=2), email="moves@example.com")
            await b.delete("Appointments", PK="goes")
            await b.tick(seconds=60)
            assert [email.to[0] for email in b.emails()] == ["stays@example.com"]
            await b.tick(seconds=60)
            assert [email.to[0] for email in b.emails()] == ["stays@example.com", "moves@example.com"]

    run(work())


def test_a_change_of_another_attribute_never_delivers_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1), email="a@example.com")
            await b.tick(minutes=1)
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1), email="a@example.com", NOTE="came late")
            await b.tick(minutes=1)
            assert len(b.emails()) == 1

    run(work())


def test_a_delete_that_is_not_planned_yet_holds_the_delivery_back(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            for key in ("goes", "stays"):
                await b.put("Appointments", PK=key, REMINDER=at(minutes=1), email=f"{key}@example.com")
            await b.settle()
            b.clock.tick(timedelta(minutes=1))
            await b.delete("Appointments", PK="goes")  # acknowledged, its record not planned
            await b.deliver_without_planning()
            assert [email.to[0] for email in b.emails()] == ["stays@example.com"]
            await b.settle()
            assert [email.to[0] for email in b.emails()] == ["stays@example.com"]
            assert b.pending() == 0

    run(work())


def test_what_waited_for_planning_is_delivered_after_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1), email="a@example.com")
            await b.settle()
            b.clock.tick(timedelta(minutes=1))
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1), email="a@example.com", NOTE="x")
            await b.deliver_without_planning()
            assert b.emails() == []
            await b.settle()
            assert len(b.emails()) == 1

    run(work())


def test_an_item_is_deleted_only_if_its_time_still_is_what_it_was(tmp_path: Path) -> None:
    app = App("expiring")
    app.table("Offers", partition_key="id").rule("EXPIRES_AT", DeleteItem())

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Offers", id="1", EXPIRES_AT=at(minutes=1))
            await b.put("Offers", id="2", EXPIRES_AT=at(minutes=1))
            await b.settle()
            table = tables.get_table(b.store.reader, "Offers")
            assert table is not None
            b.store._database.write_connection.execute(  # behind the stream's back: the race the condition is for
                "UPDATE item SET body = CAST(replace(body, '08:01', '09:01') AS BLOB) WHERE table_id = ? AND partition_key = ?",
                (table.id, b"2"),
            )
            await b.tick(minutes=1)
            assert b.items("Offers") == 1
            assert sorted(b.outcomes()) == ["delivered", "skipped"]

    run(work())


def test_targets_in_queues_and_tables_are_carried_out(tmp_path: Path) -> None:
    app = App("many")
    source = app.table("Source", partition_key="id")
    app.table("Log", partition_key="id")

    @source.rule("DUE")
    def all_of_them(item: dict[str, Any]) -> list[Any]:
        return [
            QueueMessage("reminders", {"id": item["id"]}),
            PutItem("Log", {"id": "put", "of": item["id"]}),
            UpdateItem("Log", {"id": "count"}, "ADD n :one", values={":one": 1}),
        ]

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.make_queue("reminders")
            for key in ("a", "b"):
                await b.put("Source", id=key, DUE=at(minutes=1))
            await b.tick(minutes=1)
            assert [json.loads(message.body) for message in await b.messages("reminders")] == [{"id": "a"}, {"id": "b"}]
            assert b.items("Log") == 2
            assert b.outcomes() == ["delivered"] * 6

    run(work())


def test_when_due_functions_see_the_item_as_it_is_then(tmp_path: Path) -> None:
    app = App("functions")
    table = app.table("Things", partition_key="id")
    seen: list[tuple[str, str, Due]] = []

    @table.when_due("DUE")
    def plain(item: dict[str, Any], due: Due) -> None:
        seen.append(("plain", item["NOTE"], due))

    @table.when_due("DUE")
    async def asynchronous(item: dict[str, Any], due: Due) -> None:
        seen.append(("async", item["NOTE"], due))

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Things", id="1", DUE=at(minutes=1), NOTE="old")
            await b.settle()
            await b.put("Things", id="1", DUE=at(minutes=1), NOTE="new")
            await b.tick(minutes=1)
            assert sorted((kind, note) for kind, note, _ in seen) == [("async", "new"), ("plain", "new")]
            assert {due.due_at for _, _, due in seen} == {START + timedelta(minutes=1)}
            assert len({due.delivery_id for _, _, due in seen}) == 2

    run(work())


def test_a_function_that_raises_is_retried_and_then_dead_lettered_with_awss_attributes(tmp_path: Path) -> None:
    app = App("failing")
    table = app.table("Things", partition_key="id")
    attempts: list[Due] = []

    @table.when_due("DUE", retry=Retry(attempts=2, max_age=timedelta(hours=1)))
    def fails(item: dict[str, Any], due: Due) -> None:
        attempts.append(due)
        raise RuntimeError("on purpose")

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Things", id="1", DUE=at(minutes=1))
            await b.tick(minutes=1)
            assert (len(attempts), b.outcomes(), b.pending()) == (1, [], 1)
            for wait_ms in (500, 1000):  # half of what is possible: the bench draws it so
                made = len(attempts)
                await b.tick(milliseconds=wait_ms - 1)
                assert len(attempts) == made, "no attempt before its backoff"
                await b.tick(milliseconds=1)
                assert len(attempts) == made + 1
            assert [due.attempt for due in attempts] == [1, 2, 3]
            assert len({due.delivery_id for due in attempts}) == 1
            assert b.outcomes() == ["dead_lettered"]
            (letter,) = await b.messages("failing-dead-letters")
            values = {name: value["StringValue"] for name, value in letter.attributes.items()}
            assert values.pop("EXECUTION_ID")
            assert values.pop("SCHEDULE_ARN").startswith("arn:aws:scheduler:us-east-1:000000000000:schedule/failing/")
            assert values == {
                "ERROR_CODE": "RuntimeError",
                "ERROR_MESSAGE": "on purpose",
                "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
                "IS_PAYLOAD_TRUNCATED": "false",
                "RETRY_ATTEMPTS": "2",
                "SCHEDULED_TIME": "2030-01-01T08:01:00Z",
                "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:lambda:invoke",
            }

    run(work())


def test_a_function_that_overstays_its_time_has_failed(tmp_path: Path) -> None:
    app = App("slow")
    table = app.table("Things", partition_key="id")

    @table.when_due("DUE", timeout=timedelta(milliseconds=20), retry=Retry(attempts=0))
    async def never_ends(item: dict[str, Any], due: Due) -> None:
        await asyncio.Event().wait()

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Things", id="1", DUE=at(minutes=1))
            await b.tick(minutes=1)
            (letter,) = await b.messages("slow-dead-letters")
            assert letter.attributes["ERROR_CODE"]["StringValue"] == "FunctionTimeout"

    run(work())


def test_a_queue_that_is_made_late_still_gets_its_message(tmp_path: Path) -> None:
    app = App("late")
    app.table("Things", partition_key="id").rule("DUE", QueueMessage("reminders", "hello"))

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Things", id="1", DUE=at(minutes=1))
            await b.tick(minutes=1)
            assert b.outcomes() == []
            await b.make_queue("reminders")
            await b.tick(seconds=1)
            assert [message.body for message in await b.messages("reminders")] == ["hello"]
            (outcome,) = (o for _, o in outcomes.list_outcomes(b.store.reader, group_name="late"))
            assert (outcome.kind, outcome.attempts) == ("delivered", 2)

    run(work())


def test_without_a_dead_letter_queue_a_failed_delivery_is_recorded_as_dropped(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, None) as b:
            body = {
                "Target": {
                    "Arn": "arn:aws:sqs:us-east-1:000000000000:missing",
                    "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
                }
            }
            now_ms = b.clock.now_ms()
            group = b.store.reader.execute("SELECT id FROM schedule_group WHERE name = 'default'").get
            await b.store.write(
                lambda tx: schedules.put_schedule(
                    tx,
                    group_id=group,
                    group_name="default",
                    name="x",
                    state="ENABLED",
                    due_at_ms=now_ms,
                    body=body,
                    now_ms=now_ms,
                )
            )
            await b.settle()
            (outcome,) = outcomes.outcomes_of(b.store.reader, "default", "x")
            assert outcome.kind == "dropped"
            assert "no dead-letter queue is set" in (outcome.reason or "")

    run(work())


def test_a_rule_that_raises_dead_letters_its_record_and_leaves_the_others_alone(tmp_path: Path) -> None:
    app = _clinic()
    table = app.table("Appointments", partition_key="PK")

    @table.rule("REMINDER")
    def broken(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("q", item["no such attribute"])

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1), email="a@example.com")
            await b.put("Appointments", PK="2", REMINDER="tomorrow, perhaps", email="a@example.com")
            await b.tick(minutes=1)
            assert len(b.emails()) == 1
            letters = [json.loads(message.body) for message in await b.messages("clinic-stream-dead-letters")]
            assert [(letter["rule"], letter["kind"]) for letter in letters] == [
                ("broken", "rule raised"),
                ("reminder", "unreadable timestamp"),
                ("broken", "unreadable timestamp"),
            ]
            assert letters[0]["record"]["newImage"]["PK"] == {"S": "1"}

    run(work())


def test_a_target_this_engine_has_not_is_said_when_the_item_is_written(tmp_path: Path) -> None:
    app = App("elsewhere")
    app.table("Things", partition_key="id").rule("DUE", AwsCall("sfn", "startExecution", {"StateMachineArn": "x"}))

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Things", id="1", DUE=at(minutes=1))
            await b.settle()
            (letter,) = await b.messages("elsewhere-stream-dead-letters")
            assert "sfn:startExecution are not delivered by this server" in json.loads(letter.body)["reason"]
            assert b.pending() == 0

    run(work())


@pytest.mark.parametrize(
    ("past_due", "written", "outcome"),
    [("deliver", -1, "delivered"), ("deliver", -16, "skipped"), ("skip", -1, "skipped")],
)
def test_a_due_time_in_the_past_follows_the_policy_and_is_recorded(
    tmp_path: Path, past_due: str, written: int, outcome: str
) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic(past_due=past_due)) as b:
            await b.put("Appointments", PK="1", REMINDER=at(minutes=written), email="a@example.com")
            await b.settle()
            assert b.outcomes() == [outcome]
            assert len(b.emails()) == (outcome == "delivered")

    run(work())


def test_what_was_pending_at_a_stop_is_delivered_once_after_it(tmp_path: Path) -> None:
    clock = ManualClock(START)

    async def write() -> None:
        async with bench(tmp_path, _clinic(), clock) as b:
            await b.put("Appointments", PK="planned", REMINDER=at(minutes=1), email="a@example.com")
            await b.settle()
            await b.put("Appointments", PK="not planned", REMINDER=at(minutes=1), email="b@example.com")

    async def deliver() -> None:
        async with bench(tmp_path, _clinic(), clock) as b:
            await b.settle()
            assert sorted(email.to[0] for email in b.emails()) == ["a@example.com", "b@example.com"]

    run(write())
    clock.tick(timedelta(hours=1))  # the stop lasted longer than the rule's max_lateness: it was ahead when written
    run(deliver())
    run(deliver())


def test_a_clock_that_jumps_delivers_what_became_due_and_nothing_twice(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            for minutes in (1, 10, 600):
                await b.put(
                    "Appointments", PK=str(minutes), REMINDER=at(minutes=minutes), email=f"{minutes}@example.com"
                )
            await b.settle()
            b.clock.set(START + timedelta(minutes=30))
            await b.settle()
            assert [email.to[0] for email in b.emails()] == ["1@example.com", "10@example.com"]
            b.clock.set(START - timedelta(hours=1))
            await b.settle()
            await b.put("Appointments", PK="new", REMINDER=at(minutes=-30), email="new@example.com")
            await b.tick(minutes=30)
            assert [email.to[0] for email in b.emails()][2:] == ["new@example.com"]
            b.clock.set(START + timedelta(minutes=600))
            await b.settle()
            assert [email.to[0] for email in b.emails()][3:] == ["600@example.com"]

    run(work())


def test_only_the_near_future_is_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_room, "PAGE", 10)

    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            for number in range(60):
                await b.put("Appointments", PK=f"near{number}", REMINDER=at(seconds=20), email="a@example.com")
                await b.put("Appointments", PK=f"far{number}", REMINDER=at(days=2), email="b@example.com")
            await b.settle()
            reopened = b.engine._timer.__class__(b.store, b.clock, b.engine._deliveries)
            reopened.run_due()
            assert reopened.loaded <= 10
            await b.tick(seconds=20)
            assert len(b.emails()) == 60
            assert b.engine._timer.loaded == 0
            await b.tick(days=2)
            assert len(b.emails()) == 120

    run(work())


def test_schedules_of_a_rule_that_is_gone_are_kept_and_not_delivered(tmp_path: Path) -> None:
    async def write() -> None:
        async with bench(tmp_path, _clinic()) as b:
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1), email="a@example.com")
            await b.settle()

    async def without(app: App | None) -> None:
        async with bench(tmp_path, app, ManualClock(START + timedelta(minutes=5))) as b:
            await b.settle()
            assert (b.emails(), b.pending()) == ([], 1)

    run(write())
    run(without(None))
    run(without(App("clinic")))


def test_a_deleted_tables_schedules_go_with_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1), email="a@example.com")
            await b.settle()
            await b.put("Appointments", PK="2", REMINDER=at(minutes=1), email="b@example.com")
            table = tables.get_table(b.store.reader, "Appointments")
            assert table is not None
            await b.store.write(lambda tx: tables.delete_table(tx, table, b.clock.now_ms()))
            await b.tick(minutes=1)
            assert (b.emails(), b.pending()) == ([], 0)

    run(work())


def test_functions_that_end_the_process_or_themselves_only_fail_their_attempt(tmp_path: Path) -> None:
    app = App("ending")
    table = app.table("Things", partition_key="id")

    @table.when_due("DUE", retry=Retry(attempts=0))
    def exits(item: dict[str, Any], due: Due) -> None:
        raise SystemExit(3)

    @table.when_due("DUE", retry=Retry(attempts=0))
    async def cancels(item: dict[str, Any], due: Due) -> None:
        raise asyncio.CancelledError

    @table.rule("DUE")
    def exits_while_planned(item: dict[str, Any]) -> None:
        raise SystemExit(4)

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Things", id="1", DUE=at(minutes=1))
            await b.tick(minutes=1)
            codes = {
                letter.attributes["ERROR_CODE"]["StringValue"] for letter in await b.messages("ending-dead-letters")
            }
            assert codes == {"SystemExit", "CancelledError"}
            (letter,) = await b.messages("ending-stream-dead-letters")
            assert json.loads(letter.body)["rule"] == "exits_while_planned"

    run(work())


def test_a_due_time_between_two_milliseconds_is_not_early(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            await b.put("Appointments", PK="1", REMINDER="2030-01-01T08:01:00.0001", email="a@example.com")
            await b.tick(minutes=1)
            assert b.emails() == []
            await b.tick(milliseconds=1)
            assert len(b.emails()) == 1

    run(work())


def test_records_that_were_trimmed_before_they_were_planned_are_said_at_the_start(tmp_path: Path) -> None:
    clock = ManualClock(START)

    async def work(app: App | None, *, write: bool) -> list[str]:
        async with bench(tmp_path, app, clock) as b:
            if write:
                await b.put("Appointments", PK=f"{clock.now_ms()}", REMINDER=at(days=9), email="a@example.com")
            notes = await b.engine.prepare()
            await b.settle()
            await b.engine._housekeeper.run_once()
            return notes

    asyncio.run(work(_clinic(), write=True))
    clock.tick(timedelta(hours=1))
    asyncio.run(work(None, write=True))
    assert asyncio.run(work(_clinic(), write=False)) == []
    clock.tick(timedelta(hours=1))
    asyncio.run(work(None, write=True))
    clock.tick(timedelta(hours=25))
    asyncio.run(work(None, write=False))
    (note,) = asyncio.run(work(_clinic(), write=False))
    assert "changes of table Appointments are missing" in note
