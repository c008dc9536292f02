"""HTTP requests and answers as plain values; the listener makes and sends them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One whole request. Header names are lower case; a repeated header's values are joined with a comma."""

    method: str
    #: The path as sent (percent-encoded), without the query string.
    path: str
    #: The query string as sent, without the question mark.
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One whole answer. Content-Length is added by the listener."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
