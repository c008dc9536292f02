"""Part 3 of the series as it was published: a function of Node.js on the stream that creates schedules by AWS's SDK.

And the same tour with a handler in Python. Both with the AWS CLI against `duestream up`.
"""

import json
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Up, pause

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROLE = "arn:aws:iam::000000000000:role/scheduler"
TABLE = "Appointment-Table"
#: In the manner of the post's function, with its fault of reading `record.dynamodb.email` mended.
NODE = """
import { SchedulerClient, CreateScheduleCommand } from "@aws-sdk/client-scheduler";

const client = new SchedulerClient({});

export const handler = async (event) => {
  for (const record of event.Records) {
    if (record.eventName !== "INSERT") continue;
    const image = record.dynamodb.NewImage;
    await client.send(new CreateScheduleCommand({
      Name: record.eventID,
      ClientToken: record.dynamodb.SequenceNumber,
      ScheduleExpression: `at(${image.REMINDER_TIMESTAMP.S})`,
      FlexibleTimeWindow: { Mode: "OFF" },
      ActionAfterCompletion: "DELETE",
      Target: {
        Arn: "arn:aws:scheduler:::aws-sdk:ses:sendEmail",
        RoleArn: process.env.SCHEDULER_ROLE_ARN,
        DeadLetterConfig: { Arn: process.env.DLQ_ARN },
        Input: JSON.stringify({
          Destination: { ToAddresses: [image.email.S] },
          Message: {
            Subject: { Data: "Time for your appointment" },
            Body: { Text: { Data: "You have a reminder" } },
          },
          Source: "clinic@example.com",
        }),
      },
    }));
  }
  return { statusCode: 200 };
};
"""
PYTHON = """
import json, os
import boto3

scheduler = boto3.client("scheduler")

def handler(event, context):
    for record in event["Records"]:
        if record["eventName"] != "INSERT":
            continue
        image = record["dynamodb"]["NewImage"]
        request = {
            "Destination": {"ToAddresses": [image["email"]["S"]]},
            "Message": {"Subject": {"Data": "Time"}, "Body": {"Text": {"Data": "You have a reminder"}}},
            "Source": "clinic@example.com",
        }
        scheduler.create_schedule(
            Name=record["eventID"],
            ClientToken=record["dynamodb"]["SequenceNumber"],
            ScheduleExpression=f"at({image['REMINDER_TIMESTAMP']['S']})",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={
                "Arn": "arn:aws:scheduler:::aws-sdk:ses:sendEmail",
                "RoleArn": os.environ["SCHEDULER_ROLE_ARN"],
                "Input": json.dumps(request),
            },
        )
"""

#: Answers its own process and one that it started and left behind.
STARTING = """
import os, subprocess

def handler(event, context):
    return [os.getpid(), subprocess.Popen(["sleep", "600"]).pid]
"""


def play(running: Up, aws: Callable[..., Any], folder: Path, file_name: str, code: str, runtime: str) -> None:
    """The post's steps: a table with a stream, a function, a mapping, items, and the emails arrive."""
    package = folder / "function.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(file_name, code)
    aws(
        running, "dynamodb", "create-table", "--table-name", TABLE, "--billing-mode", "PAY_PER_REQUEST",
        "--attribute-definitions", "AttributeName=PK,AttributeType=S", "AttributeName=SK,AttributeType=S",
        "--key-schema", "AttributeName=PK,KeyType=HASH", "AttributeName=SK,KeyType=RANGE",
        "--stream-specification", "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES",
    )  # fmt: skip
    for queue in ("stream-dlq", "schedule-dlq"):
        aws(running, "sqs", "create-queue", "--queue-name", queue)
    queue_arn = "arn:aws:sqs:us-east-1:000000000000:schedule-dlq"
    variables = json.dumps({"Variables": {"SCHEDULER_ROLE_ARN": ROLE, "DLQ_ARN": queue_arn}})
    made = aws(
        running, "lambda", "create-function", "--function-name", "DDBStreamTriggerEventScheduler",
        "--runtime", runtime, "--handler", "index.handler", "--role", ROLE, "--timeout", "60",
        "--memory-size", "512", "--zip-file", f"fileb://{package}", "--environment", variables,
    )  # fmt: skip
    assert made["State"] == "Pending"
    aws(running, "lambda", "wait", "function-active-v2", "--function-name", "DDBStreamTriggerEventScheduler")
    stream_arn = aws(running, "dynamodb", "describe-table", "--table-name", TABLE)["Table"]["LatestStreamArn"]
    destination = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:stream-dlq"}}
    aws(
        running, "lambda", "create-event-source-mapping", "--function-name", "DDBStreamTriggerEventScheduler",
        "--event-source-arn", stream_arn, "--starting-position", "LATEST", "--maximum-retry-attempts", "3",
        "--destination-config", json.dumps(destination),
    )  # fmt: skip
    due = datetime.now(UTC) + timedelta(seconds=3)  # noqa: TID251 - a real server on the machine's clock
    for number in range(3):
        item = {
            "PK": {"S": f"patient-{number}"},
            "SK": {"S": "checkup"},
            "email": {"S": f"patient-{number}@example.com"},
            "REMINDER_TIMESTAMP": {"S": f"{due:%Y-%m-%dT%H:%M:%S}"},
        }
        aws(running, "dynamodb", "put-item", "--table-name", TABLE, "--item", json.dumps(item))
    emails = running.wait_for(lambda: len(found := running.emails()) == 3 and found, seconds=120)
    to = sorted(email["Destination"]["ToAddresses"][0] for email in emails)
    assert to == [f"patient-{number}@example.com" for number in range(3)]
    schedules = aws(running, "scheduler", "list-schedules")["Schedules"]
    assert schedules == []
    assert running.stop() == 0


def test_part_3_as_published_with_node_and_the_sdk_for_javascript(
    up: Callable[..., Up], aws: Callable[..., Any], tmp_path: Path, sdk: Path
) -> None:
    running = up(None, NODE_PATH=str(sdk))
    play(running, aws, tmp_path, "index.mjs", NODE, "nodejs20.x")


def test_the_same_with_a_handler_in_python(up: Callable[..., Up], aws: Callable[..., Any], tmp_path: Path) -> None:
    running = up(None)
    play(running, aws, tmp_path, "index.py", PYTHON, f"python{sys.version_info.major}.{sys.version_info.minor}")


def test_no_function_outlives_a_server_that_is_killed(
    up: Callable[..., Up], aws: Callable[..., Any], tmp_path: Path
) -> None:
    running = up(None)
    package = tmp_path / "function.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", STARTING)
    aws(
        running, "lambda", "create-function", "--function-name", "pid", "--runtime", "python3.12",
        "--handler", "index.handler", "--role", ROLE, "--zip-file", f"fileb://{package}",
    )  # fmt: skip
    answer = tmp_path / "answer"
    aws(running, "lambda", "invoke", "--function-name", "pid", str(answer))
    processes = [Path("/proc") / str(number) for number in json.loads(answer.read_text())]
    if not all(process.exists() for process in processes):
        pytest.skip("processes can only be looked up under /proc")
    running.kill()
    for _ in range(1000):
        if not any(is_alive(process) for process in processes):
            return
        pause()
    raise AssertionError("a process of the function's is still there")


def is_alive(process: Path) -> bool:
    try:
        return "zombie" not in (process / "status").read_text()
    except OSError:  # gone
        return False
