"""SQS's operations on messages."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from duestream.errors import ServiceError
from duestream.local.services.context import RequestContext
from duestream.local.services.sqs.arrivals import arrivals_of
from duestream.local.services.sqs.queues import Answer, Parameters, queue_name, require_queue
from duestream.local.store import messages, queues
from duestream.local.store.message_contents import md5_of_attributes, md5_of_text, size_bytes
from duestream.local.store.messages import MAX_VISIBILITY_TIMEOUT_SECONDS, ReceivedMessage
from duestream.local.store.queue_errors import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    InvalidParameterValueException,
    TooManyEntriesInBatchRequest,
)
from duestream.local.store.queues import ACCOUNT_ID, Queue, SentMessage
from duestream.local.store.writer import Transaction

T = TypeVar("T")

MAX_BATCH = 10
#: All bodies and attributes of a SendMessageBatch together.
MAX_BATCH_BYTES = 1_048_576
MAX_WAIT_SECONDS = 20
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")


# Sending ------------------------------------------------------------------------------------------------


async def send_message(context: RequestContext, parameters: Parameters) -> Answer:
    """SendMessage."""
    name = queue_name(parameters)
    sent = await context.store.write(lambda tx: _send(tx, require_queue(tx.connection, name), parameters, context))
    return _sent(sent)


def _send(tx: Transaction, queue: Queue, entry: Mapping[str, Any], context: RequestContext) -> SentMessage:
    return queues.send_message(
        tx,
        queue,
        body=entry["MessageBody"],
        attributes=entry.get("MessageAttributes"),
        system_attributes=entry.get("MessageSystemAttributes"),
        delay_seconds=entry.get("DelaySeconds"),
        group_id=entry.get("MessageGroupId"),
        deduplication_id=entry.get("MessageDeduplicationId"),
        now_ms=context.clock.now_ms(),
    )


def _sent(sent: SentMessage) -> dict[str, Any]:
    return _present(
        MessageId=sent.message_id,
        MD5OfMessageBody=sent.md5_of_body,
        MD5OfMessageAttributes=sent.md5_of_attributes,
        MD5OfMessageSystemAttributes=sent.md5_of_system_attributes,
        SequenceNumber=sent.sequence_number,
    )


def _present(**members: Any) -> dict[str, Any]:
    """The members that have a value: AWS leaves the others out, lists without entries too."""
    return {name: value for name, value in members.items() if value is not None and value != [] and value != {}}


async def send_message_batch(context: RequestContext, parameters: Parameters) -> Answer:
    """SendMessageBatch: one transaction; an entry that is refused does not stop the others."""
    name, entries = queue_name(parameters), parameters["Entries"]
    _check_batch(entries, "SendMessageBatchRequestEntry")
    size = sum(size_bytes(entry["MessageBody"], entry.get("MessageAttributes") or {}) for entry in entries)
    if size > MAX_BATCH_BYTES:
        raise BatchRequestTooLong(MAX_BATCH_BYTES, size)

    def send(tx: Transaction) -> Answer:
        queue = require_queue(tx.connection, name)
        if queue.is_fifo:
            _check_fifo_entries(queue, entries)
        return _each(entries, lambda entry: _sent(_send(tx, queue, entry, context)))

    return await context.store.write(send)


def _check_fifo_entries(queue: Queue, entries: Sequence[Mapping[str, Any]]) -> None:
    """What refuses a whole batch (LocalStack's recordings of 2023-11-14, test_send_batch_missing_...)."""
    for entry in entries:
        if entry.get("MessageGroupId") is None:
            raise InvalidParameterValueException("The request must contain the parameter MessageGroupId.")
        if entry.get("MessageDeduplicationId") is None and queue.attributes["ContentBasedDeduplication"] != "true":
            raise InvalidParameterValueException(queues.NEEDS_DEDUPLICATION_ID)


def _check_batch(entries: Sequence[Mapping[str, Any]], entry_type: str) -> None:
    if not entries:
        raise EmptyBatchRequest(entry_type)
    if len(entries) > MAX_BATCH:
        raise TooManyEntriesInBatchRequest(len(entries))
    seen: set[str] = set()
    for entry in entries:
        entry_id = entry.get("Id") or ""
        if _ENTRY_ID.match(entry_id) is None:
            raise InvalidBatchEntryId
        if entry_id in seen:
            raise BatchEntryIdsNotDistinct(entry_id)
        seen.add(entry_id)


def _each(entries: Sequence[Mapping[str, Any]], carry_out: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Answer:
    """Carry out each entry of a batch. (The store refuses before it changes anything, so nothing is half done.)"""
    successful, failed = [], []
    for entry in entries:
        try:
            successful.append({"Id": entry["Id"], **carry_out(entry)})
        except ServiceError as error:
            failed.append(
                {
                    "Id": entry["Id"],
                    "SenderFault": True,
                    "Code": error.query_code or error.code,
                    "Message": error.message,
                }
            )
    return _present(Successful=successful, Failed=failed)


# Receiving ----------------------------------------------------------------------------------------------


async def receive_message(context: RequestContext, parameters: Parameters) -> Answer:
    """ReceiveMessage: at once where there are messages, else after up to WaitTimeSeconds. Writes only what it takes."""
    name = queue_name(parameters)
    queue = require_queue(context.store.reader, name)
    limit = _number(parameters, "MaxNumberOfMessages", 1, 10, "Must be between 1 and 10, if provided.") or 1
    timeout = _visibility_timeout(parameters)
    wait = _number(
        parameters, "WaitTimeSeconds", 0, MAX_WAIT_SECONDS, f"Must be >= 0 and <= {MAX_WAIT_SECONDS}, if provided."
    )
    wait_seconds = queue.number("ReceiveMessageWaitTimeSeconds") if wait is None else wait

    def receive(tx: Transaction) -> list[ReceivedMessage]:
        present = require_queue(tx.connection, name)
        return messages.receive_messages(
            tx,
            present,
            limit=limit,
            visibility_timeout_seconds=present.number("VisibilityTimeout") if timeout is None else timeout,
            now_ms=context.clock.now_ms(),
        )

    with arrivals_of(context.store, context.clock).waiter(queue.id, wait_seconds) as waiter:
        while True:
            visible_at_ms = messages.next_visible_at_ms(context.store.reader, require_queue(context.store.reader, name))
            if visible_at_ms is not None and visible_at_ms <= context.clock.now_ms():
                received = await context.store.write(receive)
                if received:
                    return {"Messages": [_received(one, queue, parameters) for one in received]}
                continue  # what was visible had expired, or others took it
            if waiter.is_over:
                return {}
            await waiter.sleep_until(visible_at_ms)


def _number(parameters: Parameters, name: str, low: int, high: int, reason: str) -> int | None:
    value: int | None = parameters.get(name)
    if value is not None and not low <= value <= high:
        raise InvalidParameterValueException(f"Value {value} for parameter {name} is invalid. Reason: {reason}")
    return value


def _visibility_timeout(parameters: Parameters) -> int | None:
    high = MAX_VISIBILITY_TIMEOUT_SECONDS
    return _number(parameters, "VisibilityTimeout", 0, high, f"Must be >= 0 and <= {high}, if provided.")


def _received(received: ReceivedMessage, queue: Queue, parameters: Parameters) -> dict[str, Any]:
    message = received.message
    wanted = {*(parameters.get("AttributeNames") or ()), *(parameters.get("MessageSystemAttributeNames") or ())}
    attributes = _wanted_attributes(message.attributes, parameters.get("MessageAttributeNames") or ())
    return _present(
        MessageId=message.message_id,
        ReceiptHandle=received.receipt_handle,
        MD5OfBody=md5_of_text(message.body),
        Body=message.body,
        Attributes=_system_attributes(received, queue, wanted) if wanted else None,
        MD5OfMessageAttributes=md5_of_attributes(attributes) if attributes else None,
        MessageAttributes=attributes,
    )


def _system_attributes(received: ReceivedMessage, queue: Queue, wanted: set[str]) -> dict[str, str]:
    message = received.message
    present = _present(
        SenderId=ACCOUNT_ID,
        SentTimestamp=str(message.sent_at_ms),
        ApproximateReceiveCount=str(message.receive_count),
        ApproximateFirstReceiveTimestamp=str(message.first_received_at_ms),
        MessageGroupId=message.group_id,
        MessageDeduplicationId=message.deduplication_id,
        SequenceNumber=queues.sequence_number(message.row_id) if queue.is_fifo else None,
    )
    present |= message.system_attributes
    return present if "All" in wanted else {name: value for name, value in present.items() if name in wanted}


def _wanted_attributes(
    attributes: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Those named, those under a prefix that ends in ``.*``, or all: recorded by LocalStack on 2023-07-06."""
    if "All" in names or ".*" in names or "*" in names:
        return dict(attributes)
    prefixes = tuple(name[:-2] for name in names if name.endswith(".*"))
    return {
        name: attribute
        for name, attribute in attributes.items()
        if name in names or (prefixes and name.startswith(prefixes))
    }


# Deleting, and changing visibility ----------------------------------------------------------------------


async def delete_message(context: RequestContext, parameters: Parameters) -> Answer:
    """DeleteMessage: fine if the message is gone."""
    name, handle, now_ms = queue_name(parameters), parameters["ReceiptHandle"], context.clock.now_ms()
    await context.store.write(
        lambda tx: messages.delete_message(tx, require_queue(tx.connection, name), handle, now_ms=now_ms)
    )
    return {}


async def delete_message_batch(context: RequestContext, parameters: Parameters) -> Answer:
    """DeleteMessageBatch: one transaction."""

    def delete(tx: Transaction, queue: Queue, entry: Mapping[str, Any]) -> None:
        messages.delete_message(tx, queue, entry["ReceiptHandle"], now_ms=context.clock.now_ms())

    return await _batch(context, parameters, "DeleteMessageBatchRequestEntry", delete)


async def change_message_visibility(context: RequestContext, parameters: Parameters) -> Answer:
    """ChangeMessageVisibility."""
    name = queue_name(parameters)
    await context.store.write(lambda tx: _change(context, tx, require_queue(tx.connection, name), parameters))
    return {}


async def change_message_visibility_batch(context: RequestContext, parameters: Parameters) -> Answer:
    """ChangeMessageVisibilityBatch: one transaction."""

    def change(tx: Transaction, queue: Queue, entry: Mapping[str, Any]) -> None:
        _change(context, tx, queue, entry)

    return await _batch(context, parameters, "ChangeMessageVisibilityBatchRequestEntry", change)


def _change(context: RequestContext, tx: Transaction, queue: Queue, entry: Mapping[str, Any]) -> None:
    seconds = _visibility_timeout(entry)
    messages.change_visibility(
        tx,
        queue,
        entry["ReceiptHandle"],
        visibility_timeout_seconds=queue.number("VisibilityTimeout") if seconds is None else seconds,
        now_ms=context.clock.now_ms(),
    )


async def _batch(
    context: RequestContext,
    parameters: Parameters,
    entry_type: str,
    carry_out: Callable[[Transaction, Queue, Mapping[str, Any]], None],
) -> Answer:
    name, entries = queue_name(parameters), parameters["Entries"]
    _check_batch(entries, entry_type)

    def run(tx: Transaction) -> Answer:
        queue = require_queue(tx.connection, name)

        def one(entry: Mapping[str, Any]) -> Mapping[str, Any]:
            carry_out(tx, queue, entry)
            return {}

        return _each(entries, one)

    return await context.store.write(run)
