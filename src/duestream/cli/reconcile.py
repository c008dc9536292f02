"""`duestream reconcile`: the tables held against the schedules."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Protocol

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from duestream.aws.upkeep.backfill import scheduled_tables
from duestream.aws.upkeep.reconcile import Reconciled, Reconciler
from duestream.cli.app_file import load_app
from duestream.cli.stack_door import Where
from duestream.cli.upkeep_door import tended
from duestream.clock import SystemClock

WIDTH_WITHOUT_TERMINAL = 240
#: Findings that are shown to people; --json has all of them.
MAX_SHOWN = 100


class Tell(Protocol):
    """Told what is done at present, and how much of it."""

    def __call__(self, what: str, count: int, /) -> None: ...


def run_reconcile(
    named: str,
    where: Where,
    *,
    table: str | None,
    rate: float,
    segments: int,
    repair: bool,
    shallow: bool,
    as_json: bool,
) -> int:
    """Look for what is missing, orphaned or different; answers the exit code: 1 if something is, and stays so.

    Args:
        named: the app.
        where: it runs.
        table: the one table that is wanted.
        rate: calls a second to EventBridge Scheduler, at the most.
        segments: of each table's scan.
        repair: mend it.
        shallow: only whether schedules are there, not what is in them.

    Raises:
        Error: it cannot be done.
    """
    app = load_app(named)
    # Without such rules there may still be schedules, of rules that were taken out or that sweep now.
    has_none = table is None and bool(app.rules) and all(rule.via is not None for rule in app.rules)
    tables = [] if has_none else scheduled_tables(app, table)
    running = tended(app, where, calls_per_second=rate)
    with _status(as_json=as_json) as tell:
        reconciler = Reconciler(
            running.access,
            app,
            running.keeper,
            running.group,
            place=running.place,
            now=SystemClock().now,
            tell=tell,
        )
        found = reconciler.run(tables, segments=segments, mend=repair, compare=not shallow)
    if as_json:
        typer.echo(json.dumps(_facts(found)))
    else:
        _show(found, repair=repair)
    return 0 if all(finding.is_mended for finding in found.findings) else 1


def _facts(found: Reconciled) -> dict[str, Any]:
    findings = [asdict(finding) for finding in found.findings]
    kinds = ("missing", "different", "orphaned")
    return {
        "counts": dict(found.counts),
        **{kind: sum(finding.kind == kind for finding in found.findings) for kind in kinds},
        "findings": findings,
    }


def _show(found: Reconciled, *, repair: bool) -> None:
    counts = found.counts
    typer.echo(
        f"{counts['items']:,} items want {counts['pending']:,} schedules; {counts['listed']:,} are there"
        + (f"; rules cannot read {counts['undigested']:,}" if counts["undigested"] else "")
    )
    if not found.findings:
        typer.echo("nothing is missing, orphaned or different")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    table = Table(box=SIMPLE, pad_edge=False)
    for header in ("what", "rule", "item", "schedule", "why", ""):
        table.add_column(header, overflow="fold")
    for finding in found.findings[:MAX_SHOWN]:
        item = "" if finding.key is None else f"{finding.table_name} {json.dumps(finding.key)}"
        mended = "mended" if finding.is_mended else ""
        table.add_row(finding.kind, finding.rule, item, finding.name, finding.detail, mended)
    console.print(table)
    if len(found.findings) > MAX_SHOWN:
        typer.echo(f"and {len(found.findings) - MAX_SHOWN:,} more; --json shows all of them")
    if not repair:
        typer.echo("nothing was changed; --repair mends it")


@contextmanager
def _status(*, as_json: bool) -> Iterator[Tell]:
    """A line on stderr that says what is done at present."""
    console = Console(stderr=True)
    if as_json or not console.is_terminal:
        yield lambda what, count: None
        return
    with console.status("") as status:
        yield lambda what, count: status.update(f"{what}: {count:,}")
