from pathlib import Path

import pytest
from tests.unit.local.engine.bench import bench, run

from duestream import App, DeleteItem, RuleError, Sweep


def test_a_rule_that_sweeps_is_refused_rather_than_ignored(tmp_path: Path) -> None:
    app = App("shop")
    app.table("Offers", partition_key="id").rule("EXPIRES_AT", DeleteItem(), via=Sweep("ByExpiry"))

    async def work() -> None:
        async with bench(tmp_path, app):
            raise AssertionError("it was started")

    with pytest.raises(RuleError, match="the local engine does not sweep") as refused:
        run(work())
    assert refused.value.rule == "expires_at-delete-item"
    assert __file__ in str(refused.value.location)
