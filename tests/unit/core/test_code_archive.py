"""Zip files of functions: what is in them comes out, and nothing leads out of its folder."""

import io
import stat
import zipfile

import pytest

from duestream.core import code_archive
from duestream.core.code_archive import CodeArchiveError, check_archive, entries_of


def packed(*entries: tuple[str, bytes, int]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return out.getvalue()


def test_files_come_out_with_their_executable_bit() -> None:
    code = packed(("app.py", b"x = 1", 0o644), ("bin/", b"", 0o755), ("bin/run", b"#!", 0o755))
    check_archive(code)
    assert [(entry.name, entry.is_executable, entry.content) for entry in entries_of(code)] == [
        ("app.py", False, b"x = 1"),
        ("bin/run", True, b"#!"),
    ]


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "a\\b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(CodeArchiveError, match="leads out of its folder"):
        check_archive(packed((name, b"", 0o644)))


def test_a_symbolic_link_is_refused() -> None:
    with pytest.raises(CodeArchiveError, match="symbolic link"):
        list(entries_of(packed(("link", b"/etc/passwd", stat.S_IFLNK | 0o777))))


@pytest.mark.parametrize("code", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_zip_file_is_refused(code: bytes) -> None:
    with pytest.raises(CodeArchiveError):
        check_archive(code)


def test_too_much_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_archive, "MAX_UNPACKED_BYTES", 10)
    with pytest.raises(CodeArchiveError, match="larger than 10 bytes"):
        check_archive(packed(("a", b"x" * 11, 0o644)))
