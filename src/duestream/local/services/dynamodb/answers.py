"""Answers put together from items' raw JSON, and the capacity they would have used on AWS."""

from collections.abc import Mapping
from typing import Any

import msgspec

from duestream.core.attributes import item_size_bytes
from duestream.core.record import Item

READ_UNIT_BYTES = 4096
WRITE_UNIT_BYTES = 1024

#: JSON that is embedded as it is.
raw = msgspec.Raw


def answer(members: Mapping[str, Any]) -> bytes:
    """The finished JSON of an answer; None members are left out."""
    return msgspec.json.encode({name: value for name, value in members.items() if value is not None})


def read_units(size_bytes: int, *, consistent: bool) -> float:
    """Read capacity of so many bytes read together: 1 for each 4 KB, half of it if eventually consistent."""
    units = max(1, -(-size_bytes // READ_UNIT_BYTES))
    return float(units) if consistent else units / 2


def write_units(*items: Item | None) -> float:
    """Write capacity of a change from one image to another: 1 for each KB of the larger one."""
    size_bytes = max((item_size_bytes(item) for item in items if item is not None), default=0)
    return float(max(1, -(-size_bytes // WRITE_UNIT_BYTES)))


def wants_capacity(parameters: Mapping[str, Any]) -> bool:
    """Whether the answer is to say what capacity was consumed."""
    return parameters.get("ReturnConsumedCapacity") not in (None, "NONE")


def consumed_capacity(parameters: Mapping[str, Any], table_name: str, units: float) -> dict[str, Any]:
    """ConsumedCapacity in the detail that was asked for."""
    consumed: dict[str, Any] = {"TableName": table_name, "CapacityUnits": units}
    if parameters.get("ReturnConsumedCapacity") == "INDEXES":
        consumed["Table"] = {"CapacityUnits": units}
    return consumed
