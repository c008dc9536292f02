"""What an app declares, made true in the store when the engine starts."""

from collections.abc import Iterator

import apsw

from duestream.core.app import App
from duestream.core.planner import schedule_dead_letter_queue, stream_dead_letter_queue
from duestream.core.rule import Rule, TableDeclaration
from duestream.core.schedule import Place
from duestream.core.sweep import Sweep
from duestream.errors import RuleError
from duestream.local.engine.letters import DEAD_LETTER_RETENTION_SECONDS
from duestream.local.store import dead_letters, queues, schedule_groups, streams, tables
from duestream.local.store.indexes import KeyAttribute
from duestream.local.store.tables import IndexDeclaration
from duestream.local.store.writer import Transaction

VIEW_TYPE = "NEW_AND_OLD_IMAGES"


def make_default_group(tx: Transaction, place: Place, now_ms: int) -> None:
    """AWS has the group `default` in every region."""
    schedule_groups.put_group(tx, schedule_groups.DEFAULT_GROUP, region=place.region, now_ms=now_ms)


def make_declared(tx: Transaction, app: App, place: Place, now_ms: int) -> list[str]:
    """Create what the app needs and is missing: tables, their streams, the group, the dead-letter queues.

    Returns:
        A sentence for each thing that was made or changed.

    Raises:
        RuleError: a table, or an index that a rule sweeps, is there with another key.
    """
    schedule_groups.put_group(tx, app.name, region=place.region, now_ms=now_ms)
    dead_letters.know_rules(tx, app.name, [(rule.table.name, rule.name) for rule in app.rules], now_ms=now_ms)
    return [
        *(note for table in app.tables for note in _make_table(tx, table.declaration, app, place, now_ms)),
        *_make_queues(tx, app, place, now_ms),
    ]


def _make_table(tx: Transaction, declared: TableDeclaration, app: App, place: Place, now_ms: int) -> Iterator[str]:
    table = tables.get_table(tx.connection, declared.name)
    if table is None:
        tables.create_table(
            tx,
            declared.name,
            region=place.region,
            partition_key=declared.partition_key,
            partition_key_type=declared.partition_key_type,
            sort_key=declared.sort_key,
            sort_key_type=declared.sort_key_type if declared.sort_key is not None else None,
            view_type=VIEW_TYPE,
            secondary_indexes=[_index_of(rule) for rule in app.rules_of(declared.name) if rule.via is not None],
            now_ms=now_ms,
        )
        yield f"created table {declared.name} with its stream"
        return
    is_key = (table.partition_key, table.partition_key_type, table.sort_key)
    declared_key = (declared.partition_key, declared.partition_key_type, declared.sort_key)
    if is_key != declared_key or (table.sort_key is not None and table.sort_key_type != declared.sort_key_type):
        raise RuleError(
            f"table {declared.name!r} is in the data folder with the key {_key_text(*is_key)}, "
            f"and app {app.name!r} declares {_key_text(*declared_key)}",
            remedy="Declare the key that the table has, or use another table or data folder.",
            location=next((rule.location for rule in app.rules_of(declared.name)), None),
        )
    if table.stream is None:
        tables.switch_stream_on(tx, table, VIEW_TYPE, now_ms)
        yield f"switched the stream of table {declared.name} on"
    for rule in app.rules_of(declared.name):
        if rule.via is not None:
            yield from _make_index(tx, declared.name, rule, rule.via)


def _make_index(tx: Transaction, table_name: str, rule: Rule, sweep: Sweep) -> Iterator[str]:
    table = tables.get_table(tx.connection, table_name)
    assert table is not None, "it has just been looked at"
    found = next((index for index in table.indexes if index.name == sweep.index), None)
    if found is None:
        tables.add_index(tx, table, _index_of(rule))
        yield f"began to build index {sweep.index} of table {table_name}"
        return
    expected = ((KeyAttribute(sweep.shard_attribute, "S"),), (KeyAttribute(rule.attribute, sweep.timestamp_type),))
    if (found.partition, found.sort) != expected:
        there = ", ".join(f"{attribute.name} ({attribute.kind})" for attribute in found.key_attributes)
        raise RuleError(
            f"index {sweep.index!r} of table {table_name!r} goes by {there}, and not by "
            f"{sweep.shard_attribute} (S), {rule.attribute} ({sweep.timestamp_type})",
            remedy="Name another index, or say shard_attribute and timestamp_type as the index has them.",
            rule=rule.name,
            location=rule.location,
        )


def _index_of(rule: Rule) -> IndexDeclaration:
    """A sparse one with nothing but keys: whoever sweeps reads the items themselves."""
    assert rule.via is not None
    keys = ((rule.via.shard_attribute, "HASH"), (rule.attribute, "RANGE"))
    declaration = {
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        "Types": {rule.via.shard_attribute: "S", rule.attribute: rule.via.timestamp_type},
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    return IndexDeclaration(rule.via.index, is_global=True, declaration=declaration)


def _key_text(partition_key: str, partition_key_type: str, sort_key: str | None) -> str:
    return f"{partition_key} ({partition_key_type})" + (f", {sort_key}" if sort_key else "")


def _make_queues(tx: Transaction, app: App, place: Place, now_ms: int) -> Iterator[str]:
    for name in (schedule_dead_letter_queue(app.name), stream_dead_letter_queue(app.name)):
        if queues.get_queue(tx.connection, name) is None:
            attributes = {"MessageRetentionPeriod": str(DEAD_LETTER_RETENTION_SECONDS)}
            queues.create_queue(tx, name, region=place.region, attributes=attributes, now_ms=now_ms)
            yield f"created queue {name}"


def missed_records(connection: apsw.Connection, app: App) -> Iterator[str]:
    """A sentence for each table whose records were trimmed, after their 24 hours, before this app planned them."""
    checkpoint = streams.checkpoint(connection, app.name)
    for watched in app.tables:
        table = tables.get_table(connection, watched.name)
        if not checkpoint or table is None or table.stream is None:
            continue
        if streams.get_stream(connection, table.stream.id).trimmed_sequence > checkpoint:
            yield (
                f"changes of table {watched.name} are missing: they were older than 24 hours when this app was "
                "started again. Write the items that matter once more"
            )
