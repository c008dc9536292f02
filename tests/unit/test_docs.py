"""What users can touch is documented, and what the documents name exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import duestream
from duestream.aws import settings
from duestream.cli.entry import cli
from duestream.local import admin, pages
from duestream.local.engine import smtp
from duestream.local.operations import SERVICES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def _no_engine() -> Any:
    raise AssertionError("pages are only listed")


_ADMIN_PAGES = admin.pages_of(_no_engine)
_COMMANDS = typer.main.get_command(cli).commands  # type: ignore[attr-defined]  # a group has them


def _text(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


def _section(text: str, heading: str) -> str:
    """From a second-level heading to the next."""
    _, found, rest = text.partition(f"## {heading}\n")
    assert found, f"there is no heading {heading!r}"
    return rest.partition("\n## ")[0]


def _parameters() -> Iterator[tuple[str, Any]]:
    """All parameters with their command; those of a group's commands with the group."""
    for name, command in _COMMANDS.items():
        for one in (command, *getattr(command, "commands", {}).values()):
            yield from ((name, parameter) for parameter in one.params)


def _options() -> Iterator[tuple[str, str]]:
    for name, parameter in _parameters():
        yield from ((name, option) for option in parameter.opts if option.startswith("--") and option != "--help")


def _variables() -> set[str]:
    named = {parameter.envvar for _, parameter in _parameters() if parameter.envvar}
    rooms = {**vars(smtp), **vars(settings)}
    return named | {value for name, value in rooms.items() if name.endswith("_VARIABLE")}


def _links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


def _anchors(page: Path) -> set[str]:
    """Of headings, as they are made from their text."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("command", sorted(_COMMANDS))
def test_every_command_is_documented(command: str) -> None:
    assert _section(_text("cli.md"), f"`duestream {command}`")


@pytest.mark.parametrize(("command", "option"), sorted(set(_options())))
def test_every_option_is_documented_with_its_command(command: str, option: str) -> None:
    assert f"`{option}`" in _section(_text("cli.md"), f"`duestream {command}`")


@pytest.mark.parametrize("variable", sorted(_variables()))
def test_every_environment_variable_is_documented(variable: str) -> None:
    assert f"`{variable}`" in _text("cli.md") + _text("settings.md")


def test_no_environment_variable_is_documented_that_nobody_reads() -> None:
    named = {name for page in PAGES for name in re.findall(r"\bDUESTREAM_[A-Z_]+\b", page.read_text("utf-8"))}
    assert named <= _variables() | {"DUESTREAM_SIMULATION_SEEDS"}  # read by tests/simulation


_TITLES = {
    "cloudwatch": "CloudWatch",
    "dynamodb": "DynamoDB",
    "dynamodbstreams": "DynamoDB Streams",
    "lambda": "Lambda",
    "scheduler": "EventBridge Scheduler",
    "ses": "SES, first version",
    "sesv2": "SES, second version",
    "sqs": "SQS",
    "sts": "STS",
}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_the_operations_documented_are_those_that_are_served(service: str) -> None:
    section = _section(_text("aws-operations.md"), _TITLES[service])
    assert sorted(re.findall(r"^- `(\w+)`$", section, flags=re.MULTILINE)) == sorted(SERVICES[service])


def test_every_action_of_the_log_is_documented() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r'(?:"action": |_facts\()"(\w+)"', source))
    assert {"put_schedule", "delivered"} <= named
    assert {name for name in named if f"`{name}`" not in _text("logs.md")} == set()


@pytest.mark.parametrize("name", sorted(duestream.__all__))
def test_every_public_name_is_documented(name: str) -> None:
    assert re.search(rf"`{name}\b", _text("rules.md") + _text("targets.md"))


@pytest.mark.parametrize(("method", "path"), sorted({**pages.PAGES, **_ADMIN_PAGES}))
def test_every_page_is_documented(method: str, path: str) -> None:
    assert f"`{method} {path}`" in _text("settings.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _links(page):
        target, _, anchor = link.partition("#")
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), link
        assert not anchor or anchor in _anchors(there), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_the_documents_compiles(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE):
        ast.parse(block, filename=page.name)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_page_can_be_found_from_the_index(page: Path) -> None:
    index = DOCS / "README.md"
    assert page == index or str(page.relative_to(DOCS)) in _links(index)
