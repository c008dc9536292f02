"""`duestream logs`: what the functions on AWS log."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import typer

from duestream.aws.stack.session import AwsError, is_local_engine, told_plainly
from duestream.aws.upkeep.logs import LogLine, follow_lines, log_lines
from duestream.cli.ages import parse_age
from duestream.cli.app_file import load_app
from duestream.cli.stack_door import Where, pause
from duestream.clock import SystemClock
from duestream.errors import SettingsError


def print_logs(named: str, where: Where, *, since: str, follow: bool, rule: str | None, as_json: bool) -> int:
    """Print log lines; answers the exit code.

    Args:
        named: the app.
        where: it is.
        since: from so long ago on, as it was given.
        follow: go on until Ctrl-C.
        rule: only what is about it; None: all.

    Raises:
        Error: AWS cannot be asked, or the app has no such rule.
    """
    app, clock = load_app(named), SystemClock()
    if rule is not None and rule not in {one.name for one in app.rules}:
        there = ", ".join(one.name for one in app.rules) or "none"
        raise SettingsError(f"--rule {rule!r} is no rule of app {app.name}. Its rules are: {there}.")
    begin = clock.now() - timedelta(seconds=parse_age(since, "--since"))
    access = where.access()
    if is_local_engine(access):
        raise AwsError(
            "a duestream server answers there, and it runs rules itself",
            remedy="What they print is in the terminal of `duestream up`; functions of Lambda's log in its data folder.",
        )
    with told_plainly(access):
        if follow:
            lines = follow_lines(access, app.name, since=begin, rule=rule, clock=clock, pause=pause())
        else:
            lines = log_lines(access, app.name, since=begin, rule=rule)
        try:
            for line in lines:
                typer.echo(json.dumps(_facts(line), ensure_ascii=False) if as_json else line_text(line))
        except KeyboardInterrupt:
            if not follow:
                raise
    return 0


def line_text(line: LogLine) -> str:
    """A line as it is printed: when, which function, and what."""
    fields = line.fields
    text = line.message if fields is None else _told_of_fields(fields)
    return f"{line.at.astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3] + f"  {line.function:<8}  {text}"


def _told_of_fields(fields: Mapping[str, Any]) -> str:
    """A structured line: level and message first, then the rest."""
    rest = dict(fields)
    if "_aws" in rest:
        rest.pop("_aws")
        return "metrics  " + "  ".join(f"{name}={value}" for name, value in rest.items())
    if isinstance(rest.get("record"), Mapping):  # of Lambda itself: platform.start, platform.report
        record = dict(rest["record"])
        record |= record.pop("metrics", {})
        return "  ".join([str(rest.get("type")), *(f"{name}={_short(value)}" for name, value in record.items())])
    head = [str(rest.pop(name)) for name in ("level", "message") if name in rest]
    for known in ("timestamp", "logger", "requestId"):
        rest.pop(known, None)
    return "  ".join([*head, *(f"{name}={_short(value)}" for name, value in rest.items())])


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _facts(line: LogLine) -> dict[str, Any]:
    return {"at": line.at.isoformat(), "function": line.function, "message": line.message, "fields": line.fields}
