"""The consumer: one process that receives a queue's messages by long polling and notes when each arrives.

    python benchmarks/receive.py PORT QUEUE COUNT CONNECTIONS TIMEOUT_SECONDS

Says `BEGUN` on stdout once all connections stand, and one JSON object once it has COUNT messages:
`{"lateness_ms": [...], "doubled": 0}`, lateness being arrival at this client minus due time.
"""

import asyncio
import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httptools
import uvloop
from load import ask, request_head

from duestream.clock import to_ms

#: Longer than a benchmark takes, so that nothing is received twice on purpose.
VISIBILITY_SECONDS = 3600


class Consumer(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes, received: "Received") -> None:
        self._request, self._received = request, received
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
        now_ms = time.time_ns() / 1e6  # noqa: TID251 - held against due times, which are on the same clock
        body, self._body = self._body, b""
        if self._parser.get_status_code() != 200:
            self._received.give_up(f"ReceiveMessage was refused: {body!r}")
        else:
            self._transport.write(self._request)
            self._received.add(json.loads(body).get("Messages", ()), now_ms)


class Received:
    """What has come so far."""

    def __init__(self, count: int) -> None:
        self.messages: list[tuple[str, float]] = []
        self.is_whole = asyncio.Event()
        self._count = count
        self._problem: str | None = None

    def give_up(self, problem: str) -> None:
        """There will be no more."""
        self._problem = problem
        self.is_whole.set()

    def add(self, messages: list[dict[str, str]], now_ms: float) -> None:
        """Messages that came at this moment."""
        self.messages += [(message["Body"], now_ms) for message in messages]
        if len(self.messages) >= self._count:
            self.is_whole.set()

    def facts(self) -> dict[str, Any]:
        """How late each was, and how many came more than once.

        Raises:
            RuntimeError: receiving was refused.
        """
        if self._problem is not None:
            raise RuntimeError(self._problem)
        lateness_ms, seen = [], set()
        for text, now_ms in self.messages:
            body = json.loads(text)
            seen.add(body["PK"])
            lateness_ms.append(now_ms - to_ms(datetime.fromisoformat(body["due_at"])))
        return {"lateness_ms": lateness_ms, "doubled": len(self.messages) - len(seen)}


async def receive(port: int, queue: str, count: int, connections: int, timeout_seconds: float) -> dict[str, Any]:
    """Receive until `count` messages are there, or the time is up."""
    body = json.dumps(
        {
            "QueueUrl": f"http://127.0.0.1:{port}/000000000000/{queue}",
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 20,
            "VisibilityTimeout": VISIBILITY_SECONDS,
        }
    )
    request = (request_head(port, "AmazonSQS.ReceiveMessage", len(body)) + body).encode()
    received = Received(count)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Consumer(request, received), "127.0.0.1", port)
    print("BEGUN", flush=True)
    async with asyncio.timeout(timeout_seconds):
        await received.is_whole.wait()
    return received.facts()


def begin(port: int, queue: str, count: int, *, connections: int, timeout_seconds: float) -> "subprocess.Popen[str]":
    """Make the queue and start the consumer's process; returns when it waits for messages."""
    ask(port, "AmazonSQS.CreateQueue", json.dumps({"QueueName": queue}))
    arguments = [str(port), queue, str(count), str(connections), str(timeout_seconds)]
    process = subprocess.Popen([sys.executable, str(Path(__file__)), *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline() != "BEGUN\n":
        raise RuntimeError("the consumer did not begin; see above")
    return process


def end(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait until it has received everything.

    Raises:
        RuntimeError: it has not, in its time.
    """
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    if process.wait() != 0:
        raise RuntimeError("not all messages were received; see above")
    facts: dict[str, Any] = json.loads(said)
    return facts


def main() -> None:
    port, queue, count, connections, timeout_seconds = sys.argv[1:]
    facts = uvloop.run(receive(int(port), queue, int(count), int(connections), float(timeout_seconds)))
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
