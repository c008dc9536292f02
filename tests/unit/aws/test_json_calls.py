"""AWS JSON as botocore writes and reads it: its serializer and its client are the oracle."""

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.serialize import create_serializer
from botocore.session import get_session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.unit.aws.recording_endpoint import Recorder, recording

from duestream.aws.failures import CallError, Meaning, error_from
from duestream.aws.item_calls import DynamoDbItems
from duestream.aws.json_calls import PATIENT_SECONDS, JsonCalls, headers_of
from duestream.aws.signed_calls import error_of
from duestream.aws.target_calls import TargetCalls
from duestream.aws.wire_items import from_boto3, to_boto3
from duestream.errors import DeliveryError

BINARY = {"B": "AP/+"}
ITEM = {
    "id": BINARY,
    "text": {"S": 'Grüße, "you" \\ \n'},
    "number": {"N": "1E+2"},
    "set": {"BS": ["AA==", "/w=="]},
    "nested": {"M": {"list": {"L": [{"NULL": True}, {"BOOL": False}, BINARY]}}},
}
KEY = {"id": BINARY}
CONDITION: dict[str, Any] = {
    "ConditionExpression": "#ts = :due",
    "ExpressionAttributeNames": {"#ts": "AT"},
    "ExpressionAttributeValues": {":due": BINARY, ":all": {"M": ITEM}},
}
REQUESTS: dict[str, dict[str, Any]] = {
    "GetItem": {"TableName": "Offers", "Key": KEY, "ConsistentRead": True},
    "DeleteItem": {"TableName": "Offers", "Key": KEY, **CONDITION},
    "UpdateItem": {"TableName": "Offers", "Key": KEY, "UpdateExpression": "REMOVE #ts", **CONDITION},
    "Query": {
        "TableName": "Offers",
        "IndexName": "ByExpiry",
        "KeyConditionExpression": "#ts = :due",
        "ExclusiveStartKey": ITEM,
        "Limit": 4,
        **{name: value for name, value in CONDITION.items() if name != "ConditionExpression"},
    },
}


class Stopwatch:
    """One that moves only when it waits."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, list[float]()

    def seconds(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "the-token",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.delenv(name, raising=False)
    with recording() as server:
        yield server


@pytest.fixture
def items(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> DynamoDbItems:
    monkeypatch.setenv("AWS_ENDPOINT_URL", recorder.url)
    return DynamoDbItems(get_session(), region="eu-west-1")


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def calls(recorder: Recorder, stopwatch: Stopwatch) -> JsonCalls:
    session, url = get_session(), recorder.url
    return JsonCalls(
        session,
        "dynamodb",
        region="eu-west-1",
        endpoint_url=url,
        connections=2,
        stopwatch=stopwatch,
        jitter=lambda: 0.5,
    )


def target_calls() -> TargetCalls:
    return TargetCalls(
        "eu-west-1",
        queue_url_prefix="https://sqs.eu-west-1.amazonaws.com/123456789012/",
        own_queues="arn:aws:sqs:eu-west-1:123456789012:",
    )


# The wire ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("service", "operation"), [*(("dynamodb", name) for name in REQUESTS), ("sqs", "SendMessage")])
def test_headers_are_those_that_botocores_serializer_writes(service: str, operation: str) -> None:
    model = get_session().get_service_model(service)
    request = to_boto3(REQUESTS.get(operation, {"QueueUrl": "q", "MessageBody": "text"}))
    serialized = create_serializer("json").serialize_to_request(request, model.operation_model(operation))
    theirs = dict(serialized["headers"])
    if service == "sqs":
        theirs["x-amzn-query-mode"] = "true"  # added by the client
    assert headers_of(model.metadata, operation) == theirs
    assert (serialized["method"], serialized["url_path"]) == ("POST", "/")


def signed_headers(request: dict[str, Any]) -> str:
    authorization: str = request["headers"]["Authorization"]
    return authorization.partition("SignedHeaders=")[2].partition(",")[0]


def headers_beside_the_clients_own(request: dict[str, Any]) -> dict[str, str]:
    ignored = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "accept-encoding", "connection"}
    changing = {"authorization", "x-amz-date"}
    headers = {name.lower(): value for name, value in request["headers"].items()}
    return {name: value for name, value in headers.items() if name not in ignored | changing}


@pytest.mark.slow
@pytest.mark.parametrize("operation", REQUESTS)
def test_the_wire_has_what_boto3s_client_sends_with_binaries_in_base64(
    items: DynamoDbItems, recorder: Recorder, operation: str
) -> None:
    request = REQUESTS[operation]
    match operation:
        case "GetItem":
            items.get("Offers", KEY)
        case "Query":
            items.query(request)
        case "DeleteItem":
            items.delete(request)
        case "UpdateItem":
            items.update(request)
    client = get_session().create_client("dynamodb", region_name="eu-west-1")
    client._make_api_call(operation, to_boto3(request))
    ours, theirs = recorder.requests
    assert (ours["method"], ours["url"]) == (theirs["method"], theirs["url"])
    assert json.loads(ours["body"]) == json.loads(theirs["body"])
    own, other = headers_beside_the_clients_own(ours), headers_beside_the_clients_own(theirs)
    assert own.pop("content-length")
    assert other.pop("content-length")
    assert own == other
    assert "/eu-west-1/dynamodb/aws4_request" in ours["headers"]["Authorization"]
    assert signed_headers(ours) == signed_headers(theirs)


@pytest.mark.slow
def test_answers_are_read_as_boto3_reads_them(items: DynamoDbItems, recorder: Recorder) -> None:
    item = json.dumps({"Item": ITEM}).encode()
    page = json.dumps({"Items": [ITEM], "Count": 1, "LastEvaluatedKey": KEY}).encode()
    recorder.answers = [(200, None, body) for body in (item, item, page, page, b"{}")]
    client = get_session().create_client("dynamodb", region_name="eu-west-1")
    assert items.get("Offers", KEY) == from_boto3(client.get_item(TableName="Offers", Key=to_boto3(KEY))["Item"])
    ours, theirs = items.query(REQUESTS["Query"]), client.query(**to_boto3(REQUESTS["Query"]))
    assert ours["Items"] == [from_boto3(one) for one in theirs["Items"]]
    assert ours["LastEvaluatedKey"] == from_boto3(theirs["LastEvaluatedKey"])
    assert items.get("Offers", KEY) is None


@pytest.mark.slow
def test_the_services_own_endpoint_comes_before_the_general_one(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"{recorder.url}/behind")
    DynamoDbItems(get_session(), region="eu-west-1").get("Offers", KEY)
    assert recorder.requests[0]["url"] == "/behind/"


@pytest.mark.slow
def test_over_tls_the_certificate_is_looked_at_and_connections_are_kept(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    recorder.socket = context.wrap_socket(recorder.socket, server_side=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", recorder.url.replace("http://127.0.0.1", "https://localhost"))
    strangers = JsonCalls(get_session(), "dynamodb", region="eu-west-1", connections=1, stopwatch=Stopwatch())
    with pytest.raises(CallError, match="certificate verify failed"):
        strangers.make("GetItem", REQUESTS["GetItem"])
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    long = {"Items": [ITEM] * 2_000}  # more than comes at once
    recorder.answers = [(200, None, json.dumps(long).encode())] * 2
    calls = JsonCalls(get_session(), "dynamodb", region="eu-west-1", connections=1)
    assert [calls.make("Query", REQUESTS["Query"]) for _ in range(2)] == [long, long]
    assert len(recorder.connections) == 1


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate of localhost and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    return certificate, key


@pytest.mark.slow
def test_messages_are_sent_as_boto3_sends_them(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", recorder.url)
    parameters = {
        "QueueUrl": "arn:aws:sqs:eu-west-1:123456789012:calls.fifo",
        "messageBody": "Grüße",
        "MessageGroupId": "g",
        "MessageAttributes": {"kind": {"DataType": "Binary", "BinaryValue": "text"}},
    }
    target_calls().make("sqs", "sendMessage", parameters, token="0" * 32)
    client = get_session().create_client("sqs", region_name="eu-west-1")
    client.send_message(
        QueueUrl="https://sqs.eu-west-1.amazonaws.com/123456789012/calls.fifo",
        MessageBody="Grüße",
        MessageGroupId="g",
        MessageDeduplicationId="0" * 32,
        MessageAttributes={"kind": {"DataType": "Binary", "BinaryValue": b"text"}},
    )
    ours, theirs = recorder.requests
    assert json.loads(ours["body"]) == json.loads(theirs["body"])
    own, other = headers_beside_the_clients_own(ours), headers_beside_the_clients_own(theirs)
    assert own.keys() == other.keys()
    assert own["x-amz-target"] == other["x-amz-target"]
    assert own["content-type"] == other["content-type"]


# Failures ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (400, "ConditionalCheckFailedException", Meaning.CONDITION),
        (400, "ProvisionedThroughputExceededException", Meaning.THROTTLED),
        (400, "ThrottlingException", Meaning.THROTTLED),
        (400, "TransactionConflictException", Meaning.TRANSIENT),
        (500, "InternalServerError", Meaning.TRANSIENT),
        (400, "ResourceNotFoundException", Meaning.MISSING),
        (400, "ValidationException", Meaning.REFUSED),
        (400, "AccessDeniedException", Meaning.HOPELESS),
    ],
)
def test_an_error_has_botocores_code_and_the_meaning_that_follows(
    calls: JsonCalls, recorder: Recorder, status: int, code: str, meaning: Meaning
) -> None:
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "so it is"}).encode()
    recorder.answers = [(status, None, body)] * 100
    with pytest.raises(CallError) as ours:
        calls.make("DeleteItem", REQUESTS["DeleteItem"])
    client = get_session().create_client("dynamodb", region_name="eu-west-1", endpoint_url=recorder.url)
    with pytest.raises(ClientError) as theirs:
        client.delete_item(TableName="Offers", Key=to_boto3(KEY))
    expected = error_from(theirs.value.response)
    assert (ours.value.code, ours.value.message) == (expected.code, expected.message)
    assert ours.value.meaning is expected.meaning is meaning


@pytest.mark.slow
def test_a_condition_that_does_not_hold_is_an_answer_and_not_asked_again(
    items: DynamoDbItems, recorder: Recorder
) -> None:
    body = json.dumps({"__type": "x#ConditionalCheckFailedException", "message": "no"}).encode()
    recorder.answers = [(400, None, body), (200, None, b"{}"), (400, None, body), (200, None, b"{}")]
    assert [items.delete(REQUESTS["DeleteItem"]) for _ in range(2)] == [False, True]
    assert [items.update(REQUESTS["UpdateItem"]) for _ in range(2)] == [False, True]
    assert len(recorder.requests) == 4


@pytest.mark.slow
def test_what_is_throttled_is_made_again_more_slowly_and_others_with_it(
    calls: JsonCalls, recorder: Recorder, stopwatch: Stopwatch
) -> None:
    throttled = json.dumps({"__type": "x#ProvisionedThroughputExceededException", "message": ""}).encode()
    recorder.answers = [(400, None, throttled), (400, None, throttled), (200, None, b"{}")]
    assert calls.make("DeleteItem", REQUESTS["DeleteItem"], quota="Offers") == {}
    assert len(recorder.requests) == 3
    waited = len(stopwatch.waits)
    assert waited >= 2
    calls.make("DeleteItem", REQUESTS["DeleteItem"], quota="Offers")
    assert len(stopwatch.waits) > waited, "it shares the quota"
    waited = len(stopwatch.waits)
    calls.make("DeleteItem", REQUESTS["DeleteItem"], quota="another table")
    assert len(stopwatch.waits) == waited


@pytest.mark.slow
def test_what_stays_throttled_is_given_up_before_the_functions_time_is(
    calls: JsonCalls, recorder: Recorder, stopwatch: Stopwatch
) -> None:
    recorder.answers = [(400, "ThrottlingException", b"{}")] * 1000
    with pytest.raises(CallError, match="ThrottlingException"):
        calls.make("DeleteItem", REQUESTS["DeleteItem"])
    assert 1 < len(recorder.requests) < 100
    assert stopwatch.now <= PATIENT_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "answer", "code", "retryable"),
    [
        ({"MessageBody": "text"}, None, "ValidationException", False),
        ({"QueueUrl": "q", "MessageBody": "t", "Other": 1}, None, "ValidationException", False),
        ({"QueueUrl": "q", "MessageBody": "t"}, (400, "com.amazonaws.sqs#InvalidMessageContents"), None, False),
        ({"QueueUrl": "q", "MessageBody": "t"}, (400, "com.amazonaws.sqs#QueueDoesNotExist"), None, True),
        ({"QueueUrl": "q", "MessageBody": "t"}, (403, "AccessDeniedException"), None, True),
    ],
)
def test_a_message_that_is_not_taken_is_told_as_any_other_call(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    parameters: dict[str, Any],
    answer: tuple[int, str] | None,
    code: str | None,
    retryable: bool,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", recorder.url)
    if answer is not None:
        recorder.answers = [(answer[0], None, json.dumps({"__type": answer[1], "message": "no"}).encode())]
    with pytest.raises(DeliveryError) as raised:
        target_calls().make("sqs", "sendMessage", parameters, token="0" * 32)
    expected = code or (answer[1].rpartition("#")[2] if answer else "")
    assert (raised.value.code, raised.value.retryable) == (expected, retryable)


def test_sqs_errors_have_the_name_that_botocore_gives_them() -> None:
    headers = {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}
    error = error_of(400, headers, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}')
    assert error.code == "AWS.SimpleQueueService.NonExistentQueue"
