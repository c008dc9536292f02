"""The answer of a Query or Scan: what of a page is wanted, as it is shown, where to go on, and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duestream.core.attributes import item_size_bytes
from duestream.core.record import Item
from duestream.local.services.dynamodb.answers import answer, raw, read_units, wants_capacity
from duestream.local.services.dynamodb.read_parameters import ReadParameters
from duestream.local.services.dynamodb.start_keys import start_names
from duestream.local.store.indexes import Index
from duestream.local.store.items import Page
from duestream.local.store.streams import decode_image, key_of
from duestream.local.store.tables import Table


@dataclass(frozen=True, slots=True)
class Source:
    """What was read: a table, or an index of it; and whether the items were looked up that the index led to."""

    table: Table
    index: Index | None = None
    reads_items: bool = False

    @property
    def shows_whole_items(self) -> bool:
        """Bodies go out as they are stored."""
        return self.index is None or self.index.projected is None or self.reads_items

    def view(self, item: Item) -> Item:
        """What there is of an item in what was read."""
        return item if self.index is None or self.reads_items else self.index.view(item)


def page_answer(parameters: Mapping[str, Any], source: Source, page: Page, request: ReadParameters) -> bytes:
    """The finished JSON."""
    wanted, projection = request.wanted, request.projection
    is_raw = projection is None and source.shows_whole_items
    if is_raw and wanted is None and "Select" not in parameters and not wants_capacity(parameters):
        return _as_stored(source, page)
    shown: list[Any] = []
    for stored in page.items:
        if is_raw and wanted is None:
            shown.append(raw(stored.body))
            continue
        item = source.view(decode_image(stored.body) or {})
        if wanted is None or wanted.holds(item):
            shown.append(raw(stored.body) if is_raw else item if projection is None else projection.of(item))
    members: dict[str, Any] = {} if parameters.get("Select") == "COUNT" else {"Items": shown}
    members |= {"Count": len(shown), "ScannedCount": len(page.items)}
    if page.last_body is not None:
        members["LastEvaluatedKey"] = _last_key(source, page.last_body)
    if wants_capacity(parameters):
        members["ConsumedCapacity"] = _capacity(parameters, source, page)
    return answer(members)


def _as_stored(source: Source, page: Page) -> bytes:
    """What most pages are: whole items, put together as they are."""
    count = len(page.items)
    members = [b'{"Items":[', b",".join([stored.body for stored in page.items])]
    members.append(b'],"Count":%d,"ScannedCount":%d' % (count, count))
    if page.last_body is not None:
        members += [b',"LastEvaluatedKey":', answer(_last_key(source, page.last_body))]
    members.append(b"}")
    return b"".join(members)


def _last_key(source: Source, last_body: bytes) -> Item:
    return key_of(start_names(source.table, source.index), decode_image(last_body) or {})


def _capacity(parameters: Mapping[str, Any], source: Source, page: Page) -> dict[str, Any]:
    """ConsumedCapacity: of the page as it was read, before filter and projection."""
    consistent = parameters.get("ConsistentRead", False)
    units = read_units(sum(stored.size_bytes for stored in page.items), consistent=consistent)
    index = source.index
    if index is None:
        shown: dict[str, Any] = {"TableName": source.table.name, "CapacityUnits": units}
        parts: dict[str, Any] = {"Table": {"CapacityUnits": units}}
    else:
        fetched = 0.0
        if source.reads_items:  # each item is read for itself (Developer Guide, "Read capacity units" of local indexes)
            for stored in page.items:
                fetched += read_units(item_size_bytes(decode_image(stored.body) or {}), consistent=consistent)
        shown = {"TableName": source.table.name, "CapacityUnits": units + fetched}
        kind = "GlobalSecondaryIndexes" if index.is_global else "LocalSecondaryIndexes"
        parts = {"Table": {"CapacityUnits": fetched}, kind: {index.name: {"CapacityUnits": units}}}
    return shown | parts if parameters.get("ReturnConsumedCapacity") == "INDEXES" else shown
