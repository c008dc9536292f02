"""GetMetricData: many metrics at once, page by page. Of expressions, searches are served, and metric math is not."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import apsw

from duestream.core.metric_search import Search, SearchError, parse_search
from duestream.errors import ValidationException
from duestream.local.services.cloudwatch.listing import LISTED_MINUTES
from duestream.local.services.cloudwatch.periods import by_period, check_statistic, span_of, statistic
from duestream.local.services.cloudwatch.tokens import next_token, offset_of
from duestream.local.services.context import RequestContext
from duestream.local.store import metrics
from duestream.local.store.metrics import MINUTE_MS

#: Source: CloudWatch User Guide, "Using dynamic labels". What needs the values (``${MAX}``) stays as it is.
_DYNAMIC = re.compile(r"\$\{(?:LABEL|PROP\('(?P<property>[^']{1,300})'\))\}")
MAX_QUERIES = 500
MAX_DATAPOINTS = 100_800
#: Of one search (CloudWatch User Guide, "CloudWatch search expression syntax").
MAX_FOUND = 500


@dataclass(frozen=True, slots=True)
class _Series:
    """One metric's part of the answer. `stat` is a MetricStat."""

    id: str
    stat: Mapping[str, Any]
    label: str
    #: It is left out if it has no values.
    without_empty: bool = False


async def get_metric_data(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Each query's timestamps and values, newest first unless asked otherwise.

    Raises:
        InvalidNextToken: the token is none of ours.
        ValidationException: metric math, an id twice, or a query that is neither.
        InvalidParameterCombinationException, InvalidParameterValueException: see `span_of`.
    """
    queries = parameters["MetricDataQueries"]
    searches = _check(queries)
    limit = min(parameters.get("MaxDatapoints", MAX_DATAPOINTS), MAX_DATAPOINTS)
    if limit < 1:
        raise ValidationException("The parameter MaxDatapoints must be greater than 0.")
    first = offset_of(parameters.get("NextToken"))
    end = first + limit
    passed, results = 0, []
    for series in _series(context, queries, searches):
        points: list[tuple[datetime, float]] = []
        if passed <= end or series.without_empty:  # else it is beyond this page, and left to the next one
            points = _points(context.store.reader, series.stat, parameters)
            await asyncio.sleep(0)  # others' turn
        if series.without_empty and not points:
            continue
        page = points[max(0, first - passed) : max(0, end - passed)]
        passed += len(points)
        results.append(
            {
                "Id": series.id,
                "Label": series.label,
                "Timestamps": [moment for moment, _ in page],
                "Values": [value for _, value in page],
                "StatusCode": "PartialData" if passed > end else "Complete",
            }
        )
    answer: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
    if passed > end:
        answer["NextToken"] = next_token(end)
    return answer


def _check(queries: list[Mapping[str, Any]]) -> dict[str, Search]:
    """The searches among the queries, by id."""
    if not queries:
        raise ValidationException("The parameter MetricDataQueries must not be empty.")
    if len(queries) > MAX_QUERIES:
        raise ValidationException(f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}.")
    seen: set[str] = set()
    searches: dict[str, Search] = {}
    for query in queries:
        identity = query["Id"]
        if identity in seen:
            raise ValidationException(f"The values for parameter id in MetricDataQueries are not unique: {identity}")
        seen.add(identity)
        if "Expression" in query:
            searches[identity] = _search_of(identity, query)
            continue
        if "MetricStat" not in query:
            raise ValidationException(f"The query '{identity}' must have either MetricStat or Expression.")
        metric = query["MetricStat"]["Metric"]
        if "Namespace" not in metric or "MetricName" not in metric:
            raise ValidationException(f"The metric of the query '{identity}' must have a Namespace and a MetricName.")
        check_statistic(query["MetricStat"]["Stat"])
    return searches


def _search_of(identity: str, query: Mapping[str, Any]) -> Search:
    try:
        search = parse_search(query["Expression"])
    except SearchError as error:
        raise ValidationException(
            f"Error in expression '{identity}': {error} (metric math and Metrics Insights are not)."
        ) from None
    check_statistic(search.statistic)
    if search.period_seconds is None and "Period" not in query:
        raise ValidationException(f"Error in expression '{identity}': the search, or the query, must have a period.")
    return search


def _series(
    context: RequestContext, queries: list[Mapping[str, Any]], searches: Mapping[str, Search]
) -> Iterator[_Series]:
    """What is answered: a query's metric, or the metrics that its search finds."""
    for query in queries:
        if query.get("ReturnData", True) is False:
            continue
        search = searches.get(query["Id"])
        if search is None:
            stat = query["MetricStat"]
            yield _Series(query["Id"], stat, _label_of(query.get("Label"), stat, stat["Metric"]["MetricName"], context))
        else:
            yield from _found(context, query, search)


def _found(context: RequestContext, query: Mapping[str, Any], search: Search) -> Iterator[_Series]:
    since_minute = context.clock.now_ms() // MINUTE_MS - LISTED_MINUTES
    listed = metrics.list_metrics(context.store.reader, namespace=None, name=None, since_minute=since_minute)
    found = [one for one in listed if search.meant(*one)][:MAX_FOUND]
    several_names = len({name for _, name, _ in found}) > 1
    for namespace, name, dimensions in found:
        stat = {
            "Metric": {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
            },
            "Period": search.period_seconds or query["Period"],
            "Stat": search.statistic,
        }
        # What tells them apart; AWS composes its labels so, and does not say how.
        values = [value for _, value in dimensions]
        own = " ".join([*values, name] if several_names or not values else values)
        yield _Series(query["Id"], stat, _label_of(query.get("Label"), stat, own, context), search.without_empty)


def _label_of(label: str | None, asked: Mapping[str, Any], own: str, context: RequestContext) -> str:
    """The label that was asked for, or the series' own. Of AWS's dynamic labels, those that name the metric."""
    metric = asked["Metric"]
    properties = {
        "MetricName": metric["MetricName"],
        "Namespace": metric["Namespace"],
        "Period": str(asked["Period"]),
        "Stat": asked["Stat"],
        "Region": context.place.region,
        "AccountId": context.place.account_id,
        **{f"Dim.{one['Name']}": one["Value"] for one in metric.get("Dimensions", ())},
    }
    return _DYNAMIC.sub(
        lambda found: own if found["property"] is None else properties.get(found["property"], found[0]), label or own
    )


def _points(
    connection: apsw.Connection, asked: Mapping[str, Any], parameters: Mapping[str, Any]
) -> list[tuple[datetime, float]]:
    span = span_of(parameters["StartTime"], parameters["EndTime"], asked["Period"])
    points = [
        (span.moment_of(number), value)
        for number, _, samples in by_period(connection, asked["Metric"], span, asked.get("Unit"), [asked["Stat"]])
        if (value := statistic(samples, asked["Stat"])) is not None
    ]
    if parameters.get("ScanBy", "TimestampDescending") == "TimestampDescending":
        points.reverse()
    return points
