"""Whatever goes wrong, and however batches are cut and repeated: in the end the schedules are those of the table."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.aws.memory_scheduler import Fault
from tests.unit.aws.stream_bench import NOW, PLACE, Bench, Item

from duestream import App, QueueMessage
from duestream.core.planner import PutSchedule, plan
from duestream.core.record import EventName, StreamRecord

KEYS = "abcd"
faults = st.lists(st.none() | st.sampled_from(Fault), max_size=40)
#: (key, hours until due or None for no timestamp, messages), or a key alone: delete that item.
writes = st.tuples(st.sampled_from(KEYS), st.none() | st.integers(100, 104), st.integers(0, 3))
changes = st.lists(writes | st.sampled_from(KEYS), min_size=1, max_size=25)


def app_of_messages() -> App:
    app = App("clinic")

    @app.table("Appointments", partition_key="PK").rule("AT")
    def message(item: dict[str, Any]) -> list[QueueMessage]:
        return [QueueMessage("reminders", f"{number}") for number in range(int(item["count"]))]

    return app


def changed(bench: Bench, change: tuple[str, int | None, int] | str) -> dict[str, Any] | None:
    """The stream record of a change; None: there was nothing to delete."""
    if isinstance(change, str):
        there = [item for item in bench.table.items.values() if item["PK"] == {"S": change}]
        return bench.table.delete(there[0]) if there else None
    key, hours, count = change
    item: Item = {"PK": {"S": key}, "count": {"N": str(count)}}
    if hours is not None:
        item["AT"] = {"S": (NOW + timedelta(hours=hours)).isoformat()}
    return bench.table.put(item)


def wanted(app: App, bench: Bench) -> dict[str, tuple[str, str]]:
    """What the table as it is asks for: expression and input by name."""
    found = {}
    for item in bench.table.items.values():
        record = StreamRecord("Appointments", EventName.INSERT, {"PK": item["PK"]}, None, item, "1")
        for operation in plan(record, app.rules, now=NOW, place=PLACE):
            assert isinstance(operation, PutSchedule)
            schedule = operation.schedule
            found[schedule.name] = (f"at({schedule.due_at:%Y-%m-%dT%H:%M:%S})", schedule.invocation.input)
    return found


@settings(max_examples=150, deadline=None)
@given(
    changes=changes,
    cuts=st.lists(st.integers(1, 8), max_size=25),
    faults=faults,
    concurrency=st.sampled_from((1, 1, 4)),
    seconds=st.sampled_from((5.0, 15.0, 60.0)),
    is_repeated=st.booleans(),
)
def test_the_schedules_are_those_of_the_table_in_the_end(
    changes: list[Any], cuts: list[int], faults: list[Fault | None], concurrency: int, seconds: float, is_repeated: bool
) -> None:
    app = app_of_messages()
    bench = Bench(app, concurrency=concurrency, faults=faults)
    records = [record for change in changes if (record := changed(bench, change)) is not None]
    while records:
        size = cuts.pop() if cuts else len(records)
        batch, records = records[:size], records[size:]
        bench.run_as_mapping(batch, seconds=seconds)
        if is_repeated:
            bench.run_as_mapping(batch, seconds=seconds)
    there = {
        name: (request["ScheduleExpression"], request["Target"]["Input"])
        for (_, name), request in bench.scheduler.schedules.items()
    }
    assert there == wanted(app, bench)
    assert all(request["ActionAfterCompletion"] == "DELETE" for request in bench.scheduler.schedules.values())
    assert bench.letters.sent == []
