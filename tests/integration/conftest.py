"""A running local server, and the clients that talk to it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config

from duestream.clock import ManualClock
from duestream.local.server import LocalServer, Settings

T = TypeVar("T")

REGION = "eu-central-1"
START = datetime(2030, 1, 1, 9, 0, tzinfo=UTC)


@dataclass
class RunningServer:
    """A server in a thread of its own, and boto3 clients for it."""

    local: LocalServer
    loop: asyncio.AbstractEventLoop

    @property
    def endpoint_url(self) -> str:
        return self.local.endpoint_url

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the server's loop: the store and the clock are at home there."""

        async def run() -> T:
            return function()

        return self.run(run())

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client; `options` go to `boto3.client`."""
        settings = {
            "endpoint_url": self.endpoint_url,
            "region_name": REGION,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "config": Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=30),
        }
        return boto3.client(service, **(settings | options))


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Start servers: `start_server(clock=..., credentials=...)` takes what Settings takes, and an `app`. All are stopped at the
    end; stopping one before is fine."""
    running: list[tuple[RunningServer, threading.Thread]] = []

    def start(**settings: Any) -> RunningServer:
        folder = settings.pop("data", tmp_path / f"data-{len(running)}")
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="local-server", daemon=True)
        thread.start()
        app = settings.pop("app", None)
        server = RunningServer(LocalServer(Settings(**{"data": folder, "port": 0, **settings}), app), loop)
        running.append((server, thread))
        server.run(server.local.start())
        return server

    yield start
    for server, thread in running:
        try:
            server.run(server.local.stop())
        finally:
            server.loop.call_soon_threadsafe(server.loop.stop)
            thread.join(10)
            server.loop.close()


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    """A server on the machine's clock."""
    return start_server()


@pytest.fixture
def clock() -> ManualClock:
    """The clock of `manual_server`; move it with `manual_server.call(lambda: clock.tick(...))`."""
    return ManualClock(START)


@pytest.fixture
def manual_server(start_server: Callable[..., RunningServer], clock: ManualClock) -> RunningServer:
    """A server whose clock moves only when told to."""
    return start_server(clock=clock)
