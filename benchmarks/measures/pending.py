"""What pending schedules cost: memory, start-up, idle work, and the way back after SIGKILL."""

import tempfile
from pathlib import Path
from time import perf_counter

import fill
from load import Load, Loaded, begin, end, write
from report import Table, median
from server import (
    EMAILS,
    Process,
    cpu_seconds,
    health_seconds,
    pause,
    reading,
    rss_mib,
    running,
    up,
    wait_until_planned,
)

from duestream.clock import SystemClock
from measures.plan import DAY_MS, HOUR_MS, Plan

#: More than this is not written over HTTP, but by the store's own functions.
MAX_OVER_HTTP = 100_000
#: Single writes beside what is pending: one connection, at a rate that leaves the server idle between them.
BESIDE_RATE, BESIDE_SECONDS, BESIDE_FIRST = 50.0, 4.0, 40_000_000
DUE_STEPS = 3600

CONNECTIONS = 64
#: The server is killed so long after writes have begun again.
KILL_AFTER_SECONDS = 1.0
SETTLE_SECONDS = 1.0


def measure(plan: Plan) -> list[Table]:
    """One server with nothing to do, one with many schedules that are due in a day."""
    with tempfile.TemporaryDirectory(dir=plan.folder) as name:
        few, many = Path(name, "few"), Path(name, "many")
        with running(up(EMAILS, few), few) as server:
            server.stop()
        filled = Table("Filling", ("items", "answered/s", "answered and planned/s", "data folder MiB"))
        if plan.pending > MAX_OVER_HTTP:
            took = _fill_inside(many, plan.pending)
            filled.rows.append((plan.pending, None, plan.pending / took, _size_mib(many)))
            filled.notes.append("Not over HTTP: by the store's own functions, each item with a schedule due in a day.")
        else:
            loaded, took = _fill(many, plan.pending)
            filled.rows.append((plan.pending, loaded.per_second, plan.pending / took, _size_mib(many)))
            filled.notes.append(f"PutItem at {CONNECTIONS} connections, each item with a schedule due in a day.")
        starts = {0: _starts(few, plan.starts), plan.pending: _starts(many, plan.starts)}
        idle = _idle({0: few, plan.pending: many}, plan.idle_seconds)
        recovery = _recovery(many, plan)
        beside = {0: _beside(few, plan), plan.pending: _beside(many, plan)}
    table = Table(
        "With pending schedules",
        (
            "pending",
            "ready ms",
            "health 200 ms",
            "RSS MiB",
            f"idle CPU % over {plan.idle_seconds:g} s",
            "RSS MiB after",
            "PutItem p50 ms",
            "PutItem p99 ms",
            "RSS MiB after these",
        ),
    )
    for count, (ready_ms, health_ms) in starts.items():
        table.rows.append((count, ready_ms, health_ms, *idle[count], *beside[count]))
    table.notes.append(
        f"From the start of the process to its first line, and to the answer of its health page: the median of "
        f"{plan.starts} starts. CPU of one core. PutItem: one connection, {BESIDE_RATE:g} in a second, each with a "
        "schedule of its own, whose due time lies among those of the others."
    )
    return [filled, table, recovery]


def _load(port: int, first: int) -> Load:
    return Load(
        port=port,
        connections=CONNECTIONS,
        first=first,
        due_at_ms=SystemClock().now_ms() + DAY_MS,
        due_steps=DUE_STEPS,
        due_step_ms=HOUR_MS // DUE_STEPS,
    )


def _fill_inside(folder: Path, count: int) -> float:
    """Fill the folder; says how many seconds it took."""
    begun = perf_counter()
    due_at_ms = SystemClock().now_ms() + DAY_MS
    fill.run(folder / "data", count, due_at_ms=due_at_ms, steps=DUE_STEPS, step_ms=HOUR_MS // DUE_STEPS)
    return perf_counter() - begun


def _beside(folder: Path, plan: Plan) -> tuple[float, float, float]:
    """p50 and p99 in milliseconds of single writes to a server that has what is pending, and its RSS after them."""
    with running(up(EMAILS, folder), folder) as server:
        load = _load(server.port, BESIDE_FIRST)
        load.connections, load.rate, load.seconds = 1, BESIDE_RATE, min(BESIDE_SECONDS, plan.rate_seconds)
        loaded = write(load)
        wait_until_planned(folder)
        rss = rss_mib(server.pid)
        server.stop()
    return loaded.p50_ms, loaded.p99_ms, rss


def _fill(folder: Path, count: int) -> tuple[Loaded, float]:
    """Write so many; says how that went, and how many seconds it took until all had their schedules."""
    with running(up(EMAILS, folder), folder) as server:
        load = _load(server.port, 0)
        load.count = count
        begun_ms = SystemClock().now_ms()
        loaded = write(load)
        wait_until_planned(folder)
        took = (SystemClock().now_ms() - begun_ms) / 1000
        server.stop()
    return loaded, took


def _size_mib(folder: Path) -> float:
    return sum(file.stat().st_size for file in (folder / "data").iterdir()) / 1024**2


def _started_ms(process: Process) -> tuple[float, float]:
    return process.ready_seconds * 1000, health_seconds(process) * 1000


def _starts(folder: Path, count: int) -> tuple[float, float]:
    """Median milliseconds until ready, and until health."""
    took: list[tuple[float, float]] = []
    for _ in range(count):
        with running(up(EMAILS, folder), folder) as server:
            took.append(_started_ms(server))
            server.stop()
    ready_ms, health_ms = zip(*took, strict=True)
    return median(ready_ms), median(health_ms)


def _idle(folders: dict[int, Path], seconds: float) -> dict[int, tuple[float, float, float]]:
    """RSS, CPU in per cent of a core, and RSS afterwards, of servers that stand idle side by side."""
    found: dict[int, tuple[float, float, float]] = {}
    few, many = folders
    with (
        running(up(EMAILS, folders[few]), folders[few]) as one,
        running(up(EMAILS, folders[many]), folders[many]) as other,
    ):
        pause(SETTLE_SECONDS)
        servers = {few: one, many: other}
        before = {count: (rss_mib(server.pid), cpu_seconds(server.pid)) for count, server in servers.items()}
        pause(seconds)
        for count, server in servers.items():
            rss, cpu = before[count]
            found[count] = rss, (cpu_seconds(server.pid) - cpu) / seconds * 100, rss_mib(server.pid)
            server.stop()
    return found


def _recovery(folder: Path, plan: Plan) -> Table:
    """SIGKILL while items are being written; how long until it serves again, and whether all is there."""
    with running(up(EMAILS, folder), folder) as server:
        load = _load(server.port, 50_000_000)
        load.seconds, load.may_break = 60.0, True
        client = begin(load)
        pause(min(KILL_AFTER_SECONDS, plan.write_seconds))
        server.kill()
        acknowledged = end(client).answered
    with running(up(EMAILS, folder), folder) as server:
        ready_ms, health_ms = _started_ms(server)
        wait_until_planned(folder)
        server.stop()
    with reading(folder) as connection:
        pending = int(connection.execute("SELECT count(*) FROM schedule WHERE attempt_at_ms IS NOT NULL").get)
    lost = max(0, plan.pending + acknowledged - pending)
    columns = ("pending", "acknowledged until the kill", "ready again ms", "health 200 ms", "schedules lost")
    table = Table("After SIGKILL in the middle of writes", columns)
    table.rows.append((plan.pending, acknowledged, ready_ms, health_ms, lost))
    return table
