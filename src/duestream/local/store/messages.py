"""Messages that wait, are received, and leave: receive, delete, change visibility, count.

A receive costs what it returns. Standard queues are read in the order of the index on visibility. In FIFO
queues each message group has a row that says when its first message can be received, so that a group with
messages in flight is passed over at once, however long it is.
"""

import base64
import binascii
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import apsw
import msgspec
from msgspec.structs import replace

from duestream.local.store.metrics import MESSAGES, tally
from duestream.local.store.queue_errors import InvalidParameterValueException, ReceiptHandleIsInvalid
from duestream.local.store.queues import NewMessage, Queue, append_message, get_queue
from duestream.local.store.writer import MessagesSent, Transaction

MAX_VISIBILITY_TIMEOUT_SECONDS = 43_200
#: More messages of one group are never in flight: a group is received only while none is.
MAX_IN_FLIGHT_OF_GROUP = 10


class Executes(Protocol):
    """A connection or a transaction: what a query needs."""

    def execute(self, sql: str, bindings: Any = ()) -> apsw.Cursor:
        """Run one statement."""
        ...


class Message(msgspec.Struct, frozen=True):
    """A message as its queue holds it."""

    row_id: int
    message_id: str
    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    system_attributes: Mapping[str, str]
    group_id: str | None
    deduplication_id: str | None
    message_group_id: int | None
    sent_at_ms: int
    visible_at_ms: int
    receive_count: int
    first_received_at_ms: int | None


class ReceivedMessage(msgspec.Struct, frozen=True):
    """A message and the handle of this receive."""

    message: Message
    receipt_handle: str


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """What is in a queue."""

    visible: int
    in_flight: int
    delayed: int


@dataclass(frozen=True, slots=True)
class _Receipt:
    """What a receipt handle says: which message, and which of its receives."""

    handle: str
    row_id: int
    receive_count: int


_COLUMNS = (
    "id, message_id, body, attributes, system_attributes, group_id, deduplication_id, message_group_id,"
    " sent_at_ms, visible_at_ms, receive_count, first_received_at_ms"
)


def _message(row: tuple[Any, ...]) -> Message:
    attributes = {} if row[3] is None else _with_bytes(msgspec.json.decode(row[3]))
    system_attributes = {} if row[4] is None else msgspec.json.decode(row[4])
    return Message(row[0], row[1], row[2], attributes, system_attributes, *row[5:])


def _with_bytes(attributes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for attribute in attributes.values():
        if "BinaryValue" in attribute:
            attribute["BinaryValue"] = base64.b64decode(attribute["BinaryValue"])
    return attributes


# Reading ------------------------------------------------------------------------------------------------


def next_visible_at_ms(connection: apsw.Connection, queue: Queue) -> int | None:
    """When the queue's next message can be received, perhaps in the past; None: it has none."""
    if queue.is_fifo:
        sql = "SELECT min(available_at_ms) FROM message_group WHERE queue_id = ?"
    else:
        sql = "SELECT min(visible_at_ms) FROM message WHERE queue_id = ?"
    moment: int | None = connection.execute(sql, (queue.id,)).get
    return moment


def count_messages(connection: apsw.Connection, queue: Queue, *, now_ms: int) -> MessageCounts:
    """Count the queue's messages, without those past their retention."""
    # The visible ones are counted in the index alone; of the others, rows are looked at.
    kept_after_ms = now_ms - _retention_ms(queue)
    visible = connection.execute(
        "SELECT count(*) FROM message WHERE queue_id = ? AND visible_at_ms <= ? AND sent_at_ms > ?",
        (queue.id, now_ms, kept_after_ms),
    ).get
    row = connection.execute(
        "SELECT count(*), total(receive_count > 0) FROM message"
        " WHERE queue_id = ? AND visible_at_ms > ? AND sent_at_ms > ?",
        (queue.id, now_ms, kept_after_ms),
    ).fetchone()
    assert row is not None
    return MessageCounts(int(visible or 0), int(row[1]), int(row[0] - row[1]))


#: Where a walk through a queue's messages stands: (visible_at_ms, sent_at_ms, row id) of the last one seen.
Position = tuple[int, int, int]
FROM_THE_FIRST: Position = (-(2**62), -(2**62), 0)


def walk_messages(connection: Executes, queue: Queue, *, after: Position, limit: int, now_ms: int) -> list[Message]:
    """Up to `limit` messages after a position, those that became or become visible first before the others, without
    receiving them and without those past their retention."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM message WHERE queue_id = ? AND sent_at_ms > ?"
        " AND (visible_at_ms, sent_at_ms, id) > (?, ?, ?) ORDER BY visible_at_ms, sent_at_ms, id LIMIT ?",
        (queue.id, now_ms - _retention_ms(queue), *after, limit),
    )
    return [_message(row) for row in rows]


def visible_messages(connection: Executes, queue: Queue, *, until_id: int, limit: int, now_ms: int) -> list[Message]:
    """Up to `limit` messages that could be received now, those with an id up to `until_id`; of a FIFO queue in the
    order of sending, without groups that have messages in flight."""
    columns = ", ".join(f"m.{column.strip()}" for column in _COLUMNS.split(","))
    if queue.is_fifo:
        sql = (
            f"SELECT {columns} FROM message m JOIN message_group g ON g.id = m.message_group_id WHERE m.queue_id = ?"
            " AND g.available_at_ms <= ?2 AND m.visible_at_ms <= ?2 AND m.sent_at_ms > ? AND m.id <= ? ORDER BY m.id"
        )
    else:
        sql = (
            f"SELECT {columns} FROM message m WHERE m.queue_id = ? AND m.visible_at_ms <= ? AND m.sent_at_ms > ?"
            " AND m.id <= ? ORDER BY m.visible_at_ms, m.sent_at_ms, m.id"
        )
    rows = connection.execute(f"{sql} LIMIT ?", (queue.id, now_ms, now_ms - _retention_ms(queue), until_id, limit))
    return [_message(row) for row in rows]


def get_message(connection: Executes, row_id: int) -> tuple[str, Message] | None:
    """The message of that row, and the name of its queue."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM message WHERE id = ?", (row_id,)).fetchone()
    if row is None:
        return None
    names: list[Any] = connection.execute(
        "SELECT q.name FROM message m JOIN queue q ON q.id = m.queue_id WHERE m.id = ?", (row_id,)
    ).fetchall()
    return names[0][0], _message(row)


def find_message(connection: Executes, queue: Queue, message_id: str) -> Message | None:
    """A queue's message by its MessageId; looks through the whole queue."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM message WHERE queue_id = ? AND message_id = ?", (queue.id, message_id)
    ).fetchone()
    return None if row is None else _message(row)


def remove_message(tx: Transaction, message: Message, *, now_ms: int) -> None:
    """Take a message out of its queue, without a receipt handle."""
    queue_ids: list[Any] = tx.execute(
        "DELETE FROM message WHERE id = ? RETURNING queue_id", (message.row_id,)
    ).fetchall()
    for (queue_id,) in queue_ids:
        tally(tx, MESSAGES, queue_id, -1)
    _refresh_groups(tx, {message.message_group_id}, now_ms)


def _retention_ms(queue: Queue) -> int:
    return queue.number("MessageRetentionPeriod") * 1000


# Receiving ----------------------------------------------------------------------------------------------


def receive_messages(
    tx: Transaction, queue: Queue, *, limit: int, visibility_timeout_seconds: int, now_ms: int
) -> list[ReceivedMessage]:
    """Receive up to `limit` messages and hide them for their visibility timeout.

    What is past its retention is deleted on the way, and what was received too often moves to the
    dead-letter queue, in this transaction.
    """
    take = _take_fifo if queue.is_fifo else _take_standard
    redrive = _Redrive(tx, queue, now_ms)
    received = []
    for message in take(tx, queue, limit, redrive, now_ms):
        message = replace(
            message,
            receive_count=message.receive_count + 1,
            first_received_at_ms=now_ms if message.first_received_at_ms is None else message.first_received_at_ms,
            visible_at_ms=now_ms + visibility_timeout_seconds * 1000,
        )
        received.append(ReceivedMessage(message, _write_handle(queue, message)))
    tx.connection.executemany(
        "UPDATE message SET receive_count = ?, first_received_at_ms = ?, received_at_ms = ?, visible_at_ms = ?"
        " WHERE id = ?",
        (
            (
                one.message.receive_count,
                one.message.first_received_at_ms,
                now_ms,
                one.message.visible_at_ms,
                one.message.row_id,
            )
            for one in received
        ),
    )
    _refresh_groups(tx, {received_one.message.message_group_id for received_one in received} | redrive.groups, now_ms)
    return received


class _Redrive:
    """Takes out of a queue what is not to be received any more."""

    def __init__(self, tx: Transaction, queue: Queue, now_ms: int) -> None:
        self._tx, self._queue, self._now_ms = tx, queue, now_ms
        self._policy = queue.redrive_policy
        self._kept_after_ms = now_ms - _retention_ms(queue)
        #: Message groups that were looked at, or lost a message.
        self.groups: set[int | None] = set()

    def takes(self, message: Message) -> bool:
        """Whether the message was taken: past its retention, or received too often."""
        if message.sent_at_ms <= self._kept_after_ms:
            self._delete(message)
            return True
        policy = self._policy
        if policy is None or message.receive_count < policy.maximum_receive_count:
            return False
        dead_letter_queue = get_queue(self._tx.connection, policy.dead_letter_queue)
        if dead_letter_queue is None or dead_letter_queue.id == self._queue.id:
            return False
        self._move(message, dead_letter_queue)
        return True

    def _move(self, message: Message, dead_letter_queue: Queue) -> None:
        # A standard queue's message keeps the moment it was sent, and so its retention; a FIFO queue's gets a new one:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
        self._delete(message)
        system_attributes = {**message.system_attributes, "DeadLetterQueueSourceArn": self._queue.arn}
        append_message(
            self._tx,
            dead_letter_queue,
            NewMessage(
                message_id=message.message_id,
                body=message.body,
                attributes=msgspec.json.encode(message.attributes) if message.attributes else None,
                system_attributes=msgspec.json.encode(system_attributes),
                group_id=message.group_id,
                deduplication_id=message.deduplication_id,
                sent_at_ms=self._now_ms if dead_letter_queue.is_fifo else message.sent_at_ms,
                receive_count=message.receive_count,
                first_received_at_ms=message.first_received_at_ms,
            ),
            visible_at_ms=self._now_ms,
        )

    def _delete(self, message: Message) -> None:
        self._tx.execute("DELETE FROM message WHERE id = ?", (message.row_id,))
        tally(self._tx, MESSAGES, self._queue.id, -1)
        self.groups.add(message.message_group_id)


def _take_standard(tx: Transaction, queue: Queue, limit: int, redrive: _Redrive, now_ms: int) -> list[Message]:
    """The visible messages that became visible first."""
    taken: list[Message] = []
    position = (-(2**62), -(2**62), 0)
    while len(taken) < limit:
        wanted = limit - len(taken)
        rows = tx.execute(
            f"SELECT {_COLUMNS} FROM message WHERE queue_id = ? AND visible_at_ms <= ?"
            " AND (visible_at_ms, sent_at_ms, id) > (?, ?, ?)"
            " ORDER BY visible_at_ms, sent_at_ms, id LIMIT ?",
            (queue.id, now_ms, *position, wanted),
        ).fetchall()
        messages = [_message(row) for row in rows]
        taken.extend(message for message in messages if not redrive.takes(message))
        if len(messages) < wanted:
            break
        position = (messages[-1].visible_at_ms, messages[-1].sent_at_ms, messages[-1].row_id)
    return taken


def _take_fifo(tx: Transaction, queue: Queue, limit: int, redrive: _Redrive, now_ms: int) -> list[Message]:
    """The first messages of the message groups that have none in flight, as many as can be of one group."""
    taken: list[Message] = []
    groups: set[int] = set()
    while len(taken) < limit:
        # As many groups as messages are wanted: further ones are only needed where a group had nothing to give.
        rows: list[Any] = tx.execute(
            "SELECT id FROM message_group WHERE queue_id = ? AND available_at_ms <= ?"
            " ORDER BY available_at_ms, id LIMIT ?",
            (queue.id, now_ms, limit + len(groups)),
        ).fetchall()
        fresh = [group for (group,) in rows if group not in groups]
        if not fresh:
            break
        for group in fresh:
            if len(taken) >= limit:
                break
            groups.add(group)
            redrive.groups.add(group)
            taken.extend(_take_group(tx, group, limit - len(taken), redrive, now_ms))
    return taken


def _take_group(tx: Transaction, group: int, limit: int, redrive: _Redrive, now_ms: int) -> list[Message]:
    taken: list[Message] = []
    last = 0
    while len(taken) < limit:
        wanted = limit - len(taken)
        rows = tx.execute(
            f"SELECT {_COLUMNS} FROM message WHERE message_group_id = ? AND id > ? ORDER BY id LIMIT ?",
            (group, last, wanted),
        ).fetchall()
        messages = [_message(row) for row in rows]
        for message in messages:
            if message.visible_at_ms > now_ms:  # delayed: what comes after it waits too
                return taken
            if not redrive.takes(message):
                taken.append(message)
        if len(messages) < wanted:
            break
        last = messages[-1].row_id
    return taken


def _refresh_groups(tx: Transaction, groups: set[int | None], now_ms: int) -> None:
    """Say anew when each group's first message can be received; a group without messages goes."""
    for group in groups:
        if group is None:
            continue
        rows: list[Any] = tx.execute(
            "SELECT visible_at_ms, receive_count FROM message WHERE message_group_id = ? ORDER BY id LIMIT ?",
            (group, MAX_IN_FLIGHT_OF_GROUP),
        ).fetchall()
        if not rows:
            tx.execute("DELETE FROM message_group WHERE id = ?", (group,))
            continue
        in_flight = [visible_at_ms for visible_at_ms, count in rows if count and visible_at_ms > now_ms]
        tx.execute("UPDATE message_group SET available_at_ms = ? WHERE id = ?", (max([rows[0][0], *in_flight]), group))


# Receipt handles ----------------------------------------------------------------------------------------

_HANDLE = struct.Struct(">BQQL16s")
_HANDLE_VERSION = 1


def _write_handle(queue: Queue, message: Message) -> str:
    packed = _HANDLE.pack(
        _HANDLE_VERSION, queue.id, message.row_id, message.receive_count, uuid.UUID(message.message_id).bytes
    )
    return base64.b64encode(packed).decode("ascii")


def _read_handle(tx: Transaction, queue: Queue, handle: str) -> tuple[_Receipt, Message | None]:
    """What the handle says, and the message if it still is in the queue.

    Raises:
        ReceiptHandleIsInvalid: it was never given out for this queue.
    """
    try:
        version, queue_id, row_id, receive_count, message_id = _HANDLE.unpack(base64.b64decode(handle, validate=True))
    except (binascii.Error, struct.error, ValueError):
        raise ReceiptHandleIsInvalid(handle) from None
    if version != _HANDLE_VERSION or queue_id != queue.id or row_id >= 2**63:
        raise ReceiptHandleIsInvalid(handle)
    row = tx.execute(f"SELECT {_COLUMNS} FROM message WHERE id = ? AND queue_id = ?", (row_id, queue.id)).fetchone()
    message = None if row is None else _message(row)
    if message is not None and (
        uuid.UUID(message.message_id).bytes != message_id or not 0 < receive_count <= message.receive_count
    ):
        raise ReceiptHandleIsInvalid(handle)
    return _Receipt(handle, row_id, receive_count), message


def delete_message(tx: Transaction, queue: Queue, receipt_handle: str, *, now_ms: int) -> None:
    """Delete the message the handle was given for; fine if it is gone.

    A standard queue takes the handle of any receive; a FIFO queue only the newest one's, within its
    visibility timeout.

    Raises:
        ReceiptHandleIsInvalid: the handle was never given out for this queue.
        InvalidParameterValueException: the handle has expired (FIFO).
    """
    receipt, message = _read_handle(tx, queue, receipt_handle)
    if message is None:
        return
    if queue.is_fifo and _is_expired(receipt, message, now_ms):
        raise _expired(receipt_handle)
    tx.execute("DELETE FROM message WHERE id = ?", (receipt.row_id,))
    tally(tx, MESSAGES, queue.id, -1)
    if message.message_group_id is not None:
        _refresh_groups(tx, {message.message_group_id}, now_ms)
        tx.announce(MessagesSent(queue.id))  # the group may be free again


def _is_expired(receipt: _Receipt, message: Message, now_ms: int) -> bool:
    return message.receive_count != receipt.receive_count or message.visible_at_ms <= now_ms


def _expired(receipt_handle: str) -> InvalidParameterValueException:
    # LocalStack's recording of 2023-11-14, test_fifo_delete_message_with_expired_receipt_handle.
    return InvalidParameterValueException(
        f"Value {receipt_handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
    )


def change_visibility(
    tx: Transaction, queue: Queue, receipt_handle: str, *, visibility_timeout_seconds: int, now_ms: int
) -> None:
    """Have the message become visible so many seconds from now.

    As on AWS, a standard queue takes the handle of any receive (getmoto/moto#4655, verified against AWS).

    Raises:
        ReceiptHandleIsInvalid: the handle was never given out for this queue.
        InvalidParameterValueException: the message is gone, the handle has expired (FIFO), or the message would have been hidden for more than 12 hours since its receive.
    """
    receipt, message = _read_handle(tx, queue, receipt_handle)
    if message is not None and queue.is_fifo and _is_expired(receipt, message, now_ms):
        raise _expired(receipt_handle)
    # A handle whose visibility timeout is over still counts in a standard queue, as LocalStack recorded 2023-11-14
    # (test_change_message_visibility_after_visibility_timeout_expiration). The text: mapbox/ecs-watchbot#135.
    if message is None:
        raise InvalidParameterValueException(
            f"Value {receipt_handle} for parameter ReceiptHandle is invalid. "
            "Reason: Message does not exist or is not available for visibility timeout change."
        )
    received_at_ms = tx.execute("SELECT received_at_ms FROM message WHERE id = ?", (receipt.row_id,)).get or now_ms
    visible_at_ms = now_ms + visibility_timeout_seconds * 1000
    if visible_at_ms - received_at_ms > MAX_VISIBILITY_TIMEOUT_SECONDS * 1000:
        # aws/aws-sdk-net#794.
        raise InvalidParameterValueException(
            f"Value {visibility_timeout_seconds} for parameter VisibilityTimeout is invalid. "
            "Reason: Total VisibilityTimeout for the message is beyond the limit "
            f"[{MAX_VISIBILITY_TIMEOUT_SECONDS} seconds]."
        )
    tx.execute("UPDATE message SET visible_at_ms = ? WHERE id = ?", (visible_at_ms, receipt.row_id))
    _refresh_groups(tx, {message.message_group_id}, now_ms)
    tx.announce(MessagesSent(queue.id))


def delete_expired_messages(tx: Transaction, *, now_ms: int, limit: int) -> int:
    """Delete up to `limit` messages of each queue that are past their retention; answers how many it were.

    A receive passes over such messages at once; this frees their space in queues that nobody reads. A message
    is never visible before it is sent, so that the index on visibility leads to them.
    """
    deleted = 0
    queues = [get_queue(tx.connection, str(name)) for (name,) in tx.execute("SELECT name FROM queue").fetchall()]
    for queue in queues:
        assert queue is not None
        rows: list[Any] = tx.execute(
            "SELECT id, message_group_id FROM message WHERE queue_id = ? AND visible_at_ms <= ? LIMIT ?",
            (queue.id, now_ms - _retention_ms(queue), limit),
        ).fetchall()
        for row_id, _ in rows:
            tx.execute("DELETE FROM message WHERE id = ?", (row_id,))
        tally(tx, MESSAGES, queue.id, -len(rows))
        _refresh_groups(tx, {group for _, group in rows}, now_ms)
        deleted += len(rows)
    return deleted
