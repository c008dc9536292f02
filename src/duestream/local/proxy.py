"""Requests for services that are not served here, passed on to the endpoint that the user named for them.

What comes back is answered as it came. An endpoint gets the request as its client signed it, but for the Host;
AWS itself gets it signed anew, with the keys of our environment, and only from a server that asks its own clients
for signatures: anybody else on this machine would act in the name of those keys.
"""

import asyncio
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import quote

from duestream.core.forwarding import AWS, REMEDY
from duestream.errors import DeliveryError, ServiceError
from duestream.local.engine.endpoints import Endpoints
from duestream.local.wire.aws_calls import botocore_service
from duestream.local.wire.http import HttpRequest, HttpResponse

TIMEOUT_SECONDS = 300.0
CONNECT_TIMEOUT_SECONDS = 10.0
#: Answers are held in memory; larger ones are refused.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
#: Tells ourselves from others: a request must not go round in circles.
LOOP_HEADER = "x-duestream-forwarded"

#: Of the connection, not of the request (RFC 9110, 7.6.1), and those that whoever sends it writes anew.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: The listener writes these.
_OURS = frozenset({"date", "set-cookie"})
#: What an AWS signature consists of.
_SIGNATURE_HEADERS = frozenset({"authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"})
_is_signature_part = re.compile(r"X-Amz-(?:Algorithm|Credential|Date|Expires|Security-Token|Signature|SignedHeaders)=")


class NotForwarded(ServiceError):
    """There is no endpoint for this service, or none that takes this request."""

    status = 404


class BadGateway(ServiceError):
    """The endpoint does not answer, or not in a way that can be passed on."""

    status = 502


class Proxy:
    """Passes requests on; connections are kept.

    Args:
        endpoints: where each service is.
        signs: our own clients sign their requests, so AWS may be asked in our name.
    """

    def __init__(self, endpoints: Endpoints, *, signs: bool) -> None:
        self._endpoints, self._signs = endpoints, signs
        self._http: Any = None
        self._session: Any = None
        self._aws: Any = None

    def takes(self, scope_service: str) -> bool:
        """Whether there is an endpoint for the service that a credential scope names."""
        return bool(scope_service) and self._endpoints.target_of(_known_as(scope_service)) is not None

    async def answer(self, request: HttpRequest, scope_service: str, region: str) -> HttpResponse:
        """Pass a request on.

        Raises:
            NotForwarded: it may not be.
            BadGateway: it could be, and no answer came.
        """
        if LOOP_HEADER in request.headers:
            raise NotForwarded(f"{scope_service} is not served here, and the endpoint named for it is this server.")
        service = _known_as(scope_service)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        if self._endpoints.target_of(service) == AWS:
            url, headers = await self._for_aws(request, headers, service, scope_service, region)
        else:
            try:
                base = await self._endpoints.url_of(service)
            except DeliveryError as error:
                raise BadGateway(error.message) from error
            assert base is not None
            url = _joined(base, request.path, request.query)
        return await self._exchange(request, url, {**headers, LOOP_HEADER: "1"}, service)

    async def close(self) -> None:
        """Close the kept connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, request: HttpRequest, url: str, headers: Mapping[str, str], service: str) -> HttpResponse:
        session = await self._open_session()
        try:
            async with session.request(
                request.method,
                self._http.URL(url, encoded=True),
                headers=headers,
                data=request.body or None,
                allow_redirects=False,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(65536):
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise BadGateway(f"The answer is larger than {MAX_ANSWER_BYTES} bytes.")
                return HttpResponse(response.status, bytes(body), _headers_back(response, request.method))
        except TimeoutError as error:
            raise BadGateway(f"The endpoint of {service} does not answer in time.") from error
        except (self._http.aiohttp.ClientError, OSError, ValueError) as error:
            raise BadGateway(f"The endpoint of {service} cannot be asked: {' '.join(str(error).split())}") from error

    async def _open_session(self) -> Any:
        """At the first request: aiohttp takes its time to load."""
        if self._http is None:
            self._http = await asyncio.to_thread(import_module, "duestream.local.engine.http_out")
        if self._session is None:
            aiohttp = self._http.aiohttp
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            )
        return self._session

    async def _for_aws(
        self, request: HttpRequest, headers: Mapping[str, str], service: str, scope_service: str, region: str
    ) -> tuple[str, dict[str, str]]:
        """The URL and the headers of a request to AWS, signed anew."""
        if not self._signs:
            raise NotForwarded(
                f"Requests for {service} are passed on to AWS only by a server that asks its clients for signatures. "
                "Start it with --credentials, or talk to AWS directly."
            )
        query = "&".join(part for part in request.query.split("&") if not _is_signature_part.match(part))
        kept = {name: value for name, value in headers.items() if name not in _SIGNATURE_HEADERS}
        if self._aws is None:
            self._aws = (await asyncio.to_thread(import_module, "duestream.local.engine.aws_out")).AwsSender()
        try:
            return await asyncio.to_thread(
                self._aws.signed,
                request.method,
                _joined("", request.path, query),
                kept,
                request.body,
                service=service,
                signing_name=scope_service,
                region=region,
            )
        except DeliveryError as error:
            raise BadGateway(f"{error.message} {REMEDY}") from error


def _known_as(scope_service: str) -> str:
    return botocore_service(scope_service) or scope_service


def _joined(base: str, path: str, query: str) -> str:
    # As it was sent, but for what cannot stand in a request line.
    return base.rstrip("/") + quote(path, safe="/%:@!$&'()*+,;=~-._?") + (f"?{query}" if query else "")


def _headers_back(response: Any, method: str) -> dict[str, str]:
    """The answer's headers; those named more than once in one."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        lower = name.lower()
        if lower in _OURS or (lower in _HOP_BY_HOP and not (method == "HEAD" and lower == "content-length")):
            continue
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
