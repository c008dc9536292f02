"""What each contender goes through: every operation at some connections, many items, and a kill."""

import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import requester
from operations import ITEMS_A_BATCH, ITEMS_A_PARTITION, Population
from requester import Load, Loaded
from servers import Contender, Installed, Server, install, running

OPERATIONS = ("PutItem", "GetItem", "UpdateItem", "Query", "BatchWriteItem")
#: Number of the first batch: its items have not been put one by one.
FIRST_BATCH = 1_000_000
#: What may go wrong with a server; it is shown, and the rest goes on.
PROBLEMS = (RuntimeError, OSError, subprocess.SubprocessError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much is measured.

    Args:
        seconds, warm_seconds: of each operation at each number of connections, and of what goes before.
        many: items with which memory is read, put within `fill_seconds` or left at fewer.
        kill_after_seconds: of writing at 16 connections.
    """

    connections: tuple[int, ...] = (1, 16, 64)
    seconds: float = 2.5
    warm_seconds: float = 0.4
    many: int = 100_000
    fill_seconds: float = 60.0
    kill_after_seconds: float = 2.0
    population: Population = field(default_factory=lambda: Population(partitions=1_000, text_bytes=900))


QUICK = Counts(
    connections=(1, 16),
    seconds=0.3,
    warm_seconds=0.1,
    many=5_000,
    fill_seconds=15.0,
    kill_after_seconds=0.5,
    population=Population(partitions=100, text_bytes=900),
)


@dataclass(slots=True)
class Found:
    """What came of one contender; problems stand where numbers would."""

    name: str
    keeps: str
    version: str = ""
    #: By operation and connections.
    loads: dict[tuple[str, int], Loaded | str] = field(default_factory=dict)
    empty_mib: float | None = None
    many_items: int | None = None
    many_mib: float | None = None
    fill_seconds: float | None = None
    acknowledged: int | None = None
    left: int | None = None
    problems: list[str] = field(default_factory=list)


def measure(contender: Contender, folder: Path, cache: Path, counts: Counts, *, with_stream: bool) -> Found:
    """Everything of one contender, one step after another."""
    found = Found(contender.name, contender.keeps)
    has_stream = with_stream and contender.has_streams
    try:
        installed = install(contender, cache)
        found.version = installed.version
        with running(installed, folder / "operations") as server:
            _operations(found, server, counts, with_stream=has_stream)
    except PROBLEMS as error:
        found.problems.append(_said(error))
        return found
    try:
        _many_and_kill(found, installed, folder / "many", counts, with_stream=has_stream)
    except PROBLEMS as error:
        found.problems.append(_said(error))
    return found


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def _operations(found: Found, server: Server, counts: Counts, *, with_stream: bool) -> None:
    server.create_table(with_stream=with_stream)
    population = counts.population
    load = Load(port=server.port, operation="PutItem of old", connections=4, population=population)
    load.count = population.partitions * ITEMS_A_PARTITION
    put = requester.carry_out(load)
    if put.answered < load.count:
        raise RuntimeError(f"PutItem: {put.problem}")
    for operation in OPERATIONS:
        first = FIRST_BATCH if operation == "BatchWriteItem" else 0
        for connections in counts.connections:
            load = Load(port=server.port, operation=operation, connections=connections, population=population)
            load.first, load.seconds = first, counts.warm_seconds
            try:
                load.first = requester.carry_out(load).next
                load.seconds = counts.seconds
                loaded = requester.carry_out(load)
            except PROBLEMS as error:
                found.loads[operation, connections] = _said(error)
                continue
            first = loaded.next
            found.loads[operation, connections] = loaded if loaded.answered else str(loaded.problem)[:200]


def _many_and_kill(found: Found, installed: Installed, folder: Path, counts: Counts, *, with_stream: bool) -> None:
    """Memory with nothing and with many items; then a kill in the middle of writes, and what is there afterwards."""
    with running(installed, folder) as server:
        server.create_table(with_stream=with_stream)
        found.empty_mib = server.memory_mib()
        filled = _fill(server, counts)
        found.many_items, found.fill_seconds = filled.answered * ITEMS_A_BATCH, filled.seconds
        found.many_mib = server.memory_mib()
        first = filled.next * ITEMS_A_BATCH
        load = Load(port=server.port, operation="PutItem", connections=16, population=counts.population, first=first)
        load.keeps_numbers = load.may_break = True
        load.seconds = counts.kill_after_seconds + 30
        client = requester.begin(load)
        threading.Event().wait(counts.kill_after_seconds)
        server.kill()
        written = requester.end(client)
        acknowledged = {*written.numbers, *range(found.many_items)}
        found.acknowledged = len(acknowledged)
        server.start()
        found.left = 0 if not server.has_table() else len(acknowledged & _there(server, counts, written.next))


def _fill(server: Server, counts: Counts) -> Loaded:
    """Many items; fewer if time runs out.

    Raises:
        RuntimeError: some were refused.
    """
    load = Load(port=server.port, operation="BatchWriteItem", connections=16, population=counts.population)
    load.count, load.seconds = counts.many // ITEMS_A_BATCH, counts.fill_seconds
    filled = requester.carry_out(load)
    if filled.refused:
        raise RuntimeError(f"BatchWriteItem: {filled.problem}")
    return filled


def _there(server: Server, counts: Counts, end: int) -> set[int]:
    """Numbers of the new items that GetItem finds."""
    load = Load(port=server.port, operation="GetItem of new", connections=16, population=counts.population)
    load.count, load.keeps_numbers = end, True
    return set(requester.carry_out(load).numbers)
