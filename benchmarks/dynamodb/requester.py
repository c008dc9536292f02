"""The client: one process that asks one operation over raw HTTP connections, and costs little itself.

    echo '{"port": 8787, "operation": "GetItem", "connections": 16, "seconds": 2, ...}' | python requester.py

Requests are put together from fixed bytes, answers are parsed by llhttp, and each connection is one asyncio
protocol that asks again once it has its answer. A server that closes connections after an answer (moto's does) is
connected to anew, and that counts as time. Says `BEGUN` on stdout once all connections stand, and then one JSON object.
"""

import asyncio
import json
import subprocess
import sys
from array import array
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic_ns, process_time
from typing import Any

sys.path.insert(1, str(Path(__file__).parents[1]))

import httptools
import uvloop
from operations import Population, Requests, expected_in
from report import percentile

#: A server that does not answer any more does not hold up the rest.
MAX_SECONDS = 120
HOST = "127.0.0.1"


@dataclass(kw_only=True)
class Load:
    """What to ask. So many requests, or for so many seconds, whichever ends first.

    Args:
        first: number of the first request.
        keeps_numbers: answer also which requests were acknowledged.
        may_break: the server is killed meanwhile; whoever loses its connection stops.
    """

    port: int
    operation: str
    connections: int
    population: Population
    count: int | None = None
    seconds: float | None = None
    first: int = 0
    keeps_numbers: bool = False
    may_break: bool = False


@dataclass(kw_only=True)
class Loaded:
    """What came of it; latencies are in milliseconds, from wanting to send to having the whole answer."""

    answered: int
    #: Answered with something else than 200, or without what was asked for; not among `answered`.
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    #: What this client itself computed, in cores.
    client_cores: float
    #: Number of the first request that was not asked.
    next: int
    #: The first answer that was refused.
    problem: str | None
    numbers: list[int] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Requests acknowledged per second."""
        return self.answered / self.seconds


class Connection(asyncio.Protocol):
    """One connection; asks one thing at a time."""

    def __init__(self, client: "Client", number: int | None, asked_at_ns: int) -> None:
        self._client, self.number, self.asked_at_ns = client, number, asked_at_ns
        self.body: list[bytes] = []
        self.parser: Any = httptools.HttpResponseParser(self)
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        if self.number is not None:
            self.transport.write(self._client.requests.get(self.number))

    def ask(self, number: int) -> None:
        """Send it; the time counts from now."""
        self.number, self.asked_at_ns = number, monotonic_ns()
        self.transport.write(self._client.requests.get(number))

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        self._client.answered(self)
        self.body.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lost(self)


class Client:
    """Carries out one load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.requests = Requests(load.operation, load.population, load.port)
        self._expected = expected_in(load.operation)
        self._next = load.first
        self._end = None if load.count is None else load.first + load.count
        self._ends_at_ns = 2**63
        self._took_ns = array("q")
        self._numbers: list[int] = []
        self._refused = 0
        self._problem: str | None = None
        self._open = load.connections
        self._connecting: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    async def run(self) -> Loaded:
        """Connect, ask, and say how it went.

        Raises:
            TimeoutError: the server does not answer any more.
        """
        connections = [await self._connect(None, 0) for _ in range(self._load.connections)]
        print("BEGUN", flush=True)
        begun_ns, cpu = monotonic_ns(), process_time()
        if self._load.seconds is not None:
            self._ends_at_ns = begun_ns + int(self._load.seconds * 1e9)
        for connection in connections:
            self._go_on(connection)
        async with asyncio.timeout(MAX_SECONDS):
            await self._over.wait()
        took, cpu = (monotonic_ns() - begun_ns) / 1e9, process_time() - cpu
        took_ms = [took_ns / 1e6 for took_ns in self._took_ns] or [0.0]
        return Loaded(
            answered=len(self._took_ns),
            refused=self._refused,
            seconds=took,
            p50_ms=percentile(took_ms, 0.5),
            p99_ms=percentile(took_ms, 0.99),
            client_cores=cpu / took,
            next=self._next,
            problem=self._problem,
            numbers=self._numbers,
        )

    async def _connect(self, number: int | None, asked_at_ns: int) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self, number, asked_at_ns), HOST, self._load.port
        )
        return connection

    async def _connect_again(self, number: int, asked_at_ns: int) -> None:
        try:
            await self._connect(number, asked_at_ns)
        except OSError as error:
            self._end_one(f"cannot connect again: {error}")

    def _take(self) -> int | None:
        """The number of the next request; None: there is no next."""
        if self._next == self._end or monotonic_ns() >= self._ends_at_ns:
            return None
        self._next += 1
        return self._next - 1

    def _go_on(self, connection: Connection) -> None:
        number = self._take()
        if number is None:
            connection.number = None
            connection.transport.close()
            self._end_one(None)
        else:
            connection.ask(number)

    def answered(self, connection: Connection) -> None:
        """Count an answer, and ask the next."""
        body, status = b"".join(connection.body), connection.parser.get_status_code()
        if status == 200 and self._expected in body:
            self._took_ns.append(monotonic_ns() - connection.asked_at_ns)
            if self._load.keeps_numbers and connection.number is not None:
                self._numbers.append(connection.number)
        else:
            self._refused += 1
            self._problem = self._problem or f"{status} {body[:200].decode('utf-8', 'replace')}"
        if connection.parser.should_keep_alive():
            self._go_on(connection)
            return
        connection.number = None
        connection.transport.close()
        number = self._take()
        if number is None:
            self._end_one(None)
            return
        task = asyncio.get_running_loop().create_task(self._connect_again(number, monotonic_ns()))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def lost(self, connection: Connection) -> None:
        """A connection has ended; a problem if an answer was still to come."""
        if connection.number is not None:
            self._end_one("a connection ended in the middle of the load")

    def _end_one(self, problem: str | None) -> None:
        if problem is not None and not self._load.may_break:
            self._problem = self._problem or problem
        self._open -= 1
        if self._open == 0:
            self._over.set()


def begin(load: Load) -> "subprocess.Popen[str]":
    """Start the client's process; returns when all connections stand.

    Raises:
        RuntimeError: they do not.
    """
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(asdict(load)))
    process.stdin.close()
    if process.stdout.readline() != "BEGUN\n":
        process.wait()
        raise RuntimeError("the client did not begin; see above")
    return process


def end(process: "subprocess.Popen[str]") -> Loaded:
    """Wait for what came of the load.

    Raises:
        RuntimeError: the client gave up; it has said why on stderr.
    """
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    if process.wait() != 0:
        raise RuntimeError("the client gave up; see above")
    return Loaded(**json.loads(said))


def carry_out(load: Load) -> Loaded:
    """Carry out a load in a process of its own."""
    return end(begin(load))


def main() -> None:
    said = json.load(sys.stdin)
    load = Load(**{**said, "population": Population(**said["population"])})
    print(json.dumps(asdict(uvloop.run(Client(load).run()))), flush=True)


if __name__ == "__main__":
    main()
