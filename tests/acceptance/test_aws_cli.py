"""Operations of Scheduler, Lambda and Step Functions with the real AWS CLI against `duestream up`."""

import json
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Up

from duestream.local.operations import SERVICES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROLE = "arn:aws:iam::000000000000:role/any"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:reminders"
OFF = ("--flexible-time-window", "Mode=OFF")
START = datetime(2090, 1, 1, tzinfo=UTC)


@pytest.fixture
def running(up: Callable[..., Up]) -> Up:
    return up(None)


@pytest.fixture
def call(running: Up, aws: Callable[..., Any]) -> Callable[..., Any]:
    """Call, and remember the operation: `call("scheduler", "GetSchedule", "--name", "x")`."""

    def made(service: str, operation: str, *arguments: str) -> Any:
        called.add((service, operation))
        words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("-")
        return aws(running, service, words, *arguments)

    called: set[tuple[str, str]] = set()
    made.called = called  # type: ignore[attr-defined]  # kept for the test
    return made


def names(call: Any, service: str) -> set[str]:
    return {operation for of, operation in call.called if of == service}


def test_all_twelve_operations_of_scheduler(call: Callable[..., Any]) -> None:
    call("sqs", "CreateQueue", "--queue-name", "reminders")
    group = ("--group-name", "clinic")
    made = call("scheduler", "CreateScheduleGroup", "--name", "clinic", "--tags", "Key=team,Value=desk")
    arn = ("--resource-arn", made["ScheduleGroupArn"])
    assert call("scheduler", "GetScheduleGroup", "--name", "clinic")["State"] == "ACTIVE"
    listed = call("scheduler", "ListScheduleGroups", "--name-prefix", "cli", "--page-size", "1")
    assert [one["Name"] for one in listed["ScheduleGroups"]] == ["clinic"]
    call("scheduler", "TagResource", *arn, "--tags", "Key=room,Value=1")
    call("scheduler", "UntagResource", *arn, "--tag-keys", "team")
    assert call("scheduler", "ListTagsForResource", *arn)["Tags"] == [{"Key": "room", "Value": "1"}]

    target = ("--target", json.dumps({"Arn": QUEUE, "RoleArn": ROLE, "Input": "hello"}))
    for name in ("one", "two", "three"):
        when = ("--schedule-expression", "rate(2 hours)", "--start-date", "2090-01-01T00:00:00Z")
        call("scheduler", "CreateSchedule", "--name", name, *group, *when, *OFF, *target)
    shown = call("scheduler", "GetSchedule", "--name", "one", *group)
    assert shown["StartDate"] in (START.timestamp(), START.isoformat()), "as it was sent, or as the CLI 2 writes it"
    listed = call("scheduler", "ListSchedules", *group, "--page-size", "2")["Schedules"]
    assert sorted(one["Name"] for one in listed) == ["one", "three", "two"]
    due = datetime.now(UTC) + timedelta(seconds=1)  # noqa: TID251 - a real server on the machine's clock
    at = ("--schedule-expression", f"at({due:%Y-%m-%dT%H:%M:%S})")
    call("scheduler", "UpdateSchedule", "--name", "one", *group, *at, *OFF, *target)
    call("scheduler", "DeleteSchedule", "--name", "two", *group)
    url = call("sqs", "GetQueueUrl", "--queue-name", "reminders")["QueueUrl"]
    (message,) = call("sqs", "ReceiveMessage", "--queue-url", url, "--wait-time-seconds", "20")["Messages"]
    assert message["Body"] == "hello"
    call("scheduler", "DeleteScheduleGroup", "--name", "clinic")
    assert names(call, "scheduler") == set(SERVICES["scheduler"])


def test_functions_with_the_cli(call: Callable[..., Any], running: Up, tmp_path: Path) -> None:
    def package(text: str) -> tuple[str, str]:
        with zipfile.ZipFile(tmp_path / "function.zip", "w") as archive:
            archive.writestr("index.py", f"def handler(event, context):\n    return {text}\n")
        return "--zip-file", f"fileb://{tmp_path / 'function.zip'}"

    mine = ("--function-name", "mine")
    runtime = ("--runtime", f"python{sys.version_info.major}.{sys.version_info.minor}", "--handler", "index.handler")
    call("lambda", "CreateFunction", *mine, *runtime, "--role", ROLE, *package("event"))
    assert call("lambda", "ListFunctions")["Functions"][0]["FunctionName"] == "mine"
    answer = tmp_path / "answer"
    payload = ("--payload", '{"n": 1}', *(() if _is_version_1() else ("--cli-binary-format", "raw-in-base64-out")))
    assert call("lambda", "Invoke", *mine, *payload, str(answer))["StatusCode"] == 200
    assert json.loads(answer.read_text()) == {"n": 1}
    assert call("lambda", "Invoke", *mine, "--invocation-type", "DryRun", str(answer))["StatusCode"] == 204
    assert call("lambda", "Invoke", *mine, "--invocation-type", "Event", *payload, str(answer))["StatusCode"] == 202
    call("lambda", "UpdateFunctionCode", *mine, *package("'second'"))
    call("lambda", "UpdateFunctionConfiguration", *mine, "--timeout", "7")
    assert call("lambda", "GetFunction", *mine)["Configuration"]["Timeout"] == 7
    call("lambda", "Invoke", *mine, str(answer))
    assert json.loads(answer.read_text()) == "second"

    call("sqs", "CreateQueue", "--queue-name", "work")
    source = ("--event-source-arn", "arn:aws:sqs:us-east-1:000000000000:work")
    made = call("lambda", "CreateEventSourceMapping", *mine, *source, "--no-enabled")
    mapping = ("--uuid", made["UUID"])
    call("lambda", "UpdateEventSourceMapping", *mapping, "--batch-size", "3")
    assert call("lambda", "GetEventSourceMapping", *mapping)["BatchSize"] == 3
    listed = call("lambda", "ListEventSourceMappings", *mine)["EventSourceMappings"]
    assert [one["UUID"] for one in listed] == [made["UUID"]]
    call("lambda", "DeleteEventSourceMapping", *mapping)
    call("lambda", "DeleteFunction", *mine)
    assert call("lambda", "ListFunctions")["Functions"] == []
    assert running.stop() == 0


def _is_version_1() -> bool:
    """The AWS CLI 2 takes blobs in base64 unless told otherwise; version 1 does not know the option."""
    try:
        return version("awscli").startswith("1.")
    except PackageNotFoundError:
        return False


def test_a_state_machine_runs_at_its_time_and_its_history_is_read(call: Callable[..., Any], running: Up) -> None:
    pytest.importorskip("moto")
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}}
    created = call(
        "stepfunctions", "CreateStateMachine", "--name", "renewal", "--role-arn", ROLE,
        "--definition", json.dumps(definition),
    )  # fmt: skip
    machine = created["stateMachineArn"]
    assert call("stepfunctions", "DescribeStateMachine", "--state-machine-arn", machine)["status"] == "ACTIVE"
    due = datetime.now(UTC) + timedelta(seconds=1)  # noqa: TID251 - a real server on the machine's clock
    target = json.dumps({"Arn": machine, "RoleArn": ROLE, "Input": '{"PK": "customer-1"}'})
    call(
        "scheduler", "CreateSchedule", "--name", "renew", *OFF, "--target", target,
        "--schedule-expression", f"at({due:%Y-%m-%dT%H:%M:%S})",
    )  # fmt: skip
    listed = ("ListExecutions", "--state-machine-arn", machine, "--status-filter", "SUCCEEDED")
    (execution,) = running.wait_for(lambda: call("stepfunctions", *listed)["executions"], seconds=60)
    arn = ("--execution-arn", execution["executionArn"])
    assert json.loads(call("stepfunctions", "DescribeExecution", *arn)["input"]) == {"PK": "customer-1"}
    events = call("stepfunctions", "GetExecutionHistory", *arn)["events"]
    assert (events[0]["type"], events[-1]["type"]) == ("ExecutionStarted", "ExecutionSucceeded")
    started = call("stepfunctions", "StartExecution", "--state-machine-arn", machine, "--input", "{}")
    assert started["executionArn"].startswith(machine.replace("stateMachine", "execution"))
