"""Signed calls to one service of AWS's over kept connections: what boto3 does, for a fraction of its time.

A call through a boto3 client costs about a millisecond of processor time, and threads do not share that out: it is
what bounds a function that makes a thousand calls. Here it is the signature and urllib3, on which botocore stands as
well, with answers that are read without e-mail's parser. Endpoint, region and credentials are those that botocore finds,
and proxies and certificates are taken from where it takes them.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

import urllib3.connection
from botocore.config import Config
from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.session import Session
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from duestream.aws.failures import CallError
from duestream.aws.http_answers import AnswerError, AnswerReader
from duestream.aws.signature import Signer
from duestream.clock import SystemClock
from duestream.version import __version__

CONNECT_SECONDS = 3.0
#: EventBridge Scheduler answers within tens of milliseconds; whoever is still waiting then waits for nothing.
READ_SECONDS = 10.0
RECEIVED_BYTES = 65_536
USER_AGENT = f"duestream/{__version__}"


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a service that speaks JSON.

    Args:
        method: HTTP's.
        path: parts of the path, unquoted.
        query: its parameters.
        body: JSON; None: none.
        headers: beside those that sign it.
    """

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any] | None
    headers: Mapping[str, str]


class SignedCalls:
    """Calls to one service. May be used by several threads.

    Args:
        session: botocore's, which knows credentials, profile and endpoints.
        service: botocore's name of the service.
        region: where it is called.
        endpoint_url: None: what the environment or the profile says, or else AWS's own.
        connections: how many are kept.
    """

    def __init__(
        self, session: Session, service: str, *, region: str, endpoint_url: str | None, connections: int
    ) -> None:
        # Retries are ours alone: whoever retries knows how much time is left, and what the others met.
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
        self.client = session.create_client(service, region_name=region, endpoint_url=endpoint_url, config=config)
        self._session = session
        self._signer = Signer(self.client.meta.service_model.signing_name, region)
        self._clock = SystemClock()
        self._endpoint_url = self.client.meta.endpoint_url.rstrip("/")
        self._connections, self._before_path = _connections(session, self._endpoint_url, connections)

    def send(self, call: Call, *, seconds: float | None = None) -> bytes:
        """The body of the answer.

        Args:
            call: what to ask.
            seconds: how long to wait for an answer at most.

        Raises:
            CallError: AWS refused it, or there was no answer: then nobody knows whether it was done.
        """
        path = "/" + "/".join(quote(part, safe="-_.~") for part in call.path)
        if call.query:
            path = f"{path}?{urlencode(call.query)}"
        body = b"" if call.body is None else json.dumps(call.body, separators=(",", ":")).encode()
        headers = self._signed_headers(call, self._endpoint_url + path, body)
        read_seconds = READ_SECONDS if seconds is None else max(min(seconds, READ_SECONDS), 0.1)
        timeout = urllib3.Timeout(total=read_seconds, connect=min(CONNECT_SECONDS, read_seconds))
        try:
            answer = self._connections.urlopen(
                call.method,
                self._before_path + path,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
            )
        except HTTPError as error:
            raise CallError("ConnectionError", f"{type(error).__name__}: {error}") from error
        if answer.status >= 300:
            raise error_of(answer.status, answer.headers, answer.data)
        data: bytes = answer.data
        return data

    def _signed_headers(self, call: Call, url: str, body: bytes) -> dict[str, str]:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise CallError("NoCredentials", "there are no credentials to sign with", 403)
        frozen = credentials.get_frozen_credentials()
        return self._signer.signed(call.method, url, call.headers, body, credentials=frozen, now=self._clock.now())


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> CallError:
    """An answer that is an error, by its header or else by its body; SQS's by the name that it had before it spoke JSON.

    That name is the one that botocore tells, too.
    """
    try:
        members = json.loads(body)
    except ValueError:
        members = {}
    if not isinstance(members, dict):
        members = {}
    code = headers.get("x-amzn-errortype") or members.get("__type") or members.get("code") or f"Http{status}"
    code = str(code).split(":")[0].rpartition("#")[2]
    code = headers.get("x-amzn-query-error", "").partition(";")[0] or code
    return CallError(code, str(members.get("Message") or members.get("message") or ""), status)


class _Lean:
    """A connection of urllib3's that writes a request at once, and reads an answer without e-mail's parser."""

    host: str
    port: int
    default_port: ClassVar[int]
    sock: Any
    timeout: Any

    def request(self, *line: Any, **parts: Any) -> None:
        """urllib3's: method and URL, ``headers`` and ``body``."""
        method, url = line
        body: bytes = parts.get("body") or b""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port != self.default_port:
            host = f"{host}:{self.port}"
        fields = {"Host": host, "Accept-Encoding": "identity", "User-Agent": USER_AGENT, **parts["headers"]}
        if body or method in ("POST", "PUT"):
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {url} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self.send("\r\n".join(lines).encode("latin-1") + body)  # type: ignore[attr-defined]  # a connection's

    def getresponse(self) -> Any:
        """urllib3's, as far as its pool looks at what is answered."""
        self.sock.settimeout(self.timeout)
        reader = AnswerReader()
        try:
            while (answer := reader.feed(self.sock.recv(RECEIVED_BYTES))) is None:
                pass
        except AnswerError as error:
            raise HTTPException(str(error)) from error
        if answer.is_last:
            self.close()  # type: ignore[attr-defined]  # a connection's
        return _Answered(answer.status, answer.headers, answer.data)


class _Answered:
    """What urllib3's pool has in its hands when a call is answered."""

    version_string, length_remaining = "HTTP/1.1", 0
    retries = _connection = _pool = None

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data


class _HttpConnection(_Lean, urllib3.connection.HTTPConnection):
    pass


class _HttpsConnection(_Lean, urllib3.connection.HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def _connections(session: Session, endpoint_url: str, connections: int) -> tuple[Any, str]:
    """What has urllib3's `urlopen`, and what is to stand before a path there.

    With the proxy and the certificates that botocore would take.
    """
    settings: dict[str, Any] = {"maxsize": connections}
    if endpoint_url.startswith("https:"):
        bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True
        settings |= {"cert_reqs": "CERT_REQUIRED", "ca_certs": get_cert_path(bundle)}
    proxies = ProxyConfiguration(proxies=get_environ_proxies(endpoint_url))
    proxy_url = proxies.proxy_url_for(endpoint_url)
    if proxy_url is not None:
        proxy_headers = proxies.proxy_headers_for(proxy_url)
        return urllib3.ProxyManager(proxy_url, proxy_headers=proxy_headers, **settings), endpoint_url
    parts = urlsplit(endpoint_url)
    pool = _HttpsPool if parts.scheme == "https" else _HttpPool
    return pool(parts.hostname or "", parts.port, **settings), parts.path
