"""Carrying out: one attempt at one target of a rule, from within a function of the app's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from duestream.aws.bounded import AsyncRunner, run_bounded
from duestream.aws.due_work import DueAttempt
from duestream.aws.http_out import HttpSender
from duestream.aws.target_calls import TargetCalls
from duestream.core.attributes import unmarshal_item
from duestream.core.context import with_context
from duestream.core.deliverable import parse_target_arn
from duestream.core.record import Item
from duestream.core.rule import Due, Rule
from duestream.core.schedule import Invocation
from duestream.core.target import HTTP_DESTINATION
from duestream.core.templated import templated_request
from duestream.errors import DeliveryError, ServiceError


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: a dead letter carries its parameters. Without a service it is an HTTP request."""

    service: str
    action: str
    parameters: Mapping[str, Any]


def request_of(invocation: Invocation, attempt: DueAttempt) -> Request:
    """The request behind an invocation, its context attributes replaced.

    Raises:
        DeliveryError: there is none; permanent.
    """
    arn = invocation.target_arn
    text = with_context(invocation.input, attempt)
    try:
        if is_http(invocation):
            return Request("", "", json.loads(text))
        service, action = parse_target_arn(arn)
        if ":aws-sdk:" in arn:
            return Request(service, action, json.loads(text))
        target: dict[str, Any] = {"Arn": arn}
        if invocation.message_group_id is not None:
            target["SqsParameters"] = {"MessageGroupId": invocation.message_group_id}
        return Request(service, action, templated_request(target, text, attempt))
    except ServiceError as error:
        raise DeliveryError(error.code, error.message, retryable=False) from error
    except ValueError as error:
        raise DeliveryError("ValidationException", f"the input is no JSON: {error}", retryable=False) from error


def is_http(invocation: Invocation) -> bool:
    """Whether it is an `HttpRequest`."""
    return invocation.target_arn.endswith(f":{HTTP_DESTINATION}")


def is_refused_condition(error: DeliveryError) -> bool:
    """Whether it was left undone because of a condition: that is no failure, but what the condition is for."""
    return error.code == "ConditionalCheckFailedException"


class Carrier:
    """Makes attempts. Safe in threads, but for async functions of the user's, which share one event loop.

    Args:
        calls: makes AWS calls.
        http: sends HTTP requests.
    """

    def __init__(self, calls: TargetCalls, http: HttpSender) -> None:
        self._calls, self._http = calls, http
        self._coroutines = AsyncRunner()

    def send(self, request: Request, attempt: DueAttempt, *, seconds: float) -> None:
        """Send it, once.

        Args:
            request: what is sent.
            attempt: whose delivery id goes with it.
            seconds: how long it may take; AWS calls have timeouts of their own.

        Raises:
            DeliveryError: it was not taken.
        """
        if request.service:
            self._calls.make(request.service, request.action, request.parameters, token=attempt.delivery_id)
        else:
            self._http.send(request.parameters, attempt.delivery_id, seconds=seconds)

    def run(self, rule: Rule, image: Item, attempt: DueAttempt, *, seconds: float) -> None:
        """Run a rule's `when_due` function once.

        Args:
            rule: with the function.
            image: the item as it is.
            attempt: what the function is told of.
            seconds: what is left of the invocation; the rule's own timeout may be shorter.

        Raises:
            DeliveryError: it took too long, or tried to end the process; retryable.
            Exception: whatever the function raised.
        """
        action = rule.when_due
        assert action is not None, "the rule has a function"
        due = Due(attempt.due_at, rule.name, attempt.number, attempt.delivery_id)
        work = partial(action.function, unmarshal_item(image), due)
        seconds = min(seconds, action.timeout.total_seconds())
        run = self._coroutines.run if action.is_async else run_bounded
        run(work, seconds=seconds, what=rule.name)

    def close(self) -> None:
        """End the event loop and the connections that are kept."""
        self._coroutines.close()
        self._http.close()
