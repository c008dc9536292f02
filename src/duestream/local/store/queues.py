"""Queues, and sending to them. What is received, and what becomes of it, is in messages.py."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import apsw
import msgspec

from duestream.local.store.message_contents import (
    MessageAttributes,
    check_contents,
    check_fifo_id,
    check_system_attributes,
    md5_of_attributes,
    md5_of_text,
)
from duestream.local.store.metrics import MESSAGES, tally
from duestream.local.store.queue_errors import (
    InvalidParameterValueException,
    MissingRequiredParameterException,
    PurgeQueueInProgress,
)
from duestream.local.store.writer import MessagesSent, Transaction

ACCOUNT_ID = "000000000000"
MAX_DELAY_SECONDS = 900
#: A deduplication id counts for five minutes.
DEDUPLICATION_INTERVAL_MS = 300_000
NEEDS_DEDUPLICATION_ID = (
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
)
#: PurgeQueue may be called once in this time.
PURGE_INTERVAL_MS = 60_000

#: What every queue has that was not given another value (1 MiB since August 2025).
DEFAULT_ATTRIBUTES: Mapping[str, str] = {
    "VisibilityTimeout": "30",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "DelaySeconds": "0",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
}
DEFAULT_FIFO_ATTRIBUTES: Mapping[str, str] = {
    **DEFAULT_ATTRIBUTES,
    "FifoQueue": "true",
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}


@dataclass(frozen=True, slots=True)
class RedrivePolicy:
    """Where a message goes that was received too often."""

    dead_letter_queue: str
    maximum_receive_count: int


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue. `attributes` are all that can be set, with their defaults, as AWS's strings."""

    id: int
    name: str
    region: str
    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    created_at_ms: int
    last_modified_at_ms: int

    @property
    def is_fifo(self) -> bool:
        """Whether order and deduplication hold."""
        return self.name.endswith(".fifo")

    @property
    def arn(self) -> str:
        """Its ARN, of the region it was created in."""
        return f"arn:aws:sqs:{self.region}:{ACCOUNT_ID}:{self.name}"

    def number(self, attribute: str) -> int:
        """A numeric attribute."""
        return int(self.attributes[attribute])

    @property
    def redrive_policy(self) -> RedrivePolicy | None:
        """Its RedrivePolicy, read."""
        return _redrive_policy(self.attributes.get("RedrivePolicy", ""))


@lru_cache(maxsize=1024)
def _redrive_policy(text: str) -> RedrivePolicy | None:
    if not text:
        return None
    policy = msgspec.json.decode(text)
    return RedrivePolicy(queue_name_of(policy["deadLetterTargetArn"]), int(policy["maxReceiveCount"]))


@dataclass(frozen=True, slots=True)
class SentMessage:
    """What SendMessage answers."""

    message_id: str
    md5_of_body: str
    md5_of_attributes: str | None
    md5_of_system_attributes: str | None
    #: Only in FIFO queues.
    sequence_number: str | None


def queue_name_of(arn: str) -> str:
    """The queue an ARN names; region and account do not count, as there is one namespace."""
    return arn.rpartition(":")[2]


_COLUMNS = "id, name, region, attributes, tags, created_at_ms, last_modified_at_ms"


def _queue(row: tuple[Any, ...]) -> Queue:
    queue_id, name, region, attributes, tags, created_at_ms, last_modified_at_ms = row
    defaults = DEFAULT_FIFO_ATTRIBUTES if name.endswith(".fifo") else DEFAULT_ATTRIBUTES
    all_attributes = {**defaults, **msgspec.json.decode(attributes)}
    return Queue(queue_id, name, region, all_attributes, msgspec.json.decode(tags), created_at_ms, last_modified_at_ms)


def get_queue(connection: apsw.Connection, name: str) -> Queue | None:
    """The queue of this name."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM queue WHERE name = ?", (name,)).fetchone()
    return None if row is None else _queue(row)


def list_queues(connection: apsw.Connection, *, prefix: str, after: str, limit: int) -> list[Queue]:
    """Queues whose names begin with `prefix` and come after `after`, by name."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM queue WHERE name > ? AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?",
        (after, len(prefix), prefix, limit),
    )
    return [_queue(row) for row in rows]


def list_dead_letter_sources(connection: apsw.Connection, name: str, *, after: str, limit: int) -> list[Queue]:
    """Queues whose dead-letter queue is the one of this name, by name."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM queue WHERE name > ? AND json_extract(attributes, '$.RedrivePolicy') IS NOT NULL"
        " ORDER BY name",
        (after,),
    )
    queues = (_queue(row) for row in rows)
    sources = [queue for queue in queues if queue.redrive_policy and queue.redrive_policy.dead_letter_queue == name]
    return sources[:limit]


def create_queue(
    tx: Transaction,
    name: str,
    *,
    region: str,
    attributes: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    now_ms: int,
) -> Queue:
    """Create a queue that does not exist yet. Name and attributes were checked by the caller."""
    tx.execute(
        "INSERT INTO queue (name, region, attributes, tags, created_at_ms, last_modified_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (name, region, _json(attributes or {}), _json(tags or {}), now_ms, now_ms),
    )
    queue = get_queue(tx.connection, name)
    assert queue is not None
    return queue


def set_attributes(tx: Transaction, queue: Queue, attributes: Mapping[str, str], *, now_ms: int) -> None:
    """Keep these of the queue's attributes; an empty text takes an attribute away. They were checked by the caller."""
    present = tx.execute("SELECT attributes FROM queue WHERE id = ?", (queue.id,)).get
    merged = {**msgspec.json.decode(present), **attributes}
    kept = {name: value for name, value in merged.items() if value != ""}
    tx.execute("UPDATE queue SET attributes = ?, last_modified_at_ms = ? WHERE id = ?", (_json(kept), now_ms, queue.id))
    if queue.is_fifo and "DelaySeconds" in attributes:
        _delay_again(tx, queue, int(kept.get("DelaySeconds", "0")) * 1000)
    tx.announce(MessagesSent(queue.id))  # a waiting receive reads its queue anew


def _delay_again(tx: Transaction, queue: Queue, delay_ms: int) -> None:
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html:
    # in a FIFO queue a new delay also counts for messages already there.
    tx.execute(
        "UPDATE message SET visible_at_ms = sent_at_ms + ? WHERE queue_id = ? AND receive_count = 0",
        (delay_ms, queue.id),
    )
    tx.execute(
        "UPDATE message_group SET available_at_ms = head.visible_at_ms FROM ("
        "  SELECT message_group_id, visible_at_ms, receive_count, min(id) FROM message"
        "  WHERE queue_id = ? AND message_group_id IS NOT NULL GROUP BY message_group_id"
        ") AS head WHERE message_group.id = head.message_group_id AND head.receive_count = 0",
        (queue.id,),
    )


def set_tags(tx: Transaction, queue: Queue, tags: Mapping[str, str]) -> None:
    """Replace the queue's tags."""
    tx.execute("UPDATE queue SET tags = ? WHERE id = ?", (_json(tags), queue.id))


def delete_queue(tx: Transaction, queue: Queue) -> None:
    """Delete the queue with everything in it."""
    _delete_messages(tx, queue)
    tx.execute("DELETE FROM deduplication WHERE queue_id = ?", (queue.id,))
    tx.execute("DELETE FROM queue WHERE id = ?", (queue.id,))
    tx.announce(MessagesSent(queue.id))  # who waits for a message learns that there will be none


def purge_queue(tx: Transaction, queue: Queue, *, now_ms: int) -> None:
    """Delete the queue's messages, those in flight too.

    Raises:
        PurgeQueueInProgress: the last purge was less than 60 seconds ago.
    """
    purged_at_ms = tx.execute("SELECT purged_at_ms FROM queue WHERE id = ?", (queue.id,)).get
    if purged_at_ms is not None and 0 <= now_ms - purged_at_ms < PURGE_INTERVAL_MS:
        raise PurgeQueueInProgress(queue.name)
    _delete_messages(tx, queue)
    tx.execute("UPDATE queue SET purged_at_ms = ? WHERE id = ?", (now_ms, queue.id))


def _delete_messages(tx: Transaction, queue: Queue) -> None:
    tx.execute("DELETE FROM message WHERE queue_id = ?", (queue.id,))
    tally(tx, MESSAGES, queue.id, -tx.connection.changes())
    tx.execute("DELETE FROM message_group WHERE queue_id = ?", (queue.id,))


def send_message(
    tx: Transaction,
    queue: Queue,
    *,
    body: str,
    attributes: MessageAttributes | None = None,
    system_attributes: MessageAttributes | None = None,
    delay_seconds: int | None = None,
    group_id: str | None = None,
    deduplication_id: str | None = None,
    now_ms: int,
) -> SentMessage:
    """`accept_message`, and SendMessage's answer with its digests."""
    message_id, position = accept_message(
        tx,
        queue,
        body=body,
        attributes=attributes,
        system_attributes=system_attributes,
        delay_seconds=delay_seconds,
        group_id=group_id,
        deduplication_id=deduplication_id,
        now_ms=now_ms,
    )
    return SentMessage(
        message_id,
        md5_of_text(body),
        md5_of_attributes(attributes) if attributes else None,
        md5_of_attributes(system_attributes) if system_attributes else None,
        sequence_number=sequence_number(position) if queue.is_fifo else None,
    )


def accept_message(
    tx: Transaction,
    queue: Queue,
    *,
    body: str,
    attributes: MessageAttributes | None = None,
    system_attributes: MessageAttributes | None = None,
    delay_seconds: int | None = None,
    group_id: str | None = None,
    deduplication_id: str | None = None,
    now_ms: int,
) -> tuple[str, int]:
    """Put a message into the queue, unless a FIFO queue has its deduplication id from the last five minutes.

    Args:
        attributes: MessageAttributes in wire form, binary values as bytes.
        delay_seconds: 0 to 900; None: the queue's own. A FIFO queue takes only its own, also where 0 is given
            (API_SendMessage, ``DelaySeconds``).

    Returns:
        Its MessageId, and its row's id; of the earlier one, if it was sent before.

    Raises:
        ServiceError: what SendMessage answers when the message, or a parameter, is not one for this queue.
    """
    is_fifo = queue.is_fifo
    check_contents(body, attributes or {}, limit_bytes=queue.number("MaximumMessageSize"))
    if system_attributes:
        check_system_attributes(system_attributes)
    if is_fifo or not (delay_seconds is None and group_id is None and deduplication_id is None):
        _check_parameters(queue, delay_seconds, group_id, deduplication_id)
    message_id = _new_message_id()
    if is_fifo:
        if deduplication_id is None:
            deduplication_id = hashlib.sha256(body.encode()).hexdigest()
        earlier = _earlier(tx, queue, group_id or "", deduplication_id, now_ms)
        if earlier is not None:
            return earlier
    row_id = append_message(
        tx,
        queue,
        NewMessage(
            message_id,
            body,
            _json(attributes) if attributes else None,
            _json(_texts(system_attributes)) if system_attributes else None,
            group_id,
            deduplication_id,
            now_ms,
        ),
        visible_at_ms=now_ms
        + 1000 * (queue.number("DelaySeconds") if is_fifo or delay_seconds is None else delay_seconds),
    )
    if is_fifo:
        assert deduplication_id is not None
        _remember(tx, queue, group_id or "", deduplication_id, row_id, message_id, now_ms)
    return message_id, row_id


def _new_message_id() -> str:
    """A random UUID (version 4), without the object around it, which costs more than the randomness."""
    digits = os.urandom(16).hex()
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) % 4]}{digits[17:20]}-{digits[20:]}"
    )


def sequence_number(row_id: int) -> str:
    """The SequenceNumber of a FIFO queue's message: 20 digits, growing."""
    return f"{row_id:020d}"


def _texts(system_attributes: MessageAttributes) -> dict[str, str]:
    return {name: str(attribute["StringValue"]) for name, attribute in system_attributes.items()}


def _check_parameters(
    queue: Queue, delay_seconds: int | None, group_id: str | None, deduplication_id: str | None
) -> None:
    """Refuse what does not fit the kind of queue, in AWS's words (LocalStack's recordings of 2023-11-14)."""
    if delay_seconds is not None and not 0 <= delay_seconds <= MAX_DELAY_SECONDS:
        raise InvalidParameterValueException(
            f"Value {delay_seconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
        )
    if group_id is not None:
        check_fifo_id(group_id, "MessageGroupId")
    if deduplication_id is not None:
        check_fifo_id(deduplication_id, "MessageDeduplicationId")
    if queue.is_fifo:
        if group_id is None:
            raise MissingRequiredParameterException("MessageGroupId")
        if delay_seconds is not None and delay_seconds != 0:
            raise InvalidParameterValueException(
                f"Value {delay_seconds} for parameter DelaySeconds is invalid. "
                "Reason: The request include parameter that is not valid for this queue type."
            )
        if deduplication_id is None and queue.attributes["ContentBasedDeduplication"] != "true":
            raise InvalidParameterValueException(NEEDS_DEDUPLICATION_ID)
    elif deduplication_id is not None:
        raise InvalidParameterValueException(
            f"Value {deduplication_id} for parameter MessageDeduplicationId is invalid. "
            "Reason: The request includes a parameter that is not valid for this queue type."
        )


class NewMessage(NamedTuple):
    """A message's row as it begins; `attributes` and `system_attributes` are JSON."""

    message_id: str
    body: str
    attributes: bytes | None
    system_attributes: bytes | None
    group_id: str | None
    deduplication_id: str | None
    sent_at_ms: int
    receive_count: int = 0
    first_received_at_ms: int | None = None


def append_message(tx: Transaction, queue: Queue, message: NewMessage, *, visible_at_ms: int) -> int:
    """Insert a message's row at the queue's end; answers its id. In a FIFO queue it joins its message group."""
    group = None
    if queue.is_fifo:
        group = tx.execute(
            "SELECT id FROM message_group WHERE queue_id = ? AND name = ?", (queue.id, message.group_id)
        ).get
        if group is None:
            tx.execute(
                "INSERT INTO message_group (queue_id, name, available_at_ms) VALUES (?, ?, ?)",
                (queue.id, message.group_id, visible_at_ms),
            )
            group = tx.last_id()
    tx.execute(
        "INSERT INTO message (queue_id, message_group_id, visible_at_ms, message_id, body, attributes,"
        " system_attributes, group_id, deduplication_id, sent_at_ms, receive_count, first_received_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (queue.id, group, visible_at_ms, *message),
    )
    row_id = tx.last_id()
    tally(tx, MESSAGES, queue.id, 1)
    tx.announce(_sent(queue.id))
    return row_id


@lru_cache(maxsize=256)
def _sent(queue_id: int) -> MessagesSent:
    """The same for each message of a queue: each is announced, as each may wake who waits."""
    return MessagesSent(queue_id)


def _scope(queue: Queue, group_id: str) -> str:
    return group_id if queue.attributes["DeduplicationScope"] == "messageGroup" else ""


def _earlier(
    tx: Transaction, queue: Queue, group_id: str, deduplication_id: str, now_ms: int
) -> tuple[str, int] | None:
    """Id and row id of the message sent with this deduplication id within the interval, received or not."""
    row: tuple[str, int] | None = tx.execute(
        "SELECT message_id, message_row_id FROM deduplication"
        " WHERE queue_id = ? AND scope = ? AND deduplication_id = ? AND sent_at_ms > ?",
        (queue.id, _scope(queue, group_id), deduplication_id, now_ms - DEDUPLICATION_INTERVAL_MS),
    ).fetchone()
    return row


def _remember(
    tx: Transaction, queue: Queue, group_id: str, deduplication_id: str, row_id: int, message_id: str, now_ms: int
) -> None:
    tx.execute(
        "INSERT OR REPLACE INTO deduplication"
        " (queue_id, scope, deduplication_id, message_row_id, message_id, sent_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
        (queue.id, _scope(queue, group_id), deduplication_id, row_id, message_id, now_ms),
    )
    # Each send forgets up to two that are too old, so that the table shrinks again without a sweep.
    tx.execute(
        "DELETE FROM deduplication WHERE sent_at_ms <= ? AND id IN (SELECT id FROM deduplication ORDER BY id LIMIT 2)",
        (now_ms - DEDUPLICATION_INTERVAL_MS,),
    )


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
