"""What an app costs a month, by hand and by the estimate."""

from datetime import timedelta
from decimal import Decimal
from typing import Unpack

import pytest

from duestream import App, DeleteItem, QueueMessage, Sweep
from duestream.aws.upkeep.cost import Estimate, Line, Load, estimate
from duestream.aws.upkeep.prices import PRICES
from duestream.core.declaration import RuleOptions

MILLION = 1_000_000
#: Without its fixed part, the stack, which is the same for all.
STILL = Load(MILLION, changes=Decimal(0))


def app_with(**options: Unpack[RuleOptions]) -> App:
    app = App("shop")
    app.table("Offers", partition_key="id").rule("EXPIRES_AT", DeleteItem(), **options)
    return app


def units(lines: list[Line] | tuple[Line, ...], price: str) -> Decimal:
    return sum((line.units for line in lines if line.price == price), Decimal(0))


def rule_lines(found: Estimate, strategy: str) -> tuple[Line, ...]:
    return next(cost.lines for cost in found.rules if cost.strategy == strategy)


def test_a_million_deletes_by_schedules_cost_what_part_1_says() -> None:
    found = estimate(app_with(), STILL)
    lines = rule_lines(found, "schedules")
    assert units(lines, "scheduler") == MILLION
    assert units(lines, "dynamodb writes") == MILLION
    # Part 1: Scheduler 1 dollar and DeleteItem 0.63; its cell for Lambda is empty.
    assert round(found.total(lines), 2) == Decimal("1.62")


def test_a_sweep_pays_for_its_index_and_not_for_deliveries() -> None:
    found = estimate(app_with(via=Sweep("ByExpiry", shards=10, every=timedelta(minutes=5))), STILL)
    lines = rule_lines(found, "sweep")
    assert units(lines, "scheduler") == 8640  # every five minutes in 30 days (SEMANTICS of part 2)
    assert units(lines, "dynamodb writes") == 3 * MILLION  # the entry made, the item deleted, the entry deleted
    assert units(lines, "dynamodb reads") >= 8640 * 10 / 2  # each shard, each time, though it be empty


def test_the_declared_strategy_is_told_from_the_other() -> None:
    found = estimate(app_with(via=Sweep("ByExpiry")), STILL)
    assert {cost.strategy: cost.is_chosen for cost in found.rules} == {"schedules": False, "sweep": True}
    assert found.total(found.chosen) == found.total(found.if_all("sweep"))


def test_a_stream_that_no_rule_needs_is_not_read() -> None:
    found = estimate(app_with(via=Sweep("ByExpiry")), STILL)
    stream_calls = units(found.streams["Offers"], "lambda requests")
    sweeps = Decimal(43_200)
    assert units(found.chosen, "lambda requests") == sweeps
    assert units(found.if_all("schedules"), "lambda requests") == stream_calls


def test_the_stream_is_read_once_for_all_rules_of_a_table() -> None:
    app = App("shop")
    offers = app.table("Offers", partition_key="id")
    for number in range(3):
        offers.rule("EXPIRES_AT", QueueMessage("expired"), name=f"rule-{number}")
    one, three = estimate(app_with(), STILL), estimate(app, STILL)
    assert one.streams == three.streams
    assert units(three.chosen, "lambda requests") == units(one.chosen, "lambda requests")


def test_what_is_free_is_taken_off_once() -> None:
    load = Load(14 * MILLION, free_tier=True)
    found = estimate(app_with(), load)
    assert found.dollars(found.chosen)["scheduler"] == 0
    twice = App("shop")
    for name in ("Offers", "Sessions"):
        twice.table(name, partition_key="id").rule("EXPIRES_AT", DeleteItem())
    both = estimate(twice, load)
    assert both.dollars(both.chosen)["scheduler"] == 14  # the second 14 million


def test_functions_and_guards_pay_for_the_when_due_function() -> None:
    plain, guarded = estimate(app_with(), STILL), estimate(app_with(guarded=True), STILL)
    assert [cost.strategy for cost in guarded.rules] == ["schedules"]
    assert found_requests(guarded) - found_requests(plain) == MILLION


def found_requests(found: Estimate) -> Decimal:
    return units(found.chosen, "lambda requests")


@pytest.mark.parametrize("name", sorted(PRICES))
def test_each_price_says_when_and_where_it_was_read(name: str) -> None:
    price = PRICES[name]
    assert price.as_of[:4].isdigit()
    assert price.said_by
    assert price.page.startswith("https://aws.amazon.com/")
    assert price.of(Decimal(price.per), free_tier=False) == price.dollars
