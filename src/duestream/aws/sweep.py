"""The sweep function: looks through an index for what is due, every so often, and deals with it.

Every shard of the index is read by a thread of its own, oldest first and page by page, and what is due goes to a pool
of workers that all shards share. Shards that do not exist are empty, so there may be more here than writers use yet.

A sweep ends before the next one begins, and in time before its function's end; what is left is found again by the
next one, which begins with another shard. Two sweeps at once do no harm: deletes are conditional, and deliveries that
both make have one delivery id.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from botocore.session import get_session

from duestream.aws.app_module import load_app
from duestream.aws.carry_out import Carrier
from duestream.aws.delivery_metrics import MAX_VALUES, Metric, delivery_line
from duestream.aws.due import target_calls
from duestream.aws.failures import CallError
from duestream.aws.http_out import HttpSender
from duestream.aws.item_calls import DynamoDbItems, ItemCalls
from duestream.aws.settings import Settings
from duestream.aws.sweep_entries import EntrySweeper, Fate
from duestream.aws.target_calls import TargetCalls
from duestream.clock import Clock, SystemClock, to_ms
from duestream.core.app import App
from duestream.core.record import Item
from duestream.core.rule import Rule
from duestream.core.schedule import Place
from duestream.core.sweep_range import SweepRange, sweep_ranges
from duestream.errors import Error, SettingsError, TimestampError

#: What is kept back of an invocation's time, for what is under way.
RESERVE = timedelta(seconds=10)
#: How long before the next sweep this one stops beginning anything.
PAUSE = timedelta(seconds=5)
#: Shards that are read at once.
MAX_READERS = 16
#: Entries that a shard's reader may have handed to the workers and not heard of.
MAX_WAITING_PER_SHARD = 200
#: Errors that are told one by one.
MAX_TOLD = 5
_MILLISECOND = timedelta(milliseconds=1)


class SweepError(Error):
    """A part of the index could not be read, or nothing that is due could be dealt with."""


@dataclass(slots=True)
class Swept:
    """What one sweep came to. Counted by several threads.

    Args:
        swept: entries dealt with.
        not_wanted: due entries whose item had changed or gone.
        left: due entries that were seen, and are left to the next sweep.
        failed: of those left, how many because AWS could not be asked.
        unreadable: entries whose timestamp names no moment; they stay until they are mended.
        misplaced: entries that were found late, since their offset puts them in the wrong place of the index.
        unfinished: shards that were not read to their end.
        broken: shards that could not be read.
        lateness_ms: of each entry dealt with.
        oldest_due_ms: how late the oldest due entry was when it was found.
        errors: some of them.
    """

    swept: int = 0
    not_wanted: int = 0
    left: int = 0
    failed: int = 0
    unreadable: int = 0
    misplaced: int = 0
    unfinished: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lateness_ms: list[float] = field(default_factory=list)
    oldest_due_ms: float = 0.0
    errors: list[str] = field(default_factory=list)
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def saw(self, lateness_ms: float) -> None:
        """A due entry was found."""
        with self._counting:
            self.oldest_due_ms = max(self.oldest_due_ms, lateness_ms)

    def count(self, what: str) -> None:
        """One more."""
        with self._counting:
            setattr(self, what, getattr(self, what) + 1)

    def done(self, lateness_ms: float) -> None:
        """An entry was dealt with."""
        with self._counting:
            self.swept += 1
            self.lateness_ms.append(lateness_ms)

    def tell(self, error: str) -> None:
        """An error, if there is room for it."""
        with self._counting:
            if len(self.errors) < MAX_TOLD and error not in self.errors:
                self.errors.append(error)

    def sample(self) -> list[float]:
        """Up to 100 latenesses, evenly taken, the smallest and the greatest among them."""
        ordered = sorted(self.lateness_ms)
        if len(ordered) <= MAX_VALUES:
            return ordered
        return [ordered[number * (len(ordered) - 1) // (MAX_VALUES - 1)] for number in range(MAX_VALUES)]


class Sweeper:
    """Sweeps the index of one rule.

    Args:
        rule: with ``via=Sweep(...)``.
        items: of its table.
        entries: deals with what is due.
        clock: the time.
        workers: entries that are dealt with at once.
        page_size: entries that are read at once; None: a megabyte of them.
    """

    def __init__(
        self,
        rule: Rule,
        *,
        items: ItemCalls,
        entries: EntrySweeper,
        clock: Clock,
        workers: int,
        page_size: int | None = None,
    ) -> None:
        assert rule.via is not None
        self._rule, self._via, self._items, self._entries = rule, rule.via, items, entries
        self._clock, self._workers, self._page_size = clock, workers, page_size

    def run(self, *, remaining: timedelta) -> Swept:
        """One sweep.

        Args:
            remaining: how long the function may still take.
        """
        now = self._clock.now()
        stop_at = now + min(remaining - RESERVE, self._via.every - PAUSE)
        result, ranges = Swept(), tuple(sweep_ranges(self._rule, now))
        shards = self._rotated(now)
        with (
            ThreadPoolExecutor(self._workers, thread_name_prefix="duestream-sweep") as workers,
            ThreadPoolExecutor(min(MAX_READERS, len(shards)), thread_name_prefix="duestream-read") as readers,
        ):
            reading = [readers.submit(self._sweep_shard, shard, ranges, workers, stop_at, result) for shard in shards]
            for shard in reading:
                shard.result()
        return result

    def _rotated(self, now: datetime) -> Sequence[str]:
        """The shards, a different one first each time: where there are more than readers, none always waits."""
        shards = self._via.shard_names
        first = to_ms(now) // (self._via.every // _MILLISECOND) * MAX_READERS % len(shards)
        return (*shards[first:], *shards[:first])

    def _sweep_shard(
        self,
        shard: str,
        ranges: Sequence[SweepRange],
        workers: ThreadPoolExecutor,
        stop_at: datetime,
        result: Swept,
    ) -> None:
        """Read a shard and wait until what was found is dealt with."""
        room = threading.Semaphore(MAX_WAITING_PER_SHARD)
        try:
            for entry, is_misplaced in self._due_entries(shard, ranges, stop_at, result):
                if is_misplaced:
                    result.count("misplaced")
                room.acquire()
                workers.submit(self._sweep_entry, entry, stop_at, result).add_done_callback(lambda _: room.release())
        except CallError as error:
            result.broken.append(shard)
            result.tell(f"shard {shard}: {error}")
        for _ in range(MAX_WAITING_PER_SHARD):
            room.acquire()

    def _due_entries(
        self, shard: str, ranges: Sequence[SweepRange], stop_at: datetime, result: Swept
    ) -> Iterator[tuple[Item, bool]]:
        """What is due of a shard, oldest first, and whether it was found in the wrong place."""
        for part in ranges:
            pages = self._pages(shard, part)
            while True:
                now = self._clock.now()
                if now >= stop_at:
                    result.unfinished.append(shard)
                    return
                page = next(pages, None)
                if page is None:
                    break
                for entry in page:
                    try:
                        due_at = self._rule.due_at(entry)
                    except TimestampError as error:
                        result.count("unreadable")
                        result.tell(f"{self._rule.key_of(entry)}: {error}")
                        continue
                    if due_at is None or due_at > now:
                        continue
                    result.saw((now - due_at) / _MILLISECOND)
                    yield entry, part.is_wide

    def _pages(self, shard: str, part: SweepRange) -> Iterator[list[Item]]:
        table = self._rule.table
        names = {"#shard": self._via.shard_attribute, "#ts": self._rule.attribute, "#pk": table.partition_key}
        if table.sort_key is not None:
            names["#sk"] = table.sort_key
        values = {":shard": {"S": shard}, ":upper": part.upper}
        if part.lower is not None:
            values[":lower"] = part.lower
        request = {
            "TableName": table.name,
            "IndexName": self._via.index,
            "KeyConditionExpression": "#shard = :shard AND "
            + ("#ts <= :upper" if part.lower is None else "#ts BETWEEN :lower AND :upper"),
            "ProjectionExpression": ", ".join(name for name in names if name != "#shard"),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            **({} if self._page_size is None else {"Limit": self._page_size}),
        }
        while True:
            answer = self._items.query(request)
            yield answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _sweep_entry(self, entry: Item, stop_at: datetime, result: Swept) -> None:
        now = self._clock.now()
        if now >= stop_at:
            result.count("left")
            return
        due_at = self._rule.due_at(entry)
        assert due_at is not None, "the index has only items with a timestamp"
        try:
            fate = self._entries.sweep(entry, now)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this entry's; the next sweep finds it again
            result.count("left")
            result.count("failed")
            result.tell(f"{self._rule.key_of(entry)}: {type(error).__name__}: {error}")
            return
        if fate is Fate.SWEPT:
            result.done((self._clock.now() - due_at) / _MILLISECOND)
        elif fate is Fate.NOT_WANTED:
            result.count("not_wanted")


class SweepFunction:
    """One app's sweep function.

    Args:
        app: with the rules.
        place: where targets are that rules name without an ARN.
        items: of the rules' tables.
        calls: makes clients.
        carrier: makes attempts.
        when_due_arn: the due function.
        workers: entries that are dealt with at once.
        clock: the time.
        tell: takes lines for the log.
    """

    def __init__(
        self,
        app: App,
        place: Place,
        *,
        items: ItemCalls,
        calls: TargetCalls,
        carrier: Carrier,
        when_due_arn: str,
        workers: int,
        clock: Clock,
        tell: Callable[[str], object],
    ) -> None:
        self._app, self._place, self._items, self._calls, self._carrier = app, place, items, calls, carrier
        self._when_due_arn, self._workers, self._clock, self._tell = when_due_arn, workers, clock, tell

    def run(self, lambda_event: Mapping[str, Any], *, remaining: timedelta, page_size: int | None = None) -> Swept:
        """Sweep for the rule that the event names.

        Args:
            lambda_event: ``Table`` and ``Rule``.
            remaining: how long the function may still take.
            page_size: see `Sweeper`.

        Raises:
            SettingsError: the app has no such rule.
            SweepError: a part of the index could not be read, or everything failed; told before.
        """
        rule = self._rule(lambda_event)
        entries = EntrySweeper(
            rule,
            self._place,
            items=self._items,
            functions=self._calls.client("lambda"),
            carrier=self._carrier,
            when_due_arn=self._when_due_arn,
        )
        sweeper = Sweeper(
            rule,
            items=self._items,
            entries=entries,
            clock=self._clock,
            workers=self._workers,
            page_size=page_size,
        )
        result = sweeper.run(remaining=remaining)
        self._tell(self._line(rule, result))
        if result.broken or (result.failed and not result.swept):
            raise SweepError("; ".join(result.errors))
        return result

    def _rule(self, lambda_event: Mapping[str, Any]) -> Rule:
        table, name = lambda_event.get("Table"), lambda_event.get("Rule")
        for rule in self._app.rules_of(str(table)):
            if rule.name == name and rule.via is not None:
                return rule
        raise SettingsError(f"the app has no rule {name!r} on table {table!r} that sweeps an index. Deploy again")

    def _line(self, rule: Rule, result: Swept) -> str:
        assert rule.via is not None
        values: dict[Metric, float | Sequence[float]] = {
            Metric.SWEPT: result.swept,
            Metric.LEFT: result.left,
            Metric.NOT_WANTED: result.not_wanted,
            Metric.FAILED_ATTEMPTS: result.failed,
            Metric.UNREADABLE: result.unreadable,
            Metric.OLDEST_DUE: result.oldest_due_ms,
            Metric.LATENESS: result.sample(),
        }
        facts: dict[str, Any] = {"Rule": rule.name, "Table": rule.table.name, "Index": rule.via.index}
        for name in ("misplaced", "unfinished", "broken", "errors"):
            if value := getattr(result, name):
                facts[name] = value
        return delivery_line(self._app.name, values, now_ms=self._clock.now_ms(), facts=facts)


@lru_cache(maxsize=1)
def sweep_function() -> SweepFunction:
    """The function of this process, from its environment.

    Raises:
        SettingsError: the environment is not that of a stack of ours.
    """
    settings = Settings.from_environment(os.environ)
    calls = target_calls(settings)
    return SweepFunction(
        load_app(settings.app),
        settings.place,
        items=DynamoDbItems(
            get_session(), region=settings.place.region, connections=settings.concurrency + MAX_READERS
        ),
        calls=calls,
        carrier=Carrier(calls, HttpSender()),
        when_due_arn=settings.when_due_function_arn,
        workers=settings.concurrency,
        clock=SystemClock(),
        tell=_print,
    )


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - stdout is the function's log


def handle(lambda_event: Mapping[str, Any], context: Any) -> dict[str, int]:
    """The Lambda handler; answers how much was swept and how much is left."""
    remaining = timedelta(milliseconds=context.get_remaining_time_in_millis())
    result = sweep_function().run(lambda_event, remaining=remaining)
    return {"swept": result.swept, "left": result.left}
