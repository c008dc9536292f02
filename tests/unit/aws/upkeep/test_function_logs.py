"""Log lines of several functions as one, in the order of their time."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.aws.stack.scripted import ScriptedAccess, ScriptedClient, refusal

from duestream.aws.stack.session import AwsError
from duestream.aws.upkeep.logs import LogLine, follow_lines, log_lines
from duestream.clock import ManualClock

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MISSING = refusal("ResourceNotFoundException")


def line(at_ms: int, message: str, number: str = "") -> dict[str, Any]:
    return {"timestamp": at_ms, "message": message + "\n", "eventId": number or message}


def access(**groups: list[dict[str, Any]]) -> Any:
    def answer(asked: dict[str, Any]) -> Any:
        part = asked["logGroupName"].removeprefix("/aws/lambda/clinic-")
        return {"events": groups[part.replace("-", "_")]} if part.replace("-", "_") in groups else MISSING

    return ScriptedAccess({"logs": ScriptedClient(filter_log_events=answer)})


def test_lines_of_all_functions_come_in_the_order_of_their_time() -> None:
    here = access(stream=[line(1, "a"), line(4, "d")], when_due=[line(3, "c"), line(2, "b")])
    found = list(log_lines(here, "clinic", since=NOW, rule=None))
    assert [one.message for one in found] == ["a", "b", "c", "d"]
    assert [one.function for one in found] == ["stream", "when-due", "when-due", "stream"]


def test_lines_of_one_moment_stay_as_they_came() -> None:
    here = access(stream=[line(1, "START", "9"), line(1, "printed", "3"), line(1, "END", "5")])
    assert [one.message for one in log_lines(here, "clinic", since=NOW, rule=None)] == ["START", "printed", "END"]


def test_only_what_is_about_a_rule() -> None:
    lines = [
        line(1, '{"message": "dead-lettered", "rule": "remind"}'),
        line(2, '{"message": "put", "schedule": "clinic/remind-0123456789abcdef0123"}'),
        line(3, '{"message": "put", "rule": "other"}'),
        line(3, '{"message": "put", "schedule": "clinic/old-remind-0123456789abcdef0123"}'),
        line(4, "printed by remind itself"),
        line(5, "[not JSON"),
    ]
    found = log_lines(access(stream=lines), "clinic", since=NOW, rule="remind")
    assert [one.at_ms for one in found] == [1, 2, 4]


def test_without_any_log_group_it_says_so() -> None:
    with pytest.raises(AwsError, match="no function of app clinic has a log group"):
        list(log_lines(access(), "clinic", since=NOW, rule=None))


def test_following_shows_each_line_once_also_those_that_come_late() -> None:
    start = 1893456000000
    answers = [
        {"events": [line(start + 1, "a")]},
        {"events": [line(start + 1, "a"), line(start + 3, "c")]},
        {"events": [line(start + 1, "a"), line(start + 2, "b"), line(start + 3, "c")]},
    ]
    numbers = itertools.count()

    def answer(asked: dict[str, Any]) -> Any:
        return answers[min(next(numbers), 2)] if asked["logGroupName"].endswith("-stream") else MISSING

    here: Any = ScriptedAccess({"logs": ScriptedClient(filter_log_events=answer)})
    lines = follow_lines(here, "clinic", since=NOW, rule=None, clock=ManualClock(NOW), pause=here.pause)
    assert [one.message for one in itertools.islice(lines, 3)] == ["a", "c", "b"]


def test_a_line_that_is_json_shows_its_fields() -> None:
    assert LogLine(0, "1", "stream", '{"a": 1}').fields == {"a": 1}
    assert LogLine(0, "1", "stream", "{broken").fields is None
    assert LogLine(0, "1", "stream", "START").fields is None
