"""HTTP out against a real server that refuses, drops and comes back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from multidict import CIMultiDictProxy

from duestream.errors import DeliveryError
from duestream.local.engine.http_out import HttpSender

pytestmark = pytest.mark.slow

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpServer:
    """A server on a free port that keeps what it gets and answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, CIMultiDictProxy[str], bytes]] = []
        self.answers: list[web.StreamResponse | Answer] = []
        self.port = 0
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=%2F"

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append((request.method, request.raw_path, request.headers, await request.read()))
        answer = self.answers.pop(0) if self.answers else web.Response()
        if isinstance(answer, web.StreamResponse):
            return answer
        return await answer(request)  # type: ignore[arg-type]


@asynccontextmanager
async def http_server(**settings: float) -> AsyncIterator[tuple[HttpServer, HttpSender]]:
    server, sender = HttpServer(), HttpSender(**settings)  # type: ignore[arg-type]
    await server.start()
    try:
        yield server, sender
    finally:
        await sender.close()
        await server.stop()


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 60))


async def failure(sender: HttpSender, url: str, method: str = "POST", **headers: str) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await sender.send(url, method, headers, b"{}", "delivery-1")
    return caught.value


def test_a_request_arrives_as_it_was_meant_with_its_delivery_id() -> None:
    async def body() -> None:
        async with http_server() as (server, sender):
            await sender.send(server.url, "PUT", {"Content-Type": "application/json"}, b'{"a": 1}', "delivery-1")
            ((method, path, headers, content),) = server.requests
            assert (method, path, content) == ("PUT", "/hook?a=%2F", b'{"a": 1}')
            assert headers["Idempotency-Key"] == "delivery-1"
            assert headers["User-Agent"].startswith("duestream/")
            assert headers["Content-Type"] == "application/json"

    run(body)


def test_a_rule_may_name_its_own_user_agent_but_no_other_delivery_id() -> None:
    async def body() -> None:
        async with http_server() as (server, sender):
            headers = {"user-agent": "clinic/1", "idempotency-key": "mine"}
            await sender.send(server.url, "GET", headers, None, "delivery-1")
            ((_, _, seen, content),) = server.requests
            assert seen.getall("User-Agent") == ["clinic/1"]
            assert seen.getall("Idempotency-Key") == ["delivery-1"]
            assert content == b""

    run(body)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_answer_of_the_two_hundreds_is_success(status: int) -> None:
    async def body() -> None:
        async with http_server() as (server, sender):
            server.answers = [web.Response(status=status)]
            await sender.send(server.url, "POST", {}, b"", "delivery-1")

    run(body)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (410, False),
        (408, True),
        (425, True),
        (429, True),
        (500, True),
        (503, True),
        (304, False),
    ],
)
def test_the_status_decides_whether_to_try_again(status: int, retryable: bool) -> None:
    async def body() -> None:
        async with http_server() as (server, sender):
            server.answers = [web.Response(status=status, text="because\r\nI say so" if status != 304 else None)]
            error = await failure(sender, server.url)
            assert (error.code, error.retryable) == (str(status), retryable)
            if status != 304:
                assert error.message.endswith(": because I say so")

    run(body)


def test_a_redirect_is_not_followed() -> None:
    async def body() -> None:
        async with http_server() as (server, sender):
            server.answers = [web.Response(status=302, headers={"Location": server.url})]
            error = await failure(sender, server.url)
            assert (error.code, error.retryable) == ("302", False)
            assert "not followed" in error.message
            assert len(server.requests) == 1

    run(body)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "99999999999999999999"}, 86400.0),
        ({"Retry-After": "Tue, 01 Jan 2030 09:01:00 GMT", "Date": "Tue, 01 Jan 2030 09:00:00 GMT"}, 60.0),
        ({"Retry-After": "Tue, 01 Jan 2030 08:00:00 GMT", "Date": "Tue, 01 Jan 2030 09:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
def test_what_the_server_asks_for_with_retry_after_is_told(headers: dict[str, str], seconds: float | None) -> None:
    async def body() -> None:
        async with http_server() as (server, sender):
            server.answers = [web.Response(status=503, headers=headers)]
            assert (await failure(sender, server.url)).retry_after == seconds

    run(body)


def test_a_server_that_is_away_is_retryable_and_gets_the_request_when_it_is_back() -> None:
    async def body() -> None:
        async with http_server() as (server, sender):
            await sender.send(server.url, "POST", {}, b"1", "delivery-1")
            await server.stop()
            error = await failure(sender, server.url)
            assert (error.code, error.retryable) == ("ConnectionError", True)
            await server.start()
            await sender.send(server.url, "POST", {}, b"2", "delivery-1")
            assert [content for *_, content in server.requests] == [b"1", b"2"]

    run(body)


def test_a_server_that_drops_the_connection_is_retryable() -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def body() -> None:
        async with http_server() as (server, sender):
            server.answers = [drop]
            error = await failure(sender, server.url)
            assert (error.code, error.retryable) == ("ConnectionError", True)

    run(body)


def test_a_server_that_does_not_answer_is_given_up_for_now() -> None:
    async def body() -> None:
        released = asyncio.Event()

        async def wait(request: web.Request) -> web.StreamResponse:
            await released.wait()
            return web.Response()

        async with http_server(timeout_seconds=0.05) as (server, sender):
            server.answers = [wait]
            error = await failure(sender, server.url)
            released.set()
            assert (error.code, error.retryable) == ("Timeout", True)

    run(body)


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async def pour(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=pour_status[0])
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"x" * 65536)
        return response

    pour_status = [200]

    async def body() -> None:
        async with http_server() as (server, sender):
            server.answers = [pour, pour]
            await sender.send(server.url, "POST", {}, b"", "delivery-1")
            pour_status[0] = 500
            error = await failure(sender, server.url)
            assert (error.code, error.retryable) == ("500", True)
            assert len(error.message) < 600

    run(body)


def test_connections_are_kept_between_requests() -> None:
    async def body() -> None:
        ports = set()

        async def remember(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            ports.add(request.transport.get_extra_info("peername")[1])
            return web.Response(text="ok")

        async with http_server() as (server, sender):
            server.answers = [remember] * 5
            for number in range(5):
                await sender.send(server.url, "POST", {}, b"", f"delivery-{number}")
            assert len(ports) == 1

    run(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: b"),
        ("X-A", "a\nb"),
        ("X-A", "a\0b"),
        ("X-A\r\nX-B", "b"),
        ("X A", "b"),
        ("", "b"),
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
    ],
)
def test_a_header_that_would_break_the_request_is_refused_before_it_is_sent(name: str, value: str) -> None:
    async def body() -> None:
        async with http_server() as (server, sender):
            error = await failure(sender, server.url, **{name: value})
            assert (error.code, error.retryable) == ("InvalidHeader", False)
            assert server.requests == []

    run(body)


@pytest.mark.parametrize("url", ["", "ftp://example.com/", "file:///etc/passwd", "http://", "/hook", "http://[::1"])
def test_what_is_no_http_url_is_refused_for_good(url: str) -> None:
    async def body() -> None:
        async with http_server() as (_, sender):
            error = await failure(sender, url)
            assert (error.code, error.retryable) == ("InvalidUrl", False)

    run(body)


def test_what_is_no_method_is_refused_for_good() -> None:
    async def body() -> None:
        async with http_server() as (server, sender):
            error = await failure(sender, server.url, method="GET / HTTP/1.1\r\nX: y")
            assert not error.retryable
            assert server.requests == []

    run(body)
