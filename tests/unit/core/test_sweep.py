"""What a rule may say of sweeps and guards, and what is refused with which words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from duestream import App, DeleteItem, Due, QueueMessage, RuleError, Sweep
from duestream.core.app import WatchedTable
from duestream.core.planner import PutSchedule, plan
from duestream.core.record import EventName, StreamRecord
from duestream.core.schedule import Place

SWEEP = Sweep("ByExpiry")


@pytest.fixture
def table() -> WatchedTable:
    return App("shop").table("Offers", partition_key="id", sort_key="kind")


def test_a_sweep_says_how_it_is_run() -> None:
    assert SWEEP.rate_expression == "rate(1 minute)"
    assert SWEEP.shard_names == ("0",)
    wide = Sweep("ByExpiry", shards=3, every=timedelta(hours=1))
    assert (wide.rate_expression, wide.shard_names) == ("rate(60 minutes)", ("0", "1", "2"))


@pytest.mark.parametrize(
    ("via", "words"),
    [
        ("ByExpiry", "is no Sweep"),
        (Sweep(""), "names no index"),
        (Sweep("a/b"), "names no index"),
        (Sweep("ByExpiry", shards=0), "1 to 1000"),
        (Sweep("ByExpiry", shards=1001), "1 to 1000"),
        (Sweep("ByExpiry", shards=True), "1 to 1000"),
        (Sweep("ByExpiry", every=timedelta(seconds=30)), "rate()"),
        (Sweep("ByExpiry", every=timedelta(seconds=90)), "whole number of minutes"),
        (Sweep("ByExpiry", every=timedelta(0)), "one or more"),
        (Sweep("ByExpiry", every=60), "timedelta(minutes=...)"),  # type: ignore[arg-type]  # what is refused
        (Sweep("ByExpiry", shard_attribute=""), "names no attribute"),
        (Sweep("ByExpiry", timestamp_type="B"), "'S' for texts"),  # type: ignore[arg-type]  # what is refused
    ],
)
def test_a_sweep_that_cannot_be_is_refused_with_a_remedy(table: WatchedTable, via: Any, words: str) -> None:
    with pytest.raises(RuleError) as refused:
        table.rule("EXPIRES_AT", DeleteItem(), via=via)
    assert words in str(refused.value)
    assert refused.value.rule == "expires_at-delete-item"
    assert __file__ in str(refused.value.location)


@pytest.mark.parametrize(
    "options",
    [
        {"when": lambda item: True},
        {"past_due": "skip"},
        {"max_lateness": timedelta(minutes=1)},
        {"timezone_attribute": "TZ"},
        {"guarded": True},
    ],
)
def test_what_a_sweep_cannot_do_is_refused_with_what_to_do_instead(
    table: WatchedTable, options: dict[str, Any]
) -> None:
    (option,) = options
    with pytest.raises(RuleError, match=f"{option} and via=Sweep") as refused:
        table.rule("EXPIRES_AT", DeleteItem(), via=SWEEP, **options)
    assert refused.value.remedy
    assert table.rules == ()


def test_a_sweep_has_an_offset_a_zone_and_a_function_of_its_own(table: WatchedTable) -> None:
    table.rule("EXPIRES_AT", DeleteItem(), via=SWEEP, offset=timedelta(days=1), timezone="Asia/Bangkok")

    @table.when_due("CALL_AT", via=Sweep("ByCall", shard_attribute="CALL_PK"))
    def call(item: dict[str, Any], due: Due) -> None: ...

    assert [rule.via and rule.via.index for rule in table.rules] == ["ByExpiry", "ByCall"]


@pytest.mark.parametrize("name", ["id", "kind", "EXPIRES_AT"])
def test_the_shard_attribute_must_be_one_that_can_be_removed(table: WatchedTable, name: str) -> None:
    with pytest.raises(RuleError, match="can be removed"):
        table.rule("EXPIRES_AT", DeleteItem(), via=Sweep("ByExpiry", shard_attribute=name))


def test_two_rules_do_not_take_items_from_each_others_index(table: WatchedTable) -> None:
    table.rule("EXPIRES_AT", DeleteItem(), via=SWEEP)
    with pytest.raises(RuleError, match="takes items out of the index"):
        table.rule("CALL_AT", QueueMessage("calls"), via=Sweep("ByCall"))
    with pytest.raises(RuleError, match="sweeps 'ByExpiry' already"):
        table.rule("CALL_AT", QueueMessage("calls"), via=Sweep("ByExpiry", shard_attribute="CALL_PK"))


def test_a_recurring_rule_cannot_sweep(table: WatchedTable) -> None:
    with pytest.raises(RuleError, match="no timestamp to sort one by"):
        table.recurring("PLAN", QueueMessage("q"), via=SWEEP)  # type: ignore[call-overload]  # what is refused


def test_guarded_is_said_of_rules_and_recurring_rules_and_of_no_function(table: WatchedTable) -> None:
    assert table.rule("AT", QueueMessage("q"), guarded=True).guarded
    assert table.recurring("PLAN", QueueMessage("q"), guarded=True).guarded
    assert not table.rule("AT", QueueMessage("q"), name="other").guarded
    with pytest.raises(RuleError, match="neither True nor False"):
        table.rule("AT", QueueMessage("q"), name="third", guarded="yes")  # type: ignore[call-overload]  # refused

    def function(item: dict[str, Any], due: Due) -> None: ...

    with pytest.raises(RuleError, match="always gets the item as it is"):
        table.when_due("AT", guarded=True)(function)
    with pytest.raises(RuleError, match="always gets the item as it is"):
        table.recurring_when_due("AT", guarded=False)(function)


def test_the_plan_passes_over_what_is_swept(table: WatchedTable) -> None:
    table.rule("EXPIRES_AT", DeleteItem(), via=SWEEP)
    scheduled = table.rule("EXPIRES_AT", QueueMessage("q"), name="scheduled", guarded=True)
    image = {"id": {"S": "1"}, "kind": {"S": "offer"}, "EXPIRES_AT": {"S": "2030-01-01T00:00:00Z"}}
    keys = {name: image[name] for name in ("id", "kind")}
    record = StreamRecord("Offers", EventName.INSERT, keys, None, image, "1")
    operations = plan(record, table.rules, now=datetime(2029, 1, 1, tzinfo=UTC), place=Place())
    assert [type(one) for one in operations] == [PutSchedule]
    (put,) = operations
    assert isinstance(put, PutSchedule)
    assert put.schedule.rule == scheduled.name
