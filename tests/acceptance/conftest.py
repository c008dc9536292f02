"""`duestream up` as a user starts it: a process of its own, spoken to by real clients."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
BIN = Path(sys.executable).parent
READY = "duestream is ready on "


@dataclass
class Up:
    """A running `duestream up`."""

    process: subprocess.Popen[str]
    endpoint_url: str
    log: Path
    environ: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 0}),
        )

    def emails(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.endpoint_url}/_aws/ses") as answer:
            messages: list[dict[str, Any]] = json.load(answer)["messages"]
        return messages

    def wait_for(self, what: Callable[[], Any], seconds: float = 30) -> Any:
        """Ask again and again until the answer is truthy; the deadline only bounds a failing test."""
        deadline = time.monotonic() + seconds
        while True:
            found = what()
            if found:
                return found
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"it did not come about; the log says:\n{self.log.read_text()[-5000:]}")
            pause()

    def kill(self) -> None:
        """SIGKILL: what a power cut leaves."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ctrl-C, and wait for the end; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


def pause() -> None:
    """Between two looks at another process; nothing is concluded from how long it is."""
    time.sleep(0.02)  # noqa: TID251 - a test that polls a real server


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Start servers: `up(app, "--smtp", ..., data=folder)`. Those still running at the end are killed."""
    started: list[Up] = []

    def start(app: Path | str | None, *options: str, data: Path | None = None, **environ: str) -> Up:
        log = tmp_path / f"up-{len(started)}.log"
        environment = {**os.environ, **environ}
        command = [str(BIN / "duestream"), "up", *([str(app)] if app else []), "--port", "0"]
        command += ["--data", str(data or tmp_path / "data"), *options]
        with log.open("a") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=tmp_path
            )
        assert process.stdout is not None
        first = process.stdout.readline()
        running = Up(process, first.removeprefix(READY).strip(), log, environment)
        started.append(running)
        assert first.startswith(READY), f"{first!r} {log.read_text()}"
        drain(process, log)
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.kill()
        if running.process.stdout is not None:
            running.process.stdout.close()


def drain(process: subprocess.Popen[str], log: Path) -> None:
    """Keep reading what the server prints, so that it never waits for us."""
    import threading

    def read() -> None:
        assert process.stdout is not None
        try:
            with log.open("a", buffering=1) as out:
                for line in process.stdout:
                    out.write(line)
        except ValueError:
            pass  # closed at the end of the test

    threading.Thread(target=read, daemon=True).start()


@pytest.fixture
def aws(tmp_path: Path) -> Callable[..., Any]:
    """The real AWS CLI: `aws(up, "dynamodb", "put-item", ...)` answers its JSON."""

    def run(running: Up, *arguments: str) -> Any:
        environ = {
            **os.environ,
            "AWS_ENDPOINT_URL": running.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
            "AWS_PAGER": "",
        }
        # Said on the command line too: the AWS CLI 1 overrules the variable for SQS with an old host of AWS's.
        command = [str(BIN / "aws"), "--endpoint-url", running.endpoint_url, *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, f"aws {' '.join(arguments)}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `node_modules` folder with AWS's SDK for JavaScript."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no node and npm on this machine")
    folder = tmp_path_factory.mktemp("sdk")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "@aws-sdk/client-scheduler"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=folder)
    if done.returncode != 0:
        pytest.skip(f"npm could not install the SDK: {done.stderr[-300:]}")
    return folder / "node_modules"
