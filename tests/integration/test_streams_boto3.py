"""DynamoDB Streams through boto3: what each kind of write records, views, iterators, pages, and how a stream ends."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.conftest import RunningServer

from duestream import App, QueueMessage
from duestream.clock import ManualClock
from duestream.local.store import streams as stored_streams

pytestmark = pytest.mark.slow

TABLE = "Things"
VIEWS = {
    "KEYS_ONLY": set(),
    "NEW_IMAGE": {"NewImage"},
    "OLD_IMAGE": {"OldImage"},
    "NEW_AND_OLD_IMAGES": {"NewImage", "OldImage"},
}


class Streams:
    """One table and its stream, as clients see them."""

    def __init__(self, server: RunningServer) -> None:
        self.tables, self.reader = server.client("dynamodb"), server.client("dynamodbstreams")

    def create(self, view_type: str | None = "NEW_AND_OLD_IMAGES", name: str = TABLE) -> None:
        stream = {"StreamEnabled": False} if view_type is None else specification(view_type)
        self.tables.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification=stream,
        )

    def switch(self, view_type: str | None) -> None:
        stream = {"StreamEnabled": False} if view_type is None else specification(view_type)
        self.tables.update_table(TableName=TABLE, StreamSpecification=stream)

    def put(self, identity: str, **attributes: Any) -> None:
        self.tables.put_item(TableName=TABLE, Item={"id": {"S": identity}, **attributes})

    @property
    def arn(self) -> str:
        return str(self.tables.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"])

    def shard(self, arn: str | None = None) -> dict[str, Any]:
        (shard,) = self.reader.describe_stream(StreamArn=arn or self.arn)["StreamDescription"]["Shards"]
        return dict(shard)

    def iterator(self, kind: str = "TRIM_HORIZON", arn: str | None = None, **more: Any) -> str:
        arn = arn or self.arn
        asked = {"StreamArn": arn, "ShardId": self.shard(arn)["ShardId"], "ShardIteratorType": kind, **more}
        return str(self.reader.get_shard_iterator(**asked)["ShardIterator"])

    def records(self, iterator: str, **more: Any) -> list[dict[str, Any]]:
        return list(self.reader.get_records(ShardIterator=iterator, **more)["Records"])

    def pages(self, iterator: str | None) -> Iterator[list[dict[str, Any]]]:
        """Pages up to the first empty one, or to the shard's end."""
        while iterator is not None:
            answer = self.reader.get_records(ShardIterator=iterator)
            if not answer["Records"]:
                return
            yield answer["Records"]
            iterator = answer.get("NextShardIterator")


def specification(view_type: str) -> dict[str, Any]:
    return {"StreamEnabled": True, "StreamViewType": view_type}


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["dynamodb"]["Keys"]["id"]["S"] for record in records]


def told(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(record["eventName"], record["dynamodb"]["Keys"]["id"]["S"]) for record in records]


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def until(found: Callable[[], Any]) -> Any:
    """Ask the server again and again until the answer is truthy; the suite's time limit ends it."""
    while not (answer := found()):
        pass
    return answer


@pytest.fixture
def streams(manual_server: RunningServer) -> Streams:
    return Streams(manual_server)


@pytest.fixture
def pass_time(manual_server: RunningServer, clock: ManualClock) -> Callable[[timedelta], None]:
    return lambda by: manual_server.call(lambda: clock.tick(by))


def test_every_kind_of_write_is_recorded_once_and_none_that_changes_nothing(streams: Streams) -> None:
    streams.create()
    client, table = streams.tables, {"TableName": TABLE}
    streams.put("put", a={"S": "1"})
    streams.put("put", a={"S": "1"})
    set_a = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "2"}}}
    client.update_item(**table, Key={"id": {"S": "put"}}, **set_a)
    client.update_item(**table, Key={"id": {"S": "put"}}, **set_a)
    client.delete_item(**table, Key={"id": {"S": "missing"}})
    refused = {"ConditionExpression": "attribute_not_exists(id)"}
    assert code_of(lambda: client.put_item(**table, Item={"id": {"S": "put"}}, **refused)) == (
        "ConditionalCheckFailedException"
    )
    client.batch_write_item(
        RequestItems={
            TABLE: [
                {"PutRequest": {"Item": {"id": {"S": "batch"}}}},
                {"DeleteRequest": {"Key": {"id": {"S": "put"}}}},
                {"DeleteRequest": {"Key": {"id": {"S": "missing"}}}},
            ]
        }
    )
    client.transact_write_items(
        TransactItems=[
            {"Put": {**table, "Item": {"id": {"S": "transaction"}}}},
            {"Update": {**table, "Key": {"id": {"S": "batch"}}, **set_a}},
            {"ConditionCheck": {**table, "Key": {"id": {"S": "other"}}, **refused}},
        ]
    )
    cancelled = [
        {"Put": {**table, "Item": {"id": {"S": "never"}}}},
        {"ConditionCheck": {**table, "Key": {"id": {"S": "batch"}}, **refused}},
    ]
    assert code_of(lambda: client.transact_write_items(TransactItems=cancelled)) == "TransactionCanceledException"
    client.execute_statement(Statement=f"INSERT INTO \"{TABLE}\" VALUE {{'id': 'statement'}}")
    client.execute_statement(Statement=f"UPDATE \"{TABLE}\" SET b = 1 WHERE id = 'statement'")
    client.execute_statement(Statement=f"DELETE FROM \"{TABLE}\" WHERE id = 'statement'")
    read = streams.records(streams.iterator())
    assert told(read) == [
        ("INSERT", "put"),
        ("MODIFY", "put"),
        ("INSERT", "batch"),
        ("REMOVE", "put"),
        ("INSERT", "transaction"),
        ("MODIFY", "batch"),
        ("INSERT", "statement"),
        ("MODIFY", "statement"),
        ("REMOVE", "statement"),
    ]
    images = [(one["dynamodb"].get("OldImage"), one["dynamodb"].get("NewImage")) for one in read]
    assert images[1] == ({"id": {"S": "put"}, "a": {"S": "1"}}, {"id": {"S": "put"}, "a": {"S": "2"}})
    assert images[3] == ({"id": {"S": "put"}, "a": {"S": "2"}}, None)
    assert images[5] == ({"id": {"S": "batch"}}, {"id": {"S": "batch"}, "a": {"S": "2"}})
    assert images[7] == ({"id": {"S": "statement"}}, {"id": {"S": "statement"}, "b": {"N": "1"}})
    numbers = [one["dynamodb"]["SequenceNumber"] for one in read]
    assert numbers == sorted(set(numbers), key=int)
    assert len({one["eventID"] for one in read}) == len(read)
    assert all("userIdentity" not in one for one in read)


@pytest.mark.parametrize("view_type", VIEWS)
def test_a_view_type_says_which_images_are_shown(streams: Streams, view_type: str) -> None:
    streams.create(view_type)
    streams.put("1", a={"S": "old"})
    streams.put("1", a={"S": "new"})
    streams.tables.delete_item(TableName=TABLE, Key={"id": {"S": "1"}})
    shown = [record["dynamodb"] for record in streams.records(streams.iterator())]
    views = [{name for name in one if name.endswith("Image")} for one in shown]
    assert views == [VIEWS[view_type] - {"OldImage"}, VIEWS[view_type], VIEWS[view_type] - {"NewImage"}]
    assert {one["StreamViewType"] for one in shown} == {view_type}
    assert all(one["Keys"] == {"id": {"S": "1"}} for one in shown)


def test_iterators_begin_where_they_say(streams: Streams, pass_time: Callable[[timedelta], None]) -> None:
    streams.create()
    for identity in "abc":
        streams.put(identity)
        pass_time(timedelta(seconds=1))
    latest = streams.iterator("LATEST")
    streams.put("d")
    read = streams.records(streams.iterator())
    assert ids(read) == ["a", "b", "c", "d"]
    second = {"SequenceNumber": read[1]["dynamodb"]["SequenceNumber"]}
    assert ids(streams.records(streams.iterator("AT_SEQUENCE_NUMBER", **second))) == ["b", "c", "d"]
    assert ids(streams.records(streams.iterator("AFTER_SEQUENCE_NUMBER", **second))) == ["c", "d"]
    assert ids(streams.records(latest)) == ["d"]
    start = {"SequenceNumber": streams.shard()["SequenceNumberRange"]["StartingSequenceNumber"]}
    assert ids(streams.records(streams.iterator("AT_SEQUENCE_NUMBER", **start))) == ["a", "b", "c", "d"]
    assert streams.records(streams.iterator("LATEST")) == []


def test_an_iterator_is_good_for_15_minutes(streams: Streams, pass_time: Callable[[timedelta], None]) -> None:
    streams.create()
    streams.put("a")
    start = streams.iterator()
    pass_time(timedelta(minutes=15))
    assert ids(streams.records(start)) == ["a"]
    pass_time(timedelta(seconds=1))
    assert code_of(lambda: streams.records(start)) == "ExpiredIteratorException"


def test_a_record_is_shown_for_24_hours_to_the_millisecond(
    streams: Streams, pass_time: Callable[[timedelta], None]
) -> None:
    streams.create()
    streams.put("old")
    first = streams.records(streams.iterator())[0]["dynamodb"]["SequenceNumber"]
    pass_time(timedelta(hours=23, minutes=50))
    streams.put("young")
    start = streams.iterator()
    assert ids(streams.records(start)) == ["old", "young"]
    pass_time(timedelta(minutes=10))
    assert ids(streams.records(start)) == ["old", "young"]
    pass_time(timedelta(milliseconds=1))
    assert code_of(lambda: streams.records(start)) == "TrimmedDataAccessException"
    gone = {"SequenceNumber": first}
    assert code_of(lambda: streams.iterator("AT_SEQUENCE_NUMBER", **gone)) == "TrimmedDataAccessException"
    assert ids(streams.records(streams.iterator("AFTER_SEQUENCE_NUMBER", **gone))) == ["young"]
    assert ids(streams.records(streams.iterator())) == ["young"]
    long_ago: dict[str, Any] = {"Timestamp": datetime(2020, 1, 1, tzinfo=UTC)}
    assert ids(streams.records(streams.iterator("AT_TIMESTAMP", **long_ago))) == ["young"]
    starting = streams.shard()["SequenceNumberRange"]["StartingSequenceNumber"]
    assert int(starting) == int(first) + 1


def test_a_page_has_1000_records_and_the_next_goes_on(streams: Streams) -> None:
    streams.create("KEYS_ONLY")
    wanted = [f"{number:04}" for number in range(2010)]
    for start in range(0, len(wanted), 25):
        puts = [{"PutRequest": {"Item": {"id": {"S": one}}}} for one in wanted[start : start + 25]]
        streams.tables.batch_write_item(RequestItems={TABLE: puts})
    pages = list(streams.pages(streams.iterator()))
    assert [len(page) for page in pages] == [1000, 1000, 10]
    assert ids([record for page in pages for record in page]) == wanted
    assert len(streams.records(streams.iterator(), Limit=7)) == 7


def test_a_page_has_1_mb_of_images(streams: Streams) -> None:
    streams.create()
    for identity in "abcdef":
        streams.put(identity, big={"S": "x" * 300_000})
    pages = list(streams.pages(streams.iterator()))
    assert [ids(page) for page in pages] == [["a", "b", "c"], ["d", "e", "f"]]


def test_a_stream_that_was_switched_off_is_read_to_its_end_and_the_next_is_another(
    streams: Streams, pass_time: Callable[[timedelta], None]
) -> None:
    streams.create("NEW_IMAGE")
    streams.put("a")
    streams.put("b")
    first = streams.arn
    start = streams.iterator()
    streams.switch(None)
    described = streams.tables.describe_table(TableName=TABLE)["Table"]
    assert ("StreamSpecification" in described, described["LatestStreamArn"]) == (False, first)
    streams.put("unrecorded")
    closed = streams.reader.describe_stream(StreamArn=first)["StreamDescription"]
    assert closed["StreamStatus"] == "DISABLED"
    answer = streams.reader.get_records(ShardIterator=start, Limit=1)
    assert ids(answer["Records"]) == ["a"]
    last = streams.reader.get_records(ShardIterator=answer["NextShardIterator"])
    assert ids(last["Records"]) == ["b"]
    assert "NextShardIterator" not in last
    ending = closed["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"]
    assert ending == last["Records"][-1]["dynamodb"]["SequenceNumber"]
    assert "NextShardIterator" not in streams.reader.get_records(ShardIterator=streams.iterator("LATEST", first))

    pass_time(timedelta(seconds=1))
    streams.switch("OLD_IMAGE")
    second = streams.arn
    assert second != first
    streams.put("c")
    assert ids(streams.records(streams.iterator())) == ["c"]
    assert ids(streams.records(streams.iterator(arn=first))) == ["a", "b"]
    listed = streams.reader.list_streams(TableName=TABLE)["Streams"]
    assert [one["StreamArn"] for one in listed] == [first, second]


def test_the_stream_of_a_deleted_table_is_read_for_a_day(
    streams: Streams, pass_time: Callable[[timedelta], None]
) -> None:
    streams.create()
    streams.put("a")
    arn = streams.arn
    streams.tables.delete_table(TableName=TABLE)
    assert ids(streams.records(streams.iterator(arn=arn))) == ["a"]
    pass_time(timedelta(hours=24, minutes=2))
    until(lambda: streams.reader.list_streams()["Streams"] == [])
    assert code_of(lambda: streams.reader.describe_stream(StreamArn=arn)) == "ResourceNotFoundException"


def test_streams_are_listed_in_pages(streams: Streams) -> None:
    names = [f"Table{number}" for number in range(5)]
    for name in names:
        streams.create(name=name)
    found: list[str] = []
    start: dict[str, Any] = {}
    while True:
        page = streams.reader.list_streams(Limit=2, **start)
        assert len(page["Streams"]) <= 2
        found += [one["TableName"] for one in page["Streams"]]
        if "LastEvaluatedStreamArn" not in page:
            break
        start = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert found == names
    assert streams.reader.list_streams(TableName="Missing")["Streams"] == []


def test_what_time_to_live_removes_is_told_as_the_services_doing(
    streams: Streams, clock: ManualClock, pass_time: Callable[[timedelta], None]
) -> None:
    streams.create()
    streams.tables.update_time_to_live(
        TableName=TABLE, TimeToLiveSpecification={"AttributeName": "gone_at", "Enabled": True}
    )
    moment = int(clock.now().timestamp()) + 60
    streams.put("short", gone_at={"N": str(moment)})
    streams.put("long")
    latest = streams.iterator("LATEST")
    pass_time(timedelta(seconds=60))
    (removed,) = until(lambda: streams.records(latest))
    assert (removed["eventName"], removed["dynamodb"]["OldImage"]["gone_at"]) == ("REMOVE", {"N": str(moment)})
    assert removed["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


@pytest.mark.parametrize("view_type", [*VIEWS, None])
def test_rules_work_whatever_is_shown_of_the_tables_stream(
    start_server: Callable[..., RunningServer], tmp_path: Any, clock: ManualClock, view_type: str | None
) -> None:
    """The table is made by its user, with a stream of any view type or none; the app comes later."""
    data = tmp_path / "shared"
    first = start_server(clock=clock, data=data)
    Streams(first).create(view_type)
    first.run(first.local.stop())

    app = App("clinic")
    things = app.table(TABLE, partition_key="id")

    @things.rule("due")
    def remind(item: Any) -> QueueMessage:
        return QueueMessage("reminders", {"note": item["note"]})

    second = start_server(clock=clock, data=data, app=app)
    streams, sqs, schedules = Streams(second), second.client("sqs"), second.client("scheduler")
    url = sqs.create_queue(QueueName="reminders")["QueueUrl"]

    def put(identity: str, minutes: int, note: str) -> None:
        due = (clock.now() + timedelta(minutes=minutes)).isoformat()
        streams.put(identity, due={"S": due}, note={"S": note})

    put("kept", 5, "first")
    put("kept", 10, "second")
    put("deleted", 10, "never")
    streams.tables.delete_item(TableName=TABLE, Key={"id": {"S": "deleted"}})

    def is_settled() -> bool:
        reader = second.local.store.reader
        return stored_streams.checkpoint(reader, "clinic") >= stored_streams.last_sequence(reader)

    until(lambda: second.call(is_settled))
    assert len(schedules.list_schedules(GroupName="clinic")["Schedules"]) == 1
    second.call(lambda: clock.tick(timedelta(minutes=10)))
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert "second" in message["Body"]
    described = streams.tables.describe_table(TableName=TABLE)["Table"]["StreamSpecification"]
    assert described["StreamViewType"] == (view_type or "NEW_AND_OLD_IMAGES")
