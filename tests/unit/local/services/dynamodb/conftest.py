"""A store, a manual clock, and DynamoDB's operations called as the server calls them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from duestream.clock import ManualClock
from duestream.core.schedule import Place
from duestream.errors import ServiceError
from duestream.local.services import dynamodb, streams
from duestream.local.services.context import RequestContext
from duestream.local.store.store import Store
from duestream.local.store.writer import Transaction

OPERATIONS = {**dynamodb.OPERATIONS, **streams.OPERATIONS}


class Caller:
    """Calls operations; each call is one run of the loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runner = asyncio.Runner()
        self.clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
        self._open_store()

    def _open_store(self) -> None:
        self.store = self._runner.run(self._open(self._folder))
        self._context = RequestContext(
            self.store, self.clock, Place(region="eu-west-1"), "http://127.0.0.1:8787", "request-1"
        )

    def reopen(self) -> None:
        """Close the data folder and open it again."""
        self._runner.run(self.store.close())
        self._open_store()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the store's loop."""
        return self._runner.run(coroutine)

    @staticmethod
    async def _open(folder: Path) -> Store:
        return Store.open(folder)

    def __call__(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer, decoded where the operation answers with finished JSON."""

        async def call() -> Any:
            return await OPERATIONS[operation](self._context, parameters)

        answer: Any = self._runner.run(call())
        return msgspec.json.decode(answer) if isinstance(answer, bytes) else dict(answer)

    def write(self, job: Callable[[Transaction], Any]) -> Any:
        """Carry out a job of the store's."""

        async def run() -> Any:
            return await self.store.write(job)

        return self._runner.run(run())

    def refusal(self, operation: str, **parameters: Any) -> str:
        """The error that the operation answers with: its code and its text."""
        with pytest.raises(ServiceError) as caught:
            self(operation, **parameters)
        return f"{caught.value.code}: {caught.value.message}"

    def create(self, name: str = "Appointments", sort_key: str | None = "SK", **more: Any) -> dict[str, Any]:
        """A table with keys of strings and a stream of both images."""
        names = ["PK"] if sort_key is None else ["PK", sort_key]
        kinds = ("HASH", "RANGE")
        declared: dict[str, Any] = {
            "TableName": name,
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
            "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        }
        answer: dict[str, Any] = self("CreateTable", **(declared | more))["TableDescription"]
        return answer

    def close(self) -> None:
        self._runner.run(self.store.close())
        self._runner.close()


@pytest.fixture
def dynamodb_call(tmp_path: Path) -> Iterator[Caller]:
    caller = Caller(tmp_path)
    yield caller
    caller.close()
