"""`duestream dead-letters` and `why` on implementations of AWS that others wrote, as a person uses them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.acceptance.elsewhere import REGION, RUNTIME, Elsewhere, ministack_in, moto_in

from duestream.core.schedule import schedule_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

APP = """
import boto3
from duestream import App, QueueMessage, Retry

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK")


@appointments.rule("REMINDER")
def reminder(item) -> QueueMessage:
    return QueueMessage("reminders", item["no such"] if "BROKEN" in item else item["PK"])


@appointments.when_due("ENDS_AT", retry=Retry(attempts=0))
def review(item, due):
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="reviews")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=item["PK"])
"""
SET = ("--set", f"runtime={RUNTIME}")
FAR = "2035-01-01T09:00:00Z"
WHERE = ("--app", "clinic.py")


def deployed_on(running: Elsewhere) -> Elsewhere:
    (running.folder / "clinic.py").write_text(APP)
    assert running.json("deploy", "clinic.py", *SET, "--yes")["result"] == "deployed"
    return running


@pytest.fixture
def ministack(tmp_path: Path) -> Iterator[Elsewhere]:
    with ministack_in(tmp_path) as running:
        yield deployed_on(running)


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[Elsewhere]:
    with moto_in(tmp_path) as running:
        yield deployed_on(running)


def items(running: Elsewhere) -> Any:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    resource = boto3.resource("dynamodb", endpoint_url=running.endpoint_url, region_name=REGION, **keys)
    return resource.Table("Appointment-Table")


def ago(length: timedelta) -> str:
    return (datetime.now(UTC) - length).isoformat()  # noqa: TID251 - a real clock elsewhere


def test_what_the_due_function_gave_up_arrives_when_it_is_redriven(ministack: Elsewhere) -> None:
    items(ministack).put_item(Item={"PK": "a", "ENDS_AT": ago(timedelta(minutes=1))})

    def listed() -> Any:
        return ministack.json("dead-letters", "list", "clinic.py")["letters"]

    (letter,) = ministack.wait_for(listed)
    assert (letter["rule"], letter["table"], letter["key"]) == ("review", "Appointment-Table", {"PK": {"S": "a"}})
    assert "NonExistentQueue" in letter["reason"]
    _, shown, _ = ministack.run("dead-letters", "show", letter["id"], *WHERE)
    assert "item              Appointment-Table PK=a" in shown
    why = ministack.json("why", "Appointment-Table", "a", *WHERE)
    said = " ".join(next(rule["says"] for rule in why["rules"] if rule["rule"] == "review"))
    assert "The due function gave it up after 1 attempt." in said
    assert f"Dead letter {letter['id']}" in said

    url = ministack.client("sqs").create_queue(QueueName="reviews")["QueueUrl"]
    code, told, errors = ministack.run("dead-letters", "redrive", letter["id"], *WHERE)
    assert (code, errors) == (0, "")
    assert told.splitlines()[-1] == "1 dead letter: 1 redriven"
    receive = ministack.client("sqs").receive_message
    (message,) = ministack.wait_for(lambda: receive(QueueUrl=url).get("Messages"))
    assert message["Body"] == "a"
    assert listed() == []


def test_a_record_that_the_deployed_rule_cannot_digest_is_planned_by_the_mended_one(ministack: Elsewhere) -> None:
    items(ministack).put_item(Item={"PK": "a", "REMINDER": FAR, "BROKEN": "yes"})
    (letter,) = ministack.wait_for(lambda: ministack.json("dead-letters", "list", "clinic.py")["letters"])
    assert (letter["kind"], letter["rule"], letter["key"]) == ("record", "reminder", {"PK": {"S": "a"}})
    assert "KeyError: 'no such'" in letter["reason"]
    (refused,) = ministack.json("dead-letters", "redrive", "--all", *WHERE, code=1)["results"]
    assert (refused["result"], "KeyError" in refused["reason"]) == ("refused", True)

    file = ministack.folder / "clinic.py"
    file.write_text(APP.replace('item["no such"]', '"mended"'))
    assert ministack.json("dead-letters", "redrive", "--all", *WHERE)["results"][0]["result"] == "redriven"
    name = schedule_name("Appointment-Table", "reminder", {"PK": {"S": "a"}})
    schedule = ministack.client("scheduler").get_schedule(GroupName="clinic", Name=name)
    assert (schedule["ScheduleExpression"], schedule["Target"]["Input"]) == ("at(2035-01-01T09:00:00)", "mended")
    assert schedule["Target"]["Arn"].endswith(":reminders")
    said = " ".join(ministack.json("why", "Appointment-Table", "a", *WHERE)["rules"][0]["says"])
    assert said.startswith("Will be delivered: due 2035-01-01T09:00:00Z")


def test_letters_are_listed_redriven_and_dropped_on_moto(moto: Elsewhere) -> None:
    sqs, scheduler = moto.client("sqs"), moto.client("scheduler")
    scheduler.create_schedule_group(Name="clinic")  # which its CloudFormation passes over
    url = sqs.get_queue_url(QueueName="clinic-dead-letters")["QueueUrl"]
    name = schedule_name("Appointment-Table", "reminder", {"PK": {"S": "a"}})
    attributes = {
        "ERROR_CODE": "AWS.SimpleQueueService.NonExistentQueue",
        "ERROR_MESSAGE": "The specified queue does not exist.",
        "RETRY_ATTEMPTS": "185",
        "SCHEDULED_TIME": "2030-01-01T09:00:00Z",
        "SCHEDULE_ARN": f"arn:aws:scheduler:{REGION}:123456789012:schedule/clinic/{name}",
        "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
    }
    body = json.dumps({"MessageBody": "a", "QueueUrl": f"arn:aws:sqs:{REGION}:123456789012:reminders"})
    told = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()}
    given_up = sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=told)["MessageId"]
    strange = sqs.send_message(QueueUrl=url, MessageBody="hello")["MessageId"]
    items(moto).put_item(Item={"PK": "a", "REMINDER": FAR})

    code, table, _ = moto.run("dead-letters", "list", "clinic.py")
    assert code == 0
    assert given_up in table
    assert table.splitlines()[-1] == "2 dead letters"
    assert [one["id"] for one in moto.json("dead-letters", "list", "clinic.py", "--kind", "message")["letters"]] == [
        strange
    ]
    said = moto.json("why", "Appointment-Table", "PK=a", *WHERE)["rules"][0]["says"]
    assert any(f"Dead letter {given_up}" in sentence for sentence in said)
    assert any("there is no schedule for it" in sentence for sentence in said)
    assert moto.json("why", "Appointment-Table", "PK=nobody", *WHERE, code=1)["known"] is False

    redriven = moto.json("dead-letters", "redrive", "--all", *WHERE, code=1)["results"]
    assert {one["id"]: one["result"] for one in redriven} == {given_up: "redriven", strange: "refused"}
    schedule = scheduler.get_schedule(GroupName="clinic", Name=name)
    request = json.loads(schedule["Target"]["Input"])
    assert request["MessageBody"] == "a"
    assert request["QueueUrl"].startswith("http"), "an ARN names no queue where a call does"
    assert request["QueueUrl"].endswith("/123456789012/reminders")
    assert "Redrives dead letter" in " ".join(moto.json("why", "Appointment-Table", "a", *WHERE)["rules"][0]["says"])
    assert moto.json("dead-letters", "drop", strange, *WHERE)["results"][0]["result"] == "dropped"
    assert moto.json("dead-letters", "list", "clinic.py")["letters"] == []


def test_what_is_meant_for_aws_asks_for_the_app(tmp_path: Path) -> None:
    with moto_in(tmp_path) as moto:
        code, _, errors = moto.run("dead-letters", "list", "--region", REGION)
        assert (code, "name it with --app" in errors) == (2, True)
        (moto.folder / "clinic.py").write_text(APP)
        code, _, errors = moto.run("dead-letters", "list", "clinic.py")
        assert (code, "there is no queue clinic-dead-letters" in errors) == (1, True)
