"""Random histories of writes, held against a dictionary: the table, its counters and its stream agree."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from duestream.core.attributes import item_size_bytes
from duestream.core.expression import Placeholders, parse_update
from duestream.core.record import EventName, Item
from duestream.local.store import items, streams, tables
from duestream.local.store.store import Store
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

Write = Callable[[Transaction, Table], None]

KEYS = st.tuples(st.sampled_from(["p", "q"]), st.integers(-2, 2))
VALUES = st.sampled_from(["", "a", "long" * 20])


def key_of(identity: tuple[str, int]) -> Item:
    return {"PK": {"S": identity[0]}, "SK": {"N": str(identity[1])}}


class Model:
    """What the table should hold."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, int], Item] = {}

    def put(self, identity: tuple[str, int], value: str) -> Write:
        item = {**key_of(identity), "a": {"S": value}}
        old = self.items.get(identity)
        self.items[identity] = item

        def write(tx: Transaction, table: Table) -> None:
            assert items.put_item(tx, table, item, now_ms=1) == old

        return write

    def update(self, identity: tuple[str, int], value: str) -> Write:
        old = self.items.get(identity)
        new = self.items[identity] = {**(old or key_of(identity)), "a": {"S": value}}
        update = parse_update("SET a = :a", Placeholders(None, {":a": {"S": value}}))

        def write(tx: Transaction, table: Table) -> None:
            assert items.update_item(tx, table, key_of(identity), update=update, now_ms=1) == (old, new)

        return write

    def delete(self, identity: tuple[str, int], _: str) -> Write:
        old = self.items.pop(identity, None)

        def write(tx: Transaction, table: Table) -> None:
            assert items.delete_item(tx, table, key_of(identity), now_ms=1) == old

        return write


@settings(max_examples=40, deadline=None)
@given(history=st.lists(st.tuples(st.sampled_from(["put", "update", "delete"]), KEYS, VALUES), max_size=40))
def test_table_counters_and_stream_agree_with_the_writes(history: list[tuple[str, tuple[str, int], str]]) -> None:
    model = Model()
    writes = [getattr(model, name)(identity, value) for name, identity, value in history]

    def play(tx: Transaction) -> None:
        table = tables.create_table(
            tx,
            "Things",
            region="us-east-1",
            partition_key="PK",
            sort_key="SK",
            sort_key_type="N",
            view_type="KEYS_ONLY",
            now_ms=1,
        )
        for write in writes:
            write(tx, table)
        check(tx, table, model)

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = Store.open(Path(folder))
            try:
                await store.write(play)
            finally:
                await store.close()

    asyncio.run(run())


def check(tx: Transaction, table: Table, model: Model) -> None:
    page = items.scan_page(tx.connection, table, after=None, limit=None, max_bytes=1 << 30)
    held = [streams.decode_image(stored.body) for stored in page.items]
    assert held == [model.items[identity] for identity in sorted(model.items)]
    counters = tables.table_counters(tx.connection, table)
    assert counters.item_count == len(model.items)
    assert counters.size_bytes == sum(item_size_bytes(item) for item in model.items.values())
    replayed: dict[str, Item] = {}
    for row in streams.records_after(tx.connection, 0, 1000):
        record = row.stream_record()
        identity = str(record.keys)
        assert replayed.pop(identity, None) == record.old_image
        assert record.old_image != record.new_image
        if record.event_name is not EventName.REMOVE:
            assert record.new_image is not None
            replayed[identity] = record.new_image
    assert replayed == {str(key_of(identity)): item for identity, item in model.items.items()}
