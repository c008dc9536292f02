"""`duestream why`: asks a running server why an item was, was not, or will be delivered."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from duestream.cli.admin_client import AdminClient
from duestream.cli.dead_letters import item_text


def tell_why(client: AdminClient, table: str, key: str, *, as_json: bool) -> int:
    """Print what is known of an item; answers the exit code: 1 if that is nothing."""
    facts = client.get("/_duestream/why", {"table": table, "key": key})
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        for line in _lines(facts, key):
            typer.echo(line)
    return 0 if facts["known"] else 1


def _lines(facts: Mapping[str, Any], key: str) -> Iterator[str]:
    yield item_text(facts["table"], facts["key"]) if facts.get("key") else f"{facts['table']} {key}"
    for sentence in facts["says"]:
        yield f"  {sentence}"
    for rule in facts["rules"]:
        if not facts["known"]:
            return
        yield ""
        yield f"rule {rule['rule']} of {rule['app']}{_about(rule)}"
        for sentence in rule["says"]:
            yield f"  {sentence}"


def _about(rule: Mapping[str, Any]) -> str:
    """Where it stands and what it watches; of one that is gone, when it was there."""
    if not rule["is_loaded"]:
        return f" (not loaded; it last was at {rule['loaded_at']})"
    value = rule["value"]
    shown = "" if value is None else f" = {next(iter(value.values()))}"
    return f" ({rule['location']}; {rule['attribute']}{shown})"
