"""What a dead letter's message cannot say, kept beside it, and what came of the letter.

The message in the queue is an ordinary one of SQS's. The letter here is found by its message id; it has the
schedule whole, so that the delivery can be made again, and stays when the message is gone.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import apsw
import msgspec

from duestream.local.store.name_hash import name_hash
from duestream.local.store.schedules import ItemIdentity
from duestream.local.store.writer import Transaction

LetterKind = Literal["delivery", "record"]
LetterEnd = Literal["redriven", "dropped"]

_COLUMNS = (
    "id, message_id, kind, queue_name, schedule_group, schedule_name, rule, table_id, partition_key, sort_key, content,"
    " delivery_id, redrives, due_at_ms, attempts, reason, created_at_ms, ended, ended_at_ms, ended_reason"
)


class Executes(Protocol):
    """A connection or a transaction: what a query needs."""

    def execute(self, sql: str, bindings: Any = ()) -> apsw.Cursor:
        """Run one statement."""
        ...


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter as it is put down. `content` is JSON: the schedule's body for a delivery, the letter for a record."""

    kind: LetterKind
    queue_name: str
    schedule_group: str
    schedule_name: str
    rule: str | None
    item: ItemIdentity | None
    content: bytes
    reason: str
    delivery_id: str | None = None
    redrives: str | None = None
    due_at_ms: int | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it was put down, and how it ended."""

    id: int
    message_id: str
    kind: LetterKind
    queue_name: str
    schedule_group: str
    schedule_name: str
    rule: str | None
    table_id: int | None
    partition_key: bytes | None
    sort_key: bytes | None
    raw_content: bytes
    delivery_id: str | None
    redrives: str | None
    due_at_ms: int | None
    attempts: int
    reason: str
    created_at_ms: int
    ended: LetterEnd | None
    ended_at_ms: int | None
    #: Why it was dropped; or the name of the schedule that delivers it again.
    ended_reason: str | None

    @property
    def content(self) -> dict[str, Any]:
        """The schedule's body (a delivery), or the letter uncut (a stream record)."""
        content: dict[str, Any] = msgspec.json.decode(self.raw_content)
        return content

    @property
    def item(self) -> ItemIdentity | None:
        """The item of a rule's letter."""
        if self.table_id is None or self.partition_key is None or self.sort_key is None:
            return None
        return ItemIdentity(self.table_id, self.partition_key, self.sort_key)


def put_letter(tx: Transaction, letter: NewLetter, *, row_id: int, message_id: str, now_ms: int) -> None:
    """Keep a letter whose message was just sent as that row."""
    item = letter.item
    tx.execute(
        "INSERT INTO dead_letter (id, message_id, kind, queue_name, schedule_group, schedule_name, name_hash, rule,"
        " table_id, partition_key, sort_key, content, delivery_id, redrives, due_at_ms, attempts, reason, created_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row_id,
            message_id,
            letter.kind,
            letter.queue_name,
            letter.schedule_group,
            letter.schedule_name,
            name_hash(letter.schedule_group, letter.schedule_name),
            letter.rule,
            None if item is None else item.table_id,
            None if item is None else item.partition_key,
            None if item is None else item.sort_key,
            letter.content,
            letter.delivery_id,
            letter.redrives,
            letter.due_at_ms,
            letter.attempts,
            letter.reason,
            now_ms,
        ),
    )


def end_letter(tx: Transaction, letter_id: int, ended: LetterEnd, reason: str, *, now_ms: int) -> None:
    """Say what came of a letter."""
    tx.execute(
        "UPDATE dead_letter SET ended = ?, ended_reason = ?, ended_at_ms = ? WHERE id = ?",
        (ended, reason, now_ms, letter_id),
    )


def get_letter(connection: Executes, letter_id: int) -> Letter | None:
    """The letter that was put down under this number."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM dead_letter WHERE id = ?", (letter_id,)).fetchone()
    return None if row is None else Letter(*row)


def letter_of_message(connection: Executes, message_id: str) -> Letter | None:
    """The letter of a message, wherever SQS has moved that."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM dead_letter WHERE message_id = ? ORDER BY id DESC LIMIT 1", (message_id,)
    ).fetchone()
    return None if row is None else Letter(*row)


def letters_of(connection: Executes, group_name: str, name: str, *, limit: int = 20) -> list[Letter]:
    """The newest letters of a schedule, oldest first."""
    rows: Any = connection.execute(
        f"SELECT {_COLUMNS} FROM dead_letter WHERE name_hash = ? AND schedule_name = ? AND schedule_group = ?"
        " ORDER BY id DESC LIMIT ?",
        (name_hash(group_name, name), name, group_name, limit),
    )
    return [Letter(*row) for row in rows][::-1]


def dead_letter_queues(connection: Executes) -> list[str]:
    """Queues that have, or are meant for, dead letters of ours, by name."""
    # Each app's two queues end so; any other queue that a schedule names has had a letter of ours put into it.
    rows: Any = connection.execute(
        "SELECT name FROM queue WHERE name LIKE '%-dead-letters'"
        " OR EXISTS (SELECT 1 FROM dead_letter WHERE queue_name = queue.name) ORDER BY name"
    )
    return [name for (name,) in rows]


def delete_older(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete up to `limit` of the oldest letters, those put down before this moment; says how many went."""
    tx.execute(
        "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter ORDER BY id LIMIT ?) AND created_at_ms < ?",
        (limit, before_ms),
    )
    return int(tx.connection.changes())


# The rules that were ever loaded --------------------------------------------------------------------------


def know_rules(tx: Transaction, app: str, rules: list[tuple[str, str]], *, now_ms: int) -> None:
    """Remember the (table, rule) pairs of an app that is being loaded."""
    for table_name, rule in rules:
        tx.execute(
            "INSERT INTO known_rule (app, table_name, rule, loaded_at_ms) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET loaded_at_ms = excluded.loaded_at_ms",
            (app, table_name, rule, now_ms),
        )


@dataclass(frozen=True, slots=True)
class KnownRule:
    """A rule that was loaded once."""

    app: str
    rule: str
    loaded_at_ms: int


def known_rules(connection: Executes, table_name: str) -> list[KnownRule]:
    """The rules that ever watched a table, of all apps."""
    rows: Any = connection.execute(
        "SELECT app, rule, loaded_at_ms FROM known_rule WHERE table_name = ? ORDER BY app, rule", (table_name,)
    )
    return [KnownRule(*row) for row in rows]
