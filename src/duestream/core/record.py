"""Stream records: one change of one item, as DynamoDB Streams tells it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

#: An attribute value in its wire form: ``{"S": "text"}``, ``{"N": "17"}``, ``{"M": {...}}``, ...
AttributeValue = dict[str, Any]
#: An item, or a key, in its wire form: attribute name to attribute value.
Item = dict[str, AttributeValue]


class EventName(StrEnum):
    """What happened to the item."""

    INSERT = "INSERT"
    MODIFY = "MODIFY"
    REMOVE = "REMOVE"


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One change. Images are wire forms; `old_image` is None on INSERT, `new_image` on REMOVE.

    An INSERT that has an old image stands for a REMOVE and an INSERT in one batch (`batch.coalesce`).
    """

    table_name: str
    event_name: EventName
    keys: Item
    old_image: Item | None
    new_image: Item | None
    #: Decimal digits; ordered as numbers within a shard, never as text.
    sequence_number: str
    #: When the item was written, aware; None if nobody says. Whether a due time was ahead is judged by it: what
    #: was ahead when it was written is delivered, however late the record is read.
    created_at: datetime | None = None
