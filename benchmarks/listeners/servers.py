"""One contender's server: the same routing, codecs, checks, services and store behind one of four HTTP listeners.

    python benchmarks/listeners/servers.py {own,uvicorn,granian,aiohttp} PORT FOLDER

Says READY on stdout once it answers.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import uvloop

from duestream.core.schedule import Place
from duestream.local.engine.endpoints import Endpoints
from duestream.local.engine.engine import Engine
from duestream.local.guard import Guard
from duestream.local.listener import Listener
from duestream.local.operations import SERVICES
from duestream.local.server import LocalServer, Settings
from duestream.local.store.store import Store
from duestream.local.wire.http import HttpRequest, HttpResponse


def opened(port: int, folder: str) -> LocalServer:
    """A local server whose store is open, and which has no port of its own."""
    server = LocalServer(Settings(data=Path(folder), port=port))
    server.port = port
    server._store = Store.open(Path(folder))  # noqa: SLF001 - the listener is what is exchanged here
    server._guard = Guard("127.0.0.1", port, (), has_credentials=False)  # noqa: SLF001
    endpoints = Endpoints(server.settings.forwarding, SERVICES)
    server._engine = Engine(  # noqa: SLF001 - it is asked which services are elsewhere, and not started
        server.store, server.settings.clock, Place(), app=None, smtp=None, endpoints=endpoints
    )
    return server


def own(port: int, folder: str) -> None:
    async def serve() -> None:
        server = opened(port, folder)
        listener = Listener(server.answer, server.settings.clock)
        await listener.bind("127.0.0.1", port)
        await listener.start()
        print("READY", flush=True)
        await asyncio.Event().wait()

    uvloop.run(serve())


def uvicorn(port: int, folder: str) -> None:
    import uvicorn as listener  # noqa: PLC0415 - each contender loads only its own

    servers: list[LocalServer] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = HttpRequest(
            scope["method"], scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1"), headers, body
        )
        response = await servers[0].answer(request)
        head = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
        head.append((b"content-length", str(len(response.body)).encode("latin-1")))
        await send({"type": "http.response.start", "status": response.status, "headers": head})
        await send({"type": "http.response.body", "body": response.body})

    config = listener.Config(
        app, port=port, http="httptools", loop="uvloop", lifespan="off", access_log=False, log_level="error"
    )

    async def serve() -> None:
        servers.append(opened(port, folder))
        print("READY", flush=True)
        await listener.Server(config).serve()

    uvloop.run(serve())


def aiohttp(port: int, folder: str) -> None:
    from aiohttp import web  # noqa: PLC0415 - as above

    async def serve() -> None:
        server = opened(port, folder)

        async def answer(asked: web.BaseRequest) -> web.StreamResponse:
            headers = {name.lower(): value for name, value in asked.headers.items()}
            path, _, query = asked.raw_path.partition("?")
            response = await server.answer(HttpRequest(asked.method, path, query, headers, await asked.read()))
            return web.Response(status=response.status, headers=response.headers, body=response.body)

        runner = web.ServerRunner(web.Server(answer, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print("READY", flush=True)
        await asyncio.Event().wait()

    uvloop.run(serve())


class RsgiApp:
    """granian imports it in its worker, by the name `app` below."""

    def __init__(self) -> None:
        self._server: LocalServer | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        async def start() -> None:
            self._server = opened(int(os.environ["BENCH_PORT"]), os.environ["BENCH_FOLDER"])

        loop.run_until_complete(start())
        print("READY", flush=True)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        assert self._server is not None
        headers = dict(scope.headers.items())
        request = HttpRequest(scope.method, scope.path, scope.query_string, headers, await protocol())
        response: HttpResponse = await self._server.answer(request)
        protocol.response_bytes(response.status, list(response.headers.items()), response.body)


app = RsgiApp()


def granian(port: int, folder: str) -> None:
    from granian import Granian  # noqa: PLC0415 - as above
    from granian.constants import Interfaces, Loops  # noqa: PLC0415 - as above

    os.environ.update(BENCH_PORT=str(port), BENCH_FOLDER=folder)
    sys.path.insert(0, str(Path(__file__).parent))
    Granian(
        "servers:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        workers=1,
        log_enabled=False,
    ).serve()


CONTENDERS = {"own": own, "uvicorn": uvicorn, "granian": granian, "aiohttp": aiohttp}

if __name__ == "__main__":
    CONTENDERS[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
