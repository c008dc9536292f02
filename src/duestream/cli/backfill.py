"""`duestream backfill`: schedules for the items that were there before the rules."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from duestream.aws.upkeep.backfill import TableProgress, backfill, scheduled_tables
from duestream.aws.upkeep.scanning import Progress as ScanProgress
from duestream.cli.app_file import load_app
from duestream.cli.stack_door import Where
from duestream.cli.upkeep_door import tended
from duestream.errors import SettingsError

#: What is said of each count, in this order.
_WORDS = (
    ("items", "items looked at"),
    ("made", "schedules made"),
    ("there", "were there already"),
    ("past", "past due, left alone"),
    ("undigested", "that a rule cannot read"),
    ("unplanned", "items that are being planned anyway"),
)


def run_backfill(
    named: str,
    where: Where,
    *,
    table: str | None,
    rate: float,
    segments: int,
    state: Path | None,
    restart: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make the schedules of the items that are there; answers the exit code.

    Args:
        named: the app.
        where: it runs.
        table: the one table that is wanted.
        rate: calls a second to EventBridge Scheduler, at the most.
        segments: of each table's scan.
        state: the file in which the progress is kept; None: one in the working folder, named after app and place.
        restart: forget the progress there is.
        dry_run: only count.

    Raises:
        Error: it cannot be done, or not be gone on with.
    """
    app = load_app(named)
    tables = scheduled_tables(app, table)
    running = tended(app, where, calls_per_second=rate)
    place = running.access.endpoint_url or running.access.region
    path = state or Path(f".duestream-backfill-{app.name}.json")
    if restart:
        path.unlink(missing_ok=True)
    asked = {"app": app.name, "place": place, "segments": segments, "tables": [one.name for one in tables]}
    progress = ScanProgress(None if dry_run else path, asked)
    if progress.was_found and not as_json:
        typer.echo(f"going on where {path} says (--restart begins anew)", err=True)
    with _screen(as_json=as_json) as tell:
        try:
            counts = backfill(
                running.access, tables, running.keeper, progress, segments=segments, dry_run=dry_run, tell=tell
            )
        except KeyboardInterrupt:
            raise SettingsError(f"interrupted. The same command goes on where it stopped ({path}).") from None
    if as_json:
        typer.echo(json.dumps({"app": app.name, "dry_run": dry_run, "tables": counts}))
    else:
        _tell(counts, dry_run=dry_run)
    return 0


def _tell(counts: Mapping[str, Mapping[str, int]], *, dry_run: bool) -> None:
    for name, of_table in counts.items():
        parts = [f"{of_table[key]:,} {words}" for key, words in _WORDS if of_table.get(key)]
        if dry_run:
            parts.append(f"{of_table.get('pending', 0):,} schedules wanted (nothing was made)")
        typer.echo(f"{name}: {', '.join(parts) or 'no items'}")


class _screen:  # noqa: N801 - used as a function
    """A bar for each table on stderr, with an estimate of what is left; nothing beside JSON or a pipe."""

    def __init__(self, *, as_json: bool) -> None:
        console = Console(stderr=True)
        self._bars = None
        if console.is_terminal and not as_json:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.completed:,.0f} items"),
                TimeRemainingColumn(),
                console=console,
            )
        self._tasks: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Callable[[TableProgress], None]:
        if self._bars is not None:
            self._bars.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def _tell(self, told: TableProgress) -> None:
        if self._bars is None:
            return
        with self._lock:
            if told.table not in self._tasks:
                self._tasks[told.table] = self._bars.add_task(told.table, total=told.about)
            task = self._tasks[told.table]
        self._bars.update(task, completed=told.counts.get("items", 0))  # type: ignore[arg-type]
