"""Answers are read as http.client reads them, in whatever pieces they come."""

import io
from http.client import HTTPResponse
from typing import Any

import pytest

from duestream.aws.http_answers import MAX_HEAD_BYTES, Answer, AnswerError, AnswerReader

ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Amzn-RequestId: A\r\n\r\n{}",
    b"HTTP/1.1 400 Bad Request\r\ncontent-length:  0\r\nx-amzn-errortype:ThrottlingException:http://x/ \r\n\r\n",
    b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n\x00\xff\r",
    b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\r\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: Close\r\n\r\na",
    b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>until it closes",
]


class Socket:
    """What http.client reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


def as_http_client(data: bytes) -> tuple[int, dict[str, str], bytes, bool]:
    response = HTTPResponse(Socket(data))  # type: ignore[arg-type]  # as much of a socket as it needs
    response.begin()
    headers = {name.lower(): value.strip() for name, value in response.headers.items()}
    is_last = response.will_close and response.status != 204
    return response.status, headers, response.read(), is_last


def read(data: bytes, size: int) -> Answer:
    reader = AnswerReader()
    for start in range(0, len(data), size):
        answer = reader.feed(data[start : start + size])
        if answer is not None:
            assert start + size >= len(data), "nothing is left over"
            return answer
    answer = reader.feed(b"")
    assert answer is not None
    return answer


@pytest.mark.parametrize("data", ANSWERS)
@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_an_answer_is_read_as_http_client_reads_it(data: bytes, size: int) -> None:
    answer = read(data, size)
    assert (answer.status, dict(answer.headers), answer.data, answer.is_last) == as_http_client(data)


@pytest.mark.parametrize("data", ANSWERS[:-1])
def test_an_answer_that_ends_before_its_end_is_none(data: bytes) -> None:
    for end in range(len(data)):
        reader = AnswerReader()
        assert end == 0 or reader.feed(data[:end]) is None
        with pytest.raises(AnswerError, match="closed before"):
            reader.feed(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 ok\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES,
    ],
)
def test_what_is_no_answer_is_an_error(data: bytes) -> None:
    with pytest.raises(AnswerError):
        AnswerReader().feed(data)


def test_headers_are_found_however_their_names_are_written() -> None:
    headers = read(ANSWERS[0], 100).headers
    assert headers.get("X-Amzn-Requestid") == headers.get("x-amzn-requestid") == "A"
    assert headers.get("Retry-After") is None
