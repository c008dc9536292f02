"""`duestream synth` as it is typed."""

import json
import zipfile
from pathlib import Path

import pytest

from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.template import template
from duestream.cli.app_file import load_app
from duestream.cli.entry import run

EXAMPLES = Path(__file__).parents[3] / "examples"
APPOINTMENTS = str(EXAMPLES / "appointments.py")


def test_the_template_is_printed_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["synth", APPOINTMENTS, "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == template(load_app(APPOINTMENTS), StackOptions(entry="appointments:app"))
    warnings = printed.err.splitlines()
    assert [line.partition(" answers ")[0] for line in warnings] == [
        "warning: rule reminder",
        "warning: rule day_before",
    ]


def test_it_is_yaml_with_comments_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["synth", APPOINTMENTS]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith('AWSTemplateFormatVersion: "2010-09-09"\n')
    assert (
        "\n  # Reads what changes in the tables, and keeps schedules as the rules ask.\n  StreamFunction:\n" in printed
    )
    assert not printed.endswith("\n\n")


def test_the_bundle_is_written_and_its_size_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "bundle.zip"
    assert run(["synth", APPOINTMENTS, "--bundle", str(bundle)]) == 0
    with zipfile.ZipFile(bundle) as archive:
        assert "appointments.py" in archive.namelist()
    assert f"{bundle}: {bundle.stat().st_size:,} bytes" in capsys.readouterr().err


def test_a_template_for_sam_finds_its_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "bundle.zip"
    assert run(["synth", APPOINTMENTS, "--format", "sam", "--bundle", str(bundle), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["Transform"] == "AWS::Serverless-2016-10-31"
    function = made["Resources"]["StreamFunction"]
    assert (function["Type"], function["Properties"]["CodeUri"]) == ("AWS::Serverless::Function", str(bundle))
    assert "Code" not in function["Properties"]
    assert "Parameters" not in made


def test_what_was_chosen_is_in_the_template(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--existing-table", "Appointment-Table", "--set", "memory_mb=512", "--set", "keep_tables=false"]
    arguments += ["--set", "alarm_topics=arn:aws:sns:eu-west-1:111122223333:ops", "--env", "LEVEL=a=b"]
    arguments += ["--layer", "arn:aws:lambda:eu-west-1:111122223333:layer:dates:3"]
    assert run(["synth", APPOINTMENTS, "--json", *arguments]) == 0
    made = json.loads(capsys.readouterr().out)
    assert "AppointmentTableStreamArn" in made["Parameters"]
    function = made["Resources"]["StreamFunction"]["Properties"]
    assert function["MemorySize"] == 512
    assert function["Environment"]["Variables"]["LEVEL"] == "a=b"
    assert function["Layers"] == ["arn:aws:lambda:eu-west-1:111122223333:layer:dates:3"]
    assert made["Resources"]["DeadLettersAlarm"]["Properties"]["AlarmActions"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--set", "memory=512"], "there is no option memory. Did you mean memory_mb?"),
        (["--set", "memory_mb=much"], "'much' is no value for memory_mb, which is a number"),
        (["--set", "keep_tables=maybe"], "'maybe' is no value for keep_tables, which is true or false"),
        (["--set", "memory_mb"], "write --set NAME=VALUE"),
        (["--set", "entry=x:y"], "there is no option entry"),
        (["--env", "AWS_REGION=x"], "begins neither with AWS_"),
        (["--existing-table", "Other"], "no rule watches a table Other"),
        (["--include", "/nowhere"], "there is no folder /nowhere"),
    ],
)
def test_mistakes_are_told(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["synth", APPOINTMENTS, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert problem in printed.err
