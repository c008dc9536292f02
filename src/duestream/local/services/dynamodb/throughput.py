"""Billing and throughput of tables and indexes: kept as declared and shown; nothing is throttled here.

The texts are from ack-api-quirks (DDB-TABLE-128, -152, -164 and -442, recorded from AWS, 2026-10-09) and from
dynalite's tests.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from duestream.clock import from_ms
from duestream.errors import ValidationException
from duestream.local.services.dynamodb.requests import INVALID

MAX_UNITS = 1_000_000_000_000
NO_UNITS = "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
_REFER = "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
_UNITS = ("ReadCapacityUnits", "WriteCapacityUnits")
_ON_DEMAND_UNITS = ("MaxReadRequestUnits", "MaxWriteRequestUnits")
#: What AWS reports of a table on demand whose warm throughput was never set.
_WARM_ON_DEMAND = {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000}


def check_units(units: Mapping[str, int] | None, of_index: str = "") -> None:
    """Refuse more units than can be declared; `of_index` is `` for index <name>`` or empty."""
    for name in _UNITS:
        if units is not None and units[name] > MAX_UNITS:
            raise ValidationException(f"Given value {units[name]} for {name} is out of bounds{of_index}")


def check_table_at_creation(parameters: Mapping[str, Any]) -> str:
    """Check what CreateTable says of billing; answers with the billing mode."""
    billing_mode: str = parameters.get("BillingMode") or "PROVISIONED"
    units = parameters.get("ProvisionedThroughput")
    if billing_mode == "PAY_PER_REQUEST":
        if units is not None:
            raise ValidationException(f"{INVALID}{NO_UNITS}")
    elif units is None:
        raise ValidationException(
            f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    check_units(units)
    check_on_demand(parameters.get("OnDemandThroughput"), billing_mode, "for table")
    return billing_mode


def check_index_at_creation(index: Mapping[str, Any], billing_mode: str) -> None:
    """Check what CreateTable says of an index's throughput."""
    name, units = index["IndexName"], index.get("ProvisionedThroughput")
    if billing_mode == "PAY_PER_REQUEST" and units is not None:
        raise ValidationException(
            f"{INVALID}ProvisionedThroughput should not be specified for index: {name} "
            "when BillingMode is PAY_PER_REQUEST"
        )
    if billing_mode == "PROVISIONED" and units is None:
        raise ValidationException(f"{INVALID}ProvisionedThroughput is not specified for index: {name}")
    check_units(units, f" for index {name}")
    check_on_demand(index.get("OnDemandThroughput"), billing_mode, f"for index : {name}")


def check_index_at_update(index: Mapping[str, Any], billing_mode: str) -> None:
    """Check what UpdateTable says of the throughput of an index that it makes."""
    name, units = index["IndexName"], index.get("ProvisionedThroughput")
    if billing_mode == "PAY_PER_REQUEST" and units is not None:
        raise ValidationException(
            f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: {name} "
            "when BillingMode is PAY_PER_REQUEST"
        )
    if billing_mode == "PROVISIONED" and units is None:
        raise ValidationException(
            f"{INVALID}Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: {name}"
        )
    check_units(units, f" for index {name}")
    check_on_demand(index.get("OnDemandThroughput"), billing_mode, f"for index : {name}")


def check_on_demand(limits: Mapping[str, int] | None, billing_mode: str, what: str, *, may_clear: bool = False) -> None:
    """Refuse limits on a table that is not on demand, and limits below 1.

    Args:
        what: ``for table`` or ``for index : <name>``.
        may_clear: -1 takes a limit away.
    """
    for name in _ON_DEMAND_UNITS:
        given = None if limits is None else limits.get(name)
        if given is None:
            continue
        if billing_mode == "PROVISIONED":
            where = "" if what == "for table" else f" {what}"
            raise ValidationException(
                f"{INVALID}{name} for OnDemandThroughput{where} cannot be specified "
                "when the table BillingMode is PROVISIONED"
            )
        if given < 1 and not (may_clear and given == -1):
            raise ValidationException(
                f"{INVALID}Requested {name} for OnDemandThroughput {what} is outside of valid range"
            )


def refuse_same_units(kept: Mapping[str, Any] | None, given: Mapping[str, int], what: str) -> None:
    """Refuse units that are declared already; `what` is ``the table`` or ``the index <name>``."""
    if kept is None or any(kept[name] != given[name] for name in _UNITS):
        return
    of = what.removeprefix("the ") if what != "the table" else what
    told = " ".join(
        f"Current {name} provisioned for {of}: {kept[name]}. Requested {name}: {given[name]}." for name in _UNITS
    )
    raise ValidationException(
        f"The provisioned throughput for {what} will not change. "
        f"The requested value equals the current value. {told} {_REFER}"
    )


def changed_units(kept: Mapping[str, Any] | None, given: Mapping[str, int], now_ms: int) -> dict[str, Any]:
    """The units to be kept, with the moments of the last increase and decrease (milliseconds)."""
    if kept is None:
        return dict(given)
    changed = {**kept, **given}
    if any(given[name] > kept[name] for name in _UNITS):
        changed["LastIncreaseAtMs"] = now_ms
    if any(given[name] < kept[name] for name in _UNITS):
        today = _is_same_day(kept.get("LastDecreaseAtMs"), now_ms)
        changed["Decreases"] = (kept.get("Decreases", 0) if today else 0) + 1
        changed["LastDecreaseAtMs"] = now_ms
    return changed


def _is_same_day(earlier_ms: int | None, now_ms: int) -> bool:
    return earlier_ms is not None and from_ms(earlier_ms).date() == from_ms(now_ms).date()


def shown_units(declaration: Mapping[str, Any], now_ms: int | None = None) -> dict[str, Any]:
    """ProvisionedThroughput as DescribeTable shows it; a table or index on demand has none: 0 and 0."""
    kept = declaration.get("ProvisionedThroughput", {})
    shown: dict[str, int | datetime] = {}
    for name in ("Increase", "Decrease"):
        if f"Last{name}AtMs" in kept:
            shown[f"Last{name}DateTime"] = from_ms(kept[f"Last{name}AtMs"])
    is_today = now_ms is None or _is_same_day(kept.get("LastDecreaseAtMs"), now_ms)
    shown["NumberOfDecreasesToday"] = kept.get("Decreases", 0) if is_today else 0
    return shown | {name: kept.get(name, 0) for name in _UNITS}


def shown_warm(declaration: Mapping[str, Any], billing_mode: str) -> dict[str, Any]:
    """WarmThroughput as DescribeTable shows it, also where it was never set."""
    units = declaration.get("ProvisionedThroughput")
    usual = _WARM_ON_DEMAND
    if billing_mode == "PROVISIONED" and units is not None:
        usual = {"ReadUnitsPerSecond": units["ReadCapacityUnits"], "WriteUnitsPerSecond": units["WriteCapacityUnits"]}
    return {**usual, **declaration.get("WarmThroughput", {}), "Status": "ACTIVE"}


def after_update(kept: Mapping[str, Any], changes: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """What is kept of a table's or index's throughput members after these were given."""
    changed = dict(kept)
    if changes.get("ProvisionedThroughput") is not None:
        changed["ProvisionedThroughput"] = changed_units(
            kept.get("ProvisionedThroughput"), changes["ProvisionedThroughput"], now_ms
        )
    for name in ("OnDemandThroughput", "WarmThroughput"):
        if changes.get(name) is not None:
            together = {**kept.get(name, {}), **changes[name]}
            changed[name] = {unit: given for unit, given in together.items() if given != -1}
    return {name: value for name, value in changed.items() if value != {}}


def without_mode(declaration: Mapping[str, Any], billing_mode: str) -> dict[str, Any]:
    """What is kept after a switch of the billing mode: units go with PROVISIONED, limits with any switch (-153)."""
    gone = {"OnDemandThroughput"} | ({"ProvisionedThroughput"} if billing_mode == "PAY_PER_REQUEST" else set())
    return {name: value for name, value in declaration.items() if name not in gone}
