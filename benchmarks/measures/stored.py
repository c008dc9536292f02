"""From sending a PutItem to its schedule being on disk."""

import json
import sys
import tempfile
from pathlib import Path

from load import Load, Loaded, write
from report import Table, percentile
from server import EMAILS, HERE, reading, running, wait_until_planned

from duestream.clock import SystemClock
from measures.plan import HOUR_MS, Plan

CONNECTIONS = 16
FIRST = 1_000_000


def measure(plan: Plan) -> list[Table]:
    """Items come at a steady rate, whether or not earlier ones are answered."""
    table = Table(
        "From sending a PutItem to its schedule being stored",
        ("PutItem/s", "answered p50 ms", "answered p99 ms", "stored p50 ms", "stored p99 ms", "stored max ms"),
    )
    for rate in plan.rates:
        loaded, took_ms = one_rate(plan, rate)
        stored = percentile(took_ms, 0.5), percentile(took_ms, 0.99), max(took_ms)
        table.rows.append((rate, loaded.p50_ms, loaded.p99_ms, *stored))
    table.notes.append(
        f"{plan.rate_seconds:g} s each, {CONNECTIONS} connections. Nothing is polled: the server is `duestream up` "
        "with a listener on its own store, which notes the moment after the commit that holds the schedule; the "
        "client, a process of its own, notes when it sends. Both read CLOCK_MONOTONIC, which is one for all processes."
    )
    return [table]


def one_rate(plan: Plan, rate: int) -> tuple[Loaded, list[float]]:
    """What the client saw, and how long after sending each schedule was stored, in milliseconds."""
    with tempfile.TemporaryDirectory(dir=plan.folder) as name:
        folder = Path(name)
        notes = folder / "notes.json"
        command = [sys.executable, str(HERE / "inner.py"), "stored", str(EMAILS), str(folder / "data"), str(notes)]
        with running(command, folder) as server:
            load = Load(
                port=server.port,
                connections=CONNECTIONS,
                count=rate,
                due_at_ms=SystemClock().now_ms() + HOUR_MS,
                due_steps=3600,
                due_step_ms=1000,
            )
            write(load)
            wait_until_planned(folder)
            load.first, load.rate, load.keeps_times = FIRST, float(rate), True
            load.count = int(rate * plan.rate_seconds)
            loaded = write(load)
            wait_until_planned(folder)
            server.stop()
        stored_at_ns = dict(json.loads(notes.read_text()))
        with reading(folder) as connection:
            rows = connection.execute("SELECT id, partition_key FROM schedule").fetchall()
    numbers = {int(bytes(key).partition(b"#")[2]): row_id for row_id, key in rows}
    return loaded, [
        (stored_at_ns[numbers[FIRST + place]] - sent_at_ns) / 1e6 for place, sent_at_ns in enumerate(loaded.sent_at_ns)
    ]
