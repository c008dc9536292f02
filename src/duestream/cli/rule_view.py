"""What people and programs are told about a rule."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from duestream.core.app import App
from duestream.core.rule import Rule


def duration(length: timedelta) -> str:
    """A length in words: ``1 day``, ``-90 s``, ``1 h 30 min``."""
    if length < timedelta(0):
        return f"-{duration(-length)}"
    days, seconds = length.days, length.seconds
    parts = [f"{days} day{'' if days == 1 else 's'}"] if days else []
    for size, unit in ((3600, "h"), (60, "min")):
        count, seconds = divmod(seconds, size)
        parts += [f"{count} {unit}"] if count else []
    rest = seconds + length.microseconds / 1_000_000
    parts += [f"{rest:g} s"] if rest or not parts else []
    return " ".join(parts)


def action_of(rule: Rule) -> str:
    """What the rule does when it is due: the kinds of its targets, or whose answer decides."""
    if rule.when_due is not None:
        kind = "async function" if rule.when_due.is_async else "function"
        return f"runs {kind} {getattr(rule.when_due.function, '__name__', rule.name)}"
    if isinstance(rule.action, tuple):
        return ", ".join(target.kind for target in rule.action)
    return f"what {getattr(rule.action, '__name__', rule.name)} answers"


def watches(rule: Rule) -> str:
    """The attribute with its offset: ``STARTS_AT - 1 day``; of a recurring rule with start and end."""
    if rule.repeats is not None:
        bounds = (("from", rule.repeats.start), ("until", rule.repeats.end))
        return " ".join((rule.attribute, "(recurring)", *(f"{word} {name}" for word, name in bounds if name)))
    if not rule.offset:
        return rule.attribute
    sign = "-" if rule.offset < timedelta(0) else "+"
    return f"{rule.attribute} {sign} {duration(abs(rule.offset))}"


def zone_of(rule: Rule) -> str:
    """The zone of timestamps without an offset."""
    return rule.timezone if rule.timezone_attribute is None else f"{rule.timezone_attribute}, else {rule.timezone}"


def past_due_of(rule: Rule) -> str:
    """The policy for due times that are past when first seen; of a recurring rule, for missed occurrences."""
    if rule.repeats is not None:
        return f"missed: {rule.repeats.catch_up.replace('_', ' ')}"
    if rule.past_due == "deliver":
        return f"deliver up to {duration(rule.max_lateness)} late"
    return rule.past_due


def retry_of(rule: Rule) -> str:
    """How long a delivery is tried."""
    times = "never" if rule.retry.attempts == 0 else f"{rule.retry.attempts} times"
    return f"{times}, {duration(rule.retry.max_age)}"


def via_of(rule: Rule) -> str:
    """How it comes to what is due: ``schedules``, ``guarded schedules``, or the sweep."""
    if rule.via is None:
        return "guarded schedules" if rule.guarded else "schedules"
    shards = f"{rule.via.shards} shard{'' if rule.via.shards == 1 else 's'}"
    return f"sweep of {rule.via.index} ({shards} of {rule.via.shard_attribute}) every {duration(rule.via.every)}"


def location_of(rule: Rule) -> str:
    """``file:line``, relative to where the command runs if that is shorter."""
    file, colon, line = rule.location.rpartition(":")
    relative = os.path.relpath(file) if file and Path(file).is_absolute() else file
    return f"{min(relative, file, key=len)}{colon}{line}"


def rule_facts(rule: Rule) -> dict[str, Any]:
    """The rule as JSON. Lengths are seconds."""
    action: dict[str, Any] = {"targets": "answered by the rule"}
    if rule.when_due is not None:
        action = {"targets": ["function"], "timeout_seconds": rule.timeout.total_seconds()}
    elif isinstance(rule.action, tuple):
        action = {"targets": [target.kind for target in rule.action]}
    if rule.repeats is not None:
        repeats = rule.repeats
        action["recurring"] = {"start": repeats.start, "end": repeats.end, "catch_up": repeats.catch_up}
    if rule.via is not None:
        sweep = rule.via
        action["sweep"] = {
            "index": sweep.index,
            "shards": sweep.shards,
            "every_seconds": sweep.every.total_seconds(),
            "shard_attribute": sweep.shard_attribute,
            "timestamp_type": sweep.timestamp_type,
        }
    return {
        "name": rule.name,
        "attribute": rule.attribute,
        "offset_seconds": rule.offset.total_seconds(),
        "timezone": rule.timezone,
        "timezone_attribute": rule.timezone_attribute,
        "filtered": rule.when is not None,
        "guarded": rule.guarded,
        "past_due": rule.past_due,
        "max_lateness_seconds": rule.max_lateness.total_seconds(),
        "retry": {"attempts": rule.retry.attempts, "max_age_seconds": rule.retry.max_age.total_seconds()},
        **action,
        "location": rule.location,
    }


def app_facts(app: App) -> dict[str, Any]:
    """The app as JSON."""
    return {
        "app": app.name,
        "tables": [
            {
                "name": table.name,
                "partition_key": table.declaration.partition_key,
                "sort_key": table.declaration.sort_key,
                "rules": [rule_facts(rule) for rule in table.rules],
            }
            for table in app.tables
        ],
    }
