"""Sweeps: indexes of rules with ``via=Sweep(...)`` are looked through for what is due, as often as the rule says.

What is due becomes a schedule that is due already: it is delivered at once, tried again, given up and told like any
other. Its item leaves the index in the same transaction, so nothing is swept twice and nothing is lost to a kill.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from duestream.alarm import Alarm
from duestream.clock import Clock, to_ms
from duestream.core.attributes import key_bytes
from duestream.core.expression import Placeholders, parse_update
from duestream.core.planner import Operation, PutSchedule
from duestream.core.record import EventName, Item, StreamRecord
from duestream.core.rule import Rule
from duestream.core.sweep_range import SweepRange, sweep_ranges
from duestream.local.engine.log_text import for_log
from duestream.local.engine.poller import Poller
from duestream.local.store import indexes, items, tables
from duestream.local.store.index_pages import Place, query_page
from duestream.local.store.indexes import Index
from duestream.local.store.items import SortRange
from duestream.local.store.schedules import ItemIdentity
from duestream.local.store.store import Store
from duestream.local.store.streams import decode_image, key_of
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

logger = logging.getLogger("duestream.flow")

#: Entries that are planned together and go in one transaction.
CHUNK = 128
MAX_PAGE_BYTES = 1024 * 1024
FAULT_PAUSE_MS = 1_000


@dataclass(slots=True)
class _Watched:
    """A rule that sweeps, and when it does so next."""

    rule: Rule
    next_at_ms: int = 0

    @property
    def every_ms(self) -> int:
        assert self.rule.via is not None
        return self.rule.via.every_minutes * 60_000


class Sweeps:
    """Sweeps the indexes of one app's rules, at the start and then at every whole multiple of `every`."""

    def __init__(self, store: Store, clock: Clock, rules: Iterable[Rule], poller: Poller) -> None:
        self._store, self._clock, self._poller = store, clock, poller
        self._watched = [_Watched(rule) for rule in rules if rule.via is not None]
        self.alarm = Alarm(clock)
        self.stopping = False

    async def run(self) -> None:
        """Until stopped: sweep what it is time for, then sleep."""
        while not self.stopping:
            try:
                await self.run_once()
            except Exception:
                logger.exception("a sweep met a fault of ours, and goes on", extra={"action": "sweep"})
                await self._sleep_until(self._clock.now_ms() + FAULT_PAUSE_MS)
                continue
            await self.alarm.sleep_until(min((watched.next_at_ms for watched in self._watched), default=None))

    async def _sleep_until(self, moment_ms: int) -> None:
        while not self.stopping and self._clock.now_ms() < moment_ms:
            await self.alarm.sleep_until(moment_ms)

    def stop(self) -> None:
        """End `run` after its present chunk."""
        self.stopping = True
        self.alarm.ring()

    async def run_once(self) -> int:
        """Sweep every index whose time has come; says how many entries that were done with."""
        swept = 0
        for watched in self._watched:
            now_ms = self._clock.now_ms()
            # A clock that was set back must not keep a rule waiting.
            if watched.next_at_ms - watched.every_ms <= now_ms < watched.next_at_ms:
                continue
            swept += await self._sweep(watched.rule)
            watched.next_at_ms = (now_ms // watched.every_ms + 1) * watched.every_ms
        return swept

    async def _sweep(self, rule: Rule) -> int:
        table = tables.get_table(self._store.reader, rule.table.name)
        index = None if table is None else _index_of(table, rule)
        if table is None or index is None or not index.is_active:
            reason = "the index is missing" if index is None else "the index is being built"
            self._tell(logging.WARNING, rule, reason=reason)
            return 0
        swept = late = 0
        unreadable: list[str] = []
        now_ms = self._clock.now_ms()
        for records in self._pages(table, index, rule):
            if self.stopping:
                break
            chunk = await self._poller.plan_swept(records, rule)
            for record, refusal in chunk.refused:
                unreadable.append(f"{record.keys}: {refusal.reason}")
            if chunk.planned:
                done = await self._store.write(partial(self._apply, rule=rule, planned=chunk.planned))
                swept += len(done)
                late = max([late, *(now_ms - due_at_ms for due_at_ms in done)])
        if swept or unreadable:
            level = logging.WARNING if unreadable else logging.INFO
            why = for_log("; ".join(unreadable[:5])) if unreadable else None
            self._tell(level, rule, swept=swept, unreadable=len(unreadable), oldest_due_ms=late, reason=why)
        return swept

    def _pages(self, table: Table, index: Index, rule: Rule) -> Iterator[Sequence[StreamRecord]]:
        """The items behind what may be due, as records, shard by shard and oldest first."""
        assert rule.via is not None
        now = self._clock.now()
        for shard in rule.via.shard_names:
            for part in sweep_ranges(rule, now):
                after: Place | None = None
                while True:
                    page = query_page(
                        self._store.reader,
                        index,
                        key_bytes({"S": shard}),
                        _sort_range(part),
                        forward=True,
                        after=after,
                        limit=CHUNK,
                        max_bytes=MAX_PAGE_BYTES,
                    )
                    images = [image for stored in page.items if (image := decode_image(stored.body)) is not None]
                    if images:
                        yield [_record(table, image) for image in images]
                    if page.last_body is None:
                        break
                    after = _place_of(table, index, decode_image(page.last_body) or {})

    def _apply(
        self, tx: Transaction, *, rule: Rule, planned: Sequence[tuple[StreamRecord, Sequence[Operation]]]
    ) -> list[int]:
        """Put the schedules of items that still are what was planned; says when those were due."""
        assert rule.via is not None
        table = tables.get_table(tx.connection, rule.table.name)
        due_at_ms: list[int] = []
        if table is None:
            return due_at_ms
        take_out = parse_update("REMOVE #shard", Placeholders({"#shard": rule.via.shard_attribute}, None))
        for record, operations in planned:
            if decode_image(items.get_item(tx.connection, table, record.keys)) != record.new_image:
                continue  # changed meanwhile: the next sweep looks at it again
            identity = ItemIdentity(table.id, *items.key_of_key(table, record.keys))
            self._poller.carry_out_again(tx, record, operations, identity)
            if not rule.only_deletes_its_item:  # else it goes with its item, at once
                items.update_item(tx, table, record.keys, update=take_out, now_ms=self._clock.now_ms())
            due_at_ms += [to_ms(one.schedule.due_at) for one in operations[:1] if isinstance(one, PutSchedule)]
        return due_at_ms

    @staticmethod
    def _tell(level: int, rule: Rule, *, reason: str | None = None, **facts: int) -> None:
        said: dict[str, object] = {"rule": rule.name, "table": rule.table.name, **facts}
        if reason is not None:
            said["reason"] = reason
        logger.log(level, "index swept", extra={"action": "sweep", **said})


def _index_of(table: Table, rule: Rule) -> Index | None:
    assert rule.via is not None
    return next((index for index in table.indexes if index.name == rule.via.index), None)


def _sort_range(part: SweepRange) -> SortRange:
    low = b"" if part.lower is None else key_bytes(part.lower)
    return SortRange(low=low, high=key_bytes(part.upper))


def _record(table: Table, image: Item) -> StreamRecord:
    """The item as a record: as if it had been written as it is."""
    return StreamRecord(table.name, EventName.MODIFY, key_of(table.key_names, image), image, image, "0")


def _place_of(table: Table, index: Index, image: Item) -> Place:
    entry_key = indexes.entry_key(index, image)
    assert entry_key is not None, "it was found in the index"
    return Place(*entry_key, *items.key_of_item(table, image))
