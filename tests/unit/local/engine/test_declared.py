from pathlib import Path

import pytest
from tests.unit.local.engine.bench import bench, run

from duestream import App, DeleteItem, RuleError, Sweep
from duestream.local.store import index_building, tables


def shop(sweep: Sweep | None) -> App:
    app = App("shop")
    app.table("Offers", partition_key="id").rule("EXPIRES_AT", DeleteItem(), via=sweep)
    return app


def test_the_index_of_a_rule_that_sweeps_is_made_with_its_table(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, shop(Sweep("ByExpiry", timestamp_type="N"))) as b:
            table = tables.get_table(b.store.reader, "Offers")
            assert table is not None
            (index,) = table.indexes
            assert (index.name, index.is_global, index.is_active) == ("ByExpiry", True, True)
            assert [(one.name, one.kind) for one in index.key_attributes] == [("GSI_PK", "S"), ("EXPIRES_AT", "N")]

    run(work())


def test_the_index_is_built_where_the_table_was_there_before(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, shop(None)) as b:
            await b.put("Offers", id="1", EXPIRES_AT="2020-01-01T00:00:00Z", GSI_PK="0")
            await b.put("Offers", id="2", EXPIRES_AT="2040-01-01T00:00:00Z", GSI_PK="0")
        async with bench(tmp_path, shop(Sweep("ByExpiry"))) as b:
            await b.settle()
            assert b.items("Offers") == 2  # it is told, and tried again a minute later
            while await b.store.write(index_building.build_step):
                pass
            await b.tick(minutes=1)
            assert b.items("Offers") == 1
        async with bench(tmp_path, shop(Sweep("ByExpiry"))):
            pass

    run(work())


def test_an_index_with_other_keys_is_refused(tmp_path: Path) -> None:
    async def work(sweep: Sweep) -> None:
        async with bench(tmp_path, shop(sweep)):
            pass

    run(work(Sweep("ByExpiry")))
    with pytest.raises(RuleError, match="goes by GSI_PK") as refused:
        run(work(Sweep("ByExpiry", shard_attribute="SHARD")))
    assert refused.value.rule == "expires_at-delete-item"
    assert __file__ in str(refused.value.location)
