"""What a request declares of a schedule: checked, its defaults filled in, and shown again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from duestream.clock import from_ms, to_ms
from duestream.core.deliverable import Forwarded, check_target
from duestream.core.schedule_expression import OneTime, Recurring, parse_schedule_expression
from duestream.errors import ValidationException
from duestream.local.store.recurring import Standing, standing
from duestream.local.store.schedules import ScheduleRow

DEFAULT_TIMEZONE = "UTC"
#: Defaults of AWS's (API reference, RetryPolicy).
DEFAULT_RETRY_POLICY = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
MAX_START_AGE = timedelta(minutes=5)

_KEPT_AS_GIVEN = ("Description", "KmsKeyArn")
_MOMENTS = ("StartDate", "EndDate")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One schedule as CreateSchedule or UpdateSchedule asks for it."""

    name: str
    group_name: str
    state: str
    expression: OneTime | Recurring
    #: What GetSchedule shows beside names, state and dates. Moments are milliseconds since 1970.
    body: dict[str, Any]

    @property
    def due_at_ms(self) -> int | None:
        """The moment of a one-time schedule; None: it is recurring."""
        return to_ms(self.expression.due_at) if isinstance(self.expression, OneTime) else None

    def standing(self, row: ScheduleRow | None, *, now_ms: int) -> Standing | None:
        """Where a recurring schedule is to stand that replaces `row`; None: it is one-time.

        A rate counts from its StartDate; without one it runs at once, and counts from now (User Guide, "Rate-based
        schedules"). A StartDate of up to 5 minutes ago is caught up with.
        """
        if isinstance(self.expression, OneTime):
            return None
        anchor_at_ms = self.body.get("StartDate", now_ms)
        if self.expression.keyword == "cron":
            anchor_at_ms = max(anchor_at_ms, now_ms)
        return standing(row, self.body, anchor_at_ms=anchor_at_ms, first_from_ms=anchor_at_ms, now_ms=now_ms)


def declare(
    parameters: Mapping[str, Any], *, region: str, now: datetime, forwarded: Forwarded | None = None
) -> Declaration:
    """Check a request's parameters, of which the model's own constraints hold already.

    What is not given gets AWS's default; nothing of an earlier declaration is kept (UpdateSchedule replaces).

    Raises:
        ValidationException: AWS would refuse it, or this version would not deliver it.
    """
    timezone = parameters.get("ScheduleExpressionTimezone", DEFAULT_TIMEZONE)
    expression = parse_schedule_expression(parameters["ScheduleExpression"], timezone)
    _check_window(parameters["FlexibleTimeWindow"])
    _check_dates(parameters.get("StartDate"), parameters.get("EndDate"), now)
    target = parameters["Target"]
    check_target(target, region=region, forwarded=forwarded)
    _check_dead_letter_config(target.get("DeadLetterConfig"))
    body: dict[str, Any] = {
        "ScheduleExpression": parameters["ScheduleExpression"],
        "ScheduleExpressionTimezone": timezone,
        "FlexibleTimeWindow": parameters["FlexibleTimeWindow"],
        "ActionAfterCompletion": parameters.get("ActionAfterCompletion", "NONE"),
        "Target": {**target, "RetryPolicy": {**DEFAULT_RETRY_POLICY, **target.get("RetryPolicy", {})}},
    }
    for member in _KEPT_AS_GIVEN:
        if member in parameters:
            body[member] = parameters[member]
    for member in _MOMENTS:
        if member in parameters:
            body[member] = to_ms(parameters[member])
    return Declaration(
        name=parameters["Name"],
        group_name=parameters.get("GroupName", "default"),
        state=parameters.get("State", "ENABLED"),
        expression=expression,
        body=body,
    )


def shown(row: ScheduleRow) -> dict[str, Any]:
    """GetSchedule's answer."""
    body = row.body
    for member in _MOMENTS:
        if member in body:
            body[member] = from_ms(body[member])
    return {**body, **_identity(row)}


def summary(row: ScheduleRow) -> dict[str, Any]:
    """One schedule in ListSchedules' answer: no expression and no input, as on AWS."""
    return {**_identity(row), "Target": {"Arn": row.body["Target"]["Arn"]}}


def _identity(row: ScheduleRow) -> dict[str, Any]:
    return {
        "Arn": row.arn,
        "GroupName": row.group_name,
        "Name": row.name,
        "State": row.state,
        "CreationDate": from_ms(row.created_at_ms),
        "LastModificationDate": from_ms(row.last_modified_at_ms),
    }


def _check_window(window: Mapping[str, Any]) -> None:
    """AWS's texts (measured)."""
    has_length = window.get("MaximumWindowInMinutes") is not None
    if window["Mode"] == "OFF" and has_length:
        raise ValidationException(
            "MaximumWindowInMinutes must not be provided when FlexibleTimeWindowMode is set to OFF."
        )
    if window["Mode"] == "FLEXIBLE" and not has_length:
        raise ValidationException(
            "MaximumWindowInMinutes must be provided when FlexibleTimeWindowMode is set to FLEXIBLE"
        )


def _check_dates(start: datetime | None, end: datetime | None, now: datetime) -> None:
    """Check them as AWS does, though a one-time schedule ignores them (API reference)."""
    if start is not None and start < now - MAX_START_AGE:
        raise ValidationException("The StartDate you specify cannot be earlier than 5 minutes ago.")
    if start is not None and end is not None and start >= end:
        raise ValidationException("The StartDate you specify must come before the EndDate.")


def _check_dead_letter_config(config: Mapping[str, Any] | None) -> None:
    """The model has the ARN's form; that FIFO queues are refused is documented, AWS's text is not known."""
    if config is not None and config.get("Arn", "").endswith(".fifo"):
        raise ValidationException("A FIFO queue is not supported as a dead-letter queue of a schedule.")
