"""SQS as boto3 sees it: both its clients, shapes, digests, errors, long polls, through the whole server."""

import json
import threading
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.integration.conftest import REGION, RunningServer

from duestream.clock import ManualClock

pytestmark = pytest.mark.slow


@pytest.fixture
def sqs(server: RunningServer) -> Any:
    return server.client("sqs")


@pytest.fixture
def url(sqs: Any) -> str:
    return str(sqs.create_queue(QueueName="reminders")["QueueUrl"])


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_a_message_goes_through_and_boto3_agrees_on_its_digests(sqs: Any, url: str) -> None:
    attributes = {
        "Kind": {"DataType": "String", "StringValue": "überfällig"},
        "Count": {"DataType": "Number.int", "StringValue": "-12.5"},
        "Raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="Grüße \U0001f600", MessageAttributes=attributes)
    answer = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"])
    (message,) = answer["Messages"]
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == "Grüße \U0001f600"
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    (again,) = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    assert without_metadata(sqs.receive_message(QueueUrl=url)) == {}


def test_batches_go_through(sqs: Any, url: str) -> None:
    entries = [{"Id": str(number), "MessageBody": f"body {number}"} for number in range(10)]
    sent = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in sent["Successful"]] == [entry["Id"] for entry in entries]
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in received] == [entry["MessageBody"] for entry in entries]
    handles = [{"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"]} for message in received]
    changed = sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[{**handle, "VisibilityTimeout": 60} for handle in handles]
    )
    assert len(changed["Successful"]) == 10
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=handles)["Successful"]) == 10


def test_queues_are_created_listed_changed_and_deleted(sqs: Any, server: RunningServer) -> None:
    url = sqs.create_queue(QueueName="a", Attributes={"DelaySeconds": "3"}, tags={"team": "clinic"})["QueueUrl"]
    assert url == f"{server.endpoint_url}/000000000000/a"
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "clinic"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn", "DelaySeconds"])["Attributes"]
    assert attributes == {"QueueArn": f"arn:aws:sqs:{REGION}:000000000000:a", "DelaySeconds": "0"}
    assert sqs.get_queue_url(QueueName="a")["QueueUrl"] == url
    sqs.create_queue(QueueName="b")
    pages = sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1})
    assert [found.rpartition("/")[2] for page in pages for found in page["QueueUrls"]] == ["a", "b"]
    sqs.purge_queue(QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as refused:
        sqs.get_queue_url(QueueName="a")
    assert refused.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert refused.value.response["Error"]["Message"] == "The specified queue does not exist."


def test_errors_have_the_codes_that_programs_look_for(sqs: Any, url: str) -> None:
    with pytest.raises(sqs.exceptions.QueueNameExists) as exists:
        sqs.create_queue(QueueName="reminders", Attributes={"DelaySeconds": "9"})
    assert exists.value.response["Error"]["Code"] == "QueueAlreadyExists"
    with pytest.raises(ClientError) as invalid:
        sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=11)
    assert invalid.value.response["Error"]["Code"] == "InvalidParameterValue"
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="x")
    with pytest.raises(sqs.exceptions.EmptyBatchRequest):
        sqs.delete_message_batch(QueueUrl=url, Entries=[])
    sqs.purge_queue(QueueUrl=url)
    with pytest.raises(sqs.exceptions.PurgeQueueInProgress) as purging:
        sqs.purge_queue(QueueUrl=url)
    assert purging.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_fifo_queue_keeps_its_order(sqs: Any) -> None:
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = sqs.create_queue(QueueName="orders.fifo", Attributes=attributes)["QueueUrl"]
    for body in ("1", "2", "2", "3"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2)["Messages"]
    assert [message["Body"] for message in received] == ["1", "2"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    for message in received:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert [message["Body"] for message in sqs.receive_message(QueueUrl=url)["Messages"]] == ["3"]


def test_a_long_poll_is_answered_by_the_send(server: RunningServer, sqs: Any, url: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(server.client("sqs").receive_message, QueueUrl=url, WaitTimeSeconds=20)
        sqs.send_message(QueueUrl=url, MessageBody="a")  # before or after the poll began: it is answered either way
        (message,) = poll.result(timeout=15)["Messages"]
    assert message["Body"] == "a"


def test_a_long_poll_follows_the_servers_clock(manual_server: RunningServer, clock: ManualClock) -> None:
    sqs = manual_server.client("sqs")
    url = sqs.create_queue(QueueName="reminders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
        manual_server.call(lambda: clock.tick(timedelta(seconds=900)))
        answer = poll.result(timeout=15)
    if "Messages" not in answer:  # the clock's jump ended the poll's own time too
        answer = sqs.receive_message(QueueUrl=url)
    assert answer["Messages"][0]["Body"] == "later"


def test_many_consumers_get_every_message_once(server: RunningServer, sqs: Any, url: str) -> None:
    bodies: list[str] = []
    lock = threading.Lock()

    def consume() -> None:
        client = server.client("sqs")
        while True:
            received = client.receive_message(QueueUrl=url, MaxNumberOfMessages=3, WaitTimeSeconds=20).get(
                "Messages", []
            )
            for message in received:
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                with lock:
                    bodies.append(message["Body"])
                if message["Body"].startswith("stop"):
                    return

    with ThreadPoolExecutor(4) as pool:
        consumers = [pool.submit(consume) for _ in range(4)]
        for number in range(60):
            sqs.send_message(QueueUrl=url, MessageBody=str(number))
        stops = 0
        while not all(consumer.done() for consumer in consumers):
            sqs.send_message(QueueUrl=url, MessageBody=f"stop {stops}")
            stops += 1
        for consumer in consumers:
            consumer.result(timeout=30)
    numbers = [body for body in bodies if not body.startswith("stop")]
    assert sorted(numbers, key=int) == [str(number) for number in range(60)]


def test_the_resource_interface_works(server: RunningServer) -> None:
    resource = boto3.resource(
        "sqs",
        endpoint_url=server.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    queue = resource.create_queue(QueueName="reminders")
    queue.send_message(MessageBody="a")
    (message,) = queue.receive_messages(WaitTimeSeconds=5)
    message.delete()
    queue.reload()
    assert queue.attributes["ApproximateNumberOfMessages"] == "0"


def test_older_clients_speak_the_query_protocol(server: RunningServer, sqs: Any, url: str) -> None:
    def call(**parameters: str) -> tuple[int, str]:
        body = urllib.parse.urlencode({"Version": "2012-11-05", **parameters}).encode()
        scope = f"AWS4-HMAC-SHA256 Credential=test/20300101/{REGION}/sqs/aws4_request, SignedHeaders=host, Signature=0"
        request = urllib.request.Request(server.endpoint_url + "/", body, {"Authorization": scope})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    status, text = call(Action="SendMessage", QueueUrl=url, MessageBody="hello")
    assert (status, "<MD5OfMessageBody>5d41402abc4b2a76b9719d911017c592</MD5OfMessageBody>" in text) == (200, True)
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "hello"
    status, text = call(Action="GetQueueUrl", QueueName="missing")
    assert (status, "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in text) == (400, True)


def test_json_bodies_survive(sqs: Any, url: str) -> None:
    body = json.dumps({"a": ["\n", "\u2028", '"']})
    sqs.send_message(QueueUrl=url, MessageBody=body)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == body
