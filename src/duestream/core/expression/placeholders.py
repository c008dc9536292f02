"""ExpressionAttributeNames and ExpressionAttributeValues of one request, shared by all its expressions.

The texts and their order were measured against AWS by dynalite (``test/query.js``, ``test/updateItem.js``). AWS has
moved all operations but Scan and those of transactions to newer checks, which say less (paritysuite/
dynamodb-conformance, ``valueLayers``, 2026-10-09).
"""

import re
from collections.abc import Mapping
from typing import Any

from duestream.core.attributes import normalize_value
from duestream.core.expression.lexer import ExpressionProblem
from duestream.core.expression.paths import Path
from duestream.core.expression.syntax import PathSyntax, ValueSyntax
from duestream.core.record import AttributeValue
from duestream.errors import ValidationException

_NAMES = "ExpressionAttributeNames"
_VALUES = "ExpressionAttributeValues"
_is_name = re.compile(r"#[A-Za-z0-9_]+\Z").match
_is_value = re.compile(r":[A-Za-z0-9_]+\Z").match


class Placeholders:
    """What stands for names and values in a request's expressions, and which of them were used.

    Args:
        names: ExpressionAttributeNames, or None where the request has none.
        values: ExpressionAttributeValues in wire form, or None.
        older: complain as AWS's older checks do.

    Raises:
        ValidationException: one of them is empty, has a misspelt placeholder or a value DynamoDB would not store.
    """

    __slots__ = ("_names", "_unused_names", "_unused_values", "_values")

    def __init__(
        self, names: Mapping[str, str] | None = None, values: Mapping[str, Any] | None = None, *, older: bool = False
    ) -> None:
        if names is not None:
            _check_keys(_NAMES, names, _is_name)
        if values is not None:
            _check_keys(_VALUES, values, _is_value)
        self._names = names or {}
        normalize = _normalize_older if older else _normalize
        self._values = {key: normalize(key, value) for key, value in values.items()} if values else {}
        self._unused_names = set(self._names)
        self._unused_values = set(self._values)

    @classmethod
    def of_request(
        cls, parameters: Mapping[str, Any], *expressions: str, older: bool = False, says_which: bool = False
    ) -> "Placeholders":
        """Read the placeholders of a request.

        Args:
            parameters: the request's parameters, by AWS's names.
            expressions: the names of the operation's parameters that are expressions.
            older: complain of values as AWS's older checks do.
            says_which: say which expressions could have used the values that nothing uses (Query, Scan).

        Raises:
            ValidationException: there are placeholders but no expression to use them; or as the constructor does.
        """
        cls.refuse_idle(parameters, *expressions, says_which=says_which)
        return cls(parameters.get(_NAMES), parameters.get(_VALUES), older=older)

    @staticmethod
    def refuse_idle(parameters: Mapping[str, Any], *expressions: str, says_which: bool = False) -> None:
        """Refuse placeholders that no expression of the request could use; arguments as in `of_request`.

        Raises:
            ValidationException: there are some.
        """
        if _NAMES in parameters and parameters.keys().isdisjoint(expressions):
            raise ValidationException(f"{_NAMES} can only be specified when using expressions")
        if _VALUES in parameters:
            holders = [expression for expression in expressions if expression != "ProjectionExpression"]
            if parameters.keys().isdisjoint(holders):
                missing = f": {' and '.join(holders)} {'are' if len(holders) > 1 else 'is'} null"
                raise ValidationException(
                    f"{_VALUES} can only be specified when using expressions{missing if says_which else ''}"
                )

    def path(self, syntax: PathSyntax) -> Path:
        """Put the names into a path.

        Raises:
            ExpressionProblem: a placeholder is not defined.
        """
        steps = syntax.steps
        first = steps[0]
        if len(steps) == 1 and isinstance(first, str):  # nearly every path
            return (self._name(first),) if first[0] == "#" else steps
        return tuple(self._name(step) if isinstance(step, str) and step[0] == "#" else step for step in steps)

    def value(self, syntax: ValueSyntax) -> AttributeValue:
        """Give the value, in normal form, that a placeholder stands for; errors as in `path`."""
        placeholder = syntax.placeholder
        found = self._values.get(placeholder)
        if found is None:
            raise ExpressionProblem(
                f"An expression attribute value used in expression is not defined; attribute value: {placeholder}"
            )
        self._unused_values.discard(placeholder)
        return found

    def check_all_used(self) -> None:
        """Refuse what no expression asked for. To be called after all expressions of the request are parsed.

        Raises:
            ValidationException: names are checked first.
        """
        for parameter, given, unused in (
            (_NAMES, self._names, self._unused_names),
            (_VALUES, self._values, self._unused_values),
        ):
            if unused:
                keys = ", ".join(key for key in given if key in unused)
                raise ValidationException(f"Value provided in {parameter} unused in expressions: keys: {{{keys}}}")

    def _name(self, placeholder: str) -> str:
        found = self._names.get(placeholder)
        if found is None:
            raise ExpressionProblem(
                f"An expression attribute name used in the document path is not defined; attribute name: {placeholder}"
            )
        self._unused_names.discard(placeholder)
        return found


def _check_keys(parameter: str, given: Mapping[str, Any], is_key: Any) -> None:
    if not given:
        raise ValidationException(f"{parameter} must not be empty")
    for key in given:
        if not is_key(key):
            raise ValidationException(f'{parameter} contains invalid key: Syntax error; key: "{key}"')


def _normalize(key: str, value: Any) -> AttributeValue:
    return normalize_value(value)


def _normalize_older(key: str, value: Any) -> AttributeValue:
    try:
        return normalize_value(value)
    except ValidationException as error:
        problem = error.older_message or error.message
        raise ValidationException(f"{_VALUES} contains invalid value: {problem} for key {key}") from None
