"""Measure DynamoDB's operations side by side on several local servers, and print tables of markdown.

    python benchmarks/dynamodb/run.py [--quick] [--json] [--only NAME ...] [--stream] [--folder DIR] [--cache DIR]

One server after another, each on a fresh folder, asked by the same client in a process of its own. What is not
beside this Python is installed, pinned, into the cache folder. Takes about seven minutes; `--quick` below one.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

sys.path.insert(1, str(Path(__file__).parents[1]))

import machine
from report import Cell, Table, shown
from requester import Loaded
from servers import CONTENDERS, names
from trials import OPERATIONS, QUICK, Counts, Found, measure


def main() -> None:
    """The command line."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    counts = QUICK if arguments.quick else Counts()
    known = machine.facts(arguments.folder)
    all_found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="dynamodb-", dir=arguments.folder) as name:
        cache = arguments.cache or Path(name, "cache")
        for contender in CONTENDERS:
            if arguments.only and contender.name not in arguments.only:
                continue
            begun = perf_counter()
            folder = Path(name, contender.name)
            all_found.append(measure(contender, folder, cache, counts, with_stream=arguments.stream))
            print(f"{contender.name}: {perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    known["load average at the end"] = round(os.getloadavg()[0], 2)
    if arguments.json:
        rows = [_as_json(found) for found in all_found]
        print(json.dumps({"machine": known, "counts": asdict(counts), "contenders": rows}))
    else:
        print(f"{machine.sentence(known)}.")
        for table in tables(all_found, counts):
            print(f"\n{table.markdown()}")
    sys.exit(1 if any(found.problems for found in all_found) else 0)


def tables(all_found: list[Found], counts: Counts) -> list[Table]:
    """Rates, latencies, and what becomes of memory and of acknowledged writes."""
    rates = _by_load("Requests per second", all_found, counts, lambda load: shown(round(load.per_second)))
    latencies = _by_load("Latency: p50 / p99, ms", all_found, counts, _latency)
    rates.notes.append(
        f"{counts.seconds:g} s each, items of 1 KB, in a table of {counts.population.partitions * 10:,} items before. "
        "A BatchWriteItem is one request of 25 items. Refused requests are not counted."
    )
    stays = Table(
        f"Memory with {counts.many:,} items, and what is left after kill -9 in the middle of writes",
        ("server", "keeps", "MiB, empty", "items put", "seconds", "MiB then", "acknowledged", "left after the restart"),
    )
    for found in all_found:
        stays.rows.append(
            (
                _title(found),
                found.keeps,
                found.empty_mib,
                found.many_items,
                found.fill_seconds,
                found.many_mib,
                found.acknowledged,
                found.left,
            )
        )
        stays.notes += [f"{found.name}: {problem}" for problem in found.problems]
    return [rates, latencies, stays]


def _by_load(title: str, all_found: list[Found], counts: Counts, show: Callable[[Loaded], str]) -> Table:
    table = Table(title, ("operation", "connections", *(_title(found) for found in all_found)))
    for operation in OPERATIONS:
        for connections in counts.connections:
            cells: list[Cell] = [operation, str(connections)]
            for found in all_found:
                load = found.loads.get((operation, connections))
                cells.append(
                    "-" if load is None else f"fails: {load}" if isinstance(load, str) else show(load) + _refused(load)
                )
            table.rows.append(cells)
    return table


def _refused(load: Loaded) -> str:
    return f" ({load.refused} refused: {load.problem})" if load.refused else ""


def _latency(load: Loaded) -> str:
    return f"{load.p50_ms:.1f} / {load.p99_ms:.1f}"


def _title(found: Found) -> str:
    return f"{found.name} {found.version}".strip()


def _as_json(found: Found) -> dict[str, object]:
    loads = [
        {"operation": operation, "connections": connections, **_load_as_json(load)}
        for (operation, connections), load in found.loads.items()
    ]
    return {**{name: getattr(found, name) for name in Found.__slots__}, "loads": loads}


def _load_as_json(load: Loaded | str) -> dict[str, object]:
    if isinstance(load, str):
        return {"fails": load}
    return {name: value for name, value in asdict(load).items() if name != "numbers"} | {"per_second": load.per_second}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure DynamoDB's operations on local servers, side by side.")
    parser.add_argument("--quick", action="store_true", help="small counts, below a minute; not to be trusted")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of markdown")
    parser.add_argument("--only", nargs="+", choices=names(), metavar="NAME", help=", ".join(names()))
    parser.add_argument(
        "--stream", action="store_true", help="with a stream on the table, where the server has streams"
    )
    parser.add_argument("--folder", type=Path, help="where data folders are made: the disk that is measured")
    parser.add_argument("--cache", type=Path, help="where packages are installed, to be there the next time")
    return parser


if __name__ == "__main__":
    main()
