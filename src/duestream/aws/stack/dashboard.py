"""The dashboard: AWS's metrics of everything in the stack, and what the functions themselves measure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from duestream.aws import delivery_metrics, metrics
from duestream.aws.stack.functions import sweep_group
from duestream.aws.stack.names import Resource, Value, function_name, sub
from duestream.aws.stack.parts import Parts
from duestream.core.planner import schedule_dead_letter_queue, stream_dead_letter_queue

#: CloudWatch's grid is 24 wide.
_WIDTH, _HEIGHT, _COLUMNS = 8, 6, 3
#: ``[namespace, metric, dimension, value, how it is shown]``; CloudWatch's own order.
Line = list[Value]


@dataclass(frozen=True, slots=True)
class _Graph:
    """One graph.

    Args:
        title: above it.
        lines: what it shows.
        statistic: of lines that do not say their own.
    """

    title: str
    lines: tuple[Line, ...]
    statistic: str = "Sum"


def dashboard_resource(parts: Parts) -> Resource:
    """The dashboard ``<app>``."""
    widgets = [_widget(graph, place) for place, graph in enumerate(_graphs(parts))]
    body = sub(json.dumps({"start": "-PT3H", "periodOverride": "inherit", "widgets": widgets}, separators=(",", ":")))
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {"DashboardName": parts.app.name, "DashboardBody": body},
    }


def _widget(graph: _Graph, place: int) -> dict[str, Value]:
    return {
        "type": "metric",
        "x": place % _COLUMNS * _WIDTH,
        "y": place // _COLUMNS * _HEIGHT,
        "width": _WIDTH,
        "height": _HEIGHT,
        "properties": {
            "title": graph.title,
            "region": "${AWS::Region}",
            "view": "timeSeries",
            "stat": graph.statistic,
            "period": 60,
            "metrics": list(graph.lines),
            "yAxis": {"left": {"min": 0}},
        },
    }


def _graphs(parts: Parts) -> Iterator[_Graph]:
    app_name = parts.app.name
    queues = [schedule_dead_letter_queue(app_name)]
    if parts.streamed:
        queues.append(stream_dead_letter_queue(app_name))
    if parts.when_due or parts.swept:
        yield _lateness(app_name, has_sweeps=bool(parts.swept))
    if parts.streamed:
        yield from _of_scheduler("Deliveries by EventBridge Scheduler", app_name)
    yield _Graph(
        "Dead letters", _lines("AWS/SQS", ["ApproximateNumberOfMessagesVisible"], "QueueName", queues), "Maximum"
    )
    yield _Graph(
        "Age of the oldest dead letter (seconds)",
        _lines("AWS/SQS", ["ApproximateAgeOfOldestMessage"], "QueueName", queues),
        "Maximum",
    )
    if parts.streamed:
        yield from _of_stream(parts)
    if parts.when_due or parts.swept:
        yield _ours(app_name, "Deliveries by functions", _DELIVERIES)
    if parts.swept:
        yield _ours(app_name, "Sweeps", _SWEEPS)
        yield from _of_scheduler("Starts of sweeps", sweep_group(app_name))
    yield from _of_functions(parts)


_DELIVERIES = ("DELIVERED", "NOT_WANTED", "FAILED_ATTEMPTS", "GIVEN_UP")
_SWEEPS = ("SWEPT", "LEFT", "UNREADABLE")
_RECORDS = ("RECORDS", "ITEMS", "PUT", "DELETED", "PAST_DUE", "SKIPPED", "DEAD_LETTERED", "NOT_DONE")
_CALLS = ("CALLS", "THROTTLED", "RETRIED")
#: AWS's of a schedule group (Scheduler User Guide, "Monitoring with CloudWatch").
_SCHEDULER = (
    "InvocationAttemptCount",
    "TargetErrorCount",
    "TargetErrorThrottledCount",
    "InvocationThrottleCount",
    "InvocationDroppedCount",
    "InvocationsSentToDeadLetterCount",
    "InvocationsFailedToBeSentToDeadLetterCount",
)


def _lateness(app_name: str, *, has_sweeps: bool) -> _Graph:
    name = delivery_metrics.Metric.LATENESS
    line = [metrics.NAMESPACE, str(name), metrics.DIMENSION, app_name]
    shown = [("p50", "half are sooner"), ("p99", "99 of 100 are sooner"), ("Maximum", "the latest")]
    lines: list[Line] = [[*line, {"stat": statistic, "label": label}] for statistic, label in shown]
    if has_sweeps:
        oldest = [metrics.NAMESPACE, str(delivery_metrics.Metric.OLDEST_DUE), metrics.DIMENSION, app_name]
        lines.append([*oldest, {"stat": "Maximum", "label": "the oldest that a sweep found"}])
    return _Graph("Lateness: due until delivered, by functions (ms)", tuple(lines))


def _of_scheduler(title: str, group: str) -> Iterator[_Graph]:
    yield _Graph(title, _lines("AWS/Scheduler", _SCHEDULER, "ScheduleGroup", [group]))


def _of_stream(parts: Parts) -> Iterator[_Graph]:
    app_name = parts.app.name
    age = _lines("AWS/Lambda", ["IteratorAge"], "FunctionName", [function_name(app_name, "stream")])
    delay: Line = [metrics.NAMESPACE, str(metrics.Metric.STREAM_DELAY), metrics.DIMENSION, app_name]
    yield _Graph("From write to plan (ms)", (*age, delay), "Maximum")
    for title, members in (("Stream records", _RECORDS), ("Calls to EventBridge Scheduler", _CALLS)):
        names = [str(metrics.Metric[member]) for member in members]
        yield _Graph(title, _lines(metrics.NAMESPACE, names, metrics.DIMENSION, [app_name]))


def _ours(app_name: str, title: str, members: Iterable[str]) -> _Graph:
    names = [str(delivery_metrics.Metric[member]) for member in members]
    return _Graph(title, _lines(metrics.NAMESPACE, names, metrics.DIMENSION, [app_name]))


def _of_functions(parts: Parts) -> Iterator[_Graph]:
    present = (("stream", parts.streamed), ("when-due", parts.when_due), ("sweep", parts.swept))
    names = [function_name(parts.app.name, part) for part, needed in present if needed]
    if not names:
        return
    yield _Graph("Invocations of functions", _lines("AWS/Lambda", ["Invocations"], "FunctionName", names))
    yield _Graph("Errors and throttles", _lines("AWS/Lambda", ["Errors", "Throttles"], "FunctionName", names))
    yield _Graph("Duration (ms)", _lines("AWS/Lambda", ["Duration"], "FunctionName", names), "p99")


def _lines(namespace: str, names: Iterable[str], dimension: str, values: Iterable[str]) -> tuple[Line, ...]:
    return tuple([namespace, name, dimension, value] for value in values for name in names)
