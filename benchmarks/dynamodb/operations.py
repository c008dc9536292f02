"""What is asked of a DynamoDB, as bytes put together from fixed parts: the same for every server.

Items have a partition key, a sort key, a state, a counter, and a text that makes up the size. The first
`partitions * 10` of them are there from the start, ten to a partition; what a load puts is numbered on from there.
"""

import json
from dataclasses import dataclass
from typing import Any

from load import request_head

TABLE = "Benchmark-Table"
ITEMS_A_PARTITION = 10
ITEMS_A_BATCH = 25
#: Primes: take loads through partitions in an order that is not theirs.
SCATTER, NEW_SCATTER = 7_919, 104_729
#: Where partitions of new items begin, and in how many they are, where these are not to meet the others.
NEW_FROM, NEW_PARTITIONS = 1_000_000_000, 1_000_003

CREATE_TABLE: dict[str, Any] = {
    "TableName": TABLE,
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "PK", "AttributeType": "S"},
        {"AttributeName": "SK", "AttributeType": "S"},
    ],
}
STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}

_PARTITION, _SORT = "customer#<PK>", "order#<SK>"
_KEY = {"PK": {"S": _PARTITION}, "SK": {"S": _SORT}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What the table holds before, and where new items go.

    Args:
        partitions: with ten items each.
        text_bytes: length of each item's text; about 100 bytes come on top.
        new_from, new_partitions: new items are spread over these partitions; they may be those that are there.
    """

    partitions: int
    text_bytes: int
    new_from: int = NEW_FROM
    new_partitions: int = NEW_PARTITIONS

    def old_key(self, number: int) -> tuple[int, int]:
        """Numbers of partition and sort key of an item that is there."""
        return divmod(number * SCATTER % (self.partitions * ITEMS_A_PARTITION), ITEMS_A_PARTITION)

    def new_key(self, number: int) -> tuple[int, int]:
        """Those of a new item."""
        return self.new_from + number * NEW_SCATTER % self.new_partitions, ITEMS_A_PARTITION + number

    def item(self) -> dict[str, dict[str, str]]:
        """An item with marks where its keys' numbers go."""
        return {
            **_KEY,
            "state": {"S": "open"},
            "visits": {"N": "0"},
            "text": {"S": ("The quick brown fox jumps over the lazy dog. " * 30)[: self.text_bytes]},
        }


class Requests:
    """All requests of one load.

    Args:
        operation: PutItem, GetItem, UpdateItem, Query, BatchWriteItem, DeleteItem; or `PutItem of old`, which puts
            the items that the others find there, or `GetItem of new` for what PutItem put under the same numbers.
    """

    def __init__(self, operation: str, population: Population, port: int) -> None:
        self._population, self._operation = population, operation
        target = operation.partition(" ")[0]
        self.times = ITEMS_A_BATCH if target == "BatchWriteItem" else 1
        body = json.dumps(_body(operation, population)).replace("<PK>", "%010d").replace("<SK>", "%010d")
        length = len(body) - body.count("%010d") * len("%010d") + body.count("%010d") * 10
        self._format = (request_head(port, f"DynamoDB_20120810.{target}", length) + body).encode()

    def get(self, number: int) -> bytes:
        """The request of this number."""
        population = self._population
        match self._operation:
            case "GetItem" | "UpdateItem":
                return self._format % population.old_key(number)
            case "Query":
                return self._format % population.old_key(number)[:1]
            case "PutItem of old":
                return self._format % divmod(number, ITEMS_A_PARTITION)
            case "BatchWriteItem":
                first = number * ITEMS_A_BATCH
                keys = (population.new_key(first + place) for place in range(ITEMS_A_BATCH))
                return self._format % tuple(part for key in keys for part in key)
            case _:
                return self._format % population.new_key(number)


def _body(operation: str, population: Population) -> dict[str, Any]:
    match operation:
        case "PutItem" | "PutItem of old":
            return {"TableName": TABLE, "Item": population.item()}
        case "UpdateItem":
            return {
                "TableName": TABLE,
                "Key": _KEY,
                "UpdateExpression": "SET visits = visits + :one",
                "ConditionExpression": "attribute_exists(PK) AND #state = :open",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {":one": {"N": "1"}, ":open": {"S": "open"}},
            }
        case "Query":
            return {
                "TableName": TABLE,
                "KeyConditionExpression": "PK = :key",
                "ExpressionAttributeValues": {":key": {"S": _PARTITION}},
                "Limit": ITEMS_A_PARTITION,
            }
        case "BatchWriteItem":
            put = {"PutRequest": {"Item": population.item()}}
            return {"RequestItems": {TABLE: [put] * ITEMS_A_BATCH}}
        case _:
            return {"TableName": TABLE, "Key": _KEY}


def expected_in(operation: str) -> bytes:
    """What an answer has in it that did what was asked."""
    match operation.partition(" ")[0]:
        case "GetItem":
            return b'"visits"'
        case "Query":
            return b"order#0000000009"
        case _:
            return b"{"
