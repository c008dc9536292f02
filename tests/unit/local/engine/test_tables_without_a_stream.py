"""A table whose rules are there and whose stream is not: the log says so."""

import logging
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.engine.bench import bench, run

from duestream import App, QueueMessage
from duestream.clock import to_ms
from duestream.local.store import tables
from duestream.local.store.writer import Transaction


def _clinic() -> App:
    app = App("clinic")

    @app.table("Appointments", partition_key="PK").rule("REMINDER")
    def reminder(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("reminders", item["PK"])

    return app


def test_rules_that_see_nothing_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            now_ms = to_ms(b.clock.now())

            def switch_off(tx: Transaction) -> None:
                table = tables.get_table(tx.connection, "Appointments")
                assert table is not None
                tables.switch_stream_off(tx, table, now_ms)

            def make_again(tx: Transaction) -> None:
                table = tables.get_table(tx.connection, "Appointments")
                assert table is not None
                tables.delete_table(tx, table, now_ms)
                tables.create_table(tx, "Appointments", region="us-east-1", partition_key="PK", now_ms=now_ms)

            def make_another(tx: Transaction) -> None:
                tables.create_table(tx, "Others", region="us-east-1", partition_key="PK", now_ms=now_ms)

            def switch_on(tx: Transaction) -> None:
                table = tables.get_table(tx.connection, "Appointments")
                assert table is not None
                tables.switch_stream_on(tx, table, "KEYS_ONLY", now_ms)

            for job in (make_another, switch_off, make_again, switch_on):
                await b.store.write(job)

    with caplog.at_level(logging.WARNING, logger="duestream"):
        run(work())
    told = [record for record in caplog.records if getattr(record, "action", None) == "no_stream"]
    assert [(vars(record)["table"], vars(record)["rules"]) for record in told] == [("Appointments", ["reminder"])] * 2
