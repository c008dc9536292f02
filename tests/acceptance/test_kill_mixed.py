"""SIGKILL again and again under mixed load: items, schedules through the API, retries, recurring ones."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.acceptance.conftest import Up

pytestmark = pytest.mark.slow

RULES = """
from duestream import App, QueueMessage

app = App("mixed")
items = app.table("Items", partition_key="PK")


@items.rule("DUE")
def message(item):
    return QueueMessage("from-items", item["PK"])
"""
ROLE = "arn:aws:iam::000000000000:role/x"
KILLS = 3


def _soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")  # noqa: TID251


def _target(queue: str, body: str) -> dict[str, Any]:
    return {"Arn": f"arn:aws:sqs:us-east-1:000000000000:{queue}", "RoleArn": ROLE, "Input": body}


class Load:
    """Writes items and schedules until told to stop; remembers what was acknowledged."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.schedules: list[str] = []
        self.waiting_for_a_queue: list[str] = []
        self._number = 0

    @property
    def acknowledged(self) -> int:
        return len(self.items) + len(self.schedules)

    def has_acknowledged(self, enough: int) -> bool:
        return self.acknowledged >= enough

    def run(self, running: Up, stop: threading.Event, seed: int) -> None:
        chance = random.Random(seed)
        dynamodb, scheduler = running.client("dynamodb"), running.client("scheduler")
        try:
            while not stop.is_set():
                self._number += 1
                key, due = f"n{self._number}", _soon(chance.uniform(1, 3))
                kind = chance.choice(["items", "items", "schedules", "waiting_for_a_queue"])
                if kind == "items":
                    dynamodb.put_item(TableName="Items", Item={"PK": {"S": key}, "DUE": {"S": due}})
                else:
                    queue = "from-schedules" if kind == "schedules" else "made-late"
                    scheduler.create_schedule(
                        Name=key,
                        ScheduleExpression=f"at({due})",
                        FlexibleTimeWindow={"Mode": "OFF"},
                        ActionAfterCompletion="DELETE",
                        Target=_target(queue, key),
                    )
                getattr(self, kind).append(key)
        except (BotoCoreError, ClientError):
            return  # killed under us: not acknowledged


def _bodies(running: Up, queue: str, wanted: int) -> list[str]:
    """All messages of a queue, received until there are as many as wanted and no more come."""
    sqs = running.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found: list[str] = []
    while True:
        wait = 20 if len(found) < wanted else 1
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
        if not answer.get("Messages"):
            return found
        found += [message["Body"] for message in answer["Messages"]]


def test_killed_again_and_again_nothing_is_lost_doubled_or_left_behind(tmp_path: Path, up: Callable[..., Up]) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    rules = tmp_path / "rules.py"
    rules.write_text(RULES)
    load = Load()
    running = up(rules)
    for queue in ("from-items", "from-schedules", "ticks"):
        running.client("sqs").create_queue(QueueName=queue)
    running.client("scheduler").create_schedule(
        Name="tick",
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=_target("ticks", "<aws.scheduler.scheduled-time>"),
    )
    for _ in range(KILLS):
        stop = threading.Event()
        writer = threading.Thread(target=load.run, args=(running, stop, chance.randrange(2**32)))
        enough = load.acknowledged + chance.randrange(20, 120)
        writer.start()
        running.wait_for(partial(load.has_acknowledged, enough))
        running.kill()
        stop.set()
        writer.join()
        running = up(rules)
    running.client("sqs").create_queue(QueueName="made-late")
    for queue, wanted in (
        ("from-items", load.items),
        ("from-schedules", load.schedules),
        ("made-late", load.waiting_for_a_queue),
    ):
        counts = Counter(_bodies(running, queue, len(wanted)))
        assert set(wanted) <= set(counts), f"lost in {queue} with seed {seed}: {set(wanted) - set(counts)}"
        assert [key for key, count in counts.items() if count > 1] == [], f"doubled in {queue} with seed {seed}"
    ticks = _bodies(running, "ticks", 1)
    assert len(ticks) == len(set(ticks)), f"an occurrence came twice with seed {seed}"
    shown = running.client("scheduler").get_schedule(Name="tick")
    assert shown["State"] == "ENABLED"
    running.wait_for(lambda: _pending(running) == ["tick"], 60)
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text(), json.dumps(seed)


def _pending(running: Up) -> list[str]:
    return [schedule["Name"] for schedule in running.client("scheduler").list_schedules()["Schedules"]]
