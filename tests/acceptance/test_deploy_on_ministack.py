"""An app's whole life on ministack, which others wrote: plan, deploy, items, status, logs, change, destroy, nothing left.

What it lacks, so that it is not shown here: universal targets of EventBridge Scheduler (so no email and no DeleteItem
arrives), Service Quotas, and metrics of what Scheduler and Lambda do.
"""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.acceptance.elsewhere import REGION, RUNTIME, Elsewhere, ministack_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

APP = """
import boto3
from duestream import App, QueueMessage

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK", sort_key="SK")


@appointments.rule("REMINDER_TIMESTAMP")
def reminder(item) -> QueueMessage | None:
    return None if item.get("CANCELLED") else QueueMessage("reminders", {"pk": item["PK"], "text": "TEXT"})


@appointments.when_due("ENDS_AT")
def review(item, due):
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="reminders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=f'{{"pk": "{item["PK"]}", "text": "{item["WORDS"]}"}}')
"""
SET = ("--set", f"runtime={RUNTIME}")
FAR = "2035-01-01T09:00:00Z"


@pytest.fixture
def ministack(tmp_path: Path) -> Iterator[Elsewhere]:
    with ministack_in(tmp_path) as running:
        yield running


def rule_file(running: Elsewhere, text: str = "see you") -> str:
    """The app's file, with the text that its reminders have."""
    (running.folder / "clinic.py").write_text(
        APP.replace("TEXT", text, 1).replace('"text": "TEXT"', f'"text": "{text}"')
    )
    return "clinic.py"


def soon(seconds: float = 3) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()  # noqa: TID251 - a real clock elsewhere


def schedules(running: Elsewhere) -> dict[str, str]:
    """Name to expression of what is pending."""
    scheduler = running.client("scheduler")
    names = [one["Name"] for one in scheduler.list_schedules(GroupName="clinic")["Schedules"]]
    found = {}
    for name in names:
        with suppress(scheduler.exceptions.ResourceNotFoundException):  # delivered since it was listed
            found[name] = scheduler.get_schedule(GroupName="clinic", Name=name)["ScheduleExpression"]
    return found


def received(running: Elsewhere, into: Counter[str]) -> Counter[str]:
    """Messages that have come by now, with those that came before: ``pk: text``."""
    sqs = running.client("sqs")
    url = sqs.get_queue_url(QueueName="reminders")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            body = json.loads(message["Body"])
            into[f"{body['pk']}: {body['text']}"] += 1
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return into


def table(running: Elsewhere, name: str = "Appointment-Table") -> Any:
    return boto3.resource(
        "dynamodb",
        endpoint_url=running.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    ).Table(name)


def test_an_app_lives_on_ministack(ministack: Elsewhere) -> None:
    ministack.client("sqs").create_queue(QueueName="reminders")
    before = ministack.everything()
    app = rule_file(ministack)

    planned = ministack.json("plan", app, *SET)
    assert planned["ok"]
    assert {change["action"] for change in planned["changes"]} == {"Add"}
    assert ministack.everything() == before, "a plan changes nothing"

    deployed = ministack.json("deploy", app, *SET, "--yes")
    assert deployed["result"] == "deployed"
    assert deployed["uploaded"]
    assert deployed["stack"]["outputs"]["StreamFunctionName"] == "clinic-stream"
    again = ministack.json("deploy", app, *SET, "--yes")
    assert (again["result"], again["uploaded"]) == ("unchanged", False)

    came = follow_items(ministack)
    look_at_it(ministack, app)

    changed = rule_file(ministack, "come in")
    replanned = ministack.json("plan", changed, *SET)
    assert {change["resource_type"] for change in replanned["changes"]} == {"AWS::Lambda::Function"}
    assert ministack.json("deploy", changed, *SET, "--yes")["uploaded"]
    table(ministack).put_item(Item={"PK": "new", "SK": "1", "REMINDER_TIMESTAMP": soon()})
    ministack.wait_for(lambda: received(ministack, came)["new: come in"])
    assert set(came.values()) == {1}

    destroyed = ministack.json("destroy", changed, "--yes", "--delete-tables")
    assert destroyed["deleted_tables"] == ["Appointment-Table"]
    assert ministack.everything() == before


def follow_items(running: Elsewhere) -> Counter[str]:
    """Write items, change and delete some; answers what came, each once."""
    items = table(running)
    for number in range(20):
        items.put_item(Item={"PK": f"p{number}", "SK": "1", "REMINDER_TIMESTAMP": soon()})
    for name in ("moved", "deleted", "cancelled", "sooner"):
        items.put_item(Item={"PK": name, "SK": "1", "REMINDER_TIMESTAMP": FAR})
    items.put_item(Item={"PK": "reviewed", "SK": "1", "ENDS_AT": FAR, "WORDS": "as it was"})
    items.put_item(Item={"PK": "unreadable", "SK": "1", "REMINDER_TIMESTAMP": "tomorrow"})
    came: Counter[str] = Counter()
    running.wait_for(lambda: len(received(running, came)) == 20 and len(schedules(running)) == 5)

    def update(name: str, **values: str) -> None:
        names = {f"#{attribute}": attribute for attribute in values}
        items.update_item(
            Key={"PK": name, "SK": "1"},
            UpdateExpression="SET " + ", ".join(f"#{attribute} = :{attribute}" for attribute in values),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={f":{attribute}": value for attribute, value in values.items()},
        )

    update("moved", REMINDER_TIMESTAMP="2036-02-03T04:05:06Z")
    update("sooner", REMINDER_TIMESTAMP=soon())
    update("cancelled", CANCELLED="yes")
    update("reviewed", WORDS="as it is", ENDS_AT=soon())
    items.delete_item(Key={"PK": "deleted", "SK": "1"})
    running.wait_for(lambda: list(schedules(running).values()) == ["at(2036-02-03T04:05:06)"])
    running.wait_for(lambda: len(received(running, came)) == 22)
    expected = {f"p{number}: see you" for number in range(20)} | {"sooner: see you", "reviewed: as it is"}
    assert came == Counter(expected)
    return came


def look_at_it(running: Elsewhere, app: str) -> None:
    """Status and logs tell what happened."""
    status = running.json("status", app)
    assert status["stack"]["status"] == "CREATE_COMPLETE"
    assert status["pending"]["by_rule"] == {"reminder": 1, "review": 0}
    assert status["pending"]["next_due"][0]["due_at"] == "2036-02-03T04:05:06+00:00"
    assert [mapping["state"] for mapping in status["mappings"]] == ["Enabled"]
    assert status["dead_letters"] == {"clinic-dead-letters": 0, "clinic-stream-dead-letters": 1}
    code, output, _ = running.run("logs", app)
    assert code == 0
    assert "App=clinic" in output
    assert {"stream", "when-due"} <= {line.split()[2] for line in output.splitlines() if len(line.split()) > 2}


def test_a_table_that_was_there_keeps_its_items_and_is_read_from_now_on(ministack: Elsewhere) -> None:
    ministack.client("sqs").create_queue(QueueName="reminders")
    ministack.client("dynamodb").create_table(
        TableName="Appointment-Table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    )
    table(ministack).put_item(Item={"PK": "old", "SK": "1", "REMINDER_TIMESTAMP": FAR})
    before, app = ministack.everything(), rule_file(ministack)

    planned = ministack.json("plan", app, *SET)
    assert planned["rules"][0]["schedules"] == 1
    assert "AWS::DynamoDB::Table" in {change["resource_type"] for change in planned["changes"]}, "for deliveries"
    assert "AppointmentTable" not in {change["logical_id"] for change in planned["changes"]}
    deployed = ministack.json("deploy", app, *SET, "--yes")
    assert deployed["result"] == "deployed"
    shown = ministack.client("dynamodb").describe_table(TableName="Appointment-Table")["Table"]
    assert shown["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    table(ministack).put_item(Item={"PK": "new", "SK": "1", "REMINDER_TIMESTAMP": soon()})
    came: Counter[str] = Counter()
    ministack.wait_for(lambda: received(ministack, came)["new: see you"])

    destroyed = ministack.json("destroy", app, "--yes", "--delete-tables")
    assert destroyed["deleted_tables"] == [], "it was there before the stack"
    assert ministack.everything() == before
    assert "Item" in table(ministack).get_item(Key={"PK": "old", "SK": "1"})


def test_a_kept_table_is_found_again_and_goes_when_told(ministack: Elsewhere) -> None:
    before, app = ministack.everything(), rule_file(ministack)
    ministack.json("deploy", app, *SET, "--yes")
    assert ministack.json("destroy", app, "--yes")["kept"] == ["Appointment-Table"]
    assert ministack.everything() == before | {"tables": ["Appointment-Table"]}
    assert ministack.json("deploy", app, *SET, "--yes")["result"] == "deployed"
    assert ministack.json("destroy", app, "--yes", "--delete-tables")["deleted_tables"] == ["Appointment-Table"]
    assert ministack.everything() == before
    assert not ministack.json("destroy", app, "--yes")["destroyed"]


def test_a_deployment_that_fails_is_told_plainly_and_can_be_done_again(ministack: Elsewhere) -> None:
    app = rule_file(ministack)
    missing = ("--layer", f"arn:aws:lambda:{REGION}:000000000000:layer:missing:1")

    failed = ministack.json("deploy", app, *SET, *missing, "--yes", code=1)
    assert failed["result"] == "failed"
    assert failed["failure"]["logical_id"] == "StreamFunction"
    assert "layer:missing" in failed["failure"]["reason"]
    assert failed["stack"]["status"] == "ROLLBACK_COMPLETE"
    code, output, _ = ministack.run("plan", app, *SET)
    assert code == 0
    assert "it was never whole" in output
    code, _, errors = ministack.run("deploy", app, *SET)
    assert (code, "say --yes" in errors) == (2, True), "deleting a stack needs consent"
    assert ministack.json("deploy", app, *SET, "--yes")["result"] == "deployed"

    code, output, _ = ministack.run("deploy", app, *SET, *missing, "--yes")
    assert code == 1
    assert "StreamFunction (AWS::Lambda::Function) failed first:" in output
    assert "it is as it was before, and goes on" in output
    assert ministack.json("deploy", app, *SET, "--yes")["result"] == "unchanged"


def test_a_table_with_another_key_is_refused_before_anything_is_made(ministack: Elsewhere) -> None:
    ministack.client("dynamodb").create_table(
        TableName="Appointment-Table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    before, app = ministack.everything(), rule_file(ministack)
    planned = ministack.json("plan", app, *SET, code=1)
    assert not planned["ok"]
    code, _, errors = ministack.run("deploy", app, *SET, "--yes")
    assert code == 1
    assert "has the key id (N), and the app declares PK (S), SK (S)" in errors
    assert ministack.everything() == before


def test_a_name_that_is_taken_is_told_before_anything_is_made(ministack: Elsewhere) -> None:
    ministack.client("sqs").create_queue(QueueName="clinic-dead-letters")
    before, app = ministack.everything(), rule_file(ministack)
    planned = ministack.json("plan", app, *SET, code=1)
    assert [check["subject"] for check in planned["checks"] if check["state"] == "failed"] == [
        "queue clinic-dead-letters"
    ]
    code, _, errors = ministack.run("deploy", app, *SET, "--yes")
    assert code == 1
    assert "queue clinic-dead-letters exists already, and is not the stack's" in errors
    assert ministack.everything() == before


def test_an_interrupted_deployment_says_how_to_go_on_and_goes_on(ministack: Elsewhere) -> None:
    app = rule_file(ministack)
    with ministack.start("deploy", app, *SET, "--yes") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "CREATE_IN_PROGRESS" in line:
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("ministack was done before the signal came")
    assert process.returncode == 1
    assert "interrupted. What CloudFormation has begun, it goes on with" in errors
    assert ministack.json("deploy", app, *SET, "--yes")["result"] == "unchanged"


SWEPT = """
from datetime import timedelta

from duestream import App, DeleteItem, Sweep

app = App("offers")
offers = app.table("Offers", partition_key="id")
offers.rule("EXPIRES_AT", DeleteItem(), via=Sweep(index="ByExpiry", shards=2, every=timedelta(minutes=1)))
"""


def test_a_sweep_takes_what_has_expired_and_nothing_else(ministack: Elsewhere) -> None:
    before = ministack.everything()
    (ministack.folder / "offers.py").write_text(SWEPT)
    assert ministack.json("deploy", "offers.py", *SET, "--yes")["result"] == "deployed"
    offers = table(ministack, "Offers")
    for number in range(10):
        expires_at = "2025-01-01T00:00:00" if number < 7 else FAR
        offers.put_item(Item={"id": str(number), "GSI_PK": str(number % 2), "EXPIRES_AT": expires_at})
    # The first sweep comes a minute after the deployment.
    ministack.wait_for(lambda: len(offers.scan()["Items"]) <= 3, 150)
    assert sorted(item["id"] for item in offers.scan()["Items"]) == ["7", "8", "9"]
    assert ministack.json("status", "offers.py")["pending"]["by_rule"] == {}
    ministack.json("destroy", "offers.py", "--yes", "--delete-tables")
    assert ministack.everything() == before
