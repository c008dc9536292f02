"""EventBridge Scheduler's API with an SQS queue as target: raw HTTP, for our server and others that speak it."""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import httptools
import uvloop
from common import due_at_ms, main, note, ready, say_created
from load import Connection, request_head

QUEUE = "reminders"
QUEUE_ARN = f"arn:aws:sqs:us-east-1:000000000000:{QUEUE}"
ROLE_ARN = "arn:aws:iam::000000000000:role/bench"
WAIT_SECONDS = 20
#: Longer than a measure takes, so that nothing is received twice on purpose.
VISIBILITY_SECONDS = 3600
CONSUMERS = 8


class Asking:
    """One connection at a time, opened anew where the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: Connection | None = None
        self._answered: asyncio.Future[int] | None = None

    async def ask(self, request: bytes) -> int:
        """The status of the answer."""
        loop = asyncio.get_running_loop()
        if self._connection is None:
            _, self._connection = await loop.create_connection(
                lambda: Connection(self._on_answer, self._on_end), "127.0.0.1", self._port
            )
        self._answered = loop.create_future()
        self._connection.ask(request, 0)
        return await self._answered

    def _on_answer(self, connection: Connection) -> None:
        if not connection.is_kept:
            connection.close()
            self._connection = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(connection.status)

    def _on_end(self) -> None:
        self._connection = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError("the server hung up"))


def _request(port: int, number: int, due_ms: int) -> bytes:
    due = datetime.fromtimestamp(due_ms // 1000, UTC)
    body = json.dumps(
        {
            "ScheduleExpression": f"at({due:%Y-%m-%dT%H:%M:%S})",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": QUEUE_ARN,
                "RoleArn": ROLE_ARN,
                "Input": json.dumps({"PK": f"schedule#{number}", "due_at": f"{due:%Y-%m-%dT%H:%M:%SZ}"}),
            },
        }
    )
    head = request_head(port, "", len(body)).replace("X-Amz-Target: \r\n", "")
    head = head.replace("POST / ", f"POST /schedules/schedule-{number} ", 1)
    head = head.replace("/dynamodb/", "/scheduler/").replace("x-amz-json-1.0", "json")
    return (head.replace(";x-amz-target", "") + body).encode()


async def _create(spec: dict[str, Any]) -> None:
    begun = time.perf_counter()
    over_at = begun + spec["limit_seconds"]
    numbers = iter(range(spec["count"]))
    made = 0

    async def each() -> None:
        nonlocal made
        asking = Asking(spec["port"])
        for number in numbers:
            if time.perf_counter() > over_at:
                return
            status = await asking.ask(_request(spec["port"], number, due_at_ms(spec, number)))
            if status != 200:
                raise RuntimeError(f"CreateSchedule was answered with {status}")
            made += 1

    await asyncio.gather(*(each() for _ in range(spec["at_once"])))
    say_created(made, time.perf_counter() - begun)


class Consumer(asyncio.Protocol):
    """Receives, notes and asks again."""

    def __init__(self, request: bytes, path: str, over: asyncio.Event) -> None:
        self._request, self._path, self._over = request, path, over
        self._parser: Any = httptools.HttpResponseParser(self)
        self._body = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        if self._parser.get_status_code() == 200:
            for message in json.loads(body).get("Messages", ()):
                said = json.loads(message["Body"])
                due = datetime.fromisoformat(said["due_at"])
                note(self._path, int(said["PK"].partition("#")[2]), round(due.timestamp() * 1000))
            if self._parser.should_keep_alive():
                self._transport.write(self._request)
                return
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over.set()


async def _work(spec: dict[str, Any]) -> None:
    port = spec["port"]
    body = json.dumps(
        {
            "QueueUrl": f"http://127.0.0.1:{port}/000000000000/{QUEUE}",
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": WAIT_SECONDS,
            "VisibilityTimeout": VISIBILITY_SECONDS,
        }
    )
    request = (request_head(port, "AmazonSQS.ReceiveMessage", len(body)) + body).encode()

    async def receive() -> None:
        loop = asyncio.get_running_loop()
        while True:
            over = asyncio.Event()
            try:
                await loop.create_connection(
                    lambda over=over: Consumer(request, spec["notes"], over), "127.0.0.1", port
                )
                await over.wait()
            except OSError:
                pass
            await asyncio.sleep(0.1)  # it was killed, and comes back

    ready()
    await asyncio.gather(*(receive() for _ in range(CONSUMERS)))


main(lambda spec: uvloop.run(_create(spec)), lambda spec: uvloop.run(_work(spec)))
