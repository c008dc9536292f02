"""Which document paths an expression has, wherever they stand in it."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from duestream.core.expression.paths import Path


def paths_in(expression: Any) -> Iterator[Path]:
    """Give the document paths of a condition, an update or a projection, also those that it only reads."""
    for field in fields(expression):
        part = getattr(expression, field.name)
        if field.name == "path":
            yield part
        elif field.name == "paths":
            yield from part
        else:
            for inner in part if isinstance(part, tuple) else (part,):
                if is_dataclass(inner):
                    yield from paths_in(inner)
