"""What may be asked of an index, and what it answers with. Sources of the texts: dynalite's tests (``test/query.js``,
``test/scan.js``), nubo-db and paritysuite/dynamodb-conformance (2026-08 to 2026-10), recorded from AWS."""

from typing import Any

import pytest

VALIDATION = "ValidationException: "
INVALID = VALIDATION + "One or more parameter values were invalid: "
START = VALIDATION + "The provided starting key is invalid"
NO_MATCH = "The provided key element does not match the schema"


def s(**values: str) -> dict[str, dict[str, str]]:
    return {name: {"S": value} for name, value in values.items()}


def index(name: str, *names: str, projection: dict[str, Any] | None = None) -> dict[str, Any]:
    schema = [{"AttributeName": one, "KeyType": kind} for one, kind in zip(names, ("HASH", "RANGE"), strict=False)]
    return {"IndexName": name, "KeySchema": schema, "Projection": projection or {"ProjectionType": "ALL"}}


@pytest.fixture
def call(dynamodb_call: Any) -> Any:
    """dynalite's table: a, b; local index1 by c; global index3 by c, index4 by c and d (INCLUDE e)."""
    dynamodb_call(
        "CreateTable",
        TableName="Range",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in "abcd"],
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}, {"AttributeName": "b", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
        LocalSecondaryIndexes=[
            index("index1", "a", "c"),
            index("keys", "a", "d", projection={"ProjectionType": "KEYS_ONLY"}),
        ],
        GlobalSecondaryIndexes=[
            index("index3", "c"),
            index("index4", "c", "d", projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": ["e"]}),
        ],
    )
    return dynamodb_call


def query(name: str, condition: str = "c = :v", value: str = "b", **more: Any) -> dict[str, Any]:
    asked = {"TableName": "Range", "IndexName": name, "KeyConditionExpression": condition}
    return asked | {"ExpressionAttributeValues": s(**{":v": value})} | more


OUTSIDE = VALIDATION + "The provided starting key is outside query boundaries based on provided conditions"
PREDICATE = VALIDATION + "The provided starting key does not match the range key predicate"
RESTART = VALIDATION + "The query can return at most one row and cannot be restarted"
ALL_OF_INDEX4 = (
    INVALID + "Select type ALL_ATTRIBUTES is not supported for global secondary index index4 "
    "because its projection type is not ALL"
)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (query("whatever"), VALIDATION + "The table does not have the specified index: whatever"),
        (
            query("index3", ConsistentRead=True),
            VALIDATION + "Consistent reads are not supported on global secondary indexes",
        ),
        (query("index4", Select="ALL_ATTRIBUTES"), ALL_OF_INDEX4),
        (
            query("index4", ProjectionExpression="x, e, y"),
            INVALID + "Global secondary index index4 does not project [x, y]",
        ),
        (
            query("index4", FilterExpression="y = :v OR x = :v"),
            INVALID + "Secondary index index4 does not project one or more filter attributes: [x, y]",
        ),
        (
            query("index4", FilterExpression="d = :v"),
            VALIDATION + "Filter Expression can only contain non-primary key attributes: Primary key attribute: d",
        ),
        (query("index4", "c = :v AND b = :v"), VALIDATION + "Query condition missed key schema element: d"),
        (query("index1", "z = :v"), VALIDATION + "Query condition missed key schema element: a"),
        (query("index3", "c > :v"), VALIDATION + "Query key condition not supported"),
        (query("index3", ExclusiveStartKey=s(a="a", b="a")), START),
        (query("index3", ExclusiveStartKey=s(a="a", b="a", z="a")), START),
        (query("index1", "a = :v", ExclusiveStartKey=s(a="a", b="a", c="a", d="a")), START),
        (
            query("index1", "a = :v", ExclusiveStartKey={**s(a="a", b="a"), "c": {"N": "1"}}),
            VALIDATION + NO_MATCH,
        ),
        (
            query("index1", "a = :v", ExclusiveStartKey={**s(a="a", c="a"), "b": {"N": "1"}}),
            f"{START}: {NO_MATCH}",
        ),
        (query("index3", ExclusiveStartKey=s(x="1", y="1", c="a")), f"{START}: {NO_MATCH}"),
        (query("index1", "a = :v", ExclusiveStartKey=s(a="a", b="a", c="a")), OUTSIDE),
        (query("index3", ExclusiveStartKey=s(a="a", b="a", c="a")), OUTSIDE),
        (query("index4", "c = :v AND d > :v", ExclusiveStartKey=s(a="a", b="a", c="a", d="a")), PREDICATE),
        (query("index4", "c = :v AND d < :v", ExclusiveStartKey=s(a="a", b="a", c="a", d="a")), RESTART),
        (
            query("index4", Select="ALL_ATTRIBUTES", ExclusiveStartKey=s(a="a", b="a", c="a")),
            START,
        ),
        (
            query(
                "index4",
                Select="ALL_ATTRIBUTES",
                FilterExpression="c = :v",
                ExclusiveStartKey=s(a="a", b="b", c="b", d="b"),
            ),
            ALL_OF_INDEX4,
        ),
    ],
)
def test_a_query_of_an_index_that_cannot_be_is_refused(call: Any, asked: dict[str, Any], text: str) -> None:
    assert call.refusal("Query", **asked) == text


@pytest.mark.parametrize(
    ("start_key", "select", "text"),
    [
        ({**s(c="a", d="a"), "x": {"N": "1"}, "y": {"N": "1"}}, {"Select": "ALL_ATTRIBUTES"}, ALL_OF_INDEX4),
        ({**s(c="a", d="a"), "x": {"N": "1"}, "y": {"N": "1"}}, {}, f"{START}: {NO_MATCH}"),
        ({**s(c="a"), "d": {"N": "1"}, "x": {"N": "1"}, "y": {"N": "1"}}, {}, VALIDATION + NO_MATCH),
        (s(c="1"), {"Select": "ALL_ATTRIBUTES"}, START),
    ],
)
def test_a_scan_of_an_index_cannot_start_just_anywhere(
    call: Any, start_key: dict[str, Any], select: dict[str, Any], text: str
) -> None:
    asked = {"TableName": "Range", "IndexName": "index4", "ExclusiveStartKey": start_key, **select}
    assert call.refusal("Scan", **asked) == text


def test_an_index_shows_what_it_projects_and_a_local_one_looks_up_the_rest(call: Any) -> None:
    call("PutItem", TableName="Range", Item=s(a="1", b="1", c="x", d="y", e="e", f="f"))
    (item,) = call("Query", **query("index4", value="x"))["Items"]
    assert item == s(a="1", b="1", c="x", d="y", e="e")
    (item,) = call("Query", **query("index3", value="x"))["Items"]
    assert item["f"] == {"S": "f"}
    asked = query("keys", "a = :v", "1", ReturnConsumedCapacity="INDEXES")
    answer = call("Query", **asked)
    assert answer["Items"] == [s(a="1", b="1", d="y")]
    assert answer["ConsumedCapacity"] == {
        "TableName": "Range",
        "CapacityUnits": 0.5,
        "Table": {"CapacityUnits": 0},
        "LocalSecondaryIndexes": {"keys": {"CapacityUnits": 0.5}},
    }
    for more in ({"Select": "ALL_ATTRIBUTES"}, {"ProjectionExpression": "a, f"}):
        answer = call("Query", **asked, **more)
        assert answer["Items"][0]["f"] == {"S": "f"}
        assert answer["ConsumedCapacity"]["CapacityUnits"] == 1
        assert answer["ConsumedCapacity"]["Table"] == {"CapacityUnits": 0.5}
    assert call("Query", **asked, Select="COUNT")["Count"] == 1
    scanned = call("Scan", TableName="Range", IndexName="keys", FilterExpression="attribute_exists(f)")
    assert (scanned["Count"], scanned["ScannedCount"]) == (0, 1)


def test_a_page_of_an_index_is_a_megabyte_of_what_it_projects(call: Any) -> None:
    for number in range(4):
        call("PutItem", TableName="Range", Item=s(a="1", b=str(number), c="x", d="y", f="f" * 300_000))
    assert call("Query", **query("index3", value="x"))["Count"] == 3
    assert call("Query", **query("index4", value="x"))["Count"] == 4
    page = call("Query", **query("index4", value="x", Limit=1, ScanIndexForward=False))
    assert page["LastEvaluatedKey"] == s(a="1", b="3", c="x", d="y")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"N": "1"}, INVALID + "Type mismatch for Index Key c Expected: S Actual: N IndexName: index3"),
        (
            {"S": ""},
            VALIDATION + "One or more parameter values are not valid. A value specified for a secondary index key is "
            "not supported. The AttributeValue for a key attribute cannot contain an empty string value. "
            "IndexName: index3, IndexKey: c",
        ),
        ({"S": "x" * 2049}, INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"),
    ],
)
def test_an_item_with_a_value_that_is_no_key_of_an_index_is_refused(
    call: Any, value: dict[str, str], text: str
) -> None:
    assert call.refusal("PutItem", TableName="Range", Item={**s(a="1", b="1"), "c": value}) == text
    batch = {"Range": [{"PutRequest": {"Item": {**s(a="1", b="1"), "c": value}}}]}
    assert call.refusal("BatchWriteItem", RequestItems=batch) == text
    updated = {
        "TableName": "Range",
        "Key": s(a="1", b="1"),
        "UpdateExpression": "SET c = :v",
        "ExpressionAttributeValues": {":v": value},
    }
    if value == {"S": ""}:
        text = (
            VALIDATION + "One or more parameter values are not valid. The update expression attempted to update a "
            "secondary index key to a value that is not supported. The AttributeValue for a key attribute cannot "
            "contain an empty string value."
        )
    assert call.refusal("UpdateItem", **updated) == text
    assert call("Scan", TableName="Range")["Count"] == 0


def test_the_cost_of_a_write_is_that_of_what_the_indexes_store(call: Any) -> None:
    """Measured by nubo-db/dynamodb-conformance (``indexConsumedCapacity``)."""

    def units(operation: str, **asked: Any) -> tuple[float, dict[str, float]]:
        used = call(operation, TableName="Range", ReturnConsumedCapacity="INDEXES", **asked)["ConsumedCapacity"]
        indexes = {**used.get("GlobalSecondaryIndexes", {}), **used.get("LocalSecondaryIndexes", {})}
        return used["CapacityUnits"], {name: one["CapacityUnits"] for name, one in indexes.items()}

    item = s(a="1", b="1", c="x", d="y")
    assert units("PutItem", Item=item) == (5, {"index1": 1, "index3": 1, "index4": 1, "keys": 1})
    assert units("PutItem", Item=item) == (1, {})
    assert units("PutItem", Item={**item, **s(f="f")}) == (3, {"index1": 1, "index3": 1})
    assert units("PutItem", Item={**item, **s(f="f", d="z")}) == (7, {"index1": 1, "index3": 1, "index4": 2, "keys": 2})
    assert units("PutItem", Item=s(a="2", b="1")) == (1, {})
    assert units("DeleteItem", Key=s(a="1", b="1")) == (5, {"index1": 1, "index3": 1, "index4": 1, "keys": 1})
    metrics = call("PutItem", TableName="Range", Item=item, ReturnItemCollectionMetrics="SIZE")
    assert metrics["ItemCollectionMetrics"] == {"ItemCollectionKey": s(a="1"), "SizeEstimateRangeGB": [0, 1]}


def test_keys_of_several_attributes(dynamodb_call: Any) -> None:
    """paritysuite/dynamodb-conformance, ``multiAttributeGsiKey``."""
    schema = [{"AttributeName": "h", "KeyType": "HASH"}] + [
        {"AttributeName": one, "KeyType": "RANGE"} for one in "abcd"
    ]
    dynamodb_call(
        "CreateTable",
        TableName="Many",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "h", *"abcd")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[{"IndexName": "gsi", "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}],
    )
    for row in ("p1 T live b r1", "p2 T live a r2", "p3 T live a r1", "p4 T draft c r1", "p5 F live a r0"):
        item = dict(zip(("pk", *"abcd"), row.split(), strict=True))
        dynamodb_call("PutItem", TableName="Many", Item=s(h="o1", **item))
    dynamodb_call("PutItem", TableName="Many", Item=s(pk="p6", h="o1", a="T", b="live", d="r1"))
    values = s(**{":h": "o1", ":a": "T", ":b": "live", ":c": "a", ":d": "r", ":x": "r1", ":y": "r1"})

    def asked(condition: str, **more: Any) -> dict[str, Any]:
        used = {name: value for name, value in values.items() if name in condition}
        return {
            "TableName": "Many",
            "IndexName": "gsi",
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": used,
            **more,
        }

    def found(condition: str, **more: Any) -> list[str]:
        return [item["pk"]["S"] for item in dynamodb_call("Query", **asked(condition, **more))["Items"]]

    assert found("h = :h") == ["p5", "p4", "p3", "p2", "p1"]
    assert found("h = :h AND a = :a", ScanIndexForward=False) == ["p1", "p2", "p3", "p4"]
    assert found("b = :b AND h = :h AND a = :a") == ["p3", "p2", "p1"]
    assert found("h = :h AND a = :a AND b = :b AND c > :c") == ["p1"]
    assert found("h = :h AND a = :a AND b = :b AND c = :c AND begins_with(d, :d)") == ["p3", "p2"]
    assert found("h = :h AND a = :a AND b = :b AND c = :c AND d BETWEEN :x AND :y") == ["p3"]
    assert found("h = :h AND a = :a AND b < :b") == ["p4"]
    old_way = {name: {"ComparisonOperator": "EQ", "AttributeValueList": [values[f":{name}"]]} for name in "habc"}
    told = dynamodb_call(
        "Query", TableName="Many", IndexName="gsi", KeyConditions=old_way
    )  # moto, verified against AWS
    assert [item["pk"]["S"] for item in told["Items"]] == ["p3", "p2"]
    page = dynamodb_call("Query", **asked("h = :h AND a = :a", Limit=2))
    assert sorted(page["LastEvaluatedKey"]) == ["a", "b", "c", "d", "h", "pk"]
    assert found("h = :h AND a = :a", ExclusiveStartKey=page["LastEvaluatedKey"]) == ["p2", "p1"]
    for condition, loose, present in (
        ("h = :h AND a = :a AND c = :c", "b", "c"),
        ("h = :h AND a = :a AND b > :b AND c = :c", "b", "c"),
        ("h = :h AND b = :b", "a", "b"),
    ):
        assert dynamodb_call.refusal("Query", **asked(condition)) == (
            f"{VALIDATION}RANGE key attributes {loose} must have equality conditions specified in the query because "
            f"a condition is present on key attribute {present}"
        )


MISMATCH = INVALID + "Type mismatch for Index Key c Expected: S Actual: N IndexName: index3"
STEP = (
    VALIDATION
    + "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: d"
)


@pytest.mark.parametrize(
    ("update", "values", "text"),
    [
        ("SET d.a = a ADD c :n", {":n": {"N": "1"}}, MISMATCH),
        ("SET e = c[1], c = a + :n", {":n": {"N": "1"}}, MISMATCH),
        ("ADD d.b :n", {":n": {"N": "1"}}, STEP),
        ("SET d[1] = :n", {":n": {"N": "1"}}, STEP),
        ("SET e = list_append(a, b), f = d[1]", {}, STEP),
        (
            "SET c = n",
            {},
            VALIDATION + "The update expression attempted to update the secondary index key to unsupported type",
        ),
    ],
)
def test_an_update_that_would_spoil_an_index_key_is_refused(
    call: Any, update: str, values: dict[str, Any], text: str
) -> None:
    call("PutItem", TableName="Range", Item={**s(a="1", b="1", c="x"), "n": {"N": "1"}})
    asked = {"TableName": "Range", "Key": s(a="1", b="1"), "UpdateExpression": update}
    assert call.refusal("UpdateItem", **asked, **({"ExpressionAttributeValues": values} if values else {})) == text


def test_a_read_does_not_look_into_keys(call: Any) -> None:
    asked = query("index3", FilterExpression="attribute_exists(d.x)")
    assert call.refusal("Query", **asked) == STEP
    assert call.refusal("Scan", TableName="Range", FilterExpression="attribute_exists(d[0])") == STEP
    assert call.refusal("Scan", TableName="Range", ProjectionExpression="a.x") == STEP.replace("IndexKey: d", "Key: a")
