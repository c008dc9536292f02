"""Letters to the stream-side dead-letter queue: SendMessage's whole request, with botocore's stubber."""

import json
from typing import Any

import pytest
from botocore.session import get_session
from botocore.stub import ANY, Stubber
from tests.unit.aws.stream_bench import NOW

from duestream import App, QueueMessage
from duestream.aws.failures import CallError, Meaning
from duestream.aws.letters import MAX_BODY_BYTES, SqsLetters
from duestream.core.planner import DeadLetterRecord
from duestream.core.record import EventName, Item, StreamRecord

QUEUE_URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/clinic-stream-dead-letters"


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> SqsLetters:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return SqsLetters(get_session(), QUEUE_URL, region="eu-west-1", connections=2)


def letter(new_image: Item | None = None) -> DeadLetterRecord:
    rule = App("clinic").table("Appointments", partition_key="PK").rule("AT", QueueMessage("q"), name="remind")
    record = StreamRecord(
        "Appointments",
        EventName.MODIFY,
        {"PK": {"S": "a"}},
        {"PK": {"S": "a"}},
        new_image or {"PK": {"S": "a"}},
        "17",
        NOW,
    )
    return DeadLetterRecord(rule, record, "no such day", "unreadable timestamp")


def test_the_body_is_that_of_the_local_engine(letters: SqsLetters) -> None:
    sent: dict[str, Any] = {}
    with Stubber(letters._sqs()) as stubber:
        stubber.add_response("send_message", {"MessageId": "1"}, {"QueueUrl": QUEUE_URL, "MessageBody": ANY})
        letters._sqs().meta.events.register(
            "provide-client-params.sqs.SendMessage", lambda params, **_: sent.update(params)
        )
        letters.send(letter())
        stubber.assert_no_pending_responses()
    body = json.loads(sent["MessageBody"])
    assert body.pop("location").endswith(tuple("0123456789"))
    assert body == {
        "app": "clinic",
        "rule": "remind",
        "kind": "unreadable timestamp",
        "reason": "no such day",
        "record": {
            "tableName": "Appointments",
            "eventName": "MODIFY",
            "sequenceNumber": "17",
            "writtenAt": "2026-11-23T12:00:00Z",
            "keys": {"PK": {"S": "a"}},
            "newImage": {"PK": {"S": "a"}},
            "oldImage": {"PK": {"S": "a"}},
        },
    }


def test_what_does_not_fit_is_cut(letters: SqsLetters) -> None:
    sent: dict[str, Any] = {}
    with Stubber(letters._sqs()) as stubber:
        stubber.add_response("send_message", {"MessageId": "1"})
        letters._sqs().meta.events.register(
            "provide-client-params.sqs.SendMessage", lambda params, **_: sent.update(params)
        )
        letters.send(letter({"PK": {"S": "a"}, "text": {"S": "x" * 300_000}}))
    assert len(sent["MessageBody"]) <= MAX_BODY_BYTES
    assert json.loads(sent["MessageBody"])["record"]["keys"] == {"PK": {"S": "a"}}


def test_a_refusal_is_a_failed_call(letters: SqsLetters) -> None:
    with Stubber(letters._sqs()) as stubber:
        stubber.add_client_error("send_message", "RequestThrottled", "slow down", 400)
        with pytest.raises(CallError) as caught:
            letters.send(letter())
    assert caught.value.meaning is Meaning.THROTTLED
