"""A data folder filled in this process: items with their schedules, by the store's own functions and the real planner.

    python benchmarks/fill.py FOLDER COUNT DUE_AT_MS STEPS STEP_MS

Without a client and HTTP, and what is in the folder afterwards is the same.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import uvloop
from load import SCATTER, TABLE
from server import EMAILS

from duestream.cli.app_file import load_app
from duestream.clock import SystemClock, from_ms
from duestream.core.attributes import marshal_item
from duestream.core.schedule import Place
from duestream.local.engine.engine import Engine
from duestream.local.store import items, tables
from duestream.local.store.store import Store
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

#: Items in one transaction, and how many are written before they are planned.
ITEMS_A_JOB, ITEMS_A_ROUND = 500, 20_000


async def fill(data: Path, count: int, due_at_ms: int, steps: int, step_ms: int) -> None:
    """Write so many items and plan them all; the folder is closed at the end."""
    store, clock = Store.open(data), SystemClock()
    engine = Engine(store, clock, Place(), app=load_app(str(EMAILS)), smtp=None)
    await engine.prepare()
    poller = engine._poller  # noqa: SLF001 - its loop is run by hand
    table = tables.get_table(store.reader, TABLE)
    assert poller is not None
    assert table is not None
    moments = [from_ms(due_at_ms + step * step_ms).isoformat() for step in range(steps)]
    for begin in range(0, count, ITEMS_A_ROUND):
        end = min(begin + ITEMS_A_ROUND, count)
        jobs = [range(first, min(first + ITEMS_A_JOB, end)) for first in range(begin, end, ITEMS_A_JOB)]
        await asyncio.gather(*(_put(store, table, job, moments, clock.now_ms()) for job in jobs))
        while await poller.run_once():
            pass
    await engine.stop()
    await store.close()


async def _put(store: Store, table: Table, numbers: range, moments: list[str], now_ms: int) -> None:
    def job(tx: Transaction) -> None:
        for number in numbers:
            item = {
                "PK": f"patient#{number:010d}",
                "SK": "appointment#1",
                "email": "someone@clinic.example",
                "ATTR_1": "Bring your insurance card and the letter of your doctor.",
                "REMINDER_TIMESTAMP": moments[number * SCATTER % len(moments)],
            }
            items.put_item(tx, table, marshal_item(item), now_ms=now_ms)

    await store.write(job)


def run(data: Path, count: int, *, due_at_ms: int, steps: int, step_ms: int) -> None:
    """Fill a folder in a process of its own, so that its memory is not ours."""
    command = [sys.executable, __file__, str(data), str(count), str(due_at_ms), str(steps), str(step_ms)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    uvloop.run(fill(Path(sys.argv[1]), *(int(number) for number in sys.argv[2:])))
