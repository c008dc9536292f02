"""A tour of DynamoDB and its streams with AWS's SDK for JavaScript: what is checked is in dynamodb_client.cjs."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.conftest import Up

from duestream.local.operations import SERVICES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).with_name("dynamodb_client.cjs")
PACKAGES = ("@aws-sdk/client-dynamodb", "@aws-sdk/lib-dynamodb", "@aws-sdk/client-dynamodb-streams")


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `node_modules` folder with the SDK's clients for DynamoDB."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no node and npm on this machine")
    folder = tmp_path_factory.mktemp("dynamodb-sdk")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=folder)
    if done.returncode != 0:
        pytest.skip(f"npm could not install the SDK: {done.stderr[-300:]}")
    return folder / "node_modules"


def test_the_plain_client_the_document_client_and_the_streams_client(up: Callable[..., Up], modules: Path) -> None:
    running = up(None)
    node = shutil.which("node")
    assert node is not None
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "NODE_PATH": str(modules),
        "AWS_ENDPOINT_URL": running.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    done = subprocess.run([node, str(SCRIPT)], env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    served = {*SERVICES["dynamodb"], *SERVICES["dynamodbstreams"]}
    assert set(json.loads(done.stdout)["called"]) >= served
    assert running.stop() == 0
