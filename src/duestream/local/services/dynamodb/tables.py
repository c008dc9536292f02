"""CreateTable, DescribeTable, ListTables, UpdateTable, DeleteTable, tags, and what clients ask of the service."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from duestream.errors import ResourceNotFoundException, ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.declarations import (
    check_table_name,
    declaration_after_update,
    declaration_at_creation,
    describe,
    key_attributes,
    refuse_what_is_not_served,
    view_type_at_creation,
    with_tags,
)
from duestream.local.services.dynamodb.requests import (
    INVALID,
    ResourceInUseException,
    declared_table,
    table_name_of,
)
from duestream.local.store import tables
from duestream.local.store.store import Store
from duestream.local.store.tables import Table
from duestream.local.store.writer import StoreStoppedError, Transaction

MAX_LISTED_TABLES = 100
#: UpdateTable must name one of these. AWS's list, which has names of its own for some of them.
_CHANGES = (
    "ProvisionedThroughput",
    "BillingMode",
    "StreamSpecification",
    "SSESpecification",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "WarmThroughput",
    "TableClass",
)
_NO_CHANGE = (
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
    "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, "
    "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
)
#: These must stand alone in UpdateTable, and how AWS calls them then.
_ALONE = {
    "SSESpecification": "Server-Side Encryption",
    "TableClass": "TableClass",
    "DeletionProtectionEnabled": "DeletionProtection",
}

_deletions: set[asyncio.Task[None]] = set()


async def create_table(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a table. It can be used at once, though the answer says CREATING, as AWS's does."""
    name = table_name_of(parameters)
    check_table_name(name)
    refuse_what_is_not_served(parameters)
    now_ms = context.clock.now_ms()
    keys = key_attributes(parameters)
    view_type = view_type_at_creation(parameters)
    declaration = declaration_at_creation(parameters, now_ms)

    def job(tx: Transaction) -> Mapping[str, Any]:
        if tables.get_table(tx.connection, name) is not None:
            raise ResourceInUseException(f"Table already exists: {name}")
        table = tables.create_table(
            tx,
            name,
            region=context.place.region,
            partition_key=keys.partition_key,
            partition_key_type=keys.partition_key_type,
            sort_key=keys.sort_key,
            sort_key_type=keys.sort_key_type,
            view_type=view_type,
            declaration=declaration,
            now_ms=now_ms,
        )
        return describe(tx.connection, table, status="CREATING")

    return {"TableDescription": await context.store.write(job)}


async def describe_table(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Show a table. Its counters are exact (AWS refreshes them about every six hours)."""
    reader = context.store.reader
    return {"Table": describe(reader, declared_table(reader, table_name_of(parameters)))}


async def list_tables(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Names of tables, in their order."""
    limit = parameters.get("Limit", MAX_LISTED_TABLES)
    after = parameters.get("ExclusiveStartTableName", "")
    names = tables.list_tables(context.store.reader, after=after, limit=limit + 1)
    if len(names) <= limit:
        return {"TableNames": names}
    return {"TableNames": names[:limit], "LastEvaluatedTableName": names[limit - 1]}


async def update_table(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Switch the stream on or off, or change what else was declared."""
    refuse_what_is_not_served(parameters)
    changes = [name for name in _CHANGES if parameters.get(name) is not None]
    if not changes:
        raise ValidationException(_NO_CHANGE)
    if len(changes) > 1:
        for name in changes:
            if name in _ALONE:
                raise ValidationException(
                    f"{INVALID}{_ALONE[name]} modification must be the only operation in the request"
                )
    name = table_name_of(parameters)

    def job(tx: Transaction) -> Mapping[str, Any]:
        now_ms = context.clock.now_ms()
        table = declared_table(tx.connection, name)
        specification = parameters.get("StreamSpecification")
        if specification is not None:
            table = _switch_stream(tx, table, specification, now_ms)
        if changes != ["StreamSpecification"]:
            declaration = declaration_after_update(table.declaration, parameters, now_ms)
            table = tables.set_declaration(tx, table, declaration)
        return describe(tx.connection, table, status="UPDATING")

    return {"TableDescription": await context.store.write(job)}


def _switch_stream(tx: Transaction, table: Table, specification: Mapping[str, Any], now_ms: int) -> Table:
    """Texts: ack-api-quirks DDB-TABLE-050, recorded from AWS on 2026-10-09."""
    view_type = specification.get("StreamViewType")
    if specification["StreamEnabled"]:
        if view_type is None:
            raise ValidationException(f"{INVALID}If stream is being enabled then UpdateViewType is required")
        if table.stream is not None:
            raise ValidationException(f"Table already has an enabled stream: TableName: {table.name}")
        return tables.switch_stream_on(tx, table, view_type, now_ms)
    if view_type is not None:
        raise ValidationException(f"{INVALID}If stream is being disabled, then UpdateViewType must not be specified")
    if table.stream is None:
        raise ValidationException(f"Table has no stream to disable: TableName: {table.name}")
    return tables.switch_stream_off(tx, table, now_ms)


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
        description = describe(tx.connection, table, status="DELETING")
        return description, tables.delete_table(tx, table, context.clock.now_ms())

    description, has_more = await context.store.write(job)
    if has_more:
        resume_table_deletions(context.store)
    return {"TableDescription": description}


def resume_table_deletions(store: Store) -> None:
    """Remove, in chunks, what deleted tables left behind. To be called at the server's start, too."""
    deletion = asyncio.get_running_loop().create_task(_purge(store))
    _deletions.add(deletion)
    deletion.add_done_callback(_deletions.discard)


async def stop_table_deletions() -> None:
    """Put off what is not removed yet; `resume_table_deletions` goes on at the next start."""
    loop = asyncio.get_running_loop()
    own = [deletion for deletion in tuple(_deletions) if deletion.get_loop() is loop]
    for deletion in own:
        deletion.cancel()
    await asyncio.gather(*own, return_exceptions=True)


async def _purge(store: Store) -> None:
    with suppress(StoreStoppedError):  # the next start goes on
        while await store.write(tables.purge_step):
            pass


# Tags -------------------------------------------------------------------------------------------------


def _tagged_table(connection: Any, arn: str) -> Table:
    if not arn.startswith("arn:"):
        raise ValidationException(f"{INVALID}ARNs must start with 'arn:': {arn}")
    _, _, resource = arn.partition(":table/")
    table = tables.get_table(connection, resource)
    if table is None:
        raise ResourceNotFoundException(f"Requested resource not found: ResourcArn: {arn} not found")
    return table


async def tag_resource(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add tags to a table."""
    if not parameters["Tags"]:
        raise ValidationException("Atleast one Tag needs to be provided as Input.")

    def job(tx: Transaction) -> None:
        table = _tagged_table(tx.connection, parameters["ResourceArn"])
        tags = with_tags(table.declaration.get("Tags", {}), parameters["Tags"])
        tables.set_declaration(tx, table, {**table.declaration, "Tags": tags})

    await context.store.write(job)
    return {}


async def untag_resource(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Remove tags from a table; fine if it has none of them."""
    if not parameters["TagKeys"]:
        raise ValidationException("Atleast one Tag Key needs to be provided as Input.")

    def job(tx: Transaction) -> None:
        table = _tagged_table(tx.connection, parameters["ResourceArn"])
        tags = {
            key: value for key, value in table.declaration.get("Tags", {}).items() if key not in parameters["TagKeys"]
        }
        tables.set_declaration(tx, table, {**table.declaration, "Tags": tags})

    await context.store.write(job)
    return {}


async def list_tags_of_resource(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tags of a table (at most 50: one page)."""
    table = _tagged_table(context.store.reader, parameters["ResourceArn"])
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


async def describe_time_to_live(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Native Time to Live cannot be switched on in this version."""
    declared_table(context.store.reader, table_name_of(parameters))
    return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
