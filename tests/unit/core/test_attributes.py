"""Attribute values: both ways, sizes, order."""

from base64 import b64encode
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.attributes import (
    AttributeTypeError,
    compare_values,
    item_size_bytes,
    key_bytes,
    marshal,
    marshal_item,
    unmarshal,
    unmarshal_item,
    values_equal,
)
from duestream.core.record import AttributeValue

ATTRIBUTE_VALUES: list[tuple[AttributeValue, Any]] = [
    ({"S": "text"}, "text"),
    ({"S": ""}, ""),
    ({"N": "17"}, Decimal(17)),
    ({"N": "-0.5"}, Decimal("-0.5")),
    ({"B": "aGk="}, b"hi"),
    ({"BOOL": True}, True),
    ({"BOOL": False}, False),
    ({"NULL": True}, None),
    ({"L": [{"N": "1"}, {"L": []}]}, [Decimal(1), []]),
    ({"M": {"due": {"S": "2030-01-01T09:00:00Z"}}}, {"due": "2030-01-01T09:00:00Z"}),
    ({"SS": ["a", "b"]}, {"a", "b"}),
    ({"NS": ["-1", "2.5"]}, {Decimal(-1), Decimal("2.5")}),
    ({"BS": ["AA==", "/w=="]}, {b"\x00", b"\xff"}),
]


@pytest.mark.parametrize(("wire", "value"), ATTRIBUTE_VALUES)
def test_attribute_values_survive_both_ways(wire: AttributeValue, value: Any) -> None:
    assert unmarshal(wire) == value
    assert marshal(value) == wire


def test_items_survive_both_ways() -> None:
    item = {str(place): wire for place, (wire, _) in enumerate(ATTRIBUTE_VALUES)}
    assert marshal_item(unmarshal_item(item)) == item


def test_ints_are_numbers_and_booleans_are_not() -> None:
    assert marshal(10**37) == {"N": "1" + "0" * 37}
    assert marshal([1, True]) == {"L": [{"N": "1"}, {"BOOL": True}]}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (0.1, r"write Decimal\('0.1'\)"),
        ({0.5}, "a float has no exact decimal value"),
        (set(), "no empty set"),
        ({"a", 1}, "only text"),
        ({None}, "only text"),
        ({1: "a"}, "an attribute's name is text, not int"),
        (object(), "DynamoDB has no type for object"),
    ],
)
def test_what_has_no_attribute_value_is_refused_with_the_remedy(value: Any, problem: str) -> None:
    with pytest.raises(AttributeTypeError, match=problem):
        marshal(value)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({}, 0),
        ({"PK": {"S": "abc"}}, 5),
        ({"é": {"S": "ü€"}}, 7),
        ({"b": {"B": "aGk="}}, 3),
        ({"b": {"B": ""}}, 1),
        ({"b": {"B": "AAAA"}}, 4),
        ({"n": {"NULL": True}, "o": {"BOOL": False}}, 4),
        ({"l": {"L": []}, "m": {"M": {}}}, 8),
        ({"l": {"L": [{"S": "ab"}, {"N": "1"}]}}, 1 + 3 + (1 + 2) + (1 + 2)),
        ({"m": {"M": {"xy": {"S": "ab"}}}}, 1 + 3 + (1 + 2 + 2)),
        ({"s": {"SS": ["a", "bc"]}, "t": {"NS": ["1", "22"]}, "u": {"BS": ["AA=="]}}, 4 + 5 + 2),
    ],
)
def test_an_item_is_as_large_as_dynamodb_counts(item: dict[str, AttributeValue], size: int) -> None:
    """Developer Guide, "DynamoDB item sizes and formats"."""
    assert item_size_bytes(item) == size


@given(st.text(), st.text())
def test_text_keys_sort_by_their_utf_8(one: str, two: str) -> None:
    left, right = key_bytes({"S": one}), key_bytes({"S": two})
    order = compare_values({"S": one}, {"S": two})
    assert order is not None
    assert (left < right, left == right) == (order < 0, order == 0)


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_blob_keys_sort_by_their_bytes(one: bytes, two: bytes) -> None:
    left, right = ({"B": b64encode(each).decode()} for each in (one, two))
    order = compare_values(left, right)
    assert order is not None
    assert (key_bytes(left) < key_bytes(right), one == two) == (order < 0, order == 0)


def test_numbers_compare_as_numbers() -> None:
    ascending = [{"N": text} for text in ("-10", "-9", "-0.5", "0", "0.5", "9", "10")]
    assert all(compare_values(low, high) == -1 for low, high in pairwise(ascending))


@pytest.mark.parametrize(
    ("left", "right"),
    [({"S": "1"}, {"N": "1"}), ({"BOOL": True}, {"BOOL": True}), ({"L": []}, {"L": []}), ({"SS": ["a"]}, {"S": "a"})],
)
def test_other_types_and_two_types_do_not_compare(left: AttributeValue, right: AttributeValue) -> None:
    assert compare_values(left, right) is None


def test_values_are_equal_by_type_and_content() -> None:
    assert values_equal({"M": {"a": {"N": "1"}, "b": {"S": "x"}}}, {"M": {"b": {"S": "x"}, "a": {"N": "1"}}})
    assert not values_equal({"BOOL": True}, {"NULL": True})
    assert not values_equal({"S": "1"}, {"N": "1"})
