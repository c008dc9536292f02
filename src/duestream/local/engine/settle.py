"""How a delivery ends, in one transaction with whatever else that means: retry, dead letter, completion."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from duestream.clock import from_ms, to_ms
from duestream.core.outcome import Delivery, Failure, GiveUp, RetryAt, after_failure
from duestream.core.schedule import Retry
from duestream.errors import DeliveryError, ServiceError
from duestream.local.engine import counts
from duestream.local.engine.call import Attempt
from duestream.local.engine.letters import put_delivery_letter
from duestream.local.store import outcomes, recurring, schedules
from duestream.local.store.outcomes import OutcomeKind
from duestream.local.store.schedules import ScheduleRow
from duestream.local.store.writer import Transaction

#: Refusals that another try cannot mend. AWS publishes no list; anything not here is tried again, so that a
#: queue or table that is made later still gets what was meant for it.
PERMANENT_CODES = frozenset(
    {
        "ConditionalCheckFailedException",
        "InvalidMessageContents",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "InvalidRenderingParameterException",
        "InvalidTemplateException",
        "InvalidRequestContentException",
        "RequestTooLargeException",
        "MessageRejected",
        "MessageTooLong",
        "MissingRenderingAttributeException",
        "MissingRequiredParameterException",
        "ValidationException",
    }
)


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What became of one attempt: an outcome, or (`retry_at_ms`) another attempt."""

    row: ScheduleRow
    attempt: Attempt
    kind: OutcomeKind | None
    reason: str | None = None
    retry_at_ms: int | None = None


def attempt_of(row: ScheduleRow, *, number: int, now_ms: int) -> Attempt:
    """The facts of an attempt at this schedule's present occurrence."""
    assert row.due_at_ms is not None
    arn = row.arn
    return Attempt(
        schedule_arn=arn,
        delivery_id=schedules.delivery_id(arn, row.due_at_ms, row.occurrence_of or row.id, row.version),
        region=row.region,
        due_at_ms=row.due_at_ms,
        number=number,
        now_ms=now_ms,
    )


def failure_of(error: Exception) -> Failure:
    """What an error says about trying again."""
    match error:
        case DeliveryError():
            return Failure(error.code, error.message, is_permanent=not error.retryable)
        case ServiceError():
            return Failure(error.query_code or error.code, error.message, is_permanent=error.code in PERMANENT_CODES)
        case _:
            return Failure(type(error).__name__, str(error) or type(error).__name__)


def settle_success(tx: Transaction, row: ScheduleRow, attempt: Attempt) -> Settled:
    """The target has it."""
    counts.delivered(tx, row, attempt)
    return _complete(tx, row, attempt, "delivered", None)


def settle_skip(tx: Transaction, row: ScheduleRow, attempt: Attempt, reason: str) -> Settled:
    """There was nothing to do any more."""
    counts.skipped(tx, row.group_name, attempt.now_ms)
    return _complete(tx, row, attempt, "skipped", reason)


def settle_failure(
    tx: Transaction,
    row: ScheduleRow,
    attempt: Attempt,
    error: Exception,
    *,
    parameters: Mapping[str, Any],
    jitter: float,
) -> Settled:
    """Try again later, or give up into the dead-letter queue; without one it is dropped, and recorded so.

    Args:
        parameters: the request that the target did not take; the body of the dead letter.
        jitter: at random from [0, 1).
    """
    failure = failure_of(error)
    counts.failed(tx, row, attempt, failure)
    reason = f"{failure.code}: {failure.message}"
    delivery = Delivery(from_ms(row.begins_at_ms), attempt.number, _retry_of(row))
    match after_failure(delivery, failure, now=from_ms(attempt.now_ms), jitter=jitter):
        case RetryAt(moment):
            at_ms = to_ms(moment)
            if isinstance(error, DeliveryError) and error.retry_after is not None:
                at_ms = max(at_ms, attempt.now_ms + int(error.retry_after * 1000))
            at_ms = max(at_ms, row.begins_at_ms)  # also where the clock was set back during the attempt
            row = recurring.set_apart(tx, row)  # so that the next occurrence does not wait for this one
            schedules.retry(tx, row, attempts=attempt.number, at_ms=at_ms, failure=reason)
            return Settled(row, attempt, None, reason, at_ms)
        case GiveUp() as decision:
            counts.given_up(tx, row, attempt)
            problem = put_delivery_letter(tx, row, attempt, failure, decision, parameters)
            if problem is None:
                return _complete(tx, row, attempt, "dead_lettered", reason)
            return _complete(tx, row, attempt, "dropped", f"{reason}; {problem}")


def _retry_of(row: ScheduleRow) -> Retry:
    policy = row.body["Target"].get("RetryPolicy", {})
    default = Retry()
    return Retry(
        attempts=policy.get("MaximumRetryAttempts", default.attempts),
        max_age=timedelta(seconds=policy.get("MaximumEventAgeInSeconds", default.max_age.total_seconds())),
    )


def _complete(tx: Transaction, row: ScheduleRow, attempt: Attempt, kind: OutcomeKind, reason: str | None) -> Settled:
    outcome = outcome_of(row, attempt, kind, reason, row.body["Target"]["Arn"])
    schedules.complete(tx, row, outcome)
    return Settled(row, attempt, kind, outcome.reason)


def outcome_of(
    row: ScheduleRow, attempt: Attempt, kind: OutcomeKind, reason: str | None, target_arn: str
) -> outcomes.Outcome:
    """What is recorded of a delivery that has ended."""
    if row.redrives is not None:
        reason = "; ".join(filter(None, (reason, f"redrives delivery {row.redrives}")))
    return outcomes.Outcome(
        kind, attempt.delivery_id, target_arn, attempt.due_at_ms, attempt.now_ms, attempt.number, reason
    )
