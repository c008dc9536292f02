"""What `duestream up` says once it serves. The first line is for programs too: it never changes its form."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TextIO

from duestream.cli import rule_view
from duestream.clock import ManualClock
from duestream.core.app import App
from duestream.core.forwarding import AWS, MOTO, NONE, Forwarding
from duestream.core.planner import schedule_dead_letter_queue, stream_dead_letter_queue
from duestream.local.server import LocalServer


def announce(server: LocalServer, *, as_json: bool, stream: TextIO) -> None:
    """Print where the server is and what it watches. A reader that is gone is no reason not to serve."""
    lines = [f"duestream is ready on {server.endpoint_url}"]
    lines += [json.dumps(_facts(server), ensure_ascii=False)] if as_json else _told(server)
    with suppress(OSError):
        stream.write("\n".join(lines) + "\n")
        stream.flush()


def _facts(server: LocalServer) -> dict[str, object]:
    return {
        "action": "ready",
        "endpoint_url": server.endpoint_url,
        "data": str(server.settings.data),
        "notes": server.notes,
        "pending_schedules": server.engine.pending,
        **(rule_view.app_facts(server.app) if server.app is not None else {"app": None, "tables": []}),
    }


def _told(server: LocalServer) -> Iterator[str]:
    settings, url = server.settings, server.endpoint_url
    yield f"  data      {settings.data}"
    if server.app is not None:
        yield from _told_of_app(server.app)
    else:
        yield "  app       none: name a rule file to have rules (duestream up appointments.py)"
    if settings.smtp is not None:
        yield f"  email     through {settings.smtp.host}:{settings.smtp.port}; what was sent: {url}/_aws/ses"
    else:
        yield f"  email     stays in the mailbox: {url}/_aws/ses"
    yield f"  others    {told_of_others(settings.forwarding)}"
    if isinstance(settings.clock, ManualClock):
        yield f"  clock     stands at {settings.clock.now().isoformat()} until POST {url}/_duestream/clock moves it"
    if server.engine.pending:
        yield f"  pending   {server.engine.pending} schedule{'' if server.engine.pending == 1 else 's'}"
    for note in server.notes:
        yield f"  note      {note}"
    if settings.credentials:
        yield f"  clients   export AWS_ENDPOINT_URL={url}   (every request signed by a key of the credentials file)"
    else:
        yield f"  clients   export AWS_ENDPOINT_URL={url} AWS_DEFAULT_REGION=us-east-1"
        yield "            export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local   (any will do)"
    # Its version 1 has endpoints of its own for SQS, and would talk to AWS.
    yield f"            with the AWS CLI also: aws sqs --endpoint-url {url} ..."


def told_of_others(forwarding: Forwarding) -> str:
    """Where the services go that are not served here."""
    words = {
        None: "are refused: pip install 'duestream[moto]' or name an endpoint with --forward",
        NONE: "are refused",
        MOTO: "go to moto, started when it is needed; what it holds is in memory only",
        AWS: "go to AWS, with the credentials of this environment",
    }
    services = [f"{service} to {target}" for service, target in sorted(forwarding.services.items())]
    return "; ".join([f"services {words.get(forwarding.default, f'go to {forwarding.default}')}", *services])


def _told_of_app(app: App) -> Iterator[str]:
    yield f"  app       {app.name}"
    rows = [
        (
            rule.table.name,
            rule.name,
            rule_view.watches(rule),
            rule_view.action_of(rule),
            rule_view.via_of(rule),
            rule_view.location_of(rule),
        )
        for rule in app.rules
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        yield "  rule      " + "  ".join(cells).rstrip()
    for table in app.tables:
        if not table.rules:
            yield f"  table     {table.name}: no rules"
    yield f"  given up  {schedule_dead_letter_queue(app.name)} (deliveries), {stream_dead_letter_queue(app.name)} (stream records)"
