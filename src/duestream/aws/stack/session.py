"""Who asks AWS, where, and what it says when it refuses: profile, region, endpoint and credentials in one room.

All of it is found as the AWS CLI finds it: an option first, then the environment (``AWS_PROFILE``, ``AWS_REGION``,
``AWS_DEFAULT_REGION``, ``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``...), then the files in ``~/.aws``.
"""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import exceptions
from botocore.config import Config

from duestream.errors import Error, SettingsError

#: Before anybody says that nobody answers: a person waits for it.
CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 5
MAX_WORDS = 600
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: AWS's ways of saying that the caller may not do it.
DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException", "AuthorizationError"}
)
_BAD_CREDENTIALS = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "AuthFailure",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})


class AwsError(Error):
    """AWS did not do what was asked; what, where, and how to mend it.

    Args:
        problem: what went wrong, in one sentence without a full stop.
        remedy: what to do about it.
        code: AWS's code of the error, where it said one.
    """

    def __init__(self, problem: str, *, remedy: str = "", code: str | None = None) -> None:
        super().__init__(f"{problem}. {remedy}" if remedy else problem)
        self.problem, self.remedy, self.code = problem, remedy, code


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Args:
        account_id: twelve digits.
        arn: of the user or the role.
    """

    account_id: str
    arn: str

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return self.arn.split(":")[1] if self.arn.count(":") >= 5 else "aws"


@dataclass(frozen=True, slots=True)
class Access:
    """A way to AWS, or to what speaks as AWS does. Made by `open_access`.

    Args:
        session: with profile and credentials.
        region: where.
        endpoint_url: of all services; None: AWS's own.
        is_endpoint_said: it was said for all services, and not only found in environment or profile, where single
            services may have another (``AWS_ENDPOINT_URL_S3``).
    """

    session: Any
    region: str
    endpoint_url: str | None = None
    is_endpoint_said: bool = True
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def client(self, service: str) -> Any:
        """The boto3 client of a service, made once."""
        if service not in self._clients:
            config = Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                # Names in front of the host are AWS's own; another endpoint has one name.
                s3={"addressing_style": "path"} if self.endpoint_url else None,
                # A proxy of the environment's is not on the way to this machine. None: as the environment says.
                proxies={} if _is_loopback(self.endpoint_url) else None,
            )
            said = self.endpoint_url if self.is_endpoint_said else None
            self._clients[service] = self.session.client(
                service, region_name=self.region, endpoint_url=said, config=config
            )
        return self._clients[service]

    @property
    def where(self) -> str:
        """The place in words: the region, and the endpoint if it is not AWS's."""
        return f"{self.region} at {self.endpoint_url}" if self.endpoint_url else self.region

    def identity(self) -> Identity:
        """Who asks, as AWS sees it.

        Raises:
            AwsError: AWS cannot be asked.
        """
        with told_plainly(self):
            answer = self.client("sts").get_caller_identity()
        return Identity(answer["Account"], answer["Arn"])


def open_access(
    *, profile: str | None, region: str | None, endpoint_url: str | None, environ: Mapping[str, str]
) -> Access:
    """A way to AWS.

    Args:
        profile: of ~/.aws/config; None: as the environment says.
        region: None: as the environment or the profile says.
        endpoint_url: of all services; None: as ``AWS_ENDPOINT_URL`` or the profile says, else AWS's own.
        environ: the environment, to see whether it names an endpoint.

    Raises:
        SettingsError: there is no such profile, no region, no credentials, or the endpoint is no URL.
    """
    try:
        core = botocore.session.Session(profile=profile)
        # botocore reads AWS_DEFAULT_REGION only; the SDKs' common name is AWS_REGION.
        session = boto3.Session(botocore_session=core, region_name=region or environ.get("AWS_REGION") or None)
        credentials = session.get_credentials()
        configured = core.get_scoped_config().get("endpoint_url")
    except exceptions.ProfileNotFound as error:
        named = profile or environ.get("AWS_PROFILE")
        there = ", ".join(botocore.session.Session().available_profiles) or "none"
        raise SettingsError(
            f"there is no profile {named!r} in ~/.aws/config or ~/.aws/credentials. Those there are: {there}."
        ) from error
    except exceptions.BotoCoreError as error:
        raise SettingsError(f"the AWS configuration cannot be used: {error}") from error
    is_said = endpoint_url is not None
    if not is_said and environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        endpoint_url = environ.get("AWS_ENDPOINT_URL") or configured
    if endpoint_url is not None:
        parts = urlsplit(endpoint_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"--endpoint-url {endpoint_url!r} is no URL. Write it like http://127.0.0.1:8787.")
    if session.region_name is None:
        raise SettingsError(
            "no region. Say one with --region eu-central-1, set AWS_REGION, or write it into your profile "
            "(aws configure set region eu-central-1)."
        )
    if credentials is None:
        raise SettingsError(_no_credentials(endpoint_url))
    return Access(session, session.region_name, endpoint_url, is_said)


def is_local_engine(access: Access) -> bool:
    """Whether what answers is a duestream server: it has no stacks, and carries the rules out itself."""
    if access.endpoint_url is None:
        return False
    handlers = [urllib.request.ProxyHandler({})] if _is_loopback(access.endpoint_url) else []
    url = f"{access.endpoint_url.rstrip('/')}/_duestream/health"
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=CONNECT_SECONDS) as answer:
            health = json.load(answer)
    except (OSError, ValueError):
        return False
    return isinstance(health, dict) and health.get("status") == "ready"


@contextmanager
def told_plainly(access: Access) -> Iterator[None]:
    """Whatever AWS or the way to it refuses, as an `AwsError` in plain words.

    Raises:
        AwsError: what happened, and how to mend it.
    """
    try:
        yield
    except exceptions.ClientError as error:
        raise _refused(error, access) from error
    except (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError) as error:
        raise _unreachable(error, access) from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise SettingsError(_no_credentials(access.endpoint_url)) from error
    except (exceptions.TokenRetrievalError, exceptions.SSOError) as error:
        raise AwsError(f"the login has ended: {error}", remedy="Log in again: aws sso login.") from error
    except exceptions.BotoCoreError as error:
        raise AwsError(f"AWS cannot be asked ({access.where}): {error}") from error


def code_of(error: exceptions.ClientError) -> str:
    """AWS's code of an error."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def message_of(error: exceptions.ClientError) -> str:
    """AWS's words of an error, on one line; a page of a proxy's or a server's instead is cut."""
    text = " ".join(str(error.response.get("Error", {}).get("Message", "") or error).split())
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}..."


def _refused(error: exceptions.ClientError, access: Access) -> AwsError:
    code, message = code_of(error), message_of(error).rstrip(".")
    what = f"{error.operation_name} was refused ({access.where}): {code}: {message}"
    if code in DENIED:
        remedy = "The caller lacks this permission; docs/how-to/deploy.md lists what a deployment needs."
    elif code in _EXPIRED:
        remedy = "The credentials have run out. Renew them (aws sso login, or a new session)."
    elif code in _BAD_CREDENTIALS:
        remedy = "The credentials are not good here. Look at them with: aws sts get-caller-identity."
    else:
        remedy = ""
    return AwsError(what, remedy=remedy, code=code)


def _no_credentials(endpoint_url: str | None) -> str:
    if endpoint_url:
        return (
            f"no credentials. {endpoint_url} may take any: export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local, "
            "or name a profile with --profile."
        )
    return (
        "no credentials. Name a profile with --profile, log in (aws sso login, aws configure), or set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    )


def _unreachable(error: exceptions.BotoCoreError, access: Access) -> AwsError:
    url = error.kwargs.get("endpoint_url", access.endpoint_url)
    if access.endpoint_url:
        remedy = "Is the server running? --endpoint-url and AWS_ENDPOINT_URL name it; without them AWS itself is asked."
    else:
        remedy = f"Is there a network, and is {access.region!r} a region of AWS's?"
    return AwsError(f"nobody answers at {url}", remedy=remedy)


def _is_loopback(url: str | None) -> bool:
    return url is not None and urlsplit(url).hostname in _LOOPBACK
