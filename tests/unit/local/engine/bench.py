"""An engine on a manual clock whose loops are called pass by pass."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from duestream import App
from duestream.clock import ManualClock
from duestream.core.attributes import marshal_item
from duestream.core.schedule import Place
from duestream.local.engine.engine import Engine
from duestream.local.store import emails, items, metrics, outcomes, queues, schedules, tables
from duestream.local.store.emails import StoredEmail
from duestream.local.store.messages import receive_messages
from duestream.local.store.store import Store

START = datetime(2030, 1, 1, 8, 0, tzinfo=UTC)


class Middling(random.Random):
    """Every wait that is drawn at random is half of what it could be."""

    def random(self) -> float:
        return 0.5


class Bench:
    """One open data folder with its engine; `settle` carries out everything that is to be done now."""

    def __init__(self, store: Store, clock: ManualClock, app: App | None) -> None:
        self.store, self.clock, self.app = store, clock, app
        self.engine = Engine(store, clock, Place(), app=app, smtp=None)
        self.engine._deliveries._attempts._random = Middling()

    async def settle(self) -> None:
        engine = self.engine
        while True:
            planned = await engine._poller.run_once() if engine._poller else 0
            planned += await engine._sweeps.run_once() if engine._sweeps else 0
            engine._timer.run_due()
            await asyncio.sleep(0)  # what was started has its task then
            tasks = set(engine._deliveries._tasks)
            if tasks:
                await asyncio.wait(tasks)
            elif not planned:
                return

    async def deliver_without_planning(self) -> None:
        """What the timer would do while planning is behind."""
        self.engine._timer.run_due()
        await asyncio.sleep(0)
        while self.engine._deliveries._tasks:
            await asyncio.wait(set(self.engine._deliveries._tasks))

    async def tick(self, **by: float) -> None:
        self.clock.tick(timedelta(**by))
        await self.settle()

    async def put(self, table: str, **item: Any) -> None:
        values = marshal_item(item)
        now_ms = self.clock.now_ms()
        await self.store.write(lambda tx: items.put_item(tx, _table(tx.connection, table), values, now_ms=now_ms))

    async def delete(self, table: str, **key: Any) -> None:
        wire, now_ms = marshal_item(key), self.clock.now_ms()
        await self.store.write(lambda tx: items.delete_item(tx, _table(tx.connection, table), wire, now_ms=now_ms))

    def items(self, table: str) -> int:
        table_id = _table(self.store.reader, table).id
        count = self.store.reader.execute("SELECT count(*) FROM item WHERE table_id = ?", (table_id,)).get
        assert isinstance(count, int)
        return count

    async def make_queue(self, name: str) -> None:
        now_ms = self.clock.now_ms()
        await self.store.write(lambda tx: queues.create_queue(tx, name, region="us-east-1", now_ms=now_ms))

    async def messages(self, name: str) -> list[Any]:
        queue = queues.get_queue(self.store.reader, name)
        assert queue is not None
        now_ms = self.clock.now_ms()
        received = await self.store.write(
            lambda tx: receive_messages(tx, queue, limit=10, visibility_timeout_seconds=0, now_ms=now_ms)
        )
        return [message.message for message in received]

    def emails(self) -> list[StoredEmail]:
        return list(emails.list_emails(self.store.reader))

    def pending(self) -> int:
        return schedules.count_pending(self.store.reader)

    def outcomes(self) -> list[str]:
        assert self.app is not None
        return [outcome.kind for _, outcome in outcomes.list_outcomes(self.store.reader, group_name=self.app.name)]


def _table(connection: Any, name: str) -> tables.Table:
    table = tables.get_table(connection, name)
    assert table is not None
    return table


def _check_what_is_held(store: Store) -> None:
    """Whatever a test did, what is known without counting is what there is."""
    assert metrics.pending_schedules(store.reader) == schedules.count_pending(store.reader)
    deepest, _, _ = metrics.deepest_queues(store.reader, 1_000)
    counted = store.reader.execute(
        "SELECT q.name, count(m.id) FROM queue q LEFT JOIN message m ON m.queue_id = q.id GROUP BY q.id"
    ).fetchall()
    assert sorted(deepest) == sorted(counted)


@asynccontextmanager
async def bench(folder: Path, app: App | None, clock: ManualClock | None = None) -> AsyncIterator[Bench]:
    """Open the folder, make what the app declares, and close it all at the end."""
    store = Store.open(folder)
    opened = Bench(store, clock or ManualClock(START), app)
    try:
        await opened.engine.prepare()
        yield opened
        _check_what_is_held(store)
    finally:
        await opened.engine.stop()
        await store.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def at(**after_start: float) -> str:
    """A timestamp attribute so long after the start."""
    return (START + timedelta(**after_start)).isoformat()
