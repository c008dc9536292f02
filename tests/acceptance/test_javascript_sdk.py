"""EventBridge Scheduler as AWS's SDK for JavaScript sees it: what is checked is in scheduler_client.cjs."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.acceptance.conftest import Up

from duestream.local.operations import SERVICES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).with_name("scheduler_client.cjs")


def test_all_twelve_operations_and_a_delivery_with_the_sdk_for_javascript(up: Callable[..., Up], sdk: Path) -> None:
    running = up(None)
    sqs = running.client("sqs")
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("reminders", "given-up")]
    arns = [f"arn:aws:sqs:us-east-1:000000000000:{url.rpartition('/')[2]}" for url in urls]
    node = shutil.which("node")
    assert node is not None
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "NODE_PATH": str(sdk),
        "AWS_ENDPOINT_URL": running.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    done = subprocess.run([node, str(SCRIPT), *arns], env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["called"] == sorted(SERVICES["scheduler"])
    assert len(told["called"]) == 12
    (message,) = sqs.receive_message(QueueUrl=urls[0], MessageSystemAttributeNames=["SentTimestamp"])["Messages"]
    assert json.loads(message["Body"]) == {"due": told["due"], "attempt": "1"}
    sent_at = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    assert sent_at >= datetime.fromisoformat(told["due"]), "not before its time"
    assert running.stop() == 0
