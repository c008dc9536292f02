from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.email import from_send_email, from_send_email_v2
from duestream.core.email_template import (
    EmailTemplate,
    InvalidRenderingParameterException,
    InvalidTemplateException,
    MissingRenderingAttributeException,
    TemplateDoesNotExistException,
    from_send_templated_email,
    without_template,
)

DATA = '{"name": "Ann", "order": {"id": 7, "lines": [{"title": "Tea & <b>cake</b>"}]}, "paid": true, "é": "É"}'


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("Hello {{name}}", "Hello Ann"),
        ("{{ name }}{{{name}}}", "AnnAnn"),
        ("{{order.id}}: {{order.lines.[0].title}}", "7: Tea & <b>cake</b>"),
        ("{{this.name}} {{é}} {{paid}}", "Ann É true"),
        ("{{! a comment }}plain } text", "plain } text"),
        ("", ""),
    ],
)
def test_tags_are_replaced_by_the_datas_values(text: str, rendered: str) -> None:
    assert EmailTemplate("s", text).check().rendered(DATA).text == rendered


@pytest.mark.parametrize("path", ["nobody", "order.nothing", "order.lines.[1].title", "name.first", "order.[0]"])
def test_a_value_that_is_missing_is_said(path: str) -> None:
    with pytest.raises(MissingRenderingAttributeException) as refused:
        EmailTemplate("s", f"{{{{{path}}}}}").check().rendered(DATA)
    assert refused.value.message == f"Attribute '{path}' is not present in the rendering data."


@pytest.mark.parametrize("data", ["", "no json", "[]", "1", "[" * 100_000])
def test_data_must_be_an_object(data: str) -> None:
    with pytest.raises(InvalidRenderingParameterException):
        EmailTemplate("s", "t").rendered(data)


@pytest.mark.parametrize(
    "text",
    ["{{#if a}}b{{/if}}", "{{> part}}", "{{name", "{{}}", "{{a b}}", "{{a..b}}", "{{^a}}", '{{join "a"}}'],
)
def test_what_is_not_rendered_here_is_refused_when_the_template_is_made(text: str) -> None:
    with pytest.raises(InvalidTemplateException):
        EmailTemplate("s", text).check()


def test_a_template_needs_a_body_of_a_size_that_can_be_sent() -> None:
    with pytest.raises(InvalidTemplateException):
        EmailTemplate("s").check()
    with pytest.raises(InvalidTemplateException):
        EmailTemplate("s", "x" * 600_000).check()


@given(st.text(), st.text())
def test_values_go_in_as_they_are(before: str, value: str) -> None:
    import json

    template = EmailTemplate("s", before.replace("{", "(") + "{{v}}")
    assert template.check().rendered(json.dumps({"v": value})).text == before.replace("{", "(") + value


def _lookup(name: str) -> EmailTemplate | None:
    return EmailTemplate("Hi {{name}}", "Dear {{name}}", "<p>{{name}}</p>") if name == "greeting" else None


def test_both_versions_send_the_same_email() -> None:
    destination = {"ToAddresses": ["b@example.com"]}
    v1 = {
        "Source": "a@example.com",
        "Destination": destination,
        "Template": "greeting",
        "TemplateData": '{"name": "Ann"}',
    }
    first = from_send_email(from_send_templated_email(v1, _lookup))
    assert (first.subject, first.text and first.text.data, first.html and first.html.data) == (
        "Hi Ann",
        "Dear Ann",
        "<p>Ann</p>",
    )
    asked: list[dict[str, Any]] = [
        {"TemplateName": "greeting"},
        {"TemplateArn": "arn:aws:ses:us-east-1:000000000000:template/greeting"},
        {"TemplateContent": {"Subject": "Hi {{name}}", "Text": "Dear {{name}}", "Html": "<p>{{name}}</p>"}},
    ]
    for one in asked:
        v2 = {
            "FromEmailAddress": "a@example.com",
            "Destination": destination,
            "Content": {"Template": {**one, "TemplateData": '{"name": "Ann"}'}},
        }
        assert from_send_email_v2(without_template(v2, _lookup)) == first


def test_a_template_that_is_not_there_is_said() -> None:
    with pytest.raises(TemplateDoesNotExistException, match="Template none does not exist"):
        from_send_templated_email({"Template": "none"}, _lookup)
    with pytest.raises(TemplateDoesNotExistException):
        without_template({"Content": {"Template": {}}}, _lookup)


def test_other_content_is_left_alone() -> None:
    parameters = {"Content": {"Raw": {"Data": b""}}}
    assert without_template(parameters, _lookup) is parameters
