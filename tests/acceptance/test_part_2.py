"""Part 2 of the published series: items expire through a sharded index that is swept on a schedule.

By the server itself, killed in the middle; and by the very function that is deployed to AWS, run by the server's Lambda.
"""

import json
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Up
from tests.acceptance.elsewhere import RUNTIME

from duestream.aws.stack.bundle import bundle

pytestmark = pytest.mark.slow

APP = """
from duestream import App, DeleteItem, QueueMessage, Sweep

app = App("shop")
table = app.table("Offers", partition_key="id")
table.rule("EXPIRES_AT", DeleteItem(), name="expire", via=Sweep("ByExpiry", shards=4))


@table.rule("CALL_AT", via=Sweep("ByCall", shards=4, shard_attribute="CALL_PK", timestamp_type="N"))
def call(item):
    return QueueMessage("calls", item["id"])


@table.when_due("ASK_AT", via=Sweep("ByAsk", shard_attribute="ASK_PK"))
def ask(item, due):
    import boto3

    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="calls")["QueueUrl"], MessageBody="asked " + item["id"])
"""
PAST, FUTURE = "2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"
CLOCK = "manual=2030-01-01T09:00:00Z"
#: `shop-when-due` is the name of the engine's own runner of rules' functions.
DUE_FUNCTION = "shop-due"


def put(dynamodb: Any, called: str, count: int, **values: str) -> None:
    """So many items with these values; `#` stands for one of four shards."""
    for number in range(count):
        item = {name: {"S": text.replace("#", str(number % 4))} for name, text in values.items()}
        if "CALL_AT" in values:
            item["CALL_AT"] = {"N": values["CALL_AT"]}
        dynamodb.put_item(TableName="Offers", Item={**item, "id": {"S": f"{called}-{number}"}})


def ids(dynamodb: Any) -> set[str]:
    return {item["id"]["S"] for item in dynamodb.scan(TableName="Offers")["Items"]}


def bodies(sqs: Any) -> Counter[str]:
    url, found = sqs.get_queue_url(QueueName="calls")["QueueUrl"], Counter[str]()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found[message["Body"]] += 1
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def collect(running: Up, sqs: Any, count: int) -> Counter[str]:
    """What comes into the queue, until it is so many."""
    found: Counter[str] = Counter()

    def is_there() -> bool:
        found.update(bodies(sqs))
        return found.total() >= count

    running.wait_for(is_there, 60)
    return found


def tick(running: Up, moment: str) -> None:
    request = urllib.request.Request(
        f"{running.endpoint_url}/_duestream/clock",
        data=json.dumps({"now": moment}).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()


def test_the_server_sweeps_and_a_kill_neither_loses_nor_doubles(up: Callable[..., Up], tmp_path: Path) -> None:
    rules = tmp_path / "shop.py"
    rules.write_text(APP)
    running = up(rules, "--clock", CLOCK)
    dynamodb, sqs = running.client("dynamodb"), running.client("sqs")
    sqs.create_queue(QueueName="calls")
    put(dynamodb, "call", 40, CALL_AT="1893488430", CALL_PK="#")  # 09:00:30
    put(dynamodb, "offer", 40, EXPIRES_AT="2030-01-01T09:00:30Z", GSI_PK="#")
    put(dynamodb, "later", 3, EXPIRES_AT="2030-01-01T09:01:30Z", GSI_PK="#")
    assert bodies(sqs) == Counter()
    tick(running, "2030-01-01T09:01:00Z")
    running.wait_for(lambda: len(ids(dynamodb)) < 83)
    running.kill()
    again = up(rules, "--clock", "manual=2030-01-01T09:01:00Z")
    dynamodb, sqs = again.client("dynamodb"), again.client("sqs")
    again.wait_for(lambda: len(ids(dynamodb)) == 43)
    calls = collect(again, sqs, 40)
    assert calls == Counter({f"call-{number}": 1 for number in range(40)})
    tick(again, "2030-01-01T09:02:00Z")
    again.wait_for(lambda: len(ids(dynamodb)) == 40)
    assert bodies(sqs) == Counter()


def install(running: Up, folder: Path) -> None:
    """What the stack would make, by the services' own operations."""
    (folder / "shop.py").write_text(APP)
    code = bundle(folder / "shop.py")
    dynamodb, sqs = running.client("dynamodb"), running.client("sqs")
    indexes = (("ByExpiry", "GSI_PK", "EXPIRES_AT"), ("ByCall", "CALL_PK", "CALL_AT"), ("ByAsk", "ASK_PK", "ASK_AT"))
    names = {name for _, *keys in indexes for name in keys} | {"id"}
    dynamodb.create_table(
        TableName="Offers",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "N" if name == "CALL_AT" else "S"} for name in sorted(names)
        ],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": shard, "KeyType": "HASH"},
                    {"AttributeName": timestamp, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index, shard, timestamp in indexes
        ],
    )
    dynamodb.create_table(
        TableName="shop-deliveries",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    urls = [
        sqs.create_queue(QueueName=name)["QueueUrl"]
        for name in ("calls", "shop-dead-letters", "shop-stream-dead-letters")
    ]
    running.client("scheduler").create_schedule_group(Name="shop")
    environment = {
        "DUESTREAM_APP": "shop:app",
        "DUESTREAM_ACCOUNT_ID": "000000000000",
        "DUESTREAM_EXECUTION_ROLE_ARN": "arn:aws:iam::000000000000:role/any",
        "DUESTREAM_STREAM_DEAD_LETTER_QUEUE_URL": urls[-1],
        "DUESTREAM_DELIVERIES_TABLE": "shop-deliveries",
        "DUESTREAM_WHEN_DUE_FUNCTION_ARN": f"arn:aws:lambda:us-east-1:000000000000:function:{DUE_FUNCTION}",
    }
    for name, module in (("shop-sweep", "sweep"), (DUE_FUNCTION, "due")):
        running.client("lambda").create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Role=environment["DUESTREAM_EXECUTION_ROLE_ARN"],
            Handler=f"duestream.aws.{module}.handle",
            Code={"ZipFile": code},
            Timeout=60,
            MemorySize=1024,
            Environment={"Variables": environment},
        )


def test_the_deployed_function_sweeps_on_our_own_engine(up: Callable[..., Up], tmp_path: Path) -> None:
    running = up(None)
    install(running, tmp_path)
    dynamodb, sqs, lambda_ = running.client("dynamodb"), running.client("sqs"), running.client("lambda")

    def sweep(rule: str) -> Any:
        event = json.dumps({"Table": "Offers", "Rule": rule})
        answer = lambda_.invoke(FunctionName="shop-sweep", Payload=event.encode())
        told = json.load(answer["Payload"])
        assert "FunctionError" not in answer, told
        return told

    put(dynamodb, "offer", 30, EXPIRES_AT=PAST, GSI_PK="#")
    put(dynamodb, "later", 2, EXPIRES_AT=FUTURE, GSI_PK="#")
    assert sweep("expire") == {"swept": 30, "left": 0}
    assert ids(dynamodb) == {"later-0", "later-1"}
    put(dynamodb, "call", 12, CALL_AT="1577836800", CALL_PK="#")
    assert sweep("call") == {"swept": 12, "left": 0}
    assert sweep("call") == {"swept": 0, "left": 0}
    assert bodies(sqs) == Counter({f"call-{number}": 1 for number in range(12)})
    put(dynamodb, "ask", 1, ASK_AT=PAST, ASK_PK="0")
    assert sweep("ask") == {"swept": 1, "left": 0}
    assert collect(running, sqs, 1) == Counter({"asked ask-0": 1})
    (remembered,) = dynamodb.scan(TableName="shop-deliveries")["Items"]
    assert remembered["outcome"] == {"S": "delivered"}
