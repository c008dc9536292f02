"""GetMetricData: many metrics at once, page by page. Metric math is not served."""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import apsw

from duestream.errors import ValidationException
from duestream.local.services.cloudwatch.periods import by_period, check_statistic, span_of, statistic
from duestream.local.services.cloudwatch.tokens import next_token, offset_of
from duestream.local.services.context import RequestContext

#: Source: CloudWatch User Guide, "Using dynamic labels". What needs the values (``${MAX}``) stays as it is.
_DYNAMIC = re.compile(r"\$\{(?:LABEL|PROP\('(?P<property>[^']{1,300})'\))\}")
MAX_QUERIES = 500
MAX_DATAPOINTS = 100_800


async def get_metric_data(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Each query's timestamps and values, newest first unless asked otherwise.

    Raises:
        InvalidNextToken: the token is none of ours.
        ValidationException: metric math, an id twice, or a query that is neither.
        InvalidParameterCombinationException, InvalidParameterValueException: see `span_of`.
    """
    queries = parameters["MetricDataQueries"]
    _check(queries)
    limit = min(parameters.get("MaxDatapoints", MAX_DATAPOINTS), MAX_DATAPOINTS)
    if limit < 1:
        raise ValidationException("The parameter MaxDatapoints must be greater than 0.")
    first = offset_of(parameters.get("NextToken"))
    end = first + limit
    passed, results = 0, []
    for query in queries:
        if query.get("ReturnData", True) is False:
            continue
        points: list[tuple[datetime, float]] = []
        if passed <= end:  # what lies beyond this page is left to the next one
            points = _points(context.store.reader, query, parameters)
            await asyncio.sleep(0)  # others' turn
        page = points[max(0, first - passed) : max(0, end - passed)]
        passed += len(points)
        results.append(
            {
                "Id": query["Id"],
                "Label": _label_of(query),
                "Timestamps": [moment for moment, _ in page],
                "Values": [value for _, value in page],
                "StatusCode": "PartialData" if passed > end else "Complete",
            }
        )
    answer: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
    if passed > end:
        answer["NextToken"] = next_token(end)
    return answer


def _check(queries: list[Mapping[str, Any]]) -> None:
    if not queries:
        raise ValidationException("The parameter MetricDataQueries must not be empty.")
    if len(queries) > MAX_QUERIES:
        raise ValidationException(f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}.")
    seen: set[str] = set()
    for query in queries:
        identity = query["Id"]
        if identity in seen:
            raise ValidationException(f"The values for parameter id in MetricDataQueries are not unique: {identity}")
        seen.add(identity)
        if "Expression" in query:
            raise ValidationException(
                f"Error in expression '{identity}': metric math, SEARCH and Metrics Insights are not served here. "
                "Ask for the metrics themselves with MetricStat."
            )
        if "MetricStat" not in query:
            raise ValidationException(f"The query '{identity}' must have either MetricStat or Expression.")
        metric = query["MetricStat"]["Metric"]
        if "Namespace" not in metric or "MetricName" not in metric:
            raise ValidationException(f"The metric of the query '{identity}' must have a Namespace and a MetricName.")
        check_statistic(query["MetricStat"]["Stat"])


def _label_of(query: Mapping[str, Any]) -> str:
    """The label that was asked for, or the metric's name. Of AWS's dynamic labels, those that name the metric."""
    asked = query["MetricStat"]
    metric = asked["Metric"]
    properties = {
        "MetricName": metric["MetricName"],
        "Namespace": metric["Namespace"],
        "Period": str(asked["Period"]),
        "Stat": asked["Stat"],
        **{f"Dim.{one['Name']}": one["Value"] for one in metric.get("Dimensions", ())},
    }
    label = str(query.get("Label") or metric["MetricName"])
    return _DYNAMIC.sub(
        lambda found: properties.get(found["property"] or "MetricName", found[0]),
        label,
    )


def _points(
    connection: apsw.Connection, query: Mapping[str, Any], parameters: Mapping[str, Any]
) -> list[tuple[datetime, float]]:
    asked = query["MetricStat"]
    span = span_of(parameters["StartTime"], parameters["EndTime"], asked["Period"])
    points = [
        (span.moment_of(number), value)
        for number, _, samples in by_period(connection, asked["Metric"], span, asked.get("Unit"), [asked["Stat"]])
        if (value := statistic(samples, asked["Stat"])) is not None
    ]
    if parameters.get("ScanBy", "TimestampDescending") == "TimestampDescending":
        points.reverse()
    return points
