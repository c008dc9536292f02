"""Where AWS's limits lie, to the byte.

Sources, each read as facts about AWS:
    sizes       paritysuite/dynamodb-conformance, ``itemSizeBySurface``; eu-west-2; 2026-10-09
    numbers     nubo-db/dynamodb-conformance, ``numberByteSize`` and ``item-size``; eu-west-2; 2026-08-18
    expressions paritysuite/dynamodb-conformance, ``expressionSize``; four regions; 2026-07-12
    metrics     the same, ``itemCollectionMetrics``; eu-west-2 and us-east-1; 2026-10-09
    capacity    nubo-db/dynamodb-conformance, ``indexConsumedCapacity`` and ``consumedCapacity``; eu-west-2; 2026-08-12
    keys        the same, ``keyLength``; eu-west-2; 2026-08
"""

from typing import Any

import pytest

MAX_ITEM_BYTES = 409_600
MAX_EXPRESSION_BYTES = 4096
PUT_TOO_LARGE = "Item size has exceeded the maximum allowed size"
UPDATE_TOO_LARGE = "Item size to update has exceeded the maximum allowed size"
EXPRESSION_TOO_LARGE = "Expression size has exceeded the maximum allowed size;"


def s(text: str) -> dict[str, str]:
    return {"S": text}


def n(text: str) -> dict[str, str]:
    return {"N": text}


# ---- items ---------------------------------------------------------------------------------------


def put(db: Any, key: str, padding: int, **attributes: Any) -> Any:
    """An item whose other attributes, with the padding's name, are not counted in `padding`."""
    item = {"pk": s(key), "p": s("x" * padding), **attributes}
    return db.send("PutItem", {"TableName": "Hash", "Item": item})


#: A number, and how many bytes it counts for. Source: numbers.
NUMBERS = [
    ("0", 1),
    ("1", 2),
    ("-1", 3),
    ("100", 2),
    ("123456", 4),
    ("3.14159", 5),
    ("-3.14", 4),
    ("1E125", 2),
    ("9" * 38, 20),
    ("0.001", 2),
]


@pytest.mark.parametrize(("number", "size_bytes"), NUMBERS)
def test_a_number_counts_for_its_significant_digits(db: Any, number: str, size_bytes: int) -> None:
    # pk + its value + p + n + the number
    padding = MAX_ITEM_BYTES - 2 - 1 - 1 - 1 - size_bytes
    assert put(db, "k", padding, n=n(number)).code == ""
    refused = put(db, "k", padding + 1, n=n(number))
    assert (refused.code, refused.message) == ("ValidationException", PUT_TOO_LARGE)


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [
        ({"M": {"ab": s("xyz")}}, 3 + 1 + 2 + 3),
        ({"L": [s("xyz"), {"NULL": True}]}, 3 + 1 + 3 + 1 + 1),
        ({"SS": ["é", "b"]}, 3),
        ({"NS": ["1", "123"]}, 5),
        ({"BS": ["AQ==", "AQID"]}, 4),
        ({"B": "AQIDBA=="}, 4),
        ({"BOOL": False}, 1),
        (s("𝄞"), 4),
    ],
    ids=str,
)
def test_a_value_counts_for_its_content(db: Any, value: dict[str, Any], size_bytes: int) -> None:
    padding = MAX_ITEM_BYTES - 2 - 1 - 1 - 1 - size_bytes
    assert put(db, "k", padding, a=value).code == ""
    assert put(db, "k", padding + 1, a=value).message == PUT_TOO_LARGE


def test_batch_writes_have_the_same_limit(db: Any) -> None:
    """Source: sizes."""
    padding = MAX_ITEM_BYTES - 2 - 1 - 1

    def write(length: int) -> Any:
        item = {"pk": s("b"), "p": s("x" * length)}
        return db.send("BatchWriteItem", {"RequestItems": {"Hash": [{"PutRequest": {"Item": item}}]}})

    assert write(padding).code == ""
    assert write(padding + 1).message == PUT_TOO_LARGE


#: What an update has beside ``SET b = :pad``: clause, values, what is there, and how many bytes it counts for.
#: Source: sizes. 19 a SET or ADD, 1 a REMOVE or DELETE, each with its path; paths that are read 1 + 14 a step.
CLAUSES: list[tuple[str, dict[str, Any], dict[str, Any], int]] = [
    ("", {}, {}, 0),
    (", c = :c", {":c": s("y")}, {}, 19 + 1 + 1),
    (", c = :c", {":c": s("y" * 500)}, {}, 19 + 1 + 500),
    (" REMOVE r", {}, {"r": s("z")}, 1 + 1),
    (", c = abcdefghij", {}, {"abcdefghij": s("y" * 10)}, 19 + 1 + 1 + 14 + 10),
    (", c = m.z", {}, {"m": {"M": {"z": s("y" * 10)}}}, 19 + 1 + 1 + 15 + 15),
    (", c = l[1]", {}, {"l": {"L": [s("e"), s("y")]}}, 19 + 1 + 1 + 15 + 15),
    (", l = list_append(l, :n)", {":n": {"L": [s("y" * 10)]}}, {"l": {"L": [s("e")]}}, 19 + 1 + 37 + 16 + 14),
    (", c = if_not_exists(c, :m)", {":m": {"M": {"a": s("y" * 100)}}}, {"c": s("c")}, 19 + 1 + 39 + 16 + 105),
    (
        ", c = if_not_exists(c, :s), d = if_not_exists(d, :s)",
        {":s": s("s" * 100)},
        {"c": s("c"), "d": s("d")},
        2 * (19 + 1 + 39 + 16 + 100),
    ),
    (", n = n + :one", {":one": n("1")}, {"n": n("12345678901234567890")}, 19 + 1 + 34 + 16 + 2),
    (", n = n - :one", {":one": n("1")}, {"n": n("1")}, 19 + 1 + 37 + 16 + 2),
    (" ADD abcdefghij :one", {":one": n("1")}, {"abcdefghij": n("1")}, 19 + 10 + 2),
    (" ADD ss :new", {":new": {"SS": ["s" * 500]}}, {"ss": {"SS": ["p" * 5]}}, 19 + 2 + 500),
    (" REMOVE m.yyyyyyyyyy", {}, {"m": {"M": {"x": s("a"), "yyyyyyyyyy": s("r")}}}, 1 + 1 + 4 + 10),
    (" REMOVE abcdefghij[1]", {}, {"abcdefghij": {"L": [s("a"), s("r")]}}, 1 + 10 + 4 + 1),
    (" DELETE ss :rm", {":rm": {"SS": ["q" * 20]}}, {"ss": {"SS": ["p" * 5, "q" * 20]}}, 1 + 2),
]


@pytest.mark.parametrize(("clause", "values", "there", "size_bytes"), CLAUSES, ids=lambda given: str(given)[:30])
def test_an_update_counts_for_what_it_says(
    db: Any, clause: str, values: dict[str, Any], there: dict[str, Any], size_bytes: int
) -> None:
    padding = MAX_ITEM_BYTES - 3 - 19 - 1 - size_bytes

    def update(length: int) -> Any:
        db("PutItem", TableName="Hash", Item={"pk": s("u"), **there})
        return db.send(
            "UpdateItem",
            {
                "TableName": "Hash",
                "Key": {"pk": s("u")},
                "UpdateExpression": f"SET b = :pad{clause}",
                "ExpressionAttributeValues": {":pad": s("x" * length), **values},
            },
        )

    assert update(padding).code == ""
    refused = update(padding + 1)
    assert (refused.code, refused.message) == ("ValidationException", UPDATE_TOO_LARGE)


@pytest.mark.parametrize("length", [100, 1024])
def test_no_update_makes_an_item_too_large(db: Any, length: int) -> None:
    """Source: sizes."""
    padding = MAX_ITEM_BYTES - 2 - length - 1

    def update(size: int, **how: Any) -> Any:
        values = {":pad": s("x" * size)}
        how = how or {"UpdateExpression": "SET b = :pad", "ExpressionAttributeValues": values}
        return db.send("UpdateItem", {"TableName": "Hash", "Key": {"pk": s("k" * length)}, **how})

    assert update(padding).code == ""
    assert update(padding + 1).message == UPDATE_TOO_LARGE
    assert update(0, AttributeUpdates={"b": {"Value": s("x" * padding)}}).code == ""
    assert update(0, AttributeUpdates={"b": {"Value": s("x" * (padding + 1))}}).message == UPDATE_TOO_LARGE


@pytest.mark.parametrize(
    ("table", "key", "too_long"),
    [
        ("Hash", {"pk": s("a" * 2048)}, {"pk": s("a" * 2049)}),
        ("Composite", {"pk": s("a"), "sk": s("b" * 1024)}, {"pk": s("a"), "sk": s("b" * 1025)}),
    ],
)
def test_keys_have_limits_for_writes_and_reads(db: Any, table: str, key: dict[str, Any], too_long: Any) -> None:
    """Source: keys; the sort key's from the Developer Guide."""
    db("PutItem", TableName=table, Item=key)
    assert db("GetItem", TableName=table, Key=key) == {"Item": key}
    for operation, member in (("PutItem", "Item"), ("GetItem", "Key"), ("DeleteItem", "Key")):
        assert db.send(operation, {"TableName": table, member: too_long}).code == "ValidationException"


# ---- expressions ---------------------------------------------------------------------------------


def padded(text: str) -> dict[str, int]:
    return {"at": MAX_EXPRESSION_BYTES - len(text), "over": MAX_EXPRESSION_BYTES - len(text) + 1}


@pytest.mark.parametrize(
    ("operation", "parameter", "before", "after", "size"),
    [
        ("UpdateItem", "UpdateExpression", "SET a", " = :v", ""),
        ("UpdateItem", "ConditionExpression", "attribute_not_exists(a", ")", " expression size: 4097"),
        ("GetItem", "ProjectionExpression", "a", "", " expression size: 4097"),
        ("Query", "FilterExpression", "a", " = :v", " expression size: 4097"),
        ("Scan", "FilterExpression", "a", " = :v", " expression size: 4097"),
    ],
)
def test_expressions_have_4_kb(db: Any, operation: str, parameter: str, before: str, after: str, size: str) -> None:
    request: dict[str, Any] = {"TableName": "Hash"}
    if operation in ("UpdateItem", "GetItem"):
        request["Key"] = {"pk": s("expression")}
    values = {":v": s("x")} if ":v" in after else {}
    if operation == "Query":
        request["KeyConditionExpression"] = "pk = :pk"
        values[":pk"] = s("expression")
    if values:
        request["ExpressionAttributeValues"] = values
    lengths = padded(before + after)
    db(operation, **request, **{parameter: before + "a" * lengths["at"] + after})
    text = db.refusal(operation, **request, **{parameter: before + "a" * lengths["over"] + after})
    counted = "1 validation error detected: " if operation == "UpdateItem" else ""
    assert text == f"{counted}Invalid {parameter}: {EXPRESSION_TOO_LARGE}{size}"


def test_placeholders_do_not_count_for_what_they_stand_for(db: Any) -> None:
    """Source: expressions."""
    db("PutItem", TableName="Hash", Item={"pk": s("aliases"), "real": s("y")})
    names = {f"#a{number}": "n" * 246 + f"q{number}" for number in range(30)}
    answer = db(
        "GetItem",
        TableName="Hash",
        Key={"pk": s("aliases")},
        ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
    )
    assert answer == {"Item": {}}


# ---- what writes cost ----------------------------------------------------------------------------

INDEXED = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "gsiPk", "lsiSk")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "gsi-inc",
            "KeySchema": [{"AttributeName": "gsiPk", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["proj"]},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "lsi1",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "lsiSk", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


@pytest.fixture(scope="module")
def indexed(db: Any) -> Any:
    db.create("Indexed", [("pk", "S"), ("sk", "S")], **INDEXED)
    return db


def units(consumed: dict[str, Any]) -> tuple[float, float, float | None, float | None]:
    """In all, of the table, of the global index, of the local one; None: not named."""
    return (
        consumed["CapacityUnits"],
        consumed["Table"]["CapacityUnits"],
        consumed.get("GlobalSecondaryIndexes", {}).get("gsi-inc", {}).get("CapacityUnits"),
        consumed.get("LocalSecondaryIndexes", {}).get("lsi1", {}).get("CapacityUnits"),
    )


FULL = {"gsiPk": s("g"), "lsiSk": s("L1"), "proj": s("p"), "other": s("o")}


@pytest.mark.parametrize(
    ("attributes", "first", "again"),
    [
        ({"other": s("o")}, (1, 1, None, None), (1, 1, None, None)),
        ({"gsiPk": s("g1"), "proj": s("p")}, (2, 1, 1, None), (1, 1, None, None)),
        ({"lsiSk": s("L1")}, (2, 1, None, 1), (1, 1, None, None)),
        (FULL, (3, 1, 1, 1), (1, 1, None, None)),
    ],
    ids=str,
)
def test_a_put_costs_what_it_changes(indexed: Any, attributes: dict[str, Any], first: Any, again: Any) -> None:
    item = {"pk": s(f"put {attributes}"), "sk": s("1"), **attributes}
    for expected in (first, again):
        answer = indexed("PutItem", TableName="Indexed", Item=item, ReturnConsumedCapacity="INDEXES")
        assert units(answer["ConsumedCapacity"]) == expected
    total = indexed(
        "DeleteItem",
        TableName="Indexed",
        Key={"pk": item["pk"], "sk": item["sk"]},
        ReturnConsumedCapacity="TOTAL",
        ReturnItemCollectionMetrics="SIZE",
    )
    assert total == {
        "ConsumedCapacity": {"TableName": "Indexed", "CapacityUnits": first[0]},
        "ItemCollectionMetrics": {"ItemCollectionKey": {"pk": item["pk"]}, "SizeEstimateRangeGB": [0, 1]},
    }


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("SET #o = :v", (2, 1, None, 1)),
        ("SET #p = :v", (3, 1, 1, 1)),
        ("SET gsiPk = :v", (4, 1, 2, 1)),
        ("REMOVE gsiPk", (3, 1, 1, 1)),
        ("SET lsiSk = :v", (3, 1, None, 2)),
    ],
)
def test_an_update_costs_what_it_changes(indexed: Any, expression: str, expected: Any) -> None:
    key = {"pk": s(f"update {expression}"), "sk": s("1")}
    indexed("PutItem", TableName="Indexed", Item={**key, **FULL})
    more: dict[str, Any] = {}
    if ":v" in expression:
        more["ExpressionAttributeValues"] = {":v": s("new")}
    for placeholder, name in (("#o", "other"), ("#p", "proj")):
        if placeholder in expression:
            more["ExpressionAttributeNames"] = {placeholder: name}
    answer = indexed(
        "UpdateItem",
        TableName="Indexed",
        Key=key,
        UpdateExpression=expression,
        ReturnConsumedCapacity="INDEXES",
        ReturnItemCollectionMetrics="SIZE",
        **more,
    )
    assert units(answer["ConsumedCapacity"]) == expected
    assert answer["ItemCollectionMetrics"]["SizeEstimateRangeGB"] == [0, 1]


def test_a_batch_costs_the_sum_of_its_writes(indexed: Any) -> None:
    puts = [
        {"PutRequest": {"Item": {"pk": s("batch"), "sk": s("1"), "gsiPk": s("g"), "proj": s("p")}}},
        {"PutRequest": {"Item": {"pk": s("batch"), "sk": s("2"), "other": s("o")}}},
    ]
    answer = indexed(
        "BatchWriteItem",
        RequestItems={"Indexed": puts},
        ReturnConsumedCapacity="INDEXES",
        ReturnItemCollectionMetrics="SIZE",
    )
    assert answer["UnprocessedItems"] == {}
    assert [units(consumed) for consumed in answer["ConsumedCapacity"]] == [(3, 2, 1, None)]
    metrics = {"ItemCollectionKey": {"pk": s("batch")}, "SizeEstimateRangeGB": [0, 1]}
    assert answer["ItemCollectionMetrics"] == {"Indexed": [metrics]}


def test_tables_without_local_indexes_have_no_item_collections(db: Any) -> None:
    """Developer Guide, "Item collections in local secondary indexes"."""
    answer = db("PutItem", TableName="Hash", Item={"pk": s("none")}, ReturnItemCollectionMetrics="SIZE")
    assert answer == {}


@pytest.mark.parametrize(("consistent", "expected"), [(True, 1), (False, 0.5)])
def test_a_read_costs_half_if_it_may_be_late(db: Any, consistent: bool, expected: float) -> None:
    """Source: capacity; no ReadCapacityUnits beside CapacityUnits."""
    db("PutItem", TableName="Hash", Item={"pk": s("read")})
    answer = db(
        "GetItem",
        TableName="Hash",
        Key={"pk": s("read")},
        ConsistentRead=consistent,
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["ConsumedCapacity"] == {"TableName": "Hash", "CapacityUnits": expected}
