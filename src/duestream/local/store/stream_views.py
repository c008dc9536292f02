"""Stream records as AWS shows them, with the images of the stream's view type."""

from typing import Any

from duestream.core.attributes import item_size_bytes
from duestream.core.record import Item
from duestream.local.store import streams
from duestream.local.store.stream_names import event_id
from duestream.local.store.streams import RecordRow, Stream

_WITH_NEW_IMAGE = frozenset({"NEW_IMAGE", "NEW_AND_OLD_IMAGES"})
_WITH_OLD_IMAGE = frozenset({"OLD_IMAGE", "NEW_AND_OLD_IMAGES"})


def record_view(stream: Stream, row: RecordRow) -> dict[str, Any]:
    """What GetRecords and a function's event have in common; who removed the item is told differently in each."""
    old, new = streams.decode_image(row.old_image), streams.decode_image(row.new_image)
    keys = streams.key_of(stream.key_names, new or old or {})
    shown: dict[str, Any] = {"ApproximateCreationDateTime": row.created_at_ms // 1000, "Keys": keys}
    images: list[Item] = [keys]
    if new is not None and stream.view_type in _WITH_NEW_IMAGE:
        shown["NewImage"] = new
        images.append(new)
    if old is not None and stream.view_type in _WITH_OLD_IMAGE:
        shown["OldImage"] = old
        images.append(old)
    shown["SequenceNumber"] = streams.sequence_number(row.sequence)
    shown["SizeBytes"] = sum(item_size_bytes(image) for image in images)
    shown["StreamViewType"] = stream.view_type
    return {
        "eventID": event_id(stream, row.sequence),
        "eventName": row.event_name.value,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream.region,
        "dynamodb": shown,
    }
