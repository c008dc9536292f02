"""Tumbling windows: where they begin, and what state they carry."""

import json

import pytest

from duestream.core.tumbling import MAX_STATE_BYTES, Window, window_start


@pytest.mark.parametrize(
    ("moment_ms", "length_ms", "start_ms"),
    [(0, 60_000, 0), (59_999, 60_000, 0), (60_000, 60_000, 60_000), (125_500, 7_000, 119_000)],
)
def test_windows_are_aligned_to_1970(moment_ms: int, length_ms: int, start_ms: int) -> None:
    assert window_start(moment_ms, length_ms) == start_ms


def test_the_state_is_what_the_function_returned_last() -> None:
    window = Window(0, {"count": 1})
    assert window.after(b'{"state": {"count": 2}}') == Window(0, {"count": 2})


@pytest.mark.parametrize("answer", [b"", b"null", b"{}", b"[]", b'{"state": 5}', b"no json"])
def test_no_state_returned_is_an_empty_one(answer: bytes) -> None:
    assert Window(0, {"count": 1}).after(answer) == Window(0, {})


def test_a_state_that_is_too_large_ends_the_window_early() -> None:
    answer = json.dumps({"state": {"text": "x" * MAX_STATE_BYTES}}).encode()
    assert Window(0, {"count": 1}).after(answer) == Window(0, {"count": 1}, is_early=True)
