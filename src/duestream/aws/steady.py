"""Puts and deletes of schedules that are made until they are done, or time is up. All of them may be repeated.

A put is CreateSchedule, and where there is one of that name, UpdateSchedule with the same whole body; where that one
has gone meanwhile (it was delivered, and deleted itself), CreateSchedule again. Where the plan says that a schedule
should be there, it begins with UpdateSchedule, which saves a call. A delete is fine with none there.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from duestream.aws.failures import CallError, Meaning
from duestream.aws.pace import Patience
from duestream.aws.requests import continued_rate, is_rate_from_when_written, next_occurrence_at, schedule_request
from duestream.aws.schedules import Schedules
from duestream.core.rule import Rule
from duestream.core.schedule import Schedule

#: A schedule that is there when it is created and gone when it is updated, so many times over, is no coincidence.
MAX_TURNS = 20


class SteadySchedules:
    """Schedules of one app. May be used by several threads.

    Args:
        schedules: where they are kept.
        patience: makes calls again.
        execution_role_arn: the role that EventBridge Scheduler assumes.
        when_due_arn: the due function.
        now: tells the present moment.
    """

    def __init__(
        self,
        schedules: Schedules,
        patience: Patience,
        *,
        execution_role_arn: str,
        when_due_arn: str,
        now: Callable[[], datetime],
    ) -> None:
        self._schedules, self._patience, self._now = schedules, patience, now
        self._execution_role_arn, self._when_due_arn = execution_role_arn, when_due_arn

    def put(self, schedule: Schedule, rule: Rule | None, *, deadline: float, is_there: bool = False) -> bool:
        """Create or replace it; False: it would never be due again, so that it was deleted.

        Args:
            schedule: as the rule asked for it.
            rule: the rule.
            deadline: by the patience's stopwatch.
            is_there: there should be one of that name; only a hint.

        Raises:
            CallError: it is not known to be done.
        """
        is_rate = is_rate_from_when_written(schedule)
        call: Literal["create", "update"] = "update" if is_there and not is_rate else "create"
        for _ in range(MAX_TURNS):
            if schedule.recurrence is not None and next_occurrence_at(schedule, self._now()) is None:
                self.delete(schedule.group_name, schedule.name, deadline=deadline)
                return False
            try:
                self._put_once(schedule, rule, call, deadline, keeps_phase=is_rate)
            except CallError as error:
                if call == "create" and error.meaning is Meaning.CONFLICT:
                    call = "update"
                elif call == "update" and error.meaning is Meaning.MISSING:
                    call = "create"
                else:
                    raise
            else:
                return True
        raise CallError("ConflictException", f"{schedule.name} is neither there nor not there")

    def delete(self, group_name: str, name: str, *, deadline: float) -> bool:
        """Delete it; False: there was none.

        Raises:
            CallError: it is not known to be done.
        """
        return self._patience.made(
            lambda seconds: self._schedules.delete(group_name, name, seconds=seconds),
            deadline=deadline,
            is_conflict_passing=True,
        )

    def group_made_at(self, group_name: str, *, deadline: float) -> datetime | None:
        """Since when there is the group; None: nobody says.

        Raises:
            CallError: it is not known.
        """
        return self._patience.made(
            lambda seconds: self._schedules.group_made_at(group_name, seconds=seconds), deadline=deadline
        )

    def _put_once(
        self,
        schedule: Schedule,
        rule: Rule | None,
        call: Literal["create", "update"],
        deadline: float,
        *,
        keeps_phase: bool,
    ) -> None:
        standing: dict[str, Any] | None = None
        if call == "update" and keeps_phase:
            standing = self._patience.made(
                lambda seconds: self._schedules.get(schedule.group_name, schedule.name, seconds=seconds),
                deadline=deadline,
            )

        def once(seconds: float) -> None:
            now = self._now()  # of each try: a moment that was ahead may be past by now
            try:
                request = schedule_request(
                    schedule,
                    rule=rule,
                    execution_role_arn=self._execution_role_arn,
                    when_due_arn=self._when_due_arn,
                    now=now,
                )
            except OverflowError as error:
                raise CallError("ValidationException", f"it leads out of the calendar: {error}") from error
            if call == "create":
                self._schedules.create(request, seconds=seconds)
            else:
                self._schedules.update(continued_rate(request, standing, now), seconds=seconds)

        self._patience.made(once, deadline=deadline, is_conflict_passing=call == "update")
