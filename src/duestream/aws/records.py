"""Stream records as Lambda hands them over (SEMANTICS.md C2). Pure.

Images are in wire form already: binary values are base64 text there and here.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from duestream.core.record import EventName, StreamRecord
from duestream.errors import Error

VIEW_TYPE = "NEW_AND_OLD_IMAGES"


class StreamViewError(Error):
    """The stream shows less than both images, so nothing can be told from it."""


def parse_records(lambda_event: Mapping[str, Any]) -> list[StreamRecord]:
    """The event's records, in its order.

    Raises:
        StreamViewError: the stream's view type is another one; an image that is not shown would look like an item
            that went.
    """
    return [_parse(record) for record in lambda_event.get("Records") or ()]


def lowest_sequence_number(sequence_numbers: Iterable[str]) -> str | None:
    """The lowest one as it was given, compared as numbers; None: there are none."""
    return min(sequence_numbers, key=int, default=None)


def _parse(record: Mapping[str, Any]) -> StreamRecord:
    change = record["dynamodb"]
    view_type = change.get("StreamViewType", VIEW_TYPE)
    if view_type != VIEW_TYPE:
        raise StreamViewError(
            f"the stream {record.get('eventSourceARN')} shows {view_type}. Its view type must be {VIEW_TYPE}"
        )
    event_name = EventName(record["eventName"])
    created_at = change.get("ApproximateCreationDateTime")
    return StreamRecord(
        table_name=_table_name(record["eventSourceARN"]),
        event_name=event_name,
        keys=change["Keys"],
        old_image=None if event_name is EventName.INSERT else change.get("OldImage"),
        new_image=None if event_name is EventName.REMOVE else change.get("NewImage"),
        sequence_number=change["SequenceNumber"],
        created_at=None if created_at is None else datetime.fromtimestamp(created_at, UTC),
    )


def _table_name(stream_arn: str) -> str:
    """Of ``arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL``."""
    return stream_arn.split(":", 5)[5].split("/")[1]
