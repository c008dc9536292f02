"""A mapping on a queue: receives messages, calls the function with them, deletes those it took.

What it did not take becomes visible again after the queue's visibility timeout, and goes to the queue's dead-letter
queue by its redrive policy, as on AWS.
"""

import asyncio
import base64
import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from duestream.alarm import Alarm
from duestream.clock import Clock
from duestream.core.batch_retry import failed_items
from duestream.core.event_pattern import EventPattern
from duestream.errors import ServiceError
from duestream.local.engine.stream_lane import FAULT_PAUSE_MS, Invoke
from duestream.local.store import mappings, messages, queues
from duestream.local.store.mappings import EventSourceMapping
from duestream.local.store.message_contents import md5_of_text
from duestream.local.store.messages import ReceivedMessage
from duestream.local.store.queues import Queue
from duestream.local.store.store import Store
from duestream.local.store.writer import StoreStoppedError, Transaction

logger = logging.getLogger("duestream.functions")

#: Batches at a time where ScalingConfig says nothing. AWS begins with five.
BATCHES_AT_A_TIME = 5
#: Lambda's limit of one event.
MAX_BATCH_BYTES = 5 * 1024 * 1024


class QueueReader:
    """`run` it, `stop` it; `alarm` tells it that the queue changed."""

    def __init__(self, mapping: EventSourceMapping, store: Store, clock: Clock, invoke: Invoke) -> None:
        self._mapping, self._store, self._clock, self._invoke = mapping, store, clock, invoke
        self._batch_size = mapping.number("BatchSize", 10)
        self._window_ms = mapping.number("MaximumBatchingWindowInSeconds", 0) * 1000
        self._patterns = [EventPattern(pattern) for pattern in mapping.patterns]
        scaling: Mapping[str, int] = mapping.configuration.get("ScalingConfig", {})
        self._at_a_time = scaling.get("MaximumConcurrency", BATCHES_AT_A_TIME)
        self._calls: set[asyncio.Task[None]] = set()
        self._since_ms: int | None = None
        self.alarm = Alarm(clock)
        self.stopping = False

    def stop(self) -> None:
        """End `run` after the batches that are under way."""
        self.stopping = True
        self.alarm.ring()

    async def run(self) -> None:
        """Until stopped: receive what there is, then sleep until there is something again."""
        try:
            while not self.stopping:
                try:
                    look_again_ms = await self.run_once()
                except Exception as error:
                    if self.stopping and isinstance(error, StoreStoppedError):
                        return
                    logger.exception("a mapping met a fault of ours, and goes on", extra=self._facts("run_mapping"))
                    look_again_ms = self._clock.now_ms() + FAULT_PAUSE_MS
                if look_again_ms != 0:
                    await self.alarm.sleep_until(look_again_ms)
        finally:
            if self.stopping and self._calls:
                await asyncio.wait(self._calls)
            for call in self._calls:
                call.cancel()

    async def run_once(self) -> int | None:
        """Receive one batch and begin to call the function with it; says when to look again, as `StreamLane` does."""
        queue = queues.get_queue(self._store.reader, queues.queue_name_of(self._mapping.source_arn))
        if queue is None or len(self._calls) >= self._at_a_time:
            return None
        now_ms = self._clock.now_ms()
        visible_at_ms = messages.next_visible_at_ms(self._store.reader, queue)
        if visible_at_ms is None or visible_at_ms > now_ms:
            return visible_at_ms
        if self._window_ms:
            self._since_ms = now_ms if self._since_ms is None else self._since_ms
            is_over = now_ms >= self._since_ms + self._window_ms
            counts = messages.count_messages(self._store.reader, queue, now_ms=now_ms)
            if counts.visible < self._batch_size and not is_over:
                return self._since_ms + self._window_ms
        self._since_ms = None
        received = await self._store.write(lambda tx: self._receive(tx, queue))
        if not received:
            return messages.next_visible_at_ms(self._store.reader, queue)
        call = asyncio.get_running_loop().create_task(self._call(queue, received))
        self._calls.add(call)
        call.add_done_callback(self._ended)
        return 0

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self.alarm.ring()
        if not call.cancelled() and (error := call.exception()) is not None:
            facts = self._facts("run_mapping")
            logger.error("a mapping met a fault of ours, and goes on", extra=facts, exc_info=error)

    def _facts(self, action: str) -> dict[str, Any]:
        """What every log line of this mapping says."""
        return {"action": action, "function": self._mapping.function_name, "mapping": self._mapping.uuid}

    def _receive(self, tx: Transaction, queue: Queue) -> list[ReceivedMessage]:
        received: list[ReceivedMessage] = []
        size_bytes = 0
        while len(received) < self._batch_size and size_bytes < MAX_BATCH_BYTES:
            more = messages.receive_messages(
                tx,
                queue,
                limit=min(10, self._batch_size - len(received)),
                visibility_timeout_seconds=queue.number("VisibilityTimeout"),
                now_ms=self._clock.now_ms(),
            )
            if not more:
                break
            received += more
            size_bytes += sum(len(one.message.body) for one in more)
            if queue.is_fifo:
                break
        return received

    async def _call(self, queue: Queue, received: list[ReceivedMessage]) -> None:
        events = [self._event(queue, one) for one in received]
        passed = [self._passes(event) for event in events]
        wanted = [event for event, passes in zip(events, passed, strict=True) if passes]
        failed = await self._invoke_with(wanted) if wanted else set()
        done = [
            one.receipt_handle
            for one, event, passes in zip(received, events, passed, strict=True)
            if not passes or event["messageId"] not in failed
        ]
        now_ms = self._clock.now_ms()

        def delete(tx: Transaction) -> None:
            present = queues.get_queue(tx.connection, queue.name)
            if present is None or present.id != queue.id:
                return
            for handle in done:
                try:
                    messages.delete_message(tx, present, handle, now_ms=now_ms)
                except ServiceError:  # of a FIFO queue, whose visibility timeout was too short: it comes again
                    facts = self._facts("message_outlived") | {"queue": queue.name}
                    logger.warning("a message outlived its visibility timeout", extra=facts)
            mappings.set_last_result(tx, self._mapping.id, "PROBLEM: Function call failed" if failed else "OK")

        if done or failed:
            await self._store.write(delete)

    async def _invoke_with(self, events: list[dict[str, Any]]) -> set[str]:
        """The ids of the messages that the function did not take."""
        identifiers = [str(event["messageId"]) for event in events]
        name = self._mapping.function_name
        try:
            result = await self._invoke(name, msgspec.json.encode({"Records": events}))
        except ServiceError as error:
            reason, failed = error.message, None
        else:
            reason = result.reason if result.function_error is not None else "it reported items that failed"
            if result.function_error is not None:
                failed = None
            elif self._mapping.reports_failures:
                failed = failed_items(result.payload, identifiers)
            else:
                failed = set()
        if failed is None or failed:
            count = len(events) if failed is None else len(failed)
            logger.warning("a batch failed", extra=self._facts("batch_failed") | {"count": count, "reason": reason})
        return set(identifiers) if failed is None else {identifiers[index] for index in failed}

    def _passes(self, event: Mapping[str, Any]) -> bool:
        if not self._patterns:
            return True
        body: Any = event["body"]
        try:
            decoded = msgspec.json.decode(body)
            body = decoded if isinstance(decoded, dict) else body
        except (msgspec.DecodeError, UnicodeEncodeError):
            pass
        return any(pattern.matches({**event, "body": body}) for pattern in self._patterns)

    def _event(self, queue: Queue, received: ReceivedMessage) -> dict[str, Any]:
        """A message as functions get it (Lambda Developer Guide, "Using Lambda with Amazon SQS")."""
        message = received.message
        attributes = {
            "ApproximateReceiveCount": str(message.receive_count),
            "SentTimestamp": str(message.sent_at_ms),
            "SenderId": queues.ACCOUNT_ID,
            "ApproximateFirstReceiveTimestamp": str(message.first_received_at_ms),
            **message.system_attributes,
        }
        if queue.is_fifo:
            attributes |= {
                "SequenceNumber": queues.sequence_number(message.row_id),
                "MessageGroupId": str(message.group_id),
                "MessageDeduplicationId": str(message.deduplication_id),
            }
        elif message.group_id is not None:
            attributes["MessageGroupId"] = message.group_id
        return {
            "messageId": message.message_id,
            "receiptHandle": received.receipt_handle,
            "body": message.body,
            "attributes": attributes,
            "messageAttributes": {name: _attribute(one) for name, one in message.attributes.items()},
            "md5OfBody": md5_of_text(message.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": queue.arn,
            "awsRegion": queue.region,
        }


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """A message attribute in the lower case that functions get."""
    shown: dict[str, Any] = {
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": attribute["DataType"],
    }
    if "BinaryValue" in attribute:
        shown["binaryValue"] = base64.b64encode(attribute["BinaryValue"]).decode("ascii")
    else:
        shown["stringValue"] = attribute.get("StringValue")
    return shown
