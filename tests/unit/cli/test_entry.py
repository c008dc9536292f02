import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from duestream import App, QueueMessage
from duestream.cli import rule_view
from duestream.cli.entry import run
from duestream.cli.up import parse_clock, read_credentials
from duestream.clock import ManualClock, SystemClock
from duestream.errors import SettingsError
from duestream.version import __version__

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"duestream {__version__}\n"


def test_nothing_asked_is_answered_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "duestream demo" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["up", "check", "demo", "why", "dead-letters"])
def test_help_teaches_by_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Examples:" in shown
    assert f"duestream {command}" in shown.partition("Examples:")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ["chek"],
        ["check"],
        ["up", "--prot", "1"],
        ["up", "--port", "many"],
        ["up", "--clock", "sundial"],
        ["up", "--clock", "manual=tomorrow"],
        ["up", "--host", "0.0.0.0"],
        ["up", "--port", "70000"],
        ["up", "--smtp", "mail.example.com:none"],
        ["up", "--credentials", "/nowhere/credentials"],
        ["up", "/nowhere/rules.py"],
        ["check", "/nowhere/rules.py"],
        ["demo", "--appointments", "0"],
    ],
    ids=" ".join,
)
def test_what_is_asked_wrongly_exits_with_two_and_one_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert "Traceback" not in printed.err


def test_check_lists_every_rule_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(EXAMPLES / "appointments.py")]) == 0
    shown = capsys.readouterr().out
    for told in ("reminder", "STARTS_AT - 1 day", "TZ, else UTC", "5 times, 1 h", "delete-item", "appointments.py:"):
        assert told in shown


def test_check_as_json_has_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(EXAMPLES / "expiring.py"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    (table,) = answer["tables"]
    assert answer["ok"] is True
    assert table["name"] == "Session-Table"
    assert [(rule["attribute"], rule["targets"]) for rule in table["rules"]] == [("ttl", ["delete-item"])]


def test_help_loads_neither_server_nor_boto3_nor_rich() -> None:
    code = (
        "import sys; from duestream.cli.entry import run; run(['--help']); "
        "print([name for name in ('boto3', 'botocore', 'rich', 'apsw', 'aiohttp') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "[]"


def test_serving_loads_neither_boto3_nor_rich() -> None:
    code = "import sys, duestream.cli.up; print([name for name in ('boto3', 'rich') if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_the_clocks_that_can_be_asked_for() -> None:
    assert isinstance(parse_clock("system"), SystemClock)
    assert isinstance(parse_clock("manual"), ManualClock)
    assert parse_clock("manual=2030-01-01T09:00:00").now() == datetime(2030, 1, 1, 9, tzinfo=UTC)
    assert parse_clock("manual=2030-01-01T09:00:00+07:00").now() == datetime(2030, 1, 1, 2, tzinfo=UTC)


def test_credentials_are_read_from_all_profiles(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = a%b\n\n"
        "[other]\naws_access_key_id=B\naws_secret_access_key=b\nregion=eu-west-1\n"
    )
    assert read_credentials(path) == {"A": "a%b", "B": "b"}


@pytest.mark.parametrize("text", ["", "aws_access_key_id = A", "[default]\naws_access_key_id = A\n", "\x00\n[x"])
def test_credentials_that_cannot_be_used_are_refused_with_the_form(text: str, tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(text)
    with pytest.raises(SettingsError, match="aws_secret_access_key"):
        read_credentials(path)


def test_a_broken_credentials_file_does_not_show_its_secrets(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text("[default]\nhush-hush\n")
    with pytest.raises(SettingsError) as caught:
        read_credentials(path)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(days=1), "1 day"),
        (-timedelta(minutes=90), "-1 h 30 min"),
        (timedelta(days=2, seconds=1.5), "2 days 1.5 s"),
    ],
)
def test_lengths_are_told_in_words(length: timedelta, text: str) -> None:
    assert rule_view.duration(length) == text


def test_a_recurring_rule_is_shown_with_its_bounds_and_policy() -> None:
    plans = App("billing").table("Plans", partition_key="id")
    rule = plans.recurring("SCHEDULE", QueueMessage("q"), start="FROM", end="UNTIL", catch_up="deliver_all")
    assert rule_view.watches(rule) == "SCHEDULE (recurring) from FROM until UNTIL"
    assert rule_view.past_due_of(rule) == "missed: deliver all"
    assert rule_view.rule_facts(rule)["recurring"] == {"start": "FROM", "end": "UNTIL", "catch_up": "deliver_all"}
    assert "recurring" not in rule_view.rule_facts(plans.rule("AT", QueueMessage("q")))
