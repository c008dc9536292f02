"""Lambda's stream records, and those that the local engine hands to functions."""

from datetime import UTC, datetime
from typing import Any

import pytest

from duestream.aws.records import lowest_sequence_number, parse_records
from duestream.core.record import EventName

#: As recorded (SEMANTICS.md C2), with values in place of its dots.
RECORD: dict[str, Any] = {
    "eventID": "c4ca4238a0b923820dcc509a6f75849b",
    "eventName": "MODIFY",
    "eventVersion": "1.1",
    "eventSource": "aws:dynamodb",
    "awsRegion": "us-east-1",
    "dynamodb": {
        "ApproximateCreationDateTime": 1479499740.0,
        "Keys": {"PK": {"B": "AAEC/w=="}},
        "NewImage": {"PK": {"B": "AAEC/w=="}, "tags": {"BS": ["AA=="]}, "n": {"N": "17"}},
        "OldImage": {"PK": {"B": "AAEC/w=="}},
        "SequenceNumber": "4421584500000000017450439092",
        "SizeBytes": 58,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    },
    "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/Example-Table/stream/2016-11-16T20:42:48.104",
}


def test_a_record_is_read() -> None:
    (record,) = parse_records({"Records": [RECORD]})
    assert record.table_name == "Example-Table"
    assert record.event_name is EventName.MODIFY
    assert record.keys == {"PK": {"B": "AAEC/w=="}}
    assert record.new_image == RECORD["dynamodb"]["NewImage"]
    assert record.old_image == RECORD["dynamodb"]["OldImage"]
    assert record.sequence_number == "4421584500000000017450439092"
    assert record.created_at == datetime(2016, 11, 18, 20, 9, tzinfo=UTC)


@pytest.mark.parametrize("name", ["INSERT", "REMOVE"])
def test_an_image_that_does_not_belong_to_what_happened_is_not_looked_at(name: str) -> None:
    (record,) = parse_records({"Records": [{**RECORD, "eventName": name}]})
    assert (record.old_image is None, record.new_image is None) == (name == "INSERT", name == "REMOVE")


def test_sequence_numbers_are_compared_as_numbers() -> None:
    assert lowest_sequence_number(["1000", "999", "0998"]) == "0998"
    assert lowest_sequence_number([]) is None
