"""`duestream status`: how an app is doing, on AWS or on a duestream server."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import typer
from rich.text import Text

from duestream.aws.stack.session import is_local_engine, told_plainly
from duestream.aws.upkeep.status import Inquiry, Pending, Status, check_deployed
from duestream.cli.ages import parse_age
from duestream.cli.app_file import load_app
from duestream.cli.stack_door import Where
from duestream.cli.stack_view import counted, progress_console, stack_facts
from duestream.clock import SystemClock
from duestream.core.app import App

#: Metrics that something is wrong with if they are not zero.
_BAD = ("errors", "throttles", "dropped", "dead letters")


def tell_status(named: str, where: Where, *, since: str, limit: int, sample: int, as_json: bool) -> int:
    """Print how the app is doing; answers the exit code.

    Args:
        named: the app.
        where: it is.
        since: the metrics' time, as it was given.
        limit: schedules to list at the most.
        sample: schedules to look at for the next due.

    Raises:
        Error: it is not deployed, or AWS cannot be asked.
    """
    app = load_app(named)
    stack_name = where.stack_name(app.name)
    length = timedelta(seconds=parse_age(since, "--since"))
    access = where.access()
    with told_plainly(access):
        is_local = is_local_engine(access)
        inquiry = Inquiry(access, app, stack_name, is_local, limit, sample)
        status = inquiry.ask(now=SystemClock().now(), since=length)
    check_deployed(status, stack_name)
    if as_json:
        typer.echo(json.dumps(_facts(status, app.name, since), ensure_ascii=False))
        return 0
    console = progress_console(as_json=False)
    for line in _told(status, app, stack_name, since):
        console.print(line)
    return 0


def _told(status: Status, app: App, stack_name: str, since: str) -> Iterator[Text]:
    if status.is_local:
        yield Text(f"app {app.name} on a duestream server ({status.place}), which needs no stack")
    elif status.stack is not None:
        style = "green" if status.stack.is_well else "red"
        yield Text(f"app {app.name}, stack {stack_name} in {status.place}: {status.stack.status}", style=style)
    else:
        yield Text(f"app {app.name} in {status.place}: there is no stack {stack_name}", style="red")
    for mapping in status.mappings:
        style = "" if mapping.state == "Enabled" else "red"
        yield Text(
            f"  stream    {mapping.table}: {mapping.state}; last batch: {mapping.last_result or '-'}", style=style
        )
    if status.pending is not None and status.pending.by_rule:
        yield from _told_of_pending(status.pending)
    for rule in app.rules:
        if rule.via is not None:
            yield Text(
                f"  sweep     {rule.name}: {rule.table.name}'s index {rule.via.index}, {rule.via.rate_expression}"
            )
    yield from _told_of_metrics(status, since)
    for queue, count in status.dead_letters.items():
        if count is not None:
            yield Text(f"  given up  {queue}: {counted(count, 'message')}", style="red" if count else "")
    for words in status.unknown:
        yield Text(f"  unknown   {words}", style="yellow")


def _told_of_metrics(status: Status, since: str) -> Iterator[Text]:
    """What Scheduler delivered, and what each function did; in red what ought to be nothing."""
    lines: dict[str, list[Text]] = {}
    for label, value in status.metrics.items():
        if value is not None:
            function, _, words = label.rpartition(": ")
            style = "red" if value and any(word in words for word in _BAD) else ""
            lines.setdefault(function or f"last {since}", []).append(Text(f"{words} {value:,.0f}", style=style))
    for title, parts in lines.items():
        yield Text(f"  {title:<9} ") + Text(", ").join(parts)


def _told_of_pending(pending: Pending) -> Iterator[Text]:
    more = "" if pending.is_all else "more than "
    yield Text(f"  pending   {more}{counted(pending.count, 'schedule')}")
    width = max(map(len, pending.by_rule), default=0)
    for rule, count in pending.by_rule.items():
        yield Text(f"            {rule or '(of no rule)':<{width}}  {count:,}")
    for name, due_at in pending.next_due[:1]:
        of = (
            ""
            if pending.looked_at == pending.count and pending.is_all
            else f", the soonest of {pending.looked_at} looked at"
        )
        yield Text(f"  next due  {due_at:%Y-%m-%d %H:%M:%S} {due_at.tzname()}: {name}{of}")
    calls = f"{pending.list_calls} ListSchedules and {pending.looked_at} GetSchedule"
    yield Text(
        f"            ({calls} requests; AWS charges nothing for them, and counts them against its rates)", style="dim"
    )


def _facts(status: Status, app_name: str, since: str) -> dict[str, Any]:
    pending = status.pending
    return {
        "app": app_name,
        "place": status.place,
        "local": status.is_local,
        "stack": stack_facts(status.stack),
        "mappings": [
            {"table": one.table, "state": one.state, "last_result": one.last_result} for one in status.mappings
        ],
        "pending": None
        if pending is None
        else {
            "count": pending.count,
            "is_all": pending.is_all,
            "by_rule": dict(pending.by_rule),
            "next_due": [{"name": name, "due_at": due_at.isoformat()} for name, due_at in pending.next_due],
            "looked_at": pending.looked_at,
            "requests": pending.list_calls + pending.looked_at,
        },
        "since": since,
        "metrics": dict(status.metrics),
        "dead_letters": dict(status.dead_letters),
        "unknown": list(status.unknown),
    }
