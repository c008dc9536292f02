"""What the item operations do on AWS: updates, projections, filters, batches.

Sources, each read as facts about AWS:
    captures  paritysuite/dynamodb-conformance, ``captures/cross-region-latest.json``; eu-west-2; 2026-09-20
    updates   the same, ``tier1/updateItem``; eu-west-2; 2026-10-09
    filters   nubo-db/dynamodb-conformance, ``tier1/query/expressions`` and ``tier1/scan``; eu-west-2; 2026-06
    batches   the same, ``tier3/limits/batchLimits`` and ``responseSize``; and the Developer Guide
"""

from typing import Any

import pytest


def s(text: str) -> dict[str, str]:
    return {"S": text}


def n(text: str) -> dict[str, str]:
    return {"N": text}


def lst(*members: dict[str, Any]) -> dict[str, Any]:
    return {"L": list(members)}


ABC = lst(s("a"), s("b"), s("c"))
NESTED = {"M": {"keep": s("k"), "child": s("old")}}

#: What is there, the update, its values, what is there then (None: gone), what UPDATED_NEW answers. Source: updates.
UPDATES: list[tuple[dict[str, Any], str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"x": n("1")}, "SET x = :v", {":v": n("2")}, {"x": n("2")}, {"x": n("2")}),
    (
        {"a": s("OLD")},
        "SET a = :v, b = a",
        {":v": s("NEW")},
        {"b": s("OLD"), "a": s("NEW")},
        {"a": s("NEW"), "b": s("OLD")},
    ),
    ({"c": n("10")}, "SET c = (c - :v)", {":v": n("3")}, {"c": n("7")}, {"c": n("7")}),
    ({"c": n("10")}, "SET c = if_not_exists(c, :d) - :v", {":d": n("0"), ":v": n("3")}, {"c": n("7")}, {"c": n("7")}),
    ({}, "SET b = if_not_exists(b, m)", {}, {"b": s("from m")}, {"b": s("from m")}),
    (
        {},
        "SET l = list_append(if_not_exists(l, :e), :m)",
        {":e": lst(), ":m": lst(s("x"))},
        {"l": lst(s("x"))},
        {"l": lst(s("x"))},
    ),
    (
        {"l": ABC},
        "SET l = list_append(:n, l)",
        {":n": lst(s("z"))},
        {"l": lst(s("z"), *ABC["L"])},
        {"l": lst(s("z"), *ABC["L"])},
    ),
    ({"l": ABC}, "SET l[5] = :v", {":v": s("d")}, {"l": lst(*ABC["L"], s("d"))}, {}),
    ({"l": lst()}, "SET l[0] = :v", {":v": s("d")}, {"l": lst(s("d"))}, {"l": lst(s("d"))}),
    ({"l": ABC}, "REMOVE l[1]", {}, {"l": lst(s("a"), s("c"))}, {"l": lst(s("c"))}),
    ({"y": s("drop")}, "REMOVE y", {}, {"y": None}, {}),
    ({}, "REMOVE ghost", {}, {}, {}),
    ({"p": NESTED}, "REMOVE p.nothing", {}, {"p": NESTED}, {}),
    (
        {"p": NESTED},
        "SET p.child = :v",
        {":v": s("new")},
        {"p": {"M": {"keep": s("k"), "child": s("new")}}},
        {"p": {"M": {"child": s("new")}}},
    ),
    (
        {"p": NESTED},
        "SET p.b = :x, p.c = :y",
        {":x": s("x"), ":y": s("y")},
        {"p": {"M": {**NESTED["M"], "b": s("x"), "c": s("y")}}},
        {"p": {"M": {"b": s("x"), "c": s("y")}}},
    ),
    ({"t": {"SS": ["a"]}}, "ADD t :v", {":v": {"SS": [""]}}, {"t": {"SS": ["", "a"]}}, {"t": {"SS": ["", "a"]}}),
    ({"t": {"SS": [""]}}, "ADD t :v", {":v": {"SS": [""]}}, {"t": {"SS": [""]}}, {"t": {"SS": [""]}}),
    (
        {"t": {"BS": ["AQ=="]}},
        "ADD t :v",
        {":v": {"BS": [""]}},
        {"t": {"BS": ["", "AQ=="]}},
        {"t": {"BS": ["", "AQ=="]}},
    ),
    ({}, "ADD c :v", {":v": n("10")}, {"c": n("10")}, {"c": n("10")}),
    ({"t": {"SS": ["a", "b"]}}, "DELETE t :v", {":v": {"SS": ["a", "b"]}}, {"t": None}, {}),
    ({"t": {"SS": ["", "a"]}}, "DELETE t :v", {":v": {"SS": ["a"]}}, {"t": {"SS": [""]}}, {"t": {"SS": [""]}}),
]


@pytest.mark.parametrize(("there", "update", "values", "then", "updated"), UPDATES, ids=lambda given: str(given)[:40])
def test_an_update_does_what_it_does_on_aws(
    db: Any, there: dict[str, Any], update: str, values: dict[str, Any], then: dict[str, Any], updated: dict[str, Any]
) -> None:
    before = {"pk": s("updated"), "m": s("from m"), **there}
    db("PutItem", TableName="Hash", Item=before)
    request: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
    answer = db(
        "UpdateItem",
        TableName="Hash",
        Key={"pk": s("updated")},
        UpdateExpression=update,
        ReturnValues="UPDATED_NEW",
        **request,
    )
    assert answer == ({"Attributes": updated} if updated else {})
    after = {name: value for name, value in {**before, **then}.items() if value is not None}
    assert db("GetItem", TableName="Hash", Key={"pk": s("updated")})["Item"] == after


def test_an_update_of_nothing_makes_the_item(db: Any) -> None:
    """Source: updates."""
    key = {"pk": s("no actions")}
    assert db("UpdateItem", TableName="Hash", Key=key) == {}
    assert db("GetItem", TableName="Hash", Key=key) == {"Item": key}


@pytest.mark.parametrize(
    ("update", "text"),
    [
        ("SET a.b.c = :v", "The document path provided in the update expression is invalid for update"),
        ("SET a = b + :v", "The provided expression refers to an attribute that does not exist in the item"),
        ("SET a = m + :v", "An operand in the update expression has an incorrect data type"),
        ("ADD m :v", "An operand in the update expression has an incorrect data type"),
    ],
)
def test_an_update_that_does_not_go_with_the_item_is_refused(db: Any, update: str, text: str) -> None:
    """Source: dynalite; said without a count, as it is found in the item (2026)."""
    db("PutItem", TableName="Hash", Item={"pk": s("refused"), "m": s("text")})
    request = {"UpdateExpression": update, "ExpressionAttributeValues": {":v": n("1")}}
    assert db.refusal("UpdateItem", TableName="Hash", Key={"pk": s("refused")}, **request) == text


def test_a_sum_that_is_too_large_is_refused(db: Any) -> None:
    """Source: nubo-db/dynamodb-conformance, ``numberPrecision``."""
    text = db.refusal(
        "UpdateItem",
        TableName="Hash",
        Key={"pk": s("sum")},
        UpdateExpression="SET n = :a + :b",
        ExpressionAttributeValues={":a": n("9.9e125"), ":b": n("9.9e125")},
    )
    assert text.startswith("Number overflow.")


# ---- projections ---------------------------------------------------------------------------------

X0, X1 = {"M": {"x": s("x0"), "y": s("y0")}}, {"M": {"x": s("x1"), "y": s("y1")}}
DOCUMENT = {
    "pk": s("document"),
    "sk": s("1"),
    "a": {"M": {"b": s("bb"), "c": s("cc"), "d": {"M": {"e": s("ee")}}}},
    "l": lst(X0, X1),
}


@pytest.mark.parametrize(
    ("projection", "shown"),
    [
        ("a.b, a.c", {"a": {"M": {"b": s("bb"), "c": s("cc")}}}),  # captures
        ("l[0].x, l[0].y", {"l": lst(X0)}),
        ("l[0], l[1]", {"l": lst(X0, X1)}),
        ("a, l", {"a": DOCUMENT["a"], "l": DOCUMENT["l"]}),
        ("nothing", {}),
    ],
)
def test_a_projection_shows_the_same_in_all_reads(db: Any, projection: str, shown: dict[str, Any]) -> None:
    db("PutItem", TableName="Composite", Item=DOCUMENT)
    key = {"pk": s("document"), "sk": s("1")}
    asked = {"ProjectionExpression": projection}
    assert db("GetItem", TableName="Composite", Key=key, **asked) == {"Item": shown}
    batch = db("BatchGetItem", RequestItems={"Composite": {"Keys": [key], **asked}})
    assert batch["Responses"] == {"Composite": [shown]}
    values = {":p": s("document")}
    queried = db(
        "Query", TableName="Composite", KeyConditionExpression="pk = :p", ExpressionAttributeValues=values, **asked
    )
    scanned = db("Scan", TableName="Composite", FilterExpression="pk = :p", ExpressionAttributeValues=values, **asked)
    assert queried["Items"] == scanned["Items"] == [shown]


# ---- filters -------------------------------------------------------------------------------------

PEOPLE = [
    {
        "name": s("alice"),
        "age": n("30"),
        "tags": {"SS": ["admin", "user"]},
        "m": {"M": {"x": s("deep")}},
        "l": lst(s("1")),
    },
    {
        "name": s("bob"),
        "age": n("25"),
        "tags": {"SS": ["user"]},
        "m": {"M": {"x": s("other")}},
        "l": lst(s("2"), s("3")),
    },
    {
        "name": s("carol"),
        "age": n("35"),
        "tags": {"SS": ["admin", "manager"]},
        "m": {"M": {"x": s("deep")}},
        "l": lst(s("1")),
    },
    {
        "name": s("dave"),
        "age": n("28"),
        "tags": {"SS": ["viewer"]},
        "m": {"M": {"x": s("v"), "k": s("v")}},
        "b": {"B": "AQIDBAU="},
    },
]


@pytest.fixture(scope="module")
def people(db: Any) -> Any:
    for number, person in enumerate(PEOPLE):
        db("PutItem", TableName="Composite", Item={"pk": s("people"), "sk": s(str(number)), **person})
    return db


@pytest.mark.parametrize(
    ("wanted", "values", "names"),
    [
        ("size(#name) > :v", [n("3")], "alice carol dave"),
        ("contains(#name, :v)", [s("lic")], "alice"),
        ("contains(tags, :v)", [s("admin")], "alice carol"),
        ("NOT contains(tags, :v)", [s("admin")], "bob dave"),
        ("attribute_type(#name, :v)", [s("S")], "alice bob carol dave"),
        ("begins_with(#name, :v)", [s("car")], "carol"),
        ("#name IN (:v, :w)", [s("alice"), s("carol")], "alice carol"),
        ("#name = :v AND age > :w", [s("alice"), n("20")], "alice"),
        ("#name = :v OR #name = :w", [s("alice"), s("bob")], "alice bob"),
        ("age BETWEEN :v AND :w", [n("26"), n("34")], "alice dave"),
        ("m.x = :v", [s("deep")], "alice carol"),
        ("l[0] = :v", [s("1")], "alice carol"),
        ("size(l) = :v", [n("2")], "bob"),
        ("size(m) > :v", [n("1")], "dave"),
        ("size(b) > :v", [n("3")], "dave"),
        ("attribute_not_exists(b)", [], "alice bob carol"),
        ("tags = :v", [{"SS": ["user", "admin"]}], "alice"),
        ("tags <> :v", [{"SS": ["user", "admin"]}], "bob carol dave"),
        ("(age > :v) AND (attribute_exists(b) OR (#name = :w))", [n("20"), s("bob")], "bob dave"),
    ],
)
def test_a_filter_chooses_as_on_aws(people: Any, wanted: str, values: list[Any], names: str) -> None:
    given = dict(zip((":v", ":w"), values, strict=False))
    more: dict[str, Any] = {"ExpressionAttributeNames": {"#name": "name"}} if "#name" in wanted else {}
    answer = people(
        "Query",
        TableName="Composite",
        KeyConditionExpression="pk = :pk",
        FilterExpression=wanted,
        ExpressionAttributeValues={":pk": s("people"), **given},
        **more,
    )
    assert " ".join(item["name"]["S"] for item in answer["Items"]) == names
    assert (answer["Count"], answer["ScannedCount"]) == (len(names.split()), 4)


# ---- batches and pages ---------------------------------------------------------------------------


def test_a_batch_of_reads_ends_at_16_mb(db: Any) -> None:
    """Source: batches."""
    keys = [{"pk": s(f"large {number:02}")} for number in range(45)]
    for key in keys:
        db("PutItem", TableName="Hash", Item={**key, "payload": s("x" * 390_000)})
    answer = db("BatchGetItem", RequestItems={"Hash": {"Keys": keys, "ConsistentRead": True}})
    found = len(answer["Responses"]["Hash"])
    assert found == 16 * 1024 * 1024 // 390_018
    assert answer["UnprocessedKeys"] == {"Hash": {"Keys": keys[found:], "ConsistentRead": True}}
    rest = db("BatchGetItem", RequestItems=answer["UnprocessedKeys"])
    assert [item["pk"] for item in rest["Responses"]["Hash"]] == [key["pk"] for key in keys[found:]]


def test_a_page_ends_at_1_mb_or_at_its_limit(db: Any) -> None:
    """Source: batches."""
    for number in range(20):
        item = {"pk": s("pages"), "sk": s(f"{number:03}"), "payload": s("x" * 60_000)}
        db("PutItem", TableName="Composite", Item=item)
    request = {
        "TableName": "Composite",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": s("pages")},
    }
    first = db("Query", **request)
    assert 0 < first["Count"] < 20
    second = db("Query", **request, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert first["Count"] + second["Count"] == 20
    assert "LastEvaluatedKey" not in second
    limited = db("Query", **request, Limit=5)
    assert limited["Count"] == 5
    assert limited["LastEvaluatedKey"] == {"pk": s("pages"), "sk": s("004")}
