"""PutItem, GetItem, UpdateItem, DeleteItem."""

from collections.abc import Mapping
from typing import Any

from duestream.core.attributes import normalize_item
from duestream.core.expression import (
    Condition,
    Placeholders,
    Update,
    parse_condition,
    parse_projection,
    parse_update,
)
from duestream.core.record import Item
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.answers import (
    answer,
    consumed_capacity,
    raw,
    read_units,
    wants_capacity,
    write_units,
)
from duestream.local.services.dynamodb.requests import (
    existing_table,
    refuse_legacy,
    return_values_of,
    table_name_of,
    wants_old_on_failure,
)
from duestream.local.store import items
from duestream.local.store.streams import decode_image
from duestream.local.store.writer import Transaction

_OLD_ONLY = ("NONE", "ALL_OLD")
_ALL = ("NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW")
_NOTHING = b"{}"


def _condition(parameters: Mapping[str, Any], placeholders: Placeholders) -> Condition | None:
    text = parameters.get("ConditionExpression")
    return None if text is None else parse_condition(text, placeholders)


def _write_answer(parameters: Mapping[str, Any], attributes: Item | None, *images: Item | None) -> bytes:
    """The answer of a write: the attributes asked for, and the capacity if it was asked for."""
    capacity = None
    if wants_capacity(parameters):
        capacity = consumed_capacity(parameters, table_name_of(parameters), write_units(*images))
    if not attributes and capacity is None:
        return _NOTHING
    return answer({"Attributes": attributes or None, "ConsumedCapacity": capacity})


async def put_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Create or replace an item."""
    refuse_legacy(parameters)
    return_values = return_values_of(parameters, _OLD_ONLY)
    placeholders = Placeholders.of_request(parameters, "ConditionExpression")
    condition = _condition(parameters, placeholders)
    placeholders.check_all_used()
    item = normalize_item(parameters["Item"])
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
    return _write_answer(parameters, old if return_values == "ALL_OLD" else None, old, item)


async def delete_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Delete an item; fine if there is none."""
    refuse_legacy(parameters)
    return_values = return_values_of(parameters, _OLD_ONLY)
    placeholders = Placeholders.of_request(parameters, "ConditionExpression")
    condition = _condition(parameters, placeholders)
    placeholders.check_all_used()
    key = normalize_item(parameters["Key"])
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
    return _write_answer(parameters, old if return_values == "ALL_OLD" else None, old)


async def update_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Change an item, or create it from its key."""
    refuse_legacy(parameters)
    return_values = return_values_of(parameters, _ALL)
    placeholders = Placeholders.of_request(parameters, "UpdateExpression", "ConditionExpression")
    text = parameters.get("UpdateExpression")
    update = None if text is None else parse_update(text, placeholders)
    condition = _condition(parameters, placeholders)
    placeholders.check_all_used()
    key = normalize_item(parameters["Key"])
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
    return _write_answer(parameters, _returned(return_values, update, old, new), old, new)


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


async def get_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Read one item. Every read here sees all acknowledged writes; ConsistentRead only changes the capacity."""
    refuse_legacy(parameters)
    placeholders = Placeholders.of_request(parameters, "ProjectionExpression")
    text = parameters.get("ProjectionExpression")
    projection = None if text is None else parse_projection(text, placeholders)
    placeholders.check_all_used()
    key = normalize_item(parameters["Key"])
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
