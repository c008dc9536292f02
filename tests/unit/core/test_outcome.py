from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream import Retry
from duestream.core.outcome import (
    Delivery,
    Failure,
    GiveUp,
    RetryAt,
    after_failure,
    backoff,
    called_arn,
    dead_letter_attributes,
)

DUE_AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
REFUSED = Failure("ConnectionRefused", "nobody there")
JITTERS = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("attempt", "full_seconds"), [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (186, 300)]
)
def test_the_wait_is_anything_up_to_a_bound_that_doubles_from_a_second_to_five_minutes(
    attempt: int, full_seconds: int
) -> None:
    full = timedelta(seconds=full_seconds)
    assert backoff(attempt, 0) == timedelta(0)
    assert backoff(attempt, 0.25) == full / 4
    assert full * 0.99 < backoff(attempt, 0.999) < full


def test_what_failed_together_is_spread_over_the_whole_wait() -> None:
    random = Random(1)
    waits = [backoff(4, random.random()) / timedelta(seconds=8) for _ in range(1000)]
    tenths = Counter(int(wait * 10) for wait in waits)
    assert sorted(tenths) == list(range(10))
    assert min(tenths.values()) > 70


@given(st.integers(1, 186), JITTERS, st.integers(0, 100_000))
def test_a_failed_attempt_is_repeated_and_never_after_the_maximum_age(
    attempt: int, jitter: float, late_seconds: int
) -> None:
    retry, now = Retry(), DUE_AT + timedelta(seconds=late_seconds)
    decision = after_failure(Delivery(DUE_AT, attempt, retry), REFUSED, now=now, jitter=jitter)
    match decision:
        case RetryAt(moment):
            assert now <= moment <= DUE_AT + retry.max_age
            assert attempt <= retry.attempts
        case GiveUp(exhausted):
            used_up = attempt > retry.attempts
            assert exhausted == ("MaximumRetryAttempts" if used_up else "MaximumEventAgeInSeconds")
            assert used_up or now >= DUE_AT + retry.max_age


@given(JITTERS, st.integers(0, 10), st.integers(60, 3600))
def test_every_delivery_that_keeps_failing_ends(jitter: float, attempts: int, max_age_seconds: int) -> None:
    retry, now, attempt = Retry(attempts, timedelta(seconds=max_age_seconds)), DUE_AT, 0
    decision: RetryAt | GiveUp = RetryAt(now)
    while isinstance(decision, RetryAt):
        now, attempt = decision.moment, attempt + 1
        assert attempt <= attempts + 1
        decision = after_failure(Delivery(DUE_AT, attempt, retry), REFUSED, now=now, jitter=jitter)
    assert decision.exhausted is not None


def test_the_last_attempt_is_made_as_the_maximum_age_ends() -> None:
    retry = Retry(max_age=timedelta(seconds=60))
    now = DUE_AT + timedelta(seconds=59)  # and up to 64 seconds would follow
    last = DUE_AT + timedelta(seconds=60)
    assert after_failure(Delivery(DUE_AT, 7, retry), REFUSED, now=now, jitter=0.5) == RetryAt(last)
    assert after_failure(Delivery(DUE_AT, 8, retry), REFUSED, now=last, jitter=0) == GiveUp("MaximumEventAgeInSeconds")


def test_no_retries_means_one_attempt() -> None:
    decision = after_failure(Delivery(DUE_AT, 1, Retry(attempts=0)), REFUSED, now=DUE_AT, jitter=0)
    assert decision == GiveUp("MaximumRetryAttempts")


def test_a_permanent_error_is_given_up_at_once_and_nothing_ran_out() -> None:
    failure = Failure("AWS.SimpleQueueService.NonExistentQueue", "no such queue", is_permanent=True)
    assert after_failure(Delivery(DUE_AT, 1, Retry()), failure, now=DUE_AT, jitter=0) == GiveUp(None)


def test_a_dead_letter_carries_awss_attributes() -> None:
    attributes = dead_letter_attributes(
        schedule_arn="arn:aws:scheduler:us-east-1:000000000000:schedule/clinic/reminder-abc",
        target_arn="arn:aws:sqs:us-east-1:000000000000:reminders",
        scheduled_at=DUE_AT.replace(microsecond=5),
        execution_id="0123456789abcdef",
        attempts=6,
        failure=REFUSED,
        exhausted="MaximumRetryAttempts",
    )
    assert attributes == {
        "ERROR_CODE": "ConnectionRefused",
        "ERROR_MESSAGE": "nobody there",
        "EXECUTION_ID": "0123456789abcdef",
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "IS_PAYLOAD_TRUNCATED": "false",
        "RETRY_ATTEMPTS": "5",
        "SCHEDULED_TIME": "2026-11-23T09:30:00Z",
        "SCHEDULE_ARN": "arn:aws:scheduler:us-east-1:000000000000:schedule/clinic/reminder-abc",
        "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
    }


def test_a_dead_letter_can_always_be_sent() -> None:
    attributes = dead_letter_attributes(
        schedule_arn="s",
        target_arn="t",
        scheduled_at=DUE_AT,
        execution_id="e",
        attempts=1,
        failure=Failure("Broken", "\x00" + "x" * 5000),
        exhausted=None,
    )
    assert "EXHAUSTED_RETRY_CONDITION" not in attributes
    assert attributes["ERROR_MESSAGE"].startswith("\N{REPLACEMENT CHARACTER}x")
    assert len(attributes["ERROR_MESSAGE"]) == 1024
    silent = Failure("Broken", "")
    again = dead_letter_attributes(
        schedule_arn="s",
        target_arn="t",
        scheduled_at=DUE_AT,
        execution_id="e",
        attempts=1,
        failure=silent,
        exhausted=None,
    )
    assert again["ERROR_MESSAGE"] == "Broken"


@pytest.mark.parametrize(
    ("target_arn", "called"),
    [
        ("arn:aws:lambda:us-east-1:000000000000:function:f", "arn:aws:scheduler:::aws-sdk:lambda:invoke"),
        (
            "arn:aws-cn:states:cn-north-1:000000000000:stateMachine:s",
            "arn:aws-cn:scheduler:::aws-sdk:sfn:startExecution",
        ),
        ("arn:aws:events:us-east-1:000000000000:event-bus/b", "arn:aws:scheduler:::aws-sdk:eventbridge:putEvents"),
    ],
)
def test_templated_targets_are_named_by_their_call(target_arn: str, called: str) -> None:
    assert called_arn(target_arn) == called


@pytest.mark.parametrize(
    "target_arn",
    [
        "arn:aws:scheduler:::aws-sdk:ses:sendEmail",
        "arn:aws:events:us-east-1:000000000000:api-destination/duestream-http",
    ],
)
def test_other_targets_are_named_as_they_are(target_arn: str) -> None:
    assert called_arn(target_arn) == target_arn
