"""Event source mappings on tables' streams and on queues, with boto3 and real functions."""

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import RunningServer
from tests.integration.lambda_code import zipped

from duestream.clock import ManualClock
from duestream.core.forwarding import Forwarding

pytestmark = pytest.mark.slow

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/any"
PREFIX = "arn:aws:sqs:eu-central-1:000000000000"
#: Notes each batch as a line in a file, and answers as the item `answer` of the first record says.
NOTING = """
import json, os

def handler(event, context):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps(event) + "\\n")
    for record in event["Records"]:
        if record.get("eventSource") == "aws:sqs":
            if "bad" in record["body"]:
                return {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
            continue
        image = record["dynamodb"].get("NewImage", {})
        if "raise" in image:
            raise ValueError("a bad record")
        if "report" in image:
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
"""


class World:
    """A table with a stream, a function that notes what it gets, and a queue for what is given up."""

    def __init__(self, server: RunningServer, folder: Path, clock: ManualClock | None = None) -> None:
        self.server, self.clock, self.notes = server, clock, folder / "notes"
        self.lambdas, self.dynamodb, self.sqs = (server.client(name) for name in ("lambda", "dynamodb", "sqs"))

    def make(self) -> "World":
        self.dynamodb.create_table(
            TableName="Things",
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.queue_url = self.sqs.create_queue(QueueName="given-up")["QueueUrl"]
        self.lambdas.create_function(
            FunctionName="noting",
            Runtime=PYTHON,
            Handler="app.handler",
            Role=ROLE,
            Timeout=60,
            Code={"ZipFile": zipped(app_py=NOTING)},
            Environment={"Variables": {"NOTES": str(self.notes)}},
        )
        return self

    @property
    def stream_arn(self) -> str:
        return str(self.dynamodb.describe_table(TableName="Things")["Table"]["LatestStreamArn"])

    def map(self, **parameters: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {"EventSourceArn": self.stream_arn, "StartingPosition": "TRIM_HORIZON"}
        made: dict[str, Any] = self.lambdas.create_event_source_mapping(
            FunctionName="noting", **(settings | parameters)
        )
        return made

    def put(self, *keys: str, **attributes: str) -> None:
        for key in keys:
            item = {"PK": {"S": key}, **{name: {"S": text} for name, text in attributes.items()}}
            self.dynamodb.put_item(TableName="Things", Item=item)

    def batches(self) -> list[list[str]]:
        """The keys of each batch that was noted."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [[record["dynamodb"]["Keys"]["PK"]["S"] for record in json.loads(line)["Records"]] for line in lines]

    def events(self) -> list[dict[str, Any]]:
        """Every record that was noted."""
        return [record for line in self.notes.read_text().splitlines() for record in json.loads(line)["Records"]]

    def wait_for(self, holds: Callable[[], object]) -> None:
        """Look again and again; a test that never comes to it is ended by its timeout."""

        async def until() -> None:
            while not await asyncio.to_thread(holds):
                await asyncio.sleep(0.01)  # nothing is concluded from how long this is

        self.server.run(until())

    def failed(self, attempts: int) -> None:
        """Until that many failed attempts are noted, and then let the wait before the next one pass."""
        assert self.clock is not None
        clock = self.clock
        sql = f"SELECT 1 FROM mapping_position, json_each(batches, '$.batches') WHERE json_extract(value, '$[1]') = {attempts}"
        self.wait_for(lambda: self.server.call(lambda: self.server.local.store.reader.execute(sql).get))
        self.server.call(lambda: clock.tick(timedelta(minutes=1)))

    def told(self) -> dict[str, Any]:
        """What the on-failure destination gets next."""
        answer = self.sqs.receive_message(QueueUrl=self.queue_url, WaitTimeSeconds=20)
        (message,) = answer["Messages"]
        self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        body: dict[str, Any] = json.loads(message["Body"])
        return body


@pytest.fixture
def world(server: RunningServer, tmp_path: Path) -> World:
    return World(server, tmp_path).make()


@pytest.fixture
def manual_world(manual_server: RunningServer, tmp_path: Path, clock: ManualClock) -> World:
    return World(manual_server, tmp_path, clock).make()


ON_FAILURE = {"OnFailure": {"Destination": f"{PREFIX}:given-up"}}


def test_a_mapping_is_made_changed_and_deleted(world: World) -> None:
    made = world.map()
    assert (made["State"], made["StateTransitionReason"]) == ("Creating", "User action")
    assert made["LastProcessingResult"] == "No records processed"
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (made["BatchSize"], made["MaximumRetryAttempts"], made["ParallelizationFactor"]) == (100, -1, 1)
    uuid = made["UUID"]
    assert world.lambdas.get_event_source_mapping(UUID=uuid)["State"] == "Enabled"
    with pytest.raises(world.lambdas.exceptions.ResourceConflictException, match=f"existing mapping with UUID {uuid}"):
        world.map()
    changed = world.lambdas.update_event_source_mapping(UUID=uuid, BatchSize=5, Enabled=False)
    assert (changed["State"], changed["BatchSize"]) == ("Updating", 5)
    (listed,) = world.lambdas.list_event_source_mappings(FunctionName="noting")["EventSourceMappings"]
    assert (listed["UUID"], listed["State"], listed["StartingPosition"]) == (uuid, "Disabled", "TRIM_HORIZON")
    assert world.lambdas.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    with pytest.raises(world.lambdas.exceptions.ResourceNotFoundException):
        world.lambdas.get_event_source_mapping(UUID=uuid)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"StartingPosition": "AT_TIMESTAMP"}, "Unsupported starting position for arn type: "),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}, "Invalid filter pattern definition."),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": f"{PREFIX}:given-up.fifo"}}},
            "and not FIFO",
        ),
        ({"EventSourceArn": "arn:aws:dynamodb:eu-central-1:000000000000:table/U/stream/2030"}, "Stream not found: "),
        ({"EventSourceArn": f"{PREFIX}:nothing"}, "AWS.SimpleQueueService.NonExistentQueue"),
    ],
)
def test_what_cannot_be_mapped_is_refused(world: World, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(world.lambdas.exceptions.InvalidParameterValueException) as caught:
        world.map(**parameters)
    assert message in str(caught.value)


def test_records_come_as_aws_sends_them(world: World) -> None:
    world.put("a", colour="red")
    world.map()
    world.put("a", colour="blue")
    world.dynamodb.delete_item(TableName="Things", Key={"PK": {"S": "a"}})
    world.wait_for(lambda: sum(map(len, world.batches())) == 3)
    insert, modify, remove = world.events()
    assert [one["eventName"] for one in (insert, modify, remove)] == ["INSERT", "MODIFY", "REMOVE"]
    assert list(insert) == [
        "eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN",
    ]  # fmt: skip
    assert (insert["eventVersion"], insert["eventSource"]) == ("1.1", "aws:dynamodb")
    assert insert["eventSourceARN"] == world.stream_arn
    assert isinstance(insert["dynamodb"]["ApproximateCreationDateTime"], float)
    assert "OldImage" not in insert["dynamodb"]
    assert modify["dynamodb"]["OldImage"]["colour"] == {"S": "red"}
    assert modify["dynamodb"]["NewImage"]["colour"] == {"S": "blue"}
    assert "NewImage" not in remove["dynamodb"]
    assert insert["dynamodb"]["SequenceNumber"] < modify["dynamodb"]["SequenceNumber"]


def test_batches_are_of_the_size_asked_for_and_latest_begins_now(world: World) -> None:
    world.put("before")
    world.map(StartingPosition="LATEST", BatchSize=2)
    world.put("a", "b", "c", "d", "e")
    world.wait_for(lambda: sum(map(len, world.batches())) == 5)
    assert [key for batch in world.batches() for key in batch] == ["a", "b", "c", "d", "e"]
    assert max(map(len, world.batches())) <= 2


def test_a_window_gathers_until_it_is_over_or_the_batch_is_full(manual_world: World) -> None:
    world = manual_world
    world.map(BatchSize=3, MaximumBatchingWindowInSeconds=60)
    world.put("a", "b", "c", "d")
    world.wait_for(world.batches)
    assert world.batches() == [["a", "b", "c"]]
    assert world.clock is not None
    clock = world.clock
    world.put("e")

    def all_noted() -> bool:
        """The clock stands still until it is moved: each look is after another window."""
        world.server.call(lambda: clock.tick(timedelta(seconds=61)))
        return sum(map(len, world.batches())) == 5

    world.wait_for(all_noted)
    assert [key for batch in world.batches() for key in batch] == ["a", "b", "c", "d", "e"]


SUMMING = """
import json, os

def handler(event, context):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps(event) + "\\n")
    if event["isFinalInvokeForWindow"]:
        return {}
    return {"state": {"count": event["state"].get("count", 0) + len(event["Records"])}}
"""


def test_a_tumbling_window_carries_its_state_and_ends_with_a_last_call(manual_world: World) -> None:
    world = manual_world
    assert world.clock is not None
    clock = world.clock
    world.lambdas.update_function_code(FunctionName="noting", ZipFile=zipped(app_py=SUMMING))
    world.map(TumblingWindowInSeconds=60, BatchSize=2)

    def calls() -> list[dict[str, Any]]:
        return [json.loads(line) for line in world.notes.read_text().splitlines()] if world.notes.exists() else []

    def seen() -> list[tuple[str, int, int, bool]]:
        return [
            (
                call["window"]["start"][11:],
                len(call["Records"]),
                call["state"].get("count", 0),
                call["isFinalInvokeForWindow"],
            )
            for call in calls()
        ]

    world.put("a", "b", "c")
    world.wait_for(lambda: sum(call[1] for call in seen()) == 3)
    world.server.call(lambda: clock.tick(timedelta(seconds=90)))
    world.put("d")
    world.wait_for(lambda: len(seen()) > 0 and seen()[-1][:2] == ("09:01:00Z", 1))
    *first, closing, last = seen()
    assert sum(call[1] for call in first) == 3
    assert {call[0] for call in first} == {"09:00:00Z"}
    assert closing == ("09:00:00Z", 0, 3, True)
    assert last == ("09:01:00Z", 1, 0, False)
    assert calls()[0]["window"]["end"] == "2030-01-01T09:01:00Z"
    assert calls()[0]["eventSourceARN"] == world.stream_arn

    def closed() -> bool:
        world.server.call(lambda: clock.tick(timedelta(seconds=60)))
        return seen()[-1] == ("09:01:00Z", 0, 1, True)

    world.wait_for(closed)


def test_a_filter_lets_only_its_records_through(world: World) -> None:
    pattern = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"colour": {"S": [{"prefix": "re"}]}}}}
    world.map(FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]})
    world.put("a", colour="red")
    world.put("b", colour="blue")
    world.put("c")
    world.put("d", colour="reddish")
    world.wait_for(lambda: sum(map(len, world.batches())) == 2)
    assert [key for batch in world.batches() for key in batch] == ["a", "d"]


def test_a_failing_batch_is_tried_again_and_then_given_up_with_aws_message(manual_world: World) -> None:
    world = manual_world
    world.put("a", **{"raise": "yes"})
    world.put("b")
    made = world.map(MaximumRetryAttempts=1, DestinationConfig=ON_FAILURE)
    world.failed(1)
    told = world.told()
    assert world.batches() == [["a", "b"], ["a", "b"]]
    assert set(told) == {"requestContext", "responseContext", "version", "timestamp", "DDBStreamBatchInfo"}
    context, information = told["requestContext"], told["DDBStreamBatchInfo"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RetryAttemptsExhausted", 2)
    assert context["functionArn"] == made["FunctionArn"]
    assert told["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert (information["batchSize"], information["streamArn"]) == (2, world.stream_arn)
    assert information["approximateArrivalOfFirstRecord"] == "2030-01-01T09:00:00.000Z"
    world.put("c")
    world.wait_for(lambda: world.batches()[-1] == ["c"])


def test_a_bisected_batch_leaves_only_the_bad_record_behind(manual_world: World) -> None:
    world = manual_world
    world.put("a", "b")
    world.put("c", **{"raise": "yes"})
    world.put("d")
    world.map(MaximumRetryAttempts=0, BisectBatchOnFunctionError=True, DestinationConfig=ON_FAILURE)
    told = world.told()
    assert (told["DDBStreamBatchInfo"]["batchSize"], told["requestContext"]["approximateInvokeCount"]) == (1, 1)
    world.wait_for(lambda: world.batches()[-1] == ["d"])
    assert world.batches() == [["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["c"], ["d"]]


def test_a_partial_answer_tries_again_from_the_record_it_names(manual_world: World) -> None:
    world = manual_world
    world.put("a", "b")
    world.put("c", report="yes")
    world.put("d")
    world.map(MaximumRetryAttempts=1, FunctionResponseTypes=["ReportBatchItemFailures"], DestinationConfig=ON_FAILURE)
    world.failed(1)
    told = world.told()
    assert world.batches() == [["a", "b", "c", "d"], ["c", "d"]]
    assert told["responseContext"]["functionError"] is None
    assert told["DDBStreamBatchInfo"]["batchSize"] == 2


def test_records_that_are_too_old_are_told_of_without_an_answer(manual_world: World) -> None:
    world = manual_world
    world.put("a")
    assert world.clock is not None
    clock = world.clock
    world.server.call(lambda: clock.tick(timedelta(minutes=5)))
    world.put("b")
    world.map(MaximumRecordAgeInSeconds=60, DestinationConfig=ON_FAILURE)
    told = world.told()
    assert told["requestContext"]["condition"] == "RecordAgeExceeded"
    assert "responseContext" not in told
    world.wait_for(world.batches)
    assert world.batches() == [["b"]]


def test_a_topic_is_told_by_a_schedule_for_now(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    topic = "arn:aws:sns:eu-central-1:000000000000:failures"
    forwarding = Forwarding(services={"sns": "http://127.0.0.1:9"})  # nobody is there: the schedule stays
    world = World(start_server(forwarding=forwarding), tmp_path).make()
    world.put("a", **{"raise": "yes"})
    world.map(MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": topic}})
    scheduler = world.server.client("scheduler")

    def names() -> list[str]:
        return [schedule["Name"] for schedule in scheduler.list_schedules()["Schedules"]]

    world.wait_for(names)
    (name,) = names()
    shown = scheduler.get_schedule(Name=name, GroupName="duestream-lambda-destinations")["Target"]
    assert shown["Arn"] == "arn:aws:scheduler:::aws-sdk:sns:publish"
    request = json.loads(shown["Input"])
    assert request["TopicArn"] == topic
    assert json.loads(request["Message"])["requestContext"]["condition"] == "RetryAttemptsExhausted"


def test_a_topic_that_nobody_can_tell_is_refused(world: World) -> None:
    topic = "arn:aws:sns:eu-central-1:000000000000:failures"
    with pytest.raises(world.lambdas.exceptions.InvalidParameterValueException, match="sns:publish are not delivered"):
        world.map(DestinationConfig={"OnFailure": {"Destination": topic}})


def test_lanes_share_the_records_and_keep_each_items_order(world: World) -> None:
    keys = [f"k{number}" for number in range(8)]
    for turn in range(3):
        world.put(*keys, turn=str(turn))
    world.map(ParallelizationFactor=4, BatchSize=3)
    world.wait_for(lambda: sum(map(len, world.batches())) == 24)
    turns: dict[str, list[str]] = {}
    for event in world.events():
        image = event["dynamodb"]["NewImage"]
        turns.setdefault(image["PK"]["S"], []).append(image["turn"]["S"])
    assert turns == {key: ["0", "1", "2"] for key in keys}


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (4, 2)])
def test_other_lanes_than_before_lose_nothing(world: World, before: int, after: int) -> None:
    keys = [f"k{number:02}" for number in range(40)]
    uuid = world.map(ParallelizationFactor=before, BatchSize=1)["UUID"]
    world.put(*keys[:20])
    world.lambdas.update_event_source_mapping(UUID=uuid, ParallelizationFactor=after)
    world.put(*keys[20:])
    world.wait_for(lambda: {key for batch in world.batches() for key in batch} == set(keys))


def test_a_restart_goes_on_where_it_stood(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    first = World(start_server(data=tmp_path / "data"), tmp_path).make()
    first.map()
    first.put("a")
    first.wait_for(lambda: first.batches() == [["a"]])
    first.server.run(first.server.local.stop())
    again = World(start_server(data=tmp_path / "data"), tmp_path)
    again.put("b")
    again.wait_for(lambda: len(again.batches()) > 1)
    assert again.batches() == [["a"], ["b"]]


def test_a_queues_messages_are_handed_over_and_those_that_fail_come_again(manual_world: World) -> None:
    world = manual_world
    url = world.sqs.create_queue(QueueName="source")["QueueUrl"]
    world.lambdas.create_event_source_mapping(
        FunctionName="noting", EventSourceArn=f"{PREFIX}:source", FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    world.sqs.send_message_batch(
        QueueUrl=url,
        Entries=[{"Id": body, "MessageBody": body} for body in ("good", "bad", "better")],
    )
    world.wait_for(lambda: world.notes.exists() and len(world.events()) == 3)
    (message, *_) = world.events()
    assert (message["body"], message["eventSource"], message["eventSourceARN"]) == (
        "good",
        "aws:sqs",
        f"{PREFIX}:source",
    )
    assert message["attributes"]["ApproximateReceiveCount"] == "1"
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def left() -> list[str]:
        answer = world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
        return [answer[name] for name in counts]

    world.wait_for(lambda: left() == ["0", "1"])
    assert world.clock is not None
    clock = world.clock
    world.server.call(lambda: clock.tick(timedelta(seconds=31)))
    world.wait_for(lambda: len(world.events()) == 4)
    assert world.events()[-1]["body"] == "bad"
    assert world.events()[-1]["attributes"]["ApproximateReceiveCount"] == "2"
