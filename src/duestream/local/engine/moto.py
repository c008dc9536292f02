"""moto's server beside ours: started with the first call that needs it, ended with us."""

import asyncio
import logging
import sys
from contextlib import suppress
from importlib.util import find_spec

from duestream.errors import DeliveryError

logger = logging.getLogger(__name__)

START_SECONDS = 60.0
STOP_SECONDS = 5.0


def is_installed() -> bool:
    """Whether moto's server can be started: the extra ``duestream[moto]``."""
    return find_spec("moto") is not None and find_spec("flask") is not None


class MotoServer:
    """One process, started on demand; all that it holds goes with it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._url = ""
        self._drains: list[asyncio.Task[None]] = []
        self._closed = False

    async def url(self, tasks_port: int | None) -> str:
        """Where it is; starts it first where it is not running (any more).

        Args:
            tasks_port: where on this machine the tasks of state machines find the other services; None: in moto.

        Raises:
            DeliveryError: it does not start.
        """
        async with self._starting:
            if self._closed:
                raise DeliveryError("MotoStopped", "moto's server is being stopped", retryable=True)
            if self._process is None or self._process.returncode is not None:
                await self._start(tasks_port)
            return self._url

    async def close(self) -> None:
        """End it; safe to repeat."""
        async with self._starting:
            self._closed = True
            await self._end()

    async def _start(self, tasks_port: int | None) -> None:
        await self._end()
        arguments = [] if tasks_port is None else [str(tasks_port)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "duestream.local.engine.moto_child",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us; we end it
        )
        self._process = process
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        except TimeoutError:
            line = b""
        if not line.strip().isdigit():
            with suppress(ProcessLookupError):
                process.kill()
            said = (await process.stderr.read())[-500:].decode("utf-8", "replace").strip()
            await process.wait()
            raise DeliveryError("MotoNotStarted", f"moto's server does not start: {said}", retryable=True)
        self._url = f"http://127.0.0.1:{int(line)}"
        # Read on, lest it stands still over a full pipe.
        loop = asyncio.get_running_loop()
        self._drains = [loop.create_task(_drain(stream)) for stream in (process.stdout, process.stderr)]
        logger.warning(
            "moto's server is started: what it holds is in memory only", extra={"action": "moto", "url": self._url}
        )

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        for task in self._drains:
            task.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)
        self._drains = []


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass
