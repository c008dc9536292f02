"""What may go out in an `HttpRequest`, and what its answer means. The senders of both engines agree by it."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from duestream.errors import DeliveryError

#: The whole exchange, and making the connection.
TIMEOUT_SECONDS = 30.0
CONNECT_TIMEOUT_SECONDS = 10.0
#: So much of an answer is read; the connection is closed on what is longer.
MAX_RESPONSE_BYTES = 64 * 1024
#: So much of it is told in an error.
MAX_TOLD_CHARACTERS = 500
MAX_RETRY_AFTER_SECONDS = 24 * 60 * 60.0

#: Beside 5xx: the request timed out, came too early, was one too many. A later one may go well.
_RETRYABLE_STATUSES = frozenset({408, 425, 429})
_HEADER_NAME = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]+")
#: Visible characters, spaces and tabs; no control character can end the header.
_HEADER_VALUE = re.compile(r"[\t -~\x80-\U0010ffff]*")
#: These describe the connection and the body's length, which are the client's business.
_REFUSED_HEADERS = frozenset({"connection", "content-length", "te", "trailer", "transfer-encoding", "upgrade"})


def checked_headers(headers: Mapping[str, object]) -> list[tuple[str, str]]:
    """The headers, if they can be sent.

    Raises:
        DeliveryError: one cannot; permanent.
    """
    checked = []
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _REFUSED_HEADERS:
            raise DeliveryError("InvalidHeader", f"header {name!r} cannot be set", retryable=False)
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise DeliveryError("InvalidHeader", f"header {name} is no text, or not in one line", retryable=False)
        checked.append((name, value))
    return checked


def refused_by(status: int, reason: str | None, headers: Mapping[str, str], body: bytes) -> DeliveryError:
    """An answer that is no 2xx, as the error it is: retryable after 408, 425, 429 and 5xx."""
    text = one_line(body.decode("utf-8", "replace"))
    message = f"{reason or 'no reason given'}: {text}" if text else reason or "no reason given"
    if 300 <= status < 400:
        message = f"redirects to {one_line(headers.get('Location', 'nowhere'))}, which is not followed"
    is_retryable = status >= 500 or status in _RETRYABLE_STATUSES
    wait_seconds = _retry_after(headers) if is_retryable else None
    return DeliveryError(str(status), message, retryable=is_retryable, retry_after=wait_seconds)


def one_line(text: str) -> str:
    """The far side's words in one line, and not too many of them."""
    return " ".join(text.split())[:MAX_TOLD_CHARACTERS]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as the far side asked (RFC 9110, 10.2.3); a moment is counted from the answer's own Date."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), MAX_RETRY_AFTER_SECONDS)
    try:
        until, since = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    moments = [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in (until, since)]
    return min(max((moments[0] - moments[1]).total_seconds(), 0.0), MAX_RETRY_AFTER_SECONDS)
