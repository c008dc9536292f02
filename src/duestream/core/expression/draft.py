"""An item while it is being updated: changes never reach the item they started from."""

from typing import Any

from duestream.core.expression.paths import Path, step_into
from duestream.core.normalform import check_nesting
from duestream.core.record import AttributeValue, Item
from duestream.errors import ValidationException

_INVALID_PATH = "The document path provided in the update expression is invalid for update"

#: Stands where a member of a list was removed until all actions are done, so that places keep their meaning.
_REMOVED: AttributeValue = {}


class Draft:
    """A copy of an item that is made as far as it is written to.

    Members of lists that are put beyond the end are appended when all else is done, in the order of the
    places they were put to (Developer Guide: "the elements are sorted in order by element number").
    """

    def __init__(self, original: Item) -> None:
        self.original = original
        self._item = dict(original)
        self._copied: set[str | int] = set()
        self._appended: dict[int, tuple[list[AttributeValue], list[tuple[int, AttributeValue]]]] = {}
        self._thinned: dict[int, list[AttributeValue]] = {}

    def put(self, path: Path, value: AttributeValue) -> None:
        """Put a value where a path leads; the path without its last step must exist.

        Raises:
            ValidationException: it does not, or the value would lie too deep.
        """
        if len(path) == 1:
            self._item[str(path[0])] = value
            return
        check_nesting(value, len(path))
        container = self._container(path)
        step = path[-1]
        if isinstance(step, int) and step >= len(container):
            self._appended.setdefault(id(container), (container, []))[1].append((step, value))
        else:
            container[step] = value

    def remove(self, path: Path) -> None:
        """Remove what a path leads to. Nothing there is fine, but the path without its last step must exist.

        Raises:
            ValidationException: it does not.
        """
        if len(path) == 1:
            self._item.pop(str(path[0]), None)
            return
        container = self._container(path)
        step = path[-1]
        if not isinstance(step, int):
            container.pop(step, None)
        elif step < len(container):
            container[step] = _REMOVED
            self._thinned[id(container)] = container

    def finished(self) -> Item:
        """Give the item with all that was put and removed."""
        for container in self._thinned.values():
            container[:] = [member for member in container if member is not _REMOVED]
        for container, members in self._appended.values():
            container.extend(value for _, value in sorted(members, key=lambda member: member[0]))
        return self._item

    def _container(self, path: Path) -> Any:
        """Give the map (of a name) or list (of a place) that holds the last step, copied for writing."""
        top = path[0]
        value: AttributeValue | None = self._item.get(top)  # type: ignore[arg-type]  # a path begins with a name
        if value is not None and top not in self._copied:
            self._copied.add(top)
            value = self._item[str(top)] = _copied(value)
        for step in path[1:-1]:
            value = step_into(value, step) if value is not None else None
        content = value.get("M" if isinstance(path[-1], str) else "L") if value is not None else None
        if content is None:
            raise ValidationException(_INVALID_PATH)
        return content


def _copied(value: AttributeValue) -> AttributeValue:
    """Copy maps and lists all the way down; all else is never written to."""
    if "M" in value:
        return {"M": {name: _copied(member) for name, member in value["M"].items()}}
    if "L" in value:
        return {"L": [_copied(member) for member in value["L"]]}
    return value
