"""DynamoDB and its streams through boto3: what an application does with them."""

from collections.abc import Callable
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError
from tests.integration.conftest import REGION, START, RunningServer

from duestream.clock import ManualClock

pytestmark = pytest.mark.slow

TABLE = "Appointment-Table"


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    response: dict[str, Any] = caught.value.response
    return response


@pytest.fixture
def client(manual_server: RunningServer) -> Any:
    return manual_server.client("dynamodb")


@pytest.fixture
def table(manual_server: RunningServer, client: Any) -> Any:
    """Part 3's table, as boto3's resource, made and waited for as scripts do."""
    client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    client.get_waiter("table_exists").wait(TableName=TABLE)
    resource: Any = boto3.resource(
        "dynamodb",
        endpoint_url=manual_server.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return resource.Table(TABLE)


EVERYTHING: dict[str, Any] = {
    "PK": "patient#1",
    "SK": "appointment#1",
    "text": "Zeit für Ihren Termin ⏰",
    "number": Decimal("12345678901234567890.123456789012345678"),
    "bytes": b"\x00\xff",
    "yes": True,
    "none": None,
    "list": [Decimal(1), "two", [False]],
    "map": {"a": {"b": Decimal("-0.5")}},
    "texts": {"a", "b"},
    "numbers": {Decimal(1), Decimal("2.5")},
    "blobs": {b"a", b"b"},
    "empty": "",
}


def test_all_ten_types_come_back_as_they_went(table: Any) -> None:
    table.put_item(Item=EVERYTHING)
    assert table.get_item(Key={"PK": "patient#1", "SK": "appointment#1"})["Item"] == EVERYTHING


def test_a_table_lives_from_create_to_delete(client: Any, table: Any) -> None:
    described = client.describe_table(TableName=TABLE)["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["TableArn"] == f"arn:aws:dynamodb:{REGION}:000000000000:table/{TABLE}"
    assert described["CreationDateTime"] == START
    assert described["CreationDateTime"].tzinfo is not None
    assert client.list_tables()["TableNames"] == [TABLE]
    taken = error_of(
        lambda: client.create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    )
    assert taken["Error"] == {"Code": "ResourceInUseException", "Message": f"Table already exists: {TABLE}"}
    table.delete()
    client.get_waiter("table_not_exists").wait(TableName=TABLE)
    assert client.list_tables()["TableNames"] == []


def test_conditions_and_updates_work_through_the_resource(client: Any, table: Any) -> None:
    key = {"PK": "patient#1", "SK": "appointment#1"}
    table.put_item(Item={**key, "count": 1}, ConditionExpression=Attr("PK").not_exists())
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as caught:
        client.put_item(
            TableName=TABLE,
            Item={"PK": {"S": "patient#1"}, "SK": {"S": "appointment#1"}},
            ConditionExpression="attribute_not_exists(PK)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert caught.value.response["Item"]["count"] == {"N": "1"}
    updated = table.update_item(
        Key=key,
        UpdateExpression="SET #c = #c + :one, seen = list_append(if_not_exists(seen, :none), :first)",
        ConditionExpression=Attr("count").eq(1),
        ExpressionAttributeNames={"#c": "count"},
        ExpressionAttributeValues={":one": 1, ":none": [], ":first": ["x"]},
        ReturnValues="UPDATED_NEW",
    )
    assert updated["Attributes"] == {"count": Decimal(2), "seen": ["x"]}
    assert table.delete_item(Key=key, ReturnValues="ALL_OLD")["Attributes"]["count"] == Decimal(2)


def test_batches_queries_and_paginators_see_everything_once(client: Any, table: Any) -> None:
    with table.batch_writer() as batch:
        for number in range(60):
            batch.put_item(Item={"PK": f"patient#{number % 2}", "SK": f"{number:03}", "number": number})
    found = table.query(
        KeyConditionExpression=Key("PK").eq("patient#1") & Key("SK").between("010", "030"),
        FilterExpression=Attr("number").gt(20),
        ScanIndexForward=False,
    )
    assert [item["SK"] for item in found["Items"]] == ["029", "027", "025", "023", "021"]
    assert (found["Count"], found["ScannedCount"]) == (5, 10)
    pages = client.get_paginator("scan").paginate(TableName=TABLE, PaginationConfig={"PageSize": 7})
    keys = [item["SK"]["S"] for page in pages for item in page["Items"]]
    assert sorted(keys) == [f"{number:03}" for number in range(60)]
    some = [{"PK": {"S": f"patient#{number % 2}"}, "SK": {"S": f"{number:03}"}} for number in range(5)]
    read = client.batch_get_item(RequestItems={TABLE: {"Keys": some, "ProjectionExpression": "SK"}})
    assert sorted(item["SK"]["S"] for item in read["Responses"][TABLE]) == ["000", "001", "002", "003", "004"]


def test_refusals_have_aws_codes_and_texts(client: Any, table: Any) -> None:
    missing = error_of(lambda: client.get_item(TableName="Nothing", Key={"PK": {"S": "x"}}))
    assert missing["Error"] == {"Code": "ResourceNotFoundException", "Message": "Requested resource not found"}
    assert missing["ResponseMetadata"]["HTTPStatusCode"] == 400
    wrong = error_of(lambda: table.get_item(Key={"PK": "x"}))
    assert wrong["Error"]["Code"] == "ValidationException"
    assert wrong["Error"]["Message"] == "The provided key element does not match the schema"
    syntax = error_of(lambda: table.put_item(Item={"PK": "x", "SK": "y"}, ConditionExpression="PK ="))
    assert syntax["Error"]["Message"] == (
        '1 validation error detected: Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="'
    )
    too_many = [{"PutRequest": {"Item": {"PK": {"S": str(n)}, "SK": {"S": "x"}}}} for n in range(26)]
    refused = error_of(lambda: client.batch_write_item(RequestItems={TABLE: too_many}))
    assert refused["Error"]["Code"] == "ValidationException"


def test_a_stream_is_read_from_end_to_end(
    manual_server: RunningServer, client: Any, table: Any, clock: ManualClock
) -> None:
    reader = manual_server.client("dynamodbstreams")
    table.put_item(Item=EVERYTHING)
    manual_server.call(lambda: clock.tick(timedelta(seconds=5)))
    table.update_item(
        Key={"PK": "patient#1", "SK": "appointment#1"},
        UpdateExpression="SET email = :email",
        ExpressionAttributeValues={":email": "a@example.com"},
    )
    table.delete_item(Key={"PK": "patient#1", "SK": "appointment#1"})
    arn = client.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    assert [stream["StreamArn"] for stream in reader.list_streams(TableName=TABLE)["Streams"]] == [arn]
    described = reader.describe_stream(StreamArn=arn)["StreamDescription"]
    assert (described["StreamStatus"], described["StreamViewType"]) == ("ENABLED", "NEW_AND_OLD_IMAGES")
    assert described["CreationRequestDateTime"] == START
    (shard,) = described["Shards"]
    iterator = reader.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    read = reader.get_records(ShardIterator=iterator)
    told = [record["dynamodb"] for record in read["Records"]]
    assert [record["eventName"] for record in read["Records"]] == ["INSERT", "MODIFY", "REMOVE"]
    assert told[0]["NewImage"]["bytes"] == {"B": b"\x00\xff"}
    assert told[1]["ApproximateCreationDateTime"] == START.astimezone(UTC) + timedelta(seconds=5)
    assert told[2]["OldImage"]["email"] == {"S": "a@example.com"}
    assert reader.get_records(ShardIterator=read["NextShardIterator"])["Records"] == []
    manual_server.call(lambda: clock.tick(timedelta(minutes=16)))
    expired = error_of(lambda: reader.get_records(ShardIterator=iterator))
    assert expired["Error"]["Code"] == "ExpiredIteratorException"
