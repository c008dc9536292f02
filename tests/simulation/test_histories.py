"""Seeded histories of the whole engine with faults, held against an independent checker.

Each seed draws a history (`history.draw`): writes, passes of the poller and the timer, ticks and jumps of the
clock, refusing disks, kills and power failures, in a drawn order down to the single COMMIT. `world` plays it,
`checker` judges it after each commit. The same seed gives the same history on every machine.

CI plays the first 40 seeds. To play more, name how many, a range, or single ones::

    DUESTREAM_SIMULATION_SEEDS=2000 pytest tests/simulation
    DUESTREAM_SIMULATION_SEEDS=5000-9000 pytest -n 2 tests/simulation
    DUESTREAM_SIMULATION_SEEDS=917,1203 pytest tests/simulation

A failure prints the seed, what must not be, and the history cut down to the steps that it takes, with what
happened at each. Tell it in `test_found.py` in a few lines, since a seed's history changes with the steps that
there are (docs/explanation/testing.md).
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from logging import CRITICAL, disable
from pathlib import Path

import pytest
from tests.simulation.history import Setting, Step, draw, shrink
from tests.simulation.look import Violation
from tests.simulation.world import World

CI_SEEDS = range(40)
SHRINK_TRIES = 200


def seeds(environment: Mapping[str, str]) -> list[int]:
    """Which seeds to play."""
    text = environment.get("DUESTREAM_SIMULATION_SEEDS", "")
    if not text:
        return list(CI_SEEDS)
    if text.isdigit():
        return list(range(int(text)))
    chosen: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        chosen += range(int(first), int(last or first) + 1)
    return chosen


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """The engine says a lot about the faults that it is given."""
    disable(CRITICAL)
    yield
    disable(0)


def play(setting: Setting, steps: Sequence[Step]) -> tuple[Violation | None, list[str]]:
    """One history from its beginning to its end: what must not be, if there was something, and what happened."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), setting)
        try:
            asyncio.run(world.live(steps))
        except Violation as violation:
            return violation, world.checker.trace
        return None, world.checker.trace


def explain(setting: Setting, steps: Sequence[Step], violation: Violation) -> str:
    """The shortest history that fails alike, with all that happened in it."""

    def fails(shorter: Sequence[Step]) -> bool:
        found, _ = play(setting, shorter)
        return found is not None and found.kind == violation.kind

    shortest = shrink(steps, fails, tries=SHRINK_TRIES)
    found, trace = play(setting, shortest)
    return "\n".join(
        [f"seed {setting.seed}: {violation}", f"cut down to {len(shortest)} steps, {setting}:", *trace, f"{found}"]
    )


@pytest.mark.parametrize("seed", seeds(os.environ))
def test_a_history_with_faults_loses_doubles_and_hurries_nothing(seed: int) -> None:
    setting, steps = draw(seed)
    violation, _ = play(setting, steps)
    if violation is not None:
        pytest.fail(explain(setting, steps, violation), pytrace=False)


@pytest.mark.parametrize("seed", [3, 7])
def test_the_same_seed_gives_the_same_history(seed: int) -> None:
    assert play(*draw(seed)) == play(*draw(seed))


def test_the_seeds_meet_what_they_are_meant_to_meet() -> None:
    traces = ["\n".join(play(*draw(seed))[1]) for seed in CI_SEEDS[:20]]
    for what, times in {
        "'delivered'": 60,
        "'dead_lettered'": 5,
        "  kill": 8,
        "  power": 8,
        "  commit refused": 4,
        "  call ": 20,
        " fails": 5,
        "  half ": 10,
    }.items():
        assert sum(trace.count(what) for trace in traces) >= times, what


def test_a_failing_history_is_cut_down_to_the_steps_that_it_takes() -> None:
    steps = [Step("work", number) for number in range(64)]
    needed = {Step("work", 5), Step("work", 40)}
    assert shrink(steps, lambda shorter: needed <= set(shorter), tries=200) == [Step("work", 5), Step("work", 40)]


def test_seeds_are_a_count_a_range_or_single_ones() -> None:
    assert seeds({"DUESTREAM_SIMULATION_SEEDS": "3"}) == [0, 1, 2]
    assert seeds({"DUESTREAM_SIMULATION_SEEDS": "5-7,9"}) == [5, 6, 7, 9]
    assert seeds({}) == list(CI_SEEDS)
