"""What a write would have cost on AWS: the table's units, each index's, and how large its item collection is.

Source: Developer Guide, "Read and write operations"; what a change of an index costs was measured by
nubo-db/dynamodb-conformance (``indexConsumedCapacity``, eu-west-2, 2026-08-12): an index whose view of the item stays
as it was costs nothing, one whose key changes costs a deletion and an insertion.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import apsw

from duestream.core.record import Item
from duestream.local.services.dynamodb.answers import write_units
from duestream.local.store.indexes import Index, entry_key
from duestream.local.store.items import partition_key_bytes
from duestream.local.store.tables import Table

GIGABYTE = 1024**3
_COLLECTION = "SELECT coalesce(sum(size_bytes), 0) FROM item WHERE table_id = ? AND partition_key = ?"


@dataclass(slots=True)
class WriteCosts:
    """Write capacity units of one table in one request."""

    table_units: float = 0.0
    global_units: dict[str, float] = field(default_factory=dict)
    local_units: dict[str, float] = field(default_factory=dict)

    def add(self, table: Table, old: Item | None, new: Item | None) -> None:
        """Count a write that replaced one image by another; None: there was, or is, none."""
        self.table_units += write_units(old, new)
        for index in table.indexes:
            if units := _index_units(index, old, new):
                by_index = self.global_units if index.is_global else self.local_units
                by_index[index.name] = by_index.get(index.name, 0.0) + units

    def shown(self, parameters: Mapping[str, Any], table_name: str) -> dict[str, Any]:
        """ConsumedCapacity in the detail that was asked for."""
        total = self.table_units + sum(self.global_units.values()) + sum(self.local_units.values())
        consumed: dict[str, Any] = {"TableName": table_name, "CapacityUnits": total}
        if parameters.get("ReturnConsumedCapacity") == "INDEXES":
            consumed["Table"] = {"CapacityUnits": self.table_units}
            for name, units in (
                ("GlobalSecondaryIndexes", self.global_units),
                ("LocalSecondaryIndexes", self.local_units),
            ):
                if units:
                    consumed[name] = {index: {"CapacityUnits": used} for index, used in units.items()}
        return consumed


def _index_units(index: Index, old: Item | None, new: Item | None) -> float:
    old_key, new_key = entry_key(index, old), entry_key(index, new)
    old_view = index.view(old) if old is not None and old_key is not None else None
    new_view = index.view(new) if new is not None and new_key is not None else None
    if old_view == new_view:
        return 0.0
    if old_view is not None and new_view is not None and old_key != new_key:
        return write_units(old_view) + write_units(new_view)
    return write_units(old_view, new_view)


def collection_metrics(connection: apsw.Connection, table: Table | None, item: Item) -> dict[str, Any] | None:
    """ItemCollectionMetrics of the items that share an item's partition key; None: the table has no local index.

    The size is that of the items (AWS adds their entries in local indexes), as the whole gigabytes it lies between.
    """
    if table is None or all(index.is_global for index in table.indexes):
        return None
    value = item[table.partition_key]
    size_bytes: int = connection.execute(_COLLECTION, (table.id, partition_key_bytes(table, value))).get
    least = size_bytes // GIGABYTE
    return {
        "ItemCollectionKey": {table.partition_key: value},
        "SizeEstimateRangeGB": [float(least), float(least + 1)],
    }


def wants_metrics(parameters: Mapping[str, Any]) -> bool:
    """Whether the answer is to say how large item collections are."""
    return parameters.get("ReturnItemCollectionMetrics") == "SIZE"
