"""Numbers: normal form, limits, key order and size. Limits and texts: dynalite's ``test/putItem.js``."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.numbers import (
    add_numbers,
    normalize_number,
    number_key_bytes,
    number_size_bytes,
    subtract_numbers,
)
from duestream.errors import ValidationException

OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
TOO_MANY_DIGITS = "Attempting to store more than 38 significant digits in a Number"


@st.composite
def numbers(draw: st.DrawFn) -> Decimal:
    """Any number DynamoDB keeps, most often with few digits, so that neighbours meet."""
    digits = draw(st.one_of(st.integers(0, 999), st.integers(0, 10**38 - 1)))
    exponent = draw(st.one_of(st.integers(-4, 4), st.integers(-130, 125 - len(str(digits)) + 1)))
    return Decimal(draw(st.sampled_from([1, -1])) * digits).scaleb(exponent)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0e125", "0"),
        ("17", "17"),
        ("+3", "3"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-1.50", "-1.5"),
        ("0001.23", "1.23"),
        ("1e+5", "100000"),
        ("-17.4E37", "-174" + "0" * 36),
        ("12300", "12300"),
        ("123e-5", "0.00123"),
        ("1E125", "1" + "0" * 125),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("9.9999999999999999999999999999999999999E+125", "9" * 38 + "0" * 88),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("123456789012345678901234567890123456780", "123456789012345678901234567890123456780"),
    ],
)
def test_a_number_has_one_plain_notation(text: str, normal: str) -> None:
    assert normalize_number(text) == normal
    assert normalize_number(normal) is normal


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "The parameter cannot be converted to a numeric value: "),
        ("0e1000", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ("abc", "The parameter cannot be converted to a numeric value: abc"),
        ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
        ("-Infinity", "The parameter cannot be converted to a numeric value: -Infinity"),
        (" 1", "The parameter cannot be converted to a numeric value:  1"),
        ("1\n", "The parameter cannot be converted to a numeric value: 1\n"),
        ("1_000", "The parameter cannot be converted to a numeric value: 1_000"),
        ("1e", "The parameter cannot be converted to a numeric value: 1e"),
        (".", "The parameter cannot be converted to a numeric value: ."),
        ("0x10", "The parameter cannot be converted to a numeric value: 0x10"),
        ("٣", "The parameter cannot be converted to a numeric value: ٣"),
        ("123456789012345678901234567890123456789", TOO_MANY_DIGITS),
        ("-1.23456789012345678901234567890123456789", TOO_MANY_DIGITS),
        ("1e126", OVERFLOW),
        ("-1e126", OVERFLOW),
        ("11e125", OVERFLOW),
        ("1e" + "9" * 18, OVERFLOW),
        ("1e" + "9" * 5000, "The parameter cannot be converted to a numeric value: 1e" + "9" * 5000),
        ("1e-131", UNDERFLOW),
        ("0.9e-130", UNDERFLOW),
        ("-1e-99999999999", UNDERFLOW),
    ],
)
def test_what_is_no_number_of_dynamodbs_is_refused_in_its_words(text: str, problem: str) -> None:
    with pytest.raises(ValidationException) as refused:
        normalize_number(text)
    assert refused.value.message == problem


@given(numbers())
def test_no_digit_is_lost(number: Decimal) -> None:
    assert Decimal(normalize_number(str(number))) == number


@given(numbers(), numbers())
def test_key_bytes_sort_as_the_numbers_do(one: Decimal, two: Decimal) -> None:
    left, right = number_key_bytes(str(one)), number_key_bytes(str(two))
    assert (left < right, left == right) == (one < two, one == two)


def test_key_bytes_sort_around_zero_and_by_length() -> None:
    ascending = ["-1e125", "-123", "-12.1", "-12", "-1.2", "-1", "-0.1", "-1e-130", "0", "1e-130", "0.1", "1", "1.2"]
    ascending += ["12", "12.1", "123", "1e125"]
    assert sorted(ascending, key=number_key_bytes) == ascending


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 1),
        ("1", 2),
        ("12", 2),
        ("123", 3),
        ("1234", 3),
        ("12345678901234567890123456789012345678", 20),
        ("0042", 2),
        ("100", 2),
        ("1010", 3),
        ("0.0000001", 2),
        ("1E125", 2),
        ("1E-100", 2),
        ("1.5", 3),
        ("15", 2),
        ("1.200", 3),
        ("1.234", 4),
        ("3.14159", 5),
        ("123456", 4),
        ("100.5", 4),
        ("0.15", 2),
        ("-42", 3),
        ("-1.5", 4),
        ("-0", 1),
    ],
)
def test_a_number_is_as_large_as_aws_measures_it(text: str, size: int) -> None:
    """Measured in eu-west-2 on 2026-08-18: nubo-db/dynamodb-conformance, ``src/item-size.ts``."""
    assert number_size_bytes(text) == size
    assert number_size_bytes(normalize_number(text)) == size


def test_sums_are_exact() -> None:
    assert add_numbers("0.1", "0.2") == "0.3"
    assert add_numbers("1", "10000000000000000000000") == "10000000000000000000001"
    assert subtract_numbers("10000000000000000000000", "1") == "9999999999999999999999"
    assert subtract_numbers("1", "1") == "0"


@pytest.mark.parametrize(("left", "right"), [("9e125", "9e125"), ("1e50", "1"), ("1e125", "1e-130")])
def test_a_sum_that_does_not_fit_overflows(left: str, right: str) -> None:
    """Alternator, ``test_update_expression_plus_overflow`` and ``..._plus_imprecise``."""
    with pytest.raises(ValidationException, match="Number overflow"):
        add_numbers(left, right)
