"""DynamoDB as a client sees it, without the socket: bytes in, bytes out, over the service's own codec."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from duestream.clock import ManualClock
from duestream.core.schedule import Place
from duestream.errors import ServiceError
from duestream.local.services import dynamodb
from duestream.local.services.context import RequestContext
from duestream.local.store.store import Store
from duestream.local.wire.aws_json import AwsJson
from duestream.local.wire.http import HttpRequest, HttpResponse

#: Tables that all goldens share: by name, the names and types of their keys.
TABLES = {
    "Hash": [("pk", "S")],
    "HashN": [("pk", "N")],
    "HashB": [("pk", "B")],
    "Composite": [("pk", "S"), ("sk", "S")],
    "CompositeN": [("pk", "S"), ("sk", "N")],
}


@dataclass(frozen=True)
class Answer:
    """What came back: `code` is the error's, without its namespace; empty where there is none."""

    status: int
    code: str
    message: str
    body: dict[str, Any]


class DynamoDb:
    """One service on a store of its own."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._codec = AwsJson("dynamodb")
        self.store = self._runner.run(self._open(folder))
        clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
        self._context = RequestContext(self.store, clock, Place(region="eu-west-1"), "http://127.0.0.1:8787", "r")

    @staticmethod
    async def _open(folder: Path) -> Store:
        return Store.open(folder)

    def send(self, operation: str, body: Any) -> Answer:
        """Send a request's JSON."""
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
        request = HttpRequest("POST", "/", "", headers, msgspec.json.encode(body))
        response = self._runner.run(self._answer(operation, request))
        answer: dict[str, Any] = msgspec.json.decode(response.body)
        code = str(answer.get("__type", "")).rpartition("#")[2]
        return Answer(response.status, code, answer.get("message", answer.get("Message", "")), answer)

    async def _answer(self, operation: str, request: HttpRequest) -> HttpResponse:
        try:
            parameters = self._codec.parameters(operation, request)
            result = await dynamodb.OPERATIONS[operation](self._context, parameters)
        except ServiceError as error:
            return self._codec.refusal(error, "r")
        return self._codec.answer(operation, result, "r")

    def __call__(self, operation: str, **body: Any) -> dict[str, Any]:
        """Send what must go well."""
        answer = self.send(operation, body)
        assert answer.status == 200, answer
        return answer.body

    def refusal(self, operation: str, **body: Any) -> str:
        """Send what must be refused as no valid request; gives the text."""
        answer = self.send(operation, body)
        assert (answer.status, answer.code) == (400, "ValidationException"), answer
        return answer.message

    def create(self, name: str, keys: list[tuple[str, str]], **more: Any) -> None:
        kinds = ("HASH", "RANGE")
        self(
            "CreateTable",
            **{
                "TableName": name,
                "AttributeDefinitions": [{"AttributeName": key, "AttributeType": kind} for key, kind in keys],
                "KeySchema": [
                    {"AttributeName": key, "KeyType": kind} for (key, _), kind in zip(keys, kinds, strict=False)
                ],
                "BillingMode": "PAY_PER_REQUEST",
                **more,
            },
        )

    def close(self) -> None:
        self._runner.run(self.store.close())
        self._runner.close()


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DynamoDb]:
    """DynamoDB with the shared tables, for all tests of a module: each uses keys of its own."""
    service = DynamoDb(tmp_path_factory.mktemp("dynamodb"))
    for name, keys in TABLES.items():
        service.create(name, keys)
    yield service
    service.close()
