"""Time to Live: items are deleted when their time comes (within the second; AWS says within a few days)."""

import logging
from collections.abc import Sequence

from duestream.alarm import Alarm
from duestream.clock import Clock
from duestream.local.store import items, tables, time_to_live
from duestream.local.store.store import Store
from duestream.local.store.writer import ExpiriesChanged, Transaction

logger = logging.getLogger(__name__)

FAULT_PAUSE_MS = 1_000


class Expiry:
    """Deletes the items of tables with Time to Live, in small transactions, each with its stream record."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.alarm = Alarm(clock)
        self.stopping = False
        store.listen(self._on_commit)

    async def run(self) -> None:
        """Until stopped: delete what has expired, then sleep until the next item does."""
        while not self.stopping:
            try:
                await self.run_once()
                next_s = time_to_live.next_expiry_s(self._store.reader, self._clock.now_ms() // 1000)
                await self.alarm.sleep_until(None if next_s is None else next_s * 1000)
            except Exception:
                logger.exception("expiring items met a fault, and goes on", extra={"action": "expire_items"})
                await self._pause(self._clock.now_ms() + FAULT_PAUSE_MS)

    async def _pause(self, until_ms: int) -> None:
        while not self.stopping and self._clock.now_ms() < until_ms:
            await self.alarm.sleep_until(until_ms)

    def stop(self) -> None:
        """End `run` after its present step."""
        self.stopping = True
        self.alarm.ring()

    async def run_once(self) -> int:
        """Look at what is to be looked at, delete all that has expired; says how many items that were."""
        for step in (self._build, time_to_live.purge_step):
            while not self.stopping and await self._store.write(step):
                pass
        deleted = 0
        while not self.stopping and (count := await self._store.write(self._delete_expired)):
            deleted += count
        if deleted:
            logger.info("items expired", extra={"action": "expire_items", "count": deleted})
        return deleted

    def _build(self, tx: Transaction) -> bool:
        table_id = time_to_live.build_step(tx)
        table = None if table_id is None else tables.get_table_by_id(tx.connection, table_id)
        if table is not None:
            tables.renew(tx, table)
        return table_id is not None

    def _delete_expired(self, tx: Transaction) -> int:
        now_ms = self._clock.now_ms()
        found = time_to_live.expired(tx.connection, now_ms // 1000)
        for item in found:
            table = tables.get_table_by_id(tx.connection, item.table_id)
            if table is None or not items.expire_item(tx, table, item.key, now_ms=now_ms):
                time_to_live.forget(tx, item)  # else it would be found again and again
        return len(found)

    def _on_commit(self, announcements: Sequence[object]) -> None:
        if any(isinstance(announcement, ExpiriesChanged) for announcement in announcements):
            self.alarm.ring()
