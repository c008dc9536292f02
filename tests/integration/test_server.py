"""The server from outside: real clients, real sockets."""

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.integration.conftest import REGION, START, RunningServer

pytestmark = pytest.mark.slow


def ask(
    server: RunningServer, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    url = urlsplit(server.endpoint_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    response: dict[str, Any] = caught.value.response
    return response


def test_boto3_is_told_who_it_is(server: RunningServer) -> None:
    answer = server.client("sts").get_caller_identity()
    assert answer["Account"] == "000000000000"
    assert answer["Arn"] == "arn:aws:iam::000000000000:root"
    assert answer["ResponseMetadata"]["RequestId"]


def test_the_aws_cli_is_told_who_it_is(server: RunningServer) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "awscli",
        "--endpoint-url",
        server.endpoint_url,
        "--region",
        REGION,
    ]
    environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(
        [*command, "sts", "get-caller-identity", "--output", "json"],
        capture_output=True, check=True, timeout=60, env=environment,
    )  # fmt: skip
    assert json.loads(done.stdout)["Account"] == "000000000000"


def test_health_says_ready(server: RunningServer) -> None:
    status, _, body = ask(server, "GET", "/_duestream/health")
    assert (status, json.loads(body)["status"]) == (200, "ready")


def test_an_operation_that_is_not_served_names_those_that_are(server: RunningServer) -> None:
    response = error_of(lambda: server.client("sts").get_session_token())
    assert response["Error"]["Code"] == "InvalidAction"
    assert "GetCallerIdentity" in response["Error"]["Message"]
    response = error_of(lambda: server.client("dynamodb").list_exports())
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "PutItem" in response["Error"]["Message"]


@pytest.mark.parametrize(
    ("service", "operation"), [("ssm", "describe_parameters"), ("kms", "list_keys"), ("s3", "list_buckets")]
)
def test_a_service_that_is_not_served_names_those_that_are(server: RunningServer, service: str, operation: str) -> None:
    response = error_of(getattr(server.client(service), operation))
    assert "Served services: " in response["Error"]["Message"]
    assert "sqs" in response["Error"]["Message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://attacker.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/_duestream/health", "/?Action=GetCallerIdentity&Version=2011-06-15", "/nowhere"])
def test_requests_of_other_sites_are_refused(server: RunningServer, path: str, headers: dict[str, str]) -> None:
    status, _, body = ask(server, "GET", path, headers=headers)
    assert status == 403
    assert b"AccessDenied" in body


def test_names_of_ours_are_let_in(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(allowed_hosts=("build.example", "*.test"))
    port = server.local.port
    for host in (
        f"localhost:{port}",
        "localhost",
        f"sqs.localhost:{port}",
        "build.example:80",
        "a.b.test",
        f"[::1]:{port}",
    ):
        assert ask(server, "GET", "/_duestream/health", headers={"Host": host})[0] == 200, host


def test_the_clock_moves_when_told(manual_server: RunningServer) -> None:
    status, _, body = ask(manual_server, "POST", "/_duestream/clock", b'{"advance_seconds": 90}')
    assert (status, json.loads(body)) == (200, {"now": "2030-01-01T09:01:30+00:00"})
    status, _, body = ask(manual_server, "POST", "/_duestream/clock", b'{"now": "2031-01-01T00:00:00Z"}')
    assert (status, json.loads(body)) == (200, {"now": "2031-01-01T00:00:00+00:00"})
    assert manual_server.call(manual_server.local.settings.clock.now) == datetime(2031, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"advance_seconds": -1}', b'{"now": "later"}', b'{"by": 3}'])
def test_a_clock_is_not_moved_by_nonsense(manual_server: RunningServer, body: bytes) -> None:
    assert ask(manual_server, "POST", "/_duestream/clock", body)[0] == 400
    assert manual_server.call(manual_server.local.settings.clock.now) == START


def test_the_machines_clock_is_not_moved(server: RunningServer) -> None:
    assert ask(server, "POST", "/_duestream/clock", b'{"advance_seconds": 90}')[0] == 409


def test_with_credentials_a_good_signature_is_let_in(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(credentials={"AKIDEXAMPLE": "a secret"})
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "a secret"}
    assert server.client("sts", **keys).get_caller_identity()["Account"] == "000000000000"
    queue_url = server.client("sqs", **keys).create_queue(QueueName="signed")["QueueUrl"]
    assert queue_url.endswith("/signed")
    groups = server.client("scheduler", **keys).list_schedule_groups(NamePrefix="default")["ScheduleGroups"]
    assert [group["Name"] for group in groups] == ["default"]


def test_with_credentials_every_other_signature_is_refused(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(credentials={"AKIDEXAMPLE": "a secret"})
    wrong = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "another"}
    response = error_of(lambda: server.client("sts", **wrong).get_caller_identity())
    assert response["Error"]["Code"] == "SignatureDoesNotMatch"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
    response = error_of(lambda: server.client("dynamodb", **wrong).list_tables())
    assert response["Error"]["Code"] == "InvalidSignatureException"
    response = error_of(lambda: server.client("scheduler").list_schedules())
    assert response["Error"]["Code"] == "UnrecognizedClientException"
    status, _, body = ask(server, "GET", "/?Action=GetCallerIdentity&Version=2011-06-15")
    assert (status, b"<Code>MissingAuthenticationToken</Code>" in body) == (403, True)
    assert ask(server, "POST", "/_duestream/clock", b"{}")[0] == 403
    assert ask(server, "GET", "/_duestream/health")[0] == 200


def test_a_fault_of_ours_tells_nothing_but_the_request_id(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from duestream.local import server as server_module

    async def broken(context: Any, parameters: Any) -> Any:
        raise RuntimeError("inner secret")

    monkeypatch.setattr(server_module, "SERVICES", {"sts": {"GetCallerIdentity": broken}})
    response = error_of(lambda: server.client("sts").get_caller_identity())
    assert response["Error"]["Code"] == "InternalFailure"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "inner secret" not in str(response)
    assert response["ResponseMetadata"]["RequestId"] in response["Error"]["Message"]
    assert "inner secret" in caplog.text


def test_a_presigned_request_is_let_in(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(credentials={"AKIDEXAMPLE": "a secret"})
    client = server.client("sts", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="a secret")
    url = client.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    path = url.removeprefix(server.endpoint_url)
    status, _, body = ask(server, "GET", path)
    assert (status, b"<Account>000000000000</Account>" in body) == (200, True), body
    assert ask(server, "GET", path.replace("Action=GetCallerIdentity", "Action=GetSessionToken"))[0] == 403


def test_older_clients_reach_queues_by_forms(server: RunningServer) -> None:
    url = server.client("sqs").create_queue(QueueName="reminders")["QueueUrl"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    path = urlsplit(url).path
    version = b"&Version=2012-11-05"
    status, _, body = ask(server, "POST", path, b"Action=SendMessage&MessageBody=a%26b%3C" + version, form)
    assert (status, b"<SendMessageResult>" in body) == (200, True), body
    status, _, body = ask(server, "POST", path, b"Action=ReceiveMessage&AttributeName.1=All" + version, form)
    assert (status, b"<Body>a&amp;b&lt;</Body>" in body) == (200, True), body
    assert b"<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>" in body
    status, _, body = ask(server, "POST", "/", b"Action=GetQueueUrl&QueueName=none" + version, form)
    assert (status, b"<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in body) == (400, True)


def test_a_long_poll_ends_with_the_server(start_server: Callable[..., RunningServer]) -> None:
    server = start_server()
    client = server.client("sqs")
    url = client.create_queue(QueueName="reminders")["QueueUrl"]
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(client.receive_message(QueueUrl=url, WaitTimeSeconds=20)))
    thread.start()
    while not server.call(lambda: bool(server.local._listener.interruptible)):
        pass
    server.run(server.local.stop())
    thread.join(10)
    assert "Messages" not in answers[0]


def test_many_clients_at_once_write_what_they_are_told_they_wrote(server: RunningServer) -> None:
    client = server.client("dynamodb", config=Config(max_pool_connections=16))
    client.create_table(
        TableName="Appointments",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with ThreadPoolExecutor(16) as threads:
        items = [{"id": {"N": str(number)}, "text": {"S": "x" * number}} for number in range(200)]
        list(threads.map(lambda item: client.put_item(TableName="Appointments", Item=item), items))
    found = client.scan(TableName="Appointments", ConsistentRead=True)["Items"]
    assert sorted(found, key=lambda item: int(item["id"]["N"])) == items
