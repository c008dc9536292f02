"""PutItem, GetItem, UpdateItem, DeleteItem.

The order of complaints is that of dynalite's tests: mixed parameters, placeholders without an expression, values,
ReturnValues, conditions, expressions; then the table, its keys, the item, the condition. PutItem, UpdateItem and
DeleteItem say how many errors they found in a request before they look for the table, and find one
(paritysuite/dynamodb-conformance, ``valueLayers`` and the tests of messages, eu-west-2 and us-east-1, 2026-10-09).
"""

from collections.abc import Mapping
from typing import Any

from duestream.core.attributes import normalize_item
from duestream.core.expression import (
    Condition,
    Placeholders,
    Projection,
    Update,
    parse_condition,
    parse_projection,
    parse_update,
)
from duestream.core.record import Item
from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.answers import answer, consumed_capacity, raw, read_units, wants_capacity
from duestream.local.services.dynamodb.legacy import (
    attribute_updates,
    check_conditional_operator,
    expected_condition,
    legacy_projection,
    refuse_mixing,
)
from duestream.local.services.dynamodb.requests import (
    counted,
    existing_table,
    return_values_of,
    table_name_of,
    wants_old_on_failure,
)
from duestream.local.services.dynamodb.write_costs import WriteCosts, collection_metrics, wants_metrics
from duestream.local.store import items, tables
from duestream.local.store.streams import decode_image
from duestream.local.store.writer import Transaction

_NOTHING = b"{}"
#: How many members a request has that asks for nothing beside: what is left to check is what is required.
_REQUIRED = 2
_TOO_LARGE = "Item size to update has exceeded the maximum allowed size"
#: Values of an update up to this length cannot make it too large, however often its 4 KB of text name them.
_SMALL_VALUE = 400


def _placeholders(parameters: Mapping[str, Any]) -> Placeholders:
    return Placeholders(parameters.get("ExpressionAttributeNames"), parameters.get("ExpressionAttributeValues"))


def _condition(parameters: Mapping[str, Any], placeholders: Placeholders) -> Condition | None:
    text = parameters.get("ConditionExpression")
    return None if text is None else parse_condition(text, placeholders)


def _condition_of(parameters: Mapping[str, Any]) -> Condition | None:
    """The condition of a PutItem or DeleteItem, from an expression or from Expected."""
    if "Expected" in parameters:
        return expected_condition(parameters)
    if "ConditionExpression" not in parameters:
        return None
    placeholders = _placeholders(parameters)
    condition = _condition(parameters, placeholders)
    placeholders.check_all_used()
    return condition


def _check_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse what PutItem and DeleteItem cannot be asked for together."""
    if len(parameters) == _REQUIRED:  # most requests: only the table, and the item or its key
        return
    refuse_mixing(parameters, ("ConditionExpression",), ("Expected", "ConditionalOperator"))
    Placeholders.refuse_idle(parameters, "ConditionExpression")
    check_conditional_operator(parameters, "Expected")


def _write_answer(
    context: RequestContext,
    parameters: Mapping[str, Any],
    attributes: Item | None,
    key: Item,
    old: Item | None,
    new: Item | None,
) -> bytes:
    """The answer of a write: the attributes asked for, and what it cost if that was asked for."""
    members: dict[str, Any] = {"Attributes": attributes or None}
    costs, metrics = wants_capacity(parameters), wants_metrics(parameters)
    if costs or metrics:
        name = table_name_of(parameters)
        table = tables.get_table(context.store.reader, name)
        if costs and table is not None:
            used = WriteCosts()
            used.add(table, old, new)
            members["ConsumedCapacity"] = used.shown(parameters, name)
        if metrics:
            members["ItemCollectionMetrics"] = collection_metrics(context.store.reader, table, key)
    elif not attributes:
        return _NOTHING
    return answer(members)


async def put_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Create or replace an item."""
    try:
        _check_parameters(parameters)
        item = normalize_item(parameters["Item"])
        return_values = return_values_of(parameters)
        condition = _condition_of(parameters)
    except ValidationException as error:
        raise counted(error, parameters) from None
    name = table_name_of(parameters)

    def job(tx: Transaction) -> Item | None:
        return items.put_item(
            tx,
            existing_table(tx.connection, name),
            item,
            condition=condition,
            now_ms=context.clock.now_ms(),
            return_old_on_failure=wants_old_on_failure(parameters),
        )

    old = await context.store.write(job)
    return _write_answer(context, parameters, old if return_values == "ALL_OLD" else None, item, old, item)


async def delete_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Delete an item; fine if there is none."""
    try:
        _check_parameters(parameters)
        key = normalize_item(parameters["Key"])
        return_values = return_values_of(parameters)
        condition = _condition_of(parameters)
    except ValidationException as error:
        raise counted(error, parameters) from None
    name = table_name_of(parameters)

    def job(tx: Transaction) -> Item | None:
        return items.delete_item(
            tx,
            existing_table(tx.connection, name),
            key,
            condition=condition,
            now_ms=context.clock.now_ms(),
            return_old_on_failure=wants_old_on_failure(parameters),
        )

    old = await context.store.write(job)
    return _write_answer(context, parameters, old if return_values == "ALL_OLD" else None, key, old, None)


def _update_of(parameters: Mapping[str, Any]) -> tuple[Update | None, Condition | None]:
    """The update and the condition of an UpdateItem, from expressions or from legacy parameters."""
    if "AttributeUpdates" in parameters or "Expected" in parameters:
        return attribute_updates(parameters), expected_condition(parameters)
    text = parameters.get("UpdateExpression")
    if text is None and "ConditionExpression" not in parameters:
        return None, None
    placeholders = _placeholders(parameters)
    update = None if text is None else parse_update(text, placeholders)
    condition = _condition(parameters, placeholders)
    placeholders.check_all_used()
    return update, condition


def _check_size(parameters: Mapping[str, Any], update: Update | None) -> None:
    """Refuse an update that itself, whatever the item is like, is larger than an item may be."""
    values: Mapping[str, Mapping[str, Any]] | None = parameters.get("ExpressionAttributeValues")
    if update is None or not values:
        return
    for value in values.values():
        for kind, content in value.items():
            if kind in ("L", "M") or (type(content) is not bool and len(content) > _SMALL_VALUE):
                if update.size_bytes > items.MAX_ITEM_BYTES:
                    raise ValidationException(_TOO_LARGE)
                return


async def update_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Change an item, or create it from its key."""
    expressions = ("UpdateExpression", "ConditionExpression")
    try:
        refuse_mixing(parameters, expressions, ("AttributeUpdates", "Expected", "ConditionalOperator"))
        Placeholders.refuse_idle(parameters, *expressions)
        check_conditional_operator(parameters, "Expected")
        key = normalize_item(parameters["Key"])
        update, condition = _update_of(parameters)
    except ValidationException as error:
        raise counted(error, parameters) from None
    return_values: str = parameters.get("ReturnValues", "NONE")
    _check_size(parameters, update)
    name = table_name_of(parameters)

    def job(tx: Transaction) -> tuple[Item | None, Item]:
        return items.update_item(
            tx,
            existing_table(tx.connection, name),
            key,
            update=update,
            condition=condition,
            now_ms=context.clock.now_ms(),
            return_old_on_failure=wants_old_on_failure(parameters),
        )

    old, new = await context.store.write(job)
    return _write_answer(context, parameters, _returned(return_values, update, old, new), key, old, new)


def _returned(return_values: str, update: Update | None, old: Item | None, new: Item) -> Item | None:
    match return_values:
        case "ALL_OLD":
            return old
        case "ALL_NEW":
            return new
        case "UPDATED_OLD" if update is not None and old is not None:
            return update.project(old)
        case "UPDATED_NEW" if update is not None:
            return update.project(new)
        case _:
            return None


def projection_of_read(parameters: Mapping[str, Any]) -> Projection | None:
    """The projection of a GetItem, or of one table of a BatchGetItem; None: whole items.

    Raises:
        ValidationException: it is not one, or there are two.
    """
    refuse_mixing(parameters, ("ProjectionExpression",), ("AttributesToGet",))
    Placeholders.refuse_idle(parameters, "ProjectionExpression")
    if "AttributesToGet" in parameters:
        return legacy_projection(parameters)
    text = parameters.get("ProjectionExpression")
    if text is None:
        return None
    placeholders = _placeholders(parameters)
    projection = parse_projection(text, placeholders)
    placeholders.check_all_used()
    return projection


async def get_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Read one item. Every read here sees all acknowledged writes; ConsistentRead only changes the capacity."""
    key = normalize_item(parameters["Key"])
    projection = None if len(parameters) == _REQUIRED else projection_of_read(parameters)
    reader = context.store.reader
    table = existing_table(reader, table_name_of(parameters))
    if projection is None and not wants_capacity(parameters):
        body = items.get_item(reader, table, key)
        return _NOTHING if body is None else b'{"Item":' + body + b"}"
    stored = items.get_stored_item(reader, table, items.key_of_key(table, key))
    shown: Any = None
    if stored is not None:
        shown = raw(stored.body) if projection is None else projection.of(decode_image(stored.body) or {})
    capacity = None
    if wants_capacity(parameters):
        units = read_units(stored.size_bytes if stored else 0, consistent=parameters.get("ConsistentRead", False))
        capacity = consumed_capacity(parameters, table.name, units)
    return answer({"Item": shown, "ConsumedCapacity": capacity})
