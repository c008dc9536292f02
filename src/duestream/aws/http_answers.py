"""HTTP/1.1 answers, read from bytes as they come: what http.client does with e-mail's parser, without it.

Source: RFC 9112, sections 4 (status line), 5 (fields), 6 (length of the body) and 9.3 (connections that go on).
"""

from collections.abc import Mapping
from dataclasses import dataclass

#: A head is a few hundred bytes; what is longer is none of AWS's.
MAX_HEAD_BYTES = 65_536


class AnswerError(Exception):
    """What came is no HTTP answer, or ended before its end."""


class Headers(dict[str, str]):
    """Header fields; their names are asked for in lower case, or in any."""

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # no other keys
        """The value of a field."""
        return super().get(name.lower(), default)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Args:
        status: HTTP's.
        headers: its fields.
        data: the body.
        is_last: the connection is not to be used again.
    """

    status: int
    headers: Mapping[str, str]
    data: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    headers: Headers
    end: int
    is_last: bool


class AnswerReader:
    """Reads one answer; `feed` it until there is one."""

    def __init__(self) -> None:
        self._data = b""
        self._head: _Head | None = None

    def feed(self, data: bytes) -> Answer | None:
        """Take what came; None: send me more. Nothing (``b""``) says that the other side has closed.

        Raises:
            AnswerError: it is no answer, or it ended before its end.
        """
        self._data = self._data + data if self._data else data
        while self._head is None or self._head.status < 200:  # what comes before the answer proper is passed over
            if self._head is not None:
                self._data = self._data[self._head.end :]
            self._head = _head(self._data)
            if self._head is None:
                if not data:
                    raise AnswerError("the connection was closed before there was an answer")
                return None
        body = _body(self._head, self._data, is_closed=not data)
        if body is None:
            if not data:
                raise AnswerError("the connection was closed before the end of the answer")
            return None
        is_last = self._head.is_last or not data
        return Answer(self._head.status, self._head.headers, body, is_last)


def _head(data: bytes) -> _Head | None:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > MAX_HEAD_BYTES:
            raise AnswerError("the head of the answer is too long")
        return None
    status_line, *fields = data[:end].decode("latin-1").split("\r\n")
    version, _, rest = status_line.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
        raise AnswerError(f"not an HTTP answer: {status_line[:80]!r}")
    headers = Headers()
    for field in fields:
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    connection = headers.get("connection", "") or ""
    is_last = version == "HTTP/1.0" or connection.lower() == "close"
    return _Head(int(rest[:3]), headers, end + 4, is_last)


def _body(head: _Head, data: bytes, *, is_closed: bool) -> bytes | None:
    if head.status in (204, 304):
        return b""
    if "transfer-encoding" in head.headers:
        return _chunks(data, head.end)
    length = head.headers.get("content-length")
    if length is None:
        return data[head.end :] if is_closed else None
    if not length.isdecimal():
        raise AnswerError(f"not a length: {length[:80]!r}")
    end = head.end + int(length)
    return data[head.end : end] if len(data) >= end else None


def _chunks(data: bytes, start: int) -> bytes | None:
    chunks = list[bytes]()
    while (end := data.find(b"\r\n", start)) >= 0:
        try:
            length = int(data[start:end].partition(b";")[0], 16)
        except ValueError as error:
            raise AnswerError(f"not a chunk: {data[start:end][:80]!r}") from error
        if length == 0:  # after it, trailers, and an empty line
            ends_here = data[end : end + 4] == b"\r\n\r\n" or data.find(b"\r\n\r\n", end) >= 0
            return b"".join(chunks) if ends_here else None
        start = end + 2 + length + 2
        if len(data) < start:
            return None
        chunks.append(data[end + 2 : start - 2])
    return None
