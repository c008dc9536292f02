"""Tables and streams in the store: what is cached, purged, trimmed and kept in order."""

import asyncio
from functools import partial
from pathlib import Path

import apsw
import pytest

from duestream.core.record import Item
from duestream.local.store import items, streams, tables
from duestream.local.store.store import Store
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

NOW_MS = 1_900_000_000_000


def make_table(tx: Transaction, name: str = "Things", view_type: str | None = "KEYS_ONLY") -> Table:
    return tables.create_table(tx, name, region="eu-west-1", partition_key="id", view_type=view_type, now_ms=NOW_MS)


def thing(number: int) -> Item:
    return {"id": {"S": str(number)}}


def put_things(tx: Transaction, table: Table, count: int, now_ms: int = NOW_MS) -> None:
    for number in range(count):
        items.put_item(tx, table, {**thing(number), "at": {"N": str(now_ms)}}, now_ms=now_ms)


def count_rows(connection: apsw.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").get)


def test_a_table_that_was_undone_is_not_found_and_its_successor_is_another(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store.open(tmp_path)

        def undone(tx: Transaction) -> None:
            make_table(tx)
            assert tables.get_table(tx.connection, "Things") is not None
            raise ValueError("undone")

        with pytest.raises(ValueError, match="undone"):
            await store.write(undone)
        assert tables.get_table(store.reader, "Things") is None
        made = await store.write(lambda tx: make_table(tx, view_type=None))
        assert tables.get_table(store.reader, "Things") == made
        assert made.stream is None
        await store.close()

    asyncio.run(run())


def test_the_reader_sees_a_stream_once_it_is_switched_on_and_off(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store.open(tmp_path)
        table = await store.write(lambda tx: make_table(tx, view_type=None))
        on = await store.write(lambda tx: tables.switch_stream_on(tx, table, "NEW_IMAGE", NOW_MS))
        assert on.stream is not None
        assert on.stream.arn == "arn:aws:dynamodb:eu-west-1:000000000000:table/Things/stream/2030-03-17T17:46:40.000"
        assert tables.get_table(store.reader, "Things") == on
        off = await store.write(lambda tx: tables.switch_stream_off(tx, on, NOW_MS))
        assert off.stream is None
        again = await store.write(lambda tx: tables.switch_stream_on(tx, off, "NEW_IMAGE", NOW_MS))
        assert again.stream is not None
        assert again.stream.label == "2030-03-17T17:46:40.001"
        first = streams.find_stream(store.reader, "Things", on.stream.label)
        assert first is not None
        assert (first.status, first.disabled_at_ms) == ("DISABLED", NOW_MS)
        await store.close()

    asyncio.run(run())


def test_a_deleted_tables_items_go_in_chunks_and_its_name_is_free_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store.open(tmp_path)
        table = await store.write(make_table)
        await store.write(lambda tx: put_things(tx, table, tables.PURGE_CHUNK + 5))
        assert await store.write(lambda tx: tables.delete_table(tx, table, NOW_MS))
        assert tables.get_table(store.reader, "Things") is None
        assert tables.get_table_by_id(store.reader, table.id) is None
        assert count_rows(store.reader, "item") == 5
        successor = await store.write(make_table)
        assert items.get_item(store.reader, successor, thing(tables.PURGE_CHUNK + 4)) is None
        assert not await store.write(tables.purge_step)
        assert count_rows(store.reader, "item") == 0
        assert count_rows(store.reader, "deleted_table") == 0
        assert len(streams.records_after(store.reader, 0, 10)) == 10  # the stream stays
        await store.close()

    asyncio.run(run())


def test_a_deleted_tables_schedules_go_and_the_others_stay(tmp_path: Path) -> None:
    count = tables.PURGE_CHUNK + 10

    async def run() -> None:
        store = Store.open(tmp_path)
        doomed = await store.write(make_table)
        other = await store.write(lambda tx: make_table(tx, "Others"))

        def put_schedules(tx: Transaction) -> None:
            for number in range(count):
                table_id = other.id if number % 100 == 0 else doomed.id
                tx.execute(
                    "INSERT INTO schedule (group_id, name, name_hash, state, rule, table_id, partition_key, sort_key,"
                    " body, created_at_ms, last_modified_at_ms) VALUES (1, ?, ?, 'ENABLED', 'r', ?, x'', x'', x'', 0, 0)",
                    (f"r-{number}", number, table_id),
                )

        await store.write(put_schedules)
        assert await store.write(lambda tx: tables.delete_table(tx, doomed, NOW_MS))
        assert not await store.write(tables.purge_step)
        left: list[tuple[int]] = store.reader.execute("SELECT DISTINCT table_id FROM schedule").fetchall()  # type: ignore[assignment]
        assert left == [(other.id,)]
        assert count_rows(store.reader, "schedule") == 11
        await store.close()

    asyncio.run(run())


def test_trimming_takes_old_records_that_were_planned_and_streams_with_them(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store.open(tmp_path)
        table = await store.write(make_table)
        await store.write(lambda tx: put_things(tx, table, 4, NOW_MS))
        await store.write(lambda tx: put_things(tx, table, 4, NOW_MS + 10))
        assert streams.last_sequence(store.reader) == 8
        assert await store.write(lambda tx: streams.trim(tx, NOW_MS + 1, keep_after_sequence=3)) == 3
        assert await store.write(lambda tx: streams.trim(tx, NOW_MS + 1, keep_after_sequence=8)) == 1
        assert await store.write(lambda tx: streams.trim(tx, NOW_MS + 1, keep_after_sequence=8)) == 0
        assert table.stream is not None
        assert streams.get_stream(store.reader, table.stream.id).trimmed_sequence == 4
        await store.write(lambda tx: tables.switch_stream_off(tx, table, NOW_MS + 10))
        assert await store.write(lambda tx: streams.trim(tx, NOW_MS + 11, keep_after_sequence=8)) == 4
        assert streams.list_streams(store.reader, after_id=0, table_name=None, limit=10) == []
        assert streams.last_sequence(store.reader) == 8
        await store.close()

    asyncio.run(run())


def test_the_streams_of_all_tables_have_one_order_and_a_checkpoint_for_each_app(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store.open(tmp_path)
        one = await store.write(make_table)
        two = await store.write(lambda tx: make_table(tx, "Others"))
        await store.write(lambda tx: put_things(tx, one, 1, NOW_MS))
        await store.write(lambda tx: put_things(tx, two, 1, NOW_MS))
        await store.write(lambda tx: put_things(tx, one, 1, NOW_MS + 1))
        records = streams.records_after(store.reader, 0, 10)
        assert [(record.sequence, record.table_name) for record in records] == [
            (1, "Things"),
            (2, "Others"),
            (3, "Things"),
        ]
        assert records[0].keys == thing(0)
        assert streams.checkpoint(store.reader, "clinic") == 0
        await store.write(lambda tx: streams.set_checkpoint(tx, "clinic", 2))
        await store.write(lambda tx: streams.set_checkpoint(tx, "clinic", 3))
        assert streams.checkpoint(store.reader, "clinic") == 3
        await store.close()

    asyncio.run(run())


def test_sequence_numbers_have_21_digits_and_come_back() -> None:
    assert streams.sequence_number(7) == "100000000000000000007"
    assert streams.parse_sequence_number("100000000000000000007") == 7
    assert streams.parse_sequence_number("7") is None
    assert streams.parse_sequence_number("seven") is None


def test_a_moments_place_among_the_records_of_several_streams_is_found(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store.open(tmp_path)
        one = await store.write(make_table)
        two = await store.write(lambda tx: make_table(tx, "Others"))
        written: list[tuple[int, str]] = []
        for number in range(30):
            table = two if number % 3 == 0 else one
            moment = NOW_MS + number // 4 * 10
            await store.write(partial(put_new_thing, table=table, now_ms=moment))
            written.append((moment, table.name))
        await store.write(lambda tx: streams.trim(tx, NOW_MS + 5, keep_after_sequence=100))
        for table in (one, two):
            assert table.stream is not None
            stream = streams.get_stream(store.reader, table.stream.id)
            for since_ms in range(NOW_MS - 1, NOW_MS + 80):
                young = [
                    number
                    for number, (moment, name) in enumerate(written, 1)
                    if name == table.name and moment >= max(since_ms, NOW_MS + 5)
                ]
                before = streams.sequence_before(store.reader, stream, since_ms)
                rows, _ = streams.records_of(store.reader, stream, before, limit=100, max_bytes=1 << 20)
                assert [row.sequence for row in rows] == young
                horizon = streams.trim_horizon(store.reader, stream, since_ms)
                rows, _ = streams.records_of(store.reader, stream, horizon, limit=100, max_bytes=1 << 20)
                assert [row.sequence for row in rows] == young
                mine = [number for number, (_, name) in enumerate(written, 1) if name == table.name]
                assert horizon == max(number for number in [0, *mine] if number not in young)
        await store.close()

    asyncio.run(run())


def put_new_thing(tx: Transaction, table: Table, now_ms: int) -> None:
    number = streams.last_sequence(tx.connection)
    items.put_item(tx, table, thing(number), now_ms=now_ms)
