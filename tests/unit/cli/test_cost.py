"""`duestream cost`, as a user calls it."""

import json
from pathlib import Path

import pytest

from duestream.cli.entry import run

APPOINTMENTS = Path(__file__).parents[3] / "examples" / "appointments.py"


def test_it_tells_both_strategies_and_each_price_with_its_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cost", str(APPOINTMENTS), "--items", "1000000"]) == 0
    out = capsys.readouterr().out
    assert "as declared" in out
    assert "sweeps if can be" in out
    assert "https://aws.amazon.com/eventbridge/pricing/" in out


def test_json_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cost", str(APPOINTMENTS), "--items", "5000000", "--changes", "0", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    parts = [rule["dollars"] for rule in facts["rules"] if rule["as_declared"]]
    parts += [line["dollars"] for lines in (*facts["streams"].values(), facts["stack"]) for line in lines]
    assert sum(parts) == pytest.approx(facts["dollars"]["as_declared"], abs=0.01)


def test_an_app_without_rules_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text('from duestream import App\napp = App("empty")\n')
    assert run(["cost", str(empty)]) == 2
    assert "has no rules" in capsys.readouterr().err
