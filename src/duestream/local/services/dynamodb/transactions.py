"""TransactGetItems and TransactWriteItems."""

from collections.abc import Mapping
from typing import Any

from duestream.core.attributes import item_size_bytes, normalize_item
from duestream.core.expression import (
    Condition,
    Placeholders,
    Projection,
    parse_condition,
    parse_projection,
    parse_update,
)
from duestream.core.record import Item
from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.answers import answer, raw
from duestream.local.services.dynamodb.requests import existing_table, table_name_of, wants_old_on_failure
from duestream.local.services.dynamodb.transact_actions import (
    MAX_TRANSACTION_BYTES,
    Action,
    carry_out,
    check_keys,
    consumed_by_reads,
    consumed_by_repetition,
    consumed_by_writes,
    is_repetition,
    metrics_of,
    remember,
)
from duestream.local.store import items
from duestream.local.store.items import Key, StoredItem
from duestream.local.store.snapshot import snapshot
from duestream.local.store.streams import decode_image
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

_WRITE = "TransactWriteItems"
_KINDS = ("ConditionCheck", "Put", "Delete", "Update")


# TransactWriteItems -----------------------------------------------------------------------------------


async def transact_write_items(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Carry out up to 100 changes, all of them or none, in one transaction of the store's."""
    actions = [_action(given) for given in parameters["TransactItems"]]

    def job(tx: Transaction) -> dict[str, Any]:
        now_ms = context.clock.now_ms()
        tables = [existing_table(tx.connection, action.table_name) for action in actions]
        keys = check_keys(tables, actions)
        if is_repetition(tx, _WRITE, parameters, now_ms=now_ms):
            return {"ConsumedCapacity": consumed_by_repetition(tx.connection, parameters, tables, keys)}
        done = carry_out(tx, tables, keys, actions, now_ms=now_ms)
        remember(tx, _WRITE, parameters, now_ms=now_ms)
        return {
            "ConsumedCapacity": consumed_by_writes(parameters, done),
            "ItemCollectionMetrics": metrics_of(tx.connection, parameters, tables, actions),
        }

    return answer(await context.store.write(job))


def _action(given: Mapping[str, Any]) -> Action:
    """Read one action, with all that can be wrong with it by itself."""
    kinds = [kind for kind in _KINDS if given.get(kind) is not None]
    if not kinds:
        raise ValidationException(
            "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"
        )
    if len(kinds) > 1:
        raise ValidationException("TransactItems can only contain one of Check, Put, Update or Delete")
    (kind,) = kinds
    parameters = given[kind]
    expressions = ("UpdateExpression", "ConditionExpression") if kind == "Update" else ("ConditionExpression",)
    item = _normal(parameters["Item" if kind == "Put" else "Key"])
    placeholders = Placeholders.of_request(parameters, *expressions, older=True)
    update = parse_update(parameters["UpdateExpression"], placeholders) if kind == "Update" else None
    condition = _condition(parameters, placeholders)
    placeholders.check_all_used()
    if kind == "Put" and item_size_bytes(item) > items.MAX_ITEM_BYTES:
        raise ValidationException("Item size has exceeded the maximum allowed size")
    return Action(
        kind,  # type: ignore[arg-type]  # one of _KINDS
        table_name_of(parameters),
        item,
        condition,
        update,
        return_old_on_failure=wants_old_on_failure(parameters),
    )


def _normal(item: Any) -> Item:
    """An item in normal form; transactions have AWS's older checks (paritysuite's ``valueLayers``, 2026-10-09)."""
    try:
        return normalize_item(item)
    except ValidationException as error:
        raise ValidationException(error.older_message or error.message) from None


def _condition(parameters: Mapping[str, Any], placeholders: Placeholders) -> Condition | None:
    text = parameters.get("ConditionExpression")
    return None if text is None else parse_condition(text, placeholders)


# TransactGetItems -------------------------------------------------------------------------------------


async def transact_get_items(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Read up to 100 items as they are at one moment."""
    gets = [_get(given["Get"]) for given in parameters["TransactItems"]]
    reader = context.store.reader
    responses: list[dict[str, Any]] = []
    reads: list[tuple[str, int]] = []
    with snapshot(reader):
        tables = [existing_table(reader, name) for name, _, _ in gets]
        keys = _keys(tables, [key for _, key, _ in gets])
        for table, key, (_, _, projection) in zip(tables, keys, gets, strict=True):
            stored = items.get_stored_item(reader, table, key)
            reads.append((table.name, 0 if stored is None else stored.size_bytes))
            responses.append({} if stored is None else _shown(stored, projection))
    if sum(size_bytes for _, size_bytes in reads) > MAX_TRANSACTION_BYTES:
        raise ValidationException("Transaction request cannot exceed 4 MB of items in total")
    return answer({"Responses": responses, "ConsumedCapacity": consumed_by_reads(parameters, reads)})


def _shown(stored: StoredItem, projection: Projection | None) -> dict[str, Any]:
    """An answer to one of the gets: without an item where nothing of it was asked for, other than GetItem's."""
    if projection is None:
        return {"Item": raw(stored.body)}
    projected = projection.of(decode_image(stored.body) or {})
    return {"Item": projected} if projected else {}


def _get(parameters: Mapping[str, Any]) -> tuple[str, Item, Projection | None]:
    key = _normal(parameters["Key"])
    placeholders = Placeholders.of_request(parameters, "ProjectionExpression", older=True)
    text = parameters.get("ProjectionExpression")
    projection = None if text is None else parse_projection(text, placeholders)
    placeholders.check_all_used()
    return table_name_of(parameters), key, projection


def _keys(tables: list[Table], given: list[Item]) -> list[Key]:
    """The keys that are read; what is wrong with one cancels the transaction, as on AWS."""
    reads = [Action("ConditionCheck", table.name, key) for table, key in zip(tables, given, strict=True)]
    return check_keys(tables, reads)
