"""Pages of a secondary index, for Query and Scan. What an index projects is read from the item itself."""

from contextlib import closing
from dataclasses import dataclass

import apsw

from duestream.local.store.indexes import Index
from duestream.local.store.items import Page, SortRange, page_of, segment_page_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of an index ended: the entry's keys, then the item's, by which entries with equal keys are ordered."""

    partition_key: bytes
    sort_key: bytes
    item_partition_key: bytes
    item_sort_key: bytes


# CROSS JOIN: go through the entries in their order, and look up each one's item.
_FROM = "FROM index_entry AS e CROSS JOIN item AS i ON i.id = e.item_id WHERE e.index_id = ?"
_ORDER = "e.sort_key {0}, e.item_partition_key {0}, e.item_sort_key {0}"
_AFTER = "(e.sort_key, e.item_partition_key, e.item_sort_key) {0} (?, ?, ?)"
_LOW = {True: " AND e.sort_key >= ?", False: " AND e.sort_key > ?"}
_HIGH = {True: " AND e.sort_key <= ?", False: " AND e.sort_key < ?"}
_SCAN = f"""SELECT e.partition_key, i.body, e.size_bytes {_FROM}
    AND (e.partition_key, e.sort_key, e.item_partition_key, e.item_sort_key) > (?, ?, ?, ?)
    ORDER BY e.partition_key, e.sort_key, e.item_partition_key, e.item_sort_key"""


def query_page(
    connection: apsw.Connection,
    index: Index,
    partition_key: bytes,
    wanted: SortRange,
    *,
    forward: bool,
    after: Place | None,
    limit: int | None,
    max_bytes: int,
) -> Page:
    """The entries of one partition key in the order of their sort keys, those with equal ones in that of the table's.

    Args:
        after: where the last page ended, within what is wanted; None: from the start.
        limit: how many to look at; None: as many as fit.
        max_bytes: how many bytes of what is projected a page has at the most.

    Returns:
        Whole items, with the sizes of what the index projects of them.
    """
    bindings: list[bytes | int] = [index.id, partition_key]
    sql = f"SELECT i.body, e.size_bytes {_FROM} AND e.partition_key = ?"
    if after is not None:
        sql += f" AND {_AFTER.format('>' if forward else '<')}"
        bindings += [after.sort_key, after.item_partition_key, after.item_sort_key]
    if wanted.low and (after is None or not forward):
        sql += _LOW[wanted.low_included]
        bindings.append(wanted.low)
    if wanted.high is not None and (after is None or forward):
        sql += _HIGH[wanted.high_included]
        bindings.append(wanted.high)
    sql += f" ORDER BY {_ORDER.format('ASC' if forward else 'DESC')}"
    with closing(connection.execute(sql, bindings)) as rows:
        return page_of(rows, limit=limit, max_bytes=max_bytes)


def scan_page(
    connection: apsw.Connection,
    index: Index,
    *,
    after: Place | None,
    limit: int | None,
    max_bytes: int,
    segment: tuple[int, int] | None = None,
) -> Page:
    """The entries of an index, or of one of its segments, in the order of their keys; arguments as of `query_page`.

    Args:
        segment: number of the segment, and how many there are; None: the whole index.
    """
    start = after or Place(b"", b"", b"", b"")
    keys = (start.partition_key, start.sort_key, start.item_partition_key, start.item_sort_key)
    with closing(connection.execute(_SCAN, (index.id, *keys))) as rows:
        return segment_page_of(rows, segment, limit=limit, max_bytes=max_bytes)
