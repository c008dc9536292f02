"""The engine: the loops that turn writes into deliveries, started and stopped as one."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from duestream.clock import Clock
from duestream.core.app import App
from duestream.core.forwarding import Forwarding
from duestream.core.schedule import Place
from duestream.local.engine.attempts import OutsideTarget
from duestream.local.engine.call import HTTP_REQUEST, WHEN_DUE
from duestream.local.engine.declared import make_declared, make_default_group, missed_records
from duestream.local.engine.delivery import Deliveries
from duestream.local.engine.endpoints import Endpoints
from duestream.local.engine.expiry import Expiry
from duestream.local.engine.forward import ForwardedCalls
from duestream.local.engine.functions import Functions
from duestream.local.engine.housekeeping import Housekeeper
from duestream.local.engine.lambda_async import AsyncInvocations
from duestream.local.engine.lambda_functions import LambdaFunctions
from duestream.local.engine.mappings import Mappings
from duestream.local.engine.outside import HttpRequests, RelayedEmails
from duestream.local.engine.poller import Poller
from duestream.local.engine.reconciling import ReconcilingItems
from duestream.local.engine.redrive import Redriver
from duestream.local.engine.smtp import SmtpRelay
from duestream.local.engine.sweeps import Sweeps
from duestream.local.engine.timer import Timer
from duestream.local.engine.why import Explainer
from duestream.local.store import metrics, streams
from duestream.local.store.store import Store

logger = logging.getLogger(__name__)

#: The records of an app that is not loaded are kept for it: they are trimmed by age alone.
EVERYTHING = 2**62


#: What is under way at a stop may take this long to end; then it is cut off, and done again at the next start.
GRACE_SECONDS = 10.0


class Engine:
    """Plans what is written and delivers what is due, for one store and at most one app.

    Args:
        smtp: where emails go; None: they stay in the mailbox.
        endpoints: where calls go that are not carried out here; None: they are refused.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        place: Place,
        *,
        app: App | None,
        smtp: SmtpRelay | None,
        endpoints: Endpoints | None = None,
    ) -> None:
        self._store, self._clock, self._place, self._app = store, clock, place, app
        self.endpoints = endpoints or Endpoints(Forwarding(), {})
        self._forwarded = ForwardedCalls(self.endpoints)
        self._poller = None if app is None else Poller(store, clock, app, place, self.endpoints.members_of)
        self.redriver = Redriver(store, clock, place, self._poller)
        self.explainer = Explainer(store, clock, place, self._poller)
        self.reconciling = ReconcilingItems(store, clock, place, self._poller)
        self._functions = None if app is None else Functions(app)
        self._http = HttpRequests()
        #: Lambda: what runs functions, what was accepted for them, and what reads streams and queues for them.
        self.lambdas = LambdaFunctions(store, clock)
        self._invocations = AsyncInvocations(store, clock, self.lambdas)
        self._mappings = Mappings(store, clock, self.lambdas.invoke)
        self._smtp = smtp
        self._deliveries = Deliveries(
            store, clock, outside=self._outside(), forwarded=self._forwarded, planning=self._poller
        )
        self._timer = Timer(store, clock, self._deliveries)
        self._deliveries.attach(self._timer)
        self._housekeeper = Housekeeper(store, clock, self._planned_through)
        self._expiry = Expiry(store, clock)
        self._sweeps = None if app is None or self._poller is None else Sweeps(store, clock, app.rules, self._poller)
        self._loops: list[asyncio.Task[None]] = []
        if self._poller is not None:
            self._poller.when_planned(self._deliveries.release_held)

    @property
    def pending(self) -> int:
        """How many schedules have something to come."""
        return metrics.pending_schedules(self._store.reader)

    @property
    def in_progress(self) -> int:
        """How many deliveries are under way."""
        return self._deliveries.in_progress

    @property
    def unplanned(self) -> int:
        """How many stream records are not planned yet."""
        if self._poller is None:
            return 0
        return max(0, streams.last_sequence(self._store.reader) - self._poller.planned_through)

    @property
    def held(self) -> int:
        """How many due deliveries wait until their item's changes are planned."""
        return self._deliveries.held

    @property
    def stream_lag_seconds(self) -> float:
        """Age of the oldest stream record that is not planned yet; 0 where all are."""
        if self._poller is None:
            return 0.0
        created_at_ms = streams.created_after(self._store.reader, self._poller.planned_through)
        return 0.0 if created_at_ms is None else max(0, self._clock.now_ms() - created_at_ms) / 1000

    async def prepare(self) -> list[str]:
        """Make what the app declares; says what was made.

        Raises:
            RuleError: a declared table is there with another key.
        """
        now_ms = self._clock.now_ms()
        await self._store.write(lambda tx: make_default_group(tx, self._place, now_ms))
        app = self._app
        if app is None:
            return []
        made = await self._store.write(lambda tx: make_declared(tx, app, self._place, now_ms))
        return [*made, *missed_records(self._store.reader, app)]

    def start(self) -> None:
        """Begin to plan and to deliver."""
        self._loops = [self._spawn(loop.run()) for loop in (self._timer, self._housekeeper, self._expiry)]
        if self._poller is not None:
            self._loops.append(self._spawn(self._poller.run()))
        if self._sweeps is not None:
            self._loops.append(self._spawn(self._sweeps.run()))
        self._invocations.start()
        self._mappings.start()

    async def stop_functions(self) -> None:
        """Let the Lambda functions that run end, while they can still reach the server; begin no more of them."""
        await asyncio.gather(self._mappings.stop(GRACE_SECONDS), self._invocations.stop(GRACE_SECONDS))

    async def stop(self) -> None:
        """Finish the attempts that are under way, then stop. What is not done is done at the next start."""
        await self.stop_functions()
        loops = (self._timer, self._housekeeper, self._expiry, self._poller, self._sweeps)
        for loop in loops:
            if loop is not None:
                loop.stop()
        await _end(self._loops)
        await self._deliveries.drain(GRACE_SECONDS)
        await self.lambdas.close()
        for room in (self._functions, self._poller, self._forwarded):
            if room is not None:
                room.close()
        await self._http.close()
        await self.endpoints.close()
        if self._smtp is not None:
            await self._smtp.close()

    def _spawn(self, loop: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(loop)

    def _outside(self) -> Mapping[tuple[str, str], OutsideTarget]:
        outside: dict[tuple[str, str], OutsideTarget] = {HTTP_REQUEST: self._http}
        if self._functions is not None:
            outside[WHEN_DUE] = self._functions
        if self._smtp is not None:
            outside["ses", "sendEmail"] = RelayedEmails(self._smtp, self._clock)
            outside["ses", "sendTemplatedEmail"] = RelayedEmails(self._smtp, self._clock)
            outside["sesv2", "sendEmail"] = RelayedEmails(self._smtp, self._clock)
        return outside

    def _planned_through(self) -> int:
        return EVERYTHING if self._poller is None else self._poller.planned_through


async def _end(loops: list[asyncio.Task[None]]) -> None:
    """Wait until the loops have ended by themselves; one that a user's rule holds up is cut off."""
    if not loops:
        return
    _, pending = await asyncio.wait(loops, timeout=GRACE_SECONDS)
    for loop in pending:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
