"""Emails: from the parameters of SES's operations to one value, and from that to bytes.

The parameters come from a request that was checked against the service's model, or from the input of a
schedule, which nobody has checked; so every type is looked at here.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import Message
from functools import lru_cache
from typing import Any

from duestream.core import mime
from duestream.core.address import Address, InvalidParameterValue, parse_address, split_addresses

__all__ = [
    "MAX_RECIPIENTS",
    "MAX_SIZE_BYTES",
    "MAX_SIZE_BYTES_V2",
    "Address",
    "InvalidParameterValue",
    "OutgoingEmail",
    "Part",
    "RawView",
    "as_parameters",
    "check_size",
    "from_send_email",
    "from_send_email_v2",
    "from_send_raw_email",
    "parse_address",
    "to_bytes",
    "view_of",
]

MAX_RECIPIENTS = 50
#: Of a whole message, after encoding (SES developer guide, "Service quotas"): the v1 API, and v2 or SMTP.
MAX_SIZE_BYTES = 10 * 1024 * 1024
MAX_SIZE_BYTES_V2 = 40 * 1024 * 1024

_HEADER_NAME = re.compile(r"[!-9;-~]{1,126}")
#: Written from the email's own parts; a second one would contradict them.
_OUR_HEADERS = re.compile(
    r"bcc|cc|content-.*|date|from|message-id|mime-version|reply-to|return-path|sender|subject|to", re.IGNORECASE
)
_TAG = re.compile(r"[0-9A-Za-z_-]+")


@dataclass(frozen=True, slots=True)
class Part:
    """Text of a body, and the charset it is to be written in."""

    data: str
    charset: str = "utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEmail:
    """An email that SES would take: every address read, every header checked, at most 50 recipients."""

    source: Address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    return_path: Address | None = None
    subject: str = ""
    text: Part | None = None
    html: Part | None = None
    #: Further headers, name and value.
    headers: tuple[tuple[str, str], ...] = ()
    #: A whole message, as the sender gave it; subject, text and html are not used then.
    raw: bytes | None = None
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def sender(self) -> str:
        """The envelope's sender: where bounces go."""
        return (self.return_path or self.source).spec

    @property
    def recipients(self) -> tuple[str, ...]:
        """The envelope's recipients, each once."""
        return tuple(dict.fromkeys(address.spec for address in (*self.to, *self.cc, *self.bcc)))


@dataclass(frozen=True, slots=True)
class RawView:
    """What can be read of a raw message."""

    subject: str
    text: str | None
    html: str | None


def from_send_email(parameters: Mapping[str, Any]) -> OutgoingEmail:
    """The email that SES v1's SendEmail is to send: Source, Destination, Message, ReplyToAddresses, ReturnPath, Tags.

    Raises:
        InvalidParameterValue: with SES's text where that is known.
    """
    destination = _destination(parameters)
    subject, text, html = _simple(_mapping(parameters, "Message"))
    email = OutgoingEmail(
        source=parse_source(_string(parameters, "Source")),
        to=destination.to,
        cc=destination.cc,
        bcc=destination.bcc,
        subject=subject,
        text=text,
        html=html,
        reply_to=_addresses(parameters, "ReplyToAddresses"),
        return_path=_optional_address(parameters, "ReturnPath"),
        tags=_tags(parameters, "Tags"),
    )
    return _checked(email)


def from_send_raw_email(parameters: Mapping[str, Any]) -> OutgoingEmail:
    """The email that SES v1's SendRawEmail is to send: RawMessage.Data, and Source, Destinations, Tags if given.

    Raises:
        InvalidParameterValue: with SES's text where that is known.
    """
    raw = _blob(_mapping(parameters, "RawMessage"), "Data")
    source = _string(parameters, "Source") if parameters.get("Source") else None
    destination = _Destination(to=_addresses(parameters, "Destinations"))
    return _checked(_from_raw(raw, source, destination, tags=_tags(parameters, "Tags")))


def from_send_email_v2(parameters: Mapping[str, Any]) -> OutgoingEmail:
    """The email that SES v2's SendEmail is to send: FromEmailAddress, Destination, Content, ReplyToAddresses, ...

    Raises:
        InvalidParameterValue: with SES's text where that is known; attachments are refused by name.
    """
    content = _mapping(parameters, "Content")
    source = _string(parameters, "FromEmailAddress") if parameters.get("FromEmailAddress") else None
    destination = _destination(parameters)
    return_path = _optional_address(parameters, "FeedbackForwardingEmailAddress")
    tags = _tags(parameters, "EmailTags")
    if content.get("Raw") is not None:
        raw = _blob(_mapping(content, "Raw"), "Data")
        return _checked(_from_raw(raw, source, destination, return_path=return_path, tags=tags))
    simple = _mapping(content, "Simple")
    if simple.get("Attachments"):
        raise InvalidParameterValue("Content.Simple.Attachments is not supported by this server: send Content.Raw")
    if source is None:
        raise InvalidParameterValue("Missing required header 'From'.")
    subject, text, html = _simple(simple)
    return _checked(
        OutgoingEmail(
            source=parse_source(source),
            to=destination.to,
            cc=destination.cc,
            bcc=destination.bcc,
            subject=subject,
            text=text,
            html=html,
            headers=_headers(simple),
            reply_to=_addresses(parameters, "ReplyToAddresses"),
            return_path=return_path,
            tags=tags,
        )
    )


def as_parameters(email: OutgoingEmail) -> dict[str, Any]:
    """Parameters of SES v2's SendEmail, fit for JSON, from which `from_send_email_v2` makes the same email."""
    if email.raw is not None:
        content: dict[str, Any] = {"Raw": {"Data": base64.b64encode(email.raw).decode("ascii")}}
    else:
        parts = {"Text": email.text, "Html": email.html}
        body = {name: {"Data": part.data, "Charset": part.charset} for name, part in parts.items() if part}
        content = {"Simple": {"Subject": {"Data": email.subject}, "Body": body}}
        if email.headers:
            content["Simple"]["Headers"] = [{"Name": name, "Value": value} for name, value in email.headers]
    parameters: dict[str, Any] = {
        "FromEmailAddress": email.source.text,
        "Destination": {
            "ToAddresses": [address.text for address in email.to],
            "CcAddresses": [address.text for address in email.cc],
            "BccAddresses": [address.text for address in email.bcc],
        },
        "ReplyToAddresses": [address.text for address in email.reply_to],
        "Content": content,
        "EmailTags": [{"Name": name, "Value": value} for name, value in email.tags],
    }
    if email.return_path is not None:
        parameters["FeedbackForwardingEmailAddress"] = email.return_path.text
    return parameters


def to_bytes(email: OutgoingEmail, *, message_id: str, date: datetime) -> bytes:
    """The message as SMTP carries it: CRLF line ends, no Bcc, the same bytes for the same arguments.

    Args:
        email: what is to be sent.
        message_id: of the Message-ID header, without brackets; a bare id gets the source's domain.
        date: of the Date header, aware.

    Raises:
        InvalidParameterValue: `message_id` cannot stand in a header.
    """
    whole_id = message_id if "@" in message_id else f"{message_id}@{email.source.domain}"
    own = mime.date_and_id(message_id=whole_id, date=date)
    if email.raw is not None:
        return mime.raw_message(email.raw, own)
    head = [mime.address_list("From", [email.source])]
    if email.reply_to:
        head.append(mime.address_list("Reply-To", email.reply_to))
    if email.to:
        head.append(mime.address_list("To", email.to))
    elif not email.cc:
        head.append(b"To: undisclosed-recipients:;\r\n")  # only blind copies
    if email.cc:
        head.append(mime.address_list("Cc", email.cc))
    head.append(mime.unstructured("Subject", email.subject))
    head.append(own)
    head.extend(mime.unstructured(name, value) for name, value in email.headers)
    parts = ((part.data, part.charset) if part else None for part in (email.text, email.html))
    return b"".join(head) + mime.body(*parts)


def check_size(email: OutgoingEmail, limit_bytes: int) -> None:
    """Raise InvalidParameterValue, with SES's text, if the message is longer than the limit once it is encoded."""
    if email.raw is not None:
        size = len(email.raw)
    else:
        characters = sum(len(part.data) for part in (email.text, email.html) if part)
        if characters * 12 < limit_bytes // 2:  # four bytes of UTF-8, each three in quoted-printable: it is below
            return
        size = sum(len(mime.body((part.data, part.charset), None)) for part in (email.text, email.html) if part)
    if size > limit_bytes:
        raise InvalidParameterValue(f"Message length is more than {limit_bytes} bytes long: '{size}'.")


def view_of(email: OutgoingEmail) -> RawView:
    """Subject and bodies to show in a mailbox, of a raw message too, as far as they can be read."""
    if email.raw is None:
        text, html = (part.data if part else None for part in (email.text, email.html))
        return RawView(email.subject, text, html)
    found: dict[str, str] = {}
    try:
        message = message_from_bytes(email.raw, policy=policy.compat32)
        for part in message.walk():
            kind = part.get_content_type()
            if kind in ("text/plain", "text/html") and kind not in found and part.get_filename() is None:
                found[kind] = _decoded_payload(part)
    except (RecursionError, ValueError, LookupError):  # nested out of all bounds, or beyond the library's reader
        return RawView("", None, None)
    return RawView(_decoded_header(message.get("Subject", "")), found.get("text/plain"), found.get("text/html"))


@lru_cache(maxsize=4096)
def parse_source(text: str) -> Address:
    """`parse_address`, and a look into the display name's encoded words. Senders, at least, come again and again."""
    address = parse_address(text)
    mime.check_display_name(address.name)
    return address


@dataclass(frozen=True, slots=True)
class _Destination:
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()


def _from_raw(
    raw: bytes,
    source: str | None,
    destination: _Destination,
    *,
    return_path: Address | None = None,
    tags: tuple[tuple[str, str], ...],
) -> OutgoingEmail:
    """A raw message; its own headers say who gets it unless the request does."""
    fields, _ = mime.split_raw(raw)
    values: dict[str, list[str]] = {}
    for field_name, field in fields:
        values.setdefault(field_name.decode("ascii"), []).append(mime.field_value(field))
    for name in ("from", "subject"):
        if len(values.get(name, ())) > 1:
            raise InvalidParameterValue(f"Duplicate header '{name.capitalize()}'.")
    senders = split_addresses(", ".join(values.get("from", ())))
    if not senders:
        raise InvalidParameterValue("Missing required header 'From'.")
    if not (destination.to or destination.cc or destination.bcc):
        listed = {name: split_addresses(", ".join(values.get(name, ()))) for name in ("to", "cc", "bcc")}
        destination = _Destination(**{name: tuple(map(parse_source, texts)) for name, texts in listed.items()})
    return OutgoingEmail(
        source=parse_source(source or senders[0]),
        to=destination.to,
        cc=destination.cc,
        bcc=destination.bcc,
        return_path=return_path,
        raw=raw,
        tags=tags,
    )


def _checked(email: OutgoingEmail) -> OutgoingEmail:
    count = len(email.to) + len(email.cc) + len(email.bcc)
    if count == 0:
        raise InvalidParameterValue("Missing required header 'To'.")
    if count > MAX_RECIPIENTS:
        raise InvalidParameterValue(f"Recipient count exceeds {MAX_RECIPIENTS}.")
    return email


def _destination(parameters: Mapping[str, Any]) -> _Destination:
    destination = _mapping(parameters, "Destination") if parameters.get("Destination") is not None else {}
    return _Destination(*(_addresses(destination, f"{name}Addresses") for name in ("To", "Cc", "Bcc")))


def _simple(message: Mapping[str, Any]) -> tuple[str, Part | None, Part | None]:
    """Subject, text and html of a Message (v1) or Simple content (v2)."""
    subject = _part(_mapping(message, "Subject"))
    mime.check_header_text(subject.data, "Subject")
    body = _mapping(message, "Body")
    text, html = (_part(_mapping(body, name)) if body.get(name) is not None else None for name in ("Text", "Html"))
    if text is None and html is None:
        raise InvalidParameterValue("Message.Body must have Text, Html or both")
    return subject.data, text, html


def _part(content: Mapping[str, Any]) -> Part:
    """A part without a charset is written in UTF-8. (SES takes it for ASCII and spoils what is not.)"""
    charset = content.get("Charset") or "utf-8"
    if not isinstance(charset, str):
        raise InvalidParameterValue("Charset must be a string")
    data = _string(content, "Data")
    if not data.isascii():
        _refuse_surrogates(data)
    return Part(data, mime.usable_charset(charset))


def _headers(simple: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for header in _sequence(simple, "Headers"):
        name, value = _string(_as_mapping(header, "Headers"), "Name"), _string(header, "Value")
        if not _HEADER_NAME.fullmatch(name) or _OUR_HEADERS.fullmatch(name):
            raise InvalidParameterValue(f"Header {name!r} cannot be set")
        found.append((name, mime.check_header_text(value, f"Header {name}")))
    return tuple(found)


def _tags(parameters: Mapping[str, Any], member: str) -> tuple[tuple[str, str], ...]:
    """Message tags. The texts were recorded from SES by LocalStack's tests (localstack/localstack#8639)."""
    found = []
    for tag in _sequence(parameters, member):
        name, value = _string(_as_mapping(tag, member), "Name"), _string(tag, "Value")
        for what, text in (("name", name), ("value", value)):
            if not _TAG.fullmatch(text):
                raise InvalidParameterValue(
                    f"Invalid tag {what} <{text}>: only alphanumeric ASCII characters, '_', and '-' are allowed."
                )
        found.append((name, value))
    return tuple(found)


def _addresses(parameters: Mapping[str, Any], member: str) -> tuple[Address, ...]:
    found = []
    for text in _sequence(parameters, member):
        if not isinstance(text, str):
            raise InvalidParameterValue(f"{member} must be a list of strings")
        found.append(parse_source(text))
    return tuple(found)


def _optional_address(parameters: Mapping[str, Any], member: str) -> Address | None:
    return parse_source(_string(parameters, member)) if parameters.get(member) else None


def _string(parameters: Mapping[str, Any], member: str) -> str:
    value = parameters.get(member)
    if not isinstance(value, str):
        raise InvalidParameterValue(f"{member} is missing" if value is None else f"{member} must be a string")
    return value


def _mapping(parameters: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    if parameters.get(member) is None:
        raise InvalidParameterValue(f"{member} is missing")
    return _as_mapping(parameters[member], member)


def _as_mapping(value: object, member: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidParameterValue(f"{member} must be an object")
    return value


def _sequence(parameters: Mapping[str, Any], member: str) -> Sequence[Any]:
    value = parameters.get(member)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise InvalidParameterValue(f"{member} must be a list")
    return value


def _blob(parameters: Mapping[str, Any], member: str) -> bytes:
    """Bytes as codecs give them, or base64 text as the input of a schedule has it."""
    value = parameters.get(member)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    try:
        return base64.b64decode(_string(parameters, member), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidParameterValue(f"{member} must be base64") from None


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidParameterValue("Data is not Unicode text") from None


def _decoded_payload(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return payload.decode("utf-8", "replace")


def _decoded_header(value: object) -> str:
    text = mime.field_value(b":" + str(value).encode("utf-8", "replace"))
    return mime.decoded_words(text)
