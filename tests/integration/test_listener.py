"""HTTP as clients send it, well and badly. Raw sockets, so that each byte is ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import uvloop

from duestream.clock import ManualClock
from duestream.local import listener as listener_module
from duestream.local.listener import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_WAITING_REQUESTS, Listener
from duestream.local.wire.http import HttpRequest, HttpResponse

pytestmark = pytest.mark.slow

CLOCK = ManualClock(datetime(2030, 1, 1, 9, 0, tzinfo=UTC))
LOOP_FACTORY: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
Answer = Callable[[HttpRequest], Awaitable[HttpResponse]]


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        status, *lines = head.decode().strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split(" ")[1]), headers

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        return status, headers, await self.reader.readexactly(int(headers["content-length"]))

    async def is_closed(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 10) == b""


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[tuple[Listener, Callable[[], Awaitable[Client]]]]:
    listener = Listener(answer, CLOCK)
    port = await listener.bind("127.0.0.1", 0)
    await listener.start()
    clients: list[Client] = []

    async def connect() -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        clients.append(client)
        return client

    try:
        yield listener, connect
    finally:
        for client in clients:
            client.writer.close()
        await listener.stop(5)


async def echo(request: HttpRequest) -> HttpResponse:
    text = f"{request.method} {request.path} {request.query} {request.headers.get('x-twice', '')} ".encode()
    return HttpResponse(200, text + request.body, {"X-Kind": "echo"})


@pytest.fixture(params=["asyncio", "uvloop"], autouse=True)
def loop_factory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every story is told on both loops: they differ in when they call a protocol's methods."""
    factory = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop
    monkeypatch.setitem(globals(), "LOOP_FACTORY", factory)


def run(story: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await story

    with asyncio.Runner(loop_factory=LOOP_FACTORY) as runner:
        runner.run(bounded())


def test_a_request_is_answered_and_the_connection_kept() -> None:
    async def story() -> None:
        async with listening(echo) as (_, connect):
            client = await connect()
            for body in (b"one", b"two"):
                await client.send(
                    b"POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nX-Twice: 1\r\nx-twice: 2\r\n\r\n"
                    + body
                )
                status, headers, answer = await client.answer()
                assert (status, answer) == (200, b"POST /a%20b c=d 1,2 " + body)
                assert headers["x-kind"] == "echo"
                assert headers["date"] == "tue, 01 jan 2030 09:00:00 gmt"

    run(story())


def test_pipelined_requests_are_answered_in_order() -> None:
    async def slow_first(request: HttpRequest) -> HttpResponse:
        for _ in range(10 if request.path == "/0" else 0):
            await asyncio.sleep(0)
        return HttpResponse(200, request.path.encode())

    async def story() -> None:
        async with listening(slow_first) as (_, connect):
            client = await connect()
            count = MAX_WAITING_REQUESTS * 4
            await client.send(
                b"".join(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for number in range(count))
            )
            for number in range(count):
                assert (await client.answer())[2] == f"/{number}".encode()

    run(story())


def test_a_chunked_body_is_put_together() -> None:
    async def story() -> None:
        async with listening(echo) as (_, connect):
            client = await connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            await client.send(b"3\r\ntwo\r\n0\r\nX-Twice: trailer\r\n\r\n")
            assert (await client.answer())[2] == b"POST /   onetwo"

    run(story())


def test_a_client_that_waits_for_leave_gets_it() -> None:
    async def story() -> None:
        async with listening(echo) as (_, connect):
            client = await connect()
            await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            assert (await client.head())[0] == 100
            await client.send(b"one")
            assert (await client.answer())[2] == b"PUT /   one"

    run(story())


def test_head_gets_no_body() -> None:
    async def story() -> None:
        async with listening(echo) as (_, connect):
            client = await connect()
            await client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n")
            status, headers = await client.head()
            assert (status, headers["content-length"]) == (200, str(len("HEAD /   ")))
            assert (await client.answer())[2] == b"GET /next   "

    run(story())


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.0\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n"])
def test_a_connection_is_closed_where_the_client_wants_it(request_line: bytes) -> None:
    async def story() -> None:
        async with listening(echo) as (_, connect):
            client = await connect()
            await client.send(request_line + b"Host: x\r\n\r\n")
            status, headers, _ = await client.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert await client.is_closed()

    run(story())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"not http\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * MAX_HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(8000)), 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n", 413),
    ],
)
def test_what_cannot_be_taken_is_refused_and_the_connection_ends(sent: bytes, status: int) -> None:
    async def story() -> None:
        async with listening(echo) as (_, connect):
            client = await connect()
            await client.send(sent)
            found, headers, _ = await client.answer()
            assert (found, headers["connection"]) == (status, "close")
            assert await client.is_closed()

    run(story())


def test_a_chunked_body_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "MAX_BODY_BYTES", 1000)

    async def story() -> None:
        async with listening(echo) as (_, connect):
            client = await connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.send((b"100\r\n" + b"x" * 256 + b"\r\n") * 5)
            assert (await client.answer())[0] == 413

    run(story())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow", 408),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nxx", 408),
        (b"", None),
    ],
)
def test_a_client_that_is_too_slow_is_let_go(sent: bytes, status: int | None) -> None:
    async def story() -> None:
        async with listening(echo) as (listener, connect):
            client = await connect()
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + sent)
            await client.answer()
            (connection,) = listener.connections
            while connection._in_request != bool(sent):
                await asyncio.sleep(0)
            assert connection.deadline is not None
            connection.overdue()
            if status is not None:
                assert (await client.answer())[0] == status
            assert await client.is_closed()

    run(story())


def test_a_request_that_is_being_answered_is_never_overdue() -> None:
    async def story() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(request: HttpRequest) -> HttpResponse:
            begun.set()
            await go_on.wait()
            return HttpResponse(200, b"done")

        async with listening(slow) as (listener, connect):
            client = await connect()
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await begun.wait()
            (connection,) = listener.connections
            assert connection.deadline is None
            await client.send(b"GET / HT")  # the next one is slow; it is refused after this one's answer
            while not connection._in_request:
                await asyncio.sleep(0)
            connection.overdue()
            go_on.set()
            assert (await client.answer())[2] == b"done"
            assert (await client.answer())[0] == 408

    run(story())


def test_a_client_that_goes_away_cancels_nothing_but_waiting() -> None:
    async def story() -> None:
        begun = {"/write": asyncio.Event(), "/poll": asyncio.Event()}
        ended: asyncio.Queue[str] = asyncio.Queue()
        go_on = asyncio.Event()

        async def answer(request: HttpRequest) -> HttpResponse:
            task = asyncio.current_task()
            assert task is not None
            if request.path == "/poll":
                running.interruptible.add(task)
            begun[request.path].set()
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                ended.put_nowait(f"{request.path} cancelled")
                raise
            ended.put_nowait(f"{request.path} done")
            return HttpResponse(200)

        async with listening(answer) as (running, connect):
            for path, has_begun in begun.items():
                client = await connect()
                await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await has_begun.wait()
                client.writer.transport.abort()
            assert await ended.get() == "/poll cancelled"
            go_on.set()
            assert await ended.get() == "/write done"

    run(story())


def test_stopping_lets_answers_end_and_takes_no_more() -> None:
    async def story() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(request: HttpRequest) -> HttpResponse:
            begun.set()
            await go_on.wait()
            return HttpResponse(200, b"done")

        async with listening(slow) as (listener, connect):
            idle, busy = await connect(), await connect()
            await busy.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await begun.wait()
            stopping = asyncio.create_task(listener.stop(10))
            assert await idle.is_closed()
            go_on.set()
            _, headers, body = await busy.answer()
            assert (headers["connection"], body) == ("close", b"done")
            assert await busy.is_closed()
            await stopping

    run(story())


def test_stopping_waits_no_longer_than_it_is_told() -> None:
    async def story() -> None:
        begun = asyncio.Event()

        async def endless(request: HttpRequest) -> HttpResponse:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        async with listening(endless) as (listener, connect):
            client = await connect()
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await begun.wait()
            await listener.stop(0.01)
            assert listener.connections == set()

    run(story())


def test_a_client_that_takes_no_answers_is_not_read_from() -> None:
    async def story() -> None:
        asked = 0

        async def large(request: HttpRequest) -> HttpResponse:
            nonlocal asked
            asked += 1
            return HttpResponse(200, b"x" * 1_000_000)

        async with listening(large) as (listener, connect):
            client = await connect()
            count = 2000
            client.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * count)
            while not listener.connections:
                await asyncio.sleep(0)
            (connection,) = listener.connections
            while connection._drained is None:
                await asyncio.sleep(0)
            assert asked < 100
            for _ in range(count // 100):
                assert len((await client.answer())[2]) == 1_000_000

    run(story())
