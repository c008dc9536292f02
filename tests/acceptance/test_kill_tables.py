"""SIGKILL amid every kind of write: tables, indexes, stream and counters agree, and all that was acknowledged is there."""

import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError
from tests.acceptance.conftest import Up

from duestream.core.attributes import item_size_bytes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WRITERS = 4
KEYS = 40
KILLS = 3
TABLE = {"TableName": "Things"}
#: name: partition key, sort key, what is projected (None: all).
INDEXES: dict[str, tuple[str, str, set[str] | None]] = {
    "ByGroup": ("group", "rank", {"owner", "nr", "group", "rank"}),
    "ByRank": ("owner", "rank", None),
}

Item = dict[str, Any]
#: Items by their numbers as a write leaves them; None: deleted.
Outcome = dict[int, Item | None]


def create(client: Any) -> None:
    kinds = {"owner": "S", "nr": "N", "group": "S", "rank": "N"}

    def schema(partition: str, sort: str) -> list[dict[str, str]]:
        return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]

    def index(name: str, projection: str) -> dict[str, Any]:
        partition, sort, _ = INDEXES[name]
        return {
            "IndexName": name,
            "KeySchema": schema(partition, sort),
            "Projection": {"ProjectionType": projection},
        }

    client.create_table(
        **TABLE,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()],
        KeySchema=schema("owner", "nr"),
        GlobalSecondaryIndexes=[index("ByGroup", "KEYS_ONLY")],
        LocalSecondaryIndexes=[index("ByRank", "ALL")],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


class Writer:
    """Writes items that only it writes, and remembers what must be there."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self._chance = name, random.Random(seed)
        self.items: dict[int, Item] = {}
        self.acknowledged = 0
        #: What it asked for last, without an answer, and whether that is all or nothing.
        self.unknown: Outcome = {}

    def key(self, number: int) -> Item:
        return {"owner": {"S": self.name}, "nr": {"N": str(number)}}

    def _item(self, number: int) -> Item:
        item = {**self.key(number), "text": {"S": "x" * self._chance.randrange(200)}}
        if self._chance.random() < 0.7:
            item["group"] = {"S": str(self._chance.randrange(3))}
        if self._chance.random() < 0.7:
            item["rank"] = {"N": str(self._chance.randrange(-5, 5))}
        return item

    def run(self, running: Up, stop: threading.Event) -> None:
        client = running.client("dynamodb")
        while not stop.is_set():
            numbers = self._chance.sample(range(KEYS), self._chance.choice([1, 1, 1, 5]))
            wanted: Outcome = {
                number: None if self._chance.random() < 0.3 else self._item(number) for number in numbers
            }
            self.unknown = wanted
            try:
                self._write(client, wanted)
            except (BotoCoreError, ClientError):
                return
            self._take(wanted)
            self.unknown = {}
            self.acknowledged += 1

    def _write(self, client: Any, wanted: Outcome) -> None:
        if len(wanted) > 1:
            client.transact_write_items(TransactItems=[self._action(*one) for one in wanted.items()])
            return
        ((number, item),) = wanted.items()
        if item is None:
            client.delete_item(**TABLE, Key=self.key(number))
        elif number % 3 == 0:
            client.batch_write_item(RequestItems={"Things": [{"PutRequest": {"Item": item}}]})
        elif number % 3 == 1:
            client.update_item(**TABLE, Key=self.key(number), **changes(item))
        else:
            client.put_item(**TABLE, Item=item)

    def _action(self, number: int, item: Item | None) -> dict[str, Any]:
        if item is None:
            return {"Delete": {**TABLE, "Key": self.key(number)}}
        return {"Put": {**TABLE, "Item": item}}

    def _take(self, wanted: Outcome) -> None:
        for number, item in wanted.items():
            self.items.pop(number, None)
            if item is not None:
                self.items[number] = item

    def find_out(self, client: Any) -> None:
        """Whether the write without an answer was done: all of it or nothing."""
        found = {number: client.get_item(**TABLE, Key=self.key(number)).get("Item") for number in self.unknown}
        before = {number: self.items.get(number) for number in self.unknown}
        assert found in (before, self.unknown)
        self._take(found)
        self.unknown = {}


def changes(item: Item) -> dict[str, Any]:
    """UpdateItem's members that give an item these attributes and no others."""
    wanted = {name: value for name, value in item.items() if name not in ("owner", "nr")}
    gone = {"text", "group", "rank"} - set(wanted)
    text = "SET " + ", ".join(f"#{name} = :{name}" for name in wanted)
    if gone:
        text += " REMOVE " + ", ".join(f"#{name}" for name in gone)
    return {
        "UpdateExpression": text,
        "ExpressionAttributeNames": {f"#{name}": name for name in (*wanted, *gone)},
        "ExpressionAttributeValues": {f":{name}": value for name, value in wanted.items()},
    }


def has_done(writers: list[Writer], enough: int) -> bool:
    return sum(writer.acknowledged for writer in writers) >= enough


def test_killed_amid_writes_everything_agrees(tmp_path: Path, up: Callable[..., Up]) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    running = up(None, data=tmp_path / "data")
    create(running.client("dynamodb"))
    writers = [Writer(f"writer-{number}", chance.randrange(2**32)) for number in range(WRITERS)]
    for _ in range(KILLS):
        stop = threading.Event()
        enough = sum(writer.acknowledged for writer in writers) + chance.randrange(50, 400)
        threads = [threading.Thread(target=writer.run, args=(running, stop)) for writer in writers]
        for thread in threads:
            thread.start()
        running.wait_for(partial(has_done, writers, enough))
        running.kill()
        stop.set()
        for thread in threads:
            thread.join()
        running = up(None, data=tmp_path / "data")
        client = running.client("dynamodb")
        for writer in writers:
            writer.find_out(client)
        check(running, [item for writer in writers for item in writer.items.values()], f"seed {seed}")


def check(running: Up, expected: list[Item], seed: str) -> None:
    client = running.client("dynamodb")
    described = client.describe_table(**TABLE)["Table"]
    assert in_order(pages(client)) == in_order(expected), seed
    assert (described["ItemCount"], described["TableSizeBytes"]) == (len(expected), size_of(expected)), seed
    for index in [*described["GlobalSecondaryIndexes"], *described["LocalSecondaryIndexes"]]:
        partition, sort, projected = INDEXES[index["IndexName"]]
        entries = [
            {name: value for name, value in item.items() if projected is None or name in projected}
            for item in expected
            if partition in item and sort in item
        ]
        assert in_order(pages(client, IndexName=index["IndexName"])) == in_order(entries), seed
        assert (index["ItemCount"], index["IndexSizeBytes"]) == (len(entries), size_of(entries)), seed
    replayed: dict[str, Item] = {}
    for change in told(running):
        identity = str(change["Keys"])
        assert replayed.pop(identity, None) == change.get("OldImage"), seed
        assert change.get("OldImage") != change.get("NewImage"), seed
        if "NewImage" in change:
            replayed[identity] = change["NewImage"]
    assert in_order(replayed.values()) == in_order(expected), seed


def pages(client: Any, **more: Any) -> Iterator[Item]:
    for page in client.get_paginator("scan").paginate(**TABLE, **more, PaginationConfig={"PageSize": 17}):
        yield from page["Items"]


def told(running: Up) -> Iterator[dict[str, Any]]:
    """All that the stream tells, from its beginning."""
    arn = running.client("dynamodb").describe_table(**TABLE)["Table"]["LatestStreamArn"]
    reader = running.client("dynamodbstreams")
    (shard,) = reader.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = reader.get_shard_iterator(**place)["ShardIterator"]
    while page := reader.get_records(ShardIterator=iterator):
        if not page["Records"]:
            return
        yield from (record["dynamodb"] for record in page["Records"])
        iterator = page["NextShardIterator"]


def in_order(items: Any) -> list[Item]:
    read = TypeDeserializer().deserialize
    return sorted(items, key=lambda item: (read(item["owner"]), read(item["nr"])))


def size_of(items: list[Item]) -> int:
    return sum(item_size_bytes(item) for item in items)
