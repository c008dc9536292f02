"""What Query and Scan find on AWS: key conditions, order, pages, indexes, what they select and what they cost.

Sources, each read as facts about AWS:
    reads     nubo-db/dynamodb-conformance, ``tier1/query`` and ``tier1/scan``; eu-west-2; 2026-06 to 2026-08
    keys      paritysuite/dynamodb-conformance, ``tier1/query/multiAttributeGsiKey``; eu-west-2, us-east-1; 2026-10
    texts     nubo-db/dynamodb-conformance, ``error-messages/transactWriteItems`` and ``batchWriteItem``; four regions; 2026-06-23
    names     paritysuite/dynamodb-conformance, ``registry/suite-manifest.json``: what each case says of AWS; eu-west-2; 2026-09-11
"""

from base64 import b64encode
from typing import Any

import pytest


def s(text: str) -> dict[str, str]:
    return {"S": text}


def n(text: str) -> dict[str, str]:
    return {"N": text}


def b(*content: int) -> dict[str, str]:
    return {"B": b64encode(bytes(content)).decode()}


def index(name: str, *key: str, **projection: Any) -> dict[str, Any]:
    kinds = ("HASH", *["RANGE"] * (len(key) - 1))
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": each, "KeyType": kind} for each, kind in zip(key, kinds, strict=True)],
        "Projection": {"ProjectionType": "ALL", **projection},
    }


def query(condition: str, values: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": values, **more}


def pages(db: Any, operation: str, **request: Any) -> list[dict[str, Any]]:
    """The items of all pages."""
    items: list[dict[str, Any]] = []
    while True:
        page = db(operation, **request)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


# ---- key conditions and order --------------------------------------------------------------------

NUMBERS = ["-100", "-5", "-1", "0", "1", "5", "10", "100"]
BYTES = {"01": (1,), "0102": (1, 2), "02": (2,), "ff": (255,)}


@pytest.fixture(scope="module")
def sorted_items(db: Any) -> Any:
    db.create("CompositeB", [("pk", "S"), ("sk", "B")])
    for number in NUMBERS:
        db("PutItem", TableName="CompositeN", Item={"pk": s("sorted"), "sk": n(number), "is": s(number)})
    for name, content in BYTES.items():
        db("PutItem", TableName="CompositeB", Item={"pk": s("sorted"), "sk": b(*content), "is": s(name)})
    for name in ("alpha", "beta", "delta", "gamma"):
        db("PutItem", TableName="Composite", Item={"pk": s("sorted"), "sk": s(name), "is": s(name)})
    return db


@pytest.mark.parametrize(
    ("table", "condition", "values", "found"),
    [
        ("CompositeN", "", (), "-100 -5 -1 0 1 5 10 100"),
        ("CompositeN", " AND sk > :v", (n("4"),), "5 10 100"),
        ("CompositeN", " AND sk >= :v", (n("-1"),), "-1 0 1 5 10 100"),
        ("CompositeN", " AND sk BETWEEN :v AND :w", (n("1"), n("10")), "1 5 10"),
        ("CompositeB", "", (), "01 0102 02 ff"),
        ("CompositeB", " AND sk > :v", (b(1, 2),), "02 ff"),
        ("CompositeB", " AND begins_with(sk, :v)", (b(1),), "01 0102"),
        ("Composite", " AND begins_with(sk, :v)", (s("b"),), "beta"),
        ("Composite", " AND sk BETWEEN :v AND :w", (s("beta"), s("delta")), "beta delta"),
        ("Composite", " AND sk < :v", (s("c"),), "alpha beta"),
        ("Composite", " AND :v <= sk", (s("delta"),), "delta gamma"),  # the value may stand on the left
    ],
)
def test_a_key_condition_finds_items_in_order_both_ways(
    sorted_items: Any, table: str, condition: str, values: Any, found: str
) -> None:
    """Source: reads."""
    given = {":p": s("sorted"), **dict(zip((":v", ":w"), values, strict=False))}
    for forward, expected in ((True, found.split()), (False, found.split()[::-1])):
        request = query("pk = :p" + condition, given, TableName=table, ScanIndexForward=forward)
        assert [item["is"]["S"] for item in sorted_items("Query", **request)["Items"]] == expected


def test_a_page_begins_after_the_key_it_is_told(sorted_items: Any) -> None:
    """Source: names."""
    request = query("pk = :p", {":p": s("sorted")}, TableName="Composite")
    rest = sorted_items("Query", **request, ExclusiveStartKey={"pk": s("sorted"), "sk": s("beta")})
    assert [item["sk"]["S"] for item in rest["Items"]] == ["delta", "gamma"]


def test_a_limit_counts_what_is_read_not_what_is_shown(sorted_items: Any) -> None:
    """Source: reads."""
    values = {":p": s("sorted"), ":v": s("alpha")}
    request = query("pk = :p", values, TableName="Composite", FilterExpression="#is = :v", Limit=2)
    page = sorted_items("Query", **request, ExpressionAttributeNames={"#is": "is"})
    assert (page["Count"], page["ScannedCount"]) == (1, 2)
    assert page["LastEvaluatedKey"] == {"pk": s("sorted"), "sk": s("beta")}


@pytest.mark.parametrize("more", [{}, {"FilterExpression": "nothing = :v"}, {"ProjectionExpression": "sk"}])
@pytest.mark.parametrize("operation", ["Query", "Scan"])
def test_a_read_costs_what_it_goes_over_whatever_it_shows(db: Any, operation: str, more: dict[str, Any]) -> None:
    """Source: reads (``consumedCapacity``)."""
    db.create(f"Cost{operation}{len(str(more))}", [("pk", "S"), ("sk", "S")])
    table = f"Cost{operation}{len(str(more))}"
    for number in range(6):
        item = {"pk": s("cost"), "sk": s(str(number)), "filler": s("x" * 1500)}
        db("PutItem", TableName=table, Item=item)
    values = {":v": s("x")} if "FilterExpression" in more else {}
    request = {"TableName": table, "ReturnConsumedCapacity": "TOTAL", **more}
    if operation == "Query":
        request |= query("pk = :p", {":p": s("cost"), **values})
    elif values:
        request["ExpressionAttributeValues"] = values
    assert db(operation, **request)["ConsumedCapacity"] == {"TableName": table, "CapacityUnits": 1.5}


@pytest.mark.parametrize(
    ("text", "size"),
    [("abc", 3), ("ééé", 3), ("é\U0001d11e", 3), ("\U0001d11e", 2), ("", 0)],
)
def test_a_string_is_as_large_as_its_utf_16_units(db: Any, text: str, size: int) -> None:
    """Source: names, and reads (``query/expressions``)."""
    db("PutItem", TableName="Composite", Item={"pk": s("utf-16"), "sk": s("1"), "text": s(text)})
    for number, count in ((size, 1), (size + 1, 0), (len(text.encode()), int(len(text.encode()) == size))):
        values = {":p": s("utf-16"), ":n": n(str(number))}
        request = query("pk = :p", values, TableName="Composite", FilterExpression="size(#text) = :n")
        assert db("Query", **request, ExpressionAttributeNames={"#text": "text"})["Count"] == count


def test_what_is_not_there_has_no_size(db: Any) -> None:
    """Source: names."""
    db("PutItem", TableName="Composite", Item={"pk": s("no size"), "sk": s("1")})
    values = {":p": s("no size"), ":n": n("0")}
    request = query("pk = :p", values, TableName="Composite", FilterExpression="size(nothing) = :n")
    assert db("Query", **request)["Count"] == 0


# ---- indexes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def indexed(db: Any) -> Any:
    attributes = [("pk", "S"), ("sk", "S"), ("lsi1sk", "S"), ("lsi2sk", "S")]
    db.create(
        "Indexed",
        attributes[:2],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in attributes],
        LocalSecondaryIndexes=[
            index("lsi1", "pk", "lsi1sk"),
            index("lsi2", "pk", "lsi2sk", ProjectionType="INCLUDE", NonKeyAttributes=["lsi1sk"]),
        ],
        GlobalSecondaryIndexes=[
            index("gsi1", "lsi1sk"),
            index("gsi2", "lsi1sk", "lsi2sk", ProjectionType="INCLUDE", NonKeyAttributes=["data"]),
        ],
    )
    for name in "abc":
        tied = {"lsi1sk": s("tied"), "lsi2sk": s("tied"), "data": s("d"), "more": s("m")}
        db("PutItem", TableName="Indexed", Item={"pk": s("p"), "sk": s(name), **tied})
    db("PutItem", TableName="Indexed", Item={"pk": s("p"), "sk": s("sparse"), "data": s("d")})
    db("PutItem", TableName="Indexed", Item={"pk": s("p"), "sk": s("half"), "lsi1sk": s("half")})
    return db


ALL = {"pk", "sk", "lsi1sk", "lsi2sk", "data", "more"}


@pytest.mark.parametrize(
    ("name", "condition", "key", "projected"),
    [
        ("gsi1", "lsi1sk = :v", {"pk", "sk", "lsi1sk"}, ALL),
        ("gsi2", "lsi1sk = :v", {"pk", "sk", "lsi1sk", "lsi2sk"}, ALL - {"more"}),
        ("lsi1", "pk = :p AND lsi1sk = :v", {"pk", "sk", "lsi1sk"}, ALL),
        ("lsi2", "pk = :p AND lsi2sk = :v", {"pk", "sk", "lsi2sk"}, {"pk", "sk", "lsi1sk", "lsi2sk"}),
    ],
)
def test_an_index_has_items_with_its_key_and_pages_by_both_keys(
    indexed: Any, name: str, condition: str, key: set[str], projected: set[str]
) -> None:
    """Source: reads, and names for the keys of pages among items whose index keys are the same."""
    values = {":v": s("tied"), **({":p": s("p")} if ":p" in condition else {})}
    request = query(condition, values, TableName="Indexed", IndexName=name)
    first = indexed("Query", **request, Limit=1)
    assert set(first["LastEvaluatedKey"]) == key
    items = pages(indexed, "Query", **request, Limit=1)
    assert sorted(item["sk"]["S"] for item in items) == ["a", "b", "c"]
    assert [set(item) for item in items] == [projected] * 3


@pytest.mark.parametrize(
    ("name", "found"),
    [("gsi1", ["a", "b", "c", "half"]), ("gsi2", ["a", "b", "c"]), ("lsi1", ["a", "b", "c", "half"])],
)
def test_a_scan_of_an_index_walks_each_item_once(indexed: Any, name: str, found: list[str]) -> None:
    """Source: names."""
    items = pages(indexed, "Scan", TableName="Indexed", IndexName=name, Limit=2)
    assert sorted(item["sk"]["S"] for item in items) == found


def test_a_page_of_an_index_begins_after_a_key_with_the_indexs_own(indexed: Any) -> None:
    """Source: names."""
    request = query("lsi1sk = :v", {":v": s("tied")}, TableName="Indexed", IndexName="gsi2")
    assert indexed.refusal("Query", **request, ExclusiveStartKey={"pk": s("p"), "sk": s("a")})


MISMATCH = "One or more parameter values were invalid: Type mismatch for Index Key lsi1sk Expected: S Actual: {} IndexName: gsi1"
NOT_VALID = "One or more parameter values are not valid. "
EMPTY = "The AttributeValue for a key attribute cannot contain an empty string value."
PUT_EMPTY = f"{NOT_VALID}A value specified for a secondary index key is not supported. {EMPTY} IndexName: gsi1, IndexKey: lsi1sk"
UPDATE_EMPTY = (
    f"{NOT_VALID}The update expression attempted to update a secondary index key to a value that is not supported. "
    f"{EMPTY}"
)


@pytest.mark.parametrize(
    ("value", "put", "update"),
    [
        (n("5"), MISMATCH.format("N"), MISMATCH.format("N")),
        ({"L": [s("x")]}, MISMATCH.format("L"), MISMATCH.format("L")),
        (s(""), PUT_EMPTY, UPDATE_EMPTY),
    ],
)
def test_an_indexs_key_has_its_type_and_is_not_empty(
    indexed: Any, value: dict[str, Any], put: str, update: str
) -> None:
    """Source: texts. The first index by name is named; what is empty is told at once, types cancel a transaction."""
    key = {"pk": s("p"), "sk": s("x")}
    item = {**key, "lsi1sk": value}
    set_ = {"UpdateExpression": "SET lsi1sk = :v", "ExpressionAttributeValues": {":v": value}}
    assert indexed.refusal("BatchWriteItem", RequestItems={"Indexed": [{"PutRequest": {"Item": item}}]}) == put
    actions: list[tuple[dict[str, Any], str]] = [
        ({"Put": {"TableName": "Indexed", "Item": item}}, put),
        ({"Update": {"TableName": "Indexed", "Key": key, **set_}}, update),
    ]
    for action, text in actions:
        answer = indexed.send("TransactWriteItems", {"TransactItems": [action]})
        if value == s(""):
            assert (answer.code, answer.message) == ("ValidationException", text)
        else:
            assert answer.code == "TransactionCanceledException"
            assert answer.body["CancellationReasons"] == [{"Code": "ValidationError", "Message": text}]


@pytest.mark.parametrize(
    ("name", "condition", "arm"),
    [
        ("gsi1", "lsi1sk = :v", "GlobalSecondaryIndexes"),
        ("lsi1", "pk = :v", "LocalSecondaryIndexes"),
    ],
)
def test_a_read_of_an_index_costs_the_index(indexed: Any, name: str, condition: str, arm: str) -> None:
    """Source: names (``query/indexConsumedCapacity``)."""
    request = query(condition, {":v": s("tied")}, TableName="Indexed", IndexName=name)
    half = {"CapacityUnits": 0.5}
    assert indexed("Query", **request, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"] == {
        "TableName": "Indexed",
        **half,
        "Table": {"CapacityUnits": 0.0},
        arm: {name: half},
    }


# ---- keys of several attributes ------------------------------------------------------------------

MULTI = [
    ("p1", "T", "live", "b", "r1"),
    ("p2", "T", "live", "a", "r2"),
    ("p3", "T", "live", "a", "r1"),
    ("p4", "T", "draft", "c", "r1"),
    ("p5", "F", "live", "a", "r0"),
    ("p6", "T", "live", None, "r1"),
]
VALUES = {":h": "o", ":a": "T", ":b": "live", ":c": "a", ":d": "r", ":x": "r1"}


@pytest.fixture(scope="module")
def multi(db: Any) -> Any:
    db.create(
        "Multi",
        [("pk", "S")],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", *"habcd")],
        GlobalSecondaryIndexes=[index("gsi", "h", "a", "b", "c", "d")],
    )
    for pk, *rest in MULTI:
        given = {name: s(value) for name, value in zip("abcd", rest, strict=True) if value is not None}
        db("PutItem", TableName="Multi", Item={"pk": s(pk), "h": s("o"), **given})
    return db


def of_multi(condition: str, **more: Any) -> dict[str, Any]:
    values = {name: s(value) for name, value in VALUES.items() if name in condition}
    return query(condition, values, TableName="Multi", IndexName="gsi", **more)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("h = :h", "p5 p4 p3 p2 p1"),
        ("h = :h AND a = :a", "p4 p3 p2 p1"),
        ("b = :b AND h = :h AND a = :a", "p3 p2 p1"),
        ("h = :h AND a = :a AND b = :b AND c = :c", "p3 p2"),
        ("h = :h AND a = :a AND b = :b AND c > :c", "p1"),
        ("h = :h AND a = :a AND b < :b", "p4"),
        ("h = :h AND a = :a AND b = :b AND c = :c AND begins_with(d, :d)", "p3 p2"),
        ("h = :h AND a = :a AND b = :b AND c = :c AND d BETWEEN :x AND :x", "p3"),
    ],
)
def test_a_key_of_several_attributes_is_compared_one_after_another(multi: Any, condition: str, found: str) -> None:
    """Source: keys."""
    for forward, expected in ((True, found.split()), (False, found.split()[::-1])):
        answer = multi("Query", **of_multi(condition, ScanIndexForward=forward))
        assert [item["pk"]["S"] for item in answer["Items"]] == expected


def test_a_page_of_such_an_index_names_all_its_keys(multi: Any) -> None:
    """Source: keys."""
    assert set(multi("Query", **of_multi("h = :h", Limit=2))["LastEvaluatedKey"]) == {"pk", *"habcd"}


@pytest.mark.parametrize(
    ("condition", "without", "present"),
    [
        ("h = :h AND a = :a AND c = :c", "b", "c"),
        ("h = :h AND a = :a AND b > :b AND c = :c", "b", "c"),
        ("h = :h AND b = :b", "a", "b"),
    ],
)
def test_such_a_key_is_given_without_a_gap(multi: Any, condition: str, without: str, present: str) -> None:
    """Source: keys."""
    assert (
        f"RANGE key attributes {without} must have equality conditions specified in the query because a condition is "
        f"present on key attribute {present}"
    ) in multi.refusal("Query", **of_multi(condition))
