"""Updates: what an UpdateExpression makes of an item.

Sources: Developer Guide, "Using update expressions in DynamoDB"; the texts of the errors and which comes first
were measured by dynalite (``test/updateItem.js``), the meaning of several actions on one list and of
functions within functions by Alternator (``test_update_expression.py``). How UpdateItem counts the size of an update
was measured by paritysuite/dynamodb-conformance (``itemSizeBySurface``, eu-west-2, 2026-10-09).
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal

from duestream.core.attributes import value_size_bytes
from duestream.core.expression.draft import Draft
from duestream.core.expression.lexer import ExpressionProblem
from duestream.core.expression.parser import parse_update_text
from duestream.core.expression.paths import Path, check_disjoint, value_at
from duestream.core.expression.placeholders import Placeholders
from duestream.core.expression.projections import projection_of
from duestream.core.expression.syntax import (
    ActionSyntax,
    AddSyntax,
    ArithmeticSyntax,
    DeleteSyntax,
    FunctionSyntax,
    OperandSyntax,
    PathSyntax,
    RemoveSyntax,
    SetSyntax,
    UpdateSyntax,
    ValueSyntax,
)
from duestream.core.normalform import normalize_value
from duestream.core.numbers import add_numbers, subtract_numbers
from duestream.core.record import AttributeValue, Item
from duestream.errors import ValidationException

_INCORRECT_TYPE = "An operand in the update expression has an incorrect data type"
_ABSENT = "The provided expression refers to an attribute that does not exist in the item"
_TYPE_WORDS = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "NULL": "NULL",
    "BOOL": "BOOLEAN",
    "L": "LIST",
    "M": "MAP",
}
_SETS = ("SS", "NS", "BS")


#: What an update counts for beside its names and values, in bytes.
_UPDATE_BYTES = 3
_SET_BYTES = 19
_REMOVE_BYTES = 1
_IF_NOT_EXISTS_BYTES = 39
_LIST_APPEND_BYTES = 37
_ARITHMETIC_BYTES = {"+": 34, "-": 37}


def _step_bytes(step: str | int) -> int:
    return len(str(step).encode())


def _target_bytes(path: Path) -> int:
    """How much a path counts for that is written to."""
    return _step_bytes(path[0]) + sum(4 + _step_bytes(step) for step in path[1:])


def _operand_bytes(path: Path) -> int:
    """How much a path counts for that is read from; what it leads to is free."""
    return 1 + sum(14 + _step_bytes(step) for step in path)


# ---- what a SET action takes its value from ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    value: AttributeValue

    def value_in(self, item: Item) -> AttributeValue:
        return self.value

    @property
    def size_bytes(self) -> int:
        return value_size_bytes(self.value)


@dataclass(frozen=True, slots=True)
class Copy:
    path: Path

    def value_in(self, item: Item) -> AttributeValue:
        found = value_at(item, self.path)
        if found is None:
            raise ValidationException(_ABSENT)
        return found

    @property
    def size_bytes(self) -> int:
        return _operand_bytes(self.path)


@dataclass(frozen=True, slots=True)
class IfNotExists:
    path: Path
    otherwise: "Source"

    def value_in(self, item: Item) -> AttributeValue:
        found = value_at(item, self.path)
        return self.otherwise.value_in(item) if found is None else found

    @property
    def size_bytes(self) -> int:
        return _IF_NOT_EXISTS_BYTES + _operand_bytes(self.path) + self.otherwise.size_bytes


@dataclass(frozen=True, slots=True)
class ListAppend:
    first: "Source"
    second: "Source"

    def value_in(self, item: Item) -> AttributeValue:
        first, second = self.first.value_in(item), self.second.value_in(item)
        if "L" not in first or "L" not in second:
            raise ValidationException(_INCORRECT_TYPE)
        return {"L": first["L"] + second["L"]}

    @property
    def size_bytes(self) -> int:
        return _LIST_APPEND_BYTES + self.first.size_bytes + self.second.size_bytes


@dataclass(frozen=True, slots=True)
class Arithmetic:
    operator: Literal["+", "-"]
    left: "Source"
    right: "Source"

    def value_in(self, item: Item) -> AttributeValue:
        left, right = self.left.value_in(item), self.right.value_in(item)
        if "N" not in left or "N" not in right:
            raise ValidationException(_INCORRECT_TYPE)
        compute = add_numbers if self.operator == "+" else subtract_numbers
        return {"N": compute(left["N"], right["N"])}

    @property
    def size_bytes(self) -> int:
        return _ARITHMETIC_BYTES[self.operator] + self.left.size_bytes + self.right.size_bytes


Source = Constant | Copy | IfNotExists | ListAppend | Arithmetic


# ---- actions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Set:
    path: Path
    source: Source

    def perform(self, draft: Draft) -> None:
        draft.put(self.path, self.source.value_in(draft.original))

    @property
    def size_bytes(self) -> int:
        return _SET_BYTES + _target_bytes(self.path) + self.source.size_bytes


@dataclass(frozen=True, slots=True)
class Remove:
    path: Path

    def perform(self, draft: Draft) -> None:
        draft.remove(self.path)

    @property
    def size_bytes(self) -> int:
        return _REMOVE_BYTES + _target_bytes(self.path)


@dataclass(frozen=True, slots=True)
class Add:
    """Add to a number, or members to a set or (in legacy parameters) to a list; what is not there yet is put."""

    path: Path
    value: AttributeValue
    #: What is said where the item has something that cannot be added to.
    mismatch: str = _INCORRECT_TYPE

    def perform(self, draft: Draft) -> None:
        old = value_at(draft.original, self.path)
        ((kind, content),) = self.value.items()
        if old is None:
            draft.put(self.path, self.value)
        elif kind not in old:
            raise ValidationException(self.mismatch)
        elif kind == "N":
            draft.put(self.path, {"N": add_numbers(old["N"], content)})
        elif kind == "L":
            draft.put(self.path, {"L": old["L"] + content})
        else:
            added = [member for member in content if member not in set(old[kind])]
            if added:
                draft.put(self.path, normalize_value({kind: old[kind] + added}))

    @property
    def size_bytes(self) -> int:
        return _SET_BYTES + _target_bytes(self.path) + value_size_bytes(self.value)


@dataclass(frozen=True, slots=True)
class Delete:
    """Take members out of a set. An empty set is no value, so the last member takes the attribute with it."""

    path: Path
    value: AttributeValue
    #: What is said where the item has something that nothing can be taken out of.
    mismatch: str = _INCORRECT_TYPE

    def perform(self, draft: Draft) -> None:
        old = value_at(draft.original, self.path)
        ((kind, content),) = self.value.items()
        if old is None:
            draft.remove(self.path)
        elif kind not in old:
            raise ValidationException(self.mismatch)
        else:
            deleted = set(content)
            kept = [member for member in old[kind] if member not in deleted]
            if not kept:
                draft.remove(self.path)
            elif len(kept) < len(old[kind]):
                draft.put(self.path, {kind: kept})

    @property
    def size_bytes(self) -> int:
        return _REMOVE_BYTES + _target_bytes(self.path)


Action = Set | Remove | Add | Delete


@dataclass(frozen=True, slots=True)
class Update:
    """An UpdateExpression with its placeholders put in. No path leads into another."""

    actions: tuple[Action, ...]

    @property
    def updated_paths(self) -> tuple[Path, ...]:
        """The document paths that the actions write to, in the order they are written."""
        return tuple(action.path for action in self.actions)

    @property
    def size_bytes(self) -> int:
        """How much UpdateItem counts the update itself for, whatever the item is like. The key is not in it.

        AWS counts only those members that an ADD brings to a set; here it is all that are given.
        """
        return _UPDATE_BYTES + sum(action.size_bytes for action in self.actions)

    @property
    def creates_items(self) -> bool:
        """Whether the update makes an item where there is none. REMOVE and DELETE alone do not."""
        return any(isinstance(action, Set | Add) for action in self.actions)

    def check_keys(self, key_names: Container[str]) -> None:
        """Refuse to change the key. AWS does so before it looks at the item.

        Raises:
            ValidationException: an action writes to an attribute of the key.
        """
        for path in self.updated_paths:
            if path[0] in key_names:
                raise ValidationException(
                    f"One or more parameter values were invalid: Cannot update attribute {path[0]}. "
                    "This attribute is part of the key"
                )

    def apply(self, item: Item, *, key_names: Container[str], exists: bool = True) -> Item:
        """Give the updated item. All actions read the item as it was.

        Args:
            item: in normal form; for an item that does not exist yet, its key. It is not changed.
            key_names: the names of the key's attributes.
            exists: whether the item exists. Where none does, AWS lets REMOVE and DELETE pass with any path
                (Alternator, ``test_nested_attribute_remove_from_missing_item``).

        Raises:
            ValidationException: the item and the actions do not go together; AWS's text.
        """
        self.check_keys(key_names)
        draft = Draft(item)
        for action in self.actions:
            if exists or isinstance(action, Set | Add):
                action.perform(draft)
        return draft.finished()

    def project(self, item: Item) -> Item:
        """Give the parts of an item that the actions write to: UPDATED_OLD of the old item, UPDATED_NEW of the new."""
        return projection_of(self.updated_paths).of(item)


def parse_update(text: str, placeholders: Placeholders) -> Update:
    """Read an UpdateExpression.

    Raises:
        ValidationException: with AWS's text.
    """
    try:
        return _bind_update(parse_update_text(text), placeholders)
    except ExpressionProblem as problem:
        raise ValidationException(f"Invalid UpdateExpression: {problem.text}") from None


# ---- putting the placeholders in -----------------------------------------------------------------


def _bind_update(syntax: UpdateSyntax, placeholders: Placeholders) -> Update:
    """AWS looks up all names, then all values, then compares the paths, then looks at the operands."""
    for operand in syntax.simple_operands:
        if isinstance(operand, PathSyntax):
            placeholders.path(operand)
    for operand in syntax.simple_operands:
        if isinstance(operand, ValueSyntax):
            placeholders.value(operand)
    if len(syntax.actions) > 1:
        check_disjoint(placeholders.path(action.path) for action in syntax.actions)
    for action in syntax.actions:
        _check_operand(action, placeholders)
    return Update(tuple(_bind_action(action, placeholders) for action in syntax.actions))


def _check_operand(action: ActionSyntax, placeholders: Placeholders) -> None:
    """ADD takes a number or a set, DELETE a set."""
    if not isinstance(action, AddSyntax | DeleteSyntax):
        return
    kind = next(iter(placeholders.value(action.value)))
    operator = "ADD" if isinstance(action, AddSyntax) else "DELETE"
    if kind not in _SETS and not (operator == "ADD" and kind == "N"):
        raise ExpressionProblem(
            f"Incorrect operand type for operator or function; operator: {operator}, operand type: {_TYPE_WORDS[kind]}"
        )


def _bind_action(action: ActionSyntax, placeholders: Placeholders) -> Action:
    path = placeholders.path(action.path)
    match action:
        case SetSyntax(_, ArithmeticSyntax(operator, left, right)):
            sources = [_bind_source(operand, placeholders) for operand in (left, right)]
            for source in sources:
                _check_type(operator, source, "N")
            return Set(path, Arithmetic(operator, sources[0], sources[1]))
        case SetSyntax(_, value):
            assert not isinstance(value, ArithmeticSyntax)
            return Set(path, _bind_source(value, placeholders))
        case RemoveSyntax():
            return Remove(path)
        case AddSyntax(_, value):
            return Add(path, placeholders.value(value))
        case DeleteSyntax(_, value):
            return Delete(path, placeholders.value(value))


def _bind_source(syntax: OperandSyntax, placeholders: Placeholders) -> Source:
    match syntax:
        case PathSyntax():
            return Copy(placeholders.path(syntax))
        case ValueSyntax():
            return Constant(placeholders.value(syntax))
        case FunctionSyntax(name, arguments):
            sources = [_bind_source(argument, placeholders) for argument in arguments]
            if len(sources) != 2:
                raise ExpressionProblem(
                    "Incorrect number of operands for operator or function; "
                    f"operator or function: {name}, number of operands: {len(sources)}"
                )
            first, second = sources
            if name == "if_not_exists":
                if not isinstance(first, Copy):
                    raise ExpressionProblem(
                        f"Operator or function requires a document path; operator or function: {name}"
                    )
                return IfNotExists(first.path, second)
            for source in sources:
                _check_type(name, source, "L")
            return ListAppend(first, second)


def _check_type(name: str, source: Source, wanted: str) -> None:
    """Refuse a value of the request that can never do; the item's own are looked at when the update is applied."""
    if isinstance(source, Constant) and wanted not in source.value:
        raise ExpressionProblem(
            "Incorrect operand type for operator or function; "
            f"operator or function: {name}, operand type: {next(iter(source.value))}"
        )
