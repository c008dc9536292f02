"""Stream records as a function gets them, and what is said of those it could not take."""

import json
from collections.abc import Sequence
from typing import Any

from duestream.clock import from_ms
from duestream.local.store import streams
from duestream.local.store.mappings import EventSourceMapping
from duestream.local.store.stream_names import shard_id
from duestream.local.store.stream_views import record_view
from duestream.local.store.streams import RecordRow, Stream


def event_of(stream: Stream, row: RecordRow) -> dict[str, Any]:
    """One record (SEMANTICS.md C2). Unlike GetRecords, it says `principalId` and `type` in lower case."""
    event = {**record_view(stream, row), "eventSourceARN": stream.arn}
    event["dynamodb"]["ApproximateCreationDateTime"] = float(row.created_at_ms // 1000)
    if row.by_service:
        event["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    return event


def on_failure_body(
    mapping: EventSourceMapping,
    stream: Stream,
    records: Sequence[RecordRow],
    *,
    condition: str,
    request_id: str,
    attempts: int,
    response: dict[str, Any] | None,
    now_ms: int,
) -> str:
    """What the on-failure destination is told of records that were given up (SEMANTICS.md C4).

    Args:
        condition: ``RetryAttemptsExhausted`` or ``RecordAgeExceeded``.
        response: what the function did with them; None where it was not asked.
    """
    body: dict[str, Any] = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": mapping.function_arn,
            "condition": condition,
            "approximateInvokeCount": attempts,
        }
    }
    if response is not None:
        body["responseContext"] = response
    body["version"] = "1.0"
    body["timestamp"] = _moment(now_ms)
    body["DDBStreamBatchInfo"] = {
        "shardId": shard_id(stream),
        "startSequenceNumber": streams.sequence_number(records[0].sequence),
        "endSequenceNumber": streams.sequence_number(records[-1].sequence),
        "approximateArrivalOfFirstRecord": _moment(records[0].created_at_ms),
        "approximateArrivalOfLastRecord": _moment(records[-1].created_at_ms),
        "batchSize": len(records),
        "streamArn": stream.arn,
    }
    return json.dumps(body, separators=(",", ":"))


def _moment(moment_ms: int) -> str:
    return f"{from_ms(moment_ms):%Y-%m-%dT%H:%M:%S}.{moment_ms % 1000:03d}Z"
