"""Assignments of statements: SET and REMOVE, as updates of items.

The functions and the texts were recorded from AWS by paritysuite/dynamodb-conformance (``setFunctions.test.ts``,
``partiqlFunctions.test.ts``, 2026-10).
"""

from duestream.core.expression.lexer import ExpressionProblem
from duestream.core.expression.paths import check_disjoint
from duestream.core.expression.updates import (
    Action,
    Add,
    Arithmetic,
    Constant,
    Copy,
    Delete,
    ListAppend,
    Remove,
    Set,
    Source,
    Update,
)
from duestream.core.partiql.syntax import Assignment, CallTerm, InfixTerm, PathTerm, Term
from duestream.core.partiql.values import Parameters, value_of
from duestream.errors import ValidationException

_SETS = ("SS", "NS", "BS")


def bind_update(assignments: tuple[Assignment, ...], parameters: Parameters) -> Update:
    """Put the parameters into assignments and check their operands.

    Raises:
        ValidationException: with AWS's text.
    """
    try:
        actions = tuple(_bind(assignment, parameters) for assignment in assignments)
        check_disjoint(action.path for action in actions)
    except ExpressionProblem as problem:
        raise ValidationException(problem.text) from None
    return Update(actions)


def _bind(assignment: Assignment, parameters: Parameters) -> Action:
    path, value = assignment.path.path, assignment.value
    match value:
        case None:
            return Remove(path)
        case CallTerm("set_add" | "set_delete"):
            return _bind_set(assignment.path, value, parameters)
        case InfixTerm("+" | "-" as operator, left, right):
            sources = [_source(term, parameters) for term in (left, right)]
            for source in sources:
                _check_type(operator, source, "N")
            return Set(path, Arithmetic(operator, sources[0], sources[1]))
        case _:
            return Set(path, _source(value, parameters))


def _bind_set(target: PathTerm, call: CallTerm, parameters: Parameters) -> Action:
    name = call.name.upper()
    if len(call.arguments) != 2:
        raise ValidationException(f"{name} must have exactly two arguments at {call.place}")
    first, second = call.arguments
    if not isinstance(first, PathTerm) or first.path != target.path:
        raise ValidationException(f"The first argument to {name} must equal the assignment value at {call.place}")
    value = value_of(second, parameters)
    if next(iter(value)) not in _SETS:
        raise ValidationException(f"The second argument to {name} must be a value with type SET at {first.place}")
    return Add(target.path, value) if call.name == "set_add" else Delete(target.path, value)


def _source(term: Term, parameters: Parameters) -> Source:
    match term:
        case PathTerm(path):
            return Copy(path)
        case CallTerm("list_append", arguments):
            sources = [_source(argument, parameters) for argument in arguments]
            if len(sources) != 2:
                raise ExpressionProblem(
                    "Incorrect number of operands for operator or function; "
                    f"operator or function: list_append, number of operands: {len(sources)}"
                )
            for source in sources:
                _check_type("list_append", source, "L")
            return ListAppend(sources[0], sources[1])
        case CallTerm(name, _, place):
            raise ValidationException(f"Unrecognized function: {name} at {place}")
        case InfixTerm(operator):
            raise ValidationException(f"Unsupported operator in Update Expression. Operator: {operator}")
        case _:
            return Constant(value_of(term, parameters))


def _check_type(name: str, source: Source, wanted: str) -> None:
    if isinstance(source, Constant) and wanted not in source.value:
        raise ExpressionProblem(
            "Incorrect operand type for operator or function; "
            f"operator or function: {name}, operand type: {next(iter(source.value))}"
        )
