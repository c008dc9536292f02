"""Deliveries: what the due function remembers, so that one delivery is not made twice.

One item of the app's own table for each delivery, under schedule name and due time, written on conditions:

===========  ==========================================================================================
in progress  somebody makes attempt `attempt`, and has ended by `until` (its function's deadline)
failed       attempt `attempt` failed; the next one is scheduled
done         nothing more is to be done: delivered, or given up
===========  ==========================================================================================

Whoever finds ``in progress`` past its `until` knows that the function ended without a word, and makes the next
attempt. So an attempt can be made twice only if a function dies between doing its work and saying so.

Of our own rather than Powertools' idempotency: the bundle needs nothing but the runtime; Powertools hashes the whole
payload, and ours differs from attempt to attempt; and it neither counts attempts nor tells a crash from a failure.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from duestream.aws.item_calls import ItemCalls
from duestream.clock import from_ms, to_ms
from duestream.core.record import AttributeValue, Item
from duestream.errors import Error

#: Longer than any invocation can be repeated: Scheduler and Lambda try for 24 and 6 hours.
KEPT_FOR = timedelta(hours=48)
#: Two clocks may disagree by so much.
MARGIN = timedelta(seconds=2)
_MAX_CLAIMS = 5


@dataclass(frozen=True, slots=True)
class Claimed:
    """The attempt is ours to make.

    Args:
        attempt: its number, from 1.
        follows_a_crash: the one before ended without a word.
    """

    attempt: int
    follows_a_crash: bool = False


@dataclass(frozen=True, slots=True)
class InProgress:
    """Somebody else is at it, and has ended by then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Over:
    """There is nothing to do: it is done, or this attempt was made and failed, and the next one is scheduled."""

    state: str


class Contended(Error):
    """Others took the delivery again and again while it was looked at."""


class Deliveries:
    """The app's table of deliveries; it needs UpdateItem, GetItem and DeleteItem.

    Args:
        items: makes the calls.
        table_name: the table; its key is ``id`` (a string), its time to live ``expires_at``.
    """

    def __init__(self, items: ItemCalls, table_name: str) -> None:
        self._items, self._table_name = items, table_name

    def claim(
        self, identity: str, *, attempt: int, owner: str, until: datetime, now: datetime
    ) -> Claimed | InProgress | Over:
        """Take a delivery on.

        Args:
            identity: schedule name and due time.
            attempt: the number of the attempt that is to be made.
            owner: who makes it: the invocation's request id.
            until: when the function will have ended.
            now: the present moment.

        Raises:
            CallError: the table could not be asked.
            Contended: others took it again and again.
        """
        fresh = "attribute_not_exists(id) OR (#state = :failed AND attempt < :attempt)"
        for _ in range(_MAX_CLAIMS):
            if self._take(identity, attempt, owner, until, now, fresh, {":failed": {"S": "failed"}}):
                return Claimed(attempt)
            found = self._items.get(self._table_name, {"id": {"S": identity}})
            if found is None:
                continue
            state, last = found["state"]["S"], int(found["attempt"]["N"])
            if state != "in progress":
                if state == "failed" and last < attempt:
                    continue
                return Over(state)
            ended_by = from_ms(int(found["until"]["N"]))
            if now < ended_by + MARGIN:
                return InProgress(ended_by + MARGIN)
            next_attempt = max(attempt, last + 1)
            seen = {":seen": found["until"], ":last": found["attempt"], ":progress": {"S": "in progress"}}
            condition = "#state = :progress AND #until = :seen AND attempt = :last"
            if self._take(identity, next_attempt, owner, until, now, condition, seen):
                return Claimed(next_attempt, follows_a_crash=True)
        raise Contended(f"delivery {identity} is taken by others again and again")

    def finish(self, identity: str, *, outcome: str, now: datetime) -> None:
        """It is over: ``delivered`` or ``dead_lettered``; no claim succeeds any more."""
        self._items.update(
            {
                "TableName": self._table_name,
                "Key": {"id": {"S": identity}},
                "UpdateExpression": (
                    "SET #state = :done, outcome = :outcome, expires_at = :expires REMOVE #until, #owner"
                ),
                "ExpressionAttributeNames": {"#state": "state", "#until": "until", "#owner": "owner"},
                "ExpressionAttributeValues": {
                    ":done": {"S": "done"},
                    ":outcome": {"S": outcome},
                    ":expires": _expires(now),
                },
            }
        )

    def fail(self, identity: str, *, owner: str, now: datetime) -> None:
        """Our attempt failed, and the next one is scheduled."""
        request = self._ours(
            identity,
            owner,
            names={"#state": "state", "#until": "until"},
            values={":failed": {"S": "failed"}, ":expires": _expires(now)},
        )
        update = "SET #state = :failed, expires_at = :expires REMOVE #until, #owner"
        self._items.update({**request, "UpdateExpression": update})

    def release(self, identity: str, *, owner: str) -> None:
        """There was nothing to do: forget it, since the item may come to be due at that moment again."""
        self._items.delete(self._ours(identity, owner, names={}, values={}))

    def _take(
        self,
        identity: str,
        attempt: int,
        owner: str,
        until: datetime,
        now: datetime,
        condition: str,
        values: Item,
    ) -> bool:
        return self._items.update(
            {
                "TableName": self._table_name,
                "Key": {"id": {"S": identity}},
                "UpdateExpression": (
                    "SET #state = :progress, attempt = :attempt, #owner = :owner, #until = :until, "
                    "expires_at = :expires"
                ),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#state": "state", "#owner": "owner", "#until": "until"},
                "ExpressionAttributeValues": {
                    ":progress": {"S": "in progress"},
                    ":attempt": {"N": str(attempt)},
                    ":owner": {"S": owner},
                    ":until": {"N": str(to_ms(until))},
                    ":expires": _expires(now),
                    **values,
                },
            }
        )

    def _ours(self, identity: str, owner: str, *, names: dict[str, str], values: Item) -> dict[str, Any]:
        """A request that does nothing if somebody else has taken the delivery, because we overstayed our time."""
        return {
            "TableName": self._table_name,
            "Key": {"id": {"S": identity}},
            "ConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner", **names},
            "ExpressionAttributeValues": {":owner": {"S": owner}, **values},
        }


def _expires(now: datetime) -> AttributeValue:
    return {"N": str(to_ms(now + KEPT_FOR) // 1000)}
