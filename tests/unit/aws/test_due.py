"""The due function: what is due is done once, as the item says now; what fails is tried again, and never lost."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from tests.unit.aws.due_bench import PLACE, REMAINING, START, Bench, bench

from duestream import (
    App,
    AwsCall,
    DeleteItem,
    Due,
    Email,
    HttpRequest,
    PutItem,
    QueueMessage,
    Retry,
)
from duestream.aws.due_work import DueWork
from duestream.errors import DeliveryError

pytestmark = pytest.mark.slow

DUE_TEXT = "2030-01-01T09:00:00Z"


def clinic() -> App:
    """One guarded rule that writes where the item says."""
    app = App("clinic")
    table = app.table("Appointments", partition_key="id")

    @table.rule("AT", guarded=True, retry=Retry(attempts=2, max_age=timedelta(hours=1)))
    def reminder(item: dict[str, Any]) -> QueueMessage | None:
        return None if item.get("off") else QueueMessage("reminders", {"to": item["email"]})

    return app


@pytest.fixture
def b(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(clinic(), monkeypatch) as made:
        made.make_queue("reminders")
        made.put("Appointments", id="1", AT=DUE_TEXT, email="a@example.com")
        yield made


def bodies(b: Bench, queue: str = "reminders") -> list[Any]:
    return [json.loads(message["Body"]) for message in b.messages(queue)]


# Guarded -----------------------------------------------------------------------------------------------


def test_a_guarded_target_is_invoked_as_the_item_is_now(b: Bench) -> None:
    b.put("Appointments", id="1", AT=DUE_TEXT, email="new@example.com")
    assert b.invoke(b.work("reminder", START, id="1")).outcome == "delivered"
    assert bodies(b) == [{"to": "new@example.com"}]


def test_an_item_deleted_in_its_last_minute_is_never_acted_on(b: Bench) -> None:
    b.delete("Appointments", id="1")
    ended = b.invoke(b.work("reminder", START, id="1"))
    assert (ended.outcome, ended.reason) == ("skipped", "the item is gone")
    assert bodies(b) == []
    assert b.letters() == []


def test_an_item_moved_in_its_last_minute_is_never_acted_on(b: Bench) -> None:
    b.put("Appointments", id="1", AT="2030-01-01T09:30:00Z", email="a@example.com")
    ended = b.invoke(b.work("reminder", START, id="1"))
    assert (ended.outcome, ended.reason) == ("skipped", "it is due at 2030-01-01T09:30:00Z now")
    assert bodies(b) == []


def test_the_same_moment_in_another_form_is_the_same_moment(b: Bench) -> None:
    b.put("Appointments", id="1", AT="2030-01-01T16:00:00+07:00", email="a@example.com")
    assert b.invoke(b.work("reminder", START, id="1")).outcome == "delivered"


@pytest.mark.parametrize("change", [{"off": True}, {"AT": None}, {"AT": "soon"}])
def test_an_item_that_asks_for_nothing_any_more_is_not_acted_on(b: Bench, change: dict[str, Any]) -> None:
    b.put("Appointments", **{"id": "1", "AT": DUE_TEXT, "email": "a@example.com", **change})
    assert b.invoke(b.work("reminder", START, id="1")).outcome == "skipped"
    assert bodies(b) == []
    assert b.letters() == []


def test_an_item_that_was_moved_away_and_back_is_delivered_after_all(b: Bench) -> None:
    work = b.work("reminder", START, id="1")
    b.put("Appointments", id="1", AT="2030-01-01T09:30:00Z", email="a@example.com")
    assert b.invoke(work, "first").outcome == "skipped"
    b.put("Appointments", id="1", AT=DUE_TEXT, email="a@example.com")
    assert b.invoke(work, "second").outcome == "delivered"


def test_each_of_several_targets_is_a_delivery_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("clinic")
    table = app.table("Tab", partition_key="id", partition_key_type="B")

    @table.rule("AT", guarded=True)
    def two(item: dict[str, Any]) -> list[QueueMessage]:
        return [QueueMessage("q", f"{number}") for number in range(1 if item.get("less") else 2)]

    with bench(app, monkeypatch) as b:
        b.make_queue("q")
        b.put("Tab", id=b"\x00\xff", AT=DUE_TEXT)
        works = [b.work("two", START, target=number, id=b"\x00\xff") for number in (0, 1)]
        assert [b.invoke(work).outcome for work in works] == ["delivered", "delivered"]
        assert sorted(message["Body"] for message in b.messages("q")) == ["0", "1"]
        b.put("Tab", id=b"\x00\xff", AT="2030-01-01T09:01:00Z", less=True)
        later = b.work("two", START + timedelta(minutes=1), target=1, id=b"\x00\xff")
        assert b.invoke(later).reason == "the rule has only 1 targets for it now"


def test_part_1_deletes_without_a_condition_so_a_ttl_extended_just_before_it_fires_loses_the_race(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even between the function's look at the item and the delete: the delete carries the condition."""
    app = App("shop")
    app.table("Offers", partition_key="id").rule("TTL", DeleteItem(), name="expire", guarded=True)
    with bench(app, monkeypatch) as b:
        b.put("Offers", id="1", TTL=int(START.timestamp()))
        make = b.calls.make

        def extend_then_make(*arguments: Any, **options: Any) -> None:
            b.put("Offers", id="1", TTL=int(START.timestamp()) + 3600)
            make(*arguments, **options)

        with monkeypatch.context() as extending:
            extending.setattr(b.calls, "make", extend_then_make)
            assert b.invoke(b.work("expire", START, id="1")).outcome == "skipped"
        assert b.item("Offers", id="1") is not None
        assert b.letters() == []
        b.clock.tick(timedelta(hours=1))
        assert b.invoke(b.work("expire", b.clock.now(), id="1"), "an hour later").outcome == "delivered"
        assert b.item("Offers", id="1") is None


# Twice -------------------------------------------------------------------------------------------------


def test_a_second_invocation_of_the_same_delivery_does_nothing(b: Bench) -> None:
    work = b.work("reminder", START, id="1")
    outcomes = [b.invoke(work, request).outcome for request in ("one", "one", "two")]
    assert outcomes == ["delivered", "done before", "done before"]
    assert len(bodies(b)) == 1


def test_an_invocation_while_another_is_at_it_looks_again_when_that_has_ended(b: Bench) -> None:
    work = b.work("reminder", START, id="1")
    b.deliveries.claim(work.identity, attempt=1, owner="other", until=START + REMAINING, now=START)
    assert b.invoke(work, "second").outcome == "in progress"
    assert bodies(b) == []
    b.deliveries.finish(work.identity, outcome="delivered", now=START)
    assert b.invoke(b.next_retry(), "look").outcome == "done before"
    assert b.clock.now() >= START + REMAINING


def test_an_attempt_that_ended_without_a_word_is_made_again_with_the_same_delivery_id(
    b: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done, and dead before it could say so: at least once, and the receiver can tell."""
    work, ids = b.work("reminder", START, id="1"), []
    make = b.calls.make

    def recording(*arguments: Any, token: str) -> None:
        ids.append(token)
        make(*arguments, token=token)

    monkeypatch.setattr(b.calls, "make", recording)
    with monkeypatch.context() as dying:
        dying.setattr(b.deliveries, "finish", _die)
        with pytest.raises(KeyboardInterrupt):
            b.invoke(work, "dies")
    assert b.invoke(work, "lambda's repetition").outcome == "in progress"
    assert b.invoke(b.next_retry(), "later").outcome == "delivered"
    assert len(ids) == 2
    assert len(set(ids)) == 1


def _die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_attempts_that_crash_are_counted_and_given_up(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry(attempts=2): three in all, also where none of them lives to tell."""
    work = b.work("reminder", START, id="1")
    tries = []

    def crash(*_: Any, **__: Any) -> None:
        tries.append(b.clock.now())
        raise KeyboardInterrupt

    monkeypatch.setattr(b.carrier, "send", crash)
    for number in range(3):
        with pytest.raises(KeyboardInterrupt):
            b.invoke(work, f"crash {number}")
        b.clock.tick(REMAINING + timedelta(seconds=5))
    assert b.invoke(work, "last").outcome == "dead_lettered"
    assert len(tries) == 3
    (letter,) = b.letters()
    assert letter["ERROR_CODE"] == "FunctionCrashed"
    assert letter["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert letter["RETRY_ATTEMPTS"] == "2"
    assert b.invoke(work, "even later").outcome == "done before"


# Failing -----------------------------------------------------------------------------------------------


def test_a_failed_attempt_is_scheduled_again_and_then_delivered(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    work = b.work("reminder", START, id="1")
    with monkeypatch.context() as failing:
        failing.setattr(b.carrier, "send", _refuse(DeliveryError("503", "busy", retryable=True, retry_after=100)))
        assert b.invoke(work).outcome == "retry"
    (schedule,) = b.schedules().values()
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"]["Arn"] == b.lambda_arn
    assert schedule["Name"].startswith("retry-")
    event = b.next_retry()
    assert event["Attempt"] == 2
    assert b.clock.now() >= START + timedelta(seconds=100)
    assert b.invoke(work, "a late repetition of the first").outcome == "done before"
    assert b.invoke(event, "second").outcome == "delivered"
    assert len(bodies(b)) == 1


def test_a_retry_looks_at_the_item_again(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(b.carrier, "send", _refuse(DeliveryError("503", "busy", retryable=True)))
        b.invoke(b.work("reminder", START, id="1"))
    b.delete("Appointments", id="1")
    assert b.invoke(b.next_retry(), "second").outcome == "skipped"
    assert bodies(b) == []


def test_what_keeps_failing_becomes_a_dead_letter_with_awss_attributes(
    b: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = b.carrier.send
    monkeypatch.setattr(b.carrier, "send", _refuse(DeliveryError("503", "busy", retryable=True)))
    work = b.work("reminder", START, id="1")
    assert b.invoke(work, "1").outcome == "retry"
    assert b.invoke(b.next_retry(), "2").outcome == "retry"
    assert b.invoke(b.next_retry(), "3").outcome == "dead_lettered"
    (letter,) = b.letters()
    assert letter.pop("EXECUTION_ID")
    event = json.loads(letter.pop("DUE_FUNCTION_EVENT"))
    assert event == work.lambda_event()
    assert letter == {
        "ERROR_CODE": "503",
        "ERROR_MESSAGE": "busy",
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "IS_PAYLOAD_TRUNCATED": "false",
        "RETRY_ATTEMPTS": "2",
        "SCHEDULED_TIME": DUE_TEXT,
        "SCHEDULE_ARN": PLACE.arn("scheduler", f"schedule/clinic/{work.schedule}"),
        "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
        "body": {"MessageBody": '{"to":"a@example.com"}', "QueueUrl": PLACE.arn("sqs", "reminders")},
    }
    assert b.schedules() == {}
    assert b.invoke(work, "4").outcome == "done before"
    monkeypatch.setattr(b.carrier, "send", send)
    again = [b.invoke({**event, "Redrive": "message 1"}, request).outcome for request in ("5", "6")]
    assert again == ["delivered", "done before"]


def test_a_permanent_refusal_is_dead_lettered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("clinic")
    app.table("Tab", partition_key="id").rule("AT", AwsCall("sns", "publish", {"TopicArn": "nonsense"}), guarded=True)
    with bench(app, monkeypatch) as b:
        b.put("Tab", id="1", AT=DUE_TEXT)
        assert b.invoke(b.work("at-aws-call", START, id="1")).outcome == "dead_lettered"
        (letter,) = b.letters()
        assert letter["ERROR_CODE"] == "ValidationException"  # botocore: Message is missing
        assert "EXHAUSTED_RETRY_CONDITION" not in letter


def test_a_rule_whose_code_raises_is_tried_again_and_never_silently_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("clinic")

    @app.table("Tab", partition_key="id").rule("AT", guarded=True, retry=Retry(attempts=0))
    def broken(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage("q", item["missing"])

    with bench(app, monkeypatch) as b:
        b.put("Tab", id="1", AT=DUE_TEXT)
        assert b.invoke(b.work("broken", START, id="1")).outcome == "dead_lettered"
        (letter,) = b.letters()
        assert letter["ERROR_CODE"] == "RuleRaised"
        assert letter["TARGET_ARN"] == "arn:aws:scheduler:::aws-sdk:lambda:invoke"
        assert letter["body"] == b.work("broken", START, id="1").lambda_event()


def test_a_rule_that_the_app_has_no_more_is_tried_again_until_it_is_given_up(b: Bench) -> None:
    work = DueWork("renamed", "Appointments", {"id": {"S": "1"}}, START, "renamed-0123")
    b.clock.tick(timedelta(hours=25))  # past what is tried by default
    assert b.invoke(work).outcome == "dead_lettered"
    (letter,) = b.letters()
    assert "no rule 'renamed'" in letter["ERROR_MESSAGE"]
    assert letter["EXHAUSTED_RETRY_CONDITION"] == "MaximumEventAgeInSeconds"


def test_an_event_of_somebody_elses_is_refused(b: Bench) -> None:
    with pytest.raises(DeliveryError, match="KeyError"):
        b.invoke({"Rule": "reminder"})


def _refuse(error: Exception) -> Any:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    return refuse


# when_due ----------------------------------------------------------------------------------------------


def test_a_plain_function_runs_with_the_item_as_it_is_and_its_due(monkeypatch: pytest.MonkeyPatch) -> None:
    app, seen = App("clinic"), []

    @app.table("Tab", partition_key="id").when_due("AT")
    def ask(item: dict[str, Any], due: Due) -> None:
        seen.append((item, due))

    with bench(app, monkeypatch) as b:
        b.put("Tab", id="1", AT=DUE_TEXT, blob=b"\x00\xff")
        work = b.work("ask", START, id="1")
        assert b.invoke(work).outcome == "delivered"
        assert b.invoke(work, "again").outcome == "done before"
        ((item, due),) = seen
        assert item == {"id": "1", "AT": DUE_TEXT, "blob": b"\x00\xff"}
        assert (due.due_at, due.rule, due.attempt) == (START, "ask", 1)
        assert len(due.delivery_id) == 32


def test_an_async_function_runs_too_and_keeps_its_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    app, loops = App("clinic"), []

    @app.table("Tab", partition_key="id").when_due("AT")
    async def ask(item: dict[str, Any], due: Due) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    with bench(app, monkeypatch) as b:
        for key in ("1", "2"):
            b.put("Tab", id=key, AT=DUE_TEXT)
            assert b.invoke(b.work("ask", START, id=key)).outcome == "delivered"
    assert loops[0] is loops[1]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), TimeoutError("mine")])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_that_raises_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, is_async: bool
) -> None:
    app = App("clinic")
    table = app.table("Tab", partition_key="id")
    numbers = []

    def work(due: Due) -> None:
        numbers.append(due.attempt)
        if due.attempt == 1:
            raise error

    if is_async:

        @table.when_due("AT", name="ask")
        async def coroutine(item: dict[str, Any], due: Due) -> None:
            work(due)
    else:

        @table.when_due("AT", name="ask")
        def function(item: dict[str, Any], due: Due) -> None:
            work(due)

    with bench(app, monkeypatch) as b:
        b.put("Tab", id="1", AT=DUE_TEXT)
        assert b.invoke(b.work("ask", START, id="1")).outcome == "retry"
        assert b.invoke(b.next_retry(), "second").outcome == "delivered"
    assert numbers == [1, 2]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_is_bounded_by_its_timeout_and_by_what_is_left_of_the_invocation(
    monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    app, released = App("clinic"), threading.Event()
    table = app.table("Tab", partition_key="id")

    if is_async:

        @table.when_due("AT", name="ask")
        async def coroutine(item: dict[str, Any], due: Due) -> None:
            await asyncio.Event().wait()
    else:

        @table.when_due("AT", name="ask")
        def function(item: dict[str, Any], due: Due) -> None:
            released.wait(30)

    with bench(app, monkeypatch) as b:
        b.put("Tab", id="1", AT=DUE_TEXT)
        ended = b.invoke(b.work("ask", START, id="1"), remaining=timedelta(seconds=3.2))
        released.set()
    assert ended.outcome == "retry"
    assert ended.reason.startswith("FunctionTimeout: ask took longer than 0.2")


# Recurring ---------------------------------------------------------------------------------------------


def test_each_occurrence_of_a_recurring_rule_is_a_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    app, seen = App("billing"), []

    @app.table("Plans", partition_key="id").recurring_when_due("PLAN", start="FROM", end="UNTIL")
    def bill(item: dict[str, Any], due: Due) -> None:
        seen.append(due.due_at)

    with bench(app, monkeypatch) as b:
        b.put("Plans", id="1", PLAN="cron(0 9 * * ? *)", FROM="2030-01-01T00:00:00Z", UNTIL="2030-01-03T00:00:00Z")
        days = [START + timedelta(days=number) for number in (0, 1, 2)]
        outcomes = [b.invoke(b.work("bill", day, id="1")) for day in (*days, days[0])]
        assert [ended.outcome for ended in outcomes] == ["delivered", "delivered", "skipped", "done before"]
        assert seen == days[:2]
        b.put("Plans", id="1", PLAN="cron(30 9 * * ? *)")
        assert b.invoke(b.work("bill", days[2], id="1")).reason == "cron(30 9 * * ? *) has no such occurrence"
        b.put("Plans", id="1", PLAN="rate(1 hour)")
        assert b.invoke(b.work("bill", days[2], id="1")).outcome == "delivered"


# Targets -----------------------------------------------------------------------------------------------


def test_every_kind_of_target_is_called_with_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("clinic")
    table = app.table("Tab", partition_key="id")
    email = Email(source="clinic@example.com", to="a@example.com", subject="Soon", text="Soon")
    table.rule("AT", email, name="email", guarded=True)
    table.rule("AT", PutItem("Tab", {"id": "copy", "blob": b"\x00\xff"}), name="put", guarded=True)
    table.rule("AT", QueueMessage("q.fifo", "text", group_id="g"), name="fifo", guarded=True)
    table.rule("AT", QueueMessage("q"), name="notify", guarded=True)
    bus = AwsCall("eventbridge", "putEvents", {"Entries": [{"Source": "s", "DetailType": "d", "Detail": "{}"}]})
    table.rule("AT", bus, name="bus", guarded=True)
    table.rule("AT", DeleteItem(), name="delete", guarded=True)
    with bench(app, monkeypatch) as b:
        b.ses.verify_email_identity(EmailAddress="clinic@example.com")
        b.make_queue("q.fifo", FifoQueue="true")
        b.make_queue("q")
        b.put("Tab", id="1", AT=DUE_TEXT)
        for rule in app.rules:
            assert b.invoke(b.work(rule.name, START, id="1")).outcome == "delivered", rule.name
        assert b.ses.get_send_quota()["SentLast24Hours"] == 1
        assert b.item("Tab", id="copy") == {"id": {"S": "copy"}, "blob": {"B": b"\x00\xff"}}
        (message,) = b.messages("q.fifo")
        assert message["Body"] == "text"
        assert bodies(b, "q") == [{"due": DUE_TEXT, "key": {"id": "1"}, "rule": "notify", "table": "Tab"}]
        assert b.item("Tab", id="1") is None


@contextmanager
def http_server(answers: list[tuple[int, dict[str, str]]]) -> Iterator[tuple[str, list[tuple[str, Any, bytes]]]]:
    """A server that gives these answers, one after the other, and keeps what it was asked."""
    asked: list[tuple[str, Any, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.path, self.headers, body))
            status, headers = answers[len(asked) - 1]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"no")

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_http_requests_are_sent_with_the_delivery_id_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server([(503, {"Retry-After": "77"}), (200, {})]) as (url, asked):
        app = App("clinic")
        app.table("Tab", partition_key="id").rule("AT", HttpRequest(f"{url}/hook", body={"a": 1}), name="hook")
        with bench(app, monkeypatch) as b:
            b.put("Tab", id="1", AT=DUE_TEXT)
            assert b.invoke(b.work("hook", START, id="1")).outcome == "retry"
            assert b.invoke(b.next_retry(), "second").outcome == "delivered"
            assert b.clock.now() >= START + timedelta(seconds=77)
        (path, first, body), (_, second, _) = asked
        assert (path, body) == ("/hook", b'{"a":1}')
        assert first["Idempotency-Key"] == second["Idempotency-Key"]
        assert len(first["Idempotency-Key"]) == 32
        assert first["User-Agent"].startswith("duestream/")


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server([(302, {"Location": "http://169.254.169.254/"})]) as (url, asked):
        app = App("clinic")
        app.table("Tab", partition_key="id").rule("AT", HttpRequest(url), name="hook")
        with bench(app, monkeypatch) as b:
            b.put("Tab", id="1", AT=DUE_TEXT)
            ended = b.invoke(b.work("hook", START, id="1"))
        assert ended.outcome == "dead_lettered"
        assert "which is not followed" in ended.reason
        assert len(asked) == 1
