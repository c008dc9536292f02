"""Signature version 4: who asks, and that nobody has changed it on the way.

As botocore's ``SigV4Auth`` signs, for a fraction of its time: the key of a day is kept, and nothing is read twice. Source:
IAM User Guide, "Create a signed AWS API request".
"""

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote, urlsplit

from botocore.utils import normalize_url_path

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Credentials(Protocol):
    """Botocore's frozen ones."""

    access_key: str
    secret_key: str
    token: str | None


class Signer:
    """Signs requests to one service. May be used by several threads.

    Args:
        service: the name that signatures have for it.
        region: where it is called.
    """

    def __init__(self, service: str, region: str) -> None:
        self._service, self._region = service, region
        self._key: tuple[tuple[str, str], bytes] = (("", ""), b"")

    def signed(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        credentials: Credentials,
        now: datetime,
    ) -> dict[str, str]:
        """The headers, and those that sign the request.

        Args:
            method: HTTP's.
            url: the whole of it, quoted.
            headers: of the request, without ``Host``.
            body: of the request.
            credentials: whose request it is.
            now: the present moment, in UTC.
        """
        parts = urlsplit(url)
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        result = {**headers, "X-Amz-Date": stamp}
        if credentials.token:
            result["X-Amz-Security-Token"] = credentials.token
        fields = {name.lower(): " ".join(value.split()) for name, value in result.items()}
        host, port = parts.hostname or "", parts.port
        host = f"[{host}]" if ":" in host else host
        fields["host"] = host if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{port}"
        names = sorted(fields)
        path = quote(normalize_url_path(parts.path), safe="/~") if parts.path not in ("", "/") else "/"
        query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
        lines = [f"{name}:{fields[name]}" for name in names]
        signed_names = ";".join(names)
        canonical = "\n".join((method, path, query, *lines, "", signed_names, sha256(body).hexdigest()))
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(credentials.secret_key, stamp[:8]), text.encode(), "sha256").hex()
        result["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={signed_names}, "
            f"Signature={signature}"
        )
        return result

    def _signing_key(self, secret_key: str, date: str) -> bytes:
        (identity, key) = self._key  # one read: another thread may have put another day's
        if identity != (secret_key, date):
            key = f"AWS4{secret_key}".encode()
            for part in (date, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = ((secret_key, date), key)
        return key
