"""Recurring schedules through the engine, on the manual clock."""

import asyncio
import json
import random
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.engine.bench import START, Bench, bench, run

from duestream import App, Due, QueueMessage
from duestream.clock import ManualClock, from_ms, to_ms
from duestream.core.schedule import Place
from duestream.errors import DeliveryError
from duestream.local.engine.call import Attempt, Call
from duestream.local.engine.delivery import _Lane
from duestream.local.services.context import RequestContext
from duestream.local.services.scheduler import OPERATIONS
from duestream.local.store import outcomes, queues, recurring, schedules
from duestream.local.store.database import FILE_NAME
from duestream.local.store.outcomes import Outcome
from duestream.local.store.writer import Transaction

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
QUEUE = "arn:aws:sqs:us-east-1:000000000000:ticks"


async def call(at: Bench, operation: str, **parameters: Any) -> dict[str, Any]:
    context = RequestContext(at.store, at.clock, Place(), "http://127.0.0.1:8787", "r-1")
    answer = await OPERATIONS[operation](context, parameters)
    assert isinstance(answer, dict)
    return answer


def declared(expression: str = "rate(1 minute)", **members: Any) -> dict[str, Any]:
    target = {"Arn": QUEUE, "RoleArn": "arn:aws:iam::000000000000:role/r", "Input": "<aws.scheduler.scheduled-time>"}
    return {
        "Name": "tick",
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
        **members,
    }


def texts(*due: timedelta) -> list[str]:
    return [f"{START + after:%Y-%m-%dT%H:%M:%SZ}" for after in due]


async def bodies(at: Bench) -> list[str]:
    queue = queues.get_queue(at.store.reader, "ticks")
    assert queue is not None
    found: Any = at.store.reader.execute("SELECT body FROM message WHERE queue_id = ? ORDER BY id", (queue.id,))
    return [body for (body,) in found]


def ended(at: Bench) -> list[Outcome]:
    return list(outcomes.outcomes_of(at.store.reader, "default", "tick"))


async def set_catch_up(at: Bench, policy: str) -> None:
    await at.store.write(lambda tx: tx.execute("UPDATE schedule SET catch_up = ?", (policy,)))


def test_a_rate_is_delivered_time_after_time_without_drift(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            await at.make_queue("ticks")
            await call(at, "CreateSchedule", **declared())
            await at.settle()
            assert await bodies(at) == texts(timedelta(0)), "the first at once"
            for _ in range(5):
                at.clock.tick(timedelta(seconds=63))  # each pass is late, and a little later
                await at.settle()
            assert await bodies(at) == texts(*(number * MINUTE for number in range(6)))
            assert [outcome.kind for outcome in ended(at)] == ["delivered"] * 6
            assert len({outcome.delivery_id for outcome in ended(at)}) == 6

    run(body())


def test_an_occurrence_that_is_retried_holds_up_and_shifts_no_other(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            await call(at, "CreateSchedule", **declared())  # its queue is not there yet
            await at.settle()
            first = ended(at)
            assert first == []
            assert len((await call(at, "ListSchedules"))["Schedules"]) == 1, "the occurrence is not shown"
            row = schedules.get_schedule(at.store.reader, "default", "tick")
            assert row is not None
            assert row.due_at_ms is not None
            assert from_ms(row.due_at_ms) == START + MINUTE
            (retried,) = recurring.under_way(at.store.reader, "default", "tick")
            assert (retried.due_at_ms, retried.attempts) == (to_ms(START), 1)
            assert "NonExistentQueue" in str(retried.last_failure)
            await at.tick(seconds=60)
            await at.make_queue("ticks")
            await at.tick(seconds=60)
            delivered = sorted(await bodies(at))
            assert delivered == texts(timedelta(0), MINUTE, 2 * MINUTE)
            attempts = {outcome.due_at_ms: outcome.attempts for outcome in ended(at)}
            assert attempts[min(attempts)] > 1
            assert attempts[max(attempts)] == 1
            assert at.pending() == 1

    run(body())


def test_retried_occurrences_go_with_a_schedule_that_is_deleted_or_disabled(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            for end in ("DeleteSchedule", "UpdateSchedule"):
                await call(at, "CreateSchedule", **declared())
                await at.settle()
                await at.tick(seconds=60)
                assert at.pending() == 3
                parameters = {"Name": "tick"} if end == "DeleteSchedule" else declared(State="DISABLED")
                await call(at, end, **parameters)
                assert at.pending() == 0
            await at.make_queue("ticks")
            await at.tick(hours=1)
            assert await bodies(at) == []

    run(body())


def test_retried_occurrences_outlive_a_replacement_and_the_last_occurrence(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            given = declared(EndDate=START + MINUTE, ActionAfterCompletion="DELETE")
            await call(at, "CreateSchedule", **given)
            await at.settle()
            await call(at, "UpdateSchedule", **{**given, "Description": "the same series"})
            await at.tick(seconds=30)
            await at.tick(seconds=29)  # the third attempt: the next one is two seconds later
            await at.make_queue("ticks")
            await at.tick(seconds=1)
            assert await bodies(at) == texts(MINUTE)
            assert schedules.get_schedule(at.store.reader, "default", "tick") is None
            await at.tick(minutes=5)
            assert await bodies(at) == texts(MINUTE, timedelta(0))
            assert at.pending() == 0

    run(body())


def test_the_last_occurrence_is_retried_where_it_is_and_then_completes(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            await call(at, "CreateSchedule", **declared(EndDate=START, ActionAfterCompletion="DELETE"))
            await at.tick(minutes=10)
            assert schedules.get_schedule(at.store.reader, "default", "tick") is not None
            await at.make_queue("ticks")
            await at.tick(minutes=10)
            assert await bodies(at) == texts(timedelta(0))
            assert schedules.get_schedule(at.store.reader, "default", "tick") is None

    run(body())


def test_past_its_end_a_schedule_stays_enabled_and_is_never_delivered(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            await at.make_queue("ticks")
            await call(at, "CreateSchedule", **declared(EndDate=START + 2 * MINUTE))
            for _ in range(10):
                await at.tick(minutes=1)
            assert len(await bodies(at)) == 3
            assert (await call(at, "GetSchedule", Name="tick"))["State"] == "ENABLED"

    run(body())


CATCH_UP = [
    # policy, late, delivered, missed
    ("deliver_last", 45 * MINUTE, [45 * MINUTE], 45),
    ("deliver_all", 45 * MINUTE, [number * MINUTE for number in range(46)], 0),
    ("skip", 45 * MINUTE, [45 * MINUTE], 45),  # the last one is on time
    ("deliver_last", 45 * MINUTE + timedelta(seconds=30), [45 * MINUTE], 45),
]


@pytest.mark.parametrize(("policy", "late", "delivered", "missed"), CATCH_UP)
def test_after_downtime_the_policy_is_followed_and_what_is_missed_is_counted(
    tmp_path: Path, policy: str, late: timedelta, delivered: list[timedelta], missed: int
) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            await at.make_queue("ticks")
            await call(at, "CreateSchedule", **declared())
            await set_catch_up(at, policy)
        async with bench(tmp_path, None, ManualClock(START + late)) as at:
            await at.settle()
            assert await bodies(at) == texts(*delivered)
            counted = [outcome.occurrences for outcome in ended(at) if outcome.kind == "missed"]
            assert sum(counted) == missed
            at.clock.set(START + 46 * MINUTE)
            await at.settle()
            assert (await bodies(at))[-1:] == texts(46 * MINUTE), "and it goes on"

    run(body())


def test_skip_delivers_nothing_that_is_late(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            await at.make_queue("ticks")
            await call(at, "CreateSchedule", **declared("rate(1 hour)"))
            await set_catch_up(at, "skip")
        async with bench(tmp_path, None, ManualClock(START + timedelta(hours=3, minutes=20))) as at:
            await at.settle()
            assert await bodies(at) == []
            assert [(outcome.kind, outcome.occurrences) for outcome in ended(at)] == [("missed", 4)]
            await at.tick(minutes=40)
            assert await bodies(at) == texts(4 * HOUR)

    run(body())


def test_skip_completes_a_schedule_whose_end_has_passed_meanwhile(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            await at.make_queue("ticks")
            end = START + timedelta(minutes=90)
            await call(at, "CreateSchedule", **declared("rate(1 hour)", EndDate=end, ActionAfterCompletion="DELETE"))
            await set_catch_up(at, "skip")
        async with bench(tmp_path, None, ManualClock(START + timedelta(hours=5))) as at:
            await at.settle()
            assert [(outcome.kind, outcome.occurrences) for outcome in ended(at)] == [("missed", 2)]
            assert schedules.get_schedule(at.store.reader, "default", "tick") is None

    run(body())


class Outside:
    """A target outside, whose attempts end when they are told to."""

    limit = 10

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []
        self.delivery_ids: list[str] = []
        self.fails = False
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    def prepare(self, _tx: Transaction, _call: Call) -> None:
        return None

    async def send(self, call: Call, attempt: Attempt, _prepared: None) -> Callable[[Transaction], None] | None:
        self.sent.append((str(call.parameters["MessageBody"]), attempt.number))
        self.delivery_ids.append(attempt.delivery_id)
        self.has_begun.set()
        await self.may_end.wait()
        if self.fails:
            raise DeliveryError("Busy", "come again", retryable=True)
        return None


async def pass_by(at: Bench, outside: Outside) -> None:
    """Let the attempt that is due begin, without waiting for it to end, and whatever else would begin now."""
    outside.has_begun.clear()
    at.engine._timer.run_due()
    await outside.has_begun.wait()
    at.engine._timer.run_due()
    await asyncio.sleep(0)  # what was started now has its task then,
    await at.store.write(lambda _tx: None)  # and what it writes is committed before this


def with_outside(at: Bench) -> Outside:
    outside = Outside()
    at.engine._deliveries._lanes["sqs", "sendMessage"] = _Lane(outside)
    at.engine._deliveries._attempts._outside = {("sqs", "sendMessage")}
    return outside


def test_a_slow_target_outside_holds_up_no_later_occurrence(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            outside = with_outside(at)
            await call(at, "CreateSchedule", **declared())
            for _ in range(3):
                await pass_by(at, outside)
                at.clock.tick(MINUTE)
            first_three = texts(timedelta(0), MINUTE, 2 * MINUTE)
            assert outside.sent == [(due, 1) for due in first_three]
            assert ended(at) == []
            outside.may_end.set()
            await at.settle()
            assert [outcome.kind for outcome in ended(at)] == ["delivered"] * 4
            assert len(outside.sent) == 4
            assert at.pending() == 1

    run(body())


def test_a_crash_in_the_middle_loses_no_occurrence_and_keeps_delivery_ids(tmp_path: Path) -> None:
    async def body() -> None:
        copy = tmp_path / "copy"
        async with bench(tmp_path / "data", None) as at:
            outside = with_outside(at)
            await call(at, "CreateSchedule", **declared())
            await pass_by(at, outside)
            at.clock.tick(MINUTE)
            await pass_by(at, outside)
            assert len(outside.sent) == 2
            copy.mkdir()
            for file in (tmp_path / "data").glob(f"{FILE_NAME}*"):  # what a power cut at this moment would leave
                shutil.copy(file, copy / file.name)
            outside.may_end.set()
        async with bench(copy, None, ManualClock(START + MINUTE)) as at:
            again = with_outside(at)
            again.may_end.set()
            await at.settle()
            assert sorted(again.sent) == [(due, 2) for due in texts(timedelta(0), MINUTE)]
            assert sorted(again.delivery_ids) == sorted(outside.delivery_ids)
            await at.tick(minutes=1)
            assert again.sent[-1] == (texts(2 * MINUTE)[0], 1)
            assert [outcome.kind for outcome in ended(at)] == ["delivered"] * 3

    run(body())


def test_inside_targets_get_each_occurrence_once_whenever_the_power_goes(tmp_path: Path) -> None:
    async def body() -> None:
        folder = tmp_path / "0"
        clock_at: datetime = START
        async with bench(folder, None) as at:
            await at.make_queue("ticks")
            await call(at, "CreateSchedule", **declared("cron(* * * * ? *)"))
        for number in range(1, 8):
            copy = tmp_path / str(number)
            copy.mkdir()
            async with bench(folder, None, ManualClock(clock_at)) as at:
                at.engine._timer.run_due()
                for _ in range(number):
                    await asyncio.sleep(0.001)
                for file in folder.glob(f"{FILE_NAME}*"):
                    shutil.copy(file, copy / file.name)
            folder, clock_at = copy, clock_at + MINUTE
        async with bench(folder, None, ManualClock(clock_at - MINUTE)) as at:
            await at.settle()
            due = texts(*(number * MINUTE for number in range(7)))
            got = await bodies(at)
            missed = sum(outcome.occurrences for outcome in ended(at) if outcome.kind == "missed")
            assert got == sorted(set(got))
            assert set(got) <= set(due)
            assert len(got) + missed == len(due)

    run(body())


def plans() -> App:
    app = App("plans")
    table = app.table("Plans", partition_key="id")
    table.recurring("SCHEDULE", QueueMessage("ticks"), timezone_attribute="TZ", end="UNTIL", catch_up="deliver_all")
    return app


async def notified(at: Bench) -> list[tuple[str, str]]:
    return [(body["key"]["id"], body["due"]) for body in map(json.loads, await bodies(at))]


def test_an_expression_in_an_item_is_delivered_for_as_long_as_it_is_there(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, plans()) as at:
            await at.make_queue("ticks")
            await at.put("Plans", id="1", SCHEDULE="rate(1 hour)")
            await at.put("Plans", id="2", SCHEDULE="cron(30 15 * * ? *)", TZ="Asia/Bangkok")  # 08:30 UTC
            await at.settle()
            for _ in range(5):
                await at.tick(minutes=30)
            due = [*texts(timedelta(0)), *texts(HOUR / 2), *texts(HOUR), *texts(2 * HOUR)]
            assert await notified(at) == list(zip(["1", "2", "1", "1"], due, strict=True))
            assert at.outcomes() == ["delivered"] * 4
            await at.put("Plans", id="1", SCHEDULE="rate(1 hour)", NOTE="another attribute")
            await at.put("Plans", id="2", TZ="Asia/Bangkok")
            await at.tick(minutes=30)
            assert len(await notified(at)) == 5
            await at.delete("Plans", id="1")
            await at.tick(days=3)
            assert len(await notified(at)) == 5
            assert at.pending() == 0

    run(body())


def test_a_rule_catches_up_as_it_says(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, plans()) as at:
            await at.make_queue("ticks")
            await at.put("Plans", id="1", SCHEDULE="rate(1 hour)")
            await at.settle()
        async with bench(tmp_path, plans(), ManualClock(START + 5 * HOUR + MINUTE)) as at:
            await at.settle()
            assert [due for _, due in await notified(at)] == texts(*(number * HOUR for number in range(6)))

    run(body())


def test_no_occurrence_is_delivered_once_the_delete_of_its_item_was_acknowledged(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, plans()) as at:  # the queue is missing, so the first one is retried
            await at.put("Plans", id="1", SCHEDULE="rate(1 hour)")
            await at.settle()
            assert at.pending() == 2
            await at.delete("Plans", id="1")
            await at.make_queue("ticks")
            at.clock.tick(HOUR)
            await at.deliver_without_planning()
            assert await bodies(at) == []
            await at.settle()
            assert at.pending() == 0
            assert await bodies(at) == []

    run(body())


def test_an_expression_that_cannot_be_read_is_dead_lettered_with_the_reason(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, plans()) as at:
            await at.put("Plans", id="1", SCHEDULE="every hour")
            await at.settle()
            (letter,) = await at.messages("plans-stream-dead-letters")
            told = json.loads(letter.body)
            assert told["kind"] == "unreadable expression"
            assert "every hour" in told["reason"]

    run(body())


def test_a_target_outside_gets_the_last_occurrence_after_downtime(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            await call(at, "CreateSchedule", **declared())
        async with bench(tmp_path, None, ManualClock(START + 45 * MINUTE)) as at:
            outside = with_outside(at)
            outside.may_end.set()
            await at.settle()
            assert outside.sent == [(texts(45 * MINUTE)[0], 1)]
            assert [(outcome.kind, outcome.occurrences) for outcome in ended(at)] == [("missed", 45), ("delivered", 1)]
            await at.tick(minutes=1)
            assert outside.sent[1:] == [(texts(46 * MINUTE)[0], 1)]

    run(body())


def test_what_is_missed_is_counted_once_though_the_target_fails(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            await call(at, "CreateSchedule", **declared("rate(1 hour)"))
        async with bench(tmp_path, None, ManualClock(START + 5 * HOUR)) as at:  # there is no queue
            await at.settle()
            assert at.pending() == 2
            await at.make_queue("ticks")
            await at.tick(minutes=5)
            assert await bodies(at) == texts(5 * HOUR)
            assert [(outcome.kind, outcome.occurrences) for outcome in ended(at)] == [("missed", 5), ("delivered", 1)]

    run(body())


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_each_occurrence_is_delivered_given_up_or_missed_once(tmp_path: Path, seed: int) -> None:
    """Random steps of time, failures, crashes and restarts; every policy."""
    chance = random.Random(seed)
    policy = ("deliver_last", "deliver_all", "skip")[seed % 3]

    async def body() -> None:
        folder, now = tmp_path / "0", START
        async with bench(folder, None) as at:
            await call(at, "CreateSchedule", **declared("rate(7 minutes)", EndDate=START + 20 * HOUR))
            await set_catch_up(at, policy)
        done: list[str] = []
        for number in range(1, 25):
            copy = tmp_path / str(number)
            copy.mkdir()
            async with bench(folder, None, ManualClock(now)) as at:
                outside = with_outside(at)
                outside.fails = chance.random() < 0.4
                if chance.random() < 0.7:
                    outside.may_end.set()
                    await at.settle()
                else:  # it dies in mid-delivery
                    at.engine._timer.run_due()
                    for _ in range(chance.randrange(8)):
                        await asyncio.sleep(0.001)
                for file in folder.glob(f"{FILE_NAME}*"):
                    shutil.copy(file, copy / file.name)
                outside.may_end.set()
            folder = copy
            now += timedelta(seconds=chance.choice([1, 30, 60, 240, 420, 421, 3_000, 10_000]))
        now = START + timedelta(days=3)
        for _ in range(3):
            async with bench(folder, None, ManualClock(now)) as at:
                outside = with_outside(at)
                outside.may_end.set()
                await at.settle()
                now += HOUR
                assert at.pending() == 0
                done = [outcome.kind for outcome in ended(at) for _ in range(outcome.occurrences)]
                identities = [outcome.delivery_id for outcome in ended(at) if outcome.kind != "missed"]
        assert len(done) == 20 * 60 // 7 + 1
        assert len(set(identities)) == len(identities)
        assert set(done) <= {"delivered", "missed"}

    run(body())


def test_age_and_lateness_count_from_the_moment_in_the_window(tmp_path: Path) -> None:
    async def body() -> None:
        async with bench(tmp_path, None) as at:
            window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1440}
            given = declared("rate(2 days)", FlexibleTimeWindow=window)
            given["Target"]["RetryPolicy"] = {"MaximumEventAgeInSeconds": 60}
            await call(at, "CreateSchedule", **given)
            row = schedules.get_schedule(at.store.reader, "default", "tick")
            assert row is not None
            assert row.begins_at_ms == row.attempt_at_ms
            assert row.begins_at_ms - to_ms(START) > 60_000
            at.clock.set(from_ms(row.begins_at_ms))
            await at.settle()
            assert ended(at) == [], "it is tried again: its queue is not there"
            await at.make_queue("ticks")
            await at.tick(seconds=50)
            assert [outcome.kind for outcome in ended(at)] == ["delivered"]
            assert await bodies(at) == texts(timedelta(0)), "the due time is told, not the moment in the window"

    run(body())


def test_a_function_runs_each_time_with_the_item_as_it_then_is(tmp_path: Path) -> None:
    app = App("plans")
    calls: list[tuple[str, datetime, str]] = []

    @app.table("Plans", partition_key="id").recurring_when_due("SCHEDULE", start="FROM", timeout=timedelta(seconds=5))
    def bill(item: dict[str, Any], due: Due) -> None:
        calls.append((item["NOTE"], due.due_at, due.delivery_id))

    async def body() -> None:
        async with bench(tmp_path, app) as at:
            later = (START + HOUR).isoformat()
            await at.put("Plans", id="1", SCHEDULE="rate(1 hour)", NOTE="first", FROM=later)
            await at.tick(hours=1)
            await at.put("Plans", id="1", SCHEDULE="rate(1 hour)", NOTE="second", FROM=later)
            await at.tick(hours=1)
            assert [call[:2] for call in calls] == [("first", START + HOUR), ("second", START + 2 * HOUR)]
            assert calls[0][2] != calls[1][2]
            await at.delete("Plans", id="1")
            await at.tick(hours=5)
            assert len(calls) == 2

    run(body())


@pytest.mark.parametrize("refused", [1, 2, 3])
def test_a_disk_that_refuses_once_costs_no_occurrence(
    tmp_path: Path, refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look, the claim, or the end of the delivery is not written."""

    async def body() -> None:
        async with bench(tmp_path, None) as at:
            outside = with_outside(at)
            outside.may_end.set()
            await call(at, "CreateSchedule", **declared())
            write, writes = at.store.write, 0

            async def refuse_one(job: Callable[[Transaction], Any]) -> Any:
                nonlocal writes
                writes += 1
                fails = writes == refused

                def carry_out(tx: Transaction) -> Any:
                    answer = job(tx)
                    if fails:
                        raise OSError("no space left")
                    return answer

                return await write(carry_out)

            monkeypatch.setattr(at.store, "write", refuse_one)
            await at.settle()
            monkeypatch.undo()
            await at.tick(seconds=2)
            assert [outcome.kind for outcome in ended(at)] == ["delivered"]
            assert (
                outside.sent == [(texts(timedelta(0))[0], 1), (texts(timedelta(0))[0], 2)][: 2 if refused == 3 else 1]
            )
            assert at.engine.in_progress == 0
            await at.tick(minutes=1)
            assert len(ended(at)) == 2

    run(body())
