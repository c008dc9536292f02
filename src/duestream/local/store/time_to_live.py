"""Time to Live: when items expire, kept in the transaction of each write, and which of them have expired.

Tables without it come by here with None.
"""

from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any

import apsw

from duestream.core.record import Item
from duestream.local.store.streams import decode_image
from duestream.local.store.writer import ExpiriesChanged, Transaction

#: Items whose time is further past than this are left alone (DynamoDB Developer Guide, "Using time to live").
MAX_PAST_SECONDS = 5 * 365 * 86_400
#: SQLite's integers end a little above; nobody lives to see it.
MAX_MOMENT_SECONDS = 2**53
#: Items that one step looks at or removes: some milliseconds of the loop.
CHUNK = 200
_CHANGED = ExpiriesChanged()


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """What a table's items expire by."""

    id: int
    attribute: str
    #: All items that were there before have been looked at.
    is_built: bool


#: Partition key and sort key of an item in their order-preserving form.
Key = tuple[bytes, bytes]


def find_time_to_live(connection: apsw.Connection, table_id: int) -> TimeToLive | None:
    """The Time to Live that is switched on for a table."""
    row: Any = connection.execute(
        "SELECT id, attribute, state = 'ENABLED' FROM time_to_live WHERE table_id = ? AND state <> 'OFF'", (table_id,)
    ).get
    return None if row is None else TimeToLive(row[0], row[1], bool(row[2]))


def switch_on(tx: Transaction, table_id: int, attribute: str) -> None:
    """Begin to watch an attribute; `build_step` looks at the items that are there. The caller renews the table."""
    tx.execute("INSERT INTO time_to_live (table_id, attribute, state) VALUES (?, ?, 'ENABLING')", (table_id, attribute))
    tx.announce(_CHANGED)


def switch_off(tx: Transaction, table_id: int) -> None:
    """Stop expiring; `purge_step` removes what was kept for it. The caller renews the table."""
    tx.execute("UPDATE time_to_live SET state = 'OFF' WHERE table_id = ? AND state <> 'OFF'", (table_id,))
    tx.announce(_CHANGED)


# Expiries ----------------------------------------------------------------------------------------------

_REMOVE = "DELETE FROM expiry WHERE time_to_live_id = ? AND expires_at_s = ? AND partition_key = ? AND sort_key = ?"


def expires_at_s(item: Item | None, attribute: str) -> int | None:
    """The second in which an item expires; None: never, because the attribute is missing or is no number.

    A fraction of a second counts as the whole one: nothing goes before its time.
    """
    text = None if item is None else item.get(attribute, {}).get("N")
    if text is None:
        return None
    try:
        number = Decimal(text)
    except DecimalException:
        return None
    if not 0 <= number <= MAX_MOMENT_SECONDS:
        return None
    whole = int(number)
    return whole if whole == number else whole + 1


def keep(tx: Transaction, time_to_live: TimeToLive, key: Key, old: Item | None, new: Item | None) -> None:
    """Bring an item's expiry up to its new image, in the item's own transaction."""
    before, after = expires_at_s(old, time_to_live.attribute), expires_at_s(new, time_to_live.attribute)
    if before is not None and before != after:
        tx.execute(_REMOVE, (time_to_live.id, before, *key))
    if after is not None and (before != after or not time_to_live.is_built):
        _add(tx, time_to_live.id, after, key)
        tx.announce(_CHANGED)


def _add(tx: Transaction, time_to_live_id: int, moment_s: int, key: Key) -> None:
    tx.execute(
        "INSERT OR IGNORE INTO expiry (time_to_live_id, expires_at_s, partition_key, sort_key) VALUES (?, ?, ?, ?)",
        (time_to_live_id, moment_s, *key),
    )


@dataclass(frozen=True, slots=True)
class Expired:
    """An item whose time has come."""

    time_to_live_id: int
    table_id: int
    expires_at_s: int
    key: Key


def expired(connection: apsw.Connection, now_s: int, limit: int = CHUNK) -> list[Expired]:
    """Items whose time has come, of each table the oldest first."""
    found: list[Expired] = []
    for time_to_live_id, table_id in _watched(connection):
        rows: list[Any] = connection.execute(
            "SELECT expires_at_s, partition_key, sort_key FROM expiry WHERE time_to_live_id = ?"
            " AND expires_at_s BETWEEN ? AND ? ORDER BY expires_at_s LIMIT ?",
            (time_to_live_id, now_s - MAX_PAST_SECONDS, now_s, limit - len(found)),
        ).fetchall()
        found += [Expired(time_to_live_id, table_id, moment_s, (key, sort_key)) for moment_s, key, sort_key in rows]
        if len(found) >= limit:
            break
    return found


def forget(tx: Transaction, item: Expired) -> None:
    """Remove an expiry that no item has (any more)."""
    tx.execute(_REMOVE, (item.time_to_live_id, item.expires_at_s, *item.key))


def next_expiry_s(connection: apsw.Connection, now_s: int) -> int | None:
    """The next second in which an item expires (one that may be past already); None: there is none to come."""
    moments = (
        connection.execute(
            "SELECT min(expires_at_s) FROM expiry WHERE time_to_live_id = ? AND expires_at_s >= ?",
            (time_to_live_id, now_s - MAX_PAST_SECONDS),
        ).get
        for time_to_live_id, _ in _watched(connection)
    )
    return min((moment for moment in moments if moment is not None), default=None)


def _watched(connection: apsw.Connection) -> list[tuple[int, int]]:
    """Ids of all that are switched on, with their tables'."""
    cursor: Any = connection.execute("SELECT id, table_id FROM time_to_live WHERE state <> 'OFF' ORDER BY id")
    return list(cursor)


# Switched on for a table with items, and off again -------------------------------------------------------

_NEXT = """SELECT id, table_id, attribute, built_partition_key, built_sort_key FROM time_to_live
    WHERE state = 'ENABLING' ORDER BY id LIMIT 1"""
_ITEMS = """SELECT partition_key, sort_key, body FROM item
    WHERE table_id = ? AND (partition_key, sort_key) > (?, ?) ORDER BY partition_key, sort_key LIMIT ?"""


def build_step(tx: Transaction, limit: int = CHUNK) -> int | None:
    """Look at a chunk of the items that were there when Time to Live was switched on.

    Writes keep their own expiries from that moment on, so what lies behind or ahead of the chunk may change freely.

    Returns:
        Id of the table that was looked at, which the caller renews when all of it was; None: nothing was left to do.
    """
    row: Any = tx.execute(_NEXT).get
    if row is None:
        return None
    time_to_live_id, table_id, attribute, partition_key, sort_key = row
    items: list[Any] = tx.execute(_ITEMS, (table_id, partition_key or b"", sort_key or b"", limit)).fetchall()
    for partition_key, sort_key, body in items:
        moment_s = expires_at_s(decode_image(body), attribute)
        if moment_s is not None:
            _add(tx, time_to_live_id, moment_s, (partition_key, sort_key))
    is_whole = len(items) < limit
    tx.execute(
        "UPDATE time_to_live SET state = ?, built_partition_key = ?, built_sort_key = ? WHERE id = ?",
        ("ENABLED" if is_whole else "ENABLING", partition_key, sort_key, time_to_live_id),
    )
    tx.announce(_CHANGED)
    return int(table_id)


def purge_step(tx: Transaction, limit: int = CHUNK) -> bool:
    """Remove a chunk of the expiries of what was switched off.

    Returns:
        Whether there was anything to remove.
    """
    time_to_live_id = tx.execute("SELECT id FROM time_to_live WHERE state = 'OFF' ORDER BY id LIMIT 1").get
    if time_to_live_id is None:
        return False
    bound: Any = tx.execute(
        "SELECT expires_at_s, partition_key, sort_key FROM expiry WHERE time_to_live_id = ?"
        " ORDER BY expires_at_s, partition_key, sort_key LIMIT 1 OFFSET ?",
        (time_to_live_id, limit),
    ).get
    if bound is None:
        tx.execute("DELETE FROM expiry WHERE time_to_live_id = ?", (time_to_live_id,))
        tx.execute("DELETE FROM time_to_live WHERE id = ?", (time_to_live_id,))
    else:
        tx.execute(
            "DELETE FROM expiry WHERE time_to_live_id = ? AND (expires_at_s, partition_key, sort_key) < (?, ?, ?)",
            (time_to_live_id, *bound),
        )
    return True
