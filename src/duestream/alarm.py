"""Sleeping by a clock. Apart from it, because the functions on AWS need no asyncio and would wait for its import."""

import asyncio

from duestream.clock import Clock


class Alarm:
    """A sleep that can be cut short. A ring that comes before the sleep is not lost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()
        clock.when_set(self.ring)

    def ring(self) -> None:
        """End the present sleep, or the next one at once."""
        self._rung.set()

    async def sleep_until(self, moment_ms: int | None) -> None:
        """Sleep until the moment (None: until rung), or less: the caller looks at the clock again."""
        seconds = None if moment_ms is None else self._clock.seconds_until(moment_ms)
        if seconds is None:
            await self._rung.wait()
        elif seconds > 0 and not self._rung.is_set():
            handle = asyncio.get_running_loop().call_later(seconds, self._rung.set)
            try:
                await self._rung.wait()
            finally:
                handle.cancel()
        else:
            await asyncio.sleep(0)
        self._rung.clear()  # whatever was rung for is seen by the pass that follows
