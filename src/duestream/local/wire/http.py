"""HTTP requests and answers as plain values; the listener makes and sends them."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace


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


def unpacked(request: HttpRequest, limit_bytes: int) -> HttpRequest:
    """The request with its body as it was before the client packed it (``Content-Encoding: gzip``).

    SDKs pack the bodies of operations that say so, such as CloudWatch's PutMetricData from 10 KB on.

    Raises:
        ValueError: it is packed in another way, broken, or larger than `limit_bytes`.
    """
    encoding = request.headers.get("content-encoding", "").lower()
    if encoding in ("", "identity"):
        return request
    if encoding not in ("gzip", "x-gzip"):
        raise ValueError(f"the body is encoded as {encoding[:100]!r}: only gzip can be read")
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        body = unpacking.decompress(request.body, limit_bytes)
    except zlib.error as error:
        raise ValueError("the body is not gzip") from error
    if not unpacking.eof:
        raise ValueError(f"the body ends too soon, or is larger than {limit_bytes} bytes when unpacked")
    return replace(request, body=body)
