"""The stream function on a bench: a table's changes as Lambda hands them over, a clock that is moved, and what came of it."""

import io
import json
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.aws.memory_scheduler import Fault, MemoryScheduler

from duestream import App
from duestream.aws.failures import CallError
from duestream.aws.handler import StreamFunction
from duestream.aws.settings import Settings
from duestream.clock import ManualClock
from duestream.core.dead_letter import record_letter
from duestream.core.planner import DeadLetterRecord
from duestream.core.schedule import Place

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACE = Place("eu-west-1", "123456789012")
ROLE = "arn:aws:iam::123456789012:role/clinic-schedules"
WHEN_DUE = "arn:aws:lambda:eu-west-1:123456789012:function:clinic-when-due"
STREAM_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/{}/stream/2026-11-23T00:00:00.000"
#: Sequence numbers of AWS's have up to 40 digits; this many leave room for one that is longer as text.
FIRST_SEQUENCE = 999_999_999_999_999_999_990

Item = dict[str, dict[str, Any]]


def settings_of(concurrency: int = 1) -> Settings:
    return Settings(
        app="appointments:app",
        place=PLACE,
        execution_role_arn=ROLE,
        stream_dead_letter_queue_url="https://sqs.eu-west-1.amazonaws.com/123456789012/clinic-stream-dead-letters",
        deliveries_table="clinic-deliveries",
        when_due_function_arn=WHEN_DUE,
        concurrency=concurrency,
    )


class ManualStopwatch:
    """Waiting moves it, and the clock beside it, at once."""

    def __init__(self, clock: ManualClock) -> None:
        self.waits: list[float] = []
        self._clock, self._lock = clock, threading.Lock()

    def seconds(self) -> float:
        return self._clock.now_ms() / 1000

    def wait(self, seconds: float) -> None:
        with self._lock:
            self.waits.append(seconds)
            self._clock.tick(timedelta(seconds=seconds))


class RecordingLetters:
    """Keeps letters; `failures` are raised first."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.failures: list[CallError] = []

    def send(self, letter: DeadLetterRecord, *, seconds: float | None = None) -> None:
        assert seconds is not None, "nobody says how much time there is"
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(record_letter(letter))


class Context:
    """Lambda's, with so much time left."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


class Table:
    """Items, and the stream records of their changes."""

    def __init__(self, clock: ManualClock, name: str = "Appointments", key: Sequence[str] = ("PK",)) -> None:
        self.items: dict[str, Item] = {}
        self.records: list[dict[str, Any]] = []
        self._clock, self._name, self._key = clock, name, key

    def put(self, item: Item) -> dict[str, Any]:
        """Write an item; answers its stream record."""
        identity = self._identity(item)
        old, self.items[identity] = self.items.get(identity), item
        return self._record("INSERT" if old is None else "MODIFY", old, item)

    def delete(self, item: Item) -> dict[str, Any]:
        """Delete an item that is there."""
        return self._record("REMOVE", self.items.pop(self._identity(item)), None)

    def _identity(self, item: Item) -> str:
        return json.dumps([item[name] for name in self._key])

    def _record(self, event_name: str, old: Item | None, new: Item | None) -> dict[str, Any]:
        item = new if new is not None else old
        assert item is not None
        change: dict[str, Any] = {
            "ApproximateCreationDateTime": float(self._clock.now_ms() // 1000),
            "Keys": {name: item[name] for name in self._key},
            "SequenceNumber": str(FIRST_SEQUENCE + len(self.records)),
            "SizeBytes": 58,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        if old is not None:
            change["OldImage"] = old
        if new is not None:
            change["NewImage"] = new
        record = {
            "eventID": f"{len(self.records):032x}",
            "eventName": event_name,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "eu-west-1",
            "dynamodb": change,
            "eventSourceARN": STREAM_ARN.format(self._name),
        }
        self.records.append(record)
        return record


class Bench:
    """One function, and all that it meets."""

    def __init__(
        self,
        app: App,
        *,
        concurrency: int = 1,
        faults: Iterable[Fault | None] = (),
        key: Sequence[str] = ("PK",),
    ) -> None:
        self.clock = ManualClock(NOW)
        self.stopwatch = ManualStopwatch(self.clock)
        self.scheduler = MemoryScheduler(
            self.clock.now, groups=(app.name,), faults=faults, when_waited=self.stopwatch.wait
        )
        self.letters = RecordingLetters()
        self.out = io.StringIO()
        self.table = Table(self.clock, app.tables[0].name, key)
        self.function = StreamFunction(
            app,
            settings_of(concurrency),
            self.scheduler,
            self.letters,
            clock=self.clock,
            stopwatch=self.stopwatch,
            out=self.out,
        )

    def run(self, *records: dict[str, Any], seconds: float = 60.0) -> str | None:
        """One batch; answers the sequence number from which on it is to come again."""
        response = self.function.handle({"Records": list(records)}, Context(seconds))
        failures = response["batchItemFailures"]
        return failures[0]["itemIdentifier"] if failures else None

    def run_as_mapping(self, records: Sequence[dict[str, Any]], *, seconds: float = 60.0, most: int = 200) -> int:
        """As Lambda's event source mapping does: from the reported record on again, until all are done."""
        remaining, runs = list(records), 0
        while remaining:
            runs += 1
            assert runs <= most, "the batch is never done"
            failed = self.run(*remaining, seconds=seconds)
            numbers = [record["dynamodb"]["SequenceNumber"] for record in remaining]
            remaining = [] if failed is None else remaining[numbers.index(failed) :]
        return runs

    @property
    def expressions(self) -> dict[str, str]:
        """Of the schedules that there are, by their names."""
        return {name: request["ScheduleExpression"] for (_, name), request in self.scheduler.schedules.items()}

    def counted(self) -> dict[str, Any]:
        """What the last batch counted."""
        line: dict[str, Any] = json.loads(self.out.getvalue().splitlines()[-1])
        return line
