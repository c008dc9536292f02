"""``/_aws/ses``: the mailbox as JSON, in the shape that LocalStack made customary."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import apsw
import msgspec

from duestream.clock import from_ms
from duestream.core.address import InvalidParameterValue, parse_address
from duestream.local.store import emails
from duestream.local.store.emails import StoredEmail
from duestream.local.store.store import Store

PATH = "/_aws/ses"


def mailbox(reader: apsw.Connection, query: str) -> bytes:
    """GET: the emails that were sent, oldest first.

    Args:
        query: ``id=`` one email's MessageId; ``email=`` those from this source, with or without its display name.

    Returns:
        JSON: ``{"messages": [{"Id", "Region", "Source", "Destination", "Subject", "Body", "Timestamp"}]}``.
    """
    wanted = parse_qs(query)
    message_id, source = wanted.get("id", [None])[0], wanted.get("email", [None])[0]
    found = emails.list_emails(reader, message_id=message_id)
    return msgspec.json.encode({"messages": [_shown(email) for email in found if _is_from(email, source)]})


async def clear(store: Store, query: str) -> bytes:
    """DELETE: empty the mailbox, or with ``id=`` delete one email. There is nothing to say then (status 204)."""
    message_id = parse_qs(query).get("id", [None])[0]
    await store.write(partial(emails.clear_emails, message_id=message_id))
    return b""


def _is_from(email: StoredEmail, source: str | None) -> bool:
    return source is None or source in (email.source, _bare(email.source))


def _bare(source: str) -> str:
    try:
        return parse_address(source).spec
    except InvalidParameterValue:
        return source


def _shown(email: StoredEmail) -> Mapping[str, Any]:
    shown: dict[str, Any] = {
        "Id": email.message_id,
        "Region": email.region,
        "Source": email.source,
        "Destination": {
            "ToAddresses": list(email.to),
            "CcAddresses": list(email.cc),
            "BccAddresses": list(email.bcc),
        },
        "Subject": email.subject,
        "Body": {"text_part": email.text_part, "html_part": email.html_part},
        # UTC without a zone, as is customary; the milliseconds are ours, so that lateness can be told.
        "Timestamp": from_ms(email.sent_at_ms).replace(tzinfo=None).isoformat(timespec="milliseconds"),
    }
    if email.raw is not None:
        shown["RawData"] = email.raw.decode("utf-8", "replace")
    return shown
