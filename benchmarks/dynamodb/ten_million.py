"""What single operations cost in a table of ten thousand items, and in one of ten million.

    python benchmarks/dynamodb/ten_million.py [--items COUNT] [--folder DIR] [--quick] [--json]

Both folders are filled in this machine's processes, without HTTP, by the store's own functions; ten million items take
some minutes and 5 GB. With `--folder` they stay, and are there the next time. Operations go to items all over the
table, in no order; what PutItem put is deleted again, so that the folder is afterwards as it was before.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

sys.path.insert(1, str(Path(__file__).parents[1]))

import machine
import requester
from operations import ITEMS_A_PARTITION, Population
from report import Cell, Table, median
from requester import Load, Loaded
from server import NO_RULES, Process, health_seconds, rss_mib, running, up

FEW = 10_000
TEXT_BYTES = 200
#: What PutItem put is deleted again: as many.
OPERATIONS = ("GetItem", "Query", "UpdateItem", "PutItem", "DeleteItem")
READ_BYTES = 1024 * 1024
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much is measured; rounds are taken in turns by the two tables, and the median counts."""

    rounds: int = 3
    seconds: float = 3.0
    starts: int = 3
    connections: tuple[int, ...] = (1, 16)


QUICK = Counts(rounds=1, seconds=0.4, starts=1)


@dataclass(slots=True)
class Filled:
    """A folder with so many items, and what was measured on it."""

    folder: Path
    items: int
    loads: dict[tuple[str, int], list[Loaded]] = field(default_factory=dict)
    ready_ms: list[float] = field(default_factory=list)
    health_ms: list[float] = field(default_factory=list)
    start_mib: list[float] = field(default_factory=list)
    end_mib: list[float] = field(default_factory=list)
    #: Where the next new items begin, so that none is put twice.
    first: int = 0

    @property
    def population(self) -> Population:
        """New items go where there are others."""
        partitions = self.items // ITEMS_A_PARTITION
        return Population(partitions=partitions, text_bytes=TEXT_BYTES, new_from=0, new_partitions=partitions)

    def size_mib(self) -> float:
        """On the disk."""
        return sum(file.stat().st_size for file in (self.folder / "data").iterdir()) / 1024**2


def main() -> None:
    """The command line."""
    arguments = _parser().parse_args()
    counts = QUICK if arguments.quick else Counts()
    with _folder(arguments.folder) as folder:
        tables = [_filled(folder, items) for items in (FEW, arguments.items)]
        known = machine.facts(folder)
        for filled in tables:
            _read_once(filled)
            _starts(filled, counts)
        for _ in range(counts.rounds):
            for filled in tables:
                _round(filled, counts)
        found = _tables(tables, counts)
    known["load average at the end"] = round(os.getloadavg()[0], 2)
    if arguments.json:
        print(json.dumps({"machine": known, "tables": [table.as_json() for table in found]}))
    else:
        print(f"{machine.sentence(known)}.")
        for table in found:
            print(f"\n{table.markdown()}")


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="items-") as name:
        yield Path(name)


def _filled(folder: Path, items: int) -> Filled:
    """The folder, filled now or earlier."""
    filled = Filled(folder / f"items-{items}", items)
    done = filled.folder / "filled.json"
    if not done.exists():
        if (filled.folder / "data").exists():
            raise SystemExit(f"{filled.folder} was not filled to the end; remove it")
        filled.folder.mkdir(parents=True)
        begun = perf_counter()
        command = [sys.executable, str(HERE / "inside.py"), str(filled.folder / "data")]
        subprocess.run([*command, str(filled.population.partitions), str(TEXT_BYTES)], check=True)
        print(f"filled with {items:,} items: {perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    return filled


def _read_once(filled: Filled) -> None:
    """So that the system's file cache has what it has room for, however long ago the folder was filled."""
    for file in (filled.folder / "data").iterdir():
        with file.open("rb") as stream:
            while stream.read(READ_BYTES):
                pass


def _starts(filled: Filled, counts: Counts) -> None:
    for _ in range(counts.starts):
        with running(up(NO_RULES, filled.folder), filled.folder) as server:
            filled.ready_ms.append(server.ready_seconds * 1000)
            filled.health_ms.append(health_seconds(server) * 1000)
            filled.start_mib.append(rss_mib(server.pid))
            server.stop()


def _round(filled: Filled, counts: Counts) -> None:
    """Each operation once, on a server started for it all."""
    with running(up(NO_RULES, filled.folder), filled.folder) as server:
        _carry_out(filled, server, "GetItem", 1, seconds=counts.seconds / 4)  # to warm up
        for connections in counts.connections:
            for operation in OPERATIONS:
                if operation == "DeleteItem":
                    count = filled.loads["PutItem", connections][-1].next - filled.first
                    loaded = _carry_out(filled, server, operation, connections, count=count)
                    filled.first = loaded.next
                else:
                    loaded = _carry_out(filled, server, operation, connections, seconds=counts.seconds)
                if loaded.problem is not None:
                    raise RuntimeError(f"{operation}: {loaded.problem}")
                filled.loads.setdefault((operation, connections), []).append(loaded)
        filled.end_mib.append(rss_mib(server.pid))
        server.stop()


def _carry_out(
    filled: Filled,
    server: Process,
    operation: str,
    connections: int,
    *,
    seconds: float | None = None,
    count: int | None = None,
) -> Loaded:
    return requester.carry_out(
        Load(
            port=server.port,
            operation=operation,
            connections=connections,
            population=filled.population,
            seconds=seconds,
            count=count,
            first=filled.first,
        )
    )


def _tables(tables: list[Filled], counts: Counts) -> list[Table]:
    few, many = tables
    one, several = counts.connections
    heads = [f"{what}, {filled.items:,} items" for what in ("p50 ms", "p99 ms", "per second") for filled in tables]
    costs = Table("Single operations", ("operation", *heads, "rate, of that with few"))
    for operation in OPERATIONS:
        row: list[Cell] = [operation]
        row += [median([load.p50_ms for load in filled.loads[operation, one]]) for filled in tables]
        row += [median([load.p99_ms for load in filled.loads[operation, one]]) for filled in tables]
        rates = [median([load.per_second for load in filled.loads[operation, several]]) for filled in tables]
        costs.rows.append((*row, *(float(rate) for rate in rates), rates[1] / rates[0]))
    costs.notes.append(
        f"Latencies with {one} connection, rates with {several}: the median of {counts.rounds} round(s) of "
        f"{counts.seconds:g} s, in which the tables take turns. Query: the ten items of a partition. "
        "The files were read once before, so that they are in the system's file cache as far as there is room."
    )
    stays = Table(
        "Start and memory", ("items", "on disk, MiB", "ready ms", "health 200 ms", "RSS MiB", "RSS MiB after a round")
    )
    for filled in (few, many):
        stays.rows.append(
            (
                filled.items,
                filled.size_mib(),
                median(filled.ready_ms),
                median(filled.health_ms),
                median(filled.start_mib),
                max(filled.end_mib),
            )
        )
    return [costs, stays]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure single operations on a small and on a very large table.")
    parser.add_argument("--items", type=int, default=10_000_000, metavar="COUNT", help="items of the large table")
    parser.add_argument("--folder", type=Path, help="where the filled folders are made, and stay for the next time")
    parser.add_argument("--quick", action="store_true", help="short rounds; not to be trusted")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of markdown")
    return parser


if __name__ == "__main__":
    main()
