"""Lambda across `kill -9`: what was accepted is carried out, and a mapping goes on where it stood."""

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.conftest import Up

pytestmark = pytest.mark.slow

#: One line for each event, or for each record of a batch.
CODE = """
import os

def handler(event, context):
    with open(os.environ["NOTES"], "a") as notes:
        for record in event.get("Records", [event]):
            key = record["dynamodb"]["Keys"]["PK"]["S"] if "dynamodb" in record else record["n"]
            notes.write(f"{key}\\n")
"""


def make(running: Up, notes: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", CODE)
    dynamodb, lambdas = running.client("dynamodb"), running.client("lambda")
    table = dynamodb.create_table(
        TableName="Things",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    lambdas.create_function(
        FunctionName="noting",
        Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/any",
        Timeout=60,
        Code={"ZipFile": packed.getvalue()},
        Environment={"Variables": {"NOTES": str(notes)}},
    )
    lambdas.create_event_source_mapping(
        FunctionName="noting",
        EventSourceArn=table["TableDescription"]["LatestStreamArn"],
        StartingPosition="TRIM_HORIZON",
        BatchSize=3,
    )


def noted(notes: Path) -> list[str]:
    return notes.read_text().split() if notes.exists() else []


@pytest.mark.parametrize("kills_after", [0, 5, 25])
def test_nothing_accepted_is_lost_by_a_kill(up: Callable[..., Up], tmp_path: Path, kills_after: int) -> None:
    data, notes = tmp_path / "data", tmp_path / "notes"
    running = up(None, data=data)
    make(running, notes)
    dynamodb, lambdas = running.client("dynamodb"), running.client("lambda")
    for number in range(20):
        dynamodb.put_item(TableName="Things", Item={"PK": {"S": f"item-{number:02}"}})
        payload = json.dumps({"n": f"event-{number:02}"})
        assert lambdas.invoke(FunctionName="noting", InvocationType="Event", Payload=payload)["StatusCode"] == 202
    running.wait_for(lambda: len(noted(notes)) >= kills_after)
    running.kill()
    again = up(None, data=data)
    wanted = {f"{kind}-{number:02}" for kind in ("item", "event") for number in range(20)}
    again.wait_for(lambda: set(noted(notes)) == wanted)
    items = [line for line in noted(notes) if line.startswith("item")]
    # At least once: a batch that was under way comes again, and then the stream goes on in its order.
    assert len(items) <= 20 + 3
    first_seen = list(dict.fromkeys(items))
    assert first_seen == sorted(first_seen)
    again.client("lambda").delete_function(FunctionName="noting")
    assert again.stop() == 0
