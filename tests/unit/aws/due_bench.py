"""A due function (and a sweep) of an app, over moto's services in this process and a clock that is moved by hand."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.session import get_session
from moto import mock_aws
from tests.unit.aws.moto_endpoint import moto_endpoint

from duestream.aws.carry_out import Carrier
from duestream.aws.deliveries import Deliveries
from duestream.aws.due import DueFunction, Ended
from duestream.aws.due_work import DueWork
from duestream.aws.given_up import Afterwards
from duestream.aws.http_out import HttpSender
from duestream.aws.item_calls import DynamoDbItems
from duestream.aws.json_calls import JsonCalls
from duestream.aws.sweep import SweepFunction, Swept
from duestream.aws.target_calls import TargetCalls
from duestream.aws.wire_items import to_boto3
from duestream.clock import ManualClock
from duestream.core.app import App
from duestream.core.attributes import marshal_item
from duestream.core.planner import schedule_dead_letter_queue
from duestream.core.schedule import Place, schedule_name

START = datetime(2030, 1, 1, 9, tzinfo=UTC)
PLACE = Place(account_id="123456789012")
REMAINING = timedelta(seconds=90)
ROLE_ARN = "arn:aws:iam::123456789012:role/execution"
DELIVERIES = "deliveries"
QUEUE_PREFIX = "https://sqs.us-east-1.amazonaws.com/123456789012/"


class RecordingFunctions:
    """Lambda, as far as the sweep function needs it: takes events, for a test to hand to the due function."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - AWS's
        assert InvocationType == "Event"
        assert FunctionName.endswith("-when-due")
        self.events.append(json.loads(Payload))
        return {"StatusCode": 202}


class Bench:
    """What a test sees of it."""

    def __init__(self, app: App, endpoint_url: str, carrier: Carrier | None = None) -> None:
        self.app, self.clock = app, ManualClock(START)
        self.dynamodb, self.sqs = _client("dynamodb"), _client("sqs")
        self.ses, self.scheduler = _client("ses"), _client("scheduler")
        self.lambda_arn = PLACE.arn("lambda", f"function:{app.name}-when-due")
        self._queues: dict[str, str] = {}
        self.lines: list[str] = []
        self._make()
        self.functions = RecordingFunctions()
        self.items = DynamoDbItems(get_session(), region=PLACE.region, endpoint_url=endpoint_url)
        self.calls = TargetCalls(
            PLACE.region,
            queue_url_prefix=QUEUE_PREFIX,
            own_queues=PLACE.arn("sqs", ""),
            make=self._client_in,
            make_queue_calls=lambda region: JsonCalls(
                get_session(), "sqs", region=region, endpoint_url=endpoint_url, connections=10
            ),
        )
        self.carrier = Carrier(self.calls, HttpSender()) if carrier is None else carrier
        self.deliveries = Deliveries(self.items, DELIVERIES)
        self.due_function = self.make_due_function()

    def make_due_function(self) -> DueFunction:
        """One more process of the due function."""
        afterwards = Afterwards(
            self.calls.client,
            app_name=self.app.name,
            execution_role_arn=ROLE_ARN,
            when_due_arn=self.lambda_arn,
            dead_letter_queue_arn=PLACE.arn("sqs", schedule_dead_letter_queue(self.app.name)),
            dead_letter_queue_url=QUEUE_PREFIX + schedule_dead_letter_queue(self.app.name),
        )
        return DueFunction(
            self.app,
            PLACE,
            items=self.items,
            deliveries=self.deliveries,
            carrier=self.carrier,
            afterwards=afterwards,
            function_arn=self.lambda_arn,
            clock=self.clock,
            jitter=lambda: 0.5,
        )

    def _client_in(self, service: str, region: str) -> Any:
        return self.functions if service == "lambda" else boto3.client(service, region_name=region)

    def sweep(self, rule: str, *, remaining: timedelta = timedelta(minutes=5), page_size: int | None = None) -> Swept:
        """One run of the sweep function for this rule."""
        (found,) = [one for one in self.app.rules if one.name == rule]
        event = {"Table": found.table.name, "Rule": rule}
        return self.make_sweep_function().run(event, remaining=remaining, page_size=page_size)

    def make_sweep_function(self) -> SweepFunction:
        return SweepFunction(
            self.app,
            PLACE,
            items=self.items,
            calls=self.calls,
            carrier=self.carrier,
            when_due_arn=self.lambda_arn,
            workers=4,
            clock=self.clock,
            tell=self.lines.append,
        )

    def _make(self) -> None:
        for table in self.app.tables:
            declared = table.declaration
            names = [name for name in (declared.partition_key, declared.sort_key) if name is not None]
            types = {declared.partition_key: declared.partition_key_type}
            if declared.sort_key is not None:
                types[declared.sort_key] = declared.sort_key_type
            indexes = []
            for rule in table.rules:
                if rule.via is not None:
                    types |= {rule.via.shard_attribute: "S", rule.attribute: rule.via.timestamp_type}
                    indexes.append(_index(rule.via.index, (rule.via.shard_attribute, rule.attribute)))
            self.dynamodb.create_table(
                TableName=table.name,
                KeySchema=_schema(names),
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
                BillingMode="PAY_PER_REQUEST",
                **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
            )
        self.dynamodb.create_table(
            TableName=DELIVERIES,
            KeySchema=_schema(["id"]),
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.scheduler.create_schedule_group(Name=self.app.name)
        self.make_queue(schedule_dead_letter_queue(self.app.name))

    def make_queue(self, name: str, **attributes: str) -> None:
        self._queues[name] = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def put(self, table: str, **values: Any) -> None:
        self.dynamodb.put_item(TableName=table, Item=to_boto3(marshal_item(values)))

    def item(self, table: str, **key: Any) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.dynamodb.get_item(TableName=table, Key=to_boto3(marshal_item(key))).get(
            "Item"
        )
        return found

    def delete(self, table: str, **key: Any) -> None:
        self.dynamodb.delete_item(TableName=table, Key=to_boto3(marshal_item(key)))

    def work(self, rule: str, due_at: datetime, *, target: int = 0, **key: Any) -> DueWork:
        """What the schedule of a rule for an item asks for."""
        (found,) = [one for one in self.app.rules if one.name == rule]
        wire = marshal_item(key)
        name = schedule_name(found.table.name, rule, wire, target)
        return DueWork(rule, found.table.name, wire, due_at, name, target)

    def invoke(
        self, work: DueWork | Mapping[str, Any], request_id: str = "request", remaining: timedelta = REMAINING
    ) -> Ended:
        event = work.lambda_event() if isinstance(work, DueWork) else work
        event = json.loads(json.dumps(event))
        return self.due_function.run(event, request_id=request_id, remaining=remaining)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """All there are, once."""
        found = []
        while batch := self.sqs.receive_message(
            QueueUrl=self._queues[queue], MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages", []):
            found += batch
            for message in batch:
                self.sqs.delete_message(QueueUrl=self._queues[queue], ReceiptHandle=message["ReceiptHandle"])
        return found

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters: attributes as texts, and the body."""
        return [
            {name: value["StringValue"] for name, value in one["MessageAttributes"].items()}
            | {"body": json.loads(one["Body"])}
            for one in self.messages(schedule_dead_letter_queue(self.app.name))
        ]

    def schedules(self) -> dict[str, dict[str, Any]]:
        """The app's, whole, by name."""
        listed = self.scheduler.list_schedules(GroupName=self.app.name)["Schedules"]
        return {one["Name"]: self.scheduler.get_schedule(GroupName=self.app.name, Name=one["Name"]) for one in listed}

    def next_retry(self) -> dict[str, Any]:
        """What the one retry schedule there is asks for; the clock is moved there, and the schedule is gone."""
        ((name, schedule),) = self.schedules().items()
        moment = datetime.fromisoformat(schedule["ScheduleExpression"][3:-1]).replace(tzinfo=UTC)
        self.clock.set(max(moment, self.clock.now()))
        self.scheduler.delete_schedule(GroupName=self.app.name, Name=name)
        event: dict[str, Any] = json.loads(schedule["Target"]["Input"])
        return event


@contextmanager
def bench(app: App, monkeypatch: pytest.MonkeyPatch, carrier: Carrier | None = None) -> Iterator[Bench]:
    """An app's due function in an account of its own."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with moto_endpoint() as endpoint_url, mock_aws():
        made = Bench(app, endpoint_url, carrier)
        try:
            yield made
        finally:
            made.carrier.close()


def _client(service: str) -> Any:
    return boto3.client(service, region_name=PLACE.region)


def _schema(names: list[str] | tuple[str, ...]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def _index(name: str, keys: tuple[str, str]) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _schema(keys), "Projection": {"ProjectionType": "KEYS_ONLY"}}
