"""What clients ask about features that no table has here: answered as AWS answers for a table without them.

Infrastructure tools ask on every run whether there is a resource policy, a Kinesis destination and so on. What would
switch such a feature on is not served. The texts are from ack-api-quirks (DDB-TABLE-097, -187 and the catalogue of
ResourceNotFoundException, recorded from AWS, 2026-10-08 and 09).
"""

from collections.abc import Mapping
from typing import Any

from duestream.errors import ResourceNotFoundException, ServiceError
from duestream.local.services.context import Operation, RequestContext
from duestream.local.services.dynamodb.requests import declared_table, resource_of, table_name_of
from duestream.local.store import streams


class PolicyNotFoundException(ServiceError):
    """The table or the stream has no resource policy."""


class GlobalTableNotFoundException(ServiceError):
    """There is no such global table."""


async def describe_contributor_insights(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """They are off.

    Raises:
        ResourceNotFoundException: there is no such table, or no such global index.
    """
    table = declared_table(context.store.reader, table_name_of(parameters))
    answer = {"TableName": table.name, "ContributorInsightsStatus": "DISABLED"}
    index: str | None = parameters.get("IndexName")
    if index is None:
        return answer
    if not any(one.is_global and one.name == index for one in table.indexes):
        raise ResourceNotFoundException(
            f"Requested resource not found: Index: {index} not found for table: {table.name}"
        )
    return {**answer, "IndexName": index}


async def list_contributor_insights(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """There are none.

    Raises:
        ResourceNotFoundException: a table is named that there is not.
    """
    if parameters.get("TableName") is not None:
        declared_table(context.store.reader, table_name_of(parameters))
    return {"ContributorInsightsSummaries": []}


async def describe_kinesis_streaming_destination(
    context: RequestContext, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """A table's changes go to no Kinesis stream.

    Raises:
        ResourceNotFoundException: there is no such table.
    """
    table = declared_table(context.store.reader, table_name_of(parameters))
    return {"TableName": table.name, "KinesisDataStreamDestinations": []}


async def get_resource_policy(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Neither tables nor streams have one.

    Raises:
        PolicyNotFoundException: always, if the table or the stream is there.
        ResourceNotFoundException: it is not.
        ValidationException: it is no ARN of a table's or a stream's.
    """
    arn: str = parameters["ResourceArn"]
    name, label = resource_of(arn)
    if not label:
        declared_table(context.store.reader, name)
    elif streams.find_stream(context.store.reader, name, label) is None:
        raise ResourceNotFoundException(f"Requested resource not found: Stream: {label} not found for Table: {name}")
    raise PolicyNotFoundException(f"Resource-based policy not found for the provided ResourceArn: {arn}")


async def describe_table_replica_auto_scaling(
    context: RequestContext, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Only global tables have it, and no table is one.

    Raises:
        ResourceNotFoundException: always.
    """
    raise ResourceNotFoundException(f"Global table with name: '{table_name_of(parameters)}' does not exist.")


async def describe_global_table(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """There are no global tables.

    Raises:
        GlobalTableNotFoundException: always.
    """
    raise GlobalTableNotFoundException(f"Global table with name: '{parameters['GlobalTableName']}' does not exist.")


def _nothing(member: str) -> Operation:
    """An operation that lists what there is none of."""

    async def list_nothing(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return {member: []}

    return list_nothing


ABSENT_FEATURES: Mapping[str, Operation] = {
    "DescribeContributorInsights": describe_contributor_insights,
    "DescribeGlobalTable": describe_global_table,
    "DescribeKinesisStreamingDestination": describe_kinesis_streaming_destination,
    "DescribeTableReplicaAutoScaling": describe_table_replica_auto_scaling,
    "GetResourcePolicy": get_resource_policy,
    "ListBackups": _nothing("BackupSummaries"),
    "ListContributorInsights": list_contributor_insights,
    "ListExports": _nothing("ExportSummaries"),
    "ListGlobalTables": _nothing("GlobalTables"),
    "ListImports": _nothing("ImportSummaryList"),
}
