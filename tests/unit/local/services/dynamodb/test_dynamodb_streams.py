"""DynamoDB Streams: streams, shards, iterators and records."""

from datetime import timedelta
from typing import Any

import pytest

from duestream.clock import to_ms
from duestream.local.store import streams

TABLE = {"TableName": "Appointments"}


def item(sort_key: str = "1", **attributes: Any) -> dict[str, Any]:
    return {"PK": {"S": "p"}, "SK": {"S": sort_key}} | attributes


def stream_arn(call: Any) -> str:
    arn: str = call("DescribeTable", **TABLE)["Table"]["LatestStreamArn"]
    return arn


def iterator(call: Any, kind: str = "TRIM_HORIZON", **more: Any) -> str:
    arn = stream_arn(call)
    shard = call("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    found = call("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)
    text: str = found["ShardIterator"]
    return text


def sort_keys(answer: Any) -> list[str]:
    return [record["dynamodb"]["Keys"]["SK"]["S"] for record in answer["Records"]]


@pytest.fixture
def table(dynamodb_call: Any) -> Any:
    dynamodb_call.create()
    return dynamodb_call


def test_a_stream_is_listed_and_described(table: Any) -> None:
    table.create("Others")
    arn = stream_arn(table)
    listed = {"StreamArn": arn, "TableName": "Appointments", "StreamLabel": "2030-01-01T00:00:00.000"}
    assert table("ListStreams", **TABLE) == {"Streams": [listed]}
    first = table("ListStreams", Limit=1)
    assert first == {"Streams": [listed], "LastEvaluatedStreamArn": arn}
    rest = table("ListStreams", ExclusiveStartStreamArn=arn)["Streams"]
    assert [stream["TableName"] for stream in rest] == ["Others"]
    described = table("DescribeStream", StreamArn=arn)["StreamDescription"]
    assert described["StreamStatus"] == "ENABLED"
    assert described["KeySchema"] == [
        {"AttributeName": "PK", "KeyType": "HASH"},
        {"AttributeName": "SK", "KeyType": "RANGE"},
    ]
    (shard,) = described["Shards"]
    assert shard["ShardId"].startswith("shardId-")
    assert shard["SequenceNumberRange"] == {"StartingSequenceNumber": "100000000000000000001"}
    again = table("DescribeStream", StreamArn=arn, ExclusiveStartShardId=shard["ShardId"])
    assert again["StreamDescription"]["Shards"] == []


def test_records_tell_each_change_once_with_stable_ids(table: Any) -> None:
    table("PutItem", **TABLE, Item=item(a={"S": "x"}))
    table("PutItem", **TABLE, Item=item(a={"S": "x"}))  # changes nothing
    table("PutItem", **TABLE, Item=item(a={"S": "y"}))
    table("DeleteItem", **TABLE, Key=item())
    start = iterator(table)
    read = table("GetRecords", ShardIterator=start)
    insert, modify, remove = read["Records"]
    assert insert == {
        "eventID": insert["eventID"],
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1893456000,
            "Keys": item(),
            "NewImage": item(a={"S": "x"}),
            "SequenceNumber": "100000000000000000001",
            "SizeBytes": 14,  # keys 6, new image 8
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
    assert (modify["eventName"], modify["dynamodb"]["OldImage"], modify["dynamodb"]["NewImage"]) == (
        "MODIFY",
        item(a={"S": "x"}),
        item(a={"S": "y"}),
    )
    assert (remove["eventName"], "NewImage" in remove["dynamodb"]) == ("REMOVE", False)
    assert {len(record["eventID"]) for record in read["Records"]} == {32}
    assert table("GetRecords", ShardIterator=start)["Records"] == read["Records"]
    nothing = table("GetRecords", ShardIterator=read["NextShardIterator"])
    assert nothing["Records"] == []
    assert "NextShardIterator" in nothing


@pytest.mark.parametrize(
    ("view_type", "images"),
    [
        ("KEYS_ONLY", set()),
        ("NEW_IMAGE", {"NewImage"}),
        ("OLD_IMAGE", {"OldImage"}),
        ("NEW_AND_OLD_IMAGES", {"NewImage", "OldImage"}),
    ],
)
def test_a_view_type_says_which_images_are_shown(dynamodb_call: Any, view_type: str, images: set[str]) -> None:
    dynamodb_call.create(StreamSpecification={"StreamEnabled": True, "StreamViewType": view_type})
    for letter in "xy":
        dynamodb_call("PutItem", **TABLE, Item=item(a={"S": letter}))
    modify = dynamodb_call("GetRecords", ShardIterator=iterator(dynamodb_call))["Records"][1]["dynamodb"]
    assert {name for name in modify if name.endswith("Image")} == images
    assert modify["SizeBytes"] == 6 + 8 * len(images)


def test_iterators_begin_where_they_say(table: Any) -> None:
    for sort_key in "abc":
        table("PutItem", **TABLE, Item=item(sort_key))
        table.clock.tick(timedelta(seconds=1))
    latest = iterator(table, "LATEST")
    table("PutItem", **TABLE, Item=item("d"))
    second = {"SequenceNumber": "100000000000000000002"}
    asked: list[tuple[str, str]] = [
        (iterator(table), "abcd"),
        (latest, "d"),
        (iterator(table, "AT_SEQUENCE_NUMBER", **second), "bcd"),
        (iterator(table, "AFTER_SEQUENCE_NUMBER", **second), "cd"),
        (iterator(table, "AT_TIMESTAMP", Timestamp=table.clock.now() - timedelta(seconds=1)), "cd"),
    ]
    for start, expected in asked:
        assert "".join(sort_keys(table("GetRecords", ShardIterator=start))) == expected


def test_a_limit_and_1_mb_part_the_records_into_pages(table: Any) -> None:
    for sort_key in "abcd":
        table("PutItem", **TABLE, Item=item(sort_key, big={"S": "x" * 390_000}))
    first = table("GetRecords", ShardIterator=iterator(table), Limit=1)
    assert sort_keys(first) == ["a"]
    second = table("GetRecords", ShardIterator=first["NextShardIterator"])
    assert sort_keys(second) == ["b", "c"]
    third = table("GetRecords", ShardIterator=second["NextShardIterator"])
    assert sort_keys(third) == ["d"]


def test_an_iterator_dies_after_15_minutes(table: Any) -> None:
    start = iterator(table)
    table.clock.tick(timedelta(minutes=15))
    again = table("GetRecords", ShardIterator=start)["NextShardIterator"]
    table.clock.tick(timedelta(milliseconds=1))
    assert table.refusal("GetRecords", ShardIterator=start).startswith("ExpiredIteratorException: Iterator expired")
    assert table("GetRecords", ShardIterator=again)["Records"] == []


def test_a_stream_that_was_switched_off_stays_readable_to_its_end(table: Any) -> None:
    table("PutItem", **TABLE, Item=item("a"))
    table("PutItem", **TABLE, Item=item("b"))
    start = iterator(table)
    arn = stream_arn(table)
    table("DeleteTable", **TABLE)
    described = table("DescribeStream", StreamArn=arn)["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    assert described["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"] == "100000000000000000002"
    first = table("GetRecords", ShardIterator=start, Limit=1)
    assert sort_keys(first) == ["a"]
    last = table("GetRecords", ShardIterator=first["NextShardIterator"])
    assert sort_keys(last) == ["b"]
    assert "NextShardIterator" not in last


def test_what_was_trimmed_is_refused(table: Any) -> None:
    for sort_key in "ab":
        table("PutItem", **TABLE, Item=item(sort_key))
    start = iterator(table)

    def trim(tx: Any) -> int:
        return streams.trim(tx, to_ms(table.clock.now()) + 1, keep_after_sequence=1)

    assert table.write(trim) == 1
    gone = "TrimmedDataAccessException: The data you are trying to access has been trimmed"
    assert table.refusal("GetRecords", ShardIterator=start) == gone
    assert sort_keys(table("GetRecords", ShardIterator=iterator(table))) == ["b"]
    arn = stream_arn(table)
    (shard,) = table("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    assert shard["SequenceNumberRange"]["StartingSequenceNumber"] == "100000000000000000002"
    asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "AT_SEQUENCE_NUMBER"}
    assert table.refusal("GetShardIterator", **asked, SequenceNumber="100000000000000000001") == gone


def test_what_is_not_there_is_named(table: Any) -> None:
    arn = stream_arn(table)
    missing = arn + "9"
    assert (  # recorded from AWS by LocalStack
        table.refusal("DescribeStream", StreamArn=missing)
        == f"ResourceNotFoundException: Requested resource not found: Stream: {missing} not found"
    )
    shard = "shardId-00000000000000000001-00000001"
    refusal = table.refusal("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType="LATEST")
    assert refusal.startswith(f"ResourceNotFoundException: Requested resource not found: Shard: {shard} in stream:")
    for text in ("nonsense", iterator(table)[:-1], iterator(table)[:-8] + "00000000"):
        assert table.refusal("GetRecords", ShardIterator=text) == "ValidationException: Invalid ShardIterator"


@pytest.mark.parametrize(
    "asked",
    [
        {"ShardIteratorType": "AT_SEQUENCE_NUMBER"},
        {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER"},
        {"ShardIteratorType": "AT_TIMESTAMP"},
        {"ShardIteratorType": "LATEST", "SequenceNumber": "100000000000000000001"},
        {"ShardIteratorType": "TRIM_HORIZON", "SequenceNumber": "100000000000000000001"},
        {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "x" * 21},
        {"ShardIteratorType": "LATEST", "StreamArn": "x" * 40},
    ],
    ids=lambda asked: ",".join(asked.values()),
)
def test_an_iterator_that_makes_no_sense_is_refused(table: Any, asked: dict[str, str]) -> None:
    # Alternator's test_get_shard_iterator, which holds on AWS
    arn = stream_arn(table)
    (shard,) = table("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    refusal = table.refusal("GetShardIterator", **({"StreamArn": arn, "ShardId": shard["ShardId"]} | asked))
    assert refusal.startswith("ValidationException: ")


def test_more_than_aws_allows_is_refused(table: Any) -> None:
    # Alternator's test_list_streams_too_high_limit and test_get_records_too_high_limit, which hold on AWS
    arn, start = stream_arn(table), iterator(table)
    asked: dict[str, tuple[int, dict[str, str]]] = {
        "ListStreams": (100, {}),
        "DescribeStream": (100, {"StreamArn": arn}),
        "GetRecords": (1000, {"ShardIterator": start}),
    }
    for operation, (most, members) in asked.items():
        table(operation, **members, Limit=most)
        assert table.refusal(operation, **members, Limit=most + 1) == (
            f"ValidationException: 1 validation error detected: Value '{most + 1}' at 'limit' failed to satisfy "
            f"constraint: Member must have value less than or equal to {most}"
        )


def test_records_about_to_be_trimmed_are_not_shown(table: Any) -> None:
    table("PutItem", **TABLE, Item=item("a"))
    table.clock.tick(timedelta(hours=23, minutes=50))
    table("PutItem", **TABLE, Item=item("b"))
    start = iterator(table)
    first = {"SequenceNumber": "100000000000000000001"}
    table.clock.tick(timedelta(minutes=10))
    assert sort_keys(table("GetRecords", ShardIterator=start)) == ["a", "b"]
    table.clock.tick(timedelta(milliseconds=1))
    gone = "TrimmedDataAccessException: The data you are trying to access has been trimmed"
    assert table.refusal("GetRecords", ShardIterator=start) == gone
    arn = stream_arn(table)
    (shard,) = table("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    assert shard["SequenceNumberRange"]["StartingSequenceNumber"] == "100000000000000000002"
    place = {"StreamArn": arn, "ShardId": shard["ShardId"]}
    assert table.refusal("GetShardIterator", **place, ShardIteratorType="AT_SEQUENCE_NUMBER", **first) == gone
    for again in (
        iterator(table),
        iterator(table, "AFTER_SEQUENCE_NUMBER", **first),
        iterator(table, "AT_TIMESTAMP", Timestamp=table.clock.now() - timedelta(days=3)),
    ):
        assert sort_keys(table("GetRecords", ShardIterator=again)) == ["b"]
    table.clock.tick(timedelta(days=2))
    assert table("GetRecords", ShardIterator=iterator(table))["Records"] == []


def test_a_quiet_streams_iterator_outlives_other_streams_records(table: Any) -> None:
    """All streams count in one sequence: what others wrote meanwhile is not missed by this one's reader."""
    table("PutItem", **TABLE, Item=item("old"))
    table.create("Others")
    table.clock.tick(timedelta(hours=30))
    start = iterator(table, "LATEST")
    table("PutItem", TableName="Others", Item=item("x"))
    table("PutItem", **TABLE, Item=item("new"))
    assert sort_keys(table("GetRecords", ShardIterator=start)) == ["new"]
