"""One lane of a mapping on a stream: reads on from its position, calls the function, notes how far it has come.

A mapping has as many lanes as its ParallelizationFactor; an item's records always take the same one, so their order
is kept. A lane's position, and the batches that failed with their attempts, are in the store: a restart goes on where
it stood, at the earliest with the batch that was under way.
"""

import asyncio
import logging
import uuid
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from duestream.alarm import Alarm
from duestream.clock import Clock, from_ms
from duestream.core.batch_retry import FIRST_BACKOFF_MS, MAX_BACKOFF_MS, Batch, Next, after_batch, first_failed_of
from duestream.core.event_pattern import EventPattern
from duestream.core.invocation import MAX_PAYLOAD_BYTES, InvocationResult
from duestream.core.tumbling import Window, window_start
from duestream.errors import ServiceError
from duestream.local.engine.destinations import tell
from duestream.local.engine.stream_events import event_of, on_failure_body
from duestream.local.store import mappings, streams
from duestream.local.store.mappings import EventSourceMapping, FailedBatch, Position
from duestream.local.store.store import Store
from duestream.local.store.stream_names import shard_id
from duestream.local.store.streams import RecordRow, Stream
from duestream.local.store.writer import StoreStoppedError, Transaction

logger = logging.getLogger("duestream.functions")

Invoke = Callable[[str, bytes], Awaitable[InvocationResult]]

#: At a time, so that the loop is never held up for long.
READ_RECORDS = 200
READ_BYTES = 1024 * 1024
#: Filtered-out records are noted as read at the latest after so many.
NOTE_AFTER = 1000
FAULT_PAUSE_MS = 1_000


@dataclass(slots=True)
class _Gathered:
    """What has been read for the next batch."""

    #: Everything up to this record has been looked at.
    sequence: int
    records: list[RecordRow] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    size_bytes: int = 0
    since_ms: int = 0
    is_full: bool = False

    def add(self, row: RecordRow, event: dict[str, Any], *, batch_size: int, now_ms: int) -> bool:
        """Take a record, unless it would be too much for one call."""
        size = len(msgspec.json.encode(event)) + 1
        if self.records and self.size_bytes + size > MAX_PAYLOAD_BYTES - 64:
            self.is_full = True
            return False
        if not self.records:
            self.since_ms = now_ms
        self.records.append(row)
        self.events.append(event)
        self.size_bytes += size
        self.is_full = len(self.records) >= batch_size
        return True


class StreamLane:
    """`run` it, `stop` it; `alarm` tells it that there are new records."""

    def __init__(self, mapping: EventSourceMapping, lane: int, store: Store, clock: Clock, invoke: Invoke) -> None:
        self._mapping, self._lane = mapping, lane
        self._store, self._clock, self._invoke = store, clock, invoke
        self._lanes = mapping.number("ParallelizationFactor", 1)
        self._batch_size = mapping.number("BatchSize", 100)
        self._window_ms = mapping.number("MaximumBatchingWindowInSeconds", 0) * 1000
        self._maximum_retries = mapping.number("MaximumRetryAttempts", -1)
        self._maximum_age_ms = mapping.number("MaximumRecordAgeInSeconds", -1) * 1000
        self._tumbling_ms = mapping.number("TumblingWindowInSeconds", 0) * 1000
        #: Failed last calls of the open window; not kept over a restart.
        self._closing_attempts = 0
        self._close_at_ms = 0
        self._patterns = [EventPattern(pattern) for pattern in mapping.patterns]
        self._position: Position | None = None
        self._gathered: _Gathered | None = None
        self.alarm = Alarm(clock)
        self.stopping = False

    def stop(self) -> None:
        """End `run` after the batch that is under way."""
        self.stopping = True
        self.alarm.ring()

    async def run(self) -> None:
        """Until stopped: whatever there is to do, then sleep until there is something again."""
        while not self.stopping:
            try:
                look_again_ms = await self.run_once()
            except Exception as error:
                if self.stopping and isinstance(error, StoreStoppedError):
                    return
                logger.exception("a mapping met a fault of ours, and goes on", extra=self._facts("run_mapping"))
                self._position = self._gathered = None  # what is stored counts
                look_again_ms = self._clock.now_ms() + FAULT_PAUSE_MS
            if look_again_ms != 0:
                await self.alarm.sleep_until(look_again_ms)
        await self._note_read()

    async def run_once(self) -> int | None:
        """One batch at the most; says when to look again (None: when rung, 0: at once)."""
        reader = self._store.reader
        if self._position is None:
            self._position = mappings.get_position(reader, self._mapping.id, self._lane)
        table_name, _, label = self._mapping.source_arn.partition(":table/")[2].partition("/stream/")
        stream = streams.find_stream(reader, table_name, label)
        if self._position is None or stream is None:
            return None
        if self._position.batches:
            if self._clock.now_ms() < self._position.attempt_at_ms:
                return self._position.attempt_at_ms
            failed = self._position.batches[0]
            records, events = self._records_between(stream, self._position.sequence, failed.last_sequence)
            await self._try(stream, Batch(failed.last_sequence, failed.attempts), records, events)
            return 0
        gathered = await self._gather(stream)
        window = self._position.window
        if window is not None:
            ends_at_ms = window.start_ms + self._tumbling_ms
            is_next = bool(gathered.records) and self._window_of(gathered.records[0]) != window.start_ms
            if is_next or window.is_early or (not gathered.records and self._clock.now_ms() >= ends_at_ms):
                return await self._close_window(stream, window)
            if not gathered.records:
                return ends_at_ms
        if not gathered.records:
            return None
        if not gathered.is_full and self._clock.now_ms() < gathered.since_ms + self._window_ms:
            return gathered.since_ms + self._window_ms
        self._gathered = None
        await self._try(stream, Batch(gathered.sequence, 0), gathered.records, gathered.events)
        return 0

    # Reading -------------------------------------------------------------------------------------------

    async def _gather(self, stream: Stream) -> _Gathered:
        """Read on, until there is enough for a batch or nothing more."""
        assert self._position is not None
        gathered = self._gathered
        if gathered is None:
            gathered = self._gathered = _Gathered(self._position.sequence)
        while not gathered.is_full:
            rows, _ = streams.records_of(
                self._store.reader, stream, gathered.sequence, limit=READ_RECORDS, max_bytes=READ_BYTES
            )
            if not rows:
                break
            for row in rows:
                event = self._event(stream, row)
                if event is not None and gathered.records and self._tumbling_ms:
                    gathered.is_full = self._window_of(row) != self._window_of(gathered.records[0])
                if gathered.is_full:  # a batch lies in one window
                    break
                if event is not None and not gathered.add(
                    row, event, batch_size=self._batch_size, now_ms=self._clock.now_ms()
                ):
                    break
                gathered.sequence = row.sequence
                if gathered.is_full:
                    break
            if not gathered.records and gathered.sequence >= self._position.sequence + NOTE_AFTER:
                await self._note_read()
            await asyncio.sleep(0)  # a long stream is read in turns with everything else
        return gathered

    def _records_between(self, stream: Stream, after: int, last: int) -> tuple[list[RecordRow], list[dict[str, Any]]]:
        """A batch's records once more. Those that were trimmed meanwhile are gone."""
        records: list[RecordRow] = []
        events: list[dict[str, Any]] = []
        while after < last:
            rows, _ = streams.records_of(self._store.reader, stream, after, limit=READ_RECORDS, max_bytes=READ_BYTES)
            if not rows:
                break
            for row in rows:
                if row.sequence > last:
                    return records, events
                if (event := self._event(stream, row)) is not None:
                    records.append(row)
                    events.append(event)
            after = rows[-1].sequence
        return records, events

    def _event(self, stream: Stream, row: RecordRow) -> dict[str, Any] | None:
        """The record as the function gets it; None if it is another lane's, or does not pass the filter."""
        if self._lanes > 1 and zlib.crc32(row.partition_key) % self._lanes != self._lane:
            return None
        event = event_of(stream, row)
        if self._patterns and not any(pattern.matches(event) for pattern in self._patterns):
            return None
        return event

    def _window_of(self, row: RecordRow) -> int:
        return window_start(row.created_at_ms, self._tumbling_ms)

    async def _note_read(self) -> None:
        """Note that what was looked at and did not pass is done."""
        gathered, position = self._gathered, self._position
        if gathered is None or position is None or gathered.records or gathered.sequence == position.sequence:
            return
        read = replace(position, sequence=gathered.sequence)
        try:
            await self._store.write(lambda tx: self._put(tx, read))
        except StoreStoppedError:
            return
        self._position = read

    def _put(self, tx: Transaction, position: Position) -> bool:
        """Note the position, unless the mapping was deleted or has other lanes now, for which it says nothing."""
        present = mappings.get_mapping(tx.connection, self._mapping.uuid)
        if present is None or present.number("ParallelizationFactor", 1) != self._lanes:
            return False
        mappings.set_position(tx, self._mapping.id, self._lane, position)
        return True

    # Calling -------------------------------------------------------------------------------------------

    async def _try(self, stream: Stream, batch: Batch, records: list[RecordRow], events: list[dict[str, Any]]) -> None:
        """Call the function with the batch, and settle what follows."""
        assert self._position is not None
        further = tuple(Batch(one.last_sequence, one.attempts) for one in self._position.batches[1:])
        expired = self._count_expired(records)
        if expired == len(records):
            following = Next(batch.last_sequence, further)
        elif expired:
            following = Next(records[expired - 1].sequence, (batch, *further))
        else:
            await self._call(stream, batch, further, records, events)
            return
        told = None
        if expired:
            told = self._told(stream, records[:expired], "RecordAgeExceeded", str(uuid.uuid4()), batch.attempts, None)
        await self._settle(following, told, "OK", self._position.window)

    def _count_expired(self, records: list[RecordRow]) -> int:
        """How many records at the beginning are older than they may be."""
        if self._maximum_age_ms < 0:
            return 0
        oldest_ms = self._clock.now_ms() - self._maximum_age_ms
        fresh = (index for index, record in enumerate(records) if record.created_at_ms >= oldest_ms)
        return next(fresh, len(records))

    async def _call(
        self,
        stream: Stream,
        batch: Batch,
        further: tuple[Batch, ...],
        records: list[RecordRow],
        events: list[dict[str, Any]],
    ) -> None:
        assert self._position is not None
        window = self._position.window
        if self._tumbling_ms and (window is None or window.start_ms != self._window_of(records[0])):
            window = Window(self._window_of(records[0]))
        payload = {"Records": events, **self._window_fields(stream, window, is_final=False)}
        request_id, response, first_failed, answer = await self._invoke_with(records, payload)
        if window is not None and first_failed != 0:
            window = window.after(answer)
        following = after_batch(
            [record.sequence for record in records],
            position=self._position.sequence,
            batch=batch,
            further=further,
            first_failed=first_failed,
            bisects=bool(self._mapping.configuration.get("BisectBatchOnFunctionError")),
            maximum_retries=self._maximum_retries,
        )
        told = None
        if following.given_up:
            lost = records[-following.given_up :]
            told = self._told(stream, lost, "RetryAttemptsExhausted", request_id, batch.attempts + 1, response)
        await self._settle(following, told, "OK" if first_failed is None else "PROBLEM: Function call failed", window)

    async def _close_window(self, stream: Stream, window: Window) -> int:
        """The last call of a window, without records; 0, or when to try it again."""
        assert self._position is not None
        now_ms = self._clock.now_ms()
        if now_ms < self._close_at_ms:
            return self._close_at_ms
        payload = {"Records": [], **self._window_fields(stream, window, is_final=True)}
        _, _, first_failed, _ = await self._invoke_with([], payload)
        self._closing_attempts = 0 if first_failed is None else self._closing_attempts + 1
        if first_failed is not None and not 0 <= self._maximum_retries < self._closing_attempts:
            self._close_at_ms = now_ms + min(FIRST_BACKOFF_MS << min(self._closing_attempts, 20), MAX_BACKOFF_MS)
            return self._close_at_ms
        self._closing_attempts = self._close_at_ms = 0
        following = Next(self._position.sequence, ())
        await self._settle(following, None, "OK" if first_failed is None else "PROBLEM: Function call failed", None)
        return 0

    def _window_fields(self, stream: Stream, window: Window | None, *, is_final: bool) -> dict[str, Any]:
        """What an event says of its window; nothing where there is none."""
        if window is None:
            return {}
        start, end = from_ms(window.start_ms), from_ms(window.start_ms + self._tumbling_ms)
        return {
            "window": {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"},
            "state": window.state,
            "shardId": shard_id(stream),
            "eventSourceARN": stream.arn,
            "isFinalInvokeForWindow": is_final,
            "isWindowTerminatedEarly": is_final and window.is_early,
        }

    async def _invoke_with(
        self, records: list[RecordRow], payload: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any], int | None, bytes]:
        """Request id, what is said of the answer, the index of the first record that failed, and the answer."""
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None}
        try:
            result = await self._invoke(self._mapping.function_name, msgspec.json.encode(payload))
        except ServiceError as error:  # the function is gone
            return str(uuid.uuid4()), response | {"statusCode": error.status, "functionError": error.code}, 0, b""
        if result.function_error is not None:
            self._warn(result.reason, len(records))
            return result.request_id, response | {"functionError": result.function_error}, 0, b""
        if not self._mapping.reports_failures:
            return result.request_id, response, None, result.payload
        numbers = [streams.sequence_number(record.sequence) for record in records]
        first_failed = first_failed_of(result.payload, numbers)
        if first_failed is not None:
            self._warn("it reported items that failed", len(records) - first_failed)
        return result.request_id, response, first_failed, result.payload

    def _warn(self, reason: str, count: int) -> None:
        logger.warning("a batch failed", extra=self._facts("batch_failed") | {"count": count, "reason": reason})

    def _facts(self, action: str) -> dict[str, Any]:
        """What every log line of this mapping says."""
        return {"action": action, "function": self._mapping.function_name, "mapping": self._mapping.uuid}

    def _told(
        self,
        stream: Stream,
        records: list[RecordRow],
        condition: str,
        request_id: str,
        attempts: int,
        response: dict[str, Any] | None,
    ) -> str:
        facts = self._facts("batch_given_up") | {"count": len(records), "reason": condition}
        logger.error("a batch was given up", extra=facts)
        return on_failure_body(
            self._mapping,
            stream,
            records,
            condition=condition,
            request_id=request_id,
            attempts=attempts,
            response=response,
            now_ms=self._clock.now_ms(),
        )

    async def _settle(self, following: Next, told: str | None, result: str, window: Window | None) -> None:
        """Note how far it has come, and what is told of lost records, in one transaction."""
        now_ms = self._clock.now_ms()
        failed = tuple(FailedBatch(batch.last_sequence, batch.attempts) for batch in following.batches)
        position = Position(following.sequence, failed, now_ms + following.backoff_ms if failed else 0, window)

        def settle(tx: Transaction) -> bool:
            if not self._put(tx, position):
                return False
            mappings.set_last_result(tx, self._mapping.id, result)
            arn = self._mapping.on_failure_arn
            if told is not None and arn is not None:
                tell(tx, arn, told, detail_type="", source_arn=self._mapping.function_arn, now_ms=now_ms)
            return True

        if await self._store.write(settle):
            self._position = position
        else:
            self._position, self.stopping = None, True
