"""What AWS answered to requests that it refused: request, text, source and date.

Sources, each read as facts about AWS:
    texts     paritysuite/dynamodb-conformance, ``error-messages``; eu-west-2 and us-east-1; 2026-10-09
    captures  the same, ``captures/cross-region-latest.json``; eu-west-2; 2026-09-20
    keys      the same, ``queryKeyConditionOperands`` and ``queryKeyCondition``; eu-west-2; 2026-10
    scan      the same, ``error-messages/scan``; eu-west-2; 2026-09-26; and moto's tests against us-east-1,
              ``test_dynamodb_select`` and ``test_dynamodb_scan``; between 2026-10-11 and 2026-10-27
    nubo      nubo-db/dynamodb-conformance, ``error-messages``; eu-west-2; 2026-06 to 2026-08
    dynalite  architect/dynalite, recorded until 2020
"""

from typing import Any, NamedTuple

import pytest

INVALID = "One or more parameter values were invalid: "
SCHEMA = "The provided key element does not match the schema"
CONDITION_TYPE = INVALID + "Condition parameter type does not match schema type"


def one(text: str) -> str:
    return f"1 validation error detected: {text}"


def s(text: str) -> dict[str, str]:
    return {"S": text}


def n(text: str) -> dict[str, str]:
    return {"N": text}


# ---- single requests -----------------------------------------------------------------------------


class Golden(NamedTuple):
    operation: str
    request: dict[str, Any]
    text: str
    source: str


PUT = {"TableName": "Hash", "Item": {"pk": s("golden")}}
DELETE = {"TableName": "Hash", "Key": {"pk": s("golden")}}
UPDATE = {"TableName": "Hash", "Key": {"pk": s("golden")}}
COMPOSITE = {"TableName": "Composite", "ExpressionAttributeValues": {":v": s("val")}}
OVERLAP = "Two document paths overlap with each other; must remove or rewrite one of these paths"
EMPTY_KEY = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty"


def operand(operator: str, kind: str) -> str:
    return (
        "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
        f"operator or function: {operator}, operand type: {kind}"
    )


def query(table: str, condition: str, **values: Any) -> dict[str, Any]:
    return {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
    }


def batch_get(keys: Any, **more: Any) -> dict[str, Any]:
    return {"RequestItems": {"Hash": {"Keys": keys, **more}}}


GOLDENS = [
    # PutItem, UpdateItem, DeleteItem
    Golden(
        "PutItem",
        {**PUT, "Item": {"pk": s("a"), "b": {"SS": []}}},
        one(INVALID + "An string set  may not be empty"),
        "captures",
    ),
    Golden(
        "PutItem",
        {**PUT, "Item": {"pk": s("a"), "b": {"NS": []}}},
        one(INVALID + "An number set  may not be empty"),
        "captures",
    ),
    Golden(
        "PutItem",
        {**PUT, "Item": {"pk": s("a"), "b": {"BS": []}}},
        one(INVALID + "Binary sets should not be empty"),
        "texts",
    ),
    Golden(
        "PutItem",
        {**PUT, "Item": {"pk": s("a"), "b": {"NULL": False}}},
        one(INVALID + "Null attribute value types must have the value of true"),
        "texts",
    ),
    Golden(
        "PutItem",
        {**PUT, "Expected": {"pk": {"Exists": False}}, "ConditionExpression": "attribute_not_exists(pk)"},
        one(
            "Can not use both expression and non-expression parameters in the same request: "
            "Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"
        ),
        "captures",
    ),
    Golden(
        "PutItem",
        {**PUT, "ExpressionAttributeValues": {":v": s("x")}},
        one("ExpressionAttributeValues can only be specified when using expressions"),
        "texts",
    ),
    Golden(
        "PutItem",
        {**PUT, "ExpressionAttributeNames": {"#a": "a"}},
        one("ExpressionAttributeNames can only be specified when using expressions"),
        "texts",
    ),
    Golden(
        "PutItem",
        {**PUT, "ConditionExpression": ""},
        one("Invalid ConditionExpression: The expression can not be empty;"),
        "texts",
    ),
    Golden(
        "PutItem",
        {**PUT, "ConditionExpression": "((attribute_not_exists(pk)))"},
        one("Invalid ConditionExpression: The expression has redundant parentheses;"),
        "captures",
    ),
    Golden(
        "PutItem",
        {**PUT, "ConditionExpression": "contains(#a, #a)", "ExpressionAttributeNames": {"#a": "data"}},
        one(
            "Invalid ConditionExpression: The first operand must be distinct from the remaining operands for this "
            "operator or function; operator: contains, first operand: [data]"
        ),
        "captures",
    ),
    Golden(
        "DeleteItem",
        {**DELETE, "ConditionExpression": "attribute_exists(a)", "ExpressionAttributeValues": {}},
        one("ExpressionAttributeValues must not be empty"),
        "texts",
    ),
    Golden(
        "DeleteItem",
        {**DELETE, "ConditionExpression": "attribute_exists(a)", "ExpressionAttributeNames": {}},
        one("ExpressionAttributeNames must not be empty"),
        "texts",
    ),
    Golden(
        "DeleteItem", {**DELETE, "ReturnValues": "ALL_NEW"}, one("ReturnValues can only be ALL_OLD or NONE"), "texts"
    ),
    Golden(
        "DeleteItem",
        {**DELETE, "ReturnValues": "UPDATED_NEW"},
        one("ReturnValues can only be ALL_OLD or NONE"),
        "texts",
    ),
    Golden(
        "DeleteItem",
        {**DELETE, "Expected": {"a": {"Exists": False}}, "ExpressionAttributeNames": {"#a": "a"}},
        one("ExpressionAttributeNames can only be specified when using expressions"),
        "texts",
    ),
    Golden(
        "UpdateItem",
        {**UPDATE, "UpdateExpression": "INVALID SYNTAX HERE", "ExpressionAttributeValues": {":v": s("val")}},
        one('Invalid UpdateExpression: Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
        "captures",
    ),
    Golden(
        "UpdateItem",
        {
            **UPDATE,
            "UpdateExpression": "SET attr1 = :v",
            "ExpressionAttributeValues": {":v": s("val")},
            "ExpressionAttributeNames": {"#unused": "someattr"},
        },
        one("Value provided in ExpressionAttributeNames unused in expressions: keys: {#unused}"),
        "captures",
    ),
    Golden(
        "UpdateItem",
        {
            **UPDATE,
            "UpdateExpression": "SET attr1 = :v",
            "ExpressionAttributeValues": {":v": s("val"), ":unused": s("extra")},
        },
        one("Value provided in ExpressionAttributeValues unused in expressions: keys: {:unused}"),
        "captures",
    ),
    Golden(
        "UpdateItem",
        {**UPDATE, "UpdateExpression": "SET attr1 = :v"},
        one(
            "Invalid UpdateExpression: An expression attribute value used in expression is not defined; "
            "attribute value: :v"
        ),
        "captures",
    ),
    Golden(
        "UpdateItem",
        {
            **UPDATE,
            "UpdateExpression": "SET b = :w",
            "ConditionExpression": "a = :v",
            "ExpressionAttributeValues": {":w": s("x")},
        },
        one(
            "Invalid ConditionExpression: An expression attribute value used in expression is not defined; "
            "attribute value: :v"
        ),
        "texts",
    ),
    Golden(
        "UpdateItem",
        {**UPDATE, "UpdateExpression": ""},
        one("Invalid UpdateExpression: The expression can not be empty;"),
        "captures",
    ),
    Golden(
        "UpdateItem",
        {**UPDATE, "UpdateExpression": "SET pk = :v", "ExpressionAttributeValues": {":v": s("new")}},
        INVALID + "Cannot update attribute pk. This attribute is part of the key",
        "captures",
    ),
    Golden(
        "UpdateItem",
        {
            "TableName": "Composite",
            "Key": {"pk": s("a"), "sk": s("b")},
            "UpdateExpression": "SET sk = :v",
            "ExpressionAttributeValues": {":v": s("new")},
        },
        INVALID + "Cannot update attribute sk. This attribute is part of the key",
        "captures",
    ),
    # keys
    Golden("PutItem", {"TableName": "HashB", "Item": {"pk": {"B": ""}}}, f"{EMPTY_KEY} binary value. Key: pk", "nubo"),
    Golden(
        "DeleteItem", {"TableName": "HashB", "Key": {"pk": {"B": ""}}}, f"{EMPTY_KEY} binary value. Key: pk", "nubo"
    ),
    Golden("GetItem", {"TableName": "Hash", "Key": {"pk": s("")}}, f"{EMPTY_KEY} string value. Key: pk", "captures"),
    Golden("DeleteItem", {"TableName": "Hash", "Key": {"pk": s("")}}, f"{EMPTY_KEY} string value. Key: pk", "captures"),
    Golden("GetItem", {"TableName": "Hash", "Key": {"pk": n("1")}}, SCHEMA, "captures"),
    Golden("GetItem", {"TableName": "Hash", "Key": {"pk": {"L": [s("x")]}}}, SCHEMA, "captures"),
    Golden("GetItem", {"TableName": "Composite", "Key": {"pk": s("test")}}, SCHEMA, "nubo"),
    # GetItem
    Golden(
        "GetItem",
        {"TableName": "Hash", "Key": {"pk": s("a")}, "ProjectionExpression": "!!! INVALID !!!"},
        'Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"',
        "nubo",
    ),
    Golden(
        "GetItem",
        {"TableName": "Hash", "Key": {"pk": s("a")}, "ProjectionExpression": "a.b, a"},
        f"Invalid ProjectionExpression: {OVERLAP}; path one: [a, b], path two: [a]",
        "captures",
    ),
    Golden(
        "GetItem",
        {
            "TableName": "Hash",
            "Key": {"pk": s("a")},
            "ProjectionExpression": "#a, #b",
            "ExpressionAttributeNames": {"#a": "a", "#b": "a"},
        },
        f"Invalid ProjectionExpression: {OVERLAP}; path one: [a], path two: [a]",
        "captures",
    ),
    Golden(
        "GetItem",
        {"TableName": "Hash", "Key": {"pk": s("a")}, "ProjectionExpression": "l, l[0]"},
        f"Invalid ProjectionExpression: {OVERLAP}; path one: [l], path two: [l, [0]]",
        "captures",
    ),
    # Query
    Golden(
        "Query",
        {**COMPOSITE, "KeyConditionExpression": "sk = :v"},
        "Query condition missed key schema element: pk",
        "nubo",
    ),
    Golden(
        "Query",
        {**COMPOSITE, "KeyConditionExpression": "a = :v"},
        "Query condition missed key schema element: pk",
        "nubo",
    ),
    Golden(
        "Query",
        {**COMPOSITE, "KeyConditionExpression": "pk = :v", "ExpressionAttributeNames": {"#unused": "a"}},
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#unused}",
        "nubo",
    ),
    Golden(
        "Query",
        {**COMPOSITE, "KeyConditionExpression": ""},
        "Invalid KeyConditionExpression: The expression can not be empty;",
        "nubo",
    ),
    Golden(
        "Query",
        query("Composite", "pk = :pk", pk=s("v"), fv=s("x")) | {"FilterExpression": "#missing = :fv"},
        "Invalid FilterExpression: An expression attribute name used in the document path is not defined; "
        "attribute name: #missing",
        "nubo",
    ),
    Golden(
        "Query",
        query("Composite", "pk = :p AND begins_with(sk, :v)", p=s("q"), v=n("1")),
        operand("begins_with", "N"),
        "keys",
    ),
    Golden(
        "Query",
        query("Composite", "pk = :p AND begins_with(sk, :v)", p=s("q"), v={"BOOL": True}),
        operand("begins_with", "BOOL"),
        "keys",
    ),
    Golden("Query", query("CompositeN", "pk = :p AND begins_with(sk, :v)", p=s("q"), v=s("a")), CONDITION_TYPE, "keys"),
    Golden(
        "Query", query("CompositeN", "pk = :p AND sk < :v", p=s("q"), v={"BOOL": True}), operand("<", "BOOL"), "keys"
    ),
    Golden(
        "Query", query("CompositeN", "pk = :p AND :v >= sk", p=s("q"), v={"BOOL": True}), operand(">=", "BOOL"), "keys"
    ),
    Golden(
        "Query",
        query("CompositeN", "pk = :p AND sk BETWEEN :a AND :b", p=s("q"), a={"BOOL": False}, b={"BOOL": True}),
        operand("BETWEEN", "BOOL"),
        "keys",
    ),
    Golden("Query", query("CompositeN", "pk = :p AND sk = :v", p=s("q"), v={"BOOL": True}), CONDITION_TYPE, "keys"),
    Golden(
        "Query",
        query("CompositeN", "pk = :p AND sk > :a AND sk < :b", p=s("q"), a=n("1"), b=n("5")),
        "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
        "keys",
    ),
    Golden(
        "Query",
        query("CompositeN", "pk = :p AND sk > :a AND extra = :b", p=s("q"), a=n("1"), b=n("5")),
        "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)",
        "keys",
    ),
    # Scan
    Golden(
        "Scan",
        {"TableName": "Hash", "Segment": 0},
        "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        "nubo",
    ),
    Golden(
        "Scan",
        {"TableName": "Hash", "TotalSegments": 4},
        "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        "nubo",
    ),
    Golden(
        "Scan",
        {"TableName": "Hash", "Segment": 5, "TotalSegments": 5},
        "The Segment parameter is zero-based and must be less than parameter TotalSegments",
        "scan",
    ),
    Golden(
        "Scan",
        {"TableName": "Hash", "ExclusiveStartKey": {"bad": s("p")}},
        "The provided starting key is invalid",
        "scan",
    ),
    *(
        Golden(operation, parameters | {"Select": select} | wanted, one(text), "scan")
        for operation, parameters in (("Scan", {"TableName": "Hash"}), ("Query", query("Hash", "pk = :p", p=s("q"))))
        for select, wanted, text in (
            (
                "SPECIFIC_ATTRIBUTES",
                {},
                "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
            ),
            (
                "ALL_PROJECTED_ATTRIBUTES",
                {},
                "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
            ),
            (
                "COUNT",
                {"ProjectionExpression": "a"},
                "Cannot specify the ProjectionExpression when choosing to get only the Count",
            ),
        )
    ),
    # batches
    Golden(
        "BatchWriteItem",
        {
            "RequestItems": {
                "Hash": [{"PutRequest": {"Item": {"pk": s("x")}}}, {"DeleteRequest": {"Key": {"pk": s("x")}}}]
            }
        },
        "Provided list of item keys contains duplicates",
        "texts",
    ),
    Golden("BatchWriteItem", {"RequestItems": {"Hash": [{"PutRequest": {"Item": {"pk": n("5")}}}]}}, SCHEMA, "texts"),
    Golden(
        "BatchWriteItem", {"RequestItems": {"Hash": [{"PutRequest": {"Item": {"other": s("x")}}}]}}, SCHEMA, "texts"
    ),
    Golden(
        "BatchWriteItem", {"RequestItems": {"Hash": [{"DeleteRequest": {"Key": {"other": s("x")}}}]}}, SCHEMA, "texts"
    ),
    Golden(
        "BatchWriteItem",
        {"RequestItems": {"Hash": [{"PutRequest": {"Item": {"pk": s("")}}}]}},
        f"{EMPTY_KEY} string value. Key: pk",
        "texts",
    ),
    Golden(
        "BatchGetItem",
        batch_get([{"pk": s("a")}, {"pk": s("a")}]),
        "Provided list of item keys contains duplicates",
        "texts",
    ),
    Golden(
        "BatchGetItem",
        batch_get([{"pk": s("a")}], AttributesToGet=["pk"], ProjectionExpression="pk"),
        "Can not use both expression and non-expression parameters in the same request: "
        "Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}",
        "texts",
    ),
    Golden(
        "BatchGetItem",
        batch_get([{"pk": s("a")}], ProjectionExpression="a, a"),
        f"Invalid ProjectionExpression: {OVERLAP}; path one: [a], path two: [a]",
        "texts",
    ),
]


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: f"{golden.operation} {golden.text[-50:]}")
def test_a_refused_request_is_refused_in_awss_words(db: Any, golden: Golden) -> None:
    assert db.refusal(golden.operation, **golden.request) == golden.text


def test_one_table_of_a_batch_is_not_read_the_old_way_and_another_the_new_way(db: Any) -> None:
    """Source: texts; the text is not recorded."""
    answer = db.send(
        "BatchGetItem",
        {
            "RequestItems": {
                "Hash": {"Keys": [{"pk": s("a")}], "ProjectionExpression": "pk"},
                "Composite": {"Keys": [{"pk": s("a"), "sk": s("b")}], "AttributesToGet": ["pk"]},
            }
        },
    )
    assert answer.code == "ValidationException"


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("PutItem", {"Item": {"pk": s("a")}}),
        ("GetItem", {"Key": {"pk": s("a")}}),
        ("DeleteItem", {"Key": {"pk": s("a")}}),
        ("UpdateItem", {"Key": {"pk": s("a")}, "UpdateExpression": "REMOVE a"}),
        ("Scan", {}),
        ("Query", query("nowhere", "pk = :p", p=s("a"))),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_table_that_is_not_there_is_named_by_no_name(db: Any, operation: str, request_: dict[str, Any]) -> None:
    """Source: nubo."""
    answer = db.send(operation, {"TableName": "nowhere", **request_})
    assert (answer.status, answer.code, answer.message) == (
        400,
        "ResourceNotFoundException",
        "Requested resource not found",
    )


def test_a_condition_that_does_not_hold_shows_the_item_if_asked(db: Any) -> None:
    """Source: nubo, ``conditionalCheck``."""
    item = {"pk": s("held"), "attr1": s("original")}
    db("PutItem", TableName="Hash", Item=item)
    request = {"TableName": "Hash", "Item": {"pk": s("held")}, "ConditionExpression": "attribute_not_exists(pk)"}
    plain = db.send("PutItem", request)
    assert (plain.status, plain.code, plain.message) == (
        400,
        "ConditionalCheckFailedException",
        "The conditional request failed",
    )
    assert "Item" not in plain.body
    shown = db.send("PutItem", {**request, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"})
    assert shown.body["Item"] == item
