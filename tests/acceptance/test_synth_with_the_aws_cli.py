"""The commands of docs/how-to/deploy-with-the-aws-cli.md, as they are printed there, against ministack."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.conftest import BIN, EXAMPLES, ROOT
from tests.acceptance.elsewhere import REGION, Elsewhere, ministack_in

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "how-to" / "deploy-with-the-aws-cli.md"


@pytest.fixture
def ministack(tmp_path: Path) -> Iterator[Elsewhere]:
    with ministack_in(tmp_path) as running:
        yield running


def commands(heading: str) -> str:
    """The first block of console commands under a heading."""
    text = PAGE.read_text("utf-8")
    section = text[text.index(f"# {heading}\n") :]
    block = re.search(r"^```console\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1]


def run(there: Elsewhere, script: str) -> str:
    """Run commands in a shell that stops at the first that fails."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": there.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": str(there.folder / "none"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["sh", "-euc", script], cwd=there.folder, env=environ, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{there.log.read_text()[-3000:]}"
    return done.stdout


def test_four_commands_deploy_an_app_and_one_takes_it_away(ministack: Elsewhere) -> None:
    shutil.copy(EXAMPLES / "appointments.py", ministack.folder)
    ministack.client("s3").create_bucket(Bucket="my-bundles")
    before = ministack.everything()
    run(ministack, commands("Deploy with the AWS CLI"))
    there = ministack.everything()
    assert there["stacks"] == there["groups"] == there["dashboards"] == ["clinic"]
    assert sorted(there["tables"]) == ["Appointment-Table", "clinic-deliveries"]
    assert sorted(there["functions"]) == ["clinic-stream", "clinic-when-due"]
    assert sorted(there["queues"]) == ["clinic-dead-letters", "clinic-stream-dead-letters"]
    assert len(there["mappings"]) == 1
    assert "clinic-stream-behind" in there["alarms"]
    run(ministack, commands("Take it away"))
    assert ministack.everything() == {**before, "tables": ["Appointment-Table"]}, "tables stay"


def test_a_table_that_is_there_already_keeps_its_items(ministack: Elsewhere) -> None:
    shutil.copy(EXAMPLES / "appointments.py", ministack.folder)
    ministack.client("s3").create_bucket(Bucket="my-bundles")
    key = [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}]
    dynamodb = ministack.client("dynamodb")
    dynamodb.create_table(
        TableName="Appointment-Table",
        KeySchema=key,
        AttributeDefinitions=[{"AttributeName": one["AttributeName"], "AttributeType": "S"} for one in key],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="Appointment-Table", Item={"PK": {"S": "1"}, "SK": {"S": "1"}})
    upload = commands("Deploy with the AWS CLI").splitlines()
    key_and_copy = "\n".join(line for line in upload if line.startswith(("KEY=", "aws s3")))
    script = commands("A table that is there already")
    position = script.index("aws cloudformation deploy")
    run(ministack, f"{script[:position]}{key_and_copy}\n{script[position:]}")
    (mapping,) = ministack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert (
        mapping["EventSourceArn"] == dynamodb.describe_table(TableName="Appointment-Table")["Table"]["LatestStreamArn"]
    )
    assert dynamodb.scan(TableName="Appointment-Table")["Count"] == 1
    run(ministack, commands("Take it away"))
    assert dynamodb.scan(TableName="Appointment-Table")["Count"] == 1
