import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.json_text import json_text, moment_text

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_json_values_survive(value: Any) -> None:
    assert json.loads(json_text(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [None, True]}, '{"a":[null,true],"b":1}'),
        (Decimal("12345678901234567890.123456789012345678"), "12345678901234567890.123456789012345678"),
        (Decimal("1.50"), "1.5"),
        (Decimal(100), "100"),
        (Decimal("1E+2"), "100"),
        (Decimal("1E+100"), "1E+100"),
        (Decimal("-0"), "0"),
        ({"b", "a"}, '["a","b"]'),
        (frozenset([Decimal(2), Decimal(1)]), "[1,2]"),
        (b"hi", '"aGk="'),
        ((1, 2), "[1,2]"),
        (date(2026, 11, 23), '"2026-11-23"'),
        (datetime(2026, 11, 23, 9, 30, tzinfo=UTC), '"2026-11-23T09:30:00Z"'),
        (datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=7))), '"2026-11-23T09:30:00+07:00"'),
        ("Grüße 🎉", '"Grüße 🎉"'),
    ],
)
def test_what_items_and_rules_hold_has_one_text(value: Any, text: str) -> None:
    assert json_text(value) == text


@pytest.mark.parametrize("value", [object(), {1: 2}, 1j, timedelta(1)])
def test_values_without_a_form_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        json_text(value)


@pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), Decimal("Infinity"), "\ud800"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        json_text(value)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_numbers_are_exact(number: Decimal) -> None:
    assert json.loads(json_text(number), parse_float=Decimal, parse_int=Decimal) == number


def test_a_moment_is_written_in_utc() -> None:
    assert moment_text(datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=7)))) == "2026-11-23T02:30:00Z"
