"""The sweep function: part 2 of the published pattern, each of its faults mended and named here."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.aws.due_bench import START, Bench, bench

from duestream import App, AwsCall, DeleteItem, Due, HttpRequest, QueueMessage, Retry, Sweep
from duestream.aws.failures import CallError
from duestream.aws.json_calls import JsonCalls
from duestream.aws.sweep import SweepError
from duestream.core.target import Target
from duestream.errors import DeliveryError, SettingsError

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)
EARLIER, LATER = "2030-01-01T08:00:00Z", "2030-01-01T10:00:00Z"


def shop(shards: int = 3, **options: Any) -> App:
    app = App("shop")
    offers = app.table("Offers", partition_key="id")
    offers.rule("AT", DeleteItem(), name="expire", via=Sweep("ByExpiry", shards=shards, **options))
    return app


@pytest.fixture
def b(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(shop(), monkeypatch) as made:
        yield made


def ids(b: Bench, table: str = "Offers") -> set[str]:
    items = [item for page in b.dynamodb.get_paginator("scan").paginate(TableName=table) for item in page["Items"]]
    return {item["id"]["S"] for item in items}


def put_many(b: Bench, count: int, at: str = EARLIER, shards: int = 3) -> None:
    for number in range(count):
        b.put("Offers", id=f"{at[11:13]}-{number}", AT=at, GSI_PK=str(number % shards))


# Deleting ----------------------------------------------------------------------------------------------


def test_what_is_due_in_any_shard_is_deleted_and_nothing_else(b: Bench) -> None:
    put_many(b, 7)
    put_many(b, 4, LATER)
    b.put("Offers", id="not in the index", AT=EARLIER)
    assert b.sweep("expire").swept == 7
    assert ids(b) == {"10-0", "10-1", "10-2", "10-3", "not in the index"}
    assert b.sweep("expire").swept == 0


def test_part_2_compares_now_without_z_cut_to_the_minute_so_eviction_waits_for_the_next_one(b: Bench) -> None:
    """Here it is due within its own minute, to the second, however it is written."""
    b.clock.tick(timedelta(seconds=20))
    forms = ["2030-01-01T09:00:20Z", "2030-01-01T09:00:20", "2030-01-01T09:00:20.000+00:00", "2030-01-01T09:00Z"]
    for number, text in enumerate([*forms, "2030-01-01T09:00:21Z"]):
        b.put("Offers", id=str(number), AT=text, GSI_PK="0")
    assert b.sweep("expire").swept == 4
    assert ids(b) == {"4"}


def test_part_2_deletes_without_a_condition_so_an_item_extended_meanwhile_is_lost(
    b: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """batch_writer takes no condition. Here: extended between the index's answer and the delete, it lives on."""
    put_many(b, 2)
    delete = b.items.delete

    def extend_then_delete(request: dict[str, Any]) -> bool:
        if request["Key"]["id"]["S"] == "08-1":
            b.put("Offers", id="08-1", AT=LATER, GSI_PK="1")
        return delete(request)

    monkeypatch.setattr(b.items, "delete", extend_then_delete)
    result = b.sweep("expire")
    assert (result.swept, result.not_wanted) == (1, 1)
    assert ids(b) == {"08-1"}


def test_part_2_grants_delete_item_and_calls_batch_write_item(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the calls are made that the policy of the stack allows."""
    put_many(b, 2)
    names, make = [], JsonCalls.make

    def recording(calls: JsonCalls, operation: str, request: Any, **options: Any) -> Any:
        names.append(operation)
        return make(calls, operation, request, **options)

    monkeypatch.setattr(JsonCalls, "make", recording)
    b.sweep("expire")
    assert set(names) == {"Query", "DeleteItem"}


def test_offsets_that_put_a_text_in_the_wrong_place_are_found_by_a_wide_sweep(b: Bench) -> None:
    b.put("Offers", id="east", AT="2030-01-01T15:59:00+07:00", GSI_PK="0")  # 08:59 UTC
    b.put("Offers", id="west", AT="2030-01-01T02:00:00-08:00", GSI_PK="0")  # 10:00 UTC
    b.clock.tick(MINUTE)
    assert b.sweep("expire").swept == 0
    b.clock.tick(14 * MINUTE)
    result = b.sweep("expire")
    assert (result.swept, result.misplaced) == (1, 1)
    assert json.loads(b.lines[-1])["misplaced"] == 1
    assert ids(b) == {"west"}


def test_numbers_are_swept_in_seconds_and_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with bench(shop(timestamp_type="N"), monkeypatch) as b:
        seconds = int(START.timestamp())
        for name, number in (
            ("s", seconds),
            ("ms", seconds * 1000),
            ("s+1", seconds + 1),
            ("ms+1", seconds * 1000 + 1),
        ):
            b.put("Offers", id=name, AT=number, GSI_PK="2")
        assert b.sweep("expire").swept == 2
        assert ids(b) == {"s+1", "ms+1"}


def test_an_offset_moves_the_part_of_the_index_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("shop")
    offers = app.table("Offers", partition_key="id", sort_key="kind")
    offers.rule("AT", DeleteItem(), name="expire", via=Sweep("ByExpiry"), offset=-timedelta(hours=1))
    with bench(app, monkeypatch) as b:
        for number, at in enumerate((EARLIER, LATER, "2030-01-01T10:00:01Z")):
            b.put("Offers", id=str(number), kind="k", AT=at, GSI_PK="0")
        assert b.sweep("expire").swept == 2
        assert ids(b) == {"2"}


def test_the_reader_may_have_more_shards_than_there_are_writers_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grow without downtime: raise `shards`, deploy, then let writers use the further ones."""
    with bench(shop(shards=40), monkeypatch) as b:
        put_many(b, 4, shards=4)
        assert b.sweep("expire").swept == 4
        put_many(b, 40, shards=40)
        assert b.sweep("expire").swept == 40


def test_a_text_that_names_no_moment_is_told_at_every_sweep_and_stays(b: Bench) -> None:
    put_many(b, 2)
    b.put("Offers", id="bad", AT="2029 somewhen", GSI_PK="0")
    for _ in range(2):
        assert b.sweep("expire").unreadable == 1
        told = json.loads(b.lines[-1])
        assert told["Unreadable"] == 1
        assert "2029 somewhen" in str(told["errors"])
    assert ids(b) == {"bad"}


# Time --------------------------------------------------------------------------------------------------


def test_a_sweep_pages_stops_in_time_and_the_next_one_goes_on(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put_many(b, 60)
    delete = b.items.delete

    def slow_delete(request: dict[str, Any]) -> bool:
        b.clock.tick(timedelta(seconds=5))
        return delete(request)

    monkeypatch.setattr(b.items, "delete", slow_delete)
    swept = [b.sweep("expire", page_size=4).swept for _ in range(8)]
    assert sum(swept) == 60
    assert ids(b) == set()
    # 55 seconds of each minute, at 5 seconds for each delete; up to 3 more may be under way.
    assert all(count <= 14 for count in swept)
    first = json.loads(b.lines[0])
    assert len(first["unfinished"]) == 3
    assert first["Left"] > 0


def test_no_shard_waits_behind_another(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One shard has more than a sweep can do; the others are done all the same."""
    for number in range(60):
        b.put("Offers", id=f"a-{number}", AT=EARLIER, GSI_PK="0")
    b.put("Offers", id="b", AT=EARLIER, GSI_PK="1")
    b.put("Offers", id="c", AT=EARLIER, GSI_PK="2")
    delete = b.items.delete

    def slow_delete(request: dict[str, Any]) -> bool:
        b.clock.tick(timedelta(seconds=2))
        return delete(request)

    monkeypatch.setattr(b.items, "delete", slow_delete)
    b.sweep("expire", page_size=2)
    assert ids(b) & {"b", "c"} == set()
    assert len(ids(b)) > 20


def test_lateness_and_what_is_left_are_reported(b: Bench) -> None:
    put_many(b, 150)
    b.sweep("expire")
    told = json.loads(b.lines[-1])
    assert told["App"] == "shop"
    assert (told["Swept"], told["Left"], told["OldestDue"]) == (150, 0, 3_600_000.0)
    assert told["Lateness"] == [3_600_000.0] * 100
    (directive,) = told["_aws"]["CloudWatchMetrics"]
    assert {"Name": "Lateness", "Unit": "Milliseconds"} in directive["Metrics"]
    b.sweep("expire")
    assert "Lateness" not in json.loads(b.lines[-1])


def test_two_sweeps_at_once_delete_each_item_once(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole sweep goes by while another is about to delete what it has read."""
    put_many(b, 12)
    delete, first, others = b.items.delete, iter([True]), list[int]()

    def overtaken_delete(request: dict[str, Any]) -> bool:
        if next(first, False):
            others.append(b.sweep("expire").swept)
        return delete(request)

    monkeypatch.setattr(b.items, "delete", overtaken_delete)
    result = b.sweep("expire")
    assert result.failed == 0
    assert result.swept + others[0] == 12
    assert ids(b) == set()


# Faults ------------------------------------------------------------------------------------------------


THROTTLED = CallError("ThrottlingException", "Rate exceeded", 400)


def test_a_shard_that_cannot_be_read_does_not_stop_the_others_and_is_an_error(
    b: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_many(b, 6)
    query = b.items.query

    def refuse_one(request: dict[str, Any]) -> Any:
        if request["ExpressionAttributeValues"][":shard"] == {"S": "1"}:
            raise THROTTLED
        return query(request)

    with monkeypatch.context() as failing:
        failing.setattr(b.items, "query", refuse_one)
        with pytest.raises(SweepError, match=r"shard 1: .*Rate exceeded"):
            b.sweep("expire")
    assert ids(b) == {"08-1", "08-4"}
    assert b.sweep("expire").swept == 2


def test_an_item_that_could_not_be_deleted_is_left_to_the_next_sweep(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put_many(b, 4)
    delete = b.items.delete

    def refuse_one(request: dict[str, Any]) -> bool:
        if request["Key"]["id"]["S"] == "08-2":
            raise THROTTLED
        return delete(request)

    with monkeypatch.context() as failing:
        failing.setattr(b.items, "delete", refuse_one)
        result = b.sweep("expire")
        assert (result.swept, result.left, result.failed) == (3, 1, 1)
        with pytest.raises(SweepError, match="Rate exceeded"):
            b.sweep("expire")  # nothing at all went well
    assert b.sweep("expire").swept == 1


def test_a_rule_that_does_not_sweep_is_an_error_of_the_stack(b: Bench) -> None:
    with pytest.raises(SettingsError, match="no rule 'other'"):
        b.make_sweep_function().run({"Table": "Offers", "Rule": "other"}, remaining=MINUTE)


# Dispatching -------------------------------------------------------------------------------------------


def calls_app(**options: Any) -> App:
    app = App("shop")

    @app.table("Calls", partition_key="id").rule("AT", via=Sweep("ByTime", shards=2), **options)
    def call(item: dict[str, Any]) -> list[QueueMessage] | None:
        return None if item.get("off") else [QueueMessage("calls", {"to": item["to"]})]

    return app


@pytest.fixture
def c(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(calls_app(retry=Retry(attempts=1)), monkeypatch) as made:
        made.make_queue("calls")
        made.put("Calls", id="1", AT=EARLIER, GSI_PK="1", to="a")
        yield made


def sent(b: Bench) -> list[Any]:
    return [json.loads(message["Body"])["to"] for message in b.messages("calls")]


def test_what_is_due_is_invoked_as_the_item_is_and_leaves_the_index(c: Bench) -> None:
    assert c.sweep("call").swept == 1
    assert sent(c) == ["a"]
    assert c.item("Calls", id="1") == {"id": {"S": "1"}, "AT": {"S": EARLIER}, "to": {"S": "a"}}
    assert c.sweep("call").swept == 0
    c.put("Calls", id="1", AT=LATER, GSI_PK="0", to="b")  # armed again
    c.clock.tick(timedelta(hours=1))
    c.sweep("call")
    assert sent(c) == ["b"]


def test_an_item_changed_since_the_index_was_read_is_not_acted_on(c: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    get = c.items.get

    def move_then_get(table_name: str, key: Any) -> Any:
        c.put("Calls", id="1", AT=LATER, GSI_PK="1", to="a")
        return get(table_name, key)

    monkeypatch.setattr(c.items, "get", move_then_get)
    assert c.sweep("call").swept == 0
    assert sent(c) == []
    item = c.item("Calls", id="1")
    assert item is not None
    assert item["GSI_PK"] == {"S": "1"}


def test_an_item_moved_while_its_target_is_invoked_stays_in_the_index(
    c: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = c.carrier.send

    def move_then_send(*arguments: Any, **options: Any) -> None:
        c.put("Calls", id="1", AT=LATER, GSI_PK="1", to="b")
        send(*arguments, **options)

    with monkeypatch.context() as moving:
        moving.setattr(c.carrier, "send", move_then_send)
        assert c.sweep("call").not_wanted == 1
    c.clock.tick(timedelta(hours=1))
    assert c.sweep("call").swept == 1
    assert sent(c) == ["a", "b"]


def test_a_rule_that_answers_nothing_takes_its_item_out_of_the_index(c: Bench) -> None:
    c.put("Calls", id="1", AT=EARLIER, GSI_PK="1", to="a", off=True)
    assert c.sweep("call").not_wanted == 1
    assert c.sweep("call").not_wanted == 0
    assert sent(c) == []


def test_a_sweep_that_dies_before_it_could_take_the_item_out_is_repeated_with_the_same_delivery_id(
    c: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = []
    make = c.calls.make

    def recording(*arguments: Any, token: str) -> None:
        tokens.append(token)
        make(*arguments, token=token)

    monkeypatch.setattr(c.calls, "make", recording)
    with monkeypatch.context() as dying:
        dying.setattr(c.items, "update", lambda _: (_ for _ in ()).throw(THROTTLED))
        with pytest.raises(SweepError):
            c.sweep("call")
    assert c.sweep("call").swept == 1
    assert sent(c) == ["a", "a"]
    assert len(tokens) == 2
    assert len(set(tokens)) == 1


def test_two_sweeps_at_once_may_both_invoke_and_say_that_it_is_the_same_delivery(
    c: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, send = [], c.carrier.send

    def overtaken_send(request: Any, attempt: Any, **options: Any) -> None:
        tokens.append(attempt.delivery_id)
        if len(tokens) == 1:
            assert c.sweep("call").swept == 1
        send(request, attempt, **options)

    monkeypatch.setattr(c.carrier, "send", overtaken_send)
    assert c.sweep("call").not_wanted == 1  # the other one took it out of the index
    assert len(tokens) == 2
    assert len(set(tokens)) == 1
    assert sent(c) == ["a", "a"]


def test_what_fails_goes_on_in_the_due_function_and_out_of_the_index(c: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry(attempts=1): the sweep's try and one more, then a dead letter; nothing blocks the shard meanwhile."""

    def refuse(*_: Any, **__: Any) -> None:
        raise DeliveryError("503", "busy", retryable=True)

    with monkeypatch.context() as failing:
        failing.setattr(c.carrier, "send", refuse)
        assert c.sweep("call").swept == 1
        (event,) = c.functions.events
        assert c.invoke(event).outcome == "retry"
        assert c.invoke(event, "twice").outcome == "done before"
        assert c.sweep("call").swept == 0
        assert c.invoke(c.next_retry(), "second").outcome == "dead_lettered"
    (letter,) = c.letters()
    assert (letter["ERROR_CODE"], letter["RETRY_ATTEMPTS"]) == ("503", "1")
    assert sent(c) == []


def test_a_rule_that_raises_goes_on_in_the_due_function(c: Bench) -> None:
    c.put("Calls", id="1", AT=EARLIER, GSI_PK="1")  # item["to"] is missing
    assert c.sweep("call").swept == 1
    assert c.invoke(c.functions.events[0]).outcome == "retry"
    c.put("Calls", id="1", AT=EARLIER, to="mended")
    assert c.invoke(c.next_retry(), "second").outcome == "delivered"
    assert sent(c) == ["mended"]


def test_functions_and_http_requests_are_handed_to_the_due_function(monkeypatch: pytest.MonkeyPatch) -> None:
    app, seen = App("shop"), []
    table = app.table("Calls", partition_key="id")

    @table.when_due("AT", via=Sweep("ByTime"))
    def ask(item: dict[str, Any], due: Due) -> None:
        seen.append((item["id"], due.due_at, due.attempt))

    targets: list[Target] = [
        HttpRequest("https://example.com/hook"),
        AwsCall("sqs", "sendMessage", {"MessageBody": "text"}),
    ]
    table.rule("HOOK_AT", targets, name="hook", via=Sweep("ByHook", shard_attribute="HOOK_PK"))
    with bench(app, monkeypatch) as b:
        b.put("Calls", id="1", AT=EARLIER, GSI_PK="0", HOOK_AT=EARLIER, HOOK_PK="0")
        assert b.sweep("ask").swept == 1
        (event,) = b.functions.events
        assert b.invoke(event).outcome == "delivered"
        assert b.invoke(event, "twice").outcome == "done before"
        assert seen == [("1", START - timedelta(hours=1), 1)]
        assert b.sweep("hook").swept == 1
        http, refused = b.functions.events[1:]
        assert (http["Target"], http.get("Failure")) == (0, None)
        assert (refused["Target"], refused["Failure"]["IsPermanent"]) == (1, True)  # it names no queue
        assert b.invoke(refused, "refused").outcome == "dead_lettered"
