"""FIFO queues: order within a message group, blocked groups, deduplication."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from duestream.errors import ServiceError

Sqs = Any  # conftest.Sqs
Run = Callable[[Callable[[Sqs], Awaitable[None]]], None]


async def send(sqs: Sqs, url: str, body: str, group: str = "g", deduplication_id: str | None = None) -> Any:
    return await sqs(
        "SendMessage",
        QueueUrl=url,
        MessageBody=body,
        MessageGroupId=group,
        MessageDeduplicationId=deduplication_id or body,
    )


def test_a_group_is_received_in_order_and_blocked_while_in_flight(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo")
        for body in ("1", "2", "3"):
            await send(sqs, url, body)
        await send(sqs, url, "other", "h")
        received = await sqs.receive(url, MaxNumberOfMessages=2)
        assert [message["Body"] for message in received] == ["1", "2"]
        assert await sqs.bodies(url) == ["other"]
        await sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"])
        assert await sqs.bodies(url) == []
        await sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=received[1]["ReceiptHandle"])
        assert await sqs.bodies(url) == ["3"]

    run(scenario)


def test_a_message_that_comes_back_comes_first(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo", VisibilityTimeout="10")
        for body in ("1", "2"):
            await send(sqs, url, body)
        (first,) = await sqs.receive(url, MaxNumberOfMessages=1)
        sqs.tick(seconds=10)
        received = await sqs.receive(url, AttributeNames=["All"])
        assert [message["Body"] for message in received] == ["1", "2"]
        assert received[0]["Attributes"].items() >= {"MessageGroupId": "g", "MessageDeduplicationId": "1"}.items()
        numbers = [message["Attributes"]["SequenceNumber"] for message in received]
        assert numbers == sorted(numbers)
        with pytest.raises(ServiceError) as refused:
            await sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        handle = first["ReceiptHandle"]
        assert (refused.value.query_code, refused.value.message) == (
            "InvalidParameterValue",
            f"Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
        )

    run(scenario)


def test_a_handle_expires_with_its_visibility_timeout(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo", VisibilityTimeout="1")
        await send(sqs, url, "g1-m1")
        (received,) = await sqs.receive(url)
        sqs.tick(seconds=1)
        for operation, more in (("DeleteMessage", {}), ("ChangeMessageVisibility", {"VisibilityTimeout": 5})):
            with pytest.raises(ServiceError) as refused:
                await sqs(operation, QueueUrl=url, ReceiptHandle=received["ReceiptHandle"], **more)
            assert refused.value.message.endswith("Reason: The receipt handle has expired.")

    run(scenario)


def test_one_receive_takes_from_several_groups(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo")
        for number in range(4):
            for group in ("g", "h", "i"):
                await send(sqs, url, f"{group}{number}", group)
        received = await sqs.bodies(url)
        assert received == ["g0", "g1", "g2", "g3", "h0", "h1", "h2", "h3", "i0", "i1"]
        assert await sqs.bodies(url) == []

    run(scenario)


def test_a_visibility_of_zero_frees_the_group(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo")
        for body in ("1", "2"):
            await send(sqs, url, body)
        (first,) = await sqs.receive(url, MaxNumberOfMessages=1)
        handle = first["ReceiptHandle"]
        await sqs("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
        assert await sqs.bodies(url) == ["1", "2"]

    run(scenario)


def test_a_repeated_deduplication_id_sends_nothing_for_five_minutes(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo")
        first = await send(sqs, url, "body", "g", "once")
        (received,) = await sqs.receive(url)
        await sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
        sqs.tick(minutes=4, seconds=59)
        again = await send(sqs, url, "body", "h", "once")
        assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
        assert await sqs.bodies(url) == []
        sqs.tick(seconds=1)
        later = await send(sqs, url, "body", "g", "once")
        assert later["MessageId"] != first["MessageId"]
        assert await sqs.bodies(url) == ["body"]

    run(scenario)


def test_deduplication_by_content_and_by_group(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo", ContentBasedDeduplication="true", DeduplicationScope="messageGroup")
        for body, group in (("same", "g"), ("same", "g"), ("same", "h"), ("other", "g")):
            await sqs("SendMessage", QueueUrl=url, MessageBody=body, MessageGroupId=group)
        assert sorted(await sqs.bodies(url)) == ["other", "same", "same"]

    run(scenario)


REFUSED = [
    ({"MessageDeduplicationId": "1"}, "MissingParameter", "The request must contain the parameter MessageGroupId."),
    (
        {"MessageGroupId": "g"},
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
    ),
    (
        {"MessageGroupId": "g", "MessageDeduplicationId": "1", "DelaySeconds": 2},
        "InvalidParameterValue",
        (
            "Value 2 for parameter DelaySeconds is invalid. "
            "Reason: The request include parameter that is not valid for this queue type."
        ),
    ),
]


@pytest.mark.parametrize(("parameters", "code", "text"), REFUSED)
def test_messages_to_fifo_queues_are_checked(run: Run, parameters: dict[str, Any], code: str, text: str) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo")
        with pytest.raises(ServiceError) as refused:
            await sqs("SendMessage", QueueUrl=url, MessageBody="a", **parameters)
        assert (refused.value.query_code, refused.value.message) == (code, text)

    run(scenario)


def test_a_batch_without_groups_is_refused_whole(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo")
        with pytest.raises(ServiceError) as refused:
            await sqs("SendMessageBatch", QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "a"}])
        assert (refused.value.query_code, refused.value.message) == (
            "InvalidParameterValue",
            "The request must contain the parameter MessageGroupId.",
        )

    run(scenario)


def test_a_dead_letter_keeps_its_group_and_lets_the_next_one_through(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        dead = await sqs.queue("dead.fifo")
        policy = '{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dead.fifo","maxReceiveCount":"1"}'
        url = await sqs.queue("a.fifo", VisibilityTimeout="1", RedrivePolicy=policy)
        for body in ("1", "2"):
            await send(sqs, url, body)
        assert await sqs.bodies(url, MaxNumberOfMessages=1) == ["1"]
        sqs.tick(seconds=1)
        assert await sqs.bodies(url, MaxNumberOfMessages=1) == ["2"]
        (message,) = await sqs.receive(dead, AttributeNames=["All"])
        assert (message["Body"], message["Attributes"]["MessageGroupId"]) == ("1", "g")

    run(scenario)


def test_the_queues_delay_counts_also_for_a_message_that_asks_for_none(run: Run) -> None:
    """API_SendMessage: in a FIFO queue a delay is set for the queue only; 0 is taken (moto, verified against AWS)."""

    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo", DelaySeconds="10")
        await sqs(
            "SendMessage",
            QueueUrl=url,
            MessageBody="1",
            MessageGroupId="g",
            MessageDeduplicationId="1",
            DelaySeconds=0,
        )
        assert await sqs.bodies(url) == []
        sqs.tick(seconds=10)
        assert await sqs.bodies(url) == ["1"]

    run(scenario)


def test_a_new_delay_counts_for_messages_already_there(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo", DelaySeconds="60")
        await send(sqs, url, "1")
        sqs.tick(seconds=10)
        assert await sqs.bodies(url) == []
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "10"})
        assert await sqs.bodies(url) == ["1"]

    run(scenario)
