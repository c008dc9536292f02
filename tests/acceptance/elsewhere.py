"""Implementations of AWS's services that others wrote, as processes, and `duestream` deploying onto them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests.acceptance.conftest import BIN, ROOT, pause

REGION = "us-east-1"
MINISTACK = ROOT / ".venv" / "others" / "bin" / "ministack"
#: The functions' runtime: both run a function with the Python that they themselves run with.
RUNTIME = f"python3.{max(sys.version_info.minor, 11)}"


@dataclass
class Elsewhere:
    """A running implementation."""

    name: str
    endpoint_url: str
    folder: Path
    log: Path
    process: subprocess.Popen[bytes]
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client of one of its services."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.endpoint_url,
                region_name=REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
            )
        return self._clients[service]

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `duestream ARGUMENTS` against it, with output and errors in pipes."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": str(self.folder / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "none"),
        }
        command = [str(BIN / "duestream"), *arguments]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=self.folder,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run `duestream ARGUMENTS` against it: exit code, output, errors."""
        with self.start(*arguments) as process:
            output, errors = process.communicate(timeout=100)
        return process.returncode, output, errors

    def json(self, *arguments: str, code: int = 0) -> Any:
        """The one JSON object that a command prints; the exit code has to be `code`."""
        exit_code, output, errors = self.run(*arguments, "--json")
        assert exit_code == code, f"{arguments}: {exit_code}\n{output}\n{errors}\n{self.log.read_text()[-3000:]}"
        return json.loads(output)

    def wait_for(self, what: Callable[[], Any], seconds: float = 60) -> Any:
        """Ask again and again until the answer is truthy; the deadline only bounds a failing test."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"it did not come about; the log says:\n{self.log.read_text()[-5000:]}")
            pause()
        return found

    def everything(self) -> dict[str, list[str]]:
        """Whatever there is of what a stack may have."""
        ask = self.client
        stacks = ask("cloudformation").list_stacks()["StackSummaries"]
        return {
            "stacks": [one["StackName"] for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"],
            "tables": ask("dynamodb").list_tables()["TableNames"],
            "queues": [url.rpartition("/")[2] for url in ask("sqs").list_queues().get("QueueUrls", [])],
            "functions": [one["FunctionName"] for one in ask("lambda").list_functions()["Functions"]],
            "mappings": [one["UUID"] for one in ask("lambda").list_event_source_mappings()["EventSourceMappings"]],
            "groups": [
                one["Name"]
                for one in ask("scheduler").list_schedule_groups()["ScheduleGroups"]
                if one["Name"] != "default"
            ],
            "schedules": [one["Name"] for one in ask("scheduler").list_schedules()["Schedules"]],
            "log groups": [one["logGroupName"] for one in ask("logs").describe_log_groups()["logGroups"]],
            "roles": [one["RoleName"] for one in ask("iam").list_roles()["Roles"]],
            "buckets": [one["Name"] for one in ask("s3").list_buckets()["Buckets"]],
            "alarms": [one["AlarmName"] for one in ask("cloudwatch").describe_alarms()["MetricAlarms"]],
            "dashboards": [one["DashboardName"] for one in ask("cloudwatch").list_dashboards()["DashboardEntries"]],
        }


@contextmanager
def ministack_in(folder: Path) -> Iterator[Elsewhere]:
    """ministack on a free port, with all its files in the folder. Skips where it is not installed."""
    if not MINISTACK.is_file():
        pytest.skip(f"ministack is not installed: {MINISTACK} (tests/others/requirements.lock)")
    packages = folder / "packages"
    packages.mkdir()
    # Its functions run with its own Python, which lacks what Lambda's runtime has.
    for name in ("boto3", "s3transfer"):
        (packages / name).symlink_to(Path(boto3.__file__).parents[1] / name)
    (folder / "tmp").mkdir()
    port = _free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "TMPDIR": str(folder / "tmp"),
        "S3_DATA_DIR": str(folder / "s3"),
        "PYTHONPATH": str(packages),
    }
    with _running("ministack", [str(MINISTACK)], port, folder, environ, "/_ministack/health") as running:
        yield running


@contextmanager
def moto_in(folder: Path) -> Iterator[Elsewhere]:
    """moto's server on a free port."""
    port = _free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with _running("moto", command, port, folder, environ, "/moto-api/data.json") as running:
        yield running


@contextmanager
def _running(
    name: str, command: list[str], port: int, folder: Path, environ: dict[str, str], health: str
) -> Iterator[Elsewhere]:
    log, url = folder / f"{name}.log", f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environ, cwd=folder, start_new_session=True
        )
    try:
        running = Elsewhere(name, url, folder, log, process)
        running.wait_for(lambda: _answers(url + health))
        yield running
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # and the functions that it has started
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
