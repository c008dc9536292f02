"""Projections: the parts of an item that document paths lead to.

Source: Developer Guide, "Using projection expressions in DynamoDB". Several members of a list come back
without gaps, in the list's order (measured by nubo-db/dynamodb-conformance, ``projectionValidation.test.ts``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

from duestream.core.expression.lexer import ExpressionProblem
from duestream.core.expression.parser import parse_projection_text
from duestream.core.expression.paths import Path, check_disjoint, step_into
from duestream.core.expression.placeholders import Placeholders
from duestream.core.record import AttributeValue, Item
from duestream.errors import ValidationException

#: The paths as a tree: a step leads to further steps, or to None where the path ends.
_Tree = dict[str | int, Optional["_Tree"]]


@dataclass(frozen=True, slots=True)
class Projection:
    """Paths, none of which leads into another."""

    paths: tuple[Path, ...]
    _tree: _Tree

    def of(self, item: Item) -> Item:
        """Give what the paths lead to. What they do not find is left out; the item is not changed."""
        projected: Item = {}
        for name, subtree in self._tree.items():
            value = item.get(name)  # type: ignore[arg-type]  # a path begins with a name
            part = _part(value, subtree) if value is not None else None
            if part is not None:
                projected[str(name)] = part
        return projected


def parse_projection(text: str, placeholders: Placeholders) -> Projection:
    """Read a ProjectionExpression.

    Raises:
        ValidationException: with AWS's text.
    """
    try:
        paths = [placeholders.path(syntax) for syntax in parse_projection_text(text).paths]
        check_disjoint(paths)
    except ExpressionProblem as problem:
        raise ValidationException(f"Invalid ProjectionExpression: {problem.text}") from None
    return projection_of(paths)


def projection_of(paths: Iterable[Path]) -> Projection:
    """Make a projection of paths that are known not to lead into each other."""
    paths = tuple(paths)
    tree: _Tree = {}
    for path in paths:
        branch = tree
        for step in path[:-1]:
            further = branch.setdefault(step, {})
            assert further is not None, "no path leads into another"
            branch = further
        branch[path[-1]] = None
    return Projection(paths, tree)


def _part(value: AttributeValue, tree: _Tree | None) -> AttributeValue | None:
    if tree is None:
        return value
    if "M" in value:
        found: dict[str | int, Any] = {step: _next_part(value, step, further) for step, further in tree.items()}
        attributes = {step: part for step, part in found.items() if part is not None}
        return {"M": attributes} if attributes else None
    places = sorted(step for step in tree if isinstance(step, int))
    members = [part for place in places if (part := _next_part(value, place, tree[place])) is not None]
    return {"L": members} if members else None


def _next_part(value: AttributeValue, step: str | int, tree: _Tree | None) -> AttributeValue | None:
    further = step_into(value, step)
    return _part(further, tree) if further is not None else None
