"""Histories: what is done to the engine, step by step, from a seed; and how a failing one is made short."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

STEPS = 110


class Step(NamedTuple):
    """One thing that is done. `a` and `b` are read by each kind of step in its own way (`World.act`)."""

    do: str
    a: int = 0
    b: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What holds for a whole history."""

    seed: int
    #: The engine's own loops run, and must wake by themselves; else the driver calls their passes.
    loops: bool
    #: Pages of the log after which it is folded back; few, so that crashes meet that as well.
    fold_pages: int
    #: Records in a batch, schedules in the timer's page, deliveries at a time: few, so that their ends are met.
    batch: int
    page: int
    started: int
    #: In a hundred: how often a target in the engine does its work and then fails.
    flaky: int


#: How often each step is drawn, before a history's own liking for it.
_WEIGHTS = {
    "write": 40,
    "work": 90,
    "poll": 20,
    "timer": 20,
    "tick": 16,
    "jump": 3,
    "back": 2,
    "fault": 3,
    "crash": 3,
    "stop": 1,
    "quiet": 4,
    "overtake": 8,
}


def draw(seed: int) -> tuple[Setting, list[Step]]:
    """A setting and its steps. Each history likes other steps (swarm testing), so that rare mixtures are met."""
    chance = random.Random(seed)
    faults = chance.random() < 0.5
    setting = Setting(
        seed=seed,
        loops=chance.random() < 0.4,
        fold_pages=chance.choice((5, 40, 4000)),
        batch=chance.choice((1, 2, 5, 1000)),
        page=chance.choice((1, 3, 2000)),
        started=chance.choice((1, 3, 512)),
        flaky=chance.choice((0, 0, 20)),
    )
    weights = {do: weight * chance.choice((0.3, 1, 1, 2)) for do, weight in _WEIGHTS.items()}
    if not faults:
        weights["fault"] = 0
    if chance.random() < 0.5:
        weights["back"] = 0
    dos = chance.choices(list(weights), list(weights.values()), k=STEPS)
    return setting, [Step(do, chance.randrange(1000), chance.randrange(2**31)) for do in dos]


def shrink(steps: Sequence[Step], fails: Callable[[Sequence[Step]], bool], *, tries: int) -> list[Step]:
    """A part of the steps that fails alike: leaves out ever smaller pieces, as long as there are tries left."""
    present, size = list(steps), max(1, len(steps) // 2)
    while tries > 0:
        at, found = 0, False
        while at < len(present) and tries > 0:
            shorter = present[:at] + present[at + size :]
            tries -= 1
            if fails(shorter):
                present, found = shorter, True
            else:
                at += size
        if size == 1 and not found:
            break
        size = max(1, size // 2)
    return present
