"""The services that moto carries out for us, seen with boto3 at our one endpoint: moto's server is really started."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import REGION, START, RunningServer

from duestream.clock import ManualClock
from duestream.core.forwarding import MOTO, Forwarding
from duestream.local.store import outcomes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROLE = "arn:aws:iam::000000000000:role/any"
WAIT_SECONDS = 20
#: Says in a queue of ours that it was here, with its input.
DEFINITION = {
    "StartAt": "Tell",
    "States": {
        "Tell": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage",
            "Parameters": {"QueueUrl": "", "MessageBody.$": "$"},
            "ResultPath": None,
            "End": True,
        }
    },
}


@pytest.fixture
def server(start_server: Callable[..., RunningServer], clock: ManualClock) -> RunningServer:
    return start_server(clock=clock, forwarding=Forwarding(MOTO))


@pytest.fixture
def told(server: RunningServer) -> Iterator[Callable[[], Any]]:
    """What state machines told: one message at a time."""
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]

    def one() -> Any:
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=WAIT_SECONDS)["Messages"]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(message["Body"])

    yield one
    sqs.close()


def _make_machine(server: RunningServer) -> str:
    url = server.client("sqs").get_queue_url(QueueName="told")["QueueUrl"]
    definition = json.loads(json.dumps(DEFINITION))
    definition["States"]["Tell"]["Parameters"]["QueueUrl"] = url
    made = server.client("stepfunctions").create_state_machine(
        name="renewal", definition=json.dumps(definition), roleArn=ROLE
    )
    return str(made["stateMachineArn"])


def _schedule(server: RunningServer, name: str, target_arn: str, text: str, **more: Any) -> None:
    server.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression=f"at({START + timedelta(minutes=3):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": target_arn, "RoleArn": ROLE, "Input": text, **more},
    )


def _ended(states: Any, execution_arn: str) -> dict[str, Any]:
    """moto ends an execution in a thread of its own, soon after its last task."""
    _until(lambda: states.describe_execution(executionArn=execution_arn)["status"] != "RUNNING")
    described: dict[str, Any] = states.describe_execution(executionArn=execution_arn)
    return described


def test_a_state_machine_starts_at_its_time_with_the_item_as_input(
    server: RunningServer, clock: ManualClock, told: Callable[[], Any]
) -> None:
    machine = _make_machine(server)
    assert machine == f"arn:aws:states:{REGION}:000000000000:stateMachine:renewal"
    item = {"PK": "customer-1", "RENEWS_AT": "2030-01-01T09:03:00"}
    _schedule(server, "s", machine, json.dumps(item))
    states = server.client("stepfunctions")

    server.call(lambda: clock.tick(timedelta(minutes=2, seconds=59)))
    assert states.list_executions(stateMachineArn=machine)["executions"] == []
    server.call(lambda: clock.tick(timedelta(seconds=1)))
    assert told() == item

    (execution,) = states.list_executions(stateMachineArn=machine)["executions"]
    described = _ended(states, execution["executionArn"])
    assert described["status"] == "SUCCEEDED"
    assert json.loads(described["input"]) == item
    history = states.get_execution_history(executionArn=execution["executionArn"])["events"]
    assert (history[0]["type"], history[-1]["type"]) == ("ExecutionStarted", "ExecutionSucceeded")


def test_executions_can_be_started_by_hand_and_need_no_name(server: RunningServer, told: Callable[[], Any]) -> None:
    machine = _make_machine(server)
    states = server.client("stepfunctions")
    arns = {states.start_execution(stateMachineArn=machine, input=f'{{"n": {n}}}')["executionArn"] for n in (1, 2)}
    assert len(arns) == 2
    assert {told()["n"], told()["n"]} == {1, 2}


def test_notifications_and_events_go_out_at_their_time(server: RunningServer, clock: ManualClock) -> None:
    topic = server.client("sns").create_topic(Name="news")["TopicArn"]
    events = server.client("events")
    bus = events.create_event_bus(Name="clinic")["EventBusArn"]
    events.create_archive(ArchiveName="all", EventSourceArn=bus)
    _schedule(server, "news", topic, "it is time")
    _schedule(server, "event", bus, "{}", EventBridgeParameters={"Source": "clinic", "DetailType": "due"})

    server.call(lambda: clock.tick(timedelta(minutes=3)))
    for name in ("news", "event"):
        _until(lambda name=name: _outcomes(server, name) == ["delivered"])  # type: ignore[misc]
    assert events.describe_archive(ArchiveName="all")["EventCount"] == 1


def _outcomes(server: RunningServer, name: str) -> list[str]:
    """How the schedule's deliveries ended."""
    reader = server.local.store.reader
    return server.call(lambda: [outcome.kind for outcome in outcomes.outcomes_of(reader, "default", name)])


def _until(holds: Callable[[], bool]) -> None:
    """Ask until it holds: the processes that are asked have nothing to wait on."""
    deadline, pause = time.monotonic() + WAIT_SECONDS, threading.Event()
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        pause.wait(0.02)


def test_moto_is_started_by_the_first_that_needs_it_and_ends_with_us(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "duestream.cli", "up", "--port", "0", "--data", str(tmp_path), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"DUESTREAM_FORWARD": "moto"}
    ) as up:
        assert up.stdout is not None
        url = up.stdout.readline().split()[-1]
        up.stdout.readline()
        request = urllib.request.Request(f"{url}/", b"Action=ListTopics&Version=2010-03-31")
        scope = f"Credential=a/20300101/{REGION}/sns/aws4_request"
        request.add_header("Authorization", f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert b"ListTopicsResponse" in answer.read()
        started = json.loads(up.stdout.readline())
        assert started["action"] == "moto"
        up.send_signal(signal.SIGKILL)
        up.wait()
    _until(lambda: not _answers(started["url"]))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5):
            return True
    except OSError:
        return False
