"""Putting dead letters down: the message for SQS's readers, and beside it what delivering again needs.

A dead-letter queue is a standard queue, as EventBridge Scheduler asks for. What does not fit into it is cut; a
letter that it refuses all the same is dropped with that reason, and never holds anything up.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from duestream.clock import from_ms
from duestream.core.context import with_context
from duestream.core.dead_letter import MIN_MESSAGE_CHARACTERS, letter_json, record_letter, record_letter_text
from duestream.core.outcome import Failure, GiveUp, dead_letter_attributes
from duestream.core.planner import DeadLetterRecord, stream_dead_letter_queue
from duestream.core.schedule import schedule_name
from duestream.errors import ServiceError
from duestream.local.engine import counts
from duestream.local.engine.call import Attempt
from duestream.local.store import dead_letters, queues
from duestream.local.store.dead_letters import NewLetter
from duestream.local.store.message_contents import size_bytes
from duestream.local.store.queues import Queue
from duestream.local.store.schedules import ItemIdentity, ScheduleRow
from duestream.local.store.writer import Transaction

#: So much of the body is kept before the error's text is.
MIN_BODY_BYTES = 256
#: A dead letter is kept as long as SQS allows: 14 days.
DEAD_LETTER_RETENTION_SECONDS = 14 * 24 * 3600

WireAttributes = dict[str, dict[str, str]]


def put_delivery_letter(
    tx: Transaction,
    row: ScheduleRow,
    attempt: Attempt,
    failure: Failure,
    decision: GiveUp,
    parameters: Mapping[str, Any],
) -> str | None:
    """Put the request into the schedule's dead-letter queue; says why it could not, if it could not.

    Args:
        parameters: the request that the target did not take; the body of the dead letter.
    """
    schedule = row.body
    target = schedule["Target"]
    queue_arn = target.get("DeadLetterConfig", {}).get("Arn")
    if queue_arn is None:
        return "no dead-letter queue is set"
    name = queues.queue_name_of(queue_arn)
    queue = queues.get_queue(tx.connection, name)
    if queue is None:
        counts.letter_refused(tx, row.group_name, attempt.now_ms, code="AWS.SimpleQueueService.NonExistentQueue")
        return f"the dead-letter queue {name} does not exist"
    if queue.is_fifo:
        counts.letter_refused(tx, row.group_name, attempt.now_ms, code="MissingParameter")
        return f"the dead-letter queue {name} is a FIFO queue, and dead letters need a standard one"
    attributes = dead_letter_attributes(
        schedule_arn=row.arn,
        target_arn=target["Arn"],
        scheduled_at=from_ms(attempt.due_at_ms),
        execution_id=attempt.execution_id,
        attempts=attempt.number,
        failure=failure,
        exhausted=decision.exhausted,
    )
    body, wire = _fitted(queue, letter_json(parameters), attributes)
    if "Input" in target:  # as the target was asked: the context attributes are those of the last attempt
        schedule["Target"] = {**target, "Input": with_context(target["Input"], attempt)}
    letter = NewLetter(
        kind="delivery",
        queue_name=name,
        schedule_group=row.group_name,
        schedule_name=row.name,
        rule=row.rule,
        item=_item_of(row),
        content=msgspec.json.encode(schedule),
        reason=f"{failure.code}: {failure.message}",
        delivery_id=attempt.delivery_id,
        redrives=row.redrives,
        due_at_ms=attempt.due_at_ms,
        attempts=attempt.number,
    )
    problem = put_letter(tx, queue, letter, body, wire, now_ms=attempt.now_ms)
    if problem is None:
        is_truncated = wire["IS_PAYLOAD_TRUNCATED"]["StringValue"] == "true"
        counts.letter_sent(tx, row.group_name, attempt.now_ms, is_truncated=is_truncated)
    return problem


def put_record_letter(
    tx: Transaction, letter: DeadLetterRecord, item: ItemIdentity, *, region: str, now_ms: int
) -> str | None:
    """Put a stream record that a rule could not digest into the app's queue for those; says why it could not.

    The queue is made if it is missing: there is nobody else to tell.
    """
    rule, record = letter.rule, letter.record
    name = stream_dead_letter_queue(rule.app_name)
    queue = queues.get_queue(tx.connection, name)
    if queue is None:
        retention = {"MessageRetentionPeriod": str(DEAD_LETTER_RETENTION_SECONDS)}
        queue = queues.create_queue(tx, name, region=region, attributes=retention, now_ms=now_ms)
    content = record_letter(letter)
    new = NewLetter(
        kind="record",
        queue_name=name,
        schedule_group=rule.app_name,
        schedule_name=schedule_name(record.table_name, rule.name, record.keys),
        rule=rule.name,
        item=item,
        content=msgspec.json.encode(content),
        reason=f"{letter.kind}: {letter.reason}",
    )
    body = record_letter_text(content, limit_bytes=queue.number("MaximumMessageSize"))
    return put_letter(tx, queue, new, body, None, now_ms=now_ms)


def put_letter(
    tx: Transaction, queue: Queue, letter: NewLetter, body: str, attributes: WireAttributes | None, *, now_ms: int
) -> str | None:
    """Send the message and keep the letter; says why the queue refused it, if it did."""
    try:
        sent = queues.send_message(tx, queue, body=body, attributes=attributes, now_ms=now_ms)
    except ServiceError as error:
        if letter.kind == "delivery":
            counts.letter_refused(tx, letter.schedule_group, now_ms, code=error.query_code or error.code)
        return f"the dead-letter queue {queue.name} refused it: {error.code}: {error.message}"
    # In a standard queue the message's row is the last that sending inserts.
    dead_letters.put_letter(tx, letter, row_id=tx.last_id(), message_id=sent.message_id, now_ms=now_ms)
    return None


def _fitted(queue: Queue, body: str, attributes: dict[str, str]) -> tuple[str, WireAttributes]:
    """Body and attributes as they fit into the queue together."""
    limit_bytes = queue.number("MaximumMessageSize")
    room = limit_bytes - size_bytes("", _wire(attributes))
    if len(body.encode()) <= room:
        return body, _wire(attributes)
    attributes = {**attributes, "IS_PAYLOAD_TRUNCATED": "true"}
    message = attributes["ERROR_MESSAGE"]
    if room < MIN_BODY_BYTES:
        keep = max(len(message.encode()) - (MIN_BODY_BYTES - room), MIN_MESSAGE_CHARACTERS)
        attributes["ERROR_MESSAGE"] = message.encode()[:keep].decode(errors="ignore")
        room = limit_bytes - size_bytes("", _wire(attributes))
    return body.encode()[: max(room, 1)].decode(errors="ignore"), _wire(attributes)


def _wire(attributes: Mapping[str, str]) -> WireAttributes:
    return {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}


def _item_of(row: ScheduleRow) -> ItemIdentity | None:
    if row.table_id is None or row.partition_key is None or row.sort_key is None:
        return None
    return ItemIdentity(row.table_id, row.partition_key, row.sort_key)
