"""What an update, as it is written, would make of the keys of indexes: refused before the item is looked at.

Texts and order: dynalite's tests (``test/updateItem.js``), recorded from AWS.
"""

from typing import Any

from duestream.core.expression import Update
from duestream.core.expression.asked import paths_in
from duestream.core.expression.updates import Add, Arithmetic, Constant, Delete, ListAppend, Set
from duestream.core.record import AttributeValue
from duestream.errors import ValidationException
from duestream.local.store.indexes import Index, check_value

_NUMBER: AttributeValue = {"N": "1"}
_LIST: AttributeValue = {"L": []}


def check_update(indexes: tuple[Index, ...], update: Update) -> None:
    """Refuse an update that gives an index's attribute what is no key of it, or that looks into one.

    Raises:
        ValidationException: as said.
    """
    given = {action.path[0]: value for action in update.actions if (value := _given(action)) is not None}
    for index in indexes:
        if index.is_active:
            for attribute in index.key_attributes:
                value = given.get(attribute.name)
                if value is not None:
                    check_value(index, attribute, value, is_update=True)
    refuse_steps(indexes, update)


def refuse_steps(indexes: tuple[Index, ...], expression: Any) -> None:
    """Refuse an expression that looks into an index's key attribute, which has no parts."""
    names = {attribute.name for index in indexes for attribute in index.key_attributes}
    for path in paths_in(expression):
        if len(path) > 1 and path[0] in names:
            raise ValidationException(
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
                f"IndexKey: {path[0]}"
            )


def _given(action: Any) -> AttributeValue | None:
    """The value, or one of its type, that an action gives to a whole attribute, as far as the update itself says."""
    if len(action.path) > 1:
        return None
    match action:
        case Set(_, Constant(value)) | Add(_, value) | Delete(_, value):
            return value
        case Set(_, Arithmetic()):
            return _NUMBER
        case Set(_, ListAppend()):
            return _LIST
        case _:
            return None
