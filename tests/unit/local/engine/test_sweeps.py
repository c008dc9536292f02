"""Rules via an index, on this engine: the same rules, the same ends as on AWS."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.engine.bench import Bench, at, bench, run

from duestream import App, DeleteItem, Due, QueueMessage, Retry, Sweep
from duestream.local.store import items, tables
from duestream.local.store.streams import decode_image


def shop(**options: Any) -> App:
    app = App("shop")
    offers = app.table("Offers", partition_key="id", sort_key="kind")
    offers.rule("AT", DeleteItem(), name="expire", via=Sweep("ByExpiry", shards=3), **options)
    return app


def calls() -> App:
    app = App("shop")

    @app.table("Calls", partition_key="id").rule("AT", via=Sweep("ByTime", shards=2))
    def call(item: dict[str, Any]) -> list[QueueMessage] | None:
        return None if item.get("off") else [QueueMessage("calls", item["to"]), QueueMessage("calls", "second")]

    return app


def image_of(b: Bench, table_name: str, key: Any) -> Any:
    table = tables.get_table(b.store.reader, table_name)
    assert table is not None
    return decode_image(items.get_item(b.store.reader, table, {"id": {"S": key}}))


def test_what_is_due_in_any_shard_is_deleted_by_the_next_sweep(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, shop()) as b:
            await b.settle()
            for number in range(300):
                await b.put("Offers", id=str(number), kind="k", AT=at(seconds=30), GSI_PK=str(number % 3))
            await b.put("Offers", id="later", kind="k", AT=at(seconds=90), GSI_PK="0")
            await b.put("Offers", id="not in the index", kind="k", AT=at(seconds=30))
            await b.tick(seconds=59)
            assert b.items("Offers") == 302
            await b.tick(seconds=1)
            assert b.items("Offers") == 2
            await b.tick(minutes=1)
            assert b.items("Offers") == 1
            assert len(b.outcomes()) == 301

    run(work())


def test_what_was_missed_while_it_was_down_is_swept_at_the_start(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, shop()) as b:
            await b.settle()
            await b.put("Offers", id="1", kind="k", AT=at(seconds=30), GSI_PK="0")
            clock = b.clock
        clock.tick(timedelta(days=3, seconds=17))
        async with bench(tmp_path, shop(), clock) as b:
            await b.settle()
            assert b.items("Offers") == 0

    run(work())


def test_targets_are_invoked_as_the_item_is_and_it_leaves_the_index(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, calls()) as b:
            await b.make_queue("calls")
            await b.put("Calls", id="1", AT=at(seconds=30), GSI_PK="1", to="old")
            await b.put("Calls", id="1", AT=at(seconds=30), GSI_PK="1", to="a")
            await b.put("Calls", id="off", AT=at(seconds=30), GSI_PK="1", off=True)
            await b.put("Calls", id="gone", AT=at(seconds=30), GSI_PK="1", to="gone")
            await b.settle()
            await b.delete("Calls", id="gone")
            await b.tick(minutes=1)
            assert sorted(message.body for message in await b.messages("calls")) == ["a", "second"]
            assert set(image_of(b, "Calls", "1")) == {"id", "AT", "to"}
            assert set(image_of(b, "Calls", "off")) == {"id", "AT", "off"}
            await b.tick(minutes=5)
            assert len(await b.messages("calls")) == 2
            await b.put("Calls", id="1", AT=at(minutes=7), GSI_PK="0", to="again")
            await b.tick(minutes=1)
            assert len(await b.messages("calls")) == 4

    run(work())


def test_a_function_runs_with_retries_and_once_for_each_moment(tmp_path: Path) -> None:
    app, seen = App("shop"), list[int]()

    @app.table("Calls", partition_key="id").when_due("AT", via=Sweep("ByTime"), retry=Retry(attempts=3))
    def ask(item: dict[str, Any], due: Due) -> None:
        seen.append(due.attempt)
        if due.attempt < 3:
            raise ValueError("not yet")

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Calls", id="1", AT=at(seconds=30), GSI_PK="0")
            for _ in range(30):
                await b.tick(seconds=10)
            assert seen == [1, 2, 3]
            assert b.outcomes() == ["delivered"]

    run(work())


def test_what_cannot_be_read_or_raises_stays_and_is_told_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        async with bench(tmp_path, calls()) as b:
            await b.make_queue("calls")
            await b.put("Calls", id="1", AT="2020 somewhen", GSI_PK="1", to="a")
            await b.put("Calls", id="2", AT=at(seconds=0), GSI_PK="1")
            await b.settle()
            (told,) = [record for record in caplog.records if getattr(record, "action", "") == "sweep"]
            assert told.levelname == "WARNING"
            assert "2020 somewhen" in told.reason  # type: ignore[attr-defined]  # what the line carries
            assert "KeyError: 'to'" in told.reason  # type: ignore[attr-defined]  # what the line carries
            await b.put("Calls", id="1", AT=at(seconds=0), GSI_PK="1", to="a")
            await b.put("Calls", id="2", AT=at(seconds=0), GSI_PK="1", to="b")
            await b.tick(minutes=1)
            assert len(await b.messages("calls")) == 4

    run(work())


def test_an_item_changed_while_it_is_planned_is_left_to_the_next_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with bench(tmp_path, calls()) as b:
            await b.make_queue("calls")
            await b.put("Calls", id="1", AT=at(seconds=0), GSI_PK="1", to="a")
            poller = b.engine._poller
            assert poller is not None
            plan_swept = poller.plan_swept

            async def move_then_plan(*arguments: Any) -> Any:
                chunk = await plan_swept(*arguments)
                await b.put("Calls", id="1", AT=at(minutes=2), GSI_PK="1", to="b")
                return chunk

            with monkeypatch.context() as moving:
                moving.setattr(poller, "plan_swept", move_then_plan)
                await b.settle()
            assert await b.messages("calls") == []
            await b.tick(minutes=2)
            assert sorted(message.body for message in await b.messages("calls")) == ["b", "second"]

    run(work())


def test_a_loop_sweeps_by_the_clock(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, shop()) as b:
            await b.put("Offers", id="1", kind="k", AT=at(seconds=30), GSI_PK="0")
            b.engine.start()
            b.clock.tick(timedelta(minutes=1))
            while b.items("Offers"):
                await b.store.write(lambda _: None)

    run(work())


def test_why_says_whether_an_item_is_in_the_index(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, shop()) as b:
            for number, shard in enumerate(("0", "7", None)):
                values = {} if shard is None else {"GSI_PK": shard}
                await b.put("Offers", id=str(number), kind="k", AT=at(minutes=5), **values)
            await b.settle()
            said = []
            for number in range(3):
                (rule,) = (await b.engine.explainer.explain("Offers", f"id={number},kind=k"))["rules"]
                said.append(" ".join(rule["says"]))
            assert "the sweep of ByExpiry, every 1 min, finds it then" in said[0]
            assert "no sweep of ByExpiry reads its GSI_PK '7'" in said[1]
            assert "has no GSI_PK and so is not in the index ByExpiry" in said[2]

    run(work())
