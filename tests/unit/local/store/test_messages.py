"""What receiving costs, and what housekeeping frees."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from duestream.local.store import messages, queues
from duestream.local.store.database import open_database
from duestream.local.store.queues import Queue
from duestream.local.store.writer import Transaction

NOW_MS = 1_000_000


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Transaction]:
    database = open_database(tmp_path)
    yield Transaction(database.write_connection)
    database.close()


def fill(tx: Transaction, name: str, count: int) -> Queue:
    """A queue with so many messages, in flight, delayed and visible by thirds (standard), or of one group (FIFO)."""
    queue = queues.create_queue(tx, name, region="us-east-1", now_ms=NOW_MS)
    for number in range(count):
        group: dict[str, Any] = {"group_id": "g", "deduplication_id": str(number)} if queue.is_fifo else {}
        delay = 600 if not queue.is_fifo and number % 3 == 0 else None
        queues.send_message(tx, queue, body=str(number), delay_seconds=delay, now_ms=NOW_MS, **group)
    if queue.is_fifo:
        receive(tx, queue)
        queues.send_message(tx, queue, body="other", group_id="h", deduplication_id="other", now_ms=NOW_MS)
    else:
        for _ in range(count // 30):
            receive(tx, queue)
    return queue


def receive(tx: Transaction, queue: Queue, limit: int = 10) -> list[str]:
    received = messages.receive_messages(tx, queue, limit=limit, visibility_timeout_seconds=900, now_ms=NOW_MS + 1)
    return [one.message.body for one in received]


def steps_of_a_receive(tx: Transaction, queue: Queue) -> int:
    """How many instructions of SQLite's machine a receive of one message takes."""
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return False

    tx.connection.set_progress_handler(count, 1)
    assert len(receive(tx, queue, 1)) == 1
    tx.connection.set_progress_handler(None)
    return steps


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_a_receive_costs_what_it_returns(tx: Transaction, suffix: str) -> None:
    small, large = fill(tx, "small" + suffix, 60), fill(tx, "large" + suffix, 1500)
    # The B-trees are deeper, which costs no instructions; a scan would cost thousands.
    assert steps_of_a_receive(tx, large) <= steps_of_a_receive(tx, small) + 20


def test_housekeeping_deletes_what_is_past_its_retention(tx: Transaction) -> None:
    for name in ("standard", "a.fifo"):
        queue = queues.create_queue(
            tx, name, region="us-east-1", attributes={"MessageRetentionPeriod": "60"}, now_ms=NOW_MS
        )
        for number, sent_at_ms in enumerate((NOW_MS, NOW_MS, NOW_MS + 1)):
            group: dict[str, Any] = (
                {"group_id": str(number % 2), "deduplication_id": str(number)} if queue.is_fifo else {}
            )
            queues.send_message(tx, queue, body=str(number), now_ms=sent_at_ms, **group)
    assert messages.delete_expired_messages(tx, now_ms=NOW_MS + 60_000, limit=1) == 2
    assert messages.delete_expired_messages(tx, now_ms=NOW_MS + 60_000, limit=100) == 2
    assert messages.delete_expired_messages(tx, now_ms=NOW_MS + 60_000, limit=100) == 0
    assert tx.execute("SELECT body FROM message").fetchall() == [("2",), ("2",)]
    assert tx.execute("SELECT name FROM message_group").fetchall() == [("0",)]
