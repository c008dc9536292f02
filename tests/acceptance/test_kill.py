"""SIGKILL at any moment: every acknowledged item's email is there afterwards, exactly once."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.acceptance.conftest import Up

pytestmark = pytest.mark.slow

RULES = """
from duestream import App, Email

app = App("clinic")
appointments = app.table("Appointment-Table", partition_key="PK")


@appointments.rule("DUE")
def reminder(item):
    return Email(source="clinic@example.com", to="abc@example.com", subject=item["PK"], text="You have a reminder")
"""
ITEMS = 200


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the server runs on the machine's clock


def _write(running: Up, due_at: datetime, first: int, acknowledged: list[str], start: threading.Event) -> None:
    client = running.client("dynamodb")
    start.wait()
    for number in range(first, ITEMS, 4):
        item: dict[str, Any] = {"PK": {"S": f"{number}"}, "DUE": {"S": due_at.isoformat()}}
        try:
            client.put_item(TableName="Appointment-Table", Item=item)
        except (BotoCoreError, ClientError):
            return  # killed under us: not acknowledged
        acknowledged.append(f"{number}")


#: When the process is killed, relative to the due time, in seconds; a random part is added to each.
@pytest.mark.parametrize(("name", "kill_after"), [("before", -1.2), ("at", 0.0), ("after", 0.05), ("writing", None)])
def test_a_killed_server_delivers_every_acknowledged_item_once(
    tmp_path: Path, up: Callable[..., Up], name: str, kill_after: float | None
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    rules = tmp_path / "rules.py"
    rules.write_text(RULES)
    running = up(rules)
    due_at = _now() + timedelta(seconds=2.5)
    acknowledged: list[str] = []
    start = threading.Event()
    writers = [
        threading.Thread(target=_write, args=(running, due_at, first, acknowledged, start)) for first in range(4)
    ]
    for writer in writers:
        writer.start()
    start.set()
    if kill_after is None:
        enough = chance.randrange(10, ITEMS - 10)
        running.wait_for(lambda: len(acknowledged) >= enough)
    else:
        for writer in writers:
            writer.join()
        moment = due_at + timedelta(seconds=kill_after + chance.uniform(0, 0.08))
        running.wait_for(lambda: _now() >= moment)
    running.kill()
    for writer in writers:
        writer.join()

    again = up(rules)
    again.wait_for(lambda: len({email["Subject"] for email in again.emails()} & set(acknowledged)) == len(acknowledged))
    again.wait_for(lambda: _nothing_pending(again))
    counts = Counter(email["Subject"] for email in again.emails())
    assert set(acknowledged) <= set(counts), f"lost with seed {seed}"
    assert [key for key, count in counts.items() if count > 1] == [], f"doubled with seed {seed}"
    # What was written and not acknowledged may be there or not; never anything else.
    assert set(counts) <= {f"{number}" for number in range(ITEMS)}
    for email in again.emails():
        assert datetime.fromisoformat(email["Timestamp"]).replace(tzinfo=UTC) >= due_at, f"early with seed {seed}"
    assert _delivered(again) == len(counts), f"counted otherwise than delivered, with seed {seed}"


def _nothing_pending(running: Up) -> bool:
    schedules = running.client("scheduler").list_schedules(GroupName="clinic")["Schedules"]
    return not schedules


def _delivered(running: Up) -> float:
    """What CloudWatch says, of the time before the kill and after it."""
    answer = running.client("cloudwatch").get_metric_statistics(
        Namespace="duestream",
        MetricName="Delivered",
        Dimensions=[{"Name": "ScheduleGroup", "Value": "clinic"}],
        StartTime=_now() - timedelta(hours=1),
        EndTime=_now() + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))
