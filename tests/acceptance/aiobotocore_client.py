"""A tour of DynamoDB and its streams with aiobotocore, against the endpoint in the first argument.

Run by test_tour_aiobotocore.py with the Python of the virtual environment for others, whose botocore is another one.
Ends with a line of JSON: the operations that were called.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from typing import Any

from aiobotocore.session import get_session  # type: ignore[import-not-found]
from botocore.exceptions import ClientError

TABLE = {"TableName": "Orders"}
WRITERS = 25


def key(number: int) -> dict[str, Any]:
    return {"customer": {"S": "c1"}, "nr": {"N": str(number)}}


async def tour(endpoint_url: str) -> set[str]:
    session = get_session()
    called: set[str] = set()
    session.get_component("event_emitter").register("before-call", lambda model, **_: called.add(model.name))
    options = {
        "endpoint_url": endpoint_url,
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(session.create_client("dynamodb", **options))
        streams = await stack.enter_async_context(session.create_client("dynamodbstreams", **options))
        await make_table(client)
        await write_all_at_once(client)
        await read_pages(client)
        await write_together(client)
        await read_stream(client, streams)
        await client.delete_table(**TABLE)
        await client.get_waiter("table_not_exists").wait(**TABLE)
    return called


async def make_table(client: Any) -> None:
    await client.create_table(
        **TABLE,
        AttributeDefinitions=[
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "nr", "AttributeType": "N"},
            {"AttributeName": "state", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "nr", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "ByState",
                "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    await client.get_waiter("table_exists").wait(**TABLE)


async def write_all_at_once(client: Any) -> None:
    """Many writers at a time count in one item; each count is there."""
    await asyncio.gather(
        *(
            client.put_item(**TABLE, Item={**key(number), "state": {"S": "new"}, "data": {"B": b"\x00\xff"}})
            for number in range(1, WRITERS + 1)
        )
    )
    answers = await asyncio.gather(
        *(
            client.update_item(
                **TABLE,
                Key=key(0),
                UpdateExpression="ADD #c :one",
                ExpressionAttributeNames={"#c": "count"},
                ExpressionAttributeValues={":one": {"N": "1"}},
                ReturnValues="UPDATED_NEW",
            )
            for _ in range(WRITERS)
        )
    )
    counts = sorted(int(answer["Attributes"]["count"]["N"]) for answer in answers)
    assert counts == list(range(1, WRITERS + 1)), counts
    read = await client.get_item(**TABLE, Key=key(1), ConsistentRead=True)
    assert read["Item"]["data"] == {"B": b"\x00\xff"}
    once = {"ConditionExpression": "attribute_not_exists(nr)"}
    tries = await asyncio.gather(
        *(client.put_item(**TABLE, Item={**key(100), "by": {"N": str(n)}}, **once) for n in range(5)),
        return_exceptions=True,
    )
    refused = [one for one in tries if isinstance(one, ClientError)]
    assert len(refused) == 4, tries
    assert {one.response["Error"]["Code"] for one in refused} == {"ConditionalCheckFailedException"}


async def read_pages(client: Any) -> None:
    asked = {
        **TABLE,
        "KeyConditionExpression": "customer = :c AND nr >= :n",
        "ExpressionAttributeValues": {":c": {"S": "c1"}, ":n": {"N": "20"}},
    }
    found = [
        int(item["nr"]["N"])
        async for page in client.get_paginator("query").paginate(**asked, PaginationConfig={"PageSize": 2})
        for item in page["Items"]
    ]
    assert found == [20, 21, 22, 23, 24, 25, 100], found
    scan = client.get_paginator("scan").paginate(**TABLE, IndexName="ByState", PaginationConfig={"PageSize": 10})
    assert len((await scan.build_full_result())["Items"]) == WRITERS


async def write_together(client: Any) -> None:
    await client.batch_write_item(RequestItems={"Orders": [{"DeleteRequest": {"Key": key(100)}}]})
    read = await client.batch_get_item(RequestItems={"Orders": {"Keys": [key(1), key(100)]}})
    assert len(read["Responses"]["Orders"]) == 1
    check = {"ConditionCheck": {**TABLE, "Key": key(100), "ConditionExpression": "attribute_exists(nr)"}}
    both = client.transact_write_items(TransactItems=[{"Delete": {**TABLE, "Key": key(1)}}, check])
    cancelled: Any = (await asyncio.gather(both, return_exceptions=True))[0]
    assert isinstance(cancelled, client.exceptions.TransactionCanceledException), cancelled
    reasons = cancelled.response["CancellationReasons"]
    assert [one["Code"] for one in reasons] == ["None", "ConditionalCheckFailed"], reasons
    await client.transact_write_items(TransactItems=[{"Delete": {**TABLE, "Key": key(1)}}])
    reads = await client.transact_get_items(TransactItems=[{"Get": {**TABLE, "Key": key(1)}}])
    assert reads["Responses"] == [{}]
    statement = "SELECT nr FROM Orders WHERE customer = 'c1' AND nr = 2"
    assert (await client.execute_statement(Statement=statement))["Items"] == [{"nr": {"N": "2"}}]


async def read_stream(client: Any, streams: Any) -> None:
    arn = (await client.describe_table(**TABLE))["Table"]["LatestStreamArn"]
    assert len((await streams.list_streams(**TABLE))["Streams"]) == 1
    (shard,) = (await streams.describe_stream(StreamArn=arn))["StreamDescription"]["Shards"]
    place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = (await streams.get_shard_iterator(**place))["ShardIterator"]
    read = await streams.get_records(ShardIterator=iterator)
    kinds = [record["eventName"] for record in read["Records"]]
    # Puts, the counter and its changes, the one of five, and two deletions.
    assert kinds.count("INSERT") == WRITERS + 2, kinds
    assert kinds.count("MODIFY") == WRITERS - 1, kinds
    assert kinds.count("REMOVE") == 2, kinds


sys.stdout.write(json.dumps(sorted(asyncio.run(tour(sys.argv[1])))))
