"""AWS calls out: makes one call with botocore, at whatever endpoint, and reads what came of it.

botocore is synchronous, and takes its time to load: this is imported with the first call, and used in threads.
"""

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from duestream.core.call_errors import MAX_TOLD_CHARACTERS, check_answer, refusal
from duestream.errors import DeliveryError
from duestream.local.wire.aws_calls import Operation

MAX_CONNECTIONS = 16
CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 60

#: An access key id and its secret, for endpoints that look at neither.
ANY_KEY = ("duestream", "duestream")


class AwsSender:
    """Makes calls, each once; its clients are kept. Safe in threads."""

    def __init__(self) -> None:
        self._sessions: dict[bool, Any] = {}
        self._clients: dict[tuple[str, str, str | None], Any] = {}
        self._making = threading.Lock()

    def send(
        self,
        operation: Operation,
        request: Mapping[str, Any],
        *,
        region: str,
        url: str | None,
        key: tuple[str, str] | None,
    ) -> None:
        """Make one call: one attempt.

        Args:
            operation: what is called.
            request: as botocore takes it.
            region: where.
            url: the endpoint; None: AWS's own.
            key: what to sign with; None: the environment's, as the SDK finds them.

        Raises:
            DeliveryError: it was not taken.
        """
        try:
            client = self._client(operation.service, region, url, key)
            # What client.put_events() and all of its like do.
            answer = client._make_api_call(operation.name, dict(request))  # noqa: SLF001
        except ClientError as error:
            raise refusal(error.response) from error
        except BotoCoreError as error:
            raise _not_sent(error) from error
        _check_answer(answer)

    def signed(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        service: str,
        signing_name: str,
        region: str,
    ) -> tuple[str, dict[str, str]]:
        """A request for AWS, signed with the environment's credentials: its URL and all of its headers.

        Args:
            method: such as ``POST``.
            path: with the query string, percent-encoded.
            headers: without those of a signature.
            body: what is signed with it.
            service: botocore's name, which tells the endpoint.
            signing_name: the name for the credential scope.
            region: where.

        Raises:
            DeliveryError: there are no credentials, or there is no such endpoint.
        """
        try:
            url = self._client(service, region, None, None).meta.endpoint_url.rstrip("/") + path
            credentials = self._session(is_aws=True).get_credentials()
            if credentials is None:
                raise NoCredentialsError
            request = AWSRequest(method, url, headers=dict(headers), data=body)
            signer = S3SigV4Auth if signing_name == "s3" else SigV4Auth
            signer(credentials.get_frozen_credentials(), signing_name, region).add_auth(request)
        except BotoCoreError as error:
            raise _not_sent(error) from error
        return url, dict(request.headers.items())

    def _client(self, service: str, region: str, url: str | None, key: tuple[str, str] | None) -> Any:
        """Clients may be used by several threads; making one may not."""
        identity = (service, region, url)
        with self._making:
            if identity not in self._clients:
                session = self._session(is_aws=url is None)
                if key is None and url is not None and session.get_credentials() is None:
                    key = ANY_KEY
                self._clients[identity] = session.create_client(
                    service,
                    region_name=region,
                    endpoint_url=url,
                    aws_access_key_id=None if key is None else key[0],
                    aws_secret_access_key=None if key is None else key[1],
                    # What is on this machine needs no proxy of the environment's.
                    config=_CONFIG if url is None or not _is_here(url) else _CONFIG.merge(Config(proxies={})),
                )
            return self._clients[identity]

    def _session(self, *, is_aws: bool) -> Any:
        if is_aws not in self._sessions:
            session = botocore.session.Session()
            session.user_agent_extra = "duestream"
            if not is_aws:  # a machine's own role is for AWS, and looking for one takes seconds elsewhere
                providers = session.get_component("credential_provider")
                for name in ("container-role", "iam-role"):
                    providers.remove(name)
            self._sessions[is_aws] = session
        return self._sessions[is_aws]


_CONFIG = Config(
    retries={"total_max_attempts": 1},  # trying again is the engine's business
    connect_timeout=CONNECT_TIMEOUT_SECONDS,
    read_timeout=READ_TIMEOUT_SECONDS,
    max_pool_connections=MAX_CONNECTIONS,
    ignore_configured_endpoint_urls=True,  # an AWS_ENDPOINT_URL is most likely our own
)


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def _not_sent(error: BotoCoreError) -> DeliveryError:
    text = " ".join(str(error).split())[:MAX_TOLD_CHARACTERS]
    match error:
        case ParamValidationError():
            return DeliveryError("ValidationException", text, retryable=False)
        case ConnectTimeoutError() | ReadTimeoutError():
            return DeliveryError("Timeout", text, retryable=True)
        case NoConnectionError() | HTTPClientError():
            return DeliveryError("ConnectionError", text, retryable=True)
        case NoCredentialsError() | PartialCredentialsError():
            return DeliveryError("NoCredentials", f"{text}. The server's environment has none.", retryable=True)
    return DeliveryError(type(error).__name__, text, retryable=True)


def _check_answer(answer: dict[str, Any]) -> None:
    """Close what nobody reads: it would keep its connection. Raises DeliveryError: it was not taken after all."""
    for value in answer.values():
        if hasattr(value, "close"):
            value.close()
    check_answer(answer)
