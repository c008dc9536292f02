"""`duestream up` as a process of its own, for the demo."""

import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from duestream.errors import Error

READY = "duestream is ready on "
START_SECONDS = 30
STOP_SECONDS = 20
#: What is shown of the server's words if it does not start.
MAX_TOLD_LINES = 20


class StartError(Error):
    """The demo's server did not start."""


@contextmanager
def serving(rules: Path, data: Path) -> Iterator[str]:
    """A server with these rules, on a free port of this machine, for as long as the context lasts; its URL.

    Raises:
        StartError: it did not get ready; with what it said.
    """
    # Options, not the reader's environment, decide how the demo runs.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DUESTREAM_")}
    command = [sys.executable, "-m", "duestream.cli", "up", str(rules), "--port", "0", "--data", str(data)]
    # In a session of its own, so that Ctrl-C comes to the demo alone, which then stops it.
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield _ready_url(process.stdout)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _ready_url(stdout: IO[str]) -> str:
    """Read until the server is ready, and go on reading, so that it is never held up by us."""
    ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    said: deque[str] = deque(maxlen=MAX_TOLD_LINES)

    def read() -> None:
        try:
            for line in stdout:
                said.append(line)
                if line.startswith(READY):
                    ready.put(line.removeprefix(READY).strip())
        except ValueError:
            return  # closed under our hands: the demo is over
        ready.put(None)

    threading.Thread(target=read, name="demo-reader", daemon=True).start()
    try:
        url = ready.get(timeout=START_SECONDS)
    except queue.Empty:
        url = None
    if url is None:
        raise StartError(f"the server did not start. It said:\n{''.join(said).rstrip()}")
    return url
