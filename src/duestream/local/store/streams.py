"""DynamoDB streams: which there are, what they record, and how far each app has read them.

All streams share one order (`sequence`), so that an app's checkpoint is one number. Both images are
always kept; a stream's view type is applied when its records are read through the Streams API.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from duestream.clock import from_ms
from duestream.core.record import EventName, Item, StreamRecord
from duestream.core.schedule import Place
from duestream.local.store.writer import RecordsWritten, Transaction

#: AWS's sequence numbers have 21 to 40 digits. Ours have 21, so that they sort as text too.
_SEQUENCE_NUMBER_BASE = 10**20
#: How many records one call of `trim` looks at, so that the loop is never held up for long.
TRIM_CHUNK = 1000
#: How many bytes of images one call of `records_after` brings, unless a single record has more.
MAX_BATCH_BYTES = 4 * 1024 * 1024
#: DynamoDB keeps stream records for 24 hours.
RETENTION_MS = 24 * 3600 * 1000
#: SQLite's largest integer.
MAX_SEQUENCE = 2**63 - 1
_WRITTEN = RecordsWritten()

_decode_item = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode


def sequence_number(sequence: int) -> str:
    """The wire form of a position: 21 digits, so that text order is number order."""
    return str(_SEQUENCE_NUMBER_BASE + sequence)


def parse_sequence_number(text: str) -> int | None:
    """The position behind a wire form; None: not one of ours."""
    if not (text.isascii() and text.isdigit()):
        return None
    sequence = int(text) - _SEQUENCE_NUMBER_BASE
    return sequence if 0 <= sequence <= MAX_SEQUENCE else None


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: the change log of one table, for as long as it was switched on."""

    id: int
    table_id: int
    table_name: str
    region: str
    label: str
    view_type: str
    #: Names of the partition key and, where there is one, the sort key.
    key_names: tuple[str, ...]
    status: str
    created_at_ms: int
    disabled_at_ms: int | None
    #: No record up to this position is to be had: trimmed, or written before the stream was made.
    trimmed_sequence: int

    @property
    def is_enabled(self) -> bool:
        """Still recording."""
        return self.status == "ENABLED"

    @property
    def arn(self) -> str:
        """``arn:aws:dynamodb:<region>:<account>:table/<table>/stream/<label>``."""
        return Place(region=self.region).arn("dynamodb", f"table/{self.table_name}/stream/{self.label}")


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One stream record as it is stored; images are the items' raw JSON."""

    sequence: int
    stream_id: int
    table_id: int
    table_name: str
    key_names: tuple[str, ...]
    event_name: EventName
    partition_key: bytes
    sort_key: bytes
    old_image: bytes | None
    new_image: bytes | None
    created_at_ms: int
    #: 1: removed by Time to Live, not by a user.
    by_service: int

    @property
    def keys(self) -> Item:
        """The item's key, read from an image (each call decodes it)."""
        return key_of(self.key_names, decode_image(self.new_image or self.old_image) or {})

    def stream_record(self) -> StreamRecord:
        """The record with its images decoded, as rules see it."""
        old_image, new_image = decode_image(self.old_image), decode_image(self.new_image)
        return StreamRecord(
            table_name=self.table_name,
            event_name=self.event_name,
            keys=key_of(self.key_names, new_image or old_image or {}),
            old_image=old_image,
            new_image=new_image,
            sequence_number=sequence_number(self.sequence),
            created_at=from_ms(self.created_at_ms),
        )


def decode_image(image: bytes | None) -> Item | None:
    """The item behind raw JSON of ours."""
    return None if image is None else _decode_item(image)


def key_of(key_names: tuple[str, ...], item: Item) -> Item:
    """The key attributes of an item."""
    return {name: item[name] for name in key_names}


# Streams ----------------------------------------------------------------------------------------------

_STREAM_COLUMNS = """id, table_id, table_name, region, label, view_type, key_schema, status,
    created_at_ms, disabled_at_ms, trimmed_sequence"""
_STREAM_BY_ID = f"SELECT {_STREAM_COLUMNS} FROM stream WHERE id = ?"
_STREAM_BY_LABEL = f"SELECT {_STREAM_COLUMNS} FROM stream WHERE table_name = ? AND label = ?"
_LATEST_OF_TABLE = f"SELECT {_STREAM_COLUMNS} FROM stream WHERE table_id = ? ORDER BY id DESC LIMIT 1"
_LIST_STREAMS = f"SELECT {_STREAM_COLUMNS} FROM stream WHERE id > ? ORDER BY id LIMIT ?"
_LIST_STREAMS_OF_TABLE = f"SELECT {_STREAM_COLUMNS} FROM stream WHERE id > ? AND table_name = ? ORDER BY id LIMIT ?"


def _stream(row: tuple[Any, ...]) -> Stream:
    key_names = tuple(element["AttributeName"] for element in msgspec.json.decode(row[6]))
    stream_id, table_id, table_name, region, label, view_type, _, *rest = row
    return Stream(stream_id, table_id, table_name, region, label, view_type, key_names, *rest)


def create_stream(
    tx: Transaction,
    table_id: int,
    table_name: str,
    *,
    region: str,
    view_type: str,
    key_names: tuple[str, ...],
    now_ms: int,
) -> Stream:
    """Start recording a table's changes. `tables.switch_stream_on` is what others call."""
    key_schema = [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(key_names, ("HASH", "RANGE"), strict=False)
    ]
    label_at_ms = now_ms
    while find_stream(tx.connection, table_name, _label(label_at_ms)) is not None:
        label_at_ms += 1  # switched off and on again within a millisecond
    tx.execute(
        "INSERT INTO stream (table_id, table_name, region, label, view_type, key_schema, status, created_at_ms,"
        " trimmed_sequence) VALUES (?, ?, ?, ?, ?, ?, 'ENABLED', ?, ?)",
        (
            table_id,
            table_name,
            region,
            _label(label_at_ms),
            view_type,
            msgspec.json.encode(key_schema),
            now_ms,
            last_sequence(tx.connection),
        ),
    )
    return get_stream(tx.connection, tx.last_id())


def _label(moment_ms: int) -> str:
    """AWS's form of a stream's label, such as ``2015-05-11T21:21:33.291``."""
    return from_ms(moment_ms).replace(tzinfo=None).isoformat(timespec="milliseconds")


def disable_stream(tx: Transaction, stream_id: int, now_ms: int) -> None:
    """Stop recording. What is recorded stays readable until it is trimmed."""
    tx.execute("UPDATE stream SET status = 'DISABLED', disabled_at_ms = ? WHERE id = ?", (now_ms, stream_id))


def get_stream(connection: apsw.Connection, stream_id: int) -> Stream:
    """The stream, which must exist."""
    return _stream(connection.execute(_STREAM_BY_ID, (stream_id,)).get)


def find_stream_by_id(connection: apsw.Connection, stream_id: int) -> Stream | None:
    """The stream, unless it is gone."""
    row = connection.execute(_STREAM_BY_ID, (stream_id,)).get
    return None if row is None else _stream(row)


def find_stream(connection: apsw.Connection, table_name: str, label: str) -> Stream | None:
    """The stream behind an ARN's table name and label."""
    row = connection.execute(_STREAM_BY_LABEL, (table_name, label)).get
    return None if row is None else _stream(row)


def latest_stream(connection: apsw.Connection, table_id: int) -> Stream | None:
    """The stream a table has now, or had last."""
    row = connection.execute(_LATEST_OF_TABLE, (table_id,)).get
    return None if row is None else _stream(row)


def list_streams(connection: apsw.Connection, *, after_id: int, table_name: str | None, limit: int) -> list[Stream]:
    """Streams in the order of their creation, also those switched off, of one table or of all."""
    if table_name is None:
        rows = connection.execute(_LIST_STREAMS, (after_id, limit)).fetchall()
    else:
        rows = connection.execute(_LIST_STREAMS_OF_TABLE, (after_id, table_name, limit)).fetchall()
    return [_stream(row) for row in rows]


# Records ----------------------------------------------------------------------------------------------

_APPEND = """INSERT INTO stream_record
    (stream_id, table_id, event_name, partition_key, sort_key, old_image, new_image, created_at_ms, by_service)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_RECORD_COLUMNS = """r.sequence, r.stream_id, r.table_id, r.event_name, r.partition_key, r.sort_key,
    r.old_image, r.new_image, r.created_at_ms, r.by_service"""
_RECORDS_AFTER = f"SELECT {_RECORD_COLUMNS} FROM stream_record AS r WHERE r.sequence > ? ORDER BY r.sequence LIMIT ?"
_RECORDS_OF_STREAM = f"""SELECT {_RECORD_COLUMNS} FROM stream_record AS r
    WHERE r.stream_id = ? AND r.sequence > ? ORDER BY r.sequence LIMIT ?"""
_LAST_OF_ITEM = """SELECT max(sequence) FROM stream_record
    WHERE sequence > ? AND table_id = ? AND partition_key = ? AND sort_key = ?"""
_LAST_SEQUENCE = "SELECT seq FROM sqlite_sequence WHERE name = 'stream_record'"
_OLDEST_OF_STREAM = "SELECT created_at_ms FROM stream_record WHERE stream_id = ? ORDER BY sequence LIMIT 1"
_FROM_SEQUENCE = "SELECT sequence, created_at_ms FROM stream_record WHERE sequence >= ? ORDER BY sequence LIMIT 1"
_LAST_OF_STREAM = "SELECT max(sequence) FROM stream_record WHERE stream_id = ?"
_LAST_BEFORE = "SELECT max(sequence) FROM stream_record WHERE stream_id = ? AND sequence < ?"


def append_record(
    tx: Transaction,
    *,
    stream_id: int,
    table_id: int,
    key: tuple[bytes, bytes],
    old_image: bytes | None,
    new_image: bytes | None,
    now_ms: int,
    by_service: bool = False,
) -> None:
    """Record one change, and wake the poller once it is durable. `by_service`: Time to Live made it."""
    event_name = "INSERT" if old_image is None else "REMOVE" if new_image is None else "MODIFY"
    tx.execute(
        _APPEND, (stream_id, table_id, event_name, key[0], key[1], old_image, new_image, now_ms, int(by_service))
    )
    tx.announce(_WRITTEN)


def records_after(
    connection: apsw.Connection, sequence: int, limit: int, max_bytes: int = MAX_BATCH_BYTES
) -> list[RecordRow]:
    """The records of all streams that follow a position, in their one order; as many as `max_bytes` of images hold."""
    cursor = connection.execute(_RECORDS_AFTER, (sequence, limit))
    found: list[RecordRow] = []
    size_bytes = 0
    try:
        for record in _record_rows(connection, cursor, {}):
            found.append(record)
            size_bytes += len(record.old_image or b"") + len(record.new_image or b"")
            if size_bytes >= max_bytes:
                break
    finally:
        cursor.close()
    return found


def records_of(
    connection: apsw.Connection, stream: Stream, sequence: int, *, limit: int, max_bytes: int
) -> tuple[list[RecordRow], bool]:
    """The records of one stream that follow a position, and whether they are the last ones there are.

    Args:
        limit: how many at the most.
        max_bytes: how many bytes of stored images at the most, but for the first record.
    """
    cursor = connection.execute(_RECORDS_OF_STREAM, (stream.id, sequence, limit))
    found: list[tuple[Any, ...]] = []
    size_bytes = 0
    is_last = True
    try:
        for row in cursor:
            size_bytes += len(row[6] or b"") + len(row[7] or b"")
            if found and size_bytes > max_bytes:
                is_last = False
                break
            found.append(row)
    finally:
        cursor.close()
    return list(_record_rows(connection, found, {stream.id: stream})), is_last and len(found) < limit


def _record_rows(
    connection: apsw.Connection, rows: Iterable[tuple[Any, ...]], streams: dict[int, Stream]
) -> Iterator[RecordRow]:
    for sequence, stream_id, table_id, event_name, *rest in rows:
        stream = streams.get(stream_id)
        if stream is None:
            stream = streams[stream_id] = get_stream(connection, stream_id)
        yield RecordRow(
            sequence, stream_id, table_id, stream.table_name, stream.key_names, EventName(event_name), *rest
        )


def last_record_of_item(
    connection: apsw.Connection, sequence: int, table_id: int, key: tuple[bytes, bytes]
) -> int | None:
    """The position of an item's newest record after a position; None: it has none. Reads only what follows it."""
    return connection.execute(_LAST_OF_ITEM, (sequence, table_id, *key)).get  # type: ignore[no-any-return]


def newest_sequence(connection: apsw.Connection) -> int:
    """The position of the newest record that is kept; 0: none is. One step down the tree."""
    return connection.execute("SELECT max(sequence) FROM stream_record").get or 0


def created_after(connection: apsw.Connection, sequence: int) -> int | None:
    """When the first record beyond this one was written (milliseconds); None: there is none."""
    found = connection.execute(
        "SELECT created_at_ms FROM stream_record WHERE sequence > ? ORDER BY sequence LIMIT 1", (sequence,)
    ).get
    return int(found) if found is not None else None


def last_sequence(connection: apsw.Connection) -> int:
    """The position of the newest record there ever was; 0: none yet."""
    return connection.execute(_LAST_SEQUENCE).get or 0


def last_sequence_of(connection: apsw.Connection, stream: Stream) -> int | None:
    """The position of the stream's newest record."""
    return connection.execute(_LAST_OF_STREAM, (stream.id,)).get  # type: ignore[no-any-return]


def trim_horizon(connection: apsw.Connection, stream: Stream, before_ms: int) -> int:
    """The position up to which no record is shown any more: gone, or older than `before_ms` and about to go.

    Records that no app has planned yet are kept longer than they are shown.
    """
    oldest_ms: int | None = connection.execute(_OLDEST_OF_STREAM, (stream.id,)).get
    if oldest_ms is None or oldest_ms >= before_ms:
        return stream.trimmed_sequence
    first = _first_since(connection, before_ms, stream.trimmed_sequence + 1)
    last: int | None = connection.execute(_LAST_BEFORE, (stream.id, first)).get
    return max(stream.trimmed_sequence, last or 0)


def sequence_before(connection: apsw.Connection, stream: Stream, since_ms: int) -> int:
    """The position after which the stream's records of a moment and later stand."""
    return _first_since(connection, since_ms, stream.trimmed_sequence + 1) - 1


def _first_since(connection: apsw.Connection, since_ms: int, low: int) -> int:
    """The first position from `low` on at which records of a moment or later stand, or the one after the newest.

    Halves what is left: records stand in the order of their times, but where the clock was set back.
    """
    high = last_sequence(connection) + 1
    while low < high:
        middle = (low + high) // 2
        row: Any = connection.execute(_FROM_SEQUENCE, (middle,)).get
        if row is None or row[1] >= since_ms:
            high = middle
        else:
            low = row[0] + 1
    return low


# Checkpoints ------------------------------------------------------------------------------------------


def checkpoint(connection: apsw.Connection, app: str) -> int:
    """The last record that the app has planned; 0: none yet."""
    return connection.execute("SELECT sequence FROM checkpoint WHERE app = ?", (app,)).get or 0


def set_checkpoint(tx: Transaction, app: str, sequence: int) -> None:
    """Note, in the transaction that applies the plan, that the app has planned up to here."""
    tx.execute(
        "INSERT INTO checkpoint (app, sequence) VALUES (?, ?) ON CONFLICT (app) DO UPDATE SET sequence = excluded.sequence",
        (app, sequence),
    )


# Trimming ---------------------------------------------------------------------------------------------

_OLDEST = """SELECT sequence, stream_id, created_at_ms FROM stream_record
    WHERE sequence <= ? ORDER BY sequence LIMIT ?"""
_FORGET_STREAMS = """DELETE FROM stream WHERE disabled_at_ms < ?
    AND NOT EXISTS (SELECT 1 FROM stream_record WHERE stream_id = stream.id)"""


def trim(tx: Transaction, before_ms: int, keep_after_sequence: int) -> int:
    """Remove the oldest records, at most TRIM_CHUNK of them; streams long switched off go with their last one.

    Args:
        before_ms: only records written before this moment go (AWS keeps 24 hours).
        keep_after_sequence: only records up to this position go (what no app has planned yet stays).

    Returns:
        How many are gone. Call again while it is TRIM_CHUNK.
    """
    trimmed: dict[int, int] = {}
    count, last = 0, 0
    rows: list[Any] = tx.execute(_OLDEST, (keep_after_sequence, TRIM_CHUNK)).fetchall()
    for sequence, stream_id, created_at_ms in rows:
        if created_at_ms >= before_ms:
            break
        trimmed[stream_id] = last = sequence
        count += 1
    if count:
        tx.execute("DELETE FROM stream_record WHERE sequence <= ?", (last,))
    for stream_id, sequence in trimmed.items():
        tx.execute("UPDATE stream SET trimmed_sequence = ? WHERE id = ?", (sequence, stream_id))
    if count < TRIM_CHUNK:
        tx.execute(_FORGET_STREAMS, (before_ms,))
    return count
