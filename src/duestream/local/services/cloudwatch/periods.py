"""Reading a metric: spans of time cut into periods, and the statistics of each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import apsw

from duestream.clock import from_ms, to_ms
from duestream.core.histogram import percentile
from duestream.local.services.cloudwatch.errors import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)
from duestream.local.store.metrics import MINUTE_MS, Dimensions, Samples, read_samples

_PERCENTILE = re.compile(r"p(?P<percent>100|\d{1,2}(?:\.\d{1,10})?)")
SIMPLE_STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")


@dataclass(frozen=True, slots=True)
class Span:
    """From one minute to before another, in periods of so many minutes."""

    from_minute: int
    until_minute: int
    minutes: int

    def moment_of(self, number: int) -> datetime:
        """When a period begins."""
        return from_ms((self.from_minute + number * self.minutes) * MINUTE_MS)


def span_of(start: datetime, end: datetime, period_seconds: int) -> Span:
    """The span that a request asks for; it begins with a whole minute, as metrics of under 15 days do.

    Raises:
        InvalidParameterCombinationException: it does not end after its start.
        InvalidParameterValueException: no metric of one minute has such periods.
    """
    if start >= end:
        raise InvalidParameterCombinationException("The parameter StartTime must be less than the parameter EndTime.")
    if period_seconds in (1, 5, 10, 20, 30):
        period_seconds = 60  # nothing here is kept finer
    if period_seconds < 1 or period_seconds % 60:
        raise InvalidParameterValueException(
            "The parameter Period must be a multiple of 60: metrics are kept by the minute."
        )
    return Span(to_ms(start) // MINUTE_MS, -(-to_ms(end) // MINUTE_MS), period_seconds // 60)


def dimensions_of(given: Sequence[Mapping[str, str]]) -> Dimensions:
    """Dimensions as they are stored.

    Raises:
        InvalidParameterValueException: one is named twice.
    """
    dimensions = tuple(sorted((one["Name"], one["Value"]) for one in given))
    if len({name for name, _ in dimensions}) < len(dimensions):
        raise InvalidParameterValueException("The collection Dimensions must not contain a dimension name twice.")
    return dimensions


def by_period(
    connection: apsw.Connection,
    metric: Mapping[str, Any],
    span: Span,
    unit: str | None,
    statistics: Sequence[str],
) -> Iterator[tuple[int, str, Samples]]:
    """(number of the period, unit, its values) of a metric, oldest first, those without values left out.

    Args:
        metric: `Namespace`, `MetricName` and perhaps `Dimensions`.
        unit: None: of every unit, each by itself.
        statistics: what will be asked of the values.
    """
    rows = read_samples(
        connection,
        namespace=metric["Namespace"],
        name=metric["MetricName"],
        dimensions=dimensions_of(metric.get("Dimensions", ())),
        unit=unit,
        from_minute=span.from_minute,
        until_minute=span.until_minute,
        period=span.minutes,
        with_distributions=any(name not in SIMPLE_STATISTICS for name in statistics),
    )
    for (number, of_unit), group in groupby(rows, key=lambda row: row[:2]):
        together = Samples()
        for _, _, samples in group:
            together.merge(samples)
        yield number, of_unit, together


def statistic(samples: Samples, name: str) -> float | None:
    """One statistic of a period; None: a percentile that cannot be told any more.

    Raises:
        InvalidParameterValueException: there is no such statistic here.
    """
    match name:
        case "SampleCount":
            return samples.samples
        case "Sum":
            return samples.sum
        case "Average":
            return samples.sum / samples.samples if samples.samples else 0.0
        case "Minimum":
            return samples.minimum
        case "Maximum":
            return samples.maximum
    percent = percent_of(name)
    if samples.minimum == samples.maximum:
        return samples.minimum
    if not samples.distribution:
        return None
    return percentile(samples.distribution, percent, minimum=samples.minimum, maximum=samples.maximum)


def percent_of(name: str) -> float:
    """The percent of ``p99`` or ``p99.9``.

    Raises:
        InvalidParameterValueException: it is neither that nor a simple statistic.
    """
    found = _PERCENTILE.fullmatch(name)
    if found is None:
        raise InvalidParameterValueException(
            f"The statistic {name[:100]!r} is not served here. Served: {', '.join(SIMPLE_STATISTICS)} and percentiles "
            "(p0 to p100)."
        )
    return float(found["percent"])


def check_statistic(name: str) -> None:
    """Refuse what `statistic` cannot answer.

    Raises:
        InvalidParameterValueException: there is no such statistic here.
    """
    if name not in SIMPLE_STATISTICS:
        percent_of(name)
