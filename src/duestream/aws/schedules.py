"""Schedules as EventBridge Scheduler keeps them: the calls that we make there, and no others.

Each is one request. Whoever calls decides on what is to be tried again (`duestream.aws.steady` does so); botocore's own
retries are off.
"""

import json
import uuid
from calendar import timegm
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from duestream.aws.failures import CallError, Meaning, error_from
from duestream.aws.signed_calls import Call, SignedCalls

#: ListSchedules, MaxResults.
PAGE_SIZE = 100
_HEADERS = {"Content-Type": "application/json"}
_MOMENTS = ("StartDate", "EndDate", "CreationDate", "LastModificationDate")


class Schedules(Protocol):
    """What keeps schedules. A request is the whole body of CreateSchedule, as boto3 takes it."""

    def create(self, request: Mapping[str, Any], *, seconds: float | None = None) -> None:
        """CreateSchedule.

        Args:
            request: the whole body.
            seconds: how long to wait for the answer at most.

        Raises:
            CallError: it failed; `Meaning.CONFLICT`: there is one of this name.
        """

    def update(self, request: Mapping[str, Any], *, seconds: float | None = None) -> None:
        """UpdateSchedule, which replaces everything.

        Raises:
            CallError: it failed; `Meaning.MISSING`: there is none of this name.
        """

    def delete(self, group_name: str, name: str, *, seconds: float | None = None) -> bool:
        """DeleteSchedule; False: there was none.

        Raises:
            CallError: it failed.
        """

    def get(self, group_name: str, name: str, *, seconds: float | None = None) -> dict[str, Any] | None:
        """GetSchedule; None: there is none.

        Raises:
            CallError: it failed.
        """

    def group_made_at(self, group_name: str, *, seconds: float | None = None) -> datetime | None:
        """GetScheduleGroup: since when there is the group, aware; None: it does not say.

        Raises:
            CallError: it failed; `Meaning.MISSING`: there is no such group.
        """


class EventBridgeSchedules:
    """The schedules of one region. May be used by several threads.

    Args:
        session: botocore's (``botocore.session.get_session()``, or `boto3.Session`'s own).
        region: where they are.
        endpoint_url: None: what the environment or the profile says, or else AWS's own.
        connections: how many are kept: as many as there are threads.
    """

    def __init__(
        self, session: Session, *, region: str, endpoint_url: str | None = None, connections: int = 10
    ) -> None:
        self._calls = SignedCalls(
            session, "scheduler", region=region, endpoint_url=endpoint_url, connections=connections
        )

    def create(self, request: Mapping[str, Any], *, seconds: float | None = None) -> None:
        """CreateSchedule. See `Schedules.create`."""
        self._calls.send(put_call("POST", request), seconds=seconds)

    def update(self, request: Mapping[str, Any], *, seconds: float | None = None) -> None:
        """UpdateSchedule, which replaces everything. See `Schedules.update`."""
        self._calls.send(put_call("PUT", request), seconds=seconds)

    def delete(self, group_name: str, name: str, *, seconds: float | None = None) -> bool:
        """DeleteSchedule. See `Schedules.delete`."""
        try:
            self._calls.send(delete_call(group_name, name), seconds=seconds)
        except CallError as error:
            if error.meaning is Meaning.MISSING:
                return False
            raise
        return True

    def get(self, group_name: str, name: str, *, seconds: float | None = None) -> dict[str, Any] | None:
        """GetSchedule, as boto3 answers it. See `Schedules.get`."""
        try:
            body = self._calls.send(
                Call("GET", ("schedules", name), {"groupName": group_name}, None, {}), seconds=seconds
            )
        except CallError as error:
            if error.meaning is Meaning.MISSING:
                return None
            raise
        answer: dict[str, Any] = json.loads(body)
        # Some that speak as AWS does say null of a moment that there is not.
        told = {name: value for name, value in answer.items() if value is not None}
        return told | {name: datetime.fromtimestamp(told[name], UTC) for name in _MOMENTS if name in told}

    def group_made_at(self, group_name: str, *, seconds: float | None = None) -> datetime | None:
        """GetScheduleGroup. See `Schedules.group_made_at`."""
        answer = json.loads(
            self._calls.send(Call("GET", ("schedule-groups", group_name), {}, None, {}), seconds=seconds)
        )
        made_at = answer.get("CreationDate")
        return None if made_at is None else datetime.fromtimestamp(made_at, UTC)

    def list_page(
        self, group_name: str, *, name_prefix: str | None = None, next_token: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """ListSchedules: one page of names, states and target ARNs (AWS shows no more), and the next one's token.

        Raises:
            CallError: it failed; `Meaning.MISSING`: there is no such group.
        """
        request: dict[str, Any] = {"GroupName": group_name, "MaxResults": PAGE_SIZE}
        if name_prefix is not None:
            request["NamePrefix"] = name_prefix
        if next_token is not None:
            request["NextToken"] = next_token
        answer = self._asked("list_schedules", **request)
        return answer["Schedules"], answer.get("NextToken")

    def list_all(self, group_name: str, *, name_prefix: str | None = None) -> Iterator[dict[str, Any]]:
        """All pages of ListSchedules, one after the other.

        Raises:
            CallError: a page could not be had.
        """
        next_token = None
        while True:
            page, next_token = self.list_page(group_name, name_prefix=name_prefix, next_token=next_token)
            yield from page
            if next_token is None:
                return

    def _asked(self, operation: str, **request: Any) -> dict[str, Any]:
        """The answer to a call that is made too seldom to be made lean."""
        try:
            answer: dict[str, Any] = getattr(self._calls.client, operation)(**request)
        except ClientError as error:
            raise error_from(error.response) from error
        except BotoCoreError as error:
            raise CallError("ConnectionError", f"{type(error).__name__}: {error}") from error
        return answer


def put_call(method: str, request: Mapping[str, Any]) -> Call:
    """CreateSchedule (``POST``) or UpdateSchedule (``PUT``), as botocore's serializer writes it.

    The client token is a new one each time, as botocore's own: for how long AWS knows one, and whether it still does
    when the schedule is gone, is not documented.
    """
    body = {name: _wire(value) for name, value in request.items() if name != "Name"}
    return Call(method, ("schedules", request["Name"]), {}, {"ClientToken": str(uuid.uuid4()), **body}, _HEADERS)


def delete_call(group_name: str, name: str) -> Call:
    """DeleteSchedule."""
    query = {"groupName": group_name, "clientToken": str(uuid.uuid4())}
    return Call("DELETE", ("schedules", name), query, None, {})


def _wire(value: Any) -> Any:
    """Moments are whole seconds since 1970."""
    return timegm(value.astimezone(UTC).timetuple()) if isinstance(value, datetime) else value
