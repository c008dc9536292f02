"""Document paths: following them, showing them, and keeping them out of each other's way."""

from collections.abc import Iterable

from duestream.core.expression.lexer import ExpressionProblem
from duestream.core.record import AttributeValue, Item

#: Names of attributes and places in lists, from the top.
Path = tuple[str | int, ...]


def value_at(item: Item, path: Path) -> AttributeValue | None:
    """Follow a path. None where it leads nowhere."""
    value = item.get(path[0])  # type: ignore[arg-type]  # a path begins with a name
    for step in path[1:]:
        if value is None:
            return None
        value = step_into(value, step)
    found: AttributeValue | None = value
    return found


def step_into(value: AttributeValue, step: str | int) -> AttributeValue | None:
    """Take one step of a path: into a map by name, into a list by place."""
    if isinstance(step, str):
        attributes = value.get("M")
        return attributes.get(step) if attributes is not None else None
    members = value.get("L")
    return members[step] if members is not None and step < len(members) else None


def shown(path: Path) -> str:
    """Show a path as AWS does in its errors: ``[a, b, [1]]``."""
    return "[" + ", ".join(step if isinstance(step, str) else f"[{step}]" for step in path) + "]"


def check_disjoint(paths: Iterable[Path]) -> None:
    """Refuse paths of which one leads into another, or that take one value for a map and for a list.

    Raises:
        ExpressionProblem: an overlap is named before a conflict.
    """
    by_attribute: dict[str | int, list[Path]] = {}
    conflict: ExpressionProblem | None = None
    for path in paths:
        earlier_paths = by_attribute.setdefault(path[0], [])
        for earlier in earlier_paths:
            relation = _relation(earlier, path)
            if relation == "overlap":
                raise _clash("overlap", earlier, path)
            if relation == "conflict" and conflict is None:
                conflict = _clash("conflict", earlier, path)
        earlier_paths.append(path)
    if conflict is not None:
        raise conflict


def _relation(one: Path, two: Path) -> str | None:
    for left, right in zip(one, two, strict=False):
        if type(left) is not type(right):
            return "conflict"
        if left != right:
            return None
    return "overlap"


def _clash(kind: str, one: Path, two: Path) -> ExpressionProblem:
    return ExpressionProblem(
        f"Two document paths {kind} with each other; must remove or rewrite one of these paths; "
        f"path one: {shown(one)}, path two: {shown(two)}"
    )
