"""Whatever is written as an expression, the answer is a parsed expression or AWS's error, and never a fault of ours."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from duestream.core.attributes import marshal_item
from duestream.core.expression import (
    Placeholders,
    parse_condition,
    parse_key_condition,
    parse_projection,
    parse_update,
)
from duestream.errors import ValidationException

PIECES = [
    "a",
    "b",
    "c.d",
    "e[0]",
    "#n",
    ":v",
    ":w",
    ":s",
    "(",
    ")",
    "(",
    ")",
    ",",
    ".",
    "[",
    "]",
    "1",
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "size(",
    "contains(",
    "begins_with(",
    "attribute_exists(",
    "attribute_type(",
    "if_not_exists(",
    "list_append(",
    "f(",
    "status",
    "_",
    "'",
    "é",
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map(" ".join)
ITEM = marshal_item({"a": 1, "b": "x", "c": {"d": [1]}, "e": [1, {"a": 2}]})


def placeholders() -> Placeholders:
    return Placeholders({"#n": "n"}, {":v": {"N": "1"}, ":w": {"S": "x"}, ":s": {"SS": ["x"]}})


@given(TEXTS)
def test_any_text_is_a_condition_or_an_error(text: str) -> None:
    with suppress(ValidationException):
        parse_condition(text, placeholders()).holds(ITEM)
    with suppress(ValidationException):
        parse_key_condition(text, placeholders(), partition_key="a", sort_key="b")


@given(TEXTS, st.sampled_from(["", "SET a = ", "REMOVE ", "ADD a "]))
def test_any_text_is_an_update_or_an_error(text: str, beginning: str) -> None:
    with suppress(ValidationException):
        update = parse_update(beginning + text, placeholders())
        update.project(update.apply(ITEM, key_names=("PK",)))


@given(TEXTS)
def test_any_text_is_a_projection_or_an_error(text: str) -> None:
    with suppress(ValidationException):
        parse_projection(text, placeholders()).of(ITEM)


LEAVES = st.sampled_from(["a = a2", "a <> a2"])
SENTENCES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join),
        LEAVES.map("NOT {}".format),
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda parts: f"NOT ({' '.join(parts)})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)}) OR {parts[0]}"),
    ),
    max_leaves=8,
)


@given(SENTENCES)
def test_and_or_and_not_bind_as_they_do_in_python(sentence: str) -> None:
    """Both languages bind NOT before AND before OR, so Python is the oracle."""
    truth = sentence.lower().replace("a = a2", "True").replace("a <> a2", "False")
    item = marshal_item({"a": 1, "a2": 1})
    assert parse_condition(sentence, Placeholders()).holds(item) is eval(truth)
