"""DynamoDB: tables and items."""

from duestream.local.services.context import Operation
from duestream.local.services.dynamodb.batches import batch_get_item, batch_write_item
from duestream.local.services.dynamodb.continuous_backups import (
    describe_continuous_backups,
    update_continuous_backups,
)
from duestream.local.services.dynamodb.contributor_insights import (
    describe_contributor_insights,
    list_contributor_insights,
    update_contributor_insights,
)
from duestream.local.services.dynamodb.items import delete_item, get_item, put_item, update_item
from duestream.local.services.dynamodb.kinesis_destinations import describe_kinesis_streaming_destination
from duestream.local.services.dynamodb.partiql import (
    batch_execute_statement,
    execute_statement,
    execute_transaction,
)
from duestream.local.services.dynamodb.reads import query, scan
from duestream.local.services.dynamodb.resource_policies import (
    delete_resource_policy,
    get_resource_policy,
    put_resource_policy,
)
from duestream.local.services.dynamodb.table_updates import update_table
from duestream.local.services.dynamodb.tables import (
    create_table,
    delete_table,
    describe_endpoints,
    describe_limits,
    describe_table,
    list_tables,
    list_tags_of_resource,
    tag_resource,
    untag_resource,
)
from duestream.local.services.dynamodb.time_to_live import describe_time_to_live, update_time_to_live
from duestream.local.services.dynamodb.transactions import transact_get_items, transact_write_items
from duestream.local.services.dynamodb.upkeep import resume_table_upkeep, stop_table_upkeep

__all__ = ["OPERATIONS", "resume_table_upkeep", "stop_table_upkeep"]

OPERATIONS: dict[str, Operation] = {
    "BatchExecuteStatement": batch_execute_statement,
    "BatchGetItem": batch_get_item,
    "BatchWriteItem": batch_write_item,
    "CreateTable": create_table,
    "DeleteItem": delete_item,
    "DeleteResourcePolicy": delete_resource_policy,
    "DeleteTable": delete_table,
    "DescribeContinuousBackups": describe_continuous_backups,
    "DescribeContributorInsights": describe_contributor_insights,
    "DescribeEndpoints": describe_endpoints,
    "DescribeKinesisStreamingDestination": describe_kinesis_streaming_destination,
    "DescribeLimits": describe_limits,
    "DescribeTable": describe_table,
    "DescribeTimeToLive": describe_time_to_live,
    "ExecuteStatement": execute_statement,
    "ExecuteTransaction": execute_transaction,
    "GetItem": get_item,
    "GetResourcePolicy": get_resource_policy,
    "ListContributorInsights": list_contributor_insights,
    "ListTables": list_tables,
    "ListTagsOfResource": list_tags_of_resource,
    "PutItem": put_item,
    "PutResourcePolicy": put_resource_policy,
    "Query": query,
    "Scan": scan,
    "TagResource": tag_resource,
    "TransactGetItems": transact_get_items,
    "TransactWriteItems": transact_write_items,
    "UntagResource": untag_resource,
    "UpdateContinuousBackups": update_continuous_backups,
    "UpdateContributorInsights": update_contributor_insights,
    "UpdateItem": update_item,
    "UpdateTable": update_table,
    "UpdateTimeToLive": update_time_to_live,
}
