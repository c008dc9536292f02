"""What pending schedules cost: memory, start-up, idle work, and the way back after SIGKILL."""

import tempfile
from pathlib import Path

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
        loaded, took = _fill(many, plan.pending)
        filled = Table("Filling", ("items", "answered/s", "answered and planned/s", "data folder MiB"))
        filled.rows.append((plan.pending, loaded.per_second, plan.pending / took, _size_mib(many)))
        filled.notes.append(f"PutItem at {CONNECTIONS} connections, each item with a schedule that is due in a day.")
        starts = {0: _starts(few, plan.starts), plan.pending: _starts(many, plan.starts)}
        idle = _idle({0: few, plan.pending: many}, plan.idle_seconds)
        recovery = _recovery(many, plan)
    table = Table(
        "With pending schedules",
        (
            "pending",
            "ready ms",
            "health 200 ms",
            "RSS MiB",
            f"idle CPU % over {plan.idle_seconds:g} s",
            "RSS MiB after",
        ),
    )
    for count, (ready_ms, health_ms) in starts.items():
        table.rows.append((count, ready_ms, health_ms, *idle[count]))
    table.notes.append(
        f"From the start of the process to its first line, and to the answer of its health page: the median of "
        f"{plan.starts} starts. CPU of one core."
    )
    return [filled, table, recovery]


def _load(port: int, first: int) -> Load:
    return Load(
        port=port,
        connections=CONNECTIONS,
        first=first,
        due_at_ms=SystemClock().now_ms() + DAY_MS,
        due_steps=3600,
        due_step_ms=HOUR_MS // 3600,
    )


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
