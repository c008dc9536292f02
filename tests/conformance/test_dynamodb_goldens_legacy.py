"""The parameters of before 2014: what they do on AWS, and what AWS says of wrong ones.

Sources, each read as facts about AWS:
    legacy     nubo-db/dynamodb-conformance, ``legacy-api``; eu-west-2; 2026-06
    texts      paritysuite/dynamodb-conformance, ``error-messages``; eu-west-2 and us-east-1; 2026-10-09
    extenddb   extenddb's tests of ConditionalOperator against AWS; 2026
    dynalite   architect/dynalite, recorded until 2020
    alternator Scylla's tests of Alternator against AWS (``test_expected.py``)
"""

from typing import Any

import pytest

INVALID = "One or more parameter values were invalid: "
WITHOUT_CONDITIONS = "ConditionalOperator cannot be used without Filter or Expected"
WITH_ONE_CONDITION = "ConditionalOperator can only be used when Filter or Expected has two or more elements"
VALUES = {"ExpressionAttributeValues": {":v": {"S": "x"}}}


def s(text: str) -> dict[str, str]:
    return {"S": text}


def n(text: str) -> dict[str, str]:
    return {"N": text}


def compare(operator: str, *values: Any) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


def mixing(legacy: str, expressions: str) -> str:
    return (
        "Can not use both expression and non-expression parameters in the same request: "
        f"Non-expression parameters: {{{legacy}}} Expression parameters: {{{expressions}}}"
    )


ITEM = {
    "pk": s("legacy"),
    "status": s("active"),
    "count": n("10"),
    "flag": {"BOOL": True},
    "tags": {"SS": ["a", "b", "c"]},
    "members": {"L": [s("x"), n("1")]},
    "blob": {"B": "AQID"},
}


@pytest.fixture
def seeded(db: Any) -> Any:
    db("PutItem", TableName="Hash", Item=ITEM)
    return db


# ---- Expected ------------------------------------------------------------------------------------

#: What is expected of ITEM, and whether that is so.
EXPECTATIONS = [
    ({"pk": {"Exists": False}}, False),  # legacy
    ({"absent": {"Exists": False}}, True),
    ({"status": {"Exists": True, "Value": s("active")}}, True),
    ({"status": {"Value": s("other")}}, False),
    ({"status": compare("EQ", s("active"))}, True),
    ({"status": compare("EQ", s("wrong"))}, False),
    ({"status": compare("BEGINS_WITH", s("act"))}, True),
    ({"status": {"ComparisonOperator": "EQ", "Value": s("active")}}, True),  # dynalite
    ({"flag": compare("EQ", {"BOOL": True})}, True),
    ({"flag": compare("EQ", {"BOOL": False})}, False),
    ({"count": compare("LT", n("11"))}, True),
    ({"count": compare("LE", n("9"))}, False),
    ({"count": compare("GT", n("9"))}, True),
    ({"count": compare("GE", n("10.0"))}, True),
    ({"count": compare("GT", s("9"))}, False),
    ({"count": compare("BETWEEN", n("1"), n("10"))}, True),
    ({"count": compare("IN", n("1"), n("10"))}, True),
    ({"status": compare("IN", s("a"))}, False),
    ({"status": {"ComparisonOperator": "NOT_NULL"}}, True),
    ({"absent": {"ComparisonOperator": "NULL"}}, True),
    ({"status": {"ComparisonOperator": "NULL", "AttributeValueList": []}}, False),
    ({"status": compare("CONTAINS", s("tiv"))}, True),
    ({"tags": compare("CONTAINS", s("b"))}, True),
    ({"members": compare("CONTAINS", n("1"))}, True),
    ({"blob": compare("CONTAINS", {"B": "Ag=="})}, True),
    ({"tags": compare("NOT_CONTAINS", s("z"))}, True),
    ({"tags": compare("NOT_CONTAINS", s("a"))}, False),
    ({"absent": compare("NOT_CONTAINS", s("a"))}, False),  # alternator
    ({"absent": compare("NE", s("a"))}, True),
    ({"absent": compare("EQ", s("a"))}, False),
    ({"status": compare("NE", n("1"))}, True),
    ({"status": compare("EQ", s("active")), "count": compare("EQ", n("11"))}, False),
]


@pytest.mark.parametrize(("expected", "holds"), EXPECTATIONS, ids=str)
def test_what_is_expected_decides(seeded: Any, expected: dict[str, Any], holds: bool) -> None:
    answer = seeded.send("PutItem", {"TableName": "Hash", "Item": ITEM, "Expected": expected})
    assert answer.code == ("" if holds else "ConditionalCheckFailedException")


@pytest.mark.parametrize(("operator", "code"), [("AND", "ConditionalCheckFailedException"), ("OR", "")])
def test_conditions_are_joined_as_told(seeded: Any, operator: str, code: str) -> None:
    expected = {"status": compare("EQ", s("active")), "count": compare("EQ", n("11"))}
    for operation, more in (
        ("PutItem", {"Item": ITEM}),
        ("UpdateItem", {"Key": {"pk": s("legacy")}, "AttributeUpdates": {"count": {"Value": n("10")}}}),
        ("DeleteItem", {"Key": {"pk": s("legacy")}}),
    ):
        request = {"TableName": "Hash", "Expected": expected, "ConditionalOperator": operator, **more}
        assert seeded.send(operation, request).code == code


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ({"Exists": True}, "Value must be provided when Exists is true for Attribute: a"),  # texts
        ({}, "Value must be provided when Exists is null for Attribute: a"),  # dynalite
        ({"Exists": False, "Value": s("x")}, "Value cannot be used when Exists is false for Attribute: a"),
        (
            {"Value": s("x"), **compare("EQ", s("x"))},
            "Value and AttributeValueList cannot be used together for Attribute: a",
        ),
        (
            {"ComparisonOperator": "EQ"},
            "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
        ),
        (compare("BETWEEN", s("x")), "Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
        (
            {**compare("EQ", s("x")), "Exists": True},
            "Exists and ComparisonOperator cannot be used together for Attribute: a",
        ),
        (
            {"AttributeValueList": [s("x")]},
            "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
        ),
        (compare("NULL", s("x")), "Invalid number of argument(s) for the NULL ComparisonOperator"),
        (compare("IN", s("x"), n("1")), "AttributeValues inside AttributeValueList must be of same type"),
        (compare("LT", {"SS": ["x"]}), "ComparisonOperator LT is not valid for SS AttributeValue type"),
    ],
    ids=str,
)
def test_an_expectation_that_is_none_is_refused(seeded: Any, expected: dict[str, Any], text: str) -> None:
    refused = seeded.refusal("DeleteItem", TableName="Hash", Key={"pk": s("legacy")}, Expected={"a": expected})
    assert refused == f"1 validation error detected: {INVALID}{text}"


# ---- AttributeUpdates ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("updates", "changed"),
    [
        ({"status": {"Action": "PUT", "Value": s("new")}}, {"status": s("new")}),  # legacy
        ({"col": {"Value": s("written")}}, {"col": s("written")}),
        ({"tags": {"Action": "DELETE", "Value": {"SS": ["b"]}}}, {"tags": {"SS": ["a", "c"]}}),
        ({"count": {"Action": "ADD", "Value": n("5")}}, {"count": n("15")}),
        ({"tags": {"Action": "ADD", "Value": {"SS": ["d"]}}}, {"tags": {"SS": ["a", "b", "c", "d"]}}),
        ({"fresh": {"Action": "ADD", "Value": n("5")}}, {"fresh": n("5")}),
        ({"members": {"Action": "ADD", "Value": {"L": [s("y")]}}}, {"members": {"L": [s("x"), n("1"), s("y")]}}),
        ({"tags": {"Action": "DELETE", "Value": {"SS": ["a", "b", "c"]}}}, {"tags": None}),
        ({"status": {"Action": "DELETE"}, "absent": {"Action": "DELETE"}}, {"status": None}),
    ],
    ids=str,
)
def test_attribute_updates_change_an_item(seeded: Any, updates: dict[str, Any], changed: dict[str, Any]) -> None:
    key = {"pk": s("legacy")}
    answer = seeded("UpdateItem", TableName="Hash", Key=key, AttributeUpdates=updates, ReturnValues="ALL_NEW")
    expected = {name: value for name, value in {**ITEM, **changed}.items() if value is not None}
    assert answer["Attributes"] == expected == seeded("GetItem", TableName="Hash", Key=key)["Item"]


def test_an_item_that_is_not_there_is_made_by_puts_and_adds_alone(db: Any) -> None:
    """Amazon DynamoDB API reference, UpdateItem, "AttributeUpdates"."""
    for action, value, item in (
        ("DELETE", {}, {}),
        ("PUT", {"Value": s("x")}, {"Item": {"pk": s("made by PUT"), "a": s("x")}}),
        ("ADD", {"Value": n("1")}, {"Item": {"pk": s("made by ADD"), "a": n("1")}}),
    ):
        key = {"pk": s(f"made by {action}")}
        db("UpdateItem", TableName="Hash", Key=key, AttributeUpdates={"a": {"Action": action, **value}})
        assert db("GetItem", TableName="Hash", Key=key) == item


@pytest.mark.parametrize(
    ("updates", "text"),
    [
        ({"a": {"Action": "PUT"}}, f"{INVALID}Only DELETE action is allowed when no attribute value is specified"),
        (
            {"a": {"Action": "DELETE", "Value": s("x")}},
            f"{INVALID}DELETE action with value is not supported for the type S",
        ),
        ({"a": {"Action": "ADD", "Value": s("x")}}, f"{INVALID}ADD action is not supported for the type S"),
    ],
    ids=str,
)
def test_an_action_that_does_not_go_with_its_value_is_refused(db: Any, updates: dict[str, Any], text: str) -> None:
    """Source: dynalite."""
    refused = db.refusal("UpdateItem", TableName="Hash", Key={"pk": s("a")}, AttributeUpdates=updates)
    assert refused == f"1 validation error detected: {text}"


@pytest.mark.parametrize(
    ("updates", "text"),
    [
        ({"status": {"Action": "ADD", "Value": n("1")}}, "Type mismatch for attribute to update"),
        ({"tags": {"Action": "DELETE", "Value": {"NS": ["1"]}}}, "Type mismatch for attribute to update"),
        (
            {"pk": {"Value": s("new")}},
            f"{INVALID}Cannot update attribute pk. This attribute is part of the key",
        ),
    ],
    ids=str,
)
def test_an_action_that_does_not_go_with_the_item_is_refused(seeded: Any, updates: dict[str, Any], text: str) -> None:
    """Source: dynalite."""
    assert seeded.refusal("UpdateItem", TableName="Hash", Key={"pk": s("legacy")}, AttributeUpdates=updates) == text


# ---- reads ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def partition(db: Any) -> Any:
    for sort_key, value, tag in (
        ("alpha", "1", "hello-world"),
        ("beta", "2", "hello-there"),
        ("gamma", "3", "goodbye"),
        ("delta", "4", "hello-again"),
        ("epsilon", "5", "world"),
    ):
        db("PutItem", TableName="Composite", Item={"pk": s("q"), "sk": s(sort_key), "val": n(value), "tag": s(tag)})
    return db


@pytest.mark.parametrize(
    ("demand", "found"),
    [
        ({}, ["alpha", "beta", "delta", "epsilon", "gamma"]),  # legacy
        ({"sk": compare("BEGINS_WITH", s("al"))}, ["alpha"]),
        ({"sk": compare("BETWEEN", s("beta"), s("epsilon"))}, ["beta", "delta", "epsilon"]),
        ({"sk": compare("GT", s("delta"))}, ["epsilon", "gamma"]),
        ({"sk": compare("LE", s("beta"))}, ["alpha", "beta"]),
        ({"sk": compare("EQ", s("gamma"))}, ["gamma"]),
    ],
    ids=str,
)
def test_key_conditions_find_items(partition: Any, demand: dict[str, Any], found: list[str]) -> None:
    request = {"TableName": "Composite", "KeyConditions": {"pk": compare("EQ", s("q")), **demand}}
    answer = partition("Query", **request)
    assert [item["sk"]["S"] for item in answer["Items"]] == found
    backward = partition("Query", **request, ScanIndexForward=False)
    assert [item["sk"]["S"] for item in backward["Items"]] == found[::-1]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"val": compare("EQ", n("3"))}, {"gamma"}),
        ({"tag": compare("CONTAINS", s("hello"))}, {"alpha", "beta", "delta"}),
        ({"tag": compare("CONTAINS", s("hello")), "val": compare("GT", n("1"))}, {"beta", "delta"}),
    ],
    ids=["one", "three", "both"],  # not str: workers would differ on the order of a set
)
def test_legacy_filters_choose_among_what_was_read(partition: Any, wanted: dict[str, Any], found: set[str]) -> None:
    queried = partition("Query", TableName="Composite", KeyConditions={"pk": compare("EQ", s("q"))}, QueryFilter=wanted)
    scanned = partition("Scan", TableName="Composite", ScanFilter=wanted)
    for answer in (queried, scanned):
        assert {item["sk"]["S"] for item in answer["Items"]} == found
        assert answer["ScannedCount"] == 5


def test_key_conditions_may_stand_beside_other_expressions(partition: Any) -> None:
    """Source: extenddb."""
    answer = partition(
        "Query",
        TableName="Composite",
        KeyConditions={"pk": compare("EQ", s("q"))},
        FilterExpression="val > :v",
        ProjectionExpression="sk",
        ExpressionAttributeValues={":v": n("4")},
    )
    assert answer["Items"] == [{"sk": s("epsilon")}]


def test_attributes_to_get_are_what_comes_back(partition: Any) -> None:
    """Source: legacy."""
    partition("PutItem", TableName="Hash", Item=ITEM)
    key = {"pk": s("legacy")}
    got = partition("GetItem", TableName="Hash", Key=key, AttributesToGet=["status", "absent"])
    assert got == {"Item": {"status": s("active")}}
    batch = partition("BatchGetItem", RequestItems={"Hash": {"Keys": [key], "AttributesToGet": ["pk", "count"]}})
    assert batch["Responses"] == {"Hash": [{"pk": s("legacy"), "count": n("10")}]}
    queried = partition(
        "Query", TableName="Composite", KeyConditions={"pk": compare("EQ", s("q"))}, AttributesToGet=["val"], Limit=1
    )
    assert queried["Items"] == [{"val": n("1")}]
    scanned = partition("Scan", TableName="Composite", AttributesToGet=["tag"], Limit=1)
    assert scanned["Items"] == [{"tag": s("hello-world")}]


@pytest.mark.parametrize(
    ("operation", "request_", "text"),
    [
        (
            "GetItem",
            {"TableName": "Hash", "Key": {"pk": s("a")}, "AttributesToGet": ["a", "b", "a"]},
            f"{INVALID}Duplicate value in attribute name: a",
        ),
        (
            "Scan",
            {"TableName": "Hash", "AttributesToGet": ["a"], "Select": "COUNT"},
            "1 validation error detected: Cannot specify the AttributesToGet when choosing to get only the Count",
        ),
        (
            "Query",
            {"TableName": "Hash"},
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ),
        (
            "Query",
            {"TableName": "Hash", "KeyConditions": {}},
            "Conditions can be of length 1 or 2 only",
        ),
        (
            "Query",
            {"TableName": "Composite", "KeyConditions": {"pk": compare("EQ", s("q")), "sk": compare("NE", s("a"))}},
            "Attempted conditional constraint is not an indexable operation",
        ),
        (
            "Query",
            {"TableName": "Composite", "KeyConditions": {"pk": compare("GT", s("q"))}},
            "Query key condition not supported",
        ),
        (
            "Query",
            {"TableName": "Composite", "KeyConditions": {"sk": compare("EQ", s("q"))}},
            "Query condition missed key schema element: pk",
        ),
        (
            "Scan",
            {"TableName": "Hash", "ScanFilter": {"a": compare("BETWEEN", n("2"), n("1"))}},
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
        ),
        (
            "Scan",
            {"TableName": "Hash", "ScanFilter": {"a": compare("EQ")}},
            f"{INVALID}Invalid number of argument(s) for the EQ ComparisonOperator",
        ),
        (
            "Query",
            {
                "TableName": "Composite",
                "KeyConditions": {"pk": compare("EQ", s("q"))},
                "QueryFilter": {"sk": compare("EQ", s("a"))},
            },
            "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk",
        ),
    ],
    ids=lambda given: given[-50:] if isinstance(given, str) else "",
)
def test_a_legacy_read_that_is_none_is_refused(db: Any, operation: str, request_: dict[str, Any], text: str) -> None:
    """Source: dynalite."""
    assert db.refusal(operation, **request_) == text


# ---- mixing --------------------------------------------------------------------------------------

COND = {"a": compare("EQ", s("x"))}
KEYS = {"pk": compare("EQ", s("k1"))}
PUT = {"TableName": "Hash", "Item": {"pk": s("k2")}}
KEY = {"TableName": "Hash", "Key": {"pk": s("k1")}}
AND = {"ConditionalOperator": "AND"}
UPDATES = {"AttributeUpdates": {"a": {"Value": s("v"), "Action": "PUT"}}}

#: Operation, request, text; all of extenddb, but for the count before the text (texts).
MIXED: list[tuple[str, dict[str, Any], str]] = [
    ("Scan", {"TableName": "Hash", **AND}, WITHOUT_CONDITIONS),
    ("Scan", {"TableName": "Hash", **AND, "ScanFilter": {}}, WITHOUT_CONDITIONS),
    ("Scan", {"TableName": "Hash", **AND, "ScanFilter": COND}, WITH_ONE_CONDITION),
    ("Scan", {"TableName": "Hash", **AND, "AttributesToGet": ["a", "b"]}, WITHOUT_CONDITIONS),
    ("Query", {"TableName": "Hash", **AND, "KeyConditions": KEYS}, WITHOUT_CONDITIONS),
    ("Query", {"TableName": "Hash", **AND}, WITHOUT_CONDITIONS),
    ("Query", {"TableName": "Hash", **AND, "KeyConditions": KEYS, "QueryFilter": COND}, WITH_ONE_CONDITION),
    ("PutItem", {**PUT, **AND}, WITHOUT_CONDITIONS),
    ("PutItem", {**PUT, **AND, "Expected": COND}, WITH_ONE_CONDITION),
    ("DeleteItem", {**KEY, **AND}, WITHOUT_CONDITIONS),
    ("DeleteItem", {**KEY, **AND, "Expected": COND}, WITH_ONE_CONDITION),
    ("UpdateItem", {**KEY, **AND, **UPDATES}, WITHOUT_CONDITIONS),
    ("UpdateItem", {**KEY, **AND}, WITHOUT_CONDITIONS),
    (
        "Scan",
        {"TableName": "Hash", **AND, "FilterExpression": "a = :v", **VALUES},
        mixing("ConditionalOperator", "FilterExpression"),
    ),
    (
        "Scan",
        {"TableName": "Hash", **AND, "ProjectionExpression": "a"},
        mixing("ConditionalOperator", "ProjectionExpression"),
    ),
    (
        "Scan",
        {
            "TableName": "Hash",
            "AttributesToGet": ["a"],
            "ScanFilter": COND,
            **AND,
            "FilterExpression": "a = :v",
            "ProjectionExpression": "b",
            **VALUES,
        },
        mixing("AttributesToGet, ScanFilter, ConditionalOperator", "ProjectionExpression, FilterExpression"),
    ),
    (
        "Query",
        {"TableName": "Hash", **AND, "KeyConditionExpression": "pk = :v", **VALUES},
        mixing("ConditionalOperator", "KeyConditionExpression"),
    ),
    (
        "Query",
        {
            "TableName": "Hash",
            "KeyConditions": KEYS,
            "QueryFilter": COND,
            **AND,
            "KeyConditionExpression": "pk = :v",
            "FilterExpression": "a = :v",
            "ProjectionExpression": "b",
            **VALUES,
        },
        mixing(
            "QueryFilter, ConditionalOperator, KeyConditions",
            "ProjectionExpression, FilterExpression, KeyConditionExpression",
        ),
    ),
    (
        "PutItem",
        {**PUT, **AND, "ConditionExpression": "attribute_exists(pk)"},
        mixing("ConditionalOperator", "ConditionExpression"),
    ),
    (
        "PutItem",
        {**PUT, **AND, "Expected": COND, "ConditionExpression": "attribute_exists(pk)"},
        mixing("Expected, ConditionalOperator", "ConditionExpression"),
    ),
    (
        "DeleteItem",
        {**KEY, **AND, "ConditionExpression": "attribute_exists(pk)"},
        mixing("ConditionalOperator", "ConditionExpression"),
    ),
    (
        "UpdateItem",
        {**KEY, **AND, "UpdateExpression": "SET a = :v", **VALUES},
        mixing("ConditionalOperator", "UpdateExpression"),
    ),
    (
        "UpdateItem",
        {
            **KEY,
            **UPDATES,
            "Expected": COND,
            **AND,
            "UpdateExpression": "SET a = :v",
            "ConditionExpression": "attribute_exists(pk)",
            **VALUES,
        },
        mixing("AttributeUpdates, Expected, ConditionalOperator", "UpdateExpression, ConditionExpression"),
    ),
    (
        "Scan",
        {
            "TableName": "Hash",
            **AND,
            "FilterExpression": "a = :v",
            "ExpressionAttributeValues": {":v": s("x"), ":unused": s("y")},
        },
        mixing("ConditionalOperator", "FilterExpression"),
    ),
    (
        "Scan",
        {"TableName": "Hash", "ScanFilter": COND, "ProjectionExpression": "b"},
        mixing("ScanFilter", "ProjectionExpression"),
    ),
    (
        "Scan",
        {"TableName": "Hash", "AttributesToGet": ["a"], "FilterExpression": "a = :v", **VALUES},
        mixing("AttributesToGet", "FilterExpression"),
    ),
    (
        "GetItem",
        {**KEY, "AttributesToGet": ["a"], "ProjectionExpression": "a"},
        mixing("AttributesToGet", "ProjectionExpression"),
    ),
]


@pytest.mark.parametrize(
    ("operation", "request_", "text"), MIXED, ids=lambda given: given[-60:] if isinstance(given, str) else ""
)
def test_what_does_not_belong_together_is_refused(db: Any, operation: str, request_: dict[str, Any], text: str) -> None:
    counted = "1 validation error detected: " if operation in ("PutItem", "UpdateItem", "DeleteItem") else ""
    assert db.refusal(operation, **request_) == counted + text
