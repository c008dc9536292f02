"""Targets outside the engine: HTTP requests, and emails that a mail server takes on."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from duestream.clock import Clock
from duestream.core.email import OutgoingEmail, to_bytes
from duestream.local.engine.call import Attempt, Call
from duestream.local.engine.inside import outgoing_email, stored_email
from duestream.local.engine.smtp import MAX_CONNECTIONS as MAX_SMTP_CONNECTIONS
from duestream.local.engine.smtp import SmtpRelay
from duestream.local.store import emails
from duestream.local.store.schedule_groups import EMAIL_GROUP
from duestream.local.store.writer import Transaction

if TYPE_CHECKING:
    from duestream.local.engine.http_out import HttpSender


class HttpRequests:
    """`HttpRequest` targets; each attempt carries the delivery id as ``Idempotency-Key``."""

    limit = 64

    def __init__(self) -> None:
        self._sender: HttpSender | None = None

    def prepare(self, _tx: Transaction, _call: Call) -> None:
        """The request is whole as it is."""

    async def send(self, call: Call, attempt: Attempt, _prepared: None) -> None:
        """Send the request once.

        Raises:
            DeliveryError: it was not taken.
        """
        sender = self._sender or await self._make_sender()
        parameters = call.parameters
        body = parameters.get("Body")
        await sender.send(
            str(parameters["Url"]),
            str(parameters.get("Method", "POST")),
            parameters.get("Headers", {}),
            None if body is None else str(body).encode(),
            attempt.delivery_id,
        )

    async def close(self) -> None:
        """Close the kept connections."""
        if self._sender is not None:
            await self._sender.close()

    async def _make_sender(self) -> "HttpSender":
        """At the first request: importing aiohttp would be a fifth of the start-up of those who send none."""
        http_out = await asyncio.to_thread(import_module, "duestream.local.engine.http_out")
        if self._sender is None:
            self._sender = http_out.HttpSender()
        return self._sender


class RelayedEmails:
    """Emails that go out through a mail server; each attempt has the same ``Message-ID``.

    The mailbox gets its copy in the transaction that completes the schedule.
    """

    limit = MAX_SMTP_CONNECTIONS

    def __init__(self, relay: SmtpRelay, clock: Clock) -> None:
        self._relay, self._clock = relay, clock

    def prepare(self, tx: Transaction, call: Call) -> OutgoingEmail:
        """Read the email out of the request."""
        return outgoing_email(tx, call.service, call.action, call.parameters)

    async def send(self, call: Call, attempt: Attempt, prepared: OutgoingEmail) -> Callable[[Transaction], None]:
        """Hand the email to the mail server once.

        Raises:
            DeliveryError: it was not taken, or not for all recipients.
        """
        message = to_bytes(prepared, message_id=attempt.delivery_id, date=self._clock.now())
        await self._relay.send(message, prepared.sender, prepared.recipients, attempt.delivery_id)

        def keep(tx: Transaction) -> None:
            emails.add_email(tx, _with_api_id(stored_email(prepared, attempt), attempt))

        return keep


def _with_api_id(email: emails.StoredEmail, attempt: Attempt) -> emails.StoredEmail:
    """An email that SES's API took in keeps the message id that the API answered."""
    group_name, _, name = attempt.schedule_arn.rpartition(":schedule/")[2].partition("/")
    return replace(email, message_id=name) if group_name == EMAIL_GROUP else email
