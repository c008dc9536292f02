"""Attribute values of statements: literals, and the parameters that are put in for ``?``.

The texts were recorded from AWS: of literals by paritysuite/dynamodb-conformance (``partiqlGrammar.test.ts``,
2026-10) and floci-io/floci (``DynamoDbPartiQLEdgeCaseIntegrationTest``, 2026-09-17), of parameters by
``partiqlParameterNumbers.test.ts`` (2026-10).
"""

from collections.abc import Sequence
from typing import Any

from duestream.core.normalform import INVALID, MAX_NESTING_LEVELS, normalize_value
from duestream.core.numbers import normalize_number
from duestream.core.partiql.syntax import (
    BagTerm,
    CallTerm,
    ConstantTerm,
    InfixTerm,
    ListTerm,
    NumberTerm,
    ParameterTerm,
    PathTerm,
    StringTerm,
    StructTerm,
    Term,
)
from duestream.core.record import AttributeValue
from duestream.errors import ValidationException

NUMBER_OF_PARAMETERS = "Number of parameters in request and statement don't match."
_TOO_DEEP = "Nesting Levels have exceeded supported limits"
_BAG_OF_OTHERS = "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags"

Parameters = Sequence[AttributeValue]


# ---- parameters ----------------------------------------------------------------------------------


def normalize_parameters(given: Sequence[Any] | None) -> list[AttributeValue]:
    """Check a statement's parameters and bring them into normal form. AWS does so before it reads the statement.

    Raises:
        ValidationException: the first problem in the order they are written, in the words of AWS's older checks.
    """
    return [_normal(value) for value in given or ()]


def _normal(value: Any) -> AttributeValue:
    try:
        return normalize_value(value)
    except ValidationException as error:
        raise ValidationException(error.older_message or error.message) from None


# ---- literals ------------------------------------------------------------------------------------


def value_of(term: Term, parameters: Parameters) -> AttributeValue:
    """The value of a literal or parameter.

    Raises:
        ValidationException: it is neither, or no value that DynamoDB would store.
    """
    if isinstance(term, ParameterTerm):
        return parameter_of(term, parameters)
    return _literal(term, "root", 1)


def parameter_of(term: ParameterTerm, parameters: Parameters) -> AttributeValue:
    """The parameter that stands for a ``?``; errors as in `value_of`."""
    if term.index >= len(parameters):
        raise ValidationException(NUMBER_OF_PARAMETERS)
    return parameters[term.index]


def is_value(term: Term) -> bool:
    """Whether the term is written as a literal or parameter, so that `value_of` is to be asked."""
    return isinstance(term, ParameterTerm | NumberTerm | StringTerm | ConstantTerm | ListTerm | StructTerm | BagTerm)


def _literal(term: Term, path: str, level: int) -> AttributeValue:
    """`path` says in the errors where the value lies in the whole literal."""
    if level > MAX_NESTING_LEVELS:
        raise ValidationException(f"{_TOO_DEEP} under {path}")
    match term:
        case StringTerm(text):
            return {"S": text}
        case NumberTerm(text):
            return {"N": _number(text, path)}
        case ConstantTerm(value, is_missing=False):
            return {"NULL": True} if value is None else {"BOOL": value}
        case ListTerm(members):
            return {"L": [_literal(member, f"{path}[{at}]", level + 1) for at, member in enumerate(members)]}
        case StructTerm(attributes):
            return {"M": {name: _literal(member, f"{path}.{name}", level + 1) for name, member in attributes}}
        case BagTerm(members):
            return _bag(members, path)
        case _:
            raise ValidationException(f"Unsupported data type: {_name_of(term)} under key {path} at {_place_of(term)}")


def _number(text: str, path: str) -> str:
    try:
        return normalize_number(text)
    except ValidationException as error:
        raise ValidationException(f"{error.message} under {path}") from None


def _bag(members: tuple[Term, ...], path: str) -> AttributeValue:
    if not members:
        raise ValidationException("Empty bags are not supported")
    strings = [member.text for member in members if isinstance(member, StringTerm)]
    numbers = [member.text for member in members if isinstance(member, NumberTerm)]
    if len(strings) == len(members):
        return _normal({"SS": strings})
    if len(numbers) < len(members):
        raise ValidationException(_BAG_OF_OTHERS)
    normal = [_number(text, path) for text in numbers]
    if len(set(normal)) < len(normal):
        raise ValidationException(f"{INVALID}Input collection [{', '.join(numbers)}] contains duplicates! under {path}")
    return _normal({"NS": normal})


def _name_of(term: Term) -> str:
    match term:
        case ParameterTerm():
            return "Parameter"
        case PathTerm():
            return "VariableReference"
        case CallTerm(name):
            return name
        case InfixTerm(operator):
            return operator
        case _:
            return "UNKNOWN"


def _place_of(term: Term) -> str:
    return getattr(term, "place", "1:1:1")
