"""How late deliveries are: spread over some seconds, and many due at one instant."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import receive
from load import Load, write
from report import Cell, Table, percentile
from server import EMAILS, MESSAGES, reading, running, unplanned, up, wait_for, wait_until_planned

from duestream.clock import SystemClock
from measures.plan import Plan

QUEUE = "reminders"
WRITE_CONNECTIONS = 64
CONSUMERS = 8
#: What the writes are given before the first is due: a fixed part and so much for each item.
HEAD_START_MS, HEAD_START_MS_PER_ITEM = 1500, 0.8


@dataclass(frozen=True, slots=True)
class Case:
    """So many deliveries over so many seconds; 0: at one instant."""

    count: int
    seconds: float

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.count:,} {f'over {self.seconds:g} s' if self.seconds else 'at one instant'}"


def measure(plan: Plan) -> list[Table]:
    """Emails into the mailbox, and messages into a queue that a client receives from."""
    cases = [Case(plan.spread, plan.spread_seconds), *(Case(count, 0) for count in plan.bursts)]
    columns = ("deliveries", "target", "seen by", "p50 ms", "p99 ms", "max ms", "delivered", "doubled")
    table = Table("Lateness of deliveries", columns)
    for case in cases:
        for rules in (EMAILS, MESSAGES):
            table.rows += one_case(plan, case, rules)
    table.notes.append(
        "Lateness is the moment of delivery minus the due time. *The outcome* is `ended_at_ms` as the data folder has "
        "it after a clean stop: the moment inside the transaction at which the delivery is carried out, ahead of its "
        f"commit. *A client* is a process with {CONSUMERS} connections that wait in ReceiveMessage: the message is "
        "committed, received (another commit, which hides it from other consumers) and has arrived. That client takes "
        "its share of the machine while deliveries go on."
    )
    return [table]


def one_case(plan: Plan, case: Case, rules: Path) -> list[tuple[Cell, ...]]:
    """The rows of one case and target."""
    with tempfile.TemporaryDirectory(dir=plan.folder) as name:
        folder = Path(name)
        with running(up(rules, folder), folder) as server:
            timeout_seconds = 60 + case.seconds
            consumer = None
            if rules == MESSAGES:
                consumer = receive.begin(
                    server.port, QUEUE, case.count, connections=CONSUMERS, timeout_seconds=timeout_seconds
                )
            _write(case, server.port, folder)
            received = None if consumer is None else receive.end(consumer)
            with reading(folder) as connection:
                wait_for(
                    lambda: connection.execute("SELECT coalesce(max(id), 0) FROM outcome").get >= case.count,
                    timeout_seconds,
                    "not everything was delivered",
                    every_seconds=0.1,
                )
            server.stop()
        with reading(folder) as connection:
            outcomes = connection.execute("SELECT kind, delivery_id, ended_at_ms - due_at_ms FROM outcome").fetchall()
    target = "email" if rules == EMAILS else "queue message"
    delivered = [outcome for outcome in outcomes if outcome[0] == "delivered"]
    late_ms = [float(outcome[2]) for outcome in delivered]
    doubled = len(delivered) - len({outcome[1] for outcome in delivered})
    rows: list[tuple[Cell, ...]] = [(case.name, target, "the outcome", *_columns(late_ms), len(delivered), doubled)]
    if received is not None:
        late_ms = received["lateness_ms"]
        rows.append((case.name, target, "a client", *_columns(late_ms), len(late_ms), received["doubled"]))
    return rows


def _write(case: Case, port: int, folder: Path) -> None:
    due_at_ms = SystemClock().now_ms() + HEAD_START_MS + int(case.count * HEAD_START_MS_PER_ITEM)
    load = Load(port=port, connections=WRITE_CONNECTIONS, count=case.count, due_at_ms=due_at_ms)
    if case.seconds:
        load.due_steps, load.due_step_ms = case.count, int(case.seconds * 1000 / case.count)
    write(load)
    wait_until_planned(folder)
    if SystemClock().now_ms() > due_at_ms:
        raise RuntimeError("this machine did not write and plan the items before they were due; nothing was measured")
    with reading(folder) as connection:
        assert unplanned(connection) == 0


def _columns(late_ms: list[float]) -> tuple[float, float, float]:
    return percentile(late_ms, 0.5), percentile(late_ms, 0.99), max(late_ms)
