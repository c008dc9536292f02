"""Requests: what EventBridge Scheduler is told of a schedule. Pure.

UpdateSchedule replaces everything and sets what is left out to a default, so the whole body is always given, and the
same one to CreateSchedule.

What AWS does with an ``at()`` in the past is not documented, so none is ever sent: a moment that is past, or nearer
than `LEAD`, becomes `LEAD` from now. The same holds for the first occurrence of a rate.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from duestream.core.json_text import json_text, moment_text
from duestream.core.recurrence import ON_TIME, Rate, Recurrence, Series
from duestream.core.rule import Rule, when_due_function
from duestream.core.schedule import Schedule, at_expression, whole_second
from duestream.core.schedule_expression import series_of
from duestream.core.target import HTTP_DESTINATION, SCHEDULED_TIME

#: How far ahead a moment must be to be sent as it is: enough for the call, its retries and clocks that disagree.
LEAD = timedelta(seconds=5)

_NAME_HASH_LENGTH = 21  # "-" and 20 digits, before the number of the target
_SECOND = timedelta(seconds=1)


def schedule_request(
    schedule: Schedule,
    *,
    rule: Rule | None,
    execution_role_arn: str,
    when_due_arn: str,
    now: datetime | None = None,
) -> dict[str, Any]:
    """The whole body of CreateSchedule and UpdateSchedule, as boto3 takes it.

    Args:
        schedule: as the rule asked for it.
        rule: the rule; None: unknown, and taken for one that is not guarded.
        execution_role_arn: the role that EventBridge Scheduler assumes.
        when_due_arn: the due function, which is invoked in place of what Scheduler cannot do itself.
        now: the present moment, aware: nothing is sent that is nearer than `LEAD`. None: the moments as they were
            asked for, to compare with or to show.

    Raises:
        ValidationException: the expression of a recurring schedule cannot be read.
    """
    return {
        "Name": schedule.name,
        "GroupName": schedule.group_name,
        **_when(schedule, now),
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "ActionAfterCompletion": "DELETE",
        "Target": _target(schedule, rule, execution_role_arn, when_due_arn),
    }


def next_occurrence_at(schedule: Schedule, now: datetime) -> datetime | None:
    """The next time that a recurring schedule is due, from `LEAD` after now on; None: never again.

    Raises:
        ValidationException: the expression cannot be read.
    """
    assert schedule.recurrence is not None
    return _series(schedule).first_from(now + LEAD)


def is_rate_from_when_written(schedule: Schedule) -> bool:
    """Whether it is a rate that counts from no moment that the item names, but from when it was written.

    Raises:
        ValidationException: the expression cannot be read.
    """
    recurrence = schedule.recurrence
    return recurrence is not None and recurrence.start is None and isinstance(_series(schedule).recurs, Rate)


def continued_rate(request: dict[str, Any], standing: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    """The request as an update of the schedule that stands: the same rate goes on where it does.

    UpdateSchedule with another StartDate would begin anew: a put that is repeated would be delivered again.

    Args:
        request: made by `schedule_request`.
        standing: GetSchedule's answer; None: it was not asked for, or there is none.
        now: the present moment.
    """
    counts_from = None if standing is None else standing.get("StartDate")
    if standing is None or counts_from is None:
        return request
    if standing["ScheduleExpression"] != request["ScheduleExpression"]:
        return request
    recurrence = Recurrence(request["ScheduleExpression"], "UTC", counts_from.astimezone(UTC), request.get("EndDate"))
    start = series_of(recurrence, written_at=now).first_from(now)
    return request if start is None else {**request, "StartDate": start}


def is_carried_by_due_function(schedule: Schedule, rule: Rule | None) -> bool:
    """Whether Scheduler invokes the due function for it: code of the rule's own, a guarded rule, or HTTP."""
    if rule is not None and rule.guarded:
        return True
    function = f":function:{when_due_function(schedule.group_name)}"
    return schedule.invocation.target_arn.endswith((function, f":{HTTP_DESTINATION}"))


def target_number(schedule: Schedule) -> int:
    """Which of its rule's targets a schedule is for, from 0, as its name says."""
    ending = schedule.name[len(schedule.rule) + _NAME_HASH_LENGTH :]
    return int(ending[1:]) - 1 if ending else 0


def _when(schedule: Schedule, now: datetime | None) -> dict[str, Any]:
    recurrence = schedule.recurrence
    if recurrence is None:
        earliest = schedule.due_at if now is None else max(schedule.due_at, now + LEAD)
        return {"ScheduleExpression": at_expression(earliest), "ScheduleExpressionTimezone": "UTC"}
    request: dict[str, Any] = {
        "ScheduleExpression": recurrence.expression,
        "ScheduleExpressionTimezone": recurrence.timezone,
    }
    start = recurrence.start if now is None else _start(schedule, now)
    if start is not None:
        request["StartDate"] = start = whole_second(start.astimezone(UTC))
    if recurrence.end is not None:
        end = whole_second(recurrence.end.astimezone(UTC))
        # "The StartDate you specify must come before the EndDate."
        request["EndDate"] = end if start is None or end > start else start + _SECOND
    return request


def _start(schedule: Schedule, now: datetime) -> datetime | None:
    """The StartDate; AWS refuses one that is older than five minutes, and counts a rate from it."""
    assert schedule.recurrence is not None
    series = _series(schedule)
    if not isinstance(series.recurs, Rate):
        start = schedule.recurrence.start
        return start if start is not None and start > now + LEAD else None
    begins_when_written = schedule.recurrence.start is None
    if begins_when_written and now - series.start <= ON_TIME:
        return max(series.start, now + LEAD)
    return series.first_from(now + LEAD)


def _series(schedule: Schedule) -> Series:
    assert schedule.recurrence is not None
    return series_of(schedule.recurrence, written_at=schedule.anchor_at or schedule.due_at)


def _target(schedule: Schedule, rule: Rule | None, execution_role_arn: str, when_due_arn: str) -> dict[str, Any]:
    invocation = schedule.invocation
    target: dict[str, Any] = {"RoleArn": execution_role_arn}
    if is_carried_by_due_function(schedule, rule):
        target |= {"Arn": when_due_arn, "Input": _due_input(schedule)}
    else:
        target |= {"Arn": invocation.target_arn, "Input": invocation.input}
        if invocation.message_group_id is not None:
            target["SqsParameters"] = {"MessageGroupId": invocation.message_group_id}
    target["RetryPolicy"] = {
        "MaximumEventAgeInSeconds": schedule.retry.max_age // _SECOND,
        "MaximumRetryAttempts": schedule.retry.attempts,
    }
    if schedule.dead_letter_queue_arn is not None:
        target["DeadLetterConfig"] = {"Arn": schedule.dead_letter_queue_arn}
    return target


def _due_input(schedule: Schedule) -> str:
    """What the due function is told. It reads the item itself, and asks the rule again."""
    return json_text(
        {
            "Rule": schedule.rule,
            "Table": schedule.table_name,
            "Key": schedule.key,
            "DueAt": SCHEDULED_TIME if schedule.recurrence is not None else moment_text(schedule.due_at),
            "Schedule": schedule.name,
            "Target": target_number(schedule),
        }
    )
