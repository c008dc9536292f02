"""What both versions of SES's API share: taking an email in, and identities.

Every source is taken as verified: sending from an address without an identity is accepted, as there is nobody
here whose address needs protection. Identities can be made all the same, and are verified at once.
"""

import base64
import binascii
import hashlib
from functools import partial

from duestream.core.address import InvalidParameterValue, parse_address
from duestream.core.email import OutgoingEmail
from duestream.local.services.context import RequestContext
from duestream.local.store import emails
from duestream.local.store.emails import Identity

#: What the account may send, as a usual one out of SES's sandbox; nothing here holds anybody to it.
MAX_24_HOUR_SEND = 50_000.0
MAX_SEND_RATE = 14.0
DAY_MS = 24 * 60 * 60 * 1000


async def accept_email(context: RequestContext, email: OutgoingEmail) -> str:
    """The last step of every sending operation: the email is in the mailbox when this returns.

    Returns:
        SES's MessageId.
    """
    stored = emails.stored_email(email, region=context.place.region, sent_at_ms=context.clock.now_ms())
    return await context.store.write(partial(emails.add_email, email=stored))


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
