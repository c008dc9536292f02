"""Dead letters by hand: the AWS CLI beside our own commands."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import BIN, Up

pytestmark = pytest.mark.slow


def duestream(running: Up, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = {**running.environ, "AWS_ENDPOINT_URL": running.endpoint_url}
    return subprocess.run([str(BIN / "duestream"), *arguments], env=environ, capture_output=True, text=True, timeout=90)


def test_a_schedule_made_with_the_aws_cli_is_redriven_out_of_the_queue_it_names(
    up: Callable[..., Up], aws: Callable[..., Any]
) -> None:
    running = up(None)
    aws(running, "sqs", "create-queue", "--queue-name", "given-up")
    target = {
        "Arn": "arn:aws:sqs:us-east-1:000000000000:orders",
        "RoleArn": "arn:aws:iam::000000000000:role/any",
        "Input": "hello",
        "RetryPolicy": {"MaximumRetryAttempts": 0},
        "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:given-up"},
    }
    schedule = ("--flexible-time-window", "Mode=OFF", "--schedule-expression", "at(2020-01-01T00:00:00)")
    made = ("--target", json.dumps(target), "--action-after-completion", "DELETE")
    aws(running, "scheduler", "create-schedule", "--name", "mine", *schedule, *made)

    def letters() -> Any:
        return json.loads(duestream(running, "dead-letters", "list", "--json").stdout)["letters"]

    (letter,) = running.wait_for(letters)
    assert (letter["schedule"], letter["queue"]) == ("default/mine", "given-up")
    queue_url = aws(running, "sqs", "create-queue", "--queue-name", "orders")["QueueUrl"]
    assert duestream(running, "dead-letters", "redrive", str(letter["id"])).returncode == 0

    def received() -> Any:
        return (aws(running, "sqs", "receive-message", "--queue-url", queue_url) or {}).get("Messages")

    (message,) = running.wait_for(received)
    assert message["Body"] == "hello"
    assert letters() == []


def test_message_move_tasks_with_the_aws_cli_and_in_the_query_protocol(
    up: Callable[..., Up], aws: Callable[..., Any], tmp_path: Path
) -> None:
    running = up(None)
    dead = aws(running, "sqs", "create-queue", "--queue-name", "dead")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:dead"
    policy = json.dumps({"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})})
    aws(running, "sqs", "create-queue", "--queue-name", "source", "--attributes", policy)
    other = aws(running, "sqs", "create-queue", "--queue-name", "other")["QueueUrl"]
    for number in range(3):
        aws(running, "sqs", "send-message", "--queue-url", dead, "--message-body", str(number))
    destination = ("--destination-arn", arn.replace("dead", "other"), "--max-number-of-messages-per-second", "1")
    handle = aws(running, "sqs", "start-message-move-task", "--source-arn", arn, *destination)["TaskHandle"]
    (task,) = aws(running, "sqs", "list-message-move-tasks", "--source-arn", arn)["Results"]
    assert (task["Status"], task["TaskHandle"], task["ApproximateNumberOfMessagesToMove"]) == ("RUNNING", handle, 3)
    cancelled = aws(running, "sqs", "cancel-message-move-task", "--task-handle", handle)
    assert cancelled["ApproximateNumberOfMessagesMoved"] <= 3
    counted = ("--attribute-names", "ApproximateNumberOfMessages")
    moved = aws(running, "sqs", "get-queue-attributes", "--queue-url", other, *counted)
    assert int(moved["Attributes"]["ApproximateNumberOfMessages"]) == cancelled["ApproximateNumberOfMessagesMoved"]

    form = urllib.parse.urlencode({"Action": "ListMessageMoveTasks", "Version": "2012-11-05", "SourceArn": arn})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = urllib.request.Request(f"{running.endpoint_url}/", form.encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    assert "<Status>CANCELLED</Status>" in text
    assert "<ListMessageMoveTasksResult>" in text
