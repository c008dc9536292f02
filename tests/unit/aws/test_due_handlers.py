"""The Lambda handlers, from their environment on: as the stack starts them."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from tests.unit.aws.due_bench import PLACE, QUEUE_PREFIX
from tests.unit.aws.moto_endpoint import moto_endpoint

from duestream.aws import due, sweep
from duestream.aws.app_module import load_app
from duestream.errors import DeliveryError

pytestmark = pytest.mark.slow

RULES = """
from duestream import App, DeleteItem, QueueMessage, Sweep

app = App("clinic")
table = app.table("Tab", partition_key="id")
table.rule("AT", QueueMessage("q", "text"), name="send", guarded=True)
table.rule("GONE_AT", DeleteItem(), name="expire", via=Sweep("ByExpiry"))
"""
DUE = "2030-01-01T09:00:00Z"


@dataclass(frozen=True)
class Context:
    """What Lambda hands to a handler, as far as ours look at it."""

    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def _stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "rules_of_clinic.py").write_text(RULES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": PLACE.region,
        "DUESTREAM_APP": "rules_of_clinic:app",
        "DUESTREAM_ACCOUNT_ID": PLACE.account_id,
        "DUESTREAM_EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/execution",
        "DUESTREAM_STREAM_DEAD_LETTER_QUEUE_URL": f"{QUEUE_PREFIX}clinic-stream-dead-letters",
        "DUESTREAM_DELIVERIES_TABLE": "clinic-deliveries",
        "DUESTREAM_WHEN_DUE_FUNCTION_ARN": PLACE.arn("lambda", "function:clinic-when-due"),
    }.items():
        monkeypatch.setenv(name, value)
    cached = (load_app, due.due_function, sweep.sweep_function)
    with moto_endpoint() as endpoint_url, mock_aws():
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        yield
    for function in cached:
        function.cache_clear()
    sys.modules.pop("rules_of_clinic", None)


@pytest.mark.usefixtures("_stack")
def test_the_handlers_do_their_work_with_nothing_but_the_stacks_environment(capsys: pytest.CaptureFixture[str]) -> None:
    dynamodb = boto3.client("dynamodb", region_name=PLACE.region)
    sqs = boto3.client("sqs", region_name=PLACE.region)
    queue_url = sqs.create_queue(QueueName="q")["QueueUrl"]
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    index_keys = [{"AttributeName": "GSI_PK", "KeyType": "HASH"}, {"AttributeName": "GONE_AT", "KeyType": "RANGE"}]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "GSI_PK", "GONE_AT")]
    index = {"IndexName": "ByExpiry", "KeySchema": index_keys, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    dynamodb.create_table(
        TableName="Tab",
        KeySchema=keys,
        AttributeDefinitions=types,
        GlobalSecondaryIndexes=[index],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.create_table(
        TableName="clinic-deliveries", KeySchema=keys, AttributeDefinitions=types[:1], BillingMode="PAY_PER_REQUEST"
    )
    item = {"id": "1", "AT": DUE, "GONE_AT": "2020-01-01T00:00:00Z", "GSI_PK": "0"}
    dynamodb.put_item(TableName="Tab", Item={name: {"S": value} for name, value in item.items()})
    event = {
        "Rule": "send",
        "Table": "Tab",
        "Key": {"id": {"S": "1"}},
        "DueAt": DUE,
        "Schedule": "send-0123",
        "Target": 0,
    }
    assert due.handle(event, Context()) == {"outcome": "delivered", "reason": ""}
    assert due.handle(event, Context("another")) == {"outcome": "done before", "reason": "done"}
    (message,) = sqs.receive_message(QueueUrl=queue_url)["Messages"]
    assert message["Body"] == "text"
    assert sweep.handle({"Table": "Tab", "Rule": "expire"}, Context()) == {"swept": 1, "left": 0}
    assert "Item" not in dynamodb.get_item(TableName="Tab", Key={"id": {"S": "1"}})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("Delivered") or line.get("Swept") for line in lines] == [1, None, 1]
    with pytest.raises(DeliveryError):
        due.handle({}, Context())
