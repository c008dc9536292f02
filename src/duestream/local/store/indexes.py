"""Secondary indexes: what they hold, and how each write keeps them.

An entry is found by the keys in an item's image, so that an index costs one tree; a write that leaves an index's
keys and projection alone leaves its entry alone. Tables without indexes come by here with an empty tuple.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from duestream.core.attributes import item_size_bytes, key_bytes
from duestream.core.record import AttributeValue, Item
from duestream.errors import ValidationException
from duestream.local.store.writer import Transaction

#: DynamoDB's limits on a key, of a table and of an index (Developer Guide, "Quotas in Amazon DynamoDB").
MAX_PARTITION_KEY_BYTES = 2048
MAX_SORT_KEY_BYTES = 1024

_INVALID = "One or more parameter values were invalid: "
_NOT_VALID = "One or more parameter values are not valid. "
#: Ends a part of a key that has several; a zero within a part is followed by `_NOT_THE_END`.
_END = b"\x00\x00"
_NOT_THE_END = b"\x00\xff"


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """An attribute that an index goes by, and its type: S, N or B."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index as it was declared. Its counters are not in it: they change with writes."""

    id: int
    name: str
    is_global: bool
    #: Holds all it should; else it is being built, and cannot be read.
    is_active: bool
    #: One attribute, or up to four in a global index with keys of several attributes.
    partition: tuple[KeyAttribute, ...]
    #: None, one, or up to four.
    sort: tuple[KeyAttribute, ...]
    #: Names of the attributes that it holds, keys included; None: all.
    projected: frozenset[str] | None
    #: KeySchema, Types, Projection and throughput under AWS's names.
    declaration: Mapping[str, Any]

    @property
    def key_attributes(self) -> tuple[KeyAttribute, ...]:
        """All attributes that it goes by."""
        return self.partition + self.sort

    def view(self, item: Item) -> Item:
        """What it projects of an item."""
        if self.projected is None:
            return item
        return {name: value for name, value in item.items() if name in self.projected}


@dataclass(frozen=True, slots=True)
class IndexCounters:
    """How much an index holds, as DynamoDB counts."""

    item_count: int
    size_bytes: int
    #: Some items have been looked at already while it is being built.
    is_backfilling: bool


#: Partition key and sort key (empty where the index has none).
EntryKey = tuple[bytes, bytes]


# What there is -----------------------------------------------------------------------------------------

_OF_TABLE = "SELECT id, name, kind, status, declaration FROM secondary_index WHERE table_id = ? ORDER BY id"
_COUNTERS = "SELECT item_count, size_bytes, built_partition_key IS NOT NULL FROM secondary_index WHERE id = ?"


def indexes_of(connection: apsw.Connection, table_id: int, table_keys: Sequence[str]) -> tuple[Index, ...]:
    """The indexes of a table: the global ones before the local ones, as AWS checks them; else as they were made."""
    rows: list[Any] = connection.execute(_OF_TABLE, (table_id,)).fetchall()
    found = [_index(row, table_keys) for row in rows]
    return tuple(sorted(found, key=lambda index: not index.is_global))


def _index(row: tuple[Any, ...], table_keys: Sequence[str]) -> Index:
    index_id, name, kind, status, encoded = row
    declaration: dict[str, Any] = msgspec.json.decode(encoded)
    types = declaration["Types"]
    attributes: dict[str, list[KeyAttribute]] = {"HASH": [], "RANGE": []}
    for element in declaration["KeySchema"]:
        attribute = element["AttributeName"]
        attributes[element["KeyType"]].append(KeyAttribute(attribute, types[attribute]))
    projection = declaration["Projection"]
    projected = None
    if projection["ProjectionType"] != "ALL":
        projected = frozenset((*table_keys, *types, *projection.get("NonKeyAttributes", ())))
    return Index(
        index_id,
        name,
        kind == "GLOBAL",
        status == "ACTIVE",
        tuple(attributes["HASH"]),
        tuple(attributes["RANGE"]),
        projected,
        declaration,
    )


def counters(connection: apsw.Connection, index: Index) -> IndexCounters:
    """What DescribeTable shows as ItemCount and IndexSizeBytes (exact here; AWS refreshes them every six hours)."""
    row: Any = connection.execute(_COUNTERS, (index.id,)).get
    return IndexCounters(0, 0, False) if row is None else IndexCounters(row[0], row[1], bool(row[2]))


def declare(
    tx: Transaction, table_id: int, name: str, declaration: Mapping[str, Any], *, is_global: bool, is_active: bool
) -> None:
    """Make an index; whoever calls renews the table's revision."""
    tx.execute(
        "INSERT INTO secondary_index (table_id, name, kind, status, declaration) VALUES (?, ?, ?, ?, ?)",
        (
            table_id,
            name,
            "GLOBAL" if is_global else "LOCAL",
            "ACTIVE" if is_active else "CREATING",
            msgspec.json.encode(declaration),
        ),
    )


def redeclare(tx: Transaction, index: Index, declaration: Mapping[str, Any]) -> None:
    """Replace what was declared of an index; whoever calls renews the table's revision."""
    tx.execute("UPDATE secondary_index SET declaration = ? WHERE id = ?", (msgspec.json.encode(declaration), index.id))


def drop(tx: Transaction, index: Index) -> None:
    """Delete an index; its name is free at once, `purge_step` removes its entries."""
    tx.execute("DELETE FROM secondary_index WHERE id = ?", (index.id,))
    tx.execute("INSERT INTO deleted_index (id) VALUES (?)", (index.id,))


def purge_step(tx: Transaction, limit: int) -> bool:
    """Remove a chunk of the entries that deleted indexes left behind.

    Returns:
        Whether there was anything to remove.
    """
    index_id = tx.execute("SELECT id FROM deleted_index ORDER BY id LIMIT 1").get
    if index_id is None:
        return False
    columns = "partition_key, sort_key, item_partition_key, item_sort_key"
    next_key: Any = tx.execute(
        f"SELECT {columns} FROM index_entry WHERE index_id = ? ORDER BY {columns} LIMIT 1 OFFSET ?", (index_id, limit)
    ).get
    if next_key is None:
        tx.execute("DELETE FROM index_entry WHERE index_id = ?", (index_id,))
        tx.execute("DELETE FROM deleted_index WHERE id = ?", (index_id,))
    else:
        tx.execute(f"DELETE FROM index_entry WHERE index_id = ? AND ({columns}) < (?, ?, ?, ?)", (index_id, *next_key))
    return True


# Keys --------------------------------------------------------------------------------------------------


def entry_key(index: Index, item: Item | None) -> EntryKey | None:
    """The key of an item's entry; None: the item has none, because an attribute is missing or is no key."""
    if item is None:
        return None
    partition_key = _joined(index.partition, item)
    if partition_key is None or len(partition_key) > MAX_PARTITION_KEY_BYTES:
        return None
    if not index.sort:
        return partition_key, b""
    sort_key = _joined(index.sort, item)
    if sort_key is None or len(sort_key) > MAX_SORT_KEY_BYTES:
        return None
    return partition_key, sort_key


def _joined(attributes: tuple[KeyAttribute, ...], item: Item) -> bytes | None:
    parts: list[bytes] = []
    for attribute in attributes:
        value = item.get(attribute.name)
        if value is None or not value.get(attribute.kind):
            return None
        parts.append(key_bytes(value))
    return parts[0] if len(parts) == 1 else b"".join(map(closed_part, parts))


def open_part(part: bytes) -> bytes:
    """A part of a key of several attributes as all parts begin that begin with it."""
    return part.replace(b"\x00", _NOT_THE_END)


def closed_part(part: bytes) -> bytes:
    """A part of a key of several attributes, with its end: joined, they sort as one after the other."""
    return open_part(part) + _END


def check_item(indexes: tuple[Index, ...], item: Item, old: Item | None = None, *, is_update: bool = False) -> None:
    """Refuse an item whose attribute is no key of an index that goes by it. Texts: nubo-db/dynamodb-conformance,
    dynalite's tests. While an index is being built, it does without such items, as on AWS.

    Args:
        old: what is not changed from this image is not looked at.

    Raises:
        ValidationException: it has another type than the index's, is empty or too long.
    """
    for index in indexes:
        if index.is_active:
            for attribute in index.key_attributes:
                value = item.get(attribute.name)
                if value is not None and (old is None or old.get(attribute.name) != value):
                    if is_update and attribute.kind not in value:  # it came from another attribute of the item
                        raise ValidationException(
                            "The update expression attempted to update the secondary index key to unsupported type"
                        )
                    check_value(index, attribute, value, is_update=is_update)


def check_value(index: Index, attribute: KeyAttribute, value: AttributeValue, *, is_update: bool) -> None:
    """Refuse a value that is no key of an index; errors as in `check_item`."""
    content = value.get(attribute.kind)
    if content is None:
        raise ValidationException(
            f"{_INVALID}Type mismatch for Index Key {attribute.name} Expected: {attribute.kind} "
            f"Actual: {next(iter(value))} IndexName: {index.name}"
        )
    if not content:
        kind = "string" if attribute.kind == "S" else "binary"
        empty = f"The AttributeValue for a key attribute cannot contain an empty {kind} value."
        if is_update:
            raise ValidationException(
                f"{_NOT_VALID}The update expression attempted to update a secondary index key to a value that is not "
                f"supported. {empty}"
            )
        raise ValidationException(
            f"{_NOT_VALID}A value specified for a secondary index key is not supported. {empty} "
            f"IndexName: {index.name}, IndexKey: {attribute.name}"
        )
    size_bytes = len(key_bytes(value))
    if attribute in index.partition and size_bytes > MAX_PARTITION_KEY_BYTES:
        raise ValidationException(f"{_INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes")
    if attribute in index.sort and size_bytes > MAX_SORT_KEY_BYTES:
        raise ValidationException(
            f"{_INVALID}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
        )


# Entries -----------------------------------------------------------------------------------------------

_ENTRY = "index_id = ? AND partition_key = ? AND sort_key = ? AND item_partition_key = ? AND item_sort_key = ?"
_ADD = """INSERT OR IGNORE INTO index_entry
    (index_id, partition_key, sort_key, item_partition_key, item_sort_key, item_id, size_bytes)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_RESIZE = f"UPDATE index_entry SET size_bytes = ? WHERE {_ENTRY}"
_REMOVE = f"DELETE FROM index_entry WHERE {_ENTRY} RETURNING size_bytes"
_COUNT = "UPDATE secondary_index SET item_count = item_count + ?, size_bytes = size_bytes + ? WHERE id = ?"


def keep(
    tx: Transaction,
    indexes: tuple[Index, ...],
    item_key: tuple[bytes, bytes],
    item_id: int,
    old: Item | None,
    new: Item | None,
) -> None:
    """Bring the entries of one item up to its new image, in the item's own transaction."""
    for index in indexes:
        before, after = entry_key(index, old), entry_key(index, new)
        if before is None and after is None:
            continue
        size_bytes = 0 if new is None or after is None else item_size_bytes(index.view(new))
        if before == after and index.is_active:
            old_size_bytes = item_size_bytes(index.view(old or {}))
            if size_bytes != old_size_bytes and after is not None:
                tx.execute(_RESIZE, (size_bytes, index.id, *after, *item_key))
                count(tx, index.id, items=0, size_bytes=size_bytes - old_size_bytes)
            continue
        items = grown_bytes = 0
        if before is not None:  # an index that is being built may not have got to it yet
            removed = tx.execute(_REMOVE, (index.id, *before, *item_key)).get
            if removed is not None:
                items, grown_bytes = -1, -removed
        if after is not None:
            tx.execute(_ADD, (index.id, *after, *item_key, item_id, size_bytes))
            items, grown_bytes = items + 1, grown_bytes + size_bytes
        if items or grown_bytes:
            count(tx, index.id, items=items, size_bytes=grown_bytes)


def add_missing(tx: Transaction, index: Index, item_key: tuple[bytes, bytes], item_id: int, item: Item) -> int | None:
    """Put an item into an index that is being built, unless a write has done so.

    Returns:
        The size of the entry made; None: none was.
    """
    key = entry_key(index, item)
    if key is None:
        return None
    size_bytes = item_size_bytes(index.view(item))
    tx.execute(_ADD, (index.id, *key, *item_key, item_id, size_bytes))
    return size_bytes if tx.connection.changes() else None


def count(tx: Transaction, index_id: int, *, items: int, size_bytes: int) -> None:
    """Add to an index's counters."""
    tx.execute(_COUNT, (items, size_bytes, index_id))
