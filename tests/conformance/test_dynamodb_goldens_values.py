"""What AWS answers to values that it does not store: numbers, sets; and how it gives numbers back.

Sources, each read as facts about AWS:
    values    paritysuite/dynamodb-conformance, ``valueLayers``; eu-west-2, us-east-1, eu-west-1, us-west-2; 2026-10-09
    numbers   the same, ``numberExponent``; eu-west-2; 2026-10
    nubo      nubo-db/dynamodb-conformance, ``numberPrecision`` and ``numberByteSize``; eu-west-2; 2026-06 to 2026-08
"""

from typing import Any

import pytest

INVALID = "One or more parameter values were invalid: "
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
NOT_NUMERIC = "The parameter cannot be converted to a numeric value"


def one(text: str) -> str:
    return f"1 validation error detected: {text}"


def s(text: str) -> dict[str, str]:
    return {"S": text}


def n(text: str) -> dict[str, str]:
    return {"N": text}


# ---- values, in the words of either kind of checks -----------------------------------------------

#: Numbers, what the newer checks say, and what the older ones say. Source: values.
NUMBERS = [
    ("abc", f"{NOT_NUMERIC}: abc", f"{NOT_NUMERIC}: abc"),
    ("", f"{NOT_NUMERIC}: ", NOT_NUMERIC),
    ("1e126", OVERFLOW, OVERFLOW),
    ("1e2147483647", OVERFLOW, UNDERFLOW),
]
#: Sets with a member that is there twice. Source: values.
DUPLICATES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"SS": ["b", "a", "b"]},
        INVALID + 'Input collection ["a", "b", "b"] contains duplicates.',
        INVALID + "Input collection [b, a, b] contains duplicates.",
    ),
    (
        {"BS": ["/w==", "AA==", "AA=="]},
        INVALID + 'Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.',
        INVALID + "Input collection [/w==, AA==, AA==]of type BS contains duplicates.",
    ),
    (
        {"NS": ["2", "1", "2"]},
        INVALID + "Input collection contains duplicates.",
        "Input collection contains duplicates",
    ),
]
BAD_VALUES = [(n(text), newer, older) for text, newer, older in NUMBERS] + DUPLICATES

#: Where a value may stand. Source: values.
COUNTED_PLACES: dict[str, Any] = {
    "PutItem item": ("PutItem", lambda v: {"Item": {"pk": s("v"), "a": v}}),
    "PutItem nested": ("PutItem", lambda v: {"Item": {"pk": s("v"), "a": {"M": {"x": {"L": [v]}}}}}),
    "PutItem condition": (
        "PutItem",
        lambda v: {
            "Item": {"pk": s("v")},
            "ConditionExpression": "attribute_not_exists(pk) OR a = :v",
            "ExpressionAttributeValues": {":v": v},
        },
    ),
    "PutItem Expected": ("PutItem", lambda v: {"Item": {"pk": s("v")}, "Expected": {"a": {"Value": v}}}),
    "UpdateItem value": (
        "UpdateItem",
        lambda v: {"Key": {"pk": s("v")}, "UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": v}},
    ),
    "UpdateItem AttributeUpdates": (
        "UpdateItem",
        lambda v: {"Key": {"pk": s("v")}, "AttributeUpdates": {"a": {"Action": "PUT", "Value": v}}},
    ),
    "UpdateItem key": (
        "UpdateItem",
        lambda v: {"Key": {"pk": v}, "UpdateExpression": "SET a = :o", "ExpressionAttributeValues": {":o": n("1")}},
    ),
    "DeleteItem key": ("DeleteItem", lambda v: {"Key": {"pk": v}}),
    "DeleteItem condition": (
        "DeleteItem",
        lambda v: {
            "Key": {"pk": s("v")},
            "ConditionExpression": "a = :v",
            "ExpressionAttributeValues": {":v": v},
        },
    ),
}
BARE_PLACES: dict[str, Any] = {
    "GetItem key": ("GetItem", lambda v: {"TableName": "Hash", "Key": {"pk": v}}),
    "BatchGetItem key": ("BatchGetItem", lambda v: {"RequestItems": {"Hash": {"Keys": [{"pk": v}]}}}),
    "Query key": (
        "Query",
        lambda v: {
            "TableName": "Hash",
            "KeyConditionExpression": "pk = :v",
            "ExpressionAttributeValues": {":v": v},
        },
    ),
    "Query filter": (
        "Query",
        lambda v: {
            "TableName": "Hash",
            "KeyConditionExpression": "pk = :p",
            "FilterExpression": "a = :v",
            "ExpressionAttributeValues": {":p": s("v"), ":v": v},
        },
    ),
    "Query start key": (
        "Query",
        lambda v: {
            "TableName": "Hash",
            "KeyConditionExpression": "pk = :p",
            "ExpressionAttributeValues": {":p": s("v")},
            "ExclusiveStartKey": {"pk": v},
        },
    ),
    "Query QueryFilter": (
        "Query",
        lambda v: {
            "TableName": "Hash",
            "KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [s("v")]}},
            "QueryFilter": {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [v]}},
        },
    ),
}
OLDER_PLACES: dict[str, Any] = {
    "BatchWriteItem put": lambda v: {"RequestItems": {"Hash": [{"PutRequest": {"Item": {"pk": s("v"), "a": v}}}]}},
    "BatchWriteItem delete": lambda v: {"RequestItems": {"Hash": [{"DeleteRequest": {"Key": {"pk": v}}}]}},
}


@pytest.mark.parametrize(("value", "newer", "older"), BAD_VALUES, ids=str)
@pytest.mark.parametrize("place", COUNTED_PLACES)
def test_writes_count_what_is_wrong_with_a_value(db: Any, place: str, value: Any, newer: str, older: str) -> None:
    operation, request = COUNTED_PLACES[place]
    assert db.refusal(operation, TableName="Hash", **request(value)) == one(newer)
    assert db("GetItem", TableName="Hash", Key={"pk": s("v")}) == {}


@pytest.mark.parametrize(("value", "newer", "older"), BAD_VALUES, ids=str)
@pytest.mark.parametrize("place", BARE_PLACES)
def test_reads_say_what_is_wrong_with_a_value_as_it_is(db: Any, place: str, value: Any, newer: str, older: str) -> None:
    operation, request = BARE_PLACES[place]
    assert db.refusal(operation, **request(value)) == newer


@pytest.mark.parametrize(("value", "newer", "older"), BAD_VALUES, ids=str)
@pytest.mark.parametrize("place", OLDER_PLACES)
def test_batch_writes_say_it_in_the_older_words(db: Any, place: str, value: Any, newer: str, older: str) -> None:
    assert db.refusal("BatchWriteItem", **OLDER_PLACES[place](value)) == older


@pytest.mark.parametrize(("value", "newer", "older"), BAD_VALUES, ids=str)
def test_scans_name_the_placeholder_too(db: Any, value: Any, newer: str, older: str) -> None:
    text = db.refusal("Scan", TableName="Hash", FilterExpression="a = :v", ExpressionAttributeValues={":v": value})
    assert text == f"ExpressionAttributeValues contains invalid value: {older} for key :v"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1e99999999999", OVERFLOW),  # values
        ("-1e99999999999", OVERFLOW),
        ("1e-99999999999", UNDERFLOW),
        ("1e2147483648", OVERFLOW),
        ("1e-2147483648", UNDERFLOW),
        ("1e-131", UNDERFLOW),
        ("1.2.3", f"{NOT_NUMERIC}: 1.2.3"),
        (" 1", f"{NOT_NUMERIC}:  1"),
        ("1 ", f"{NOT_NUMERIC}: 1 "),
        ("0x10", f"{NOT_NUMERIC}: 0x10"),
        ("1e", f"{NOT_NUMERIC}: 1e"),
        ("NaN", f"{NOT_NUMERIC}: NaN"),
        ("Infinity", f"{NOT_NUMERIC}: Infinity"),
        ("1234567890" * 4, "Attempting to store more than 38 significant digits in a Number"),
        ("1e9223372036854775808", f"{NOT_NUMERIC}: 1e9223372036854775808"),  # numbers
        ("0e126", OVERFLOW),
        ("0e-131", UNDERFLOW),
    ],
)
def test_what_is_no_number_is_refused(db: Any, number: str, text: str) -> None:
    assert db.refusal("PutItem", TableName="Hash", Item={"pk": s("v"), "n": n(number)}) == one(text)


@pytest.mark.parametrize(
    ("number", "stored"),
    [
        ("0e125", "0"),  # numbers
        ("-0", "0"),  # nubo, numberPrecision
        ("00042", "42"),
        ("1.5E2", "150"),
        ("3.1400", "3.14"),
        ("0042.1200", "42.12"),  # nubo, numberByteSize
        ("1E125", "1" + "0" * 125),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
    ],
)
def test_numbers_come_back_in_one_form(db: Any, number: str, stored: str) -> None:
    db("PutItem", TableName="Hash", Item={"pk": s(f"number {number}"), "n": n(number)})
    assert db("GetItem", TableName="Hash", Key={"pk": s(f"number {number}")})["Item"]["n"] == n(stored)
