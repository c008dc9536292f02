"""HTTP out: the due function sends an `HttpRequest` itself.

An API destination of EventBridge could send it too, but each needs a rule, a connection and one fixed URL of its own,
while a rule may answer another URL for each item.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import urllib3

from duestream.aws.bounded import Overstayed, run_bounded
from duestream.core.http_rules import (
    CONNECT_TIMEOUT_SECONDS,
    MAX_RESPONSE_BYTES,
    TIMEOUT_SECONDS,
    checked_headers,
    one_line,
    refused_by,
)
from duestream.errors import DeliveryError
from duestream.version import __version__


class HttpSender:
    """Sends requests over connections that are kept. Certificates are checked, redirects not followed."""

    def __init__(self, pool: Any = None) -> None:
        self._pool = urllib3.PoolManager(maxsize=16, cert_reqs="CERT_REQUIRED") if pool is None else pool

    def send(self, parameters: Mapping[str, Any], delivery_id: str, *, seconds: float) -> None:
        """Send one request: one attempt. Any 2xx answer is success, whatever its body.

        Args:
            parameters: ``Url``, ``Method``, ``Headers`` and ``Body``, as `HttpRequest` writes them.
            delivery_id: the same for every attempt; goes out as ``Idempotency-Key``.
            seconds: how long the whole exchange may take at the most.

        Raises:
            DeliveryError: retryable after 408, 425, 429, 5xx and where the connection failed; any other answer
                (redirects too) is permanent, and so is a request that cannot be sent at all.
        """
        url = str(parameters["Url"])
        if not url.startswith(("http://", "https://")):
            raise DeliveryError("InvalidUrl", f"{url} is no http:// or https:// URL", retryable=False)
        headers = {"user-agent": ("User-Agent", f"duestream/{__version__}")}
        own = {"Idempotency-Key": delivery_id}
        for name, value in (*checked_headers(parameters.get("Headers") or {}), *checked_headers(own)):
            headers[name.lower()] = (name, value)  # once, however its letters are written
        body = parameters.get("Body")
        data = None if body is None else str(body).encode()
        seconds = min(seconds, TIMEOUT_SECONDS)
        exchange = partial(self._exchange, url, str(parameters["Method"]), dict(headers.values()), data, seconds)
        try:
            run_bounded(exchange, seconds=seconds, what=url)
        except Overstayed:
            raise DeliveryError("Timeout", "no answer in time", retryable=True) from None

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.clear()

    def _exchange(self, url: str, method: str, headers: dict[str, str], data: bytes | None, seconds: float) -> None:
        timeout = urllib3.Timeout(connect=min(CONNECT_TIMEOUT_SECONDS, seconds), read=seconds)
        try:
            response = self._pool.request(
                method,
                url,
                body=data,
                headers=headers,
                redirect=False,
                retries=False,
                timeout=timeout,
                preload_content=False,
                decode_content=False,  # nobody reads it, and it could be a bomb
            )
        except urllib3.exceptions.LocationValueError as error:
            raise DeliveryError("InvalidUrl", f"{url} cannot be requested", retryable=False) from error
        except urllib3.exceptions.TimeoutError as error:
            raise DeliveryError("Timeout", one_line(str(error)), retryable=True) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise DeliveryError("ConnectionError", one_line(str(error)), retryable=True) from error
        except (ValueError, UnicodeError) as error:  # what http.client will not send
            raise DeliveryError("InvalidRequest", one_line(str(error)), retryable=False) from error
        answer = _beginning(response)
        if not 200 <= response.status < 300:
            raise refused_by(response.status, response.reason, response.headers, answer)


def _beginning(response: Any) -> bytes:
    """Up to the limit; a short body is read to its end, so that the connection can be kept."""
    try:
        body: bytes = response.read(MAX_RESPONSE_BYTES + 1)
    except (urllib3.exceptions.HTTPError, OSError):
        response.close()
        return b""  # the status has said what there is to say
    if len(body) > MAX_RESPONSE_BYTES:
        response.close()
    else:
        response.release_conn()
    return body[:MAX_RESPONSE_BYTES]
