"""UpdateTable: billing, stream, options, and the global secondary indexes of a table that is in use.

What may go together in one request, and what each combination is refused with, is from ack-api-quirks
(DDB-TABLE-148 to -175, -359, -375 and -442, recorded from AWS, 2026-10-08 and 09) and from dynalite's tests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.declarations import declaration_after_update, refuse_what_is_not_served
from duestream.local.services.dynamodb.descriptions import describe
from duestream.local.services.dynamodb.index_declarations import (
    check_one_at_a_time,
    check_updates,
    global_index,
    index_at_update,
)
from duestream.local.services.dynamodb.requests import INVALID, declared_table, table_name_of
from duestream.local.services.dynamodb.throughput import (
    after_update,
    check_on_demand,
    check_units,
    refuse_same_units,
    without_mode,
)
from duestream.local.services.dynamodb.upkeep import resume_table_upkeep
from duestream.local.store import index_building, tables
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

#: UpdateTable must name one of these. AWS's list, which has names of its own for some of them.
_CHANGES = (
    "ProvisionedThroughput",
    "BillingMode",
    "StreamSpecification",
    "GlobalSecondaryIndexUpdates",
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
_UNITS = ("ReadCapacityUnits", "WriteCapacityUnits")

_Updates = Sequence[Mapping[str, Any]]


async def update_table(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Change a table. What is asked holds at once, though the answer tells of what is under way, as AWS's does;
    only an index that is made on a table with many items takes its time.
    """
    refuse_what_is_not_served(parameters)
    changes = _changes(parameters)
    updates: _Updates = parameters.get("GlobalSecondaryIndexUpdates") or ()
    name = table_name_of(parameters)

    def job(tx: Transaction) -> tuple[Mapping[str, Any], bool]:
        now_ms = context.clock.now_ms()
        table = declared_table(tx.connection, name)
        check_one_at_a_time(table, updates)
        before = describe(tx.connection, table, now_ms=now_ms)
        table = _change_table(tx, table, parameters, changes, now_ms)
        table, statuses = _change_indexes(tx, table, parameters, updates, now_ms)
        description = describe(
            tx.connection, table, status=_status(changes, statuses), index_status=statuses, now_ms=now_ms
        )
        if "BillingMode" not in changes:
            _show_former_units(description, before)
        for index in table.indexes:
            if statuses.get(index.name) == "DELETING":
                tables.drop_index(tx, table, index)
        if "CREATING" in statuses.values():
            return description, index_building.build_step(tx)
        return description, "DELETING" in statuses.values()

    description, has_more = await context.store.write(job)
    if has_more:
        resume_table_upkeep(context.store)
    return {"TableDescription": description}


def _changes(parameters: Mapping[str, Any]) -> list[str]:
    """What is to be changed, after the checks of what may go together."""
    changes = [name for name in _CHANGES if parameters.get(name) is not None]
    updates: _Updates | None = parameters.get("GlobalSecondaryIndexUpdates")
    if not changes or (changes == ["GlobalSecondaryIndexUpdates"] and not updates):
        raise ValidationException(_NO_CHANGE)
    if updates is not None and not updates:
        raise ValidationException(f"{INVALID}List of GlobalSecondaryIndexUpdates is empty")
    check_updates(updates or ())
    check_units(parameters.get("ProvisionedThroughput"))
    if len(changes) > 1:
        for name in changes:
            if name in _ALONE:
                raise ValidationException(
                    f"{INVALID}{_ALONE[name]} modification must be the only operation in the request"
                )
    if "OnDemandThroughput" in changes and not set(changes) <= {"OnDemandThroughput", "BillingMode"}:
        raise ValidationException(
            f"{INVALID}OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"
        )
    if any(update.get("Create") or update.get("Delete") for update in updates or ()):
        _check_beside_indexes(changes)
    elif {"StreamSpecification", "ProvisionedThroughput"} <= set(changes):
        raise ValidationException(f"{INVALID}You cannot modify stream status while updating table IOPS")
    if "WarmThroughput" in changes and len(changes) > 1:
        raise ValidationException(f"{INVALID}WarmThroughput must be the only operation in the request")
    return changes


def _check_beside_indexes(changes: Sequence[str]) -> None:
    """What may not go with an index that is made or deleted."""
    if "ProvisionedThroughput" in changes:
        raise ValidationException(f"{INVALID}You cannot create or delete index while updating table IOPS")
    if "StreamSpecification" in changes:
        raise ValidationException(f"{INVALID}You cannot create or delete index while changing stream status")
    if "WarmThroughput" in changes:
        raise ValidationException(
            f"{INVALID}Create global secondary index cannot be specified when updating WarmThroughput"
        )


def _status(changes: Sequence[str], statuses: Mapping[str, str]) -> str:
    """The status of the table that the answer shows: some changes never show in it."""
    if changes == ["OnDemandThroughput"]:
        return "ACTIVE"
    if changes == ["GlobalSecondaryIndexUpdates"] and set(statuses.values()) <= {"UPDATING"}:
        return "ACTIVE"
    return "UPDATING"


def _show_former_units(description: dict[str, Any], before: Mapping[str, Any]) -> None:
    """The answer still shows the former throughput, of the table and of its indexes."""
    former = {index["IndexName"]: index for index in before.get("GlobalSecondaryIndexes", ())}
    for shown, kept in [
        (description, before),
        *((index, former.get(index["IndexName"])) for index in description.get("GlobalSecondaryIndexes", ())),
    ]:
        if kept is not None:
            shown["ProvisionedThroughput"] |= {name: kept["ProvisionedThroughput"][name] for name in _UNITS}


# The table ----------------------------------------------------------------------------------------------


def _change_table(
    tx: Transaction, table: Table, parameters: Mapping[str, Any], changes: Sequence[str], now_ms: int
) -> Table:
    """Carry out what is asked of the table itself."""
    specification = parameters.get("StreamSpecification")
    if specification is not None:
        table = _switch_stream(tx, table, specification, now_ms)
    if set(changes) <= {"StreamSpecification", "GlobalSecondaryIndexUpdates"}:
        return table
    declaration = declaration_after_update(table.declaration, parameters, now_ms)
    billing_mode = declaration["BillingMode"]
    if billing_mode != table.declaration["BillingMode"]:
        table = _switch_indexes(tx, table, parameters, billing_mode)
    return tables.set_declaration(tx, table, declaration)


def _switch_indexes(tx: Transaction, table: Table, parameters: Mapping[str, Any], billing_mode: str) -> Table:
    """A new billing mode holds for the indexes too; each must be given its throughput in the same request."""
    updates: _Updates = parameters.get("GlobalSecondaryIndexUpdates") or ()
    given = {update["Update"]["IndexName"] for update in updates if update.get("Update")}
    for index in table.indexes:
        if not index.is_global:
            continue
        if billing_mode == "PROVISIONED" and index.name not in given:
            raise ValidationException(f"{INVALID}ProvisionedThroughput must be specified for index: {index.name}")
        table = tables.set_index_declaration(tx, table, index, without_mode(index.declaration, billing_mode))
    return table


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


# Its indexes --------------------------------------------------------------------------------------------


def _change_indexes(
    tx: Transaction, table: Table, parameters: Mapping[str, Any], updates: _Updates, now_ms: int
) -> tuple[Table, dict[str, str]]:
    """Make and change indexes; those to be deleted are only found.

    Returns:
        The table, and the statuses that the answer shows, by the names of the indexes.
    """
    statuses: dict[str, str] = {}
    for update in updates:
        if created := update.get("Create"):
            table = tables.add_index(tx, table, index_at_update(table, created, parameters))
            statuses[created["IndexName"]] = "CREATING"
        elif deleted := update.get("Delete"):
            statuses[global_index(table, deleted["IndexName"], "delete").name] = "DELETING"
        else:
            table = _update_index(tx, table, update["Update"], now_ms)
            statuses[update["Update"]["IndexName"]] = "UPDATING"
    return table, statuses


def _update_index(tx: Transaction, table: Table, update: Mapping[str, Any], now_ms: int) -> Table:
    index = global_index(table, update["IndexName"], "update")
    billing_mode = table.declaration["BillingMode"]
    units = update.get("ProvisionedThroughput")
    if units is not None:
        if billing_mode == "PAY_PER_REQUEST":
            raise ValidationException(
                f"{INVALID}The only Updates for index: {index.name} when TableThroughputMode is PAY_PER_REQUEST "
                "can be to OnDemandThroughput, WarmThroughput"
            )
        check_units(units, f" for index {index.name}")
        refuse_same_units(index.declaration.get("ProvisionedThroughput"), units, f"the index {index.name}")
    check_on_demand(update.get("OnDemandThroughput"), billing_mode, f"for index : {index.name}", may_clear=True)
    return tables.set_index_declaration(tx, table, index, after_update(index.declaration, update, now_ms))
