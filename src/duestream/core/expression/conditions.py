"""Conditions and filters: putting the placeholders in, refusing what can never be, and asking an item.

Sources: Developer Guide, "Condition and filter expressions, operators, and functions"; the texts of the
errors and which comes first were measured by dynalite (``test/query.js``), what an absent attribute does to
a comparison by Alternator (``test_condition_expression.py``).
"""

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import ge, gt, le, lt
from typing import Protocol

from duestream.core.attributes import compare_values
from duestream.core.expression.lexer import ExpressionProblem
from duestream.core.expression.parser import parse_condition_text
from duestream.core.expression.paths import Path, shown, value_at
from duestream.core.expression.placeholders import Placeholders
from duestream.core.expression.syntax import (
    AllSyntax,
    AnySyntax,
    BetweenSyntax,
    ComparisonSyntax,
    ConditionSyntax,
    FunctionSyntax,
    InSyntax,
    NotSyntax,
    OperandSyntax,
    PathSyntax,
    ValueSyntax,
)
from duestream.core.record import AttributeValue, Item
from duestream.errors import ValidationException

MAX_IN_OPERANDS = 100

_NUMBERS_OF_OPERANDS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
}
_TYPES = ("B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M")
_ORDERED_TYPES = ("S", "N", "B")
_IS_IN_ORDER: Mapping[str, Callable[[int, int], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


class Condition(Protocol):
    """A condition with its placeholders put in."""

    def holds(self, item: Item) -> bool:
        """Say whether an item is as the condition demands. An item that does not exist is asked as ``{}``."""


def parse_condition(text: str, placeholders: Placeholders, *, parameter: str = "ConditionExpression") -> Condition:
    """Read a condition or filter.

    Args:
        text: the expression.
        placeholders: of the request; what is used is marked as used.
        parameter: the request's parameter, as AWS names it in the errors.

    Raises:
        ValidationException: with AWS's text.
    """
    try:
        return bind_condition(parse_condition_text(text), placeholders)
    except ExpressionProblem as problem:
        raise ValidationException(f"Invalid {parameter}: {problem.text}") from None


# ---- operands ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PathOperand:
    path: Path

    def value_in(self, item: Item) -> AttributeValue | None:
        return value_at(item, self.path)


@dataclass(frozen=True, slots=True)
class ConstantOperand:
    value: AttributeValue

    def value_in(self, item: Item) -> AttributeValue | None:
        return self.value


@dataclass(frozen=True, slots=True)
class SizeOperand:
    operand: "Operand"

    def value_in(self, item: Item) -> AttributeValue | None:
        value = self.operand.value_in(item)
        size = _size(value) if value is not None else None
        return {"N": str(size)} if size is not None else None


Operand = PathOperand | ConstantOperand | SizeOperand


def _size(value: AttributeValue) -> int | None:
    """Count UTF-16 units, bytes or members; numbers, booleans and nulls have no size.

    Source of the UTF-16 units: paritysuite/dynamodb-conformance, ``tier1/query/expressions`` (eu-west-2, 2026-09-11).
    """
    ((kind, content),) = value.items()
    if kind in ("N", "BOOL", "NULL"):
        return None
    if kind == "S":
        return len(content) if content.isascii() else len(content.encode("utf-16-le", "surrogatepass")) // 2
    return len(b64decode(content)) if kind == "B" else len(content)


# ---- conditions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Condition, ...]

    def holds(self, item: Item) -> bool:
        # no generator: conditions nest deep, and each would take a place on the stack
        for part in self.parts:  # noqa: SIM110
            if not part.holds(item):
                return False
        return True


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]

    def holds(self, item: Item) -> bool:
        for part in self.parts:  # noqa: SIM110 - as in AllOf
            if part.holds(item):
                return True
        return False


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition

    def holds(self, item: Item) -> bool:
        return not self.part.holds(item)


@dataclass(frozen=True, slots=True)
class Comparison:
    """An absent attribute is equal to nothing, comes before and after nothing, and differs from everything."""

    operator: str
    left: Operand
    right: Operand

    def holds(self, item: Item) -> bool:
        left, right = self.left.value_in(item), self.right.value_in(item)
        if self.operator == "=":
            return left is not None and left == right
        if self.operator == "<>":
            return left is None or left != right
        if left is None or right is None:
            return False
        order = compare_values(left, right)
        return order is not None and _IS_IN_ORDER[self.operator](order, 0)


@dataclass(frozen=True, slots=True)
class Between:
    operand: Operand
    low: Operand
    high: Operand

    def holds(self, item: Item) -> bool:
        value, low, high = self.operand.value_in(item), self.low.value_in(item), self.high.value_in(item)
        if value is None or low is None or high is None:
            return False
        above, below = compare_values(value, low), compare_values(value, high)
        return above is not None and below is not None and above >= 0 >= below


@dataclass(frozen=True, slots=True)
class OneOf:
    operand: Operand
    candidates: tuple[Operand, ...]

    def holds(self, item: Item) -> bool:
        value = self.operand.value_in(item)
        return value is not None and any(value == candidate.value_in(item) for candidate in self.candidates)


@dataclass(frozen=True, slots=True)
class Exists:
    path: Path
    function: str

    def holds(self, item: Item) -> bool:
        return (value_at(item, self.path) is not None) == (self.function == "attribute_exists")


@dataclass(frozen=True, slots=True)
class HasType:
    operand: Operand
    kind: str

    def holds(self, item: Item) -> bool:
        value = self.operand.value_in(item)
        return value is not None and self.kind in value


@dataclass(frozen=True, slots=True)
class BeginsWith:
    operand: Operand
    prefix: Operand

    def holds(self, item: Item) -> bool:
        value, prefix = self.operand.value_in(item), self.prefix.value_in(item)
        return value is not None and prefix is not None and begins_with(value, prefix)


@dataclass(frozen=True, slots=True)
class Contains:
    container: Operand
    member: Operand

    def holds(self, item: Item) -> bool:
        container, member = self.container.value_in(item), self.member.value_in(item)
        return container is not None and member is not None and _contains(container, member)


def begins_with(value: AttributeValue, prefix: AttributeValue) -> bool:
    """Say whether text begins with text, or bytes with bytes."""
    if "S" in value and "S" in prefix:
        text: str = value["S"]
        return text.startswith(prefix["S"])
    return "B" in value and "B" in prefix and b64decode(value["B"]).startswith(b64decode(prefix["B"]))


def _contains(container: AttributeValue, member: AttributeValue) -> bool:
    ((kind, content),) = container.items()
    ((member_kind, member_content),) = member.items()
    if kind == "L":
        return member in content
    if kind == "B" and member_kind == "B":
        return b64decode(member_content) in b64decode(content)
    if kind == "S" or kind == member_kind + "S":
        return (kind != "S" or member_kind == "S") and member_content in content
    return False


# ---- putting the placeholders in -----------------------------------------------------------------


def bind_condition(syntax: ConditionSyntax, placeholders: Placeholders) -> Condition:
    """Put the placeholders into a condition and check its operands, from left to right.

    Raises:
        ExpressionProblem: with AWS's text, without the name of the parameter.
    """
    match syntax:
        case AllSyntax(parts):
            return AllOf(tuple(map(bind_condition, parts, repeat(placeholders))))
        case AnySyntax(parts):
            return AnyOf(tuple(map(bind_condition, parts, repeat(placeholders))))
        case NotSyntax(part):
            return Not(bind_condition(part, placeholders))
        case ComparisonSyntax(operator, left, right):
            return comparison_of(operator, bind_operand(left, placeholders), bind_operand(right, placeholders))
        case BetweenSyntax(operand, low, high):
            return between_of(*(bind_operand(each, placeholders) for each in (operand, low, high)))
        case InSyntax(operand, candidates):
            return _bind_in(operand, candidates, placeholders)
        case FunctionSyntax():
            return _bind_function(syntax, placeholders)


def bind_operand(syntax: OperandSyntax, placeholders: Placeholders) -> Operand:
    """Put the placeholders into an operand; errors as in `bind_condition`."""
    match syntax:
        case PathSyntax():
            return PathOperand(placeholders.path(syntax))
        case ValueSyntax():
            return ConstantOperand(placeholders.value(syntax))
        case FunctionSyntax(name, arguments):
            return size_of([bind_operand(argument, placeholders) for argument in arguments], name)


# ---- checking operands that are bound already ----------------------------------------------------


def size_of(operands: Sequence[Operand], name: str = "size") -> SizeOperand:
    """How large an operand is; errors as in `bind_condition`."""
    _check_number_of_operands(name, len(operands))
    _check_type(name, operands[0], ("S", "B", "SS", "NS", "BS", "L", "M"))
    return SizeOperand(operands[0])


def comparison_of(operator: str, left: Operand, right: Operand) -> Condition:
    """A comparison; errors as in `bind_condition`."""
    _check_distinct(operator, left, right)
    if operator not in ("=", "<>"):
        _check_type(operator, left, _ORDERED_TYPES)
        _check_type(operator, right, _ORDERED_TYPES)
    return Comparison(operator, left, right)


def between_of(operand: Operand, low: Operand, high: Operand) -> Condition:
    """A range with both its ends; errors as in `bind_condition`."""
    for each in (operand, low, high):
        _check_type("BETWEEN", each, _ORDERED_TYPES)
    if isinstance(low, ConstantOperand) and isinstance(high, ConstantOperand):
        order = compare_values(low.value, high.value)
        if order is None or order > 0:
            demand = (
                "same data type for lower and upper bounds"
                if order is None
                else "upper bound to be greater than or equal to lower bound"
            )
            raise ExpressionProblem(
                f"The BETWEEN operator requires {demand}; lower bound operand: AttributeValue: "
                f"{_shown_value(low.value)}, upper bound operand: AttributeValue: {_shown_value(high.value)}"
            )
    return Between(operand, low, high)


def _bind_in(operand: OperandSyntax, candidates: tuple[OperandSyntax, ...], placeholders: Placeholders) -> Condition:
    bound = bind_operand(operand, placeholders)
    return one_of(bound, tuple(bind_operand(candidate, placeholders) for candidate in candidates))


def one_of(operand: Operand, candidates: tuple[Operand, ...]) -> Condition:
    """Equality with one of several; errors as in `bind_condition`."""
    if len(candidates) > MAX_IN_OPERANDS:
        raise ExpressionProblem(
            f"The IN operator is provided with too many operands; number of operands: {len(candidates)}"
        )
    return OneOf(operand, candidates)


def _bind_function(syntax: FunctionSyntax, placeholders: Placeholders) -> Condition:
    return function_of(syntax.name, [bind_operand(argument, placeholders) for argument in syntax.arguments])


def function_of(name: str, operands: Sequence[Operand]) -> Condition:
    """A function that says yes or no; errors as in `bind_condition`."""
    _check_number_of_operands(name, len(operands))
    first = operands[0]
    if len(operands) == 2:
        _check_distinct(name, first, operands[1])
    match name:
        case "attribute_exists" | "attribute_not_exists":
            if not isinstance(first, PathOperand):
                raise ExpressionProblem(f"Operator or function requires a document path; operator or function: {name}")
            return Exists(first.path, name)
        case "attribute_type":
            return HasType(first, _named_type(operands[1]))
        case "begins_with":
            for operand in operands:
                _check_type(name, operand, ("S", "B"))
            return BeginsWith(first, operands[1])
        case _:
            return Contains(first, operands[1])


def _named_type(operand: Operand) -> str:
    kind = _known_type(operand)
    if kind != "S" or not isinstance(operand, ConstantOperand):
        raise _incorrect_type("attribute_type", kind or "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}")
    named: str = operand.value["S"]
    if named not in _TYPES:
        raise ExpressionProblem(
            f"Invalid attribute type name found; type: {named}, valid types: {{{','.join(_TYPES)}}}"
        )
    return named


def _check_number_of_operands(name: str, given: int) -> None:
    if given != _NUMBERS_OF_OPERANDS[name]:
        raise ExpressionProblem(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {name}, number of operands: {given}"
        )


def _check_distinct(name: str, first: Operand, second: Operand) -> None:
    if isinstance(first, PathOperand) and first == second:
        raise ExpressionProblem(
            "The first operand must be distinct from the remaining operands for this operator or function; "
            f"operator: {name}, first operand: {shown(first.path)}"
        )


def _check_type(name: str, operand: Operand, allowed: tuple[str, ...]) -> None:
    """Refuse a value of the request whose type can never do. An item's own values only make the condition false."""
    kind = _known_type(operand)
    if kind is not None and kind not in allowed:
        raise _incorrect_type(name, kind)


def _incorrect_type(name: str, kind: str) -> ExpressionProblem:
    return ExpressionProblem(
        f"Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"
    )


def _known_type(operand: Operand) -> str | None:
    match operand:
        case ConstantOperand(value):
            return next(iter(value))
        case SizeOperand():
            return "N"
        case PathOperand():
            return None


def _shown_value(value: AttributeValue) -> str:
    ((kind, content),) = value.items()
    return f"{{{kind}:{content}}}"
