"""What becomes of one entry of a swept index: its item is deleted, or what it asks for is invoked.

Deletes carry a condition on the timestamp that the index showed. Everything else is decided on the item itself, read
again, since an index is a little behind its table; then the item is taken out of the index: its shard attribute is
removed, on the condition that the timestamp is still the same. Should the function die in between, the next sweep
finds the entry again and does it again, with the same delivery id.

What fails, and what takes its time (a user's function, an HTTP request), is handed over to the due function, which
counts attempts, waits between them and writes dead letters. So nothing that fails stays in the index, in the way of
others.
"""

import json
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any

from duestream.aws.carry_out import Carrier, is_http, is_refused_condition, request_of
from duestream.aws.due_work import DueAttempt, DueWork
from duestream.aws.item_calls import ItemCalls
from duestream.core.outcome import Failure
from duestream.core.record import AttributeValue, Item
from duestream.core.rule import Refusal, Rule, Wanted
from duestream.core.schedule import Invocation, Place, schedule_name
from duestream.core.target import DeleteItem
from duestream.errors import DeliveryError


class Fate(Enum):
    """What became of an entry."""

    #: Done with: deleted, invoked, or handed over.
    SWEPT = "swept"
    #: The item was changed or deleted since the index was read, or asks for nothing.
    NOT_WANTED = "not wanted"
    #: Its moment is to come.
    NOT_DUE = "not due"


class EntrySweeper:
    """Deals with entries of one rule's index. Safe in threads.

    Args:
        rule: with ``via=Sweep(...)``.
        place: where targets are that rules name without an ARN.
        items: of the rule's table.
        functions: boto3's client of Lambda.
        carrier: makes attempts.
        when_due_arn: the due function.
    """

    def __init__(
        self, rule: Rule, place: Place, *, items: ItemCalls, functions: Any, carrier: Carrier, when_due_arn: str
    ) -> None:
        assert rule.via is not None
        self._rule, self._place, self._shard_attribute = rule, place, rule.via.shard_attribute
        self._items, self._functions, self._carrier = items, functions, carrier
        self._when_due_arn = when_due_arn

    def sweep(self, entry: Item, now: datetime) -> Fate:
        """Deal with one entry that is due.

        Args:
            entry: the item's key and its timestamp, as the index has them.
            now: the present moment.

        Raises:
            CallError, ClientError, BotoCoreError: AWS could not be asked; the entry stays for the next sweep.
        """
        key = self._rule.key_of(entry)
        if self._rule.only_deletes_its_item:
            return self._delete(key, entry[self._rule.attribute])
        image = self._items.get(self._rule.table.name, key) or {}
        if self._shard_attribute not in image:
            return Fate.NOT_WANTED
        wanted = self._rule.wanted(image, self._place)
        if isinstance(wanted, Refusal) and wanted.kind != "rule raised":
            return Fate.NOT_WANTED  # changed since; the next sweep tells of it
        if isinstance(wanted, Wanted) and wanted.due_at > now:
            return Fate.NOT_DUE
        due_at = self._rule.due_at(image)
        if due_at is None or due_at > now:
            return Fate.NOT_DUE
        work = DueWork(self._rule.name, self._rule.table.name, key, due_at, self._schedule_name(key, 0))
        match wanted:
            case Wanted(_, invocations):
                for number, invocation in enumerate(invocations):
                    numbered = replace(work, target=number, schedule=self._schedule_name(key, number))
                    self._invoke(numbered, invocation)
            case Refusal():
                self._hand_over(work)  # where the rule raises again, is tried again, and in the end dead-lettered
        is_ours = self._take_out(key, image[self._rule.attribute])
        return Fate.SWEPT if is_ours and wanted is not None else Fate.NOT_WANTED

    def _delete(self, key: Item, timestamp: AttributeValue) -> Fate:
        request = DeleteItem.own_request(
            table_name=self._rule.table.name, key=key, unchanged={self._rule.attribute: timestamp}
        )
        return Fate.SWEPT if self._items.delete(request) else Fate.NOT_WANTED

    def _invoke(self, work: DueWork, invocation: Invocation) -> None:
        if self._rule.when_due is not None or is_http(invocation):
            self._hand_over(work)
            return
        attempt = DueAttempt.of(work, self._rule.app_name, self._place)
        try:
            self._carrier.send(request_of(invocation, attempt), attempt, seconds=0)
        except DeliveryError as error:
            if is_refused_condition(error):
                return
            self._hand_over(replace(work, failure=Failure(error.code, error.message, is_permanent=not error.retryable)))

    def _hand_over(self, work: DueWork) -> None:
        """Lambda has the event when this returns; that it comes twice is the due function's business."""
        self._functions.invoke(
            FunctionName=self._when_due_arn, InvocationType="Event", Payload=json.dumps(work.lambda_event()).encode()
        )

    def _take_out(self, key: Item, timestamp: AttributeValue) -> bool:
        """Out of the index; False: the item was changed or deleted meanwhile."""
        return self._items.update(
            {
                "TableName": self._rule.table.name,
                "Key": key,
                "UpdateExpression": "REMOVE #shard",
                "ConditionExpression": "attribute_exists(#shard) AND #ts = :due",
                "ExpressionAttributeNames": {"#shard": self._shard_attribute, "#ts": self._rule.attribute},
                "ExpressionAttributeValues": {":due": timestamp},
            },
        )

    def _schedule_name(self, key: Item, number: int) -> str:
        """As if it had a schedule: what makes a delivery the same one, whoever asks for it."""
        return schedule_name(self._rule.table.name, self._rule.name, key, number)
