"""StartMessageMoveTask, ListMessageMoveTasks, CancelMessageMoveTask, and the loop that moves.

Answers, codes and texts: LocalStack's recordings of AWS (tests/aws/services/sqs/test_sqs_move_task.snapshot.json,
2024-01-03 to 2024-03-07). The texts about ranges, equal ARNs and kinds of queues are as public mocks quote them. That
a task which is over cannot be cancelled is documented; the text for it is ours.
"""

import asyncio
import base64
import binascii
import logging
import re
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import apsw
import msgspec

from duestream.alarm import Alarm
from duestream.clock import Clock
from duestream.errors import ResourceNotFoundException as _ResourceNotFound
from duestream.local.services.context import RequestContext
from duestream.local.services.sqs.queues import Answer, Parameters
from duestream.local.store import move_tasks, queues
from duestream.local.store.move_tasks import MoveTask
from duestream.local.store.queue_errors import InvalidParameterValueException
from duestream.local.store.queues import Queue
from duestream.local.store.store import Store
from duestream.local.store.writer import StoreStoppedError, Transaction

logger = logging.getLogger(__name__)

MAX_RATE = 500
MAX_RESULTS = 10
FAULT_PAUSE_MS = 1_000
_ARN = re.compile(r"arn:[^:]+:sqs:[^:]+:\d{12}:[A-Za-z0-9_.-]{1,80}\Z")


class ResourceNotFoundException(_ResourceNotFound):
    """A queue or a task that is not there; SQS answers with 404."""

    status = 404


async def start_message_move_task(context: RequestContext, parameters: Parameters) -> Answer:
    """StartMessageMoveTask. One task at a time moves a queue's messages."""
    source_arn, destination_arn = str(parameters["SourceArn"]), parameters.get("DestinationArn") or None
    rate = parameters.get("MaxNumberOfMessagesPerSecond")
    if rate is not None and not 1 <= rate <= MAX_RATE:
        raise _out_of_range("MaxNumberOfMessagesPerSecond", MAX_RATE)

    def start(tx: Transaction) -> MoveTask:
        source = _queue_of(tx.connection, source_arn, "SourceArn")
        if not queues.list_dead_letter_sources(tx.connection, source.name, after="", limit=1):
            raise InvalidParameterValueException("Source queue must be configured as a Dead Letter Queue.")
        if destination_arn is not None:
            _check_destination(source, _queue_of(tx.connection, str(destination_arn), "DestinationArn"))
        if move_tasks.running_tasks(tx.connection, source):
            raise InvalidParameterValueException(
                "There is already a task running. Only one active task is allowed for a source queue arn "
                "at a given time."
            )
        return move_tasks.create_task(
            tx,
            source,
            source_arn=source.arn,
            destination_arn=destination_arn,
            rate=rate,
            now_ms=context.clock.now_ms(),
        )

    task = await context.store.write(start)
    mover_of(context.store, context.clock).start()
    return {"TaskHandle": _handle(task)}


async def list_message_move_tasks(context: RequestContext, parameters: Parameters) -> Answer:
    """ListMessageMoveTasks: the newest first, one if nothing else is asked for."""
    limit = parameters.get("MaxResults")
    if limit is not None and not 1 <= limit <= MAX_RESULTS:
        raise _out_of_range("MaxResults", MAX_RESULTS)
    source = _queue_of(context.store.reader, str(parameters["SourceArn"]), "SourceArn")
    return {"Results": [_shown(task) for task in move_tasks.list_tasks(context.store.reader, source, limit=limit or 1)]}


async def cancel_message_move_task(context: RequestContext, parameters: Parameters) -> Answer:
    """CancelMessageMoveTask: what is moved stays moved."""
    task_id, source_arn = _read_handle(str(parameters["TaskHandle"]))

    def cancel(tx: Transaction) -> MoveTask:
        _queue_of(tx.connection, source_arn, "SourceArn")
        task = move_tasks.get_task(tx.connection, task_id)
        if task is None:
            raise ResourceNotFoundException("Task does not exist.")
        if task.status != "RUNNING":
            raise InvalidParameterValueException("Only active tasks can be cancelled.")
        move_tasks.end_task(tx, task, "CANCELLED", now_ms=context.clock.now_ms())
        return task

    return {"ApproximateNumberOfMessagesMoved": (await context.store.write(cancel)).moved}


def _queue_of(connection: apsw.Connection, arn: str, parameter: str) -> Queue:
    if _ARN.match(arn) is None:
        raise InvalidParameterValueException(
            f"You must use this format to specify the {parameter}: "
            "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        )
    queue = queues.get_queue(connection, queues.queue_name_of(arn))
    if queue is None:
        raise ResourceNotFoundException(f"The resource that you specified for the {parameter} parameter doesn't exist.")
    return queue


def _check_destination(source: Queue, destination: Queue) -> None:
    if destination.id == source.id:
        raise InvalidParameterValueException("Source queue arn and destination queue arn cannot be the same.")
    if destination.is_fifo != source.is_fifo:
        raise InvalidParameterValueException("The source queue and destination queue must be of the same queue type.")


def _out_of_range(parameter: str, highest: int) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Value for parameter {parameter} is invalid. Reason: You must enter a number that's between 1 and {highest}."
    )


def _handle(task: MoveTask) -> str:
    return base64.b64encode(msgspec.json.encode({"taskId": task.task_id, "sourceArn": task.source_arn})).decode()


def _read_handle(handle: str) -> tuple[str, str]:
    try:
        said = msgspec.json.decode(base64.b64decode(handle, validate=True))
        return str(said["taskId"]), str(said["sourceArn"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise InvalidParameterValueException("Value for parameter TaskHandle is invalid.") from None


def _shown(task: MoveTask) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Status": task.status,
        "SourceArn": task.source_arn,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": task.started_at_ms,
    }
    if task.status == "RUNNING":
        shown["TaskHandle"] = _handle(task)
    rest = {
        "DestinationArn": task.destination_arn,
        "MaxNumberOfMessagesPerSecond": task.rate,
        "FailureReason": task.failure_reason,
    }
    return shown | {member: value for member, value in rest.items() if value is not None}


# The loop -----------------------------------------------------------------------------------------------


class Mover:
    """Carries a store's tasks on, chunk by chunk, while there are any."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._alarm = Alarm(clock)
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at the tasks: there is a new one, or the server has started."""
        self._alarm.ring()
        if self._loop is None or self._loop.done():
            self._loop = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Put off what is not moved; the next start goes on."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def run_once(self) -> int | None:
        """One chunk of each task; says when to look again, None: nothing is left to move."""
        nexts = []
        for task in move_tasks.running_tasks(self._store.reader):
            chunk = partial(move_tasks.move_chunk, row_id=task.id, now_ms=self._clock.now_ms())
            nexts.append(await self._store.write(chunk))
        return min((moment for moment in nexts if moment is not None), default=None)

    async def _run(self) -> None:
        while True:
            try:
                next_ms = await self.run_once()
            except StoreStoppedError:
                return
            except Exception:
                logger.exception("moving messages met a fault of ours, and goes on", extra={"action": "move_messages"})
                next_ms = self._clock.now_ms() + FAULT_PAUSE_MS
            if next_ms is None:
                if not move_tasks.running_tasks(self._store.reader):
                    return
                continue
            await self._alarm.sleep_until(next_ms)


_of_store: WeakKeyDictionary[Store, Mover] = WeakKeyDictionary()


def mover_of(store: Store, clock: Clock) -> Mover:
    """The one mover of a store."""
    mover = _of_store.get(store)
    if mover is None:
        mover = _of_store[store] = Mover(store, clock)
    return mover
