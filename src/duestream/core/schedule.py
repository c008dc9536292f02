"""Schedules: what is to be invoked, when, and under which name."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from duestream.core.record import Item
from duestream.core.recurrence import Recurrence

MAX_NAME_LENGTH = 64
#: What is left for a rule's name beside the hash and the number of the target.
MAX_RULE_NAME_LENGTH = 40
#: 80 bits: among a thousand million items of a rule, the odds that any two share a name are 1 to two million.
_HASH_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where targets named without an ARN are: partition, region and account."""

    region: str = "us-east-1"
    account_id: str = "000000000000"
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of ours, such as ``arn:aws:sqs:us-east-1:000000000000:reminders``."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


@dataclass(frozen=True, slots=True)
class Retry:
    """How long a delivery is tried (EventBridge Scheduler's RetryPolicy, and its defaults).

    Args:
        attempts: maximum retry attempts, 0 to 185; the first try is not one of them.
        max_age: maximum event age, 60 seconds to 24 hours, counted from the due time.
    """

    attempts: int = 185
    max_age: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if not 0 <= self.attempts <= 185:
            raise ValueError(f"Retry(attempts={self.attempts}): AWS allows 0 to 185")
        if not timedelta(seconds=60) <= self.max_age <= timedelta(hours=24):
            raise ValueError(f"Retry(max_age={self.max_age}): AWS allows 60 seconds to 24 hours")


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a schedule invokes: a target ARN and its input, exactly as EventBridge Scheduler takes them."""

    target_arn: str
    #: A JSON text for universal targets, free text for some templated ones (SQS).
    input: str
    #: Only for FIFO queues.
    message_group_id: str | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule that a rule asked for on behalf of one item."""

    name: str
    group_name: str
    #: Of a recurring schedule: the first occurrence.
    due_at: datetime
    invocation: Invocation
    retry: Retry
    rule: str
    table_name: str
    key: Item = field(hash=False)
    #: Where a delivery ends that is given up; None: dropped, and counted.
    dead_letter_queue_arn: str | None = None
    #: None: it is one-time.
    recurrence: Recurrence | None = None
    #: Of a recurring schedule: what a rate counts from.
    anchor_at: datetime | None = None


def schedule_name(table_name: str, rule: str, key: Item, number: int = 0) -> str:
    """``<rule>-<hash>``, and ``-<number>`` for a rule's second and further targets.

    A function of table, rule and key alone, so that a put replaces and a delete finds it.
    """
    identity = _encode([table_name, rule, sorted(key.items())])
    name = f"{rule}-{hashlib.blake2b(identity.encode(), digest_size=_HASH_DIGITS // 2).hexdigest()}"
    return name if number == 0 else f"{name}-{number + 1}"


def delivery_id_of(*identity: object) -> str:
    """32 hex digits, the same for the same occurrence of the same put of a schedule."""
    return hashlib.blake2b("\n".join(map(str, identity)).encode(), digest_size=16).hexdigest()


#: Made once: `json.dumps` makes an encoder for each call that is not its default.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def at_expression(due_at: datetime) -> str:
    """``at(yyyy-mm-ddThh:mm:ss)`` in UTC; a fraction of a second is rounded up, so that nothing is early."""
    return f"at({whole_second(due_at).isoformat()[:19]})"


def whole_second(moment: datetime) -> datetime:
    """The moment in whole seconds; a fraction is rounded up, but in the calendar's last second."""
    if not moment.microsecond:
        return moment
    cut = moment.replace(microsecond=0)
    try:
        return cut + timedelta(seconds=1)
    except OverflowError:
        return cut
