"""Event patterns: which events pass a filter.

Source: EventBridge User Guide, "Comparison operators", and Lambda Developer Guide, "Event filtering". A field's values
are alternatives, fields must all match, and of an array in the event one element is enough.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from duestream.errors import Error

#: Whether one value of the event is right. `_ABSENT` stands for a field that is not there.
Test = Callable[[Any], bool]
_ABSENT = object()
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda left, right: left == right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class EventPatternError(Error):
    """A text is no event pattern."""


class EventPattern:
    """One pattern, read.

    Raises:
        EventPatternError: it is none.
    """

    def __init__(self, text: str) -> None:
        try:
            pattern = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise EventPatternError(f"it is no JSON: {error}") from error
        if not isinstance(pattern, dict):
            raise EventPatternError("it is no JSON object")
        #: As it was written.
        self.pattern: Mapping[str, Any] = pattern
        self._matches = _fields(pattern)

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether the event passes."""
        return self._matches(event)


def _fields(pattern: Mapping[str, Any]) -> Test:
    if not pattern:
        raise EventPatternError("an object in it is empty")
    tests: list[tuple[str, Test]] = []
    alternatives: list[list[Test]] = []
    for name, wanted in pattern.items():
        if name == "$or" and isinstance(wanted, list) and all(isinstance(one, dict) for one in wanted):
            alternatives.append([_fields(one) for one in wanted])
        elif isinstance(wanted, dict):
            tests.append((name, _nested(_fields(wanted))))
        elif isinstance(wanted, list) and wanted:
            tests.append((name, _any_of(wanted)))
        else:
            raise EventPatternError(f"{name!r} needs an array of values, or an object")

    def matches(event: Any) -> bool:
        if not isinstance(event, Mapping):
            event = {}
        return all(test(event.get(name, _ABSENT)) for name, test in tests) and all(
            any(one(event) for one in together) for together in alternatives
        )

    return matches


def _nested(fields: Test) -> Test:
    def matches(value: Any) -> bool:
        if isinstance(value, list):
            return any(fields(element) for element in value)
        return fields(value)

    return matches


def _any_of(wanted: Sequence[Any]) -> Test:
    tests = [_value(one) for one in wanted]

    def matches(value: Any) -> bool:
        values = value if isinstance(value, list) and value else [value]
        return any(test(one) for test in tests for one in values)

    return matches


def _value(wanted: Any) -> Test:
    if isinstance(wanted, dict):
        if len(wanted) != 1:
            raise EventPatternError(f"one comparison is needed in {json.dumps(wanted)}")
        ((name, operand),) = wanted.items()
        return _comparison(name, operand)
    if isinstance(wanted, list):
        raise EventPatternError("an array in an array")
    return lambda value: _is_equal(value, wanted)


def _is_equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool) or value is None or wanted is None:
        return value is wanted
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return value == wanted
    return isinstance(value, str) and value == wanted


def _comparison(name: str, operand: Any) -> Test:
    match name:
        case "exists" if isinstance(operand, bool):
            # Of leaves only: an object is no value.
            return lambda value: (value is not _ABSENT and not isinstance(value, dict)) is operand
        case "prefix" | "suffix" | "equals-ignore-case" | "wildcard":
            return _text_test(name, operand)
        case "numeric" if isinstance(operand, list):
            return _numeric(operand)
        case "anything-but":
            return _anything_but(operand)
    raise EventPatternError(f"{name!r} is no comparison that is known here, or not with {json.dumps(operand)}")


def _text_test(name: str, operand: Any) -> Test:
    ignores_case = isinstance(operand, dict) and set(operand) == {"equals-ignore-case"}
    text = operand["equals-ignore-case"] if ignores_case else operand
    if not isinstance(text, str) or (ignores_case and name not in ("prefix", "suffix")):
        raise EventPatternError(f"{name!r} needs a text")
    if ignores_case or name == "equals-ignore-case":
        text = text.casefold()
    match name:
        case "prefix":
            return _of_texts(lambda value: value.startswith(text), ignores_case=ignores_case)
        case "suffix":
            return _of_texts(lambda value: value.endswith(text), ignores_case=ignores_case)
        case "wildcard":
            pattern = re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
            return _of_texts(lambda value: pattern.fullmatch(value) is not None, ignores_case=False)
        case _:
            return _of_texts(lambda value: value == text, ignores_case=True)


def _of_texts(test: Callable[[str], bool], *, ignores_case: bool) -> Test:
    return lambda value: isinstance(value, str) and test(value.casefold() if ignores_case else value)


def _numeric(operand: Sequence[Any]) -> Test:
    pairs = list(zip(operand[::2], operand[1::2], strict=False))
    is_right = all(
        sign in _COMPARISONS and isinstance(number, int | float) and not isinstance(number, bool)
        for sign, number in pairs
    )
    if not pairs or len(operand) % 2 or len(pairs) > 2 or not is_right:
        raise EventPatternError('"numeric" needs one or two comparisons, as in [">", 0, "<=", 5]')

    def matches(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return all(_COMPARISONS[sign](value, number) for sign, number in pairs)

    return matches


def _anything_but(operand: Any) -> Test:
    if isinstance(operand, dict):
        if len(operand) != 1 or next(iter(operand)) not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise EventPatternError('"anything-but" does not take this')
        ((name, texts),) = operand.items()
        tests = [_text_test(name, text) for text in (texts if isinstance(texts, list) else [texts])]
    else:
        values = operand if isinstance(operand, list) else [operand]
        if not values or any(isinstance(one, dict | list) for one in values):
            raise EventPatternError('"anything-but" needs values')
        tests = [_value(one) for one in values]
    return lambda value: value is not _ABSENT and not any(test(value) for test in tests)
