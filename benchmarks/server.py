"""`duestream up` as a process of its own, looked at from outside: through its port, /proc and its data folder."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, perf_counter
from typing import IO

import apsw

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
EMAILS, MESSAGES, NO_RULES = (HERE / "rules" / f"{name}.py" for name in ("emails", "messages", "none"))
READY = "duestream is ready on "
HOST = "127.0.0.1"


def pause(seconds: float) -> None:
    """Let so much time pass."""
    threading.Event().wait(seconds)


class Process:
    """A server that says on the first line of its stdout where it is. Its output is read and thrown away.

    Raises:
        RuntimeError: it did not start; with what it said.
    """

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        self._errors = errors.open("w+")
        self.started_at = perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        #: From starting the process to its first line.
        self.ready_seconds = perf_counter() - self.started_at
        if READY not in first:
            self.process.kill()
            self.process.wait()
            self._errors.seek(0)
            raise RuntimeError(f"{command} said {first!r}; {self._errors.read()[-2000:]}")
        self.port = int(first.strip().rpartition(":")[2])
        self._reader = threading.Thread(target=_throw_away, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the server."""
        return self.process.pid

    def stop(self) -> None:
        """Ctrl-C, and wait for the end.

        Raises:
            RuntimeError: it did not end with 0.
        """
        self.process.send_signal(signal.SIGINT)
        if self.process.wait(60) != 0:
            raise RuntimeError(f"the server ended with {self.process.returncode}")
        self._close()

    def kill(self) -> None:
        """SIGKILL. Safe to repeat."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._close()

    def _close(self) -> None:
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._errors.close()


def _throw_away(stream: IO[str]) -> None:
    for _ in stream:
        pass


@contextmanager
def running(command: Sequence[str], folder: Path) -> Iterator[Process]:
    """The server, killed at the end if it is still there."""
    folder.mkdir(parents=True, exist_ok=True)
    process = Process(command, folder / "stderr.log")
    try:
        yield process
    finally:
        process.kill()


def up(rules: Path, folder: Path) -> list[str]:
    """The command line of `duestream up`, on a free port."""
    return [str(BIN / "duestream"), "up", str(rules), "--port", "0", "--data", str(folder / "data")]


def health_seconds(process: Process) -> float:
    """From starting the process until its health page has answered."""
    connection = HTTPConnection(HOST, process.port, timeout=10)
    try:
        connection.request("GET", "/_duestream/health")
        if connection.getresponse().status != 200:
            raise RuntimeError("the health page does not answer with 200")
    finally:
        connection.close()
    return perf_counter() - process.started_at


# /proc ------------------------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    """What the process's threads have computed so far, in user and system mode (steps of 10 ms)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """The process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no VmRSS")


# The data folder --------------------------------------------------------------------------------------


@contextmanager
def reading(folder: Path) -> Iterator[apsw.Connection]:
    """The data folder's file, read beside the server, which does not mind: the file is in WAL mode."""
    connection = apsw.Connection(str(folder / "data" / "duestream.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(5000)
    try:
        yield connection
    finally:
        connection.close()


def unplanned(connection: apsw.Connection) -> int:
    """How many stream records are not planned yet."""
    return int(
        connection.execute(
            "SELECT coalesce((SELECT max(sequence) FROM stream_record), 0) - "
            "coalesce((SELECT max(sequence) FROM checkpoint), 0)"
        ).get
    )


def wait_until_planned(folder: Path, timeout_seconds: float = 120) -> int:
    """Wait until a schedule is stored for everything written; says how many records were left at first."""
    with reading(folder) as connection:
        left = unplanned(connection)
        wait_for(lambda: unplanned(connection) <= 0, timeout_seconds, "planning did not end")
    return left


def wait_for(condition: object, timeout_seconds: float, problem: str, every_seconds: float = 0.02) -> None:
    """Ask again and again.

    Raises:
        TimeoutError: the condition did not come about in time.
    """
    deadline = monotonic() + timeout_seconds
    while not condition():  # type: ignore[operator]
        if monotonic() > deadline:
            raise TimeoutError(problem)
        pause(every_seconds)
