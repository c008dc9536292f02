"""What the agents of Python peers share. Standard library only: they run in the peers' own environments.

    echo '{"count": 100, ...}' | python NAME_agent.py create     makes jobs, and says how long that took
    echo '{...}' | python NAME_agent.py work                     carries jobs out until it is ended; says READY first

A job's effect is one line in the file `notes`: the job's number, when it was due and when it ran, in milliseconds of
Unix time. Lines are as long as each other, and a kill leaves no half ones.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

LINE_BYTES = 41
_files: dict[str, int] = {}


def now_ms() -> float:
    """Unix time."""
    return time.time_ns() / 1e6  # noqa: TID251 - the peers have no clock of ours


def note(path: str, number: int, due_at_ms: int) -> None:
    """The effect of a job."""
    ran_at_ms = now_ms()
    file = _files.get(path)
    if file is None:
        file = _files[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b"%08d %013d %017.3f\n" % (number, due_at_ms, ran_at_ms))


def due_at_ms(spec: dict[str, Any], number: int) -> int:
    """When the job of this number is due."""
    return int(spec["due_at_ms"] + number * spec["step_ms"])


def create_each(spec: dict[str, Any], create: Callable[[int, int], object]) -> None:
    """Call `create(number, due_at_ms)` for each, so many at once in threads, within the limit; and say it."""
    begun = time.perf_counter()
    over_at = begun + spec["limit_seconds"]

    def some(first: int) -> int:
        made = 0
        for number in range(first, spec["count"], spec["at_once"]):
            if time.perf_counter() > over_at:
                break
            create(number, due_at_ms(spec, number))
            made += 1
        return made

    with ThreadPoolExecutor(spec["at_once"]) as pool:
        made = sum(pool.map(some, range(spec["at_once"])))
    say_created(made, time.perf_counter() - begun)


def say_created(count: int, seconds: float) -> None:
    """The last line of `create`."""
    print(json.dumps({"count": count, "seconds": seconds}), flush=True)


def main(create: Callable[[dict[str, Any]], None], work: Callable[[dict[str, Any]], None]) -> None:
    """The command line of an agent."""
    {"create": create, "work": work}[sys.argv[1]](json.load(sys.stdin))


def ready() -> None:
    """Jobs are taken from now on."""
    print("READY", flush=True)
