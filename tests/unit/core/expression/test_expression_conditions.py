"""Conditions and filters.

Sources of the tables: meaning: Alternator's ``test_condition_expression.py``; texts: dynalite's
``test/query.js`` and ``test/deleteItem.js``, nubo-db/dynamodb-conformance's ``error-messages/*.test.ts``; what is
near a syntax error: Alternator's ``test_update_expression.py`` (``_123``) and errors seen in the wild
(``near: "book-price"``, ``near: ":theme"``).
"""

from typing import Any

import pytest

from duestream.core.attributes import marshal, marshal_item
from duestream.core.expression import Condition, Placeholders, parse_condition
from duestream.errors import ValidationException

ITEM = marshal_item(
    {
        "PK": "x",
        "one": 1,
        "two": 2,
        "title": "hello",
        "octets": b"hello",
        "yes": True,
        "nothing": None,
        "tags": {"red", "blue"},
        "primes": {2, 3},
        "blobs": {b"a", b"b"},
        "line": [1, "two", {"deep": [{"deeper": 5}]}],
        "attrs": {"size": 3, "nested": {"leaf": "y"}},
    }
)


def condition(text: str, values: dict[str, Any] | None = None, names: dict[str, str] | None = None) -> Condition:
    wire = {f":{name}": marshal(value) for name, value in values.items()} if values else None
    return parse_condition(text, Placeholders(names, wire))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("one = :v", {"v": 1}),
        ("one <> :v", {"v": "1"}),
        ("one < two", {}),
        ("two > one AND one <= one2 OR two >= :v", {"v": 2}),
        (":v = one", {"v": 1}),
        ("tags = :v", {"v": {"blue", "red"}}),
        ("attrs.nested = :v", {"v": {"leaf": "y"}}),
        ("absent <> :v", {"v": 1}),
        ("absent <> absent2", {}),
        ("NOT absent = absent2", {}),
        ("one BETWEEN :low AND :high", {"low": 1, "high": 1}),
        ("title between :low and :high and one = :low2", {"low": "h", "high": "i", "low2": 1}),
        ("one IN (:a, two, :b)", {"a": "1", "b": 1}),
        ("(one) in ((:a))", {"a": 1}),
        ("attribute_exists(line[2].deep[0].deeper)", {}),
        ("attribute_not_exists(line[3]) AND attribute_not_exists(one.two)", {}),
        ("attribute_type(nothing, :t)", {"t": "NULL"}),
        ("attribute_type(primes, :t)", {"t": "NS"}),
        ("begins_with(title, :v)", {"v": "he"}),
        ("begins_with(octets, :v)", {"v": b"he"}),
        ("contains(title, :v)", {"v": "ell"}),
        ("contains(octets, :v)", {"v": b"ell"}),
        ("contains(tags, :v)", {"v": "red"}),
        ("contains(primes, :v)", {"v": 3}),
        ("contains(blobs, :v)", {"v": b"a"}),
        ("contains(line, :v)", {"v": 1}),
        ("contains(:v, title)", {"v": ["hello"]}),
        ("size(title) = :v AND size(octets) = :v", {"v": 5}),
        ("size(line) = :v AND size(tags) < :v AND size(attrs) = size(primes)", {"v": 3}),
        ("size(title) BETWEEN one AND :v", {"v": 5}),
        ("(one) = (:v)", {"v": 1}),
        ("((one = :v) AND two = two2) OR (one = :v)", {"v": 1}),
        ("(line)[0] = :v", {"v": 1}),
        ("one=:v\tand\ntwo<>:v", {"v": 1}),
    ],
)
def test_the_condition_holds(text: str, values: dict[str, Any]) -> None:
    assert condition(text, values).holds(ITEM)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("absent = absent2", {}),
        ("one = :v", {"v": "1"}),
        ("one < :v", {"v": "2"}),
        ("line < :v", {"v": 1}),
        (":v < absent", {"v": 1}),
        ("absent between one and two", {}),
        ("one between :low and two2", {"low": 0}),
        ("absent IN (absent2, :a)", {"a": 1}),
        ("attribute_exists(one.two)", {}),
        ("attribute_type(absent, :t)", {"t": "S"}),
        ("begins_with(one, :v)", {"v": "1"}),
        ("begins_with(title, octets)", {}),
        ("contains(title, one)", {}),
        ("contains(tags, :v)", {"v": 3}),
        ("contains(primes, :v)", {"v": "3"}),
        ("contains(attrs, :v)", {"v": "size2"}),
        ("contains(tags, :v)", {"v": {"red", "blue"}}),
        ("contains(yes, :v)", {"v": True}),
        ("size(one) >= :v", {"v": 0}),
        ("size(absent) >= :v", {"v": 0}),
        ("NOT one = :v", {"v": 1}),
        ("NOT (one = :v OR two = :v)", {"v": 1}),
    ],
)
def test_the_condition_does_not_hold(text: str, values: dict[str, Any]) -> None:
    assert not condition(text, values).holds(ITEM)


def test_not_binds_before_and_which_binds_before_or() -> None:
    true, false = "one = one2", "one <> one2"
    item = marshal_item({"one": 1, "one2": 1})
    assert condition(f"{true} OR {true} AND {false}").holds(item)
    assert not condition(f"({true} OR {true}) AND {false}").holds(item)
    assert not condition(f"NOT {true} AND {false}").holds(item)
    assert condition(f"NOT ({true} AND {false})").holds(item)


def test_names_stand_for_names_that_cannot_be_written() -> None:
    item = marshal_item({"a.b": {"status": [1]}})
    assert condition("#a.#s[0] = :v", {"v": 1}, {"#a": "a.b", "#s": "status"}).holds(item)


def test_a_condition_can_be_asked_of_an_item_that_does_not_exist() -> None:
    assert condition("attribute_not_exists(PK)").holds({})


FUNCTION = "operator or function: "
SYNTAX = "Syntax error; token: "
BOUNDS = "lower bound operand: AttributeValue: "


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "The expression can not be empty;"),
        (" ", "The expression can not be empty;"),
        ("a = " + "x" * 4093, "Expression size has exceeded the maximum allowed size; expression size: 4097"),
        ("foo", SYNTAX + '"<EOF>", near: "foo"'),
        ("attribute_not_exists(", SYNTAX + '"<EOF>", near: "("'),
        ("contains (a, :one", SYNTAX + '"<EOF>", near: ":one"'),
        ("a = :one AND", SYNTAX + '"<EOF>", near: "AND"'),
        ("book-price = :one", SYNTAX + '"-", near: "book-price"'),
        ("a > 4", SYNTAX + '"4", near: "> 4"'),
        ("_123 = :one", SYNTAX + '"_", near: "_123"'),
        ("things are not gonna be ok", SYNTAX + '"are", near: "things are not"'),
        ("(size(a))[0] > a", SYNTAX + '"[", near: ")[0"'),
        ("a = :one)", SYNTAX + '")", near: ":one)"'),
        ("a[b] = :one", SYNTAX + '"b", near: "[b]"'),
        ("a[-1] = :one", SYNTAX + '"-", near: "[-1"'),
        ("a = :one OR :one", SYNTAX + '"<EOF>", near: ":one"'),
        ("a = b = c", SYNTAX + '"=", near: "b = c"'),
        ("a = :one, b = :one", SYNTAX + '",", near: ":one, b"'),
        ("a.or = :one", SYNTAX + '"or", near: ".or ="'),
        ("a = 'x'", SYNTAX + '"\'", near: "= \'x"'),
        ("((a = :one))", "The expression has redundant parentheses;"),
        ("a = ((:one))", "The expression has redundant parentheses;"),
        ("((a)) = :one", "The expression has redundant parentheses;"),
        ("((status)) = Foo(a)", "The expression has redundant parentheses;"),
        ("ATTRIBUTE_EXISTS(a)", "Invalid function name; function: ATTRIBUTE_EXISTS"),
        (
            "if_not_exists(a, a) = :one",
            "The function is not allowed to be used this way in an expression; function: if_not_exists",
        ),
        ("dog(a) = list_append(a, a)", "Invalid function name; function: dog"),
        ("size(a)", "The function is not allowed to be used this way in an expression; function: size"),
        ("size(a) AND a = b", "The function is not allowed to be used this way in an expression; function: size"),
        (
            "contains(a, b) = :one",
            "The function is not allowed to be used this way in an expression; function: contains",
        ),
        (
            "attribute_exists(contains(a, b))",
            "The function is not allowed to be used this way in an expression; function: contains",
        ),
        ("a.Status = :absent", "Attribute name is a reserved keyword; reserved keyword: Status"),
        (
            "#absent = :one",
            "An expression attribute name used in the document path is not defined; attribute name: #absent",
        ),
        ("a = :absent", "An expression attribute value used in expression is not defined; attribute value: :absent"),
        (
            "attribute_exists(a, b)",
            f"Incorrect number of operands for operator or function; {FUNCTION}attribute_exists, number of operands: 2",
        ),
        (
            "size(a, b) = :one",
            f"Incorrect number of operands for operator or function; {FUNCTION}size, number of operands: 2",
        ),
        (
            "begins_with(a)",
            f"Incorrect number of operands for operator or function; {FUNCTION}begins_with, number of operands: 1",
        ),
        ("attribute_exists(:one)", f"Operator or function requires a document path; {FUNCTION}attribute_exists"),
        (
            "contains(#a, a)",
            (
                "The first operand must be distinct from the remaining operands for this operator or function; "
                "operator: contains, first operand: [a]"
            ),
        ),
        (
            "a.b[1] = a.b[1]",
            (
                "The first operand must be distinct from the remaining operands for this operator or function; "
                "operator: =, first operand: [a, b, [1]]"
            ),
        ),
        (
            "begins_with(a, :one)",
            f"Incorrect operand type for operator or function; {FUNCTION}begins_with, operand type: N",
        ),
        (
            "begins_with(size(a), :x)",
            f"Incorrect operand type for operator or function; {FUNCTION}begins_with, operand type: N",
        ),
        ("a < :list", f"Incorrect operand type for operator or function; {FUNCTION}<, operand type: L"),
        (":yes >= a", f"Incorrect operand type for operator or function; {FUNCTION}>=, operand type: BOOL"),
        (
            "a BETWEEN :yes AND :yes",
            f"Incorrect operand type for operator or function; {FUNCTION}BETWEEN, operand type: BOOL",
        ),
        ("size(:one) = a", f"Incorrect operand type for operator or function; {FUNCTION}size, operand type: N"),
        (
            "attribute_type(a, b)",
            (
                f"Incorrect operand type for operator or function; {FUNCTION}attribute_type, "
                "operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
            ),
        ),
        (
            "attribute_type(a, :one)",
            f"Incorrect operand type for operator or function; {FUNCTION}attribute_type, operand type: N",
        ),
        (
            "attribute_type(a, :x)",
            "Invalid attribute type name found; type: x, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        (
            "a BETWEEN :one AND :x",
            (
                "The BETWEEN operator requires same data type for lower and upper bounds; "
                f"{BOUNDS}{{N:1}}, upper bound operand: AttributeValue: {{S:x}}"
            ),
        ),
        (
            "a BETWEEN :two AND :one",
            (
                "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
                f"{BOUNDS}{{N:2}}, upper bound operand: AttributeValue: {{N:1}}"
            ),
        ),
        (
            f"a IN ({','.join([':one'] * 101)})",
            "The IN operator is provided with too many operands; number of operands: 101",
        ),
    ],
)
def test_a_wrong_expression_is_refused_in_dynamodbs_words(text: str, problem: str) -> None:
    values = {"one": 1, "two": 2, "x": "x", "yes": True, "list": [1]}
    with pytest.raises(ValidationException) as refused:
        condition(text, values, {"#a": "a"})
    assert refused.value.message == f"Invalid ConditionExpression: {problem}"


def test_the_error_names_the_parameter_even_when_the_text_was_seen_before() -> None:
    for parameter in ("FilterExpression", "ConditionExpression"):
        with pytest.raises(ValidationException, match=f"Invalid {parameter}: Syntax error"):
            parse_condition("a = = b", Placeholders(), parameter=parameter)


@pytest.mark.parametrize("text", ["(" * 4000, "NOT " * 1000 + "a = b", "a = " + "size(" * 800])
def test_deep_nesting_is_refused_and_not_followed(text: str) -> None:
    with pytest.raises(ValidationException, match="Invalid ConditionExpression"):
        condition(text)


def test_three_hundred_operators_are_fine_however_they_nest() -> None:
    """Alternator, ``test_deeply_nested_expression_2``: parentheses are no operators."""
    assert condition("one < two " + "OR (one < two " * 149 + ")" * 149).holds(ITEM)
    assert condition("NOT (" * 298 + "one < two" + ")" * 298).holds(ITEM)
    assert condition(" AND ".join(["one=one2"] * 149) + " OR one < two").holds(ITEM)


@pytest.mark.parametrize(
    "text", ["a<b " + "or (a<b " * 454 + ")" * 454, " AND ".join(["a < b"] * 151), "NOT " * 300 + "a < b"]
)
def test_more_than_three_hundred_operators_are_refused(text: str) -> None:
    with pytest.raises(ValidationException) as refused:
        condition(text)
    problem = "The expression contains too many operators; operator count: 301"
    assert refused.value.message == f"Invalid ConditionExpression: {problem}"
