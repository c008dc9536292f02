"""Dead letters of stream records: whole where they fit, and still of use where they do not."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from duestream import App, QueueMessage
from duestream.core.dead_letter import letter_json, record_letter, record_letter_text
from duestream.core.planner import DeadLetterRecord
from duestream.core.record import EventName, StreamRecord


def content(**changes: Any) -> dict[str, Any]:
    rule = App("clinic").table("Offers", partition_key="PK").rule("AT", QueueMessage("q"), name="tell")
    image = {"PK": {"S": "a"}, "text": {"S": "x" * 1000}}
    record = StreamRecord(
        "Offers", EventName.MODIFY, {"PK": {"S": "a"}}, image, image, "17", datetime(2026, 11, 23, tzinfo=UTC)
    )
    return {**record_letter(DeadLetterRecord(rule, record, "r" * 500, "rule raised")), **changes}


@pytest.mark.parametrize(
    ("limit_bytes", "kept"),
    [(10_000, {"newImage", "oldImage"}), (2_500, {"newImage"}), (1_200, set()), (400, set())],
)
def test_images_go_before_the_reason_does(limit_bytes: int, kept: set[str]) -> None:
    text = record_letter_text(content(), limit_bytes=limit_bytes)
    letter = json.loads(text)
    assert len(text.encode()) <= limit_bytes
    assert letter["record"].keys() & {"newImage", "oldImage"} == kept
    assert letter["record"]["keys"] == {"PK": {"S": "a"}}
    assert (letter["reason"] == "r" * 500) == (limit_bytes > 400)


def test_what_sqs_refuses_is_said_otherwise() -> None:
    text = letter_json({"a": "\ud800 \uffff \U0001f600"})
    assert text == '{"a":"\\ud800 \\uffff \U0001f600"}'
    assert json.loads(text) == {"a": "\ud800 \uffff \U0001f600"}
