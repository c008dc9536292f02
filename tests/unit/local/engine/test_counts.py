"""What deliveries count, under AWS's names and ours, and how one is followed through the log."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.engine.bench import START, Bench, at, bench, run

from duestream import App, AwsCall, DeleteItem, QueueMessage, Retry
from duestream.clock import from_ms
from duestream.local.engine import housekeeping
from duestream.local.engine.log_text import for_log
from duestream.local.store import metrics, queues, schedule_groups, schedules
from duestream.local.store.metrics import MINUTE_MS

NEVER = Retry(attempts=0)


def _app(target: Any, **options: Any) -> App:
    app = App("clinic")
    app.table("Things", partition_key="id").rule("DUE", target, name="due", **options)
    return app


def _counts(b: Bench) -> dict[str, float]:
    return {name: count for (name, group), count in b.store.recorder.totals.items() if group == "clinic"}


async def _one(b: Bench, **item: Any) -> None:
    await b.put("Things", id="1", DUE=at(minutes=1), **item)
    await b.tick(minutes=1)


def test_a_delivery_counts_its_attempt_and_how_late_it_was(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("out"))) as b:
            await b.make_queue("out")
            await b.put("Things", id="1", DUE=at(minutes=1))
            await b.settle()
            b.clock.tick(timedelta(seconds=90))  # nobody delivered meanwhile
            await b.settle()
            assert _counts(b) == {"InvocationAttemptCount": 1, "Delivered": 1}
            assert b.store.recorder.lateness["clinic"].total == 30
            ((_, unit, samples),) = metrics.read_samples(
                b.store.reader,
                namespace="duestream",
                name=metrics.LATENESS,
                dimensions=((metrics.GROUP_DIMENSION, "clinic"),),
                unit=None,
                from_minute=0,
                until_minute=2**40,
            )
            assert (unit, samples.sum) == ("Milliseconds", 30_000)

    run(work())


def test_each_failed_attempt_counts_and_what_succeeds_later_is_delivered_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("late"))) as b:
            await _one(b)
            assert _counts(b) == {"InvocationAttemptCount": 1, "TargetErrorCount": 1}
            await b.make_queue("late")
            await b.tick(minutes=5)
            found = _counts(b)
            assert found.pop("Delivered") == 1
            assert found["InvocationAttemptCount"] == found["TargetErrorCount"] + 1

    run(work())


def test_what_is_given_up_counts_as_dropped_and_as_a_dead_letter(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("nowhere"), retry=NEVER)) as b:
            await _one(b)
            assert _counts(b) == {
                "InvocationAttemptCount": 1,
                "TargetErrorCount": 1,
                "InvocationDroppedCount": 1,
                "InvocationsSentToDeadLetterCount": 1,
            }

    run(work())


def test_a_dead_letter_queue_that_is_gone_counts_with_its_error(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("nowhere"), retry=NEVER)) as b:
            await b.store.write(lambda tx: tx.execute("DELETE FROM queue"))
            await _one(b)
            found = _counts(b)
            assert found["InvocationsFailedToBeSentToDeadLetterCount"] == 1
            code = "AWS.SimpleQueueService.NonExistentQueue"
            assert found[f"InvocationsFailedToBeSentToDeadLetterCount_{code}"] == 1
            assert "InvocationsSentToDeadLetterCount" not in found

    run(work())


def test_a_letter_that_had_to_be_cut_counts_as_truncated(tmp_path: Path) -> None:
    async def work() -> None:
        large = {"QueueUrl": "nowhere", "MessageBody": "x" * 5_000}
        async with bench(tmp_path, _app(AwsCall("sqs", "sendMessage", large), retry=NEVER)) as b:
            letters = queues.get_queue(b.store.reader, "clinic-dead-letters")
            assert letters is not None
            small = {"MaximumMessageSize": "2048"}
            await b.store.write(lambda tx: queues.set_attributes(tx, letters, small, now_ms=1))
            await _one(b)
            assert _counts(b)["InvocationsSentToDeadLetterCount_Truncated_MessageSizeExceeded"] == 1

    run(work())


def test_what_has_nothing_to_do_any_more_is_skipped_and_no_attempt(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(DeleteItem(), past_due="skip")) as b:
            await b.put("Things", id="past", DUE=at(minutes=-1))
            await b.settle()
            assert _counts(b) == {"Skipped": 1}

    run(work())


def test_housekeeping_forgets_what_is_older_than_15_days(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("out"))) as b:
            await b.make_queue("out")
            await _one(b)
            before_minute = b.clock.now_ms() // MINUTE_MS
            assert b.store.reader.execute("SELECT count(*) FROM metric_minute").get == 3
            b.clock.tick(timedelta(milliseconds=housekeeping.METRIC_RETENTION_MS))
            await b.engine._housekeeper.run_once()
            assert b.store.reader.execute("SELECT min(minute) FROM metric_minute").get == before_minute
            b.clock.tick(timedelta(minutes=1))
            await b.engine._housekeeper.run_once()
            assert b.store.reader.execute("SELECT count(*) FROM metric").get == 0

    run(work())


def test_what_is_pending_is_told_without_looking(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("out"))) as b:
            await b.make_queue("out")
            for number in range(20):
                await b.put("Things", id=str(number), DUE=at(minutes=1 + number % 4))
            await b.settle()
            assert b.engine.pending == b.pending() == 20
            await b.delete("Things", id="3")
            await b.tick(minutes=1)
            assert b.engine.pending == b.pending() == 14
            await b.tick(minutes=9)
            assert b.engine.pending == b.pending() == 0
            assert (b.engine.held, b.engine.stream_lag_seconds) == (0, 0)

    run(work())


def test_the_lag_is_the_age_of_the_oldest_record_that_is_not_planned(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("out"))) as b:
            await b.put("Things", id="1", DUE=at(minutes=1))
            b.clock.tick(timedelta(seconds=7))
            await b.put("Things", id="2", DUE=at(minutes=1))
            assert (b.engine.unplanned, b.engine.stream_lag_seconds) == (2, 7)

    run(work())


# The log -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """The fields of every line of the flow."""
    told: list[dict[str, Any]] = []
    standard = vars(logging.makeLogRecord({}))

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append({name: value for name, value in vars(record).items() if name not in standard})

    handler, logger = Handler(), logging.getLogger("duestream.flow")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield told
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_a_delivery_is_followed_by_its_id_from_put_to_outcome(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("late"))) as b:
            await _one(b)
            await b.make_queue("late")
            await b.tick(minutes=5)
            assert len({line["delivery_id"] for line in lines}) == 1
            actions = [line["action"] for line in lines]
            assert (actions[0], actions[-2:]) == ("put_schedule", ["retry", "delivered"])
            assert {line["schedule"] for line in lines} == {lines[0]["schedule"]}
            assert {line["due_at_ms"] for line in lines} == {lines[0]["due_at_ms"]}
            assert from_ms(lines[0]["due_at_ms"]) == START + timedelta(minutes=1)
            put = lines[0]
            assert (put["table"], put["key"], put["rule"]) == ("Things", {"id": {"S": "1"}}, "due")

    run(work())


def test_an_item_that_moves_gets_another_delivery_id(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("out"))) as b:
            await b.make_queue("out")
            for minutes in (1, 2):
                await b.put("Things", id="1", DUE=at(minutes=minutes))
                await b.settle()
            await b.tick(minutes=2)
            first, second, delivered = lines
            assert first["schedule"] == second["schedule"] == delivered["schedule"]
            assert first["delivery_id"] != second["delivery_id"] == delivered["delivery_id"]

    run(work())


def test_what_is_skipped_for_being_late_is_in_the_log_with_its_id(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    async def work() -> None:
        async with bench(tmp_path, _app(QueueMessage("out"), past_due="skip")) as b:
            await b.put("Things", id="1", DUE=at(minutes=-1))
            await b.settle()
            (line,) = lines
            assert (line["action"], line["rule"], len(line["delivery_id"])) == ("skip_past_due", "due", 32)
            outcome = b.store.reader.execute("SELECT delivery_id FROM outcome").get
            assert line["delivery_id"] == outcome

    run(work())


def test_no_line_has_more_of_an_item_or_a_request_than_the_key(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    secret = "s3cret"

    app = App("clinic")

    @app.table("Things", partition_key="id").rule("DUE", retry=Retry(attempts=1))
    def target(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("nowhere", {"password": item["password"]})

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await _one(b, password=secret)
            await b.tick(minutes=5)
            assert [line["action"] for line in lines] == ["put_schedule", "retry", "dead_lettered"]
            assert secret not in json.dumps(lines, default=str)

    run(work())


def test_a_schedule_of_a_disabled_state_tells_nothing_to_come(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, None) as b:
            group = await b.store.write(lambda tx: schedule_groups.put_group(tx, "g", region="us-east-1", now_ms=1))

            def put(state: str) -> Any:
                return lambda tx: schedules.put_schedule(
                    tx, group_id=group.id, group_name="g", name="n", state=state, due_at_ms=5, body={}, now_ms=1
                )

            enabled, disabled = await b.store.write(put("ENABLED")), await b.store.write(put("DISABLED"))
            assert (disabled.id, disabled.version, disabled.delivery_id("arn")) == (enabled.id, 2, None)
            assert len(enabled.delivery_id("arn")) == 32

    run(work())


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (None, None),
        ("503: Service Unavailable", "503: Service Unavailable"),
        ("InvalidUrl: https://me:pass@host/a?token=x#y cannot", "InvalidUrl: https://host/a?... cannot"),
        ("see http://host/a and HTTP://u@h/?q", "see http://host/a and HTTP://h/?..."),
        ("x" * 2000, "x" * 1024 + "..."),
    ],
)
def test_reasons_in_the_log_are_short_and_without_secrets_of_urls(reason: str | None, told: str | None) -> None:
    assert for_log(reason) == told
