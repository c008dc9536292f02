"""The due function: invoked by a schedule (or a sweep) when something is due that needs a second look.

That is so for `when_due` functions, which run here; for guarded rules, whose target is invoked only if the item still
asks for it, and as it asks now; and for `HttpRequest`, which EventBridge Scheduler cannot send.

The order: claim the delivery, read the item, carry out, say so. Whoever dies in between leaves a claim that runs out,
and Lambda's own repetition of the invocation sees to it that somebody looks.
"""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from botocore.session import get_session

from duestream.aws.app_module import load_app
from duestream.aws.carry_out import Carrier, Request, is_refused_condition, request_of
from duestream.aws.deliveries import Claimed, Deliveries, InProgress, Over
from duestream.aws.delivery_metrics import Metric, delivery_line
from duestream.aws.due_work import DueAttempt, DueWork, NothingToDoError, parse_due_work, still_wanted
from duestream.aws.failures import CallError
from duestream.aws.given_up import Afterwards, dead_letter_queue_url, later, queue_url_prefix
from duestream.aws.http_out import HttpSender
from duestream.aws.item_calls import DynamoDbItems, ItemCalls
from duestream.aws.settings import Settings
from duestream.aws.target_calls import MakeClient, TargetCalls, make_client
from duestream.clock import Clock, SystemClock, to_ms
from duestream.core.app import App
from duestream.core.outcome import Delivery, Failure, GiveUp, RetryAt, after_failure
from duestream.core.planner import schedule_dead_letter_queue
from duestream.core.rule import DEFAULT_RETRY, Rule
from duestream.core.schedule import Invocation, Place
from duestream.errors import DeliveryError, ServiceError

#: What is kept back of an invocation's time, for saying how it went.
RESERVE = timedelta(seconds=3)
_CRASHED = Failure(
    "FunctionCrashed", "an attempt ended without a word: out of memory, out of time, or the process died"
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How an invocation ended.

    Args:
        outcome: ``delivered``, ``skipped``, ``retry``, ``dead_lettered``, ``in progress`` or ``done before``.
        reason: more of it.
    """

    outcome: str
    reason: str = ""


@dataclass(slots=True)
class _Attempted:
    """How far an attempt came: what a dead letter tells."""

    target_arn: str
    parameters: Mapping[str, Any]


class DueFunction:
    """One app's due function.

    Args:
        app: with the rules.
        place: where targets are that rules name without an ARN.
        items: of the rules' tables.
        deliveries: what has been done.
        carrier: makes attempts.
        afterwards: retries and dead letters.
        function_arn: its own.
        clock: the time.
        jitter: a random number from 0 to under 1.
    """

    def __init__(
        self,
        app: App,
        place: Place,
        *,
        items: ItemCalls,
        deliveries: Deliveries,
        carrier: Carrier,
        afterwards: Afterwards,
        function_arn: str,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._app, self._place, self._clock, self._jitter = app, place, clock, jitter
        self._items, self._deliveries, self._carrier = items, deliveries, carrier
        self._afterwards, self._function_arn = afterwards, function_arn

    def run(self, lambda_event: Mapping[str, Any], *, request_id: str, remaining: timedelta) -> Ended:
        """Make the attempt that is asked for, unless it was made, or is being made, or is asked for no more.

        Args:
            lambda_event: see `DueWork.lambda_event`.
            request_id: the invocation's.
            remaining: how long it may still take.

        Raises:
            DeliveryError: the event is none of ours.
            Exception: AWS could not be asked; Lambda invokes again.
        """
        work = parse_due_work(lambda_event)
        now = self._clock.now()
        ends_at = now + remaining
        claim = self._deliveries.claim(work.identity, attempt=work.attempt, owner=request_id, until=ends_at, now=now)
        match claim:
            case Over(state):
                ended = Ended("done before", state)
            case InProgress(until):
                # If that one dies, nobody else will look: Lambda repeats an invocation a minute or two later only.
                self._afterwards.ask_again(work, work.attempt, at=until, now=now)
                ended = Ended("in progress", f"until {until.isoformat()}")
            case Claimed() as claimed:
                ended = self._attempt(work, claimed, request_id, ends_at)
        self._tell(work, ended)
        return ended

    def _attempt(self, work: DueWork, claimed: Claimed, owner: str, ends_at: datetime) -> Ended:
        rule = next((rule for rule in self._app.rules_of(work.table_name) if rule.name == work.rule), None)
        attempt = DueAttempt.of(work, self._app.name, self._place).numbered(claimed.attempt)
        told = _Attempted(self._function_arn, work.lambda_event())
        if claimed.follows_a_crash:
            crashed = attempt.numbered(claimed.attempt - 1)
            decision = self._decide(rule, crashed, _CRASHED)
            if isinstance(decision, GiveUp):
                return self._give_up(work, crashed, told, _CRASHED, decision)
        try:
            if rule is None:
                raise DeliveryError(
                    "ResourceNotFoundException",
                    f"the app has no rule {work.rule!r} on table {work.table_name!r}",
                    retryable=True,
                )
            self._carry_out(rule, work, attempt, told, ends_at)
        except NothingToDoError as nothing:
            self._deliveries.release(work.identity, owner=owner)
            return Ended("skipped", str(nothing))
        except Exception as error:  # noqa: BLE001 - whatever is raised is a failed attempt
            return self._after_failure(rule, work, attempt, told, error, owner)
        self._deliveries.finish(work.identity, outcome="delivered", now=self._clock.now())
        return Ended("delivered")

    def _carry_out(self, rule: Rule, work: DueWork, attempt: DueAttempt, told: _Attempted, ends_at: datetime) -> None:
        image = self._items.get(work.table_name, work.key)
        invocation = still_wanted(rule, work, image, self._place)
        seconds = (ends_at - RESERVE - self._clock.now()).total_seconds()
        assert image is not None, "it is wanted"
        if rule.when_due is not None:
            self._carrier.run(rule, image, attempt, seconds=seconds)
            return
        request = self._request(invocation, attempt, told)
        if work.failure is not None:
            failure = work.failure
            raise DeliveryError(failure.code, failure.message, retryable=not failure.is_permanent)
        try:
            self._carrier.send(request, attempt, seconds=seconds)
        except DeliveryError as error:
            if is_refused_condition(error):
                raise NothingToDoError("the item is not as the condition demands any more") from error
            raise

    @staticmethod
    def _request(invocation: Invocation, attempt: DueAttempt, told: _Attempted) -> Request:
        told.target_arn = invocation.target_arn
        request = request_of(invocation, attempt)
        told.parameters = request.parameters
        return request

    # After a failure -----------------------------------------------------------------------------------

    def _decide(self, rule: Rule | None, attempt: DueAttempt, failure: Failure) -> RetryAt | GiveUp:
        retry = DEFAULT_RETRY if rule is None else rule.retry
        delivery = Delivery(attempt.due_at, attempt.number, retry)
        return after_failure(delivery, failure, now=self._clock.now(), jitter=self._jitter())

    def _after_failure(
        self,
        rule: Rule | None,
        work: DueWork,
        attempt: DueAttempt,
        told: _Attempted,
        error: Exception,
        owner: str,
    ) -> Ended:
        failure, now = failure_of(error), self._clock.now()
        decision = self._decide(rule, attempt, failure)
        if isinstance(decision, GiveUp):
            return self._give_up(work, attempt, told, failure, decision)
        wait_seconds = error.retry_after if isinstance(error, DeliveryError) else None
        at = later(decision.moment, seconds=wait_seconds, now=now)
        # Scheduled first: if we die in between, the claim runs out, and that attempt finds it so.
        self._afterwards.ask_again(work, attempt.number + 1, at=at, now=now)
        self._deliveries.fail(work.identity, owner=owner, now=now)
        return Ended("retry", f"{failure.code}: {failure.message}")

    def _give_up(
        self, work: DueWork, attempt: DueAttempt, told: _Attempted, failure: Failure, decision: GiveUp
    ) -> Ended:
        self._afterwards.give_up(work, attempt, told.target_arn, told.parameters, failure, decision)
        self._deliveries.finish(work.identity, outcome="dead_lettered", now=self._clock.now())
        return Ended("dead_lettered", f"{failure.code}: {failure.message}")

    def _tell(self, work: DueWork, ended: Ended) -> None:
        now = self._clock.now()
        values: dict[Metric, float] = {}
        match ended.outcome:
            case "delivered":
                lateness_ms = max((now - work.due_at) / timedelta(milliseconds=1), 0)
                values = {Metric.DELIVERED: 1, Metric.LATENESS: lateness_ms}
            case "skipped":
                values = {Metric.NOT_WANTED: 1}
            case "retry":
                values = {Metric.FAILED_ATTEMPTS: 1}
            case "dead_lettered":
                values = {Metric.FAILED_ATTEMPTS: 1, Metric.GIVEN_UP: 1}
        facts = {**work.lambda_event(), "outcome": ended.outcome, "reason": ended.reason}
        print(delivery_line(self._app.name, values, now_ms=to_ms(now), facts=facts), flush=True)  # noqa: T201 - the log


def failure_of(error: Exception) -> Failure:
    """What an error says about trying again."""
    match error:
        case DeliveryError():
            return Failure(error.code, error.message, is_permanent=not error.retryable)
        case ServiceError() | CallError():
            return Failure(error.code, error.message)
        case _:
            return Failure(type(error).__name__, str(error) or type(error).__name__)


@lru_cache(maxsize=1)
def due_function() -> DueFunction:
    """The function of this process, from its environment.

    Raises:
        SettingsError: the environment is not that of a stack of ours.
    """
    settings = Settings.from_environment(os.environ)
    app = load_app(settings.app)
    calls = target_calls(settings)
    items = DynamoDbItems(get_session(), region=settings.place.region)
    return DueFunction(
        app,
        settings.place,
        items=items,
        deliveries=Deliveries(items, settings.deliveries_table),
        carrier=Carrier(calls, HttpSender()),
        afterwards=Afterwards(
            calls.client,
            app_name=app.name,
            execution_role_arn=settings.execution_role_arn,
            when_due_arn=settings.when_due_function_arn,
            dead_letter_queue_arn=settings.place.arn("sqs", schedule_dead_letter_queue(app.name)),
            dead_letter_queue_url=dead_letter_queue_url(settings.stream_dead_letter_queue_url, app.name),
        ),
        function_arn=settings.when_due_function_arn,
        clock=SystemClock(),
    )


def target_calls(settings: Settings, make: MakeClient = make_client) -> TargetCalls:
    """What makes AWS calls in the functions of a stack."""
    return TargetCalls(
        settings.place.region,
        queue_url_prefix=queue_url_prefix(settings.stream_dead_letter_queue_url),
        own_queues=settings.place.arn("sqs", ""),
        make=make,
    )


def handle(lambda_event: Mapping[str, Any], context: Any) -> dict[str, str]:
    """The Lambda handler. What it raises makes Lambda invoke it again, and in the end send the event to the
    schedule-side dead-letter queue."""
    remaining = timedelta(milliseconds=context.get_remaining_time_in_millis())
    ended = due_function().run(lambda_event, request_id=context.aws_request_id, remaining=remaining)
    return {"outcome": ended.outcome, "reason": ended.reason}
