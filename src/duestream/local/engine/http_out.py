"""HTTP out: brings a delivery to a server outside as one request."""

import re
from collections.abc import Mapping

import aiohttp
from multidict import CIMultiDict
from yarl import URL

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

MAX_CONNECTIONS = 64
MAX_CONNECTIONS_PER_HOST = 16
_WRITTEN_OUT = re.compile(r"[!#-;=?-\[\]_a-z~]+")


class HttpSender:
    """Sends requests over connections that are kept. Redirects are not followed, proxies of the environment not used.

    Args:
        trust_env: use the proxies that ``HTTP_PROXY`` and its like name, and logins from ``.netrc``.
        timeout_seconds: of the whole exchange.
    """

    def __init__(self, *, trust_env: bool = False, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._trust_env = trust_env
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, url: str, method: str, headers: Mapping[str, str], body: bytes | None, delivery_id: str
    ) -> None:
        """Send one request: one attempt. Any 2xx answer is success, whatever its body.

        Args:
            url: ``http://`` or ``https://``.
            method: such as ``POST``.
            headers: further headers; ``Idempotency-Key`` is ours, ``User-Agent`` may be replaced.
            body: the body's bytes; None: none.
            delivery_id: the same for every attempt; goes out as ``Idempotency-Key``.

        Raises:
            DeliveryError: retryable after 408, 425, 429, 5xx and where the connection failed; any other answer
                (redirects too) is permanent, and so is a request that cannot be sent at all.
        """
        target = _checked_url(url)
        all_headers = CIMultiDict({"User-Agent": f"duestream/{__version__}"})
        for name, value in (*checked_headers(headers), *checked_headers({"Idempotency-Key": delivery_id})):
            all_headers[name] = value  # once, however its letters are written
        try:
            async with self._open_session().request(
                method, target, headers=all_headers, data=body, allow_redirects=False, timeout=self._timeout
            ) as response:
                status = response.status
                if 200 <= status < 300:
                    await _drain(response)
                    return
                raise await _refusal(response)
        except DeliveryError:
            raise
        except aiohttp.InvalidURL as error:
            raise DeliveryError("InvalidUrl", f"{url} cannot be requested", retryable=False) from error
        except TimeoutError as error:
            raise DeliveryError("Timeout", f"no answer from {target.host} in time", retryable=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise DeliveryError("ConnectionError", one_line(str(error)), retryable=True) from error
        except ValueError as error:  # aiohttp's word for what it will not send, such as a method of two words
            raise DeliveryError("InvalidRequest", one_line(str(error)), retryable=False) from error

    async def close(self) -> None:
        """Close the kept connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:  # made here: it wants a running loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, limit_per_host=MAX_CONNECTIONS_PER_HOST),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self._trust_env,
                auto_decompress=False,  # nobody reads it, and it could be a bomb
            )
        return self._session


async def _drain(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of the body. A short one is read to its end, so that the connection can be kept."""
    try:
        body = bytearray()
        async for chunk in response.content.iter_chunked(MAX_RESPONSE_BYTES):
            body += chunk
            if len(body) >= MAX_RESPONSE_BYTES:
                response.close()
                break
        return bytes(body[:MAX_RESPONSE_BYTES])
    except (aiohttp.ClientError, TimeoutError, OSError):
        return b""  # the status has said what there is to say


async def _refusal(response: aiohttp.ClientResponse) -> DeliveryError:
    return refused_by(response.status, response.reason, response.headers, await _drain(response))


def _checked_url(url: str) -> URL:
    try:
        # As it was written where it can stand in a request: another spelling may break a signed URL.
        target = URL(url, encoded=_WRITTEN_OUT.fullmatch(url) is not None)
    except ValueError:
        target = URL()
    if target.scheme not in ("http", "https") or not target.host:
        raise DeliveryError("InvalidUrl", f"{url} is no http:// or https:// URL", retryable=False)
    return target
