"""Walks through the syntax of expressions, and what is wrong with a syntax whatever the placeholders mean."""

from collections.abc import Iterable, Iterator
from typing import cast

from duestream.core.expression.lexer import ExpressionProblem
from duestream.core.expression.reserved import is_reserved
from duestream.core.expression.syntax import (
    ActionSyntax,
    AddSyntax,
    AllSyntax,
    AnySyntax,
    ArithmeticSyntax,
    BetweenSyntax,
    ComparisonSyntax,
    ConditionSyntax,
    DeleteSyntax,
    FunctionSyntax,
    InSyntax,
    LeafSyntax,
    NotSyntax,
    OperandSyntax,
    PathSyntax,
    RemoveSyntax,
    SetSyntax,
    ValueSyntax,
)

CONDITION_FUNCTIONS = frozenset(
    {"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"}
)
UPDATE_FUNCTIONS = frozenset({"if_not_exists", "list_append"})


def leaves_of(condition: ConditionSyntax) -> list[LeafSyntax]:
    """Give the single conditions, from left to right."""
    leaves: list[LeafSyntax] = []
    ahead = [condition]
    while ahead:
        match ahead.pop():
            case AllSyntax(parts) | AnySyntax(parts):
                ahead.extend(reversed(parts))
            case NotSyntax(part):
                ahead.append(part)
            case leaf:
                leaves.append(leaf)
    return leaves


def operands_of(action: ActionSyntax) -> tuple[OperandSyntax, ...]:
    """Give what an action reads and writes, from left to right."""
    match action:
        case SetSyntax(path, ArithmeticSyntax(_, left, right)):
            return (path, left, right)
        case SetSyntax(path, value):
            return (path, cast("OperandSyntax", value))
        case RemoveSyntax(path):
            return (path,)
        case AddSyntax(path, value) | DeleteSyntax(path, value):
            return (path, value)


def simple_operands_of(operands: Iterable[OperandSyntax]) -> list[PathSyntax | ValueSyntax]:
    """Give paths and placeholders of values, also those within functions, from left to right."""
    simple: list[PathSyntax | ValueSyntax] = []
    for operand in operands:
        if isinstance(operand, FunctionSyntax):
            simple += simple_operands_of(operand.arguments)
        else:
            simple.append(operand)
    return simple


def check_functions(calls: list[FunctionSyntax], allowed: frozenset[str]) -> None:
    """Refuse functions that do not exist, then those of the other kind of expression."""
    for call in calls:
        if call.name not in CONDITION_FUNCTIONS | UPDATE_FUNCTIONS:
            raise ExpressionProblem(f"Invalid function name; function: {call.name}")
    for call in calls:
        if call.name not in allowed:
            raise misplaced(call.name)


def check_places_of_functions(leaf: LeafSyntax) -> None:
    """Only `size` gives something to compare; it is the only one that is no condition itself."""
    if isinstance(leaf, FunctionSyntax) and leaf.name == "size":
        raise misplaced(leaf.name)
    calls = calls_in(leaf)
    for call in calls:
        if call is not leaf and call.name != "size":
            raise misplaced(call.name)


def misplaced(function: str) -> ExpressionProblem:
    return ExpressionProblem(f"The function is not allowed to be used this way in an expression; function: {function}")


def check_reserved(paths: Iterable[PathSyntax]) -> None:
    for path in paths:
        for step in path.steps:
            if isinstance(step, str) and step[0] != "#" and is_reserved(step):
                raise ExpressionProblem(f"Attribute name is a reserved keyword; reserved keyword: {step}")


def _parts_of(node: LeafSyntax | OperandSyntax) -> tuple[OperandSyntax, ...]:
    match node:
        case ComparisonSyntax(_, left, right):
            return (left, right)
        case BetweenSyntax(operand, low, high):
            return (operand, low, high)
        case InSyntax(operand, candidates):
            return (operand, *candidates)
        case FunctionSyntax(_, arguments):
            return arguments
        case _:
            return ()


def calls_in(node: LeafSyntax | OperandSyntax) -> Iterator[FunctionSyntax]:
    """Give calls, the inner ones first, as AWS comes across them."""
    for part in _parts_of(node):
        yield from calls_in(part)
    if isinstance(node, FunctionSyntax):
        yield node


def paths_in(node: LeafSyntax | OperandSyntax) -> Iterator[PathSyntax]:
    if isinstance(node, PathSyntax):
        yield node
    for part in _parts_of(node):
        yield from paths_in(part)
