"""Schedules that rules asked for, put into the store."""

from datetime import timedelta
from typing import Any

from duestream.clock import to_ms
from duestream.core.schedule import Schedule, at_expression
from duestream.local.store.recurring import standing
from duestream.local.store.schedules import ItemIdentity, Placed, get_schedule, put_schedule
from duestream.local.store.writer import Transaction

#: Moments are cut down to the millisecond; a due time is rounded up, so that nothing is early.
_UP_TO_THE_MILLISECOND = timedelta(microseconds=999)


def put_rule_schedule(tx: Transaction, schedule: Schedule, *, group_id: int, item: ItemIdentity, now_ms: int) -> Placed:
    """Put what the planner asked for on behalf of one item. A recurring one whose series is unchanged goes on where
    it stands."""
    body = body_of(schedule)
    due_at_ms: int | None = to_ms(schedule.due_at + _UP_TO_THE_MILLISECOND)
    anchor_at_ms = None
    if schedule.recurrence is not None:
        assert schedule.anchor_at is not None
        found = standing(
            get_schedule(tx, schedule.group_name, schedule.name),
            body,
            anchor_at_ms=to_ms(schedule.anchor_at + _UP_TO_THE_MILLISECOND),
            first_from_ms=to_ms(schedule.due_at),
            now_ms=now_ms,
        )
        anchor_at_ms, due_at_ms = found.anchor_at_ms, found.due_at_ms
    return put_schedule(
        tx,
        group_id=group_id,
        group_name=schedule.group_name,
        name=schedule.name,
        state="ENABLED",
        due_at_ms=due_at_ms,
        body=body,
        now_ms=now_ms,
        rule=schedule.rule,
        item=item,
        anchor_at_ms=anchor_at_ms,
        catch_up=None if schedule.recurrence is None else schedule.recurrence.catch_up,
    )


def body_of(schedule: Schedule) -> dict[str, Any]:
    """What is kept of a schedule, and shown by GetSchedule, beside its name and state."""
    target: dict[str, Any] = {
        "Arn": schedule.invocation.target_arn,
        "RoleArn": f"arn:aws:iam::000000000000:role/duestream-{schedule.group_name}",
        "Input": schedule.invocation.input,
        "RetryPolicy": {
            "MaximumEventAgeInSeconds": int(schedule.retry.max_age.total_seconds()),
            "MaximumRetryAttempts": schedule.retry.attempts,
        },
    }
    if schedule.dead_letter_queue_arn is not None:
        target["DeadLetterConfig"] = {"Arn": schedule.dead_letter_queue_arn}
    if schedule.invocation.message_group_id is not None:
        target["SqsParameters"] = {"MessageGroupId": schedule.invocation.message_group_id}
    return {
        **_when(schedule),
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": target,
    }


def _when(schedule: Schedule) -> dict[str, Any]:
    recurrence = schedule.recurrence
    if recurrence is None:
        return {"ScheduleExpression": at_expression(schedule.due_at), "ScheduleExpressionTimezone": "UTC"}
    when: dict[str, Any] = {
        "ScheduleExpression": recurrence.expression,
        "ScheduleExpressionTimezone": recurrence.timezone,
    }
    for member, moment in (("StartDate", recurrence.start), ("EndDate", recurrence.end)):
        if moment is not None:
            when[member] = to_ms(moment)
    return when
