"""What the demo shows: a bar on a terminal, plain lines elsewhere, and a table at the end."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from duestream.cli.demo_report import Line, Report

#: Beside a pipe there is no terminal to fit into.
WIDTH_WITHOUT_TERMINAL = 120
#: Longer tables help nobody: then only what went wrong is listed.
MAX_LINES = 50


class Screen:
    """Shows how it goes. With `as_json` all of it goes to stderr: stdout is the program's."""

    def __init__(self, *, as_json: bool) -> None:
        self._console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False)
        if not self._console.is_terminal:
            self._console.width = WIDTH_WITHOUT_TERMINAL

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False)

    @contextmanager
    def progress(self, expected: int) -> Iterator[Callable[[int], None]]:
        """Count up to `expected`: call what is given with how many have come."""
        if self._console.is_terminal:
            columns = (TextColumn("delivered"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, console=self._console) as bar:
                task = bar.add_task("delivered", total=expected)
                yield lambda count: bar.update(task, completed=count)
            return
        told = 0

        def tell(count: int) -> None:
            nonlocal told
            if count > told:
                told = count
                self.say(f"delivered {count} of {expected}")

        yield tell

    def show(self, report: Report) -> None:
        """The table, and the sum of it."""
        lines = report.lines
        if len(lines) > MAX_LINES:
            lines = [line for line in lines if line.problem or line.change]
            self.say(f"{len(report.lines)} items; listed are those changed and those with a problem")
        table = Table(box=SIMPLE, pad_edge=False)
        for header in ("item", "", "due", "delivered", "late", ""):
            table.add_column(header, justify="right" if header == "late" else "left")
        for line in lines:
            table.add_row(*_cells(line), style="red" if line.problem else "dim" if line.change == "deleted" else None)
        self._console.print(table)
        summary = report.summary()
        lateness = summary["lateness_ms"]
        self.say(
            f"{summary['items']} written, {summary['delivered']} delivered, {summary['duplicates']} twice; "
            f"late by {lateness['p50']} ms (median), {lateness['max']} ms (at most)"
        )
        if not report.is_good:
            self._console.print("not as it should be: see the last column", style="red")


def _cells(line: Line) -> tuple[str, str, str, str, str, str]:
    delivered = ", ".join(map(_time, line.delivered_at)) or "-"
    late = "" if line.lateness_ms is None else f"{line.lateness_ms} ms"
    return line.name, line.change, _time(line.due_at), delivered, late, line.problem or ""


def _time(moment: datetime) -> str:
    return moment.astimezone().isoformat(timespec="milliseconds")[11:23]
