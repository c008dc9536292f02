"""Items held against their schedules: for items that were there before the rules, and to see that nothing is amiss.

An item, its schedules and what is changed of them are of one transaction, so nothing is done on a snapshot; what is
not planned yet is left to the planner.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from duestream.clock import Clock
from duestream.core.expected import Expected, differences, expected_of
from duestream.core.record import Item
from duestream.core.rule import MAX_TARGETS, Rule, TableDeclaration
from duestream.core.schedule import Place, Schedule, schedule_name
from duestream.errors import ValidationException
from duestream.local.engine.poller import Poller
from duestream.local.store import items, schedule_groups, schedules, streams, tables
from duestream.local.store.rule_schedules import body_of, put_rule_schedule
from duestream.local.store.schedules import ItemIdentity
from duestream.local.store.store import Store
from duestream.local.store.streams import decode_image
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

#: An item that changes while it is looked at is looked at again, so often.
MAX_LOOKS = 10
#: ``look``: tell what is wrong. ``make_missing``: also make what is not there. ``mend``: also replace what is
#: different, and delete what the item does not want.
Deed = Literal["look", "make_missing", "mend"]
DEEDS: tuple[Deed, ...] = ("look", "make_missing", "mend")


@dataclass(frozen=True, slots=True)
class _Seen:
    """An item as the rules were asked about it."""

    image: Item | None
    expected: Expected


class ReconcilingItems:
    """Holds items against their schedules.

    Args:
        poller: of the app that is loaded; None: there is none.
    """

    def __init__(self, store: Store, clock: Clock, place: Place, poller: Poller | None) -> None:
        self._store, self._clock, self._place, self._poller = store, clock, place, poller

    async def reconcile(self, table_name: str, keys: Sequence[Item], deed: Deed) -> dict[str, Any]:
        """Look at items as they are now.

        Args:
            table_name: theirs.
            keys: of the items; those that are gone want nothing.
            deed: what is to be done with what is wrong.

        Returns:
            ``{"counts": {...}, "findings": [...]}``. Counted are the items, what they want (``pending``, ``past``,
            ``undigested``), schedules that were ``made`` and that were ``there``, and items that are ``unplanned``.

        Raises:
            ValidationException: no rule of the app that is loaded watches that table, or a key is none.
        """
        table = tables.get_table(self._store.reader, table_name)
        rules = [] if self._poller is None else [rule for rule in self._poller.rules_of(table_name) if rule.via is None]
        if table is None or not rules:
            raise ValidationException(f"No rule of the app that is served makes schedules of table {table_name}.")
        reports = await asyncio.gather(*(self._item(table, key, rules, deed) for key in keys))
        counts: dict[str, int] = {}
        for report in reports:
            for name, count in report["counts"].items():
                counts[name] = counts.get(name, 0) + count
        return {"counts": counts, "findings": [finding for report in reports for finding in report["findings"]]}

    async def _item(self, table: Table, key: Item, rules: Sequence[Rule], deed: Deed) -> dict[str, Any]:
        assert self._poller is not None
        for _ in range(MAX_LOOKS):
            image = decode_image(items.get_item(self._store.reader, table, key))
            seen = _Seen(image, await self._poller.evaluate(partial(self._expected, rules[0].table, image, rules)))
            report = await self._store.write(
                partial(self._hold, table=table, key=key, rules=rules, seen=seen, deed=deed)
            )
            if report is not None:
                return report
        raise ValidationException(f"The item changed {MAX_LOOKS} times while it was looked at. Ask again.")

    def _expected(self, declaration: TableDeclaration, image: Item | None, rules: Sequence[Rule]) -> Expected:
        if image is None:
            return Expected((), (), ())
        return expected_of(image, declaration, rules, now=self._clock.now(), place=self._place)

    def _hold(
        self, tx: Transaction, table: Table, key: Item, rules: Sequence[Rule], seen: _Seen, deed: Deed
    ) -> dict[str, Any] | None:
        """Hold the item against its schedules; None: it has changed since it was seen."""
        assert self._poller is not None
        if decode_image(items.get_item(tx.connection, table, key)) != seen.image:
            return None
        stored_key = items.key_of_key(table, key)
        expected = seen.expected
        counts = {
            "items": int(seen.image is not None),
            "pending": len(expected.pending),
            "past": len(expected.past),
            "undigested": len(expected.undigested),
        }
        behind = streams.last_record_of_item(tx.connection, self._poller.planned_through, table.id, stored_key)
        if behind is not None:
            return {"counts": {**counts, "unplanned": 1}, "findings": []}
        item = ItemIdentity(table.id, *stored_key)
        findings = [*self._pending(tx, expected.pending, item, deed), *self._surplus(tx, rules, key, expected, deed)]
        made = sum(finding["kind"] == "missing" and finding["mended"] for finding in findings)
        missing = sum(finding["kind"] == "missing" for finding in findings)
        return {"counts": {**counts, "made": made, "there": len(expected.pending) - missing}, "findings": findings}

    def _pending(
        self, tx: Transaction, wanted: Sequence[Schedule], item: ItemIdentity, deed: Deed
    ) -> Iterator[dict[str, Any]]:
        now_ms = self._clock.now_ms()
        for schedule in wanted:
            row = schedules.get_schedule(tx, schedule.group_name, schedule.name)
            detail = "not there"
            if row is not None:
                found = {**row.body, "State": row.state}
                detail = ", ".join(differences({**body_of(schedule), "State": "ENABLED"}, found))
                if not detail:
                    continue
            kind = "missing" if row is None else "different"
            mends = deed == "mend" or (deed == "make_missing" and kind == "missing")
            if mends:
                group = schedule_groups.put_group(tx, schedule.group_name, region=self._place.region, now_ms=now_ms)
                put_rule_schedule(tx, schedule, group_id=group.id, item=item, now_ms=now_ms)
            yield _finding(kind, schedule.name, schedule.rule, schedule.key, detail, mends)

    @staticmethod
    def _surplus(
        tx: Transaction, rules: Sequence[Rule], key: Item, expected: Expected, deed: Deed
    ) -> Iterator[dict[str, Any]]:
        """Schedules of the item that it does not want."""
        past = {schedule.name: schedule for schedule in expected.past}
        wanted = {schedule.name for schedule in expected.pending}
        unread = {letter.rule.name for letter in expected.undigested}  # what the item wants of them, nobody knows
        for rule in rules:
            if rule.name in unread:
                continue
            for number in range(MAX_TARGETS):
                name = schedule_name(rule.table.name, rule.name, key, number)
                row = schedules.get_schedule(tx, rule.app_name, name)
                if row is None and number > 0:
                    break
                if row is None or name in wanted or row.rule is None:
                    continue
                if name in past and row.body["ScheduleExpression"] == body_of(past[name])["ScheduleExpression"]:
                    continue  # on its way
                if deed == "mend":
                    schedules.delete_schedule(tx, rule.app_name, name)
                yield _finding("orphaned", name, rule.name, key, "the item does not want it", deed == "mend")


def _finding(kind: str, name: str, rule: str, key: Mapping[str, Any], detail: str, mended: bool) -> dict[str, Any]:
    return {"kind": kind, "schedule": name, "rule": rule, "key": key, "detail": detail, "mended": mended}
