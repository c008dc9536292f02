"""Servers that are looked at from inside. Each says where it is as `duestream up` does, and ends with Ctrl-C.

python benchmarks/inner.py echo             our listener, answering `{}` to everything
python benchmarks/inner.py stored APP DATA NOTES
                                            `duestream up APP --data DATA`, which notes in the file NOTES when
                                            each schedule was stored: `[[row id, CLOCK_MONOTONIC in ns], ...]`
"""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic_ns

import uvloop
from server import READY

from duestream.cli import up
from duestream.clock import SystemClock
from duestream.local.listener import Listener
from duestream.local.server import LocalServer, Settings
from duestream.local.store.writer import Announcement, ScheduleChanged
from duestream.local.wire.http import HttpRequest, HttpResponse

STORED: list[tuple[int, int]] = []


class NotingServer(LocalServer):
    """A local server that listens to its own store."""

    async def start(self) -> None:
        await super().start()
        self.store.listen(_note)


def _note(announcements: Sequence[Announcement]) -> None:
    """Called on the loop right after the commit."""
    now_ns = monotonic_ns()
    STORED.extend((change.schedule_id, now_ns) for change in announcements if isinstance(change, ScheduleChanged))


def stored(app: str, data: str, notes: str) -> None:
    """Serve, and note."""
    up.LocalServer = NotingServer  # type: ignore[misc]  # everything else stays as it is in the command
    up.serve(Settings(data=Path(data), port=0), app, as_json=False)
    Path(notes).write_text(json.dumps(STORED))


def echo() -> None:
    """Serve without a service."""
    response = HttpResponse(200, b"{}", {"Content-Type": "application/x-amz-json-1.0"})

    async def answer(request: HttpRequest) -> HttpResponse:
        return response

    async def serve() -> None:
        told_to_stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, told_to_stop.set)
        listener = Listener(answer, SystemClock())
        port = await listener.bind("127.0.0.1", 0)
        await listener.start()
        print(f"{READY}http://127.0.0.1:{port}", flush=True)
        await told_to_stop.wait()
        await listener.stop(1.0)

    uvloop.run(serve())


if __name__ == "__main__":
    {"echo": echo, "stored": stored}[sys.argv[1]](*sys.argv[2:])
