"""Work with an end: a user's function, or an exchange with somebody outside, runs no longer than it may.

A thread cannot be ended in Python. What overstays its time is given up: it keeps its thread, and its result is not
looked at any more.
"""

import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from duestream.errors import DeliveryError

if TYPE_CHECKING:
    import asyncio


class Overstayed(DeliveryError):
    """The work took longer than it may."""


def run_bounded(work: Callable[[], object], *, seconds: float, what: str) -> None:
    """Run plain work in a thread of its own, and wait for it for so long.

    Args:
        work: called once; what it returns is not looked at.
        seconds: how long it may take.
        what: for the error: ``ask_for_review``.

    Raises:
        Overstayed: it took longer; retryable.
        DeliveryError: it ended the process (SystemExit), which it may not; retryable.
        Exception: whatever it raised.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            raised.append(error)

    thread = threading.Thread(target=run, name="duestream-bounded", daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    if thread.is_alive():
        raise _overstayed(what, seconds)
    if raised:
        raise _as_exception(raised[0])


class AsyncRunner:
    """Runs coroutines in one event loop, which is kept: what a user's code opens in it can be used again."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Callable[[], Awaitable[object] | object], *, seconds: float, what: str) -> None:
        """Run one coroutine function; it is cancelled when its time is over. Raises as `run_bounded`."""
        import asyncio  # noqa: PLC0415 - most apps have no async functions, and a cold start would wait for it

        future = asyncio.run_coroutine_threadsafe(_awaited(work), self._running_loop())
        try:
            future.result(max(seconds, 0))
        except TimeoutError as error:
            if future.done() and not future.cancelled():
                raise  # the function's own
            future.cancel()
            raise _overstayed(what, seconds) from error

    def _running_loop(self) -> "asyncio.AbstractEventLoop":
        import asyncio  # noqa: PLC0415 - as above

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="duestream-async", daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """End the loop, if there is one."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None


def _awaited(work: Callable[[], Awaitable[object] | object]) -> Coroutine[Any, Any, None]:
    async def run() -> None:
        try:
            answer = work()
            if isinstance(answer, Awaitable):
                await answer
        except SystemExit as error:
            raise _as_exception(error) from None

    return run()


def _as_exception(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    return DeliveryError(type(error).__name__, f"the function ended with {error!r}", retryable=True)


def _overstayed(what: str, seconds: float) -> Overstayed:
    return Overstayed("FunctionTimeout", f"{what} took longer than {seconds:g} s", retryable=True)
