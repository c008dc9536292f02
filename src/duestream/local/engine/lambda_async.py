"""Asynchronous invocations: accepted in a transaction, carried out at least once, and told of when given up.

AWS tries a failed one again after one and after two minutes, for six hours at the most, and then sends it to the
function's dead-letter queue or tells its on-failure destination (Lambda Developer Guide, "Asynchronous invocation").
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from duestream.alarm import Alarm
from duestream.clock import Clock, from_ms
from duestream.core.invocation import InvocationResult
from duestream.errors import ServiceError
from duestream.local.engine.destinations import tell
from duestream.local.engine.lambda_functions import LambdaFunctions
from duestream.local.store import functions
from duestream.local.store.functions import AcceptedInvocation, Function
from duestream.local.store.store import Store
from duestream.local.store.writer import Announcement, InvocationAccepted, StoreStoppedError, Transaction

logger = logging.getLogger("duestream.functions")

MAX_AT_A_TIME = 100
MAX_RETRIES = 2
MAX_AGE_SECONDS = 21_600
RETRY_AFTER_MS = 60_000
FAULT_PAUSE_MS = 1_000
#: Of a dead letter's ERROR_MESSAGE ("the first 1 KB").
MAX_MESSAGE_CHARACTERS = 1_000


class AsyncInvocations:
    """Carries out what was accepted. `start` and `stop` it."""

    def __init__(self, store: Store, clock: Clock, runner: LambdaFunctions) -> None:
        self._store, self._clock, self._runner = store, clock, runner
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self.alarm = Alarm(clock)
        self.stopping = False
        store.listen(self._on_commit)

    def start(self) -> None:
        """Begin, also with what the last stop left."""
        self._loop = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, grace_seconds: float) -> None:
        """Let what is under way end; what has not by then is cut off, and carried out again at the next start."""
        self.stopping = True
        self.alarm.ring()
        if self._loop is not None:
            await asyncio.wait([self._loop])
        tasks = list(self._under_way.values())
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=grace_seconds)
            for task in pending:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while not self.stopping:
            try:
                look_again_ms = self._begin_due()
            except Exception:
                logger.exception("invocations met a fault of ours, and go on", extra={"action": "invoke"})
                look_again_ms = self._clock.now_ms() + FAULT_PAUSE_MS
            await self.alarm.sleep_until(look_again_ms)

    def _begin_due(self) -> int | None:
        """Begin what is due, as far as there is room; says when to look again."""
        now_ms = self._clock.now_ms()
        room = MAX_AT_A_TIME - len(self._under_way)
        if room <= 0:
            return None
        due = functions.due_invocations(
            self._store.reader, until_ms=now_ms, limit=room, skip=frozenset(self._under_way)
        )
        for invocation in due:
            task = asyncio.get_running_loop().create_task(self._carry_out(invocation))
            self._under_way[invocation.id] = task
            task.add_done_callback(lambda _, done=invocation.id: self._ended(done))  # type: ignore[misc]
        return functions.next_invocation_at_ms(self._store.reader, now_ms)

    def _ended(self, invocation_id: int) -> None:
        del self._under_way[invocation_id]
        self.alarm.ring()

    async def _carry_out(self, invocation: AcceptedInvocation) -> None:
        try:
            await self._try(invocation)
        except Exception as error:
            if self.stopping and isinstance(error, StoreStoppedError):
                return
            facts = {"action": "invoke", "request_id": invocation.request_id}
            logger.exception("an invocation met a fault of ours", extra=facts)
            # Not at once again; it is still in the store.
            await Alarm(self._clock).sleep_until(self._clock.now_ms() + FAULT_PAUSE_MS)

    async def _try(self, invocation: AcceptedInvocation) -> None:
        function = functions.get_function_by_id(self._store.reader, invocation.function_id)
        if function is None:
            await self._store.write(lambda tx: functions.end_invocation(tx, invocation))
            return
        config: Mapping[str, Any] = function.invoke_config or {}
        maximum_age_ms = config.get("MaximumEventAgeInSeconds", MAX_AGE_SECONDS) * 1000
        result: InvocationResult | None = None
        if invocation.attempts == 0 or self._clock.now_ms() < invocation.accepted_at_ms + maximum_age_ms:
            try:
                result = await self._runner.invoke(
                    function.name,
                    invocation.payload,
                    request_id=invocation.request_id,
                    client_context=invocation.client_context,
                )
            except ServiceError:
                return  # deleted meanwhile, and the invocation with it
        now_ms = self._clock.now_ms()
        is_good = result is not None and result.function_error is None
        attempts = invocation.attempts + (result is not None)
        retry_at_ms = now_ms + RETRY_AFTER_MS * attempts
        is_over = result is None or attempts > config.get("MaximumRetryAttempts", MAX_RETRIES)
        if not is_good and not is_over and retry_at_ms < invocation.accepted_at_ms + maximum_age_ms:
            assert result is not None
            self._say(function, invocation, result.reason, retry_at_ms)
            await self._store.write(lambda tx: functions.retry_invocation(tx, invocation, at_ms=retry_at_ms))
            return
        condition = "Success" if is_good else "RetriesExhausted" if is_over and result else "EventAgeExceeded"
        if not is_good:
            self._say(function, invocation, condition if result is None else result.reason, None)

        def end(tx: Transaction) -> None:
            if functions.end_invocation(tx, invocation):
                _tell(tx, function, invocation, result, condition, attempts, now_ms)

        await self._store.write(end)

    def _say(self, function: Function, invocation: AcceptedInvocation, reason: str, retry_at_ms: int | None) -> None:
        facts = {
            "action": "invocation_failed",
            "function": function.name,
            "request_id": invocation.request_id,
            "retry_at_ms": retry_at_ms,
            "reason": reason,
        }
        logger.warning("an asynchronous invocation failed", extra=facts)

    def _on_commit(self, announcements: Sequence[Announcement]) -> None:
        if any(isinstance(announcement, InvocationAccepted) for announcement in announcements):
            self.alarm.ring()


def _tell(
    tx: Transaction,
    function: Function,
    invocation: AcceptedInvocation,
    result: InvocationResult | None,
    condition: str,
    attempts: int,
    now_ms: int,
) -> None:
    """Tell the destination of how it ended, and the dead-letter queue of what was given up."""
    is_good = condition == "Success"
    destinations: Mapping[str, Any] = (function.invoke_config or {}).get("DestinationConfig", {})
    arn = destinations.get("OnSuccess" if is_good else "OnFailure", {}).get("Destination")
    if arn:
        record = _record(function, invocation, result, condition, attempts, now_ms)
        kind = f"Lambda Function Invocation Result - {'Success' if is_good else 'Failure'}"
        tell(tx, arn, record, detail_type=kind, source_arn=f"{function.arn}:$LATEST", now_ms=now_ms)
    dead_letter_arn = function.configuration.get("DeadLetterConfig", {}).get("TargetArn")
    if dead_letter_arn and not is_good:
        reason = condition if result is None else result.reason
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": invocation.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": _sendable(reason)},
        }
        payload = invocation.payload.decode("utf-8", "replace")
        tell(
            tx, dead_letter_arn, payload, detail_type="", source_arn=function.arn, attributes=attributes, now_ms=now_ms
        )


def _record(
    function: Function,
    invocation: AcceptedInvocation,
    result: InvocationResult | None,
    condition: str,
    attempts: int,
    now_ms: int,
) -> str:
    """What a destination gets (Lambda Developer Guide, "Capturing records of asynchronous invocations")."""
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": f"{from_ms(now_ms):%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z",
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": f"{function.arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": _decoded(invocation.payload),
    }
    if result is not None:
        record["responseContext"] = {"statusCode": 200, "executedVersion": "$LATEST"}
        if result.function_error is not None:
            record["responseContext"]["functionError"] = result.function_error
        record["responsePayload"] = _decoded(result.payload)
    return json.dumps(record, separators=(",", ":"))


def _decoded(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")


def _sendable(text: str) -> str:
    """As SQS takes it: no control characters, and not empty."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_MESSAGE_CHARACTERS]) or "unknown"
