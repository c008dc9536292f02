"""Planning again leads to the same schedules: a repeated batch is harmless (SEMANTICS.md F10)."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.simulation.rules import APP, TABLE, make_app
from tests.unit.local.engine.bench import Bench, at, bench

from duestream import Due
from duestream.local.engine import poller
from duestream.local.store import streams


def _review(_item: dict[str, Any], _due: Due) -> None:
    """Nothing is delivered here."""


def _moment(chance: random.Random, *, ahead: bool) -> str:
    """Few moments, so that items come back to one that they had before."""
    return (
        "tomorrow, perhaps"
        if chance.random() < 0.1
        else at(minutes=chance.choice((2, 5, 9) if ahead else (-20, -1, 2, 5)))
    )


async def _write(b: Bench, chance: random.Random, *, ahead: bool) -> None:
    key = {"PK": chance.choice("ab"), "SK": chance.choice("12")}
    if chance.random() < 0.2:
        await b.delete(TABLE, **key)
        return
    due = {name: _moment(chance, ahead=ahead) for name in ("A", "B", "C", "EXPIRES") if chance.random() < 0.7}
    text = chance.choice(("x", "y", "raise"))
    await b.put(TABLE, **key, **due, TEXT=text, COUNT=chance.randrange(4), KIND=chance.choice(("loud", "quiet")))


def _schedules(b: Bench) -> list[Any]:
    query = "SELECT name, due_at_ms, attempt_at_ms, attempts, state, body FROM schedule ORDER BY name"
    return b.store.reader.execute(query).fetchall()


async def _plan(b: Bench, from_sequence: int, sizes: list[int]) -> None:
    """Plan everything from there, in batches of these sizes, and then of the last one."""
    await b.store.write(lambda tx: streams.set_checkpoint(tx, APP, from_sequence))
    planning = b.engine._poller
    assert planning is not None
    planning.planned_through = planning._written = from_sequence  # as a new process reads it from the checkpoint
    for size in [*sizes, *[sizes[-1]] * 200]:
        with mock.patch.object(poller, "BATCH_SIZE", size):
            if not await planning.run_once():
                break


async def _replay(folder: Path, seed: int, *, ahead: bool) -> None:
    chance = random.Random(seed)
    async with bench(folder, make_app(_review)) as b:
        for _ in range(30):
            await _write(b, chance, ahead=ahead)
        last = streams.last_sequence(b.store.reader)
        size = chance.choice((1, 2, 7, 1000))
        await _plan(b, 0, [size])
        planned = _schedules(b)
        assert planned
        for _ in range(4):
            # The same batches anew; where all is ahead, also any others from anywhere.
            first = chance.randrange(last + 1) if ahead else chance.randrange(0, last + 1, min(size, last))
            sizes = [chance.choice((1, 3, 11, 1000)) for _ in range(3)] if ahead else [size]
            await _plan(b, first, sizes)
            assert _schedules(b) == planned, (seed, first, sizes)


@pytest.mark.parametrize("seed", range(12))
def test_planning_again_from_an_earlier_checkpoint_changes_no_schedule(tmp_path: Path, seed: int) -> None:
    asyncio.run(_replay(tmp_path, seed, ahead=True))


@pytest.mark.parametrize("seed", range(12))
def test_carrying_out_a_batch_twice_is_carrying_it_out_once(tmp_path: Path, seed: int) -> None:
    asyncio.run(_replay(tmp_path, seed, ahead=False))


def test_a_checkpoint_that_is_lost_before_the_due_time_delivers_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, make_app(_review)) as b:
            await b.put(TABLE, PK="a", SK="1", A=at(minutes=2), TEXT="x", KIND="quiet")
            await b.settle()
            await _plan(b, 0, [1000])
            b.clock.tick(timedelta(minutes=2))
            await b.settle()
            assert [email.subject for email in b.emails()] == ["a/1 x"]

    asyncio.run(work())
