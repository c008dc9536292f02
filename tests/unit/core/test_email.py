from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.email import (
    MAX_SIZE_BYTES,
    InvalidParameterValue,
    OutgoingEmail,
    as_parameters,
    check_size,
    from_send_email,
    from_send_email_v2,
    from_send_raw_email,
    to_bytes,
    view_of,
)

NINE = datetime(2030, 1, 1, 9, 0, tzinfo=UTC)
NAMES = ["From", "To", "Subject", "Message-ID", "Date", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"]


def parameters(**changes: Any) -> dict[str, Any]:
    """SendEmail of the third part's job, as SES v1 takes it."""
    return {
        "Source": "clinic@example.com",
        "Destination": {"ToAddresses": ["ann@example.com"]},
        "Message": {
            "Subject": {"Data": "Time for your appointment"},
            "Body": {"Text": {"Data": "You have a reminder"}},
        },
        **changes,
    }


def message(subject: str = "s", text: str | None = "t", html: str | None = None, charset: str | None = None) -> Any:
    def content(data: str) -> dict[str, str]:
        return {"Data": data, "Charset": charset} if charset else {"Data": data}

    body = {name: content(data) for name, data in (("Text", text), ("Html", html)) if data is not None}
    return {"Subject": content(subject), "Body": body}


def as_sent(email: OutgoingEmail) -> bytes:
    return to_bytes(email, message_id="delivery-1", date=NINE)


def parsed(email: OutgoingEmail) -> EmailMessage:
    """What the standard library's parser, our oracle, reads of the message."""
    return message_from_bytes(as_sent(email), policy=policy.default)


def test_a_plain_email_is_a_short_readable_message() -> None:
    assert as_sent(from_send_email(parameters())).decode("ascii").split("\r\n") == [
        "From: clinic@example.com",
        "To: ann@example.com",
        "Subject: Time for your appointment",
        "Message-ID: <delivery-1@example.com>",
        "Date: Tue, 01 Jan 2030 09:00:00 +0000",
        "MIME-Version: 1.0",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: 7bit",
        "",
        "You have a reminder",
        "",
    ]


def test_the_same_email_is_always_the_same_bytes() -> None:
    email = from_send_email(parameters(Message=message("s", "text", "<p>html</p>")))
    assert as_sent(email) == as_sent(email)


def test_text_and_html_are_alternatives_the_richer_one_last() -> None:
    read = parsed(from_send_email(parameters(Message=message("s", "täxt", "<p>hťml</p>"))))
    assert read.get_content_type() == "multipart/alternative"
    assert [(part.get_content_type(), part.get_content().strip()) for part in read.iter_parts()] == [
        ("text/plain", "täxt"),
        ("text/html", "<p>hťml</p>"),
    ]


def test_html_alone_is_not_wrapped() -> None:
    read = parsed(from_send_email(parameters(Message=message(text=None, html="<p>x</p>"))))
    assert (read.get_content_type(), read.get_content().strip()) == ("text/html", "<p>x</p>")


def test_blind_copies_are_recipients_and_in_no_header() -> None:
    destination = {
        "ToAddresses": ["a@example.com"],
        "CcAddresses": ["b@example.com"],
        "BccAddresses": ["eve@example.com"],
    }
    email = from_send_email(parameters(Destination=destination))
    assert email.recipients == ("a@example.com", "b@example.com", "eve@example.com")
    assert b"eve@example.com" not in as_sent(email)
    assert parsed(email)["Cc"] == "b@example.com"


def test_an_email_with_blind_copies_only_names_nobody() -> None:
    email = from_send_email(parameters(Destination={"BccAddresses": ["eve@example.com"]}))
    assert parsed(email)["To"] == "undisclosed-recipients:;"
    assert email.recipients == ("eve@example.com",)


def test_a_recipient_named_twice_gets_one() -> None:
    destination = {"ToAddresses": ["a@example.com", "Ann <a@example.com>"]}
    assert from_send_email(parameters(Destination=destination)).recipients == ("a@example.com",)


def test_bounces_go_to_the_return_path_and_answers_to_reply_to() -> None:
    email = from_send_email(parameters(ReturnPath="bounce@example.com", ReplyToAddresses=["Desk <desk@example.com>"]))
    assert email.sender == "bounce@example.com"
    assert parsed(email)["Reply-To"] == "Desk <desk@example.com>"
    assert parsed(email)["Return-Path"] is None


@pytest.mark.parametrize(
    "name",
    [
        "Clinic",
        "Dr. Lee",
        "Lee, Ann",
        'Ann "Annie" Lee',
        "Zoë Ærøskøbing",
        "日本" * 60,
        "=?x",
        "a" * 200,
        "back\\slash",
    ],
)
def test_display_names_arrive_as_they_were_written(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    email = from_send_email(parameters(Source=f'"{quoted}" <clinic@example.com>'))
    # By the older of the library's two readers: the newer one keeps the spaces between encoded words.
    written = message_from_bytes(as_sent(email), policy=policy.compat32)["From"]
    found, spec = parseaddr(written.replace("\n", ""))
    assert (str(make_header(decode_header(found))), spec) == (name, "clinic@example.com")


def test_an_encoded_display_name_is_taken_over() -> None:
    read = parsed(from_send_email(parameters(Source="=?UTF-8?B?Wm/Dqw==?= <clinic@example.com>")))
    assert read["From"].addresses[0].display_name == "Zoë"


@pytest.mark.parametrize(
    "subject",
    ["", "Zeit für Ihren Termin", "x" * 2000, "word " * 300 + "end", " led", "日本" * 200, "=?utf-8?Q?a?=", "a\tb"],
)
def test_subjects_arrive_as_they_were_written(subject: str) -> None:
    email = from_send_email(parameters(Message=message(subject)))
    assert view_of(from_send_raw_email({"RawMessage": {"Data": as_sent(email)}})).subject == subject.strip("\n")
    assert max(map(len, as_sent(email).split(b"\r\n"))) < 998


@pytest.mark.parametrize("charset", ["utf-8", "ISO-8859-1", "windows-1252", "shift_jis", "utf-16", "us-ascii", None])
@pytest.mark.parametrize("text", ["plain", "grüße", "日本語", "x" * 5000, "a\nb\r\nc\rd", ".\n..\n", "nul\0 bell\a"])
def test_bodies_arrive_in_any_charset_and_never_with_long_or_eight_bit_lines(text: str, charset: str | None) -> None:
    email = from_send_email(parameters(Message=message("s", text, charset=charset)))
    sent = as_sent(email)
    assert sent.isascii()
    assert b"\0" not in sent
    assert max(map(len, sent.split(b"\r\n"))) <= 998
    assert b"\n" not in sent.replace(b"\r\n", b"")
    assert b"\r" not in sent.replace(b"\r\n", b"")
    content = parsed(email).get_content().replace("\r\n", "\n")
    assert content.rstrip("\n") == text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def test_an_unknown_charset_is_refused_by_name() -> None:
    for charset in ("klingon", "rot13", "utf-8\r\nBcc: x"):
        with pytest.raises(InvalidParameterValue, match="Unsupported charset"):
            from_send_email(parameters(Message=message(charset=charset)))


def test_more_than_fifty_recipients_are_refused() -> None:
    fifty = [f"a{number}@example.com" for number in range(50)]
    assert len(from_send_email(parameters(Destination={"BccAddresses": fifty})).recipients) == 50
    with pytest.raises(InvalidParameterValue, match=r"^Recipient count exceeds 50\.$"):
        from_send_email(parameters(Destination={"ToAddresses": ["x@example.com"], "BccAddresses": fifty}))


def test_an_email_to_nobody_is_refused() -> None:
    with pytest.raises(InvalidParameterValue, match="Missing required header 'To'"):
        from_send_email(parameters(Destination={}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"Source": None},
        {"Source": 5},
        {"Destination": "ann@example.com"},
        {"Destination": {"ToAddresses": "ann@example.com"}},
        {"Destination": {"ToAddresses": [5]}},
        {"Message": None},
        {"Message": {"Subject": {"Data": "s"}, "Body": {}}},
        {"Message": {"Subject": "s", "Body": {"Text": {"Data": "t"}}}},
        {"Message": message(subject="a\ud800")},
        {"Message": message(text="a\ud800")},
        {"Tags": [5]},
    ],
)
def test_parameters_of_a_wrong_type_are_refused_as_emails_not_as_faults(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterValue):
        from_send_email(parameters(**wrong))


def test_tags_are_checked_with_the_text_of_ses() -> None:
    assert from_send_email(parameters(Tags=[{"Name": "kind", "Value": "a-1"}])).tags == (("kind", "a-1"),)
    with pytest.raises(InvalidParameterValue) as caught:
        from_send_email(parameters(Tags=[{"Name": "kind", "Value": "a:1"}]))
    assert str(caught.value) == (
        "Invalid tag value <a:1>: only alphanumeric ASCII characters, '_', and '-' are allowed."
    )


def test_a_message_above_the_limit_is_refused_with_its_length() -> None:
    check_size(from_send_email(parameters(Message=message(text="x" * 9_000_000))), MAX_SIZE_BYTES)
    with pytest.raises(InvalidParameterValue, match=r"Message length is more than 10485760 bytes long: '1\d{7}'\."):
        check_size(from_send_email(parameters(Message=message(text="x" * 11_000_000))), MAX_SIZE_BYTES)
    raw = b"From: a@example.com\r\nTo: b@example.com\r\n\r\n" + b"x" * MAX_SIZE_BYTES
    with pytest.raises(InvalidParameterValue, match="Message length is more than"):
        check_size(from_send_raw_email({"RawMessage": {"Data": raw}}), MAX_SIZE_BYTES)


# The second version of the API ---------------------------------------------------------------------------

V2 = {
    "FromEmailAddress": "Clinic <clinic@example.com>",
    "Destination": {"ToAddresses": ["ann@example.com"], "CcAddresses": [], "BccAddresses": ["eve@example.com"]},
    "ReplyToAddresses": ["desk@example.com"],
    "FeedbackForwardingEmailAddress": "bounce@example.com",
    "Content": {
        "Simple": {
            "Subject": {"Data": "Grüße"},
            "Body": {"Text": {"Data": "t"}, "Html": {"Data": "h", "Charset": "ISO-8859-1"}},
            "Headers": [{"Name": "X-Clinic", "Value": "north"}],
        }
    },
    "EmailTags": [{"Name": "a", "Value": "b"}],
}
RAW = b"From: A <a@example.com>\nTo: b@example.com,\n c@example.com\nBcc: d@example.com\nSubject: hi\n\nbody\n"


def test_the_second_version_says_the_same_in_other_words() -> None:
    email = from_send_email_v2(V2)
    assert email.source.spec == "clinic@example.com"
    assert email.sender == "bounce@example.com"
    assert parsed(email)["X-Clinic"] == "north"


@pytest.mark.parametrize(
    "email",
    [
        from_send_email(parameters()),
        from_send_email_v2(V2),
        from_send_raw_email({"RawMessage": {"Data": RAW}}),
        from_send_raw_email(
            {"RawMessage": {"Data": RAW}, "Destinations": ["z@example.com"], "Source": "y@example.com"}
        ),
    ],
)
def test_an_email_comes_back_from_its_own_parameters(email: OutgoingEmail) -> None:
    assert from_send_email_v2(as_parameters(email)) == email


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"Content": {"Simple": {**V2["Content"]["Simple"], "Attachments": [{}]}}}, "Attachments is not supported"),  # type: ignore[index]
        ({"Content": {}}, "Simple is missing"),
        ({"Content": None}, "Content is missing"),
        ({"FromEmailAddress": None}, "Missing required header 'From'"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidParameterValue, match=text):
        from_send_email_v2({**V2, **change})


@pytest.mark.parametrize("name", ["From", "bcc", "Content-Type", "Message-ID", "X Y", "X:", "", "X-\r\nBcc", "Ünicode"])
def test_a_header_of_ours_or_no_header_at_all_cannot_be_set(name: str) -> None:
    simple = {**V2["Content"]["Simple"], "Headers": [{"Name": name, "Value": "x"}]}  # type: ignore[index]
    with pytest.raises(InvalidParameterValue, match="cannot be set"):
        from_send_email_v2({**V2, "Content": {"Simple": simple}})


# Raw messages --------------------------------------------------------------------------------------------


def test_a_raw_message_names_its_own_recipients_and_loses_its_blind_copies() -> None:
    email = from_send_raw_email({"RawMessage": {"Data": RAW}})
    assert email.source.spec == "a@example.com"
    assert email.recipients == ("b@example.com", "c@example.com", "d@example.com")
    sent = as_sent(email)
    assert b"d@example.com" not in sent
    assert sent.endswith(b"Subject: hi\r\n\r\nbody\r\n")
    assert sent.startswith(b"Message-ID: <delivery-1@example.com>\r\nDate: Tue, 01 Jan 2030 09:00:00 +0000\r\nFrom: A")


def test_a_raw_message_goes_to_the_destinations_where_they_are_given() -> None:
    email = from_send_raw_email({"RawMessage": {"Data": RAW}, "Destinations": ["z@example.com"]})
    assert email.recipients == ("z@example.com",)


def test_the_ids_and_dates_of_a_raw_message_are_replaced() -> None:
    raw = b"Message-Id: <x@y>\r\nDATE: never\r\nReturn-Path: <x@y>\r\n" + RAW
    read = parsed(from_send_raw_email({"RawMessage": {"Data": raw}}))
    assert read.get_all("Message-ID") == ["<delivery-1@example.com>"]
    assert len(read.get_all("Date", [])) == 1
    assert read["Return-Path"] is None


def test_every_line_of_a_raw_message_ends_as_smtp_wants_it() -> None:
    raw = RAW + b"\r.\rMAIL FROM:<x@y>\n.\nmore\r\n"
    sent = as_sent(from_send_raw_email({"RawMessage": {"Data": raw}}))
    assert b"\r" not in sent.replace(b"\r\n", b"")
    assert b"\n" not in sent.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"To: b@example.com\n\nx", "Missing required header 'From'"),
        (b"From: a@example.com\n\nx", "Missing required header 'To'"),
        (b"From: a@example.com\nFrom: b@example.com\nTo: c@example.com\n\nx", "Duplicate header 'From'"),
        (b"no head at all", "Expected ':'"),
        (b"", "Missing required header 'From'"),
    ],
)
def test_a_raw_message_without_the_headers_it_needs_is_refused(raw: bytes, text: str) -> None:
    with pytest.raises(InvalidParameterValue, match=text):
        from_send_raw_email({"RawMessage": {"Data": raw}})


def test_the_mailbox_shows_what_a_raw_message_says() -> None:
    email = from_send_email(parameters(Message=message("Grüße", "täxt", "<p>hťml</p>")))
    view = view_of(from_send_raw_email({"RawMessage": {"Data": as_sent(email)}}))
    assert (view.subject, view.text, view.html) == ("Grüße", "täxt", "<p>hťml</p>")


def test_a_raw_message_nested_without_end_is_taken_and_shown_empty() -> None:
    depth = 2000
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    email = from_send_raw_email({"RawMessage": {"Data": b"From: a@example.com\nTo: b@example.com\n" + opened}})
    assert view_of(email).text is None


def test_a_head_without_end_is_refused_at_once() -> None:
    raw = RAW.partition(b"\n\n")[0] + b"\nX: y\n" + b" z\n" * 1_000_000
    with pytest.raises(InvalidParameterValue, match="The headers are more than 262144 bytes long"):
        from_send_raw_email({"RawMessage": {"Data": raw}})


# Injection -----------------------------------------------------------------------------------------------

BREAKS = ["\r\n", "\n", "\r", "\0", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", "\r\n ", "\x7f", "\x1b"]


@pytest.mark.parametrize("line_break", BREAKS[:5])
def test_a_line_break_in_a_header_is_refused(line_break: str) -> None:
    evil = f"a{line_break}Bcc: eve@example.com"
    for wrong in (
        {"Source": f"{evil} <clinic@example.com>"},
        {"Source": f'"{evil}" <clinic@example.com>'},
        {"Source": f"clinic@example.com{line_break}Bcc: eve"},
        {"Destination": {"ToAddresses": [f"ann@example.com{line_break}"]}},
        {"ReplyToAddresses": [f"{evil}@example.com"]},
        {"ReturnPath": f"{evil}@example.com"},
        {"Message": message(subject=evil)},
    ):
        with pytest.raises(InvalidParameterValue):
            from_send_email(parameters(**wrong))


def test_an_encoded_word_that_hides_a_line_break_is_refused() -> None:
    hidden = "=?utf-8?Q?a=0D=0ABcc=3A_eve?="
    with pytest.raises(InvalidParameterValue, match="control characters"):
        from_send_email(parameters(Source=f"{hidden} <clinic@example.com>"))


fragments = st.lists(
    st.one_of(
        st.sampled_from(
            [*BREAKS, "Bcc: eve@example.com", "@", '"', "<", ">", "\\", ",", "=?utf-8?Q?", "?=", " ", "ann"]
        ),
        st.text(max_size=8),
    ),
    max_size=8,
).map("".join)


@given(subject=fragments, text=fragments, html=fragments, value=fragments, name=fragments, person=fragments)
def test_no_input_can_inject_a_header(subject: str, text: str, html: str, value: str, name: str, person: str) -> None:
    content = {**message(subject, text, html), "Headers": [{"Name": "X-Value", "Value": value}]}
    request = {
        "FromEmailAddress": f"{name} <clinic@example.com>",
        "Destination": {"ToAddresses": ["ann@example.com"]},
        "ReplyToAddresses": [person],
        "Content": {"Simple": content},
    }
    members: dict[str, Any]
    for members in ({}, {"ReplyToAddresses": []}, {"FromEmailAddress": "clinic@example.com", "ReplyToAddresses": []}):
        try:
            email = from_send_email_v2({**request, **members})
        except InvalidParameterValue:
            continue
        sent = as_sent(email)
        head = sent.partition(b"\r\n\r\n")[0]
        names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if not line.startswith(b" ")]
        expected = ["From", *(["Reply-To"] if email.reply_to else []), "To", "Subject", "Message-ID", "Date", "X-Value"]
        assert names == [*expected, "MIME-Version", "Content-Type"]
        assert all(line.strip() for line in head.split(b"\r\n"))
        assert sent.isascii()
        for character in (b"\r", b"\n", b"\0"):
            assert character not in sent.replace(b"\r\n", b"")
        assert email.recipients == ("ann@example.com",)
        read = message_from_bytes(sent, policy=policy.compat32)
        assert [part.get_content_type() for part in read.walk()][1:] == ["text/plain", "text/html"]


@given(st.binary(max_size=200))
def test_no_raw_message_can_leave_a_stray_line_end_or_a_second_id(tail: bytes) -> None:
    try:
        email = from_send_raw_email({"RawMessage": {"Data": b"From: a@example.com\nTo: b@example.com\n" + tail}})
    except InvalidParameterValue:
        return
    sent = as_sent(email)
    assert b"\r" not in sent.replace(b"\r\n", b"")
    assert b"\n" not in sent.replace(b"\r\n", b"")
    view_of(email)
