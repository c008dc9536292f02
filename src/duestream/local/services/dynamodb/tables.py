"""CreateTable, DescribeTable, ListTables, DeleteTable, tags, and what clients ask of the service."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from duestream.errors import ResourceNotFoundException, ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.declarations import (
    declaration_at_creation,
    refuse_null,
    refuse_what_is_not_served,
    view_type_at_creation,
    with_tags,
)
from duestream.local.services.dynamodb.descriptions import describe
from duestream.local.services.dynamodb.index_declarations import check_lengths, indexes_at_creation
from duestream.local.services.dynamodb.key_schemas import names_of, types_of
from duestream.local.services.dynamodb.requests import (
    INVALID,
    AccessDeniedException,
    ResourceInUseException,
    declared_table,
    resource_of,
    table_name_of,
)
from duestream.local.services.dynamodb.resource_policies import policies_at_creation
from duestream.local.services.dynamodb.throughput import check_table_at_creation
from duestream.local.services.dynamodb.upkeep import resume_table_upkeep
from duestream.local.store import tables
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

MAX_LISTED_TABLES = 100


async def create_table(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a table. It can be used at once, though the answer says CREATING, as AWS's does."""
    name = table_name_of(parameters)
    refuse_what_is_not_served(parameters)
    refuse_null(parameters)
    check_lengths(parameters)
    now_ms = context.clock.now_ms()
    billing_mode = check_table_at_creation(parameters)
    types = types_of(parameters["AttributeDefinitions"])
    indexes = indexes_at_creation(parameters, types, billing_mode)
    keys = names_of(parameters["KeySchema"])
    view_type = view_type_at_creation(parameters)
    declaration = declaration_at_creation(parameters, billing_mode, now_ms)
    declaration |= policies_at_creation(parameters, context.place.partition, now_ms)

    def job(tx: Transaction) -> Mapping[str, Any]:
        if tables.get_table(tx.connection, name) is not None:
            raise ResourceInUseException(f"Table already exists: {name}")
        table = tables.create_table(
            tx,
            name,
            region=context.place.region,
            partition_key=keys[0],
            partition_key_type=types[keys[0]],
            sort_key=keys[1] if len(keys) > 1 else None,
            sort_key_type=types[keys[1]] if len(keys) > 1 else None,
            view_type=view_type,
            declaration=declaration,
            secondary_indexes=indexes,
            now_ms=now_ms,
        )
        return describe(tx.connection, table, status="CREATING")

    return {"TableDescription": await context.store.write(job)}


async def describe_table(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Show a table. Its counters are exact (AWS refreshes them about every six hours)."""
    reader = context.store.reader
    table = declared_table(reader, table_name_of(parameters))
    return {"Table": describe(reader, table, now_ms=context.clock.now_ms())}


async def list_tables(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Names of tables, in their order."""
    limit = parameters.get("Limit", MAX_LISTED_TABLES)
    after = parameters.get("ExclusiveStartTableName", "")
    names = tables.list_tables(context.store.reader, after=after, limit=limit + 1)
    if len(names) <= limit:
        return {"TableNames": names}
    return {"TableNames": names[:limit], "LastEvaluatedTableName": names[limit - 1]}


async def delete_table(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Delete a table. Its name is free at once; what was in it goes in chunks behind the answer."""
    name = table_name_of(parameters)

    def job(tx: Transaction) -> tuple[Mapping[str, Any], bool]:
        table = declared_table(tx.connection, name)
        if table.declaration.get("DeletionProtectionEnabled"):
            raise ValidationException(
                "Resource cannot be deleted as it is currently protected against deletion. "
                "Disable deletion protection first."
            )
        if any(not index.is_active for index in table.indexes):
            raise ResourceInUseException(
                "Attempt to change a resource which is still in use: Cannot delete table while indexes are being "
                "created, updated, or deleted."
            )
        description = describe(tx.connection, table, status="DELETING")
        return description, tables.delete_table(tx, table, context.clock.now_ms())

    description, has_more = await context.store.write(job)
    if has_more:
        resume_table_upkeep(context.store)
    return {"TableDescription": description}


# Tags -------------------------------------------------------------------------------------------------


def _tagged_table(context: RequestContext, operation: str, connection: Any, arn: str) -> Table:
    """Source of the refusals: ack-api-quirks, and for other accounts dynalite and nubo-db's ``tier2/tags`` (2026-08)."""
    if not arn.startswith("arn:"):
        raise ValidationException(f"{INVALID}ARNs must start with 'arn:': {arn}")
    account_id = context.place.account_id
    if arn.split(":")[4:5] != [account_id]:
        raise AccessDeniedException(
            f"User: arn:{context.place.partition}:iam::{account_id}:root is not authorized to perform: "
            f"dynamodb:{operation} on resource: {arn}"
        )
    name, label = resource_of(arn)
    table = tables.get_table(connection, name)
    if table is None or label:  # streams have no tags
        raise ResourceNotFoundException(f"Requested resource not found: ResourceArn: {arn} not found")
    return table


async def tag_resource(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add tags to a table."""
    if not parameters["Tags"]:
        raise ValidationException("Atleast one Tag needs to be provided as Input.")

    def job(tx: Transaction) -> None:
        table = _tagged_table(context, "TagResource", tx.connection, parameters["ResourceArn"])
        tags = with_tags(table.declaration.get("Tags", {}), parameters["Tags"])
        tables.set_declaration(tx, table, {**table.declaration, "Tags": tags})

    await context.store.write(job)
    return {}


async def untag_resource(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Remove tags from a table; fine if it has none of them."""
    if not parameters["TagKeys"]:
        raise ValidationException("Atleast one Tag Key needs to be provided as Input.")

    def job(tx: Transaction) -> None:
        table = _tagged_table(context, "UntagResource", tx.connection, parameters["ResourceArn"])
        tags = {
            key: value for key, value in table.declaration.get("Tags", {}).items() if key not in parameters["TagKeys"]
        }
        tables.set_declaration(tx, table, {**table.declaration, "Tags": tags})

    await context.store.write(job)
    return {}


async def list_tags_of_resource(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tags of a table (at most 50: one page)."""
    table = _tagged_table(context, "ListTagsOfResource", context.store.reader, parameters["ResourceArn"])
    return {"Tags": [{"Key": key, "Value": value} for key, value in table.declaration.get("Tags", {}).items()]}


# The service ------------------------------------------------------------------------------------------


async def describe_endpoints(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Clients with endpoint discovery go on talking to us."""
    return {"Endpoints": [{"Address": urlsplit(context.endpoint_url).netloc, "CachePeriodInMinutes": 1440}]}


async def describe_limits(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """AWS's default quotas; nothing is throttled here."""
    return {
        "AccountMaxReadCapacityUnits": 80000,
        "AccountMaxWriteCapacityUnits": 80000,
        "TableMaxReadCapacityUnits": 40000,
        "TableMaxWriteCapacityUnits": 40000,
    }
