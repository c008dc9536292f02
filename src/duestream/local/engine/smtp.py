"""The SMTP relay: hands emails on to a mail server outside (`--smtp`)."""

import asyncio
import ipaddress
import ssl
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiosmtplib
from aiosmtplib import SMTPResponseException

from duestream.core.address import InvalidParameterValue, parse_address
from duestream.errors import DeliveryError, SettingsError

USERNAME_VARIABLE = "DUESTREAM_SMTP_USERNAME"
PASSWORD_VARIABLE = "DUESTREAM_SMTP_PASSWORD"  # noqa: S105 - the variable's name
#: A file of certificates to trust besides the system's, for a mail server with one of its own.
CA_FILE_VARIABLE = "DUESTREAM_SMTP_CA_FILE"

SMTPS_PORT = 465
#: Connecting, and each answer of the server's.
TIMEOUT_SECONDS = 30.0
#: The look whether a kept connection is still there.
CHECK_TIMEOUT_SECONDS = 5.0
MAX_CONNECTIONS = 8
#: Then a new connection is made: many servers count the messages of one and hang up.
MAX_MESSAGES_PER_CONNECTION = 100
#: Emails whose recipients are partly settled, that are remembered until they are tried again.
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """Where the mail server is, and how to log in there.

    TLS from the first byte on port 465; elsewhere STARTTLS where the server offers it, and always when there is a
    password to send to another machine. Certificates are always verified.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    @classmethod
    def from_environment(cls, address: str, environ: Mapping[str, str]) -> "SmtpSettings":
        """``host:port``, ``[::1]:port`` or ``host`` (port 587 with a login, else 25), and the login from `environ`.

        Raises:
            SettingsError: the address cannot be read, or half of the login is missing.
        """
        username, password = environ.get(USERNAME_VARIABLE), environ.get(PASSWORD_VARIABLE)
        if (username is None) != (password is None):
            missing = PASSWORD_VARIABLE if password is None else USERNAME_VARIABLE
            raise SettingsError(
                f"{missing} is not set. A login needs both {USERNAME_VARIABLE} and {PASSWORD_VARIABLE}."
            )
        host, port = _host_and_port(address)
        ca_file = environ.get(CA_FILE_VARIABLE)
        return cls(
            host=host,
            port=port or (25 if username is None else 587),
            username=username,
            password=password,
            ca_file=Path(ca_file) if ca_file else None,
        )

    @property
    def is_loopback(self) -> bool:
        """The server runs on this machine."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def start_tls(self) -> bool | None:
        """True: insist; None: where it is offered; False: the connection begins in TLS."""
        if self.port == SMTPS_PORT:
            return False
        return True if self.username is not None and not self.is_loopback else None


@dataclass(slots=True)
class _Progress:
    """Which recipients of an email need not be tried again."""

    accepted: set[str] = field(default_factory=set)
    #: Refused for good: address to the server's words.
    refused: dict[str, str] = field(default_factory=dict)

    def is_settled(self, recipient: str) -> bool:
        return recipient in self.accepted or recipient in self.refused


class _Connection:
    """One connection to the server, kept between emails."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            # The library asks the system for its full name otherwise, which may take DNS its time.
            local_hostname="localhost" if settings.is_loopback else None,
            use_tls=settings.port == SMTPS_PORT,
            start_tls=settings.start_tls,
            cert_bundle=str(settings.ca_file) if settings.ca_file else None,
            timeout=TIMEOUT_SECONDS,
        )
        self._sent = 0

    async def open(self) -> None:
        await self._client.connect()

    async def is_usable(self) -> bool:
        """Still there? Asked before an email is begun, so that a dead connection never makes one doubtful."""
        if not self._client.is_connected or self._sent >= MAX_MESSAGES_PER_CONNECTION:
            return False
        try:
            await self._client.rset(timeout=CHECK_TIMEOUT_SECONDS)
        except (aiosmtplib.SMTPException, OSError):
            return False
        return self._client.is_connected

    async def send(self, message: bytes, sender: str, recipients: Sequence[str]) -> dict[str, aiosmtplib.SMTPResponse]:
        """Send; answers who was refused, if not all were."""
        is_eight_bit = not message.isascii() and self._client.supports_extension("8bitmime")
        self._sent += 1
        refused, _ = await self._client.sendmail(
            sender, recipients, message, mail_options=["BODY=8BITMIME"] if is_eight_bit else None
        )
        return refused

    def close(self) -> None:
        self._client.close()


class SmtpRelay:
    """Sends through one mail server, over a few connections that are kept.

    When the server takes an email for some recipients only, those have it: the same email (told by its message id)
    is not tried for them again, nor for those who were refused for good. The others are tried again with the
    next attempt; once nobody is left, the attempt fails for good if anybody was refused, with their addresses.
    This is remembered in memory: after a restart, recipients of a partly accepted email may get it twice.
    """

    def __init__(self, settings: SmtpSettings, *, max_connections: int = MAX_CONNECTIONS) -> None:
        self._settings = settings
        self._places = asyncio.Semaphore(max_connections)
        self._idle: list[_Connection] = []
        self._progress: OrderedDict[str, _Progress] = OrderedDict()
        self._closed = False

    async def send(self, message: bytes, sender: str, recipients: Sequence[str], message_id: str) -> None:
        """Hand an email to the server: one attempt.

        Args:
            message: the whole message (RFC 5322).
            sender: the envelope's; where bounces go.
            recipients: the envelope's.
            message_id: the same for every attempt at this email.

        Raises:
            DeliveryError: retryable unless the server refused the email or a recipient with a 5xx answer.
                Whatever else is wrong (no connection, certificate, login, a server that takes nobody's mail)
                is wrong with the server, not with the email, which would only be lost by giving up.
        """
        for address in (sender, *recipients):
            _check_address(address)
        progress = self._progress.get(message_id) or _Progress()
        open_recipients = [recipient for recipient in recipients if not progress.is_settled(recipient)]
        try:
            refused = await self._send(message, sender, open_recipients) if open_recipients else {}
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = {one.recipient: aiosmtplib.SMTPResponse(one.code, one.message) for one in error.recipients}
        except Exception as error:
            raise _failure(error) from error
        self._settle(message_id, progress, open_recipients, refused)

    async def close(self) -> None:
        """Hang up. What is being sent is not waited for."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def _send(
        self, message: bytes, sender: str, recipients: Sequence[str]
    ) -> Mapping[str, aiosmtplib.SMTPResponse]:
        async with self._places:
            connection = await self._connection()
            try:
                refused = await connection.send(message, sender, recipients)
            except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused):
                self._keep(connection)  # the server answered; the envelope was reset
                raise
            except BaseException:
                connection.close()
                raise
            self._keep(connection)
            return refused

    async def _connection(self) -> _Connection:
        while self._idle:
            kept = self._idle.pop()
            if await kept.is_usable():
                return kept
            kept.close()
        fresh = _Connection(self._settings)
        await fresh.open()
        return fresh

    def _keep(self, connection: _Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _settle(
        self,
        message_id: str,
        progress: _Progress,
        recipients: Sequence[str],
        refused: Mapping[str, aiosmtplib.SMTPResponse],
    ) -> None:
        """Remember who has the email, and raise if anybody has not."""
        progress.accepted.update(recipient for recipient in recipients if recipient not in refused)
        later: dict[str, aiosmtplib.SMTPResponse] = {}
        for recipient, answer in refused.items():
            if answer.code >= 500:
                progress.refused[recipient] = f"{answer.code} {_one_line(answer.message)}"
            else:
                later[recipient] = answer
        self._progress.pop(message_id, None)
        if later:
            self._progress[message_id] = progress
            while len(self._progress) > MAX_REMEMBERED:
                self._progress.popitem(last=False)
            texts = [f"{recipient} ({answer.code} {_one_line(answer.message)})" for recipient, answer in later.items()]
            code = str(next(iter(later.values())).code)
            raise DeliveryError(code, f"not taken yet for {', '.join(texts)}", retryable=True)
        if progress.refused:
            texts = [f"{recipient} ({text})" for recipient, text in progress.refused.items()]
            code = next(iter(progress.refused.values()))[:3]
            raise DeliveryError(code, f"refused for {', '.join(texts)}", retryable=False)


def _failure(error: Exception) -> DeliveryError:
    """What went wrong, told as a failed attempt."""
    match error:
        case aiosmtplib.SMTPAuthenticationError() | aiosmtplib.SMTPHeloError() | aiosmtplib.SMTPConnectResponseError():
            return DeliveryError(str(error.code), _one_line(error.message), retryable=True)
        case aiosmtplib.SMTPSenderRefused() | aiosmtplib.SMTPDataError():
            return DeliveryError(str(error.code), _one_line(error.message), retryable=error.code < 500)
        case SMTPResponseException():
            return DeliveryError(str(error.code), _one_line(error.message), retryable=True)
        case ssl.SSLError():
            return DeliveryError("TlsError", _one_line(str(error)), retryable=True)
        case TimeoutError():
            return DeliveryError("Timeout", _one_line(str(error)) or "no answer in time", retryable=True)
        case aiosmtplib.SMTPException() | OSError():
            return DeliveryError("ConnectionError", _one_line(str(error)), retryable=True)
        case ValueError():
            return DeliveryError("InvalidAddress", _one_line(str(error)), retryable=False)
        case _:
            raise error


def _check_address(address: str) -> None:
    """The library would read the beginning of a malformed address and leave out the rest."""
    try:
        is_whole = parse_address(address).spec == address
    except InvalidParameterValue as error:
        raise DeliveryError("InvalidAddress", f"{address!r}: {error.message}", retryable=False) from error
    if not is_whole:
        raise DeliveryError("InvalidAddress", f"{address!r} is no plain address", retryable=False)


def _one_line(text: str) -> str:
    """A server's words in one line, and not too many of them."""
    return " ".join(text.split())[:500]


def _host_and_port(address: str) -> tuple[str, int | None]:
    bracket = address.startswith("[")
    host, separator, port_text = address[1:].partition("]") if bracket else (address, "", "")
    if bracket:
        well_formed = separator == "]" and (not port_text or port_text.startswith(":"))
        port_text = port_text[1:]
    elif address.count(":") <= 1:
        host, _, port_text = address.partition(":")
        well_formed = True
    else:
        well_formed = not port_text  # a bare IPv6 address
    has_good_port = not port_text or (port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < 65536)
    if not host or not well_formed or not has_good_port or not host.isprintable() or " " in host:
        raise SettingsError(f"--smtp {address}: not a host and a port. Write it like mail.example.com:587.")
    return host, int(port_text) if port_text else None
