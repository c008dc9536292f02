"""Outcomes: how deliveries ended. They stay when the schedule goes, for as long as housekeeping keeps them."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, Protocol

import apsw
import msgspec

from duestream.local.store.name_hash import name_hash
from duestream.local.store.writer import Transaction

#: `dropped`: it was given up, and there was no dead-letter queue to put it in. `missed`: occurrences of a recurring
#: schedule that were due while nothing could be delivered, and that its catch-up policy passes over.
OutcomeKind = Literal["delivered", "skipped", "dead_lettered", "dropped", "missed"]


_INSERT = (
    "INSERT INTO outcome (schedule_group, schedule_name, name_hash, kind, rule, table_id, delivery_id, target_arn, "
    "due_at_ms, ended_at_ms, attempts, reason, occurrences) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Executes(Protocol):
    """A connection or a transaction: what a query needs."""

    def execute(self, sql: str, bindings: Any = ()) -> apsw.Cursor:
        """Run one statement."""
        ...


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How the delivery of one schedule's occurrence ended."""

    kind: OutcomeKind
    delivery_id: str
    target_arn: str
    due_at_ms: int
    ended_at_ms: int
    attempts: int
    reason: str | None = None
    #: How many there were; more than one only where they were missed.
    occurrences: int = 1


def record_outcome(
    tx: Transaction, outcome: Outcome, *, group_name: str, name: str, rule: str | None, table_id: int | None
) -> None:
    """Keep how a delivery ended."""
    tx.execute(_INSERT, bindings_of(outcome, group_name=group_name, name=name, rule=rule, table_id=table_id))


def bindings_of(
    outcome: Outcome, *, group_name: str, name: str, rule: str | None, table_id: int | None
) -> tuple[Any, ...]:
    """An outcome for `record_outcomes`."""
    return (
        group_name,
        name,
        name_hash(group_name, name),
        outcome.kind,
        rule,
        table_id,
        outcome.delivery_id,
        outcome.target_arn,
        outcome.due_at_ms,
        outcome.ended_at_ms,
        outcome.attempts,
        outcome.reason,
        outcome.occurrences,
    )


def record_outcomes(tx: Transaction, outcomes: Iterable[tuple[Any, ...]]) -> None:
    """Keep how many deliveries ended, in this order."""
    tx.connection.executemany(_INSERT, outcomes)


def outcomes_of(connection: Executes, group_name: str, name: str) -> Iterator[Outcome]:
    """How this schedule's deliveries ended, oldest first."""
    rows: Any = connection.execute(
        "SELECT kind, delivery_id, target_arn, due_at_ms, ended_at_ms, attempts, reason, occurrences FROM outcome "
        "WHERE name_hash = ? AND schedule_name = ? AND schedule_group = ? ORDER BY id",
        (name_hash(group_name, name), name, group_name),
    )
    return (Outcome(*row) for row in rows)


def list_outcomes(connection: Executes, *, group_name: str) -> Iterator[tuple[str, Outcome]]:
    """All outcomes of a group with the schedules' names, oldest first."""
    rows: Any = connection.execute(
        "SELECT schedule_name, kind, delivery_id, target_arn, due_at_ms, ended_at_ms, attempts, reason, occurrences FROM outcome "
        "WHERE schedule_group = ? ORDER BY id",
        (group_name,),
    )
    return ((name, Outcome(*row)) for name, *row in rows)


def delete_older(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete up to `limit` of the oldest outcomes, those that ended before this moment; says how many went."""
    tx.execute(
        "DELETE FROM outcome WHERE id IN (SELECT id FROM outcome ORDER BY id LIMIT ?) AND ended_at_ms < ?",
        (limit, before_ms),
    )
    return int(tx.connection.changes())
