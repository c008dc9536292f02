"""Templates of SES by boto3, and in schedules."""

import json
import time
import urllib.request
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.conftest import START, RunningServer

from duestream.clock import ManualClock

pytestmark = pytest.mark.slow

WAIT_SECONDS = 20
ROLE = "arn:aws:iam::000000000000:role/any"


def _mailbox(server: RunningServer) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.endpoint_url}/_aws/ses") as answer:
        messages: list[dict[str, Any]] = json.load(answer)["messages"]
        return messages


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_templates_of_the_first_version(server: RunningServer) -> None:
    ses = server.client("ses")
    template = {"TemplateName": "greeting", "SubjectPart": "Hi {{name}}", "TextPart": "Dear {{name}}"}
    ses.create_template(Template=template)
    with pytest.raises(ClientError) as refused:
        ses.create_template(Template=template)
    assert _code(refused) == "AlreadyExists"
    assert ses.get_template(TemplateName="greeting")["Template"] == template
    ses.update_template(Template=template | {"HtmlPart": "<p>{{name}}</p>"})
    sent = ses.send_templated_email(
        Source="a@example.com",
        Destination={"ToAddresses": ["b@example.com"]},
        Template="greeting",
        TemplateData='{"name": "Ann"}',
    )
    (message,) = _mailbox(server)
    assert (message["Id"], message["Subject"]) == (sent["MessageId"], "Hi Ann")
    assert message["Body"] == {"text_part": "Dear Ann", "html_part": "<p>Ann</p>"}
    assert [one["Name"] for one in ses.list_templates()["TemplatesMetadata"]] == ["greeting"]
    ses.delete_template(TemplateName="greeting")
    ses.delete_template(TemplateName="greeting")
    with pytest.raises(ClientError) as refused:
        ses.get_template(TemplateName="greeting")
    assert _code(refused) == "TemplateDoesNotExist"


def test_templates_of_the_second_version(server: RunningServer) -> None:
    ses = server.client("sesv2")
    for name in ("a", "b", "c"):
        ses.create_email_template(TemplateName=name, TemplateContent={"Subject": "{{s}}", "Text": f"{name} {{{{t}}}}"})
    with pytest.raises(ClientError) as refused:
        ses.create_email_template(TemplateName="a", TemplateContent={"Text": "t"})
    assert _code(refused) == "AlreadyExistsException"
    first = ses.list_email_templates(PageSize=2)
    second = ses.list_email_templates(PageSize=2, NextToken=first["NextToken"])
    names = [one["TemplateName"] for page in (first, second) for one in page["TemplatesMetadata"]]
    assert (names, "NextToken" in second) == (["a", "b", "c"], False)
    ses.update_email_template(TemplateName="a", TemplateContent={"Subject": "new", "Text": "{{t}}"})
    assert ses.get_email_template(TemplateName="a")["TemplateContent"] == {"Subject": "new", "Text": "{{t}}"}
    ask: dict[str, Any] = {"FromEmailAddress": "a@example.com", "Destination": {"ToAddresses": ["b@example.com"]}}
    ses.send_email(**ask, Content={"Template": {"TemplateName": "a", "TemplateData": '{"t": "text"}'}})
    assert [(one["Subject"], one["Body"]["text_part"]) for one in _mailbox(server)] == [("new", "text")]
    for wrong, code in (
        ({"TemplateName": "a", "TemplateData": "{}"}, "BadRequestException"),
        ({"TemplateName": "a", "TemplateData": "no json"}, "BadRequestException"),
        ({"TemplateName": "none", "TemplateData": "{}"}, "NotFoundException"),
    ):
        with pytest.raises(ClientError) as refused:
            ses.send_email(**ask, Content={"Template": wrong})
        assert _code(refused) == code
    with pytest.raises(ClientError) as refused:
        ses.create_email_template(TemplateName="d", TemplateContent={"Text": "{{#if a}}b{{/if}}"})
    assert _code(refused) == "BadRequestException"
    ses.delete_email_template(TemplateName="a")
    with pytest.raises(ClientError) as refused:
        ses.delete_email_template(TemplateName="a")
    assert _code(refused) == "NotFoundException"


def test_a_schedule_sends_the_template_as_it_is_then(manual_server: RunningServer, clock: ManualClock) -> None:
    ses = manual_server.client("ses")
    ses.create_template(Template={"TemplateName": "greeting", "SubjectPart": "Hi", "TextPart": "old {{n}}"})
    scheduler = manual_server.client("scheduler")
    destination = {"ToAddresses": ["b@example.com"]}
    inputs = {
        "ses:sendTemplatedEmail": {
            "Source": "a@example.com",
            "Destination": destination,
            "Template": "greeting",
            "TemplateData": '{"n": 1}',
        },
        "sesv2:sendEmail": {
            "FromEmailAddress": "a@example.com",
            "Destination": destination,
            "Content": {"Template": {"TemplateName": "greeting", "TemplateData": '{"n": 2}'}},
        },
    }
    due_at = START + timedelta(minutes=1)
    for number, (call, request) in enumerate(inputs.items()):
        scheduler.create_schedule(
            Name=f"s{number}",
            ScheduleExpression=f"at({due_at:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": f"arn:aws:scheduler:::aws-sdk:{call}", "RoleArn": ROLE, "Input": json.dumps(request)},
        )
    ses.update_template(Template={"TemplateName": "greeting", "SubjectPart": "Hi", "TextPart": "new {{n}}"})
    manual_server.call(lambda: clock.tick(timedelta(minutes=1)))
    deadline = time.monotonic() + WAIT_SECONDS
    while len(_mailbox(manual_server)) < 2:
        assert time.monotonic() < deadline
    assert sorted(one["Body"]["text_part"] for one in _mailbox(manual_server)) == ["new 1", "new 2"]
