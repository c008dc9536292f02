"""SQS's operations over a real store and a clock that moves when told to."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from duestream.clock import ManualClock
from duestream.core.schedule import Place
from duestream.local.services.context import RequestContext
from duestream.local.services.sqs import OPERATIONS
from duestream.local.store.store import Store

START = datetime(2030, 1, 1, 9, tzinfo=UTC)


class Sqs:
    """Calls operations as a request would."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self._context = RequestContext(store, clock, Place("eu-west-1"), "http://127.0.0.1:8787", "request-1")

    async def __call__(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        answer = await OPERATIONS[operation](self._context, parameters)
        assert isinstance(answer, Mapping)
        return answer

    async def queue(self, name: str = "reminders", **attributes: str) -> str:
        """Create a queue; answers its URL."""
        if name.endswith(".fifo"):
            attributes["FifoQueue"] = "true"
        answer = await self("CreateQueue", QueueName=name, Attributes=attributes)
        return str(answer["QueueUrl"])

    async def receive(self, queue_url: str, **parameters: Any) -> list[Mapping[str, Any]]:
        """Receive up to ten messages."""
        answer = await self("ReceiveMessage", QueueUrl=queue_url, **{"MaxNumberOfMessages": 10, **parameters})
        return list(answer.get("Messages", []))

    async def bodies(self, queue_url: str, **parameters: Any) -> list[str]:
        """Receive up to ten messages; answers their bodies."""
        return [message["Body"] for message in await self.receive(queue_url, **parameters)]

    async def counts(self, queue_url: str) -> tuple[int, int, int]:
        """Visible, in flight, delayed."""
        answer = await self("GetQueueAttributes", QueueUrl=queue_url, AttributeNames=["All"])
        names = ("", "NotVisible", "Delayed")
        visible, in_flight, delayed = (int(answer["Attributes"][f"ApproximateNumberOfMessages{n}"]) for n in names)
        return visible, in_flight, delayed

    def tick(self, **by: float) -> None:
        """Move the clock on."""
        self.clock.tick(timedelta(**by))


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[Sqs], Awaitable[None]]], None]:
    """Run a scenario; a second one finds the data folder as the first one left it."""

    def run_scenario(scenario: Callable[[Sqs], Awaitable[None]]) -> None:
        async def whole() -> None:
            store = Store.open(tmp_path / "data")
            try:
                await scenario(Sqs(store, ManualClock(START)))
            finally:
                await store.close()

        asyncio.run(whole())

    return run_scenario
