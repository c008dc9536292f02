"""GetMetricStatistics: one metric's statistics."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from duestream.local.services.cloudwatch.errors import (
    InvalidParameterCombinationException,
    MissingRequiredParameterException,
)
from duestream.local.services.cloudwatch.periods import by_period, check_statistic, span_of, statistic
from duestream.local.services.context import RequestContext

MAX_DATAPOINTS = 1440


async def get_metric_statistics(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The datapoints of a metric, oldest first (AWS promises no order).

    Raises:
        InvalidParameterCombinationException: the span is empty, or has more than 1,440 periods.
        InvalidParameterValueException: a period or statistic that is not to be had.
        MissingRequiredParameterException: no statistic is asked for.
    """
    simple, extended = parameters.get("Statistics", ()), parameters.get("ExtendedStatistics", ())
    if not simple and not extended:
        raise MissingRequiredParameterException(
            "At least one of the parameters Statistics and ExtendedStatistics must be specified."
        )
    for name in extended:
        check_statistic(name)
    start, end = parameters["StartTime"], parameters["EndTime"]
    span = span_of(start, end, parameters["Period"])
    periods = -((start - end) // timedelta(minutes=span.minutes))
    if periods > MAX_DATAPOINTS:
        raise InvalidParameterCombinationException(
            f"You have requested up to {periods} datapoints, which exceeds the limit of {MAX_DATAPOINTS}. "
            "You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )
    datapoints = []
    names = [*simple, *extended]
    for number, unit, samples in by_period(context.store.reader, parameters, span, parameters.get("Unit"), names):
        datapoint: dict[str, Any] = {"Timestamp": span.moment_of(number)}
        datapoint.update((name, statistic(samples, name)) for name in simple)
        datapoint["Unit"] = unit
        told = {name: value for name in extended if (value := statistic(samples, name)) is not None}
        if told:
            datapoint["ExtendedStatistics"] = told
        datapoints.append(datapoint)
    return {"Label": parameters["MetricName"], "Datapoints": datapoints}
