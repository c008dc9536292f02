"""Templates and policies judged by tools that we did not write: cfn-lint, and parliament with AWS's list of actions."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.unit.aws.stack.apps import APPS, everything
from tests.unit.aws.stack.resolved import Resolved

from duestream.aws.stack.comments import comments_of
from duestream.aws.stack.options import RETENTIONS_DAYS, RUNTIMES, StackOptions
from duestream.aws.stack.sam import sam_template
from duestream.aws.stack.template import template
from duestream.aws.stack.yaml_text import yaml_text

pytestmark = pytest.mark.slow

TOPIC = "arn:aws:sns:eu-west-1:111122223333:ops"
LAYER = "arn:aws:lambda:eu-west-1:111122223333:layer:dates:3"
BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"
CHOICES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything else": {
        "existing_tables": frozenset({"Appointment-Table", "Offers"}),
        "keep_tables": False,
        "architecture": "x86_64",
        "layers": (LAYER,),
        "environment": {"LEVEL": "debug", "EMPTY": ""},
        "memory_mb": 10_240,
        "log_retention_days": RETENTIONS_DAYS[-1],
        "alarm_topics": (TOPIC,),
        "permissions_boundary": BOUNDARY,
        "batch_size": 10_000,
        "parallelization": 10,
        "watched_only": True,
    },
    "little": {"alarms": False, "dashboard": False, "batch_size": 1, "parallelization": 1, "memory_mb": 128},
    **{runtime: {"runtime": runtime} for runtime in RUNTIMES},
}


def lint(path: Path) -> list[str]:
    """What cfn-lint has against a template: errors, warnings and remarks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cfn-lint's own dependencies
        from cfnlint import api  # type: ignore[import-untyped]
        from cfnlint.config import ManualArgs  # type: ignore[import-untyped]

        found = api.lint_file(path, ManualArgs(include_checks=["I"], regions=["us-east-1", "eu-west-1"]))
    return [f"{match.rule.id} {match.message} (line {match.linenumber})" for match in found]


@pytest.mark.parametrize("name", APPS)
@pytest.mark.parametrize("form", ["cfn", "sam"])
def test_cfn_lint_finds_nothing(tmp_path: Path, name: str, form: str) -> None:
    made = template(APPS[name](), StackOptions(entry="rules:app"))
    if form == "sam":
        made = sam_template(made, "bundle.zip")
    path = tmp_path / "template.yaml"
    path.write_text(yaml_text(made, comments_of(made)))
    assert lint(path) == []


@pytest.mark.parametrize("choice", CHOICES)
def test_cfn_lint_finds_nothing_whatever_is_chosen(tmp_path: Path, choice: str) -> None:
    path = tmp_path / "template.json"
    path.write_text(json.dumps(template(everything(), StackOptions(entry="rules:app", **CHOICES[choice]))))
    assert lint(path) == []


def test_cfn_lint_would_find_something(tmp_path: Path) -> None:
    made = template(everything(), StackOptions(entry="rules:app"))
    made["Resources"]["StreamFunction"]["Properties"]["Runtime"] = "python3.1"
    made["Resources"]["AppointmentTableMapping"]["Properties"]["BatchSize"] = "many"
    path = tmp_path / "template.json"
    path.write_text(json.dumps(made))
    assert {finding.partition(" ")[0] for finding in lint(path)} >= {"E3030", "E3012"}


@pytest.mark.parametrize("name", APPS)
def test_parliament_finds_nothing(tmp_path: Path, name: str) -> None:
    assert parliament(tmp_path, Resolved(template(APPS[name](), StackOptions(entry="rules:app"))).policies()) == []


def test_parliament_would_find_something(tmp_path: Path) -> None:
    policies = Resolved(template(everything(), StackOptions(entry="rules:app"))).policies()
    wrong = {**policies["ExecutionRole"]["Statement"][0], "Sid": "Wrong", "Action": ["sqs:SendMail"]}
    policies["ExecutionRole"]["Statement"].append(wrong)
    policies["StreamFunctionRole"]["Statement"].append({**wrong, "Action": ["dynamodb:GetItem"]})
    assert {finding["issue"] for finding in parliament(tmp_path, policies)} == {"UNKNOWN_ACTION", "RESOURCE_MISMATCH"}


def parliament(folder: Path, policies: dict[str, Any]) -> list[dict[str, Any]]:
    """What parliament has against policies. In a process of its own: it imports what warns of its own end."""
    for name, policy in policies.items():
        # It cuts ARNs at each colon, and a stream's label has colons of its own.
        text = json.dumps(policy).replace("/stream/2026-11-23T00:00:00.000", "/stream/2026-11-23")
        (folder / f"{name}.json").write_text(text)
    command = [str(Path(sys.executable).parent / "parliament"), "--directory", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert "Traceback" not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
