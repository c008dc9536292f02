"""How checks, changes and CloudFormation's progress look on a terminal, in a pipe, and as JSON."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TextIO

from rich.box import SIMPLE
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from duestream.aws.stack.change_set import Change, summary
from duestream.aws.stack.checks import Check
from duestream.aws.stack.deploy import Question, Step
from duestream.aws.stack.stack_events import STACK_TYPE, Stack, StackEvent

#: Beside a pipe there is no terminal to fit into, and cut words help nobody.
WIDTH_WITHOUT_TERMINAL = 240
_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "failed": ("FAILED", "red"), "unknown": ("?", "dim")}
#: So many lines of a live view at the most: the screen is not endless, and the newest are of interest.
MAX_LIVE_ROWS = 30


def console_on(stream: TextIO) -> Console:
    """A console on stdout or stderr that cuts nothing where there is no terminal."""
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def show_checks(console: Console, checks: Iterable[Check]) -> None:
    """A line for each; its remedy below it."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for column in range(3):
        table.add_column(overflow="fold", no_wrap=column == 0)
    for check in checks:
        mark, style = _MARKS[check.state]
        words = Text(check.words)
        if check.remedy:
            words.append(f"\n{check.remedy}", style="dim")
        table.add_row(Text(mark, style=style), Text(check.subject), words)
    console.print(table)


def show_changes(console: Console, changes: Sequence[Change]) -> None:
    """A line for each, and in red what is made anew or lost."""
    table = Table(box=SIMPLE, pad_edge=False)
    for header in ("", "resource", "type", "what changes"):
        table.add_column(header, overflow="fold")
    for change in sorted(changes, key=lambda one: (not one.loses, not one.is_replacement, one.action)):
        style = "red" if change.loses or change.is_replacement else _style_of(change)
        details = ", ".join(change.properties)
        words = Text(details if change.action == "Modify" else "")
        if change.loses:
            words.append(f"{'; ' if words.plain else ''}LOST: {change.loses}", style="bold red")
        name = change.logical_id + (f" ({change.physical_id})" if change.loses and change.physical_id else "")
        table.add_row(Text(change.words, style=style), Text(name), Text(change.resource_type), words)
    console.print(table)
    console.print(Text(summary(changes)))


def show_question(console: Console) -> Any:
    """What is shown before a question is asked."""

    def show(question: Question) -> None:
        if question.changes:
            show_changes(console, question.changes)

    return show


class ProgressView:
    """CloudFormation's progress: a table that moves on a terminal, lines in a pipe. Use it as a context."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: dict[str, StackEvent] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()

    def rest(self) -> None:
        """Leave the table as it is, and go on below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._rows.clear()

    def report(self, step: Step) -> None:
        """Show a step."""
        if step.event is None:
            self.rest()
            self._console.print(Text(f"  {step.words}", style="dim" if step.kind == "change set" else ""))
        elif self._console.is_terminal:
            self._move(step.event)
        elif _is_told_in_lines(step.event):
            self._console.print(_event_line(step.event))

    def _move(self, event: StackEvent) -> None:
        self._rows.pop(event.logical_id, None)
        self._rows[event.logical_id] = event
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 2))
        for event in list(self._rows.values())[-MAX_LIVE_ROWS:]:
            words = Text(event.reason if "FAILED" in event.status else "")
            status = Text(event.status, style=_style_of_status(event.status))
            table.add_row(status, Text(event.logical_id), Text(event.resource_type, style="dim"), words)
        return table


def show_failure(console: Console, stack: Stack | None, failure: StackEvent | None) -> None:
    """A failed deployment, told plainly: what failed first and why, and what CloudFormation made of it."""
    if failure is not None:
        console.print(Text(f"{failure.logical_id} ({failure.resource_type}) failed first:", style="bold red"))
        console.print(Text(f"  {failure.reason or 'CloudFormation gives no reason'}"))
    console.print(Text(rolled_back_words(stack)))


def rolled_back_words(stack: Stack | None) -> str:
    """What a failed deployment left."""
    if stack is None:
        return "The stack is gone again: nothing of this deployment is left."
    match stack.status:
        case "ROLLBACK_COMPLETE":
            return (
                f"Stack {stack.name} was rolled back: what it had made is deleted again, but for tables that are kept. "
                "Mend the cause and deploy again; you are then asked whether to delete the empty stack."
            )
        case "UPDATE_ROLLBACK_COMPLETE":
            return f"Stack {stack.name} was rolled back: it is as it was before, and goes on. Mend the cause and deploy again."
    reason = f" ({stack.reason})" if stack.reason else ""
    return f"Stack {stack.name} is in {stack.status}{reason}."


def counted(count: int, noun: str) -> str:
    """``1 schedule``, ``2 schedules``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def check_facts(check: Check) -> dict[str, Any]:
    """A check as JSON."""
    return {"subject": check.subject, "state": check.state, "words": check.words, "remedy": check.remedy}


def change_facts(change: Change) -> dict[str, Any]:
    """A change as JSON."""
    return {
        "action": change.action,
        "logical_id": change.logical_id,
        "resource_type": change.resource_type,
        "physical_id": change.physical_id,
        "replacement": change.replacement if change.action == "Modify" else "False",
        "properties": list(change.properties),
        "kept": change.is_kept,
        "loses": change.loses,
    }


def stack_facts(stack: Stack | None) -> Mapping[str, Any] | None:
    """A stack as JSON."""
    if stack is None:
        return None
    return {
        "id": stack.id,
        "name": stack.name,
        "status": stack.status,
        "reason": stack.reason,
        "outputs": stack.outputs,
    }


def failure_facts(failure: StackEvent | None) -> Mapping[str, Any] | None:
    """What failed first, as JSON."""
    if failure is None:
        return None
    return {
        "logical_id": failure.logical_id,
        "resource_type": failure.resource_type,
        "status": failure.status,
        "reason": failure.reason,
    }


def progress_console(*, as_json: bool) -> Console:
    """Where progress goes: with JSON on stdout, it goes to stderr."""
    return console_on(sys.stderr if as_json else sys.stdout)


def _style_of(change: Change) -> str:
    return {"Add": "green", "Modify": "yellow", "Remove": "magenta"}.get(change.action, "")


def _style_of_status(status: str) -> str:
    if "FAILED" in status or "ROLLBACK" in status:
        return "red"
    return "green" if status.endswith("_COMPLETE") else "yellow"


def _is_told_in_lines(event: StackEvent) -> bool:
    """Whether it is told where lines stay: a resource's end is, its beginning is not."""
    return event.resource_type == STACK_TYPE or not event.status.endswith("_IN_PROGRESS")


def _event_line(event: StackEvent) -> Text:
    line = Text(f"  {event.at:%H:%M:%S}  {event.status:<28} {event.logical_id}  {event.resource_type}")
    if "FAILED" in event.status and event.reason:
        line.append(f"  {event.reason}", style="red")
    return line
