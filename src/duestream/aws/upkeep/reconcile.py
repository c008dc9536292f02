"""Reconcile: the tables held against the schedules. What is missing, orphaned or different is told, and mended if wanted.

Neither a scan nor a list is a snapshot, so neither is acted on: what looks wrong is looked at again, item by item, as
it is at that moment. A schedule that nothing wants counts as orphaned only if nobody has touched it since before the
scan began: one that was put meanwhile may be of an item that the scan had passed already.

What is expected is kept in a file of SQLite's while it runs, so that memory does not grow with the tables.
"""

import json
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from duestream.aws.stack.session import Access
from duestream.aws.upkeep.group import Group, rule_of_name
from duestream.aws.upkeep.keepers import Finding, Keeper, counts_of
from duestream.aws.upkeep.scanning import PAGE_ITEMS, Progress, described, scan
from duestream.core.app import App
from duestream.core.expected import expected_of
from duestream.core.record import Item
from duestream.core.rule import Rule, TableDeclaration
from duestream.core.schedule import Place

#: Clocks disagree, and a schedule may be put a little before its write is told.
MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was found.

    Args:
        findings: what was wrong.
        counts: of ``items``, of schedules that are ``pending``, ``past`` and ``undigested`` by the items, and of
            those ``listed``.
    """

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]


class Reconciler:
    """Holds an app's tables against its schedules.

    Args:
        access: the way to the tables.
        app: the app.
        keeper: of its schedules.
        group: the schedule group they are in.
        place: where targets are that rules name without an ARN.
        now: tells the present moment.
        tell: told what is done at present, and how much of it.
    """

    def __init__(
        self,
        access: Access,
        app: App,
        keeper: Keeper,
        group: Group,
        *,
        place: Place,
        now: Callable[[], datetime],
        tell: Callable[[str, int], None],
    ) -> None:
        self._access, self._app, self._keeper, self._group = access, app, keeper, group
        self._place, self._now, self._tell = place, now, tell
        #: Rules that could not tell what some item wants.
        self._unread: frozenset[str] = frozenset()

    def run(self, tables: Sequence[TableDeclaration], *, segments: int, mend: bool, compare: bool) -> Reconciled:
        """Look at everything once.

        Args:
            tables: those whose items count; schedules of rules of other tables are left alone.
            segments: of each table's scan.
            mend: make what is missing, replace what is different, delete what is orphaned.
            compare: look into every schedule, a call for each; else only whether it is there.

        Raises:
            Error: AWS refused, or a rule's code did.
        """
        began_at = self._now()
        with tempfile.TemporaryDirectory(prefix="duestream-reconcile-") as folder, closing(_Wanted(folder)) as wanted:
            counts = self._scan(tables, segments, wanted)
            counts["listed"] = self._list(wanted, {rule.name for table in tables for rule in self._rules(table)})
            # A name tells its rule and not its table, and rules of several tables may have one name.
            looked_through = {table.name for table in tables}
            others = {rule.name for rule in self._scheduled_rules() if rule.table.name not in looked_through}
            findings = list(self._look(tables, wanted, mend=mend, compare=compare))
            known = {(finding.kind, finding.name) for finding in findings}
            findings += (
                orphan
                for orphan in self._orphans(wanted, began_at, others, mend=mend)
                if ("orphaned", orphan.name) not in known
            )
        return Reconciled(tuple(findings), counts)

    def _rules(self, table: TableDeclaration) -> list[Rule]:
        return [rule for rule in self._scheduled_rules() if rule.table.name == table.name]

    def _scheduled_rules(self) -> Iterator[Rule]:
        return (rule for rule in self._app.rules if rule.via is None)

    def _scan(self, tables: Sequence[TableDeclaration], segments: int, wanted: "_Wanted") -> dict[str, int]:
        progress = Progress(None, {})
        for table in tables:
            described(self._access, table)

            def page(items: Sequence[Item], table: TableDeclaration = table) -> Mapping[str, int]:
                now = self._now()
                expected = [expected_of(item, table, self._app.rules, now=now, place=self._place) for item in items]
                for one in expected:
                    self._unread |= {letter.rule.name for letter in one.undigested}
                    wanted.add(((schedule.name, schedule.key, table.name) for schedule in one.pending), is_pending=True)
                    wanted.add(((schedule.name, schedule.key, table.name) for schedule in one.past), is_pending=False)
                return counts_of(expected)

            def tell(table: TableDeclaration = table) -> None:
                self._tell(f"scanning {table.name}", progress.counts(table.name).get("items", 0))

            scan(self._access, table.name, segments=segments, progress=progress, page=page, tell=tell)
        totals = {"items": 0, "pending": 0, "past": 0, "undigested": 0}
        for table in tables:
            for name, count in progress.counts(table.name).items():
                totals[name] += count
        return totals

    def _list(self, wanted: "_Wanted", rules: set[str]) -> int:
        """Note which schedules there are; those of no rule of ours are passed over."""
        all_rules = {rule.name for rule in self._scheduled_rules()}
        listed = 0
        for schedule in self._group.list_all():
            name = schedule["Name"]
            rule = rule_of_name(name)
            # A rule that the app does not have (any more), or that sweeps now, has orphans only.
            if rule is not None and (rule in rules or rule not in all_rules):
                wanted.found(name)
                listed += 1
                if listed % PAGE_ITEMS == 0:
                    self._tell("listing schedules", listed)
        return listed

    def _look(
        self, tables: Sequence[TableDeclaration], wanted: "_Wanted", *, mend: bool, compare: bool
    ) -> Iterator[Finding]:
        looked = 0
        for table in tables:
            for keys in wanted.keys_to_look_at(table.name, all_of_them=compare):
                yield from self._keeper.look_again(table, keys, mend=mend).findings
                looked += len(keys)
                self._tell("looking at items", looked)

    def _orphans(
        self, wanted: "_Wanted", began_at: datetime, others: AbstractSet[str], *, mend: bool
    ) -> Iterator[Finding]:
        """What nothing wants. Of a rule among `others`, an item that nobody has looked at may want it; of a rule that
        raised, the very item whose wish it could not tell: a mistake in a rule must not cost the schedules."""
        scheduled = {rule.name for rule in self._scheduled_rules()}
        swept = {rule.name for rule in self._app.rules} - scheduled
        for number, name in enumerate(wanted.not_wanted(), start=1):
            self._tell("looking at what nothing wants", number)
            rule = rule_of_name(name) or ""
            if rule in others or rule in self._unread:
                continue
            found = self._group.get(name)
            if found is None or _touched_at(found) > began_at - MARGIN:
                continue
            detail = "no item wants it" if rule in scheduled else f"the app has no rule {rule}"
            if rule in swept:
                detail = f"rule {rule} sweeps an index and makes no schedules"
            if mend:
                self._group.delete(name)
            yield Finding("orphaned", name, rule, None, None, detail, mend)


def _touched_at(found: Mapping[str, Any]) -> datetime:
    moment: datetime = found.get("LastModificationDate") or found["CreationDate"]
    return moment


class _Wanted:
    """What is expected and what was found, by name; in a file, for there may be many. Used by several threads."""

    def __init__(self, folder: str) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(Path(folder) / "wanted.sqlite3", check_same_thread=False)
        self._database.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE wanted (name TEXT PRIMARY KEY, item TEXT, table_name TEXT, is_pending INTEGER) WITHOUT ROWID;
            CREATE INDEX wanted_by_item ON wanted (table_name, item);
            CREATE TABLE found (name TEXT PRIMARY KEY) WITHOUT ROWID;
            """
        )

    def close(self) -> None:
        self._database.close()

    def add(self, schedules: Iterator[tuple[str, Item, str]], *, is_pending: bool) -> None:
        rows = [(name, json.dumps(key, sort_keys=True), table, is_pending) for name, key, table in schedules]
        with self._lock:
            self._database.executemany("INSERT OR REPLACE INTO wanted VALUES (?, ?, ?, ?)", rows)

    def found(self, name: str) -> None:
        with self._lock:
            self._database.execute("INSERT OR IGNORE INTO found VALUES (?)", (name,))

    def keys_to_look_at(self, table_name: str, *, all_of_them: bool) -> Iterator[list[Item]]:
        """Keys of items with a pending schedule that was not found, or with any; a page at a time."""
        there = "" if all_of_them else "AND name NOT IN (SELECT name FROM found)"
        after = ""
        while True:
            rows = self._database.execute(
                f"SELECT DISTINCT item FROM wanted WHERE table_name = ? AND is_pending AND item > ? {there} "
                "ORDER BY item LIMIT ?",
                (table_name, after, PAGE_ITEMS),
            ).fetchall()
            if not rows:
                return
            yield [json.loads(item) for (item,) in rows]
            after = rows[-1][0]

    def not_wanted(self) -> Iterator[str]:
        """Names that were found and that no item wants."""
        rows = self._database.execute(
            "SELECT name FROM found WHERE name NOT IN (SELECT name FROM wanted) ORDER BY name"
        )
        return (name for (name,) in rows)
