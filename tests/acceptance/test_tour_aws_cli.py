"""A tour of DynamoDB and its streams with the real AWS CLI against `duestream up`: shorthand, --query, its own paging."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import BIN, Up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TABLE = ("--table-name", "Orders")
UNITS = "ReadCapacityUnits=5,WriteCapacityUnits=5"


class Cli:
    """`aws dynamodb ...`"""

    def __init__(self, running: Up, aws: Callable[..., Any], nowhere: Path) -> None:
        self._running, self._aws, self._nowhere = running, aws, nowhere

    def __call__(self, command: str, *arguments: str, service: str = "dynamodb") -> Any:
        return self._aws(self._running, service, command, *arguments)

    def streams(self, command: str, *arguments: str) -> Any:
        return self(command, *arguments, service="dynamodbstreams")

    def refusal(self, command: str, *arguments: str) -> str:
        """What it prints when the server refuses."""
        environ = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(self._nowhere),
            "AWS_MAX_ATTEMPTS": "1",
        }
        whole = [str(BIN / "aws"), "--endpoint-url", self._running.endpoint_url, "dynamodb", command, *arguments]
        done = subprocess.run(whole, env=environ, capture_output=True, text=True)
        assert done.returncode != 0
        return done.stderr.strip()


@pytest.fixture
def cli(up: Callable[..., Up], aws: Callable[..., Any], tmp_path: Path) -> Cli:
    return Cli(up(None), aws, tmp_path / "none")


def text(value: Any) -> str:
    return json.dumps(value)


def create(cli: Cli) -> dict[str, Any]:
    made = cli(
        "create-table", *TABLE,
        "--attribute-definitions",
        "AttributeName=customer,AttributeType=S", "AttributeName=nr,AttributeType=N",
        "AttributeName=status_is,AttributeType=S",
        "--key-schema", "AttributeName=customer,KeyType=HASH", "AttributeName=nr,KeyType=RANGE",
        "--provisioned-throughput", UNITS,
        "--global-secondary-indexes",
        "IndexName=ByStatus,KeySchema=[{AttributeName=status_is,KeyType=HASH},{AttributeName=nr,KeyType=RANGE}],"
        f"Projection={{ProjectionType=ALL}},ProvisionedThroughput={{{UNITS}}}",
        "--local-secondary-indexes",
        "IndexName=Local,KeySchema=[{AttributeName=customer,KeyType=HASH},{AttributeName=status_is,KeyType=RANGE}],"
        "Projection={ProjectionType=INCLUDE,NonKeyAttributes=[note]}",
        "--stream-specification", "StreamEnabled=true,StreamViewType=NEW_IMAGE",
        "--tags", "Key=team,Value=desk",
    )  # fmt: skip
    cli("wait", "table-exists", *TABLE)
    return dict(made["TableDescription"])


def item(number: int, status: str) -> dict[str, Any]:
    return {"customer": {"S": "c1"}, "nr": {"N": str(number)}, "status_is": {"S": status}, "note": {"S": f"n{number}"}}


def key(number: int) -> str:
    return text({"customer": {"S": "c1"}, "nr": {"N": str(number)}})


def test_tables_and_items(cli: Cli) -> None:
    arn = create(cli)["TableArn"]
    assert cli("list-tables") == {"TableNames": ["Orders"]}
    described = cli("describe-table", *TABLE, "--query", "Table.[TableStatus, ProvisionedThroughput.ReadCapacityUnits]")
    assert described == ["ACTIVE", 5]
    cli("put-item", *TABLE, "--item", text(item(1, "new")))
    assert cli("get-item", *TABLE, "--key", key(1), "--consistent-read")["Item"] == item(1, "new")
    assert cli("get-item", *TABLE, "--key", key(9)) is None
    changed = cli(
        "update-item", *TABLE, "--key", key(1), "--update-expression", "SET note = :n, #c = if_not_exists(#c, :o)",
        "--expression-attribute-names", '{"#c": "count"}',
        "--expression-attribute-values", '{":n": {"S": "changed"}, ":o": {"N": "1"}}', "--return-values", "UPDATED_NEW",
    )  # fmt: skip
    assert changed["Attributes"] == {"note": {"S": "changed"}, "count": {"N": "1"}}
    refused = cli.refusal(
        "put-item", *TABLE, "--item", text(item(1, "new")), "--condition-expression", "attribute_not_exists(customer)"
    )
    assert refused.endswith(
        "An error occurred (ConditionalCheckFailedException) when calling the PutItem operation: "
        "The conditional request failed"
    )
    deleted = cli("delete-item", *TABLE, "--key", key(1), "--return-values", "ALL_OLD", "--query", "Attributes.note.S")
    assert deleted == "changed"
    cli("tag-resource", "--resource-arn", arn, "--tags", "Key=room,Value=1")
    cli("untag-resource", "--resource-arn", arn, "--tag-keys", "team")
    assert cli("list-tags-of-resource", "--resource-arn", arn)["Tags"] == [{"Key": "room", "Value": "1"}]
    cli("update-time-to-live", *TABLE, "--time-to-live-specification", "Enabled=true,AttributeName=gone_at")
    assert cli("describe-time-to-live", *TABLE, "--query", "TimeToLiveDescription.AttributeName") == "gone_at"
    cli(
        "update-continuous-backups", *TABLE, "--point-in-time-recovery-specification", "PointInTimeRecoveryEnabled=true"
    )
    recovery = "ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus"
    assert cli("describe-continuous-backups", *TABLE, "--query", recovery) == "ENABLED"
    create_index = (
        '[{"Create": {"IndexName": "ByNote", "KeySchema": [{"AttributeName": "note", "KeyType": "HASH"}],'
        ' "Projection": {"ProjectionType": "KEYS_ONLY"},'
        ' "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}}]'
    )
    types = ("--attribute-definitions", "AttributeName=note,AttributeType=S")
    cli("update-table", *TABLE, *types, "--global-secondary-index-updates", create_index)
    cli("wait", "table-exists", *TABLE)
    names = cli("describe-table", *TABLE, "--query", "Table.GlobalSecondaryIndexes[].IndexName")
    assert sorted(names) == ["ByNote", "ByStatus"]
    cli("update-table", *TABLE, "--global-secondary-index-updates", '[{"Delete": {"IndexName": "ByNote"}}]')
    missing = cli.refusal("describe-table", "--table-name", "Missing")
    assert missing.endswith("Requested resource not found: Table: Missing not found")
    assert cli("describe-limits")["AccountMaxReadCapacityUnits"] == 80000
    assert cli("delete-table", *TABLE, "--query", "TableDescription.TableStatus") == "DELETING"
    cli("wait", "table-not-exists", *TABLE)
    assert cli("list-tables") == {"TableNames": []}


def test_batches_transactions_and_statements(cli: Cli) -> None:
    create(cli)
    puts = [{"PutRequest": {"Item": item(number, "new")}} for number in range(1, 4)]
    assert cli("batch-write-item", "--request-items", text({"Orders": puts})) == {"UnprocessedItems": {}}
    keys = {"Orders": {"Keys": [json.loads(key(1)), json.loads(key(3))], "ProjectionExpression": "note"}}
    notes = cli("batch-get-item", "--request-items", text(keys), "--query", "sort(Responses.Orders[].note.S)")
    assert notes == ["n1", "n3"]
    actions = [
        {"Put": {"TableName": "Orders", "Item": item(4, "new")}},
        {"Delete": {"TableName": "Orders", "Key": json.loads(key(1))}},
    ]
    cli("transact-write-items", "--transact-items", text(actions), "--client-request-token", "once")
    actions[1] = {
        "ConditionCheck": {
            "TableName": "Orders",
            "Key": json.loads(key(1)),
            "ConditionExpression": "attribute_exists(nr)",
        }
    }
    cancelled = cli.refusal("transact-write-items", "--transact-items", text(actions))
    assert "Transaction cancelled, please refer cancellation reasons for specific reasons [None, Cond" in cancelled
    gets = [{"Get": {"TableName": "Orders", "Key": json.loads(key(number))}} for number in (1, 4)]
    read = cli("transact-get-items", "--transact-items", text(gets))["Responses"]
    assert [one.get("Item", {}).get("note") for one in read] == [None, {"S": "n4"}]
    select = "SELECT note FROM Orders WHERE customer = ? AND nr > 2"
    found = cli("execute-statement", "--statement", select, "--parameters", '[{"S": "c1"}]')
    assert [one["note"]["S"] for one in found["Items"]] == ["n3", "n4"]
    both = [{"Statement": f"DELETE FROM Orders WHERE customer = 'c1' AND nr = {number}"} for number in (2, 3)]
    cli("execute-transaction", "--transact-statements", text(both))
    reads = [{"Statement": f"SELECT * FROM Orders WHERE customer = 'c1' AND nr = {number}"} for number in (3, 4)]
    answers = cli("batch-execute-statement", "--statements", text(reads))["Responses"]
    assert ["Item" in one for one in answers] == [False, True]


def test_its_own_paging_of_queries_and_scans(cli: Cli) -> None:
    create(cli)
    for first in (1, 26):
        puts = [
            {"PutRequest": {"Item": item(number, "new" if number % 2 else "paid")}}
            for number in range(first, first + 25)
        ]
        cli("batch-write-item", "--request-items", text({"Orders": puts}))
    numbers = ("--query", "Items[].nr.N")
    mine = ("--key-condition-expression", "customer = :c", "--expression-attribute-values", '{":c": {"S": "c1"}}')
    backwards = cli("query", *TABLE, *mine, "--no-scan-index-forward", "--page-size", "7", *numbers)
    assert backwards == [str(number) for number in range(50, 0, -1)]
    paid = (
        "--index-name", "ByStatus", "--key-condition-expression", "status_is = :s",
        "--expression-attribute-values", '{":s": {"S": "paid"}}',
    )  # fmt: skip
    assert cli("query", *TABLE, *paid, "--page-size", "4", *numbers) == [str(number) for number in range(2, 51, 2)]
    counted = cli("query", *TABLE, *paid, "--select", "COUNT")
    assert (counted["Count"], counted["ScannedCount"]) == (25, 25)
    local = cli(
        "query", *TABLE, "--index-name", "Local", "--key-condition-expression", "customer = :c AND status_is = :s",
        "--expression-attribute-values", '{":c": {"S": "c1"}, ":s": {"S": "new"}}', "--max-items", "3", *numbers,
    )  # fmt: skip
    assert local == ["1", "3", "5"]
    found: list[str] = []
    start: tuple[str, ...] = ()
    while True:
        page = cli("scan", *TABLE, "--max-items", "20", "--page-size", "8", *start)
        found += [one["nr"]["N"] for one in page["Items"]]
        if "NextToken" not in page:
            break
        start = ("--starting-token", page["NextToken"])
    assert found == [str(number) for number in range(1, 51)]
    halves = [cli("scan", *TABLE, "--segment", part, "--total-segments", "2", *numbers) for part in "01"]
    assert sorted(map(int, halves[0] + halves[1])) == list(range(1, 51))


def test_streams(cli: Cli) -> None:
    create(cli)
    for status in ("new", "paid"):
        cli("put-item", *TABLE, "--item", text(item(1, status)))
    cli("delete-item", *TABLE, "--key", key(1))
    (stream,) = cli.streams("list-streams", *TABLE)["Streams"]
    arn = ("--stream-arn", stream["StreamArn"])
    shard = cli.streams("describe-stream", *arn, "--query", "StreamDescription.Shards[0].ShardId")
    place = (*arn, "--shard-id", shard, "--shard-iterator-type")
    start = cli.streams("get-shard-iterator", *place, "TRIM_HORIZON", "--query", "ShardIterator")
    read = cli.streams("get-records", "--shard-iterator", start, "--limit", "2")
    assert [one["eventName"] for one in read["Records"]] == ["INSERT", "MODIFY"]
    assert read["Records"][1]["dynamodb"]["NewImage"]["status_is"] == {"S": "paid"}
    rest = cli.streams("get-records", "--shard-iterator", read["NextShardIterator"])["Records"]
    assert [one["eventName"] for one in rest] == ["REMOVE"]
    second = read["Records"][1]["dynamodb"]["SequenceNumber"]
    at = cli.streams("get-shard-iterator", *place, "AT_SEQUENCE_NUMBER", "--sequence-number", second)
    names = cli.streams("get-records", "--shard-iterator", at["ShardIterator"], "--query", "Records[].eventName")
    assert names == ["MODIFY", "REMOVE"]
    cli("update-table", *TABLE, "--stream-specification", "StreamEnabled=false")
    assert cli.streams("describe-stream", *arn, "--query", "StreamDescription.StreamStatus") == "DISABLED"
