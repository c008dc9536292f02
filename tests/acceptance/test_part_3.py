"""Part 3 of the series, by hand with the AWS CLI, against `duestream up`."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import BIN, EXAMPLES, Up

pytestmark = pytest.mark.slow

RULES = """
from duestream import App, Email, QueueMessage

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK", sort_key="SK")


@appointments.rule("REMINDER_TIMESTAMP")
def reminder(item):
    return Email(source="clinic@example.com", to=item["email"],
                 subject="Time for your appointment", text=f"You have a reminder, {item['PK']}")


@appointments.rule("STARTS_AT")
def started(item):
    return QueueMessage("started", {"pk": item["PK"]})
"""

ITEM = {
    "SK": {"S": "StaticSK"},
    "email": {"S": "abc@example.com"},
    "ATTR_1": {"S": "This is a static attribute"},
}


def _ahead(seconds: float) -> str:
    """As part 3 writes it: UTC, whole seconds, no zone."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")  # noqa: TID251


def _rules(tmp_path: Path) -> Path:
    path = tmp_path / "appointments.py"
    path.write_text(RULES)
    return path


def _put(aws: Callable[..., Any], running: Up, key: str, **attributes: str) -> None:
    item = {**ITEM, "PK": {"S": key}, **{name: {"S": value} for name, value in attributes.items()}}
    aws(running, "dynamodb", "put-item", "--table-name", "Appointment-Table", "--item", json.dumps(item))


def _texts(running: Up) -> list[str]:
    return sorted(message["Body"]["text_part"] for message in running.emails())


def test_part_3_by_hand_with_the_aws_cli(tmp_path: Path, up: Callable[..., Up], aws: Callable[..., Any]) -> None:
    empty = up(None, data=tmp_path / "data")
    aws(
        empty, "dynamodb", "create-table", "--table-name", "Appointment-Table",
        "--attribute-definitions", "AttributeName=PK,AttributeType=S", "AttributeName=SK,AttributeType=S",
        "--key-schema", "AttributeName=PK,KeyType=HASH", "AttributeName=SK,KeyType=RANGE",
        "--billing-mode", "PAY_PER_REQUEST",
        "--stream-specification", "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES",
    )  # fmt: skip
    described = aws(empty, "dynamodb", "describe-table", "--table-name", "Appointment-Table")["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert empty.stop() == 0

    running = up(_rules(tmp_path), data=tmp_path / "data")
    began = time.monotonic()
    queue_url = aws(running, "sqs", "create-queue", "--queue-name", "started")["QueueUrl"]
    call_seconds = time.monotonic() - began
    due = _ahead(3 + 14 * call_seconds)  # ten calls come before it, however slow this machine's CLI is
    for key in ("1", "2", "moved", "deleted"):
        _put(aws, running, key, REMINDER_TIMESTAMP=due)
    _put(aws, running, "queued", STARTS_AT=_ahead(1))
    _put(aws, running, "without")
    listed = aws(running, "scheduler", "list-schedules", "--group-name", "clinic", "--name-prefix", "reminder-")
    assert len(listed["Schedules"]) == 4
    assert {schedule["Target"]["Arn"] for schedule in listed["Schedules"]} == {
        "arn:aws:scheduler:::aws-sdk:ses:sendEmail"
    }
    shown = aws(
        running, "scheduler", "get-schedule", "--group-name", "clinic", "--name", listed["Schedules"][0]["Name"]
    )
    assert shown["ScheduleExpression"] == f"at({due})"
    key = json.dumps({"PK": {"S": "deleted"}, "SK": {"S": "StaticSK"}})
    aws(running, "dynamodb", "delete-item", "--table-name", "Appointment-Table", "--key", key)
    moved_to = datetime.fromisoformat(due) + timedelta(seconds=2)
    aws(
        running, "dynamodb", "update-item", "--table-name", "Appointment-Table",
        "--key", json.dumps({"PK": {"S": "moved"}, "SK": {"S": "StaticSK"}}),
        "--update-expression", "SET REMINDER_TIMESTAMP = :t",
        "--expression-attribute-values", json.dumps({":t": {"S": moved_to.isoformat()}}),
    )  # fmt: skip

    messages = aws(running, "sqs", "receive-message", "--queue-url", queue_url, "--wait-time-seconds", "20")
    assert json.loads(messages["Messages"][0]["Body"]) == {"pk": "queued"}

    running.wait_for(lambda: len(running.emails()) >= 3, 120)
    assert _texts(running) == [f"You have a reminder, {key}" for key in ("1", "2", "moved")]
    for message in running.emails():
        wanted = moved_to if message["Body"]["text_part"].endswith("moved") else datetime.fromisoformat(due)
        sent_at = datetime.fromisoformat(message["Timestamp"]).replace(tzinfo=None)
        assert wanted <= sent_at, "never early"
        assert message["Destination"]["ToAddresses"] == ["abc@example.com"]
        assert message["Source"] == "clinic@example.com"
    assert aws(running, "scheduler", "list-schedules", "--group-name", "clinic")["Schedules"] == []
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


def test_the_example_of_part_3_runs_with_its_script(tmp_path: Path, up: Callable[..., Up]) -> None:
    running = up(EXAMPLES / "appointments.py")
    environ = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": running.endpoint_url,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "SECONDS_AHEAD": "3",
    }
    done = subprocess.run(["sh", str(EXAMPLES / "appointments.sh")], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    running.wait_for(lambda: len(running.emails()) == 10)
    assert {message["Subject"] for message in running.emails()} == {"Time for your appointment"}


def test_the_example_of_part_1_deletes_items_when_they_expire(up: Callable[..., Up]) -> None:
    running = up(EXAMPLES / "expiring.py")
    dynamodb = running.client("dynamodb")
    (table_name,) = dynamodb.list_tables()["TableNames"]
    schema = dynamodb.describe_table(TableName=table_name)["Table"]["KeySchema"]
    soon = int(datetime.now(UTC).timestamp()) + 2  # noqa: TID251
    for number, ttl in enumerate([soon, soon, soon + 3600]):
        key = {element["AttributeName"]: {"S": f"{number}"} for element in schema}
        dynamodb.put_item(TableName=table_name, Item={**key, "ttl": {"N": str(ttl)}})
    assert dynamodb.scan(TableName=table_name)["Count"] == 3
    running.wait_for(lambda: dynamodb.scan(TableName=table_name)["Count"] == 1)
    (left,) = dynamodb.scan(TableName=table_name)["Items"]
    assert left["ttl"]["N"] == str(soon + 3600)
