"""PartiQL statements: what can be said of one without its table, and the change that one makes to a table.

The texts were recorded from AWS by nubo-db/dynamodb-conformance (``executeStatement.test.ts``, ``partiql.test.ts``,
eu-west-2, 2026-08) and floci-io/floci (``DynamoDbPartiQL...IntegrationTest``, eu-west-2, 2026-09-17).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duestream.core.expression import Condition, Update
from duestream.core.expression.conditions import AllOf, Comparison, ConstantOperand, Exists, PathOperand
from duestream.core.partiql import (
    NUMBER_OF_PARAMETERS,
    DeleteSyntax,
    IfPresent,
    InsertSyntax,
    Parameters,
    SelectSyntax,
    Statement,
    StructTerm,
    UpdateSyntax,
    bind_condition,
    bind_update,
    joined,
    normalize_parameters,
    parse_statement,
    parts_of,
    value_of,
)
from duestream.core.record import AttributeValue, Item
from duestream.errors import ValidationException
from duestream.local.services.dynamodb.transact_actions import Action, Done, carry_out_one
from duestream.local.store import items
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

_INCOMPLETE_KEY = "Where clause does not contain a mandatory equality on all key attributes"
_NO_INDEX = "This operation is not supported on an index"
_EXISTS_NEEDS_MORE = "EXISTS() must contain a single item read with additional condition"
_TOO_DEEP = "Nesting Levels have exceeded supported limits"


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement with its parameters put in, all of it checked that needs no table."""

    syntax: Statement
    where: Condition | None = None
    #: What an INSERT writes.
    item: Item | None = None
    update: Update | None = None

    @property
    def is_read(self) -> bool:
        """Whether it is a SELECT, and not the condition of a transaction that writes."""
        return isinstance(self.syntax, SelectSyntax) and not self.syntax.is_condition

    @property
    def table_name(self) -> str:
        name = self.syntax.source.table_name
        return name.rpartition("/")[2] if name.startswith("arn:") else name


def parameters_of(given: Mapping[str, Any]) -> Parameters:
    """A request's parameters of its statement, in normal form.

    Raises:
        ValidationException: one of them cannot be.
    """
    return normalize_parameters(given.get("Parameters"))


def bind(text: str, parameters: Parameters) -> Bound:
    """Read a statement and put its parameters in.

    Raises:
        ValidationException: what is wrong with it, whatever its table is; AWS's text.
    """
    syntax = parse_statement(text)
    if syntax.parameters != len(parameters):
        raise ValidationException(NUMBER_OF_PARAMETERS)
    if isinstance(syntax, InsertSyntax):
        return Bound(syntax, item=_inserted(syntax, parameters))
    update = bind_update(syntax.assignments, parameters) if isinstance(syntax, UpdateSyntax) else None
    where = None if syntax.where is None else bind_condition(syntax.where, parameters)
    if isinstance(syntax, DeleteSyntax) and syntax.returning not in (None, "ALL OLD"):
        raise ValidationException(
            f"Invalid returning clause: RETURNING {syntax.returning} *. "
            "Only RETURNING ALL OLD * is allowed in DELETE statements."
        )
    return Bound(syntax, where=where, update=update)


def _inserted(syntax: InsertSyntax, parameters: Parameters) -> Item:
    if isinstance(syntax.value, StructTerm):
        return {name: value_of(member, parameters) for name, member in syntax.value.members}
    value = value_of(syntax.value, parameters)
    if "M" not in value:
        raise ValidationException("Unsupported data type: an INSERT's VALUE must be a tuple")
    item: Item = value["M"]
    return item


# ---- writes --------------------------------------------------------------------------------------


def action_of(bound: Bound, table: Table, given: Mapping[str, Any], *, in_transaction: bool) -> Action:
    """The change of one item that the statement makes.

    Args:
        given: the member of the request that the statement came in.
        in_transaction: a key that is none is left to be found by `transact_actions.check_keys`.

    Raises:
        ValidationException: the statement does not name one item of the table.
    """
    syntax = bound.syntax
    return_old = given.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    if isinstance(syntax, InsertSyntax):
        is_free = Exists((table.partition_key,), "attribute_not_exists")
        return Action("Put", table.name, bound.item or {}, is_free, is_insert=True)
    if syntax.source.index_name is not None:
        raise ValidationException(_NO_INDEX)
    if isinstance(syntax, SelectSyntax):
        key, rest = _exists_parts(bound, table)
        return Action("ConditionCheck", table.name, key, joined(rest), return_old_on_failure=return_old)
    key, rest = _key_of_write(bound, table, in_transaction=in_transaction)
    if isinstance(syntax, DeleteSyntax):
        condition = joined(rest)
        asked = None if condition is None else IfPresent(condition)
        return Action("Delete", table.name, key, asked, return_old_on_failure=return_old)
    is_there = Exists((table.partition_key,), "attribute_exists")
    condition = AllOf((is_there, *rest))
    return Action("Update", table.name, key, condition, bound.update, return_old_on_failure=return_old)


def _exists_parts(bound: Bound, table: Table) -> tuple[Item, list[Condition]]:
    """Of several values for one key, an EXISTS reads by the first and asks for the others."""
    key: Item = {}
    rest: list[Condition] = []
    for part in parts_of(bound.where):
        name, value = key_equality(part, table)
        if name is None or key.setdefault(name, value) != value:
            rest.append(part)
    if len(key) < len(table.key_names) or not rest:
        raise ValidationException(_EXISTS_NEEDS_MORE)
    return key, rest


def _key_of_write(bound: Bound, table: Table, *, in_transaction: bool) -> tuple[Item, list[Condition]]:
    key: Item = {}
    rest: list[Condition] = []
    for part in parts_of(bound.where):
        name, value = key_equality(part, table)
        if name is None:
            rest.append(part)
        elif key.setdefault(name, value) != value:
            if in_transaction:
                return {}, rest
            raise ValidationException(
                f"Multiple conditions on same key {name}. Only single item Update/Insert/Delete are supported"
            )
    if not in_transaction:
        _check_key(key, table)
    return key, rest


def key_equality(part: Condition, table: Table) -> tuple[str, AttributeValue] | tuple[None, AttributeValue]:
    """The key attribute and the value that a condition demands of it; None where it is no such condition."""
    match part:
        case Comparison("=", PathOperand((str(name),)), ConstantOperand(value)) if name in table.key_names:
            return name, value
        case Comparison("=", ConstantOperand(value), PathOperand((str(name),))) if name in table.key_names:
            return name, value
    return None, {}


def _check_key(key: Item, table: Table) -> None:
    if len(key) < len(table.key_names):
        raise ValidationException(_INCOMPLETE_KEY)
    types = (table.partition_key_type, table.sort_key_type)
    for name, kind in zip(table.key_names, types, strict=False):
        if kind not in key[name]:
            raise ValidationException(
                f"Key attribute's data type should match its data type in table's schema: Key {name}"
            )


def write_one(tx: Transaction, bound: Bound, table: Table, given: Mapping[str, Any], now_ms: int) -> Done:
    """Carry out a statement that writes, by itself.

    Raises:
        ConditionalCheckFailedException: the item is not as the WHERE demands, or there is none to update.
        DuplicateItemException: there is one to insert already.
        ValidationException: the statement does not name one item, or the item would be none.
    """
    action = action_of(bound, table, given, in_transaction=False)
    return run_action(tx, table, action, now_ms)


def run_action(tx: Transaction, table: Table, action: Action, now_ms: int) -> Done:
    """Carry out one statement's change; errors as of `write_one`."""
    read_key = items.key_of_item if action.kind == "Put" else items.key_of_key
    try:
        return carry_out_one(tx, table, read_key(table, action.item), action, now_ms)
    except ValidationException as error:
        raise in_words_of_statements(error) from None


def in_words_of_statements(error: ValidationException) -> ValidationException:
    """Of an item that is nested too deep, statements say less than the other operations."""
    return ValidationException(_TOO_DEEP) if error.message.startswith(_TOO_DEEP + ":") else error


def returned_by(bound: Bound, done: Done) -> Item | None:
    """What the statement's RETURNING asks for; None: it asks for nothing, or there is nothing of it."""
    syntax = bound.syntax
    returning = syntax.returning if isinstance(syntax, UpdateSyntax | DeleteSyntax) else None
    if returning is None:
        return None
    what, when = returning.split()
    image = done.old if when == "OLD" else done.new
    if image is not None and what == "MODIFIED" and bound.update is not None:
        image = bound.update.project(image)
    return image or None
