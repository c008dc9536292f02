"""What follows a failed attempt of the due function: a schedule of itself for the next one, or a dead letter.

Scheduler invokes Lambda asynchronously, so it takes every due delivery for made as soon as Lambda has the event: the
rule's `Retry` is for the due function to carry out.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from duestream.aws.due_work import DueAttempt, DueWork
from duestream.aws.requests import LEAD
from duestream.core.dead_letter import letter_json
from duestream.core.json_text import json_text
from duestream.core.outcome import Failure, GiveUp, dead_letter_attributes
from duestream.core.planner import schedule_dead_letter_queue
from duestream.core.schedule import at_expression

#: A message's body and attributes together (SQS; 1 MiB since 2025, and that may not be so everywhere yet).
MAX_MESSAGE_BYTES = 262_144
#: What the attributes of a dead letter have at most.
_ATTRIBUTES_BYTES = 16_384
#: The due function's event, beside AWS's own nine attributes; SQS allows ten. It says which item it was, and with a
#: ``Redrive`` in it the function makes the delivery once more.
EVENT_ATTRIBUTE = "DUE_FUNCTION_EVENT"


class Afterwards:
    """Puts retry schedules and dead letters.

    Args:
        client: boto3's client of a service by name; asked for with the first failure, since most functions see none.
        app_name: the app, which is also the schedule group.
        execution_role_arn: the role that Scheduler assumes.
        when_due_arn: the due function.
        dead_letter_queue_arn: of the schedule-side queue, for a retry that Scheduler cannot hand over.
        dead_letter_queue_url: its URL.
    """

    def __init__(
        self,
        client: Callable[[str], Any],
        *,
        app_name: str,
        execution_role_arn: str,
        when_due_arn: str,
        dead_letter_queue_arn: str,
        dead_letter_queue_url: str,
    ) -> None:
        self._client = client
        self._app_name, self._role_arn, self._function_arn = app_name, execution_role_arn, when_due_arn
        self._queue_arn, self._queue_url = dead_letter_queue_arn, dead_letter_queue_url

    def ask_again(self, work: DueWork, attempt: int, *, at: datetime, now: datetime) -> None:
        """Have the due function invoked for that attempt; asking twice is asking once.

        Args:
            work: the delivery.
            attempt: the number of the attempt to be made.
            at: when; not nearer than a few seconds.
            now: the present moment.
        """
        asked = replace(work, attempt=attempt, failure=None)
        request = {
            "Name": asked.retry_schedule,
            "GroupName": self._app_name,
            "ScheduleExpression": at_expression(max(at, now + LEAD)),
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "ENABLED",
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": self._function_arn,
                "RoleArn": self._role_arn,
                "Input": json_text(asked.lambda_event()),
                "DeadLetterConfig": {"Arn": self._queue_arn},
            },
        }
        scheduler = self._client("scheduler")
        try:
            scheduler.create_schedule(**request)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConflictException":
                raise
            scheduler.update_schedule(**request)

    def give_up(
        self,
        work: DueWork,
        attempt: DueAttempt,
        target_arn: str,
        parameters: Mapping[str, Any],
        failure: Failure,
        decision: GiveUp,
    ) -> None:
        """Put the delivery into the schedule-side dead-letter queue.

        Args:
            work: the delivery.
            attempt: the last one.
            target_arn: what was to be invoked.
            parameters: the request that it did not take: the body.
            failure: how the last attempt failed.
            decision: why there is no further one.
        """
        body = letter_json(dict(parameters))
        room = MAX_MESSAGE_BYTES - _ATTRIBUTES_BYTES
        is_cut = len(body.encode()) > room
        attributes = dead_letter_attributes(
            schedule_arn=attempt.schedule_arn,
            target_arn=target_arn,
            scheduled_at=attempt.due_at,
            execution_id=attempt.execution_id,
            attempts=attempt.number,
            failure=failure,
            exhausted=decision.exhausted,
            is_payload_truncated=is_cut,
        )
        attributes[EVENT_ATTRIBUTE] = letter_json(replace(work, attempt=1, failure=None).lambda_event())
        self._client("sqs").send_message(
            QueueUrl=self._queue_url,
            MessageBody=body.encode()[:room].decode("utf-8", "ignore") if is_cut else body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )


def dead_letter_queue_url(stream_dead_letter_queue_url: str, app_name: str) -> str:
    """The URL of the schedule-side queue, from that of the stream-side one: both are in one place."""
    return queue_url_prefix(stream_dead_letter_queue_url) + schedule_dead_letter_queue(app_name)


def queue_url_prefix(queue_url: str) -> str:
    """What stands before the name in URLs of queues in the same place."""
    return queue_url.rpartition("/")[0] + "/"


def later(moment: datetime, *, seconds: float | None, now: datetime) -> datetime:
    """The moment, or so many seconds from now if that is later."""
    return moment if seconds is None else max(moment, now + timedelta(seconds=seconds))
