"""The stream function ``<app>-stream``: what the event source mapping of each table's stream invokes."""

import os
import random
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, TextIO

from botocore.session import get_session

from duestream.aws.app_module import load_app
from duestream.aws.apply import Applier
from duestream.aws.letters import Letters, SqsLetters
from duestream.aws.metrics import Metric, embedded_line
from duestream.aws.pace import Stopwatch, SystemStopwatch
from duestream.aws.records import parse_records
from duestream.aws.schedules import EventBridgeSchedules, Schedules
from duestream.aws.settings import Settings
from duestream.clock import Clock, SystemClock, to_ms
from duestream.core.app import App
from duestream.core.record import StreamRecord

#: Kept back of the remaining time for the answer, and of a short one this share.
MARGIN_SECONDS = 2.0
MARGIN_SHARE = 0.2
#: So long is waited before a batch is given back whose failure no retry mends, and twice as long each time after, up to
#: the longest. Lambda would hand it over again at once, and its retries are not to be used up while a new role gets
#: known, or until somebody puts a permission right or has a quota raised.
FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 80.0


class LambdaContext(Protocol):
    """What of Lambda's context is looked at."""

    def get_remaining_time_in_millis(self) -> int:
        """Until the function is ended."""
        ...


def handle(lambda_event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's handler: the partial batch response (SEMANTICS.md C3).

    Raises:
        SettingsError: the stack did not set what is needed.
        StreamViewError: the stream does not show both images.
    """
    return _function().handle(lambda_event, context)


class StreamFunction:
    """The function, made once for all batches that a Lambda environment gets.

    Args:
        app: whose rules are followed.
        settings: from the environment.
        schedules: where schedules are kept.
        letters: where records go that a rule cannot digest.
        clock: tells the time.
        stopwatch: measures and waits.
        out: where metrics are written.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        schedules: Schedules,
        letters: Letters,
        *,
        clock: Clock,
        stopwatch: Stopwatch,
        out: TextIO,
    ) -> None:
        self._app, self._clock, self._stopwatch, self._out = app, clock, stopwatch, out
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._applier = Applier(
            app.rules,
            settings,
            schedules,
            letters,
            now=clock.now,
            stopwatch=stopwatch,
            jitter=random.random,
        )

    def handle(self, lambda_event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Carry a batch out; answers the lowest sequence number of what is not done."""
        remaining = context.get_remaining_time_in_millis() / 1000
        deadline = self._stopwatch.seconds() + remaining - min(MARGIN_SECONDS, remaining * MARGIN_SHARE)
        records = parse_records(lambda_event)
        delay_ms = self._delay_ms(records)
        applied = self._applier.apply(records, deadline=deadline)
        counted = {**applied.counted, Metric.STREAM_DELAY: delay_ms}
        self._out.write(embedded_line(self._app.name, counted, now_ms=self._clock.now_ms()) + "\n")
        self._out.flush()
        if applied.is_to_wait:
            self._stopwatch.wait(max(min(self._pause_seconds, deadline - self._stopwatch.seconds()), 0.0))
            self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        else:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        failures = [] if applied.not_done is None else [{"itemIdentifier": applied.not_done}]
        return {"batchItemFailures": failures}

    def _delay_ms(self, records: list[StreamRecord]) -> int:
        """How old the oldest record is; streams tell it to the second."""
        oldest = min((to_ms(record.created_at) for record in records if record.created_at is not None), default=None)
        now_ms = self._clock.now_ms()
        return 0 if oldest is None else max(now_ms - oldest, 0)


@cache
def _function() -> StreamFunction:
    settings = Settings.from_environment(os.environ)
    session, region = get_session(), settings.place.region
    return StreamFunction(
        load_app(settings.app),
        settings,
        EventBridgeSchedules(session, region=region, connections=settings.concurrency),
        SqsLetters(session, settings.stream_dead_letter_queue_url, region=region, connections=settings.concurrency),
        clock=SystemClock(),
        stopwatch=SystemStopwatch(),
        out=sys.stdout,
    )
