"""Makes `folder-<version>.sqlite3.xz`: a small data folder as the present code writes it.

    PYTHONPATH=. python tests/data/make_folder.py

Run it once for each released version of the folder (the number of its newest migration), and keep the file:
`tests/simulation/test_upgrade.py` holds every later version to opening it and going on where it was left. A file
of a released version is never made again.
"""

import asyncio
import lzma
import tempfile
from pathlib import Path
from typing import Any

import apsw
from tests.unit.local.engine.bench import at, bench

from duestream import App, Email, QueueMessage
from duestream.local.store.database import FILE_NAME

HERE = Path(__file__).parent


def make_app() -> App:
    """The app whose work is left half done in the folder."""
    app = App("golden")
    appointments = app.table("Appointments", partition_key="PK", sort_key="SK")

    @appointments.rule("REMINDER")
    def reminder(item: dict[str, Any]) -> Email:
        return Email(source="clinic@example.com", to=item["EMAIL"], subject=item["PK"], text="You have a reminder")

    @appointments.rule("CALL")
    def call(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("calls", {"pk": item["PK"]})

    return app


async def fill(folder: Path) -> None:
    """One delivery of each kind done, one of each pending, one deleted, and one written and not planned."""
    async with bench(folder, make_app()) as b:
        await b.make_queue("calls")
        contact = {"SK": "1", "EMAIL": "abc@example.com"}
        await b.put("Appointments", PK="done", REMINDER=at(minutes=1), CALL=at(minutes=1), **contact)
        await b.put("Appointments", PK="pending", REMINDER=at(minutes=10), CALL=at(minutes=10), **contact)
        await b.put("Appointments", PK="deleted", REMINDER=at(minutes=10), **contact)
        await b.tick(minutes=1)
        await b.delete("Appointments", PK="deleted", SK="1")
        await b.settle()
        await b.put("Appointments", PK="unplanned", REMINDER=at(minutes=10), **contact)


def main() -> None:
    """Make it, and say where it is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(fill(folder))
        connection = apsw.Connection(str(folder / FILE_NAME))
        version = connection.pragma("user_version")
        connection.close()
        packed = lzma.compress((folder / FILE_NAME).read_bytes(), preset=9 | lzma.PRESET_EXTREME)
    path = HERE / f"folder-{version}.sqlite3.xz"
    path.write_bytes(packed)
    print(path, len(packed), "bytes")  # noqa: T201 - a script


if __name__ == "__main__":
    main()
