"""Operations on queues. Texts and codes: LocalStack's recordings of AWS, where nothing else is said."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from duestream.errors import ServiceError

Sqs = Any  # conftest.Sqs
Run = Callable[[Callable[[Sqs], Awaitable[None]]], None]


def test_a_created_queue_has_awss_defaults(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("reminders")
        assert url == "http://127.0.0.1:8787/000000000000/reminders"
        answer = await sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
        assert answer["Attributes"] == {
            "QueueArn": "arn:aws:sqs:eu-west-1:000000000000:reminders",
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesNotVisible": "0",
            "ApproximateNumberOfMessagesDelayed": "0",
            "CreatedTimestamp": "1893488400",
            "LastModifiedTimestamp": "1893488400",
            "VisibilityTimeout": "30",
            "MaximumMessageSize": "1048576",
            "MessageRetentionPeriod": "345600",
            "DelaySeconds": "0",
            "ReceiveMessageWaitTimeSeconds": "0",
            "SqsManagedSseEnabled": "true",
        }

    run(scenario)


def test_a_fifo_queue_has_further_attributes(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo")
        answer = await sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
        assert (
            answer["Attributes"].items()
            >= {
                "FifoQueue": "true",
                "ContentBasedDeduplication": "false",
                "DeduplicationScope": "queue",
                "FifoThroughputLimit": "perQueue",
            }.items()
        )

    run(scenario)


def test_create_queue_is_idempotent_with_the_same_attributes(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue(DelaySeconds="5")
        assert await sqs.queue(DelaySeconds="5") == url
        assert await sqs.queue() == url
        with pytest.raises(ServiceError) as refused:
            await sqs.queue(DelaySeconds="6")
        assert (refused.value.code, refused.value.query_code) == ("QueueNameExists", "QueueAlreadyExists")
        assert refused.value.message == (
            "A queue already exists with the same name and a different value for attribute DelaySeconds"
        )

    run(scenario)


REFUSED_NAMES = [
    ("a b", {}, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"),
    ("a" * 81, {}, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"),
    (
        "a.fifo",
        {},
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
    ),  # botocore#3058
    (
        "a",
        {"FifoQueue": "true"},
        (
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
            "must end with .fifo suffix and be 1 to 80 in length."
        ),
    ),
]


@pytest.mark.parametrize(("name", "attributes", "text"), REFUSED_NAMES)
def test_names_are_checked(run: Run, name: str, attributes: dict[str, str], text: str) -> None:
    async def scenario(sqs: Sqs) -> None:
        with pytest.raises(ServiceError) as refused:
            await sqs("CreateQueue", QueueName=name, Attributes=attributes)
        assert (refused.value.query_code, refused.value.message) == ("InvalidParameterValue", text)

    run(scenario)


REFUSED_ATTRIBUTES = [
    ({"VisibilityTimeout": "43201"}, "InvalidAttributeValue", "Invalid value for the parameter VisibilityTimeout."),
    ({"DelaySeconds": "-1"}, "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds."),
    ({"MaximumMessageSize": "1023"}, "InvalidAttributeValue", "Invalid value for the parameter MaximumMessageSize."),
    (
        {"MessageRetentionPeriod": "x"},
        "InvalidAttributeValue",
        "Invalid value for the parameter MessageRetentionPeriod.",
    ),
    ({"Policy": "{"}, "InvalidAttributeValue", "Invalid value for the parameter Policy."),
    ({"Colour": "red"}, "InvalidAttributeName", "Unknown Attribute Colour."),
    ({"QueueArn": "x"}, "InvalidAttributeName", "Unknown Attribute QueueArn."),
    ({"FifoQueue": "true"}, "InvalidAttributeName", "Unknown Attribute FifoQueue."),
    (
        {"KmsMasterKeyId": "a", "SqsManagedSseEnabled": "true"},
        "InvalidAttributeName",
        "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.",
    ),
    (
        {"RedrivePolicy": '{"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}'},
        "InvalidParameterValueException",
        (
            'Value {"deadLetterTargetArn": "dummy", "maxReceiveCount": 42} for parameter RedrivePolicy is invalid. '
            "Reason: Invalid value for deadLetterTargetArn."
        ),
    ),
    (
        {"RedrivePolicy": '{"maxReceiveCount": "42"}'},
        "InvalidParameterValueException",
        (
            'Value {"maxReceiveCount": "42"} for parameter RedrivePolicy is invalid. '
            "Reason: Redrive policy does not contain mandatory attribute: deadLetterTargetArn."
        ),
    ),
    (
        {"RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:no","maxReceiveCount":1}'},
        "InvalidParameterValueException",
        (
            'Value {"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:no","maxReceiveCount":1} for parameter '
            "RedrivePolicy is invalid. Reason: Dead letter target does not exist."
        ),
    ),
]


@pytest.mark.parametrize(("attributes", "code", "text"), REFUSED_ATTRIBUTES)
def test_attributes_are_checked(run: Run, attributes: dict[str, str], code: str, text: str) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        with pytest.raises(ServiceError) as refused:
            await sqs("SetQueueAttributes", QueueUrl=url, Attributes=attributes)
        assert (refused.value.code, refused.value.message) == (code, text)

    run(scenario)


def test_the_kind_of_a_queue_cannot_be_changed(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo")
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"FifoQueue": "true"})
        with pytest.raises(ServiceError) as refused:
            await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"FifoQueue": "false"})
        assert refused.value.message == (
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
        )

    run(scenario)


def test_attributes_are_set_and_taken_away(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        dead = await sqs.queue("dead")
        policy = '{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dead","maxReceiveCount":"3"}'
        sqs.tick(seconds=5)
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "7"})
        wanted = ["RedrivePolicy", "VisibilityTimeout", "LastModifiedTimestamp"]
        answer = await sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=wanted)
        assert answer["Attributes"] == {
            "RedrivePolicy": policy.replace('"3"', "3"),
            "VisibilityTimeout": "7",
            "LastModifiedTimestamp": "1893488405",
        }
        sources = await sqs("ListDeadLetterSourceQueues", QueueUrl=dead)
        assert sources == {"queueUrls": [url]}
        await sqs("SetQueueAttributes", QueueUrl=url, Attributes={"RedrivePolicy": ""})
        assert await sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=["RedrivePolicy"]) == {}
        assert await sqs("ListDeadLetterSourceQueues", QueueUrl=dead) == {"queueUrls": []}

    run(scenario)


def test_queues_are_listed_by_prefix_and_in_pages(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        assert await sqs("ListQueues") == {}
        urls = [await sqs.queue(name) for name in ("a1", "a2", "a3", "b1")]
        assert await sqs("ListQueues") == {"QueueUrls": urls}
        assert await sqs("ListQueues", QueueNamePrefix="b") == {"QueueUrls": urls[3:]}
        first = await sqs("ListQueues", QueueNamePrefix="a", MaxResults=2)
        assert first["QueueUrls"] == urls[:2]
        rest = await sqs("ListQueues", QueueNamePrefix="a", MaxResults=2, NextToken=first["NextToken"])
        assert rest == {"QueueUrls": urls[2:3]}

    run(scenario)


def test_a_queue_is_found_under_any_host(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        assert await sqs("GetQueueUrl", QueueName="reminders") == {"QueueUrl": url}
        for other in (
            "http://localhost:4566/000000000000/reminders",
            "https://sqs.eu-west-1.amazonaws.com/1/reminders",
        ):
            assert await sqs("ListQueueTags", QueueUrl=other) == {}
        assert await sqs("ListQueueTags", QueueUrl="reminders") == {}  # a name alone
        for address, code in (
            ("http://localhost:4566/", "InvalidAddress"),
            ("http://localhost:4566", "QueueDoesNotExist"),
            ("others", "QueueDoesNotExist"),
        ):
            with pytest.raises(ServiceError) as refused:
                await sqs("ListQueueTags", QueueUrl=address)
            assert refused.value.code == code

    run(scenario)


def test_a_missing_queue_is_named_so(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        await sqs("DeleteQueue", QueueUrl=url)
        for operation in ("DeleteQueue", "PurgeQueue", "ListQueueTags", "GetQueueAttributes", "ReceiveMessage"):
            with pytest.raises(ServiceError) as refused:
                await sqs(operation, QueueUrl=url)
            assert refused.value.code == "QueueDoesNotExist"
            assert refused.value.query_code == "AWS.SimpleQueueService.NonExistentQueue"
            assert refused.value.message == "The specified queue does not exist."

    run(scenario)


def test_a_purge_empties_the_queue_once_a_minute(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        for body in ("a", "b"):
            await sqs("SendMessage", QueueUrl=url, MessageBody=body)
        await sqs("ReceiveMessage", QueueUrl=url)
        await sqs("PurgeQueue", QueueUrl=url)
        assert await sqs.counts(url) == (0, 0, 0)
        sqs.tick(seconds=59)
        with pytest.raises(ServiceError) as refused:
            await sqs("PurgeQueue", QueueUrl=url)
        assert (refused.value.status, refused.value.query_code, refused.value.message) == (
            403,
            "AWS.SimpleQueueService.PurgeQueueInProgress",
            "Only one PurgeQueue operation on reminders is allowed every 60 seconds.",
        )
        sqs.tick(seconds=1)
        await sqs("PurgeQueue", QueueUrl=url)

    run(scenario)


def test_tags_come_and_go(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        await sqs("TagQueue", QueueUrl=url, Tags={"tag1": "value1", "tag2": "value2", "tag3": ""})
        await sqs("UntagQueue", QueueUrl=url, TagKeys=["tag1", "tag3", "never"])
        assert await sqs("ListQueueTags", QueueUrl=url) == {"Tags": {"tag2": "value2"}}

    run(scenario)


def test_queues_survive_a_restart(run: Run) -> None:
    async def before(sqs: Sqs) -> None:
        url = await sqs.queue(VisibilityTimeout="5")
        await sqs("SendMessage", QueueUrl=url, MessageBody="a")
        await sqs("SendMessage", QueueUrl=url, MessageBody="b")

    async def after(sqs: Sqs) -> None:
        url = await sqs.queue(VisibilityTimeout="5")
        assert await sqs.bodies(url) == ["a", "b"]

    run(before)
    run(after)


def test_a_redrive_policys_count_is_given_back_as_a_number(run: Run) -> None:
    """getmoto/moto#2402, as AWS does."""

    async def scenario(sqs: Sqs) -> None:
        await sqs.queue("dead")
        arn = "arn:aws:sqs:eu-west-1:000000000000:dead"
        policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "3"}}'
        url = await sqs.queue("source", RedrivePolicy=policy)
        assert await sqs.queue("source", RedrivePolicy=policy) == url
        answer = await sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=["RedrivePolicy"])
        assert answer["Attributes"]["RedrivePolicy"] == f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":3}}'

    run(scenario)


def test_permissions_are_statements_of_the_policy(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        arn = "arn:aws:sqs:eu-west-1:000000000000:reminders"

        async def policy() -> Any:
            answer = await sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=["Policy"])
            return json.loads(answer.get("Attributes", {}).get("Policy", "null"))

        async def add(label: str, accounts: list[str], actions: list[str]) -> None:
            await sqs("AddPermission", QueueUrl=url, Label=label, AWSAccountIds=accounts, Actions=actions)

        await add("one", ["111111111111"], ["*"])
        await add("two", ["111111111111", "222222222222"], ["SendMessage", "GetQueueUrl"])
        first = {
            "Sid": "one",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
            "Action": "SQS:*",
            "Resource": arn,
        }
        present = await policy()
        assert present["Id"] == f"{arn}/SQSDefaultPolicy"
        assert present["Statement"][0] == first
        assert present["Statement"][1]["Action"] == ["SQS:SendMessage", "SQS:GetQueueUrl"]
        await sqs("RemovePermission", QueueUrl=url, Label="two")
        assert (await policy())["Statement"] == [first]
        await sqs("RemovePermission", QueueUrl=url, Label="one")
        assert await policy() is None

    run(scenario)


@pytest.mark.parametrize(
    ("accounts", "actions", "code", "text"),
    [
        (["1"], ["*"], "InvalidParameterValue", "Value there for parameter Label is invalid. Reason: Already exists."),
        (["1"], [], "MissingParameter", "The request must contain the parameter Actions."),
        (
            [],
            ["*"],
            "InvalidParameterValue",
            "Value [] for parameter PrincipalId is invalid. Reason: Unable to verify.",
        ),
        (["1"], ["SendMessage"] * 8, "OverLimit", "8 Actions were found, maximum allowed is 7."),
        (
            ["1"],
            ["RemovePermission"],
            "InvalidParameterValue",
            (
                "Value SQS:RemovePermission for parameter ActionName is invalid. "
                "Reason: Only the queue owner is allowed to invoke this action."
            ),
        ),
    ],
)
def test_permissions_that_cannot_be_are_refused(
    run: Run, accounts: list[str], actions: list[str], code: str, text: str
) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        await sqs("AddPermission", QueueUrl=url, Label="there", AWSAccountIds=["1"], Actions=["*"])
        with pytest.raises(ServiceError) as refused:
            await sqs("AddPermission", QueueUrl=url, Label="there", AWSAccountIds=accounts, Actions=actions)
        assert (refused.value.query_code or refused.value.code) == code
        assert refused.value.message == text

    run(scenario)
