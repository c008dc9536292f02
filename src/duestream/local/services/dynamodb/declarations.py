"""What CreateTable and UpdateTable declare: DynamoDB's checks, in its words, and what DescribeTable shows of it.

The texts are from dynalite's tests (recorded from AWS) and from the catalogue of recorded messages in
ack-api-quirks (DDB-TABLE-442 and DDB-TABLE-050, 2026-10-09).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from duestream.clock import from_ms
from duestream.errors import ValidationException
from duestream.local.services.dynamodb.requests import INVALID
from duestream.local.store import streams, tables
from duestream.local.store.tables import Table

MAX_TAGS = 50
#: Members that are kept as they were given; DescribeTable shows them, nothing else depends on them.
_KEPT = (
    "BillingMode",
    "ProvisionedThroughput",
    "SSESpecification",
    "TableClass",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "WarmThroughput",
    "Tags",
)
#: Members that would promise what this version does not do.
_NOT_SERVED = {
    "GlobalSecondaryIndexes": "global secondary indexes",
    "GlobalSecondaryIndexUpdates": "global secondary indexes",
    "LocalSecondaryIndexes": "local secondary indexes",
    "VectorIndexes": "vector indexes",
    "VectorIndexUpdates": "vector indexes",
    "ReplicaUpdates": "global tables",
    "GlobalTableSourceArn": "global tables",
    "GlobalTableWitnessUpdates": "global tables",
    "MultiRegionConsistency": "global tables",
    "ResourcePolicy": "resource-based policies",
}
_NO_UNITS = "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
_find_name = re.compile(r"[a-zA-Z0-9_.-]+").fullmatch


@dataclass(frozen=True, slots=True)
class KeyAttributes:
    """The key attributes that CreateTable declares, and their types."""

    partition_key: str
    partition_key_type: str
    sort_key: str | None
    sort_key_type: str | None


def refuse_what_is_not_served(parameters: Mapping[str, Any]) -> None:
    """Refuse indexes, replicas and policies rather than ignore them."""
    for name, feature in _NOT_SERVED.items():
        if parameters.get(name):
            raise ValidationException(f"{name}: {feature} are not served by this version of duestream")
        if name.endswith("SecondaryIndexes") and parameters.get(name) == []:
            raise ValidationException(f"{INVALID}List of {name} is empty")


def check_table_name(name: str) -> None:
    """Names of new tables: 3 to 255 of letters, digits, ``_``, ``-`` and ``.``."""
    if not 3 <= len(name) <= 255:
        raise ValidationException("TableName must be at least 3 characters long and at most 255 characters long")
    if not _find_name(name):
        raise ValidationException(
            f"1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        )


def key_attributes(parameters: Mapping[str, Any]) -> KeyAttributes:
    """The declared key attributes.

    Raises:
        ValidationException: key schema and attribute definitions do not belong together.
    """
    for name in ("AttributeDefinitions", "KeySchema"):
        if parameters.get(name) is None:
            member = name[0].lower() + name[1:]
            raise ValidationException(
                f"1 validation error detected: Value null at '{member}' failed to satisfy constraint: "
                "Member must not be null"
            )
    definitions = parameters["AttributeDefinitions"]
    types: dict[str, str] = {definition["AttributeName"]: definition["AttributeType"] for definition in definitions}
    for name in types:
        if sum(definition["AttributeName"] == name for definition in definitions) > 1:
            raise ValidationException(f"Attribute Name is duplicated: {name}")
    schema: Sequence[Mapping[str, str]] = parameters["KeySchema"]
    names = [element["AttributeName"] for element in schema]
    _check_key_schema(schema, names)
    for name in names:
        if name not in types:
            raise ValidationException(
                f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
                f"Keys: [{name}], AttributeDefinitions: [{', '.join(types)}]"
            )
    if len(types) != len(names):
        raise ValidationException(
            f"{INVALID}Number of attributes in KeySchema does not exactly match "
            "number of attributes defined in AttributeDefinitions"
        )
    if len(names) == 1:
        return KeyAttributes(names[0], types[names[0]], None, None)
    return KeyAttributes(names[0], types[names[0]], names[1], types[names[1]])


def _check_key_schema(schema: Sequence[Mapping[str, str]], names: Sequence[str]) -> None:
    if len(names) == 2 and names[0] == names[1]:
        raise ValidationException("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    if schema[0]["KeyType"] != "HASH":
        raise ValidationException("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(schema) > 1 and schema[1]["KeyType"] != "RANGE":
        raise ValidationException("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
    if len(schema) > 2:
        raise ValidationException(f"{INVALID}The KeySchema exceeds the maximum allowed number of RANGE key attributes")


def view_type_at_creation(parameters: Mapping[str, Any]) -> str | None:
    """The view type of the stream the table is created with; None: without a stream."""
    specification = parameters.get("StreamSpecification")
    if specification is None:
        return None
    view_type: str | None = specification.get("StreamViewType")
    if specification["StreamEnabled"]:
        if view_type is None:
            raise ValidationException(
                f"{INVALID}Table is being created with a stream enabled, UpdateViewType is required"
            )
        return view_type
    if view_type is not None:
        raise ValidationException(
            f"{INVALID}Table is being created with a stream disabled, UpdateViewType should not be specified"
        )
    return None


def declaration_at_creation(parameters: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """What is kept of CreateTable beside name, keys and stream."""
    declaration = {name: parameters[name] for name in _KEPT if parameters.get(name) is not None}
    if declaration.setdefault("BillingMode", "PROVISIONED") == "PAY_PER_REQUEST":
        if "ProvisionedThroughput" in declaration:
            raise ValidationException(f"{INVALID}{_NO_UNITS}")
        declaration["LastUpdateToPayPerRequestAtMs"] = now_ms
    elif "ProvisionedThroughput" not in declaration:
        raise ValidationException(
            f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    declaration["Tags"] = with_tags({}, declaration.get("Tags", ()))
    return declaration


def declaration_after_update(kept: Mapping[str, Any], parameters: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """What is kept after UpdateTable; `kept` is what was kept before."""
    declaration = dict(kept)
    billing_mode = parameters.get("BillingMode", declaration["BillingMode"])
    throughput = parameters.get("ProvisionedThroughput")
    if billing_mode == "PAY_PER_REQUEST":
        if throughput is not None:
            raise ValidationException(f"{INVALID}{_NO_UNITS}")
        if declaration["BillingMode"] != billing_mode:
            declaration["LastUpdateToPayPerRequestAtMs"] = now_ms
        declaration.pop("ProvisionedThroughput", None)
    elif throughput is None and "ProvisionedThroughput" not in declaration:
        raise ValidationException(f"{INVALID}ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
    elif throughput is not None and throughput == declaration.get("ProvisionedThroughput"):
        read, write = throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]
        raise ValidationException(
            "The provisioned throughput for the table will not change. The requested value equals the current value. "
            f"Current ReadCapacityUnits provisioned for the table: {read}. Requested ReadCapacityUnits: {read}. "
            f"Current WriteCapacityUnits provisioned for the table: {write}. Requested WriteCapacityUnits: {write}. "
            "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
        )
    declaration["BillingMode"] = billing_mode
    for name in _KEPT:
        if name not in ("BillingMode", "Tags") and parameters.get(name) is not None:
            declaration[name] = parameters[name]
    return declaration


def with_tags(tags: Mapping[str, str], added: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a table after some were added or replaced."""
    keys = [tag["Key"] for tag in added]
    for tag in added:
        if tag["Key"].startswith("aws:"):
            raise ValidationException(f"Tag Key cannot be prefixed with aws:, Key: {tag['Key']}")
        if keys.count(tag["Key"]) > 1:
            raise ValidationException(f"Duplicate Tag Keys provided as input: Duplicate Tag Key found {tag['Key']}")
    together = {**tags, **{tag["Key"]: tag["Value"] for tag in added}}
    if len(together) > MAX_TAGS:
        raise ValidationException("Number of Tags exceed the current limit for the provided ResourceArn")
    return together


# What is shown ----------------------------------------------------------------------------------------


def describe(connection: apsw.Connection, table: Table, *, status: str | None = None) -> dict[str, Any]:
    """TableDescription, as DescribeTable and the operations that change a table show it."""
    counters = tables.table_counters(connection, table)
    declaration = table.declaration
    definitions = [{"AttributeName": table.partition_key, "AttributeType": table.partition_key_type}]
    schema = [{"AttributeName": table.partition_key, "KeyType": "HASH"}]
    if table.sort_key is not None:
        definitions.append({"AttributeName": table.sort_key, "AttributeType": str(table.sort_key_type)})
        schema.append({"AttributeName": table.sort_key, "KeyType": "RANGE"})
    units = declaration.get("ProvisionedThroughput", {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0})
    description: dict[str, Any] = {
        "AttributeDefinitions": definitions,
        "TableName": table.name,
        "KeySchema": schema,
        "TableStatus": status or table.status,
        "CreationDateTime": from_ms(table.created_at_ms),
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, **units},
        "TableSizeBytes": counters.size_bytes,
        "ItemCount": counters.item_count,
        "TableArn": table.arn,
        "TableId": declaration["TableId"],
        "DeletionProtectionEnabled": declaration.get("DeletionProtectionEnabled", False),
    }
    return description | _billing(declaration) | _stream(connection, table) | _options(declaration)


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


def _options(declaration: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    encryption = declaration.get("SSESpecification", {})
    if encryption.get("Enabled"):
        shown["SSEDescription"] = {"Status": "ENABLED", "SSEType": encryption.get("SSEType", "KMS")}
        if "KMSMasterKeyId" in encryption:
            shown["SSEDescription"]["KMSMasterKeyArn"] = encryption["KMSMasterKeyId"]
    if "TableClass" in declaration:
        shown["TableClassSummary"] = {"TableClass": declaration["TableClass"]}
    if "OnDemandThroughput" in declaration:
        shown["OnDemandThroughput"] = declaration["OnDemandThroughput"]
    if "WarmThroughput" in declaration:
        shown["WarmThroughput"] = {**declaration["WarmThroughput"], "Status": "ACTIVE"}
    return shown
