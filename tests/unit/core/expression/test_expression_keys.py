"""Key conditions. Source of all tables: dynalite's ``test/query.js``; operand order and nested paths also
nubo-db/dynamodb-conformance's ``keyConditionSemantics.test.ts``."""

from typing import Any

import pytest

from duestream.core.expression import KeyCondition, Placeholders, SortCondition, parse_key_condition
from duestream.errors import ValidationException

S_A, S_B, S_C = {"S": "a"}, {"S": "b"}, {"S": "c"}


def key_condition(text: str, *, sort_key: str | None = "b", values: dict[str, Any] | None = None) -> KeyCondition:
    wire = values or {":a": S_A, ":b": S_B}
    return parse_key_condition(text, Placeholders(None, wire), partition_key="a", sort_key=sort_key)


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("a = :a", None),
        (":a = a", None),
        ("(a = :a) AND (b = :b)", SortCondition("=", (S_B,))),
        ("b < :b AND a = :a", SortCondition("<", (S_B,))),
        ("(a = :a AND (b <= :b))", SortCondition("<=", (S_B,))),
        ("a = :a AND :b <= b", SortCondition(">=", (S_B,))),
        ("a = :a AND :b > b", SortCondition("<", (S_B,))),
        ("a = :a AND b between :a AND :b", SortCondition("BETWEEN", (S_A, S_B))),
        ("a = :a AND begins_with(b, :b)", SortCondition("begins_with", (S_B,))),
    ],
)
def test_a_key_condition_names_the_partition_and_may_bound_the_sort_key(text: str, sort: SortCondition | None) -> None:
    assert key_condition(text) == KeyCondition(S_A, sort)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Invalid KeyConditionExpression: The expression can not be empty;"),
        (
            "attribute_type(a, b)",
            (
                "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: "
                "attribute_type, operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
            ),
        ),
        ("((a = :a)) AND b = :b", "Invalid KeyConditionExpression: The expression has redundant parentheses;"),
        ("a > b and size(b) > c or a > c", "Invalid operator used in KeyConditionExpression: OR"),
        ("a in (b, size(c), d)", "Invalid operator used in KeyConditionExpression: IN"),
        ("attribute_exists(a)", "Invalid operator used in KeyConditionExpression: attribute_exists"),
        ("attribute_not_exists(a)", "Invalid operator used in KeyConditionExpression: attribute_not_exists"),
        ("contains(a.d, b)", "Invalid operator used in KeyConditionExpression: contains"),
        ("not a > b", "Invalid operator used in KeyConditionExpression: NOT"),
        ("a <> b", "Invalid operator used in KeyConditionExpression: <>"),
        (
            ":a between size(b) and size(a) and b > :b",
            (
                "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute "
                "as its first operand"
            ),
        ),
        (
            "begins_with(:a, b) and a > :b",
            (
                "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute "
                "as its first operand"
            ),
        ),
        ("size(b) > a AND a.b > b AND b > c", "KeyConditionExpressions cannot contain nested operations"),
        ("a > size(b.d)", "KeyConditionExpressions cannot contain nested operations"),
        ("a between size(b) and size(a)", "KeyConditionExpressions cannot contain nested operations"),
        ("b > a.b", "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"),
        (
            "a between b and size(a)",
            "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        ),
        (
            "begins_with(a, b)",
            "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        ),
        ("b.d > a AND c.d > e.f", "KeyConditionExpressions cannot have conditions on nested attributes"),
        ("b[0] > a", "KeyConditionExpressions cannot have conditions on nested attributes"),
        (":b > :a AND a < :b", "Invalid condition in KeyConditionExpression: No key attribute specified"),
        (":a > b AND :a < :b", "Invalid condition in KeyConditionExpression: No key attribute specified"),
        (
            "b > :a AND b < :a and c = :a and d = :a",
            "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
        ),
        (
            ":a = a and b = :a and :a = c",
            "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)",
        ),
        ("b = :a", "Query condition missed key schema element: a"),
        ("z = :a AND b = :b", "Query condition missed key schema element: a"),
        ("a = :a AND z = :b", "Query condition missed key schema element: b"),
        ("a > :a", "Query key condition not supported"),
        ("begins_with(a, :a) AND b = :b", "Query key condition not supported"),
    ],
)
def test_a_wrong_key_condition_is_refused_in_dynamodbs_words(text: str, problem: str) -> None:
    with pytest.raises(ValidationException) as refused:
        key_condition(text)
    assert refused.value.message == problem


def test_a_table_without_sort_key_takes_one_condition() -> None:
    assert key_condition("a = :a", sort_key=None) == KeyCondition(S_A, None)
    with pytest.raises(ValidationException) as refused:
        key_condition("a = :a AND b = :b", sort_key=None)
    assert refused.value.message == (
        "The number of query conditions (2) exceeds the number of key attributes defined in the schema (1)"
    )


def test_values_must_have_the_types_of_the_keys() -> None:
    condition = key_condition("a = :a AND b BETWEEN :a AND :b")
    condition.check_types(partition_key_type="S", sort_key_type="S")
    for types in (("N", "S"), ("S", "N")):
        with pytest.raises(ValidationException, match="Condition parameter type does not match schema type"):
            condition.check_types(partition_key_type=types[0], sort_key_type=types[1])


@pytest.mark.parametrize(
    ("sort", "held"),
    [
        (SortCondition("=", (S_B,)), "b"),
        (SortCondition("<", (S_B,)), "a"),
        (SortCondition("<=", (S_B,)), "ab"),
        (SortCondition(">", (S_B,)), "c"),
        (SortCondition(">=", (S_B,)), "bc"),
        (SortCondition("BETWEEN", (S_A, S_B)), "ab"),
        (SortCondition("begins_with", (S_C,)), "c"),
        (SortCondition("=", ({"N": "1"},)), ""),
    ],
)
def test_a_sort_condition_can_be_asked(sort: SortCondition, held: str) -> None:
    assert [value for value in "abc" if sort.holds({"S": value})] == list(held)
