"""Key conditions: which partition a query reads, and which part of it.

The rules, their texts and their order were measured against AWS by dynalite (``test/query.js``), how many
conditions there may be by paritysuite/dynamodb-conformance (``queryKeyConditionOperands``, eu-west-2, 2026-10).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt

from duestream.core.attributes import compare_values
from duestream.core.expression.conditions import (
    AllOf,
    AnyOf,
    BeginsWith,
    Between,
    Comparison,
    Condition,
    ConstantOperand,
    Contains,
    Exists,
    HasType,
    Not,
    OneOf,
    Operand,
    PathOperand,
    SizeOperand,
    begins_with,
    bind_condition,
)
from duestream.core.expression.lexer import ExpressionProblem
from duestream.core.expression.parser import parse_condition_text
from duestream.core.expression.placeholders import Placeholders
from duestream.core.record import AttributeValue
from duestream.errors import ValidationException

MAX_KEY_CONDITIONS = 2

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_IS_IN_ORDER: Mapping[str, Callable[[int, int], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


@dataclass(frozen=True, slots=True)
class SortCondition:
    """What a query demands of the sort key.

    `operator` is one of ``= < <= > >= BETWEEN begins_with``; `values` has two members for BETWEEN, else one.
    """

    operator: str
    values: tuple[AttributeValue, ...]

    def holds(self, value: AttributeValue) -> bool:
        """Say whether a sort key's value is as demanded."""
        if self.operator == "begins_with":
            return begins_with(value, self.values[0])
        order = compare_values(value, self.values[0])
        if order is None:
            return False
        if self.operator == "BETWEEN":
            below = compare_values(value, self.values[1])
            return below is not None and order >= 0 >= below
        return _IS_IN_ORDER[self.operator](order, 0)


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """The partition's key, and what is demanded of the sort key, if anything."""

    partition: AttributeValue
    sort: SortCondition | None

    def check_types(self, *, partition_key_type: str, sort_key_type: str | None) -> None:
        """Compare the values' types with the table's key schema (S, N or B).

        Raises:
            ValidationException: a value has another type than the key.
        """
        demanded = [(self.partition, partition_key_type)]
        if self.sort is not None and sort_key_type is not None:
            demanded += [(value, sort_key_type) for value in self.sort.values]
        if any(kind not in value for value, kind in demanded):
            raise ValidationException(
                "One or more parameter values were invalid: Condition parameter type does not match schema type"
            )


def parse_key_condition(
    text: str, placeholders: Placeholders, *, partition_key: str, sort_key: str | None
) -> KeyCondition:
    """Read a KeyConditionExpression.

    Args:
        text: the expression.
        placeholders: of the request; what is used is marked as used.
        partition_key: name of the table's (or index's) partition key.
        sort_key: name of its sort key, if it has one.

    Raises:
        ValidationException: with AWS's text.
    """
    demands = parse_key_demands(text, placeholders)()
    return key_condition_of(demands, partition_key=partition_key, sort_key=sort_key)


def parse_key_demands(text: str, placeholders: Placeholders) -> Callable[[], dict[str, SortCondition]]:
    """Read a KeyConditionExpression for which the key is not known yet.

    Returns:
        What gives the demands by attribute. It raises ValidationException for what AWS finds only when all other
        expressions are read: that a condition is none that keys can be looked up by.

    Raises:
        ValidationException: with AWS's text.
    """
    try:
        condition = bind_condition(parse_condition_text(text), placeholders)
    except ExpressionProblem as problem:
        raise ValidationException(f"Invalid KeyConditionExpression: {problem.text}") from None
    return lambda: _demands(condition)


def _demands(condition: Condition) -> dict[str, SortCondition]:
    by_attribute: dict[str, SortCondition] = {}
    for part in _parts(condition):
        name, demand = _key_demand(part)
        if name in by_attribute:
            raise ValidationException(
                "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"
            )
        by_attribute[name] = demand
    return by_attribute


def key_condition_of(demands: Mapping[str, SortCondition], *, partition_key: str, sort_key: str | None) -> KeyCondition:
    """Tell the demand on the partition key from that on the sort key.

    Raises:
        ValidationException: there are others, none on the partition key, or one that is no equality.
    """
    most = 1 if sort_key is None else MAX_KEY_CONDITIONS
    if len(demands) > most:
        raise ValidationException(
            f"The number of query conditions ({len(demands)}) exceeds "
            f"the number of key attributes defined in the schema ({most})"
        )
    if partition_key not in demands:
        raise ValidationException(f"Query condition missed key schema element: {partition_key}")
    if len(demands) == MAX_KEY_CONDITIONS and sort_key not in demands:
        if sort_key is None:
            raise ValidationException("Query key condition not supported")
        raise ValidationException(f"Query condition missed key schema element: {sort_key}")
    partition = demands[partition_key]
    if partition.operator != "=":
        raise ValidationException("Query key condition not supported")
    return KeyCondition(partition.values[0], demands.get(sort_key) if sort_key is not None else None)


def _parts(condition: Condition) -> Iterator[Condition]:
    """Give the single conditions joined by AND; nothing else may join them."""
    match condition:
        case AllOf(parts):
            for part in parts:
                yield from _parts(part)
        case AnyOf():
            raise _invalid_operator("OR")
        case Not():
            raise _invalid_operator("NOT")
        case OneOf():
            raise _invalid_operator("IN")
        case Comparison("<>", _, _):
            raise _invalid_operator("<>")
        case Contains():
            raise _invalid_operator("contains")
        case HasType():
            raise _invalid_operator("attribute_type")
        case Exists(_, function):
            raise _invalid_operator(function)
        case _:
            yield condition


def _invalid_operator(operator: str) -> ValidationException:
    return ValidationException(f"Invalid operator used in KeyConditionExpression: {operator}")


def _key_demand(condition: Condition) -> tuple[str, SortCondition]:
    match condition:
        case Comparison(operator, left, right):
            name, values = _name_and_values(left, right)
            if not isinstance(left, PathOperand):
                operator = _MIRRORED[operator]
            return name, SortCondition(operator, values)
        case Between(operand, low, high):
            _check_key_comes_first("BETWEEN", operand)
            name, values = _name_and_values(operand, low, high)
            return name, SortCondition("BETWEEN", values)
        case BeginsWith(operand, prefix):
            _check_key_comes_first("begins_with", operand)
            name, values = _name_and_values(operand, prefix)
            return name, SortCondition("begins_with", values)
    raise AssertionError(f"{condition} cannot stand in a key condition")


def _check_key_comes_first(operator: str, operand: Operand) -> None:
    if isinstance(operand, ConstantOperand):
        raise ValidationException(
            f"Invalid condition in KeyConditionExpression: {operator} operator must have the key attribute "
            "as its first operand"
        )


def _name_and_values(*operands: Operand) -> tuple[str, tuple[AttributeValue, ...]]:
    name: str | None = None
    values: list[AttributeValue] = []
    for operand in operands:
        match operand:
            case SizeOperand():
                raise ValidationException("KeyConditionExpressions cannot contain nested operations")
            case ConstantOperand(value):
                values.append(value)
            case PathOperand(path):
                if name is not None:
                    raise ValidationException(
                        "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"
                    )
                if len(path) > 1:
                    raise ValidationException("KeyConditionExpressions cannot have conditions on nested attributes")
                name = str(path[0])
    if name is None:
        raise ValidationException("Invalid condition in KeyConditionExpression: No key attribute specified")
    return name, tuple(values)
