"""Indexes in the store: what they cost a write, folders of before there were any, and what deleting leaves."""

import asyncio
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest
from tests.data.make_folder import HERE

from duestream.core.record import Item
from duestream.local.store import index_building, index_pages, items, tables
from duestream.local.store.database import FILE_NAME
from duestream.local.store.items import SortRange
from duestream.local.store.store import Store
from duestream.local.store.streams import decode_image
from duestream.local.store.tables import IndexDeclaration, Table
from duestream.local.store.writer import Transaction

T = TypeVar("T")


def run(folder: Path, job: Callable[[Transaction], T]) -> T:
    """Carry out a job on the folder's store."""

    async def work() -> T:
        store = Store.open(folder)
        try:
            return await store.write(job)
        finally:
            await store.close()

    return asyncio.run(work())


def by(attribute: str, kind: str = "S", *, sort: str | None = None) -> IndexDeclaration:
    schema = [{"AttributeName": attribute, "KeyType": "HASH"}]
    if sort is not None:
        schema.append({"AttributeName": sort, "KeyType": "RANGE"})
    types = {attribute: kind} | ({} if sort is None else {sort: "S"})
    declared = {"KeySchema": schema, "Types": types, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    return IndexDeclaration(f"By{attribute}", True, declared)


def make(tx: Transaction, *indexes: IndexDeclaration) -> Table:
    return tables.create_table(
        tx, "Things", region="eu-west-1", partition_key="id", secondary_indexes=indexes, now_ms=1
    )


def item(key: str, **attributes: str) -> Item:
    return {"id": {"S": key}, **{name: {"S": value} for name, value in attributes.items()}}


def statements_of(connection: apsw.Connection, work: Callable[[], Any]) -> list[str]:
    told: list[str] = []

    def keep(event: dict[str, Any]) -> None:
        told.append(" ".join(event["sql"].split()[:3]))

    connection.trace_v2(apsw.SQLITE_TRACE_STMT, keep)
    work()
    connection.trace_v2(0)
    return told


@pytest.mark.parametrize(
    ("indexes", "attributes", "added"),
    [
        ([], {"a": "x"}, []),
        ([by("a")], {}, []),
        ([by("a")], {"a": "x"}, ["INSERT OR IGNORE", "UPDATE secondary_index SET"]),
        ([by("a"), by("b")], {"a": "x", "b": "y"}, ["INSERT OR IGNORE", "UPDATE secondary_index SET"] * 2),
    ],
    ids=["no index", "not in it", "in one", "in two"],
)
def test_a_write_costs_two_statements_for_each_index_that_it_changes(
    tmp_path: Path, indexes: list[IndexDeclaration], attributes: dict[str, str], added: list[str]
) -> None:
    def job(tx: Transaction) -> None:
        table = make(tx, *indexes)
        told = statements_of(tx.connection, lambda: items.put_item(tx, table, item("1", **attributes), now_ms=1))
        assert told == ["SELECT id, body,", "INSERT INTO item", *added, "UPDATE dynamodb_table SET"]
        changed = item("1", more="1", **attributes)
        told = statements_of(tx.connection, lambda: items.put_item(tx, table, changed, now_ms=1))
        assert told == ["SELECT id, body,", "UPDATE item SET", "UPDATE dynamodb_table SET"]

    run(tmp_path, job)


def test_a_page_of_an_index_looks_at_no_more_than_it_shows(tmp_path: Path) -> None:
    def job(tx: Transaction) -> None:
        table = make(tx, by("a"))
        (index,) = table.indexes
        for number in range(300):
            items.put_item(tx, table, item(f"{number:03}", a=f"{number % 2}"), now_ms=1)
        steps = [0]

        def count() -> bool:
            steps[0] += 1
            return False

        tx.connection.set_progress_handler(count, 20)
        page = index_pages.query_page(
            tx.connection, index, b"1", SortRange(), forward=True, after=None, limit=3, max_bytes=1 << 20
        )
        tx.connection.set_progress_handler(None)
        assert [decode_image(stored.body) for stored in page.items] == [
            item(key, a="1") for key in ("001", "003", "005")
        ]
        assert steps[0] < 20, "hundreds of steps of SQLite's machine, not thousands"

    run(tmp_path, job)


def test_the_same_name_can_be_taken_again_at_once(tmp_path: Path) -> None:
    def job(tx: Transaction) -> None:
        table = make(tx, by("a"))
        for number in range(10):
            items.put_item(tx, table, item(str(number), a="x"), now_ms=1)
        table = tables.drop_index(tx, table, table.indexes[0])
        table = tables.add_index(tx, table, by("a"))
        while index_building.build_step(tx, 3):
            pass
        while tables.purge_step(tx, 3):
            pass
        assert tx.execute("SELECT count(*), count(DISTINCT index_id) FROM index_entry").get == (10, 1)
        assert tx.execute("SELECT count(*) FROM deleted_index").get == 0
        table_now = tables.get_table(tx.connection, "Things")
        assert table_now is not None
        assert [index.is_active for index in table_now.indexes] == [True]

    run(tmp_path, job)


def test_a_folder_of_before_there_were_indexes_gets_one(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(lzma.decompress((HERE / "folder-6.sqlite3.xz").read_bytes()))

    def job(tx: Transaction) -> list[str]:
        table = tables.get_table(tx.connection, "Appointments")
        assert table is not None
        assert table.indexes == ()
        tables.add_index(tx, table, by("EMAIL", sort="PK"))
        while index_building.build_step(tx, 1):
            pass
        return []

    run(tmp_path, job)

    def look(tx: Transaction) -> int:
        table = tables.get_table(tx.connection, "Appointments")
        assert table is not None
        (index,) = table.indexes
        page = index_pages.query_page(
            tx.connection,
            index,
            b"abc@example.com",
            SortRange(),
            forward=True,
            after=None,
            limit=None,
            max_bytes=1 << 20,
        )
        return len(page.items)

    assert run(tmp_path, look) == 3
