"""Updates.

Sources of the tables: meaning: Developer Guide, "Using update expressions in DynamoDB", and Alternator's
``test_update_expression.py``; texts: dynalite's ``test/updateItem.js``, nubo-db/dynamodb-conformance's
``error-messages/updateItem.test.ts``.
"""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.attributes import marshal, marshal_item, unmarshal_item
from duestream.core.expression import Placeholders, Update, parse_update
from duestream.errors import ValidationException

BEFORE: dict[str, Any] = {
    "PK": "x",
    "n": Decimal(5),
    "title": "hello",
    "tags": {"red", "blue"},
    "primes": {Decimal(2), Decimal(3)},
    "line": ["a", "b", "c", "d"],
    "attrs": {"nest": {"n": Decimal(1)}, "line": [Decimal(1), {"x": "y"}]},
}
FUNCTION = "operator or function: "


def update(text: str, values: dict[str, Any] | None = None, names: dict[str, str] | None = None) -> Update:
    wire = {f":{name}": marshal(value) for name, value in values.items()} if values else None
    return parse_update(text, Placeholders(names, wire))


def after(text: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
    item = marshal_item(BEFORE)
    untouched = deepcopy(item)
    updated = update(text, values).apply(item, key_names=("PK", "SK"))
    assert item == untouched
    return unmarshal_item(updated)


@pytest.mark.parametrize(
    ("text", "values", "changes"),
    [
        ("SET a = :v, n = :w", {"v": 1, "w": [1]}, {"a": 1, "n": [1]}),
        ("set a = title", {}, {"a": "hello"}),
        ("SET n = n + :v", {"v": Decimal("0.5")}, {"n": Decimal("5.5")}),
        ("SET n = :v - n", {"v": 1}, {"n": -4}),
        ("SET a = (n + :v)", {"v": 1}, {"a": 6}),
        ("SET a = (n) + (:v)", {"v": 1}, {"a": 6}),
        ("SET a = if_not_exists(n, :v), b = if_not_exists(absent, :v)", {"v": 1}, {"a": 5, "b": 1}),
        ("SET a = if_not_exists(a, if_not_exists(b, :v)) + :v", {"v": 1}, {"a": 2}),
        ("SET line = list_append(line, :v)", {"v": ["e"]}, {"line": ["a", "b", "c", "d", "e"]}),
        ("SET line = list_append(:v, line)", {"v": ["e"]}, {"line": ["e", "a", "b", "c", "d"]}),
        ("SET a = list_append(if_not_exists(a, :none), :v)", {"none": [], "v": [1]}, {"a": [1]}),
        ("SET line[1] = :v", {"v": "B"}, {"line": ["a", "B", "c", "d"]}),
        ("SET line[9] = :v, line[7] = :w", {"v": "9", "w": "7"}, {"line": ["a", "b", "c", "d", "7", "9"]}),
        ("REMOVE line[0], line[2]", {}, {"line": ["b", "d"]}),
        ("REMOVE line[9], absent, line[1]", {}, {"line": ["a", "c", "d"]}),
        ("SET line[3] = :v, line[4] = :w REMOVE line[0]", {"v": "D", "w": "E"}, {"line": ["b", "c", "D", "E"]}),
        (
            "SET attrs.nest.m = :v, attrs.line[1].x = :w REMOVE attrs.nest.n",
            {"v": 2, "w": 3},
            {"attrs": {"nest": {"m": 2}, "line": [1, {"x": 3}]}},
        ),
        ("REMOVE attrs.absent", {}, {}),
        ("REMOVE title SET a = title", {}, {"title": None, "a": "hello"}),
        ("SET a = n, n = :v", {"v": 0}, {"a": 5, "n": 0}),
        ("ADD n :v, a :w", {"v": -6, "w": 3}, {"n": -1, "a": 3}),
        ("ADD tags :v, a :w", {"v": {"red", "green"}, "w": {1}}, {"tags": {"red", "blue", "green"}, "a": {1}}),
        ("ADD attrs.nest.n :v", {"v": 1}, {"attrs": {"nest": {"n": 2}, "line": [1, {"x": "y"}]}}),
        ("DELETE tags :v", {"v": {"red", "green"}}, {"tags": {"blue"}}),
        ("DELETE primes :v", {"v": {2, 3}}, {"primes": None}),
        ("DELETE absent :v", {"v": {2, 3}}, {}),
        (
            "ADD a :v DELETE tags :t REMOVE n SET b = n",
            {"v": 1, "t": {"red"}},
            {"a": 1, "tags": {"blue"}, "n": None, "b": 5},
        ),
    ],
)
def test_an_update_makes_a_new_item(text: str, values: dict[str, Any], changes: dict[str, Any]) -> None:
    expected = {name: value for name, value in {**BEFORE, **changes}.items() if value is not None}
    assert after(text, values) == expected


def test_sets_stay_sorted() -> None:
    grown = update("ADD s :v", {"v": {Decimal(-1), Decimal(10)}}).apply({"s": {"NS": ["2", "9"]}}, key_names=())
    assert grown == {"s": {"NS": ["-1", "2", "9", "10"]}}


def test_names_stand_for_names_that_cannot_be_written() -> None:
    changed = update("SET #a.#s = :v", {"v": 1}, {"#a": "a.b", "#s": "status"}).apply({"a.b": {"M": {}}}, key_names=())
    assert changed == {"a.b": {"M": {"status": {"N": "1"}}}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "The expression can not be empty;"),
        ("INVALID SYNTAX HERE", 'Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
        ("SET _123 = :one", 'Syntax error; token: "_", near: "SET _123"'),
        ("SET a = :one, b = :one,", 'Syntax error; token: "<EOF>", near: ","'),
        ("SET book-price = :one", 'Syntax error; token: "-", near: "book-price"'),
        ("SET a = :one + :one + :one", 'Syntax error; token: "+", near: ":one + :one"'),
        ("SET a = f(:one + :one)", 'Syntax error; token: "+", near: ":one + :one"'),
        ("SET :one = :one", 'Syntax error; token: ":one", near: "SET :one ="'),
        ("SET", 'Syntax error; token: "<EOF>", near: "SET"'),
        ("ADD a b", 'Syntax error; token: "b", near: "a b"'),
        ("REMOVE set", 'Syntax error; token: "set", near: "REMOVE set"'),
        ("SET a = :one b = :one", 'Syntax error; token: "b", near: ":one b ="'),
        ("SET status = FOO(:one)", "Attribute name is a reserved keyword; reserved keyword: status"),
        ("SET a = LIST_APPEND(:list, :list)", "Invalid function name; function: LIST_APPEND"),
        ("SET a = size(b)", "The function is not allowed to be used this way in an expression; function: size"),
        (
            "SET a = list_append(list_append(:list, :list), :list)",
            "The function is not allowed to be used this way in an expression; function: list_append",
        ),
        ("SET a = :one SET b = :one", 'The "SET" section can only be used once in an update expression;'),
        ("SET a = :one REMOVE c set b = :one", 'The "SET" section can only be used once in an update expression;'),
        (
            "SET a = :absent, #absent = :one",
            "An expression attribute name used in the document path is not defined; attribute name: #absent",
        ),
        (
            "SET a = if_not_exists(b, :absent)",
            "An expression attribute value used in expression is not defined; attribute value: :absent",
        ),
        ("SET a = :one, b.c = :one REMOVE b", ("overlap", "[b, c]", "[b]")),
        ("SET a = :one, a = :list", ("overlap", "[a]", "[a]")),
        ("SET a[1] = :one, a[1][2] = :one", ("overlap", "[a, [1]]", "[a, [1], [2]]")),
        ("SET a.b = :one, a[1] = :one", ("conflict", "[a, b]", "[a, [1]]")),
        ("SET a.b = :one, a[1] = :one, a[1] = :one", ("overlap", "[a, [1]]", "[a, [1]]")),
        ("ADD a :text", "Incorrect operand type for operator or function; operator: ADD, operand type: STRING"),
        ("ADD a :list", "Incorrect operand type for operator or function; operator: ADD, operand type: LIST"),
        ("DELETE a :one", "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER"),
        (
            "SET a = list_append(:list)",
            f"Incorrect number of operands for operator or function; {FUNCTION}list_append, number of operands: 1",
        ),
        (
            "SET a = if_not_exists(:one, :one)",
            f"Operator or function requires a document path; {FUNCTION}if_not_exists",
        ),
        (
            "SET a = list_append(b, :one)",
            f"Incorrect operand type for operator or function; {FUNCTION}list_append, operand type: N",
        ),
        ("SET a = b + :text", f"Incorrect operand type for operator or function; {FUNCTION}+, operand type: S"),
        ("SET a = :list - b", f"Incorrect operand type for operator or function; {FUNCTION}-, operand type: L"),
    ],
)
def test_a_wrong_expression_is_refused_in_dynamodbs_words(text: str, problem: str | tuple[str, str, str]) -> None:
    if isinstance(problem, tuple):
        kind, one, two = problem
        problem = f"Two document paths {kind} with each other; must remove or rewrite one of these paths; "
        problem += f"path one: {one}, path two: {two}"
    with pytest.raises(ValidationException) as refused:
        update(text, {"one": 1, "text": "x", "list": [1]})
    assert refused.value.message == f"Invalid UpdateExpression: {problem}"


INCORRECT_TYPE = "An operand in the update expression has an incorrect data type"
ABSENT = "The provided expression refers to an attribute that does not exist in the item"
INVALID_PATH = "The document path provided in the update expression is invalid for update"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SET a = absent", ABSENT),
        ("SET a = absent + :one", ABSENT),
        ("SET a = list_append(absent, :list)", ABSENT),
        ("SET a = line[4]", ABSENT),
        ("SET a = title + :one", INCORRECT_TYPE),
        ("SET a = list_append(title, :list)", INCORRECT_TYPE),
        ("SET a = list_append(if_not_exists(absent, :one), :list)", INCORRECT_TYPE),
        ("ADD title :one", INCORRECT_TYPE),
        ("ADD tags :numbers", INCORRECT_TYPE),
        ("DELETE n :numbers", INCORRECT_TYPE),
        ("SET absent.a = :one", INVALID_PATH),
        ("SET absent[0] = :one", INVALID_PATH),
        ("SET attrs[0] = :one", INVALID_PATH),
        ("SET line.a = :one", INVALID_PATH),
        ("SET line[7].a = :one", INVALID_PATH),
        ("SET attrs.a.b = :one", INVALID_PATH),
        ("REMOVE absent.a", INVALID_PATH),
        (
            "SET n = n + :huge",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        ("ADD n :huge", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        (
            "SET PK = :one",
            "One or more parameter values were invalid: Cannot update attribute PK. This attribute is part of the key",
        ),
        (
            "REMOVE SK",
            "One or more parameter values were invalid: Cannot update attribute SK. This attribute is part of the key",
        ),
    ],
)
def test_an_update_that_does_not_fit_the_item_is_refused_in_dynamodbs_words(text: str, problem: str) -> None:
    values = {"one": 1, "list": [1], "numbers": {1}, "huge": Decimal("9.9e125")}
    with pytest.raises(ValidationException) as refused:
        after(text, values)
    assert refused.value.message == problem


def test_nothing_is_put_deeper_than_dynamodb_stores() -> None:
    deep: Any = "leaf"
    for _ in range(31):
        deep = [deep]
    update("SET a = :v", {"v": deep}).apply({}, key_names=())
    with pytest.raises(ValidationException, match="Nesting Levels have exceeded supported limits"):
        update("SET attrs.a = :v", {"v": deep}).apply({"attrs": {"M": {}}}, key_names=())


def test_an_update_shows_only_what_it_writes_to() -> None:
    item = marshal_item(BEFORE)
    changed = update("SET attrs.nest.n = :v, line[1] = :v REMOVE title ADD a :v", {"v": 7})
    assert changed.updated_paths == (("attrs", "nest", "n"), ("line", 1), ("title",), ("a",))
    assert unmarshal_item(changed.project(item)) == {"attrs": {"nest": {"n": 1}}, "line": ["b"], "title": "hello"}
    new = changed.apply(item, key_names=("PK",))
    assert unmarshal_item(changed.project(new)) == {"attrs": {"nest": {"n": 7}}, "line": [7], "a": 7}


@given(st.lists(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_removing_places_keeps_the_others_in_order(members: list[int], places: set[int]) -> None:
    item = marshal_item({"line": members})
    text = "REMOVE " + ", ".join(f"line[{place}]" for place in places) if places else "REMOVE absent"
    left = unmarshal_item(update(text).apply(item, key_names=()))["line"]
    assert left == [member for place, member in enumerate(members) if place not in places]


def test_removing_from_an_item_that_does_not_exist_is_fine_and_makes_none() -> None:
    """Alternator, ``test_nested_attribute_remove_from_missing_item`` and ``test_returnvalues.py``."""
    nothing = update("REMOVE a.b, c[0] DELETE d.e :v", {"v": {1}})
    assert nothing.apply({"PK": {"S": "x"}}, key_names=("PK",), exists=False) == {"PK": {"S": "x"}}
    assert not nothing.creates_items
    assert update("REMOVE a ADD b :v", {"v": 1}).creates_items


def test_what_is_put_beyond_a_lists_end_is_not_shown_and_what_moves_up_is() -> None:
    """Strange but measured: Alternator, ``test_update_item_returnvalues_nested``."""
    item = marshal_item({"line": [1, 2, 3]})
    appended = update("SET line[100] = :v", {"v": 70})
    assert appended.project(appended.apply(item, key_names=())) == {}
    removed = update("REMOVE line[1]")
    assert removed.project(removed.apply(item, key_names=())) == marshal_item({"line": [3]})


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("SET b = :s", 3 + 19 + 1 + 5),
        ("SET b = :s, c = :s", 3 + 2 * (19 + 1 + 5)),
        ("SET a.b[10] = :s", 3 + 19 + 1 + (4 + 1) + (4 + 2) + 5),
        ("SET b = a.c", 3 + 19 + 1 + 1 + 2 * (14 + 1)),
        ("SET b = if_not_exists(b, :n) + :n", 3 + 19 + 1 + 34 + (39 + 15 + 1 + 2) + 2),
        ("REMOVE a, b.c", 3 + (1 + 1) + (1 + 1 + 4 + 1)),
    ],
)
def test_an_update_counts_for_what_it_says(text: str, size_bytes: int) -> None:
    """paritysuite/dynamodb-conformance, ``itemSizeBySurface``, eu-west-2, 2026-10-09."""
    values = {":s": {"S": "12345"}, ":n": {"N": "17"}}
    used = {name: value for name, value in values.items() if name in text}
    assert parse_update(text, Placeholders(None, used or None)).size_bytes == size_bytes
