"""The data folder: one process at a time, one version forward, nobody else's files."""

import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from duestream.errors import DataFolderError
from duestream.local.store import database
from duestream.local.store.database import FILE_NAME, open_database


def test_a_new_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    open_database(folder).close()
    assert folder.stat().st_mode & 0o077 == 0


def test_a_commit_is_synced_in_full(tmp_path: Path) -> None:
    opened = open_database(tmp_path)
    assert opened.write_connection.pragma("synchronous") == 2
    assert opened.write_connection.pragma("journal_mode") == "wal"
    opened.close()


def test_the_reader_cannot_write(tmp_path: Path) -> None:
    opened = open_database(tmp_path)
    with pytest.raises(apsw.ReadOnlyError):
        opened.read_connection.execute("DELETE FROM item")
    opened.close()


def test_a_second_process_on_the_folder_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    opened = open_database(tmp_path)
    code = (
        "import sys, pathlib\n"
        "from duestream.local.store.database import open_database\n"
        "try:\n    open_database(pathlib.Path(sys.argv[1]))\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("DataFolderError")
    assert "in use by another duestream (process " in answer.stdout
    opened.close()
    open_database(tmp_path).close()


def test_a_file_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    opened = open_database(tmp_path)
    opened.write_connection.pragma("user_version", 99)
    opened.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(DataFolderError, match="A newer duestream wrote it"):
        open_database(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_somebody_elses_database_is_refused_untouched(tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / FILE_NAME))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(DataFolderError, match="was not made by duestream"):
        open_database(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("hello " * 1000)
    with pytest.raises(DataFolderError, match="Is it a file of duestream's"):
        open_database(tmp_path)


def test_migrations_are_numbered_without_a_gap() -> None:
    folder = Path(database.__file__).parent / "migrations"
    numbers = sorted(int(path.name[:4]) for path in folder.glob("*.sql"))
    assert numbers == list(range(1, len(numbers) + 1))
