"""ListMetrics: which metrics there are."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from duestream.local.services.cloudwatch.tokens import next_token, offset_of
from duestream.local.services.context import RequestContext
from duestream.local.store import metrics
from duestream.local.store.metrics import MINUTE_MS, Dimensions

PAGE = 500
#: AWS lists what had data within two weeks; `RecentlyActive`, within three hours.
LISTED_MINUTES = 14 * 24 * 60
RECENT_MINUTES = 3 * 60


async def list_metrics(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Metrics by namespace, name and dimensions; a filter without a value takes any.

    Raises:
        InvalidNextToken: the token is none of ours.
    """
    minutes = RECENT_MINUTES if parameters.get("RecentlyActive") else LISTED_MINUTES
    found = metrics.list_metrics(
        context.store.reader,
        namespace=parameters.get("Namespace"),
        name=parameters.get("MetricName"),
        since_minute=context.clock.now_ms() // MINUTE_MS - minutes,
    )
    wanted = parameters.get("Dimensions", ())
    first = offset_of(parameters.get("NextToken"))
    matching = (one for one in found if _matches(one[2], wanted))
    page = list(islice(matching, first, first + PAGE + 1))
    answer: dict[str, Any] = {
        "Metrics": [
            {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
            }
            for namespace, name, dimensions in page[:PAGE]
        ]
    }
    if len(page) > PAGE:
        answer["NextToken"] = next_token(first + PAGE)
    return answer


def _matches(dimensions: Dimensions, wanted: Iterable[Mapping[str, str]]) -> bool:
    values = dict(dimensions)
    return all(one["Name"] in values and one.get("Value") in (None, values[one["Name"]]) for one in wanted)
