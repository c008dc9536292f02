"""Batches: several records of one item count as one."""

from collections.abc import Iterable
from dataclasses import replace

from duestream.core.record import EventName, StreamRecord


def coalesce(records: Iterable[StreamRecord]) -> list[StreamRecord]:
    """The batch with one record for each item, in the order of the items' last records.

    That record leads from the first one's old image to the last one's new image, under the last one's sequence
    number. So INSERT then MODIFY is an INSERT; A to B and back to A is a MODIFY that changes nothing; whatever
    ends in REMOVE is a REMOVE. An item that was removed and written again is an INSERT that has an old image:
    the old item's schedules are all replaced or deleted, and none of its deliveries counts for the new one.

    The moment it was written is the first one's: a due time that was ahead then is not to be lost because an
    item was written again while nobody read its records.

    A REMOVE of an item that the batch itself inserted keeps its own old image: the batch may be a repeated
    one that was carried out in part.

    Args:
        records: of one or many tables; records of one item in the order of their sequence numbers.
    """
    last: dict[tuple[object, ...], StreamRecord] = {}
    for record in records:
        identity = _identity(record)
        earlier = last.pop(identity, None)  # and in again at the end
        last[identity] = record if earlier is None else _join(earlier, record)
    return list(last.values())


def first_sequence_numbers(records: Iterable[StreamRecord]) -> dict[str, str]:
    """For each record of `coalesce`, by its sequence number, the one of the first record that it stands for.

    Args:
        records: as `coalesce` takes them.
    """
    first: dict[tuple[object, ...], str] = {}
    last: dict[tuple[object, ...], str] = {}
    for record in records:
        identity = _identity(record)
        first.setdefault(identity, record.sequence_number)
        last[identity] = record.sequence_number
    return {number: first[identity] for identity, number in last.items()}


def _join(earlier: StreamRecord, later: StreamRecord) -> StreamRecord:
    old_image, event_name = earlier.old_image, later.event_name
    if event_name is EventName.REMOVE:
        old_image = later.old_image if old_image is None else old_image
    elif earlier.event_name is not EventName.MODIFY:
        event_name = EventName.INSERT  # written anew: an INSERT before, or a REMOVE that this one follows
    return replace(later, event_name=event_name, old_image=old_image, created_at=earlier.created_at)


def _identity(record: StreamRecord) -> tuple[object, ...]:
    key = sorted((name, *value.items()) for name, value in record.keys.items())
    return (record.table_name, *key)
