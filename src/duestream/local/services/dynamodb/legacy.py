"""The parameters of before 2014: Expected, AttributeUpdates, KeyConditions, QueryFilter, ScanFilter, AttributesToGet.

Each is read into what the expression that took its place is read into. The rules and their texts were recorded from
AWS by dynalite's tests (``test/putItem.js``, ``test/query.js``, ``test/scan.js``), by extenddb's tests of
ConditionalOperator against AWS (2026) and by paritysuite/dynamodb-conformance (``legacy-api``, 2026-10-09); what an
operator does to an absent attribute by Alternator (``test_expected.py``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from duestream.core.attributes import compare_values, normalize_value
from duestream.core.expression import Condition, Projection, SortCondition, Update
from duestream.core.expression.conditions import (
    AllOf,
    AnyOf,
    BeginsWith,
    Between,
    Comparison,
    ConstantOperand,
    Contains,
    Exists,
    Not,
    OneOf,
    PathOperand,
)
from duestream.core.expression.projections import projection_of
from duestream.core.expression.updates import Action, Add, Constant, Delete, Remove, Set
from duestream.core.record import AttributeValue
from duestream.errors import ValidationException
from duestream.local.services.dynamodb.requests import INVALID

_TYPE_MISMATCH = "Type mismatch for attribute to update"
_NOT_INDEXABLE = "Attempted conditional constraint is not an indexable operation"
_COMPARATORS = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_KEY_OPERATORS = {
    "EQ": "=",
    "LT": "<",
    "LE": "<=",
    "GT": ">",
    "GE": ">=",
    "BETWEEN": "BETWEEN",
    "BEGINS_WITH": "begins_with",
}
#: The least and the greatest number of values; one is what the operators that are not here take.
_ARGUMENTS = {"NULL": (0, 0), "NOT_NULL": (0, 0), "BETWEEN": (2, 2), "IN": (1, None)}
#: The types that an operator takes; those that are not here take all.
_TYPES = {
    **dict.fromkeys(("LE", "LT", "GE", "GT", "CONTAINS", "NOT_CONTAINS", "IN", "BETWEEN"), ("S", "N", "B")),
    "BEGINS_WITH": ("S", "B"),
}
_SETS = ("SS", "NS", "BS")
_ADDED = ("L", "N", *_SETS)


def refuse_mixing(parameters: Mapping[str, Any], expressions: Sequence[str], legacy: Sequence[str]) -> None:
    """Refuse legacy parameters beside expressions.

    Args:
        expressions, legacy: the operation's parameters of either kind, in the order AWS names them.

    Raises:
        ValidationException: the request has both kinds. KeyConditions may stand beside every other expression.
    """
    if parameters.keys().isdisjoint(legacy):
        return
    given = [name for name in expressions if name in parameters]
    mixed = [
        name
        for name in legacy
        if name in parameters and (name != "KeyConditions" or "KeyConditionExpression" in parameters)
    ]
    if given and mixed:
        raise ValidationException(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(mixed)}}} Expression parameters: {{{', '.join(given)}}}"
        )


def check_conditional_operator(parameters: Mapping[str, Any], conditions: str) -> None:
    """Refuse ConditionalOperator where it joins nothing.

    Args:
        conditions: the operation's parameter that has the conditions.

    Raises:
        ValidationException: there are fewer than two conditions.
    """
    if "ConditionalOperator" not in parameters:
        return
    given = parameters.get(conditions) or {}
    if not given:
        raise ValidationException("ConditionalOperator cannot be used without Filter or Expected")
    if len(given) == 1:
        raise ValidationException(
            "ConditionalOperator can only be used when Filter or Expected has two or more elements"
        )


def expected_condition(parameters: Mapping[str, Any]) -> Condition | None:
    """The condition that Expected makes; None: there is none.

    Raises:
        ValidationException: what is expected of an attribute contradicts itself.
    """
    expected: Mapping[str, Mapping[str, Any]] | None = parameters.get("Expected")
    if not expected:
        return None
    return _joined(parameters, [_expectation(name, demand) for name, demand in expected.items()])


def filter_condition(parameters: Mapping[str, Any], name: str) -> Condition | None:
    """The condition that QueryFilter or ScanFilter makes; None: there is none.

    Raises:
        ValidationException: a comparison is not one.
    """
    demands: Mapping[str, Mapping[str, Any]] | None = parameters.get(name)
    if not demands:
        return None
    return _joined(parameters, [_comparison(attribute, *_checked(demand)) for attribute, demand in demands.items()])


def _joined(parameters: Mapping[str, Any], parts: list[Condition]) -> Condition:
    if len(parts) == 1:
        return parts[0]
    return AnyOf(tuple(parts)) if parameters.get("ConditionalOperator") == "OR" else AllOf(tuple(parts))


def _expectation(name: str, demand: Mapping[str, Any]) -> Condition:
    problem = _contradiction(demand)
    if problem is not None:
        raise ValidationException(f"{INVALID}{problem} for Attribute: {name}")
    if "ComparisonOperator" in demand:
        values = demand.get("AttributeValueList", [demand["Value"]] if "Value" in demand else [])
        return _comparison(name, *_checked({**demand, "AttributeValueList": values}))
    if "Value" not in demand:
        return Exists((name,), "attribute_not_exists")
    return Comparison("=", PathOperand((name,)), ConstantOperand(normalize_value(demand["Value"])))


def _contradiction(demand: Mapping[str, Any]) -> str | None:
    operator, exists = demand.get("ComparisonOperator"), demand.get("Exists")
    if "AttributeValueList" in demand and "Value" in demand:
        return "Value and AttributeValueList cannot be used together"
    if operator is not None:
        if exists is not None:
            return "Exists and ComparisonOperator cannot be used together"
        if operator not in ("NULL", "NOT_NULL") and "AttributeValueList" not in demand and "Value" not in demand:
            return f"Value or AttributeValueList must be used with ComparisonOperator: {operator}"
        return None
    if "AttributeValueList" in demand:
        return "AttributeValueList can only be used with a ComparisonOperator"
    if exists is not False and "Value" not in demand:
        return f"Value must be provided when Exists is {'null' if exists is None else 'true'}"
    if exists is False and "Value" in demand:
        return "Value cannot be used when Exists is false"
    return None


def _checked(demand: Mapping[str, Any]) -> tuple[str, list[AttributeValue]]:
    """The operator of a comparison and its values, in normal form."""
    operator: str = demand["ComparisonOperator"]
    values = [normalize_value(value) for value in demand.get("AttributeValueList", ())]
    least, most = _ARGUMENTS.get(operator, (1, 1))
    if len(values) < least or (most is not None and len(values) > most):
        raise ValidationException(f"{INVALID}Invalid number of argument(s) for the {operator} ComparisonOperator")
    kinds = [next(iter(value)) for value in values]
    if len(set(kinds)) > 1:
        raise ValidationException(f"{INVALID}AttributeValues inside AttributeValueList must be of same type")
    for kind in kinds:
        if kind not in _TYPES.get(operator, (kind,)):
            raise ValidationException(
                f"{INVALID}ComparisonOperator {operator} is not valid for {kind} AttributeValue type"
            )
    if operator == "BETWEEN" and (compare_values(*values) or 0) > 0:
        raise ValidationException(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
        )
    return operator, values


def _comparison(name: str, operator: str, values: list[AttributeValue]) -> Condition:
    path = PathOperand((name,))
    operands = [ConstantOperand(value) for value in values]
    match operator:
        case "NULL":
            return Exists((name,), "attribute_not_exists")
        case "NOT_NULL":
            return Exists((name,), "attribute_exists")
        case "BETWEEN":
            return Between(path, *operands)
        case "IN":
            return OneOf(path, tuple(operands))
        case "BEGINS_WITH":
            return BeginsWith(path, *operands)
        case "CONTAINS":
            return Contains(path, *operands)
        case "NOT_CONTAINS":  # what is not there contains nothing, and does not not contain it either
            return AllOf((Exists((name,), "attribute_exists"), Not(Contains(path, *operands))))
        case _:
            return Comparison(_COMPARATORS[operator], path, *operands)


# Keys -------------------------------------------------------------------------------------------------


def key_demands(parameters: Mapping[str, Any]) -> dict[str, SortCondition]:
    """What KeyConditions demand, by attribute, before it is known which are the key's.

    Raises:
        ValidationException: a comparison is not one, or none that keys can be looked up by.
    """
    demands = {name: _checked(demand) for name, demand in parameters["KeyConditions"].items()}
    if not demands or (len(demands) > 2 and "IndexName" not in parameters):  # an index may have a key of up to eight
        raise ValidationException("Conditions can be of length 1 or 2 only")
    return {name: SortCondition(_key_operator(operator), tuple(values)) for name, (operator, values) in demands.items()}


def _key_operator(operator: str) -> str:
    if operator not in _KEY_OPERATORS:
        raise ValidationException(_NOT_INDEXABLE)
    return _KEY_OPERATORS[operator]


# Projections and updates ------------------------------------------------------------------------------


def legacy_projection(parameters: Mapping[str, Any]) -> Projection | None:
    """The projection of AttributesToGet; None: there is none.

    Raises:
        ValidationException: a name is there twice.
    """
    names: list[str] | None = parameters.get("AttributesToGet")
    if names is None:
        return None
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValidationException(f"{INVALID}Duplicate value in attribute name: {name}")
    return projection_of((name,) for name in names)


def attribute_updates(parameters: Mapping[str, Any]) -> Update | None:
    """The update of AttributeUpdates; None: there is none.

    Raises:
        ValidationException: an action does not go with its value.
    """
    updates: Mapping[str, Mapping[str, Any]] | None = parameters.get("AttributeUpdates")
    if not updates:
        return None
    return Update(tuple(_action(name, update) for name, update in updates.items()))


def _action(name: str, update: Mapping[str, Any]) -> Action:
    action = update.get("Action", "PUT")
    if "Value" not in update:
        if action != "DELETE":
            raise ValidationException(f"{INVALID}Only DELETE action is allowed when no attribute value is specified")
        return Remove((name,))
    value = normalize_value(update["Value"])
    kind = next(iter(value))
    if action == "DELETE":
        if kind not in _SETS:
            raise ValidationException(f"{INVALID}DELETE action with value is not supported for the type {kind}")
        return Delete((name,), value, _TYPE_MISMATCH)
    if action == "ADD":
        if kind not in _ADDED:
            raise ValidationException(f"{INVALID}ADD action is not supported for the type {kind}")
        return Add((name,), value, _TYPE_MISMATCH)
    return Set((name,), Constant(value))
