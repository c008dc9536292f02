"""How much is measured: in full, or `--quick` to see that everything works."""

from dataclasses import dataclass
from pathlib import Path

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Counts and lengths.

    Args:
        folder: where data folders are made; None: the system's temporary folder.
        bursts: how many deliveries are due at one instant.
        spread: how many are due over `spread_seconds`.
        pending: how many schedules are pending where that is what is measured.
    """

    folder: Path | None = None
    rounds: int = 3
    warm_seconds: float = 0.5
    write_seconds: float = 4.0
    connections: tuple[int, ...] = (1, 16, 64)
    rates: tuple[int, ...] = (50, 500)
    rate_seconds: float = 8.0
    bursts: tuple[int, ...] = (1_000, 10_000)
    spread: int = 1_000
    spread_seconds: float = 10.0
    pending: int = 100_000
    starts: int = 5
    idle_seconds: float = 20.0
    with_peers: bool = False
    #: Peers that were asked for on the command line are installed within this time, or left out.
    install_seconds: float = 90.0


def full(folder: Path | None, *, with_peers: bool) -> Plan:
    """What the documentation shows: some minutes."""
    return Plan(folder=folder, with_peers=with_peers)


def quick(folder: Path | None, *, with_peers: bool) -> Plan:
    """Everything once, below a minute; the numbers are not to be trusted."""
    return Plan(
        folder=folder,
        rounds=1,
        warm_seconds=0.2,
        write_seconds=0.7,
        rate_seconds=1.5,
        bursts=(200, 1_000),
        spread=200,
        spread_seconds=2.0,
        pending=2_000,
        starts=2,
        idle_seconds=2.0,
        with_peers=with_peers,
    )
