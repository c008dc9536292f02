"""Due work: what the due function is told, and whether the item still asks for it. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from duestream.core.cron import Cron
from duestream.core.json_text import moment_text
from duestream.core.outcome import Failure
from duestream.core.record import Item
from duestream.core.rule import Refusal, Rule, Wanted, WantedSeries
from duestream.core.schedule import Invocation, Place, delivery_id_of
from duestream.core.schedule_expression import series_of
from duestream.core.timestamps import parse_timestamp
from duestream.errors import DeliveryError, Error

_NAME_HASH_BYTES = 10


class NothingToDoError(Error):
    """The item does not ask for this delivery any more."""


@dataclass(frozen=True, slots=True)
class DueWork:
    """One delivery, as a schedule (or a sweep) asks the due function for it.

    Args:
        rule: the rule's name.
        table_name: its table.
        key: the item's key.
        due_at: when it is due, aware.
        schedule: the schedule's name, also where there is none (sweeps).
        target: which of the rule's targets, from 0.
        attempt: which attempt is asked for, from 1.
        failure: that attempt has been made elsewhere, and failed so: what follows is all that is asked for.
        redrive: tells a delivery that is made once more after it was given up; the dead letter's message id.
    """

    rule: str
    table_name: str
    key: Item
    due_at: datetime
    schedule: str
    target: int = 0
    attempt: int = 1
    failure: Failure | None = None
    redrive: str = ""

    @property
    def identity(self) -> str:
        """What makes two requests the same delivery."""
        return "/".join(filter(None, (self.schedule, moment_text(self.due_at), self.redrive)))

    @property
    def retry_schedule(self) -> str:
        """Name of the schedule that asks for this attempt, if it is not the first."""
        digest = hashlib.blake2b(self.identity.encode(), digest_size=_NAME_HASH_BYTES).hexdigest()
        return f"retry-{digest}-{self.attempt}"

    def lambda_event(self) -> dict[str, Any]:
        """As the due function is told it."""
        event: dict[str, Any] = {
            "Rule": self.rule,
            "Table": self.table_name,
            "Key": self.key,
            "DueAt": moment_text(self.due_at),
            "Schedule": self.schedule,
            "Target": self.target,
        }
        if self.redrive:
            event["Redrive"] = self.redrive
        if self.attempt > 1:
            event["Attempt"] = self.attempt
        if self.failure is not None:
            failure = self.failure
            event["Failure"] = {"Code": failure.code, "Message": failure.message, "IsPermanent": failure.is_permanent}
        return event


@dataclass(frozen=True, slots=True)
class DueAttempt:
    """One attempt at a delivery: what requests and inputs may say of it."""

    schedule_arn: str
    delivery_id: str
    due_at: datetime
    #: Counted from 1.
    number: int
    region: str
    account_id: str

    @classmethod
    def of(cls, work: DueWork, app_name: str, place: Place) -> "DueAttempt":
        """The attempt that is asked for."""
        arn = place.arn("scheduler", f"schedule/{app_name}/{work.schedule}")
        delivery_id = delivery_id_of(arn, moment_text(work.due_at))
        return cls(arn, delivery_id, work.due_at, work.attempt, place.region, place.account_id)

    @property
    def execution_id(self) -> str:
        """16 hex digits, only of this attempt."""
        return hashlib.blake2b(f"{self.delivery_id}\n{self.number}".encode(), digest_size=8).hexdigest()

    @property
    def scheduled_time(self) -> str:
        """The due time as EventBridge Scheduler writes it, to the second."""
        return f"{self.due_at.astimezone(UTC).isoformat()[:19]}Z"

    def numbered(self, number: int) -> "DueAttempt":
        """The same delivery's attempt of that number."""
        return replace(self, number=number)


def parse_due_work(lambda_event: Mapping[str, Any]) -> DueWork:
    """Read what the function is told.

    Raises:
        DeliveryError: it is nothing that a schedule of the app's would say; permanent.
    """
    try:
        return DueWork(
            rule=str(lambda_event["Rule"]),
            table_name=str(lambda_event["Table"]),
            key=dict(lambda_event["Key"]),
            due_at=parse_timestamp({"S": lambda_event["DueAt"]}, timezone="UTC"),
            schedule=str(lambda_event["Schedule"]),
            target=int(lambda_event["Target"]),
            attempt=int(lambda_event.get("Attempt", 1)),
            failure=_failure(lambda_event.get("Failure")),
            redrive=str(lambda_event.get("Redrive", "")),
        )
    except (KeyError, TypeError, ValueError, Error) as error:
        text = json.dumps(lambda_event, default=str)[:500]
        raise DeliveryError(
            "ValidationException", f"{type(error).__name__}: {error} in {text}", retryable=False
        ) from error


def _failure(given: Mapping[str, Any] | None) -> Failure | None:
    if given is None:
        return None
    return Failure(str(given["Code"]), str(given["Message"]), is_permanent=bool(given["IsPermanent"]))


def still_wanted(rule: Rule, work: DueWork, image: Item | None, place: Place) -> Invocation:
    """What the item, as it is now, asks for at that due time.

    Raises:
        NothingToDoError: it is gone, or asks for it no longer, or at another time.
        DeliveryError: the rule raised; retryable, since the rule's next version may not.
    """
    if image is None:
        raise NothingToDoError("the item is gone")
    match rule.wanted(image, place):
        case None:
            raise NothingToDoError("the rule asks for nothing any more")
        case Refusal("rule raised", reason):
            raise DeliveryError("RuleRaised", reason, retryable=True)
        case Refusal(_, reason):
            # Its stream record is dead-lettered with this reason.
            raise NothingToDoError(reason)
        case Wanted(due_at, invocations):
            if due_at != work.due_at:
                raise NothingToDoError(f"it is due at {moment_text(due_at)} now")
        case WantedSeries() as series:
            invocations = series.invocations
            _check_occurrence(series, work.due_at)
    if work.target >= len(invocations):
        raise NothingToDoError(f"the rule has only {len(invocations)} targets for it now")
    return invocations[work.target]


def _check_occurrence(wanted: WantedSeries, due_at: datetime) -> None:
    """Whether the item's expression, as it is now, has this occurrence.

    Of a rate only its bounds are known here: where AWS began to count is not.

    Raises:
        NothingToDoError: it has not.
    """
    recurrence = wanted.recurrence
    # Scheduler tells seconds; the item's bounds may have fractions.
    if recurrence.start is not None and due_at < recurrence.start - timedelta(seconds=1):
        raise NothingToDoError(f"it starts at {moment_text(recurrence.start)} now")
    if recurrence.end is not None and due_at > recurrence.end + timedelta(seconds=1):
        raise NothingToDoError(f"it ended at {moment_text(recurrence.end)}")
    minute = due_at.replace(second=0, microsecond=0)
    series = series_of(replace(recurrence, start=None, end=None), written_at=minute)
    if isinstance(series.recurs, Cron) and series.first_from(minute) != minute:
        raise NothingToDoError(f"{recurrence.expression} has no such occurrence")
