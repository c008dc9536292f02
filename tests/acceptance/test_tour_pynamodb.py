"""A tour of the tables with PynamoDB's models against `duestream up`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from tests.acceptance.conftest import Up

pytest.importorskip("pynamodb")

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.connection import Connection
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, TableError, TransactWriteError, UpdateError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection, LocalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def models(endpoint_url: str) -> Any:
    """The models of this tour, bound to a server."""

    class ByState(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
        class Meta:
            index_name = "ByState"
            projection = AllProjection()
            read_capacity_units = 1
            write_capacity_units = 1

        state = UnicodeAttribute(hash_key=True)
        placed = UTCDateTimeAttribute(range_key=True)

    class ByPlaced(LocalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
        class Meta:
            index_name = "ByPlaced"
            projection = KeysOnlyProjection()

        customer = UnicodeAttribute(hash_key=True)
        placed = UTCDateTimeAttribute(range_key=True)

    class Address(MapAttribute[Any, Any]):
        street = UnicodeAttribute()
        number = NumberAttribute()

    class Order(Model):
        class Meta:
            table_name = "Orders"
            host = endpoint_url
            region = "us-east-1"
            aws_access_key_id = "test"
            aws_secret_access_key = "test"
            max_retry_attempts = 0
            billing_mode = "PAY_PER_REQUEST"
            stream_view_type = "NEW_AND_OLD_IMAGES"
            tags: ClassVar = {"team": "desk"}

        customer = UnicodeAttribute(hash_key=True)
        number = NumberAttribute(range_key=True)
        state = UnicodeAttribute(default="new")
        placed = UTCDateTimeAttribute()
        amount = NumberAttribute(default=0)
        paid = BooleanAttribute(default=False)
        note = UnicodeAttribute(null=True)
        photo = BinaryAttribute(null=True, legacy_encoding=False)
        marks = UnicodeSetAttribute(null=True)
        lines: Any = ListAttribute(null=True)
        address: Any = Address(null=True)  # type: ignore[no-untyped-call]
        extra: Any = JSONAttribute(null=True)
        gone_at = TTLAttribute(null=True)
        version = VersionAttribute()
        by_state = ByState()
        by_placed = ByPlaced()

    return Order, Address


@pytest.fixture
def order(up: Callable[..., Up]) -> Any:
    made, address = models(up(None).endpoint_url)
    made.create_table(wait=True)
    made.Address = address
    return made


def day(number: int) -> datetime:
    return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=number)


def test_a_table_is_made_from_its_model_and_updated_for_its_ttl(order: Any) -> None:
    assert order.exists()
    order.create_table(wait=True, ignore_update_ttl_errors=True)  # it is there, and so is its TTL, as on AWS
    described = order.describe_table()
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [one["IndexName"] for one in described["LocalSecondaryIndexes"]] == ["ByPlaced"]
    assert [one["IndexName"] for one in described["GlobalSecondaryIndexes"]] == ["ByState"]
    with pytest.raises(TableError, match="TimeToLive is already enabled"):
        order.update_ttl(ignore_update_ttl_errors=False)
    past = order("c1", 1, placed=day(0), gone_at=datetime(2025, 1, 1, tzinfo=UTC))
    past.save()
    while order.count("c1"):
        pass  # the test's time limit ends it
    order.delete_table()
    assert not order.exists()


def test_every_kind_of_attribute_comes_back(order: Any) -> None:
    whole = order(
        "c1",
        1,
        placed=day(1),
        amount=12.5,
        paid=True,
        note="ü€",
        photo=b"\x00\xff",
        marks={"a", "b"},
        lines=["x", 1, {"deep": [True, None]}],
        address=order.Address(street="High Street", number=7),
        extra={"any": ["json", 1.5]},
    )
    whole.save()
    read = order.get("c1", 1, consistent_read=True)
    assert (read.amount, read.paid, read.note, read.photo, read.marks) == (12.5, True, "ü€", b"\x00\xff", {"a", "b"})
    assert (read.lines, read.extra) == (["x", 1, {"deep": [True, None]}], {"any": ["json", 1.5]})
    assert (read.address.street, read.address.number, read.placed, read.version) == ("High Street", 7, day(1), 1)
    with pytest.raises(DoesNotExist):
        order.get("c1", 2)


def test_conditions_actions_and_versions(order: Any) -> None:
    first = order("c1", 1, placed=day(1))
    first.save(condition=order.customer.does_not_exist())
    with pytest.raises(PutError) as caught:
        order("c1", 1, placed=day(1)).save(condition=order.customer.does_not_exist())
    assert caught.value.cause_response_code == "ConditionalCheckFailedException"
    stale = order.get("c1", 1)
    first.update(
        actions=[
            order.amount.set(order.amount + 5),
            order.lines.set((order.lines | []).append(["one"])),
            order.marks.add({"m"}),
            order.note.set("noted"),
        ],
        condition=(order.state == "new") & order.placed.between(day(0), day(2)) & ~order.note.exists(),
    )
    assert (first.amount, first.lines, first.marks, first.version) == (5, ["one"], {"m"}, 2)
    with pytest.raises(UpdateError) as caught_update:
        stale.update(actions=[order.note.remove()])
    assert caught_update.value.cause_response_code == "ConditionalCheckFailedException"
    with pytest.raises(DeleteError):
        stale.delete()
    stale.refresh()
    assert stale.version == 2
    stale.delete(condition=order.note.startswith("no") & order.marks.contains("m"))
    assert order.count() == 0


def test_queries_scans_indexes_and_batches(order: Any) -> None:
    with order.batch_write() as batch:
        for number in range(60):
            batch.save(
                order("c2", number, placed=day(number), state="paid" if number % 3 == 0 else "new", amount=number)
            )
    found = order.query(
        "c2", order.number.between(10, 20), filter_condition=order.amount >= 15, scan_index_forward=False
    )
    assert [one.number for one in found] == list(range(20, 14, -1))
    paged = order.query("c2", page_size=7, limit=30)
    assert [one.number for one in paged] == list(range(30))
    assert paged.last_evaluated_key == {"customer": {"S": "c2"}, "number": {"N": "29"}}
    rest = order.query("c2", last_evaluated_key=paged.last_evaluated_key)
    assert [one.number for one in rest] == list(range(30, 60))
    paid = order.by_state.query("paid", order.placed > day(30), page_size=3)
    assert [one.number for one in paid] == list(range(33, 60, 3))
    assert order.by_state.count("paid") == 20
    local = order.by_placed.query("c2", order.placed <= day(3))
    assert [one.number for one in local] == [0, 1, 2, 3]
    assert sum(1 for _ in order.scan(order.state == "new", page_size=11)) == 40
    segments = [{one.number for one in order.scan(segment=part, total_segments=3)} for part in range(3)]
    assert set.union(*segments) == set(range(60))
    assert sum(map(len, segments)) == 60
    assert sorted(one.number for one in order.batch_get([("c2", n) for n in (*range(5), 99)])) == [0, 1, 2, 3, 4]
    with order.batch_write() as batch:
        for one in order.query("c2", order.number < 50):
            batch.delete(one)
    assert order.count("c2") == 10
    assert order.describe_table()["ItemCount"] == 10


def change_if_there_is_another(order: Any, one: Any, connection: Connection) -> None:
    """A transaction whose check does not hold; PynamoDB sends checks first."""
    with TransactWrite(connection=connection) as transaction:
        transaction.update(one, actions=[order.amount.set(1)])
        transaction.condition_check(order, "c3", 9, condition=order.customer.exists())


def test_transactions(order: Any) -> None:
    meta = order.Meta
    connection = Connection(region=meta.region, host=meta.host, max_retry_attempts=0)
    connection.session.set_credentials("test", "test")
    one, two = order("c3", 1, placed=day(1)), order("c3", 2, placed=day(2))
    with TransactWrite(connection=connection, client_request_token="once") as transaction:
        transaction.save(one, condition=order.customer.does_not_exist())
        transaction.save(two)
    with pytest.raises(TransactWriteError) as caught:
        change_if_there_is_another(order, one, connection)
    assert [reason and reason.code for reason in caught.value.cancellation_reasons] == ["ConditionalCheckFailed", None]
    with TransactWrite(connection=connection) as transaction:
        transaction.update(one, actions=[order.amount.set(7)], return_values="ALL_OLD")
        transaction.delete(two)
    with TransactGet(connection=connection) as reads:
        first, second = reads.get(order, "c3", 1), reads.get(order, "c3", 2)
    assert (first.get().amount, first.get().version) == (7, 2)
    with pytest.raises(DoesNotExist):
        second.get()
