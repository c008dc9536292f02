"""CreateTable, UpdateTable, DeleteTable and their relatives, in AWS's words.

Sources of the texts: dynalite's tests (recorded from AWS) and ack-api-quirks DDB-TABLE-050 and -442
(recorded from AWS, 2026-10-09).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

INVALID = "ValidationException: One or more parameter values were invalid: "
ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/Appointments"


def attributes(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def schema(*elements: tuple[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in elements]


def test_a_table_is_described_as_it_was_declared(dynamodb_call: Any) -> None:
    created = dynamodb_call.create(
        Tags=[{"Key": "team", "Value": "clinic"}],
        DeletionProtectionEnabled=True,
        TableClass="STANDARD_INFREQUENT_ACCESS",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/ours"},
    )
    assert created["TableStatus"] == "CREATING"
    assert "WarmThroughput" not in created
    described = dynamodb_call("DescribeTable", TableName="Appointments")["Table"]
    table_id = described.pop("TableId")
    assert len(table_id) == 36
    key_arn = described["SSEDescription"].pop("KMSMasterKeyArn")
    assert key_arn.startswith("arn:aws:kms:eu-west-1:000000000000:key/")
    assert described == {
        "AttributeDefinitions": attributes("PK", "SK"),
        "BillingModeSummary": {
            "BillingMode": "PAY_PER_REQUEST",
            "LastUpdateToPayPerRequestDateTime": datetime(2030, 1, 1, tzinfo=UTC),
        },
        "CreationDateTime": datetime(2030, 1, 1, tzinfo=UTC),
        "DeletionProtectionEnabled": True,
        "ItemCount": 0,
        "KeySchema": schema(("PK", "HASH"), ("SK", "RANGE")),
        "LatestStreamArn": f"{ARN}/stream/2030-01-01T00:00:00.000",
        "LatestStreamLabel": "2030-01-01T00:00:00.000",
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "SSEDescription": {"Status": "ENABLED", "SSEType": "KMS"},
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "TableArn": ARN,
        "TableClassSummary": {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
        "TableName": "Appointments",
        "TableSizeBytes": 0,
        "TableStatus": "ACTIVE",
        "WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"},
    }
    assert dynamodb_call("DescribeTable", TableName=ARN)["Table"]["TableId"] == table_id
    assert dynamodb_call("ListTagsOfResource", ResourceArn=ARN) == {"Tags": [{"Key": "team", "Value": "clinic"}]}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"AttributeDefinitions": attributes("PK")},
            "ValidationException: Invalid KeySchema: Some index key attribute have no definition",
        ),
        (
            {"AttributeDefinitions": attributes("PK", "email")},
            INVALID + "Some index key attributes are not defined in AttributeDefinitions. "
            "Keys: [PK, SK], AttributeDefinitions: [PK, email]",
        ),
        (
            {"AttributeDefinitions": attributes("PK", "SK", "email")},
            INVALID + "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        (
            {"AttributeDefinitions": attributes("PK", "SK", "SK")},
            "ValidationException: Attribute Name is duplicated: SK",
        ),
        (
            {"KeySchema": schema(("PK", "HASH"), ("PK", "RANGE"))},
            "ValidationException: Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ),
        (
            {"KeySchema": schema(("PK", "RANGE"), ("SK", "HASH"))},
            "ValidationException: Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {"KeySchema": schema(("PK", "HASH"), ("SK", "HASH"))},
            "ValidationException: Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
            INVALID
            + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ),
        (
            {"BillingMode": "PROVISIONED"},
            INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        (
            {"StreamSpecification": {"StreamEnabled": True}},
            INVALID + "Table is being created with a stream enabled, UpdateViewType is required",
        ),
        (
            {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}},
            INVALID + "Table is being created with a stream disabled, UpdateViewType should not be specified",
        ),
        (
            {"KeySchema": None},
            (
                "ValidationException: 1 validation error detected: Value null at 'keySchema' failed to satisfy "
                "constraint: Member must not be null"
            ),
        ),
        (
            {"Tags": [{"Key": "aws:x", "Value": "y"}]},
            "ValidationException: Tag Key cannot be prefixed with aws:, Key: aws:x",
        ),
        (
            {"ReplicaUpdates": [{}]},
            "ValidationException: ReplicaUpdates: global tables are not served by this version of duestream",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else ",".join(value),
)
def test_a_table_that_cannot_be_made_is_refused(dynamodb_call: Any, changes: dict[str, Any], text: str) -> None:
    declared = {
        "TableName": "Appointments",
        "AttributeDefinitions": attributes("PK", "SK"),
        "KeySchema": schema(("PK", "HASH"), ("SK", "RANGE")),
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert dynamodb_call.refusal("CreateTable", **(declared | changes)) == text
    assert dynamodb_call("ListTables") == {"TableNames": []}


def test_a_name_can_be_taken_once(dynamodb_call: Any) -> None:
    dynamodb_call.create()
    assert dynamodb_call.refusal(
        "CreateTable",
        TableName="Appointments",
        AttributeDefinitions=attributes("id"),
        KeySchema=schema(("id", "HASH")),
        BillingMode="PAY_PER_REQUEST",
    ) == ("ResourceInUseException: Table already exists: Appointments")


@pytest.mark.parametrize("operation", ["DescribeTable", "DeleteTable", "DescribeTimeToLive"])
def test_a_table_that_is_not_there_is_named(dynamodb_call: Any, operation: str) -> None:
    expected = "ResourceNotFoundException: Requested resource not found: Table: Nothing not found"
    assert dynamodb_call.refusal(operation, TableName="Nothing") == expected


def test_tables_are_listed_in_pages(dynamodb_call: Any) -> None:
    for name in ("three", "one-1", "two.2"):
        dynamodb_call.create(name)
    assert dynamodb_call("ListTables") == {"TableNames": ["one-1", "three", "two.2"]}
    assert dynamodb_call("ListTables", Limit=2) == {
        "TableNames": ["one-1", "three"],
        "LastEvaluatedTableName": "three",
    }
    assert dynamodb_call("ListTables", Limit=2, ExclusiveStartTableName="three") == {"TableNames": ["two.2"]}


def test_a_stream_is_switched_on_and_off(dynamodb_call: Any) -> None:
    off, on = {"StreamEnabled": False}, {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    update = {"TableName": "Appointments"}
    dynamodb_call.create(StreamSpecification=off)
    assert "LatestStreamArn" not in dynamodb_call("DescribeTable", **update)["Table"]
    assert (
        dynamodb_call.refusal("UpdateTable", **update, StreamSpecification=off)
        == "ValidationException: Table has no stream to disable: TableName: Appointments"
    )
    switched_on = dynamodb_call("UpdateTable", **update, StreamSpecification=on)["TableDescription"]
    assert switched_on["TableStatus"] == "UPDATING"
    assert switched_on["StreamSpecification"] == on
    assert (
        dynamodb_call.refusal("UpdateTable", **update, StreamSpecification=on)
        == "ValidationException: Table already has an enabled stream: TableName: Appointments"
    )
    assert (
        dynamodb_call.refusal("UpdateTable", **update, StreamSpecification={"StreamEnabled": True})
        == INVALID + "If stream is being enabled then UpdateViewType is required"
    )
    assert (
        dynamodb_call.refusal("UpdateTable", **update, StreamSpecification={**on, "StreamEnabled": False})
        == INVALID + "If stream is being disabled, then UpdateViewType must not be specified"
    )
    dynamodb_call("UpdateTable", **update, StreamSpecification=off)
    described = dynamodb_call("DescribeTable", **update)["Table"]
    assert "StreamSpecification" not in described
    assert described["LatestStreamArn"] == switched_on["LatestStreamArn"]  # as on AWS, it lingers
    dynamodb_call.clock.tick(timedelta(seconds=1))
    again = dynamodb_call("UpdateTable", **update, StreamSpecification=on)["TableDescription"]
    assert again["LatestStreamArn"] != switched_on["LatestStreamArn"]


def test_billing_changes_and_says_since_when(dynamodb_call: Any) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    created = dynamodb_call.create(BillingMode="PROVISIONED", ProvisionedThroughput=units)
    assert "BillingModeSummary" not in created
    assert created["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units}
    same = dynamodb_call.refusal("UpdateTable", TableName="Appointments", ProvisionedThroughput=units)
    assert same.startswith(
        "ValidationException: The provisioned throughput for the table will not change. "
        "The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: 5."
    )
    changed = dynamodb_call("UpdateTable", TableName="Appointments", BillingMode="PAY_PER_REQUEST")["TableDescription"]
    assert changed["BillingModeSummary"] == {
        "BillingMode": "PAY_PER_REQUEST",
        "LastUpdateToPayPerRequestDateTime": datetime(2030, 1, 1, tzinfo=UTC),
    }
    assert changed["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    assert (
        dynamodb_call.refusal("UpdateTable", TableName="Appointments", BillingMode="PROVISIONED")
        == INVALID + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED"
    )


def test_an_update_must_change_something_and_some_changes_stand_alone(dynamodb_call: Any) -> None:
    dynamodb_call.create()
    nothing = dynamodb_call.refusal("UpdateTable", TableName="Appointments")
    assert nothing.startswith("ValidationException: At least one of ProvisionedThroughput, BillingMode, ")
    both = {"TableClass": "STANDARD", "BillingMode": "PAY_PER_REQUEST"}
    assert (
        dynamodb_call.refusal("UpdateTable", TableName="Appointments", **both)
        == INVALID + "TableClass modification must be the only operation in the request"
    )


def test_a_protected_table_is_not_deleted(dynamodb_call: Any) -> None:
    dynamodb_call.create(DeletionProtectionEnabled=True)
    assert dynamodb_call.refusal("DeleteTable", TableName="Appointments") == (
        "ValidationException: Resource cannot be deleted as it is currently protected against deletion. "
        "Disable deletion protection first."
    )
    dynamodb_call("UpdateTable", TableName="Appointments", DeletionProtectionEnabled=False)
    deleted = dynamodb_call("DeleteTable", TableName="Appointments")["TableDescription"]
    assert deleted["TableStatus"] == "DELETING"
    assert dynamodb_call("ListTables") == {"TableNames": []}
    dynamodb_call.create()


def test_tags_are_added_replaced_and_removed(dynamodb_call: Any) -> None:
    dynamodb_call.create()
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    dynamodb_call("TagResource", ResourceArn=ARN, Tags=tags)
    dynamodb_call("TagResource", ResourceArn=ARN, Tags=[{"Key": "a", "Value": "3"}])
    dynamodb_call("UntagResource", ResourceArn=ARN, TagKeys=["b", "never there"])
    assert dynamodb_call("ListTagsOfResource", ResourceArn=ARN) == {"Tags": [{"Key": "a", "Value": "3"}]}
    missing = ARN + "x"
    assert (
        dynamodb_call.refusal("ListTagsOfResource", ResourceArn=missing)
        == f"ResourceNotFoundException: Requested resource not found: ResourceArn: {missing} not found"
    )
    invalid = "ValidationException: One or more parameter values were invalid: "
    queue = "arn:aws:sqs:eu-west-1:000000000000:queue"
    for arn, refusal in {
        queue: f"{invalid}Provided Arn is not a DynamoDB resource arn: {queue}",
        f"{ARN}/index/ByDay": f"{invalid}Invalid resource arn provided, only table or stream is accepted. "
        f"Provided resource arn: {ARN}/index/ByDay",
        f"{ARN}/stream/2030": "ResourceNotFoundException: Requested resource not found: "
        f"ResourceArn: {ARN}/stream/2030 not found",
    }.items():
        assert dynamodb_call.refusal("ListTagsOfResource", ResourceArn=arn) == refusal
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert (
        dynamodb_call.refusal("TagResource", ResourceArn=ARN, Tags=many)
        == "ValidationException: Number of Tags exceed the current limit for the provided ResourceArn"
    )


def test_the_service_says_where_it_is_and_what_it_allows(dynamodb_call: Any) -> None:
    dynamodb_call.create()
    assert dynamodb_call("DescribeEndpoints") == {
        "Endpoints": [{"Address": "127.0.0.1:8787", "CachePeriodInMinutes": 1440}]
    }
    assert dynamodb_call("DescribeLimits")["TableMaxReadCapacityUnits"] == 40000
    assert dynamodb_call("DescribeTimeToLive", TableName="Appointments") == {
        "TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}
    }
