"""APScheduler 3 with its SQLAlchemy job store on SQLite; its default executor of ten threads."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apscheduler.events import EVENT_SCHEDULER_STARTED
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from common import create_each, main, note, ready


def job(path: str, number: int, due_at_ms: int) -> None:
    """The job."""
    note(path, number, due_at_ms)


def _configure(scheduler: BaseScheduler, spec: dict[str, Any]) -> BaseScheduler:
    scheduler.add_jobstore(SQLAlchemyJobStore(url=f"sqlite:///{Path(spec['folder'], 'jobs.sqlite')}"))
    return scheduler


def create(spec: dict[str, Any]) -> None:
    scheduler = _configure(BackgroundScheduler(timezone=UTC), spec)
    scheduler.start(paused=True)

    def one(number: int, due_at_ms: int) -> None:
        scheduler.add_job(
            job,
            "date",
            run_date=datetime.fromtimestamp(due_at_ms / 1000, UTC),
            args=(spec["notes"], number, due_at_ms),
            misfire_grace_time=None,  # by default a job that is later than a second is left out
        )

    create_each(spec, one)
    scheduler.shutdown()


def work(spec: dict[str, Any]) -> None:
    scheduler = _configure(BlockingScheduler(timezone=UTC), spec)
    scheduler.add_listener(lambda event: ready(), EVENT_SCHEDULER_STARTED)
    scheduler.start()


main(create, work)
