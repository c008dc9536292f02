"""DynamoDB tables: what was declared, and the counters that DescribeTable shows."""

import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from duestream.core.schedule import Place
from duestream.local.store import indexes, schedules, streams
from duestream.local.store.indexes import Index
from duestream.local.store.streams import Stream
from duestream.local.store.time_to_live import TimeToLive, find_time_to_live, switch_off
from duestream.local.store.writer import StreamSwitched, Transaction

#: Tables kept in memory; they are looked up by a random revision, so a stale one is never found.
MAX_KNOWN_TABLES = 10_000
#: Items of a deleted table that go in one transaction, so that the loop is never held up for long.
PURGE_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was declared. Counters are not in it: they change with every write."""

    id: int
    name: str
    region: str
    status: str
    partition_key: str
    partition_key_type: str
    sort_key: str | None
    sort_key_type: str | None
    #: The stream that is switched on.
    stream: Stream | None
    #: Everything else that CreateTable and UpdateTable gave, under AWS's names, and the table's id.
    declaration: Mapping[str, Any]
    created_at_ms: int
    #: Its secondary indexes, the global ones first.
    indexes: tuple[Index, ...] = ()
    #: What its items expire by; None: they do not.
    time_to_live: TimeToLive | None = None

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the partition key and, where there is one, the sort key."""
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)

    @property
    def arn(self) -> str:
        """``arn:aws:dynamodb:<region>:<account>:table/<name>``."""
        return Place(region=self.region).arn("dynamodb", f"table/{self.name}")


@dataclass(frozen=True, slots=True)
class IndexDeclaration:
    """An index that is to be made: its name, and KeySchema, Types, Projection ... under AWS's names."""

    name: str
    is_global: bool
    declaration: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TableCounters:
    """How much a table holds, as DynamoDB counts (exact here; AWS refreshes it every six hours)."""

    item_count: int
    size_bytes: int


_known: dict[int, Table] = {}

_REVISION = "SELECT revision FROM dynamodb_table WHERE name = ?"
_TABLE = """SELECT revision, id, name, region, status, partition_key, partition_key_type, sort_key, sort_key_type,
    stream_id, declaration, created_at_ms FROM dynamodb_table WHERE name = ?"""
_BY_ID = "SELECT name FROM dynamodb_table WHERE id = ?"
_COUNTERS = "SELECT item_count, size_bytes FROM dynamodb_table WHERE id = ?"
_COUNT = "UPDATE dynamodb_table SET item_count = item_count + ?, size_bytes = size_bytes + ? WHERE id = ?"
#: Where a job keeps what it counts together.
_TOGETHER = object()


def get_table(connection: apsw.Connection, name: str) -> Table | None:
    """The table of that name. Hot: one indexed look-up; the rest comes from memory."""
    revision = connection.execute(_REVISION, (name,)).get
    if revision is None:
        return None
    table = _known.get(revision)
    return table if table is not None else _load(connection, name)


def get_table_by_id(connection: apsw.Connection, table_id: int) -> Table | None:
    """The table with that id; None: deleted."""
    name = connection.execute(_BY_ID, (table_id,)).get
    return None if name is None else get_table(connection, name)


def _load(connection: apsw.Connection, name: str) -> Table | None:
    row: Any = connection.execute(_TABLE, (name,)).get
    if row is None:
        return None
    revision, table_id, found, region, status, *keys = row
    partition_key, partition_key_type, sort_key, sort_key_type, stream_id, declaration, created_at_ms = keys
    table = Table(
        table_id,
        found,
        region,
        status,
        partition_key,
        partition_key_type,
        sort_key,
        sort_key_type,
        None if stream_id is None else streams.get_stream(connection, stream_id),
        msgspec.json.decode(declaration),
        created_at_ms,
        indexes.indexes_of(connection, table_id, [name for name in (partition_key, sort_key) if name is not None]),
        find_time_to_live(connection, table_id),
    )
    if len(_known) >= MAX_KNOWN_TABLES:
        _known.clear()
    _known[revision] = table
    return table


def _reload(tx: Transaction, name: str) -> Table:
    table = _load(tx.connection, name)
    assert table is not None
    return table


def _new_revision() -> int:
    """Random, so that a revision of a transaction that was undone never comes again."""
    return secrets.randbits(62)


def list_tables(connection: apsw.Connection, *, after: str, limit: int) -> list[str]:
    """Names in their order, from the one that follows `after` (empty: from the first)."""
    sql = "SELECT name FROM dynamodb_table WHERE name > ? ORDER BY name LIMIT ?"
    rows: list[Any] = connection.execute(sql, (after, limit)).fetchall()
    return [name for (name,) in rows]


def table_counters(connection: apsw.Connection, table: Table) -> TableCounters:
    """What DescribeTable shows as ItemCount and TableSizeBytes."""
    row = connection.execute(_COUNTERS, (table.id,)).get
    return TableCounters(0, 0) if row is None else TableCounters(*row)


def count(tx: Transaction, table_id: int, *, items: int, size_bytes: int) -> None:
    """Add to a table's counters."""
    together: dict[int, tuple[int, int]] | None = tx.looked_up.get(_TOGETHER)
    if together is None:
        tx.execute(_COUNT, (items, size_bytes, table_id))
    else:
        items_before, bytes_before = together.get(table_id, (0, 0))
        together[table_id] = (items_before + items, bytes_before + size_bytes)


@contextmanager
def counting_together(tx: Transaction) -> Iterator[None]:
    """What is counted meanwhile is added to each table's counters once, at the end: for many writes in one job."""
    together: dict[int, tuple[int, int]] = {}
    tx.looked_up[_TOGETHER] = together
    try:
        yield
    finally:
        del tx.looked_up[_TOGETHER]
    for table_id, (items, size_bytes) in together.items():
        tx.execute(_COUNT, (items, size_bytes, table_id))


def create_table(
    tx: Transaction,
    name: str,
    *,
    region: str,
    partition_key: str,
    partition_key_type: str = "S",
    sort_key: str | None = None,
    sort_key_type: str | None = None,
    view_type: str | None = None,
    declaration: Mapping[str, Any] | None = None,
    secondary_indexes: Sequence[IndexDeclaration] = (),
    now_ms: int,
) -> Table:
    """Make a table; the caller has seen that there is none of that name.

    Args:
        view_type: switch its stream on with this view type; None: no stream.
        declaration: further members of CreateTable to be kept and shown, under AWS's names. Without a
            billing mode it is PAY_PER_REQUEST.
        secondary_indexes: its indexes, in the order in which they are shown.
    """
    kept = {"BillingMode": "PAY_PER_REQUEST", **(declaration or {}), "TableId": str(uuid.uuid4())}
    if sort_key is not None:
        sort_key_type = sort_key_type or "S"
    tx.execute(
        "INSERT INTO dynamodb_table (name, revision, region, status, partition_key, partition_key_type,"
        " sort_key, sort_key_type, declaration, created_at_ms) VALUES (?, ?, ?, 'ACTIVE', ?, ?, ?, ?, ?, ?)",
        (
            name,
            _new_revision(),
            region,
            partition_key,
            partition_key_type,
            sort_key,
            sort_key_type,
            msgspec.json.encode(kept),
            now_ms,
        ),
    )
    table_id = tx.last_id()
    for index in secondary_indexes:
        indexes.declare(tx, table_id, index.name, index.declaration, is_global=index.is_global, is_active=True)
    table = _reload(tx, name)
    if view_type is not None:
        return switch_stream_on(tx, table, view_type, now_ms)
    tx.announce(StreamSwitched(name, is_on=False))
    return table


def set_declaration(tx: Transaction, table: Table, declaration: Mapping[str, Any]) -> Table:
    """Replace what was declared beside keys and stream."""
    tx.execute(
        "UPDATE dynamodb_table SET declaration = ?, revision = ? WHERE id = ?",
        (msgspec.json.encode(declaration), _new_revision(), table.id),
    )
    return _reload(tx, table.name)


def add_index(tx: Transaction, table: Table, index: IndexDeclaration) -> Table:
    """Begin to build a global index. Writes keep it from now on; `index_building.build_step` brings in the rest."""
    indexes.declare(tx, table.id, index.name, index.declaration, is_global=index.is_global, is_active=False)
    return renew(tx, table)


def drop_index(tx: Transaction, table: Table, index: Index) -> Table:
    """Delete an index; `purge_step` removes its entries."""
    indexes.drop(tx, index)
    return renew(tx, table)


def set_index_declaration(tx: Transaction, table: Table, index: Index, declaration: Mapping[str, Any]) -> Table:
    """Replace what was declared of an index beside its keys and projection."""
    indexes.redeclare(tx, index, declaration)
    return renew(tx, table)


def renew(tx: Transaction, table: Table) -> Table:
    """Have a table read anew whose indexes were changed."""
    tx.execute("UPDATE dynamodb_table SET revision = ? WHERE id = ?", (_new_revision(), table.id))
    return _reload(tx, table.name)


def switch_stream_on(tx: Transaction, table: Table, view_type: str, now_ms: int) -> Table:
    """Start a new stream on a table that has none switched on."""
    stream = streams.create_stream(
        tx,
        table.id,
        table.name,
        region=table.region,
        view_type=view_type,
        key_names=table.key_names,
        now_ms=now_ms,
    )
    return _set_stream(tx, table, stream.id)


def switch_stream_off(tx: Transaction, table: Table, now_ms: int) -> Table:
    """Stop the stream that is switched on; its records stay readable for a day."""
    if table.stream is not None:
        streams.disable_stream(tx, table.stream.id, now_ms)
    return _set_stream(tx, table, None)


def _set_stream(tx: Transaction, table: Table, stream_id: int | None) -> Table:
    tx.execute(
        "UPDATE dynamodb_table SET stream_id = ?, revision = ? WHERE id = ?", (stream_id, _new_revision(), table.id)
    )
    tx.announce(StreamSwitched(table.name, is_on=stream_id is not None))
    return _reload(tx, table.name)


def delete_table(tx: Transaction, table: Table, now_ms: int) -> bool:
    """Delete a table; its name is free at once, its stream stays readable, its first items go at once.

    Returns:
        Whether `purge_step` has more to remove.
    """
    if table.stream is not None:
        streams.disable_stream(tx, table.stream.id, now_ms)
    # Without a stream, no rule ever saw an item of it.
    schedules_after_id = None if streams.latest_stream(tx.connection, table.id) is None else 0
    for index in table.indexes:
        indexes.drop(tx, index)
    switch_off(tx, table.id)
    tx.execute("DELETE FROM dynamodb_table WHERE id = ?", (table.id,))
    tx.execute(
        "INSERT INTO deleted_table (id, schedules_after_id, deleted_at_ms) VALUES (?, ?, ?)",
        (table.id, schedules_after_id, now_ms),
    )
    return purge_step(tx)


def purge_step(tx: Transaction, limit: int = PURGE_CHUNK) -> bool:
    """Remove a chunk of what deleted tables left behind: items, entries of indexes, schedules of rules.

    Returns:
        Whether there is more to remove.
    """
    if indexes.purge_step(tx, limit):  # first: an entry never outlives its item
        return True
    row: Any = tx.execute("SELECT id, schedules_after_id FROM deleted_table ORDER BY id LIMIT 1").get
    if row is None:
        return False
    table_id, schedules_after_id = row
    if schedules_after_id is not None:
        schedules_after_id = schedules.delete_of_table(tx, table_id, after_id=schedules_after_id, limit=limit)
        tx.execute("UPDATE deleted_table SET schedules_after_id = ? WHERE id = ?", (schedules_after_id, table_id))
    tx.execute("DELETE FROM item WHERE id IN (SELECT id FROM item WHERE table_id = ? LIMIT ?)", (table_id, limit))
    if tx.connection.changes() >= limit or schedules_after_id is not None:
        return True
    tx.execute("DELETE FROM deleted_table WHERE id = ?", (table_id,))
    return tx.execute("SELECT 1 FROM deleted_table LIMIT 1").get is not None
