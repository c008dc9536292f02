"""`when_due` functions: a user's code, run with the item as it is at the due time.

Plain functions run in threads, async ones in an event loop of their own thread, so that none of them can
hold up the server. A function that overstays its time is a failed attempt; an async one is cancelled, a
plain one cannot be (Python has no way to end a thread) and keeps its thread until it returns.
"""

import asyncio
import threading
from collections.abc import Awaitable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from duestream.clock import from_ms
from duestream.core.app import App
from duestream.core.attributes import unmarshal_item
from duestream.core.rule import Due, Rule, WhenDueFunction
from duestream.errors import DeliveryError, ResourceNotFoundException
from duestream.local.engine.attempts import NothingToDoError
from duestream.local.engine.call import Attempt, Call
from duestream.local.store import items, tables
from duestream.local.store.streams import decode_image
from duestream.local.store.writer import Transaction

MAX_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class _Prepared:
    rule: Rule
    item: dict[str, Any]


class Functions:
    """Runs the app's `when_due` functions as an outside target."""

    limit = MAX_AT_A_TIME

    def __init__(self, app: App) -> None:
        self._rules: Mapping[tuple[str, str], Rule] = {
            (rule.table.name, rule.name): rule for rule in app.rules if rule.when_due is not None
        }
        self._threads = ThreadPoolExecutor(MAX_AT_A_TIME, thread_name_prefix="duestream-when-due")
        self._loop: asyncio.AbstractEventLoop | None = None

    def prepare(self, tx: Transaction, call: Call) -> _Prepared:
        """The rule, and the item as it is now."""
        table_name, rule_name = str(call.parameters["Table"]), str(call.parameters["Rule"])
        table = tables.get_table(tx.connection, table_name)
        if table is None:
            raise NothingToDoError("the item's table is gone")
        body = items.get_item(tx.connection, table, call.parameters["Key"])
        image = decode_image(body)
        if image is None:
            raise NothingToDoError("the item is gone")
        rule = self._rules.get((table_name, rule_name))
        if rule is None:
            raise ResourceNotFoundException(f"the app has no when_due rule {rule_name!r} on table {table_name!r}")
        return _Prepared(rule, unmarshal_item(image))

    async def send(self, _call: Call, attempt: Attempt, prepared: _Prepared) -> None:
        """Run the function once.

        Raises:
            DeliveryError: it took too long.
            Exception: whatever the function raised.
        """
        action = prepared.rule.when_due
        assert action is not None
        due = Due(from_ms(attempt.due_at_ms), prepared.rule.name, attempt.number, attempt.delivery_id)
        loop = asyncio.get_running_loop()
        if action.is_async:
            running = asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(_call_async(action.function, prepared.item, due), self._own_loop())
            )
        else:
            running = loop.run_in_executor(self._threads, _call_plain, action.function, prepared.item, due)
        try:
            await asyncio.wait_for(running, action.timeout.total_seconds())
        except TimeoutError as error:
            if not running.cancelled():
                raise  # the function's own TimeoutError
            raise _too_long(prepared.rule, action.timeout) from error

    def close(self) -> None:
        """Stop taking work. A plain function that still runs is left to end with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of async functions, started with the first."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(
                target=self._serve, args=(self._loop,), name="duestream-when-due-async", daemon=True
            ).start()
        return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()


def _call_plain(function: WhenDueFunction, item: dict[str, Any], due: Due) -> None:
    try:
        function(item, due)
    except SystemExit as error:  # it would end the server
        raise DeliveryError("SystemExit", f"the function ended with {error.code!r}", retryable=True) from None


async def _call_async(function: WhenDueFunction, item: dict[str, Any], due: Due) -> None:
    try:
        answer = function(item, due)
        if isinstance(answer, Awaitable):
            await answer
    except (SystemExit, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise DeliveryError(type(error).__name__, "the function ended itself", retryable=True) from None


def _too_long(rule: Rule, timeout: timedelta) -> DeliveryError:
    return DeliveryError(
        "FunctionTimeout",
        f"{rule.name} took longer than its timeout of {timeout.total_seconds():g} s",
        retryable=True,
    )
