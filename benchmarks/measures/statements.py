"""Which statements a write and a delivery are made of, counted as SQLite carries them out."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import apsw
from load import Load, Requests
from report import Table
from server import EMAILS

from duestream.cli.app_file import load_app
from duestream.clock import SystemClock
from duestream.local.server import LocalServer, Settings
from measures.plan import Plan

LEAD_MS = 700


def measure(plan: Plan) -> list[Table]:
    """One item alone: written, planned, delivered."""
    table = Table("Statements of one item, alone in its transactions", ("step", "statements", "which"))
    with tempfile.TemporaryDirectory(dir=plan.folder) as name:
        for step, statements in asyncio.run(_steps(Path(name))):
            counted = Counter(_shape(statement) for statement in statements)
            shapes = ", ".join(f"{times} {shape}" if times > 1 else shape for shape, times in counted.items())
            table.rows.append((step, len(statements), shapes))
    table.notes.append(
        "BEGIN and COMMIT are shared by the items of a group (up to 256), and so are the group and the checkpoint of "
        "a planned batch (up to 256 records). Only COMMIT waits for the disk."
    )
    return [table]


async def _steps(folder: Path) -> list[tuple[str, list[str]]]:
    """What the connections carry out from a PutItem until its email is in the mailbox, cut by commit."""
    server = LocalServer(Settings(data=folder, port=0), load_app(str(EMAILS)))
    await server.start()
    statements: list[str] = []
    for connection in (server.store._database.write_connection, server.store.reader):  # noqa: SLF001 - looked at from inside
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda told: _keep(told, statements))
    await asyncio.sleep(0.2)
    statements.clear()
    due_at_ms = SystemClock().now_ms() + LEAD_MS
    load = Load(port=server.port, connections=1, count=2, due_at_ms=due_at_ms)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(Requests(load).get(0))
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep((LEAD_MS + 500) / 1000)
    writer.close()
    await server.stop()
    return _cut(statements)


def _keep(told: dict[str, Any], statements: list[str]) -> None:
    text = told["sql"].lstrip()
    if not told.get("trigger") and not text.startswith("--"):
        statements.append(" ".join(text.split()))


def _cut(statements: list[str]) -> list[tuple[str, list[str]]]:
    """The write, the plan and the delivery are the transactions that hold these tables' inserts."""
    names = {
        "INSERT INTO stream_record": "write",
        "INSERT INTO schedule ": "plan",
        "INSERT INTO outcome": "deliver",
    }
    steps: list[tuple[str, list[str]]] = []
    begun = 0
    for place, statement in enumerate(statements):
        if statement != "COMMIT":
            continue
        step = statements[begun : place + 1]
        begun = place + 1
        for mark, name in names.items():
            if any(one.startswith(mark) for one in step):
                # What is read ahead of a transaction is read to plan it.
                steps.append((name, step if name == "plan" else step[_begin_of(step) :]))
    return steps


def _begin_of(statements: list[str]) -> int:
    return next(place for place, statement in enumerate(statements) if statement.startswith("BEGIN"))


def _shape(statement: str) -> str:
    """The statement without its columns: `INSERT item`, `SELECT schedule`."""
    words = statement.replace("(", " ").split()
    verb = words[0].upper()
    if verb in ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK"):
        return verb
    if verb == "UPDATE":
        return f"UPDATE {words[1]}"
    for before in ("INTO", "FROM"):
        if before in words:
            return f"{verb} {words[words.index(before) + 1]}"
    return verb
