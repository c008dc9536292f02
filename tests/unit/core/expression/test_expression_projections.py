"""Projections. Sources: Developer Guide, "Using projection expressions in DynamoDB"; lists without gaps and refused
overlaps: nubo-db/dynamodb-conformance's ``getItem/projectionValidation.test.ts``."""

from typing import Any

import pytest

from duestream.core.attributes import marshal_item, unmarshal_item
from duestream.core.expression import Placeholders, parse_projection
from duestream.errors import ValidationException

ITEM: dict[str, Any] = {"PK": "x", "a": {"b": {"c": 1, "d": 2}, "e": 3}, "line": ["0", "1", {"n": 2, "m": 3}, ["3"]]}


@pytest.mark.parametrize(
    ("text", "projected"),
    [
        ("PK", {"PK": "x"}),
        ("PK, a", {"PK": "x", "a": ITEM["a"]}),
        ("a.b.c", {"a": {"b": {"c": 1}}}),
        ("a.e, a.b.d", {"a": {"b": {"d": 2}, "e": 3}}),
        ("line[1]", {"line": ["1"]}),
        ("line[2].m, line[0]", {"line": ["0", {"m": 3}]}),
        ("line[3][0]", {"line": [["3"]]}),
        ("absent, absent2.a, a.absent, a.b.c.d, line[9], PK[0]", {}),
        ("#s.e", {"a": {"e": 3}}),
        ("line.a, a[0]", {}),
    ],
)
def test_a_projection_gives_what_its_paths_lead_to(text: str, projected: dict[str, Any]) -> None:
    found = parse_projection(text, Placeholders({"#s": "a"})).of(marshal_item(ITEM))
    assert unmarshal_item(found) == projected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "The expression can not be empty;"),
        ("a,", 'Syntax error; token: "<EOF>", near: ","'),
        ("a b", 'Syntax error; token: "b", near: "a b"'),
        (":a", 'Syntax error; token: ":a", near: ":a"'),
        ("status", "Attribute name is a reserved keyword; reserved keyword: status"),
        ("#x", "An expression attribute name used in the document path is not defined; attribute name: #x"),
        ("a, a.b", ("overlap", "[a]", "[a, b]")),
        ("a, #s", ("overlap", "[a]", "[a]")),
        ("a.b, a[0]", ("conflict", "[a, b]", "[a, [0]]")),
    ],
)
def test_a_wrong_projection_is_refused_in_dynamodbs_words(text: str, problem: str | tuple[str, str, str]) -> None:
    if isinstance(problem, tuple):
        kind, one, two = problem
        problem = f"Two document paths {kind} with each other; must remove or rewrite one of these paths; "
        problem += f"path one: {one}, path two: {two}"
    with pytest.raises(ValidationException) as refused:
        parse_projection(text, Placeholders({"#s": "a"}))
    assert refused.value.message == f"Invalid ProjectionExpression: {problem}"
