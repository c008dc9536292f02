"""PutMetricData: metrics of users' own, kept like the engine's."""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from duestream.clock import to_ms
from duestream.local.services.cloudwatch.errors import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    MissingRequiredParameterException,
)
from duestream.local.services.cloudwatch.periods import dimensions_of
from duestream.local.services.context import RequestContext
from duestream.local.store.metrics import DUESTREAM, MINUTE_MS, Metric, Samples, add_samples
from duestream.local.store.writer import Transaction

MAX_METRICS = 1000
MAX_AGE, MAX_AHEAD = timedelta(weeks=2), timedelta(hours=2)
#: What CloudWatch takes at the most, either way.
MAX_VALUE = 2.0**360


async def put_metric_data(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add values to their minutes' buckets.

    Raises:
        InvalidParameterCombinationException: a metric with values in two forms.
        InvalidParameterValueException: a namespace of AWS's or ours, a moment too far off, a value that is none.
        MissingRequiredParameterException: a metric without a value.
    """
    namespace = parameters["Namespace"]
    if namespace.startswith("AWS/") or namespace == DUESTREAM:
        raise InvalidParameterValueException(f"The namespace {namespace} is the server's own.")
    if parameters.get("EntityMetricData"):
        raise InvalidParameterValueException("The parameter EntityMetricData is not served here: use MetricData.")
    given = parameters.get("MetricData", ())
    if not given:
        raise MissingRequiredParameterException("The parameter MetricData is required.")
    if len(given) > MAX_METRICS:
        raise InvalidParameterValueException(
            f"The collection MetricData must not have a size greater than {MAX_METRICS}."
        )
    now = context.clock.now()
    rows = [_row(namespace, number, datum, now) for number, datum in enumerate(given, start=1)]

    def job(tx: Transaction) -> None:
        for metric, minute, samples in rows:
            add_samples(tx, metric, minute, samples)

    await context.store.write(job)
    return {}


def _row(namespace: str, number: int, datum: Mapping[str, Any], now: datetime) -> tuple[Metric, int, Samples]:
    where = f"MetricData.member.{number}"
    moment = datum.get("Timestamp", now)
    if not now - MAX_AGE <= moment <= now + MAX_AHEAD:
        raise InvalidParameterValueException(
            f"The parameter {where}.Timestamp must specify a time within the past two weeks and the next two hours."
        )
    metric = Metric(
        namespace, datum["MetricName"], dimensions_of(datum.get("Dimensions", ())), datum.get("Unit", "None")
    )
    return metric, to_ms(moment) // MINUTE_MS, _samples(where, datum)


def _samples(where: str, datum: Mapping[str, Any]) -> Samples:
    forms = [form for form in ("Value", "Values", "StatisticValues") if form in datum]
    if not forms:
        raise MissingRequiredParameterException(f"The parameter {where} must have Value, Values or StatisticValues.")
    if len(forms) > 1:
        raise InvalidParameterCombinationException(
            f"The parameters {where}.{' and '.join(forms)} are mutually exclusive."
        )
    samples = Samples()
    if forms == ["StatisticValues"]:
        statistics = datum["StatisticValues"]
        samples.samples, samples.sum = statistics["SampleCount"], statistics["Sum"]
        samples.minimum, samples.maximum = statistics["Minimum"], statistics["Maximum"]
        for value in (samples.samples, samples.sum, samples.minimum, samples.maximum):
            _check_value(where, value)
        samples.distribution = None
        return samples
    for value, weight in _weighted(where, datum):
        _check_value(where, value)
        _check_value(where, weight)
        samples.add(value, weight)
    return samples


def _weighted(where: str, datum: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    if "Value" in datum:
        yield datum["Value"], 1.0
        return
    values = datum["Values"]
    counts = datum.get("Counts", [1.0] * len(values))
    if not values or len(counts) != len(values):
        raise InvalidParameterValueException(f"The parameters {where}.Values and {where}.Counts must be of one size.")
    yield from zip(values, counts, strict=True)


def _check_value(where: str, value: float) -> None:
    if not math.isfinite(value) or abs(value) > MAX_VALUE:
        raise InvalidParameterValueException(f"The value {value} for parameter {where} is not a number that is taken.")
