"""Conditions of statements: WHERE, as conditions on items.

What each function does is the expression language's (``core/expression``). That ``IS NULL`` asks for the null value
and not for absence, that an absent attribute's negation holds, and that conditions can be compared with booleans
was recorded from AWS by floci-io/floci (``DynamoDbPartiQL...IntegrationTest``, eu-west-2, 2026-09-17).
"""

from dataclasses import dataclass
from typing import cast

from duestream.core.expression.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConstantOperand,
    Exists,
    HasType,
    Not,
    Operand,
    PathOperand,
    between_of,
    comparison_of,
    function_of,
    one_of,
    size_of,
)
from duestream.core.expression.lexer import ExpressionProblem
from duestream.core.partiql.syntax import (
    BetweenTerm,
    CallTerm,
    ConstantTerm,
    InfixTerm,
    IsTerm,
    JoinTerm,
    ListTerm,
    NotTerm,
    ParameterTerm,
    PathTerm,
    Term,
)
from duestream.core.partiql.values import Parameters, is_value, parameter_of, value_of
from duestream.core.record import AttributeValue, Item
from duestream.errors import ValidationException

_FUNCTIONS = ("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains")
_COMPARATORS = ("=", "<>", "<", "<=", ">", ">=")
_TYPE_NAMES = ("N", "BS", "L", "B", "NULL", "M", "S", "SS", "NS", "BOOL")
#: What IS asks for: attribute types.
_IS_TYPES = {
    "NULL": "NULL",
    "BOOL": "BOOL",
    "BOOLEAN": "BOOL",
    "BLOB": "B",
    "STRING": "S",
    "NUMERIC": "N",
    "STRUCT": "M",
    "TUPLE": "M",
    "LIST": "L",
}
_NAMES_OF_IS = "[MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]"


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether a condition holds, as an operand of another."""

    condition: Condition

    def value_in(self, item: Item) -> AttributeValue | None:
        return {"BOOL": self.condition.holds(item)}


@dataclass(frozen=True, slots=True)
class IfPresent:
    """Asks nothing of an item that does not exist: a DELETE of nothing is fine whatever it demands."""

    part: Condition

    def holds(self, item: Item) -> bool:
        return not item or self.part.holds(item)


def bind_condition(term: Term, parameters: Parameters) -> Condition:
    """Put the parameters into a condition and check its operands.

    Raises:
        ValidationException: with AWS's text.
    """
    try:
        return _bind(term, parameters)
    except ExpressionProblem as problem:
        raise ValidationException(problem.text) from None


def _bind(term: Term, parameters: Parameters) -> Condition:
    match term:
        case JoinTerm("AND", parts):
            return AllOf(tuple(_bind(part, parameters) for part in parts))
        case JoinTerm(_, parts):
            return AnyOf(tuple(_bind(part, parameters) for part in parts))
        case NotTerm(part):
            return Not(_bind(part, parameters))
        case IsTerm(operand, type_name):
            return _bind_is(_operand(operand, parameters), type_name)
        case BetweenTerm(operand, low, high):
            operands = [_operand(each, parameters) for each in (operand, low, high)]
            _refuse_truths("BETWEEN", *operands)
            return between_of(*operands)
        case InfixTerm("IN", left, right):
            return one_of(_operand(left, parameters), _candidates(right, parameters))
        case InfixTerm(operator, left, right) if operator in _COMPARATORS:
            return _compare(operator, _operand(left, parameters), _operand(right, parameters))
        case CallTerm(name) if name in _FUNCTIONS:
            return _bind_call(term, parameters)
        case CallTerm(name, _, place) if name != "size":
            raise _unrecognized(name, place)
        case InfixTerm(operator):
            raise ValidationException(f"Unsupported operator in Condition Expression. Operator: {operator}")
        case _:
            raise ValidationException("Unsupported token in expression: a value is no condition")


def _bind_is(operand: Operand, type_name: str) -> Condition:
    if type_name == "MISSING":
        if not isinstance(operand, PathOperand):
            raise ExpressionProblem(
                "Operator or function requires a document path; operator or function: attribute_not_exists"
            )
        return Exists(operand.path, "attribute_not_exists")
    if type_name not in _IS_TYPES:
        raise ExpressionProblem(
            f"Unsupported data type for IS operator: {type_name}. Supported data types are {_NAMES_OF_IS}"
        )
    return HasType(operand, _IS_TYPES[type_name])


def _compare(operator: str, left: Operand, right: Operand) -> Condition:
    if operator not in ("=", "<>"):
        _refuse_truths(operator, left, right)
    return comparison_of(operator, left, right)


def _refuse_truths(operator: str, *operands: Operand) -> None:
    if any(isinstance(operand, Truth) for operand in operands):
        raise ExpressionProblem(
            f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: BOOL"
        )


def _candidates(term: Term, parameters: Parameters) -> tuple[Operand, ...]:
    if isinstance(term, ListTerm):
        return tuple(_operand(member, parameters) for member in term.members)
    if isinstance(term, ParameterTerm):
        value = parameter_of(term, parameters)
        if "L" in value:
            return tuple(ConstantOperand(member) for member in value["L"])
    return (_operand(term, parameters),)


def _bind_call(term: CallTerm, parameters: Parameters) -> Condition:
    operands = [_operand(argument, parameters) for argument in term.arguments]
    if term.name == "attribute_type" and len(operands) == 2:
        named = operands[1]
        if isinstance(named, ConstantOperand) and named.value.get("S", "N") not in _TYPE_NAMES:
            raise ExpressionProblem(
                f"Invalid attribute type name found; type: {named.value['S']}, valid types: {{{','.join(_TYPE_NAMES)}}}"
            )
    return function_of(term.name, operands)


def _operand(term: Term, parameters: Parameters) -> Operand:
    match term:
        case PathTerm(path):
            return PathOperand(path)
        case ConstantTerm(_, is_missing=True):
            raise ExpressionProblem("Unsupported token in expression: MISSING")
        case CallTerm("size", arguments):
            return size_of([_operand(argument, parameters) for argument in arguments])
        case _ if is_value(term):
            return ConstantOperand(value_of(term, parameters))
        case _:
            return cast("Operand", Truth(_bind(term, parameters)))


def _unrecognized(name: str, place: str) -> ValidationException:
    return ValidationException(f"Unrecognized function: {name} at {place}")


def parts_of(condition: Condition | None) -> list[Condition]:
    """The conditions that are joined by AND, however they are put in parentheses."""
    if condition is None:
        return []
    if isinstance(condition, AllOf):
        return [single for part in condition.parts for single in parts_of(part)]
    return [condition]


def joined(parts: list[Condition]) -> Condition | None:
    """One condition of several, all of which must hold."""
    return AllOf(tuple(parts)) if len(parts) > 1 else (parts[0] if parts else None)
