"""How deliveries end: what a failed attempt is followed by, and what a dead letter says."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from duestream.core.json_text import moment_text
from duestream.core.schedule import Retry
from duestream.core.service_targets import universal_arn
from duestream.core.target import HTTP_DESTINATION
from duestream.core.templated import TEMPLATES

#: The longest first wait; the longest of each further one is twice as long.
FIRST_BACKOFF = timedelta(seconds=1)
MAX_BACKOFF = timedelta(minutes=5)
#: An error's text is cut to this in a dead letter.
MAX_ERROR_MESSAGE_LENGTH = 1024

#: Why no further attempt is made, in AWS's words; permanent errors have none.
RetryCondition = Literal["MaximumRetryAttempts", "MaximumEventAgeInSeconds"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One due schedule on its way to its target.

    Args:
        due_at: the due time, aware; with a flexible time window, the moment in it.
        attempt: number of the present attempt, from 1.
        retry: how long it is tried.
    """

    due_at: datetime
    attempt: int
    retry: Retry


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed.

    Args:
        code: the error's name, AWS's where there is one (``AWS.SimpleQueueService.NonExistentQueue``).
        message: what it said.
        is_permanent: trying again cannot help.
    """

    code: str
    message: str
    is_permanent: bool = False


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this moment."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Make no further attempt. `exhausted` is what ran out; None after a permanent error."""

    exhausted: RetryCondition | None


def after_failure(delivery: Delivery, failure: Failure, *, now: datetime, jitter: float) -> RetryAt | GiveUp:
    """What follows a failed attempt.

    Args:
        delivery: with the number of the attempt that failed.
        failure: how it failed.
        now: the present moment, aware.
        jitter: a random number from 0 to under 1.

    Returns:
        The moment of the next attempt, at the latest the end of the maximum event age, counted from the due
        time; or that there is none. The first attempt is always made, so a delivery that was due while the
        engine was down is tried once however old it is.
    """
    if failure.is_permanent:
        return GiveUp(None)
    if delivery.attempt > delivery.retry.attempts:
        return GiveUp("MaximumRetryAttempts")
    last_moment = delivery.due_at + delivery.retry.max_age
    if now >= last_moment:
        return GiveUp("MaximumEventAgeInSeconds")
    return RetryAt(min(now + backoff(delivery.attempt, jitter), last_moment))


def backoff(attempt: int, jitter: float) -> timedelta:
    """How long to wait after this attempt: anything up to a second at random, then up to twice as long each time, and
    never longer than 5 minutes.

    Deliveries that failed together are spread over the whole wait, and not tried again together. AWS says that
    Scheduler uses "exponential backoff" and publishes no intervals; this is what its builders advise, called "full
    jitter": https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Args:
        attempt: number of the failed attempt, from 1.
        jitter: a random number from 0 to under 1.
    """
    return min(FIRST_BACKOFF * (1 << min(attempt - 1, 30)), MAX_BACKOFF) * jitter


def dead_letter_attributes(
    *,
    schedule_arn: str,
    target_arn: str,
    scheduled_at: datetime,
    execution_id: str,
    attempts: int,
    failure: Failure,
    exhausted: RetryCondition | None,
    is_payload_truncated: bool = False,
) -> dict[str, str]:
    """The message attributes of a dead letter, all of type String.

    Source of names and forms: EventBridge Scheduler User Guide, "Configuring a dead-letter queue".

    Args:
        schedule_arn: the schedule's.
        target_arn: the target's; templated ones are named by the call they stand for.
        scheduled_at: the due time, aware.
        execution_id: 16 hexadecimal digits.
        attempts: all attempts made, the first included.
        failure: how the last attempt failed.
        exhausted: what ran out; None after a permanent error, and then there is no such attribute.
        is_payload_truncated: the body was cut to SQS's limit.
    """
    attributes = {
        "ERROR_CODE": failure.code,
        "ERROR_MESSAGE": _sendable(failure.message) or failure.code,
        "EXECUTION_ID": execution_id,
        "IS_PAYLOAD_TRUNCATED": "true" if is_payload_truncated else "false",
        "RETRY_ATTEMPTS": str(max(attempts - 1, 0)),
        "SCHEDULED_TIME": moment_text(scheduled_at.replace(microsecond=0)),
        "SCHEDULE_ARN": schedule_arn,
        "TARGET_ARN": called_arn(target_arn),
    }
    if exhausted is not None:
        attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
    return attributes


def called_arn(target_arn: str) -> str:
    """A target ARN in its universal form: a queue's is ``arn:aws:scheduler:::aws-sdk:sqs:sendMessage``."""
    parts = target_arn.split(":", 5)
    if len(parts) < 6 or parts[2] not in TEMPLATES or parts[5] == HTTP_DESTINATION:
        return target_arn
    service, action = TEMPLATES[parts[2]].call
    return universal_arn(service, action, parts[1])


def _sendable(text: str) -> str:
    """Without what SQS refuses in a message."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)[
        :MAX_ERROR_MESSAGE_LENGTH
    ]
