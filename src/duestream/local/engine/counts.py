"""What of deliveries is counted, under AWS's names and ours; each in the transaction of what it counts.

Source of AWS's names: EventBridge Scheduler User Guide, "Monitoring with Amazon CloudWatch". Successes are attempts
less errors there; a delivery that found nothing to do any more counts as `Skipped`, and not as an attempt.
"""

from collections.abc import Mapping

from duestream.core.outcome import Failure
from duestream.local.engine.call import Attempt
from duestream.local.store.metrics import LATENESS, count
from duestream.local.store.schedules import ScheduleRow
from duestream.local.store.writer import Transaction

#: Errors by which targets say that they are called too often.
THROTTLING_CODES = frozenset(
    {
        "429",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)


def attempted(tx: Transaction, row: ScheduleRow, attempt: Attempt) -> None:
    """The target is called, or was."""
    count(tx, "InvocationAttemptCount", group_name=row.group_name, now_ms=attempt.now_ms)


def delivered(tx: Transaction, row: ScheduleRow, attempt: Attempt) -> None:
    """The target has it."""
    count(tx, "Delivered", group_name=row.group_name, now_ms=attempt.now_ms)
    late_ms = max(0, attempt.now_ms - row.begins_at_ms)
    count(tx, LATENESS, group_name=row.group_name, now_ms=attempt.now_ms, value=late_ms)


def delivered_at_first(tx: Transaction, delivered: Mapping[tuple[str, int], int], now_ms: int) -> None:
    """Targets were called now, and have it: schedule group and milliseconds late to how many."""
    groups: dict[str, int] = {}
    for (group_name, late_ms), times in delivered.items():
        groups[group_name] = groups.get(group_name, 0) + times
        for _ in range(times):  # each is a sample of its own
            count(tx, LATENESS, group_name=group_name, now_ms=now_ms, value=late_ms)
    for group_name, times in groups.items():
        count(tx, "InvocationAttemptCount", group_name=group_name, now_ms=now_ms, value=times)
        count(tx, "Delivered", group_name=group_name, now_ms=now_ms, value=times)


def failed(tx: Transaction, row: ScheduleRow, attempt: Attempt, failure: Failure) -> None:
    """An attempt failed."""
    count(tx, "TargetErrorCount", group_name=row.group_name, now_ms=attempt.now_ms)
    if failure.code in THROTTLING_CODES:
        count(tx, "TargetErrorThrottledCount", group_name=row.group_name, now_ms=attempt.now_ms)


def given_up(tx: Transaction, row: ScheduleRow, attempt: Attempt) -> None:
    """No further attempt is made, whether or not there is a dead-letter queue."""
    count(tx, "InvocationDroppedCount", group_name=row.group_name, now_ms=attempt.now_ms)


def skipped(tx: Transaction, group_name: str, now_ms: int) -> None:
    """There was nothing to deliver any more, or it was past due and the rule passes over that."""
    count(tx, "Skipped", group_name=group_name, now_ms=now_ms)


def missed(tx: Transaction, group_name: str, now_ms: int, occurrences: int) -> None:
    """So many occurrences of a recurring schedule were passed over, because nothing could be delivered in time."""
    count(tx, "Missed", group_name=group_name, now_ms=now_ms, value=occurrences)


def redriven(tx: Transaction, group_name: str, now_ms: int) -> None:
    """A dead letter was sent on its way again."""
    count(tx, "Redriven", group_name=group_name, now_ms=now_ms)


def letter_sent(tx: Transaction, group_name: str, now_ms: int, *, is_truncated: bool) -> None:
    """What was given up stands in its dead-letter queue."""
    count(tx, "InvocationsSentToDeadLetterCount", group_name=group_name, now_ms=now_ms)
    if is_truncated:
        name = "InvocationsSentToDeadLetterCount_Truncated_MessageSizeExceeded"
        count(tx, name, group_name=group_name, now_ms=now_ms)


def letter_refused(tx: Transaction, group_name: str, now_ms: int, *, code: str) -> None:
    """The dead-letter queue that is set did not take it."""
    count(tx, "InvocationsFailedToBeSentToDeadLetterCount", group_name=group_name, now_ms=now_ms)
    count(tx, f"InvocationsFailedToBeSentToDeadLetterCount_{code}", group_name=group_name, now_ms=now_ms)
