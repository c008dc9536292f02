"""HTTP over TCP: an asyncio protocol around httptools (llhttp), which does all of the parsing.

One task serves each connection, one request after the other, so that pipelined answers keep their order. Limits end
what is too large (413, 431), too slow (408) or no HTTP (400); a client that does not read its answers, or sends
faster than it is answered, is not read from any more until it has caught up.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast

import httptools

from duestream.clock import Clock
from duestream.local.wire.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)

#: Request line and headers together.
MAX_HEAD_BYTES = 64 * 1024
#: DynamoDB takes 16 MiB in a batch; the JSON around it needs some more.
MAX_BODY_BYTES = 16 * 1024 * 1024 + 512 * 1024
#: Whole requests of one connection that wait for their turn, before the connection is not read from any more.
MAX_WAITING_REQUESTS = 32
MAX_WAITING_BYTES = 4 * 1024 * 1024

HEAD_SECONDS = 10.0
BODY_SECONDS = 60.0
#: Longer than the pools of AWS's SDKs keep a connection for (botocore: none; Java: 60; JavaScript: 60 seconds).
IDLE_SECONDS = 75.0
#: How long an ended connection is still read from, so that the client sees the answer before the reset.
LINGER_SECONDS = 2.0
SWEEP_SECONDS = 1.0

Answer = Callable[[HttpRequest], Awaitable[HttpResponse]]

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_HEAD_TOO_LARGE = f"The request line and headers are larger than {MAX_HEAD_BYTES} bytes."
_BODY_TOO_LARGE = f"The body is larger than {MAX_BODY_BYTES} bytes."
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Lower-case names to values; those of a repeated header are joined with a comma."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.lower().decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


class _Waiting:
    """A request that is whole (or the refusal of one that never will be) and waits for its turn."""

    __slots__ = ("keep_alive", "refusal", "request")

    def __init__(self, request: HttpRequest | None, keep_alive: bool, refusal: HttpResponse | None = None) -> None:
        self.request, self.keep_alive, self.refusal = request, keep_alive, refusal


class Listener:
    """The open port and its connections."""

    def __init__(self, answer: Answer, clock: Clock) -> None:
        """`answer` must not raise; what it does raise ends the connection."""
        self.answer = answer
        self.connections: set[Connection] = set()
        self.stopping = False
        #: Tasks that only wait (long polls): cancelled when their client goes away. A stop has to end them first.
        self.interruptible: set[asyncio.Task[Any]] = set()
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._date_line: tuple[int, str] = (0, "")
        self._all_closed = asyncio.Event()

    async def bind(self, host: str, port: int) -> int:
        """Take the port without listening on it yet; answers which it is: a free one if 0 was asked for.

        Raises:
            OSError: the port is taken, or the host is not one of this machine's.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, backlog=1024, start_serving=False)
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen on the port that was bound."""
        assert self._server is not None
        await self._server.start_serving()
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._close_overdue)

    async def stop(self, grace_seconds: float) -> None:
        """Take no more; give the requests that are being answered so long; then close whatever is left."""
        self.stopping = True
        if self._sweep is not None:
            self._sweep.cancel()
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.close_when_idle()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                while self.connections:
                    self._all_closed.clear()
                    await self._all_closed.wait()
        for connection in tuple(self.connections):
            connection.abort()
        await asyncio.sleep(0)
        if self._server is not None:
            await self._server.wait_closed()

    def gone(self, connection: "Connection") -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if not self.connections:
            self._all_closed.set()

    def date_line(self) -> str:
        """The Date header, made once a second."""
        second = self._clock.now_ms() // 1000
        if self._date_line[0] != second:
            self._date_line = (second, f"Date: {formatdate(second, usegmt=True)}\r\n")
        return self._date_line[1]

    def _close_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self.connections):
            if connection.deadline is not None and connection.deadline <= now:
                connection.overdue()
        self._sweep = loop.call_later(SWEEP_SECONDS, self._close_overdue)


class Connection(asyncio.Protocol):
    """One client. The `on_...` methods are httptools' callbacks."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._wakeup: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._reading = True
        #: No further request is taken from this connection.
        self._ending = False
        #: The client was refused in the middle of a request: it may still be sending.
        self._refused = False
        #: A request has begun and its head is not whole.
        self._in_head = False
        self._in_request = False
        self._busy = False
        #: Of what is parsed, and of what came in while the head was not whole.
        self._head_bytes = self._raw_head_bytes = 0
        self._url = b""
        self._raw_headers: list[tuple[bytes, bytes]] = []
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._continue_due = False
        #: When the client is too slow, in the loop's time; None while it waits for us.
        self.deadline: float | None = None

    # The transport's side -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._listener.stopping:
            self._transport.abort()
            return
        self._listener.connections.add(self)
        self.deadline = self._loop.time() + IDLE_SECONDS
        self._task = self._loop.create_task(self._serve())

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        self._waiting.clear()
        self._wake()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        # A request that is being carried out is carried on to its end: it may be a write that is queued already.
        self._interrupt()
        if self._task is None:
            self._listener.gone(self)

    def _interrupt(self) -> None:
        if self._task is not None and self._task in self._listener.interruptible:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end_reading()  # the request is answered as if it had not asked for another protocol
        except httptools.HttpParserError:
            if not self._ending:
                self._refuse(400, "This is not HTTP/1.1.")
        if self._in_head and not self._ending:
            self._raw_head_bytes += len(data)
            if self._raw_head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, _HEAD_TOO_LARGE)

    def eof_received(self) -> bool:
        """The client sends no more; what it asked for is still answered. False closes the connection."""
        self._end_reading()
        self._interrupt()  # whoever hangs up in the middle of a long poll has gone; hardly anybody half-closes
        return self._task is not None and not self._task.done()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # The parser's side ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._in_head = self._in_request = True
        self._head_bytes = self._raw_head_bytes = 0
        self._url, self._raw_headers = b"", []
        self._body, self._body_bytes, self._continue_due = [], 0, False
        self.deadline = self._loop.time() + HEAD_SECONDS

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + 4)
        if self._in_head:  # trailers of a chunked body may not add headers after the fact
            self._raw_headers.append((name, value))

    def _count_head(self, length: int) -> None:
        self._head_bytes += length
        if self._head_bytes > MAX_HEAD_BYTES and not self._ending:
            self._refuse(431, _HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._ending:
            return
        self._headers = _headers(self._raw_headers)
        self.deadline = self._loop.time() + BODY_SECONDS
        length = self._headers.get("content-length")
        if length is not None and length.isdecimal() and int(length) > MAX_BODY_BYTES:
            self._refuse(413, _BODY_TOO_LARGE)
        elif "expect" in self._headers and self._headers["expect"].lower() == "100-continue":
            self._continue_due = True
            if not self._busy and not self._waiting:
                self._send_continue()

    def on_body(self, body: bytes) -> None:
        if self._ending:
            return
        self._continue_due = False  # the client did not wait for it
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refuse(413, _BODY_TOO_LARGE)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._ending:
            return
        self._in_request = False
        self.deadline = None
        path, _, query = self._url.decode("latin-1").partition("?")
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        method = self._parser.get_method().decode("latin-1")
        request = HttpRequest(method, path, query, self._headers, body)
        self._queue(_Waiting(request, keep_alive=self._parser.should_keep_alive()))

    # Between them ---------------------------------------------------------------------------------------------------

    def _queue(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        if waiting.request is not None:
            self._waiting_bytes += len(waiting.request.body)
        self._wake()
        if self._reading and (len(self._waiting) >= MAX_WAITING_REQUESTS or self._waiting_bytes >= MAX_WAITING_BYTES):
            self._reading = False
            self._open_transport().pause_reading()

    def _refuse(self, status: int, reason: str) -> None:
        """Answer, after those that came before, and read no further."""
        body = f"{reason}\n".encode()
        self._in_head = self._in_request = False
        self._refused = True
        self._queue(
            _Waiting(None, keep_alive=False, refusal=HttpResponse(status, body, {"Content-Type": "text/plain"}))
        )
        self._end_reading()

    def _end_reading(self) -> None:
        self._ending = True
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def _send_continue(self) -> None:
        self._continue_due = False
        self._open_transport().write(_CONTINUE)

    def _open_transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    # Serving --------------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Answer one request after the other until the connection ends."""
        transport = self._open_transport()
        try:
            while True:
                while self._waiting:
                    await self._serve_one(transport, self._waiting.popleft())
                if self._ending:
                    break
                self._busy = False
                if self._continue_due:
                    self._send_continue()
                if not self._in_request:
                    self.deadline = self._loop.time() + IDLE_SECONDS
                self._wakeup = self._loop.create_future()
                await self._wakeup
                self._wakeup = None
        except asyncio.CancelledError:
            transport.abort()
        except Exception:
            logger.exception("connection ended by a fault", extra={"action": "serve_connection"})
            transport.abort()
        finally:
            self._ending = True
            self._listener.interruptible.discard(cast("asyncio.Task[Any]", self._task))
            self._close(transport)
            self._listener.gone(self)

    async def _serve_one(self, transport: asyncio.Transport, waiting: _Waiting) -> None:
        self._busy = True
        if waiting.request is None:
            response, is_head = cast("HttpResponse", waiting.refusal), False
        else:
            self._waiting_bytes -= len(waiting.request.body)
            self._resume_reading(transport)
            response, is_head = await self._listener.answer(waiting.request), waiting.request.method == "HEAD"
        if transport.is_closing():
            return
        keep_alive = waiting.keep_alive and not self._listener.stopping
        transport.write(self._encode(response, keep_alive=keep_alive, is_head=is_head))
        if self._drained is not None:
            # The client has so long to take the answer.
            self.deadline = self._loop.time() + BODY_SECONDS
            await self._drained
            self.deadline = self._loop.time() + HEAD_SECONDS if self._in_request else None
        if not keep_alive:
            self._ending = True
            self._waiting.clear()

    def _resume_reading(self, transport: asyncio.Transport) -> None:
        if not self._reading and not self._waiting and not transport.is_closing():
            self._reading = True
            transport.resume_reading()

    def _encode(self, response: HttpResponse, *, keep_alive: bool, is_head: bool) -> bytes:
        lines = [_STATUS_LINES.get(response.status) or f"HTTP/1.1 {response.status} \r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in response.headers.items()]
        lines.append(self._listener.date_line())
        if not (is_head and "Content-Length" in response.headers):  # that of a body which is elsewhere
            lines.append(f"Content-Length: {len(response.body)}\r\n")
        lines.append("\r\n" if keep_alive else "Connection: close\r\n\r\n")
        head = "".join(lines).encode("latin-1")
        return head if is_head else head + response.body

    def _close(self, transport: asyncio.Transport) -> None:
        if transport.is_closing():
            return
        if self._refused and not self._listener.stopping:
            # Closed at once, bytes that were not read would reset the connection and the answer with it.
            with suppress(OSError, RuntimeError):
                transport.write_eof()
            if not self._reading:
                transport.resume_reading()
            self._loop.call_later(LINGER_SECONDS, transport.close)
        else:
            transport.close()

    # The listener's side --------------------------------------------------------------------------------------------

    def close_when_idle(self) -> None:
        """Take no further request; what is being answered is answered."""
        if not self._in_request:
            self._end_reading()

    def overdue(self) -> None:
        """The client was too slow."""
        self.deadline = None
        if self._busy and self._drained is not None:  # it does not take its answer
            self.abort()
        elif not self._reading:  # it is us who do not read
            self.deadline = self._loop.time() + HEAD_SECONDS
        elif self._in_request:
            self._refuse(408, "The request did not arrive in time.")
        else:
            self._end_reading()

    def abort(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()
        if self._task is not None:
            self._task.cancel()
