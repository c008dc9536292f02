"""What was missed of recurring schedules while nothing could be delivered, and what of it is delivered after all."""

import logging
from datetime import timedelta

from duestream.clock import from_ms, to_ms
from duestream.core.recurrence import ON_TIME
from duestream.local.engine import counts
from duestream.local.store import outcomes, schedules
from duestream.local.store.schedules import ScheduleRow
from duestream.local.store.writer import Transaction

logger = logging.getLogger("duestream.flow")

_ON_TIME_MS = ON_TIME // timedelta(milliseconds=1)


def is_late(row: ScheduleRow, now_ms: int) -> bool:
    """Whether the schedule's catch-up policy has a say: it is recurring, and its occurrence comes later than on time.

    An occurrence that is being tried again was on time, or was caught up, at its first attempt.
    """
    assert row.attempt_at_ms is not None
    return row.anchor_at_ms is not None and row.attempts == 0 and now_ms - row.attempt_at_ms > _ON_TIME_MS


def catch_up(tx: Transaction, row: ScheduleRow, delivery_id: str, now_ms: int) -> ScheduleRow | None:
    """Follow the catch-up policy of a late schedule; what is passed over is recorded and counted as missed.

    Returns:
        The schedule at the occurrence that is to be delivered now; None: the schedule has gone on to a later one, or
        has completed.
    """
    series = row.series
    assert series is not None
    assert row.due_at_ms is not None
    due_at, now = from_ms(row.due_at_ms), from_ms(now_ms)
    window = timedelta(minutes=row.body["FlexibleTimeWindow"].get("MaximumWindowInMinutes", 0))
    found = series.caught_up(due_at, now, row.catch_up or "deliver_last", on_time=ON_TIME + window)
    if found.missed:
        _record(tx, row, delivery_id, found.missed, now_ms)
    if found.due_at == due_at:
        return row
    if found.due_at is None:
        last = series.last_until(due_at, now) or due_at
        schedules.go_on(tx, schedules.at_occurrence(row, to_ms(last)))
        return None
    if schedules.move_to(tx, row, to_ms(found.due_at), series) > now_ms:
        return None  # its time window has not come that far
    return schedules.get_schedule_by_id(tx, row.id)


def _record(tx: Transaction, row: ScheduleRow, delivery_id: str, missed: int, now_ms: int) -> None:
    assert row.due_at_ms is not None
    counts.missed(tx, row.group_name, now_ms, missed)
    first = from_ms(row.due_at_ms).isoformat()
    reason = f"{missed} occurrence{'' if missed == 1 else 's'} from {first} on: nothing could be delivered in time"
    outcome = outcomes.Outcome(
        "missed", delivery_id, row.body["Target"]["Arn"], row.due_at_ms, now_ms, 0, reason, occurrences=missed
    )
    outcomes.record_outcome(tx, outcome, group_name=row.group_name, name=row.name, rule=row.rule, table_id=row.table_id)
    facts = {
        "schedule": f"{row.group_name}/{row.name}",
        "rule": row.rule,
        "delivery_id": delivery_id,
        "due_at_ms": row.due_at_ms,
    }
    logger.warning("missed", extra={"action": "missed", **facts, "occurrences": missed, "reason": reason})
