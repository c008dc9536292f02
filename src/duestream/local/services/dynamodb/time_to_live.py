"""UpdateTimeToLive and DescribeTimeToLive."""

from collections.abc import Mapping
from typing import Any

from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.requests import declared_table, table_name_of
from duestream.local.store import tables, time_to_live
from duestream.local.store.writer import Transaction


async def update_time_to_live(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Switch Time to Live on or off.

    Raises:
        ResourceNotFoundException: there is no such table.
        ValidationException: it is so already, or goes by another attribute. Source of the texts: API reference of
            UpdateTimeToLive and threads that quote them (hashicorp/terraform-provider-aws#3463, #10304).
    """
    specification = parameters["TimeToLiveSpecification"]
    attribute, wanted = specification["AttributeName"], specification["Enabled"]
    name = table_name_of(parameters)

    def job(tx: Transaction) -> None:
        table = declared_table(tx.connection, name)
        present = table.time_to_live
        if present is None and not wanted:
            raise ValidationException("TimeToLive is already disabled")
        if present is not None and present.attribute != attribute:
            raise ValidationException(
                f"TimeToLive is active on a different AttributeName: current AttributeName is {present.attribute}"
            )
        if present is not None and wanted:
            raise ValidationException("TimeToLive is already enabled")
        if wanted:
            time_to_live.switch_on(tx, table.id, attribute)
        else:
            time_to_live.switch_off(tx, table.id)
        tables.renew(tx, table)

    await context.store.write(job)
    return {"TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": wanted}}


async def describe_time_to_live(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Show by what the table's items expire.

    Raises:
        ResourceNotFoundException: there is no such table.
    """
    present = declared_table(context.store.reader, table_name_of(parameters)).time_to_live
    if present is None:
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    status = "ENABLED" if present.is_built else "ENABLING"
    return {"TimeToLiveDescription": {"AttributeName": present.attribute, "TimeToLiveStatus": status}}
