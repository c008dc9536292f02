"""Secondary indexes through boto3: made with the table and added to it, queried, paged, and built on after a stop."""

import asyncio
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from tests.integration.conftest import REGION, START, RunningServer

from duestream.clock import ManualClock
from duestream.local.server import LocalServer, Settings
from duestream.local.store import index_building

pytestmark = pytest.mark.slow

SHARDS = 2


@pytest.fixture
def table(manual_server: RunningServer) -> Any:
    """A table with a sharded index by expiry, as part 2 of the series has it, and a local index by status."""
    resource: Any = boto3.resource(
        "dynamodb",
        endpoint_url=manual_server.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    table = resource.create_table(
        TableName="Offers",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in (("PK", "S"), ("SK", "S"), ("GSI_PK", "S"), ("TTL", "N"), ("STATUS", "S"))
        ],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "ByExpiry",
                "KeySchema": [
                    {"AttributeName": "GSI_PK", "KeyType": "HASH"},
                    {"AttributeName": "TTL", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "ByStatus",
                "KeySchema": [
                    {"AttributeName": "PK", "KeyType": "HASH"},
                    {"AttributeName": "STATUS", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    table.wait_until_exists()
    with table.batch_writer() as batch:
        for number in range(60):
            item = {"PK": f"shop#{number % 3}", "SK": f"{number:03}", "TTL": number, "TEXT": "x" * 10}
            if number % 4:
                item |= {"GSI_PK": str(number % SHARDS), "STATUS": "open" if number % 5 else "sold"}
            batch.put_item(Item=item)
    return table


def test_what_is_due_is_found_by_shard_in_pages_and_deleted(table: Any) -> None:
    found = []
    for shard in range(SHARDS):
        asked: dict[str, Any] = {
            "IndexName": "ByExpiry",
            "KeyConditionExpression": Key("GSI_PK").eq(str(shard)) & Key("TTL").lt(30),
            "Limit": 5,
        }
        while True:
            page = table.query(**asked)
            assert all(set(item) == {"PK", "SK", "GSI_PK", "TTL"} for item in page["Items"])
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                break
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    assert sorted(int(item["TTL"]) for item in found) == [number for number in range(30) if number % 4]
    with table.batch_writer() as batch:
        for item in found:
            batch.delete_item(Key={"PK": item["PK"], "SK": item["SK"]})
    assert table.scan(IndexName="ByExpiry", Select="COUNT")["Count"] == 23
    assert table.query(IndexName="ByStatus", KeyConditionExpression=Key("PK").eq("shop#1"), ScanIndexForward=False)[
        "Items"
    ][0]["STATUS"] in ("open", "sold")


def test_a_scan_of_an_index_in_segments_finds_each_item_once(table: Any) -> None:
    segments = [table.scan(IndexName="ByStatus", Segment=part, TotalSegments=4)["Items"] for part in range(4)]
    found = [(item["PK"], item["SK"]) for segment in segments for item in segment]
    assert len(found) == len(set(found)) == 45
    sold = table.scan(IndexName="ByStatus", FilterExpression=Attr("STATUS").eq("sold"))
    assert (sold["Count"], sold["ScannedCount"]) == (9, 45)


def test_an_index_is_added_and_taken_away(table: Any, manual_server: RunningServer) -> None:
    client = manual_server.client("dynamodb")
    client.update_table(
        TableName="Offers",
        AttributeDefinitions=[{"AttributeName": "TEXT", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "ByText",
                    "KeySchema": [{"AttributeName": "TEXT", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    (by_text,) = client.describe_table(TableName="Offers")["Table"]["GlobalSecondaryIndexes"][1:]
    assert (by_text["IndexStatus"], by_text["ItemCount"]) == ("ACTIVE", 60)
    page = table.query(IndexName="ByText", KeyConditionExpression=Key("TEXT").eq("x" * 10))
    assert page["Count"] == 60
    client.update_table(TableName="Offers", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "ByText"}}])
    assert len(client.describe_table(TableName="Offers")["Table"]["GlobalSecondaryIndexes"]) == 1


def test_building_goes_on_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first server is stopped after the first chunk of one item; the second one finishes what is begun."""
    chunk_bytes = index_building.CHUNK_BYTES
    monkeypatch.setattr(index_building, "CHUNK_BYTES", 1)
    monkeypatch.setattr("duestream.local.services.dynamodb.table_updates.resume_table_upkeep", lambda store: None)

    async def first() -> None:
        server = LocalServer(Settings(data=tmp_path, port=0, clock=ManualClock(START)))
        await server.start()
        client = client_of(server)
        await asyncio.to_thread(fill, client)
        assert status(await asyncio.to_thread(client.describe_table, TableName="Things")) == ("CREATING", 1)
        await server.stop()

    async def second() -> None:
        server = LocalServer(Settings(data=tmp_path, port=0, clock=ManualClock(START)))
        await server.start()
        client = client_of(server)
        while status(described := await asyncio.to_thread(client.describe_table, TableName="Things"))[0] != "ACTIVE":
            await asyncio.sleep(0)
        assert status(described) == ("ACTIVE", 20)
        await server.stop()

    asyncio.run(first())
    monkeypatch.setattr(index_building, "CHUNK_BYTES", chunk_bytes)
    asyncio.run(second())


def client_of(server: LocalServer) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=server.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def fill(client: Any) -> None:
    client.create_table(
        TableName="Things",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(20):
        client.put_item(TableName="Things", Item={"id": {"S": str(number)}, "kind": {"S": "x"}})
    client.update_table(
        TableName="Things",
        AttributeDefinitions=[{"AttributeName": "kind", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "ByKind",
                    "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )


def status(answer: Any) -> tuple[str, int]:
    (index,) = answer["Table"]["GlobalSecondaryIndexes"]
    return index["IndexStatus"], index["ItemCount"]
