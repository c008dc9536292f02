"""Which schedules there should be for an item as it is now: what backfilling makes, and reconciling compares with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duestream.core.planner import DeadLetterRecord, PutSchedule, SkipDelivery, plan
from duestream.core.record import EventName, Item, StreamRecord
from duestream.core.rule import Rule, TableDeclaration
from duestream.core.schedule import Place, Schedule

#: What of GetSchedule's answer a rule decides on. When a schedule begins is not among it: that of a rate is told by
#: the moment of the write, which nobody knows any more.
_COMPARED = ("ScheduleExpression", "ScheduleExpressionTimezone", "EndDate", "State", "ActionAfterCompletion")
_COMPARED_OF_TARGET = ("Arn", "Input", "RoleArn", "RetryPolicy", "DeadLetterConfig", "SqsParameters")


@dataclass(frozen=True, slots=True)
class Expected:
    """What there should be for one item.

    Args:
        pending: due ahead, or recurring: there should be one of each.
        past: due already: delivered, on their way, or never made. Only their names say anything.
        undigested: rules that cannot read the item, or that raise.
    """

    pending: tuple[Schedule, ...]
    past: tuple[Schedule, ...]
    undigested: tuple[DeadLetterRecord, ...]


def expected_of(item: Item, table: TableDeclaration, rules: Iterable[Rule], *, now: datetime, place: Place) -> Expected:
    """What there should be for an item.

    Args:
        item: as it is.
        table: the item's.
        rules: of any tables; rules that are swept for make no schedules.
        now: tells ahead from past, aware.
        place: where targets are that rules name without an ARN.
    """
    names = (table.partition_key, table.sort_key)
    keys = {name: item[name] for name in names if name is not None}
    # As if it had just been written.
    record = StreamRecord(table.name, EventName.INSERT, keys, None, item, "0")
    pending: list[Schedule] = []
    past: list[Schedule] = []
    undigested: list[DeadLetterRecord] = []
    for operation in plan(record, rules, now=now, place=place):
        match operation:
            case PutSchedule(schedule, is_past_due):
                (past if is_past_due else pending).append(schedule)
            case SkipDelivery(schedule):
                past.append(schedule)
            case DeadLetterRecord():
                undigested.append(operation)
    return Expected(tuple(pending), tuple(past), tuple(undigested))


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Names of what differs between the body that a schedule should have and what GetSchedule answers.

    Args:
        wanted: as for CreateSchedule.
        found: GetSchedule's answer.
    """
    target = found.get("Target", {})
    return [
        *(name for name in _COMPARED if name in wanted and wanted[name] != found.get(name)),
        *(
            f"Target.{name}"
            for name in _COMPARED_OF_TARGET
            if wanted["Target"].get(name) is not None and wanted["Target"][name] != target.get(name)
        ),
    ]
