"""DynamoDB Streams: ListStreams, DescribeStream, GetShardIterator, GetRecords.

A stream is one shard here: the order of all its records is kept, which is more than AWS promises.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import apsw
import msgspec

from duestream.clock import from_ms, to_ms
from duestream.errors import ResourceNotFoundException, ServiceError, ValidationException
from duestream.local.services.context import Operation, RequestContext
from duestream.local.store import stream_views, streams
from duestream.local.store.stream_names import shard_id
from duestream.local.store.streams import RecordRow, Stream

MAX_LISTED_STREAMS = 100
MAX_LISTED_SHARDS = 100
MAX_RECORDS = 1000
MAX_ANSWER_BYTES = 1024 * 1024
ITERATOR_LIFETIME_MS = 15 * 60 * 1000

_NUMBERED = frozenset({"AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"})


class ExpiredIteratorException(ServiceError):
    """The shard iterator is older than 15 minutes."""


class TrimmedDataAccessException(ServiceError):
    """The records asked for are gone: they are kept for 24 hours."""

    def __init__(self) -> None:
        # AWS's text, as reported in ironSource/node-dynamodb-stream#13
        super().__init__("The data you are trying to access has been trimmed")


def _limit(parameters: Mapping[str, Any], most: int) -> int:
    """How many to show at the most.

    Raises:
        ValidationException: more are asked for than AWS allows, which the models do not say (API reference; that it is
            refused: Alternator's tests, which hold on AWS; the text is that of other limits).
    """
    limit: int = parameters.get("Limit", most)
    if limit > most:
        raise ValidationException(
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
            f"Member must have value less than or equal to {most}"
        )
    return limit


# ListStreams and DescribeStream -----------------------------------------------------------------------


async def list_streams(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Streams of one table or of all, also those switched off."""
    limit = _limit(parameters, MAX_LISTED_STREAMS)
    start_arn = parameters.get("ExclusiveStartStreamArn")
    after_id = 0 if start_arn is None else _existing_stream(context.store.reader, start_arn).id
    found = streams.list_streams(
        context.store.reader, after_id=after_id, table_name=parameters.get("TableName"), limit=limit + 1
    )
    shown = [
        {"StreamArn": stream.arn, "TableName": stream.table_name, "StreamLabel": stream.label}
        for stream in found[:limit]
    ]
    if len(found) <= limit:
        return {"Streams": shown}
    return {"Streams": shown, "LastEvaluatedStreamArn": shown[-1]["StreamArn"]}


async def describe_stream(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Show a stream and its shard."""
    _limit(parameters, MAX_LISTED_SHARDS)
    reader = context.store.reader
    stream = _existing_stream(reader, parameters["StreamArn"])
    kinds = ("HASH", "RANGE")
    return {
        "StreamDescription": {
            "StreamArn": stream.arn,
            "StreamLabel": stream.label,
            "StreamStatus": stream.status,
            "StreamViewType": stream.view_type,
            "CreationRequestDateTime": from_ms(stream.created_at_ms),
            "TableName": stream.table_name,
            "KeySchema": [
                {"AttributeName": name, "KeyType": kind} for name, kind in zip(stream.key_names, kinds, strict=False)
            ],
            "Shards": [] if _skips_the_shard(stream, parameters) else [_shard(context, stream)],
        }
    }


def _skips_the_shard(stream: Stream, parameters: Mapping[str, Any]) -> bool:
    """The one shard has been seen already, or its children are asked for, which it has none of."""
    return parameters.get("ExclusiveStartShardId", "") >= shard_id(stream) or "ShardFilter" in parameters


def _shard(context: RequestContext, stream: Stream) -> dict[str, Any]:
    reader = context.store.reader
    first = _horizon(context, stream) + 1
    numbers = {"StartingSequenceNumber": streams.sequence_number(first)}
    if not stream.is_enabled:
        last = max(streams.last_sequence_of(reader, stream) or first, first)
        numbers["EndingSequenceNumber"] = streams.sequence_number(last)
    return {"ShardId": shard_id(stream), "SequenceNumberRange": numbers}


def _horizon(context: RequestContext, stream: Stream) -> int:
    """The position after which the records of the last 24 hours begin."""
    return streams.trim_horizon(context.store.reader, stream, context.clock.now_ms() - streams.RETENTION_MS)


def _existing_stream(reader: apsw.Connection, arn: str) -> Stream:
    """The stream behind an ARN.

    Raises:
        ValidationException: it is no stream's ARN (AWS's code by Alternator's tests; the text is ours).
        ResourceNotFoundException: there is none; text recorded from AWS by LocalStack.
    """
    table_name, _, label = arn.partition(":table/")[2].partition("/stream/")
    if not arn.startswith("arn:") or not label:
        raise ValidationException(f"Invalid StreamArn: {arn}")
    stream = streams.find_stream(reader, table_name, label)
    if stream is None:
        raise ResourceNotFoundException(f"Requested resource not found: Stream: {arn} not found")
    return stream


# GetShardIterator -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Iterator:
    """What a shard iterator says: which stream, after which record, and when it was given out."""

    stream_id: int
    sequence: int
    issued_at_ms: int

    def text(self, arn: str) -> str:
        """AWS's form: the stream's ARN, a version, and something opaque."""
        packed = b"".join(number.to_bytes(8, "big") for number in (self.stream_id, self.sequence, self.issued_at_ms))
        check = hashlib.blake2b(packed, digest_size=4).digest()
        return f"{arn}|1|{(packed + check).hex()}"


def _read_iterator(text: str) -> _Iterator:
    packed = b""
    with suppress(ValueError):
        packed = bytes.fromhex(text.rpartition("|1|")[2])
    if len(packed) != 28 or hashlib.blake2b(packed[:24], digest_size=4).digest() != packed[24:]:
        raise ValidationException("Invalid ShardIterator")
    stream_id, sequence, issued_at_ms = (int.from_bytes(packed[start : start + 8], "big") for start in (0, 8, 16))
    return _Iterator(stream_id, sequence, issued_at_ms)


async def get_shard_iterator(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """A place in the shard to read from, good for 15 minutes."""
    reader = context.store.reader
    stream = _existing_stream(reader, parameters["StreamArn"])
    if parameters["ShardId"] != shard_id(stream):
        raise ResourceNotFoundException(
            f"Requested resource not found: Shard: {parameters['ShardId']} in stream: {stream.arn} not found"
        )
    sequence = _sequence_before(reader, stream, parameters, horizon=_horizon(context, stream))
    iterator = _Iterator(stream.id, sequence, context.clock.now_ms())
    return {"ShardIterator": iterator.text(stream.arn)}


def _sequence_before(reader: apsw.Connection, stream: Stream, parameters: Mapping[str, Any], *, horizon: int) -> int:
    """The position after which reading begins.

    Args:
        horizon: the position up to which records are gone.

    Raises:
        ValidationException: a sequence number or a timestamp is missing, or there is one where none belongs
            (AWS's code by Alternator's tests; the texts are ours).
        TrimmedDataAccessException: what it asks for is gone.
    """
    kind = parameters["ShardIteratorType"]
    if kind not in _NUMBERED and parameters.get("SequenceNumber") is not None:
        raise ValidationException(f"SequenceNumber must not be specified when ShardIteratorType is {kind}")
    match kind:
        case "TRIM_HORIZON":
            return horizon
        case "LATEST":
            return streams.last_sequence(reader)
        case "AT_TIMESTAMP":
            moment: datetime | None = parameters.get("Timestamp")
            if moment is None:
                raise ValidationException("Timestamp is required when ShardIteratorType is AT_TIMESTAMP")
            return max(streams.sequence_before(reader, stream, to_ms(moment)), horizon)
        case _:
            return _sequence_before_number(kind, parameters.get("SequenceNumber"), horizon)


def _sequence_before_number(kind: str, number: str | None, horizon: int) -> int:
    if number is None:
        raise ValidationException(f"SequenceNumber is required when ShardIteratorType is {kind}")
    sequence = streams.parse_sequence_number(number)
    if sequence is None:
        raise ValidationException(f"Invalid SequenceNumber: {number}")
    before = sequence - 1 if kind == "AT_SEQUENCE_NUMBER" else sequence
    if before < horizon:
        raise TrimmedDataAccessException
    return before


# GetRecords -------------------------------------------------------------------------------------------


async def get_records(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """The records that follow an iterator, and the iterator that follows them."""
    reader = context.store.reader
    now_ms = context.clock.now_ms()
    limit = _limit(parameters, MAX_RECORDS)
    iterator = _read_iterator(parameters["ShardIterator"])
    if now_ms - iterator.issued_at_ms > ITERATOR_LIFETIME_MS:
        raise ExpiredIteratorException("Iterator expired: it is older than 15 minutes")
    stream = streams.find_stream_by_id(reader, iterator.stream_id)
    if stream is None:
        arn = parameters["ShardIterator"].partition("|")[0]
        raise ResourceNotFoundException(f"Requested resource not found: Stream: {arn} not found")
    if iterator.sequence < _horizon(context, stream):
        raise TrimmedDataAccessException
    rows, is_at_end = streams.records_of(reader, stream, iterator.sequence, limit=limit, max_bytes=MAX_ANSWER_BYTES)
    last = rows[-1].sequence if rows else iterator.sequence
    answer: dict[str, Any] = {"Records": [_record(stream, row) for row in rows]}
    if stream.is_enabled or not is_at_end:  # a closed shard that was read to its end has no next iterator
        answer["NextShardIterator"] = _Iterator(stream.id, last, now_ms).text(stream.arn)
    return msgspec.json.encode(answer)


def _record(stream: Stream, row: RecordRow) -> dict[str, Any]:
    """A stream record as GetRecords shows it."""
    record = stream_views.record_view(stream, row)
    if row.by_service:
        record["userIdentity"] = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    return record


OPERATIONS: dict[str, Operation] = {
    "DescribeStream": describe_stream,
    "GetRecords": get_records,
    "GetShardIterator": get_shard_iterator,
    "ListStreams": list_streams,
}
