"""Measure duestream from outside, and print tables of markdown.

    python benchmarks/run.py [--quick] [--json] [--only NAME ...] [--peers] [--pending COUNT] [--folder DIR]

In full it takes some minutes and wants the machine for itself; `--quick` takes less than one and shows that
everything works. Ratios are of one run, so that they can be compared between machines.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import machine
from measures import floors, lateness, peers, pending, plan, ratios, statements, stored, writes
from report import Table

MEASURES: dict[str, Callable[[plan.Plan], list[Table]]] = {
    "floors": floors.measure,
    "writes": writes.measure,
    "stored": stored.measure,
    "lateness": lateness.measure,
    "pending": pending.measure,
    "statements": statements.measure,
    "peers": peers.measure,
}


def main() -> None:
    """The command line."""
    arguments = _parser().parse_args()
    if arguments.peers and arguments.only:
        arguments.only.append("peers")
    make = plan.quick if arguments.quick else plan.full
    how = make(arguments.folder, with_peers=arguments.peers)
    if arguments.pending is not None:
        how = replace(how, pending=arguments.pending)
    measured = run(how, arguments.only)
    known = measured.pop("facts")
    known_text = machine.sentence(known)  # type: ignore[arg-type]
    is_whole = not any(table.columns == ("problem",) for found in measured.values() for table in found)  # type: ignore[attr-defined]
    if arguments.json:
        tables = {name: [table.as_json() for table in found] for name, found in measured.items()}  # type: ignore[attr-defined]
        print(json.dumps({"machine": known, "measures": tables}, ensure_ascii=False))
    else:
        print(f"{known_text}.")
        for found in measured.values():
            for table in found:  # type: ignore[attr-defined]
                print(f"\n{table.markdown()}")
    sys.exit(0 if is_whole else 1)


def run(how: plan.Plan, only: list[str] | None) -> dict[str, object]:
    """The tables of each measure by its name, and the machine's facts."""
    measured: dict[str, object] = {"facts": machine.facts(how.folder)}
    for name, measure in MEASURES.items():
        if (only and name not in only) or (name == "peers" and not how.with_peers):
            continue
        begun = perf_counter()
        try:
            measured[name] = measure(how)
        except (RuntimeError, TimeoutError) as error:
            # The others are worth having all the same.
            failed = Table(f"{name}: not measured", ("problem",), [(str(error),)])
            measured[name] = [failed]
        print(f"{name}: {perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    whole = {name: found for name, found in measured.items() if name != "facts" and len(found[0].columns) > 1}  # type: ignore[index]
    if "floors" in whole and len(whole) > 1:
        measured["ratios"] = [ratios.ratios(whole)]
    known = measured["facts"]
    known["fsync p50 ms at the end"] = round(machine.fsync_ms(how.folder), 3)  # type: ignore[index]
    known["load average at the end"] = round(os.getloadavg()[0], 2)  # type: ignore[index]
    return measured


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure duestream from outside.")
    parser.add_argument("--quick", action="store_true", help="small counts, below a minute; not to be trusted")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of markdown")
    parser.add_argument("--only", nargs="+", choices=sorted(MEASURES), metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument(
        "--peers", action="store_true", help="also install other local servers, and have them put items"
    )
    parser.add_argument(
        "--pending", type=int, metavar="COUNT", help="so many schedules for the measure of that name: 1000000, say"
    )
    parser.add_argument("--folder", type=Path, help="where data folders are made: the disk that is measured")
    return parser


if __name__ == "__main__":
    main()
