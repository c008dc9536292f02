"""A contender with a store of its own, ready to be measured: jobs are made, carried out, and what carries them out killed."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from load import Load, ask, write
from server import HOST, MESSAGES, Process, cpu_seconds, reading, up, wait_for, wait_until_planned

from duestream.clock import SystemClock

AGENTS = Path(__file__).parent / "agents"
LINE_BYTES = 41
START_SECONDS = 30
QUEUE = "reminders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What to make: job `n` is due at `due_at_ms + n * step_ms`.

    Args:
        at_once: by so many threads or connections.
        bulk: many in one call where the contender has one.
        limit_seconds: no more are made afterwards.
    """

    count: int
    due_at_ms: int
    step_ms: float = 0
    at_once: int = 16
    bulk: bool = False
    limit_seconds: float = 60


@dataclass(frozen=True, slots=True)
class Created:
    """How many were made, in what time."""

    count: int
    seconds: float

    @property
    def per_second(self) -> float:
        """The rate."""
        return self.count / self.seconds


@dataclass(frozen=True, slots=True)
class Ran:
    """A job's effect: one line of its notes."""

    number: int
    due_at_ms: int
    ran_at_ms: float


class Site:
    """One contender's store, jobs and worker. Ends everything that it started."""

    def __init__(self, folder: Path, agent: Sequence[str], spec: dict[str, Any]) -> None:
        self.folder = folder
        self.notes = folder / "notes.txt"
        self._agent = list(agent)
        self._spec = {"folder": str(folder), "notes": str(self.notes), "stalled_seconds": 5, **spec}
        self._errors: IO[str] = (folder / "agent.log").open("w+")
        self._worker: subprocess.Popen[str] | None = None
        #: Processes that belong to it beside the worker: a database server.
        self.services: list[int] = []

    def create(self, jobs: Jobs) -> Created:
        """Make them.

        Raises:
            RuntimeError: the agent did not; with what it said.
        """
        spec = {name: getattr(jobs, name) for name in Jobs.__slots__}
        process = self._start("create", spec)
        said = _all_said(process, jobs.limit_seconds + START_SECONDS)
        if process.wait() != 0:
            raise RuntimeError(f"making jobs failed: {self._said()}")
        return Created(**json.loads(said.splitlines()[-1]))

    def start(self) -> None:
        """Carry jobs out from now on."""
        self._worker = self._start("work", {})
        assert self._worker.stdout is not None
        watchdog = threading.Timer(START_SECONDS, self._worker.kill)
        watchdog.start()
        said = self._worker.stdout.readline()
        watchdog.cancel()
        if said != "READY\n":
            raise RuntimeError(f"the worker did not start: {self._said()}")
        threading.Thread(target=self._worker.stdout.read, daemon=True).start()

    def kill(self) -> None:
        """SIGKILL to what carries out jobs. Safe to repeat."""
        if self._worker is not None and self._worker.poll() is None:
            self._worker.kill()
            self._worker.wait()

    def restart(self) -> None:
        """After `kill`."""
        self.start()

    def done(self) -> int:
        """How many jobs have been delivered so far."""
        return self.noted()

    def noted(self) -> int:
        """How many effects there are so far."""
        return self.notes.stat().st_size // LINE_BYTES if self.notes.exists() else 0

    def ran(self) -> list[Ran]:
        """All effects."""
        if not self.notes.exists():
            return []
        lines = (line.split() for line in self.notes.read_text().splitlines())
        return [Ran(int(number), int(due), float(at)) for number, due, at in lines]

    def lost_and_doubled(self, count: int) -> tuple[int, int]:
        """How many of so many jobs have no effect, and how many effects there are too many."""
        times = Counter(ran.number for ran in self.ran())
        return count - len(times), sum(times.values()) - len(times)

    def in_store_ms(self) -> list[float] | None:
        """Lateness as the store has it, where that is another moment than the effect's."""
        return None

    def pids(self) -> list[int]:
        """What is measured: processes that must be there for jobs to be carried out."""
        found = list(self.services)
        if self._worker is not None and self._worker.poll() is None:
            found.append(self._worker.pid)
        return [pid for one in found for pid in family(one)]

    def close(self) -> None:
        """End what was started here."""
        self.kill()
        self._errors.close()

    def _start(self, what: str, spec: dict[str, Any]) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*self._agent, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({**self._spec, **spec}))
        process.stdin.close()
        return process

    def _said(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1][:300] if lines else "nothing was said"


class DuestreamSite(Site):
    """`duestream up`: its Scheduler API, or PutItem with a rule watching; the agent only receives."""

    def __init__(self, folder: Path, *, by_rules: bool) -> None:
        self._by_rules, self._port = by_rules, free_port()
        super().__init__(folder, [sys.executable, str(AGENTS / "aws_agent.py")], {"port": self._port})
        self._server = self._serve()
        ask(self._port, "AmazonSQS.CreateQueue", json.dumps({"QueueName": QUEUE}))

    def _serve(self) -> Process:
        command = up(MESSAGES, self.folder)
        command[command.index("--port") + 1] = str(self._port)
        return Process(command, self.folder / "server.log")

    def create(self, jobs: Jobs) -> Created:
        """By the agent, or, with rules, by the client of the other benchmarks: until all is planned."""
        if not self._by_rules:
            return super().create(jobs)
        begun_ms = SystemClock().now_ms()
        load = Load(port=self._port, connections=64 if jobs.bulk else jobs.at_once, count=jobs.count, due_at_ms=0)
        load.due_at_ms = jobs.due_at_ms
        if jobs.step_ms:
            load.due_steps, load.due_step_ms = jobs.count, int(jobs.step_ms)
        count = write(load).answered
        wait_until_planned(self.folder)
        return Created(count, (SystemClock().now_ms() - begun_ms) / 1000)

    def kill(self) -> None:
        """The server: it holds the store, and delivers."""
        self._server.kill()

    def restart(self) -> None:
        self._server = self._serve()

    def done(self) -> int:
        with reading(self.folder) as connection:
            return int(connection.execute("SELECT count(*) FROM message").get)

    def lost_and_doubled(self, count: int) -> tuple[int, int]:
        """In the queue: the consumer may have been cut off in the middle of an answer."""
        with reading(self.folder) as connection:
            messages, bodies = connection.execute("SELECT count(*), count(DISTINCT body) FROM message").get
        return count - bodies, messages - bodies

    def in_store_ms(self) -> list[float]:
        with reading(self.folder) as connection:
            rows = connection.execute("SELECT ended_at_ms - due_at_ms FROM outcome WHERE kind = 'delivered'")
            return [float(late_ms) for (late_ms,) in rows]

    def pids(self) -> list[int]:
        return family(self._server.pid)

    def close(self) -> None:
        self._server.kill()
        super().kill()
        super().close()


class MinistackSite(Site):
    """ministack: the same API and the same agent."""

    def __init__(self, folder: Path, command: Path) -> None:
        self._port, self._command = free_port(), command
        super().__init__(folder, [sys.executable, str(AGENTS / "aws_agent.py")], {"port": self._port})
        self._log: IO[str] = (folder / "server.log").open("w")
        self._serve()

    def _serve(self) -> None:
        environ = {**os.environ, "GATEWAY_PORT": str(self._port)}
        environ["PATH"] = f"{self._command.parent}{os.pathsep}{environ['PATH']}"
        self._server = subprocess.Popen(
            [str(self._command)], stdout=self._log, stderr=self._log, env=environ, cwd=self.folder
        )
        wait_for(lambda: listens(self._port), START_SECONDS, "ministack does not listen", every_seconds=0.1)
        ask(self._port, "AmazonSQS.CreateQueue", json.dumps({"QueueName": QUEUE}))

    def kill(self) -> None:
        """The server: it holds everything."""
        if self._server.poll() is None:
            self._server.kill()
            self._server.wait()

    def restart(self) -> None:
        self._serve()

    def pids(self) -> list[int]:
        return family(self._server.pid)

    def close(self) -> None:
        self.kill()
        super().kill()
        super().close()
        self._log.close()


# Processes --------------------------------------------------------------------------------------------


def _all_said(process: "subprocess.Popen[str]", timeout_seconds: float) -> str:
    """What it says until it ends, which it does in this time at the latest."""
    assert process.stdout is not None
    watchdog = threading.Timer(timeout_seconds, process.kill)
    watchdog.start()
    try:
        return process.stdout.read()
    finally:
        watchdog.cancel()
        process.stdout.close()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def memory_mib(pids: Sequence[int]) -> float:
    """Resident memory; pages that several of them share count once (PSS)."""
    kib = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib / 1024


def cpu_of(pids: Sequence[int]) -> float:
    """CPU seconds so far, of those that are still there."""
    return sum(cpu_seconds(pid) for pid in pids if Path(f"/proc/{pid}").exists())
