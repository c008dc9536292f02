"""What the store's tables show, read with SQL of our own: the engine is not asked about itself."""

import json
from dataclasses import dataclass
from typing import Any

import apsw
from tests.simulation import oracle
from tests.simulation.oracle import Image, Key, Record, Slot
from tests.simulation.rules import TABLE

from duestream.core.schedule import schedule_name

KEYS: tuple[Key, ...] = (("a", "1"), ("a", "2"), ("b", "1"), ("c", "é"))
MAX_COUNT = 3
#: Only the naming is `core`'s; which schedule there must be is not asked of it.
SLOT_OF_NAME = {
    schedule_name(TABLE, rule, {"PK": {"S": key[0]}, "SK": {"S": key[1]}}, number): Slot(rule, key, number)
    for rule in oracle.RULES
    for key in KEYS
    for number in range(MAX_COUNT if rule == "several" else 1)
}
KEY_OF_TEXT = {f"{key[0]}/{key[1]}": key for key in KEYS}


class Violation(AssertionError):
    """Something that must not be. `kind` is one word, by which a shrunk history is known to fail alike."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Row:
    """A schedule in the store."""

    slot: Slot
    id: int
    version: int
    due_ms: int
    attempt_at_ms: int
    attempts: int
    content: str


def read_last_ids(connection: apsw.Connection) -> dict[str, int]:
    """The highest row id that each of these tables has ever had."""
    query = "SELECT name, seq FROM sqlite_sequence WHERE name IN ('stream_record', 'outcome', 'message', 'email')"
    rows: list[Any] = connection.execute(query).fetchall()
    return {str(name): int(last) for name, last in rows}


def _image(body: Any) -> Image | None:
    return None if body is None else json.loads(body)


def read_records_after(connection: apsw.Connection, sequence: int) -> list[tuple[str, Record]]:
    """All tables' stream records after that one, with their table's name."""
    rows: list[Any] = connection.execute(
        "SELECT t.name, r.sequence, CAST(r.partition_key AS TEXT), CAST(r.sort_key AS TEXT), r.old_image, r.new_image, "
        "r.created_at_ms FROM stream_record r JOIN dynamodb_table t ON t.id = r.table_id WHERE sequence > ? ORDER BY 2",
        (sequence,),
    ).fetchall()
    return [(name, Record(at, (pk, sk), _image(old), _image(new), ms)) for name, at, pk, sk, old, new, ms in rows]


def read_items(connection: apsw.Connection) -> dict[Key, Image]:
    """The watched table's items."""
    rows: list[Any] = connection.execute(
        "SELECT CAST(partition_key AS TEXT), CAST(sort_key AS TEXT), body FROM item "
        "WHERE table_id = (SELECT id FROM dynamodb_table WHERE name = ?)",
        (TABLE,),
    ).fetchall()
    return {(partition_key, sort_key): _image(body) or {} for partition_key, sort_key, body in rows}


def read_schedules(connection: apsw.Connection) -> dict[Slot, Row]:
    """All schedules that there are; all are of rules of the simulation's app."""
    query = "SELECT name, id, version, due_at_ms, attempt_at_ms, attempts, body FROM schedule"
    found: dict[Slot, Row] = {}
    rows: list[Any] = connection.execute(query).fetchall()
    for name, schedule_id, version, due_ms, attempt_at_ms, attempts, body in rows:
        slot = SLOT_OF_NAME[str(name)]
        if slot in found:
            raise Violation("duplicate", f"two schedules for {slot}")
        content = _content(slot, json.loads(body))
        found[slot] = Row(slot, schedule_id, version, due_ms, attempt_at_ms, attempts, content)
    return found


def _content(slot: Slot, body: Any) -> str:
    """What a schedule would deliver, as `oracle` names it."""
    text = body["Target"]["Input"]
    match slot.rule:
        case "mail":
            return str(json.loads(text)["Message"]["Subject"]["Data"])
        case "expire":
            return oracle.wire_text(json.loads(text)["ExpressionAttributeValues"][":due"])
        case "count":
            return str(json.loads(text)["Key"]["id"]["S"])
        case "review":
            key = json.loads(text)["Key"]
            return f"{key['PK']['S']}/{key['SK']['S']}"
        case _:
            return str(text)
