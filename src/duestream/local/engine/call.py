"""What a schedule's target asks for, read: which service, which action, with which parameters."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from duestream.clock import from_ms
from duestream.core.context import with_context
from duestream.core.deliverable import CALLS, parse_target_arn
from duestream.core.service_targets import WHEN_DUE_ENDING
from duestream.core.target import HTTP_DESTINATION
from duestream.core.templated import templated_request
from duestream.errors import ValidationException

#: Targets that only rules have: `HttpRequest`, and functions that run when due.
HTTP_REQUEST = ("events", "apiDestination")
WHEN_DUE = ("duestream", "whenDue")


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One try at one occurrence of a schedule."""

    schedule_arn: str
    #: The same for every attempt at this occurrence, also after a crash: what a receiver deduplicates by.
    delivery_id: str
    region: str
    due_at_ms: int
    #: Counted from 1.
    number: int
    now_ms: int

    @property
    def execution_id(self) -> str:
        """16 hex digits, only of this attempt."""
        return hashlib.blake2b(f"{self.delivery_id}\n{self.number}".encode(), digest_size=8).hexdigest()

    @property
    def scheduled_time(self) -> str:
        """The due time as EventBridge Scheduler writes it, to the second."""
        return f"{from_ms(self.due_at_ms):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def account_id(self) -> str:
        """The schedule's."""
        return self.schedule_arn.split(":", 5)[4]


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call. `parameters` are the request as AWS's API takes it; a dead letter carries them."""

    service: str
    action: str
    parameters: Mapping[str, Any]
    #: Where it is made, if what it names says so; None: where the schedule is.
    region: str | None = None


@lru_cache(maxsize=1024)
def service_and_action(target_arn: str) -> tuple[str, str]:
    """Which call a target ARN stands for, such as ("ses", "sendEmail").

    Raises:
        ValidationException: none of AWS's.
    """
    parts = target_arn.split(":", 5)
    if parts[2:3] == ["events"] and parts[-1] == HTTP_DESTINATION:
        return HTTP_REQUEST
    if parts[2:3] == ["lambda"] and parts[-1].endswith(WHEN_DUE_ENDING):
        return WHEN_DUE
    return parse_target_arn(target_arn)


def read_call(target: Mapping[str, Any], attempt: Attempt) -> Call:
    """The call behind a stored target, its context attributes replaced.

    Raises:
        ValidationException: the input is not what the target needs.
    """
    arn = target["Arn"]
    service, action = service_and_action(arn)
    text = with_context(target.get("Input") or "", attempt)
    if ":aws-sdk:" in arn or (service, action) in (HTTP_REQUEST, WHEN_DUE):
        parameters = _checked_members(service, action, _read_object(text))
        return Call(service, action, parameters, _region_of(parameters.values()))
    return Call(service, action, templated_request(target, text, attempt), _region_of((arn,)))


def _region_of(values: Iterable[Any]) -> str | None:
    """The region of the first ARN that has one."""
    for value in values:
        if isinstance(value, str) and value.startswith("arn:"):
            parts = value.split(":", 4)
            if len(parts) == 5 and parts[3]:
                return parts[3]
    return None


def _read_object(text: str) -> Mapping[str, Any]:
    try:
        parameters = json.loads(text)
    except ValueError as error:
        raise ValidationException(f"JSON syntax error in input for the target: {error}") from error
    if not isinstance(parameters, dict):
        raise ValidationException("JSON syntax error in input for the target: an object is needed")
    return parameters


def _checked_members(service: str, action: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse what would otherwise be left undone without a word."""
    members = CALLS.get((service, action))
    if members is not None:
        unknown = sorted(parameters.keys() - set(members.required) - members.optional)
        if unknown:
            raise ValidationException(f"{service}:{action} does not take {', '.join(unknown)} in a schedule's input")
    return parameters
