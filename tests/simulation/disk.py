"""A disk that fails when told to, and that forgets what was not synced when the power goes."""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import apsw

from duestream.local.store.database import FILE_NAME

#: What SQLite's WAL mode keeps; the -shm beside them is memory, and made anew after a crash.
FILES = (FILE_NAME, f"{FILE_NAME}-wal")
_SECTOR = 512

Survivors = Literal["kill", "power"]


@dataclass(slots=True)
class _Content:
    """What is safely on the disk, and the writes (None: truncations) since the last sync."""

    synced: bytearray
    unsynced: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        for offset, data in self.unsynced:
            _write(self.synced, offset, data)
        self.unsynced.clear()

    def after_power_loss(self, chance: random.Random) -> bytes:
        """Of the writes that were not synced some are there, some are not, and some are there in part."""
        content = bytearray(self.synced)
        for offset, data in self.unsynced:
            fate = chance.randrange(4)
            if fate == 0 and data is not None:
                _write(content, offset, data[: chance.randrange(len(data) // _SECTOR + 1) * _SECTOR])
            elif fate > 1:
                _write(content, offset, data)
        return bytes(content)


def _write(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


class SimulatedDisk(apsw.VFS):
    """SQLite's own file system as long as it lives, and beneath every connection that is opened meanwhile."""

    def __init__(self) -> None:
        super().__init__("simulated", "unix", makedefault=True)
        self.files: dict[str, _Content] = {}
        self.log_writes = 0
        self._fault: tuple[str, int, int] | None = None

    def fail(self, what: Literal["write", "sync"], after: int, times: int) -> None:
        """Let so many more writes, or syncs, of the write-ahead log go well; then so many fail."""
        self._fault = (what, after, times)

    def mend(self) -> None:
        """Nothing fails any more."""
        self._fault = None

    def is_failing_now(self, what: str, path: str) -> bool:
        """Whether this one fails; counts it."""
        if self._fault is None or self._fault[0] != what or not path.endswith("-wal"):
            return False
        _, after, times = self._fault
        if after > 0:
            self._fault = (what, after - 1, times)
            return False
        self._fault = (what, 0, times - 1) if times > 1 else None
        return True

    def copy_of(self, folder: Path, to: Path, survivors: Survivors, chance: random.Random) -> None:
        """What another process finds in the folder when this one is killed now, or the power goes now."""
        to.mkdir()
        for name in FILES:
            path = folder / name
            if survivors == "kill":
                content = path.read_bytes()
            else:
                content = self.files[str(path)].after_power_loss(chance)
            (to / name).write_bytes(content)

    def xOpen(self, name: Any, flags: Any) -> Any:  # noqa: N802 - SQLite's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not path.endswith(FILES):
            return apsw.VFSFile("unix", name, flags)
        file = _File(self, path, name, flags)
        if path not in self.files:
            self.files[path] = _Content(bytearray(Path(path).read_bytes()))
        return file


class _File(apsw.VFSFile):
    def __init__(self, disk: SimulatedDisk, path: str, name: Any, flags: Any) -> None:
        super().__init__("unix", name, flags)
        self._disk, self._path = disk, path

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        content = self._disk.files[self._path]
        if self._disk.is_failing_now("write", self._path):
            half = bytes(data)[: len(data) // 2]
            super().xWrite(half, offset)
            content.unsynced.append((offset, half))
            raise apsw.FullError("no space left on device")
        super().xWrite(data, offset)
        content.unsynced.append((offset, bytes(data)))
        self._disk.log_writes += self._path.endswith("-wal")

    def xTruncate(self, size: int) -> None:  # noqa: N802 - SQLite's name
        super().xTruncate(size)
        self._disk.files[self._path].unsynced.append((size, None))

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name; the real disk need not be waited for
        if self._disk.is_failing_now("sync", self._path):
            raise apsw.IOError("sync failed")
        self._disk.files[self._path].sync()
