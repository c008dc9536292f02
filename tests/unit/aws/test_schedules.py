"""Our calls are those that botocore would make: its serializer is the oracle, and a recording endpoint shows the wire."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.serialize import create_serializer
from botocore.session import get_session
from tests.unit.aws.recording_endpoint import Recorder, recording

from duestream.aws.failures import CallError, Meaning
from duestream.aws.schedules import EventBridgeSchedules, delete_call, put_call
from duestream.aws.signed_calls import error_of

REQUEST: dict[str, Any] = {
    "Name": "remind_me-0123456789abcdef0123.x",
    "GroupName": "clinic",
    "ScheduleExpression": "rate(10 minutes)",
    "ScheduleExpressionTimezone": "Europe/Paris",
    "StartDate": datetime(2027, 1, 1, 12, 30, 15, tzinfo=UTC),
    "EndDate": datetime(2027, 2, 1, tzinfo=UTC),
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "State": "ENABLED",
    "ActionAfterCompletion": "DELETE",
    "Target": {
        "Arn": "arn:aws:sqs:eu-west-1:123456789012:q.fifo",
        "Input": 'Grüße, "you" \\ \n',
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0},
        "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:123456789012:clinic-dead-letters"},
        "SqsParameters": {"MessageGroupId": "g"},
    },
}
_MODEL = get_session().get_service_model("scheduler")


def as_botocore(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = create_serializer("rest-json").serialize_to_request(
        parameters, _MODEL.operation_model(operation)
    )
    return request


@pytest.mark.parametrize(("operation", "method"), [("CreateSchedule", "POST"), ("UpdateSchedule", "PUT")])
def test_a_put_is_written_as_botocore_writes_it(operation: str, method: str) -> None:
    ours = put_call(method, REQUEST)
    assert ours.body is not None
    theirs = as_botocore(operation, {**REQUEST, "ClientToken": ours.body["ClientToken"]})
    assert (ours.method, "/" + "/".join(ours.path)) == (theirs["method"], theirs["url_path"])
    assert json.loads(json.dumps(ours.body)) == json.loads(theirs["body"])
    assert theirs["headers"] == {"Content-Type": "application/json"}


def test_a_delete_is_written_as_botocore_writes_it() -> None:
    ours = delete_call("clinic", "remind-1")
    parameters = {"GroupName": "clinic", "Name": "remind-1", "ClientToken": ours.query["clientToken"]}
    theirs = as_botocore("DeleteSchedule", parameters)
    assert (ours.method, "/" + "/".join(ours.path)) == (theirs["method"], theirs["url_path"])
    assert dict(ours.query) == theirs["query_string"]
    assert ours.body is None


def test_each_call_has_a_client_token_of_its_own() -> None:
    tokens = {(put_call("POST", REQUEST).body or {})["ClientToken"] for _ in range(3)}
    assert len(tokens) == 3


@pytest.mark.parametrize(
    ("headers", "body", "code", "message"),
    [
        ({"x-amzn-errortype": "ConflictException:http://x/"}, b'{"Message":"there"}', "ConflictException", "there"),
        ({}, b'{"__type":"com.amazonaws.x#ThrottlingException","message":"slow"}', "ThrottlingException", "slow"),
        ({}, b"<html>Bad gateway</html>", "Http502", ""),
        ({}, b"[]", "Http502", ""),
    ],
)
def test_an_error_is_told_by_header_or_body(headers: dict[str, str], body: bytes, code: str, message: str) -> None:
    error = error_of(502, headers, body)
    assert (error.code, error.message, error.status) == (code, message, 502)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "the-token",
        "AWS_CONFIG_FILE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    with recording() as server:
        yield server


@pytest.fixture
def schedules(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> EventBridgeSchedules:
    monkeypatch.setenv("AWS_ENDPOINT_URL", recorder.url)
    return EventBridgeSchedules(get_session(), region="eu-west-1", connections=2)


def without_date(headers: dict[str, str]) -> set[str]:
    ignored = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "accept-encoding", "connection", "host"}
    return {name.lower() for name in headers} - ignored


@pytest.mark.slow
def test_the_wire_has_what_boto3s_client_sends(schedules: EventBridgeSchedules, recorder: Recorder) -> None:
    schedules.create(REQUEST)
    schedules.delete("clinic", "remind-1")
    client = get_session().create_client("scheduler", region_name="eu-west-1")
    client.create_schedule(**REQUEST)
    client.delete_schedule(GroupName="clinic", Name="remind-1")
    for ours, theirs in zip(recorder.requests[:2], recorder.requests[2:], strict=True):
        assert (ours["method"], urlsplit(ours["url"]).path) == (theirs["method"], urlsplit(theirs["url"]).path)
        assert parse_qs(urlsplit(ours["url"]).query).keys() == parse_qs(urlsplit(theirs["url"]).query).keys()
        if theirs["body"]:
            own, other = json.loads(ours["body"]), json.loads(theirs["body"])
            assert own.pop("ClientToken") != other.pop("ClientToken")
            assert own == other
        assert without_date(theirs["headers"]) <= without_date(ours["headers"]) | {"content-length"}
        credential = "Credential=AKIDEXAMPLE/"
        assert credential in ours["headers"]["Authorization"]
        assert "/eu-west-1/scheduler/aws4_request" in ours["headers"]["Authorization"]
        assert ours["headers"]["X-Amz-Security-Token"] == "the-token"


@pytest.mark.slow
def test_the_services_own_endpoint_comes_before_the_general_one(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SCHEDULER", f"{recorder.url}/behind/a/path")
    EventBridgeSchedules(get_session(), region="eu-west-1").create(REQUEST)
    assert recorder.requests[0]["url"] == f"/behind/a/path/schedules/{REQUEST['Name']}"


def test_without_one_it_is_awss_endpoint_of_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SCHEDULER"):
        monkeypatch.delenv(name, raising=False)
    schedules = EventBridgeSchedules(get_session(), region="eu-central-1")
    assert schedules._calls._endpoint_url == "https://scheduler.eu-central-1.amazonaws.com"


@pytest.mark.slow
def test_connections_are_kept_and_one_that_was_closed_is_made_anew(
    schedules: EventBridgeSchedules, recorder: Recorder
) -> None:
    for _ in range(3):
        schedules.create(REQUEST)
    assert len(recorder.connections) == 1
    schedules._calls._connections.pool.queue[-1].close()  # what a frozen environment finds after a while
    schedules.create(REQUEST)
    assert len(recorder.connections) == 2


@pytest.mark.slow
def test_errors_have_their_meaning(schedules: EventBridgeSchedules, recorder: Recorder) -> None:
    recorder.answers = [
        (409, "ConflictException", b'{"Message":"Schedule x already exists."}'),
        (404, "ResourceNotFoundException", b'{"Message":"Schedule x does not exist."}'),
        (429, "ThrottlingException", b'{"Message":"Rate exceeded"}'),
    ]
    with pytest.raises(CallError, match="ConflictException: Schedule x already exists") as caught:
        schedules.create(REQUEST)
    assert caught.value.meaning is Meaning.CONFLICT
    assert schedules.delete("clinic", "x") is False
    with pytest.raises(CallError) as caught:
        schedules.update(REQUEST)
    assert caught.value.meaning is Meaning.THROTTLED
    assert len(recorder.requests) == 3, "botocore tries nothing again"


@pytest.mark.slow
def test_a_schedule_is_read_as_boto3_reads_it(schedules: EventBridgeSchedules, recorder: Recorder) -> None:
    body = json.dumps({"Name": "x", "StartDate": 1798806615.0, "CreationDate": 1798806615.5}).encode()
    recorder.answers = [(200, None, body), (404, "ResourceNotFoundException", b"{}"), (200, None, body)]
    found = schedules.get("clinic", "x")
    assert found is not None
    assert found["StartDate"] == datetime(2027, 1, 1, 12, 30, 15, tzinfo=UTC)
    assert schedules.get("clinic", "y") is None
    client = get_session().create_client("scheduler", region_name="eu-west-1")
    theirs = client.get_schedule(GroupName="clinic", Name="x")
    theirs.pop("ResponseMetadata")
    assert theirs == found
    assert recorder.requests[0]["url"] == recorder.requests[2]["url"]


@pytest.mark.slow
def test_pages_are_followed(schedules: EventBridgeSchedules, recorder: Recorder) -> None:
    pages = [{"Schedules": [{"Name": "a"}], "NextToken": "more"}, {"Schedules": [{"Name": "b"}]}]
    recorder.answers = [(200, None, json.dumps(page).encode()) for page in pages]
    assert [found["Name"] for found in schedules.list_all("clinic", name_prefix="x-")] == ["a", "b"]
    queries = [parse_qs(urlsplit(request["url"]).query) for request in recorder.requests]
    assert queries == [
        {"ScheduleGroup": ["clinic"], "MaxResults": ["100"], "NamePrefix": ["x-"]},
        {"ScheduleGroup": ["clinic"], "MaxResults": ["100"], "NamePrefix": ["x-"], "NextToken": ["more"]},
    ]


@pytest.mark.slow
def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_told(
    schedules: EventBridgeSchedules, recorder: Recorder
) -> None:
    recorder.is_silent.set()
    with pytest.raises(CallError, match="ConnectionError: ReadTimeoutError") as caught:
        schedules.create(REQUEST, seconds=0.2)
    assert caught.value.meaning is Meaning.TRANSIENT
    recorder.ends.set()


@pytest.mark.slow
def test_nobody_at_the_endpoint_is_a_failed_call(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(CallError) as caught:
        EventBridgeSchedules(get_session(), region="eu-west-1").create(REQUEST)
    assert caught.value.meaning is Meaning.TRANSIENT


def test_without_credentials_no_call_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    session = get_session()
    session._credentials = None
    monkeypatch.setattr(session, "get_credentials", lambda: None)
    with pytest.raises(CallError) as caught:
        EventBridgeSchedules(session, region="eu-west-1", endpoint_url="http://127.0.0.1:9").create(REQUEST)
    assert caught.value.meaning is Meaning.HOPELESS
