"""One process of a function: started, given one invocation at a time, and ended with everything it started.

The process has a session of its own, so that ending it ends what it started, and Ctrl-C at the server does not reach
it. It ends with the server, however that ends (`runtime/launcher.py`). Its output is read without a thread: what it
printed before it answered is in the pipe when the answer is there.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from duestream.clock import Clock
from duestream.core.invocation import LOG_TAIL_BYTES, MAX_PAYLOAD_BYTES, InvocationResult, error_payload
from duestream.local.engine.lambda_keeper import Keeper
from duestream.local.engine.lambda_logs import FunctionLog
from duestream.local.engine.lambda_runtime_api import Invocation, RuntimeApi

#: How long a process may take to ask for its first invocation. (AWS begins anew after 10 seconds, and then counts
#: towards the function's timeout.)
INIT_SECONDS = 30.0
READ_BYTES = 65_536
ERROR = "Unhandled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a process is started with."""

    command: Sequence[str]
    #: Without the runtime API's address, which is each process's own.
    environment: Mapping[str, str]
    folder: Path
    memory_mb: int


class FunctionProcess:
    """A process, and the server's side of its runtime API. Everything is called on one event loop."""

    def __init__(self, start: Start, api: RuntimeApi, keeper: Keeper, log: FunctionLog, clock: Clock) -> None:
        self._start, self._api, self._keeper, self._log, self._clock = start, api, keeper, log, clock
        loop = asyncio.get_running_loop()
        self._token, self._address = api.register(self)
        #: Done with None at the first request for an invocation, or with the error that kept it from coming to that.
        self._ready: asyncio.Future[bytes | None] = loop.create_future()
        self._given: asyncio.Queue[Invocation | None] = asyncio.Queue()
        self._current: str | None = None
        self._answered: asyncio.Future[tuple[bytes, bool]] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._fds: list[int] = []
        self._tail = bytearray()
        self.is_ended = False

    async def start(self, when_ended: Callable[[Self], None]) -> None:
        """Start it; it is ready, or has failed, some time after.

        Args:
            when_ended: called once, when the process is gone.

        Raises:
            OSError: it could not be started.
        """
        output, child_output = os.pipe()
        child_input, parents_end = os.pipe()
        os.set_blocking(output, False)
        self._fds = [output, parents_end]
        environment = {**self._start.environment, "AWS_LAMBDA_RUNTIME_API": self._address}
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._start.command,
                stdin=child_input,
                stdout=child_output,
                stderr=child_output,
                env=environment,
                cwd=self._start.folder,
                start_new_session=True,
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(child_output)
            os.close(child_input)
        self._keeper.add(self._process.pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(output, self._read_output)
        self._watching = loop.create_task(self._watch(self._process))
        self._watching.add_done_callback(lambda _: when_ended(self))

    async def invoke(self, invocation: Invocation, *, timeout_seconds: float) -> InvocationResult:
        """Carry out one invocation. After a timeout, or the process's end, `is_ended` is true."""
        self._tail.clear()
        began = asyncio.get_running_loop().time()
        self._log_line(f"START RequestId: {invocation.request_id} Version: $LATEST")
        try:
            failed = await asyncio.wait_for(asyncio.shield(self._ready), INIT_SECONDS)
        except TimeoutError:
            failed = error_payload("Sandbox.Timedout", f"RequestId: {invocation.request_id} Error: init took too long")
        if failed is not None:
            self.kill()
            return self._ended(invocation, began, failed or self._exit_error(invocation), ERROR)
        self._current = invocation.request_id
        self._answered = asyncio.get_running_loop().create_future()
        now_ms = self._clock.now_ms()
        if self.is_ended:
            return self._ended(invocation, began, self._exit_error(invocation), ERROR)
        self._given.put_nowait(
            Invocation(
                invocation.request_id,
                invocation.payload,
                invocation.function_arn,
                now_ms + int(timeout_seconds * 1000),
                invocation.client_context,
            )
        )
        try:
            payload, is_error = await asyncio.wait_for(self._answered, timeout_seconds)
        except TimeoutError:
            self.kill()
            text = f"RequestId: {invocation.request_id} Error: Task timed out after {timeout_seconds:.2f} seconds"
            self._log_line(f"{invocation.request_id} Task timed out after {timeout_seconds:.2f} seconds")
            return self._ended(invocation, began, error_payload("Sandbox.Timedout", text), ERROR)
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            self._current = self._answered = None
        if len(payload) > MAX_PAYLOAD_BYTES and not is_error:
            text = f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)."
            return self._ended(invocation, began, error_payload("Function.ResponseSizeTooLarge", text), ERROR)
        payload = payload or self._exit_error(invocation)
        return self._ended(invocation, began, payload, ERROR if is_error else None)

    def _ended(self, invocation: Invocation, began: float, payload: bytes, error: str | None) -> InvocationResult:
        self._read_output()
        took_ms = (asyncio.get_running_loop().time() - began) * 1000
        self._log_line(f"END RequestId: {invocation.request_id}")
        self._log_line(
            f"REPORT RequestId: {invocation.request_id}\tDuration: {took_ms:.2f} ms\tBilled Duration: "
            f"{int(took_ms) + 1} ms\tMemory Size: {self._start.memory_mb} MB"
        )
        return InvocationResult(invocation.request_id, payload, error, bytes(self._tail))

    def _exit_error(self, invocation: Invocation) -> bytes:
        code = None if self._process is None else self._process.returncode
        why = "" if code is None else f"exit status {code}" if code >= 0 else f"signal: {_signal_name(-code)}"
        text = f"Runtime exited with error: {why}" if code else "Runtime exited without providing a reason"
        return error_payload("Runtime.ExitError", f"RequestId: {invocation.request_id} Error: {text}")

    # The runtime API's side ----------------------------------------------------------------------------

    async def next_invocation(self) -> Invocation | None:
        """The next one, once there is one; None: there will be none."""
        if not self._ready.done():
            self._ready.set_result(None)
        return None if self.is_ended else await self._given.get()

    def answer(self, request_id: str, payload: bytes, *, is_error: bool, is_last: bool) -> bool:
        """Take an answer; False: nobody waits for it. `is_last`: the process is about to end."""
        if request_id != self._current or self._answered is None or self._answered.done():
            return False
        self.is_ended = self.is_ended or is_last
        self._answered.set_result((payload or b"null", is_error))
        return True

    def fail_init(self, payload: bytes) -> None:
        """The function could not be loaded."""
        if not self._ready.done():
            self._ready.set_result(payload or b"null")

    # The process ---------------------------------------------------------------------------------------

    def kill(self) -> None:
        """End it and what it started. Returns at once; `wait_ended` waits for it."""
        self.is_ended = True
        self._given.put_nowait(None)
        if self._process is not None and self._process.returncode is None:
            _kill_group(self._process.pid)

    async def wait_ended(self) -> None:
        """Wait until the process is gone."""
        if self._watching is not None:
            await asyncio.wait([self._watching])

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        _kill_group(process.pid)  # what it started and left behind
        self._keeper.remove(process.pid)
        self.is_ended = True
        self._read_output()
        self._close()
        if not self._ready.done():
            self._ready.set_result(b"")
        self._given.put_nowait(None)
        if self._answered is not None and not self._answered.done():
            self._answered.set_result((b"", True))

    def _close(self) -> None:
        self._api.forget(self._token)
        if self._fds:
            with contextlib.suppress(OSError, ValueError):
                asyncio.get_running_loop().remove_reader(self._fds[0])
            for fd in self._fds:
                os.close(fd)
            self._fds = []

    def _read_output(self) -> None:
        """Everything that is there."""
        while self._fds:
            try:
                text = os.read(self._fds[0], READ_BYTES)
            except BlockingIOError:
                return
            if not text:
                asyncio.get_running_loop().remove_reader(self._fds[0])
                return
            self._keep(text)

    def _log_line(self, line: str) -> None:
        self._read_output()
        self._keep(f"{line}\n".encode())

    def _keep(self, text: bytes) -> None:
        self._log.write(text)
        self._tail += text
        del self._tail[:-LOG_TAIL_BYTES]


def _kill_group(process_id: int) -> None:
    with contextlib.suppress(OSError):  # there is nobody any more
        os.killpg(process_id, signal.SIGKILL)


def _signal_name(number: int) -> str:
    return "killed" if number == signal.SIGKILL else signal.Signals(number).name
