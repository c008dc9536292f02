"""The stream function: what it answers, in which order it works, and what it counts."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.aws.memory_scheduler import Fault
from tests.unit.aws.stream_bench import FIRST_SEQUENCE, NOW, Bench, Item

from duestream import App, QueueMessage
from duestream.aws.failures import CallError
from duestream.aws.handler import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, MARGIN_SECONDS
from duestream.aws.records import StreamViewError

DENIED = CallError("AccessDeniedException", "not authorized to perform: scheduler:CreateSchedule", 403)
NO_ROOM = CallError("ServiceQuotaExceededException", "", 402)
REFUSED = CallError("ValidationException", "JSON syntax error in input for the target", 400)


def app_of_messages(**options: Any) -> App:
    """One rule, which raises for texts with ``!`` and answers a message for each letter."""
    app = App("clinic")

    @app.table("Appointments", partition_key="PK").rule("AT", **options)
    def message(item: dict[str, Any]) -> list[QueueMessage]:
        if "!" in item.get("text", ""):
            raise RuntimeError("no message today")
        return [QueueMessage("reminders", letter) for letter in item.get("text", "a")]

    return app


def item(key: str = "a", at: str = "2026-11-23T13:00:00Z", **others: str) -> Item:
    return {name: {"S": text} for name, text in {"PK": key, "AT": at, **others}.items()}


def number(record: dict[str, Any]) -> str:
    text: str = record["dynamodb"]["SequenceNumber"]
    return text


def refusing(error: CallError, *texts: str) -> Any:
    """Refuse puts whose message is one of these texts."""
    return lambda operation, request: error if request.get("Target", {}).get("Input") in texts else None


def test_a_batch_that_is_done_has_no_failures() -> None:
    bench = Bench(app_of_messages())
    response = bench.function.handle({"Records": [bench.table.put(item())]}, _Context())
    assert response == {"batchItemFailures": []}
    assert bench.function.handle({"Records": []}, _Context()) == {"batchItemFailures": []}


def test_the_lowest_sequence_number_is_found_as_a_number_and_answered_as_it_was_given() -> None:
    bench = Bench(app_of_messages())
    records = [bench.table.put(item(str(index), text="b" if index in (3, 15) else "a")) for index in range(20)]
    assert number(records[15]) < number(records[3]), "as texts they are the other way round"
    bench.scheduler.refuse = refusing(NO_ROOM, "b")
    assert bench.run(*records) == number(records[3]) == str(FIRST_SEQUENCE + 3)


def test_records_that_were_coalesced_into_one_that_is_not_done_are_not_done_either() -> None:
    bench = Bench(app_of_messages())
    records = [
        bench.table.put(item("other")),
        bench.table.put(item("a")),
        bench.table.put(item("another")),
        bench.table.put(item("a", text="b")),
    ]
    bench.scheduler.refuse = refusing(NO_ROOM, "b")
    assert bench.run(*records) == number(records[1]), "the item's first record, not the one that stands for it"


def test_items_that_nobody_had_time_for_come_again_from_their_first_record_on() -> None:
    bench = Bench(app_of_messages())
    records = [bench.table.put(item(key)) for key in ("a", "b", "c", "a")]
    # Coalesced the order is b, c, a: when b has taken all the time, what remains begins with a's first record.
    bench.scheduler.before_call = lambda operation, name: bench.clock.tick(timedelta(seconds=30))
    assert bench.run(*records, seconds=20) == number(records[0])
    assert bench.scheduler.operations() == ["create"]


def test_no_call_begins_when_the_margin_is_reached_and_none_outlasts_it() -> None:
    bench = Bench(app_of_messages(), faults=[Fault.TIMEOUT] * 50)
    record = bench.table.put(item())
    began_at = bench.stopwatch.seconds()
    assert bench.run(record, seconds=30) == number(record)
    assert bench.stopwatch.seconds() - began_at <= 30 - MARGIN_SECONDS


def test_the_operations_of_one_item_are_carried_out_in_their_order() -> None:
    bench = Bench(app_of_messages(), concurrency=8)
    bench.run(bench.table.put(item(text="abc")))
    bench.run(bench.table.put(item(at="2026-11-23T14:00:00Z", text="ab")))
    ends = [(operation, name.split("-")[2:]) for operation, name in bench.scheduler.calls]
    assert ends == [
        ("create", []), ("create", ["2"]), ("create", ["3"]),
        ("update", []), ("update", ["2"]), ("delete", ["3"]),
    ]  # fmt: skip


def test_items_are_carried_out_in_parallel_as_many_as_are_allowed() -> None:
    bench = Bench(app_of_messages(), concurrency=4)
    together = threading.Barrier(4)
    bench.scheduler.before_call = lambda operation, name: (together.wait(10), None)[1]
    assert bench.run(*(bench.table.put(item(str(index))) for index in range(8))) is None
    assert len(bench.scheduler.schedules) == 8


def test_a_fault_of_ours_fails_the_batch_when_nobody_works_on_it_any_more() -> None:
    bench = Bench(app_of_messages(), concurrency=4)
    records = [bench.table.put(item(str(index))) for index in range(20)]

    def break_once(operation: str, name: str) -> None:
        bench.scheduler.before_call = lambda operation, name: None
        raise RuntimeError("a fault of ours")

    bench.scheduler.before_call = break_once
    with pytest.raises(RuntimeError, match="a fault of ours"):
        bench.run(*records)
    calls = len(bench.scheduler.calls)
    assert bench.run(*records) is None
    assert len(bench.scheduler.calls) == calls + 20 + calls, "a create that meets a conflict is followed by an update"
    assert len(bench.scheduler.schedules) == 20


def test_what_scheduler_refuses_for_good_is_dead_lettered_and_leaves_nothing_of_the_old_image() -> None:
    bench = Bench(app_of_messages())
    bench.run(bench.table.put(item()))
    bench.scheduler.refuse = refusing(REFUSED, "b")
    assert bench.run(bench.table.put(item(text="b")), bench.table.put(item("z"))) is None
    (letter,) = bench.letters.sent
    assert letter["reason"] == f"EventBridge Scheduler refused the schedule: {REFUSED}"
    assert letter["record"]["newImage"] == item(text="b")
    assert [request["Target"]["Input"] for request in bench.scheduler.schedules.values()] == ["a"]


def test_a_rule_that_raises_leaves_the_other_rules_alone() -> None:
    app = app_of_messages()
    app.tables[0].rule("AT", QueueMessage("audit", "seen"), name="audit")
    bench = Bench(app)
    assert bench.run(bench.table.put(item(text="!"))) is None
    assert [letter["rule"] for letter in bench.letters.sent] == ["message"]
    assert [request["Target"]["Input"] for request in bench.scheduler.schedules.values()] == ["seen"]


def test_a_letter_that_cannot_be_sent_leaves_its_record_undone_and_the_others_are_done() -> None:
    bench = Bench(app_of_messages())
    records = [bench.table.put(item("a", text="!")), bench.table.put(item("b"))]
    bench.letters.failures = [CallError("AWS.SimpleQueueService.NonExistentQueue", "", 400)]
    assert bench.run(*records) == number(records[0])
    assert len(bench.scheduler.schedules) == 1
    assert bench.run(*records) is None
    assert len(bench.letters.sent) == 1


def test_a_letter_is_tried_again_like_every_call() -> None:
    bench = Bench(app_of_messages())
    bench.letters.failures = [CallError("ConnectionError", ""), CallError("ServiceUnavailable", "", 503)]
    assert bench.run(bench.table.put(item(text="!"))) is None
    assert len(bench.letters.sent) == 1


def test_where_no_call_can_go_well_the_first_is_the_last() -> None:
    bench = Bench(app_of_messages())
    records = [bench.table.put(item(str(index))) for index in range(50)]
    bench.scheduler.refuse = lambda operation, request: DENIED
    assert bench.run(*records) == number(records[0])
    assert bench.scheduler.operations() == ["create"]
    assert bench.stopwatch.waits == [FIRST_PAUSE_SECONDS], "Lambda's retries are not used up at once"


GONE = CallError("AWS.SimpleQueueService.NonExistentQueue", "", 400)


@pytest.mark.parametrize("failing", ["permission", "room", "letters"])
def test_while_nothing_mends_it_lambdas_retries_last_for_hours(failing: str) -> None:
    bench = Bench(app_of_messages())
    far = "2027-01-01T00:00:00Z"
    record = bench.table.put(item(at=far, text="!" if failing == "letters" else "a"))
    error = NO_ROOM if failing == "room" else DENIED
    bench.scheduler.refuse = lambda operation, request: error if failing != "letters" else None
    bench.letters.failures = [GONE] * 100
    for _ in range(100):
        assert bench.run(record, seconds=120) == number(record)
    assert bench.stopwatch.waits[:2] == [FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2]
    assert bench.stopwatch.waits[-1] == LONGEST_PAUSE_SECONDS
    assert sum(bench.stopwatch.waits) > timedelta(hours=2).total_seconds()
    bench.scheduler.refuse = lambda operation, request: None
    assert bench.run(record) is None
    bench.scheduler.refuse = lambda operation, request: DENIED
    assert bench.run(bench.table.put(item("b", far))) is not None
    assert bench.stopwatch.waits[-1] == FIRST_PAUSE_SECONDS, "it begins anew"


def test_the_pause_ends_in_time() -> None:
    bench = Bench(app_of_messages())
    bench.scheduler.refuse = lambda operation, request: DENIED
    bench.run(bench.table.put(item()), seconds=5)
    assert bench.stopwatch.waits == [4.0]


def test_a_group_that_is_missing_is_not_taken_for_a_schedule_that_is_missing() -> None:
    app = app_of_messages()
    bench = Bench(app)
    bench.scheduler._groups = ()
    record = bench.table.put(item())
    assert bench.run(record) == number(record)


def test_where_there_is_no_room_for_more_schedules_deletes_still_make_some() -> None:
    bench = Bench(app_of_messages())
    bench.run(bench.table.put(item("old")))
    records = [bench.table.put(item("new", text="b")), bench.table.delete(item("old"))]
    bench.scheduler.refuse = refusing(NO_ROOM, "b")
    assert bench.run(*records) == number(records[0])
    assert bench.expressions == {}


def test_a_schedule_that_vanished_before_its_update_is_made_again() -> None:
    bench = Bench(app_of_messages())
    bench.run(bench.table.put(item()))
    bench.scheduler.schedules.clear()
    bench.run(bench.table.put(item(at="2026-11-23T15:00:00Z")))
    assert bench.scheduler.operations() == ["create", "update", "create"]
    assert list(bench.expressions.values()) == ["at(2026-11-23T15:00:00)"]


def test_a_schedule_that_vanishes_between_create_and_update_is_made_again() -> None:
    bench = Bench(app_of_messages())
    record = bench.table.put(item())
    bench.run(record)

    def vanish(operation: str, name: str) -> None:
        if operation == "update":
            bench.scheduler.schedules.clear()
            bench.scheduler.before_call = lambda operation, name: None

    bench.scheduler.before_call = vanish
    assert bench.run(record) is None
    assert bench.scheduler.operations() == ["create", "create", "update", "create"]
    assert len(bench.scheduler.schedules) == 1


def test_a_due_time_that_passes_while_a_call_is_tried_again_is_moved_ahead_each_time() -> None:
    bench = Bench(app_of_messages(), faults=[Fault.TIMEOUT, Fault.TIMEOUT])
    bench.run(bench.table.put(item(at="2026-11-23T12:00:07Z")))
    asked = [request["ScheduleExpression"] for request in bench.scheduler.requests]
    assert asked[0] == "at(2026-11-23T12:00:07)"
    assert asked == sorted(asked)
    assert asked[-1] > "at(2026-11-23T12:00:20)", "two answers of ten seconds did not come"


def test_a_record_that_comes_late_is_delivered_though_its_due_time_has_passed() -> None:
    bench = Bench(app_of_messages(past_due="skip"))
    record = bench.table.put(item(at="2026-11-23T13:00:00Z"))
    bench.clock.tick(timedelta(hours=6))
    bench.run(record)
    assert list(bench.expressions.values()) == ["at(2026-11-23T18:00:05)"]


@pytest.mark.parametrize("past_due", ["deliver", "skip", "dead_letter"])
@pytest.mark.parametrize("at", ["2026-11-23T12:30:00Z", "2026-11-23T11:59:00Z"])
def test_what_was_due_before_the_app_was_there_is_not_delivered_when_its_stream_is_read_from_a_day_ago_on(
    past_due: str, at: str
) -> None:
    bench = Bench(app_of_messages(past_due=past_due))
    from_before = [bench.table.put(item("done", at)), bench.table.put(item("ahead", "2026-11-23T20:00:00Z"))]
    bench.clock.tick(timedelta(hours=1))
    bench.scheduler.groups_made_at = bench.clock.now()
    bench.clock.tick(timedelta(minutes=1))
    new = bench.table.put(item("new", "2026-11-23T13:01:30Z"))
    bench.clock.tick(timedelta(minutes=1))
    assert bench.run(*from_before, new) is None
    assert sorted(bench.expressions.values()) == ["at(2026-11-23T13:02:05)", "at(2026-11-23T20:00:00)"]
    assert bench.letters.sent == []
    assert bench.counted()["Skipped"] == 1
    assert bench.scheduler.operations().count("get group") == 1


def test_an_item_from_before_that_is_written_again_is_of_the_apps_time() -> None:
    bench = Bench(app_of_messages())
    before = bench.table.put(item(at="2026-11-23T12:30:00Z"))
    bench.clock.tick(timedelta(hours=1))
    bench.scheduler.groups_made_at = bench.clock.now()
    bench.clock.tick(timedelta(minutes=1))
    assert bench.run(before, bench.table.put(item(at="2026-11-23T12:59:00Z"))) is None
    assert list(bench.expressions.values()) == ["at(2026-11-23T13:01:05)"]


def test_a_write_of_the_very_second_in_which_the_app_came_is_of_its_time() -> None:
    """Streams tell the time of a write to the second, groups to the millisecond."""
    bench = Bench(app_of_messages())
    record = bench.table.put(item(at="2026-11-23T11:59:00Z"))
    bench.scheduler.groups_made_at = bench.clock.now() + timedelta(milliseconds=300)
    bench.clock.tick(timedelta(seconds=1))
    assert bench.run(record) is None
    assert len(bench.expressions) == 1


def test_as_long_as_nobody_says_since_when_the_app_is_there_what_is_late_waits() -> None:
    bench = Bench(app_of_messages())
    records = [bench.table.put(item(key, "2026-11-23T12:30:00Z")) for key in "ab"]
    bench.clock.tick(timedelta(hours=1))
    bench.scheduler.groups_made_at = bench.clock.now()
    # As of a role that was made a moment ago.
    bench.scheduler.refuse = lambda operation, _: DENIED
    assert bench.run(*records) == number(records[0])
    bench.scheduler.refuse = lambda operation, _: None
    assert bench.run(*records) is None
    assert bench.expressions == {}


def test_rules_via_a_sweep_make_no_calls() -> None:
    from duestream.core.sweep import Sweep

    bench = Bench(app_of_messages(via=Sweep(index="ByTime")))
    assert bench.run(bench.table.put(item()), bench.table.delete(item())) is None
    assert bench.scheduler.calls == []


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59.5Z", "9999-12-31T23:59:59Z"])
def test_the_last_second_of_the_calendar_stops_nothing(at: str) -> None:
    bench = Bench(app_of_messages())
    assert bench.run(bench.table.put(item("end", at)), bench.table.put(item("a"))) is None
    expressions = {request["ScheduleExpression"] for request in bench.scheduler.schedules.values()}
    assert expressions == {"at(9999-12-31T23:59:59)", "at(2026-11-23T13:00:00)"}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.5Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9Z"),
        ("9999-12-31T23:59:59.9Z", "9999-12-31T23:59:59.9Z"),
    ],
)
@pytest.mark.parametrize("expression", ["rate(5 minutes)", "rate(9999999 days)", "cron(0 9 * * ? *)"])
def test_a_recurring_item_at_an_end_of_the_calendar_stops_nothing(start: str, end: str, expression: str) -> None:
    app = App("clinic")
    table = app.table("Appointments", partition_key="PK")
    table.recurring("EVERY", QueueMessage("reminders"), start="FROM", end="UNTIL")
    table.rule("AT", QueueMessage("reminders"), name="other")
    bench = Bench(app)
    strange = {"PK": {"S": "p"}, "EVERY": {"S": expression}, "FROM": {"S": start}, "UNTIL": {"S": end}}
    assert bench.run(bench.table.put(strange), bench.table.put(item("a"))) is None
    assert any(name.startswith("other-") for _, name in bench.scheduler.schedules)


def test_every_batch_may_come_twice() -> None:
    bench = Bench(app_of_messages(past_due="skip"), concurrency=4)
    batches = [
        [bench.table.put(item(key, text="ab")) for key in "abc"],
        [bench.table.put(item("a", text="a")), bench.table.delete(item("b")), bench.table.put(item("b", text="c"))],
        [bench.table.put(item("c", at="2020-01-01T00:00:00Z")), bench.table.delete(item("a"))],
    ]
    for batch in batches:
        assert bench.run(*batch) is None
        once = dict(bench.scheduler.schedules)
        assert bench.run(*batch) is None
        assert bench.scheduler.schedules == once
    assert len(bench.scheduler.schedules) == 1


def test_a_stream_that_does_not_show_both_images_is_refused() -> None:
    bench = Bench(app_of_messages())
    record = bench.table.put(item())
    record["dynamodb"]["StreamViewType"] = "KEYS_ONLY"
    with pytest.raises(StreamViewError, match="NEW_AND_OLD_IMAGES"):
        bench.run(record)


def test_what_happened_is_counted_in_one_line_that_cloudwatch_reads() -> None:
    bench = Bench(app_of_messages(past_due="skip"), faults=[Fault.THROTTLED])
    bench.run(bench.table.put(item("gone")))
    records = [
        bench.table.put(item("a", text="ab")),
        bench.table.put(item("past", at="2026-11-23T11:00:00Z")),
        bench.table.put(item("poison", text="!")),
        bench.table.delete(item("gone")),
    ]
    bench.clock.set(NOW + timedelta(seconds=3))
    bench.run(*records)
    line = bench.counted()
    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert (described["Namespace"], described["Dimensions"]) == ("Duestream", [["App"]])
    counts = {metric["Name"]: line[metric["Name"]] for metric in described["Metrics"]}
    assert line["App"] == "clinic"
    assert counts == {
        "Records": 4, "Items": 4, "Planned": 5, "Put": 2, "Deleted": 1, "PastDue": 1, "Skipped": 1,
        "DeadLettered": 1, "Calls": 4, "Throttled": 0, "Retried": 0, "NotDone": 0, "StreamDelay": 3000,
    }  # fmt: skip
    assert '"Throttled": 1' in bench.out.getvalue().splitlines()[0]


class _Context:
    def get_remaining_time_in_millis(self) -> int:
        return 60_000
