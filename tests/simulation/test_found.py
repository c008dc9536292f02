"""What the simulation found, each told as short as it can be: a seed's history changes with the steps that there are."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.engine.bench import START, at, bench

from duestream import App, Due, Email, QueueMessage, Retry
from duestream.clock import ManualClock
from duestream.local.engine import timer as timer_room


def _clinic() -> App:
    app = App("clinic")

    @app.table("Appointments", partition_key="PK").rule("REMINDER")
    def reminder(item: dict[str, Any]) -> Email:
        return Email(source="clinic@example.com", to="abc@example.com", subject=item["PK"], text="-")

    return app


def test_a_clock_that_is_set_back_between_the_timer_and_the_delivery_loses_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1))
            await b.settle()
            b.clock.tick(timedelta(minutes=1))
            b.engine._timer.run_due()
            b.clock.set(START)
            await b.settle()
            assert b.emails() == []
            await b.tick(minutes=1)
            assert len(b.emails()) == 1

    asyncio.run(work())


def test_what_waited_for_planning_does_not_wait_for_a_clock_that_is_set_back(tmp_path: Path) -> None:
    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1))
            await b.settle()
            b.clock.tick(timedelta(minutes=30))
            await b.put("Appointments", PK="1", REMINDER=at(minutes=1), NOTE="x")
            await b.deliver_without_planning()
            assert b.engine._poller is not None
            await b.engine._poller.run_once()
            b.clock.set(START + timedelta(minutes=5))
            await b.settle()
            assert len(b.emails()) == 1

    asyncio.run(work())


class _SlowDisk(Executor):
    """A disk whose commits take two seconds."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        result = fn(*args, **kwargs)
        self._clock.tick(timedelta(seconds=2))
        future.set_result(result)
        return future


def test_a_retry_that_is_due_once_its_commit_has_ended_is_made(tmp_path: Path) -> None:
    app = App("late")
    app.table("Things", partition_key="id").rule("DUE", QueueMessage("reminders", "hello"))

    async def work() -> None:
        async with bench(tmp_path, app) as b:
            await b.put("Things", id="1", DUE=at(minutes=1))
            await b.settle()
            b.clock.tick(timedelta(minutes=1))
            fast_disk, b.store._writer._disk = b.store._writer._disk, _SlowDisk(b.clock)  # type: ignore[assignment]

            def run_due(_: object) -> None:
                b.engine._timer.run_due()

            b.store.listen(run_due)  # the timer was awake for another reason
            b.engine._timer.run_due()
            await b.deliver_without_planning()
            b.store._writer._disk = fast_disk
            await b.make_queue("reminders")
            await b.tick(minutes=10)
            assert [message.body for message in await b.messages("reminders")] == ["hello"]

    asyncio.run(work())


def test_a_retry_after_the_clock_was_set_back_is_not_before_the_due_time(tmp_path: Path) -> None:
    app = App("early")
    clock = ManualClock(START)
    attempts: list[int] = []

    @app.table("Things", partition_key="id").when_due("DUE", retry=Retry(attempts=2))
    def fails(_item: dict[str, Any], due: Due) -> None:
        attempts.append(due.attempt)
        if due.attempt == 1:
            clock.set(START)
            raise RuntimeError("on purpose")

    async def work() -> None:
        async with bench(tmp_path, app, clock) as b:
            await b.put("Things", id="1", DUE=at(minutes=1))
            await b.tick(minutes=1)
            await b.tick(seconds=30)
            assert attempts == [1]
            await b.tick(seconds=31)
            assert attempts == [1, 2]

    asyncio.run(work())


def test_what_is_due_is_loaded_however_much_waits_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_room, "PAGE", 1)

    async def work() -> None:
        async with bench(tmp_path, _clinic()) as b:
            for minutes in (1, 4):
                await b.put("Appointments", PK=str(minutes), REMINDER=at(minutes=minutes))
            await b.tick(minutes=1)
            b.engine._timer.push(b.clock.now_ms() + 600_000, 99, 1)  # as after a fault, or a clock that was set back
            await b.tick(minutes=3)
            assert [email.subject for email in b.emails()] == ["1", "4"]

    asyncio.run(work())
