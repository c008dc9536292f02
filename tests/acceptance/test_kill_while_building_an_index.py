"""SIGKILL while an index is built and items are written: afterwards the index holds what the table holds."""

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.acceptance.conftest import Up

pytestmark = pytest.mark.slow

ITEMS = 4000
BATCH = 25


def fill(client: Any) -> None:
    client.create_table(
        TableName="Things",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for first in range(0, ITEMS, BATCH):
        puts = [{"PutRequest": {"Item": item(number, number % 7)}} for number in range(first, first + BATCH)]
        client.batch_write_item(RequestItems={"Things": puts})


def item(number: int, group: int) -> dict[str, Any]:
    return {"id": {"N": f"{number}"}, "group": {"S": f"{group}"}, "rank": {"N": f"{number % 100}"}}


def add_index(client: Any) -> None:
    client.update_table(
        TableName="Things",
        AttributeDefinitions=[
            {"AttributeName": "group", "AttributeType": "S"},
            {"AttributeName": "rank", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "ByGroup",
                    "KeySchema": [
                        {"AttributeName": "group", "KeyType": "HASH"},
                        {"AttributeName": "rank", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )


def change(running: Up, chance: random.Random, until: threading.Event) -> None:
    """Move items between groups, take some out and delete some, until the server is gone."""
    client = running.client("dynamodb")
    while not until.is_set():
        number = chance.randrange(ITEMS)
        try:
            match chance.randrange(3):
                case 0:
                    client.put_item(TableName="Things", Item=item(number, chance.randrange(7)))
                case 1:
                    client.delete_item(TableName="Things", Key={"id": {"N": f"{number}"}})
                case _:
                    client.put_item(TableName="Things", Item={"id": {"N": f"{number}"}})
        except (BotoCoreError, ClientError):
            return  # killed under us


def scanned(client: Any, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in client.get_paginator("scan").paginate(TableName="Things", **more):
        found += page["Items"]
    return sorted(found, key=lambda one: int(one["id"]["N"]))


def index_status(client: Any) -> dict[str, Any]:
    (index,) = client.describe_table(TableName="Things")["Table"]["GlobalSecondaryIndexes"]
    return dict(index)


@pytest.mark.parametrize("kill_after", [0.0, 0.02, 0.05])
def test_an_index_that_was_being_built_is_finished_after_a_kill(
    tmp_path: Path, up: Callable[..., Up], kill_after: float
) -> None:
    seed = random.randrange(2**32)
    running = up(None, data=tmp_path / "data")
    client = running.client("dynamodb")
    fill(client)
    gone = threading.Event()
    writers = [
        threading.Thread(target=change, args=(running, random.Random(seed + number), gone)) for number in range(2)
    ]
    for writer in writers:
        writer.start()
    add_index(client)
    gone.wait(kill_after)
    running.kill()
    gone.set()
    for writer in writers:
        writer.join()
    again = up(None, data=tmp_path / "data")
    client = again.client("dynamodb")
    again.wait_for(lambda: index_status(client)["IndexStatus"] == "ACTIVE")
    held = [one for one in scanned(client) if "group" in one]
    assert scanned(client, IndexName="ByGroup") == held, f"seed {seed}"
    assert index_status(client)["ItemCount"] == len(held), f"seed {seed}"
