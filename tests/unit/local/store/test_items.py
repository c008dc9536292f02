"""Items in the store: one write is the item, its stream record and the counters."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest

from duestream.core.attributes import key_bytes
from duestream.core.expression import Placeholders, parse_update
from duestream.core.record import EventName, Item
from duestream.errors import ConditionalCheckFailedException, ValidationException
from duestream.local.store import items, streams, tables
from duestream.local.store.items import SortRange
from duestream.local.store.store import Store
from duestream.local.store.tables import Table
from duestream.local.store.writer import RecordsWritten, Transaction

T = TypeVar("T")
NOW_MS = 1_900_000_000_000
ADD_NAME = parse_update("SET #name = :name", Placeholders({"#name": "name"}, {":name": {"S": "Ann"}}))


def in_store(folder: Path, *jobs: Callable[[Transaction], Any]) -> list[Any]:
    """Carry out jobs one after the other in a store of their own; their results."""

    async def run() -> list[Any]:
        store = Store.open(folder)
        try:
            return [await store.write(job) for job in jobs]
        finally:
            await store.close()

    return asyncio.run(run())


def make_table(tx: Transaction, *, view_type: str | None = "NEW_AND_OLD_IMAGES", sort_key: str | None = "SK") -> Table:
    return tables.create_table(
        tx,
        "Appointments",
        region="us-east-1",
        partition_key="PK",
        sort_key=sort_key,
        view_type=view_type,
        now_ms=NOW_MS,
    )


def table_of(tx: Transaction) -> Table:
    table = tables.get_table(tx.connection, "Appointments")
    assert table is not None
    return table


def item(sort_key: str = "1", **attributes: str) -> Item:
    return {"PK": {"S": "p"}, "SK": {"S": sort_key}} | {name: {"S": value} for name, value in attributes.items()}


def put(written: Item) -> Callable[[Transaction], Item | None]:
    return lambda tx: items.put_item(tx, table_of(tx), written, now_ms=NOW_MS)


class Never:
    """A condition that no item meets."""

    def holds(self, item: Item) -> bool:
        return False


def test_a_put_a_change_and_a_delete_are_recorded_with_both_images(tmp_path: Path) -> None:
    key = item()
    first, second = item(email="a"), item(email="b")
    *_, records = in_store(
        tmp_path,
        make_table,
        put(first),
        put(second),
        lambda tx: items.delete_item(tx, table_of(tx), key, now_ms=NOW_MS),
        lambda tx: streams.records_after(tx.connection, 0, 10),
    )
    told = [record.stream_record() for record in records]
    assert [(record.event_name, record.old_image, record.new_image) for record in told] == [
        (EventName.INSERT, None, first),
        (EventName.MODIFY, first, second),
        (EventName.REMOVE, second, None),
    ]
    assert [record.keys for record in told] == [key, key, key]
    assert [record.sequence for record in records] == sorted(record.sequence for record in records)
    assert {len(record.sequence_number) for record in told} == {21}


def test_writing_the_same_item_again_records_nothing_whatever_the_order_of_its_attributes(tmp_path: Path) -> None:
    written = item(email="a", name="b")
    *_, old, records = in_store(
        tmp_path,
        make_table,
        put(written),
        put(dict(reversed(written.items()))),
        lambda tx: streams.records_after(tx.connection, 0, 10),
    )
    assert old == written
    assert len(records) == 1


def test_a_table_without_a_stream_records_nothing(tmp_path: Path) -> None:
    *_, records = in_store(
        tmp_path,
        lambda tx: make_table(tx, view_type=None),
        put(item()),
        lambda tx: streams.records_after(tx.connection, 0, 10),
    )
    assert records == []


def test_counters_follow_every_write(tmp_path: Path) -> None:
    def counters(tx: Transaction) -> tables.TableCounters:
        return tables.table_counters(tx.connection, table_of(tx))

    _, _, one, _, grown, _, two, _, left = in_store(
        tmp_path,
        make_table,
        put(item("1", a="xx")),
        counters,
        put(item("1", a="xxxx")),
        counters,
        put(item("2")),
        counters,
        lambda tx: items.delete_item(tx, table_of(tx), item("1"), now_ms=NOW_MS),
        counters,
    )
    assert (one.item_count, one.size_bytes) == (1, 9)  # "PK" + "p" + "SK" + "1" + "a" + "xx"
    assert (grown.item_count, grown.size_bytes) == (1, 11)
    assert (two.item_count, two.size_bytes) == (2, 17)
    assert (left.item_count, left.size_bytes) == (1, 6)


def test_what_is_counted_together_is_added_once_and_counts_as_much(tmp_path: Path) -> None:
    updates: list[str] = []

    def job(tx: Transaction) -> tables.TableCounters:
        table = table_of(tx)
        tx.connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda told: updates.append(told["sql"]))
        with tables.counting_together(tx):
            for written in (item("1", a="xx"), item("2"), item("1", a="xxxx")):
                items.put_item(tx, table, written, now_ms=NOW_MS)
            items.delete_item(tx, table, item("2"), now_ms=NOW_MS)
        tx.connection.trace_v2(0, None)
        items.put_item(tx, table, item("3"), now_ms=NOW_MS)
        return tables.table_counters(tx.connection, table)

    _, counted = in_store(tmp_path, lambda tx: make_table(tx, view_type=None), job)
    assert (counted.item_count, counted.size_bytes) == (2, 17)
    assert len([update for update in updates if update.startswith("UPDATE dynamodb_table")]) == 1


def test_an_item_comes_back_as_the_json_it_was_written_as(tmp_path: Path) -> None:
    *_, body = in_store(
        tmp_path, make_table, put(item(email="ä")), lambda tx: items.get_item(tx.connection, table_of(tx), item())
    )
    assert body == '{"PK":{"S":"p"},"SK":{"S":"1"},"email":{"S":"ä"}}'.encode()


def test_a_write_is_announced_and_a_refused_one_is_not(tmp_path: Path) -> None:
    def refused(tx: Transaction) -> list[object]:
        with pytest.raises(ConditionalCheckFailedException):
            items.put_item(tx, table_of(tx), item(name="n"), condition=Never(), now_ms=NOW_MS)
        return list(tx.announcements)

    def written(tx: Transaction) -> list[object]:
        items.put_item(tx, table_of(tx), item(name="n"), now_ms=NOW_MS)
        return list(tx.announcements)

    _, no_announcements, announcements = in_store(tmp_path, make_table, refused, written)
    assert no_announcements == []
    assert announcements == [RecordsWritten()]


def test_a_condition_that_fails_carries_the_item_only_when_asked_to(tmp_path: Path) -> None:
    def refused(tx: Transaction, *, ask: bool) -> dict[str, Any]:
        with pytest.raises(ConditionalCheckFailedException) as caught:
            items.delete_item(tx, table_of(tx), item(), condition=Never(), now_ms=NOW_MS, return_old_on_failure=ask)
        return dict(caught.value.members)

    *_, silent, telling = in_store(
        tmp_path,
        make_table,
        put(item(a="x")),
        lambda tx: refused(tx, ask=False),
        lambda tx: refused(tx, ask=True),
    )
    assert silent == {}
    assert telling == {"Item": item(a="x")}


def test_an_update_creates_the_item_from_its_key(tmp_path: Path) -> None:
    _, (old, new), (_, again) = in_store(
        tmp_path,
        make_table,
        lambda tx: items.update_item(tx, table_of(tx), item(), now_ms=NOW_MS),
        lambda tx: items.update_item(tx, table_of(tx), item(), update=ADD_NAME, now_ms=NOW_MS),
    )
    assert (old, new) == (None, item())
    assert again == item(name="Ann")


SIZE = "One or more parameter values were invalid: "


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"SK": None}, SIZE + "Missing the key SK in the item"),
        ({"PK": {"N": "1"}}, SIZE + "Type mismatch for key PK expected: S actual: N"),
        (
            {"PK": {"S": ""}},
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: PK",
        ),
        ({"PK": {"S": "x" * 2049}}, SIZE + "Size of hashkey has exceeded the maximum size limit of2048 bytes"),
        (
            {"SK": {"S": "x" * 1025}},
            SIZE + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
        ),
        ({"big": {"S": "x" * 400 * 1024}}, "Item size has exceeded the maximum allowed size"),
    ],
    ids=["missing", "type", "empty", "long partition key", "long sort key", "large"],
)
def test_an_item_dynamodb_would_not_store_is_refused_in_its_words(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    # Sources: dynalite's tests (recorded from AWS), Amazon DynamoDB Developer Guide "Quotas".
    broken = {name: value for name, value in (item() | changes).items() if value is not None}

    def refused(tx: Transaction) -> str:
        with pytest.raises(ValidationException) as caught:
            items.put_item(tx, table_of(tx), broken, now_ms=NOW_MS)
        return caught.value.message

    _, message = in_store(tmp_path, make_table, refused)
    assert message == text


@pytest.mark.parametrize(
    "key",
    [
        {"PK": {"S": "p"}},
        item(extra="x"),
        {"PK": {"N": "1"}, "SK": {"S": "1"}},
        {"PK": {"S": "p"}, "other": {"S": "1"}},
    ],
    ids=["part missing", "part too many", "type", "name"],
)
def test_a_key_that_is_not_the_tables_is_refused(tmp_path: Path, key: Item) -> None:
    def refused(tx: Transaction) -> str:
        with pytest.raises(ValidationException) as caught:
            items.get_item(tx.connection, table_of(tx), key)
        return caught.value.message

    _, message = in_store(tmp_path, make_table, refused)
    assert message == "The provided key element does not match the schema"


EVERYTHING = SortRange()


def query(
    wanted: SortRange = EVERYTHING,
    *,
    forward: bool = True,
    after: str | None = None,
    limit: int | None = None,
    max_bytes: int = 1 << 20,
) -> Callable[[Transaction], tuple[str, bool]]:
    def job(tx: Transaction) -> tuple[str, bool]:
        page = items.query_page(
            tx.connection,
            table_of(tx),
            key_bytes({"S": "p"}),
            wanted,
            forward=forward,
            after=None if after is None else after.encode(),
            limit=limit,
            max_bytes=max_bytes,
        )
        bodies = [streams.decode_image(stored.body) or {} for stored in page.items]
        return "".join(body["SK"]["S"] for body in bodies), page.last_body is None

    return job


def test_a_query_gives_the_sort_keys_asked_for_in_order_and_in_pages(tmp_path: Path) -> None:
    asked: list[tuple[Callable[[Transaction], tuple[str, bool]], tuple[str, bool]]] = [
        (query(), ("abcde", True)),
        (query(forward=False), ("edcba", True)),
        (query(SortRange(low=b"b", low_included=False)), ("cde", True)),
        (query(SortRange(low=b"b", high=b"d")), ("bcd", True)),
        (query(SortRange(high=b"d", high_included=False), forward=False), ("cba", True)),
        (query(limit=2), ("ab", False)),
        (query(after="b", limit=2), ("cd", False)),
        (query(after="d"), ("e", True)),
        (query(after="d", forward=False, limit=5), ("cba", True)),
        (query(SortRange(low=b"b", high=b"d"), after="c"), ("d", True)),
        (query(SortRange(low=b"b", high=b"d"), after="a"), ("bcd", True)),
        (query(limit=5), ("abcde", False)),  # AWS too: the limit was reached, it did not look further
        (query(max_bytes=20), ("abc", False)),  # 6 bytes each
    ]
    results = in_store(tmp_path, make_table, *[put(item(letter)) for letter in "ecadb"], *[job for job, _ in asked])
    assert results[6:] == [expected for _, expected in asked]


def test_segments_of_a_scan_part_the_table_between_them(tmp_path: Path) -> None:
    def put_many(tx: Transaction) -> None:
        for number in range(100):
            items.put_item(tx, table_of(tx), {"PK": {"S": str(number)}}, now_ms=NOW_MS)

    def scan(segment: tuple[int, int] | None) -> Callable[[Transaction], list[bytes]]:
        def job(tx: Transaction) -> list[bytes]:
            found, after = [], None
            while True:
                page = items.scan_page(
                    tx.connection, table_of(tx), after=after, limit=7, max_bytes=1 << 20, segment=segment
                )
                found += [stored.body for stored in page.items]
                if page.last_body is None:
                    return found
                after = items.key_of_item(table_of(tx), streams.decode_image(page.last_body) or {})

        return job

    _, _, whole, *parts = in_store(
        tmp_path,
        lambda tx: make_table(tx, sort_key=None),
        put_many,
        scan(None),
        *[scan((number, 3)) for number in range(3)],
    )
    assert len(whole) == 100
    assert all(20 < len(part) < 50 for part in parts)
    assert sorted(body for part in parts for body in part) == sorted(whole)


def test_an_update_that_only_removes_makes_no_item(tmp_path: Path) -> None:
    # Alternator's tests, recorded from AWS: REMOVE and DELETE do not create the item.
    update = parse_update("REMOVE a", Placeholders())
    _, (old, new), body, (_, made) = in_store(
        tmp_path,
        make_table,
        lambda tx: items.update_item(tx, table_of(tx), item(), update=update, now_ms=NOW_MS),
        lambda tx: items.get_item(tx.connection, table_of(tx), item()),
        lambda tx: items.update_item(tx, table_of(tx), item(), now_ms=NOW_MS),
    )
    assert (old, new, body) == (None, {}, None)
    assert made == item()
