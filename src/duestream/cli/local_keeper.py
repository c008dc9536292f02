"""A duestream server as the keeper of its schedules: it is asked over its admin API."""

from collections.abc import Sequence
from typing import Any

from duestream.aws.upkeep.keepers import Finding, Looked, counts_of
from duestream.cli.admin_client import AdminClient
from duestream.clock import Clock
from duestream.core.app import App
from duestream.core.expected import expected_of
from duestream.core.record import Item
from duestream.core.rule import TableDeclaration
from duestream.core.schedule import Place

PAGE = "/_duestream/reconcile"


class ServerKeeper:
    """Keeps schedules as `duestream.aws.upkeep.keepers.Keeper` says.

    Args:
        client: of the server.
        app: as the command line has it, for what is only counted.
        clock: tells the time.
    """

    def __init__(self, client: AdminClient, app: App, clock: Clock) -> None:
        self._client, self._app, self._clock = client, app, clock

    def make_missing(self, table: TableDeclaration, items: Sequence[Item], *, dry_run: bool) -> Looked:
        """See `Keeper.make_missing`."""
        if dry_run:
            now, place = self._clock.now(), Place()
            rules = self._app.rules
            return Looked((), counts_of([expected_of(item, table, rules, now=now, place=place) for item in items]))
        return self._ask(table, [_key_of(table, item) for item in items], "make_missing")

    def look_again(self, table: TableDeclaration, keys: Sequence[Item], *, mend: bool) -> Looked:
        """See `Keeper.look_again`."""
        return self._ask(table, keys, "mend" if mend else "look")

    def _ask(self, table: TableDeclaration, keys: Sequence[Item], deed: str) -> Looked:
        answer = self._client.post(PAGE, {"table": table.name, "keys": list(keys), "deed": deed})
        findings = (_finding(found, table.name) for found in answer["findings"])
        return Looked(tuple(findings), answer["counts"])


def _finding(found: dict[str, Any], table_name: str) -> Finding:
    return Finding(
        found["kind"], found["schedule"], found["rule"], table_name, found["key"], found["detail"], found["mended"]
    )


def _key_of(table: TableDeclaration, item: Item) -> Item:
    return {name: item[name] for name in (table.partition_key, table.sort_key) if name is not None}
