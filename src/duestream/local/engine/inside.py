"""Targets inside this engine: queues, the mailbox, tables.

Each is carried out in the transaction that completes the schedule, so each delivery happens exactly
once, whatever happens to the process.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from duestream.core.attributes import normalize_item
from duestream.core.email import (
    MAX_SIZE_BYTES,
    MAX_SIZE_BYTES_V2,
    OutgoingEmail,
    check_size,
    from_send_email,
    from_send_email_v2,
)
from duestream.core.email_template import EmailTemplate, from_send_templated_email, without_template
from duestream.core.expression import Condition, Placeholders, parse_condition, parse_update
from duestream.errors import ResourceNotFoundException
from duestream.local.engine.call import Attempt
from duestream.local.store import email_templates, emails, functions, items, queues, tables
from duestream.local.store.function_errors import no_function
from duestream.local.store.queue_errors import QueueDoesNotExist
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

InsideTarget = Callable[[Transaction, Mapping[str, Any], Attempt], None]


def send_message(tx: Transaction, parameters: Mapping[str, Any], attempt: Attempt) -> None:
    """SQS SendMessage. `QueueUrl` may be the queue's URL, its ARN or its bare name."""
    name = str(parameters.get("QueueUrl", "")).rpartition("/")[2].rpartition(":")[2]
    queue = tx.looked_up.get(("queue", name))
    if queue is None:
        queue = tx.looked_up["queue", name] = queues.get_queue(tx.connection, name)
    if queue is None:
        raise QueueDoesNotExist
    queues.accept_message(
        tx,
        queue,
        body=str(parameters.get("MessageBody", "")),
        attributes=parameters.get("MessageAttributes"),
        system_attributes=parameters.get("MessageSystemAttributes"),
        delay_seconds=parameters.get("DelaySeconds"),
        group_id=parameters.get("MessageGroupId"),
        deduplication_id=parameters.get("MessageDeduplicationId")
        or (attempt.delivery_id if queue.is_fifo and queue.attributes["ContentBasedDeduplication"] != "true" else None),
        now_ms=attempt.now_ms,
    )


def send_email(tx: Transaction, parameters: Mapping[str, Any], attempt: Attempt) -> None:
    """SES SendEmail, into the mailbox."""
    emails.add_email(tx, stored_email(outgoing_email(tx, "ses", "sendEmail", parameters), attempt))


def send_templated_email(tx: Transaction, parameters: Mapping[str, Any], attempt: Attempt) -> None:
    """SES SendTemplatedEmail, into the mailbox."""
    emails.add_email(tx, stored_email(outgoing_email(tx, "ses", "sendTemplatedEmail", parameters), attempt))


def send_email_v2(tx: Transaction, parameters: Mapping[str, Any], attempt: Attempt) -> None:
    """SES v2 SendEmail, into the mailbox."""
    emails.add_email(tx, stored_email(outgoing_email(tx, "sesv2", "sendEmail", parameters), attempt))


def outgoing_email(tx: Transaction, service: str, action: str, parameters: Mapping[str, Any]) -> OutgoingEmail:
    """The email that a request asks for; a template is rendered as it is now.

    Raises:
        ServiceError: SES would not take it.
    """

    def lookup(name: str) -> EmailTemplate | None:
        stored = email_templates.get_template(tx, name)
        return None if stored is None else stored.template

    if action == "sendTemplatedEmail":
        parameters = from_send_templated_email(parameters, lookup)
    elif service == "sesv2":
        parameters = without_template(parameters, lookup)
    email = from_send_email(parameters) if service == "ses" else from_send_email_v2(parameters)
    check_size(email, MAX_SIZE_BYTES if service == "ses" else MAX_SIZE_BYTES_V2)
    return email


def stored_email(email: OutgoingEmail, attempt: Attempt) -> emails.StoredEmail:
    """The mailbox's copy of what a schedule sent."""
    return emails.stored_email(email, region=attempt.region, sent_at_ms=attempt.now_ms, delivery_id=attempt.delivery_id)


def put_item(tx: Transaction, parameters: Mapping[str, Any], attempt: Attempt) -> None:
    """DynamoDB PutItem."""
    table, placeholders = _table(tx, parameters), _placeholders(parameters)
    condition = _condition(parameters, placeholders)
    item = normalize_item(parameters.get("Item"))
    placeholders.check_all_used()
    items.put_item(tx, table, item, condition=condition, now_ms=attempt.now_ms)


def update_item(tx: Transaction, parameters: Mapping[str, Any], attempt: Attempt) -> None:
    """DynamoDB UpdateItem."""
    table, placeholders = _table(tx, parameters), _placeholders(parameters)
    text = parameters.get("UpdateExpression")
    update = parse_update(text, placeholders) if text is not None else None
    condition = _condition(parameters, placeholders)
    key = normalize_item(parameters.get("Key"))
    placeholders.check_all_used()
    items.update_item(tx, table, key, update=update, condition=condition, now_ms=attempt.now_ms)


def delete_item(tx: Transaction, parameters: Mapping[str, Any], attempt: Attempt) -> None:
    """DynamoDB DeleteItem."""
    table, placeholders = _table(tx, parameters), _placeholders(parameters)
    condition = _condition(parameters, placeholders)
    key = normalize_item(parameters.get("Key"))
    placeholders.check_all_used()
    items.delete_item(tx, table, key, condition=condition, now_ms=attempt.now_ms)


def _table(tx: Transaction, parameters: Mapping[str, Any]) -> Table:
    name = str(parameters.get("TableName", "")).rpartition("/")[2]
    table = tables.get_table(tx.connection, name)
    if table is None or table.status != "ACTIVE":
        raise ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
    return table


def _placeholders(parameters: Mapping[str, Any]) -> Placeholders:
    return Placeholders(parameters.get("ExpressionAttributeNames"), parameters.get("ExpressionAttributeValues"))


def _condition(parameters: Mapping[str, Any], placeholders: Placeholders) -> Condition | None:
    text = parameters.get("ConditionExpression")
    return None if text is None else parse_condition(text, placeholders)


def invoke(tx: Transaction, parameters: Mapping[str, Any], attempt: Attempt) -> None:
    """Lambda Invoke: the event is accepted here; what becomes of it is not this delivery's matter."""
    given = str(parameters.get("FunctionName", ""))
    name = functions.function_name_of(given)
    function = functions.get_function(tx.connection, name)
    if function is None or parameters.get("Qualifier", "$LATEST") != "$LATEST":
        raise no_function(given)
    payload = parameters.get("Payload", "")
    text = payload if isinstance(payload, str) else json.dumps(payload)
    event = functions.checked_event(text.encode(), "Event")
    request_id = str(uuid.UUID(hex=attempt.delivery_id))
    if parameters.get("InvocationType") != "DryRun":
        functions.accept_invocation(tx, function, event, request_id=request_id, now_ms=attempt.now_ms)


INSIDE: Mapping[tuple[str, str], InsideTarget] = {
    ("sqs", "sendMessage"): send_message,
    ("ses", "sendEmail"): send_email,
    ("ses", "sendTemplatedEmail"): send_templated_email,
    ("sesv2", "sendEmail"): send_email_v2,
    ("lambda", "invoke"): invoke,
    ("dynamodb", "putItem"): put_item,
    ("dynamodb", "updateItem"): update_item,
    ("dynamodb", "deleteItem"): delete_item,
}
