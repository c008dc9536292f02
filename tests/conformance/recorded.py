"""Answers recorded from AWS, and the operations to hold against them: through the codec, without a socket."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from duestream.clock import ManualClock
from duestream.core.schedule import Place
from duestream.errors import ServiceError
from duestream.local.server import codec_of
from duestream.local.services import dynamodb
from duestream.local.services.context import RequestContext
from duestream.local.store.store import Store
from duestream.local.wire import route
from duestream.local.wire.http import HttpRequest

#: Where and when AWS was asked.
SOURCES = {
    "parity-grammar": "paritysuite/dynamodb-conformance, tests/tier*/**/partiqlGrammar, grammar; eu-west-2, 2026-10",
    "parity-functions": "paritysuite/dynamodb-conformance, partiqlFunctions, setFunctions, whereFunctions; eu-west-2 "
    "and three more regions, 2026-10",
    "parity-from-first": "paritysuite/dynamodb-conformance, fromFirstUpdate; eu-west-2 and three more, 2026-10",
    "parity-overlap": "paritysuite/dynamodb-conformance, whereOverlap; eu-west-2 and us-east-1, 2026-10",
    "parity-numbers": "paritysuite/dynamodb-conformance, partiqlParameterNumbers; eu-west-2 and us-east-1, 2026-10",
    "parity-multi": "paritysuite/dynamodb-conformance, partiqlMultiAttributeIndex; eu-west-2 and us-east-1, 2026-10",
    "parity-writes": "paritysuite/dynamodb-conformance, writeResponses; eu-west-2 and three more regions, 2026-10",
    "parity-order": "paritysuite/dynamodb-conformance, validation-ordering/transactions; us-east-1 and eu-west-2, "
    "2026-10-09",
    "parity-size": "paritysuite/dynamodb-conformance, itemSizeBySurface; eu-west-2, 2026-08-18",
    "parity-values": "paritysuite/dynamodb-conformance, valueLayers; us-east-1, eu-west-1, us-west-2, 2026-10-09",
    "nubo-transactions": "nubo-db/dynamodb-conformance, transactWriteItems, transactGetItems, transactWrite; "
    "eu-west-2, 2026-06 to 2026-08",
    "nubo-statements": "nubo-db/dynamodb-conformance, executeStatement, partiql; eu-west-2, 2026-08",
    "nubo-batches": "nubo-db/dynamodb-conformance, batchExecuteStatement; eu-west-2, 2026-08",
    "nubo-statement-transactions": "nubo-db/dynamodb-conformance, executeTransaction; eu-west-2, 2026-08",
    "nubo-indexes": "nubo-db/dynamodb-conformance, indexQualifier, partiqlIndexQualifier; eu-west-2, 2026-08",
    "floci-edges": "floci-io/floci, DynamoDbPartiQLEdgeCaseIntegrationTest; eu-west-2, 2026-09-17",
    "floci-documented": "floci-io/floci, DynamoDbPartiQLDocumentedSyntaxIntegrationTest; eu-west-2, 2026-09-17",
    "moto": "getmoto/moto, tests/test_dynamodb (marked as verified against AWS)",
    "dynalite": "architect/dynalite, test/transactWriteItem.js (recorded from AWS, before 2020)",
}


@dataclass(frozen=True, slots=True)
class Golden:
    """One recorded answer. `expected` are members of the body; for an error the message as `Message`."""

    source: str
    operation: str
    request: Mapping[str, Any]
    expected: Mapping[str, Any]
    #: AWS's name of the error; None: it was answered.
    error: str | None = None
    #: Where several answers are recorded for one request in one place, what tells them apart.
    note: str = field(default="")

    def __str__(self) -> str:
        shown = self.request.get("Statement") or json.dumps(self.request)[:70]
        return f"{self.source}: {self.operation} {shown} {self.note}".rstrip()


class Recorded:
    """A store in which requests are answered as the server answers them."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self.clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
        self._store = self._runner.run(self._open(folder))
        self._context = RequestContext(
            self._store, self.clock, Place(region="eu-west-2"), "http://127.0.0.1:8787", "request-1"
        )
        self._codec = codec_of("dynamodb", route.JSON)

    @staticmethod
    async def _open(folder: Path) -> Store:
        return Store.open(folder)

    def ask(self, operation: str, **request: Any) -> tuple[int, dict[str, Any]]:
        """The status and the body, as they go out."""

        async def call() -> tuple[int, bytes]:
            headers = {"x-amz-target": f"DynamoDB_20120810.{operation}", "content-type": "application/x-amz-json-1.0"}
            http = HttpRequest("POST", "/", "", headers, msgspec.json.encode(request))
            try:
                parameters = self._codec.parameters(operation, http)
                response = self._codec.answer(
                    operation, await dynamodb.OPERATIONS[operation](self._context, parameters), "request-1"
                )
            except ServiceError as error:
                response = self._codec.refusal(error, "request-1")
            return response.status, response.body

        status, body = self._runner.run(call())
        return status, msgspec.json.decode(body)

    def answer(self, operation: str, **request: Any) -> dict[str, Any]:
        """The answer of a request that must go well."""
        status, body = self.ask(operation, **request)
        assert status == 200, body
        return body

    def check(self, golden: Golden) -> None:
        """Hold our answer against the recorded one."""
        status, body = self.ask(golden.operation, **golden.request)
        if golden.error is not None:
            body = {**body, "Message": body.get("message", body.get("Message")), "__type": body["__type"].split("#")[1]}
        kind = None if status == 200 else body.get("__type")
        assert (kind, status) == (golden.error, 200 if golden.error is None else 400), body
        assert {name: body.get(name) for name in golden.expected} == dict(golden.expected)

    def close(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()


def create(recorded: Recorded, name: str, keys: str, *, more: str = "", **indexes: Any) -> None:
    """Make a table: `keys` and `more` are such as ``pk:S sk:N``; the first one or two are its key."""
    declared = [each.split(":") for each in f"{keys} {more}".split()]
    kinds = ("HASH", "RANGE")
    recorded.answer(
        "CreateTable",
        TableName=name,
        AttributeDefinitions=[{"AttributeName": attribute, "AttributeType": kind} for attribute, kind in declared],
        KeySchema=[
            {"AttributeName": each.split(":")[0], "KeyType": kind}
            for each, kind in zip(keys.split(), kinds, strict=False)
        ],
        BillingMode="PAY_PER_REQUEST",
        **indexes,
    )


def index(name: str, partition: str, sort: str | None, projection: str, *attributes: str) -> dict[str, Any]:
    """An index as CreateTable takes it; partition and sort are names, several with a + between them."""
    schema = [{"AttributeName": each, "KeyType": "HASH"} for each in partition.split("+")]
    schema += [{"AttributeName": each, "KeyType": "RANGE"} for each in (sort.split("+") if sort else [])]
    projected: dict[str, Any] = {"ProjectionType": projection}
    if attributes:
        projected["NonKeyAttributes"] = list(attributes)
    return {"IndexName": name, "KeySchema": schema, "Projection": projected}
