"""Which kinds of targets a rule's function may answer, as far as can be told without calling it."""

import inspect
import sys
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from duestream.core.rule import Rule, TargetFunction
from duestream.core.target import TARGET_TYPES, Target

Kind = type[Target]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a rule may answer.

    Args:
        kinds: kinds of targets, in the order of `TARGET_TYPES`.
        told_by: ``targets`` (they are fixed), ``annotation`` or ``imports``.
    """

    kinds: tuple[Kind, ...]
    told_by: str


def answers_of(rule: Rule) -> Answers:
    """The kinds of a rule's targets.

    Fixed targets are known. Of a function, its return annotation tells (``-> Email | None``); without one, the
    targets that its module has imported: it can make no others, but through a module of its own.
    """
    if isinstance(rule.action, tuple):
        return Answers(_in_order(type(target) for target in rule.action), "targets")
    if rule.when_due is not None or not callable(rule.action):
        return Answers((), "targets")
    function = _plain(rule.action)
    annotated = _in_order(_named_in(_return_annotation(function)))
    if annotated:
        return Answers(annotated, "annotation")
    return Answers(_in_order(_imported_by(function)), "imports")


def _in_order(kinds: Iterable[Any]) -> tuple[Kind, ...]:
    found = set(kinds)
    return tuple(kind for kind in TARGET_TYPES if kind in found)


def _plain(function: TargetFunction) -> Any:
    """The function itself, below decorators; of a callable object its ``__call__``."""
    plain = inspect.unwrap(function)
    while hasattr(plain, "func"):  # functools.partial
        plain = plain.func
    return plain if hasattr(plain, "__globals__") else getattr(plain, "__call__", plain)  # noqa: B004


def _return_annotation(function: Any) -> Any:
    try:
        return typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):  # names that only a type checker imports
        return None


def _named_in(annotation: Any) -> set[Any]:
    arguments = typing.get_args(annotation)
    return {annotation} if not arguments else {kind for one in arguments for kind in _named_in(one)}


def _imported_by(function: Any) -> Iterable[Any]:
    names: Mapping[str, Any] | None = getattr(function, "__globals__", None)
    if names is None:
        module = sys.modules.get(getattr(function, "__module__", ""))
        names = {} if module is None else vars(module)
    if any(isinstance(value, ModuleType) and value.__name__ == "duestream" for value in names.values()):
        return TARGET_TYPES
    return [value for value in names.values() if isinstance(value, type)]
