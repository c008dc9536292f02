"""EventBridge Scheduler in memory, as far as the stream function can tell it from AWS's; and calls that go wrong."""

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from botocore.session import get_session
from botocore.validate import ParamValidator

from duestream.aws.failures import CallError

_MODEL = get_session().get_service_model("scheduler")
_NAME = re.compile(r"[0-9a-zA-Z-_.]{1,64}").fullmatch
MAX_START_AGE = timedelta(minutes=5)


class Fault(Enum):
    """How a call goes wrong."""

    THROTTLED = "refused: too many calls"
    SERVER_ERROR = "not done: 500"
    CONFLICT = "not done: another call is changing it"
    TIMEOUT = "not done, and no answer"
    LOST_ANSWER = "done, and no answer"


class MemoryScheduler:
    """Keeps schedules; refuses what AWS refuses.

    Args:
        now: tells the present moment.
        groups: that exist.
        faults: one for each call, None for a call that goes well; when they are used up all go well.
        when_waited: told how many seconds pass when an answer does not come.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        groups: tuple[str, ...] = ("clinic",),
        faults: Iterable[Fault | None] = (),
        when_waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.schedules: dict[tuple[str, str], dict[str, Any]] = {}
        #: (operation, name) of all calls, in their order.
        self.calls: list[tuple[str, str]] = []
        #: The requests of all creates and updates.
        self.requests: list[dict[str, Any]] = []
        self.refuse: Callable[[str, Mapping[str, Any]], CallError | None] = lambda operation, request: None
        self.before_call: Callable[[str, str], None] = lambda operation, name: None
        self.faults = iter(faults)
        self._now, self._groups, self._when_waited = now, groups, when_waited
        self.groups_made_at: datetime | None = now() - timedelta(days=30)
        self._lock = threading.Lock()

    def create(self, request: Mapping[str, Any], *, seconds: float | None = None) -> None:
        def do() -> None:
            self._check("CreateSchedule", request)
            if request["GroupName"] not in self._groups:
                raise CallError(
                    "ResourceNotFoundException", f"Schedule group {request['GroupName']} does not exist.", 404
                )
            if self._identity(request) in self.schedules:
                raise CallError("ConflictException", f"Schedule {request['Name']} already exists.", 409)
            self.schedules[self._identity(request)] = dict(request)

        self._carry_out("create", request["Name"], do, seconds, request)

    def update(self, request: Mapping[str, Any], *, seconds: float | None = None) -> None:
        def do() -> None:
            self._check("UpdateSchedule", request)
            if self._identity(request) not in self.schedules:
                raise CallError("ResourceNotFoundException", f"Schedule {request['Name']} does not exist.", 404)
            self.schedules[self._identity(request)] = dict(request)

        self._carry_out("update", request["Name"], do, seconds, request)

    def delete(self, group_name: str, name: str, *, seconds: float | None = None) -> bool:
        was_there = False

        def do() -> None:
            nonlocal was_there
            was_there = self.schedules.pop((group_name, name), None) is not None

        self._carry_out("delete", name, do, seconds)
        return was_there

    def get(self, group_name: str, name: str, *, seconds: float | None = None) -> dict[str, Any] | None:
        self._carry_out("get", name, lambda: None, seconds)
        found = self.schedules.get((group_name, name))
        return None if found is None else dict(found)

    def group_made_at(self, group_name: str, *, seconds: float | None = None) -> datetime | None:
        self._carry_out("get group", group_name, lambda: None, seconds)
        return self.groups_made_at

    def operations(self) -> list[str]:
        """The calls without their names."""
        return [operation for operation, _ in self.calls]

    def _carry_out(
        self,
        operation: str,
        name: str,
        do: Callable[[], None],
        seconds: float | None,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        self.before_call(operation, name)
        with self._lock:
            self.calls.append((operation, name))
            if request is not None:
                self.requests.append(dict(request))
            fault = next(self.faults, None)
            if fault is Fault.CONFLICT and operation in ("create", "get", "get group"):
                fault = None  # said of what is being changed; of a create it says that there is one
            match fault:
                case Fault.THROTTLED:
                    raise CallError("ThrottlingException", "Rate exceeded", 429)
                case Fault.SERVER_ERROR:
                    raise CallError("InternalServerException", "", 500)
                case Fault.CONFLICT:
                    raise CallError("ConflictException", "Schedule is being updated.", 409)
                case Fault.TIMEOUT | Fault.LOST_ANSWER:
                    if fault is Fault.LOST_ANSWER:
                        do()
                    self._when_waited(min(seconds or 10.0, 10.0))
                    raise CallError("ConnectionError", "Read timed out.")
            refusal = self.refuse(operation, request or {})
            if refusal is not None:
                raise refusal
            do()

    def _check(self, operation: str, request: Mapping[str, Any]) -> None:
        shape = _MODEL.operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        unknown = request.keys() - shape.members.keys()
        assert not unknown, unknown
        if _NAME(request["Name"]) is None:
            raise CallError(
                "ValidationException", f"Value '{request['Name']}' at 'name' failed to satisfy constraint", 400
            )
        expression, now = request["ScheduleExpression"], self._now()
        if expression.startswith("at("):
            due_at = datetime.fromisoformat(expression[3:-1]).replace(tzinfo=UTC)
            assert due_at > now, f"{expression} is not ahead of {now}: nobody knows what AWS does with it"
        start, end = request.get("StartDate"), request.get("EndDate")
        if start is not None and start < now - MAX_START_AGE:
            raise CallError(
                "ValidationException", "The StartDate you specify cannot be earlier than 5 minutes ago.", 400
            )
        if start is not None and end is not None and start >= end:
            raise CallError("ValidationException", "The StartDate you specify must come before the EndDate.", 400)

    @staticmethod
    def _identity(request: Mapping[str, Any]) -> tuple[str, str]:
        return request["GroupName"], request["Name"]
