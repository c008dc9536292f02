"""Schedules in the store: put, get, delete, what is due, and how a delivery ended.

A rule's schedules and those made through EventBridge Scheduler's API stand in one table and are
delivered alike. A schedule's `body` is what GetSchedule shows of it; columns hold what the engine asks
for. `version` grows with every put, so that the end of a delivery that began before a put is known to
be of the old one; and with every occurrence of a recurring schedule, so that each is handed over on its own.

A recurring schedule's row holds its next occurrence. An occurrence that leaves the process, or has to be tried
again, gets a row of its own (`recurring.set_apart`), so that it neither holds up nor shifts the next one. Such
rows are not shown, and go when the schedule is deleted or disabled; replacing it leaves them, as it leaves a
one-time delivery that is under way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal, Protocol

import apsw
import msgspec
from msgspec.structs import replace

from duestream.clock import from_ms, to_ms
from duestream.core.recurrence import CatchUp, Series, window_delay
from duestream.core.schedule import delivery_id_of
from duestream.core.schedule_expression import Recurring, parse_schedule_expression
from duestream.local.store import outcomes
from duestream.local.store.metrics import PENDING, tally
from duestream.local.store.name_hash import name_hash
from duestream.local.store.writer import ScheduleChanged, Transaction

#: SQLite's largest rowid.
MAX_ID = 2**63 - 1

COLUMNS = (
    "s.id, s.group_id, g.name, g.region, s.name, s.version, s.state, s.due_at_ms, s.attempt_at_ms, s.attempts, "
    "s.rule, s.table_id, s.partition_key, s.sort_key, s.body, s.created_at_ms, s.last_modified_at_ms, "
    "s.last_failure, s.redrives, s.anchor_at_ms, s.catch_up, s.occurrence_of"
)
FROM = "FROM schedule s JOIN schedule_group g ON g.id = s.group_id"


class Executes(Protocol):
    """A connection or a transaction: what a query needs."""

    def execute(self, sql: str, bindings: Any = ()) -> apsw.Cursor:
        """Run one statement."""
        ...


class ScheduleRow(msgspec.Struct, frozen=True, gc=False):
    """One schedule as it stands in the store. (Made a third as fast as a dataclass is, and one for each delivery.)"""

    id: int
    group_id: int
    group_name: str
    region: str
    name: str
    version: int
    state: Literal["ENABLED", "DISABLED"]
    due_at_ms: int | None
    attempt_at_ms: int | None
    attempts: int
    rule: str | None
    table_id: int | None
    partition_key: bytes | None
    sort_key: bytes | None
    raw_body: bytes
    created_at_ms: int
    last_modified_at_ms: int
    #: Why the last attempt at the present occurrence failed; None: none has.
    last_failure: str | None
    #: The delivery id of the delivery that this one-time schedule makes again, out of its dead letter.
    redrives: str | None
    #: Of a recurring schedule: no occurrence is before it, and a rate counts from it. None: a one-time schedule.
    anchor_at_ms: int | None = None
    #: None: the default.
    catch_up: CatchUp | None = None
    #: Not None: this is one occurrence of the schedule with that id, on a row of its own.
    occurrence_of: int | None = None

    @property
    def series(self) -> Series | None:
        """The occurrences of a recurring schedule."""
        return None if self.anchor_at_ms is None else series_of(self.body, self.anchor_at_ms)

    @property
    def begins_at_ms(self) -> int:
        """When the present occurrence is first to be tried: when it is due, or within its flexible time window."""
        assert self.due_at_ms is not None
        if b'"FLEXIBLE"' not in self.raw_body:
            return self.due_at_ms
        return first_attempt_at_ms(self.group_name, self.name, self.body, self.due_at_ms, self.series)

    @property
    def body(self) -> dict[str, Any]:
        """What GetSchedule shows, under AWS's names: ScheduleExpression, Target, ActionAfterCompletion, ..."""
        body: dict[str, Any] = msgspec.json.decode(self.raw_body)
        return body

    @property
    def arn(self) -> str:
        """``arn:aws:scheduler:{region}:{account}:schedule/{group}/{name}``."""
        return schedule_arn(self.region, self.group_name, self.name)


@dataclass(frozen=True, slots=True)
class ItemIdentity:
    """Which item a rule's schedule hangs on: its table and key, in the store's terms."""

    table_id: int
    partition_key: bytes
    sort_key: bytes


def series_of(body: Mapping[str, Any], anchor_at_ms: int) -> Series:
    """The occurrences that a recurring schedule's body asks for, counted from its anchor."""
    expression = _recurring(body["ScheduleExpression"], body["ScheduleExpressionTimezone"])
    end_ms = body.get("EndDate")
    return expression.series(from_ms(anchor_at_ms), None if end_ms is None else from_ms(end_ms))


@lru_cache(maxsize=4096)
def _recurring(text: str, timezone: str) -> Recurring:
    """Many schedules share few expressions."""
    expression = parse_schedule_expression(text, timezone)
    assert isinstance(expression, Recurring)
    return expression


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a put has left a schedule: its row, the version, and what comes (None: nothing)."""

    id: int
    version: int
    due_at_ms: int | None

    def delivery_id(self, arn: str) -> str | None:
        """The id of the delivery that comes."""
        return None if self.due_at_ms is None else delivery_id(arn, self.due_at_ms, self.id, self.version)


def delivery_id(arn: str, due_at_ms: int, schedule_id: int, version: int) -> str:
    """The id of one occurrence of one put of a schedule, the same for each attempt."""
    return delivery_id_of(arn, due_at_ms, schedule_id, version)


def schedule_arn(region: str, group_name: str, name: str) -> str:
    """The ARN of a schedule in a group of that region."""
    return f"arn:aws:scheduler:{region}:000000000000:schedule/{group_name}/{name}"


def get_schedule(connection: Executes, group_name: str, name: str) -> ScheduleRow | None:
    """The schedule of that group and name."""
    found = connection.execute(
        f"SELECT {COLUMNS} {FROM} WHERE s.name_hash = ? AND s.name = ? AND g.name = ? AND s.occurrence_of IS NULL",
        (name_hash(group_name, name), name, group_name),
    ).fetchone()
    return ScheduleRow(*found) if found else None


def get_schedule_by_id(connection: Executes, schedule_id: int) -> ScheduleRow | None:
    """The schedule of that row."""
    found = connection.execute(f"SELECT {COLUMNS} {FROM} WHERE s.id = ?", (schedule_id,)).fetchone()
    return ScheduleRow(*found) if found else None


def get_schedules_by_id(connection: Executes, schedule_ids: Sequence[int]) -> dict[int, ScheduleRow]:
    """The schedules of these rows, as many as there are, by id."""
    found = connection.execute(
        f"SELECT {COLUMNS} {FROM} WHERE s.id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(schedule_ids).decode(),),
    )
    return {row[0]: ScheduleRow(*row) for row in found}


def list_schedules(
    connection: Executes,
    *,
    group_name: str | None = None,
    name_prefix: str | None = None,
    state: str | None = None,
    after_id: int = 0,
    until_id: int | None = None,
    limit: int = 100,
) -> list[ScheduleRow]:
    """Schedules in the order in which they were made (AWS documents none), after the row `after_id`.

    Rows that do not match are passed over one by one; `until_id` (see `end_of_scan`) bounds how many.
    """
    conditions: list[str] = ["s.id > ?", "s.occurrence_of IS NULL"]
    bindings: list[Any] = [after_id]
    for condition, value in (
        ("g.name = ?", group_name),
        ("instr(s.name, ?) = 1", name_prefix),
        ("s.state = ?", state),
        ("s.id <= ?", until_id),
    ):
        if value is not None:
            conditions.append(condition)
            bindings.append(value)
    rows = connection.execute(
        f"SELECT {COLUMNS} {FROM} WHERE {' AND '.join(conditions)} ORDER BY s.id LIMIT ?", (*bindings, limit)
    )
    return [ScheduleRow(*row) for row in rows]


def end_of_scan(connection: Executes, *, after_id: int, rows: int) -> int | None:
    """The id of the row that is so many rows after `after_id`; None: there are fewer."""
    found = connection.execute(
        "SELECT id FROM schedule WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?", (after_id, rows - 1)
    ).fetchone()
    return int(found[0]) if found else None


def put_schedule(
    tx: Transaction,
    *,
    group_id: int,
    group_name: str,
    name: str,
    state: str,
    due_at_ms: int | None,
    body: Mapping[str, Any],
    now_ms: int,
    rule: str | None = None,
    item: ItemIdentity | None = None,
    redrives: str | None = None,
    anchor_at_ms: int | None = None,
    catch_up: CatchUp | None = None,
) -> Placed:
    """Create the schedule, or replace it whole; its attempts start anew.

    Args:
        anchor_at_ms: of a recurring schedule (see `ScheduleRow`); None: it is one-time.
    """
    attempt_at_ms = None
    if state == "ENABLED" and due_at_ms is not None:
        series = None if anchor_at_ms is None else series_of(body, anchor_at_ms)
        attempt_at_ms = first_attempt_at_ms(group_name, name, body, due_at_ms, series)
    values = (
        state,
        due_at_ms,
        attempt_at_ms,
        rule,
        item.table_id if item else None,
        item.partition_key if item else None,
        item.sort_key if item else None,
        msgspec.json.encode(body),
        now_ms,
        redrives,
        anchor_at_ms,
        catch_up,
    )
    hashed = name_hash(group_name, name)
    found = tx.execute(
        "SELECT id, version, attempt_at_ms IS NOT NULL FROM schedule "
        "WHERE name_hash = ? AND name = ? AND group_id = ? AND occurrence_of IS NULL",
        (hashed, name, group_id),
    ).fetchone()
    if found and state == "DISABLED":
        _drop_occurrences(tx, hashed, name, group_id)
    was_pending = found[2] if found else 0
    tally(tx, PENDING, 0, (attempt_at_ms is not None) - was_pending)
    if found:
        schedule_id, version = found[0], found[1] + 1
        tx.execute(
            "UPDATE schedule SET state = ?, due_at_ms = ?, attempt_at_ms = ?, attempts = 0, rule = ?, table_id = ?, "
            "partition_key = ?, sort_key = ?, body = ?, last_modified_at_ms = ?, redrives = ?, anchor_at_ms = ?, "
            "catch_up = ?, last_failure = NULL, version = version + 1 WHERE id = ?",
            (*values, schedule_id),
        )
    else:
        version = 1
        tx.execute(
            "INSERT INTO schedule (group_id, name, name_hash, state, due_at_ms, attempt_at_ms, rule, table_id, "
            "partition_key, sort_key, body, last_modified_at_ms, redrives, anchor_at_ms, catch_up, created_at_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (group_id, name, hashed, *values, now_ms),
        )
        schedule_id = tx.last_id()
    tx.announce(ScheduleChanged(schedule_id, version, attempt_at_ms))
    return Placed(int(schedule_id), version, None if attempt_at_ms is None else due_at_ms)


def _drop_occurrences(tx: Transaction, hashed: int, name: str, group_id: int) -> None:
    """Delete the occurrences under way of a recurring schedule."""
    tx.execute(
        "DELETE FROM schedule WHERE name_hash = ? AND name = ? AND group_id = ? AND occurrence_of IS NOT NULL",
        (hashed, name, group_id),
    )
    tally(tx, PENDING, 0, -tx.connection.changes())


def first_attempt_at_ms(
    group_name: str, name: str, body: Mapping[str, Any], due_at_ms: int, series: Series | None
) -> int:
    """When an occurrence is first tried: when it is due, or within its flexible time window.

    The window never reaches the next occurrence, so that no schedule overtakes itself.
    """
    minutes = body.get("FlexibleTimeWindow", {}).get("MaximumWindowInMinutes")
    if minutes is None:
        return due_at_ms
    due_at, window = from_ms(due_at_ms), timedelta(minutes=minutes)
    next_at = None if series is None else series.next_after(due_at)
    if next_at is not None:
        window = min(window, next_at - due_at)
    return to_ms(due_at + window_delay(f"{group_name}/{name}", due_at, window))


def delete_schedule(tx: Transaction, group_name: str, name: str) -> bool:
    """Delete, with those of its occurrences that are under way; fine if missing. Says whether there was one."""
    found: list[Any] = tx.execute(
        "DELETE FROM schedule WHERE name_hash = ? AND name = ? "
        "AND group_id = (SELECT id FROM schedule_group WHERE name = ?) "
        "RETURNING id, version, attempt_at_ms IS NOT NULL, occurrence_of",
        (name_hash(group_name, name), name, group_name),
    ).fetchall()
    _deleted(tx, found)
    return any(occurrence_of is None for *_, occurrence_of in found)


def _deleted(tx: Transaction, rows: Iterable[Sequence[Any]]) -> None:
    """Tell of rows that went: (id, version, whether it had something to come, ...)."""
    for schedule_id, version, was_pending, *_ in rows:
        tx.announce(ScheduleChanged(schedule_id, version, None))
        tally(tx, PENDING, 0, -was_pending)


def delete_of_group(tx: Transaction, group_id: int, *, after_id: int, limit: int) -> int | None:
    """Delete those of a group's schedules that are among the `limit` rows after `after_id`.

    There is no index on the group (every put would pay for it), so a group is deleted in passes over all
    schedules, each from where the last one ended.

    Returns:
        Where the next pass begins; None: this was the last.
    """
    until_id = end_of_scan(tx, after_id=after_id, rows=limit)
    deleted: list[Any] = tx.execute(
        "DELETE FROM schedule WHERE id > ? AND id <= ? AND group_id = ? RETURNING id, version, attempt_at_ms IS NOT NULL",
        (after_id, until_id if until_id is not None else MAX_ID, group_id),
    ).fetchall()
    _deleted(tx, deleted)
    return until_id


def delete_of_table(tx: Transaction, table_id: int, *, after_id: int, limit: int) -> int | None:
    """Delete those of a deleted table's schedules that are among the `limit` rows after `after_id`.

    In passes over all schedules, as `delete_of_group` does and for the same reason.

    Returns:
        Where the next pass begins; None: this was the last.
    """
    until_id = end_of_scan(tx, after_id=after_id, rows=limit)
    deleted: list[Any] = tx.execute(
        "DELETE FROM schedule WHERE id > ? AND id <= ? AND table_id = ? RETURNING id, version, attempt_at_ms IS NOT NULL",
        (after_id, until_id if until_id is not None else MAX_ID, table_id),
    ).fetchall()
    _deleted(tx, deleted)
    return until_id


#: Everything up to this (moment, row) has been seen; rows of one moment are told apart by their id.
Horizon = tuple[int, int]


def due(connection: Executes, *, after: Horizon, until_ms: int, limit: int) -> list[tuple[int, int, int]]:
    """(attempt_at_ms, id, version) of what is to be tried by `until_ms`, oldest first, beyond what was seen."""
    return connection.execute(  # type: ignore[return-value]  # apsw types rows as tuples of anything
        "SELECT attempt_at_ms, id, version FROM schedule WHERE attempt_at_ms BETWEEN ?1 AND ?3 "
        "AND (attempt_at_ms > ?1 OR id > ?2) ORDER BY attempt_at_ms, id LIMIT ?4",
        (*after, until_ms, limit),
    ).fetchall()


def begin_attempt(tx: Transaction, row: ScheduleRow) -> int:
    """Count an attempt that is about to leave the process; says its number, from 1."""
    tx.execute("UPDATE schedule SET attempts = attempts + 1 WHERE id = ?", (row.id,))
    return row.attempts + 1


def retry(tx: Transaction, row: ScheduleRow, *, attempts: int, at_ms: int, failure: str) -> None:
    """Have the same occurrence tried again at that moment; `failure` is why this attempt was not the last."""
    tx.execute(
        "UPDATE schedule SET attempts = ?, attempt_at_ms = ?, last_failure = ? WHERE id = ?",
        (attempts, at_ms, failure, row.id),
    )
    tx.announce(ScheduleChanged(row.id, row.version, at_ms))


def complete(tx: Transaction, row: ScheduleRow, outcome: outcomes.Outcome) -> None:
    """Record how the occurrence ended. A recurring schedule goes on to its next one; one without any goes, or stays
    with nothing to come (as AWS keeps it)."""
    outcomes.record_outcome(tx, outcome, group_name=row.group_name, name=row.name, rule=row.rule, table_id=row.table_id)
    go_on(tx, row)


def go_on(tx: Transaction, row: ScheduleRow) -> None:
    """The present occurrence is done with: the next one, computed from when this one was due, or none."""
    series = row.series
    next_at = None
    if series is not None:
        assert row.due_at_ms is not None
        next_at = series.next_after(from_ms(row.due_at_ms))
    if next_at is not None:
        move_to(tx, row, to_ms(next_at), series)
    elif is_deleted_at_end(row, row.body):
        delete_completed(tx, [row.id])
    else:
        tx.execute("UPDATE schedule SET due_at_ms = NULL, attempt_at_ms = NULL WHERE id = ?", (row.id,))
        tally(tx, PENDING, 0, -1)


def is_deleted_at_end(row: ScheduleRow, body: Mapping[str, Any]) -> bool:
    """Whether the schedule goes once its last occurrence is done with; `body` is the row's."""
    return row.rule is not None or row.occurrence_of is not None or body.get("ActionAfterCompletion") == "DELETE"


def delete_completed(tx: Transaction, schedule_ids: Sequence[int]) -> None:
    """Delete schedules whose last occurrence is done with (`is_deleted_at_end`)."""
    tx.execute(
        "DELETE FROM schedule WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(schedule_ids).decode(),),
    )
    tally(tx, PENDING, 0, -tx.connection.changes())


def at_occurrence(row: ScheduleRow, due_at_ms: int) -> ScheduleRow:
    """The same schedule, as if it stood at that occurrence."""
    return replace(row, due_at_ms=due_at_ms)


def move_to(tx: Transaction, row: ScheduleRow, due_at_ms: int, series: Series | None) -> int:
    """Have a recurring schedule stand at this occurrence; says when that is first tried."""
    attempt_at_ms = first_attempt_at_ms(row.group_name, row.name, row.body, due_at_ms, series)
    tx.execute(
        "UPDATE schedule SET due_at_ms = ?, attempt_at_ms = ?, attempts = 0, last_failure = NULL, "
        "version = version + 1 WHERE id = ?",
        (due_at_ms, attempt_at_ms, row.id),
    )
    tx.announce(ScheduleChanged(row.id, row.version + 1, attempt_at_ms))
    return attempt_at_ms


def count_pending(connection: Executes, *, rules: bool | None = None) -> int:
    """How many schedules have something to come; `rules`: only those of rules, or only those of the API."""
    where = {None: "", True: " AND rule IS NOT NULL", False: " AND rule IS NULL"}[rules]
    query = f"SELECT count(*) FROM schedule WHERE attempt_at_ms IS NOT NULL{where}"
    return int(connection.execute(query).fetchall()[0][0])  # type: ignore[arg-type]  # count(*) is an integer
