"""The steps of the flow in words, one short line each. Pure but for what it remembers of earlier lines."""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timezone
from typing import Any

from duestream.clock import from_ms
from duestream.core.service_targets import WHEN_DUE_ENDING
from duestream.core.target import HTTP_DESTINATION

#: Item texts remembered by schedule, so that a delivery can be told by its item.
MAX_REMEMBERED = 10_000
MAX_VALUE_LENGTH = 60
MAX_REASON_LENGTH = 300

#: action -> (word, colour)
_ACTIONS = {
    "put_schedule": ("scheduled", "cyan"),
    "delete_schedule": ("unscheduled", "magenta"),
    "delivered": ("delivered", "green"),
    "skipped": ("skipped", "yellow"),
    "skip_past_due": ("skipped", "yellow"),
    "retry": ("retrying", "yellow"),
    "dead_lettered": ("dead letter", "red"),
    "dead_letter_record": ("dead letter", "red"),
    "dropped": ("dropped", "red"),
    "drop_record": ("dropped", "red"),
    "redrive": ("redriven", "cyan"),
    "drop_letter": ("let go", "yellow"),
    "missed": ("missed", "yellow"),
    "unowned": ("waiting", "yellow"),
    "invocation_failed": ("failed", "yellow"),
    "batch_failed": ("failed", "yellow"),
    "batch_given_up": ("given up", "red"),
    "destination_refused": ("not told", "red"),
}
_COLOURS = {"cyan": 36, "magenta": 35, "green": 32, "yellow": 33, "red": 31, "dim": 2}


class Words:
    """Writes lines for people.

    Args:
        coloured: with colours, for terminals.
        zone: the time zone of the times shown; None: the machine's.
    """

    def __init__(self, *, coloured: bool, zone: timezone | None = None) -> None:
        self._coloured, self._zone = coloured, zone
        self._items: dict[str, str] = {}

    def line(self, record: logging.LogRecord) -> str:
        """One record. A fault of ours keeps its traceback, on lines of their own."""
        fields = vars(record)
        word, colour = _ACTIONS.get(str(fields.get("action")), (record.levelname.lower(), "red"))
        told = self._told(fields) if fields.get("action") in _ACTIONS else [record.getMessage()]
        text = "  ".join(one for one in told if one)
        lines = f"{self._dim(self._time(record.created))}  {self._paint(f'{word:<11}', colour)}  {text}"
        if record.exc_info:
            lines += "\n" + logging.Formatter().formatException(record.exc_info)
        return lines

    def counts(self, created: float, counts: Mapping[str, int]) -> str:
        """Steps of one second that had no line of their own."""
        words = ", ".join(f"{count} {_ACTIONS.get(action, (action,))[0]}" for action, count in sorted(counts.items()))
        return f"{self._dim(self._time(created))}  {self._dim('and        ')}  {words} in this second"

    def _told(self, fields: Mapping[str, Any]) -> list[str]:
        action, rule = fields["action"], str(fields.get("rule") or "")
        item = self._item(fields)
        late = _lateness(fields.get("lateness_ms"))
        reason = _printable(str(fields.get("reason") or ""))[:MAX_REASON_LENGTH]
        match action:
            case "put_schedule":
                due_at_ms = fields["due_at_ms"]
                return [rule, item, "nothing to come" if due_at_ms is None else f"due {self._moment(due_at_ms)}"]
            case "delete_schedule":
                return [item]
            case "delivered":
                return [rule, item, _call(str(fields.get("target_arn"))), late]
            case "retry":
                again = f"attempt {fields['attempt']} failed; again at {self._moment(fields['retry_at_ms'])}"
                return [rule, item, again, reason]
            case "invocation_failed":
                retry_at_ms = fields["retry_at_ms"]
                again = "given up" if retry_at_ms is None else f"again at {self._moment(retry_at_ms)}"
                return [str(fields["function"]), again, reason]
            case "batch_failed" | "batch_given_up":
                return [str(fields["function"]), f"{fields['count']} records", reason]
            case "destination_refused":
                return [str(fields["target_arn"]), reason]
            case _:
                return [rule, item, late, reason]

    def _item(self, fields: Mapping[str, Any]) -> str:
        """The item's key; for a delivery, as the line that put its schedule told it."""
        schedule = str(fields.get("schedule") or "")
        key = fields.get("key")
        if key is None:
            return self._items.get(schedule, schedule)
        text = " ".join(f"{name}={_value(value)}" for name, value in key.items())
        if fields["action"] == "put_schedule":
            if len(self._items) >= MAX_REMEMBERED:
                del self._items[next(iter(self._items))]
            self._items[schedule] = text
        return text

    def _time(self, created: float) -> str:
        return _milliseconds(datetime.fromtimestamp(created, UTC).astimezone(self._zone))

    def _moment(self, moment_ms: int) -> str:
        moment = from_ms(moment_ms).astimezone(self._zone)
        return f"{moment:%Y-%m-%d} {_milliseconds(moment)}"

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._coloured else text

    def _dim(self, text: str) -> str:
        return self._paint(text, "dim")


def _milliseconds(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")[11:23]


def _lateness(lateness_ms: int | None) -> str:
    """How late, in the unit that reads well."""
    if lateness_ms is None:
        return ""
    for size, unit in ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if lateness_ms >= 10 * size:
            return f"{lateness_ms / size:.1f} {unit} late"
    return f"{lateness_ms} ms late"


def _call(target_arn: str) -> str:
    """What was called: ``ses:sendEmail``, ``queue reminders``, ``topic news``, ``HTTP request`` or ``function``."""
    _, _, call = target_arn.partition(":aws-sdk:")
    if call:
        return call
    parts = target_arn.split(":", 5)
    if len(parts) < 6:
        return target_arn
    if parts[-1] == HTTP_DESTINATION:
        return "HTTP request"
    if parts[2] == "lambda" and parts[-1].endswith(WHEN_DUE_ENDING):
        return "function"
    kind = _KINDS.get(parts[2])
    return target_arn if kind is None else f"{kind} {re.split('[:/]', parts[-1])[-1]}"


#: What the resource of a templated target is called, by the service in its ARN.
_KINDS = {
    "codebuild": "build project",
    "codepipeline": "pipeline",
    "ecs": "cluster",
    "events": "event bus",
    "firehose": "delivery stream",
    "inspector": "assessment template",
    "kinesis": "data stream",
    "lambda": "function",
    "sagemaker": "pipeline",
    "sns": "topic",
    "sqs": "queue",
    "states": "state machine",
}


def _value(value: Mapping[str, Any]) -> str:
    return _printable(str(next(iter(value.values()))))[:MAX_VALUE_LENGTH]


def _printable(text: str) -> str:
    """Data of others' must not steer the reader's terminal."""
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )
