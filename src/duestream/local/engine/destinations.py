"""Destinations of Lambda: who is told of invocations and batches that ended, in the transaction that ends them.

A queue gets its message, and a function its event, in that transaction. Topics and event buses are elsewhere: what is
for them is scheduled for now, durably, and so delivered and retried as every schedule is.
"""

import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from duestream.clock import from_ms
from duestream.core.schedule import at_expression
from duestream.core.service_targets import universal_arn
from duestream.errors import ServiceError
from duestream.local.store import functions, queues, schedule_groups, schedules
from duestream.local.store.function_errors import no_function
from duestream.local.store.queue_errors import QueueDoesNotExist
from duestream.local.store.writer import Transaction

logger = logging.getLogger("duestream.functions")

#: The schedules of what is for topics and event buses.
GROUP = "duestream-lambda-destinations"


def tell(
    tx: Transaction,
    arn: str,
    body: str,
    *,
    detail_type: str,
    source_arn: str,
    attributes: Mapping[str, Any] | None = None,
    now_ms: int,
) -> None:
    """Tell a destination. One that is gone, or refuses it, is not told, and the flow log says so.

    Args:
        detail_type: of an event on a bus.
        source_arn: the function's, of the same.
        attributes: message attributes, for a queue.
    """
    try:
        match arn.split(":")[2]:
            case "sqs":
                _send(tx, arn, body, attributes or {}, now_ms)
            case "lambda":
                _invoke(tx, arn, body, now_ms)
            case "sns":
                _schedule(tx, arn, "sns", "publish", {"TopicArn": arn, "Message": body}, now_ms)
            case _:
                entry = {
                    "Source": "lambda",
                    "DetailType": detail_type,
                    "Detail": body,
                    "EventBusName": arn,
                    "Resources": [arn, source_arn],
                }
                _schedule(tx, arn, "eventbridge", "putEvents", {"Entries": [entry]}, now_ms)
    except ServiceError as error:
        facts = {"action": "destination_refused", "target_arn": arn, "reason": error.message or error.code}
        logger.error("a destination was not told", extra=facts)  # noqa: TRY400 - no fault of ours


def _send(tx: Transaction, arn: str, body: str, attributes: Mapping[str, Any], now_ms: int) -> None:
    queue = queues.get_queue(tx.connection, queues.queue_name_of(arn))
    if queue is None:
        raise QueueDoesNotExist
    queues.send_message(tx, queue, body=body, attributes=attributes, now_ms=now_ms)


def _invoke(tx: Transaction, arn: str, body: str, now_ms: int) -> None:
    function = functions.get_function(tx.connection, functions.function_name_of(arn))
    if function is None:
        raise no_function(arn)
    event = functions.checked_event(body.encode(), "Event")
    functions.accept_invocation(tx, function, event, request_id=str(uuid.uuid4()), now_ms=now_ms)


def _schedule(tx: Transaction, arn: str, service: str, action: str, request: Mapping[str, Any], now_ms: int) -> None:
    group = schedule_groups.put_group(tx, GROUP, region=arn.split(":")[3], now_ms=now_ms)
    target = {
        "Arn": universal_arn(service, action),
        "RoleArn": "arn:aws:iam::000000000000:role/duestream-lambda",
        "Input": json.dumps(request, separators=(",", ":")),
    }
    schedules.put_schedule(
        tx,
        group_id=group.id,
        group_name=group.name,
        name=str(uuid.uuid4()),
        state="ENABLED",
        due_at_ms=now_ms,
        body={
            "ScheduleExpression": at_expression(from_ms(now_ms)),
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": target,
        },
        now_ms=now_ms,
    )
