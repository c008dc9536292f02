"""Measure duestream side by side with other schedulers and job queues, and print one markdown table.

    python benchmarks/peers/run.py [--quick] [--json] [--only NAME ...] [--folder DIR]

Everything is installed for the occasion in a temporary folder (PyPI, npm, Debian's redis-server unpacked), pinned,
and gone afterwards. Each step has a fresh store, and is bounded in time; what cannot be had or measured is said so.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1]))

import machine
import trials
from contenders import CONTENDERS, OURS, Contender
from report import Cell, Table, shown
from trials import Counts, Found, Lateness


def main() -> None:
    """The command line."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    counts = trials.QUICK if arguments.quick else Counts()
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    known = machine.facts(arguments.folder)
    known["commit"] = _commit()
    with tempfile.TemporaryDirectory(prefix="peers-", dir=arguments.folder) as name:
        Path(name).chmod(0o755)  # PostgreSQL is run by another user than root
        wanted = [one for one in CONTENDERS if not arguments.only or one.name in (*arguments.only, OURS.name)]
        places = [Path(name, one.name) for one in wanted]
        if arguments.quick:  # it shows that everything works: all at once, so that waiting is shared
            with ThreadPoolExecutor(len(wanted)) as pool:
                found = list(pool.map(lambda one, place: _measured(one, place, counts), wanted, places))
        else:
            found = [_measured(one, place, counts) for one, place in zip(wanted, places, strict=True)]
    if arguments.json:
        print(json.dumps({"machine": known, "counts": asdict(counts), "contenders": [asdict(one) for one in found]}))
    else:
        print(f"{machine.sentence(known)}.\n\n{table(found, counts, is_quick=arguments.quick).markdown()}")


def _measured(contender: Contender, folder: Path, counts: Counts) -> Found:
    begun = perf_counter()
    found = trials.measure(contender, folder, counts)
    print(f"{contender.name}: {perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    return found


def table(found: list[Found], counts: Counts, *, is_quick: bool) -> Table:
    """A row for each measure, a column for each contender; ratios are to the first, which is ours."""
    ours, names = found[0], [one.name for one in found]
    title = f"duestream and others, side by side{' (a quick run, all at once: not to be trusted)' if is_quick else ''}"
    made = Table(title, ("measure", *names))
    made.rows.append(("version", *(one.version or "-" for one in found)))
    for at_once, label in ((1, "one after another"), (16, "16 at once")):
        rates = [one.created_per_second.get(at_once) for one in found]
        made.rows.append((f"creates/s, {label}", *_with_ratios(rates)))
    for name in trials.cases(counts):
        late = [one.lateness.get(name) for one in found]
        made.rows.append((f"{name}: p50 / p99 / max ms late", *(_shown(one) for one in late)))
        made.rows.append((f"{name}: p99 to ours", *_ratios([one.p99_ms if one else None for one in late])))
        if ours.lateness_in_store:
            stored = [one.lateness_in_store.get(name) for one in found]
            made.rows.append((f"{name}: ... in our queue", *(_shown(one) for one in stored)))
    made.rows.append((f"memory MiB, {counts.pending:,} pending", *_with_ratios([one.memory_mib for one in found])))
    made.rows.append(
        (
            f"idle CPU %, {counts.pending:,} pending, {counts.idle_seconds:g} s",
            *("-" if one.idle_cpu_percent is None else shown(one.idle_cpu_percent) for one in found),
        )
    )
    made.rows.append(
        (
            f"killed in the middle of {counts.killed:,}: lost / doubled",
            *("-" if one.lost is None else f"{one.lost:,} / {one.doubled:,}" for one in found),
        )
    )
    made.notes.append(
        "Late: the moment at which the job's own code runs (with ours and ministack: at which a consumer has received "
        "the message) after the due time. *In our queue*: the moment of delivery as the data folder has it. `duestream` "
        "and `ministack` are asked through EventBridge Scheduler's API, which knows whole seconds only: a second's "
        "share of a steady rate is due at one instant. Ratios are to the first column."
    )
    for one in found:
        made.notes += [f"**{one.name}**, {what}: not measured: {why}." for what, why in one.reasons.items()]
    return made


def _with_ratios(values: list[float | None]) -> list[Cell]:
    ratios = _ratios(values)
    return ["-" if value is None else f"{shown(value)} ({ratio})" for value, ratio in zip(values, ratios, strict=True)]


def _ratios(values: list[float | None]) -> list[str]:
    ours = values[0]
    return ["-" if value is None or not ours else f"{shown(value / ours)}x" for value in values]


def _shown(late: Lateness | None) -> str:
    if late is None:
        return "-"
    missing = f" ({late.missing:,} missing)" if late.missing else ""
    return f"{shown(late.p50_ms)} / {shown(late.p99_ms)} / {shown(late.max_ms)}{missing}"


def _commit() -> str:
    """What is measured, where git knows it."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return done.stdout.strip() or "unknown"


def _parser() -> argparse.ArgumentParser:
    names = [contender.name for contender in CONTENDERS]
    parser = argparse.ArgumentParser(description="Measure duestream and others side by side.")
    parser.add_argument(
        "--quick", action="store_true", help="small counts and all at once, below 90 s; not to be trusted"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of markdown")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"beside ours: {', '.join(names)}")
    parser.add_argument(
        "--folder", type=Path, help="where everything is installed and stored: the disk that is measured"
    )
    return parser


if __name__ == "__main__":
    main()
