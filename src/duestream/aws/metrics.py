"""Metrics of the functions, in CloudWatch's embedded metric format: a line of the log, and no call.

Source of the format: CloudWatch User Guide, "Embedded metric format specification".
"""

import json
from collections.abc import Mapping
from enum import StrEnum

NAMESPACE = "Duestream"
DIMENSION = "App"


class Metric(StrEnum):
    """What the stream function counts, for each batch."""

    #: Stream records in the batch, and items that they are of.
    RECORDS = "Records"
    ITEMS = "Items"
    #: Operations that the rules asked for.
    PLANNED = "Planned"
    #: Schedules created or replaced; deleted, of those that were there.
    PUT = "Put"
    DELETED = "Deleted"
    #: Due times that were past when they were written: delivered at once, or passed over.
    PAST_DUE = "PastDue"
    SKIPPED = "Skipped"
    #: Records that went to the stream-side dead-letter queue on behalf of a rule.
    DEAD_LETTERED = "DeadLettered"
    #: Calls to EventBridge Scheduler, those of them that it throttled, and those that were made again.
    CALLS = "Calls"
    THROTTLED = "Throttled"
    RETRIED = "Retried"
    #: Items whose records Lambda is to hand over again.
    NOT_DONE = "NotDone"
    #: From the write of the batch's oldest record until it was taken up, in milliseconds.
    STREAM_DELAY = "StreamDelay"


_UNITS = {Metric.STREAM_DELAY: "Milliseconds"}


def embedded_line(app_name: str, values: Mapping[Metric, int], *, now_ms: int) -> str:
    """One line for stdout, without its end.

    Args:
        app_name: the value of the dimension.
        values: what was counted; zeros are said, so that a graph has no gaps.
        now_ms: the present moment.
    """
    metrics = [{"Name": str(metric), "Unit": _UNITS.get(metric, "Count")} for metric in values]
    head = {
        "Timestamp": now_ms,
        "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}],
    }
    return json.dumps({"_aws": head, DIMENSION: app_name, **{str(metric): value for metric, value in values.items()}})
