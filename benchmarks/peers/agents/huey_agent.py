"""huey on SQLite: four worker threads that look every 0.1 s when idle, its scheduler at its shortest interval (1 s)."""

import json
import sys
from pathlib import Path
from typing import Any

from common import create_each, note, now_ms, ready
from huey import SqliteHuey

SPEC: dict[str, Any] = json.load(sys.stdin)
huey = SqliteHuey("bench", filename=str(Path(SPEC["folder"], "jobs.sqlite")))


@huey.task()
def job(path: str, number: int, due_at_ms: int) -> None:
    """The job."""
    note(path, number, due_at_ms)


def create() -> None:
    def one(number: int, due_at_ms: int) -> None:
        job.schedule(args=(SPEC["notes"], number, due_at_ms), delay=(due_at_ms - now_ms()) / 1000)

    create_each(SPEC, one)


def work() -> None:
    consumer = huey.create_consumer(workers=4, scheduler_interval=1, max_delay=0.1)
    ready()
    consumer.run()


{"create": create, "work": work}[sys.argv[1]]()
