"""Indexes in CreateTable and UpdateTable, in AWS's words.

Sources of the texts: dynalite's tests (``test/createTable.js``, ``test/updateTable.js``), nubo-db/dynamodb-conformance
(``createTable.test.ts``) and ack-api-quirks DDB-TABLE-123 to -175, -375 and -442 (2026-10-08 and 09), all recorded
from AWS.
"""

from typing import Any

import pytest

from duestream.local.store import index_building, items
from duestream.local.store.tables import get_table
from duestream.local.store.writer import Transaction

VALIDATION = "ValidationException: "
INVALID = VALIDATION + "One or more parameter values were invalid: "
UNITS = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
ALL = {"ProjectionType": "ALL"}


def defined(names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names.split()]


def keys(partition: str, sort: str = "") -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": "HASH"} for name in partition.split()] + [
        {"AttributeName": name, "KeyType": "RANGE"} for name in sort.split()
    ]


def index(name: str, schema: list[dict[str, str]], projection: dict[str, Any] | None = None, **more: Any) -> Any:
    return {"IndexName": name, "KeySchema": schema, "Projection": ALL if projection is None else projection, **more}


def local(*indexes: Any, definitions: str = "PK SK a", **more: Any) -> dict[str, Any]:
    return {"LocalSecondaryIndexes": list(indexes), "AttributeDefinitions": defined(definitions), **more}


def global_(*indexes: Any, definitions: str = "PK SK a", **more: Any) -> dict[str, Any]:
    return {"GlobalSecondaryIndexes": list(indexes), "AttributeDefinitions": defined(definitions), **more}


SAME = "Both the Hash Key and the Range Key element in the KeySchema have the same name"
FIRST = "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"
UNDEFINED = INVALID + "Some index key attributes are not defined in AttributeDefinitions. "


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (local(), INVALID + "List of LocalSecondaryIndexes is empty"),
        (global_(definitions="PK SK"), INVALID + "List of GlobalSecondaryIndexes is empty"),
        (
            local(index("abc", keys("PK", "a")), definitions="PK a", KeySchema=keys("PK")),
            INVALID + "Table KeySchema does not have a range key, which is required when specifying a "
            "LocalSecondaryIndex",
        ),
        (local(index("abc", keys("", "c d"), {})), UNDEFINED + "Keys: [c, d], AttributeDefinitions: [PK, SK, a]"),
        (global_(index("abc", keys("PK", "c"), {})), UNDEFINED + "Keys: [PK, c], AttributeDefinitions: [PK, SK, a]"),
        (local(index("abc", keys("", "PK"))), VALIDATION + FIRST),
        (global_(index("abc", keys("", "a"), {})), VALIDATION + FIRST),
        (local(index("abc", keys("PK PK"))), VALIDATION + SAME),
        (global_(index("abc", keys("PK", "PK"))), VALIDATION + SAME),
        (
            local(index("abc", keys("PK SK"))),
            VALIDATION + "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            local(index("abc", keys("SK")), definitions="PK SK"),
            INVALID + "Index KeySchema does not have a range key for index: abc",
        ),
        (
            local(index("abc", keys("SK", "PK")), definitions="PK SK"),
            INVALID + "Index KeySchema does not have the same leading hash key as table KeySchema for index: abc. "
            "index hash key: SK, table hash key: PK",
        ),
        (
            global_(index("abc", keys("SK"), {})),
            INVALID + "Some AttributeDefinitions are not used. AttributeDefinitions: [PK, SK, a], keys used: [PK, SK]",
        ),
        (global_(index("abc", keys("a"), {})), INVALID + "Unknown ProjectionType: null"),
        (
            global_(index("abc", keys("a"), {"ProjectionType": "ALL", "NonKeyAttributes": ["x"]})),
            INVALID + "ProjectionType is ALL, but NonKeyAttributes is specified",
        ),
        (
            local(index("abc", keys("PK", "a"), {"ProjectionType": "KEYS_ONLY", "NonKeyAttributes": ["x"]})),
            INVALID + "ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified",
        ),
        (
            global_(index("abc", keys("a"), {"ProjectionType": "INCLUDE"})),
            INVALID + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        ),
        (
            global_(index("abc", keys("a"), {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x", "x"]})),
            INVALID + "Duplicate element in NonKeyAttributes: x",
        ),
        (
            global_(index("abc", keys("a")), LocalSecondaryIndexes=[index("abc", keys("PK", "a"))]),
            INVALID + "Duplicate index name: abc",
        ),
        (
            local(*(index(f"abc{number}", keys("PK", "a")) for number in range(6))),
            INVALID + "Number of LocalSecondaryIndexes exceeds per-table limit of 5",
        ),
        (
            global_(*(index(f"abc{number}", keys("a")) for number in range(21))),
            INVALID + "GlobalSecondaryIndex count exceeds the per-table limit of 20",
        ),
        (
            global_(index("abc", keys("a"), ProvisionedThroughput=UNITS)),
            INVALID
            + "ProvisionedThroughput should not be specified for index: abc when BillingMode is PAY_PER_REQUEST",
        ),
        (
            global_(index("abc", keys("a")), BillingMode="PROVISIONED", ProvisionedThroughput=UNITS),
            INVALID + "ProvisionedThroughput is not specified for index: abc",
        ),
        (
            global_(index("abc", keys("a"), OnDemandThroughput={"MaxReadRequestUnits": 0})),
            INVALID + "Requested MaxReadRequestUnits for OnDemandThroughput for index : abc is outside of valid range",
        ),
        (
            {
                "BillingMode": "PROVISIONED",
                "ProvisionedThroughput": {**UNITS, "ReadCapacityUnits": 1_000_000_000_001},
            },
            VALIDATION + "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
        ),
        (
            {"KeySchema": keys("PK", "SK a"), "AttributeDefinitions": defined("PK SK a")},
            VALIDATION + "1 validation error detected: Value '[KeySchemaElement(attributeName=PK, keyType=HASH), "
            "KeySchemaElement(attributeName=SK, keyType=RANGE), KeySchemaElement(attributeName=a, keyType=RANGE)]' at "
            "'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2",
        ),
        (
            global_(index("abc", keys("a b c d e")), definitions="PK SK a b c d e"),
            INVALID + "The KeySchema exceeds the maximum allowed number of HASH key attributes",
        ),
        (
            global_(index("abc", keys("a", "b") + keys("c")), definitions="PK SK a b c"),
            INVALID + "All HASH key attributes must precede RANGE key attributes in the KeySchema",
        ),
        (
            global_(index("abc", keys("a", "PK a"))),
            VALIDATION + "The KeySchema contains multiple key attributes with the same name",
        ),
    ],
)
def test_indexes_that_cannot_be_made_are_refused(dynamodb_call: Any, declared: dict[str, Any], text: str) -> None:
    table = {
        "TableName": "Appointments",
        "AttributeDefinitions": defined("PK SK"),
        "KeySchema": keys("PK", "SK"),
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert dynamodb_call.refusal("CreateTable", **(table | declared)) == text


def test_indexes_are_described_as_they_were_declared(dynamodb_call: Any) -> None:
    created = dynamodb_call.create(
        AttributeDefinitions=defined("z SK PK a"),
        GlobalSecondaryIndexes=[
            index("by-z", keys("z", "a"), {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n", "m"]}),
            index("by-a", keys("a"), OnDemandThroughput={"MaxReadRequestUnits": 5}),
        ],
        LocalSecondaryIndexes=[index("local", keys("PK", "a"), {"ProjectionType": "KEYS_ONLY"})],
    )
    assert [one["IndexStatus"] for one in created["GlobalSecondaryIndexes"]] == ["CREATING", "CREATING"]
    described = dynamodb_call("DescribeTable", TableName="Appointments")["Table"]
    assert [one["AttributeName"] for one in described["AttributeDefinitions"]] == ["PK", "SK", "a", "z"]
    arn = "arn:aws:dynamodb:eu-west-1:000000000000:table/Appointments/index/"
    on_demand = {
        "IndexStatus": "ACTIVE",
        "IndexSizeBytes": 0,
        "ItemCount": 0,
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"},
    }
    assert described["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "by-z",
            "KeySchema": keys("z", "a"),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["m", "n"]},
            "IndexArn": arn + "by-z",
            **on_demand,
        },
        {
            "IndexName": "by-a",
            "KeySchema": keys("a"),
            "Projection": ALL,
            "IndexArn": arn + "by-a",
            "OnDemandThroughput": {"MaxReadRequestUnits": 5},
            **on_demand,
        },
    ]
    assert described["LocalSecondaryIndexes"] == [
        {
            "IndexName": "local",
            "KeySchema": keys("PK", "a"),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
            "IndexArn": arn + "local",
            "IndexSizeBytes": 0,
            "ItemCount": 0,
        }
    ]


# UpdateTable --------------------------------------------------------------------------------------------


def create(name: str, schema: list[dict[str, str]], definitions: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "AttributeDefinitions": defined(definitions),
        "GlobalSecondaryIndexUpdates": [{"Create": index(name, schema, **more)}],
    }


def delete(*names: str) -> dict[str, Any]:
    return {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}} for name in names]}


def update(name: str, **more: Any) -> dict[str, Any]:
    return {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": name, **more}}]}


@pytest.fixture
def indexed(dynamodb_call: Any) -> Any:
    """A table on demand with a global index `by-b` and a local one, `local`."""
    dynamodb_call.create(
        AttributeDefinitions=defined("PK SK b"),
        GlobalSecondaryIndexes=[index("by-b", keys("b"))],
        LocalSecondaryIndexes=[index("local", keys("PK", "b"))],
    )
    return dynamodb_call


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            {"GlobalSecondaryIndexUpdates": [], "DeletionProtectionEnabled": True},
            INVALID + "List of GlobalSecondaryIndexUpdates is empty",
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{}]},
            INVALID + "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
            "GlobalSecondaryIndexUpdate.Delete must not be null",
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{**update("abc")["GlobalSecondaryIndexUpdates"][0], "Delete": {"x": 1}}]},
            INVALID + "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
        ),
        (
            delete("abc", "abc"),
            INVALID + "Only one global secondary index update per index is allowed simultaneously. Index: abc",
        ),
        (
            delete("abc", "abd"),
            (
                "LimitExceededException: Subscriber limit exceeded: Only 1 online index can be created or deleted "
                "simultaneously per table"
            ),
        ),
        (
            delete("abc"),
            "ResourceNotFoundException: Requested resource not found: Index abc for table Appointments",
        ),
        (delete("local"), VALIDATION + "Cannot delete an index that is not a GlobalSecondaryIndex: local"),
        (update("local"), VALIDATION + "Cannot update an index that is not a GlobalSecondaryIndex: local"),
        (create("by-b", keys("", "x")), VALIDATION + "Attempting to create an index which already exists"),
        (
            {"GlobalSecondaryIndexUpdates": [{"Create": index("by-a", keys("a"))}]},
            INVALID + "AttributeDefinitions is not specified for index: by-a",
        ),
        (create("by-a", keys("x")), UNDEFINED + "Keys: [x], AttributeDefinitions: [a]"),
        (
            {
                **create("by-a", keys("b")),
                "AttributeDefinitions": [{"AttributeName": "b", "AttributeType": "N"}],
            },
            INVALID + "Attributes cannot be redefined. Please check that your attribute has the same type as "
            "previously defined. Existing schema: Schema:[SchemaElement: key{b:S:HASH}] "
            "New schema: Schema:[SchemaElement: key{b:N:HASH}]",
        ),
        (
            create("by-a", keys("a"), ProvisionedThroughput=UNITS),
            INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: by-a "
            "when BillingMode is PAY_PER_REQUEST",
        ),
        (
            update("by-b", ProvisionedThroughput=UNITS),
            INVALID + "The only Updates for index: by-b when TableThroughputMode is PAY_PER_REQUEST can be to "
            "OnDemandThroughput, WarmThroughput",
        ),
        (
            {**create("by-a", keys("a")), "DeletionProtectionEnabled": True},
            INVALID + "DeletionProtection modification must be the only operation in the request",
        ),
        (
            {**create("by-a", keys("a")), "StreamSpecification": {"StreamEnabled": False}},
            INVALID + "You cannot create or delete index while changing stream status",
        ),
        (
            {**delete("by-b"), "ProvisionedThroughput": UNITS},
            INVALID + "You cannot create or delete index while updating table IOPS",
        ),
        (
            {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS},
            INVALID + "ProvisionedThroughput must be specified for index: by-b",
        ),
    ],
)
def test_updates_of_indexes_that_cannot_be_are_refused(indexed: Any, asked: dict[str, Any], text: str) -> None:
    before = indexed("DescribeTable", TableName="Appointments")
    assert indexed.refusal("UpdateTable", TableName="Appointments", **asked) == text
    assert indexed("DescribeTable", TableName="Appointments") == before


def test_what_is_wrong_with_an_update_comes_before_the_table_that_is_not_there(dynamodb_call: Any) -> None:
    assert "must not be null" in dynamodb_call.refusal(
        "UpdateTable", TableName="Nothing", GlobalSecondaryIndexUpdates=[{}]
    )
    expected = "ResourceNotFoundException: Requested resource not found: Table: Nothing not found"
    assert dynamodb_call.refusal("UpdateTable", TableName="Nothing", **delete("abc", "abd")) == expected


def test_an_index_is_made_and_deleted_while_the_table_is_in_use(indexed: Any) -> None:
    indexed("PutItem", TableName="Appointments", Item={"PK": {"S": "p"}, "SK": {"S": "1"}, "a": {"S": "x"}})
    made = indexed("UpdateTable", TableName="Appointments", **create("by-a", keys("a")))["TableDescription"]
    assert made["TableStatus"] == "UPDATING"
    shown = {one["IndexName"]: one for one in made["GlobalSecondaryIndexes"]}
    assert (shown["by-a"]["IndexStatus"], shown["by-a"]["Backfilling"]) == ("CREATING", False)
    assert "Backfilling" not in shown["by-b"]
    described = indexed("DescribeTable", TableName="Appointments")["Table"]
    by_a = described["GlobalSecondaryIndexes"][1]
    assert (by_a["IndexName"], by_a["IndexStatus"], by_a["ItemCount"]) == ("by-a", "ACTIVE", 1)
    assert "Backfilling" not in by_a
    deleted = indexed("UpdateTable", TableName="Appointments", **delete("by-a"))["TableDescription"]
    assert [one["IndexStatus"] for one in deleted["GlobalSecondaryIndexes"]] == ["ACTIVE", "DELETING"]
    described = indexed("DescribeTable", TableName="Appointments")["Table"]
    assert [one["IndexName"] for one in described["GlobalSecondaryIndexes"]] == ["by-b"]
    assert [one["AttributeName"] for one in described["AttributeDefinitions"]] == ["PK", "SK", "b"]


def test_an_index_that_is_being_built_cannot_be_read_and_goes_on_after_a_stop(
    indexed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of two: the answer's own chunk leaves it unfinished. Writes go on meanwhile, also ones it has no room for."""
    for number in range(5):
        indexed("PutItem", TableName="Appointments", Item={"PK": {"S": "p"}, "SK": {"S": f"{number}"}, "a": {"S": "x"}})
    monkeypatch.setattr(index_building, "CHUNK_BYTES", 1)
    monkeypatch.setattr("duestream.local.services.dynamodb.table_updates.resume_table_upkeep", lambda store: None)
    indexed("UpdateTable", TableName="Appointments", **create("by-a", keys("a")))
    by_a = indexed("DescribeTable", TableName="Appointments")["Table"]["GlobalSecondaryIndexes"][1]
    assert (by_a["IndexStatus"], by_a["Backfilling"], by_a["ItemCount"]) == ("CREATING", True, 1)
    assert (
        indexed.refusal("Scan", TableName="Appointments", IndexName="by-a")
        == VALIDATION + "Cannot read from backfilling global secondary index: by-a"
    )
    assert indexed.refusal("DeleteTable", TableName="Appointments") == (
        "ResourceInUseException: Attempt to change a resource which is still in use: Cannot delete table while "
        "indexes are being created, updated, or deleted."
    )
    one_at_a_time = indexed.refusal("UpdateTable", TableName="Appointments", **create("by-c", keys("c"), "c"))
    assert one_at_a_time.startswith("LimitExceededException: Subscriber limit exceeded: Only 1 online index")
    changed = {"PK": {"S": "p"}, "SK": {"S": "4"}, "a": {"S": "y"}, "more": {"S": "z"}}
    indexed("PutItem", TableName="Appointments", Item=changed)
    indexed("PutItem", TableName="Appointments", Item={"PK": {"S": "p"}, "SK": {"S": "0"}, "a": {"N": "1"}})
    indexed("DeleteItem", TableName="Appointments", Key={"PK": {"S": "p"}, "SK": {"S": "3"}})
    while indexed.write(index_building.build_step):
        pass
    found = indexed("Scan", TableName="Appointments", IndexName="by-a")
    assert [(item["SK"]["S"], item["a"]["S"]) for item in found["Items"]] == [("1", "x"), ("2", "x"), ("4", "y")]
    by_a = indexed("DescribeTable", TableName="Appointments")["Table"]["GlobalSecondaryIndexes"][1]
    assert (by_a["IndexStatus"], by_a["ItemCount"]) == ("ACTIVE", 3)
    refused = indexed.refusal(
        "PutItem", TableName="Appointments", Item={"PK": {"S": "p"}, "SK": {"S": "9"}, "a": {"N": "1"}}
    )
    assert refused == INVALID + "Type mismatch for Index Key a Expected: S Actual: N IndexName: by-a"


def test_a_change_ahead_of_the_building_is_counted_once(indexed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The item's entry is not there yet when its size changes and its key does not."""
    for number in range(3):
        indexed("PutItem", TableName="Appointments", Item={"PK": {"S": "p"}, "SK": {"S": f"{number}"}, "a": {"S": "x"}})
    monkeypatch.setattr(index_building, "CHUNK_BYTES", 1)
    monkeypatch.setattr("duestream.local.services.dynamodb.table_updates.resume_table_upkeep", lambda store: None)
    indexed("UpdateTable", TableName="Appointments", **create("by-a", keys("a")))

    def grow(tx: Transaction) -> None:
        table = get_table(tx.connection, "Appointments")
        assert table is not None
        items.put_item(tx, table, {"PK": {"S": "p"}, "SK": {"S": "2"}, "a": {"S": "x"}, "n": {"S": "12345"}}, now_ms=1)

    indexed.write(grow)
    while indexed.write(index_building.build_step):
        pass
    by_a = indexed("DescribeTable", TableName="Appointments")["Table"]["GlobalSecondaryIndexes"][1]
    assert (by_a["ItemCount"], by_a["IndexSizeBytes"]) == (3, 3 * 8 + 6)


def test_units_of_an_index_change_and_the_answer_shows_the_former_ones(dynamodb_call: Any) -> None:
    dynamodb_call.create(
        AttributeDefinitions=defined("PK SK b"),
        BillingMode="PROVISIONED",
        ProvisionedThroughput=UNITS,
        GlobalSecondaryIndexes=[index("by-b", keys("b"), ProvisionedThroughput=UNITS)],
    )
    table = {"TableName": "Appointments"}
    same = dynamodb_call.refusal("UpdateTable", **table, **update("by-b", ProvisionedThroughput=UNITS))
    assert same.startswith(
        VALIDATION + "The provisioned throughput for the index by-b will not change. The requested value equals the "
        "current value. Current ReadCapacityUnits provisioned for index by-b: 1. Requested ReadCapacityUnits: 1. "
        "Current WriteCapacityUnits provisioned for index by-b: 1. Requested WriteCapacityUnits: 1. Refer to "
    )
    more = {"ReadCapacityUnits": 3, "WriteCapacityUnits": 1}
    answer = dynamodb_call("UpdateTable", **table, **update("by-b", ProvisionedThroughput=more))["TableDescription"]
    (shown,) = answer["GlobalSecondaryIndexes"]
    assert (answer["TableStatus"], shown["IndexStatus"]) == ("ACTIVE", "UPDATING")
    assert shown["ProvisionedThroughput"]["ReadCapacityUnits"] == 1
    (shown,) = dynamodb_call("DescribeTable", **table)["Table"]["GlobalSecondaryIndexes"]
    assert shown["ProvisionedThroughput"]["ReadCapacityUnits"] == 3
    assert "LastIncreaseDateTime" in shown["ProvisionedThroughput"]
    dynamodb_call("UpdateTable", **table, ProvisionedThroughput=more)
    dynamodb_call("UpdateTable", **table, ProvisionedThroughput=UNITS)
    units = dynamodb_call("DescribeTable", **table)["Table"]["ProvisionedThroughput"]
    assert (units["NumberOfDecreasesToday"], units["ReadCapacityUnits"]) == (1, 1)
    dynamodb_call("UpdateTable", **table, BillingMode="PAY_PER_REQUEST")
    (shown,) = dynamodb_call("DescribeTable", **table)["Table"]["GlobalSecondaryIndexes"]
    assert shown["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    both = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS}
    dynamodb_call("UpdateTable", **table, **both, **update("by-b", ProvisionedThroughput=more))
    (shown,) = dynamodb_call("DescribeTable", **table)["Table"]["GlobalSecondaryIndexes"]
    assert shown["ProvisionedThroughput"]["ReadCapacityUnits"] == 3


@pytest.mark.parametrize(
    ("specification", "text"),
    [
        ({"Enabled": False, "SSEType": "KMS"}, "SSEType can not be specified if Enabled is false"),
        ({"Enabled": True, "SSEType": "AES256"}, "SSEType AES256 is not supported"),
        ({"Enabled": True, "KMSMasterKeyId": "x"}, "SSEType KMS is required if KMSMasterKeyId is specified"),
    ],
)
def test_encryption_that_contradicts_itself_is_refused(
    dynamodb_call: Any, specification: dict[str, Any], text: str
) -> None:
    dynamodb_call.create()
    refused = dynamodb_call.refusal("UpdateTable", TableName="Appointments", SSESpecification=specification)
    assert refused == INVALID + text


def test_encryption_that_is_there_already_is_refused(dynamodb_call: Any) -> None:
    dynamodb_call.create()
    table = {"TableName": "Appointments"}
    refused = dynamodb_call.refusal("UpdateTable", **table, SSESpecification={"Enabled": False})
    assert refused == INVALID + "Table is already encrypted by default"
    key = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/ours"}
    dynamodb_call("UpdateTable", **table, SSESpecification=key)
    refused = dynamodb_call.refusal("UpdateTable", **table, SSESpecification=key)
    assert refused.startswith(INVALID + "Table is already encrypted with given KMSMasterKeyId.")
    dynamodb_call("UpdateTable", **table, SSESpecification={**key, "KMSMasterKeyId": "alias/other"})
    dynamodb_call("UpdateTable", **table, SSESpecification={"Enabled": False})
    assert "SSEDescription" not in dynamodb_call("DescribeTable", **table)["Table"]
