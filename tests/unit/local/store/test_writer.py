"""Group commit: all or nothing for each job, nothing acknowledged that is not on disk."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import apsw
import pytest

from duestream.local.store.database import open_database
from duestream.local.store.store import Store
from duestream.local.store.writer import MessagesSent, StoreStoppedError, Transaction, Writer


def _insert(app: str) -> Any:
    def job(tx: Transaction) -> int:
        tx.execute("INSERT INTO checkpoint (app, sequence) VALUES (?, 1)", (app,))
        tx.announce(MessagesSent(len(app)))
        return tx.connection.total_changes()

    return job


def _apps(connection: apsw.Connection) -> set[str]:
    return {str(row[0]) for row in connection.execute("SELECT app FROM checkpoint")}


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_jobs_that_wait_together_share_one_commit(tmp_path: Path) -> None:
    async def work() -> None:
        store = Store.open(tmp_path)
        commits = 0

        def count() -> bool:
            nonlocal commits
            commits += 1
            return False

        store._database.write_connection.set_commit_hook(count)
        await asyncio.gather(*(store.write(_insert(f"app{number}")) for number in range(50)))
        assert commits == 1
        assert len(_apps(store.reader)) == 50
        await store.close()

    _run(work())


def test_a_job_that_raises_is_undone_alone(tmp_path: Path) -> None:
    async def work() -> None:
        store = Store.open(tmp_path)

        def failing(tx: Transaction) -> None:
            _insert("half")(tx)
            raise KeyError("on purpose")

        announced: list[Any] = []
        store.listen(announced.extend)
        results = await asyncio.gather(
            store.write(_insert("a")), store.write(failing), store.write(_insert("bb")), return_exceptions=True
        )
        assert isinstance(results[1], KeyError)
        assert _apps(store.reader) == {"a", "bb"}
        assert announced == [MessagesSent(1), MessagesSent(2)]
        await store.close()

    _run(work())


def test_closing_finishes_what_is_queued_and_then_refuses(tmp_path: Path) -> None:
    async def work() -> None:
        store = Store.open(tmp_path)
        queued = store.write(_insert("last"))
        await store.close()
        assert await queued
        with pytest.raises(StoreStoppedError):
            await store.write(_insert("too late"))

    _run(work())
    database = open_database(tmp_path)
    assert _apps(database.read_connection) == {"last"}
    database.close()


class FaultyDisk(apsw.VFS):
    """SQLite's own file system, whose n-th write or sync of the write-ahead log fails."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.writes_left: int | None = None
        self.syncs_left: int | None = None

    def xOpen(self, name: Any, flags: Any) -> Any:  # noqa: N802 - SQLite's name
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: Any) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        if self._disk.writes_left is not None:
            self._disk.writes_left -= 1
            if self._disk.writes_left < 0:
                raise apsw.FullError("no space left on device")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        if self._disk.syncs_left is not None:
            self._disk.syncs_left -= 1
            if self._disk.syncs_left < 0:
                raise apsw.IOError("sync failed")
        super().xSync(flags)


@pytest.mark.parametrize("fault", ["writes_left", "syncs_left"])
@pytest.mark.parametrize("at", range(4))
def test_what_the_disk_refused_is_not_acknowledged_and_the_store_goes_on(tmp_path: Path, fault: str, at: int) -> None:
    disk = FaultyDisk(f"faulty-{fault}-{at}")

    async def work() -> None:
        connection = apsw.Connection(str(tmp_path / "x.sqlite3"), vfs=f"faulty-{fault}-{at}")
        connection.execute("PRAGMA journal_mode=wal; PRAGMA synchronous=full; PRAGMA cache_size=10")
        connection.execute("CREATE TABLE checkpoint (app TEXT PRIMARY KEY, sequence INTEGER)")
        writer = Writer(connection)
        setattr(disk, fault, at)
        results: list[Any] = []
        for group in range(6):
            jobs = [writer.write(_insert(f"{group}-{number}")) for number in range(3)]
            results.extend(zip((f"{group}-{number}" for number in range(3)), jobs, strict=True))
            await asyncio.gather(*jobs, return_exceptions=True)
        setattr(disk, fault, None)
        await writer.write(_insert("after"))
        acknowledged = {name for name, job in results if job.exception() is None}
        refused = {name for name, job in results if job.exception() is not None}
        assert refused, "the fault did not happen"
        assert all(isinstance(job.exception(), StoreStoppedError) for _, job in results if job.exception())
        assert _apps(connection) == acknowledged | {"after"}
        await writer.close()
        connection.close()

    _run(work())
