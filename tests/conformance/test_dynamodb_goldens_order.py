"""Which of several things that are wrong AWS names, and how it counts them.

Sources, each read as facts about AWS:
    captures   paritysuite/dynamodb-conformance, ``captures/cross-region-latest.json``; eu-west-2; 2026-09-20
    order      the same, ``validation-ordering``; eu-west-2 and us-east-1; 2026-10-09
    deep       the same, ``deepRequests``; ten regions; 2026-10-09
    extenddb   extenddb's tests of ConditionalOperator against AWS; 2026
"""

from typing import Any

import pytest

NAME = "Value '{}' at 'tableName' failed to satisfy constraint: Member must "
TOO_SHORT = "Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1"
CAPACITY = (
    "Value '{}' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: "
    "[INDEXES, TOTAL, NONE]"
)
METRICS = (
    "Value '{}' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: "
    "[SIZE, NONE]"
)
RETURN_VALUES = (
    "Failed to satisfy constraint: Member must satisfy enum value set: "
    "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"
)
OLDER_RETURN_VALUES = (
    "Value '{}' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: "
    "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
)
OLDER_OPERATOR = (
    "Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: [OR, AND]"
)
NO_KEY = "Value null at 'key' failed to satisfy constraint: Member must not be null"
NESTING = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
ITEM = {"pk": {"S": "order"}}
SET = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "x"}}}
MAP_KEYS = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have length "
    "greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]"
)


def errors(*texts: str) -> str:
    return f"{len(texts)} validation error{'s' if len(texts) > 1 else ''} detected: {'; '.join(texts)}"


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(levels):
        value = {"M": {"n": value}}
    return value


def deep_condition(levels: int) -> dict[str, Any]:
    return {
        "ConditionExpression": "#d = :deep",
        "ExpressionAttributeNames": {"#d": "d"},
        "ExpressionAttributeValues": {":deep": deep(levels)},
    }


#: Operation, request, text.
SHAPES: list[tuple[str, dict[str, Any], str]] = [
    # captures
    (
        "PutItem",
        {"Item": ITEM},
        errors("Value null at 'tableName' failed to satisfy constraint: Member must not be null"),
    ),
    ("PutItem", {"TableName": "", "Item": {}}, errors(TOO_SHORT)),
    ("PutItem", {"TableName": "", "Item": {}, "ReturnValues": "INVALID"}, errors(TOO_SHORT)),
    ("DeleteItem", {"TableName": "", "Key": {}}, errors(TOO_SHORT)),
    ("UpdateItem", {"TableName": "", "Key": {}}, errors(TOO_SHORT)),
    (
        "PutItem",
        {"TableName": "a" * 256, "Item": ITEM},
        errors(NAME.format("a" * 256) + "have length less than or equal to 255"),
    ),
    (
        "PutItem",
        {"TableName": "bad table!@#", "Item": ITEM},
        errors(NAME.format("bad table!@#") + "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
    ),
    (
        "PutItem",
        {
            "TableName": "Hash",
            "Item": ITEM,
            "ReturnConsumedCapacity": "INVALID",
            "ReturnItemCollectionMetrics": "INVALID",
            "ReturnValues": "INVALID",
        },
        errors(CAPACITY.format("INVALID"), RETURN_VALUES, METRICS.format("INVALID")),
    ),
    (
        "DeleteItem",
        {"TableName": "Hash", "Key": ITEM, "ReturnValues": "INVALID", "ReturnConsumedCapacity": "INVALID"},
        errors(CAPACITY.format("INVALID"), RETURN_VALUES),
    ),
    (
        "UpdateItem",
        {"TableName": "Hash", "Key": ITEM, "ReturnValues": "INVALID", "ReturnConsumedCapacity": "INVALID"},
        errors(RETURN_VALUES),
    ),
    # order
    (
        "UpdateItem",
        {"TableName": "", **SET},
        errors(
            "Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
            NO_KEY,
        ),
    ),
    (
        "UpdateItem",
        {"ReturnValues": "INVALID", "ReturnConsumedCapacity": "INVALID", "TableName": "", **SET},
        errors(
            CAPACITY.format("INVALID"),
            "Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
            OLDER_RETURN_VALUES.format("INVALID"),
            NO_KEY,
        ),
    ),
    (
        "UpdateItem",
        {
            "TableName": "nowhere",
            "AttributeUpdates": {"x": {"Action": "PUT", "Value": {"S": "1"}}},
            "Expected": {"a": {"Exists": False}, "b": {"Exists": False}},
            "ConditionalOperator": "XOR",
        },
        errors(OLDER_OPERATOR, NO_KEY),
    ),
    (
        "Query",
        {
            "TableName": "nowhere",
            "KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}},
            "QueryFilter": {"b": {"ComparisonOperator": "NULL"}, "c": {"ComparisonOperator": "NULL"}},
            "ConditionalOperator": "XOR",
            "Select": "BOGUS",
        },
        "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]",
    ),
    (
        "Query",
        {"TableName": "Hash", "KeyConditionExpression": "pk = :v", "Limit": 0},
        errors("Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1"),
    ),
    (
        "Scan",
        {"TableName": "Hash", "Limit": 0},
        errors("Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1"),
    ),
    (
        "Query",
        {"TableName": "Hash", "KeyConditionExpression": "pk = :v", "Select": "INVALID_VALUE"},
        errors(
            "Value 'INVALID_VALUE' at 'select' failed to satisfy constraint: Member must satisfy enum value set: "
            "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"
        ),
    ),
    (
        "Scan",
        {"TableName": "Hash", "Segment": -1, "TotalSegments": 4},
        errors("Value at 'Segment' failed to satisfy constraint: Member must have value greater than or equal to 0"),
    ),
    # batches: order and captures
    (
        "BatchGetItem",
        {"RequestItems": {}},
        errors(
            "Value at 'RequestItems' failed to satisfy constraint: Member must have length greater than or equal to 1"
        ),
    ),
    (
        "BatchGetItem",
        {"RequestItems": {"Hash": {"Keys": []}}},
        errors(
            "Value at 'RequestItems.Hash.member.Keys' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1"
        ),
    ),
    (
        "BatchGetItem",
        {"RequestItems": {"Hash": {"Keys": [{"pk": {"S": str(number)}} for number in range(101)]}}},
        errors(
            "Value at 'RequestItems.Hash.member.Keys' failed to satisfy constraint: "
            "Member must have length less than or equal to 100"
        ),
    ),
    (
        "BatchGetItem",
        {"RequestItems": {"bad!name": {"Keys": [{"pk": {"S": "a"}}]}}, "ReturnConsumedCapacity": "BOGUS"},
        errors(
            'Value \'{"bad!name":{"Keys":[{"pk":{"S":"a"}}]}}\' at \'requestItems\' failed to satisfy constraint: '
            + MAP_KEYS,
            CAPACITY.format("BOGUS"),
        ),
    ),
    (
        "BatchGetItem",
        {"RequestItems": {"nowhere": {"Keys": [{"pk": {"S": "a"}}]}}, "ReturnConsumedCapacity": "BOGUS"},
        errors(CAPACITY.format("BOGUS")),
    ),
    (
        "BatchWriteItem",
        {"RequestItems": {}},
        errors(
            "Value at 'RequestItems' failed to satisfy constraint: Member must have length greater than or equal to 1"
        ),
    ),
    (
        "BatchWriteItem",
        {"RequestItems": {"Hash": []}},
        errors(
            "Value '{Hash=[]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: "
            "[Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"
        ),
    ),
    (
        "BatchWriteItem",
        {"RequestItems": {"Hash": [{"PutRequest": {"Item": {"pk": {"S": str(number)}}}} for number in range(26)]}},
        errors(
            "Value at 'RequestItems.Hash.member' failed to satisfy constraint: "
            "Member must have length less than or equal to 25"
        ),
    ),
    (
        "BatchWriteItem",
        {
            "RequestItems": {"nowhere": [{"PutRequest": {"Item": ITEM}}]},
            "ReturnConsumedCapacity": "BOGUS",
            "ReturnItemCollectionMetrics": "BOGUS2",
        },
        errors(CAPACITY.format("BOGUS"), METRICS.format("BOGUS2")),
    ),
    (
        "BatchWriteItem",
        {"RequestItems": {"bad!name": [{"PutRequest": {"Item": ITEM}}]}, "ReturnConsumedCapacity": "BOGUS"},
        errors(CAPACITY.format("BOGUS")),
    ),
    # deep: what nests deeper than 62 levels is told in the older words
    (
        "PutItem",
        {
            "TableName": "nowhere",
            "Item": ITEM,
            "Expected": {"a": {"Value": deep(100)}, "b": {"Exists": False}},
            "ConditionalOperator": "XOR",
        },
        errors(OLDER_OPERATOR),
    ),
    (
        "DeleteItem",
        {"TableName": "nowhere", "Key": ITEM, **deep_condition(63), "ReturnValues": "BOGUS"},
        errors(OLDER_RETURN_VALUES.format("BOGUS")),
    ),
    (
        "DeleteItem",
        {"TableName": "nowhere", "Key": ITEM, **deep_condition(40), "ReturnValues": "BOGUS"},
        errors(RETURN_VALUES),
    ),
    (
        "DeleteItem",
        {"TableName": "nowhere", "Key": {"pk": deep(100)}, "ReturnValues": "BOGUS"},
        errors(OLDER_RETURN_VALUES.format("BOGUS")),
    ),
    (
        "DeleteItem",
        {"TableName": "nowhere", "Key": ITEM, **deep_condition(100), "ReturnValues": "UPDATED_NEW"},
        "ReturnValues can only be ALL_OLD or NONE",
    ),
]


@pytest.mark.parametrize(
    ("operation", "request_", "text"), SHAPES, ids=lambda given: given[-60:] if isinstance(given, str) else ""
)
def test_the_shape_of_a_request_is_complained_of_first(
    db: Any, operation: str, request_: dict[str, Any], text: str
) -> None:
    assert db.refusal(operation, **request_) == text


def test_a_malformed_name_in_a_batch_write_is_shown_with_the_request(db: Any) -> None:
    """Source: order; how the request is shown differs from region to region."""
    text = db.refusal("BatchWriteItem", RequestItems={"bad!name": [{"PutRequest": {"Item": {"pk": {"S": "x"}}}}]})
    assert text.startswith(
        "1 validation error detected: Value '{bad!name=[WriteRequest(putRequest=PutRequest(item={pk="
    )
    assert text.endswith(f")]}}' at 'requestItems' failed to satisfy constraint: {MAP_KEYS}")


#: Key conditions of which several things are wrong, on a table that is there or not. Source: order.
KEY_CONDITIONS = [
    ("Composite", "pk = :missing AND begins_with(sk, :n)", "attribute value: :missing"),
    ("Composite", "begins_with(sk, :n) AND pk = :missing", "operand type: N"),
    ("Composite", "pk = :p AND begins_with(sk, :n) AND sk = :missing", "operand type: N"),
    ("Composite", "pk = :p AND begins_with(sk, :n) AND sk > :p", "operand type: N"),
    ("nowhere", "pk = :p AND begins_with(sk, :n)", "operand type: N"),
]


@pytest.mark.parametrize(("table", "condition", "end"), KEY_CONDITIONS)
def test_key_conditions_are_read_from_left_to_right_before_the_table(
    db: Any, table: str, condition: str, end: str
) -> None:
    given = {":p": {"S": "q"}, ":n": {"N": "1"}}
    values = {name: value for name, value in given.items() if name in condition}
    text = db.refusal("Query", TableName=table, KeyConditionExpression=condition, ExpressionAttributeValues=values)
    assert text.endswith(end)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("PutItem", {"Item": {"pk": {"S": "a"}, "deep": deep(32)}}),
        ("UpdateItem", {"Key": ITEM, "UpdateExpression": "SET touched = :t", **deep_condition(32)}),
    ],
    ids=["item", "value"],
)
def test_values_nest_32_levels(db: Any, operation: str, request_: dict[str, Any]) -> None:
    """Source: captures and ``nestingDepth``."""
    if operation == "UpdateItem":
        request_ = {**request_, "ExpressionAttributeValues": {":t": {"S": "y"}, ":deep": deep(32)}}
    assert db.refusal(operation, TableName="Hash", **request_) == errors(NESTING)
    db("PutItem", TableName="Hash", Item={"pk": {"S": "deep"}, "deep": deep(31)})
    assert db("GetItem", TableName="Hash", Key={"pk": {"S": "deep"}})["Item"]["deep"] == deep(31)
