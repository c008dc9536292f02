"""Asks a running server over its admin API. Requests are signed where the environment has credentials."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from duestream.errors import Error, SettingsError

DEFAULT_URL = "http://127.0.0.1:8787"
TIMEOUT_SECONDS = 60
DEFAULT_REGION = "us-east-1"
#: Ours, and never sent to AWS: the server takes any name.
SIGNING_NAME = "duestream"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ServerError(Error):
    """The server did not do what was asked; its words."""


class AdminClient:
    """One server.

    Args:
        endpoint_url: where it is, as AWS's clients are told.

    Raises:
        SettingsError: that is no URL of a server.
    """

    def __init__(self, endpoint_url: str) -> None:
        parts = urlsplit(endpoint_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"--endpoint-url {endpoint_url!r} is no URL. Write it like {DEFAULT_URL}.")
        self._url = endpoint_url.rstrip("/")
        # A proxy of the environment's is not on the way to this machine.
        handlers = [urllib.request.ProxyHandler({})] if parts.hostname in _LOOPBACK else []
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A page; parameters that are None are left out.

        Raises:
            ServerError: it refused, or nobody answers.
        """
        query = urlencode({name: value for name, value in (asked or {}).items() if value is not None})
        return self._ask("GET", f"{self._url}{path}?{query}" if query else f"{self._url}{path}", None)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for something to be done.

        Raises:
            ServerError: it refused, or nobody answers.
        """
        return self._ask("POST", f"{self._url}{path}", json.dumps(body).encode())

    def _ask(self, method: str, url: str, body: bytes | None) -> dict[str, Any]:
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(url, body, _signed(method, url, body, headers), method=method)  # noqa: S310 - http and https alone, see above
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ServerError(self._refusal(error)) from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise ServerError(
                f"no server answers at {self._url}: {reason}. Start one with `duestream up`, or name it with "
                "--endpoint-url."
            ) from None
        return self._read(text)

    def _read(self, text: bytes) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ServerError(f"what answers at {self._url} is no duestream server of this version")
        return value

    def _refusal(self, error: urllib.error.HTTPError) -> str:
        with error:
            text = error.read()
        try:
            said = json.loads(text)
            code, message = str(said["__type"]), str(said["message"])
        except (ValueError, KeyError, TypeError):
            return f"{self._url} answered with status {error.code}: is it a duestream server of this version?"
        hint = ""
        if code == "MissingAuthenticationTokenException":
            hint = " Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to a key of the server's."
        return f"{code}: {message}{hint}"


def _signed(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> dict[str, str]:
    """The headers with a signature, if there is anything to sign with."""
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")  # there is nobody to ask, and asking takes seconds
    import botocore.session  # noqa: PLC0415 - lazy: a third of a second
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    try:
        session = botocore.session.Session()
        credentials = session.get_credentials()
        region = session.get_config_variable("region") or DEFAULT_REGION
    except BotoCoreError as error:
        raise SettingsError(f"the AWS settings of the environment cannot be used: {error}") from None
    if credentials is None:
        return headers
    request = AWSRequest(method=method, url=url, data=body or b"", headers=headers)
    SigV4Auth(credentials.get_frozen_credentials(), SIGNING_NAME, region).add_auth(request)
    return dict(request.headers.items())
