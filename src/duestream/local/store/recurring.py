"""Recurring schedules in the store: where each stands, and occurrences on rows of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from duestream.clock import from_ms, to_ms
from duestream.local.store.metrics import PENDING, tally
from duestream.local.store.name_hash import name_hash
from duestream.local.store.schedules import COLUMNS, FROM, Executes, ScheduleRow, go_on, series_of
from duestream.local.store.writer import Transaction

#: What makes a recurring schedule the same series: a change of any other part leaves it where it stands.
_TELLS_SERIES = ("ScheduleExpression", "ScheduleExpressionTimezone", "StartDate")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a recurring schedule stands: what it is counted from, and its next occurrence (None: no more)."""

    anchor_at_ms: int
    due_at_ms: int | None


def standing(
    row: ScheduleRow | None, body: Mapping[str, Any], *, anchor_at_ms: int, first_from_ms: int, now_ms: int
) -> Standing:
    """Where a recurring schedule is to stand that is put with this body.

    One that replaces the same series (another target, another end, ...) goes on where that stands, so that a change
    of its target neither repeats nor shifts anything. One that was disabled goes on with the next occurrence.

    Args:
        row: what it replaces.
        body: as it is to be.
        anchor_at_ms: what a new series counts from.
        first_from_ms: the first occurrence of a new series is not before it.
        now_ms: the present moment.
    """
    if row is None or row.anchor_at_ms is None or any(row.body.get(name) != body.get(name) for name in _TELLS_SERIES):
        first = series_of(body, anchor_at_ms).first_from(from_ms(first_from_ms))
        return Standing(anchor_at_ms, None if first is None else to_ms(first))
    if row.state == "ENABLED" and row.due_at_ms is not None and row.due_at_ms <= body.get("EndDate", row.due_at_ms):
        return Standing(row.anchor_at_ms, row.due_at_ms)
    # Never back to an occurrence that is done with: not before the one to come, and if there was none, after now.
    from_at_ms = now_ms + 1 if row.due_at_ms is None else max(now_ms, row.due_at_ms)
    following = series_of(body, row.anchor_at_ms).first_from(from_ms(from_at_ms))
    return Standing(row.anchor_at_ms, None if following is None else to_ms(following))


def under_way(connection: Executes, group_name: str, name: str) -> list[ScheduleRow]:
    """The occurrences of a recurring schedule that are being tried, or wait to be tried again, oldest first."""
    rows: Any = connection.execute(
        f"SELECT {COLUMNS} {FROM} WHERE s.name_hash = ? AND s.name = ? AND g.name = ? AND s.occurrence_of IS NOT NULL "
        "ORDER BY s.due_at_ms",
        (name_hash(group_name, name), name, group_name),
    )
    return [ScheduleRow(*row) for row in rows]


def set_apart(tx: Transaction, row: ScheduleRow) -> ScheduleRow:
    """Give the present occurrence of a recurring schedule a row of its own, and have the schedule go on.

    The row takes over delivery id, attempts and item; the caller delivers or retries it. The last occurrence stays
    where it is, as there is none that it could hold up, and the schedule completes with it; so does a one-time
    schedule's.

    Returns:
        The row that now has the occurrence. It is not announced.
    """
    series = row.series
    if series is None:
        return row
    assert row.due_at_ms is not None
    if series.next_after(from_ms(row.due_at_ms)) is None:
        return row
    tx.execute(
        "INSERT INTO schedule (group_id, name, name_hash, version, state, due_at_ms, attempt_at_ms, attempts, rule, "
        "table_id, partition_key, sort_key, body, created_at_ms, last_modified_at_ms, last_failure, occurrence_of) "
        "SELECT group_id, name, name_hash, version, state, due_at_ms, attempt_at_ms, attempts, rule, "
        "table_id, partition_key, sort_key, body, created_at_ms, last_modified_at_ms, last_failure, id "
        "FROM schedule WHERE id = ?",
        (row.id,),
    )
    tally(tx, PENDING, 0, 1)
    apart = replace(row, id=tx.last_id(), anchor_at_ms=None, occurrence_of=row.id)
    go_on(tx, row)
    return apart
