"""The SMTP relay against a real mail server that refuses, drops and comes back."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from duestream.errors import DeliveryError, SettingsError
from duestream.local.engine.smtp import SmtpRelay, SmtpSettings

pytestmark = pytest.mark.slow

MESSAGE = b"From: clinic@example.com\r\nTo: ann@example.com\r\nSubject: hi\r\n\r\n.\r\n..dots\r\nlast\r\n"
ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"


class MailServer:
    """A mail server on a free port. What it answers can be set for each recipient, and for the message."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], bytes]] = []
        self.for_recipient: dict[str, str] = {}
        self.for_message: list[str] = []
        self.for_sender = "250 OK"
        self.connections = 0
        self.logins: list[bytes] = []
        self.drop_next = False
        self.port = 0
        self._server: asyncio.Server | None = None
        self._protocols: list[SMTP] = []
        self.options: dict[str, Any] = {}

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()
        await self._server.wait_closed()

    def hang_up(self) -> None:
        """Close every connection, without a word."""
        for protocol in self._protocols:
            if isinstance(protocol.transport, asyncio.WriteTransport):
                protocol.transport.abort()
        self._protocols.clear()

    def _protocol(self) -> SMTP:
        self.connections += 1
        protocol = SMTP(self, hostname="mail.example.com", **self.options)
        self._protocols.append(protocol)
        return protocol

    async def handle_MAIL(  # noqa: N802 - the name aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.for_sender.startswith("250"):
            envelope.mail_from = address
        return self.for_sender

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.for_recipient.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.drop_next:
            self.drop_next = False
            self.hang_up()
            return "250 nobody hears this"
        answer = self.for_message.pop(0) if self.for_message else "250 OK"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            assert envelope.mail_from is not None
            self.taken.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return answer


@asynccontextmanager
async def mail_server() -> AsyncIterator[tuple[MailServer, SmtpRelay]]:
    server = MailServer()
    await server.start()
    relay = SmtpRelay(SmtpSettings(host="127.0.0.1", port=server.port))
    try:
        yield server, relay
    finally:
        await relay.close()
        await server.stop()


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 60))


async def failure(relay: SmtpRelay, *recipients: str, message_id: str = "id-1") -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await relay.send(MESSAGE, "clinic@example.com", recipients or (ANN,), message_id)
    return caught.value


def test_an_email_arrives_byte_for_byte() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            await relay.send(MESSAGE, "clinic@example.com", [ANN, BOB], "id-1")
            assert server.taken == [("clinic@example.com", [ANN, BOB], MESSAGE)]

    run(body)


def test_eight_bit_messages_and_quoted_addresses_arrive() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            message = MESSAGE + "Grüße\r\n".encode("latin-1")
            await relay.send(message, "clinic@example.com", ['"ann lee"@example.com'], "id-1")
            assert server.taken == [("clinic@example.com", ['"ann lee"@example.com'], message)]

    run(body)


def test_connections_are_kept_and_never_more_than_allowed() -> None:
    async def body() -> None:
        async with mail_server() as (server, _):
            relay = SmtpRelay(SmtpSettings(host="127.0.0.1", port=server.port), max_connections=2)
            for number in range(5):
                await relay.send(MESSAGE, "clinic@example.com", [ANN], f"id-{number}")
            assert server.connections == 1
            sends = (relay.send(MESSAGE, "clinic@example.com", [ANN], f"more-{number}") for number in range(20))
            await asyncio.gather(*sends)
            assert (len(server.taken), server.connections) == (25, 2)
            await relay.close()

    run(body)


def test_a_connection_that_the_server_has_closed_is_made_anew() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            await relay.send(MESSAGE, "clinic@example.com", [ANN], "id-1")
            server.hang_up()
            await relay.send(MESSAGE, "clinic@example.com", [ANN], "id-2")
            assert (len(server.taken), server.connections) == (2, 2)

    run(body)


def test_a_server_that_is_away_is_retryable_and_takes_the_email_when_it_is_back() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            await relay.send(MESSAGE, "clinic@example.com", [ANN], "id-1")
            await server.stop()
            error = await failure(relay, message_id="id-2")
            assert (error.code, error.retryable) == ("ConnectionError", True)
            await server.start()
            await relay.send(MESSAGE, "clinic@example.com", [ANN], "id-2")
            assert len(server.taken) == 2

    run(body)


def test_a_server_that_hangs_up_in_the_middle_is_retryable() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            server.drop_next = True
            error = await failure(relay)
            assert (error.code, error.retryable) == ("ConnectionError", True)
            await relay.send(MESSAGE, "clinic@example.com", [ANN], "id-1")
            assert len(server.taken) == 1

    run(body)


@pytest.mark.parametrize(
    ("answer", "retryable"), [("451 later", True), ("554 no, never", False), ("421 closing", True)]
)
def test_what_the_server_says_of_the_message_decides(answer: str, retryable: bool) -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            server.for_message = [answer]
            error = await failure(relay)
            assert (error.code, error.message, error.retryable) == (answer[:3], answer[4:], retryable)
            await relay.send(MESSAGE, "clinic@example.com", [ANN], "id-2")
            assert len(server.taken) == 1

    run(body)


def test_what_the_server_says_of_the_sender_decides() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            server.for_sender = "550 not from you"
            assert not (await failure(relay)).retryable
            server.for_sender = "450 not from you now"
            assert (await failure(relay)).retryable
            server.for_sender = "250 OK"
            await relay.send(MESSAGE, "clinic@example.com", [ANN], "id-1")

    run(body)


def test_a_recipient_refused_for_good_does_not_keep_the_others_from_theirs() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            server.for_recipient = {BOB: "550 no such user"}
            error = await failure(relay, ANN, BOB)
            assert (error.code, error.retryable) == ("550", False)
            assert error.message == "refused for bob@example.com (550 no such user)"
            assert [recipients for _, recipients, _ in server.taken] == [[ANN]]

    run(body)


def test_a_recipient_refused_for_now_is_tried_again_and_the_others_are_not() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            server.for_recipient = {BOB: "450 greylisted", EVE: "550 no such user"}
            error = await failure(relay, ANN, BOB, EVE)
            assert (error.code, error.retryable) == ("450", True)
            assert error.message == "not taken yet for bob@example.com (450 greylisted)"
            assert (await failure(relay, ANN, BOB, EVE)).retryable
            server.for_recipient = {}
            error = await failure(relay, ANN, BOB, EVE)
            assert (error.code, error.retryable) == ("550", False)
            assert "eve@example.com (550 no such user)" in error.message
            assert [recipients for _, recipients, _ in server.taken] == [[ANN], [BOB]]

    run(body)


def test_everybody_refused_tells_everybody() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            server.for_recipient = {ANN: "550 gone", BOB: "551 moved"}
            error = await failure(relay, ANN, BOB)
            assert not error.retryable
            assert "ann@example.com (550 gone), bob@example.com (551 moved)" in error.message
            assert server.taken == []

    run(body)


def test_a_line_break_in_an_address_never_reaches_the_server() -> None:
    async def body() -> None:
        async with mail_server() as (server, relay):
            error = await failure(relay, "ann@example.com>\r\nRCPT TO:<eve@example.com")
            assert not error.retryable
            assert server.taken == []

    run(body)


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context and the certificate that vouches for itself as 127.0.0.1."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*command, "-days", "2", *subject, "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


def test_starttls_is_used_where_it_is_offered_with_a_login_and_a_verified_certificate(tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path)

    async def body() -> None:
        async with mail_server() as (server, stranger):

            def authenticate(_s: object, _session: object, _e: object, mechanism: str, data: object) -> AuthResult:
                server.logins.append(getattr(data, "login", b""))
                return AuthResult(success=getattr(data, "password", b"") == b"secret", handled=False)

            server.options = {"tls_context": context, "authenticator": authenticate, "auth_required": True}
            error = await failure(stranger)
            assert error.retryable
            assert "CERTIFICATE_VERIFY_FAILED" in error.message

            def settings(password: str) -> SmtpSettings:
                return SmtpSettings(
                    host="127.0.0.1", port=server.port, username="clinic", password=password, ca_file=trusted
                )

            relay = SmtpRelay(settings("secret"))
            await relay.send(MESSAGE, "clinic@example.com", [ANN], "id-1")
            assert len(server.taken) == 1
            assert server.logins == [b"clinic"]
            await relay.close()
            wrong = SmtpRelay(settings("guess"))
            error = await failure(wrong)
            assert (error.code, error.retryable) == ("535", True)
            await wrong.close()

    run(body)


def test_a_password_is_never_sent_in_the_clear_to_another_machine() -> None:
    settings = SmtpSettings(host="mail.example.com", port=587, username="u", password="p")
    assert settings.start_tls is True
    assert SmtpSettings(host="mail.example.com", port=587).start_tls is None
    assert SmtpSettings(host="localhost", port=587, username="u", password="p").start_tls is None
    assert SmtpSettings(host="mail.example.com", port=465, username="u", password="p").start_tls is False
    assert "secret" not in repr(SmtpSettings(host="h", port=1, username="u", password="secret"))


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("mail.example.com:2525", "mail.example.com", 2525),
        ("mail.example.com", "mail.example.com", 25),
        ("[::1]:2525", "::1", 2525),
        ("[::1]", "::1", 25),
        ("::1", "::1", 25),
    ],
)
def test_the_address_of_the_server_is_read(address: str, host: str, port: int) -> None:
    settings = SmtpSettings.from_environment(address, {})
    assert (settings.host, settings.port) == (host, port)


@pytest.mark.parametrize("address", ["", ":25", "mail:x", "mail:0", "mail:70000", "[::1", "[::1]x", "ma il:25"])
def test_what_is_no_address_of_a_server_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="not a host and a port"):
        SmtpSettings.from_environment(address, {})


def test_the_login_comes_from_the_environment_and_needs_both_halves() -> None:
    both = {"DUESTREAM_SMTP_USERNAME": "u", "DUESTREAM_SMTP_PASSWORD": "p"}
    settings = SmtpSettings.from_environment("mail.example.com", both)
    assert (settings.username, settings.password, settings.port) == ("u", "p", 587)
    with pytest.raises(SettingsError, match="DUESTREAM_SMTP_PASSWORD is not set"):
        SmtpSettings.from_environment("mail.example.com", {"DUESTREAM_SMTP_USERNAME": "u"})
