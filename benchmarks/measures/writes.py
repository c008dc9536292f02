"""PutItem, with a rule watching: how many, how fast, and what each costs the server."""

import tempfile
from pathlib import Path

from load import Load, await_last_answer, begin, end, write
from report import Table, median
from server import EMAILS, NO_RULES, cpu_seconds, running, up, wait_until_planned

from duestream.clock import SystemClock
from measures.plan import HOUR_MS, Plan

#: An hour's worth of due times, a second apart.
DUE_STEPS, DUE_STEP_MS = 3600, 1000


def measure(plan: Plan) -> list[Table]:
    """Each connection sends its next PutItem once it has the answer; every item is new and due in an hour."""
    table = Table(
        "PutItem with a rule watching",
        (
            "connections",
            "PutItem/s",
            "p50 ms",
            "p99 ms",
            "left to plan at the end",
            "PutItem/s until all is planned",
            "server CPU µs per write, planning included",
            "client's CPU, cores",
        ),
    )
    for connections in plan.connections:
        rounds = sorted(one_round(plan, connections) for _ in range(plan.rounds))
        table.rows.append((connections, *rounds[len(rounds) // 2]))
    columns = ("connections", "PutItem/s", "p50 ms", "p99 ms", "server CPU µs per write")
    plain = Table("PutItem without a rule", columns)
    for connections in plan.connections:
        rate, p50_ms, p99_ms, _, _, cpu, _ = one_round(plan, connections, NO_RULES)
        plain.rows.append((connections, rate, p50_ms, p99_ms, cpu))
    plain.notes.append(f"One round of {plan.write_seconds:g} s each. The difference is planning.")
    table.notes.append(
        f"The median of {plan.rounds} round(s) of {plan.write_seconds:g} s, each on a fresh data folder. "
        "An answer means that item and stream record are on disk; planning goes on beside it and is caught up with "
        "after the last write, which the sixth column counts in."
    )
    return [table, plain]


def one_round(
    plan: Plan, connections: int, rules: Path = EMAILS
) -> tuple[float, float, float, int, float, float, float]:
    """The columns after the first."""
    due_at_ms = SystemClock().now_ms() + HOUR_MS
    with tempfile.TemporaryDirectory(dir=plan.folder) as name, running(up(rules, Path(name)), Path(name)) as server:
        load = Load(
            port=server.port,
            connections=connections,
            seconds=plan.warm_seconds,
            due_at_ms=due_at_ms,
            due_steps=DUE_STEPS,
            due_step_ms=DUE_STEP_MS,
        )
        write(load)
        if rules == EMAILS:
            wait_until_planned(Path(name))
        load.first, load.seconds = 1_000_000, plan.write_seconds
        cpu = cpu_seconds(server.pid)
        client = begin(load)
        begun_ms = SystemClock().now_ms()
        await_last_answer(client)
        left = wait_until_planned(Path(name)) if rules == EMAILS else 0
        took = (SystemClock().now_ms() - begun_ms) / 1000
        cpu = cpu_seconds(server.pid) - cpu
        loaded = end(client)
        server.stop()
    return (
        loaded.per_second,
        loaded.p50_ms,
        loaded.p99_ms,
        left,
        loaded.answered / took,
        cpu / loaded.answered * 1e6,
        loaded.client_cores,
    )


def per_second(plan: Plan, connections: int) -> float:
    """Only how many."""
    return median([one_round(plan, connections)[0] for _ in range(plan.rounds)])
