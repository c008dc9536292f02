"""The server's side of `runtime/keeper.py`, which outlives the server for a moment and ends what it left."""

import asyncio
import contextlib
import os
import sys

from duestream.local.engine.lambda_runtimes import RUNTIME_FOLDER


class Keeper:
    """A process beside the server. Without it (somebody ended it) functions run on as before."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._fd: int | None = None

    async def start(self) -> None:
        """Start it.

        Raises:
            OSError: it could not be started.
        """
        its_end, our_end = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(RUNTIME_FOLDER / "keeper.py"),
                stdin=its_end,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            os.close(our_end)
            raise
        finally:
            os.close(its_end)
        self._fd = our_end

    def add(self, group: int) -> None:
        """This process group has begun."""
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        """This process group is gone."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.write(self._fd, line.encode())

    async def close(self) -> None:
        """End it; it ends what is left first."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        if self._process is not None:
            await self._process.wait()
