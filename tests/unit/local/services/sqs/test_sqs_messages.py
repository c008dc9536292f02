"""Operations on messages. Texts and codes: LocalStack's recordings of AWS, where nothing else is said."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from duestream.errors import ServiceError

Sqs = Any  # conftest.Sqs
Run = Callable[[Callable[[Sqs], Awaitable[None]]], None]


async def refusal(call: Awaitable[Any]) -> tuple[str, str]:
    """Code and text of the error a call ends in."""
    with pytest.raises(ServiceError) as refused:
        await call
    return refused.value.query_code or refused.value.code, refused.value.message


def test_a_message_is_received_as_it_was_sent(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        attributes = {
            "Hello": {"DataType": "String", "StringValue": "There"},
            "General": {"DataType": "String", "StringValue": "Kenobi"},
            "Help.Me": {"DataType": "String", "StringValue": "Me"},
        }
        sent = await sqs("SendMessage", QueueUrl=url, MessageBody="msg", MessageAttributes=attributes)
        assert sent["MD5OfMessageBody"] == "6e2baaf3b97dbeef01c0043275f9a0e7"
        assert sent["MD5OfMessageAttributes"] == "4c360f3fdafd970e05fae2f149d997f5"
        assert "SequenceNumber" not in sent
        (received,) = await sqs.receive(url, MessageAttributeNames=["All"])
        handle = received["ReceiptHandle"]
        assert received == {
            "MessageId": sent["MessageId"],
            "ReceiptHandle": handle,
            "Body": "msg",
            "MD5OfBody": sent["MD5OfMessageBody"],
            "MessageAttributes": attributes,
            "MD5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        }

    run(scenario)


FILTERS = [
    ([], None, set()),
    (["All"], "4c360f3fdafd970e05fae2f149d997f5", {"Hello", "General", "Help.Me"}),
    ([".*"], "4c360f3fdafd970e05fae2f149d997f5", {"Hello", "General", "Help.Me"}),
    (["Foo"], None, set()),
    (["Hello", "General"], "fca026605781cb4126a1e9044df24232", {"Hello", "General"}),
    (["Foo", "Hello"], "a311262e065454b75da111d535b8dacd", {"Hello"}),
    (["Hel.*"], "83fee93c1bcd8b9a5a923ffacdc636c7", {"Hello", "Help.Me"}),
]


@pytest.mark.parametrize(("names", "md5", "answered"), FILTERS)
def test_message_attributes_are_filtered_as_recorded(run: Run, names: list[str], md5: str, answered: set[str]) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        values = {"Hello": "There", "General": "Kenobi", "Help.Me": "Me"}
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
        await sqs("SendMessage", QueueUrl=url, MessageBody="msg", MessageAttributes=attributes)
        (received,) = await sqs.receive(url, MessageAttributeNames=names)
        assert set(received.get("MessageAttributes", {})) == answered
        assert received.get("MD5OfMessageAttributes") == md5

    run(scenario)


def test_binary_attributes_survive(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        value = b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"
        attributes = {"attr1": {"DataType": "Binary", "BinaryValue": value}}
        await sqs("SendMessage", QueueUrl=url, MessageBody="test", MessageAttributes=attributes)
        (received,) = await sqs.receive(url, MessageAttributeNames=["All"])
        assert received["MessageAttributes"] == attributes
        assert received["MD5OfMessageAttributes"] == "8cbe4db156db8a94db8b801b7addb984"

    run(scenario)


def test_system_attributes_tell_of_receives(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}
        sent = await sqs("SendMessage", QueueUrl=url, MessageBody="m", MessageSystemAttributes=trace)
        assert len(sent["MD5OfMessageSystemAttributes"]) == 32
        sqs.tick(seconds=1)
        await sqs.receive(url)
        sqs.tick(seconds=30)
        (received,) = await sqs.receive(url, AttributeNames=["All"])
        assert received["Attributes"] == {
            "SenderId": "000000000000",
            "SentTimestamp": "1893488400000",
            "ApproximateReceiveCount": "2",
            "ApproximateFirstReceiveTimestamp": "1893488401000",
            "AWSTraceHeader": "Root=1",
        }
        sqs.tick(seconds=30)
        names = ["ApproximateReceiveCount", "Foobar"]
        (received,) = await sqs.receive(url, MessageSystemAttributeNames=names, AttributeNames=["SenderId"])
        assert received["Attributes"] == {"ApproximateReceiveCount": "3", "SenderId": "000000000000"}

    run(scenario)


def test_a_delayed_message_waits_its_time(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue(DelaySeconds="5")
        await sqs("SendMessage", QueueUrl=url, MessageBody="queue's delay")
        await sqs("SendMessage", QueueUrl=url, MessageBody="own delay", DelaySeconds=2)
        await sqs("SendMessage", QueueUrl=url, MessageBody="none", DelaySeconds=0)
        assert await sqs.counts(url) == (1, 0, 2)
        assert await sqs.bodies(url) == ["none"]
        sqs.tick(seconds=2)
        assert await sqs.bodies(url) == ["own delay"]
        sqs.tick(seconds=3)
        assert await sqs.bodies(url) == ["queue's delay"]
        assert await sqs.counts(url) == (0, 3, 0)

    run(scenario)


def test_a_message_is_hidden_until_its_visibility_timeout_ends(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue(VisibilityTimeout="10")
        await sqs("SendMessage", QueueUrl=url, MessageBody="a")
        assert await sqs.bodies(url) == ["a"]
        assert await sqs.bodies(url) == []
        sqs.tick(seconds=10)
        assert await sqs.bodies(url, VisibilityTimeout=3) == ["a"]
        sqs.tick(seconds=3)
        assert await sqs.bodies(url, VisibilityTimeout=0) == ["a"]
        assert await sqs.bodies(url) == ["a"]

    run(scenario)


def test_deleting_twice_succeeds_and_an_older_handle_still_deletes(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        await sqs("SendMessage", QueueUrl=url, MessageBody="a")
        (first,) = await sqs.receive(url)
        sqs.tick(seconds=30)
        (second,) = await sqs.receive(url)
        assert first["ReceiptHandle"] != second["ReceiptHandle"]
        for handle in (first["ReceiptHandle"], second["ReceiptHandle"], first["ReceiptHandle"]):
            assert await sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=handle) == {}
        sqs.tick(seconds=30)
        assert await sqs.bodies(url) == []

    run(scenario)


@pytest.mark.parametrize("handle", ["garbage", "", "AAAA", "é", "AQ=="])
def test_a_handle_that_was_never_given_out_is_refused(run: Run, handle: str) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        refused = ("ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.')
        assert await refusal(sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=handle)) == refused
        change = sqs("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=1)
        assert await refusal(change) == refused

    run(scenario)


def test_a_handle_of_another_queue_is_refused(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url, other = await sqs.queue("a"), await sqs.queue("b")
        await sqs("SendMessage", QueueUrl=url, MessageBody="a")
        (received,) = await sqs.receive(url)
        code, _ = await refusal(sqs("DeleteMessage", QueueUrl=other, ReceiptHandle=received["ReceiptHandle"]))
        assert code == "ReceiptHandleIsInvalid"

    run(scenario)


def test_visibility_is_changed_by_the_handle_of_any_receive(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        await sqs("SendMessage", QueueUrl=url, MessageBody="a")
        (first,) = await sqs.receive(url)

        def change(message: Any, seconds: int) -> Any:
            handle = message["ReceiptHandle"]
            return sqs("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=seconds)

        await change(first, 0)
        (second,) = await sqs.receive(url)
        await change(first, 10)  # getmoto/moto#4655, verified against AWS
        assert await sqs.bodies(url) == []
        await change(second, 60)
        sqs.tick(seconds=59)
        assert await sqs.bodies(url) == []
        assert await refusal(change(second, 43_200)) == (
            "InvalidParameterValue",  # aws/aws-sdk-net#794
            (
                "Value 43200 for parameter VisibilityTimeout is invalid. "
                "Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]."
            ),
        )
        sqs.tick(seconds=1)
        await change(second, 5)  # recorded: a timeout that is over can still be changed
        assert await sqs.bodies(url) == []

    run(scenario)


REFUSED_RECEIVES = [
    (
        {"MaxNumberOfMessages": 11},
        "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
    ),
    (
        {"MaxNumberOfMessages": 0},
        "Value 0 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
    ),
    (
        {"WaitTimeSeconds": 21},
        "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
    ),
    (
        {"VisibilityTimeout": 43201},
        "Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided.",
    ),
]


@pytest.mark.parametrize(("parameters", "text"), REFUSED_RECEIVES)
def test_receives_are_checked(run: Run, parameters: dict[str, int], text: str) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        assert await refusal(sqs("ReceiveMessage", QueueUrl=url, **parameters)) == ("InvalidParameterValue", text)

    run(scenario)


def string(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


REFUSED_MESSAGES = [
    (
        {"MessageBody": "a" * 1025},
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.",
    ),
    (
        {"MessageBody": "a" * 1000, "MessageAttributes": {"k": string("v" * 20)}},
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.",
    ),
    (
        {"MessageBody": "a\x07"},  # asim/nitro-plugins#437
        "InvalidMessageContents",
        (
            "Invalid binary character '#x7' was found in the message body, the set of allowed characters is "
            "#x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]."
        ),
    ),
    (
        {"MessageBody": "\uffff"},  # psd401/aistudio#1525
        "InvalidMessageContents",
        (
            "Invalid binary character '#xFFFF' was found in the message body, the set of allowed characters is "
            "#x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]."
        ),
    ),
    (
        {"MessageBody": "a", "MessageAttributes": {"ErrorDetails": string("")}},
        "InvalidParameterValue",
        "Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'.",
    ),
    (
        {"MessageBody": "a", "MessageAttributes": {"my-attribute": {"DataType": "x", "StringValue": "y"}}},
        "InvalidParameterValue",  # grafana/k6-jslib-aws#65
        (
            "The type of message (user) attribute 'my-attribute' is invalid. "
            "You must use only the following supported type prefixes: Binary, Number, String."
        ),
    ),
    (
        {"MessageBody": "a", "DelaySeconds": 901},
        "InvalidParameterValue",
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
    ),
]


@pytest.mark.parametrize(("parameters", "code", "text"), REFUSED_MESSAGES)
def test_messages_are_checked(run: Run, parameters: dict[str, Any], code: str, text: str) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue(MaximumMessageSize="1024")
        assert await refusal(sqs("SendMessage", QueueUrl=url, **parameters)) == (code, text)
        assert await sqs.counts(url) == (0, 0, 0)
        await sqs("SendMessage", QueueUrl=url, MessageBody="\t\n\r é \U0001f600")

    run(scenario)


def test_batches_answer_for_each_entry(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        entries = [{"Id": "1", "MessageBody": "a"}, {"Id": "2", "MessageBody": "\x00"}, {"Id": "3", "MessageBody": "c"}]
        sent = await sqs("SendMessageBatch", QueueUrl=url, Entries=entries)
        assert [entry["Id"] for entry in sent["Successful"]] == ["1", "3"]
        assert [(entry["Id"], entry["Code"], entry["SenderFault"]) for entry in sent["Failed"]] == [
            ("2", "InvalidMessageContents", True)
        ]
        received = await sqs.receive(url)
        handles = [message["ReceiptHandle"] for message in received]
        changes = [
            {"Id": "1", "ReceiptHandle": handles[0], "VisibilityTimeout": 0},
            {"Id": "2", "ReceiptHandle": "x", "VisibilityTimeout": 0},
        ]
        changed = await sqs("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=changes)
        assert changed["Successful"] == [{"Id": "1"}]
        assert changed["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
        assert await sqs.counts(url) == (1, 1, 0)
        deletes = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
        assert await sqs("DeleteMessageBatch", QueueUrl=url, Entries=deletes) == {
            "Successful": [{"Id": "0"}, {"Id": "1"}]
        }
        assert await sqs.counts(url) == (0, 0, 0)

    run(scenario)


ID_TEXT = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
PREFIX = "AWS.SimpleQueueService."
REFUSED_BATCHES = [
    ([], PREFIX + "EmptyBatchRequest", "There should be at least one DeleteMessageBatchRequestEntry in the request."),
    (
        [str(number) for number in range(20)],
        PREFIX + "TooManyEntriesInBatchRequest",
        "Maximum number of entries per request are 10. You have sent 20.",
    ),
    (["a", "a"], PREFIX + "BatchEntryIdsNotDistinct", "Id a repeated."),
    (["invalid:id"], PREFIX + "InvalidBatchEntryId", ID_TEXT),
    ([""], PREFIX + "InvalidBatchEntryId", ID_TEXT),
    (["x" * 81], PREFIX + "InvalidBatchEntryId", ID_TEXT),
]


@pytest.mark.parametrize(("ids", "code", "text"), REFUSED_BATCHES)
def test_batches_are_checked(run: Run, ids: list[str], code: str, text: str) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        entries = [{"Id": entry_id, "ReceiptHandle": "x"} for entry_id in ids]
        assert await refusal(sqs("DeleteMessageBatch", QueueUrl=url, Entries=entries)) == (code, text)

    run(scenario)


def test_a_batch_has_a_size_of_its_own(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        entries = [{"Id": "1", "MessageBody": "a" * 1_048_576}, {"Id": "2", "MessageBody": "a"}]
        assert await refusal(sqs("SendMessageBatch", QueueUrl=url, Entries=entries)) == (
            "AWS.SimpleQueueService.BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
        )

    run(scenario)


def test_messages_are_gone_after_their_retention(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue(MessageRetentionPeriod="60")
        await sqs("SendMessage", QueueUrl=url, MessageBody="old")
        sqs.tick(seconds=30)
        await sqs("SendMessage", QueueUrl=url, MessageBody="new")
        sqs.tick(seconds=30)
        assert await sqs.counts(url) == (1, 0, 0)
        assert await sqs.bodies(url, MaxNumberOfMessages=1) == ["new"]
        sqs.tick(seconds=30)
        assert await sqs.counts(url) == (0, 0, 0)
        assert await sqs.bodies(url) == []

    run(scenario)


def redrive(dead_letter_queue: str, maximum: int) -> str:
    return f'{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:{dead_letter_queue}","maxReceiveCount":{maximum}}}'


def test_a_message_received_too_often_moves_to_the_dead_letter_queue(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        dead = await sqs.queue("dead")
        url = await sqs.queue("source", VisibilityTimeout="1", RedrivePolicy=redrive("dead", 2))
        sent = await sqs("SendMessage", QueueUrl=url, MessageBody="a", MessageAttributes={"k": string("v")})
        for _ in range(2):
            assert await sqs.bodies(url) == ["a"]
            sqs.tick(seconds=1)
        assert await sqs.counts(dead) == (0, 0, 0)
        assert await sqs.bodies(url) == []
        assert await sqs.counts(url) == (0, 0, 0)
        (message,) = await sqs.receive(dead, AttributeNames=["All"], MessageAttributeNames=["All"])
        assert message["MessageId"] == sent["MessageId"]
        assert message["MessageAttributes"] == {"k": string("v")}
        assert message["Attributes"]["DeadLetterQueueSourceArn"] == "arn:aws:sqs:eu-west-1:000000000000:source"
        assert message["Attributes"]["SentTimestamp"] == "1893488400000"
        assert message["Attributes"]["ApproximateReceiveCount"] == "3"

    run(scenario)


def test_a_message_stays_where_the_dead_letter_queue_is_gone(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        dead = await sqs.queue("dead")
        url = await sqs.queue("source", VisibilityTimeout="0", RedrivePolicy=redrive("dead", 1))
        await sqs("SendMessage", QueueUrl=url, MessageBody="a")
        await sqs("DeleteQueue", QueueUrl=dead)
        for _ in range(3):
            assert await sqs.bodies(url) == ["a"]

    run(scenario)
