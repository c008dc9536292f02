"""Letters to the stream-side dead-letter queue: SendMessage's whole request."""

import json
from collections.abc import Iterator

import pytest
from botocore.serialize import create_serializer
from botocore.session import get_session
from tests.unit.aws.recording_endpoint import Recorder, recording
from tests.unit.aws.stream_bench import NOW

from duestream import App, QueueMessage
from duestream.aws.failures import CallError, Meaning
from duestream.aws.letters import MAX_BODY_BYTES, SqsLetters, send_call
from duestream.core.planner import DeadLetterRecord
from duestream.core.record import EventName, Item, StreamRecord

QUEUE_URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/clinic-stream-dead-letters"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with recording() as recorder:
        monkeypatch.setenv("AWS_ENDPOINT_URL", recorder.url)
        yield recorder


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


def test_the_body_is_that_of_the_local_engine() -> None:
    call = send_call(QUEUE_URL, letter())
    assert call.body is not None
    body = json.loads(call.body["MessageBody"])
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


def test_it_is_written_as_botocore_writes_it() -> None:
    ours = send_call(QUEUE_URL, letter())
    model = get_session().get_service_model("sqs").operation_model("SendMessage")
    theirs = create_serializer("json").serialize_to_request(dict(ours.body or {}), model)
    assert (ours.method, "/" + "/".join(ours.path)) == (theirs["method"], theirs["url_path"])
    assert dict(ours.headers) == theirs["headers"]
    assert json.loads(json.dumps(ours.body)) == json.loads(theirs["body"])


def test_what_does_not_fit_is_cut() -> None:
    call = send_call(QUEUE_URL, letter({"PK": {"S": "a"}, "text": {"S": "x" * 300_000}}))
    assert call.body is not None
    assert len(call.body["MessageBody"]) <= MAX_BODY_BYTES
    assert json.loads(call.body["MessageBody"])["record"]["keys"] == {"PK": {"S": "a"}}


@pytest.mark.slow
def test_a_letter_is_sent_signed_and_a_refusal_is_a_failed_call(endpoint: Recorder) -> None:
    letters = SqsLetters(get_session(), QUEUE_URL, region="eu-west-1", connections=2)
    letters.send(letter())
    (request,) = endpoint.requests
    assert "/eu-west-1/sqs/aws4_request" in request["headers"]["Authorization"]
    assert "x-amz-target" in request["headers"]["Authorization"], "what is called is signed"
    endpoint.answers = [(400, None, b'{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slow down"}')]
    with pytest.raises(CallError, match="RequestThrottled: slow down") as caught:
        letters.send(letter())
    assert caught.value.meaning is Meaning.THROTTLED


@pytest.mark.slow
def test_an_answer_is_waited_for_no_longer_than_told(endpoint: Recorder) -> None:
    endpoint.is_silent.set()
    with pytest.raises(CallError, match="ReadTimeoutError"):
        SqsLetters(get_session(), QUEUE_URL, region="eu-west-1", connections=2).send(letter(), seconds=0.2)
