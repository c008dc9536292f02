"""Indexes that are added to a table that has items: built in chunks, each a transaction, so that a kill loses none."""

from typing import Any

from duestream.local.store import indexes, tables
from duestream.local.store.streams import decode_image
from duestream.local.store.writer import Transaction

#: Items, and bytes of their bodies, that one chunk looks at: some milliseconds of the loop.
CHUNK_ITEMS = 500
CHUNK_BYTES = 2 * 1024 * 1024

_NEXT = """SELECT id, table_id, built_partition_key, built_sort_key FROM secondary_index
    WHERE status = 'CREATING' ORDER BY id LIMIT 1"""
_ITEMS = """SELECT id, partition_key, sort_key, body FROM item
    WHERE table_id = ? AND (partition_key, sort_key) > (?, ?) ORDER BY partition_key, sort_key LIMIT ?"""


def build_step(tx: Transaction, chunk_items: int = CHUNK_ITEMS) -> bool:
    """Look at a chunk of the items of a table whose index is being built; at the end the index becomes active.

    Writes keep the index from its first moment on, so that what lies behind or ahead of the chunk may change freely.
    Items that cannot be in the index are passed over, as on AWS.

    Returns:
        Whether there is more to build.
    """
    row: Any = tx.execute(_NEXT).get
    if row is None:
        return False
    index_id, table_id, partition_key, sort_key = row
    table = tables.get_table_by_id(tx.connection, table_id)
    assert table is not None, "a table's indexes go with it"
    index = next(index for index in table.indexes if index.id == index_id)
    cursor = tx.execute(_ITEMS, (table_id, partition_key or b"", sort_key or b"", chunk_items))
    visited = visited_bytes = added = added_bytes = 0
    items: list[Any] = []
    for item in cursor:
        items.append(item)
        visited_bytes += len(item[3])
        if visited_bytes >= CHUNK_BYTES:
            break
    cursor.close()
    for item_id, partition_key, sort_key, body in items:
        visited += 1
        size_bytes = indexes.add_missing(tx, index, (partition_key, sort_key), item_id, decode_image(body) or {})
        if size_bytes is not None:
            added, added_bytes = added + 1, added_bytes + size_bytes
    indexes.count(tx, index_id, items=added, size_bytes=added_bytes)
    if visited < chunk_items and visited_bytes < CHUNK_BYTES:
        tx.execute("UPDATE secondary_index SET status = 'ACTIVE', built_partition_key = NULL, built_sort_key = NULL"
                   " WHERE id = ?", (index_id,))  # fmt: skip
        tables.renew(tx, table)
        return tx.execute(_NEXT).get is not None
    tx.execute(
        "UPDATE secondary_index SET built_partition_key = ?, built_sort_key = ? WHERE id = ?",
        (partition_key, sort_key, index_id),
    )
    return True
