"""Event source mappings of Lambda, and how far each has read its stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from duestream.core.schedule import Place
from duestream.core.tumbling import Window
from duestream.local.store.writer import MappingsChanged, Transaction

_CHANGED = MappingsChanged()


@dataclass(frozen=True, slots=True)
class EventSourceMapping:
    """What hands a stream's records, or a queue's messages, to a function. `configuration` has AWS's members."""

    id: int
    uuid: str
    region: str
    function_name: str
    source_arn: str
    configuration: Mapping[str, Any]
    is_enabled: bool
    tags: Mapping[str, str]
    last_result: str
    last_modified_at_ms: int

    @property
    def arn(self) -> str:
        """Its own ARN."""
        return Place(region=self.region).arn("lambda", f"event-source-mapping:{self.uuid}")

    @property
    def function_arn(self) -> str:
        """Its function's ARN."""
        return Place(region=self.region).arn("lambda", f"function:{self.function_name}")

    @property
    def reads_queue(self) -> bool:
        """Its source is a queue; otherwise a table's stream."""
        return self.source_arn.split(":")[2] == "sqs"

    def number(self, name: str, default: int) -> int:
        """A numeric parameter."""
        return int(self.configuration.get(name, default))

    @property
    def reports_failures(self) -> bool:
        """Whether the function says which items of a batch failed."""
        return "ReportBatchItemFailures" in self.configuration.get("FunctionResponseTypes", [])

    @property
    def patterns(self) -> tuple[str, ...]:
        """The filter's patterns; none: everything passes."""
        filters = self.configuration.get("FilterCriteria", {}).get("Filters", [])
        return tuple(one["Pattern"] for one in filters if "Pattern" in one)

    @property
    def on_failure_arn(self) -> str | None:
        """Where it is told of what was given up."""
        arn: str | None = self.configuration.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        return arn or None


@dataclass(frozen=True, slots=True)
class FailedBatch:
    """A batch that is to be tried again: what follows the position up to its last record."""

    last_sequence: int
    #: Attempts made so far; a bisect does not count.
    attempts: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far one lane of a mapping has come."""

    sequence: int
    batches: tuple[FailedBatch, ...] = ()
    #: When the first of the failed batches is to be tried again.
    attempt_at_ms: int = 0
    #: The open tumbling window.
    window: Window | None = None


_COLUMNS = "id, uuid, region, function_name, source_arn, configuration, enabled, tags, last_result, last_modified_at_ms"


def _mapping(row: tuple[Any, ...]) -> EventSourceMapping:
    mapping_id, uuid, region, function_name, source_arn, configuration, enabled, tags, last_result, modified = row
    return EventSourceMapping(
        mapping_id,
        uuid,
        region,
        function_name,
        source_arn,
        msgspec.json.decode(configuration),
        bool(enabled),
        msgspec.json.decode(tags),
        last_result,
        modified,
    )


def get_mapping(connection: apsw.Connection, uuid: str) -> EventSourceMapping | None:
    """The mapping with this UUID."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM event_source_mapping WHERE uuid = ?", (uuid,)).fetchone()
    return None if row is None else _mapping(row)


def list_mappings(
    connection: apsw.Connection,
    *,
    function_name: str | None = None,
    source_arn: str | None = None,
    after_id: int = 0,
    limit: int = 2**31,
) -> list[EventSourceMapping]:
    """Mappings in the order of their creation."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM event_source_mapping WHERE id > :after"
        " AND (:function IS NULL OR function_name = :function) AND (:source IS NULL OR source_arn = :source)"
        " ORDER BY id LIMIT :limit",
        {"after": after_id, "function": function_name, "source": source_arn, "limit": limit},
    )
    return [_mapping(row) for row in rows]


def create_mapping(
    tx: Transaction,
    *,
    uuid: str,
    region: str,
    function_name: str,
    source_arn: str,
    configuration: Mapping[str, Any],
    is_enabled: bool,
    tags: Mapping[str, str],
    position: int | None,
    now_ms: int,
) -> EventSourceMapping:
    """Create a mapping.

    Args:
        position: of a stream: the record after which it begins to read.
    """
    tx.execute(
        "INSERT INTO event_source_mapping (uuid, region, function_name, source_arn, configuration, enabled, tags,"
        " last_result, last_modified_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, 'No records processed', ?)",
        (
            uuid,
            region,
            function_name,
            source_arn,
            msgspec.json.encode(configuration),
            int(is_enabled),
            msgspec.json.encode(tags),
            now_ms,
        ),
    )
    mapping_id = tx.last_id()
    if position is not None:
        for lane in range(int(configuration.get("ParallelizationFactor", 1))):
            set_position(tx, mapping_id, lane, Position(position))
    tx.announce(_CHANGED)
    mapping = get_mapping(tx.connection, uuid)
    assert mapping is not None
    return mapping


def update_mapping(
    tx: Transaction,
    mapping: EventSourceMapping,
    *,
    function_name: str,
    configuration: Mapping[str, Any],
    is_enabled: bool,
    now_ms: int,
) -> EventSourceMapping:
    """Replace what a mapping is configured with. Other lanes than before begin where the last of the old ones stood."""
    tx.execute(
        "UPDATE event_source_mapping SET function_name = ?, configuration = ?, enabled = ?, last_modified_at_ms = ?"
        " WHERE id = ?",
        (function_name, msgspec.json.encode(configuration), int(is_enabled), now_ms, mapping.id),
    )
    lanes = int(configuration.get("ParallelizationFactor", 1))
    if not mapping.reads_queue and lanes != mapping.number("ParallelizationFactor", 1):
        sequence = tx.execute("SELECT min(sequence) FROM mapping_position WHERE mapping_id = ?", (mapping.id,)).get
        tx.execute("DELETE FROM mapping_position WHERE mapping_id = ?", (mapping.id,))
        for lane in range(lanes):
            set_position(tx, mapping.id, lane, Position(int(sequence or 0)))
    tx.announce(_CHANGED)
    updated = get_mapping(tx.connection, mapping.uuid)
    assert updated is not None
    return updated


def delete_mapping(tx: Transaction, mapping: EventSourceMapping) -> None:
    """Delete a mapping and its positions."""
    tx.execute("DELETE FROM mapping_position WHERE mapping_id = ?", (mapping.id,))
    tx.execute("DELETE FROM event_source_mapping WHERE id = ?", (mapping.id,))
    tx.announce(_CHANGED)


def set_tags(tx: Transaction, mapping: EventSourceMapping, tags: Mapping[str, str]) -> None:
    """Replace a mapping's tags."""
    tx.execute("UPDATE event_source_mapping SET tags = ? WHERE id = ?", (msgspec.json.encode(tags), mapping.id))


def set_last_result(tx: Transaction, mapping_id: int, result: str) -> None:
    """Note how the last batch went."""
    tx.execute(
        "UPDATE event_source_mapping SET last_result = ? WHERE id = ? AND last_result <> ?",
        (result, mapping_id, result),
    )


def get_position(connection: apsw.Connection, mapping_id: int, lane: int) -> Position | None:
    """How far a lane has come; None: the mapping has no such lane (any more)."""
    row = connection.execute(
        "SELECT sequence, batches, attempt_at_ms FROM mapping_position WHERE mapping_id = ? AND lane = ?",
        (mapping_id, lane),
    ).fetchone()
    if row is None:
        return None
    kept = msgspec.json.decode(row[1])
    batches = tuple(FailedBatch(last, attempts) for last, attempts in kept["batches"])
    window = None if kept["window"] is None else Window(**kept["window"])
    return Position(row[0], batches, row[2], window)


def set_position(tx: Transaction, mapping_id: int, lane: int, position: Position) -> None:
    """Note how far a lane has come."""
    batches = [[batch.last_sequence, batch.attempts] for batch in position.batches]
    kept = msgspec.json.encode({"batches": batches, "window": position.window})
    tx.execute(
        "INSERT INTO mapping_position (mapping_id, lane, sequence, batches, attempt_at_ms) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (mapping_id, lane) DO UPDATE SET sequence = excluded.sequence, batches = excluded.batches,"
        " attempt_at_ms = excluded.attempt_at_ms",
        (mapping_id, lane, position.sequence, kept, position.attempt_at_ms),
    )
