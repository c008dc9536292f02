"""Dead letters and `why` from the command line, against running servers, with SQS's clients beside them."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests.integration.conftest import REGION, RunningServer

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-m", "duestream.cli")
KEYS = ("AKIDEXAMPLE", "secret/+=")

RULES = """\
import pathlib
from duestream import App, QueueMessage, Retry

app = App("clinic")
table = app.table("Appointments", partition_key="PK", sort_key="SK")
MENDED = pathlib.Path(__file__).with_name("mended")

@table.rule("REMINDER", retry=Retry(attempts=0))
def reminder(item):
    return QueueMessage("reminders", {"pk": item["PK"]})

@table.rule("REVIEW")
def review(item):
    return QueueMessage("reminders", {"review": item["PK"] if MENDED.exists() else item["no such"]})
"""


@pytest.fixture
def environ() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DUESTREAM_"))}
    return {**kept, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


class Up:
    """A running `duestream up` on a manual clock, and the commands that ask it."""

    def __init__(self, url: str, environ: Mapping[str, str], keys: tuple[str, str]) -> None:
        self.url, self.environ, self.keys = url, {**environ, "AWS_ENDPOINT_URL": url}, keys

    def client(self, service: str) -> Any:
        key_id, secret = self.keys
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=30),
        )

    def run(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, timeout=90, env={**self.environ, **more}
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        ended = self.run(*arguments, "--json")
        assert ended.returncode == code, ended.stderr
        return json.loads(ended.stdout)

    def advance(self, seconds: int) -> None:
        body = json.dumps({"advance_seconds": seconds}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/_duestream/clock", body), timeout=30).close()

    def put(self, key: str, **attributes: str) -> None:
        item = {name: {"S": value} for name, value in {"PK": key, "SK": "1", **attributes}.items()}
        self.client("dynamodb").put_item(TableName="Appointments", Item=item)


@pytest.fixture
def up(environ: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    @contextmanager
    def start(*arguments: str, keys: tuple[str, str] = ("x", "x")) -> Iterator[Up]:
        rules = tmp_path / "rules.py"
        rules.write_text(RULES)
        process = subprocess.Popen(
            [*COMMAND, "up", str(rules), "--port", "0", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=tmp_path,
            env=environ,
        )
        assert process.stdout is not None
        try:
            yield UpWithSteps(process.stdout.readline().rpartition(" ")[2].strip(), environ, keys, process.stdout)
        finally:
            process.kill()
            process.communicate()

    return start


class UpWithSteps(Up):
    """And what the server says of each step, to wait for."""

    def __init__(self, url: str, environ: Mapping[str, str], keys: tuple[str, str], steps: Any) -> None:
        super().__init__(url, environ, keys)
        self._steps = steps

    def step(self, action: str) -> Any:
        return next(step for step in map(json.loads, self._steps) if step["action"] == action)


MANUAL = ("--clock", "manual=2030-01-01T09:00:00Z")


def test_letters_are_listed_shown_redriven_and_explained(up: Callable[..., Any], tmp_path: Path) -> None:
    with up(*MANUAL) as server:
        server.put("a", REMINDER="2030-01-01T09:00:30Z")
        server.step("put_schedule")
        server.put("b", REVIEW="2030-01-01T10:00:00Z")
        server.step("dead_letter_record")
        server.advance(60)
        server.step("dead_lettered")

        listed = server.json("dead-letters", "list")
        assert listed["is_all"]
        delivery, record = sorted(listed["letters"], key=lambda letter: str(letter["kind"]))
        assert (delivery["rule"], delivery["key"]) == ("reminder", {"PK": {"S": "a"}, "SK": {"S": "1"}})
        assert "KeyError: 'no such'" in record["reason"]
        shown = server.run("dead-letters", "list")
        assert "Appointments PK=a SK=1" in shown.stdout
        assert "2 dead letters" in shown.stdout
        assert len(server.json("dead-letters", "list", "--kind", "record", "--older-than", "30s")["letters"]) == 1
        assert len(server.json("dead-letters", "list", "--newer-than", "30s", "--rule", "reminder")["letters"]) == 1

        assert "NonExistentQueue" in server.run("dead-letters", "show", str(delivery["id"])).stdout
        assert server.json("dead-letters", "show", delivery["message_id"])["body"] == (
            '{"MessageBody":"{\\"pk\\":\\"a\\"}","QueueUrl":"arn:aws:sqs:us-east-1:000000000000:reminders"}'
        )
        why = server.run("why", "Appointments", "PK=a,SK=1")
        assert why.returncode == 0
        assert f"duestream dead-letters redrive {delivery['id']}" in why.stdout

        server.client("sqs").create_queue(QueueName="reminders")
        tried = server.run("dead-letters", "redrive", "--all", "--dry-run")
        assert tried.returncode == 1  # the rule still raises
        assert "1 redriven, 1 left (dry run: nothing was changed)" in tried.stdout
        (tmp_path / "mended").touch()
        assert "2 dead letters: 2 redriven" in server.run("dead-letters", "redrive", "--all").stdout
        server.step("delivered")
        assert server.json("dead-letters", "list")["letters"] == []
        history = server.json("dead-letters", "show", str(delivery["id"]))["history"]
        assert [entry["ended"] for entry in history] == ["redriven"]
        (rule, _) = server.json("why", "Appointments", '{"PK": "a", "SK": "1"}')["rules"]
        assert [outcome["kind"] for outcome in rule["schedules"][0]["outcomes"]] == ["dead_lettered", "delivered"]
        assert "Will be delivered: due 2030-01-01T10:00:00Z" in server.run("why", "Appointments", "PK=b,SK=1").stdout

        gone = server.run("dead-letters", "redrive", str(delivery["id"]))
        assert gone.returncode == 1
        assert "not found" in gone.stdout
        nobody = server.run("why", "Appointments", "PK=nobody,SK=1")
        assert nobody.returncode == 1
        assert "Nothing is known of such an item" in nobody.stdout


def test_a_server_that_answers_where_an_app_is_asked_for_tells_of_its_own_letters(
    up: Callable[..., Any], tmp_path: Path
) -> None:
    with up(*MANUAL) as server:
        server.put("b", REVIEW="2030-01-01T10:00:00Z")
        server.step("dead_letter_record")
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": REGION}
        app = str(tmp_path / "rules.py")
        listed = json.loads(server.run("dead-letters", "list", app, "--json", **keys).stdout)["letters"]
        assert listed == server.json("dead-letters", "list")["letters"]
        why = server.run("why", "Appointments", "PK=b,SK=1", "--app", app, **keys)
        assert why.stdout == server.run("why", "Appointments", "PK=b,SK=1").stdout
        twice = server.run("dead-letters", "list", app, "--app", app, **keys)
        assert (twice.returncode, "name the app once" in twice.stderr) == (2, True)


def test_what_sqs_sees_is_the_same_letter_and_a_letter_in_flight_is_left_alone(up: Callable[..., Any]) -> None:
    with up(*MANUAL) as server:
        server.put("a", REMINDER="2030-01-01T09:00:30Z")
        server.step("put_schedule")
        server.advance(60)
        server.step("dead_lettered")
        sqs = server.client("sqs")
        queue_url = sqs.get_queue_url(QueueName="clinic-dead-letters")["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=queue_url, MessageAttributeNames=["All"])["Messages"]
        (letter,) = server.json("dead-letters", "list")["letters"]
        assert letter["message_id"] == message["MessageId"]
        assert letter["state"] == "in flight"
        assert server.json("dead-letters", "redrive", "--all")["results"][0]["result"] == "in flight"
        assert server.json("dead-letters", "drop", str(letter["id"]), code=1)["results"][0]["result"] == "in flight"
        server.advance(30)
        assert server.json("dead-letters", "drop", str(letter["id"]))["results"][0]["result"] == "dropped"
        assert "Messages" not in sqs.receive_message(QueueUrl=queue_url)


def test_with_credentials_the_commands_sign(up: Callable[..., Any], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"[default]\naws_access_key_id={KEYS[0]}\naws_secret_access_key={KEYS[1]}\n")
    with up("--credentials", str(keys), keys=KEYS) as server:
        server.put("a b&c=ü", REVIEW="2030-01-01T10:00:00Z")
        server.step("dead_letter_record")
        unsigned = server.run("dead-letters", "list")
        assert unsigned.returncode == 1
        assert "MissingAuthenticationToken" in unsigned.stderr
        assert "Set AWS_ACCESS_KEY_ID" in unsigned.stderr
        right = {"AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1]}
        assert "1 dead letter" in server.run("dead-letters", "list", "--error", "KeyError: 'no", **right).stdout
        assert server.run("dead-letters", "drop", "--all", **right).returncode == 0
        assert server.run("why", "Appointments", "PK=a b&c=ü,SK=1", **right).returncode == 0
        wrong = server.run("dead-letters", "list", **{**right, "AWS_SECRET_ACCESS_KEY": "other"})
        assert wrong.returncode == 1
        assert "signature" in wrong.stderr
        from_file = {"AWS_SHARED_CREDENTIALS_FILE": str(keys)}
        assert server.run("dead-letters", "list", **from_file).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("dead-letters", "list", "--endpoint-url", "http://127.0.0.1:1"), 1, "no server answers at"),
        (("dead-letters", "list", "--endpoint-url", "nowhere"), 2, "is no URL"),
        (("why", "T", "K", "--endpoint-url", "http://127.0.0.1:1"), 1, "Start one with `duestream up`"),
        (("dead-letters", "redrive"), 2, "or say --all"),
        (("dead-letters", "redrive", "1", "--all"), 2, "or say --all"),
        (("dead-letters", "drop", "1", "--rule", "x"), 2, "say --all with them"),
        (("dead-letters", "list", "--newer-than", "soon"), 2, "is no length of time"),
        (("dead-letters", "list", "--kind", "email"), 2, "Write delivery, record or message"),
        (("dead-letters", "list", "--limit", "0"), 2, "--limit"),
        (("dead-letters", "lst"), 2, "lst"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(
    arguments: tuple[str, ...], code: int, said: str, environ: dict[str, str]
) -> None:
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=90, env=environ)
    assert ended.returncode == code
    assert ended.stderr.startswith("error: ")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("dead-letters?limit=0", None),
        ("dead-letters?limit=501", None),
        ("dead-letters?limit=many", None),
        ("dead-letters?kind=email", None),
        ("dead-letters?token=nonsense", None),
        ("dead-letters/redrive", b"{}"),
        ("dead-letters/redrive", b'{"ids": []}'),
        ("dead-letters/drop", json.dumps({"ids": [str(n) for n in range(101)]}).encode()),
        ("dead-letters/drop", b"\xff"),
        ("why?table=T", None),
    ],
)
def test_pages_refuse_what_they_do_not_understand(path: str, body: bytes | None, server: RunningServer) -> None:
    status, answer = ask(f"{server.endpoint_url}/_duestream/{path}", body)
    assert status == 400
    assert answer["message"]


def test_pages_are_not_for_other_sites_and_unknown_letters_are_not_found(server: RunningServer) -> None:
    url = f"{server.endpoint_url}/_duestream/dead-letters"
    assert ask(url) == (200, {"letters": [], "next_token": None})
    assert ask(f"{url}/drop", b'{"ids": ["1"]}', Origin="https://example.com")[0] == 403
    assert ask(url, None, Host="example.com")[0] == 403
    assert ask(f"{url}/show?id=17")[0] == 404
    assert ask(f"{url}/show?id={'9' * 30}")[0] == 404


def test_message_move_tasks_with_boto3(manual_server: RunningServer) -> None:
    sqs = manual_server.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    attributes = {"RedrivePolicy": policy, "VisibilityTimeout": "0"}
    source = sqs.create_queue(QueueName="source", Attributes=attributes)["QueueUrl"]
    sqs.send_message(QueueUrl=source, MessageBody="hello")
    sqs.receive_message(QueueUrl=source)
    sqs.receive_message(QueueUrl=source)
    handle = sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    (message,) = sqs.receive_message(QueueUrl=source, WaitTimeSeconds=20)["Messages"]
    assert message["Body"] == "hello"
    (task,) = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    with pytest.raises(sqs.exceptions.ClientError) as caught:
        sqs.cancel_message_move_task(TaskHandle=handle)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"
    with pytest.raises(sqs.exceptions.ResourceNotFoundException):
        sqs.list_message_move_tasks(SourceArn=f"{arn}-none")


def test_what_sqs_moved_into_an_apps_queue_is_listed_and_goes_back_where_it_was(up: Callable[..., Any]) -> None:
    with up() as server:
        sqs = server.client("sqs")
        policy = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:000000000000:clinic-dead-letters", "maxReceiveCount": 1}
        url = sqs.create_queue(QueueName="orders", Attributes={"RedrivePolicy": json.dumps(policy)})["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="order 1")
        assert len(sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]) == 1
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
        (letter,) = server.json("dead-letters", "list", "--kind", "message")["letters"]
        shown = server.run("dead-letters", "show", str(letter["id"])).stdout
        assert "a message of another queue, waiting, in clinic-dead-letters" in shown
        assert "queue it was in   orders" in shown
        assert "orders" in server.run("dead-letters", "list").stdout
        ended = server.run("dead-letters", "redrive", "--all", "--kind", "message")
        assert (ended.returncode, "redriven: it is in queue orders again" in ended.stdout) == (0, True), ended.stdout
        assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "order 1"
        assert server.run("dead-letters", "list", "--kind", "letter").returncode == 2
