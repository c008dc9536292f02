"""When items expire: kept with each write, looked up in chunks when it is switched on, removed in chunks when off."""

import random
from pathlib import Path

import pytest
from tests.unit.local.store.test_items import NOW_MS, in_store, make_table, table_of

from duestream.core.record import Item
from duestream.local.store import items, tables, time_to_live
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

NOW_S = NOW_MS // 1000


def session(key: str, ttl: str | None) -> Item:
    kept: Item = {"PK": {"S": "p"}, "SK": {"S": key}}
    return kept if ttl is None else kept | {"ttl": {"N": ttl}}


def switched_on(tx: Transaction) -> Table:
    table = make_table(tx)
    time_to_live.switch_on(tx, table.id, "ttl")
    return tables.renew(tx, table)


def moments(tx: Transaction) -> list[int]:
    found = tx.execute("SELECT expires_at_s FROM expiry ORDER BY expires_at_s").fetchall()
    return [int(str(moment)) for (moment,) in found]


@pytest.mark.parametrize(
    ("text", "moment"),
    [("0", 0), ("1900000000", 1_900_000_000), ("1900000000.2", 1_900_000_001), ("1.9E9", 1_900_000_000), ("-1", None)],
)
def test_a_number_is_a_second_and_nothing_goes_before_its_time(text: str, moment: int | None) -> None:
    assert time_to_live.expires_at_s({"ttl": {"N": text}}, "ttl") == moment


@pytest.mark.parametrize("value", [{"S": "1900000000"}, {"N": "1E+100"}, {"M": {}}, {"NULL": True}])
def test_what_is_no_second_never_comes(value: dict[str, object]) -> None:
    assert time_to_live.expires_at_s({"ttl": value}, "ttl") is None
    assert time_to_live.expires_at_s({}, "ttl") is None
    assert time_to_live.expires_at_s(None, "ttl") is None


def test_random_writes_and_deletes_leave_one_expiry_for_each_item_that_has_a_moment(tmp_path: Path) -> None:
    dice = random.Random(7)
    model: dict[str, str | None] = {}

    def job(tx: Transaction) -> None:
        table = make_table(tx)
        for number in range(400):
            if number == 150:
                time_to_live.switch_on(tx, table.id, "ttl")
                table = tables.renew(tx, table)
            if number > 150 and dice.random() < 0.1:
                time_to_live.build_step(tx, limit=3)
                table = tables.renew(tx, table)
            key = str(dice.randrange(40))
            if dice.random() < 0.3:
                items.delete_item(tx, table, {"PK": {"S": "p"}, "SK": {"S": key}}, now_ms=NOW_MS)
                model.pop(key, None)
            else:
                model[key] = dice.choice([None, str(NOW_S + dice.randrange(20))])
                items.put_item(tx, table, session(key, model[key]), now_ms=NOW_MS)
        while time_to_live.build_step(tx, limit=3) is not None:
            pass
        assert moments(tx) == sorted(int(ttl) for ttl in model.values() if ttl is not None)

    in_store(tmp_path, job)


def test_what_has_expired_is_found_oldest_first_and_in_chunks(tmp_path: Path) -> None:
    def job(tx: Transaction) -> None:
        table = switched_on(tx)
        for number in (3, 1, 2, 9):
            items.put_item(tx, table, session(str(number), str(NOW_S + number)), now_ms=NOW_MS)
        found = time_to_live.expired(tx.connection, NOW_S + 3, limit=2)
        assert [expired.expires_at_s - NOW_S for expired in found] == [1, 2]
        assert time_to_live.next_expiry_s(tx.connection, NOW_S) == NOW_S + 1
        for expired in time_to_live.expired(tx.connection, NOW_S + 3):
            assert items.expire_item(tx, table_of(tx), expired.key, now_ms=NOW_MS)
        assert time_to_live.next_expiry_s(tx.connection, NOW_S) == NOW_S + 9

    in_store(tmp_path, job)


def test_an_expiry_without_its_item_can_be_forgotten(tmp_path: Path) -> None:
    def job(tx: Transaction) -> None:
        table = switched_on(tx)
        items.put_item(tx, table, session("1", str(NOW_S)), now_ms=NOW_MS)
        tx.execute("DELETE FROM item")
        (orphan,) = time_to_live.expired(tx.connection, NOW_S)
        assert not items.expire_item(tx, table, orphan.key, now_ms=NOW_MS)
        time_to_live.forget(tx, orphan)
        assert time_to_live.expired(tx.connection, NOW_S) == []

    in_store(tmp_path, job)


def test_switched_off_its_expiries_go_in_chunks(tmp_path: Path) -> None:
    def job(tx: Transaction) -> None:
        table = switched_on(tx)
        for number in range(10):
            items.put_item(tx, table, session(str(number), str(NOW_S + number)), now_ms=NOW_MS)
        time_to_live.switch_off(tx, table.id)
        table = tables.renew(tx, table)
        assert table.time_to_live is None
        assert time_to_live.expired(tx.connection, NOW_S + 100) == []
        steps = 0
        while time_to_live.purge_step(tx, limit=4):
            steps += 1
        assert (steps, moments(tx)) == (3, [])

    in_store(tmp_path, job)
