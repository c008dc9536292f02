"""BatchWriteItem and BatchGetItem.

BatchWriteItem says what is wrong with values in the words of AWS's older checks, and of every key that is none that
it does not match (paritysuite/dynamodb-conformance, ``valueLayers`` and the tests of messages, 2026-10-09).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from duestream.core.attributes import item_size_bytes, normalize_item
from duestream.core.expression import Projection
from duestream.core.record import Item
from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.answers import (
    answer,
    consumed_capacity,
    raw,
    read_units,
    wants_capacity,
)
from duestream.local.services.dynamodb.items import projection_of_read
from duestream.local.services.dynamodb.legacy import refuse_mixing
from duestream.local.services.dynamodb.requests import existing_table, in_older_words, table_name_of
from duestream.local.services.dynamodb.write_costs import WriteCosts, collection_metrics, wants_metrics
from duestream.local.store import items
from duestream.local.store.items import Key
from duestream.local.store.streams import decode_image
from duestream.local.store.tables import Table, counting_together
from duestream.local.store.writer import Transaction

MAX_WRITES = 25
MAX_READS = 100
#: What one BatchGetItem answers with at the most; the keys beyond it are unprocessed.
MAX_ANSWER_BYTES = 16 * 1024 * 1024

_DUPLICATES = "Provided list of item keys contains duplicates"


class _Write(NamedTuple):
    """A put's item and a delete's key; exactly one of the two."""

    item: Item | None
    key: Item | None
    #: Of the item.
    size_bytes: int = 0


#: What was written to, and what that cost.
_Written = tuple[Table, WriteCosts]


async def batch_write_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Put and delete up to 25 items, all in one transaction (AWS: each on its own)."""
    requested: Mapping[str, list[Mapping[str, Any]]] = parameters["RequestItems"]
    if sum(len(writes) for writes in requested.values()) > MAX_WRITES:
        raise ValidationException("Too many items requested for the BatchWriteItem call")
    writes_by_table: dict[str, list[_Write]] = {}
    for named, writes in requested.items():  # a table may be named twice, by its name and by its ARN
        name = table_name_of({"TableName": named})
        writes_by_table.setdefault(name, []).extend(_write_request(write) for write in writes)

    counts_units, measures = wants_capacity(parameters), wants_metrics(parameters)

    def job(tx: Transaction) -> dict[str, _Written]:
        now_ms = context.clock.now_ms()
        keys_by_table: dict[str, list[Key]] = {}
        tables = {name: existing_table(tx.connection, name) for name in writes_by_table}
        for name, writes in writes_by_table.items():
            keys_by_table[name] = [_key_of(tables[name], write) for write in writes]
            _refuse_duplicates(keys_by_table[name])
        return {
            name: _write(tx, tables[name], zip(writes, keys_by_table[name], strict=True), now_ms, counts_units)
            for name, writes in writes_by_table.items()
        }

    written = await context.store.write(job)
    if not counts_units and not measures:
        return b'{"UnprocessedItems":{}}'
    members: dict[str, Any] = {"UnprocessedItems": {}}
    if measures:
        members["ItemCollectionMetrics"] = _metrics_by_table(context, written, writes_by_table)
    if counts_units:
        members["ConsumedCapacity"] = [costs.shown(parameters, name) for name, (_, costs) in written.items()]
    return answer(members)


def _metrics_by_table(
    context: RequestContext, written: Mapping[str, _Written], writes_by_table: Mapping[str, list[_Write]]
) -> dict[str, list[dict[str, Any]]]:
    """What was written to, once for each partition key; tables without local indexes are left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, (table, _) in written.items():
        for item, key, _ in writes_by_table[name]:
            metrics = collection_metrics(context.store.reader, table, item or key or {})
            if metrics is not None and metrics not in found.setdefault(name, []):
                found[name].append(metrics)
    return found


def _write_request(write: Mapping[str, Any]) -> _Write:
    put, delete = write.get("PutRequest"), write.get("DeleteRequest")
    if (put is None) == (delete is None):  # AWS speaks of attribute values here too (dynalite's tests)
        raise ValidationException(
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes"
        )
    if put is not None:
        item = in_older_words(lambda: normalize_item(put["Item"]))
        size_bytes = item_size_bytes(item)
        if size_bytes > items.MAX_ITEM_BYTES:
            raise ValidationException("Item size has exceeded the maximum allowed size")
        return _Write(item, None, size_bytes)
    assert delete is not None
    return _Write(None, in_older_words(lambda: normalize_item(delete["Key"])))


def _key_of(table: Table, write: _Write) -> Key:
    item, key, _ = write
    if item is not None:
        key = {name: item[name] for name in table.key_names if name in item}
    return items.key_of_key(table, key or {})


def _refuse_duplicates(keys: list[Key]) -> None:
    if len(set(keys)) != len(keys):
        raise ValidationException(_DUPLICATES)


def _write(
    tx: Transaction, table: Table, writes: Iterable[tuple[_Write, Key]], now_ms: int, counts_units: bool
) -> _Written:
    """Carry out the writes on one table; their costs are counted if they were asked for."""
    costs = WriteCosts()
    with counting_together(tx):
        for (item, key, size_bytes), checked_key in writes:
            if item is not None:
                old = items.put_item(tx, table, item, now_ms=now_ms, key=checked_key, size_bytes=size_bytes)
            else:
                old = items.delete_item(tx, table, key or {}, now_ms=now_ms)
            if counts_units:
                costs.add(table, old, item)
    return table, costs


async def batch_get_item(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Read up to 100 items; what does not fit into 16 MB is left to the next call."""
    requested: Mapping[str, Mapping[str, Any]] = parameters["RequestItems"]
    if sum(len(request["Keys"]) for request in requested.values()) > MAX_READS:
        raise ValidationException("Too many items requested for the BatchGetItem call")
    refuse_mixing(  # one table may not be read the old way and another the new way
        {name: True for request in requested.values() for name in request},
        ("ProjectionExpression",),
        ("AttributesToGet",),
    )
    plans = [_read_plan(context, name, request) for name, request in requested.items()]
    responses: dict[str, list[Any]] = {}
    unprocessed: dict[str, Any] = {}
    consumed = []
    left_bytes = MAX_ANSWER_BYTES
    for name, table, request, keys, projection in plans:
        shown = responses.setdefault(name, [])
        units = 0.0
        for number, key in enumerate(keys):
            stored = items.get_stored_item(context.store.reader, table, key)
            size_bytes = 0 if stored is None else stored.size_bytes
            if size_bytes > left_bytes:
                unprocessed[name] = {**request, "Keys": request["Keys"][number:]}
                left_bytes = 0
                break
            left_bytes -= size_bytes
            units += read_units(size_bytes, consistent=request.get("ConsistentRead", False))
            if stored is not None:
                body = stored.body
                shown.append(raw(body) if projection is None else projection.of(decode_image(body) or {}))
        consumed.append(consumed_capacity(parameters, table.name, units))
    return answer(
        {
            "Responses": responses,
            "UnprocessedKeys": unprocessed,
            "ConsumedCapacity": consumed if wants_capacity(parameters) else None,
        }
    )


def _read_plan(
    context: RequestContext, name: str, request: Mapping[str, Any]
) -> tuple[str, Table, Mapping[str, Any], list[Key], Projection | None]:
    projection = projection_of_read(request)
    wanted = [normalize_item(key) for key in request["Keys"]]
    table = existing_table(context.store.reader, table_name_of({"TableName": name}))
    keys = [items.key_of_key(table, key) for key in wanted]
    _refuse_duplicates(keys)
    return name, table, request, keys, projection
