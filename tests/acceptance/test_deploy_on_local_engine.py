"""The very bundle that is deployed to AWS, run by our own engine as Lambda functions: the two engines as one.

The server has no rule file: what follows the items are functions from the bundle, fed by an event source mapping, and
they keep their schedules in the server's own Scheduler.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Up
from tests.acceptance.elsewhere import RUNTIME

from duestream.aws.stack.bundle import bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

APP = """
import os

import boto3

import duestream
from duestream import App, DeleteItem, Email, QueueMessage

# Whoever imports this in a function must have it from the bundle, not from what is installed here.
assert duestream.__file__.startswith(os.environ.get("LAMBDA_TASK_ROOT", "/")), duestream.__file__

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK", sort_key="SK")


@appointments.rule("REMINDER_TIMESTAMP")
def reminder(item) -> list:
    return [
        QueueMessage("reminders", {"pk": item["PK"]}),
        Email(source="clinic@example.com", to=item["email"], subject="Time", text=item["PK"]),
    ]


@appointments.rule("CALL_AT", guarded=True)
def call(item) -> QueueMessage:
    return QueueMessage("reminders", {"pk": "call " + item["PK"]})


@appointments.when_due("ENDS_AT")
def review(item, due):
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="reminders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody='{"pk": "review ' + item["PK"] + item["WORDS"] + '"}')


appointments.rule("EXPIRES_AT", DeleteItem())
"""
ROLE = "arn:aws:iam::000000000000:role/any"
ACCOUNT = "000000000000"
FAR = "2035-01-01T09:00:00Z"
#: `clinic-when-due` is the name of the engine's own runner of rules' functions.
DUE_FUNCTION = "clinic-due"


def install(running: Up, folder: Path) -> None:
    """What the stack would make, by the services' own operations."""
    (folder / "clinic.py").write_text(APP)
    code = bundle(folder / "clinic.py")
    dynamodb, sqs, lambda_ = running.client("dynamodb"), running.client("sqs"), running.client("lambda")
    dynamodb.create_table(
        TableName="Appointment-Table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    dynamodb.create_table(
        TableName="clinic-deliveries",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    urls = {
        name: sqs.create_queue(QueueName=name)["QueueUrl"]
        for name in ("reminders", "clinic-dead-letters", "clinic-stream-dead-letters")
    }
    running.client("scheduler").create_schedule_group(Name="clinic")
    environment = {
        "DUESTREAM_APP": "clinic:app",
        "DUESTREAM_ACCOUNT_ID": ACCOUNT,
        "DUESTREAM_EXECUTION_ROLE_ARN": ROLE,
        "DUESTREAM_STREAM_DEAD_LETTER_QUEUE_URL": urls["clinic-stream-dead-letters"],
        "DUESTREAM_DELIVERIES_TABLE": "clinic-deliveries",
        "DUESTREAM_WHEN_DUE_FUNCTION_ARN": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{DUE_FUNCTION}",
    }
    for name, handler in (
        ("clinic-stream", "duestream.aws.handler.handle"),
        (DUE_FUNCTION, "duestream.aws.due.handle"),
    ):
        lambda_.create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Role=ROLE,
            Handler=handler,
            Code={"ZipFile": code},
            Timeout=60,
            MemorySize=1024,
            Environment={"Variables": environment},
        )
    lambda_.create_event_source_mapping(
        EventSourceArn=dynamodb.describe_table(TableName="Appointment-Table")["Table"]["LatestStreamArn"],
        FunctionName="clinic-stream",
        StartingPosition="TRIM_HORIZON",
        BatchSize=100,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )


def soon() -> str:
    return (datetime.now(UTC) + timedelta(seconds=6)).isoformat()  # noqa: TID251 - the server's clock is the machine's


def item(pk: str, **values: str) -> dict[str, Any]:
    text = {"PK": pk, "SK": "1", "email": f"{pk}@example.com", "WORDS": "", **values}
    return {name: {"S": value} for name, value in text.items()}


def test_the_bundle_follows_items_on_our_own_engine(up: Callable[..., Up], tmp_path: Path) -> None:
    running = up(None)
    install(running, tmp_path)
    dynamodb, scheduler, sqs = running.client("dynamodb"), running.client("scheduler"), running.client("sqs")
    url = sqs.get_queue_url(QueueName="reminders")["QueueUrl"]
    came: Counter[str] = Counter()

    def put(pk: str, **values: str) -> None:
        dynamodb.put_item(TableName="Appointment-Table", Item=item(pk, **values))

    def names() -> list[str]:
        return sorted(one["Name"] for one in scheduler.list_schedules(GroupName="clinic")["Schedules"])

    def received() -> Counter[str]:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                came[json.loads(message["Body"])["pk"]] += 1
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return came

    for pk in ("moved", "deleted"):
        put(pk, REMINDER_TIMESTAMP=FAR)
    put("guarded", CALL_AT=FAR)
    put("reviewed", ENDS_AT=FAR)
    put("expiring", EXPIRES_AT=FAR)
    put("unreadable", REMINDER_TIMESTAMP="tomorrow")
    running.wait_for(lambda: len(names()) == 7, 90)

    for number in range(10):
        put(f"p{number}", REMINDER_TIMESTAMP=soon())
    put("moved", REMINDER_TIMESTAMP="2036-02-03T04:05:06Z")
    dynamodb.delete_item(TableName="Appointment-Table", Key={"PK": {"S": "deleted"}, "SK": {"S": "1"}})
    put("guarded", CALL_AT=soon())
    put("reviewed", ENDS_AT=soon(), WORDS=" as it is")
    put("expiring", EXPIRES_AT=soon())

    running.wait_for(lambda: len(received()) == 12 and len(names()) == 2, 90)
    running.wait_for(lambda: len(running.emails()) == 10, 60)
    expected = {f"p{number}" for number in range(10)} | {"call guarded", "review reviewed as it is"}
    assert came == Counter(expected)
    assert Counter(email["Body"]["text_part"] for email in running.emails()) == Counter(
        f"p{number}" for number in range(10)
    )
    running.wait_for(
        lambda: (
            "Item"
            not in dynamodb.get_item(TableName="Appointment-Table", Key={"PK": {"S": "expiring"}, "SK": {"S": "1"}})
        )
    )
    moved = [scheduler.get_schedule(GroupName="clinic", Name=name)["ScheduleExpression"] for name in names()]
    assert moved == ["at(2036-02-03T04:05:06)"] * 2
    letters = sqs.get_queue_url(QueueName="clinic-stream-dead-letters")["QueueUrl"]
    letter = running.wait_for(lambda: sqs.receive_message(QueueUrl=letters, WaitTimeSeconds=1).get("Messages"))
    assert "tomorrow" in letter[0]["Body"]
