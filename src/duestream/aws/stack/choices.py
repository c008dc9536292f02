"""Options of a stack as they are typed: ``memory_mb=512``."""

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from duestream.aws.stack.options import StackOptions
from duestream.errors import SettingsError

#: Said otherwise than by ``name=value``: by the rule file, or by an option of their own.
_SAID_ELSEWHERE = frozenset({"entry", "existing_tables", "layers", "environment"})
CHOICES: Mapping[str, Any] = {
    name: kind for name, kind in typing.get_type_hints(StackOptions).items() if name not in _SAID_ELSEWHERE
}
_FLAGS = {"true": True, "false": False}


def stack_options(
    entry: str,
    *,
    choices: Iterable[str] = (),
    environment: Iterable[str] = (),
    layers: Iterable[str] = (),
    existing_tables: Iterable[str] = (),
) -> StackOptions:
    """Options from what was typed.

    Args:
        entry: ``module:attribute`` of the app.
        choices: ``name=value``, the names being those of `StackOptions`; several ARNs are parted by commas.
        environment: ``NAME=value`` for the functions.
        layers: ARNs.
        existing_tables: names.

    Raises:
        SettingsError: a name is unknown, or a value is not what it has to be.
    """
    chosen = dict(_choice(text) for text in choices)
    variables = dict(_split(text, "--env") for text in environment)
    return StackOptions(
        entry=entry,
        environment=variables,
        layers=tuple(layers),
        existing_tables=frozenset(existing_tables),
        **chosen,
    )


def _choice(text: str) -> tuple[str, Any]:
    name, value = _split(text, "--set")
    if name not in CHOICES:
        near = get_close_matches(name, CHOICES, n=1)
        raise SettingsError(
            f"--set {text}: there is no option {name}. "
            + (f"Did you mean {near[0]}?" if near else f"There are {', '.join(CHOICES)}.")
        )
    try:
        return name, _read(name, value)
    except (ValueError, KeyError):
        raise SettingsError(f"--set {text}: {value!r} is no value for {name}, which is {_form(name)}") from None


def _read(name: str, value: str) -> Any:
    default = next(field.default for field in dataclasses.fields(StackOptions) if field.name == name)
    match default:
        case bool():
            return _FLAGS[value.lower()]
        case int():
            return int(value)
        case tuple():
            return tuple(part.strip() for part in value.split(",") if part.strip())
        case _:
            return value


def _form(name: str) -> str:
    return "true or false" if CHOICES[name] is bool else "a number"


def _split(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SettingsError(f"{option} {text}: write {option} NAME=VALUE")
    return name, value
