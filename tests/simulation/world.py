"""The driver: one data folder, one life of the engine after another, everything in one thread and in a drawn order.

What the engine gives to threads (COMMIT, planning, `when_due` functions) waits here until a step does it, and
then once more until a step reports it, so that anything can come between: other writes, a moved clock, a crash.
"""

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from tests.simulation import oracle
from tests.simulation.checker import Checker, Write
from tests.simulation.disk import SimulatedDisk
from tests.simulation.history import Setting, Step
from tests.simulation.look import KEYS, MAX_COUNT, Violation
from tests.simulation.oracle import Image
from tests.simulation.rules import QUEUES, TABLE, make_app

from duestream import Due
from duestream.clock import ManualClock, from_ms, to_ms
from duestream.core.attributes import marshal_item
from duestream.core.expression import Placeholders, parse_update
from duestream.core.schedule import Place
from duestream.errors import ServiceError
from duestream.local.engine import delivery, inside, poller, timer
from duestream.local.engine.engine import Engine
from duestream.local.store import items, log_folding, queues, streams, tables
from duestream.local.store.store import Store
from duestream.local.store.writer import StoreStoppedError, Transaction

START = datetime(2030, 1, 1, 8, 0, tzinfo=UTC)
#: More rounds than any history needs to come to rest.
MAX_ROUNDS = 3000
#: The engine waits as long as this for company in a commit, and the like.
SHORT_SECONDS = 0.1


class ThrottlingException(ServiceError):
    """What a target in the engine raises after its work is done, so that the work has to be undone."""


class HalfDoneError(Exception):
    """What a write of ours raises after its work is done."""


@dataclass(slots=True)
class Work:
    """Something that the engine gave to a thread."""

    kind: str
    call: Callable[[], Any]
    arguments: tuple[Any, ...]
    future: Future[Any]
    is_done: bool = False
    result: Any = None
    error: BaseException | None = None


class Held(Executor):
    """A thread that does nothing by itself."""

    def __init__(self, kind: str, works: list[Work]) -> None:
        self._kind, self._works = kind, works

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self._works.append(Work(self._kind, lambda: fn(*args, **kwargs), args, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """There is no thread to end."""


class Life:
    """One process: from opening the folder to its end, good or bad."""

    def __init__(
        self, folder: Path, clock: ManualClock, review: Callable[[dict[str, Any], Due], None], seed: int
    ) -> None:
        self.folder, self.works = folder, list[Work]()
        self.store = Store.open(folder)
        app = make_app(review)
        self.engine = Engine(self.store, clock, Place(), app=app, smtp=None)
        assert self.engine._poller is not None
        assert self.engine._functions is not None
        self.poller, self.timer, self.deliveries = self.engine._poller, self.engine._timer, self.engine._deliveries
        for owner, attribute, kind in (
            (self.store._writer, "_disk", "commit"),
            (self.store._writer._log, "_thread", "fold"),
            (self.poller, "_planner", "plan"),
            (self.engine._functions, "_threads", "function"),
        ):
            getattr(owner, attribute).shutdown(wait=False)
            setattr(owner, attribute, Held(kind, self.works))
        self.deliveries._attempts._random = random.Random(seed)
        self.planning: asyncio.Task[int] | None = None
        self.writes: set[asyncio.Task[None]] = set()


class World:
    """One history."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.folder, self.setting = folder, setting
        self.chance = random.Random(setting.seed)
        self.checker = Checker()
        self.clock = ManualClock(START)
        self.lives = 0
        self.fault_at_ms: int | None = None
        self.function_fails = False
        self.failure: BaseException | None = None
        self._steps: Mapping[str, Callable[[Step], Awaitable[None]]] = {
            **dict.fromkeys(("work", "poll", "timer"), self._do_engine),
            **dict.fromkeys(("tick", "jump", "back"), self._do_clock),
            "write": self._do_write,
            "fault": self._do_fault,
            "crash": self._do_crash,
            "overtake": self._do_overtake,
            "stop": self._do_stop,
            "quiet": self._do_quiet,
        }

    # A history, from its beginning to its end ---------------------------------------------------------

    async def live(self, steps: Sequence[Step]) -> None:
        """Do the steps, then let all faults end and all times come; a Violation says what must not be."""
        self.disk = SimulatedDisk()
        try:
            loop = asyncio.get_running_loop()
            with (
                _small(self.setting),
                mock.patch.dict(inside.INSIDE, self._flaky()),
                mock.patch.object(loop, "call_later", self._later(loop)),
            ):
                await self._open(self.folder / "0", is_first=True)
                try:
                    for step in steps:
                        await self.act(step)
                    await self._end()
                finally:
                    await self._drop()
        finally:
            self.disk.unregister()

    async def act(self, step: Step) -> None:
        """Do one step."""
        self.checker.note(f"{step}")
        await self._steps[step.do](step)
        await self._pump(1 + step.b % 7)

    async def _do_engine(self, step: Step) -> None:
        """The engine goes on by a step: `work` that waits, or one pass of a loop."""
        works = self.life.works
        if step.do == "work" and works:
            work = works[step.a % len(works)]
            if work.kind != "function" or step.b % 5 == 0:  # functions take longer than disks
                self._work(work, step.b // 5)
        elif step.do == "poll" and not self.setting.loops:
            self._poll()
        elif step.do == "timer" and not self.setting.loops:
            self.life.timer.run_due()

    async def _do_clock(self, step: Step) -> None:
        by_ms = {
            "tick": (1, 500, 1_000, 20_000, 60_000, 90_000)[step.a % 6],
            "jump": step.b % 2_400_000,
            "back": -(step.b % 1_200_000),
        }
        self._move_clock(by_ms[step.do])

    async def _do_write(self, step: Step) -> None:
        self._write(KEYS[step.a % len(KEYS)], random.Random(step.b))

    async def _do_fault(self, step: Step) -> None:
        self.disk.fail("sync" if step.a % 2 else "write", step.b % 9, 1 + step.b // 9 % 3)

    async def _do_crash(self, step: Step) -> None:
        await self._crash("power" if step.a % 2 else "kill")

    async def _do_overtake(self, step: Step) -> None:
        await self._overtake(random.Random(step.b))

    async def _do_stop(self, _step: Step) -> None:
        await self._stop()

    async def _do_quiet(self, _step: Step) -> None:
        await self._settle()

    async def _end(self) -> None:
        """No faults any more, and the clock comes past everything: nothing may be left."""
        self.checker.note("the end")
        self.disk.mend()
        await self._settle()
        for minutes in (1, 20, 20, 5, 5, 5, 5, 5, 5, 60, *(60,) * 30):
            self._move_clock(minutes * 60_000)
            await self._settle()
            if not self.checker.pending and minutes == 60:
                break
        if self.checker.pending:
            raise Violation("missing", f"never delivered: {self.checker.pending}")
        await self._stop()

    # One process after another ------------------------------------------------------------------------

    async def _open(self, folder: Path, *, is_first: bool = False) -> None:
        self.lives += 1
        self.clock = ManualClock(self.clock.now())
        self.life = Life(folder, self.clock, self._review, self.setting.seed + self.lives)
        if not is_first:
            self.checker.reopened(self.life.store.reader)
        for name in QUEUES if is_first else ():
            await self._done(self.life.store.write(_make_queue(name)))
        await self._done(self.life.engine.prepare())
        if self.setting.loops:
            self.life.engine.start()

    async def _done(self, doing: Any) -> None:
        """See something to its end, whatever it gives to threads."""
        task = asyncio.ensure_future(doing)
        for _ in range(MAX_ROUNDS):
            await self._pump(3)
            if task.done():
                await task
                return
            if self.life.works:
                self._finish(self.life.works[0])
        raise Violation("stuck", "it never ends")

    async def _crash(self, survivors: Any) -> None:
        """The process' memory is gone; what the disk kept is found by the next one."""
        self.checker.note(f"  {survivors}")
        folder = self.folder / str(self.lives)
        self.disk.copy_of(self.life.folder, folder, survivors, self.chance)
        self.disk.mend()
        await self._drop()
        self.checker.crashed()
        await self._open(folder)

    async def _drop(self) -> None:
        """End everything of the present life without its knowing."""
        life = self.life
        self.disk.mend()
        life.works.clear()
        life.store._writer._stopped = True
        for _ in range(10):
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        database = life.store._database
        for connection in (database.fold_connection, database.read_connection, database.write_connection):
            connection.close(True)
        database._lock.close()
        self.disk.files.clear()
        shutil.rmtree(life.folder)

    async def _stop(self) -> None:
        """A stop as it should be, and a new start."""
        self.disk.mend()
        if self.life.planning is not None:
            await self._done(asyncio.gather(self.life.planning, return_exceptions=True))
            self.life.planning = None
        await self._done(self.life.engine.stop())
        await self._done(asyncio.gather(*self.life.writes))
        await self._done(self.life.store.close())
        folder = self.life.folder
        self.disk.files.clear()
        self.checker.crashed()
        await self._open(folder)

    async def _settle(self) -> None:
        """Let everything be done that is to be done now, then ask whether all is as it must be."""
        self.disk.mend()
        await self._come_to_rest()
        if self.fault_at_ms is not None:
            # After a fault the engine waits a second, by a clock that may have been set back since.
            self._move_clock(max(1_001, self.fault_at_ms + 1_001 - self.clock.now_ms()))
            self.fault_at_ms = None
            await self._come_to_rest()
        self.checker.quiet(self.life.store.reader, self.clock.now_ms())

    async def _come_to_rest(self) -> None:
        life, quiet_rounds, planned_through = self.life, 0, 0
        for _ in range(MAX_ROUNDS):
            await self._pump(8)
            if life.works:
                self._finish(self.chance.choice(life.works))
                quiet_rounds = 0
                continue
            if not self.setting.loops:
                self._poll()
                life.timer.run_due()
                await self._pump(8)
            is_busy = life.works or life.deliveries._tasks or life.planning is not None
            has_gone_on = life.poller.planned_through > planned_through
            planned_through = life.poller.planned_through
            quiet_rounds = 0 if is_busy or has_gone_on else quiet_rounds + 1
            if quiet_rounds == 3:
                return
        raise Violation("stuck", "the engine never comes to rest")

    # The loop and its threads -------------------------------------------------------------------------

    async def _pump(self, times: int) -> None:
        """Let the event loop go on a little."""
        for _ in range(times):
            await asyncio.sleep(0)
            if self.failure is not None:
                raise self.failure
        planning = self.life.planning
        if planning is not None and planning.done():
            self.life.planning = None
            with suppress(StoreStoppedError):
                planning.result()

    def _poll(self) -> None:
        if self.life.planning is None:
            self.life.planning = asyncio.get_running_loop().create_task(self.life.poller.run_once())

    async def _overtake(self, chance: random.Random) -> None:
        """While a function runs, its item is written, and that is planned; where none runs, one is made to."""
        function = next((work for work in self.life.works if work.kind == "function"), None)
        if function is None:
            soon = self._form(self.clock.now_ms() // 1000 * 1_000_000, chance)
            self._submit(Write("move", chance.choice(KEYS)), {"B": soon}, remove=())
        else:
            item = next(argument for argument in function.arguments if isinstance(argument, dict))
            self._write((item["PK"], item["SK"]), chance)
        for _ in range(12):
            if not self.setting.loops:
                self._poll()
                self.life.timer.run_due()
            await self._pump(6)
            others = [work for work in self.life.works if work.kind != "function"]
            if others:
                self._finish(others[0])

    def _work(self, work: Work, drawn: int) -> None:
        """Do it, or report what was done, or both."""
        if not work.is_done:
            self._do(work, fails=drawn % 3 == 0)
            if drawn % 2:
                return
        self._report(work)

    def _finish(self, work: Work) -> None:
        if not work.is_done:
            self._do(work, fails=self.chance.random() < 0.2)
        self._report(work)

    def _do(self, work: Work, *, fails: bool) -> None:
        self.function_fails = fails
        if work.kind == "plan":
            self.checker.planned([row.sequence for row in work.arguments[0]], self.clock.now_ms())
        self.checker.clock(self.clock.now_ms())
        log_writes = self.disk.log_writes
        try:
            work.result = work.call()
        except Violation:
            raise
        except BaseException as error:  # noqa: BLE001 - it is what the thread would report
            work.error = error
        work.is_done = True
        if work.kind != "commit":
            return
        if work.error is None:
            if self.disk.log_writes > log_writes:
                self.checker.log_written()
            self.checker.committed(self.life.store.reader)
            self.checker.clock(self.clock.now_ms())
        else:
            self.checker.refused()

    def _report(self, work: Work) -> None:
        self.life.works.remove(work)
        if work.error is None:
            work.future.set_result(work.result)
        else:
            work.future.set_exception(work.error)
            if work.kind == "commit":
                self.fault_at_ms = max(self.clock.now_ms(), self.fault_at_ms or 0)

    def _move_clock(self, by_ms: int) -> None:
        self.clock.set(from_ms(self.clock.now_ms() + by_ms))
        self.checker.clock(self.clock.now_ms())
        self.checker.note(f"  {self.clock.now():%H:%M:%S.%f}")

    def _later(self, loop: asyncio.AbstractEventLoop) -> Callable[..., asyncio.TimerHandle]:
        """A short wait of the engine's ends when a step says so; a long one is a timeout, and never ends here."""
        call_later = loop.call_later

        def later(delay: float, callback: Callable[..., object], *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            if delay > SHORT_SECONDS:
                return call_later(delay, callback, *args, **kwargs)
            handle = asyncio.TimerHandle(loop.time() + delay, callback, args, loop)

            def wake() -> None:
                if not handle.cancelled():
                    callback(*args)

            self.life.works.append(Work("wait", wake, (), Future()))
            return handle

        return later

    # What users and targets do ------------------------------------------------------------------------

    def _review(self, item: dict[str, Any], due: Due) -> None:
        due_us = (due.due_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        image = marshal_item(item)
        self.checker.called(image, due.rule, due_us, due.attempt, due.delivery_id, fails=self.function_fails)
        if self.function_fails:
            raise RuntimeError("on purpose")

    def _flaky(self) -> dict[tuple[str, str], inside.InsideTarget]:
        """The targets in the engine, which now and then fail after their work."""

        def flaky(target: inside.InsideTarget) -> inside.InsideTarget:
            def call(tx: Transaction, parameters: Mapping[str, Any], attempt: Any) -> None:
                target(tx, parameters, attempt)
                if self.chance.randrange(100) < self.setting.flaky:
                    raise ThrottlingException("on purpose")

            return call

        return {kind: flaky(target) for kind, target in inside.INSIDE.items()}

    def _write(self, key: oracle.Key, chance: random.Random) -> None:
        what = chance.choices(
            ("put", "text", "move", "again", "remove", "unreadable", "delete", "reinsert", "half"),
            (25, 12, 30, 6, 5, 6, 10, 6, 6),
        )[0]
        names = [chance.choice(("A", "B", "C", "EXPIRES"))]
        kinds = {"move": {name: self._timestamp(chance) for name in names}, "text": {"TEXT": _text(chance)}}
        match what:
            case "put" | "reinsert" | "half":
                if what == "reinsert":
                    self._submit(Write("delete", key), None)
                self._submit(Write(what, key), self._whole(key, chance))
            case "delete":
                self._submit(Write(what, key), None)
            case "remove":
                self._submit(Write(what, key), {}, remove=names)
            case "unreadable":
                self._submit(Write(what, key), {names[0]: {"S": "tomorrow, perhaps"}}, remove=())
            case "again":  # the same moment, in another form
                wire = self.checker.items.get(key, {}).get(names[0], {})
                moment = self.checker.moments.get(oracle.wire_text(wire))
                if moment is not None:
                    self._submit(Write(what, key), {names[0]: self._form(moment, chance)}, remove=())
            case _:
                self._submit(Write(what, key), kinds[what], remove=())

    def _whole(self, key: oracle.Key, chance: random.Random) -> dict[str, Any]:
        image: dict[str, Any] = {"PK": {"S": key[0]}, "SK": {"S": key[1]}}
        for name, likely in (("A", 0.8), ("B", 0.7), ("C", 0.5), ("EXPIRES", 0.4)):
            if chance.random() < likely:
                image[name] = self._timestamp(chance) if chance.random() < 0.95 else {"NULL": True}
        image["COUNT"] = {"N": str(chance.randrange(MAX_COUNT + 1))}
        image["KIND"] = {"S": chance.choice(("loud", "loud", "quiet"))}
        return {**image, "TEXT": _text(chance)}

    def _timestamp(self, chance: random.Random) -> dict[str, str]:
        low, high = chance.choice(((-1500, -800), (-70, -1), (-1, 1), (1, 90), (60, 130), (300, 1800)))
        moment = (self.clock.now_ms() // 1000 + chance.randint(low, high)) * 1_000_000
        return self._form(moment + chance.choice((0, 0, 0, 250_000, 100)), chance)

    def _form(self, moment_us: int, chance: random.Random) -> dict[str, str]:
        """One of the forms in which a moment can be written; the checker is told which moment it is."""
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment_us)
        seconds, rest = divmod(moment_us, 1_000_000)
        forms = [
            {"S": f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"},
            {"S": f"{moment + timedelta(hours=7):%Y-%m-%dT%H:%M:%S}.{rest:06d}+07:00"},
            {"S": f"{moment:%Y-%m-%d %H:%M:%S}.{rest:06d}1"},
        ]
        if rest == 0:
            forms += [{"N": str(seconds)}, {"N": str(seconds * 1000)}, {"S": f"{moment:%Y-%m-%dT%H:%M:%S}"}]
        form = chance.choice(forms)
        self.checker.moments[oracle.wire_text(form)] = moment_us
        return form

    def _submit(self, write: Write, change: Mapping[str, Any] | None, remove: Any = None) -> None:
        """Give a write to the store: a whole item, changed attributes (`remove` given), or None for a delete."""
        life, now_ms = self.life, self.clock.now_ms()
        self.checker.note(f"  {write.what} {write.key} {dict(change) if change is not None else None} {remove or ''}")

        def job(tx: Transaction) -> None:
            self.checker.clock(self.clock.now_ms())
            table = tables.get_table(tx.connection, TABLE)
            assert table is not None
            wire_key = {"PK": {"S": write.key[0]}, "SK": {"S": write.key[1]}}
            old, before = _image_in(tx, table, wire_key), _last_sequence(tx)
            if change is None:
                items.delete_item(tx, table, wire_key, now_ms=now_ms)
            elif remove is None:
                write.new = dict(change)
                items.put_item(tx, table, dict(change), now_ms=now_ms)
            else:
                changed = {k: v for k, v in {**(old or wire_key), **change}.items() if k not in remove}
                write.new = changed if change or old else None
                items.update_item(tx, table, wire_key, update=_update(change, remove), now_ms=now_ms)
            if _image_in(tx, table, wire_key) != write.new:
                self.failure = Violation("write", f"{write} left {_image_in(tx, table, wire_key)}")
            if write.what == "half":
                raise HalfDoneError
            if old != write.new:
                write.sequence = before + 1
                self.checker.carried_out(write)

        async def ask() -> None:
            try:
                await life.store.write(job)
            except HalfDoneError:
                return
            except StoreStoppedError:
                return  # refused: it may be there or not
            try:
                self.checker.acknowledged(write)
            except Violation as error:
                self.failure = error

        task = asyncio.get_running_loop().create_task(ask())
        life.writes.add(task)
        task.add_done_callback(life.writes.discard)


def _text(chance: random.Random) -> dict[str, str]:
    return {"S": chance.choice(("x", "y", "raise"))}


def _make_queue(name: str) -> Callable[[Transaction], object]:
    return lambda tx: queues.create_queue(tx, name, region="us-east-1", now_ms=to_ms(START))


def _image_in(tx: Transaction, table: tables.Table, key: Image) -> Image | None:
    body = items.get_item(tx.connection, table, dict(key))  # type: ignore[arg-type]  # an image is an item
    return streams.decode_image(body)


def _last_sequence(tx: Transaction) -> int:
    return tx.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'stream_record'").get or 0


def _update(change: Mapping[str, Any], remove: Any) -> Any:
    names = {f"#{name}": name for name in (*change, *remove)}
    values = {f":{name}": value for name, value in change.items()}
    sets = "SET " + ", ".join(f"#{name} = :{name}" for name in change) if change else ""
    removes = "REMOVE " + ", ".join(f"#{name}" for name in remove) if remove else ""
    return parse_update(f"{sets} {removes}", Placeholders(names, values or None))


@contextmanager
def _small(setting: Setting) -> Iterator[None]:
    """Bounds so small that a short history meets them."""
    with (
        mock.patch.object(log_folding, "FOLD_PAGES", setting.fold_pages),
        mock.patch.object(log_folding, "MAX_PAGES", setting.fold_pages * 4),
        mock.patch.object(poller, "BATCH_SIZE", setting.batch),
        mock.patch.object(timer, "PAGE", setting.page),
        mock.patch.object(delivery, "MAX_STARTED", setting.started),
    ):
        yield
