"""Message move tasks: a dead-letter queue's messages on their way back, in chunks, each one transaction.

A task moves what was in its queue when it started and is visible. What somebody has received is passed over, as a
task on AWS receives what it moves. A moved message is a new one, with a new id and a new moment of sending:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
"""

import uuid
from dataclasses import dataclass
from typing import Any, Literal

import apsw
import msgspec

from duestream.local.store.messages import Message, count_messages, remove_message, visible_messages
from duestream.local.store.queues import NewMessage, Queue, append_message, get_queue, queue_name_of
from duestream.local.store.writer import Transaction

MoveTaskStatus = Literal["RUNNING", "COMPLETED", "CANCELLED", "FAILED"]

#: Messages moved in one transaction where no rate is set.
CHUNK = 100
SECOND_MS = 1_000
NO_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"
#: A message that was not put into the queue by a redrive policy, and no destination is named.
NO_SOURCE = "CouldNotDetermineMessageSource"
SOURCE_ATTRIBUTE = "DeadLetterQueueSourceArn"

_COLUMNS = (
    "id, task_id, source_arn, source_queue_id, destination_arn, rate, status, failure_reason, to_move, moved,"
    " last_message, started_at_ms, next_at_ms"
)


@dataclass(frozen=True, slots=True)
class MoveTask:
    """One task. `rate` is in messages a second, None: as fast as it goes."""

    id: int
    task_id: str
    source_arn: str
    source_queue_id: int
    destination_arn: str | None
    rate: int | None
    status: MoveTaskStatus
    failure_reason: str | None
    to_move: int
    moved: int
    last_message: int
    started_at_ms: int
    next_at_ms: int


class _CannotMoveError(Exception):
    """The task fails with this reason; what was moved before stays moved."""


def create_task(
    tx: Transaction, source: Queue, *, source_arn: str, destination_arn: str | None, rate: int | None, now_ms: int
) -> MoveTask:
    """Start a task. That the queue has no other one was checked by the caller."""
    counts = count_messages(tx.connection, source, now_ms=now_ms)
    last = tx.execute("SELECT max(id) FROM message WHERE queue_id = ?", (source.id,)).get or 0
    tx.execute(
        "INSERT INTO message_move_task (task_id, source_arn, source_queue_id, destination_arn, rate, status, to_move,"
        " last_message, started_at_ms, next_at_ms) VALUES (?, ?, ?, ?, ?, 'RUNNING', ?, ?, ?, ?)",
        (str(uuid.uuid4()), source_arn, source.id, destination_arn, rate, counts.visible, last, now_ms, now_ms),
    )
    task = _get(tx.connection, "id = ?", tx.last_id())
    assert task is not None
    return task


def get_task(connection: apsw.Connection, task_id: str) -> MoveTask | None:
    """The task of that id."""
    return _get(connection, "task_id = ?", task_id)


def list_tasks(connection: apsw.Connection, source: Queue, *, limit: int) -> list[MoveTask]:
    """A queue's tasks, the newest first."""
    rows: Any = connection.execute(
        f"SELECT {_COLUMNS} FROM message_move_task WHERE source_queue_id = ? ORDER BY id DESC LIMIT ?",
        (source.id, limit),
    )
    return [MoveTask(*row) for row in rows]


def running_tasks(connection: apsw.Connection, source: Queue | None = None) -> list[MoveTask]:
    """Tasks that are not over: all, or a queue's."""
    of_source, bindings = ("", ()) if source is None else (" AND source_queue_id = ?", (source.id,))
    rows: Any = connection.execute(
        f"SELECT {_COLUMNS} FROM message_move_task WHERE status = 'RUNNING'{of_source} ORDER BY id", bindings
    )
    return [MoveTask(*row) for row in rows]


def end_task(
    tx: Transaction, task: MoveTask, status: MoveTaskStatus, *, now_ms: int, reason: str | None = None
) -> None:
    """Say how the task ended."""
    tx.execute(
        "UPDATE message_move_task SET status = ?, failure_reason = ?, ended_at_ms = ? WHERE id = ?",
        (status, reason, now_ms, task.id),
    )


def move_chunk(tx: Transaction, row_id: int, *, now_ms: int) -> int | None:
    """Move what may be moved now; says when the next chunk may go, None: the task is over."""
    task = _get(tx.connection, "id = ?", row_id)
    if task is None or task.status != "RUNNING":
        return None
    if task.next_at_ms > now_ms:
        return task.next_at_ms
    source = get_queue(tx.connection, queue_name_of(task.source_arn))
    if source is None or source.id != task.source_queue_id:
        end_task(tx, task, "FAILED", now_ms=now_ms, reason=NO_QUEUE)
        return None
    limit = task.rate or CHUNK
    messages = visible_messages(tx.connection, source, until_id=task.last_message, limit=limit + 1, now_ms=now_ms)
    moved = 0
    try:
        for message in messages[:limit]:
            move_message(tx, message, _destination(tx, task, message), now_ms=now_ms)
            moved += 1
    except _CannotMoveError as error:
        end_task(tx, task, "FAILED", now_ms=now_ms, reason=str(error))
        return None
    finally:
        next_at_ms = now_ms if task.rate is None else now_ms + SECOND_MS
        tx.execute(
            "UPDATE message_move_task SET moved = moved + ?, next_at_ms = ? WHERE id = ?", (moved, next_at_ms, task.id)
        )
    if len(messages) <= limit:
        end_task(tx, task, "COMPLETED", now_ms=now_ms)
        return None
    return next_at_ms


def _destination(tx: Transaction, task: MoveTask, message: Message) -> Queue:
    arn = task.destination_arn or message.system_attributes.get(SOURCE_ATTRIBUTE)
    if arn is None:
        raise _CannotMoveError(NO_SOURCE)
    queue = get_queue(tx.connection, queue_name_of(arn))
    if queue is None:
        raise _CannotMoveError(NO_QUEUE)
    return queue


def move_message(tx: Transaction, message: Message, destination: Queue, *, now_ms: int) -> None:
    """Take a message out of its queue and send it to another one, as a new message."""
    remove_message(tx, message, now_ms=now_ms)
    system_attributes = {name: text for name, text in message.system_attributes.items() if name != SOURCE_ATTRIBUTE}
    append_message(
        tx,
        destination,
        NewMessage(
            message_id=str(uuid.uuid4()),
            body=message.body,
            attributes=msgspec.json.encode(message.attributes) if message.attributes else None,
            system_attributes=msgspec.json.encode(system_attributes) if system_attributes else None,
            group_id=message.group_id,
            deduplication_id=message.deduplication_id,
            sent_at_ms=now_ms,
            receive_count=0,
            first_received_at_ms=None,
        ),
        visible_at_ms=now_ms + destination.number("DelaySeconds") * SECOND_MS,
    )


def _get(connection: apsw.Connection, where: str, value: object) -> MoveTask | None:
    row: Any = connection.execute(f"SELECT {_COLUMNS} FROM message_move_task WHERE {where}", (value,)).fetchone()
    return None if row is None else MoveTask(*row)
