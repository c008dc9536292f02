import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from duestream import AwsCall, DeleteItem, Email, HttpRequest, PutItem, QueueMessage, UpdateItem
from duestream.core.schedule import Invocation, Place
from duestream.core.target import MAX_RECIPIENTS, Target

PLACE = Place("eu-west-1", "123456789012")


def input_of(target: Target) -> Any:
    return json.loads(target.invocation(PLACE).input)


def test_an_email_is_sess_send_email() -> None:
    email = Email("Clinic <c@example.com>", "a@example.com", "Time", text="Come", html="<p>Come</p>", cc=["b@example.com"],
                  bcc=("d@example.com",), reply_to="r@example.com")  # fmt: skip
    assert email.invocation(PLACE).target_arn == "arn:aws:scheduler:::aws-sdk:ses:sendEmail"
    assert input_of(email) == {
        "Source": "Clinic <c@example.com>",
        "Destination": {
            "ToAddresses": ["a@example.com"],
            "CcAddresses": ["b@example.com"],
            "BccAddresses": ["d@example.com"],
        },
        "Message": {
            "Subject": {"Data": "Time"},
            "Body": {"Text": {"Data": "Come"}, "Html": {"Data": "<p>Come</p>"}},
        },
        "ReplyToAddresses": ["r@example.com"],
    }


@pytest.mark.parametrize(
    "address",
    ["a@example.com", "Ä <a@example.com>", '"Doe, J. \\"JD\\"" <j@example.com>', "<a@b>", "a+b.c@sub.example.com"],
)
def test_these_are_addresses(address: str) -> None:
    assert input_of(Email(address, [address], "s", text="t"))["Source"] == address


@pytest.mark.parametrize(
    "address",
    [
        "", "nobody", "a@", "@b", "a@b@c", "a@example.com\r\nBcc: x@example.com", "A\n <a@example.com>", "a b@example.com",
        "a@example.com, b@example.com", "a@example.com, B <b@example.com>", "<a@example.com", "a@example.com>",
        "a@example.com\x00", "a@example.com\u2028", '"A\r\nBcc: x@y.z" <a@example.com>',
    ],
)  # fmt: skip
def test_these_are_no_addresses_and_nobody_adds_headers_with_one(address: str) -> None:
    wrongs: tuple[dict[str, Any], ...] = (
        {"source": address},
        {"to": address},
        {"to": ["ok@example.com", address]},
        {"reply_to": [address]},
    )
    for wrong in wrongs:
        with pytest.raises(ValueError, match="no address"):
            Email(**{"source": "s@example.com", "to": "t@example.com", "subject": "s", "text": "t", **wrong})


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Email("a@b.c", "a@b.c", "Hi\r\nBcc: x@y.z", text="t"), "line break"),
        (lambda: Email("a@b.c", "a@b.c", "Hi\x00", text="t"), "control character"),
        (lambda: Email("a@b.c", "a@b.c", "Hi", text="bell \x07"), "control character"),
        (lambda: Email("a@b.c", "a@b.c", "Hi"), "without a body"),
        (lambda: Email("a@b.c", [], "Hi", text="t"), "names nobody"),
        (lambda: Email("a@b.c", ["a@b.c"] * (MAX_RECIPIENTS + 1), "Hi", text="t"), "at most 50"),
        (lambda: QueueMessage("", "body"), "names no queue"),
        (lambda: QueueMessage("two words", "body"), "names no queue"),
        (lambda: QueueMessage("q" * 81, "body"), "names no queue"),
        (lambda: QueueMessage("arn:aws:sns:eu-west-1:123456789012:q", "body"), "names no queue"),
        (lambda: QueueMessage("http://localhost/q", "body"), "names no queue"),
        (lambda: QueueMessage("q", ""), "is empty"),
        (lambda: QueueMessage("q", "\x0b"), "control character"),
        (lambda: QueueMessage("q.fifo", "body"), "group_id"),
        (lambda: QueueMessage("q", "body", "group"), "no FIFO queue"),
        (lambda: QueueMessage("q", float("nan")), "."),
        (lambda: HttpRequest("ftp://example.com"), "no http or https"),
        (lambda: HttpRequest("https://"), "no http or https"),
        (lambda: HttpRequest("https://example.com:99999/"), "no http or https"),
        (lambda: HttpRequest("https://example.com/a b"), "no URL"),
        (lambda: HttpRequest("https://example.com/\r\nX: y"), "no URL"),
        (lambda: HttpRequest("https://example.com", method="post"), "none of"),
        (lambda: HttpRequest("https://example.com", headers={"X": "a\r\nY: b"}), "line break"),
        (lambda: HttpRequest("https://example.com", headers={"X:": "a"}), "no header's name"),
        (lambda: HttpRequest("https://example.com", headers={"Idempotency-Key": "a"}), "duestream itself"),
        (lambda: HttpRequest("https://example.com", headers={"X": "ä"}), "ASCII"),
        (lambda: PutItem("t", {"id": 1}), "names no table"),
        (lambda: UpdateItem("table", {"id": {"a": 1}}, "SET a = b"), "one or two attributes"),
        (lambda: UpdateItem("table", {"id": 1}, ""), "is empty"),
        (lambda: UpdateItem("table", {"id": 1}, "SET a = :a", values={"a": 1}), "begin with ':'"),
        (lambda: UpdateItem("table", {"id": 1}, "SET #a = b", names={"a": "b"}), "begin with '#'"),
        (lambda: DeleteItem("table"), "both table and key"),
        (lambda: DeleteItem(key={"id": 1}), "both table and key"),
        (lambda: DeleteItem("table", {}), "one or two attributes"),
        (lambda: DeleteItem().invocation(PLACE), "only to a rule"),
        (lambda: AwsCall("SFN", "startExecution", {}), "lower case"),
        (lambda: AwsCall("sfn", "StartExecution", {}), "lower-case first letter"),
        (lambda: AwsCall("sfn", "startExecution", {"stateMachineArn": "a"}), "upper-case letter"),
        (lambda: AwsCall("dynamodb", "getItem", {}), "only reads"),
        (lambda: AwsCall("dynamodb", "batchGetItem", {}), "only reads"),
        (lambda: AwsCall("translate", "translateDocument", {}), "only reads"),
    ],
)
def test_a_target_that_could_not_be_invoked_is_refused_when_it_is_made(
    make: Callable[[], object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Email("a@b.c", 7, "s", text="t"),  # type: ignore[arg-type]
        lambda: Email("a@b.c", [None], "s", text="t"),  # type: ignore[list-item]
        lambda: Email("a@b.c", "a@b.c", None, text="t"),  # type: ignore[arg-type]
        lambda: QueueMessage("q", b"bytes"),
        lambda: QueueMessage("q", object()),
        lambda: HttpRequest("https://example.com", body=b"bytes"),
        lambda: PutItem("table", ["id"]),  # type: ignore[arg-type]
    ],
)
def test_values_of_a_wrong_type_are_refused_by_name(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize(
    ("queue", "arn"),
    [
        ("reminders", "arn:aws:sqs:eu-west-1:123456789012:reminders"),
        ("arn:aws:sqs:us-east-2:999999999999:far", "arn:aws:sqs:us-east-2:999999999999:far"),
        ("https://sqs.us-east-2.amazonaws.com/999999999999/far", "arn:aws:sqs:us-east-2:999999999999:far"),
        ("https://us-east-2.queue.amazonaws.com/999999999999/far", "arn:aws:sqs:us-east-2:999999999999:far"),
        ("http://127.0.0.1:8787/000000000000/near", "arn:aws:sqs:eu-west-1:000000000000:near"),
    ],
)
def test_a_queue_is_named_by_name_arn_or_url(queue: str, arn: str) -> None:
    assert QueueMessage(queue, "body").invocation(PLACE) == Invocation(arn, "body")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("as it is", "as it is"),
        ({"b": Decimal("1.5"), "a": {"y", "x"}}, '{"a":["x","y"],"b":1.5}'),
        ([datetime(2026, 11, 23, tzinfo=UTC)], '["2026-11-23T00:00:00Z"]'),
        (None, "null"),
        (7, "7"),
    ],
)
def test_a_message_is_text_or_json(body: object, text: str) -> None:
    assert QueueMessage("q", body).invocation(PLACE).input == text


def test_a_fifo_queue_gets_its_message_group() -> None:
    assert QueueMessage("q.fifo", "b", "g").invocation(PLACE).message_group_id == "g"


def test_an_http_request_is_its_whole_input() -> None:
    request = HttpRequest("https://example.com/hook?x=1", headers={"X-Key": "k"}, body={"a": 1})
    assert request.invocation(PLACE).target_arn == (
        "arn:aws:events:eu-west-1:123456789012:api-destination/duestream-http"
    )
    assert input_of(request) == {
        "Url": "https://example.com/hook?x=1",
        "Method": "POST",
        "Headers": {"X-Key": "k", "Content-Type": "application/json"},
        "Body": '{"a":1}',
    }
    assert input_of(HttpRequest("http://example.com", method="GET")) == {
        "Url": "http://example.com",
        "Method": "GET",
        "Headers": {},
    }
    assert input_of(HttpRequest("http://e.com", headers={"content-type": "x/y"}, body=[]))["Headers"] == {
        "content-type": "x/y"
    }


def test_items_are_written_in_their_wire_form() -> None:
    put = PutItem("Archive", {"id": "1", "count": 7, "tags": {"a"}})
    assert put.invocation(PLACE).target_arn == "arn:aws:scheduler:::aws-sdk:dynamodb:putItem"
    assert input_of(put) == {
        "TableName": "Archive",
        "Item": {"id": {"S": "1"}, "count": {"N": "7"}, "tags": {"SS": ["a"]}},
    }
    update = UpdateItem("Offers", {"id": "1"}, "SET #s = :s", "#s <> :s", {"#s": "state"}, {":s": "over"})
    assert update.invocation(PLACE).target_arn == "arn:aws:scheduler:::aws-sdk:dynamodb:updateItem"
    assert input_of(update) == {
        "TableName": "Offers",
        "Key": {"id": {"S": "1"}},
        "UpdateExpression": "SET #s = :s",
        "ConditionExpression": "#s <> :s",
        "ExpressionAttributeNames": {"#s": "state"},
        "ExpressionAttributeValues": {":s": {"S": "over"}},
    }
    delete = DeleteItem("Offers", {"id": Decimal(1)})
    assert delete.invocation(PLACE).target_arn == "arn:aws:scheduler:::aws-sdk:dynamodb:deleteItem"
    assert input_of(delete) == {"TableName": "Offers", "Key": {"id": {"N": "1"}}}


def test_any_other_call_is_universal() -> None:
    call = AwsCall("sfn", "startExecution", {"StateMachineArn": "arn:x", "Input": "{}"})
    assert call.invocation(PLACE).target_arn == "arn:aws:scheduler:::aws-sdk:sfn:startExecution"
    assert input_of(call) == {"StateMachineArn": "arn:x", "Input": "{}"}
    AwsCall("x", "listenNow", {})  # begins with "list", but is another word


def test_targets_that_differ_only_in_the_order_of_a_map_are_the_same_invocation() -> None:
    one, other = QueueMessage("q", {"a": 1, "b": 2}), QueueMessage("q", {"b": 2, "a": 1})
    assert one.invocation(PLACE) == other.invocation(PLACE)


def test_universal_targets_follow_the_partition() -> None:
    place = Place("cn-north-1", "123456789012", "aws-cn")
    assert DeleteItem("Offers", {"id": "1"}).invocation(place).target_arn.startswith("arn:aws-cn:scheduler:::aws-sdk:")
