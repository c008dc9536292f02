"""Metrics: counted with what they count, kept by the minute, and never by scanning."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import apsw
import pytest

from duestream.local.store import database, messages, metrics, queues, schedule_groups, schedules
from duestream.local.store.metrics import GROUP_DIMENSION, Metric, Samples
from duestream.local.store.queues import Queue
from duestream.local.store.store import Store
from duestream.local.store.writer import StoreStoppedError, Transaction

MINUTE = 30_000_000
NOW_MS = MINUTE * metrics.MINUTE_MS
CLINIC = ((GROUP_DIMENSION, "clinic"),)


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[Store], Coroutine[Any, Any, None]]], None]:
    def run_work(work: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            store = Store.open(tmp_path)
            try:
                await work(store)
            finally:
                await store.close()

        asyncio.run(whole())

    return run_work


Run = Callable[[Callable[[Store], Coroutine[Any, Any, None]]], None]


def _attempt(group_name: str = "clinic", *, late_ms: float | None = None, now_ms: int = NOW_MS) -> Any:
    def job(tx: Transaction) -> None:
        metrics.count(tx, "InvocationAttemptCount", group_name=group_name, now_ms=now_ms)
        if late_ms is not None:
            metrics.count(tx, metrics.LATENESS, group_name=group_name, now_ms=now_ms, value=late_ms)

    return job


def _read(store: Store, name: str, dimensions: metrics.Dimensions = CLINIC, **options: Any) -> list[Any]:
    namespace = metrics.DUESTREAM if name in metrics.OWN_NAMES else metrics.SCHEDULER
    span = {"from_minute": MINUTE - 10, "until_minute": MINUTE + 10, "unit": None, **options}
    found = metrics.read_samples(store.reader, namespace=namespace, name=name, dimensions=dimensions, **span)
    return [(number - 10 if options.get("period", 1) == 1 else number, samples) for number, _, samples in found]


def test_what_a_group_of_jobs_counts_is_added_up_by_the_minute(run: Run) -> None:
    async def work(store: Store) -> None:
        await asyncio.gather(*(store.write(_attempt()) for _ in range(7)), store.write(_attempt("other")))
        await store.write(_attempt(now_ms=NOW_MS + 60_000))
        found = [(minute, samples.sum, samples.samples) for minute, samples in _read(store, "InvocationAttemptCount")]
        assert found == [(0, 7, 7), (1, 1, 1)]
        of_the_account = [(minute, one.sum) for minute, one in _read(store, "InvocationAttemptCount", ())]
        assert of_the_account == [(0, 8), (1, 1)]
        assert store.recorder.totals == {
            ("InvocationAttemptCount", "clinic"): 8,
            ("InvocationAttemptCount", "other"): 1,
        }

    run(work)


def test_a_job_that_is_undone_takes_its_counts_with_it(run: Run) -> None:
    def fails(tx: Transaction) -> None:
        _attempt()(tx)
        raise ValueError("undone")

    async def work(store: Store) -> None:
        results = await asyncio.gather(store.write(_attempt()), store.write(fails), return_exceptions=True)
        assert isinstance(results[1], ValueError)
        (found,) = _read(store, "InvocationAttemptCount")
        assert found[1].sum == 1
        assert store.recorder.totals == {("InvocationAttemptCount", "clinic"): 1}

    run(work)


def test_what_the_disk_refuses_is_not_counted(run: Run) -> None:
    async def work(store: Store) -> None:
        store._database.write_connection.set_commit_hook(lambda: True)  # makes COMMIT fail
        with pytest.raises(Exception, match="disk refused"):
            await store.write(_attempt())
        store._database.write_connection.set_commit_hook(None)
        assert store.recorder.totals == {}
        assert _read(store, "InvocationAttemptCount") == []

    run(work)


def test_a_fault_in_counting_fails_the_write_and_not_the_store(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def fail(*_: object) -> None:
        raise TypeError("a fault of ours")

    async def work(store: Store) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(metrics, "add_samples", fail)
            with pytest.raises(StoreStoppedError, match="a fault of ours"):
                await store.write(_attempt())
        await store.write(_attempt())
        assert store.recorder.totals == {("InvocationAttemptCount", "clinic"): 1}

    run(work)


def test_lateness_keeps_its_distribution_across_commits(run: Run) -> None:
    async def work(store: Store) -> None:
        for late_ms in range(1, 101):
            await store.write(_attempt(late_ms=late_ms))
        ((_, plain),) = _read(store, metrics.LATENESS)
        assert (plain.samples, plain.sum, plain.minimum, plain.maximum) == (100, 5050, 1, 100)
        ((_, whole),) = _read(store, metrics.LATENESS, with_distributions=True)
        assert sum(whole.distribution.values()) == 100
        assert store.recorder.lateness["clinic"].count == 100
        assert store.recorder.lateness["clinic"].total == pytest.approx(5.05)

    run(work)


def test_periods_put_minutes_together(run: Run) -> None:
    async def work(store: Store) -> None:
        for minute in (0, 1, 4, 5):
            await store.write(_attempt(now_ms=NOW_MS + minute * 60_000))
        found = _read(store, "InvocationAttemptCount", period=5, from_minute=MINUTE)
        assert [(number, samples.sum) for number, samples in found] == [(0, 3), (1, 1)]

    run(work)


def test_nothing_was_throttled_whenever_something_was_attempted(run: Run) -> None:
    async def work(store: Store) -> None:
        assert _read(store, "InvocationThrottleCount") == []
        await store.write(_attempt())
        ((minute, samples),) = _read(store, "InvocationThrottleCount")
        assert (minute, samples.sum, samples.maximum) == (0, 0, 0)

    run(work)


def test_metrics_are_listed_with_those_of_the_account(run: Run) -> None:
    async def work(store: Store) -> None:
        await store.write(_attempt(late_ms=3))
        await store.write(_attempt("billing"))
        own = Metric("Mine", "Jobs", (("host", "a"),), "Count")
        await store.write(lambda tx: metrics.add_samples(tx, own, MINUTE, Samples(1, 1, 1, 1, None)))

        def listed(**filters: Any) -> list[Any]:
            asked = {"namespace": None, "name": None, "since_minute": 0, **filters}
            return list(metrics.list_metrics(store.reader, **asked))

        billing = ((GROUP_DIMENSION, "billing"),)
        attempts = [("AWS/Scheduler", "InvocationAttemptCount", one) for one in ((), billing, CLINIC)]
        assert listed(name="InvocationAttemptCount") == attempts
        assert len(listed(name="InvocationThrottleCount")) == 3
        assert listed(namespace="Mine") == [("Mine", "Jobs", (("host", "a"),))]
        assert len(listed(namespace="AWS/Scheduler")) == 6
        assert listed(since_minute=MINUTE + 1) == []

    run(work)


def test_old_buckets_go_a_few_at_a_time_and_empty_metrics_with_them(run: Run) -> None:
    async def work(store: Store) -> None:
        for minute in range(5):
            await store.write(_attempt("old", now_ms=NOW_MS + minute * 60_000))
        await store.write(_attempt("new", now_ms=NOW_MS + 9 * 60_000))
        assert await store.write(lambda tx: metrics.delete_older(tx, MINUTE + 5, 3)) == 3
        assert await store.write(lambda tx: metrics.delete_older(tx, MINUTE + 5, 3)) == 2
        assert await store.write(lambda tx: metrics.delete_older(tx, MINUTE + 5, 3)) == 0
        left = metrics.list_metrics(store.reader, namespace=None, name="InvocationAttemptCount", since_minute=0)
        assert [one[2] for one in left] == [(), ((GROUP_DIMENSION, "new"),)]

    run(work)


def test_groups_beyond_the_bound_are_put_together_in_memory(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(metrics, "MAX_GROUPS", 2)

    async def work(store: Store) -> None:
        for name in ("a", "b", "c", "d", "a"):
            await store.write(_attempt(name))
        assert {group: count for (_, group), count in store.recorder.totals.items()} == {"a": 2, "b": 1, "(other)": 2}

    run(work)


def _scanned(connection: apsw.Connection) -> int:
    return int(str(connection.execute("SELECT count(*) FROM schedule WHERE attempt_at_ms IS NOT NULL").get))


def test_pending_schedules_are_known_without_counting_them(run: Run) -> None:
    def put(group_id: int, name: str, due_at_ms: int, state: str = "ENABLED") -> Any:
        return lambda tx: schedules.put_schedule(
            tx, group_id=group_id, group_name="g", name=name, state=state, due_at_ms=due_at_ms, body={}, now_ms=1
        )

    async def work(store: Store) -> None:
        group = await store.write(lambda tx: schedule_groups.put_group(tx, "g", region="us-east-1", now_ms=1))
        for job in (
            put(group.id, "one", 5),
            put(group.id, "two", 5),
            put(group.id, "two", 6),
            put(group.id, "off", 6, state="DISABLED"),
            put(group.id, "one", 6, state="DISABLED"),
            put(group.id, "one", 7),
            lambda tx: schedules.delete_schedule(tx, "g", "two"),
            lambda tx: schedules.delete_schedule(tx, "g", "off"),
        ):
            await store.write(job)
            assert metrics.pending_schedules(store.reader) == _scanned(store.reader)
        assert metrics.pending_schedules(store.reader) == 1

    run(work)


def _queue(store: Store, name: str) -> Queue:
    queue = queues.get_queue(store.reader, name)
    assert queue is not None
    return queue


def _fill(name: str, messages: int) -> Any:
    def job(tx: Transaction) -> None:
        queue = queues.create_queue(tx, name, region="us-east-1", now_ms=1)
        for number in range(messages):
            queues.send_message(tx, queue, body="x", now_ms=number + 1)

    return job


def test_queue_depths_follow_every_send_and_delete(run: Run) -> None:
    async def work(store: Store) -> None:
        await store.write(lambda tx: queues.create_queue(tx, "empty", region="us-east-1", now_ms=1))
        for name, held in (("deep", 5), ("low", 2), ("lowest", 1)):
            await store.write(_fill(name, held))
        assert metrics.deepest_queues(store.reader, 2) == ([("deep", 5), ("low", 2)], 2, 1)
        assert metrics.oldest_message_sent_at_ms(store.reader, "deep") == 1
        assert metrics.oldest_message_sent_at_ms(store.reader, "empty") is None
        assert metrics.oldest_message_sent_at_ms(store.reader, "nowhere") is None

    run(work)


def test_queue_depths_follow_every_way_a_message_goes(run: Run) -> None:
    def counted(store: Store) -> dict[str, int]:
        rows: Any = store.reader.execute(
            "SELECT q.name, count(m.id) FROM queue q LEFT JOIN message m ON m.queue_id = q.id GROUP BY q.id"
        ).fetchall()
        return dict(rows)

    def receive(queue: Queue, now_ms: int) -> Any:
        return lambda tx: messages.receive_messages(tx, queue, limit=10, visibility_timeout_seconds=1, now_ms=now_ms)

    async def work(store: Store) -> None:
        await store.write(_fill("letters", 0))
        await store.write(_fill("jobs", 6))
        letters = _queue(store, "letters")
        policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": letters.arn, "maxReceiveCount": 1})}
        await store.write(lambda tx: queues.set_attributes(tx, _queue(store, "jobs"), policy, now_ms=1))
        jobs = _queue(store, "jobs")
        received = await store.write(receive(jobs, 10))
        for job in (
            lambda tx: messages.delete_message(tx, jobs, received[0].receipt_handle, now_ms=11),
            lambda tx: messages.remove_message(tx, received[1].message, now_ms=11),
            receive(jobs, 10_000),  # moves what is left to the dead-letter queue
            lambda tx: messages.delete_expired_messages(tx, now_ms=10**12, limit=2),
            lambda tx: queues.send_message(tx, jobs, body="x", now_ms=10**12),
            lambda tx: queues.purge_queue(tx, letters, now_ms=10**12),
            lambda tx: queues.delete_queue(tx, jobs),
        ):
            await store.write(job)
            deepest, _, _ = metrics.deepest_queues(store.reader, 10)
            assert dict(deepest) == counted(store)
        assert counted(store) == {"letters": 0}

    run(work)


def test_what_is_held_is_counted_once_when_an_older_folder_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations = database._migrations()
    monkeypatch.setattr(database, "_migrations", lambda: migrations[:5])
    older = database.open_database(tmp_path)
    older.write_connection.execute(
        "INSERT INTO schedule (group_id, name, name_hash, state, due_at_ms, attempt_at_ms, body, created_at_ms, "
        "last_modified_at_ms) VALUES (1, 'a', 1, 'ENABLED', 5, 5, x'7b7d', 1, 1), "
        "(1, 'b', 2, 'DISABLED', 5, NULL, x'7b7d', 1, 1), (1, 'c', 3, 'ENABLED', 6, 6, x'7b7d', 1, 1)"
    )
    older.close()
    monkeypatch.setattr(database, "_migrations", lambda: migrations)
    newer = database.open_database(tmp_path)
    assert metrics.pending_schedules(newer.read_connection) == 2
    newer.close()


def test_what_is_held_is_known_after_a_restart(run: Run) -> None:
    async def write(store: Store) -> None:
        await store.write(_fill("jobs", 3))
        await store.write(_attempt())

    async def read(store: Store) -> None:
        assert metrics.deepest_queues(store.reader, 1)[0] == [("jobs", 3)]
        assert [samples.sum for _, samples in _read(store, "InvocationAttemptCount")] == [1]
        assert store.recorder.totals == {}  # those begin with the process, as Prometheus expects

    run(write)
    run(read)


def test_statements_that_change_how_much_is_held_stand_where_it_is_tallied() -> None:
    changes = re.compile(r"(?:INSERT INTO|DELETE FROM|UPDATE) (?:schedule|message) ")
    modules = Path(metrics.__file__).parents[1].rglob("*.py")
    found = {path.name for path in modules if changes.search(path.read_text("utf-8"))}
    assert found == {"schedules.py", "recurring.py", "messages.py", "queues.py"}
