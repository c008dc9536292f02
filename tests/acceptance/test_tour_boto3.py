"""A tour of DynamoDB and its streams with boto3, both layers, against `duestream up`."""

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.acceptance.conftest import Up

from duestream.local.operations import SERVICES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ORDERS: dict[str, Any] = {
    "TableName": "Orders",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in {"customer": "S", "number": "N", "state": "S", "placed": "S"}.items()
    ],
    "KeySchema": [
        {"AttributeName": "customer", "KeyType": "HASH"},
        {"AttributeName": "number", "KeyType": "RANGE"},
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "ByPlaced",
            "KeySchema": [
                {"AttributeName": "customer", "KeyType": "HASH"},
                {"AttributeName": "placed", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "ByState",
            "KeySchema": [
                {"AttributeName": "state", "KeyType": "HASH"},
                {"AttributeName": "placed", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["amount"]},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "Tags": [{"Key": "team", "Value": "desk"}],
}


class Client:
    """A client that checks each answer's metadata and knows which operations were called."""

    def __init__(self, client: Any) -> None:
        self.boto3 = client
        self.called: set[str] = set()
        client.meta.events.register("before-call", lambda model, **_: self.called.add(model.name))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            answer = getattr(self.boto3, name)(**parameters)
            metadata = answer.pop("ResponseMetadata")
            assert metadata["HTTPStatusCode"] == 200
            assert metadata["RetryAttempts"] == 0
            assert len(metadata["RequestId"]) >= 36
            assert metadata["HTTPHeaders"]["x-amz-crc32"].isdigit()
            return answer

        return call


@pytest.fixture
def running(up: Callable[..., Up]) -> Up:
    return up(None)


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return dict(caught.value.response)


def order(number: int, state: str = "new", **more: Any) -> dict[str, Any]:
    item = {"customer": {"S": "c1"}, "number": {"N": str(number)}, "state": {"S": state}}
    return {**item, "placed": {"S": f"2030-01-{number:02}"}, "amount": {"N": f"{number}.5"}, **more}


def key(number: int) -> dict[str, Any]:
    return {"customer": {"S": "c1"}, "number": {"N": str(number)}}


def test_every_operation_of_both_services_with_the_client(running: Up) -> None:
    client, streams = Client(running.client("dynamodb")), Client(running.client("dynamodbstreams"))
    arn = tables_are_made(client)
    items_are_written_and_read(client)
    pages_are_read(client)
    batches(client)
    transactions(client)
    statements(client)
    options_are_changed(client, arn)
    the_stream_is_read(client, streams)
    policies_and_insights_are_kept(client, arn)
    client.delete_table(TableName="Orders")
    client.boto3.get_waiter("table_not_exists").wait(TableName="Orders")
    assert client.list_tables()["TableNames"] == []
    assert client.called == set(SERVICES["dynamodb"])
    assert streams.called == set(SERVICES["dynamodbstreams"])


def tables_are_made(client: Client) -> str:
    made = client.create_table(**ORDERS)["TableDescription"]
    assert (made["TableStatus"], made["ItemCount"]) == ("CREATING", 0)
    client.boto3.get_waiter("table_exists").wait(TableName="Orders")
    described = client.describe_table(TableName="Orders")["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [one["IndexName"] for one in described["LocalSecondaryIndexes"]] == ["ByPlaced"]
    assert [one["IndexStatus"] for one in described["GlobalSecondaryIndexes"]] == ["ACTIVE"]
    assert described["StreamSpecification"] == ORDERS["StreamSpecification"]
    twice = refused(lambda: client.create_table(**ORDERS))
    assert twice["Error"]["Code"] == "ResourceInUseException"
    exceptions = client.boto3.exceptions
    with pytest.raises(exceptions.ResourceNotFoundException):
        client.describe_table(TableName="Missing")
    for number in range(3):
        name = f"Other{number}"
        keys = [{"AttributeName": "id", "KeyType": "HASH"}]
        types = [{"AttributeName": "id", "AttributeType": "B"}]
        units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
        client.create_table(TableName=name, KeySchema=keys, AttributeDefinitions=types, ProvisionedThroughput=units)
    pages = client.boto3.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2})
    assert [page["TableNames"] for page in pages] == [["Orders", "Other0"], ["Other1", "Other2"]]
    for number in range(3):
        gone = client.delete_table(TableName=f"Other{number}")["TableDescription"]
        assert gone["TableStatus"] == "DELETING"
        client.boto3.get_waiter("table_not_exists").wait(TableName=f"Other{number}")
    return str(described["TableArn"])


def items_are_written_and_read(client: Client) -> None:
    table = {"TableName": "Orders"}
    client.put_item(**table, Item=order(1))
    replaced = client.put_item(**table, Item=order(1, "paid"), ReturnValues="ALL_OLD", ReturnConsumedCapacity="INDEXES")
    assert replaced["Attributes"] == order(1)
    consumed = replaced["ConsumedCapacity"]
    assert (consumed["Table"]["CapacityUnits"], consumed["GlobalSecondaryIndexes"]["ByState"]["CapacityUnits"]) == (
        1,
        2,
    )
    read = client.get_item(**table, Key=key(1), ConsistentRead=True, ReturnConsumedCapacity="TOTAL")
    assert read["Item"] == order(1, "paid")
    assert read["ConsumedCapacity"] == {"TableName": "Orders", "CapacityUnits": 1.0}
    updated = client.update_item(
        **table,
        Key=key(1),
        UpdateExpression="SET amount = amount + :one, notes = list_append(if_not_exists(notes, :none), :notes) ADD marks :m",
        ConditionExpression="#s = :paid AND attribute_exists(placed)",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={
            ":one": {"N": "1"},
            ":none": {"L": []},
            ":notes": {"L": [{"S": "first"}]},
            ":m": {"SS": ["a", "b"]},
            ":paid": {"S": "paid"},
        },
        ReturnValues="UPDATED_NEW",
    )
    new = updated["Attributes"]
    assert (new["amount"], new["notes"], sorted(new["marks"]["SS"])) == (
        {"N": "2.5"},
        {"L": [{"S": "first"}]},
        ["a", "b"],
    )
    failed = refused(
        lambda: client.delete_item(
            **table,
            Key=key(1),
            ConditionExpression="amount > :limit",
            ExpressionAttributeValues={":limit": {"N": "100"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    )
    assert failed["Error"] == {"Message": "The conditional request failed", "Code": "ConditionalCheckFailedException"}
    assert failed["Item"]["amount"] == {"N": "2.5"}
    assert "amount" in client.delete_item(**table, Key=key(1), ReturnValues="ALL_OLD")["Attributes"]
    assert "Item" not in client.get_item(**table, Key=key(1))


def pages_are_read(client: Client) -> None:
    table = {"TableName": "Orders"}
    for number in range(1, 13):
        client.put_item(**table, Item=order(number, "new" if number % 2 else "paid"))
    asked: dict[str, Any] = {
        **table,
        "KeyConditionExpression": "customer = :c AND #n BETWEEN :low AND :high",
        "ExpressionAttributeNames": {"#n": "number"},
        "ExpressionAttributeValues": {":c": {"S": "c1"}, ":low": {"N": "2"}, ":high": {"N": "9"}},
    }
    paginator = client.boto3.get_paginator("query")
    pages = list(paginator.paginate(**asked, ScanIndexForward=False, PaginationConfig={"PageSize": 3}))
    assert [[item["number"]["N"] for item in page["Items"]] for page in pages] == [
        ["9", "8", "7"],
        ["6", "5", "4"],
        ["3", "2"],
    ]
    by_state = {
        **table,
        "IndexName": "ByState",
        "KeyConditionExpression": "#s = :s AND begins_with(placed, :month)",
        "ExpressionAttributeNames": {"#s": "state"},
        "ExpressionAttributeValues": {":s": {"S": "paid"}, ":month": {"S": "2030-01"}},
    }
    whole = paginator.paginate(**by_state, PaginationConfig={"PageSize": 4}).build_full_result()
    assert [item["number"]["N"] for item in whole["Items"]] == ["2", "4", "6", "8", "10", "12"]
    assert set(whole["Items"][0]) == {"customer", "number", "state", "placed", "amount"}
    counted = client.query(**by_state, Select="COUNT")
    assert counted == {"Count": 6, "ScannedCount": 6}
    local = client.query(
        **table,
        IndexName="ByPlaced",
        KeyConditionExpression="customer = :c AND placed > :p",
        FilterExpression="#s IN (:new)",
        ProjectionExpression="#n",
        ExpressionAttributeNames={"#n": "number", "#s": "state"},
        ExpressionAttributeValues={":c": {"S": "c1"}, ":p": {"S": "2030-01-09"}, ":new": {"S": "new"}},
    )
    assert local["Items"] == [{"number": {"N": "11"}}]
    assert (local["Count"], local["ScannedCount"]) == (1, 3)
    scan = client.boto3.get_paginator("scan")
    resumed: list[str] = []
    token = None
    for _ in count():
        found = scan.paginate(**table, PaginationConfig={"MaxItems": 5, "PageSize": 2, "StartingToken": token})
        result = found.build_full_result()
        resumed += [item["number"]["N"] for item in result["Items"]]
        token = result.get("NextToken")
        if token is None:
            break
    assert resumed == [str(number) for number in range(1, 13)]
    segments = [client.scan(**table, Segment=part, TotalSegments=4)["Items"] for part in range(4)]
    assert sorted(int(item["number"]["N"]) for part in segments for item in part) == list(range(1, 13))
    nothing = refused(lambda: client.query(**table, KeyConditionExpression="customer = :c"))
    assert nothing["Error"]["Code"] == "ValidationException"


def batches(client: Client) -> None:
    puts = [{"PutRequest": {"Item": order(number)}} for number in range(20, 25)]
    deletes = [{"DeleteRequest": {"Key": key(number)}} for number in range(1, 13)]
    written = client.batch_write_item(RequestItems={"Orders": puts + deletes}, ReturnConsumedCapacity="TOTAL")
    assert written["UnprocessedItems"] == {}
    read = client.batch_get_item(
        RequestItems={"Orders": {"Keys": [key(number) for number in range(18, 22)], "ProjectionExpression": "amount"}}
    )
    assert sorted(item["amount"]["N"] for item in read["Responses"]["Orders"]) == ["20.5", "21.5"]
    assert read["UnprocessedKeys"] == {}


def transactions(client: Client) -> None:
    actions = [
        {"Put": {"TableName": "Orders", "Item": order(30)}},
        {"Delete": {"TableName": "Orders", "Key": key(24)}},
        {
            "Update": {
                "TableName": "Orders",
                "Key": key(23),
                "UpdateExpression": "SET amount = :t",
                "ExpressionAttributeValues": {":t": {"N": "7"}},
            }
        },
        {
            "ConditionCheck": {
                "TableName": "Orders",
                "Key": key(20),
                "ConditionExpression": "attribute_exists(customer)",
            }
        },
    ]
    client.transact_write_items(TransactItems=actions, ClientRequestToken="once")
    client.transact_write_items(TransactItems=actions, ClientRequestToken="once")
    put = {"Put": {**actions[0]["Put"], "ConditionExpression": "attribute_not_exists(customer)"}}
    with pytest.raises(client.boto3.exceptions.TransactionCanceledException) as caught:
        client.transact_write_items(TransactItems=[put, actions[3]])
    assert [one["Code"] for one in caught.value.response["CancellationReasons"]] == ["ConditionalCheckFailed", "None"]
    gets = [{"Get": {"TableName": "Orders", "Key": key(number)}} for number in (30, 24, 23)]
    read = client.transact_get_items(TransactItems=gets)["Responses"]
    assert read == [{"Item": order(30)}, {}, {"Item": order(23, amount={"N": "7"})}]


def statements(client: Client) -> None:
    insert = "INSERT INTO Orders VALUE {'customer': ?, 'number': ?, 'state': 'new'}"
    client.execute_statement(Statement=insert, Parameters=[{"S": "c2"}, {"N": "1"}])
    select = "SELECT number, state FROM Orders WHERE customer = 'c2'"
    assert client.execute_statement(Statement=select)["Items"] == [{"number": {"N": "1"}, "state": {"S": "new"}}]
    both = client.batch_execute_statement(
        Statements=[
            {"Statement": "UPDATE Orders SET state = 'paid' WHERE customer = 'c2' AND number = 1"},
            {"Statement": "UPDATE Orders SET state = 'paid' WHERE customer = 'c3' AND number = 1"},
        ]
    )
    assert [one.get("Error", {}).get("Code") for one in both["Responses"]] == [None, "ConditionalCheckFailed"]
    client.execute_transaction(
        TransactStatements=[
            {"Statement": "DELETE FROM Orders WHERE customer = 'c2' AND number = 1"},
            {"Statement": insert, "Parameters": [{"S": "c2"}, {"N": "2"}]},
        ]
    )
    first = client.execute_statement(Statement="SELECT * FROM Orders", Limit=2)
    rest = client.execute_statement(Statement="SELECT * FROM Orders", NextToken=first["NextToken"])
    assert (len(first["Items"]), len(rest["Items"]), "NextToken" in rest) == (2, 4, False)


def options_are_changed(client: Client, arn: str) -> None:
    table = {"TableName": "Orders"}
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "room", "Value": "1"}])
    client.untag_resource(ResourceArn=arn, TagKeys=["team"])
    pages = client.boto3.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
    assert [tag for page in pages for tag in page["Tags"]] == [{"Key": "room", "Value": "1"}]
    expiring = {"AttributeName": "gone_at", "Enabled": True}
    client.update_time_to_live(**table, TimeToLiveSpecification=expiring)
    status = client.describe_time_to_live(**table)["TimeToLiveDescription"]
    assert (status["AttributeName"], status["TimeToLiveStatus"] in ("ENABLING", "ENABLED")) == ("gone_at", True)
    recovery = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(**table, PointInTimeRecoverySpecification=recovery)
    backups = client.describe_continuous_backups(**table)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    create = {
        "IndexName": "ByAmount",
        "KeySchema": [{"AttributeName": "amount", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    types = [{"AttributeName": "amount", "AttributeType": "N"}]
    client.update_table(**table, AttributeDefinitions=types, GlobalSecondaryIndexUpdates=[{"Create": create}])
    indexes = active_indexes(client, 2)
    assert next(one for one in indexes if one["IndexName"] == "ByAmount")["ItemCount"] == 5
    client.update_table(**table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "ByAmount"}}])
    active_indexes(client, 1)
    client.update_table(**table, DeletionProtectionEnabled=True)
    assert refused(lambda: client.delete_table(**table))["Error"]["Code"] == "ValidationException"
    client.update_table(**table, DeletionProtectionEnabled=False)
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    changed = [{"Update": {"IndexName": "ByState", "ProvisionedThroughput": units}}]
    client.update_table(
        **table, BillingMode="PROVISIONED", ProvisionedThroughput=units, GlobalSecondaryIndexUpdates=changed
    )
    same = refused(lambda: client.update_table(**table, ProvisionedThroughput=units))
    assert "requested value equals the current value" in same["Error"]["Message"]
    assert refused(lambda: client.update_table(**table))["Error"]["Code"] == "ValidationException"
    assert client.describe_limits()["TableMaxReadCapacityUnits"] == 40000
    assert client.describe_endpoints()["Endpoints"][0]["CachePeriodInMinutes"] == 1440


def active_indexes(client: Client, wanted: int) -> list[dict[str, Any]]:
    """The global indexes once there are so many, all of them active."""
    while True:  # the test's time limit ends it
        indexes = client.describe_table(TableName="Orders")["Table"]["GlobalSecondaryIndexes"]
        if len(indexes) == wanted and {one["IndexStatus"] for one in indexes} == {"ACTIVE"}:
            return list(indexes)


def the_stream_is_read(client: Client, streams: Client) -> None:
    arn = client.describe_table(TableName="Orders")["Table"]["LatestStreamArn"]
    assert [one["StreamArn"] for one in streams.list_streams(TableName="Orders")["Streams"]] == [arn]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    records: list[dict[str, Any]] = []
    while page := streams.get_records(ShardIterator=iterator, Limit=10):
        if not page["Records"]:
            break
        records += page["Records"]
        iterator = page["NextShardIterator"]
    held: dict[str, Any] = {}
    for record in records:
        change = record["dynamodb"]
        identity = str(change["Keys"])
        assert held.pop(identity, None) == change.get("OldImage")
        if record["eventName"] != "REMOVE":
            held[identity] = change["NewImage"]
    items = client.scan(TableName="Orders")["Items"]
    by_key = {str({"customer": item["customer"], "number": item["number"]}): item for item in items}
    assert {name: by_key[name] for name in by_key} == held
    past = time.time() - 60  # noqa: TID251 - a real server on the machine's clock
    client.put_item(TableName="Orders", Item=order(31, gone_at={"N": str(int(past))}))
    while "Item" in client.get_item(TableName="Orders", Key=key(31)):
        pass  # the test's time limit ends it
    *_, removed = streams.get_records(ShardIterator=iterator)["Records"]
    assert removed["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


def policies_and_insights_are_kept(client: Client, arn: str) -> None:
    table = {"TableName": "Orders"}
    assert client.update_contributor_insights(**table, ContributorInsightsAction="ENABLE")[
        "ContributorInsightsStatus"
    ] in ("ENABLING", "ENABLED")
    insights = client.describe_contributor_insights(**table)
    assert insights["ContributorInsightsStatus"] in ("ENABLING", "ENABLED")
    assert client.describe_kinesis_streaming_destination(**table)["KinesisDataStreamDestinations"] == []
    (listed,) = client.list_contributor_insights()["ContributorInsightsSummaries"]
    assert (listed["TableName"], listed["ContributorInsightsMode"]) == ("Orders", "ACCESSED_AND_THROTTLED_KEYS")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
        "Action": "dynamodb:GetItem",
        "Resource": arn,
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    put = client.put_resource_policy(ResourceArn=arn, Policy=json.dumps(policy))
    kept = client.get_resource_policy(ResourceArn=arn)
    assert (json.loads(kept["Policy"]), kept["RevisionId"]) == (policy, put["RevisionId"])
    client.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=put["RevisionId"])
    with pytest.raises(client.boto3.exceptions.PolicyNotFoundException):
        client.get_resource_policy(ResourceArn=arn)


def test_what_no_table_has_here_is_no_operation(running: Up) -> None:
    client = running.client("dynamodb")
    table = {"TableName": "Orders"}
    for call in (
        client.list_backups,
        client.list_exports,
        client.list_imports,
        client.list_global_tables,
        partial(client.describe_global_table, GlobalTableName="Orders"),
        partial(client.enable_kinesis_streaming_destination, **table, StreamArn=f"arn:aws:kinesis:{'x' * 40}"),
        partial(client.describe_table_replica_auto_scaling, **table),
    ):
        assert refused(call)["Error"]["Code"] == "UnknownOperationException"


# The resource layer -------------------------------------------------------------------------------------


@pytest.fixture
def resource(running: Up) -> Iterator[Any]:
    made = boto3.resource(
        "dynamodb",
        endpoint_url=running.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}),
    )
    yield made
    made.meta.client.close()


def test_the_resource_layer(resource: Any) -> None:
    table = resource.create_table(**ORDERS)
    table.wait_until_exists()
    table.load()
    assert (table.table_status, table.item_count, table.billing_mode_summary["BillingMode"]) == (
        "ACTIVE",
        0,
        "PAY_PER_REQUEST",
    )
    everything = {
        "customer": "c1",
        "number": Decimal(1),
        "text": "ü€𝄞",
        "empty": "",
        "exact": Decimal("1.2345678901234567890123456789012345678"),
        "tiny": Decimal("1E-130"),
        "bytes": Binary(b"\x00\xff"),
        "yes": True,
        "nothing": None,
        "list": [Decimal(1), "two", [None]],
        "map": {"a": {"b": [Decimal(3)]}},
        "numbers": {Decimal(1), Decimal("2.5")},
        "texts": {"a", "b"},
        "blobs": {Binary(b"a"), Binary(b"b")},
    }
    table.put_item(Item=everything)
    assert table.get_item(Key={"customer": "c1", "number": 1})["Item"] == everything
    with table.batch_writer(overwrite_by_pkeys=["customer", "number"]) as batch:
        for number in range(60):
            placed = f"2030-02-{number % 28 + 1:02}"
            batch.put_item(
                Item={"customer": "c2", "number": number, "state": "new", "placed": placed, "amount": number}
            )
        batch.put_item(Item={"customer": "c2", "number": 59, "state": "paid", "placed": "2030-03-01", "amount": 1})
        batch.delete_item(Key={"customer": "c2", "number": 0})
    found = table.query(
        KeyConditionExpression=Key("customer").eq("c2") & Key("number").between(10, 40),
        FilterExpression=Attr("amount").gte(20) & ~Attr("state").contains("paid") & Attr("placed").attribute_type("S"),
        ProjectionExpression="#n",
        ExpressionAttributeNames={"#n": "number"},
    )
    assert [item["number"] for item in found["Items"]] == list(range(20, 41))
    paid = table.query(IndexName="ByState", KeyConditionExpression=Key("state").eq("paid"))["Items"]
    assert [item["amount"] for item in paid] == [1]
    assert table.scan(FilterExpression=Attr("map.a.b[0]").eq(3))["Count"] == 1
    read = resource.batch_get_item(RequestItems={"Orders": {"Keys": [{"customer": "c2", "number": n} for n in (1, 2)]}})
    assert sorted(item["number"] for item in read["Responses"]["Orders"]) == [1, 2]
    updated = table.update_item(
        Key={"customer": "c2", "number": 1},
        UpdateExpression="SET amount = :t",
        ConditionExpression=Attr("state").eq("new"),
        ExpressionAttributeValues={":t": 99},
        ReturnValues="ALL_NEW",
    )
    assert updated["Attributes"]["amount"] == 99
    conditional = resource.meta.client.exceptions.ConditionalCheckFailedException
    with pytest.raises(conditional):
        table.put_item(Item={"customer": "c2", "number": 1}, ConditionExpression=Attr("customer").not_exists())
    table.reload()
    assert table.item_count == 60
    assert [one.name for one in resource.tables.all()] == ["Orders"]
    assert [one.name for one in resource.tables.limit(1)] == ["Orders"]
    table.delete()
    table.wait_until_not_exists()
    assert list(resource.tables.all()) == []
