"""What an app's functions log: the lines of their log groups in CloudWatch Logs, in the order of their time."""

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from duestream.aws.stack.names import function_name
from duestream.aws.stack.session import Access, AwsError, code_of
from duestream.aws.stack.stack_events import Pause
from duestream.aws.upkeep.status import rule_of
from duestream.clock import Clock, from_ms, to_ms

PARTS = ("stream", "when-due", "sweep")
#: Lines come into CloudWatch Logs late, and not in order: so much is looked at again.
OVERLAP = timedelta(seconds=10)
#: FilterLogEvents may be asked five times a second, or ten, by region ("CloudWatch Logs quotas").
LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line.

    Args:
        at_ms: when it was logged, in milliseconds since 1970.
        id: CloudWatch's of it.
        function: the function's part of the app: ``stream``, ``when-due`` or ``sweep``.
        message: the line.
    """

    at_ms: int
    id: str
    function: str
    message: str

    @property
    def at(self) -> datetime:
        """When it was logged."""
        return from_ms(self.at_ms)

    def is_about(self, rule: str) -> bool:
        """Whether it is about a rule: it names it, or one of its schedules."""
        fields = self.fields
        if fields is None:
            return rule in self.message
        schedule = str(fields.get("schedule", "")).rpartition("/")[2]
        return rule in (fields.get("rule"), fields.get("Rule"), rule_of(schedule, {rule}))

    @property
    def fields(self) -> dict[str, Any] | None:
        """Of a line that is a JSON object."""
        if not self.message.startswith("{"):
            return None
        try:
            parsed = json.loads(self.message)
        except ValueError:
            return None
        return parsed if isinstance(parsed, dict) else None


def log_lines(access: Access, app_name: str, *, since: datetime, rule: str | None) -> Iterator[LogLine]:
    """The lines of all the app's functions that were logged since then, oldest first.

    Raises:
        AwsError: none of the functions has a log group.
    """
    found = [lines for part in PARTS if (lines := _lines_of(access, app_name, part, to_ms(since))) is not None]
    if not found:
        raise AwsError(
            f"no function of app {app_name} has a log group in {access.where}",
            remedy="Deploy it with duestream deploy, or say where it is with --region and --profile.",
        )
    for line in heapq.merge(*found, key=_moment):
        if rule is None or line.is_about(rule):
            yield line


def follow_lines(
    access: Access, app_name: str, *, since: datetime, rule: str | None, clock: Clock, pause: Pause
) -> Iterator[LogLine]:
    """The lines since then, and those that come, without an end."""
    seen: dict[str, int] = {}
    while True:
        now = clock.now()
        for line in log_lines(access, app_name, since=since, rule=rule):
            if line.id not in seen:
                seen[line.id] = line.at_ms
                yield line
        since = max(since, now - OVERLAP)
        seen = {line_id: at_ms for line_id, at_ms in seen.items() if at_ms >= to_ms(since)}
        pause(LOOK_SECONDS)


def _lines_of(access: Access, app_name: str, part: str, since_ms: int) -> Iterator[LogLine] | None:
    """One function's lines; None: it has no log group."""
    pages = iter(
        access.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{function_name(app_name, part)}", startTime=since_ms)
    )
    try:
        first = next(pages, None)
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return None
        raise

    def lines() -> Iterator[LogLine]:
        page = first
        while page is not None:
            found = (
                LogLine(shown["timestamp"], _id_of(shown), part, shown["message"].rstrip("\n"))
                for shown in page["events"]
            )
            yield from sorted(found, key=_moment)
            page = next(pages, None)

    return lines()


def _moment(line: LogLine) -> int:
    """What lines are put in order by: those of one moment stay as they came."""
    return line.at_ms


def _id_of(shown: Mapping[str, Any]) -> str:
    """CloudWatch's id of a line; where there is none, what tells it from others."""
    return str(shown.get("eventId") or f"{shown.get('logStreamName')}/{shown['timestamp']}/{shown['message']}")
