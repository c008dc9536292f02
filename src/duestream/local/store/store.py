"""The open store: write through jobs, read what is committed."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import apsw

from duestream.local.store.database import Database, open_database
from duestream.local.store.metrics import Recorder
from duestream.local.store.writer import Announcement, Job, Writer

T = TypeVar("T")


class Store:
    """One data folder. Functions of this room take its `Transaction` to write, its connection to read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: What was counted since the store was opened.
        self.recorder = Recorder()
        self._writer = Writer(database.write_connection, database.fold_connection, self.recorder)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open the folder (inside a running event loop).

        Raises:
            DataFolderError: see `open_database`.
        """
        return cls(open_database(folder))

    @property
    def folder(self) -> Path:
        """The data folder, for what is kept beside the database."""
        return self._database.folder

    @property
    def reader(self) -> apsw.Connection:
        """Sees everything that was acknowledged, and nothing else."""
        return self._database.read_connection

    @property
    def writer(self) -> Writer:
        """What writes: its group sizes, its log."""
        return self._writer

    def write(self, job: Job[T]) -> asyncio.Future[T]:
        """Carry out a job in the next group; await its result, which is durable then. See `Writer.write`."""
        return self._writer.write(job)

    def listen(self, listener: Callable[[Sequence[Announcement]], None]) -> None:
        """Have `listener` called on the loop with what each commit announced."""
        self._writer.listen(listener)

    async def close(self) -> None:
        """Finish what is queued and close the files."""
        await self._writer.close()
        self._database.close()
