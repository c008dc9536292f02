"""A function's code as it is uploaded: a zip file. Nothing is written here; what comes out is names and bytes."""

import io
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from duestream.errors import Error

#: AWS's quota for the unpacked code ("Lambda quotas"): 250 MB.
MAX_UNPACKED_BYTES = 262_144_000
MAX_ENTRIES = 200_000


class CodeArchiveError(Error):
    """The code cannot be unpacked."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the code. `name` is relative, with slashes, and never leads out of its folder."""

    name: str
    is_executable: bool
    content: bytes


def check_archive(code: bytes) -> None:
    """See whether the code can be unpacked, without unpacking it.

    Raises:
        CodeArchiveError: it cannot.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            _checked(archive)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise CodeArchiveError(f"it is no zip file: {error}") from error


def entries_of(code: bytes) -> Iterator[Entry]:
    """The files of the code.

    Raises:
        CodeArchiveError: it cannot be unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            for entry in _checked(archive):
                content = archive.read(entry)  # checks length and checksum
                yield Entry(entry.filename, bool(entry.external_attr >> 16 & 0o111), content)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
        raise CodeArchiveError(f"it cannot be unpacked: {error}") from error


def _checked(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files, once no name leads elsewhere and all of it is small enough."""
    found = archive.infolist()
    if len(found) > MAX_ENTRIES:
        raise CodeArchiveError(f"it has more than {MAX_ENTRIES} files")
    if sum(entry.file_size for entry in found) > MAX_UNPACKED_BYTES:
        raise CodeArchiveError(f"unpacked it is larger than {MAX_UNPACKED_BYTES} bytes")
    for entry in found:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or "\0" in entry.filename:
            raise CodeArchiveError(f"{entry.filename!r} leads out of its folder")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise CodeArchiveError(f"{entry.filename!r} is a symbolic link")
    return [entry for entry in found if not entry.is_dir()]
