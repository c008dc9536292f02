"""Event patterns pass what AWS's would."""

import json
from typing import Any

import pytest

from duestream.core.event_pattern import EventPattern, EventPatternError

EVENT = {
    "eventName": "INSERT",
    "count": 5,
    "flag": True,
    "nothing": None,
    "tags": ["red", "blue"],
    "lines": [{"sku": "a"}, {"sku": "b"}],
    "dynamodb": {"NewImage": {"status": {"S": "open"}, "name": {"S": "Anna"}}},
}


@pytest.mark.parametrize(
    ("pattern", "passes"),
    [
        ({"eventName": ["INSERT"]}, True),
        ({"eventName": ["MODIFY", "INSERT"]}, True),
        ({"eventName": ["MODIFY"]}, False),
        ({"eventName": ["INSERT"], "count": [6]}, False),
        ({"count": [5.0]}, True),
        ({"count": ["5"]}, False),
        ({"flag": [True]}, True),
        ({"flag": [1]}, False),
        ({"count": [True]}, False),
        ({"nothing": [None]}, True),
        ({"missing": [None]}, False),
        ({"tags": ["blue"]}, True),
        ({"tags": ["green"]}, False),
        ({"lines": {"sku": ["b"]}}, True),
        ({"lines": {"sku": ["c"]}}, False),
        ({"dynamodb": {"NewImage": {"status": {"S": ["open"]}}}}, True),
        ({"dynamodb": {"OldImage": {"status": {"S": ["open"]}}}}, False),
        ({"eventName": [{"prefix": "INS"}]}, True),
        ({"eventName": [{"prefix": "ins"}]}, False),
        ({"eventName": [{"prefix": {"equals-ignore-case": "ins"}}]}, True),
        ({"eventName": [{"suffix": "ERT"}]}, True),
        ({"eventName": [{"equals-ignore-case": "insert"}]}, True),
        ({"eventName": [{"wildcard": "I*T"}]}, True),
        ({"eventName": [{"wildcard": "I*X"}]}, False),
        ({"count": [{"numeric": ["=", 5]}]}, True),
        ({"count": [{"numeric": [">", 0, "<=", 5]}]}, True),
        ({"count": [{"numeric": [">", 5]}]}, False),
        ({"eventName": [{"numeric": [">", 0]}]}, False),
        ({"count": [{"exists": True}]}, True),
        ({"count": [{"exists": False}]}, False),
        ({"missing": [{"exists": False}]}, True),
        ({"dynamodb": {"OldImage": {"status": {"S": [{"exists": False}]}}}}, True),
        ({"eventName": [{"anything-but": "MODIFY"}]}, True),
        ({"eventName": [{"anything-but": ["INSERT", "MODIFY"]}]}, False),
        ({"eventName": [{"anything-but": {"prefix": "MOD"}}]}, True),
        ({"eventName": [{"anything-but": {"prefix": "INS"}}]}, False),
        ({"missing": [{"anything-but": "x"}]}, False),
        ({"$or": [{"eventName": ["MODIFY"]}, {"count": [5]}]}, True),
        ({"$or": [{"eventName": ["MODIFY"]}, {"count": [6]}]}, False),
    ],
    ids=json.dumps,
)
def test_an_event_passes_or_does_not(pattern: dict[str, Any], passes: bool) -> None:
    assert EventPattern(json.dumps(pattern)).matches(EVENT) is passes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"a": "b"}',
        '{"a": []}',
        '{"a": {}}',
        '{"a": [["b"]]}',
        '{"a": [{"prefix": 1}]}',
        '{"a": [{"numeric": [">"]}]}',
        '{"a": [{"numeric": ["~", 1]}]}',
        '{"a": [{"exists": "yes"}]}',
        '{"a": [{"anything-but": []}]}',
        '{"a": [{"unheard-of": 1}]}',
        '{"a": [{"prefix": "x", "suffix": "y"}]}',
    ],
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(EventPatternError):
        EventPattern(text)
