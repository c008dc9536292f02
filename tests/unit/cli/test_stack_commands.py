"""The commands for AWS as they are typed: names, questions, and what they show."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from duestream.aws.stack.change_set import Change
from duestream.aws.stack.checks import Check
from duestream.aws.stack.deploy import Question, Step
from duestream.aws.stack.stack_events import Stack, StackEvent
from duestream.aws.upkeep.logs import LogLine
from duestream.cli import entry
from duestream.cli.deploy import refuse_local
from duestream.cli.logs import line_text
from duestream.cli.stack_door import Where, consent
from duestream.cli.stack_view import (
    ProgressView,
    counted,
    rolled_back_words,
    show_changes,
    show_checks,
    show_failure,
)
from duestream.errors import Error, SettingsError

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "appointments.py")
Shown = Callable[[], str]


@pytest.fixture
def console() -> tuple[Console, Shown]:
    """A console without a terminal, and what was written on it."""
    out = io.StringIO()
    return Console(file=out, width=200, highlight=False), out.getvalue


@pytest.mark.parametrize(
    ("app_name", "stack"),
    [("clinic", "clinic"), ("my_clinic", "my-clinic"), ("2nd", "duestream-2nd"), ("-a", "duestream-a")],
)
def test_a_stack_is_named_as_its_app_in_letters_that_cloudformation_takes(app_name: str, stack: str) -> None:
    assert Where().stack_name(app_name) == stack
    assert Where(stack="other").stack_name(app_name) == "other"


@pytest.mark.parametrize("name", ["2nd", "a_b", "a" * 129, ""])
def test_a_name_that_cloudformation_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="is no name for a stack"):
        Where(stack=name).stack_name("clinic")


def test_without_a_terminal_nothing_is_agreed_to_but_by_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    question = Question("execute", "Deploy this?")
    assert consent(yes=True, show=lambda _: None)(question)
    with pytest.raises(SettingsError, match=r"Deploy this\? Nobody can be asked here: say --yes"):
        consent(yes=False, show=lambda _: None)(question)


def test_a_duestream_server_is_no_place_for_a_stack() -> None:
    refuse_local(False, "app.py")
    with pytest.raises(Error, match=r"It carries rules out itself: duestream up app\.py"):
        refuse_local(True, "app.py")


def test_what_is_lost_stands_first_and_says_so(console: tuple[Console, Shown]) -> None:
    out, shown = console
    changes = [
        Change("Add", "New", "AWS::SQS::Queue"),
        Change("Modify", "Function", "AWS::Lambda::Function", "f", properties=("Code",)),
        Change("Modify", "Table", "AWS::DynamoDB::Table", "Visits", "True", ("KeySchema",)),
    ]
    show_changes(out, changes)
    lines = [line for line in shown().splitlines() if line.strip()]
    table = lines[2]
    assert "is REPLACED" in table
    assert "Table (Visits)" in table
    assert "KeySchema; LOST: the table and all its items" in table
    assert lines[-1] == "1 is made, 1 is changed, 1 is REPLACED"


def test_checks_have_their_remedy_below_them(console: tuple[Console, Shown]) -> None:
    out, shown = console
    show_checks(out, [Check("queue q", "failed", "is in the way", "Delete it."), Check("region", "ok", "eu-central-1")])
    first, second, third = shown().splitlines()
    assert first.split("  ")[0] == "FAILED"
    assert second.strip() == "Delete it."
    assert third.split()[0] == "ok"


def event(status: str, kind: str = "AWS::SQS::Queue", reason: str = "") -> StackEvent:
    return StackEvent("1", datetime(2030, 1, 1, tzinfo=UTC), "Q", kind, status, reason, "")


def test_in_a_pipe_a_resource_is_told_once_and_with_its_failure(console: tuple[Console, Shown]) -> None:
    out, shown = console
    with ProgressView(out) as view:
        view.report(Step("upload", "bundle"))
        for one in (event("CREATE_IN_PROGRESS"), event("CREATE_FAILED", reason="no such layer")):
            view.report(Step("event", "", one))
        view.report(Step("event", "", event("CREATE_IN_PROGRESS", "AWS::CloudFormation::Stack")))
    lines = shown().splitlines()
    assert len(lines) == 3
    assert "CREATE_FAILED" in lines[1]
    assert lines[1].endswith("no such layer")


def test_on_a_terminal_the_table_shows_each_resource_as_it_is_now() -> None:
    out = io.StringIO()
    with ProgressView(Console(file=out, width=120, force_terminal=True, no_color=True)) as view:
        for one in (event("CREATE_IN_PROGRESS"), event("CREATE_COMPLETE")):
            view.report(Step("event", "", one))
    assert out.getvalue().rpartition("CREATE_IN_PROGRESS")[2].count("CREATE_COMPLETE") >= 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("ROLLBACK_COMPLETE", "asked whether to delete the empty stack"),
        ("UPDATE_ROLLBACK_COMPLETE", "it is as it was before, and goes on"),
        ("UPDATE_ROLLBACK_FAILED", "is in UPDATE_ROLLBACK_FAILED (a queue)"),
    ],
)
def test_a_failure_says_what_failed_first_and_what_became_of_the_stack(
    status: str, words: str, console: tuple[Console, Shown]
) -> None:
    out, shown = console
    show_failure(out, Stack("s", "clinic", status, "a queue", {}, {}), event("CREATE_FAILED", reason="no such layer"))
    assert "Q (AWS::SQS::Queue) failed first:\n  no such layer" in shown()
    assert words in shown()
    assert "nothing of this deployment is left" in rolled_back_words(None)


def test_a_plan_offline_asks_nobody_and_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["plan", EXAMPLE, "--offline", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["ok"], plan["offline"], plan["stack_name"], plan["changes"]) == (True, True, "clinic", None)
    assert [rule["name"] for rule in plan["rules"]][:2] == ["reminder", "day_before"]
    assert entry.run(["plan", EXAMPLE, "--offline"]) == 0
    assert "REMINDER_TIMESTAMP" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "missing.py"], "there is no file missing.py"),
        (["deploy", EXAMPLE, "--stack", "no_name"], "is no name for a stack"),
        (["deploy", EXAMPLE, "--endpoint-url", "nowhere"], "is no URL"),
        (["status", EXAMPLE, "--since", "soon"], "--since 'soon' is no length of time"),
        (["logs", EXAMPLE, "--rule", "reminders"], "Its rules are: reminder, day_before"),
        (["destroy", EXAMPLE, "--profile", "none-such"], "there is no profile 'none-such'"),
    ],
)
def test_what_was_asked_wrongly_exits_with_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert entry.run(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "deploy", "status", "logs", "destroy"])
def test_help_teaches_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    entry.run([command, "--help"])
    shown = capsys.readouterr().out
    assert f"duestream {command} appointments.py" in shown
    assert {"--stack", "--endpoint-url", "--region", "--profile", "--json"} <= set(shown.split())


def test_counts_are_words() -> None:
    assert [counted(number, "schedule") for number in (0, 1, 1234)] == ["0 schedules", "1 schedule", "1,234 schedules"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("REPORT RequestId: 1", "REPORT RequestId: 1"),
        ('{"_aws": {}, "App": "clinic", "Put": 3}', "metrics  App=clinic  Put=3"),
        (
            '{"timestamp": "t", "level": "WARNING", "message": "record dead-lettered", "rule": "remind", "key": {"id": 1}}',
            'WARNING  record dead-lettered  rule=remind  key={"id":1}',
        ),
        (
            '{"time": "t", "type": "platform.report", "record": {"status": "success", "metrics": {"durationMs": 1.5}}}',
            "platform.report  status=success  durationMs=1.5",
        ),
    ],
)
def test_a_line_is_told_in_short(message: str, told: str) -> None:
    assert line_text(LogLine(0, "1", "stream", message)).endswith(f"  stream    {told}")
