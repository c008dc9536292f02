"""Deliveries to a real mail server and a real HTTP server that refuse, are away, and come back."""

import email
import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiosmtpd.controller import Controller
from tests.acceptance.conftest import Up

pytestmark = pytest.mark.slow

MAIL_RULES = """
from datetime import timedelta
from duestream import App, Email, Retry

app = App("clinic")
appointments = app.table("Appointments", partition_key="PK")


@appointments.rule("DUE", retry=Retry(attempts=20, max_age=timedelta(minutes=10)))
def reminder(item):
    return Email(source="clinic@example.com", to=item["email"], subject=item["PK"], text="You have a reminder")
"""

HTTP_RULES = """
from duestream import App, HttpRequest

app = App("hooks")
appointments = app.table("Appointments", partition_key="PK")


@appointments.rule("DUE")
def call(item):
    return HttpRequest(item["url"], body={"pk": item["PK"]}, headers={"X-Kind": "reminder"})
"""


def _soon(seconds: float = 1) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()  # noqa: TID251


def _put(running: Up, key: str, **attributes: str) -> None:
    item = {"PK": {"S": key}, "DUE": {"S": _soon()}, **{name: {"S": value} for name, value in attributes.items()}}
    running.client("dynamodb").put_item(TableName="Appointments", Item=item)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _letters(running: Up, queue: str) -> list[dict[str, Any]]:
    sqs = running.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    answer = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"]
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


class MailServer:
    """Takes mail; puts everybody off once, and refuses `refused@` for good."""

    def __init__(self) -> None:
        self.attempts: dict[str, list[str]] = defaultdict(list)
        self.taken: list[email.message.Message] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.startswith("refused@"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        message = email.message_from_bytes(envelope.content)
        key = message["Subject"]
        self.attempts[key].append(message["Message-ID"])
        if len(self.attempts[key]) == 1:
            return "451 4.3.0 try again later"
        self.taken.append(message)
        return "250 OK"


@pytest.fixture
def mail_server() -> Iterator[Callable[[int], MailServer]]:
    controllers: list[Controller] = []

    def start(port: int) -> MailServer:
        handler = MailServer()
        controller = Controller(handler, hostname="127.0.0.1", port=port)
        controller.start()
        controllers.append(controller)
        return handler

    yield start
    for controller in controllers:
        controller.stop()


def test_a_mail_server_that_is_away_refuses_and_comes_back_gets_each_email_once(
    tmp_path: Path, up: Callable[..., Up], mail_server: Callable[[int], MailServer]
) -> None:
    rules = tmp_path / "rules.py"
    rules.write_text(MAIL_RULES)
    port = _free_port()
    running = up(rules, "--smtp", f"127.0.0.1:{port}")
    for number in range(5):
        _put(running, f"{number}", email="abc@example.com")
    _put(running, "no mailbox", email="refused@example.com")
    message_id = running.client("ses").send_email(
        Source="clinic@example.com",
        Destination={"ToAddresses": ["abc@example.com"]},
        Message={"Subject": {"Data": "by the API"}, "Body": {"Text": {"Data": "Hello"}}},
    )["MessageId"]
    running.wait_for(lambda: "ConnectionError" in running.log.read_text())  # tried, and nobody there
    server = mail_server(port)

    running.wait_for(lambda: len(server.taken) >= 6, 60)
    running.wait_for(lambda: len(running.emails()) == 6)
    wanted = {*map(str, range(5)), "by the API"}
    assert sorted(message["Subject"] for message in server.taken) == sorted(wanted)
    for subject in wanted:
        assert len(server.attempts[subject]) == 2, "put off once, then taken"
        assert len(set(server.attempts[subject])) == 1, "each attempt has the same Message-ID"
    assert message_id in {message["Id"] for message in running.emails()}
    (letter,) = running.wait_for(lambda: _letters(running, "clinic-dead-letters"), 60)
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "550"
    assert "no such mailbox" in attributes["ERROR_MESSAGE"]
    assert "EXHAUSTED_RETRY_CONDITION" not in attributes, "a permanent error exhausts nothing"
    assert json.loads(letter["Body"])["Destination"] == {"ToAddresses": ["refused@example.com"]}
    assert running.stop() == 0


class Hooks(BaseHTTPRequestHandler):
    """/flaky fails twice, /wrong is refused for good, anything else is taken."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[dict[str, list[tuple[str, str, str]]]] = defaultdict(list)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.seen[self.path].append((self.headers["Idempotency-Key"], body, self.headers["X-Kind"]))
        status = {"/wrong": 400, "/flaky": 503 if len(self.seen[self.path]) <= 2 else 200}.get(self.path, 204)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not into the test's output."""


@pytest.fixture
def hooks() -> Iterator[str]:
    Hooks.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_an_http_server_that_fails_gets_the_same_delivery_again(
    tmp_path: Path, up: Callable[..., Up], hooks: str
) -> None:
    rules = tmp_path / "rules.py"
    rules.write_text(HTTP_RULES)
    running = up(rules)
    for path in ("taken", "flaky", "wrong"):
        _put(running, path, url=f"{hooks}/{path}")
    running.wait_for(lambda: len(Hooks.seen["/flaky"]) >= 3, 60)
    (letter,) = running.wait_for(lambda: _letters(running, "hooks-dead-letters"))
    running.wait_for(lambda: not running.client("scheduler").list_schedules(GroupName="hooks")["Schedules"])
    assert len(Hooks.seen["/taken"]) == 1
    assert len(Hooks.seen["/flaky"]) == 3
    assert len(set(Hooks.seen["/flaky"])) == 1, "each attempt is the same request with the same Idempotency-Key"
    assert Hooks.seen["/flaky"][0][1:] == ('{"pk":"flaky"}', "reminder")
    assert len({calls[0][0] for calls in Hooks.seen.values()}) == 3, "each delivery has its own key"
    assert len(Hooks.seen["/wrong"]) == 1
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "400"
    assert json.loads(letter["Body"])["Url"].endswith("/wrong")
    assert running.stop() == 0


def test_an_attempt_that_a_crash_cut_short_is_made_again_with_the_same_id(
    tmp_path: Path, up: Callable[..., Up]
) -> None:
    rules = tmp_path / "rules.py"
    rules.write_text(HTTP_RULES)
    keys: list[str] = []
    arrived, answer = threading.Event(), threading.Event()

    class Slow(Hooks):
        def do_POST(self) -> None:
            keys.append(self.headers["Idempotency-Key"])
            arrived.set()
            answer.wait(30)
            super().do_POST()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        running = up(rules)
        _put(running, "1", url=f"http://127.0.0.1:{server.server_port}/slow")
        assert arrived.wait(30)
        running.kill()  # in the middle of the attempt
        answer.set()
        again = up(rules)
        again.wait_for(lambda: not again.client("scheduler").list_schedules(GroupName="hooks")["Schedules"])
        assert len(keys) == 2
        assert len(set(keys)) == 1
        assert again.stop() == 0
    finally:
        answer.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
