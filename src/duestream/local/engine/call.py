"""What a schedule's target asks for, read: which service, which action, with which parameters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from duestream.clock import from_ms
from duestream.core.deliverable import CALLS, parse_target_arn
from duestream.core.target import HTTP_DESTINATION
from duestream.errors import ValidationException

#: Targets that only rules have: `HttpRequest`, and functions that run when due.
HTTP_REQUEST = ("events", "apiDestination")
WHEN_DUE = ("duestream", "whenDue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at one occurrence of a schedule."""

    schedule_arn: str
    #: The same for every attempt at this occurrence, also after a crash: what a receiver deduplicates by.
    delivery_id: str
    region: str
    due_at_ms: int
    #: Counted from 1.
    number: int
    now_ms: int
    #: Only of this attempt.
    execution_id: str


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call. `parameters` are the request as AWS's API takes it; a dead letter carries them."""

    service: str
    action: str
    parameters: Mapping[str, Any]


@lru_cache(maxsize=1024)
def service_and_action(target_arn: str) -> tuple[str, str]:
    """Which call a target ARN stands for, such as ("ses", "sendEmail").

    Raises:
        ValidationException: none that this version delivers.
    """
    parts = target_arn.split(":", 5)
    if parts[2:3] == ["events"] and parts[-1] == HTTP_DESTINATION:
        return HTTP_REQUEST
    if parts[2:3] == ["lambda"] and parts[-1].endswith("-when-due"):
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
    if service != "sqs" or ":aws-sdk:" in arn:
        return Call(service, action, _checked_members(service, action, _read_object(text)))
    parameters = {"MessageBody": text, "QueueUrl": arn}
    group_id = target.get("SqsParameters", {}).get("MessageGroupId")
    return Call(service, action, parameters if group_id is None else {**parameters, "MessageGroupId": group_id})


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


def with_context(text: str, attempt: Attempt) -> str:
    """Replace EventBridge Scheduler's context attributes.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    if "<aws.scheduler." not in text:
        return text
    for keyword, value in (
        ("schedule-arn", attempt.schedule_arn),
        ("scheduled-time", f"{from_ms(attempt.due_at_ms):%Y-%m-%dT%H:%M:%SZ}"),
        ("execution-id", attempt.execution_id),
        ("attempt-number", str(attempt.number)),
    ):
        text = text.replace(f"<aws.scheduler.{keyword}>", value)
    return text
