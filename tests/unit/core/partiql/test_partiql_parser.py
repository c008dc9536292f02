"""Statements: from text to what they are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.partiql import column_name, parse_statement
from duestream.core.partiql.lexer import tokenize
from duestream.core.partiql.syntax import (
    Assignment,
    BagTerm,
    CallTerm,
    DeleteSyntax,
    InfixTerm,
    InsertSyntax,
    IsTerm,
    JoinTerm,
    NotTerm,
    NumberTerm,
    ParameterTerm,
    PathTerm,
    SelectSyntax,
    StringTerm,
    StructTerm,
    UpdateSyntax,
)
from duestream.errors import ValidationException


def select(text: str) -> SelectSyntax:
    statement = parse_statement(text)
    assert isinstance(statement, SelectSyntax)
    return statement


def test_tokens_know_where_they_stand() -> None:
    tokens = tokenize("a /* x\n y */ 'it''s' -- end\n \"q\"\"q\" 1.5e3")
    assert [(token.kind, token.text, token.place) for token in tokens.tokens] == [
        ("word", "a", "1:1:1"),
        ("string", "it's", "2:7:7"),
        ("quoted", 'q"q', "3:2:6"),
        ("number", "1.5e3", "3:9:5"),
        ("end", "", "3:14:0"),
    ]


def test_a_select_has_a_projection_a_source_a_condition_and_an_order() -> None:
    statement = select('select a.b[0], "c d" from "t"."i" where pk = ? order by sk desc, pk;')
    assert statement.projection is not None
    assert [term.path for term in statement.projection] == [("a", "b", 0), ("c d",)]
    assert [column_name(term) for term in statement.projection] == ["b[0]", "c d"]
    assert (statement.source.table_name, statement.source.index_name) == ("t", "i")
    assert isinstance(statement.where, InfixTerm)
    assert isinstance(statement.where.right, ParameterTerm)
    assert statement.order_by == (("sk", True), ("pk", False))
    assert statement.parameters == 1


def test_and_binds_stronger_than_or_and_not_weaker_than_comparisons() -> None:
    where = select("SELECT * FROM t WHERE NOT a = 1 AND b = 2 OR c = 3").where
    assert isinstance(where, JoinTerm)
    assert where.operator == "OR"
    both = where.parts[0]
    assert isinstance(both, JoinTerm)
    assert both.operator == "AND"
    assert isinstance(both.parts[0], NotTerm)


@pytest.mark.parametrize("negation", ["NOT a IN [1]", "a NOT IN [1]"])
def test_a_negation_may_stand_before_the_operand_or_the_operator(negation: str) -> None:
    where = select(f"SELECT * FROM t WHERE {negation}").where
    assert isinstance(where, NotTerm)
    assert isinstance(where.part, InfixTerm)
    assert where.part.operator == "IN"


def test_is_not_is_the_negation_of_is() -> None:
    where = select("SELECT * FROM t WHERE a IS NOT MISSING").where
    assert isinstance(where, NotTerm)
    assert isinstance(where.part, IsTerm)
    assert where.part.type_name == "MISSING"


def test_signs_belong_to_numbers() -> None:
    where = select("SELECT * FROM t WHERE a = - - 1 AND b = -2.5").where
    assert isinstance(where, JoinTerm)
    numbers = [part.right for part in where.parts if isinstance(part, InfixTerm)]
    assert [number.text for number in numbers if isinstance(number, NumberTerm)] == ["1", "-2.5"]


def test_an_insert_has_a_struct() -> None:
    statement = parse_statement("INSERT INTO t VALUE {'pk': 'a', 's': <<1, 2>>, 'm': {'x': [?]}}")
    assert isinstance(statement, InsertSyntax)
    assert isinstance(statement.value, StructTerm)
    members = dict(statement.value.members)
    assert isinstance(members["pk"], StringTerm)
    assert isinstance(members["s"], BagTerm)


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE t SET a = a + 1, b = list_append(b, [1]) REMOVE c[0] SET d = ? WHERE pk = 1 RETURNING ALL NEW *",
        "FROM t WHERE pk = 1 SET a = a + 1, b = list_append(b, [1]) REMOVE c[0] SET d = ? RETURNING ALL NEW *",
    ],
)
def test_an_update_may_begin_with_its_table_and_condition(text: str) -> None:
    statement = parse_statement(text)
    assert isinstance(statement, UpdateSyntax)
    assert [assignment.path.path for assignment in statement.assignments] == [("a",), ("b",), ("c", 0), ("d",)]
    assert isinstance(statement.assignments[1].value, CallTerm)
    assert statement.assignments[2] == Assignment(statement.assignments[2].path, None)
    assert statement.returning == "ALL NEW"


def test_a_delete_may_return_the_old_item() -> None:
    statement = parse_statement("DELETE FROM t WHERE pk = 'a' RETURNING ALL OLD *")
    assert isinstance(statement, DeleteSyntax)
    assert statement.returning == "ALL OLD"


def test_exists_is_a_condition_and_no_read() -> None:
    assert select("EXISTS(SELECT * FROM t WHERE pk = 1 AND a = 2)").is_condition
    assert not select("SELECT * FROM t").is_condition


@pytest.mark.parametrize("name", ["data", "val", "name", "kind", "status", "t1", "_x", "$y"])
def test_these_words_are_names(name: str) -> None:
    projection = select(f"SELECT {name} FROM t").projection
    assert projection is not None
    assert projection[0] == PathTerm((name,), f"1:8:{len(name)}")


@pytest.mark.parametrize("word", ["pad", "user", "date", "value", "Order", "INNER"])
def test_keywords_are_names_only_in_quotation_marks(word: str) -> None:
    with pytest.raises(ValidationException, match="Unexpected keyword"):
        select(f"SELECT * FROM t WHERE {word} = 1")
    assert select(f'SELECT * FROM t WHERE "{word}" = 1').where is not None


def test_a_long_row_of_conditions_is_no_deep_one() -> None:
    where = select("SELECT * FROM t WHERE " + " OR ".join(f"a={number}" for number in range(900))).where
    assert isinstance(where, JoinTerm)
    assert len(where.parts) == 900


@pytest.mark.parametrize(
    "text", ["(" * 300 + "a" + ")" * 300, "[" * 300, "NOT " * 300, "a" + "=1" * 300, "-" * 300 + "1"]
)
def test_deep_terms_are_refused_before_the_stack_is_full(text: str) -> None:
    with pytest.raises(ValidationException, match="well formed"):
        select(f"SELECT * FROM t WHERE {text}")


@given(st.text(alphabet="SELECT FROMWHERE*\"'?.,()[]{}<>=-+1aIN\n", max_size=80))
def test_no_text_brings_the_parser_down(text: str) -> None:
    for statement in (text, f"SELECT * FROM t WHERE {text}", f"UPDATE t SET {text} WHERE a = 1"):
        try:
            parse_statement(statement)
        except ValidationException as error:
            assert error.message  # noqa: PT017 - whether it is refused does not matter here
