from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from duestream import App, DeleteItem, QueueMessage
from duestream.core.batch import coalesce, first_sequence_numbers
from duestream.core.planner import DeadLetterRecord, DeleteSchedule, PutSchedule, SkipDelivery, plan
from duestream.core.record import EventName, Item, StreamRecord
from duestream.core.rule import Rule, Wanted
from duestream.core.schedule import Invocation, Place, schedule_name

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACE = Place()
TABLE = "Offers"

#: What is pending: schedule name to due time and invocation.
State = dict[str, tuple[datetime, Invocation]]


def messages(item: dict[str, Any]) -> list[QueueMessage]:
    if "!" in item["targets"]:
        raise RuntimeError("no target today")
    return [QueueMessage("q", text) for text in item["targets"]]


def make_rules() -> tuple[Rule, ...]:
    table = App("clinic").table(TABLE, partition_key="PK")
    table.rule("AT")(messages)
    table.rule("AT", DeleteItem(), offset=timedelta(hours=1))
    table.rule("AT", DeleteItem(), name="filtered", when=lambda item: "a" in item["targets"])
    table.when_due("UNTIL", name="ask")(lambda item, due: None)
    return table.rules


RULES = make_rules()


def carry_out(state: State, record: StreamRecord, *, now: datetime = NOW) -> None:
    for operation in plan(record, RULES, now=now, place=PLACE):
        match operation:
            case PutSchedule(schedule):
                state[schedule.name] = (schedule.due_at, schedule.invocation)
            case DeleteSchedule(_, name):
                state.pop(name, None)
            case SkipDelivery() | DeadLetterRecord():
                pass


def wanted_state(items: dict[str, Item]) -> State:
    """The oracle: what must be pending for these items, however they came to be as they are."""
    state: State = {}
    for rule in RULES:
        for image in items.values():
            match rule.wanted(image, PLACE):
                case Wanted(due_at, invocations):
                    for number, invocation in enumerate(invocations):
                        name = schedule_name(TABLE, rule.name, {"PK": image["PK"]}, number)
                        state[name] = (due_at, invocation)
                case _:
                    pass
    return state


MOMENTS = st.sampled_from(["2026-11-24", "2026-11-25T10:00Z", "1795600000", "2027-01-01", "soon", None])


@st.composite
def images(draw: st.DrawFn, partition_key: str) -> Item:
    item: Item = {"PK": {"S": partition_key}, "targets": {"S": draw(st.sampled_from(["", "a", "b", "ab", "abc", "!"]))}}
    for attribute in ("AT", "UNTIL"):
        at = draw(MOMENTS)
        if at is not None:
            item[attribute] = {"N": at} if at.isdigit() else {"S": at}
    return item


@st.composite
def histories(draw: st.DrawFn) -> list[StreamRecord]:
    """Records of up to three items, as a table writes them: each record's old image is the item before it."""
    items: dict[str, Item] = {}
    records = []
    for number in range(draw(st.integers(0, 12))):
        partition_key = draw(st.sampled_from("xyz"))
        old = items.get(partition_key)
        if old is not None and draw(st.integers(0, 3)) == 0:
            new = None
            del items[partition_key]
        else:
            new = items[partition_key] = draw(images(partition_key))
        event_name = EventName.INSERT if old is None else EventName.REMOVE if new is None else EventName.MODIFY
        records.append(StreamRecord(TABLE, event_name, {"PK": {"S": partition_key}}, old, new, str(number)))
    return records


def items_after(records: list[StreamRecord]) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for record in records:
        items.pop(record.keys["PK"]["S"], None)
        if record.new_image is not None:
            items[record.keys["PK"]["S"]] = record.new_image
    return items


def pending_after(records: list[StreamRecord], before: State | None = None) -> State:
    state = dict(before or {})
    for record in records:
        carry_out(state, record)
    return state


@given(histories())
def test_exactly_what_the_items_ask_for_is_pending(records: list[StreamRecord]) -> None:
    assert pending_after(records) == wanted_state(items_after(records))


@given(histories(), st.integers(0, 12))
def test_a_batch_joined_and_one_by_one_lead_to_the_same_schedules(records: list[StreamRecord], cut: int) -> None:
    before = pending_after(records[:cut])
    batch = records[cut:]
    joined = coalesce(batch)
    assert pending_after(joined, before) == pending_after(batch, before)
    assert len(joined) == len({record.keys["PK"]["S"] for record in batch})


@given(histories(), st.integers(0, 12))
def test_a_repeated_batch_changes_nothing(records: list[StreamRecord], cut: int) -> None:
    before = pending_after(records[:cut])
    joined = coalesce(records[cut:])
    once = pending_after(joined, before)
    assert pending_after(joined, once) == once


@given(histories(), st.integers(0, 12), st.integers(0, 12))
def test_a_batch_that_was_carried_out_in_part_and_is_repeated_ends_the_same(
    records: list[StreamRecord], cut: int, stopped: int
) -> None:
    before = pending_after(records[:cut])
    joined = coalesce(records[cut:])
    partly = pending_after(joined[:stopped], before)
    assert pending_after(joined, partly) == pending_after(joined, before)


@given(histories())
def test_joining_twice_changes_nothing_more(records: list[StreamRecord]) -> None:
    assert coalesce(coalesce(records)) == coalesce(records)


@given(histories())
def test_the_order_is_that_of_the_items_last_records(records: list[StreamRecord]) -> None:
    numbers = [int(record.sequence_number) for record in coalesce(records)]
    assert numbers == sorted(numbers)


@given(histories(), st.timedeltas(timedelta(-1), timedelta(400)))
def test_planning_never_raises_and_is_a_function_of_its_arguments(
    records: list[StreamRecord], later: timedelta
) -> None:
    for record in records:
        first = plan(record, RULES, now=NOW + later, place=PLACE)
        assert plan(record, RULES, now=NOW + later, place=PLACE) == first
        names = [operation.schedule.name for operation in first if isinstance(operation, PutSchedule | SkipDelivery)]
        assert len(set(names)) == len(names)


@given(histories(), st.timedeltas(timedelta(0), timedelta(400)))
def test_an_unchanged_item_is_never_planned_again(records: list[StreamRecord], later: timedelta) -> None:
    for image in items_after(records).values():
        if "!" in image["targets"]["S"] or {"S": "soon"} in image.values():
            continue  # is dead-lettered each time, by the table
        touched = {**image, "other": {"S": "x"}}
        record = StreamRecord(TABLE, EventName.MODIFY, {"PK": image["PK"]}, image, touched, "99")
        assert plan(record, RULES, now=NOW + later, place=PLACE) == []


@given(histories(), st.timedeltas(timedelta(0), timedelta(400)))
def test_a_removed_item_leaves_nothing_pending_at_any_time(records: list[StreamRecord], later: timedelta) -> None:
    state = pending_after(records)
    for image in items_after(records).values():
        record = StreamRecord(TABLE, EventName.REMOVE, {"PK": image["PK"]}, image, None, "99")
        carry_out(state, record, now=NOW + later)
    assert state == {}


@given(histories(), st.timedeltas(timedelta(0), timedelta(60)))
def test_what_was_ahead_when_written_is_planned_alike_however_late(
    records: list[StreamRecord], late: timedelta
) -> None:
    in_time, too_late = pending_after(records), State()
    for record in records:
        told = StreamRecord(
            record.table_name, record.event_name, record.keys, record.old_image, record.new_image, "1", created_at=NOW
        )
        carry_out(too_late, told, now=NOW + late)
    assert too_late == in_time


def record(event_name: EventName, old: Item | None, new: Item | None, number: int, **others: Any) -> StreamRecord:
    return StreamRecord(TABLE, event_name, {"PK": {"S": "x"}}, old, new, str(number), **others)


A: Item = {"PK": {"S": "x"}, "state": {"S": "a"}}
B: Item = {"PK": {"S": "x"}, "state": {"S": "b"}}
C: Item = {"PK": {"S": "x"}, "state": {"S": "c"}}
INSERT, MODIFY, REMOVE = EventName.INSERT, EventName.MODIFY, EventName.REMOVE


def test_insert_then_modify_is_an_insert() -> None:
    batch = [record(INSERT, None, A, 1, created_at=NOW), record(MODIFY, A, B, 2, created_at=NOW + timedelta(1))]
    assert coalesce(batch) == [record(INSERT, None, B, 2, created_at=NOW)]


def test_there_and_back_is_a_modify_that_changes_nothing() -> None:
    assert coalesce([record(MODIFY, A, B, 1), record(MODIFY, B, A, 2)]) == [record(MODIFY, A, A, 2)]


def test_whatever_ends_in_remove_is_a_remove() -> None:
    assert coalesce([record(MODIFY, A, B, 1), record(REMOVE, B, None, 2)]) == [record(REMOVE, A, None, 2)]
    assert coalesce([record(INSERT, None, A, 1), record(REMOVE, A, None, 2)]) == [record(REMOVE, A, None, 2)]


def test_remove_then_insert_is_an_insert_that_knows_the_old_item() -> None:
    batch = [record(REMOVE, A, None, 1), record(INSERT, None, B, 2), record(MODIFY, B, C, 3)]
    assert coalesce(batch) == [record(INSERT, A, C, 3)]


def test_items_of_different_tables_and_keys_are_different() -> None:
    batch = [
        record(INSERT, None, A, 1),
        StreamRecord("Others", INSERT, {"PK": {"S": "x"}}, None, A, "2"),
        StreamRecord(TABLE, INSERT, {"PK": {"N": "1"}}, None, A, "3"),
        StreamRecord(TABLE, INSERT, {"PK": {"S": "1"}}, None, A, "4"),
    ]
    assert coalesce(batch) == batch


def test_each_record_knows_the_first_that_it_stands_for() -> None:
    def record(key: str, number: str) -> StreamRecord:
        return StreamRecord(TABLE, EventName.MODIFY, {"PK": {"S": key}}, {}, {}, number)

    records = [record("a", "8"), record("b", "9"), record("a", "10"), record("c", "11"), record("a", "12")]
    assert first_sequence_numbers(records) == {"12": "8", "9": "9", "11": "11"}
    assert first_sequence_numbers(records).keys() == {one.sequence_number for one in coalesce(records)}
