"""The functions run in the environment that the template gives them, against a server that notes what they ask for:
every call they make must be allowed by the role that the template gives them."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from tests.unit.aws.policy_evaluator import is_allowed
from tests.unit.aws.stack.recorded_rules import app
from tests.unit.aws.stack.resolved import ACCOUNT_ID, REGION, Resolved, arn

from duestream.aws import due, handler, sweep
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.template import template

pytestmark = pytest.mark.slow

FUTURE = {"S": "2099-01-01T00:00:00Z"}
PAST = {"S": "2020-01-01T00:00:00Z"}
KEY = {"PK": {"S": "7"}, "SK": {"N": "1"}}


@dataclass
class Call:
    """One call: what IAM is asked."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


@dataclass
class Recorded:
    """What was asked, and what is answered.

    Args:
        calls: in their order.
        answers: action to the body of its answer.
        refused: actions that are answered with an error: (status, code).
    """

    calls: list[Call] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def actions(self) -> set[str]:
        return {call.action for call in self.calls}


def _queue(url: str) -> str:
    return arn("sqs", url.rpartition("/")[2])


def calls_of(service: str, method: str, path: str, target: str, body: dict[str, Any]) -> list[Call]:
    """What IAM is asked about a request (Service Authorization Reference)."""
    parts = urlsplit(path)
    if service == "dynamodb":
        table = arn("dynamodb", f"table/{body['TableName']}")
        resource = f"{table}/index/{body['IndexName']}" if "IndexName" in body else table
        return [Call(f"dynamodb:{target.rpartition('.')[2]}", resource)]
    if service == "sqs":
        return [Call(f"sqs:{target.rpartition('.')[2]}", _queue(body["QueueUrl"]))]
    if service == "lambda":
        name = unquote(parts.path.split("/")[3])
        return [Call("lambda:InvokeFunction", name if name.startswith("arn:") else arn("lambda", f"function:{name}"))]
    if service == "scheduler":
        verb = {"POST": "Create", "PUT": "Update", "GET": "Get", "DELETE": "Delete"}[method]
        group = body.get("GroupName") or parse_qs(parts.query)["groupName"][0]
        schedule = arn("scheduler", f"schedule/{group}/{parts.path.rpartition('/')[2]}")
        passed = [
            Call("iam:PassRole", body["Target"]["RoleArn"], {"iam:PassedToService": "scheduler.amazonaws.com"})
            for _ in range("Target" in body)
        ]
        return [Call(f"scheduler:{verb}Schedule", schedule), *passed]
    raise AssertionError(f"nobody knows what {service} {method} {path} needs")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """A server in place of AWS."""
    noted, lock = Recorded(), threading.Lock()

    class Page(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", self.headers["Authorization"])
            assert scope is not None
            target = self.headers.get("X-Amz-Target", "")
            calls = calls_of(scope[1], self.command, self.path, target, body)
            with lock:
                noted.calls += calls
            status, code = noted.refused.get(calls[0].action, (200, ""))
            answer = {"__type": code, "message": "no"} if code else noted.answers.get(calls[0].action, {})
            content = json.dumps(answer).encode()
            self.send_response(202 if scope[1] == "lambda" else status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            if code:
                self.send_header("x-amzn-errortype", code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server looks for these names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", REGION)
    yield noted
    server.shutdown()
    server.server_close()


STACK = Resolved(template(app, StackOptions(entry="tests.unit.aws.stack.recorded_rules:app")))


class Context:
    """Lambda's."""

    aws_request_id = "8a2f1e0c-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def run(
    monkeypatch: pytest.MonkeyPatch, function: str, handle: Callable[[Any, Any], Any], lambda_event: dict[str, Any]
) -> Any:
    """Run a function once as Lambda would, in its environment."""
    for name, value in STACK.resource(function)["Environment"]["Variables"].items():
        monkeypatch.setenv(name, value)
    for made in (handler._function, due.due_function, sweep.sweep_function):
        made.cache_clear()
    try:
        return handle(lambda_event, Context())
    finally:
        for made in (handler._function, due.due_function, sweep.sweep_function):
            made.cache_clear()


def check(recorded: Recorded, role: str) -> None:
    """Everything that was done is allowed."""
    statements = STACK.statements(role)
    refused = [call for call in recorded.calls if not is_allowed(statements, call.action, call.resource, call.context)]
    assert refused == []


def stream_record(number: int, name: str, **images: Any) -> dict[str, Any]:
    return {
        "eventID": f"{number:032x}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": {
            "Keys": {**KEY, "SK": {"N": str(number)}},
            "SequenceNumber": str(number),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "ApproximateCreationDateTime": 1_780_000_000,
            **images,
        },
        "eventSourceARN": f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/Appointment-Table/stream/x",
    }


def test_the_stream_function_may_do_what_it_does(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    image = {**KEY, **dict.fromkeys("ABCDEGHI", FUTURE), "F": {"S": "rate(5 minutes)"}}
    records = [
        stream_record(1, "INSERT", NewImage={**image, "SK": {"N": "1"}}),
        stream_record(2, "REMOVE", OldImage={**image, "SK": {"N": "2"}}),
        stream_record(3, "INSERT", NewImage={**KEY, "SK": {"N": "3"}, "A": {"S": "soon"}}),
        stream_record(
            4,
            "MODIFY",
            OldImage={**image, "SK": {"N": "4"}},
            NewImage={**image, "SK": {"N": "4"}, "F": {"S": "rate(6 minutes)"}},
        ),
    ]
    answer = run(monkeypatch, "StreamFunction", handler.handle, {"Records": records})
    assert answer == {"batchItemFailures": []}
    recorded.refused["scheduler:CreateSchedule"] = (409, "ConflictException")
    run(monkeypatch, "StreamFunction", handler.handle, {"Records": records})
    assert recorded.actions >= {
        "scheduler:CreateSchedule",
        "scheduler:UpdateSchedule",
        "scheduler:GetSchedule",
        "scheduler:DeleteSchedule",
        "iam:PassRole",
        "sqs:SendMessage",
    }
    check(recorded, "StreamFunctionRole")
    with pytest.raises(AssertionError):
        check(recorded, "WhenDueFunctionRole")


def due_event(rule: str, **more: Any) -> dict[str, Any]:
    event = {"Rule": rule, "Table": "Appointment-Table", "Key": KEY, "DueAt": "2020-01-01T00:00:00Z"}
    return {**event, "Schedule": f"{rule}-0123", "Target": 0, **more}


def test_the_due_function_may_do_what_it_does(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded.answers["dynamodb:GetItem"] = {"Item": {**KEY, "D": PAST, "I": PAST}}
    outcomes = [run(monkeypatch, "WhenDueFunction", due.handle, due_event(rule)) for rule in ("d-queue-message", "run")]
    assert [outcome["outcome"] for outcome in outcomes] == ["delivered", "delivered"]
    recorded.answers["dynamodb:GetItem"] = {}
    gone = run(monkeypatch, "WhenDueFunction", due.handle, due_event("run"))
    assert gone["outcome"] == "skipped"
    assert recorded.actions == {"dynamodb:UpdateItem", "dynamodb:GetItem", "dynamodb:DeleteItem", "sqs:SendMessage"}
    check(recorded, "WhenDueFunctionRole")


def test_the_due_function_may_do_what_it_does_after_a_failure(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded.answers["dynamodb:GetItem"] = {"Item": {**KEY, "D": FUTURE, "I": FUTURE}}
    recorded.refused["scheduler:CreateSchedule"] = (409, "ConflictException")
    # A rule that the app does not have is a failure that a later version may mend.
    ended = run(monkeypatch, "WhenDueFunction", due.handle, due_event("renamed", DueAt="2099-01-01T00:00:00Z"))
    assert ended["outcome"] == "retry"
    ended = run(monkeypatch, "WhenDueFunction", due.handle, due_event("renamed", Attempt=999))
    assert ended["outcome"] == "dead_lettered"
    assert recorded.actions >= {
        "scheduler:CreateSchedule",
        "scheduler:UpdateSchedule",
        "iam:PassRole",
        "sqs:SendMessage",
    }
    check(recorded, "WhenDueFunctionRole")


@pytest.mark.parametrize(
    ("rule", "timestamp"), [("expires_at-delete-item", PAST), ("remind_at-queue-message", {"N": "1"})]
)
def test_the_sweep_function_may_do_what_it_does(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, rule: str, timestamp: dict[str, str]
) -> None:
    attribute = rule.partition("-")[0].upper()
    item = {"id": {"S": "7"}, attribute: timestamp, "GSI_PK": {"S": "0"}, "REMINDER_SHARD": {"S": "0"}}
    recorded.answers["dynamodb:Query"] = {"Items": [item], "Count": 1}
    recorded.answers["dynamodb:GetItem"] = {"Item": item}
    swept = run(monkeypatch, "SweepFunction", sweep.handle, {"Table": "Offers", "Rule": rule})
    assert swept["swept"] >= 1
    recorded.refused["sqs:SendMessage"] = (403, "AccessDeniedException")
    run(monkeypatch, "SweepFunction", sweep.handle, {"Table": "Offers", "Rule": rule})
    expected = {"dynamodb:Query", "dynamodb:DeleteItem"}
    if rule.startswith("remind"):
        expected = {
            "dynamodb:Query",
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "sqs:SendMessage",
            "lambda:InvokeFunction",
        }
    assert recorded.actions == expected
    check(recorded, "SweepFunctionRole")
