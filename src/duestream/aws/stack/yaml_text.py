"""YAML for people: mappings and lists by indentation, with a comment where one helps.

PyYAML is not among duestream's dependencies, and of YAML's many ways to write a text this needs two: plain, where
nothing can be misread, and otherwise JSON's, which YAML has taken over ("YAML 1.2", "Relation to JSON").
References are written in CloudFormation's short form: ``!Ref``, ``!GetAtt``, ``!Sub``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

#: Begins with a letter, and is neither a word of YAML's (yes, null, ...) nor something with a mark of its own in it.
_is_plain = re.compile(r"[A-Za-z](?:[A-Za-z0-9_./()-]|:(?=[A-Za-z:])| (?=[A-Za-z0-9(]))*").fullmatch
_WORDS = frozenset({"y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan", "inf"})


def yaml_text(document: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """A document as YAML.

    Args:
        document: of mappings, lists, texts, whole numbers and booleans.
        comments: by the name of a member on the first or second level: a line above it.
    """
    return "".join(f"{line}\n" for line in _mapping(document, 0, comments or {}))


def _mapping(value: Mapping[str, Any], depth: int, comments: Mapping[str, str]) -> Iterator[str]:
    indent = "  " * depth
    for name, member in value.items():
        if depth <= 1 and name in comments:
            yield f"{indent}# {comments[name]}"
        if _is_block(member):
            yield f"{indent}{_scalar(name)}:"
            yield from _block(member, depth + 1, comments)
        else:
            yield f"{indent}{_scalar(name)}: {_scalar(member)}"


def _block(value: Any, depth: int, comments: Mapping[str, str]) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mapping(value, depth, comments)
        return
    indent = "  " * depth
    for member in value:
        if not _is_block(member):
            yield f"{indent}- {_scalar(member)}"
            continue
        first, *others = _block(member, depth + 1, {})
        yield f"{indent}- {first.lstrip(' ')}"
        yield from others


def _is_block(value: Any) -> bool:
    return isinstance(value, Mapping | list) and bool(value) and _reference(value) is None


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _is_plain(value) and value.lower() not in _WORDS:
        return value
    return _reference(value) or _quoted(value)


def _quoted(value: Any) -> str:
    """As JSON, but for characters that JSON leaves as they are or writes as a pair, and YAML wants escaped."""
    text = json.dumps(value)
    if not isinstance(value, str) or (max(value, default="") <= "\uffff" and "\x7f" not in value):
        return text
    return f'"{"".join(map(_escaped, value))}"'


def _escaped(character: str) -> str:
    if character > "\uffff" or character == "\x7f":
        return f"\\U{ord(character):08x}"
    return json.dumps(character)[1:-1]


def _reference(value: Any) -> str | None:
    match value:
        case {"Ref": str(name)} if len(value) == 1:
            return f"!Ref {_scalar(name)}"
        case {"Fn::GetAtt": [str(name), str(attribute)]} if len(value) == 1:
            return f"!GetAtt {_scalar(f'{name}.{attribute}')}"
        case {"Fn::Sub": str(text)} if len(value) == 1:
            return f"!Sub {_scalar(text)}"
    return None
