"""DescribeKinesisStreamingDestination: a table's changes go to no Kinesis stream here.

The read alone is served: CloudFormation asks it of each AWS::DynamoDB::Table after making it (the read handler's
permissions in its registry), and goes on where there are none. What would switch one on is an unknown operation.
"""

from collections.abc import Mapping
from typing import Any

from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.requests import declared_table, table_name_of


async def describe_kinesis_streaming_destination(
    context: RequestContext, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """There are none.

    Raises:
        ResourceNotFoundException: there is no such table.
    """
    table = declared_table(context.store.reader, table_name_of(parameters))
    return {"TableName": table.name, "KinesisDataStreamDestinations": []}
