"""Deliveries that are due together: what they cost, and that one which fails is not its neighbours' fault."""

from pathlib import Path
from typing import Any

import apsw
from tests.unit.local.engine.bench import at, bench, run

from duestream import App, QueueMessage
from duestream.local.store import metrics, outcomes

COUNT = 100


def clinic() -> App:
    app = App("clinic")

    @app.table("Things", partition_key="id").rule("DUE")
    def remind(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage(item.get("queue", "reminders"), {"id": item["id"]})

    return app


def test_a_delivery_into_a_queue_costs_one_statement_and_its_share_of_the_batchs(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, clinic()) as b:
            await b.make_queue("reminders")
            for number in range(COUNT):
                await b.put("Things", id=str(number), DUE=at(minutes=1))
            await b.settle()
            statements: list[str] = []

            def keep(told: dict[str, Any]) -> None:
                if not told["sql"].startswith("--"):
                    statements.append(told["sql"].split()[0] + " " + told["sql"].split()[1])

            connection = b.store._database.write_connection
            connection.trace_v2(apsw.SQLITE_TRACE_STMT, keep)
            await b.tick(minutes=1)
            connection.trace_v2(0, None)
            assert b.outcomes() == ["delivered"] * COUNT
            inserted = statements.count("INSERT INTO")
            assert statements.count("DELETE FROM") == 1
            assert inserted <= 2 * COUNT + 10, "messages and outcomes, and the counts of the minute"
            assert len(statements) - inserted <= 20

    run(work())


def test_one_that_fails_leaves_the_others_of_its_batch_delivered_once_and_counted_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, clinic()) as b:
            await b.make_queue("reminders")
            for number in range(5):
                queue = {"queue": "missing"} if number == 2 else {}
                await b.put("Things", id=str(number), DUE=at(minutes=1), **queue)
            await b.tick(minutes=1)
            assert b.outcomes() == ["delivered"] * 4
            assert sorted(message.body[-3] for message in await b.messages("reminders")) == ["0", "1", "3", "4"]
            assert b.pending() == 1
            totals = b.store.recorder.totals
            assert totals["InvocationAttemptCount", "clinic"] == 5
            assert totals["Delivered", "clinic"] == 4
            assert totals["TargetErrorCount", "clinic"] == 1
            assert sum(b.store.recorder.lateness["clinic"].counts) == 4

    run(work())


def test_what_was_due_together_is_counted_like_one_after_the_other(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, clinic()) as b:
            await b.make_queue("reminders")
            for number in range(10):
                await b.put("Things", id=str(number), DUE=at(seconds=60 + number))
            await b.tick(seconds=65)
            late = b.store.recorder.lateness["clinic"]
            assert sum(late.counts) == 6
            assert late.total == 0 + 1 + 2 + 3 + 4 + 5
            found = [outcome for _, outcome in outcomes.list_outcomes(b.store.reader, group_name="clinic")]
            assert [outcome.ended_at_ms - outcome.due_at_ms for outcome in found] == [5000, 4000, 3000, 2000, 1000, 0]
            assert {outcome.target_arn.rpartition(":")[2] for outcome in found} == {"reminders"}
            assert metrics.pending_schedules(b.store.reader) == 4

    run(work())
