"""The commands as processes, as people and programs run them."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
READY = "duestream is ready on "
COMMAND = (sys.executable, "-m", "duestream.cli")

HANGING = """\
import threading
from duestream import App
app = App("hanging")
table = app.table("Things", partition_key="id")

@table.when_due("AT")
def never_ends(item, due):
    print("it hangs", flush=True)  # on stderr: stdout is the server's
    threading.Event().wait()
"""


@pytest.fixture
def environ() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DUESTREAM_"))}


@pytest.fixture
def run(environ: Mapping[str, str], tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    def run_command(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, timeout=90, cwd=tmp_path, env={**environ, **more}
        )

    return run_command


class Up:
    """A running `duestream up`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.process, self.stdout = process, process.stdout
        self.first_line = self.stdout.readline()
        self.url = self.first_line.removeprefix(READY).strip()

    def line_with(self, text: str) -> str:
        return next(line for line in self.stdout if text in line)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        self.stdout.read()
        return self.process.wait(60)

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )

    def page(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
            return json.load(answer)


@pytest.fixture
def up(environ: Mapping[str, str], tmp_path: Path) -> Callable[..., Any]:
    @contextmanager
    def start(*arguments: str, **more: str) -> Iterator[Up]:
        process = subprocess.Popen(
            [*COMMAND, "up", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={"DUESTREAM_PORT": "0", **environ, **more},
        )
        try:
            yield Up(process)
        finally:
            process.kill()
            process.communicate()

    return start


def test_up_says_first_where_it_is_and_then_what_it_watches(up: Callable[..., Any], tmp_path: Path) -> None:
    with up(str(EXAMPLES / "appointments.py")) as server:
        assert server.first_line.startswith("duestream is ready on http://127.0.0.1:")
        assert "day_before" in server.line_with("STARTS_AT - 1 day")
        assert "clinic-stream-dead-letters" in server.line_with("clinic-dead-letters")
        assert server.url in server.line_with("AWS_ENDPOINT_URL")
        assert server.page("/_duestream/health")["status"] == "ready"
        assert (tmp_path / ".duestream").is_dir()


def test_up_tells_each_step_in_a_line(up: Callable[..., Any]) -> None:
    with up(str(EXAMPLES / "appointments.py"), "--clock", "manual=2030-01-01T09:00:00Z") as server:
        item = {"PK": {"S": "a"}, "SK": {"S": "b"}, "email": {"S": "x@example.com"}}
        due = {"REMINDER_TIMESTAMP": {"S": "2030-01-01T09:30:00"}}
        server.client("dynamodb").put_item(TableName="Appointment-Table", Item={**item, **due})
        assert "reminder  PK=a SK=b" in server.line_with("scheduled ")
        request = urllib.request.Request(f"{server.url}/_duestream/clock", b'{"advance_seconds": 1800}')
        urllib.request.urlopen(request, timeout=30).close()
        assert "reminder  PK=a SK=b  ses:sendEmail  0 ms late" in server.line_with("delivered ")
        (email,) = server.page("/_aws/ses")["messages"]
        assert email["Destination"]["ToAddresses"] == ["x@example.com"]


def test_up_as_json_has_one_object_a_line_after_the_first(up: Callable[..., Any]) -> None:
    with up(str(EXAMPLES / "expiring.py"), "--json") as server:
        assert server.first_line.startswith(READY)
        ready = json.loads(server.stdout.readline())
        assert ready["action"] == "ready"
        assert ready["endpoint_url"] == server.url
        assert ready["tables"][0]["rules"][0]["attribute"] == "ttl"
        item = {"PK": {"S": "a"}, "SK": {"S": "b"}, "ttl": {"N": "4102444800"}}
        server.client("dynamodb").put_item(TableName="Session-Table", Item=item)
        step = json.loads(server.stdout.readline())
        assert (step["action"], step["rule"], step["due_at_ms"]) == ("put_schedule", "ttl-delete-item", 4102444800000)
        server.client("dynamodb").delete_item(TableName="Session-Table", Key={"PK": {"S": "a"}, "SK": {"S": "b"}})
        assert json.loads(server.stdout.readline())["action"] == "delete_schedule"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_stops_in_order_and_what_was_written_is_there_again(
    number: signal.Signals, up: Callable[..., Any], tmp_path: Path
) -> None:
    item = {"PK": {"S": "a"}, "SK": {"S": "b"}, "ttl": {"N": "4102444800"}}
    with up(str(EXAMPLES / "expiring.py")) as server:
        server.client("dynamodb").put_item(TableName="Session-Table", Item=item)
        server.line_with("scheduled ")
        assert server.end(number) == 0
    with up(str(EXAMPLES / "expiring.py")) as server:
        assert "1 schedule" in server.line_with("pending ")
        assert server.client("dynamodb").scan(TableName="Session-Table")["Items"] == [item]


def test_a_function_that_hangs_does_not_keep_the_process(up: Callable[..., Any], tmp_path: Path) -> None:
    rules = tmp_path / "hanging.py"
    rules.write_text(HANGING.replace('"AT")', '"AT", timeout=__import__("datetime").timedelta(seconds=1))'))
    with up(str(rules)) as server:
        server.client("dynamodb").put_item(TableName="Things", Item={"id": {"S": "a"}, "AT": {"N": "1"}})
        server.line_with("skipped ")  # long past: not run
        due = {"N": str(server_now(server))}
        server.client("dynamodb").put_item(TableName="Things", Item={"id": {"S": "b"}, "AT": due})
        assert "it hangs" in server.process.stderr.readline()
        assert server.end() == 0


def server_now(server: Up) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(server.page("/_duestream/health")["now"]).timestamp())


def test_a_second_signal_ends_at_once(up: Callable[..., Any], tmp_path: Path) -> None:
    rules = tmp_path / "hanging.py"
    rules.write_text(HANGING)
    with up(str(rules)) as server:
        due = {"N": str(server_now(server))}
        server.client("dynamodb").put_item(TableName="Things", Item={"id": {"S": "b"}, "AT": due})
        assert "it hangs" in server.process.stderr.readline()
        server.process.send_signal(signal.SIGINT)
        assert "stopping" in server.process.stderr.readline()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 1


def test_a_second_server_on_a_data_folder_is_refused(up: Callable[..., Any], run: Callable[..., Any]) -> None:
    with up():
        refused = run("up", "--port", "0")
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: ")
        assert "Traceback" not in refused.stderr


def test_a_port_that_is_taken_is_told(up: Callable[..., Any], run: Callable[..., Any]) -> None:
    with up() as server:
        refused = run("up", "--port", server.url.rpartition(":")[2], "--data", "other")
        assert refused.returncode == 2
        assert "--port" in refused.stderr


def test_options_can_come_from_the_environment(up: Callable[..., Any], tmp_path: Path) -> None:
    more = {
        "DUESTREAM_APP": str(EXAMPLES / "expiring.py"),
        "DUESTREAM_DATA": "elsewhere",
        "DUESTREAM_CLOCK": "manual=2030-01-01T09:00:00Z",
        "DUESTREAM_ALLOWED_HOST": "duestream.internal other.internal",
    }
    with up(**more) as server:
        assert "Session-Table" in server.line_with("ttl")
        assert server.page("/_duestream/health")["now"] == "2030-01-01T09:00:00+00:00"
        request = urllib.request.Request(f"{server.url}/_duestream/health", headers={"Host": "other.internal:80"})
        assert urllib.request.urlopen(request, timeout=30).status == 200
        assert (tmp_path / "elsewhere").is_dir()


def test_a_log_that_nobody_reads_does_not_stop_the_server(up: Callable[..., Any]) -> None:
    with up(str(EXAMPLES / "expiring.py")) as server:
        client = server.client("dynamodb")
        server.stdout.close()
        for number in range(3):
            item = {"PK": {"S": str(number)}, "SK": {"S": "b"}, "ttl": {"N": "4102444800"}}
            client.put_item(TableName="Session-Table", Item=item)
        assert client.scan(TableName="Session-Table")["Count"] == 3
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert "Traceback" not in server.process.stderr.read()


def test_a_rule_file_with_a_mistake_is_refused_before_anything_is_touched(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.py"
    rules.write_text("from duestream import App\napp = App('a b')\n")
    for command in (("check", "rules.py"), ("up", "rules.py", "--port", "0")):
        refused = run(*command)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"error: {rules}:2: an app cannot be named 'a b'")
        assert refused.stdout == ""
    assert not (tmp_path / ".duestream").exists()


def test_a_table_with_another_key_is_refused(up: Callable[..., Any], run: Callable[..., Any], tmp_path: Path) -> None:
    with up(str(EXAMPLES / "expiring.py")) as server:
        assert server.end() == 0
    rules = tmp_path / "rules.py"
    rules.write_text((EXAMPLES / "expiring.py").read_text().replace('"PK"', '"id"'))
    refused = run("up", "rules.py", "--port", "0")
    assert refused.returncode == 2
    assert "rules.py:" in refused.stderr
    assert "'Session-Table'" in refused.stderr


def test_the_demo_delivers_each_once_and_on_time(run: Callable[..., Any]) -> None:
    done = run("demo", "--seconds", "2", "--json", AWS_PROFILE="not-there", HTTP_PROXY="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["items"] == 10
    assert summary["delivered"] == 9
    assert summary["duplicates"] == 0
    assert 0 <= summary["lateness_ms"]["p50"] <= summary["lateness_ms"]["p99"] <= summary["lateness_ms"]["max"]


def test_the_demo_shows_what_became_of_each_item(run: Callable[..., Any]) -> None:
    done = run("demo", "--seconds", "1", "--appointments", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith(" appointment-")}
    assert len(rows) == 4
    assert "moved" in rows["appointment-2"]
    assert "deleted" in rows["appointment-3"]
    assert "ms" in rows["appointment-4"]
    assert "4 written, 3 delivered, 0 twice" in done.stdout


def test_the_demo_says_why_its_server_did_not_start(run: Callable[..., Any], tmp_path: Path) -> None:
    # A user's folder may shadow what the server needs; the demo then shows the server's own words.
    (tmp_path / "apsw.py").write_text("raise RuntimeError('shadowed on purpose')\n")
    done = run("demo", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: the server did not start. It said:")
    assert "shadowed on purpose" in done.stderr


def test_what_a_rule_file_prints_does_not_come_before_the_first_line(
    up: Callable[..., Any], run: Callable[..., Any], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.py"
    rules.write_text("print('loud')\n" + (EXAMPLES / "expiring.py").read_text())
    with up("rules.py") as server:
        assert server.first_line.startswith(READY)
    checked = run("check", "rules.py", "--json")
    assert json.loads(checked.stdout)["ok"] is True
    assert checked.stderr == "loud\n"
