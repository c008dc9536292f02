"""The records behind a dead-lettered batch, read from the stream once more: it keeps them for 24 hours."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from duestream.aws.stack.session import Access, code_of, told_plainly
from duestream.aws.upkeep.dead_letters import table_of_stream
from duestream.aws.wire_items import from_boto3
from duestream.core.record import EventName, StreamRecord
from duestream.errors import Error

#: What AWS answers of records that it keeps no longer, of shards that are closed and gone, and of streams that are.
_GONE = frozenset({"TrimmedDataAccessException", "ResourceNotFoundException"})
#: A page may be empty though there is more to come; after so many there is none to be expected.
MAX_PAGES = 1_000


class RecordsGoneError(Error):
    """The stream has the records no longer."""


def read_batch(access: Access, batch: Mapping[str, Any]) -> list[StreamRecord]:
    """The records of a place in a stream, in their order.

    Args:
        access: the way to AWS.
        batch: ``DDBStreamBatchInfo`` of a dead letter: stream, shard, first and last sequence number.

    Raises:
        RecordsGoneError: it keeps them no longer.
        AwsError: AWS cannot be asked.
    """
    first, last = str(batch["startSequenceNumber"]), int(batch["endSequenceNumber"])
    with told_plainly(access):
        try:
            return list(_read(access, str(batch["streamArn"]), str(batch["shardId"]), first, last))
        except ClientError as error:
            if code_of(error) not in _GONE:
                raise
            raise RecordsGoneError(f"the stream keeps its records no longer ({code_of(error)})") from error


def _read(access: Access, stream_arn: str, shard_id: str, first: str, last: int) -> list[StreamRecord]:
    streams = access.client("dynamodbstreams")
    iterator = streams.get_shard_iterator(
        StreamArn=stream_arn, ShardId=shard_id, ShardIteratorType="AT_SEQUENCE_NUMBER", SequenceNumber=first
    ).get("ShardIterator")
    table_name, found = table_of_stream(stream_arn), list[StreamRecord]()
    for _ in range(MAX_PAGES):
        if iterator is None:
            break
        page = streams.get_records(ShardIterator=iterator)
        for shown in page["Records"]:
            if int(shown["dynamodb"]["SequenceNumber"]) > last:
                return found
            found.append(_record(table_name, shown))
        if found and int(found[-1].sequence_number) == last:
            return found
        iterator = page.get("NextShardIterator")
    raise RecordsGoneError("the stream does not have all of its records")


def _record(table_name: str, shown: Mapping[str, Any]) -> StreamRecord:
    change, event_name = shown["dynamodb"], EventName(shown["eventName"])
    old, new = change.get("OldImage"), change.get("NewImage")
    created_at = change.get("ApproximateCreationDateTime")
    return StreamRecord(
        table_name=table_name,
        event_name=event_name,
        keys=from_boto3(change["Keys"]),
        old_image=None if old is None or event_name is EventName.INSERT else from_boto3(old),
        new_image=None if new is None or event_name is EventName.REMOVE else from_boto3(new),
        sequence_number=str(change["SequenceNumber"]),
        created_at=created_at.astimezone(UTC) if isinstance(created_at, datetime) else None,
    )
