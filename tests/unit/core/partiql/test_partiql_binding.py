"""Conditions, updates and values of statements, with their parameters put in."""

from typing import Any

import pytest

from duestream.core.partiql import (
    InsertSyntax,
    SelectSyntax,
    UpdateSyntax,
    bind_condition,
    bind_update,
    normalize_parameters,
    parse_statement,
    parts_of,
    value_of,
)
from duestream.errors import ValidationException

ITEM: dict[str, Any] = {
    "pk": {"S": "a"},
    "n": {"N": "5"},
    "s": {"S": "text"},
    "l": {"L": [{"N": "1"}, {"M": {"x": {"S": "y"}}}]},
    "ss": {"SS": ["a", "b"]},
    "nul": {"NULL": True},
}


def holds(text: str, *parameters: Any, item: dict[str, Any] = ITEM) -> bool:
    statement = parse_statement(f"SELECT * FROM t WHERE {text}")
    assert isinstance(statement, SelectSyntax)
    assert statement.where is not None
    return bind_condition(statement.where, normalize_parameters(parameters)).holds(item)


def updated(text: str, *parameters: Any) -> dict[str, Any]:
    statement = parse_statement(f"UPDATE t {text} WHERE pk = 'a'")
    assert isinstance(statement, UpdateSyntax)
    return bind_update(statement.assignments, normalize_parameters(parameters)).apply(ITEM, key_names=("pk",))


@pytest.mark.parametrize(
    "text",
    [
        "n = 5",
        "5.0 = n",
        "n <> 4 AND n != 4",
        "n > 4 AND n >= 5 AND n < 6 AND n <= 5",
        "n BETWEEN 4 AND 6",
        "NOT n BETWEEN 6 AND 7",
        "n IN [4, 5]",
        "n IN (4, 5)",
        "n NOT IN [4]",
        "n = 4 OR s = 'text'",
        "l[1].x = 'y'",
        "l[1]['x'] = 'y'",
        "begins_with(s, 'te')",
        "contains(ss, 'a') AND contains(l, 1) AND contains(s, 'ex')",
        "size(ss) = 2 AND size(s) > 3",
        "attribute_type(n, 'N')",
        "nope IS MISSING AND n IS NOT MISSING",
        "nul IS NULL AND n IS NOT NULL",
        "ss = <<'b', 'a'>>",
        "l = [1, {'x': 'y'}]",
    ],
)
def test_these_hold(text: str) -> None:
    assert holds(text)
    assert not holds(f"NOT ({text})")


def test_parameters_are_taken_in_their_order() -> None:
    assert holds("n = ? AND s = ?", {"N": "5"}, {"S": "text"})
    assert not holds("n = ? AND s = ?", {"N": "6"}, {"S": "text"})


def test_an_ordering_of_two_types_never_holds() -> None:
    assert not holds("s < 5")
    assert not holds("s >= 5")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("SET x = 1", "x", {"N": "1"}),
        ("SET x = n", "x", {"N": "5"}),
        ("SET n = n + 1", "n", {"N": "6"}),
        ("SET n = 10 - n", "n", {"N": "5"}),
        ("SET l = list_append(l, ['z'])", "l", {"L": [*ITEM["l"]["L"], {"S": "z"}]}),
        ("SET l = list_append([0], l)", "l", {"L": [{"N": "0"}, *ITEM["l"]["L"]]}),
        ("SET ss = set_add(ss, <<'c'>>)", "ss", {"SS": ["a", "b", "c"]}),
        ("SET ss = set_delete(ss, <<'a'>>)", "ss", {"SS": ["b"]}),
        ("SET l[1].x = {'deep': [1]}", "l", {"L": [{"N": "1"}, {"M": {"x": {"M": {"deep": {"L": [{"N": "1"}]}}}}}]}),
        ("REMOVE l[0]", "l", {"L": ITEM["l"]["L"][1:]}),
        ("REMOVE s", "s", None),
        ("SET ss = set_delete(ss, <<'a', 'b'>>)", "ss", None),
    ],
)
def test_assignments_change_one_attribute(text: str, name: str, value: Any) -> None:
    assert {**ITEM, name: value} == {**updated(text), name: updated(text).get(name)}


def test_assignments_read_the_item_as_it_was() -> None:
    changed = updated("SET n = n + 1, x = n REMOVE s SET y = s")
    assert (changed["n"], changed["x"], changed["y"]) == ({"N": "6"}, {"N": "5"}, {"S": "text"})
    assert "s" not in changed


def test_paths_that_lead_into_each_other_are_refused() -> None:
    with pytest.raises(ValidationException, match="Two document paths overlap"):
        updated("SET l[1].x = 1, l[1] = 2")


def test_a_literal_has_the_value_that_is_written() -> None:
    statement = parse_statement(
        "INSERT INTO t VALUE {'a': 1E3, 'b': -1.50, 'c': 'it''s', 'd': [true, null], 'e': {}, 'f': <<2, 1.0>>}"
    )
    assert isinstance(statement, InsertSyntax)
    assert value_of(statement.value, []) == {
        "M": {
            "a": {"N": "1000"},
            "b": {"N": "-1.5"},
            "c": {"S": "it's"},
            "d": {"L": [{"BOOL": True}, {"NULL": True}]},
            "e": {"M": {}},
            "f": {"NS": ["1", "2"]},
        }
    }


def test_conditions_are_taken_apart_however_they_are_put_in_parentheses() -> None:
    statement = parse_statement("SELECT * FROM t WHERE (a = 1 AND (b = 2)) AND c = 3")
    assert isinstance(statement, SelectSyntax)
    assert statement.where is not None
    assert len(parts_of(bind_condition(statement.where, []))) == 3
