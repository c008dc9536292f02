"""DynamoDB's and SQS's calls of a sweep behind a fixed latency and, if told so, a quota of writes: a process of its own.

    python dynamodb_endpoint.py PORT_FILE LATENCY_MS

``POST /_fill`` makes items anew: ``{"table", "attribute", "due_at", "items", "shards", "quota"}``; ``GET /_told`` answers
what became of them. Items have an ``id``, the timestamp attribute and ``GSI_PK``. Conditions are looked at as far as the
sweep writes any: the timestamp is still the one that it names. A quota is writes a second; what is above is throttled.
"""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from time import monotonic
from typing import Any

import httptools
import uvloop

#: A megabyte of index entries of this size.
PAGE_SIZE = 10_000


class RefusedError(Exception):
    """An answer that is an error: its code."""


class Items:
    """One table, and what was asked of it."""

    def __init__(self) -> None:
        self.fill("", "", "", 0, 1, None)

    def fill(self, table: str, attribute: str, due_at: str, items: int, shards: int, quota: int | None) -> None:
        """Begin anew."""
        self.table, self.attribute, self.quota = table, attribute, quota
        self.items: dict[str, dict[str, Any]] = {
            f"item-{number:07}": {
                "id": {"S": f"item-{number:07}"},
                attribute: {"S": due_at},
                "GSI_PK": {"S": str(number % shards)},
            }
            for number in range(items)
        }
        self.counts: Counter[str] = Counter()
        self.first_at: float | None = None
        self.last_at = 0.0
        self._tokens, self._filled_at = (quota or 0) / 10, monotonic()

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """What the service would say.

        Raises:
            RefusedError: it would not do it.
        """
        self.last_at = monotonic()
        self.first_at = self.first_at or self.last_at
        self.counts[operation] += 1
        if self.quota is not None and operation in ("DeleteItem", "UpdateItem"):
            self._admit(self.quota)
        answers = {
            "Query": self._query,
            "GetItem": self._get,
            "DeleteItem": self._delete,
            "UpdateItem": self._take_out,
            "BatchWriteItem": self._write,
            "SendMessage": lambda _: {"MessageId": "1", "MD5OfMessageBody": "1cb251ec0d568de6a929b520c4aed8d1"},
        }
        return answers[operation](request)

    def _admit(self, quota: int) -> None:
        now = monotonic()
        self._tokens = min(quota / 10, self._tokens + (now - self._filled_at) * quota)
        self._filled_at = now
        if self._tokens < 1:
            self.counts["throttled"] += 1
            raise RefusedError("ProvisionedThroughputExceededException")
        self._tokens -= 1

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        values = request["ExpressionAttributeValues"]
        after = request.get("ExclusiveStartKey", {}).get("id", {}).get("S", "")
        lower = values.get(":lower", {}).get("S", "")
        found = [
            item
            for name, item in self.items.items()
            if item.get("GSI_PK") == values[":shard"]
            and lower <= item[self.attribute]["S"] <= values[":upper"]["S"]
            and name > after
        ]
        page = found[: request.get("Limit", PAGE_SIZE)]
        entries = [{name: item[name] for name in (self.attribute, "id")} for item in page]
        answer: dict[str, Any] = {"Items": entries, "Count": len(entries), "ScannedCount": len(entries)}
        if len(page) < len(found):
            answer["LastEvaluatedKey"] = page[-1]
        return answer

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self.items.get(request["Key"]["id"]["S"])
        return {} if found is None else {"Item": found}

    def _unchanged(self, request: dict[str, Any]) -> None:
        found = self.items.get(request["Key"]["id"]["S"])
        if "ConditionExpression" in request and (
            found is None or found[self.attribute] not in request["ExpressionAttributeValues"].values()
        ):
            raise RefusedError("ConditionalCheckFailedException")

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        self._unchanged(request)
        self.items.pop(request["Key"]["id"]["S"], None)
        return {}

    def _take_out(self, request: dict[str, Any]) -> dict[str, Any]:
        self._unchanged(request)
        del self.items[request["Key"]["id"]["S"]]["GSI_PK"]
        return {}

    def _write(self, request: dict[str, Any]) -> dict[str, Any]:
        for writes in request["RequestItems"].values():
            for write in writes:
                self.items.pop(write["DeleteRequest"]["Key"]["id"]["S"], None)
        return {"UnprocessedItems": {}}

    def as_json(self) -> bytes:
        """For ``/_told``."""
        seconds = self.last_at - (self.first_at or self.last_at)
        indexed = sum("GSI_PK" in item for item in self.items.values())
        return json.dumps({"counts": self.counts, "seconds": seconds, "indexed": indexed}).encode()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, items: Items, latency: float) -> None:
        self._items, self._latency = items, latency
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._body, self._operation = b"", b"", ""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-amz-target":
            self._operation = value.decode().rpartition(".")[2]

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        url, body = self._url, self._body
        self._url = self._body = b""
        if url == b"/_told":
            self._send(200, self._items.as_json())
        elif url == b"/_fill":
            self._items.fill(**json.loads(body))
            self._send(200, b"{}")
        else:
            try:
                status, text = 200, json.dumps(self._items.answer(self._operation, json.loads(body))).encode()
            except RefusedError as error:
                code = f"com.amazonaws.dynamodb.v20120810#{error}"
                status, text = 400, json.dumps({"__type": code, "message": "no"}).encode()
            self._loop.call_later(self._latency, self._send, status, text)

    def _send(self, status: int, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status} X\r\nServer: Server\r\nContent-Type: application/x-amz-json-1.0\r\n"
            "Connection: keep-alive\r\nx-amzn-RequestId: 4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)  # type: ignore[attr-defined]


async def main() -> None:
    """Serve until ended; the port is written into the file that was named."""
    port_file, latency_ms = sys.argv[1:3]
    items = Items()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(items, float(latency_ms) / 1000), "127.0.0.1", 0, backlog=1024)
    Path(port_file).write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
