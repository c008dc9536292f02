"""Calls and requests that go to another endpoint: one that records what comes, and answers as it is told."""

import http.client
import json
import queue
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError
from tests.integration.conftest import REGION, RunningServer

from duestream.core.forwarding import AWS, Forwarding
from duestream.errors import SettingsError

pytestmark = pytest.mark.slow

ROLE = "arn:aws:iam::000000000000:role/scheduler"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:news"
BUS = f"arn:aws:events:{REGION}:000000000000:event-bus/default"
DEAD_LETTERS = f"arn:aws:sqs:{REGION}:000000000000:dead"
WAIT_SECONDS = 20

PUBLISHED = (200, b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>")


def _sns_error(status: int, code: str) -> tuple[int, bytes]:
    return (
        status,
        f"<ErrorResponse><Error><Code>{code}</Code><Message>so it is</Message></Error></ErrorResponse>".encode(),
    )


@dataclass
class Recorded:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class Endpoint:
    """What came is in `requests`; `answers` are given one after the other, and then the last again and again."""

    url: str
    requests: "queue.Queue[Recorded]" = field(default_factory=queue.Queue)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def next(self) -> Recorded:
        return self.requests.get(timeout=WAIT_SECONDS)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            there.requests.put(Recorded(self.command, self.path, headers, body))
            status, answer = there.answers.pop(0) if len(there.answers) > 1 else there.answers[0]
            self.send_response(status)
            for name, value in there.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    httpd.daemon_threads = True
    there = Endpoint(f"http://127.0.0.1:{httpd.server_port}", answers=[PUBLISHED])
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield there
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def forwarding(start_server: Callable[..., RunningServer], endpoint: Endpoint) -> RunningServer:
    return start_server(forwarding=Forwarding(endpoint.url))


def _schedule(server: RunningServer, target_arn: str, text: str | None, **more: Any) -> str:
    """One that is due at once; what is given up goes to the queue `dead`. Answers the due time."""
    due_at = f"{server.local.settings.clock.now():%Y-%m-%dT%H:%M:%S}"
    server.client("sqs").create_queue(QueueName="dead")
    target = {"Arn": target_arn, "RoleArn": ROLE, "DeadLetterConfig": {"Arn": DEAD_LETTERS}, **more}
    if text is not None:
        target["Input"] = text
    server.client("scheduler").create_schedule(
        Name="s",
        ScheduleExpression=f"at({due_at})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    return f"{due_at}Z"


def _dead_letter(server: RunningServer) -> dict[str, Any]:
    sqs = server.client("sqs")
    url = sqs.get_queue_url(QueueName="dead")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=WAIT_SECONDS, MessageAttributeNames=["All"])[
        "Messages"
    ]
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    return {"body": json.loads(message["Body"]), **attributes}


# Deliveries ----------------------------------------------------------------------------------------------------


def test_a_templated_target_is_called_at_the_endpoint_that_was_named(
    forwarding: RunningServer, endpoint: Endpoint
) -> None:
    due_at = _schedule(forwarding, TOPIC, "due at <aws.scheduler.scheduled-time>")
    came = endpoint.next()
    assert came.form["Action"] == "Publish"
    assert came.form["TopicArn"] == TOPIC
    assert came.form["Message"] == f"due at {due_at}"
    assert f"/{REGION}/sns/aws4_request" in came.headers["authorization"]


def test_a_universal_target_is_called_under_the_models_own_names(forwarding: RunningServer, endpoint: Endpoint) -> None:
    endpoint.answers = [(200, b'{"executionArn": "e", "startDate": 1}')]
    machine = "arn:aws:states:us-west-2:000000000000:stateMachine:m"
    _schedule(
        forwarding,
        "arn:aws:scheduler:::aws-sdk:sfn:startExecution",
        json.dumps({"StateMachineArn": machine, "Input": "{}"}),
    )
    came = endpoint.next()
    assert came.headers["x-amz-target"] == "AWSStepFunctions.StartExecution"
    request = json.loads(came.body)
    assert (request["stateMachineArn"], request["input"]) == (machine, "{}")
    assert len(request["name"]) == 32  # the delivery id: a repeated attempt starts nothing anew
    assert "/us-west-2/states/" in came.headers["authorization"], "an ARN says where"


def test_without_an_input_a_default_notification_is_sent(forwarding: RunningServer, endpoint: Endpoint) -> None:
    due_at = _schedule(forwarding, TOPIC, None)
    sent = json.loads(endpoint.next().form["Message"])
    assert (sent["detail-type"], sent["source"], sent["detail"]) == ("Scheduled Event", "aws.scheduler", "{}")
    assert sent["time"] == due_at


def test_a_delivery_that_the_endpoint_cannot_take_now_is_repeated(
    forwarding: RunningServer, endpoint: Endpoint
) -> None:
    endpoint.answers = [_sns_error(503, "ServiceUnavailable"), PUBLISHED]
    _schedule(forwarding, TOPIC, "attempt <aws.scheduler.attempt-number>")
    assert [endpoint.next().form["Message"] for _ in range(2)] == ["attempt 1", "attempt 2"]


def test_a_request_that_is_refused_as_such_is_given_up_at_once(forwarding: RunningServer, endpoint: Endpoint) -> None:
    endpoint.answers = [_sns_error(400, "InvalidParameter")]
    _schedule(forwarding, TOPIC, "m")
    letter = _dead_letter(forwarding)
    assert letter["body"] == {"TopicArn": TOPIC, "Message": "m"}
    assert (letter["ERROR_CODE"], letter["ERROR_MESSAGE"]) == ("InvalidParameter", "so it is")
    assert letter["TARGET_ARN"] == "arn:aws:scheduler:::aws-sdk:sns:publish"
    assert letter["RETRY_ATTEMPTS"] == "0"
    assert "EXHAUSTED_RETRY_CONDITION" not in letter


@pytest.mark.parametrize(
    "answer",
    [
        _sns_error(404, "NotFound"),
        _sns_error(400, "Throttling"),
        _sns_error(403, "AuthorizationError"),
        (500, b"no xml"),
    ],
    ids=["missing", "throttled", "forbidden", "broken"],
)
def test_what_may_be_mended_is_tried_as_often_as_was_said(
    forwarding: RunningServer, endpoint: Endpoint, answer: tuple[int, bytes]
) -> None:
    endpoint.answers = [answer]
    _schedule(forwarding, TOPIC, "m", RetryPolicy={"MaximumRetryAttempts": 1})
    assert _dead_letter(forwarding)["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert endpoint.requests.qsize() == 2


def test_an_event_that_the_bus_did_not_take_is_no_delivery(forwarding: RunningServer, endpoint: Endpoint) -> None:
    entry = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
    endpoint.answers = [(200, json.dumps({"FailedEntryCount": 1, "Entries": [entry]}).encode())]
    parameters = {"Source": "clinic", "DetailType": "due"}
    _schedule(forwarding, BUS, "{}", EventBridgeParameters=parameters, RetryPolicy={"MaximumRetryAttempts": 0})
    letter = _dead_letter(forwarding)
    assert (letter["ERROR_CODE"], letter["ERROR_MESSAGE"]) == ("ThrottlingException", "slow down")
    assert json.loads(endpoint.next().body)["Entries"] == [
        {"Source": "clinic", "DetailType": "due", "Detail": "{}", "EventBusName": BUS}
    ]


def test_an_endpoint_that_is_not_there_is_tried_again(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(forwarding=Forwarding(None, {"sns": "http://127.0.0.1:9"}))
    _schedule(server, TOPIC, "m", RetryPolicy={"MaximumRetryAttempts": 0})
    assert _dead_letter(server)["ERROR_CODE"] == "ConnectionError"


def test_a_value_of_a_wrong_type_is_given_up_at_once(forwarding: RunningServer, endpoint: Endpoint) -> None:
    _schedule(forwarding, "arn:aws:scheduler:::aws-sdk:sns:publish", '{"TopicArn": "t", "Message": 1}')
    assert _dead_letter(forwarding)["ERROR_CODE"] == "ValidationException"
    assert endpoint.requests.empty()


def test_further_operations_of_served_services_are_carried_out_here(server: RunningServer) -> None:
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    entries = [{"Id": "1", "MessageBody": "one"}, {"Id": "2", "MessageBody": "two"}]
    _schedule(
        server, "arn:aws:scheduler:::aws-sdk:sqs:sendMessageBatch", json.dumps({"QueueUrl": url, "Entries": entries})
    )
    bodies: set[str] = set()
    while len(bodies) < 2:
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=WAIT_SECONDS, MaxNumberOfMessages=10)
        bodies |= {message["Body"] for message in answer["Messages"]}
    assert bodies == {"one", "two"}


def test_they_are_signed_where_signatures_are_asked_for(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(credentials={"id": "secret"})
    signed = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
    url = server.client("sqs", **signed).create_queue(QueueName="q")["QueueUrl"]
    server.client("scheduler", **signed).create_schedule(
        Name="s",
        ScheduleExpression="at(2020-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessageBatch",
            "RoleArn": ROLE,
            "Input": json.dumps({"QueueUrl": url, "Entries": [{"Id": "1", "MessageBody": "m"}]}),
        },
    )
    answer = server.client("sqs", **signed).receive_message(QueueUrl=url, WaitTimeSeconds=WAIT_SECONDS)
    assert [message["Body"] for message in answer["Messages"]] == ["m"]


# What is refused at create -----------------------------------------------------------------------------------------


def _refusal(server: RunningServer, target_arn: str, text: str) -> str:
    with pytest.raises(ClientError) as refused:
        _schedule(server, target_arn, text)
    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationException"
    return str(error["Message"])


def test_without_an_endpoint_a_target_is_refused_with_what_to_do(server: RunningServer) -> None:
    message = _refusal(server, TOPIC, "m")
    assert "pip install 'duestream[moto]'" in message
    assert "--forward" in message


def test_a_universal_target_is_checked_against_its_model(forwarding: RunningServer) -> None:
    universal = "arn:aws:scheduler:::aws-sdk"
    assert _refusal(forwarding, f"{universal}:sfn:beginExecution", "{}") == "beginExecution API is not supported"
    assert "StateMachineArn" in _refusal(forwarding, f"{universal}:sfn:startExecution", '{"stateMachineArn": "m"}')
    assert "is not among the operations" in _refusal(
        forwarding, f"{universal}:dynamodb:createBackup", '{"TableName": "t", "BackupName": "b"}'
    )


def test_a_served_service_cannot_be_forwarded(start_server: Callable[..., RunningServer]) -> None:
    with pytest.raises(SettingsError, match="sqs is served here"):
        start_server(forwarding=Forwarding(None, {"sqs": "http://127.0.0.1:9"}))


# Requests that are passed on ---------------------------------------------------------------------------------------


def _ask(
    server: RunningServer, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> http.client.HTTPResponse:
    url = urlsplit(server.endpoint_url)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=WAIT_SECONDS)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.content = response.read()  # type: ignore[attr-defined]  # kept for the test
        return response
    finally:
        connection.close()


def _scope(service: str) -> dict[str, str]:
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential=a/20300101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    }


def test_a_request_for_another_service_is_answered_by_its_endpoint(
    forwarding: RunningServer, endpoint: Endpoint
) -> None:
    assert forwarding.client("sns").publish(TopicArn=TOPIC, Message="hello")["MessageId"] == "1"
    came = endpoint.next()
    assert came.form["Message"] == "hello"
    assert came.headers["host"] == urlsplit(endpoint.url).netloc


def test_what_is_passed_on_is_counted_under_its_names(forwarding: RunningServer, endpoint: Endpoint) -> None:
    forwarding.client("sns").publish(TopicArn=TOPIC, Message="hello")
    endpoint.answers = [(404, b"")]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for number in range(3):
        _ask(forwarding, "POST", "/", _scope("sns") | form, f"Action=MadeUp{number}".encode())
        _ask(forwarding, "POST", f"/made-up/{number}", _scope(f"made-up-{number}"))
    with urllib.request.urlopen(f"{forwarding.endpoint_url}/metrics", timeout=WAIT_SECONDS) as answer:
        text = answer.read().decode()
    counted = set(re.findall(r'duration_seconds_count\{operation="(.*?)",service="(.*?)",status="(.*?)"\}', text))
    assert counted == {
        ("Publish", "sns", "2xx"),
        ("(unknown)", "sns", "4xx"),
        ("(unknown)", "(unknown)", "4xx"),
    }


def test_it_is_passed_on_as_it_came_and_its_answer_too(forwarding: RunningServer, endpoint: Endpoint) -> None:
    endpoint.answers = [(409, b"\x1f\x8bnot touched")]
    endpoint.headers = {"Content-Encoding": "gzip", "X-Amz-Meta-One": "1", "Keep-Alive": "timeout=5"}
    headers = _scope("s3") | {"X-Custom": "v", "Connection": "close", "TE": "trailers"}
    response = _ask(forwarding, "PUT", "/schedules/a%20b%2Fc?list-type=2&x=%20", headers, b"body")
    assert (response.status, response.content) == (409, b"\x1f\x8bnot touched")  # type: ignore[attr-defined]
    assert (response.getheader("Content-Encoding"), response.getheader("X-Amz-Meta-One")) == ("gzip", "1")
    assert response.getheader("Keep-Alive") is None
    came = endpoint.next()
    assert (came.method, came.path, came.body) == ("PUT", "/schedules/a%20b%2Fc?list-type=2&x=%20", b"body")
    assert came.headers["x-custom"] == "v"
    assert "te" not in came.headers


def test_the_length_of_a_body_that_is_not_asked_for_is_told(forwarding: RunningServer, endpoint: Endpoint) -> None:
    endpoint.answers = [(200, b"x" * 1000)]
    response = _ask(forwarding, "HEAD", "/bucket/key", _scope("s3"))
    assert response.getheader("Content-Length") == "1000"


def test_without_an_endpoint_a_request_is_refused_with_what_to_do(server: RunningServer) -> None:
    with pytest.raises(ClientError, match="--forward"):
        server.client("sns").publish(TopicArn=TOPIC, Message="hello")


def test_an_endpoint_that_does_not_answer_is_a_bad_gateway(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(forwarding=Forwarding("http://127.0.0.1:9"))
    with pytest.raises(ClientError) as refused:
        server.client("stepfunctions").list_state_machines()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 502


def test_a_request_does_not_go_round_in_circles(start_server: Callable[..., RunningServer], endpoint: Endpoint) -> None:
    server = start_server(forwarding=Forwarding(endpoint.url))
    response = _ask(server, "GET", "/bucket", _scope("s3") | {"X-Duestream-Forwarded": "1"})
    assert response.status == 404
    assert endpoint.requests.empty()


def test_only_signed_requests_are_passed_on_where_signatures_are_asked_for(
    start_server: Callable[..., RunningServer], endpoint: Endpoint
) -> None:
    server = start_server(forwarding=Forwarding(endpoint.url), credentials={"id": "secret"})
    signed = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
    assert server.client("sns", **signed).publish(TopicArn=TOPIC, Message="hello")["MessageId"] == "1"
    endpoint.answers = [(200, b"")]
    server.client("s3", **signed).put_object(Bucket="b", Key="a b/ä+c", Body=b"data")
    assert (endpoint.next().form["Message"], endpoint.next().body) == ("hello", b"data")
    with pytest.raises(ClientError, match="signature"):
        server.client("sns", **(signed | {"aws_secret_access_key": "other"})).publish(TopicArn=TOPIC, Message="hello")
    assert endpoint.requests.empty()


def test_nobody_acts_at_aws_in_our_name_without_a_signature(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(forwarding=Forwarding(AWS))
    with pytest.raises(ClientError, match="--credentials"):
        server.client("sns").publish(TopicArn=TOPIC, Message="hello")
