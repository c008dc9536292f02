"""EventBridge Scheduler's put and delete calls behind a fixed latency and, if told so, a quota: a process of its own.

    python scheduler_endpoint.py PORT_FILE LATENCY_MS

``GET /_told`` answers what it was asked; ``POST /_forget`` begins anew, with ``{"quota": ..., "kind": ...}``

Quotas: ``bucket`` is a token bucket that holds a tenth of a second's calls; ``second`` counts calls by the second of the
clock and refuses the rest of it, as part 1 of AWS's series describes it. Which of them AWS has is not published.
"""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from time import monotonic

import httptools
import uvloop


class Told:
    """What was asked for, and what is there."""

    def __init__(self) -> None:
        self.forget(None, "bucket")

    def forget(self, quota: int | None, kind: str) -> None:
        """Begin anew."""
        self.schedules: dict[str, bytes] = {}
        self.counts: Counter[str] = Counter()
        self.quota, self.kind = quota, kind
        self._tokens, self._filled_at = (quota or 0) / 10, monotonic()
        self._second, self._used = 0, 0
        self.first_at: float | None = None
        self.last_at = 0.0

    def admits(self) -> bool:
        """Whether the quota has room for one more."""
        if self.quota is None:
            return True
        now = monotonic()
        if self.kind == "second":
            if int(now) != self._second:
                self._second, self._used = int(now), 0
            self._used += 1
            return self._used <= self.quota
        self._tokens = min(self.quota / 10, self._tokens + (now - self._filled_at) * self.quota)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def answer(self, method: str, name: str, body: bytes) -> tuple[int, str | None]:
        """HTTP status and error code."""
        self.last_at = monotonic()
        self.first_at = self.first_at or self.last_at
        if not self.admits():
            self.counts["throttled"] += 1
            return 429, "ThrottlingException"
        self.counts[method] += 1
        if method == "POST":
            if name in self.schedules:
                return 409, "ConflictException"
        elif name not in self.schedules:
            return 404, "ResourceNotFoundException"
        if method == "DELETE":
            del self.schedules[name]
        else:
            self.schedules[name] = body
        return 200, None

    def as_json(self) -> bytes:
        """For ``/_told``."""
        seconds = self.last_at - (self.first_at or self.last_at)
        told = {"counts": self.counts, "seconds": seconds, "schedules": sorted(self.schedules)}
        return json.dumps(told).encode()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, told: Told, latency: float) -> None:
        self._told, self._latency = told, latency
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._body = b"", b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        url, body, method = self._url.decode(), self._body, self._parser.get_method().decode()
        self._url = self._body = b""
        if url == "/_told":
            self._send(200, self._told.as_json())
        elif url == "/_forget":
            self._told.forget(**json.loads(body))
            self._send(200, b"{}")
        else:
            name = url.partition("?")[0].removeprefix("/schedules/")
            status, code = self._told.answer(method, name, body)
            text = b'{"ScheduleArn":"arn"}' if code is None else json.dumps({"Message": code}).encode()
            self._loop.call_later(self._latency, self._send, status, text, code)

    def _send(self, status: int, body: bytes, code: str | None = None) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if code is not None:
            head += f"x-amzn-ErrorType: {code}\r\n"
        self._transport.write(head.encode() + b"\r\n" + body)  # type: ignore[attr-defined]


async def main() -> None:
    """Serve until ended; the port is written into the file that was named."""
    port_file, latency_ms = sys.argv[1:3]
    told = Told()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(told, float(latency_ms) / 1000), "127.0.0.1", 0, backlog=1024)
    Path(port_file).write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
