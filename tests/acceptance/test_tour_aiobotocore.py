"""A tour of DynamoDB and its streams with aiobotocore: what is checked is in aiobotocore_client.py."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.conftest import ROOT, Up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SCRIPT = Path(__file__).with_name("aiobotocore_client.py")
PYTHON = ROOT / ".venv" / "others" / "bin" / "python"


@pytest.mark.skipif(not PYTHON.exists(), reason="there is no virtual environment for others here")
def test_many_calls_at_a_time_pages_transactions_and_the_stream(up: Callable[..., Up]) -> None:
    running = up(None)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    command = [str(PYTHON), "-W", "error", str(SCRIPT), running.endpoint_url]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert {"CreateTable", "Query", "Scan", "TransactWriteItems", "GetRecords"} <= set(json.loads(done.stdout))
    assert running.stop() == 0
