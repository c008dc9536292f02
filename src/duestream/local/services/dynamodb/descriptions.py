"""What DescribeTable shows of a table, and the operations that change one.

Which members there are, and when, is from ack-api-quirks (DDB-TABLE-125, -134, -138 and -148, recorded from AWS,
2026-10-08): attributes by their names, indexes as they were declared, WarmThroughput from the first DescribeTable on.
"""

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import apsw

from duestream.clock import from_ms
from duestream.core.schedule import Place
from duestream.local.services.dynamodb.throughput import shown_units, shown_warm
from duestream.local.store import indexes, streams, tables
from duestream.local.store.indexes import Index
from duestream.local.store.tables import Table


def describe(
    connection: apsw.Connection,
    table: Table,
    *,
    status: str | None = None,
    index_status: Mapping[str, str] | None = None,
    now_ms: int | None = None,
) -> dict[str, Any]:
    """TableDescription.

    Args:
        status: what the answer of an operation says of the table, where that is not what it is; None: what it is.
        index_status: the same of its indexes, by their names.
        now_ms: the present, for what is counted by the day.
    """
    counters = tables.table_counters(connection, table)
    declaration = table.declaration
    definitions = {table.partition_key: table.partition_key_type}
    schema = [{"AttributeName": table.partition_key, "KeyType": "HASH"}]
    if table.sort_key is not None:
        definitions[table.sort_key] = str(table.sort_key_type)
        schema.append({"AttributeName": table.sort_key, "KeyType": "RANGE"})
    for index in table.indexes:
        definitions |= index.declaration["Types"]
    description: dict[str, Any] = {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": definitions[name]} for name in sorted(definitions)
        ],
        "TableName": table.name,
        "KeySchema": schema,
        "TableStatus": status or table.status,
        "CreationDateTime": from_ms(table.created_at_ms),
        "ProvisionedThroughput": shown_units(declaration, now_ms),
        "TableSizeBytes": counters.size_bytes,
        "ItemCount": counters.item_count,
        "TableArn": table.arn,
        "TableId": declaration["TableId"],
        "DeletionProtectionEnabled": declaration.get("DeletionProtectionEnabled", False),
    }
    description |= _billing(declaration) | _stream(connection, table) | _options(declaration, table)
    if status != "CREATING":
        description["WarmThroughput"] = shown_warm(declaration, declaration["BillingMode"])
    return description | _indexes(connection, table, index_status or {}, now_ms, is_new=status == "CREATING")


def _billing(declaration: Mapping[str, Any]) -> dict[str, Any]:
    switched_at_ms = declaration.get("LastUpdateToPayPerRequestAtMs")
    if declaration["BillingMode"] == "PROVISIONED" and switched_at_ms is None:
        return {}  # AWS shows the summary only of tables that are, or were, on demand
    summary = {"BillingMode": declaration["BillingMode"]}
    if switched_at_ms is not None:
        summary["LastUpdateToPayPerRequestDateTime"] = from_ms(switched_at_ms)
    return {"BillingModeSummary": summary}


def _stream(connection: apsw.Connection, table: Table) -> dict[str, Any]:
    latest = table.stream or streams.latest_stream(connection, table.id)
    if latest is None:
        return {}
    shown: dict[str, Any] = {"LatestStreamLabel": latest.label, "LatestStreamArn": latest.arn}
    if table.stream is not None:
        shown["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": latest.view_type}
    return shown


def _options(declaration: Mapping[str, Any], table: Table) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    encryption = declaration.get("SSESpecification", {})
    if encryption.get("Enabled"):
        key_arn = _key_arn(encryption.get("KMSMasterKeyId", "alias/aws/dynamodb"), table.region)
        shown["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key_arn}
    if "TableClass" in declaration:
        shown["TableClassSummary"] = {"TableClass": declaration["TableClass"]}
    if "OnDemandThroughput" in declaration:
        shown["OnDemandThroughput"] = declaration["OnDemandThroughput"]
    return shown


def _key_arn(key: str, region: str) -> str:
    """The ARN of a key; behind an alias there is always the same one."""
    if key.startswith("arn:") and ":alias/" not in key:
        return key
    key_id = str(uuid5(NAMESPACE_URL, f"{region}/{key}")) if "alias/" in key else key
    return Place(region=region).arn("kms", f"key/{key_id}")


# Indexes ------------------------------------------------------------------------------------------------


def _indexes(
    connection: apsw.Connection, table: Table, status: Mapping[str, str], now_ms: int | None, *, is_new: bool
) -> dict[str, Any]:
    shown: dict[str, list[dict[str, Any]]] = {}
    for index in table.indexes:
        if index.is_global:
            described = _global_index(connection, table, index, status.get(index.name), now_ms, is_new=is_new)
            shown.setdefault("GlobalSecondaryIndexes", []).append(described)
        else:
            shown.setdefault("LocalSecondaryIndexes", []).append(_index(connection, table, index))
    return shown


def _index(connection: apsw.Connection, table: Table, index: Index) -> dict[str, Any]:
    counters = indexes.counters(connection, index)
    return {
        "IndexName": index.name,
        "KeySchema": index.declaration["KeySchema"],
        "Projection": index.declaration["Projection"],
        "IndexSizeBytes": counters.size_bytes,
        "ItemCount": counters.item_count,
        "IndexArn": f"{table.arn}/index/{index.name}",
    }


def _global_index(
    connection: apsw.Connection, table: Table, index: Index, status: str | None, now_ms: int | None, *, is_new: bool
) -> dict[str, Any]:
    declaration, billing_mode = index.declaration, table.declaration["BillingMode"]
    shown = _index(connection, table, index)
    shown["IndexStatus"] = "CREATING" if is_new else status or ("ACTIVE" if index.is_active else "CREATING")
    if shown["IndexStatus"] == "CREATING" and not is_new:
        shown["Backfilling"] = status is None and indexes.counters(connection, index).is_backfilling
    shown["ProvisionedThroughput"] = shown_units(declaration, now_ms)
    if "OnDemandThroughput" in declaration:
        shown["OnDemandThroughput"] = declaration["OnDemandThroughput"]
    if not is_new:
        shown["WarmThroughput"] = shown_warm(declaration, billing_mode)
    return shown
