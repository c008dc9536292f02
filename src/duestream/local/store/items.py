"""DynamoDB items: each write is the item, its stream record and the table's counters in one transaction.

A write costs one SELECT for the old image, one INSERT or UPDATE, one INSERT of the stream record and one
UPDATE of the counters. Bodies are the exact JSON that goes out again.
"""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from zlib import crc32

import apsw
import msgspec

from duestream.core.attributes import item_size_bytes, key_bytes
from duestream.core.expression import Condition, Update
from duestream.core.record import AttributeValue, Item
from duestream.errors import ConditionalCheckFailedException, ValidationException
from duestream.local.store import indexes, streams, tables, time_to_live
from duestream.local.store.index_updates import check_update
from duestream.local.store.indexes import MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES
from duestream.local.store.streams import decode_image
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

#: DynamoDB's limit (Developer Guide, "Quotas in Amazon DynamoDB").
MAX_ITEM_BYTES = 400 * 1024
#: How many rows one page of a Scan looks at, also those of other segments: the loop is never held up for long.
MAX_VISITED_ROWS = 20_000

_INVALID = "One or more parameter values were invalid: "

#: Partition key and sort key (empty where the table has none) in their order-preserving form.
Key = tuple[bytes, bytes]


# Keys -------------------------------------------------------------------------------------------------


def key_of_item(table: Table, item: Item) -> Key:
    """The key of a whole item that is to be written.

    Raises:
        ValidationException: a key attribute is missing, of the wrong type, empty or too long, in
            DynamoDB's words (recorded by dynalite's tests and Scylla's Alternator tests).
    """
    partition_key = partition_key_bytes(table, item.get(table.partition_key))
    if table.sort_key is None:
        return partition_key, b""
    sort_key = _key_part(item.get(table.sort_key), table.sort_key, str(table.sort_key_type))
    if len(sort_key) > MAX_SORT_KEY_BYTES:
        raise ValidationException(
            f"{_INVALID}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
        )
    return partition_key, sort_key


def partition_key_bytes(table: Table, value: AttributeValue | None) -> bytes:
    """The partition key of an item or a query; errors as in `key_of_item`."""
    return partition_part(value, table.partition_key, table.partition_key_type)


def partition_part(value: AttributeValue | None, name: str, expected_type: str) -> bytes:
    """An attribute of a partition key, of a table or an index; errors as in `key_of_item`."""
    partition_key = _key_part(value, name, expected_type)
    if len(partition_key) > MAX_PARTITION_KEY_BYTES:
        raise ValidationException(f"{_INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes")
    return partition_key


def _key_part(value: AttributeValue | None, name: str, expected_type: str) -> bytes:
    if value is None:
        raise ValidationException(f"{_INVALID}Missing the key {name} in the item")
    content = value.get(expected_type)
    if content is None:
        actual_type = next(iter(value))
        raise ValidationException(
            f"{_INVALID}Type mismatch for key {name} expected: {expected_type} actual: {actual_type}"
        )
    refuse_empty(value, name, expected_type)
    return key_bytes(value)


def refuse_empty(value: AttributeValue, name: str, expected_type: str) -> None:
    """Refuse an empty string or binary where a key's attribute is meant.

    Raises:
        ValidationException: it is empty.
    """
    if not value[expected_type]:
        kind = "string" if expected_type == "S" else "binary"
        raise ValidationException(
            "One or more parameter values are not valid. The AttributeValue for a key attribute "
            f"cannot contain an empty {kind} value. Key: {name}"
        )


def key_of_key(table: Table, key: Item) -> Key:
    """The key that a request names; it must be the table's key attributes and nothing else.

    Raises:
        ValidationException: it does not match the schema, or a part is empty or too long.
    """
    expected = 1 if table.sort_key is None else 2
    if (
        len(key) != expected
        or table.partition_key_type not in key.get(table.partition_key, ())
        or (table.sort_key is not None and table.sort_key_type not in key.get(table.sort_key, ()))
    ):
        raise ValidationException("The provided key element does not match the schema")
    return key_of_item(table, key)


# One item ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as it is stored: its JSON, and how DynamoDB counts it."""

    body: bytes
    size_bytes: int


_BODY = "SELECT body FROM item WHERE table_id = ? AND partition_key = ? AND sort_key = ?"
_STORED = "SELECT body, size_bytes FROM item WHERE table_id = ? AND partition_key = ? AND sort_key = ?"
_OLD = "SELECT id, body, size_bytes FROM item WHERE table_id = ? AND partition_key = ? AND sort_key = ?"
_INSERT = "INSERT INTO item (table_id, partition_key, sort_key, size_bytes, body) VALUES (?, ?, ?, ?, ?)"
_REPLACE = "UPDATE item SET body = ?, size_bytes = ? WHERE id = ?"
_DELETE = "DELETE FROM item WHERE id = ?"

#: Row id, body and size of the item that is there; None: none is.
_OldRow = tuple[int, bytes, int] | None


def get_item(connection: apsw.Connection, table: Table, key: Item) -> bytes | None:
    """The item's JSON, as it goes out; None: there is none.

    Raises:
        ValidationException: the key does not match the table's.
    """
    return connection.execute(_BODY, (table.id, *key_of_key(table, key))).get  # type: ignore[no-any-return]


def get_stored_item(connection: apsw.Connection, table: Table, key: Key) -> StoredItem | None:
    """The item behind a checked key."""
    row = connection.execute(_STORED, (table.id, *key)).get
    return None if row is None else StoredItem(*row)


def put_item(
    tx: Transaction,
    table: Table,
    item: Item,
    *,
    condition: Condition | None = None,
    now_ms: int,
    return_old_on_failure: bool = False,
    key: Key | None = None,
    size_bytes: int | None = None,
) -> Item | None:
    """Create or replace an item.

    Args:
        item: as `core.attributes.normalize_item` gives it.
        key, size_bytes: what the caller knows of the item already.
        return_old_on_failure: the error of a condition that does not hold carries the item that is there.

    Returns:
        The old image.

    Raises:
        ConditionalCheckFailedException: the condition does not hold.
        ValidationException: the key is not one, or the item is too large.
    """
    if key is None:
        key = key_of_item(table, item)
    if table.indexes:
        indexes.check_item(table.indexes, item)
    if size_bytes is None:
        size_bytes = item_size_bytes(item)
    if size_bytes > MAX_ITEM_BYTES:
        raise ValidationException("Item size has exceeded the maximum allowed size")
    old_row: _OldRow = tx.execute(_OLD, (table.id, *key)).get
    old = None if old_row is None else decode_image(old_row[1])
    if condition is not None:
        _check(condition, old, return_old_on_failure)
    if old is None or old != item:
        _write(tx, table, key, old_row, old, item, size_bytes, now_ms)
    return old


def update_item(
    tx: Transaction,
    table: Table,
    key: Item,
    *,
    update: Update | None = None,
    condition: Condition | None = None,
    now_ms: int,
    return_old_on_failure: bool = False,
) -> tuple[Item | None, Item]:
    """Change an item, or create it from its key.

    Returns:
        The old image and the new one (empty: there was no item, and an update that only removes makes none).

    Raises:
        ConditionalCheckFailedException: the condition does not hold.
        ValidationException: the key does not match the table's, the update cannot be carried out on
            this item, or it would become too large.
    """
    checked_key = key_of_key(table, key)
    if update is not None:
        update.check_keys(table.key_names)
        if table.indexes:
            check_update(table.indexes, update)
    old_row: _OldRow = tx.execute(_OLD, (table.id, *checked_key)).get
    old = None if old_row is None else decode_image(old_row[1])
    if condition is not None:
        _check(condition, old, return_old_on_failure)
    if old is None and update is not None and not update.creates_items:
        return None, {}
    base = key if old is None else old
    new = base if update is None else update.apply(base, key_names=table.key_names, exists=old is not None)
    if old is None or old != new:
        if table.indexes:
            indexes.check_item(table.indexes, new, old, is_update=True)
        size_bytes = item_size_bytes(new)
        if size_bytes > MAX_ITEM_BYTES:
            raise ValidationException("Item size to update has exceeded the maximum allowed size")
        _write(tx, table, checked_key, old_row, old, new, size_bytes, now_ms)
    return old, new


def delete_item(
    tx: Transaction,
    table: Table,
    key: Item,
    *,
    condition: Condition | None = None,
    now_ms: int,
    return_old_on_failure: bool = False,
) -> Item | None:
    """Delete an item; fine if there is none.

    Returns:
        The old image.

    Raises:
        ConditionalCheckFailedException: the condition does not hold.
        ValidationException: the key does not match the table's.
    """
    checked_key = key_of_key(table, key)
    old_row: _OldRow = tx.execute(_OLD, (table.id, *checked_key)).get
    old = None if old_row is None else decode_image(old_row[1])
    if condition is not None:
        _check(condition, old, return_old_on_failure)
    if old_row is None:
        return None
    _remove(tx, table, checked_key, old_row, old, now_ms)
    return old


def expire_item(tx: Transaction, table: Table, key: Key, *, now_ms: int) -> bool:
    """Delete an item because its time has come; its stream record says so. False: there is none."""
    old_row: _OldRow = tx.execute(_OLD, (table.id, *key)).get
    if old_row is None:
        return False
    _remove(tx, table, key, old_row, decode_image(old_row[1]), now_ms, by_service=True)
    return True


def _remove(
    tx: Transaction,
    table: Table,
    key: Key,
    old_row: tuple[int, bytes, int],
    old: Item | None,
    now_ms: int,
    *,
    by_service: bool = False,
) -> None:
    row_id, old_body, old_size_bytes = old_row
    tx.execute(_DELETE, (row_id,))
    if table.indexes:
        indexes.keep(tx, table.indexes, key, row_id, old, None)
    if table.time_to_live is not None:
        time_to_live.keep(tx, table.time_to_live, key, old, None)
    if table.stream is not None:
        streams.append_record(
            tx,
            stream_id=table.stream.id,
            table_id=table.id,
            key=key,
            old_image=old_body,
            new_image=None,
            now_ms=now_ms,
            by_service=by_service,
        )
    tables.count(tx, table.id, items=-1, size_bytes=-old_size_bytes)


def _check(condition: Condition, old: Item | None, return_old: bool) -> None:
    if condition.holds(old or {}):
        return
    if return_old and old is not None:
        raise ConditionalCheckFailedException(Item=old)
    raise ConditionalCheckFailedException


def _write(
    tx: Transaction,
    table: Table,
    key: Key,
    old_row: _OldRow,
    old: Item | None,
    item: Item,
    size_bytes: int,
    now_ms: int,
) -> None:
    body = msgspec.json.encode(item)
    if old_row is None:
        old_body, items, grown_bytes = None, 1, size_bytes
        tx.execute(_INSERT, (table.id, *key, size_bytes, body))
    else:
        row_id, old_body, old_size_bytes = old_row
        items, grown_bytes = 0, size_bytes - old_size_bytes
        tx.execute(_REPLACE, (body, size_bytes, row_id))
    if table.indexes:
        item_id = tx.last_id() if old_row is None else old_row[0]
        indexes.keep(tx, table.indexes, key, item_id, old, item)
    if table.time_to_live is not None:
        time_to_live.keep(tx, table.time_to_live, key, old, item)
    if table.stream is not None:
        streams.append_record(
            tx,
            stream_id=table.stream.id,
            table_id=table.id,
            key=key,
            old_image=old_body,
            new_image=body,
            now_ms=now_ms,
        )
    if items or grown_bytes:
        tables.count(tx, table.id, items=items, size_bytes=grown_bytes)


# Pages of items ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SortRange:
    """Which sort keys a Query wants; `None` as an end: no bound there."""

    low: bytes = b""
    low_included: bool = True
    high: bytes | None = None
    high_included: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """Items that one Query or Scan looked at, at most 1 MB of them."""

    items: list[StoredItem]
    #: JSON of the last item looked at, after which the next page starts; None: this was the last page.
    last_body: bytes | None


_QUERY_COLUMNS = "SELECT body, size_bytes FROM item WHERE table_id = ? AND partition_key = ?"
#: By (low end included, high end: none, excluded or included, forward): few texts, each prepared once.
_QUERIES = {
    (low_included, high_included, forward): (
        f"{_QUERY_COLUMNS} AND sort_key {'>=' if low_included else '>'} ?"
        + ("" if high_included is None else f" AND sort_key {'<=' if high_included else '<'} ?")
        + f" ORDER BY sort_key {'ASC' if forward else 'DESC'}"
    )
    for low_included in (True, False)
    for high_included in (None, True, False)
    for forward in (True, False)
}
_SCAN = """SELECT partition_key, body, size_bytes FROM item
    WHERE table_id = ? AND (partition_key, sort_key) > (?, ?) ORDER BY partition_key, sort_key"""


def query_page(
    connection: apsw.Connection,
    table: Table,
    partition_key: bytes,
    wanted: SortRange,
    *,
    forward: bool,
    after: bytes | None,
    limit: int | None,
    max_bytes: int,
) -> Page:
    """The items of one partition key, in the order of their sort keys.

    Args:
        after: the sort key where the last page ended; None: from the start.
        limit: how many items to look at; None: as many as fit.
        max_bytes: how many bytes of items (as DynamoDB counts) a page has at the most.
    """
    low, low_included, high, high_included = wanted.low, wanted.low_included, wanted.high, wanted.high_included
    if after is not None and forward and after >= low:
        low, low_included = after, False
    if after is not None and not forward and (high is None or after <= high):
        high, high_included = after, False
    sql = _QUERIES[low_included, None if high is None else high_included, forward]
    ends = (low,) if high is None else (low, high)
    with closing(connection.execute(sql, (table.id, partition_key, *ends))) as rows:
        return page_of(rows, limit=limit, max_bytes=max_bytes)


def page_of(rows: Iterable[tuple[bytes, int]], *, limit: int | None, max_bytes: int) -> Page:
    """The page that a Query makes of bodies and their sizes."""
    items: list[StoredItem] = []
    size_bytes = 0
    for body, item_bytes in rows:
        if items and size_bytes + item_bytes > max_bytes:
            return Page(items, items[-1].body)
        items.append(StoredItem(body, item_bytes))
        size_bytes += item_bytes
        if len(items) == limit:
            return Page(items, body)
    return Page(items, None)


def segment_of(partition_key: bytes, total_segments: int) -> int:
    """Which segment of a parallel Scan an item is in."""
    return crc32(partition_key) % total_segments


def scan_page(
    connection: apsw.Connection,
    table: Table,
    *,
    after: Key | None,
    limit: int | None,
    max_bytes: int,
    segment: tuple[int, int] | None = None,
) -> Page:
    """The items of a table, or of one of its segments, in the order of their keys.

    Args:
        after: the key where the last page ended; None: from the start.
        limit: how many items to look at; None: as many as fit.
        max_bytes: how many bytes of items (as DynamoDB counts) a page has at the most.
        segment: number of the segment, and how many there are; None: the whole table.
    """
    with closing(connection.execute(_SCAN, (table.id, *(after or (b"", b""))))) as rows:
        return segment_page_of(rows, segment, limit=limit, max_bytes=max_bytes)


def segment_page_of(
    rows: Iterable[tuple[bytes, bytes, int]], segment: tuple[int, int] | None, *, limit: int | None, max_bytes: int
) -> Page:
    """The page that a Scan, or one segment of it, makes of partition keys, bodies and their sizes."""
    items: list[StoredItem] = []
    size_bytes = visited = 0
    last_body = b""
    for partition_key, body, item_bytes in rows:
        if (items and size_bytes + item_bytes > max_bytes) or visited == MAX_VISITED_ROWS:
            return Page(items, last_body)
        last_body = body
        visited += 1
        if segment is not None and segment_of(partition_key, segment[1]) != segment[0]:
            continue
        items.append(StoredItem(body, item_bytes))
        size_bytes += item_bytes
        if len(items) == limit:
            return Page(items, body)
    return Page(items, None)
