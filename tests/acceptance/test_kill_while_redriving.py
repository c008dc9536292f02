"""SIGKILL while dead letters are redriven, and while SQS moves messages: none is lost, none is doubled."""

import json
import random
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Up

pytestmark = pytest.mark.slow

RULES = """
from duestream import App, QueueMessage, Retry

app = App("clinic")
table = app.table("Appointments", partition_key="PK")


@table.rule("DUE", retry=Retry(attempts=0))
def reminder(item):
    return QueueMessage("reminders", item["PK"])
"""
ITEMS = 200


def ask(running: Up, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{running.endpoint_url}/_duestream/{path}", data, timeout=30) as answer:
        return json.load(answer)


def letters(running: Up) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        page = ask(running, f"dead-letters?limit=100&token={token}")
        found += [str(letter["id"]) for letter in page["letters"]]
        if page["next_token"] is None:
            return found
        token = page["next_token"]


def bodies(running: Up, queue: str) -> list[str]:
    """Everything in a queue; it is deleted on the way."""
    sqs = running.client("sqs")
    queue_url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found: list[str] = []
    while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
        entries = [{"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"]} for message in messages]
        sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
    return found


def nothing_pending(running: Up) -> bool:
    return not running.client("scheduler").list_schedules(GroupName="clinic")["Schedules"]


def test_letters_that_are_redriven_while_the_server_is_killed_are_delivered_once(
    tmp_path: Path, up: Callable[..., Up]
) -> None:
    chance = random.Random(seed := random.randrange(2**32))
    rules = tmp_path / "rules.py"
    rules.write_text(RULES)
    running = up(rules)
    dynamodb = running.client("dynamodb")
    now = datetime.now(UTC).isoformat()  # noqa: TID251 - the server runs on the machine's clock
    for number in range(ITEMS):
        dynamodb.put_item(TableName="Appointments", Item={"PK": {"S": str(number)}, "DUE": {"S": now}})
    running.wait_for(lambda: len(letters(running)) == ITEMS)
    running.client("sqs").create_queue(QueueName="reminders")
    ids, done = letters(running), list[str]()
    chance.shuffle(ids)

    def redrive() -> None:
        try:
            for start in range(0, ITEMS, 10):
                answer = ask(running, "dead-letters/redrive", {"ids": ids[start : start + 10]})
                done.extend(one["id"] for one in answer["results"] if one["result"] == "redriven")
        except OSError:
            return  # killed under us

    redriving = threading.Thread(target=redrive)
    redriving.start()
    enough = chance.randrange(1, ITEMS - 20)
    running.wait_for(lambda: len(done) >= enough)
    running.kill()
    redriving.join()

    again = up(rules)
    left = letters(again)
    assert not set(left) & set(done), f"an acknowledged redrive came undone, seed {seed}"
    for start in range(0, len(left), 100):
        ask(again, "dead-letters/redrive", {"ids": left[start : start + 100]})
    again.wait_for(lambda: nothing_pending(again))
    assert letters(again) == []
    assert Counter(bodies(again, "reminders")) == {str(number): 1 for number in range(ITEMS)}, f"seed {seed}"


def test_messages_that_are_moved_while_the_server_is_killed_are_there_once(
    tmp_path: Path, up: Callable[..., Up]
) -> None:
    running = up(None)
    sqs = running.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    sqs.create_queue(QueueName="source", Attributes={"RedrivePolicy": policy})
    sqs.create_queue(QueueName="other")
    for first in range(0, ITEMS, 10):
        entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(first, first + 10)]
        sqs.send_message_batch(QueueUrl=dead, Entries=entries)
    other = arn.replace(":dead", ":other")
    sqs.start_message_move_task(SourceArn=arn, DestinationArn=other, MaxNumberOfMessagesPerSecond=90)
    running.kill()

    again = up(None)
    sqs = again.client("sqs")

    def status() -> Any:
        return sqs.list_message_move_tasks(SourceArn=arn)["Results"][0]

    again.wait_for(lambda: status()["Status"] == "COMPLETED")
    assert status()["ApproximateNumberOfMessagesMoved"] == ITEMS
    assert bodies(again, "dead") == []
    assert Counter(bodies(again, "other")) == {str(number): 1 for number in range(ITEMS)}
