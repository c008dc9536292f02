"""Alarms: there are none. Clients that show metrics ask for them all the same."""

from collections.abc import Mapping
from typing import Any

from duestream.local.services.context import RequestContext


async def describe_alarms(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """No alarms of either kind."""
    return {"MetricAlarms": [], "CompositeAlarms": []}
