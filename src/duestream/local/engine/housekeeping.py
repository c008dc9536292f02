"""Housekeeping: what is past its time is removed, a little at a time, so that nothing is held up by it."""

import logging
from collections.abc import Callable

from duestream.alarm import Alarm
from duestream.clock import Clock
from duestream.local.store import dead_letters, messages, metrics, outcomes, streams
from duestream.local.store.store import Store
from duestream.local.store.writer import Transaction

logger = logging.getLogger(__name__)

PERIOD_MS = 60_000
#: How deliveries ended is kept as long as CloudWatch keeps one-minute metrics: 15 days.
METRIC_RETENTION_MS = 15 * 24 * 3600 * 1000
OUTCOME_RETENTION_MS = METRIC_RETENTION_MS
CHUNK = 500


class Housekeeper:
    """Trims streams (never what is not planned yet), expired messages, old outcomes and metrics."""

    def __init__(self, store: Store, clock: Clock, planned_through: Callable[[], int]) -> None:
        self._store, self._clock, self._planned_through = store, clock, planned_through
        self.alarm = Alarm(clock)
        self.stopping = False

    async def run(self) -> None:
        """Until stopped: one pass a minute."""
        while not self.stopping:
            try:
                await self.run_once()
            except Exception:
                logger.exception("housekeeping met a fault, and goes on", extra={"action": "housekeeping"})
            next_ms = self._clock.now_ms() + PERIOD_MS
            await self._sleep_until(next_ms)

    async def _sleep_until(self, moment_ms: int) -> None:
        while not self.stopping and self._clock.now_ms() < moment_ms:
            await self.alarm.sleep_until(moment_ms)

    def stop(self) -> None:
        """End `run` after its present step."""
        self.stopping = True
        self.alarm.ring()

    async def run_once(self) -> None:
        """Remove everything that is past its time, in small transactions."""
        for step in (
            self._trim_streams,
            self._delete_messages,
            self._delete_outcomes,
            self._delete_letters,
            self._delete_metrics,
        ):
            while not self.stopping and await self._store.write(step):
                pass

    def _trim_streams(self, tx: Transaction) -> bool:
        before_ms = self._clock.now_ms() - streams.RETENTION_MS
        return streams.trim(tx, before_ms, self._planned_through()) >= streams.TRIM_CHUNK

    def _delete_messages(self, tx: Transaction) -> bool:
        return messages.delete_expired_messages(tx, now_ms=self._clock.now_ms(), limit=CHUNK) >= CHUNK

    def _delete_metrics(self, tx: Transaction) -> bool:
        before_minute = (self._clock.now_ms() - METRIC_RETENTION_MS) // metrics.MINUTE_MS
        return metrics.delete_older(tx, before_minute, CHUNK) >= CHUNK

    def _delete_outcomes(self, tx: Transaction) -> bool:
        return outcomes.delete_older(tx, self._clock.now_ms() - OUTCOME_RETENTION_MS, CHUNK) >= CHUNK

    def _delete_letters(self, tx: Transaction) -> bool:
        return dead_letters.delete_older(tx, self._clock.now_ms() - OUTCOME_RETENTION_MS, CHUNK) >= CHUNK
