"""What this machine gives without us: synced inserts, and our listener with nothing behind it."""

import sys
import tempfile
from pathlib import Path
from time import perf_counter

import apsw
from load import Load, Loaded, write
from report import Table
from server import HERE, running

from measures.plan import Plan

GROUP = 64
ROW_BYTES = 400
ECHO, INSERTS = "HTTP echo through our listener", f"SQLite inserts, a synced commit for {GROUP}"


def measure(plan: Plan) -> list[Table]:
    """Two floors; everything else is held against them."""
    table = Table(
        "What the machine gives", ("floor", "connections", "per second", "p50 ms", "p99 ms", "client's CPU, cores")
    )
    for connections in plan.connections:
        loaded = echo(plan, connections)
        columns = loaded.per_second, loaded.p50_ms, loaded.p99_ms, loaded.client_cores
        table.rows.append((ECHO, connections, *columns))
    table.rows.append((INSERTS, None, sqlite_inserts(plan), None, None, None))
    table.notes.append(
        f"The echo takes the same requests from the same client and answers `{{}}`. A row inserted has {ROW_BYTES} "
        "bytes and no index beside its rowid; WAL, `synchronous=FULL`, as our own file has it."
    )
    return [table]


def echo(plan: Plan, connections: int) -> Loaded:
    """The client's requests against a listener that does nothing."""
    command = [sys.executable, str(HERE / "inner.py"), "echo"]
    with tempfile.TemporaryDirectory(dir=plan.folder) as name, running(command, Path(name)) as server:
        load = Load(port=server.port, connections=connections, seconds=plan.warm_seconds, due_at_ms=0)
        write(load)
        load.seconds = min(2.0, plan.write_seconds)
        loaded = write(load)
        server.stop()
    return loaded


def sqlite_inserts(plan: Plan) -> float:
    """Rows per second."""
    with tempfile.TemporaryDirectory(dir=plan.folder) as name:
        connection = apsw.Connection(str(Path(name, "floor.sqlite3")))
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.execute("CREATE TABLE floor (id INTEGER PRIMARY KEY, body BLOB) STRICT")
        seconds, rows = min(2.0, plan.write_seconds), 0
        begun = perf_counter()
        while perf_counter() - begun < seconds:
            with connection:
                for _ in range(GROUP):
                    connection.execute("INSERT INTO floor (body) VALUES (?)", (bytes(ROW_BYTES),))
            rows += GROUP
        took = perf_counter() - begun
        connection.close()
    return rows / took
