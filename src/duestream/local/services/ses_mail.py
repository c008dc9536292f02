"""What both versions of SES's API share: taking an email in, and identities.

Every source is taken as verified: sending from an address without an identity is accepted, as there is nobody
here whose address needs protection. Identities can be made all the same, and are verified at once.
"""

import base64
import binascii
import hashlib
from functools import partial

from duestream.clock import from_ms
from duestream.core.address import InvalidParameterValue, parse_address
from duestream.core.email import OutgoingEmail, as_parameters
from duestream.core.json_text import json_text
from duestream.core.schedule import Place, at_expression
from duestream.core.service_targets import universal_arn
from duestream.local.services.context import RequestContext
from duestream.local.store import emails, queues, schedule_groups, schedules
from duestream.local.store.emails import Identity
from duestream.local.store.writer import Transaction

#: Emails taken in by the API that the mail server does not take.
EMAIL_DEAD_LETTER_QUEUE = "duestream-email-dead-letters"

#: What the account may send, as a usual one out of SES's sandbox; nothing here holds anybody to it.
MAX_24_HOUR_SEND = 50_000.0
MAX_SEND_RATE = 14.0
DAY_MS = 24 * 60 * 60 * 1000


async def accept_email(context: RequestContext, email: OutgoingEmail) -> str:
    """The last step of every sending operation: the email is in the mailbox when this returns.

    Where emails go out through a mail server it is scheduled for now instead, durably, so that it is tried like
    every other delivery, and ends in the queue `EMAIL_DEAD_LETTER_QUEUE` if the server does not take it.

    Returns:
        SES's MessageId.
    """
    now_ms = context.clock.now_ms()
    if context.relays_emails:
        return await context.store.write(partial(_schedule_email, email=email, place=context.place, now_ms=now_ms))
    stored = emails.stored_email(email, region=context.place.region, sent_at_ms=now_ms)
    return await context.store.write(partial(emails.add_email, email=stored))


def _schedule_email(tx: Transaction, email: OutgoingEmail, place: Place, now_ms: int) -> str:
    message_id = emails.new_message_id(place.region, now_ms)
    group = schedule_groups.put_group(tx, schedule_groups.EMAIL_GROUP, region=place.region, now_ms=now_ms)
    if queues.get_queue(tx.connection, EMAIL_DEAD_LETTER_QUEUE) is None:
        queues.create_queue(tx, EMAIL_DEAD_LETTER_QUEUE, region=place.region, now_ms=now_ms)
    target = {
        "Arn": universal_arn("sesv2", "sendEmail"),
        "RoleArn": "arn:aws:iam::000000000000:role/duestream-email",
        "Input": json_text(as_parameters(email)),
        "DeadLetterConfig": {"Arn": place.arn("sqs", EMAIL_DEAD_LETTER_QUEUE)},
    }
    schedules.put_schedule(
        tx,
        group_id=group.id,
        group_name=group.name,
        name=message_id,
        state="ENABLED",
        due_at_ms=now_ms,
        body={
            "ScheduleExpression": at_expression(from_ms(now_ms)),
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": target,
        },
        now_ms=now_ms,
    )
    return message_id


def sent_last_24_hours(context: RequestContext) -> float:
    """How many emails were sent in the last 24 hours. (SES counts recipients.)"""
    return float(emails.count_emails(context.store.reader, since_ms=context.clock.now_ms() - DAY_MS))


def new_identity(context: RequestContext, name: str) -> Identity:
    """An identity for an address or a domain, verified at once.

    Raises:
        InvalidParameterValue: it is neither.
    """
    name = name.strip(" ")
    if "@" not in name:
        _check_domain(name)
        name = name.lower()
    else:
        address = _plain_address(name)
        name = address
    return Identity(name=name, region=context.place.region, created_at_ms=context.clock.now_ms())


def verification_token(domain: str) -> str:
    """What SES asks to be put into the domain's DNS: 44 characters, always the same for a domain."""
    return base64.b64encode(hashlib.sha256(domain.encode()).digest()).decode("ascii")


def dkim_tokens(domain: str) -> list[str]:
    """The three names of a domain's DKIM keys: 32 characters each, always the same."""
    digests = (hashlib.sha256(f"{domain}{number}".encode()).digest() for number in range(3))
    return [base64.b32encode(digest)[:32].decode("ascii").lower() for digest in digests]


def page_of_identities(
    context: RequestContext, *, token: str | None, limit: int, is_domain: bool | None = None
) -> tuple[list[Identity], str | None]:
    """Identities by name from where the token points on, and the next token.

    Raises:
        InvalidParameterValue: the token is none of ours.
    """
    found = [
        identity
        for identity in emails.list_identities(context.store.reader, after=_after(token))
        if is_domain is None or identity.is_domain is is_domain
    ]
    if len(found) <= limit:
        return found, None
    page = found[:limit]
    return page, base64.urlsafe_b64encode(page[-1].name.encode()).decode("ascii")


def _after(token: str | None) -> str:
    if token is None:
        return ""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise InvalidParameterValue("Invalid NextToken.") from None


def _plain_address(text: str) -> str:
    try:
        address = parse_address(text)
    except InvalidParameterValue:
        raise InvalidParameterValue(f"Invalid email address<{text}>.") from None
    if address.name or text.startswith("<"):
        raise InvalidParameterValue(f"Invalid email address<{text}>.")
    return address.text


def _check_domain(name: str) -> None:
    try:
        parse_address(f"postmaster@{name}")
    except InvalidParameterValue:
        raise InvalidParameterValue(f"Invalid domain name <{name}>.") from None
    if "." not in name or name.startswith("["):
        raise InvalidParameterValue(f"Invalid domain name <{name}>.")
