"""A client that costs little: fixed request bytes, llhttp for the answers, one asyncio protocol per connection."""

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import httptools
import uvloop


class Asker(asyncio.Protocol):
    """Asks, waits for the whole answer, asks again, until the time is up."""

    def __init__(self, requests: Sequence[bytes], ends_at: float, done: "asyncio.Future[None]") -> None:
        self.latencies: list[float] = []
        self.failures = 0
        self._requests, self._ends_at, self._done = cycle(requests), ends_at, done
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self.latencies.append(now - self._asked_at)
        if self._parser.get_status_code() != 200:
            self.failures += 1
        if now < self._ends_at:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


def ask(port: int, requests: Sequence[Sequence[bytes]], seconds: float) -> tuple[float, list[float]]:
    """One connection per row of requests, sent in turn; answers requests per second and the sorted latencies.

    Raises:
        RuntimeError: a request was not answered with 200.
    """

    async def run() -> tuple[float, list[float]]:
        loop = asyncio.get_running_loop()
        begun = time.perf_counter()
        askers, ends = [], []
        for row in requests:
            done: asyncio.Future[None] = loop.create_future()
            _, asker = await loop.create_connection(
                lambda row=row, done=done: Asker(row, begun + seconds, done), "127.0.0.1", port
            )
            askers.append(asker)
            ends.append(done)
        await asyncio.gather(*ends)
        took = time.perf_counter() - begun
        if any(asker.failures for asker in askers):
            raise RuntimeError("a request failed")
        latencies = sorted(latency for asker in askers for latency in asker.latencies)
        return len(latencies) / took, latencies

    return uvloop.run(run())
