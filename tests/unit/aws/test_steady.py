"""Recurring schedules through the stream function: put again they go on, and when they have ended they go."""

from datetime import timedelta
from typing import Any

from tests.unit.aws.stream_bench import NOW, Bench, Item

from duestream import App, QueueMessage


def bench_of_plans() -> Bench:
    app = App("clinic")
    app.table("Plans", partition_key="PK").recurring("EVERY", QueueMessage("billing"), name="bill", end="UNTIL")
    return Bench(app)


def plan_item(expression: str = "rate(10 minutes)", **others: str) -> Item:
    return {name: {"S": text} for name, text in {"PK": "a", "EVERY": expression, **others}.items()}


def only(bench: Bench) -> dict[str, Any]:
    (request,) = bench.scheduler.schedules.values()
    return request


def test_a_rate_that_is_put_again_keeps_its_step() -> None:
    bench = bench_of_plans()
    record = bench.table.put(plan_item())
    bench.run(record)
    begun_at = only(bench)["StartDate"]
    bench.clock.tick(timedelta(minutes=25))
    bench.run(record)
    assert only(bench)["StartDate"] == begun_at + timedelta(minutes=30)
    assert bench.scheduler.operations() == ["create", "create", "get", "update"]


def test_another_rate_begins_when_it_was_written() -> None:
    bench = bench_of_plans()
    bench.run(bench.table.put(plan_item()))
    bench.clock.tick(timedelta(minutes=25))
    bench.run(bench.table.put(plan_item("rate(1 hour)")))
    assert only(bench)["StartDate"] == NOW + timedelta(minutes=25, seconds=5)


def test_a_series_that_ended_before_its_record_came_leaves_nothing() -> None:
    bench = bench_of_plans()
    record = bench.table.put(plan_item(UNTIL="2026-11-23T12:30:00Z"))
    bench.run(record)
    assert len(bench.scheduler.schedules) == 1
    bench.clock.tick(timedelta(hours=1))
    bench.run(record)
    assert bench.scheduler.schedules == {}


def test_an_expression_that_cannot_be_read_is_dead_lettered() -> None:
    bench = bench_of_plans()
    bench.run(bench.table.put(plan_item("rate(soon)")))
    assert [letter["kind"] for letter in bench.letters.sent] == ["unreadable expression"]
