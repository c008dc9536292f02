"""The demo's client: boto3 as users have it, and the mailbox page."""

import json
import os
import urllib.request
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

from duestream.cli.demo_report import Appointment

TABLE = "Appointment-Table"
TIMEOUT_SECONDS = 10


class Client:
    """Writes appointments, and reads what was sent.

    Args:
        url: the server's endpoint.
    """

    def __init__(self, url: str) -> None:
        forget_aws_settings(os.environ)
        self._mailbox = f"{url}/_aws/ses"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._dynamodb: Any = boto3.client(
            "dynamodb",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="demo",
            aws_secret_access_key="demo",  # noqa: S106 - any will do
            # A proxy of the environment's is not on the way to this machine.
            config=Config(proxies={}, connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS),
        )

    def put(self, appointment: Appointment) -> None:
        """PutItem, with the attributes of part 3 of AWS's series."""
        self._dynamodb.put_item(
            TableName=TABLE,
            Item={
                **_key(appointment),
                "email": {"S": appointment.email},
                "ATTR_1": {"S": f"This is appointment {appointment.number}"},
                "REMINDER_TIMESTAMP": {"S": timestamp(appointment.due_at)},
            },
        )

    def move(self, appointment: Appointment) -> None:
        """UpdateItem: the reminder is due at another moment."""
        self._dynamodb.update_item(
            TableName=TABLE,
            Key=_key(appointment),
            UpdateExpression="SET REMINDER_TIMESTAMP = :due",
            ExpressionAttributeValues={":due": {"S": timestamp(appointment.due_at)}},
        )

    def delete(self, appointment: Appointment) -> None:
        """DeleteItem: there is to be no reminder."""
        self._dynamodb.delete_item(TableName=TABLE, Key=_key(appointment))

    def delivered(self) -> dict[str, list[datetime]]:
        """Who got an email, and at which moments."""
        with self._opener.open(self._mailbox, timeout=TIMEOUT_SECONDS) as answer:
            messages = json.load(answer)["messages"]
        found: dict[str, list[datetime]] = {}
        for message in messages:
            for address in message["Destination"]["ToAddresses"]:
                found.setdefault(address, []).append(sent_at(message["Timestamp"]))
        return found


def timestamp(moment: datetime) -> str:
    """As part 3 has it, without a zone (so UTC), and with milliseconds."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")


def sent_at(text: str) -> datetime:
    """When an email was sent: the page's Timestamp is in UTC, without saying so."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def forget_aws_settings(environ: MutableMapping[str, str]) -> None:
    """Forget the reader's profile and endpoints for this process: boto3 would ask for a profile that is not there."""
    for name in [name for name in environ if name.startswith("AWS_")]:
        del environ[name]
    environ["AWS_CONFIG_FILE"] = environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def _key(appointment: Appointment) -> dict[str, dict[str, str]]:
    return {"PK": {"S": appointment.name}, "SK": {"S": "reminder"}}
