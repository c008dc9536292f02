"""Older data folders open, and go on where they were left (SEMANTICS.md F12). `tests/data/make_folder.py` made them."""

import asyncio
import json
import lzma
from datetime import timedelta
from pathlib import Path

import pytest
from tests.data.make_folder import HERE, make_app
from tests.unit.local.engine.bench import START, bench

from duestream.clock import ManualClock
from duestream.local.store.database import FILE_NAME

FOLDERS = sorted(HERE.glob("folder-*.sqlite3.xz"))


def test_there_is_a_folder_of_the_first_version() -> None:
    assert "folder-1.sqlite3.xz" in [path.name for path in FOLDERS]


@pytest.mark.parametrize("packed", FOLDERS, ids=lambda path: path.name.partition(".")[0])
def test_an_older_data_folder_opens_and_delivers_what_was_pending(tmp_path: Path, packed: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(lzma.decompress(packed.read_bytes()))
    clock = ManualClock(START + timedelta(minutes=2))

    async def work() -> None:
        async with bench(tmp_path, make_app(), clock) as b:
            await b.settle()
            assert [email.subject for email in b.emails()] == ["done"], "nothing early, nothing twice"
            assert b.pending() == 3
            await b.tick(minutes=8)
            assert sorted(email.subject for email in b.emails()) == ["done", "pending", "unplanned"]
            assert [json.loads(message.body) for message in await b.messages("calls")] == [
                {"pk": "done"},
                {"pk": "pending"},
            ]
            assert b.pending() == 0
            assert b.items("Appointments") == 3
            assert b.outcomes() == ["delivered"] * 5
            await b.put(
                "Appointments",
                PK="new",
                SK="1",
                REMINDER=(START + timedelta(minutes=11)).isoformat(),
                EMAIL="a@example.com",
            )
            await b.tick(minutes=1)
            assert b.emails()[-1].subject == "new"

    asyncio.run(work())
