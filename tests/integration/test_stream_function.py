"""The stream function's handler, as Lambda calls it, against the local server: signatures verified, calls carried out."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from tests.integration.conftest import REGION, RunningServer

from duestream.aws import handler
from duestream.aws.app_module import load_app

pytestmark = pytest.mark.slow

RULES = """
from duestream import App, QueueMessage

app = App("clinic")
appointments = app.table("Appointments", partition_key="PK")

@appointments.rule("AT")
def remind(item):
    return QueueMessage("reminders", item["PK"])
"""
KEYS = {"AKIDEXAMPLE": "a-secret"}


class Context:
    """Lambda's, with so much time left."""

    def __init__(self, seconds: int = 60) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return self._seconds * 1000


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    return start_server(credentials=KEYS)


@pytest.fixture
def clients(server: RunningServer) -> dict[str, Any]:
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "a-secret"}
    return {name: server.client(name, **keys) for name in ("scheduler", "sqs", "dynamodb", "dynamodbstreams")}


@pytest.fixture(autouse=True)
def environment(
    server: RunningServer, clients: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    (tmp_path / "clinic_rules.py").write_text(RULES)
    monkeypatch.syspath_prepend(str(tmp_path))
    clients["scheduler"].create_schedule_group(Name="clinic")
    queue_url = clients["sqs"].create_queue(QueueName="clinic-stream-dead-letters")["QueueUrl"]
    for name, value in {
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_REGION": REGION,
        "DUESTREAM_APP": "clinic_rules:app",
        "DUESTREAM_ACCOUNT_ID": "000000000000",
        "DUESTREAM_EXECUTION_ROLE_ARN": "arn:aws:iam::000000000000:role/clinic-schedules",
        "DUESTREAM_STREAM_DEAD_LETTER_QUEUE_URL": queue_url,
        "DUESTREAM_DELIVERIES_TABLE": "clinic-deliveries",
        "DUESTREAM_WHEN_DUE_FUNCTION_ARN": f"arn:aws:lambda:{REGION}:000000000000:function:clinic-when-due",
    }.items():
        monkeypatch.setenv(name, value)
    load_app.cache_clear()
    handler._function.cache_clear()
    yield
    handler._function.cache_clear()


def event(*changes: tuple[str, dict[str, Any] | None, dict[str, Any] | None]) -> dict[str, Any]:
    """A batch of (event name, old item, new item)."""

    def image(item: dict[str, Any]) -> dict[str, Any]:
        return {name: TypeSerializer().serialize(value) for name, value in item.items()}

    records = []
    for number, (event_name, old, new) in enumerate(changes, 1):
        change: dict[str, Any] = {"SequenceNumber": f"{number:021d}", "StreamViewType": "NEW_AND_OLD_IMAGES"}
        images = {"OldImage": old, "NewImage": new}
        change |= {name: image(item) for name, item in images.items() if item is not None}
        change["Keys"] = {"PK": image(new or old or {})["PK"]}
        arn = f"arn:aws:dynamodb:{REGION}:000000000000:table/Appointments/stream/2030-01-01T00:00:00.000"
        records.append({"eventName": event_name, "eventSourceARN": arn, "dynamodb": change})
    return {"Records": records}


def test_a_batch_is_planned_and_carried_out(clients: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    a, b = {"PK": "a", "AT": "2040-01-01T09:00:00Z"}, {"PK": "b", "AT": "2040-01-02T09:00:00Z"}
    batch = event(("INSERT", None, a), ("INSERT", None, b))
    assert handler.handle(batch, Context()) == {"batchItemFailures": []}
    assert handler.handle(batch, Context()) == {"batchItemFailures": []}
    moved = {**a, "AT": "2040-01-03T09:00:00Z"}
    assert handler.handle(event(("MODIFY", a, moved), ("REMOVE", b, None)), Context()) == {"batchItemFailures": []}
    (summary,) = clients["scheduler"].list_schedules(GroupName="clinic")["Schedules"]
    found = clients["scheduler"].get_schedule(GroupName="clinic", Name=summary["Name"])
    assert found["ScheduleExpression"] == "at(2040-01-03T09:00:00)"
    assert found["ActionAfterCompletion"] == "DELETE"
    assert found["Target"]["Input"] == "a"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [(line["Put"], line["Deleted"]) for line in lines] == [(2, 0), (2, 0), (1, 1)]


def test_a_record_of_no_use_is_in_the_queue(clients: dict[str, Any]) -> None:
    poison = {"PK": "a", "AT": "soon"}
    assert handler.handle(event(("INSERT", None, poison)), Context()) == {"batchItemFailures": []}
    queue_url = clients["sqs"].get_queue_url(QueueName="clinic-stream-dead-letters")["QueueUrl"]
    (message,) = clients["sqs"].receive_message(QueueUrl=queue_url)["Messages"]
    letter = json.loads(message["Body"])
    assert (letter["kind"], letter["record"]["keys"]) == ("unreadable timestamp", {"PK": {"S": "a"}})


def test_a_wrong_secret_reports_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    batch = event(("INSERT", None, {"PK": "a", "AT": "2040-01-01T09:00:00Z"}))
    assert handler.handle(batch, Context(1)) == {"batchItemFailures": [{"itemIdentifier": "000000000000000000001"}]}
