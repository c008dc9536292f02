"""Message move tasks: what is answered, what is moved, and how fast."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.local.services.sqs.conftest import Sqs

from duestream.errors import ServiceError
from duestream.local.services.sqs import mover_of

Run = Callable[[Callable[[Sqs], Awaitable[None]]], None]
PREFIX = "arn:aws:sqs:eu-west-1:000000000000:"
DEAD, SOURCE = f"{PREFIX}dead", f"{PREFIX}source"


async def dead_letters(sqs: Sqs, count: int, suffix: str = "") -> tuple[str, str]:
    """A queue whose messages went to its dead-letter queue; answers both URLs."""
    dead = await sqs.queue(f"dead{suffix}")
    policy = json.dumps({"deadLetterTargetArn": f"{DEAD}{suffix}", "maxReceiveCount": 1})
    source = await sqs.queue(f"source{suffix}", RedrivePolicy=policy, VisibilityTimeout="0")
    for number in range(count):
        fifo = {"MessageGroupId": "g", "MessageDeduplicationId": str(number)} if suffix else {}
        await sqs("SendMessage", QueueUrl=source, MessageBody=str(number), **fifo)
    for _ in range(2 * (count // 10 + 1)):
        await sqs.receive(source)
    assert (await sqs.counts(dead))[0] == count
    return source, dead


async def finish(sqs: Sqs) -> int | None:
    """Everything that may move now; says when more may."""
    mover = mover_of(sqs.store, sqs.clock)
    while True:
        next_ms = await mover.run_once()
        if next_ms is None or next_ms > sqs.clock.now_ms():
            return next_ms


async def tasks(sqs: Sqs, **parameters: Any) -> list[Any]:
    return list((await sqs("ListMessageMoveTasks", SourceArn=DEAD, **parameters))["Results"])


async def refusal(sqs: Sqs, operation: str, **parameters: Any) -> tuple[str, int, str]:
    with pytest.raises(ServiceError) as caught:
        await sqs(operation, **parameters)
    error = caught.value
    return error.query_code or error.code, error.status, error.message


def test_messages_go_back_to_where_they_came_from_as_new_ones(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        source, dead = await dead_letters(sqs, 2)
        before = {message["MessageId"] for message in await sqs.receive(dead, VisibilityTimeout=0)}
        handle = (await sqs("StartMessageMoveTask", SourceArn=DEAD))["TaskHandle"]
        assert handle
        await finish(sqs)
        (task,) = await tasks(sqs)
        assert task == {
            "Status": "COMPLETED",
            "SourceArn": DEAD,
            "ApproximateNumberOfMessagesMoved": 2,
            "ApproximateNumberOfMessagesToMove": 2,
            "StartedTimestamp": sqs.clock.now_ms(),
        }
        assert await sqs.counts(dead) == (0, 0, 0)
        received = await sqs.receive(source, AttributeNames=["All"])
        assert sorted(message["Body"] for message in received) == ["0", "1"]
        assert {message["Attributes"]["ApproximateReceiveCount"] for message in received} == {"1"}
        assert all("DeadLetterQueueSourceArn" not in message["Attributes"] for message in received)
        assert not before & {message["MessageId"] for message in received}

    run(scenario)


def test_a_rate_is_kept_by_the_clock_and_a_cancelled_task_moves_no_more(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        _, dead = await dead_letters(sqs, 9)
        other = await sqs.queue("other")
        start = {"SourceArn": DEAD, "DestinationArn": f"{PREFIX}other", "MaxNumberOfMessagesPerSecond": 2}
        handle = (await sqs("StartMessageMoveTask", **start))["TaskHandle"]
        await finish(sqs)
        assert (await sqs.counts(other))[0] == 2
        sqs.tick(milliseconds=999)
        await finish(sqs)
        assert (await sqs.counts(other))[0] == 2
        sqs.tick(milliseconds=1)
        await finish(sqs)
        assert (await sqs.counts(other))[0] == 4
        (task,) = await tasks(sqs)
        assert (task["Status"], task["TaskHandle"], task["MaxNumberOfMessagesPerSecond"]) == ("RUNNING", handle, 2)
        answer = await sqs("CancelMessageMoveTask", TaskHandle=handle)
        assert answer == {"ApproximateNumberOfMessagesMoved": 4}
        sqs.tick(hours=1)
        await finish(sqs)
        assert ((await sqs.counts(other))[0], (await sqs.counts(dead))[0]) == (4, 5)
        (task,) = await tasks(sqs)
        assert task["Status"] == "CANCELLED"
        assert "TaskHandle" not in task
        code, _, _ = await refusal(sqs, "CancelMessageMoveTask", TaskHandle=handle)
        assert code == "InvalidParameterValue"

    run(scenario)


def test_a_task_goes_on_after_a_restart(run: Run) -> None:
    async def before(sqs: Sqs) -> None:
        await dead_letters(sqs, 5)
        await sqs("StartMessageMoveTask", SourceArn=DEAD, MaxNumberOfMessagesPerSecond=1)
        await finish(sqs)
        await mover_of(sqs.store, sqs.clock).stop()

    async def after(sqs: Sqs) -> None:
        for _ in range(5):
            sqs.tick(seconds=1)
            await finish(sqs)
        (task,) = await tasks(sqs)
        assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 5)

    run(before)
    run(after)


def test_more_than_a_chunk_moves_and_what_comes_later_or_is_in_flight_stays(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        source, dead = await dead_letters(sqs, 230)
        await sqs.receive(dead, MaxNumberOfMessages=3)
        await sqs("StartMessageMoveTask", SourceArn=DEAD)
        mover = mover_of(sqs.store, sqs.clock)
        await mover.run_once()
        await sqs("SendMessage", QueueUrl=dead, MessageBody="later")
        await finish(sqs)
        assert (await sqs.counts(source))[0] == 227
        assert await sqs.counts(dead) == (1, 3, 0)

    run(scenario)


def test_a_fifo_queue_keeps_its_order(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        source, _ = await dead_letters(sqs, 5, ".fifo")
        await sqs("StartMessageMoveTask", SourceArn=f"{DEAD}.fifo")
        await finish(sqs)
        assert await sqs.bodies(source) == ["0", "1", "2", "3", "4"]

    run(scenario)


def test_a_task_fails_where_it_does_not_know_where_to(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        _, dead = await dead_letters(sqs, 1)
        other = await sqs.queue("other")
        destination = {"SourceArn": DEAD, "DestinationArn": f"{PREFIX}other", "MaxNumberOfMessagesPerSecond": 1}
        await sqs("SendMessage", QueueUrl=dead, MessageBody="direct")
        await sqs("StartMessageMoveTask", **destination)
        await finish(sqs)
        await sqs("DeleteQueue", QueueUrl=other)
        sqs.tick(seconds=1)
        await finish(sqs)
        (task,) = await tasks(sqs)
        assert (task["Status"], task["FailureReason"]) == ("FAILED", "AWS.SimpleQueueService.NonExistentQueue")
        assert (task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"]) == (1, 2)
        await sqs("StartMessageMoveTask", SourceArn=DEAD)
        await finish(sqs)
        newest, older = await tasks(sqs, MaxResults=10)
        assert (newest["Status"], newest["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
        assert older["DestinationArn"].endswith(":other")
        assert len(await tasks(sqs)) == 1

    run(scenario)


SAYS_SOURCE = "The resource that you specified for the SourceArn parameter doesn't exist."
SAYS_FORM = (
    "You must use this format to specify the SourceArn: arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
)
SAYS_RATE = (
    "Value for parameter MaxNumberOfMessagesPerSecond is invalid. "
    "Reason: You must enter a number that's between 1 and 500."
)


@pytest.mark.parametrize(
    ("operation", "parameters", "said"),
    [
        (
            "StartMessageMoveTask",
            {"SourceArn": SOURCE},
            ("InvalidParameterValue", 400, "Source queue must be configured as a Dead Letter Queue."),
        ),
        ("StartMessageMoveTask", {"SourceArn": f"{PREFIX}none"}, ("ResourceNotFoundException", 404, SAYS_SOURCE)),
        ("StartMessageMoveTask", {"SourceArn": "dead"}, ("InvalidParameterValue", 400, SAYS_FORM)),
        (
            "StartMessageMoveTask",
            {"SourceArn": DEAD, "DestinationArn": f"{PREFIX}none"},
            (
                "ResourceNotFoundException",
                404,
                "The resource that you specified for the DestinationArn parameter doesn't exist.",
            ),
        ),
        (
            "StartMessageMoveTask",
            {"SourceArn": DEAD, "DestinationArn": DEAD},
            ("InvalidParameterValue", 400, "Source queue arn and destination queue arn cannot be the same."),
        ),
        (
            "StartMessageMoveTask",
            {"SourceArn": DEAD, "DestinationArn": f"{PREFIX}other.fifo"},
            (
                "InvalidParameterValue",
                400,
                "The source queue and destination queue must be of the same queue type.",
            ),
        ),
        (
            "StartMessageMoveTask",
            {"SourceArn": DEAD, "MaxNumberOfMessagesPerSecond": 501},
            ("InvalidParameterValue", 400, SAYS_RATE),
        ),
        (
            "ListMessageMoveTasks",
            {"SourceArn": DEAD, "MaxResults": 11},
            (
                "InvalidParameterValue",
                400,
                "Value for parameter MaxResults is invalid. Reason: You must enter a number that's between 1 and 10.",
            ),
        ),
        ("ListMessageMoveTasks", {"SourceArn": f"{PREFIX}none"}, ("ResourceNotFoundException", 404, SAYS_SOURCE)),
        (
            "CancelMessageMoveTask",
            {"TaskHandle": "nonsense"},
            ("InvalidParameterValue", 400, "Value for parameter TaskHandle is invalid."),
        ),
        (
            "CancelMessageMoveTask",
            {"TaskHandle": "eyJ0YXNrSWQiOiJ4Iiwic291cmNlQXJuIjoiYXJuOmF3czpzcXM6eDowMDAwMDAwMDAwMDA6bm9uZSJ9"},
            ("ResourceNotFoundException", 404, SAYS_SOURCE),
        ),
        (
            "CancelMessageMoveTask",
            {"TaskHandle": "eyJ0YXNrSWQiOiJ4Iiwic291cmNlQXJuIjoiYXJuOmF3czpzcXM6eDowMDAwMDAwMDAwMDA6ZGVhZCJ9"},
            ("ResourceNotFoundException", 404, "Task does not exist."),
        ),
    ],
)
def test_what_cannot_be_is_refused_in_awss_words(
    operation: str, parameters: dict[str, Any], said: tuple[str, int, str], run: Run
) -> None:
    async def scenario(sqs: Sqs) -> None:
        await dead_letters(sqs, 0)
        await sqs.queue("other.fifo")
        assert await refusal(sqs, operation, **parameters) == said

    run(scenario)


def test_one_task_at_a_time_moves_a_queues_messages(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        await dead_letters(sqs, 3)
        start = {"SourceArn": DEAD, "MaxNumberOfMessagesPerSecond": 1}
        await sqs("StartMessageMoveTask", **start)
        said = await refusal(sqs, "StartMessageMoveTask", **start)
        assert said[2].startswith("There is already a task running. Only one active task is allowed for a source queue")

    run(scenario)


def test_the_mover_moves_by_itself(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        source, _ = await dead_letters(sqs, 3)
        await sqs("StartMessageMoveTask", SourceArn=DEAD)
        received: list[str] = []
        async with asyncio.timeout(30):
            while len(received) < 3:
                received += await sqs.bodies(source, WaitTimeSeconds=1)

    run(scenario)
