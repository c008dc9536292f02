"""The normal form of items. Texts: dynalite's ``test/putItem.js``; nesting and NULL: nubo-db/dynamodb-conformance."""

from typing import Any

import pytest

from duestream.core.normalform import normalize_item, normalize_value
from duestream.errors import SerializationException, ValidationException

INVALID = "One or more parameter values were invalid: "
EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(levels):
        value = {"M": {"n": value}}
    return value


def test_an_item_in_normal_form_comes_back_as_the_same_object() -> None:
    item = {
        "PK": {"S": "x"},
        "n": {"N": "-1.5"},
        "b": {"B": "aGk="},
        "yes": {"BOOL": False},
        "no": {"NULL": True},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["-3", "1", "20"]},
        "bs": {"BS": ["aGk=", "aGo="]},
        "l": {"L": [{"S": ""}, {"L": []}]},
        "m": {"M": {"x": {"N": "0"}, "y": {"M": {}}}},
    }
    assert normalize_item(item) is item


def test_what_is_not_in_normal_form_is_changed_in_a_copy() -> None:
    item = {"PK": {"S": "x"}, "l": {"L": [{"N": "1.0"}, {"M": {"n": {"N": "+2"}}}]}, "ns": {"NS": ["2", "01", "-3e1"]}}
    assert normalize_item(item) == {
        "PK": {"S": "x"},
        "l": {"L": [{"N": "1"}, {"M": {"n": {"N": "2"}}}]},
        "ns": {"NS": ["-30", "1", "2"]},
    }
    assert item["l"] == {"L": [{"N": "1.0"}, {"M": {"n": {"N": "+2"}}}]}


def test_unknown_members_and_nulls_beside_a_value_are_ignored() -> None:
    assert normalize_value({"S": "x", "what": 1, "N": None}) == {"S": "x"}


def test_sets_of_blobs_are_sorted_by_their_bytes() -> None:
    assert normalize_value({"BS": ["/w==", "AA==", "gA=="]}) == {"BS": ["AA==", "gA==", "/w=="]}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, EMPTY),
        ({"a": ""}, EMPTY),
        ({"S": None}, EMPTY),
        ({"M": {"a": {}}}, EMPTY),
        ({"L": [{"a": {}}]}, EMPTY),
        ({"SS": []}, INVALID + "An string set  may not be empty"),
        ({"NS": []}, INVALID + "An number set  may not be empty"),
        ({"BS": []}, INVALID + "Binary sets should not be empty"),
        ({"SS": ["a", "a"]}, INVALID + 'Input collection ["a", "a"] contains duplicates.'),
        ({"BS": ["Yg==", "Yg=="]}, INVALID + 'Input collection ["Yg==","Yg=="]of type BS contains duplicates.'),
        ({"NS": ["1", "1.0"]}, INVALID + "Input collection contains duplicates."),
        ({"NULL": False}, INVALID + "Null attribute value types must have the value of true"),
        ({"M": {"": {"S": "x"}}}, "Empty attribute name"),
        ({"S": "", "N": ""}, "The parameter cannot be converted to a numeric value: "),
        ({"S": "a", "N": "b"}, "The parameter cannot be converted to a numeric value: b"),
        ({"NS": ["1", "b"]}, "The parameter cannot be converted to a numeric value: b"),
        (
            {"S": "a", "N": "1"},
            (
                "Supplied AttributeValue has more than one datatypes set, "
                "must contain exactly one of the supported datatypes"
            ),
        ),
        (
            nested(32),
            (
                "Nesting Levels have exceeded supported limits: "
                "Attributes in the item have nested levels beyond supported limit"
            ),
        ),
    ],
)
def test_a_value_dynamodb_would_not_store_is_refused_in_its_words(value: Any, problem: str) -> None:
    with pytest.raises(ValidationException) as refused:
        normalize_item({"PK": {"S": "x"}, "a": value})
    assert refused.value.message == problem


def test_the_deepest_leaf_lies_at_the_thirty_second_level() -> None:
    assert normalize_value(nested(31)) == nested(31)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"S": 17}, "NUMBER_VALUE cannot be converted to String"),
        ({"N": 17}, "NUMBER_VALUE cannot be converted to String"),
        ({"N": 1.5}, "DECIMAL_VALUE cannot be converted to String"),
        ({"S": True}, "TRUE_VALUE cannot be converted to String"),
        ({"S": {}}, "Start of structure or map found where not expected"),
        ({"L": {}}, "Start of structure or map found where not expected"),
        ({"SS": "a"}, "Unexpected field type"),
        ({"B": "abc"}, "Base64 encoded length is expected a multiple of 4 bytes but found: 3"),
        ({"B": "ab!d"}, "Invalid Base64 character: '!'"),
        ({"B": "ab=d"}, "Invalid Base64 character: '='"),
        ({"B": "aGl="}, "Invalid last non-pad Base64 character dectected"),
    ],
)
def test_a_value_of_another_json_type_is_no_request_at_all(value: Any, problem: str) -> None:
    with pytest.raises(SerializationException) as refused:
        normalize_value(value)
    assert refused.value.message == problem


@pytest.mark.parametrize("item", [[], "x", None, 7])
def test_an_item_is_a_map(item: Any) -> None:
    with pytest.raises(SerializationException):
        normalize_item(item)
    with pytest.raises(SerializationException):
        normalize_item({"a": item})
