"""The mailbox of sent emails, and SES's identities."""

import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec

from duestream.core.email import OutgoingEmail, view_of
from duestream.local.store.writer import Transaction

#: First digits of SES's message ids; the other regions have numbers of their own that AWS does not publish.
_REGION_DIGITS = {"us-east-1": "0100", "us-west-2": "0101", "eu-west-1": "0102"}
_OTHER_REGION_DIGITS = "0110"

_EMAIL_COLUMNS = (
    "message_id, region, source, destination, subject, text_part, html_part, raw, details, delivery_id, sent_at_ms"
)
_IDENTITY_COLUMNS = "name, region, verified, declaration, created_at_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEmail:
    """One email as the mailbox keeps it.

    Args:
        source: the address it is from, with its display name where one was given.
        raw: the whole MIME message; None unless the sender gave one.
        delivery_id: of the schedule that sent it; None: sent through the API.
        message_id: SES's MessageId; empty: `add_email` makes one.
        tags: SES's message tags.
    """

    region: str
    source: str
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: Sequence[str] = ()
    return_path: str | None = None
    subject: str = ""
    text_part: str | None = None
    html_part: str | None = None
    raw: bytes | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    delivery_id: str | None = None
    sent_at_ms: int
    message_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An address or a domain that may send. `declaration` is JSON: tags, configuration set, ..."""

    name: str
    region: str
    created_at_ms: int
    verified: bool = True
    declaration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_domain(self) -> bool:
        """True for a domain, False for an address."""
        return "@" not in self.name


def new_message_id(region: str, now_ms: int) -> str:
    """A MessageId in SES's form: region, moment, a random UUID, ``000000``.

    They grow with time, so an index over them is appended to.
    """
    digits = _REGION_DIGITS.get(region, _OTHER_REGION_DIGITS)
    return f"{digits}{now_ms:012x}-{uuid.UUID(bytes=secrets.token_bytes(16), version=4)}-000000"


def stored_email(email: OutgoingEmail, *, region: str, sent_at_ms: int, delivery_id: str | None = None) -> StoredEmail:
    """The email as the mailbox keeps it; subject and bodies of a raw message as far as they can be read."""
    view = view_of(email)
    return StoredEmail(
        region=region,
        source=email.source.text,
        to=tuple(address.text for address in email.to),
        cc=tuple(address.text for address in email.cc),
        bcc=tuple(address.text for address in email.bcc),
        reply_to=tuple(address.text for address in email.reply_to),
        return_path=email.return_path.text if email.return_path else None,
        subject=view.subject,
        text_part=view.text,
        html_part=view.html,
        raw=email.raw,
        tags=dict(email.tags),
        delivery_id=delivery_id,
        sent_at_ms=sent_at_ms,
    )


def add_email(tx: Transaction, email: StoredEmail) -> str:
    """Put an email into the mailbox.

    Returns:
        Its message id.
    """
    message_id = email.message_id or new_message_id(email.region, email.sent_at_ms)
    destination = {"ToAddresses": list(email.to), "CcAddresses": list(email.cc), "BccAddresses": list(email.bcc)}
    details = {"reply_to": list(email.reply_to), "return_path": email.return_path, "tags": dict(email.tags)}
    tx.execute(
        f"INSERT INTO email ({_EMAIL_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message_id,
            email.region,
            email.source,
            msgspec.json.encode(destination),
            email.subject,
            email.text_part,
            email.html_part,
            email.raw,
            msgspec.json.encode(details),
            email.delivery_id,
            email.sent_at_ms,
        ),
    )
    return message_id


def get_email(connection: apsw.Connection, message_id: str) -> StoredEmail | None:
    """The email with this message id."""
    return next(list_emails(connection, message_id=message_id), None)


def list_emails(connection: apsw.Connection, *, message_id: str | None = None) -> Iterator[StoredEmail]:
    """All emails, or the one with this id, in the order in which they were sent."""
    where, bindings = ("", ()) if message_id is None else (" WHERE message_id = ?", (message_id,))
    rows = connection.execute(f"SELECT {_EMAIL_COLUMNS} FROM email{where} ORDER BY id", bindings)
    return map(_email_of, rows)


def count_emails(connection: apsw.Connection, *, since_ms: int = 0) -> int:
    """How many emails were sent at that moment or later."""
    row = connection.execute("SELECT count(*) FROM email WHERE sent_at_ms >= ?", (since_ms,)).get
    assert isinstance(row, int)
    return row


def count_emails_by_period(connection: apsw.Connection, *, since_ms: int, period_ms: int) -> Iterator[tuple[int, int]]:
    """Start of each period (milliseconds) in which something was sent, and how many, oldest first."""
    rows = connection.execute(
        "SELECT sent_at_ms / :period * :period AS start, count(*) FROM email WHERE sent_at_ms >= :since "
        "GROUP BY start ORDER BY start",
        {"period": period_ms, "since": since_ms},
    )
    return ((int(start), int(count)) for start, count in rows)


def clear_emails(tx: Transaction, *, message_id: str | None = None) -> int:
    """Empty the mailbox, or take the one email with this id out of it.

    Returns:
        How many emails are gone.
    """
    if message_id is None:
        tx.execute("DELETE FROM email")
    else:
        tx.execute("DELETE FROM email WHERE message_id = ?", (message_id,))
    return tx.connection.changes()


def put_identity(tx: Transaction, identity: Identity) -> None:
    """Create the identity, or replace what is declared of it (not its moment of creation)."""
    tx.execute(
        f"INSERT INTO identity ({_IDENTITY_COLUMNS}) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET verified = excluded.verified, declaration = excluded.declaration",
        (
            identity.name,
            identity.region,
            int(identity.verified),
            msgspec.json.encode(dict(identity.declaration)),
            identity.created_at_ms,
        ),
    )


def get_identity(connection: apsw.Connection, name: str) -> Identity | None:
    """The identity with this name."""
    rows = connection.execute(f"SELECT {_IDENTITY_COLUMNS} FROM identity WHERE name = ?", (name,))
    return next(map(_identity_of, rows), None)


def list_identities(connection: apsw.Connection, *, after: str = "", limit: int = -1) -> list[Identity]:
    """Identities by name, those that sort after `after`, at most `limit` (negative: all)."""
    rows = connection.execute(
        f"SELECT {_IDENTITY_COLUMNS} FROM identity WHERE name > ? ORDER BY name LIMIT ?", (after, limit)
    )
    return [_identity_of(row) for row in rows]


def delete_identity(tx: Transaction, name: str) -> bool:
    """Delete the identity; fine if missing. True: there was one."""
    tx.execute("DELETE FROM identity WHERE name = ?", (name,))
    return tx.connection.changes() > 0


def _email_of(row: tuple[Any, ...]) -> StoredEmail:
    message_id, region, source, destination, subject, text_part, html_part, raw, details, delivery_id, sent_at_ms = row
    addresses = msgspec.json.decode(destination)
    more = msgspec.json.decode(details)
    return StoredEmail(
        message_id=message_id,
        region=region,
        source=source,
        to=tuple(addresses["ToAddresses"]),
        cc=tuple(addresses["CcAddresses"]),
        bcc=tuple(addresses["BccAddresses"]),
        reply_to=tuple(more["reply_to"]),
        return_path=more["return_path"],
        subject=subject,
        text_part=text_part,
        html_part=html_part,
        raw=raw,
        tags=more["tags"],
        delivery_id=delivery_id,
        sent_at_ms=sent_at_ms,
    )


def _identity_of(row: tuple[Any, ...]) -> Identity:
    name, region, verified, declaration, created_at_ms = row
    return Identity(
        name=name,
        region=region,
        verified=bool(verified),
        declaration=msgspec.json.decode(declaration),
        created_at_ms=created_at_ms,
    )
