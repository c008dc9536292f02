"""The client: one process that writes items over raw HTTP connections, and costs little itself.

    echo '{"port": 8787, "connections": 16, "seconds": 2, ...}' | python benchmarks/load.py

Requests are put together from fixed bytes, answers are parsed by llhttp, and each connection is one asyncio
protocol. Says `BEGUN` on stdout once all connections stand, `ENDED` after the last answer, and then one JSON object.
"""

import asyncio
import json
import subprocess
import sys
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic_ns, process_time
from typing import Any

import httptools
import uvloop
from report import percentile

TABLE = "Appointment-Table"
#: A server that does not answer any more does not hold up the rest.
MAX_SECONDS = 300
SCOPE = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20300101/us-east-1/dynamodb/aws4_request, "
    f"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={'0' * 64}"
)
#: A prime: takes the items through all due times in an order that is not that of the writes.
SCATTER = 997


@dataclass(kw_only=True)
class Load:
    """What to write. Either so many items, or for so many seconds.

    Args:
        rate: items per second, sent whether or not earlier ones are answered; None: each connection sends its
            next one once it has its answer.
        first: number of the first item, so that loads do not meet.
        due_at_ms: when the first is due; the others are due up to `due_steps * due_step_ms` later, in no order.
        keeps_times: answer also when each was sent (CLOCK_MONOTONIC, which all processes share).
        may_break: the server is killed meanwhile; count what was acknowledged.
        reconnects: the server may close a connection after an answer, which is then opened anew.
    """

    port: int
    connections: int
    count: int | None = None
    seconds: float | None = None
    rate: float | None = None
    first: int = 0
    due_at_ms: int
    due_steps: int = 1
    due_step_ms: int = 0
    keeps_times: bool = False
    may_break: bool = False
    reconnects: bool = False


@dataclass(kw_only=True)
class Loaded:
    """What came of it; latencies are in milliseconds, from wanting to send to having the whole answer."""

    answered: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    #: What this client itself computed, in cores.
    client_cores: float
    sent_at_ns: list[int] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Items acknowledged per second."""
        return self.answered / self.seconds


class Requests:
    """PutItem as botocore would send it, put together from parts."""

    def __init__(self, load: Load) -> None:
        number, moment = "0" * 10, "2030-01-01T09:00:00.000Z"
        item = {
            "PK": {"S": f"patient#{number}"},
            "SK": {"S": "appointment#1"},
            "email": {"S": "someone@clinic.example"},
            "ATTR_1": {"S": "Bring your insurance card and the letter of your doctor."},
            "REMINDER_TIMESTAMP": {"S": moment},
        }
        body = json.dumps({"TableName": TABLE, "Item": item})
        head = request_head(load.port, "DynamoDB_20120810.PutItem", len(body))
        self._before, rest = (head + body.partition(number)[0]).encode(), body.partition(number)[2]
        self._between, _, self._after = (part.encode() for part in rest.partition(moment))
        steps = min(load.due_steps, load.count or load.due_steps)
        due = [load.due_at_ms + step * load.due_step_ms for step in range(steps)]
        self._moments = [_iso(due_at_ms) for due_at_ms in due]

    def get(self, number: int) -> bytes:
        """The request that puts this item."""
        return b"%b%010d%b%b%b" % (
            self._before,
            number,
            self._between,
            self._moments[number * SCATTER % len(self._moments)],
            self._after,
        )


def request_head(port: int, target: str, length: int) -> str:
    """What botocore sends ahead of a JSON body."""
    return (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: identity\r\nX-Amz-Target: {target}\r\n"
        "Content-Type: application/x-amz-json-1.0\r\n"
        "User-Agent: Boto3/1.44 md/Botocore#1.44 ua/2.1 os/linux md/arch#x86_64 lang/python#3.11\r\n"
        f"X-Amz-Date: 20300101T000000Z\r\nAuthorization: {SCOPE}\r\n"
        f"amz-sdk-invocation-id: 00000000-0000-0000-0000-000000000000\r\nContent-Length: {length}\r\n\r\n"
    )


def _iso(moment_ms: int) -> bytes:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


class Connection(asyncio.Protocol):
    """One keep-alive connection; asks one thing at a time."""

    def __init__(self, on_answer: Callable[["Connection"], None], on_end: Callable[[], None]) -> None:
        self.asked_at_ns = 0
        self.status = 0
        self.is_kept = True
        self._on_answer, self._on_end = on_answer, on_end
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes, asked_at_ns: int) -> None:
        """Send; the time counts from `asked_at_ns`."""
        self.asked_at_ns = asked_at_ns
        self._transport.write(request)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.is_kept = self._parser.should_keep_alive()
        self._on_answer(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_end()


class Client:
    """Carries out one load."""

    def __init__(self, load: Load) -> None:
        self._load, self._requests = load, Requests(load)
        self._next = load.first
        self._end = None if load.count is None else load.first + load.count
        self._ends_at_ns = 2**63
        self._took_ns = array("q")
        self._sent_at_ns: list[int] = []
        self._waiting: deque[int] = deque()
        self._idle: list[Connection] = []
        self._open = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._problem: str | None = None

    async def run(self) -> Loaded:
        """Connect, write, and say how it went.

        Raises:
            RuntimeError: a request was refused, or a connection ended.
        """
        load, loop = self._load, asyncio.get_running_loop()
        connections = [await self._connect() for _ in range(load.connections)]
        print("BEGUN", flush=True)
        begun_ns, cpu = monotonic_ns(), process_time()
        if load.seconds is not None:
            self._ends_at_ns = begun_ns + int(load.seconds * 1e9)
        if load.rate is None:
            for connection in connections:
                self._ask_next(connection)
        else:
            self._idle = connections
            self._pace(begun_ns, loop)
        async with asyncio.timeout(MAX_SECONDS):
            await self._over.wait()
        took, cpu = (monotonic_ns() - begun_ns) / 1e9, process_time() - cpu
        print("ENDED", flush=True)
        if self._problem is not None:
            raise RuntimeError(self._problem)
        took_ms = [took_ns / 1e6 for took_ns in self._took_ns] or [0.0]
        return Loaded(
            answered=len(self._took_ns),
            seconds=took,
            p50_ms=percentile(took_ms, 0.5),
            p99_ms=percentile(took_ms, 0.99),
            max_ms=max(took_ms),
            client_cores=cpu / took,
            sent_at_ns=self._sent_at_ns,
        )

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._answered, self._ended), "127.0.0.1", self._load.port
        )
        self._open += 1
        return connection

    async def _reconnect(self) -> None:
        try:
            self._ask_next(await self._connect())
        except OSError as error:
            self._problem = f"cannot connect again: {error}"
        self._open -= 1  # what `_answered` counted
        self._check_whether_over()

    def _take(self) -> int | None:
        """The number of the next item; None: there is no next."""
        if self._next == self._end or monotonic_ns() >= self._ends_at_ns:
            return None
        self._next += 1
        return self._next - 1

    def _ask_next(self, connection: Connection) -> None:
        number = self._take()
        if number is None:
            connection.close()
            return
        now_ns = monotonic_ns()
        if self._load.keeps_times:
            self._sent_at_ns.append(now_ns)
        connection.ask(self._requests.get(number), now_ns)

    def _pace(self, begun_ns: int, loop: asyncio.AbstractEventLoop) -> None:
        """Send what is to be sent by now, and come back for the next."""
        assert self._load.rate is not None
        now_ns = monotonic_ns()
        while True:
            next_at_ns = begun_ns + int((self._next - self._load.first) / self._load.rate * 1e9)
            if next_at_ns > now_ns:
                break
            number = self._take()
            if number is None:
                self._waiting.append(-1)
                self._close_idle()
                return
            self._sent_at_ns.append(now_ns)
            if self._idle:
                self._idle.pop().ask(self._requests.get(number), now_ns)
            else:
                self._waiting.append(number)
        loop.call_later((next_at_ns - now_ns) / 1e9, self._pace, begun_ns, loop)

    def _answered(self, connection: Connection) -> None:
        self._took_ns.append(monotonic_ns() - connection.asked_at_ns)
        if connection.status != 200:
            self._problem = f"a request was answered with {connection.status}"
            self._over.set()
        elif self._load.reconnects and not connection.is_kept:
            self._open += 1  # a place is kept for the one to come
            connection.close()
            self._opening.add(asyncio.get_running_loop().create_task(self._reconnect()))
        elif self._load.rate is None:
            self._ask_next(connection)
        elif self._waiting and self._waiting[0] >= 0:
            number = self._waiting.popleft()
            connection.ask(self._requests.get(number), self._sent_at_ns[number - self._load.first])
        else:
            self._idle.append(connection)
            self._close_idle()

    def _close_idle(self) -> None:
        """Once all is sent, connections are closed as they come back."""
        if self._waiting and self._waiting[0] < 0:
            while self._idle:
                self._idle.pop().close()

    def _ended(self) -> None:
        self._open -= 1
        may_end = self._load.may_break or self._load.reconnects
        asked_for_more = self._next != self._end and monotonic_ns() < self._ends_at_ns
        if asked_for_more and not may_end and self._problem is None:
            self._problem = "a connection ended in the middle of the load"
        self._check_whether_over()

    def _check_whether_over(self) -> None:
        if self._open == 0:
            self._over.set()


def ask(port: int, target: str, body: str) -> bytes:
    """One request of AWS's JSON protocols, answered.

    Raises:
        RuntimeError: not with 200.
    """
    lines = request_head(port, target, len(body)).split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in lines if line)
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        said = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"{target} was answered with {response.status} {said[:200]!r}")
    return said


def begin(load: Load) -> "subprocess.Popen[str]":
    """Start the client's process; returns when all connections stand."""
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


def await_last_answer(process: "subprocess.Popen[str]") -> None:
    """Return at the moment at which the client has its last answer."""
    assert process.stdout is not None
    process.stdout.readline()


def end(process: "subprocess.Popen[str]") -> Loaded:
    """Wait for what came of the load.

    Raises:
        RuntimeError: the client gave up; it has said why on stderr.
    """
    assert process.stdout is not None
    said = process.stdout.read().removeprefix("ENDED\n")
    process.stdout.close()
    if process.wait() != 0:
        raise RuntimeError("the client gave up; see above")
    return Loaded(**json.loads(said))


def write(load: Load) -> Loaded:
    """Carry out a load in a process of its own."""
    return end(begin(load))


def main() -> None:
    load = Load(**json.load(sys.stdin))
    print(json.dumps(asdict(uvloop.run(Client(load).run()))), flush=True)


if __name__ == "__main__":
    main()
