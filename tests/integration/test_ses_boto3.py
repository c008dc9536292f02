"""SES in both versions as boto3 sees it, and the mailbox's page, through the whole server."""

import json
import re
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.conftest import RunningServer

from duestream.clock import ManualClock

pytestmark = pytest.mark.slow

MESSAGE: dict[str, Any] = {
    "Subject": {"Data": "Zeit für Ihren Termin"},
    "Body": {"Text": {"Data": "You have a reminder\n"}, "Html": {"Data": "<p>Grüße & <b>all</b></p>"}},
}
MESSAGE_ID = r"0110[0-9a-f]{12}-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-000000"


@pytest.fixture
def ses(server: RunningServer) -> Any:
    return server.client("ses")


@pytest.fixture
def sesv2(server: RunningServer) -> Any:
    return server.client("sesv2")


def mailbox(server: RunningServer, query: str = "", method: str = "GET") -> list[dict[str, Any]]:
    """The messages that ``/_aws/ses`` shows."""
    request = urllib.request.Request(f"{server.endpoint_url}/_aws/ses{query}", method=method)
    with urllib.request.urlopen(request) as response:
        body = response.read()
        assert response.status == (200 if method == "GET" else 204)
    found: list[dict[str, Any]] = json.loads(body)["messages"] if body else []
    return found


def refusal(call: Callable[..., Any], **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def send(ses: Any, source: str = "clinic@example.com", to: str = "ann@example.com", **more: Any) -> str:
    answer = ses.send_email(Source=source, Destination={"ToAddresses": [to]}, Message=MESSAGE, **more)
    message_id: str = answer["MessageId"]
    return message_id


def test_an_email_sent_through_v1_is_in_the_mailbox(server: RunningServer, ses: Any) -> None:
    message_id = send(ses, "Clinic <clinic@example.com>", ReplyToAddresses=["desk@example.com"])
    (message,) = mailbox(server)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", message.pop("Timestamp"))
    assert message == {
        "Id": message_id,
        "Region": "eu-central-1",
        "Source": "Clinic <clinic@example.com>",
        "Destination": {"ToAddresses": ["ann@example.com"], "CcAddresses": [], "BccAddresses": []},
        "Subject": "Zeit für Ihren Termin",
        "Body": {"text_part": "You have a reminder\n", "html_part": "<p>Grüße & <b>all</b></p>"},
    }


def test_message_ids_have_the_form_that_ses_gives_them(ses: Any, sesv2: Any) -> None:
    assert re.fullmatch(MESSAGE_ID, send(ses))
    answer = sesv2.send_email(
        FromEmailAddress="a@example.com",
        Destination={"ToAddresses": ["b@example.com"]},
        Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
    )
    assert re.fullmatch(MESSAGE_ID, answer["MessageId"])


def test_an_email_sent_through_v2_is_in_the_mailbox(server: RunningServer, sesv2: Any) -> None:
    answer = sesv2.send_email(
        FromEmailAddress="clinic@example.com",
        Destination={"ToAddresses": ["ann@example.com"], "BccAddresses": ["eve@example.com"]},
        Content={"Simple": MESSAGE},
        EmailTags=[{"Name": "kind", "Value": "reminder"}],
    )
    (message,) = mailbox(server)
    assert message["Id"] == answer["MessageId"]
    assert message["Destination"]["BccAddresses"] == ["eve@example.com"]
    assert message["Body"]["text_part"] == "You have a reminder\n"


@pytest.mark.parametrize("version", ["ses", "sesv2"])
def test_a_raw_message_with_an_attachment_is_in_the_mailbox(server: RunningServer, version: str) -> None:
    raw = MIMEMultipart()
    raw["From"], raw["To"], raw["Subject"] = "Clinic <clinic@example.com>", "ann@example.com", "Grüße"
    raw.attach(MIMEText("see the file", "plain", "utf-8"))
    attachment = MIMEApplication(bytes(range(256)))
    attachment.add_header("Content-Disposition", "attachment", filename="a.bin")
    raw.attach(attachment)
    client = server.client(version)
    if version == "ses":
        client.send_raw_email(RawMessage={"Data": raw.as_bytes()})
    else:
        client.send_email(Content={"Raw": {"Data": raw.as_bytes()}})
    (message,) = mailbox(server)
    assert message["Source"] == "Clinic <clinic@example.com>"
    assert message["Destination"]["ToAddresses"] == ["ann@example.com"]
    assert (message["Subject"], message["Body"]["text_part"]) == ("Grüße", "see the file")
    assert message["RawData"] == raw.as_string()
    assert len(mailbox(server, "?email=clinic@example.com")) == 1


def test_a_raw_message_of_ten_megabytes_is_refused_with_its_length(ses: Any) -> None:
    raw = EmailMessage()
    raw["From"], raw["To"] = "a@example.com", "b@example.com"
    raw.set_content(("x" * 70 + "\n") * 150_000)
    code, text, status = refusal(ses.send_raw_email, RawMessage={"Data": raw.as_bytes()})
    assert (code, status) == ("InvalidParameterValue", 400)
    assert text.startswith("Message length is more than 10485760 bytes long: '")


def test_the_mailbox_can_be_filtered_and_cleared(server: RunningServer, ses: Any) -> None:
    first = send(ses, "Clinic <clinic@example.com>")
    second = send(ses, "other@example.com")
    assert [message["Id"] for message in mailbox(server)] == [first, second]
    assert [message["Id"] for message in mailbox(server, f"?id={second}")] == [second]
    assert [message["Id"] for message in mailbox(server, "?email=clinic%40example.com")] == [first]
    assert [message["Id"] for message in mailbox(server, "?email=Clinic%20%3Cclinic%40example.com%3E")] == [first]
    assert mailbox(server, f"?email=clinic%40example.com&id={second}") == []
    mailbox(server, f"?id={first}", "DELETE")
    assert [message["Id"] for message in mailbox(server)] == [second]
    mailbox(server, method="DELETE")
    assert mailbox(server) == []


@pytest.mark.parametrize(
    ("source", "to", "text"),
    [
        ("clinic", "ann@example.com", "Missing final '@domain'"),
        ("clinic@example.com", "Lee, Ann <ann@example.com>", "Illegal address"),
        ("clinic@example.com", "ann lee@example.com", "Local address contains control or whitespace"),
        ("clinic@example.com", "ann@exam_ple.com", "Domain contains illegal character"),
        ("A\r\nBcc: eve@example.com <a@example.com>", "b@example.com", "Local address contains control or whitespace"),
    ],
)
def test_a_wrong_address_is_refused_in_the_words_of_ses(server: RunningServer, source: str, to: str, text: str) -> None:
    assert refusal(lambda: send(server.client("ses"), source, to)) == ("InvalidParameterValue", text, 400)
    code = refusal(
        server.client("sesv2").send_email,
        FromEmailAddress=source,
        Destination={"ToAddresses": [to]},
        Content={"Simple": MESSAGE},
    )
    assert code == ("BadRequestException", text, 400)
    assert mailbox(server) == []


def test_what_v2_cannot_send_yet_is_refused_by_name(sesv2: Any) -> None:
    attachment = {"RawContent": b"a", "FileName": "a.txt"}
    body = {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}, "Attachments": [attachment]}
    code, text, _ = refusal(
        sesv2.send_email,
        FromEmailAddress="a@example.com",
        Destination={"ToAddresses": ["b@example.com"]},
        Content={"Simple": body},
    )
    assert code == "BadRequestException"
    assert "Content.Simple.Attachments is not supported" in text


def test_an_empty_address_is_refused_by_v2_as_ses_does(sesv2: Any) -> None:
    refused = refusal(
        sesv2.send_email,
        FromEmailAddress="a@example.com",
        Destination={"ToAddresses": [""]},
        Content={"Simple": MESSAGE},
    )
    assert refused == ("BadRequestException", "Invalid email address .", 400)


def test_too_many_recipients_are_refused(ses: Any) -> None:
    refused = refusal(
        ses.send_email,
        Source="a@example.com",
        Destination={"BccAddresses": [f"b{number}@example.com" for number in range(51)]},
        Message=MESSAGE,
    )
    assert refused == ("InvalidParameterValue", "Recipient count exceeds 50.", 400)


def test_identities_of_v1_are_verified_at_once(ses: Any) -> None:
    ses.verify_email_identity(EmailAddress="ann@example.com")
    ses.verify_email_address(EmailAddress="bob@example.com")
    token = ses.verify_domain_identity(Domain="Example.com")["VerificationToken"]
    assert len(token) == 44
    assert ses.list_identities()["Identities"] == ["ann@example.com", "bob@example.com", "example.com"]
    assert ses.list_identities(IdentityType="Domain")["Identities"] == ["example.com"]
    assert ses.list_verified_email_addresses()["VerifiedEmailAddresses"] == ["ann@example.com", "bob@example.com"]
    asked = ["ann@example.com", "example.com", "nobody@example.com"]
    assert ses.get_identity_verification_attributes(Identities=asked)["VerificationAttributes"] == {
        "ann@example.com": {"VerificationStatus": "Success"},
        "example.com": {"VerificationStatus": "Success", "VerificationToken": token},
    }
    ses.delete_identity(Identity="ann@example.com")
    ses.delete_identity(Identity="ann@example.com")
    assert ses.list_identities()["Identities"] == ["bob@example.com", "example.com"]


def test_identities_come_in_pages(ses: Any) -> None:
    names = [f"a{number}@example.com" for number in range(5)]
    for name in names:
        ses.verify_email_identity(EmailAddress=name)
    pages = ses.get_paginator("list_identities").paginate(PaginationConfig={"PageSize": 2})
    assert [page["Identities"] for page in pages] == [names[:2], names[2:4], names[4:]]
    assert refusal(ses.list_identities, NextToken="%%%")[0] == "InvalidParameterValue"


def test_what_is_no_identity_is_refused_in_the_words_of_ses(ses: Any, sesv2: Any) -> None:
    refused = refusal(ses.verify_email_identity, EmailAddress="STUB")
    assert refused == ("InvalidParameterValue", "Invalid email address<STUB>.", 400)
    assert refusal(ses.verify_domain_identity, Domain="not a domain")[0] == "InvalidParameterValue"
    assert refusal(sesv2.create_email_identity, EmailIdentity="a b@example.com")[0] == "BadRequestException"


def test_boto3_waits_for_an_identity_no_longer_than_a_moment(ses: Any) -> None:
    ses.verify_email_identity(EmailAddress="ann@example.com")
    ses.get_waiter("identity_exists").wait(Identities=["ann@example.com"], WaiterConfig={"Delay": 1, "MaxAttempts": 1})


def test_identities_of_v2_are_verified_at_once_and_have_tags(sesv2: Any) -> None:
    created = sesv2.create_email_identity(EmailIdentity="example.com", Tags=[{"Key": "a", "Value": "1"}])
    assert (created["IdentityType"], created["VerifiedForSendingStatus"]) == ("DOMAIN", True)
    assert len(created["DkimAttributes"]["Tokens"]) == 3
    sesv2.create_email_identity(EmailIdentity="ann+b@example.com")
    assert refusal(sesv2.create_email_identity, EmailIdentity="example.com") == (
        "AlreadyExistsException",
        "Email identity example.com already exist.",
        400,
    )
    got = sesv2.get_email_identity(EmailIdentity="ann+b@example.com")
    assert (got["IdentityType"], got["VerificationStatus"], got["Tags"]) == ("EMAIL_ADDRESS", "SUCCESS", [])
    arn = "arn:aws:ses:eu-central-1:000000000000:identity/example.com"
    sesv2.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    assert sesv2.list_tags_for_resource(ResourceArn=arn)["Tags"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "2"},
    ]
    sesv2.untag_resource(ResourceArn=arn, TagKeys=["a", "unknown"])
    assert sesv2.get_email_identity(EmailIdentity="example.com")["Tags"] == [{"Key": "b", "Value": "2"}]
    listed = sesv2.list_email_identities(PageSize=1)
    assert [identity["IdentityName"] for identity in listed["EmailIdentities"]] == ["ann+b@example.com"]
    listed = sesv2.list_email_identities(NextToken=listed["NextToken"])
    assert [identity["IdentityName"] for identity in listed["EmailIdentities"]] == ["example.com"]
    assert "NextToken" not in listed
    sesv2.delete_email_identity(EmailIdentity="ann+b@example.com")
    gone = ("NotFoundException", "Email identity ann+b@example.com does not exist.", 404)
    assert refusal(sesv2.delete_email_identity, EmailIdentity="ann+b@example.com") == gone
    assert refusal(sesv2.get_email_identity, EmailIdentity="ann+b@example.com") == gone


def test_what_was_sent_is_counted(manual_server: RunningServer, clock: ManualClock) -> None:
    ses, sesv2 = manual_server.client("ses"), manual_server.client("sesv2")
    assert ses.get_account_sending_enabled()["Enabled"] is True
    assert ses.get_send_statistics()["SendDataPoints"] == []
    send(ses)
    send(ses)
    manual_server.call(lambda: clock.tick(timedelta(hours=23)))
    send(ses)
    assert ses.get_send_quota()["SentLast24Hours"] == 3.0
    manual_server.call(lambda: clock.tick(timedelta(hours=2)))
    assert ses.get_send_quota()["SentLast24Hours"] == 1.0
    account = sesv2.get_account()
    assert (account["SendingEnabled"], account["SendQuota"]["SentLast24Hours"]) == (True, 1.0)
    assert [
        (point["Timestamp"], point["DeliveryAttempts"], point["Bounces"])
        for point in ses.get_send_statistics()["SendDataPoints"]
    ] == [(datetime(2030, 1, 1, 9, 0, tzinfo=UTC), 2, 0), (datetime(2030, 1, 2, 8, 0, tzinfo=UTC), 1, 0)]
