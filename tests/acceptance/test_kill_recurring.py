"""SIGKILL again and again while recurring schedules are delivered: each occurrence is there once, and none is late."""

import json
import random
import urllib.request
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.acceptance.conftest import Up

pytestmark = pytest.mark.slow

RULES = """
from duestream import App, QueueMessage

app = App("billing")
app.table("Plans", partition_key="id").recurring("SCHEDULE", QueueMessage("ticks"), catch_up="deliver_all")
"""
START = datetime(2030, 1, 1, 9, tzinfo=UTC)
PLANS, KILLS = 40, 5


def advance(running: Up) -> None:
    body = json.dumps({"advance_seconds": 60}).encode()
    urllib.request.urlopen(f"{running.endpoint_url}/_duestream/clock", body).close()


def wait_for_messages(running: Up, count: int) -> None:
    sqs, names = running.client("sqs"), ["ApproximateNumberOfMessages"]
    url = sqs.get_queue_url(QueueName="ticks")["QueueUrl"]

    def is_there() -> bool:
        shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(shown[names[0]]) >= count

    running.wait_for(is_there)


def received(running: Up) -> list[tuple[str, str]]:
    sqs, found = running.client("sqs"), []
    url = sqs.get_queue_url(QueueName="ticks")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            body = json.loads(message["Body"])
            found.append((body["key"]["id"], body["due"]))
        entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return found


def test_a_server_that_is_killed_again_and_again_delivers_each_occurrence_once(
    tmp_path: Path, up: Callable[..., Up]
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    rules = tmp_path / "rules.py"
    rules.write_text(RULES)
    running = up(rules, "--clock", f"manual={START.isoformat()}")
    dynamodb = running.client("dynamodb")
    running.client("sqs").create_queue(QueueName="ticks")
    for number in range(PLANS):
        expression = "rate(1 minute)" if number % 2 else "cron(* * * * ? *)"
        dynamodb.put_item(TableName="Plans", Item={"id": {"S": f"{number}"}, "SCHEDULE": {"S": expression}})
    wait_for_messages(running, PLANS)
    for kill in range(1, KILLS + 1):
        advance(running)
        wait_for_messages(running, kill * PLANS + chance.randrange(PLANS))
        running.kill()
        now = START + timedelta(minutes=kill)
        running = up(rules, "--clock", f"manual={now.isoformat()}")
        wait_for_messages(running, (kill + 1) * PLANS)

    counts = Counter(received(running))
    due = [f"{START + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}" for minute in range(KILLS + 1)]
    assert set(counts) == {(f"{number}", moment) for number in range(PLANS) for moment in due}, f"seed {seed}"
    assert set(counts.values()) == {1}, f"doubled with seed {seed}"
