"""boto3 as oracle: its serializer writes what we read and reads what we write, its conditions are ours too."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr, ConditionExpressionBuilder, Key
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.attributes import marshal, marshal_item, normalize_value, unmarshal
from duestream.core.expression import KeyCondition, Placeholders, SortCondition, parse_condition, parse_key_condition
from duestream.core.record import AttributeValue

NUMBERS = st.decimals(min_value=-(10**20), max_value=10**20, places=6).map(lambda number: number + 0)
SCALARS = st.one_of(st.text(), NUMBERS, st.binary(), st.booleans(), st.none())
SETS = st.one_of(st.sets(st.text(), min_size=1), st.sets(NUMBERS, min_size=1), st.sets(st.binary(), min_size=1))
VALUES = st.recursive(
    st.one_of(SCALARS, SETS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(min_size=1), inner, max_size=4)),
    max_leaves=12,
)


def as_wire(value: Any) -> Any:
    """boto3 holds blobs as bytes until botocore writes them; on the wire they are base64 text."""
    if isinstance(value, Binary):
        return b64encode(value.value).decode()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {name: as_wire(member) for name, member in value.items()}
    return [as_wire(member) for member in value] if isinstance(value, list) else value


def from_wire(value: AttributeValue) -> dict[str, Any]:
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {kind: b64decode(content)}
        case "BS":
            return {kind: [b64decode(member) for member in content]}
        case "L":
            return {kind: [from_wire(member) for member in content]}
        case "M":
            return {kind: {name: from_wire(member) for name, member in content.items()}}
        case _:
            return {kind: content}


def plain(value: Any) -> Any:
    """boto3 gives blobs in a wrapper of its own."""
    if isinstance(value, Binary):
        return value.value
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list | set):
        return type(value)(plain(member) for member in value)
    return value


@given(VALUES)
def test_we_read_what_boto3_writes(value: Any) -> None:
    wire = normalize_value(as_wire(TypeSerializer().serialize(value)))
    assert wire == marshal(value)
    assert unmarshal(wire) == value


@given(VALUES)
def test_boto3_reads_what_we_write(value: Any) -> None:
    assert plain(TypeDeserializer().deserialize(from_wire(marshal(value)))) == value


ITEM = {
    "PK": "x",
    "n": Decimal(5),
    "status": "open",
    "tags": {"red"},
    "line": [Decimal(1), {"deep": "x"}],
    "attrs": {"size": Decimal(3)},
}
CONDITIONS: list[tuple[Any, bool]] = [
    (Attr("n").eq(5), True),
    (Attr("n").ne(5), False),
    (Attr("n").lt(6) & Attr("n").lte(5) & Attr("n").gt(4) & Attr("n").gte(5), True),
    (Attr("status").begins_with("op"), True),
    (Attr("n").between(5, 6), True),
    (Attr("n").is_in([1, 2, 5]), True),
    (Attr("absent").exists() | Attr("PK").not_exists(), False),
    (Attr("tags").contains("red"), True),
    (Attr("line").size().eq(2), True),
    (Attr("attrs").attribute_type("M"), True),
    (Attr("line[1].deep").eq("x") & Attr("attrs.size").eq(3), True),
    (~(Attr("n").eq(5) | Attr("n").eq(6)), False),
    (~Attr("n").eq(6) & (Attr("status").eq("open") | Attr("absent").exists()), True),
]


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_we_understand_boto3s_conditions(condition: Any, holds: bool) -> None:
    built = ConditionExpressionBuilder().build_expression(condition)
    values = {key: marshal(value) for key, value in built.attribute_value_placeholders.items()} or None
    placeholders = Placeholders(built.attribute_name_placeholders, values)
    assert parse_condition(built.condition_expression, placeholders).holds(marshal_item(ITEM)) is holds
    placeholders.check_all_used()


Make = Callable[[Any], Any]


@pytest.mark.parametrize(
    ("sort", "demanded"),
    [
        (lambda key: key.eq("b"), SortCondition("=", ({"S": "b"},))),
        (lambda key: key.lt("b"), SortCondition("<", ({"S": "b"},))),
        (lambda key: key.lte("b"), SortCondition("<=", ({"S": "b"},))),
        (lambda key: key.gt("b"), SortCondition(">", ({"S": "b"},))),
        (lambda key: key.gte("b"), SortCondition(">=", ({"S": "b"},))),
        (lambda key: key.between("a", "b"), SortCondition("BETWEEN", ({"S": "a"}, {"S": "b"}))),
        (lambda key: key.begins_with("b"), SortCondition("begins_with", ({"S": "b"},))),
    ],
)
def test_we_understand_boto3s_key_conditions(sort: Make, demanded: SortCondition) -> None:
    condition = Key("PK").eq("x") & sort(Key("SK"))
    built = ConditionExpressionBuilder().build_expression(condition, is_key_condition=True)
    placeholders = Placeholders(
        built.attribute_name_placeholders,
        {key: marshal(value) for key, value in built.attribute_value_placeholders.items()},
    )
    parsed = parse_key_condition(built.condition_expression, placeholders, partition_key="PK", sort_key="SK")
    placeholders.check_all_used()
    assert parsed == KeyCondition({"S": "x"}, demanded)
