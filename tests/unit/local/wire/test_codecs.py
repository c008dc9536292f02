"""What the protocols do with requests that no SDK would send, and how errors look on the wire."""

import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from duestream.errors import ConditionalCheckFailedException, ResourceNotFoundException, ServiceError
from duestream.local.wire.aws_json import AwsJson
from duestream.local.wire.http import HttpRequest
from duestream.local.wire.query import Query
from duestream.local.wire.refusals import MissingParameter, SerializationException, unknown_operation
from duestream.local.wire.rest_json import RestJson
from duestream.local.wire.xml import escape


def post(body: bytes, target: str = "", path: str = "/", query: str = "", method: str = "POST") -> HttpRequest:
    return HttpRequest(method, path, query, {"host": "localhost", "x-amz-target": target}, body)


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1}x', b"\xff", b"[" * 100_000, b'{"TableName":"\xff"}'])
def test_a_body_that_is_no_json_cannot_be_serialized(body: bytes) -> None:
    with pytest.raises(SerializationException):
        AwsJson("dynamodb").parameters("PutItem", post(body))


@pytest.mark.parametrize(
    ("operation", "parameters", "text"),
    [
        ("GetItem", {"TableName": 17}, "NUMBER_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": 1.5}, "DECIMAL_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": True}, "TRUE_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": []}, "Unrecognized collection type class java.lang.String"),
        ("GetItem", {"TableName": {}}, "Start of structure or map found where not expected."),
        ("GetItem", {"ConsistentRead": "yes"}, "Unexpected token received from parser"),
        ("GetItem", {"Key": "x"}, "Unexpected field type"),
        ("GetItem", {"AttributesToGet": "x"}, "Unexpected field type"),
        ("Query", {"Limit": "3"}, "STRING_VALUE cannot be converted to Integer"),
        ("Query", {"Limit": False}, "FALSE_VALUE cannot be converted to Integer"),
        ("Query", {"Limit": 2**31}, "NUMBER_VALUE cannot be converted to Integer"),
    ],
)
def test_a_wrong_type_is_told_as_aws_tells_it(operation: str, parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(SerializationException) as caught:
        AwsJson("dynamodb").parameters(operation, post(json.dumps(parameters).encode()))
    assert caught.value.message == text


def test_unknown_and_null_members_are_left_out() -> None:
    body = b'{"QueueUrl": "http://localhost/0/a", "MessageBody": "x", "DelaySeconds": null, "Color": "red"}'
    parameters = AwsJson("sqs").parameters("SendMessage", post(body))
    assert parameters == {"QueueUrl": "http://localhost/0/a", "MessageBody": "x"}


def test_dynamodbs_errors_have_its_prefix_and_a_checksum() -> None:
    error = ConditionalCheckFailedException(Item={"id": {"S": "1"}})
    response = AwsJson("dynamodb").refusal(error, "id-1")
    assert response.status == 400
    assert json.loads(response.body) == {
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
        "Item": {"id": {"S": "1"}},
    }
    assert response.headers["x-amzn-RequestId"] == "id-1"
    assert response.headers["x-amz-crc32"] == str(zlib.crc32(response.body))
    assert response.headers["Content-Type"] == "application/x-amz-json-1.0"


def test_the_frameworks_errors_have_the_frameworks_prefix() -> None:
    codec = AwsJson("dynamodb")
    assert json.loads(codec.refusal(SerializationException("bad"), "1").body) == {
        "__type": "com.amazon.coral.service#SerializationException",
        "Message": "bad",
    }
    unknown = codec.refusal(unknown_operation("dynamodb", "Fly", ["PutItem"]), "1")
    assert json.loads(unknown.body) == {
        "__type": "com.amazon.coral.service#UnknownOperationException",
        "message": "'Fly' is not an operation of dynamodb that is served here. Served: PutItem.",
    }


def test_sqs_says_the_old_code_too() -> None:
    class QueueDoesNotExist(ServiceError):
        query_code = "AWS.SimpleQueueService.NonExistentQueue"

    error = QueueDoesNotExist("The specified queue does not exist.")
    response = AwsJson("sqs").refusal(error, "1")
    assert json.loads(response.body)["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"
    assert response.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    old = Query("sqs").refusal(error, "1").body.decode()
    assert "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in old
    assert "<Type>Sender</Type>" in old


def test_an_error_has_the_status_that_its_service_gives_it() -> None:
    error = ResourceNotFoundException("Schedule x does not exist.")
    response = RestJson("scheduler").refusal(error, "1")
    assert (response.status, response.headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")
    assert json.loads(response.body) == {"Message": "Schedule x does not exist."}
    assert AwsJson("dynamodb").refusal(error, "1").status == 400


def test_an_answer_that_is_bytes_is_left_alone() -> None:
    assert AwsJson("dynamodb").answer("GetItem", b'{"Item":{}}', "1").body == b'{"Item":{}}'


def test_moments_are_seconds_since_1970() -> None:
    moment = datetime(2030, 1, 1, 9, 0, 0, 250_000, tzinfo=UTC)
    result = {"Name": "a", "CreationDate": moment, "LastModificationDate": 1893488400}
    body = json.loads(RestJson("scheduler").answer("GetScheduleGroup", result, "1").body)
    assert body == {"Name": "a", "CreationDate": 1893488400.25, "LastModificationDate": 1893488400}


def test_the_old_protocol_of_sqs_names_the_queue_by_path() -> None:
    form = b"Action=SendMessage&Version=2012-11-05&MessageBody=hi&MessageAttribute.1.Name=a&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=b"
    request = post(form, path="/000000000000/reminders")
    codec = Query("sqs")
    assert codec.operation_of(request) == "SendMessage"
    assert codec.parameters("SendMessage", request) == {
        "QueueUrl": "/000000000000/reminders",
        "MessageBody": "hi",
        "MessageAttributes": {"a": {"DataType": "String", "StringValue": "b"}},
    }
    with pytest.raises(MissingParameter, match="QueueUrl"):
        codec.parameters("SendMessage", post(form))


def test_members_of_a_form_keep_the_order_of_their_numbers() -> None:
    numbers = "&".join(f"Destination.ToAddresses.member.{n}=to{n}@x" for n in (10, 2, 1, 99999))
    form = f"Action=SendEmail&Source=a@x&Message.Subject.Data=s&Message.Body.Text.Data=t&{numbers}"
    parameters = Query("ses").parameters("SendEmail", post(form.encode()))
    assert parameters["Destination"]["ToAddresses"] == ["to1@x", "to2@x", "to10@x", "to99999@x"]


@pytest.mark.parametrize(
    "form", [b"\xff=1", b"DurationSeconds=soon", b"&".join(b"a%d=1" % number for number in range(20_000))]
)
def test_a_form_that_cannot_be_read_is_refused(form: bytes) -> None:
    with pytest.raises(SerializationException):
        Query("sts").parameters("GetSessionToken", post(form))


def test_xml_holds_any_text() -> None:
    assert escape('a<&>"\r\x00\ud800') == "a&lt;&amp;&gt;&quot;&#xD;\ufffd\ufffd"


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/schedules", "ListSchedules"),
        ("GET", "/schedules/", "ListSchedules"),
        ("GET", "/schedules/a", "GetSchedule"),
        ("DELETE", "/schedules/a%2Fb", "DeleteSchedule"),
        ("GET", "/tags/arn%3Aaws%3Ascheduler%3Ax%3A0%3Aschedule-group%2Fa", "ListTagsForResource"),
        ("GET", "/tags/arn:aws:scheduler:x:0:schedule-group/a", "ListTagsForResource"),
        ("PATCH", "/schedules/a", ""),
        ("GET", "/schedules/a/b", ""),
        ("GET", "/", ""),
    ],
)
def test_the_path_names_the_operation(method: str, path: str, operation: str) -> None:
    assert RestJson("scheduler").operation_of(post(b"", path=path, method=method)) == operation


def test_a_query_string_is_typed_by_the_model() -> None:
    codec = RestJson("scheduler")
    request = post(b"", path="/schedules", query="MaxResults=7&NamePrefix=a%20b&Color=red", method="GET")
    with pytest.raises(ServiceError, match="namePrefix"):
        codec.parameters("ListSchedules", request)
    request = post(b"", path="/schedules", query="MaxResults=7&NamePrefix=a-b&Color=red", method="GET")
    assert codec.parameters("ListSchedules", request) == {"MaxResults": 7, "NamePrefix": "a-b"}
    with pytest.raises(SerializationException, match="'seven' can not be converted to Integer"):
        codec.parameters("ListSchedules", post(b"", path="/schedules", query="MaxResults=seven", method="GET"))


def test_a_label_cannot_be_overridden_by_the_body() -> None:
    body = b'{"Name": "other"}'
    assert RestJson("scheduler").parameters("CreateScheduleGroup", post(body, path="/schedule-groups/a")) == {
        "Name": "a"
    }
