"""Long polls: they wake at the commit or the moment that makes a message visible, and write nothing meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from duestream.errors import ServiceError
from duestream.local.services.sqs import arrivals_of

Sqs = Any  # conftest.Sqs
Run = Callable[[Callable[[Sqs], Awaitable[None]]], None]


async def waiting(*polls: Awaitable[Any]) -> list[asyncio.Task[Any]]:
    """Start polls and let them run until all of them sleep."""
    tasks: list[asyncio.Task[Any]] = [asyncio.ensure_future(poll) for poll in polls]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    return tasks


async def ended(task: asyncio.Task[Any]) -> Any:
    return await asyncio.wait_for(task, timeout=10)


def test_a_poll_wakes_at_the_send(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        (poll,) = await waiting(sqs.bodies(url, WaitTimeSeconds=20))
        await sqs("SendMessage", QueueUrl=url, MessageBody="a")
        assert await ended(poll) == ["a"]

    run(scenario)


def test_a_poll_wakes_when_a_delay_or_a_visibility_timeout_ends(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue(VisibilityTimeout="3")
        await sqs("SendMessage", QueueUrl=url, MessageBody="a", DelaySeconds=2)
        (poll,) = await waiting(sqs.bodies(url, WaitTimeSeconds=20))
        sqs.tick(seconds=1)
        (poll,) = await waiting(poll)
        sqs.tick(seconds=1)
        assert await ended(poll) == ["a"]
        (poll,) = await waiting(sqs.bodies(url, WaitTimeSeconds=20))
        sqs.tick(seconds=3)
        assert await ended(poll) == ["a"]

    run(scenario)


def test_a_poll_wakes_when_a_visibility_timeout_is_cut_short(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        await sqs("SendMessage", QueueUrl=url, MessageBody="a")
        (message,) = await sqs.receive(url)
        (poll,) = await waiting(sqs.bodies(url, WaitTimeSeconds=20))
        handle = message["ReceiptHandle"]
        await sqs("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
        assert await ended(poll) == ["a"]

    run(scenario)


def test_a_poll_wakes_when_a_group_is_free_again(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue("a.fifo", ContentBasedDeduplication="true")
        for body in ("1", "2"):
            await sqs("SendMessage", QueueUrl=url, MessageBody=body, MessageGroupId="g")
        (first,) = await sqs.receive(url, MaxNumberOfMessages=1)
        (poll,) = await waiting(sqs.bodies(url, WaitTimeSeconds=20))
        await sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        assert await ended(poll) == ["2"]

    run(scenario)


def test_a_poll_ends_empty_when_its_time_is_up(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue(ReceiveMessageWaitTimeSeconds="5")
        (poll,) = await waiting(sqs("ReceiveMessage", QueueUrl=url))
        sqs.tick(seconds=4)
        (poll,) = await waiting(poll)
        sqs.tick(seconds=1)
        assert await ended(poll) == {}

    run(scenario)


def test_a_poll_ends_by_real_time_where_the_clock_stands_still(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        assert await asyncio.wait_for(sqs.bodies(url, WaitTimeSeconds=1), timeout=10) == []

    run(scenario)


def test_each_message_goes_to_one_poll_and_every_poll_is_served(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        polls = await waiting(*(sqs.bodies(url, WaitTimeSeconds=20, MaxNumberOfMessages=1) for _ in range(5)))
        entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(5)]
        await sqs("SendMessageBatch", QueueUrl=url, Entries=entries)
        received = [body for poll in polls for body in await ended(poll)]
        assert sorted(received) == ["0", "1", "2", "3", "4"]

    run(scenario)


def test_a_poll_that_is_given_up_wakes_the_next_one(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        first, second = await waiting(*(sqs.bodies(url, WaitTimeSeconds=20) for _ in range(2)))
        await sqs("SendMessage", QueueUrl=url, MessageBody="a")
        first.cancel()
        assert await ended(second) == ["a"]

    run(scenario)


def test_a_poll_learns_that_its_queue_was_deleted(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        polls = await waiting(*(sqs.bodies(url, WaitTimeSeconds=20) for _ in range(2)))
        await sqs("DeleteQueue", QueueUrl=url)
        for poll in polls:
            with pytest.raises(ServiceError) as refused:
                await ended(poll)
            assert refused.value.code == "QueueDoesNotExist"

    run(scenario)


def test_stopping_ends_every_poll(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        (poll,) = await waiting(sqs.bodies(url, WaitTimeSeconds=20))
        arrivals_of(sqs.store, sqs.clock).stop()
        assert await ended(poll) == []
        assert await sqs.bodies(url, WaitTimeSeconds=20) == []

    run(scenario)


def test_receiving_nothing_writes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        await sqs("SendMessage", QueueUrl=url, MessageBody="later", DelaySeconds=60)

        def refuse(job: Any) -> None:
            raise AssertionError("an empty receive wrote")

        monkeypatch.setattr(sqs.store, "write", refuse)
        assert await sqs.bodies(url) == []
        (poll,) = await waiting(sqs.bodies(url, WaitTimeSeconds=20))
        sqs.clock.tick(timedelta(seconds=20))
        assert await ended(poll) == []

    run(scenario)


def test_messages_of_one_batch_wake_as_many_polls_at_once(run: Run) -> None:
    async def scenario(sqs: Sqs) -> None:
        url = await sqs.queue()
        polls = await waiting(*(sqs.bodies(url, WaitTimeSeconds=20, MaxNumberOfMessages=1) for _ in range(3)))
        woken: list[int] = []
        (line,) = arrivals_of(sqs.store, sqs.clock)._waiting.values()
        sqs.store.listen(lambda _: woken.append(sum(waiter.woken for waiter in line)))
        entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(2)]
        await sqs("SendMessageBatch", QueueUrl=url, Entries=entries)
        assert woken[0] == 2, "one for each message, by the commit itself"
        await sqs("SendMessage", QueueUrl=url, MessageBody="2")
        assert sorted([body for poll in polls for body in await ended(poll)]) == ["0", "1", "2"]

    run(scenario)
