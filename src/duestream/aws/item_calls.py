"""Items of DynamoDB's: the calls that the functions make for every item that is due, and no others.

Requests, keys and items are in their wire form (`duestream.core.record.Item`). Reads and writes of each table are throttled
apart from each other, and so are those of its indexes.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from botocore.session import Session

from duestream.aws.failures import CallError, Meaning
from duestream.aws.json_calls import JsonCalls
from duestream.core.record import Item


class ItemCalls(Protocol):
    """What keeps items. A request is the whole of DynamoDB's."""

    def get(self, table_name: str, key: Item) -> Item | None:
        """GetItem, consistently read; None: there is none.

        Raises:
            CallError: it failed.
        """

    def query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Query: one page.

        Raises:
            CallError: it failed.
        """

    def update(self, request: Mapping[str, Any]) -> bool:
        """UpdateItem; False: its condition does not hold, and nothing was done.

        Raises:
            CallError: it failed.
        """

    def delete(self, request: Mapping[str, Any]) -> bool:
        """DeleteItem; False: its condition does not hold, and nothing was done.

        Raises:
            CallError: it failed.
        """


class DynamoDbItems:
    """The items of one region. May be used by several threads.

    Args:
        session: botocore's.
        region: where they are.
        endpoint_url: None: what the environment or the profile says, or else AWS's own.
        connections: how many are kept: as many as there are threads.
    """

    def __init__(
        self, session: Session, *, region: str, endpoint_url: str | None = None, connections: int = 10
    ) -> None:
        self._calls = JsonCalls(session, "dynamodb", region=region, endpoint_url=endpoint_url, connections=connections)

    def get(self, table_name: str, key: Item) -> Item | None:
        """GetItem. See `ItemCalls.get`."""
        request = {"TableName": table_name, "Key": key, "ConsistentRead": True}
        found: Item | None = self._made("GetItem", request).get("Item")
        return found

    def query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Query. See `ItemCalls.query`."""
        return self._made("Query", request)

    def update(self, request: Mapping[str, Any]) -> bool:
        """UpdateItem. See `ItemCalls.update`."""
        return self._done("UpdateItem", request)

    def delete(self, request: Mapping[str, Any]) -> bool:
        """DeleteItem. See `ItemCalls.delete`."""
        return self._done("DeleteItem", request)

    def _done(self, operation: str, request: Mapping[str, Any]) -> bool:
        try:
            self._made(operation, request)
        except CallError as error:
            if error.meaning is Meaning.CONDITION:
                return False
            raise
        return True

    def _made(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        quota = f"{operation} {request['TableName']} {request.get('IndexName', '')}"
        return self._calls.make(operation, request, quota=quota)
