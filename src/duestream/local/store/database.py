"""The data folder: one SQLite file, opened by one process at a time, brought up to this version's schema."""

import fcntl
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import BinaryIO

import apsw

from duestream.errors import DataFolderError

FILE_NAME = "duestream.sqlite3"
LOCK_NAME = "duestream.lock"
#: Tells our file from any other SQLite file: the bytes "due1".
APPLICATION_ID = 0x64756531
CACHE_KIB = 128 * 1024


@dataclass(frozen=True, slots=True)
class Database:
    """The open file: one connection that writes, one that only reads what is committed, one that folds the log."""

    folder: Path
    write_connection: apsw.Connection
    read_connection: apsw.Connection
    fold_connection: apsw.Connection
    _lock: BinaryIO

    def close(self) -> None:
        """Close the connections and let go of the folder. Safe to repeat."""
        self.fold_connection.close()
        self.read_connection.close()
        self.write_connection.close()
        self._lock.close()


def open_database(folder: Path) -> Database:
    """Open the data folder, creating or migrating what is in it.

    Raises:
        DataFolderError: another process has the folder, a newer version wrote it, or it is not ours.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _lock(folder)
    except OSError as error:
        raise DataFolderError(
            f"cannot use the data folder {folder}: {error.strerror}. Name another one with --data."
        ) from error
    try:
        path = str(folder / FILE_NAME)
        writer = apsw.Connection(path)
        _migrate(writer, folder)
        reader = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        fold_connection = apsw.Connection(path)
        for connection in (writer, reader, fold_connection):
            connection.set_busy_timeout(5000)
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except apsw.Error as error:
        lock.close()
        raise DataFolderError(f"cannot open {folder / FILE_NAME}: {error}. Is it a file of duestream's?") from error
    except BaseException:
        lock.close()
        raise
    return Database(folder, writer, reader, fold_connection, lock)


def _lock(folder: Path) -> BinaryIO:
    """Take the folder. The lock goes with the process, also when it is killed."""
    lock = (folder / LOCK_NAME).open("a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read(32).decode("ascii", "replace").strip() or "unknown"
        lock.close()
        raise DataFolderError(
            f"the data folder {folder} is in use by another duestream (process {holder}). "
            "Stop that one, or name another folder with --data."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n".encode("ascii"))
    lock.flush()
    return lock


def _migrate(connection: apsw.Connection, folder: Path) -> None:
    """Run the migrations that the file has not seen; each is one transaction with its version."""
    migrations = _migrations()
    version = int(connection.pragma("user_version") or 0)
    application_id = int(connection.pragma("application_id") or 0)
    has_tables = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").get is not None
    if application_id != APPLICATION_ID and has_tables:
        raise DataFolderError(f"{folder / FILE_NAME} was not made by duestream. Name another folder with --data.")
    if version > len(migrations):
        raise DataFolderError(
            f"{folder / FILE_NAME} has version {version}, and this duestream knows up to {len(migrations)}. "
            "A newer duestream wrote it: use that one."
        )
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.pragma("foreign_keys", False)
    for number, script in enumerate(migrations[version:], start=version + 1):
        with connection:
            connection.execute(script)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", number)


def _migrations() -> list[str]:
    """The scripts in their order; a file's number is the version it leads to."""
    folder = resources.files(__package__).joinpath("migrations")
    scripts = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [script.read_text("utf-8") for script in scripts]
