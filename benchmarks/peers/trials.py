"""What is measured of each contender."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from contenders import Contender
from report import percentile
from server import pause
from sites import Created, Jobs, Site, cpu_of, memory_mib

from duestream.clock import SystemClock

DAY_MS = 86_400_000
#: From the last job made to the first one due, at least: workers start meanwhile.
HEAD_START_MS = 4000
#: Jobs that take longer to be made are not waited for.
FILL_SECONDS = 60.0
#: Nobody looks less often than every 10 s.
QUIET_SECONDS = 12.0
DRAIN_SECONDS = 90.0
SETTLE_SECONDS = 2.0
KILL_AT_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much."""

    creates: int = 2_000
    bursts: tuple[int, ...] = (1_000, 10_000)
    rate: int = 500
    rate_seconds: float = 10.0
    pending: int = 100_000
    idle_seconds: float = 20.0
    killed: int = 10_000


QUICK = Counts(creates=200, bursts=(300,), rate=100, rate_seconds=2.0, pending=2_000, idle_seconds=2.0, killed=1_000)


@dataclass
class Lateness:
    """Milliseconds after the due time."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    #: Jobs without an effect when nothing came any more.
    missing: int = 0


@dataclass
class Found:
    """Raw numbers of one contender; what was not measured is missing, with its reason."""

    name: str
    promises: str
    version: str = ""
    created_per_second: dict[int, float] = field(default_factory=dict)
    lateness: dict[str, Lateness] = field(default_factory=dict)
    lateness_in_store: dict[str, Lateness] = field(default_factory=dict)
    pending: int | None = None
    memory_mib: float | None = None
    idle_cpu_percent: float | None = None
    lost: int | None = None
    doubled: int | None = None
    reasons: dict[str, str] = field(default_factory=dict)


def cases(counts: Counts) -> dict[str, tuple[int, float]]:
    """Count and step in milliseconds, by the name that people read."""
    found = {f"{count:,} at one instant": (count, 0.0) for count in counts.bursts}
    found[f"{counts.rate}/s for {counts.rate_seconds:g} s"] = (
        int(counts.rate * counts.rate_seconds),
        1000 / counts.rate,
    )
    return found


def measure(contender: Contender, folder: Path, counts: Counts) -> Found:
    """All of it; what goes wrong is said in `reasons` and the rest goes on."""
    found = Found(contender.name, contender.promises)
    try:
        found.version = contender.install(folder / "installed")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said in the table
        found.reasons["all"] = f"cannot be installed here: {_first_line(error)}"
        return found
    steps: dict[str, Callable[[Path], None]] = {
        "creates": lambda place: _creates(contender, place, counts, found),
        **{
            name: lambda place, name=name, case=case: _lateness(contender, place, name, *case, found)  # type: ignore[misc]
            for name, case in cases(counts).items()
        },
        "pending": lambda place: _pending(contender, place, counts, found),
        "kill": lambda place: _kill(contender, place, counts.killed, found),
    }
    for number, (name, step) in enumerate(steps.items()):
        try:
            step(folder / f"step-{number}")
        except Exception as error:  # noqa: BLE001 - the others are worth having all the same
            found.reasons[name] = _first_line(error)
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _creates(contender: Contender, folder: Path, counts: Counts, found: Found) -> None:
    for at_once in (1, 16):
        with contender.site(folder / str(at_once)) as site:
            due_at_ms = SystemClock().now_ms() + DAY_MS
            created = site.create(Jobs(count=counts.creates, due_at_ms=due_at_ms, at_once=at_once))
            found.created_per_second[at_once] = created.per_second


def _make(contender: Contender, site: Site, count: int, step_ms: float, found: Found) -> int:
    """Make jobs that are due soon, and start to carry them out; answers when the first is due.

    Raises:
        RuntimeError: they were not all made in time.
    """
    rate = max(found.created_per_second.values(), default=100.0)
    seconds = count / rate
    if seconds > FILL_SECONDS:
        raise RuntimeError(f"making {count:,} jobs would take {seconds:.0f} s")
    due_at_ms = SystemClock().now_ms() + HEAD_START_MS + int(seconds * 2000)
    if contender.has_whole_seconds:
        due_at_ms += 1000 - due_at_ms % 1000
    made = site.create(
        Jobs(count=count, due_at_ms=due_at_ms, step_ms=step_ms, bulk=True, limit_seconds=FILL_SECONDS * 2)
    )
    site.start()
    if made.count < count or SystemClock().now_ms() > due_at_ms:
        raise RuntimeError(f"{count:,} jobs were not made before they were due")
    return due_at_ms


def _lateness(contender: Contender, folder: Path, name: str, count: int, step_ms: float, found: Found) -> None:
    with contender.site(folder) as site:
        due_at_ms = _make(contender, site, count, step_ms, found)
        wait_ms = due_at_ms + count * step_ms - SystemClock().now_ms()
        pause(max(0.0, wait_ms / 1000))
        _drain(site.noted, count, QUIET_SECONDS)
        ran = site.ran()
        late_ms = [one.ran_at_ms - one.due_at_ms for one in ran]
        if not late_ms:
            raise RuntimeError("nothing was carried out")
        found.lateness[name] = _summary(late_ms, count - len({one.number for one in ran}))
        in_store_ms = site.in_store_ms()
        if in_store_ms:
            found.lateness_in_store[name] = _summary(in_store_ms, count - len(in_store_ms))


def _summary(late_ms: list[float], missing: int) -> Lateness:
    return Lateness(percentile(late_ms, 0.5), percentile(late_ms, 0.99), max(late_ms), missing)


def _drain(done: Callable[[], int], count: int, quiet_seconds: float) -> None:
    """Until all is done, or nothing comes any more."""
    over_at, seen, seen_at = monotonic() + DRAIN_SECONDS, -1, monotonic()
    while (now_done := done()) < count and monotonic() < over_at and monotonic() - seen_at < quiet_seconds:
        if now_done != seen:
            seen, seen_at = now_done, monotonic()
        pause(0.2)


def _pending(contender: Contender, folder: Path, counts: Counts, found: Found) -> None:
    seconds = counts.pending / max(found.created_per_second.values(), default=1000.0)
    if seconds > FILL_SECONDS * 2 and not contender.has_bulk:
        raise RuntimeError(f"making {counts.pending:,} jobs would take {seconds:.0f} s")
    with contender.site(folder) as site:
        due_at_ms = SystemClock().now_ms() + DAY_MS
        made: Created = site.create(
            Jobs(
                count=counts.pending,
                due_at_ms=due_at_ms,
                at_once=contender.fill_at_once,
                bulk=True,
                limit_seconds=FILL_SECONDS,
            )
        )
        if made.count < counts.pending:
            raise RuntimeError(f"only {made.count:,} of {counts.pending:,} jobs were made in {made.seconds:.0f} s")
        site.start()
        pause(SETTLE_SECONDS)
        pids = site.pids()
        before = cpu_of(pids)
        pause(counts.idle_seconds)
        found.idle_cpu_percent = (cpu_of(pids) - before) / counts.idle_seconds * 100
        found.memory_mib, found.pending = memory_mib(pids), made.count


def _kill(contender: Contender, folder: Path, count: int, found: Found) -> None:
    with contender.site(folder) as site:
        due_at_ms = _make(contender, site, count, 0.0, found)
        over_at = monotonic() + (due_at_ms - SystemClock().now_ms()) / 1000 + QUIET_SECONDS
        while site.done() < count * KILL_AT_SHARE:
            if monotonic() > over_at:
                raise RuntimeError("nothing was carried out")
            pause(0.002)
        site.kill()
        before = site.done()
        if before >= count:
            raise RuntimeError("all was done before the kill")
        site.restart()
        # Also when all is done: something may come twice.
        _drain(lambda: count - site.lost_and_doubled(count)[0], count, contender.recovery_seconds)
        pause(1.0)
        found.lost, found.doubled = site.lost_and_doubled(count)
