"""What CreateTable and UpdateTable declare beside keys and indexes: DynamoDB's checks, in its words.

The texts are from dynalite's tests (recorded from AWS) and from the catalogue of recorded messages in
ack-api-quirks (DDB-TABLE-442 and DDB-TABLE-050, 2026-10-09).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from duestream.errors import ValidationException
from duestream.local.services.dynamodb.requests import INVALID
from duestream.local.services.dynamodb.throughput import (
    NO_UNITS,
    after_update,
    check_on_demand,
    refuse_same_units,
    without_mode,
)

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
    "VectorIndexes": "vector indexes",
    "VectorIndexUpdates": "vector indexes",
    "ReplicaUpdates": "global tables",
    "GlobalTableSourceArn": "global tables",
    "GlobalTableWitnessUpdates": "global tables",
    "MultiRegionConsistency": "global tables",
}


def refuse_what_is_not_served(parameters: Mapping[str, Any]) -> None:
    """Refuse replicas and vector indexes rather than ignore them."""
    for name, feature in _NOT_SERVED.items():
        if parameters.get(name):
            raise ValidationException(f"{name}: {feature} are not served by this version of duestream")


def refuse_null(parameters: Mapping[str, Any]) -> None:
    """Refuse a CreateTable without keys."""
    for name in ("AttributeDefinitions", "KeySchema"):
        if parameters.get(name) is None:
            member = name[0].lower() + name[1:]
            raise ValidationException(
                f"1 validation error detected: Value null at '{member}' failed to satisfy constraint: "
                "Member must not be null"
            )


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


def declaration_at_creation(parameters: Mapping[str, Any], billing_mode: str, now_ms: int) -> dict[str, Any]:
    """What is kept of CreateTable beside name, keys, indexes and stream."""
    check_encryption(parameters.get("SSESpecification"))
    declaration = {name: parameters[name] for name in _KEPT if parameters.get(name) is not None}
    declaration["BillingMode"] = billing_mode
    if billing_mode == "PAY_PER_REQUEST":
        declaration["LastUpdateToPayPerRequestAtMs"] = now_ms
    declaration["Tags"] = with_tags({}, declaration.get("Tags", ()))
    return declaration


def declaration_after_update(kept: Mapping[str, Any], parameters: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """What is kept after UpdateTable; `kept` is what was kept before."""
    declaration = dict(kept)
    billing_mode = parameters.get("BillingMode", declaration["BillingMode"])
    throughput = parameters.get("ProvisionedThroughput")
    if billing_mode == "PAY_PER_REQUEST" and throughput is not None:
        raise ValidationException(f"{INVALID}{NO_UNITS}")
    if billing_mode == "PROVISIONED" and throughput is None:
        if parameters.get("BillingMode") is not None or "ProvisionedThroughput" not in declaration:
            raise ValidationException(
                f"{INVALID}ProvisionedThroughput must be specified when BillingMode is PROVISIONED"
            )
    elif throughput is not None:
        refuse_same_units(declaration.get("ProvisionedThroughput"), throughput, "the table")
    check_on_demand(parameters.get("OnDemandThroughput"), billing_mode, "for table", may_clear=True)
    check_encryption(parameters.get("SSESpecification"))
    _refuse_same_encryption(declaration.get("SSESpecification", {}), parameters.get("SSESpecification"))
    if declaration["BillingMode"] != billing_mode:
        declaration = without_mode(declaration, billing_mode)
        if billing_mode == "PAY_PER_REQUEST":
            declaration["LastUpdateToPayPerRequestAtMs"] = now_ms
    declaration["BillingMode"] = billing_mode
    for name in ("SSESpecification", "TableClass", "DeletionProtectionEnabled"):
        if parameters.get(name) is not None:
            declaration[name] = parameters[name]
    return after_update(declaration, parameters, now_ms)


def check_encryption(specification: Mapping[str, Any] | None) -> None:
    """Refuse an SSESpecification that contradicts itself (ack-api-quirks, DDB-TABLE-442)."""
    if specification is None:
        return
    kind, key = specification.get("SSEType"), specification.get("KMSMasterKeyId")
    if not specification.get("Enabled"):
        for name, given in (("SSEType", kind), ("KMSMasterKeyId", key)):
            if given is not None:
                raise ValidationException(f"{INVALID}{name} can not be specified if Enabled is false")
    elif kind == "AES256":
        raise ValidationException(f"{INVALID}SSEType AES256 is not supported")
    elif key is not None and kind is None:
        raise ValidationException(f"{INVALID}SSEType KMS is required if KMSMasterKeyId is specified")


def _refuse_same_encryption(kept: Mapping[str, Any], given: Mapping[str, Any] | None) -> None:
    if given is None or bool(given.get("Enabled")) != bool(kept.get("Enabled")):
        return
    if not given.get("Enabled"):
        raise ValidationException(f"{INVALID}Table is already encrypted by default")
    if given.get("KMSMasterKeyId") in (None, kept.get("KMSMasterKeyId")):
        raise ValidationException(
            f"{INVALID}Table is already encrypted with given KMSMasterKeyId. "
            "Use KMSMasterKeyId parameter if you want to change Master Key"
        )


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
