"""`duestream why`: asks a running server, or AWS, why an item was, was not, or will be delivered."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from duestream.cli.admin_client import AdminClient
from duestream.cli.dead_letters import item_text
from duestream.cli.letters_door import OnAws
from duestream.clock import SystemClock
from duestream.errors import SettingsError, ValidationException


def tell_why(answering: AdminClient | OnAws, table: str, key: str, *, as_json: bool) -> int:
    """Print what is known of an item; answers the exit code: 1 if that is nothing.

    Args:
        answering: who is asked.
        table: the item's table.
        key: as it was given.

    Raises:
        Error: it cannot be asked.
    """
    if isinstance(answering, AdminClient):
        facts = answering.get("/_duestream/why", {"table": table, "key": key})
    else:
        facts = _on_aws(answering, table, key)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        for line in _lines(facts, key):
            typer.echo(line)
    return 0 if facts["known"] else 1


def _on_aws(on_aws: OnAws, table: str, key: str) -> dict[str, Any]:
    from duestream.aws.upkeep.dead_letter_queues import DeadLetterQueues  # noqa: PLC0415 - lazy: boto3
    from duestream.aws.upkeep.explaining import AwsExplainer  # noqa: PLC0415
    from duestream.aws.upkeep.group import Group  # noqa: PLC0415
    from duestream.aws.upkeep.keepers import SchedulerKeeper, settings_of_deployed  # noqa: PLC0415

    app, access, now = on_aws.app, on_aws.access, SystemClock().now
    settings, group = settings_of_deployed(access, app), Group(access, app.name)
    keeper = SchedulerKeeper(access, app, settings, group, now=now)
    queues = DeadLetterQueues(access, app.name)
    try:
        return AwsExplainer(access, app, settings, group, keeper, queues, now=now).explain(table, key)
    except ValidationException as error:
        raise SettingsError(error.message) from error


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
