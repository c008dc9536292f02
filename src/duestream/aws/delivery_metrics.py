"""What the due function and the sweep function say of a delivery: one line of the log, with metrics in it.

Source of the format: CloudWatch User Guide, "Embedded metric format specification". The names differ from those of
the stream function (`duestream.aws.metrics`), which counts records: all have one namespace and one dimension.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from duestream.aws.metrics import DIMENSION, NAMESPACE

#: A metric has at most so many values in one line.
MAX_VALUES = 100


class Metric(StrEnum):
    """What is measured of deliveries."""

    #: Deliveries made, and the time from their due time until then, in milliseconds.
    DELIVERED = "Delivered"
    LATENESS = "Lateness"
    #: Deliveries that the item did not ask for any more.
    NOT_WANTED = "NotWanted"
    #: Attempts that failed, and deliveries that were given up after them.
    FAILED_ATTEMPTS = "FailedAttempts"
    GIVEN_UP = "GivenUp"
    #: Of one sweep: items that were due and are done with; that are due and left for the next one; that could not
    #: be read as a moment; how late the oldest that was found was, in milliseconds.
    SWEPT = "Swept"
    LEFT = "Left"
    UNREADABLE = "Unreadable"
    OLDEST_DUE = "OldestDue"


_UNITS = {Metric.LATENESS: "Milliseconds", Metric.OLDEST_DUE: "Milliseconds"}


def delivery_line(
    app_name: str,
    values: Mapping[Metric, float | Sequence[float]],
    *,
    now_ms: int,
    facts: Mapping[str, Any],
) -> str:
    """One line for stdout, without its end.

    Args:
        app_name: the value of the dimension.
        values: what was measured: a number, or up to `MAX_VALUES`; a metric without one is left out.
        now_ms: the present moment.
        facts: what else is told, for whoever reads the log.
    """
    told = {metric: value for metric, value in values.items() if not isinstance(value, Sequence) or value}
    facts = {DIMENSION: app_name, **facts}
    if told:
        metrics = [{"Name": str(metric), "Unit": _UNITS.get(metric, "Count")} for metric in told]
        head = {
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}],
        }
        facts = {"_aws": head, **facts, **{str(metric): value for metric, value in told.items()}}
    return json.dumps(facts, ensure_ascii=False, default=str)
