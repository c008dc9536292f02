"""Our YAML against PyYAML, which has no part in writing it."""

import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.aws.stack.apps import APPS, everything

from duestream.aws.stack.comments import comments_of
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.template import template
from duestream.aws.stack.yaml_text import yaml_text


class Loader(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
    """Reads CloudFormation's short forms as their long ones."""


def _split(text: str) -> list[str]:
    return text.split(".", 1)


Loader.add_constructor("!Ref", lambda loader, node: {"Ref": loader.construct_scalar(node)})
Loader.add_constructor("!Sub", lambda loader, node: {"Fn::Sub": loader.construct_scalar(node)})
Loader.add_constructor("!GetAtt", lambda loader, node: {"Fn::GetAtt": _split(loader.construct_scalar(node))})


def read(text: str) -> Any:
    return yaml.load(text, Loader=Loader)


#: YAML has names of up to 1,024 characters, as they are written.
NAMES = st.text(min_size=1, max_size=80)
VALUES = st.recursive(
    st.text() | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=5))
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    assert read(yaml_text(document)) == document


@pytest.mark.parametrize(
    "text",
    ["yes", "No", "null", "~", "1", "1e3", "0x1f", "2026-11-23", "a: b", "a #b", "- a", "*", "&a", "!a", "", " a", "a ",
     "a\nb", "a:", "é", "\u2028", "\x07", "\x7f", "\x85", "\ufeff", "\U0001f4a1", "=", "<<", "12:30", "Inf", "a,b", "{a}", "[a]", "%a", "@a", "`a"],
)  # fmt: skip
def test_texts_that_yaml_would_misread(text: str) -> None:
    assert read(yaml_text({text or "empty": [text, {text or "k": text}]})) == {
        text or "empty": [text, {text or "k": text}]
    }


@pytest.mark.parametrize("name", APPS)
def test_a_template_is_the_same_in_yaml(name: str) -> None:
    made = template(APPS[name](), StackOptions(entry="rules:app"))
    assert read(yaml_text(made, comments_of(made))) == made


def test_every_resource_that_is_no_mere_detail_has_a_comment() -> None:
    made = template(everything(), StackOptions(entry="rules:app"))
    plain = set(made["Resources"]) - set(comments_of(made))
    kinds = {made["Resources"][name]["Type"] for name in plain}
    assert kinds == {
        "AWS::CloudWatch::Alarm",  # has a description
        "AWS::Logs::LogGroup",
        "AWS::SQS::QueuePolicy",
        "AWS::Scheduler::Schedule",  # has a description
    }


def test_references_are_written_in_their_short_form() -> None:
    text = yaml_text({"A": {"Ref": "B"}, "C": [{"Fn::GetAtt": ["D", "Arn"]}], "E": {"Fn::Sub": "x-${F}: y"}})
    assert text == 'A: !Ref B\nC:\n  - !GetAtt D.Arn\nE: !Sub "x-${F}: y"\n'


def test_no_line_ends_in_space() -> None:
    made = template(everything(), StackOptions(entry="rules:app"))
    assert not re.search(r"\s\n", yaml_text(made, comments_of(made)).replace("\n\n", "\n"))
