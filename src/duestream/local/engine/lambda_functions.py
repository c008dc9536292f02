"""Lambda functions at work: their code unpacked, their processes kept warm, one invocation in each at a time.

A function has at most MAX_PROCESSES processes; an invocation beyond them waits for one (AWS would start more, or
answer 429). Idle processes end after a while, and so do those of code or configuration that was replaced.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import uuid
from collections import deque
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duestream.clock import Clock
from duestream.core.code_archive import CodeArchiveError, entries_of
from duestream.core.invocation import InvocationResult, error_payload
from duestream.errors import ServiceError
from duestream.local.engine.lambda_keeper import Keeper
from duestream.local.engine.lambda_logs import FunctionLog
from duestream.local.engine.lambda_runtimes import Runtimes
from duestream.local.store import functions
from duestream.local.store.function_errors import no_function
from duestream.local.store.functions import Function
from duestream.local.store.store import Store

if TYPE_CHECKING:
    from duestream.local.engine.lambda_process import FunctionProcess, Start
    from duestream.local.engine.lambda_runtime_api import RuntimeApi

logger = logging.getLogger(__name__)

MAX_PROCESSES = 10
#: AWS keeps idle ones for some minutes and publishes no figure.
IDLE_SECONDS = 300.0
#: More idle processes, of all functions together, are not kept.
MAX_IDLE = 16
CODE_FOLDER, LOG_FOLDER = "lambda-code", "lambda-logs"
NO_ENDPOINT = "http://127.0.0.1:9"


class LambdaFunctions:
    """Invokes the store's functions. Nothing is started, and no port opened, before the first invocation."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._runtimes = Runtimes()
        self._endpoint_url = NO_ENDPOINT
        self._credentials = ("local", "local")
        self._api: RuntimeApi | None = None
        self._keeper = Keeper()
        self._modules: tuple[Any, Any] | None = None
        self._opening = asyncio.Lock()
        self._pools: dict[int, _Pool] = {}
        #: All that have not ended.
        self._processes: set[FunctionProcess] = set()
        self._logs: dict[str, FunctionLog] = {}
        self._is_closed = False

    def use(self, endpoint_url: str, credentials: Mapping[str, str]) -> None:
        """Tell where functions find the server, and with which key. Before the first invocation."""
        self._endpoint_url = endpoint_url
        self._credentials = next(iter(credentials.items()), self._credentials)

    async def check_runtime(self, runtime: str) -> None:
        """See whether this machine can run it.

        Raises:
            InvalidParameterValueException: it cannot, and why.
        """
        await asyncio.to_thread(self._runtimes.check, runtime)

    async def invoke(
        self, name: str, payload: bytes, *, request_id: str | None = None, client_context: str | None = None
    ) -> InvocationResult:
        """Invoke a function and wait for its end.

        Raises:
            ResourceNotFoundException: there is none of this name.
        """
        function = functions.get_function(self._store.reader, name)
        if function is None:
            raise no_function(name)
        request_id = request_id or str(uuid.uuid4())
        try:
            process_module, api_module = await self._open()
            pool = self._pool_of(function)
            process = await pool.acquire()
        except (OSError, CodeArchiveError, ServiceError) as error:
            return InvocationResult(request_id, error_payload("Runtime.StartError", str(error)), "Unhandled")
        del process_module
        invocation = api_module.Invocation(request_id, payload, function.arn, 0, client_context)
        try:
            return await process.invoke(invocation, timeout_seconds=function.timeout_seconds)
        finally:
            pool.release(process)
            self._spare_idle()

    async def close(self) -> None:
        """End all processes, and wait until they are gone."""
        self._is_closed = True
        for pool in self._pools.values():
            pool.retire()
        for process in tuple(self._processes):
            process.kill()
        await asyncio.gather(*(process.wait_ended() for process in tuple(self._processes)))
        if self._api is not None:
            await self._api.close()
        await self._keeper.close()
        for log in self._logs.values():
            log.close()

    async def _open(self) -> tuple[Any, Any]:
        """At the first invocation: importing aiohttp would be a fifth of the start-up of those who invoke none."""
        async with self._opening:
            if self._modules is None:
                api_module = await asyncio.to_thread(import_module, "duestream.local.engine.lambda_runtime_api")
                process_module = await asyncio.to_thread(import_module, "duestream.local.engine.lambda_process")
                await asyncio.to_thread(shutil.rmtree, self._store.folder / CODE_FOLDER, True)
                self._api = api_module.RuntimeApi()
                await self._api.start()
                await self._keeper.start()
                self._modules = process_module, api_module
        if self._is_closed:
            raise OSError("the server is stopping")
        return self._modules

    def _pool_of(self, function: Function) -> "_Pool":
        pool = self._pools.get(function.id)
        if pool is None or pool.revision != (function.revision_id, function.code_sha256):
            if pool is not None:
                self._retire(pool)
            pool = self._pools[function.id] = _Pool(self, function)
        return pool

    def _retire(self, pool: "_Pool") -> None:
        """End a pool's idle processes now, and those at work after it."""
        for process in pool.retire():
            process.kill()
        pool.drop_code_if_done()

    def forget_deleted(self) -> None:
        """End the processes of functions that are gone or were changed."""
        for function_id, pool in list(self._pools.items()):
            function = functions.get_function_by_id(self._store.reader, function_id)
            if function is None or pool.revision != (function.revision_id, function.code_sha256):
                self._retire(self._pools.pop(function_id))

    def _spare_idle(self) -> None:
        idle = sum(len(pool.idle) for pool in self._pools.values())
        for pool in self._pools.values():  # the longest unused functions come first
            while idle > MAX_IDLE and pool.idle:
                pool.end_oldest()
                idle -= 1

    async def start_process(self, function: Function) -> "FunctionProcess":
        """A new process, started and perhaps not ready yet."""
        assert self._api is not None
        assert self._modules is not None
        start = await self._start_of(function)
        log = self._logs.get(function.name)
        if log is None:
            log = self._logs[function.name] = FunctionLog(self._store.folder / LOG_FOLDER / f"{function.name}.log")
        process: FunctionProcess = self._modules[0].FunctionProcess(start, self._api, self._keeper, log, self._clock)
        await process.start(self._processes.discard)
        self._processes.add(process)
        if self._is_closed:
            process.kill()
        return process

    async def _start_of(self, function: Function) -> "Start":
        assert self._modules is not None
        folder = await self._unpacked(function)
        command = await asyncio.to_thread(self._runtimes.command, function, folder)
        start: Start = self._modules[0].Start(
            command=command,
            environment=self._environment(function, folder),
            folder=folder,
            memory_mb=function.memory_mb,
        )
        return start

    def code_folder(self, function: Function) -> Path:
        """Where the code of a function's present revision is unpacked."""
        return (self._store.folder / CODE_FOLDER / f"{function.name}-{function.revision_id}").absolute()

    async def _unpacked(self, function: Function) -> Path:
        """The folder with the function's code, which is in it then."""
        folder = self.code_folder(function)
        if not folder.is_dir():
            code = functions.get_code(self._store.reader, function.id)
            if code is None:
                raise no_function(function.arn)
            await asyncio.to_thread(unpack, code, folder)
        return folder

    def _environment(self, function: Function, folder: Path) -> dict[str, str]:
        key_id, secret = self._credentials
        runtime = function.runtime
        passed_on = {name: os.environ[name] for name in ("PATH", "LANG", "NODE_PATH", "TMPDIR") if name in os.environ}
        return {
            "TZ": ":UTC",
            **passed_on,
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            **function.variables,
            "_HANDLER": function.handler,
            "LAMBDA_TASK_ROOT": str(folder),
            "LAMBDA_RUNTIME_DIR": str(Path(__file__).parent / "runtime"),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{self._clock.now():%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}",
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL": function.variables.get("AWS_ENDPOINT_URL", self._endpoint_url),
            # The person's own profiles, which may lead to AWS, are not the function's.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class _Pool:
    """The processes of one revision of a function."""

    def __init__(self, owner: LambdaFunctions, function: Function) -> None:
        self._owner, self._function = owner, function
        self.revision = (function.revision_id, function.code_sha256)
        #: The one used last comes last.
        self.idle: list[FunctionProcess] = []
        self._timers: dict[FunctionProcess, asyncio.TimerHandle] = {}
        self._busy: set[FunctionProcess] = set()
        self._starting = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_retired = False

    async def acquire(self) -> "FunctionProcess":
        """A process that is doing nothing else."""
        while True:
            while self.idle:
                process = self.idle.pop()
                self._timers.pop(process).cancel()
                if process.is_ended:
                    continue
                self._busy.add(process)
                return process
            if len(self._busy) + self._starting < MAX_PROCESSES:
                return await self._start()
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._wake_one()
                raise
            finally:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(place)

    async def _start(self) -> "FunctionProcess":
        self._starting += 1
        try:
            process = await self._owner.start_process(self._function)
        except BaseException:
            self._starting -= 1
            self._wake_one()
            raise
        self._starting -= 1
        self._busy.add(process)
        return process

    def release(self, process: "FunctionProcess") -> None:
        """The process has ended its invocation, or itself."""
        self._busy.discard(process)
        if process.is_ended or self._is_retired:
            process.kill()
            self.drop_code_if_done()
        else:
            self.idle.append(process)
            loop = asyncio.get_running_loop()
            self._timers[process] = loop.call_later(IDLE_SECONDS, self._end_idle, process)
        self._wake_one()

    def drop_code_if_done(self) -> None:
        """Remove the code of a revision that was replaced, once nothing runs it any more."""
        if self._is_retired and not self._busy and not self._starting and not self._waiting:
            folder = self._owner.code_folder(self._function)
            asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, folder, True)

    def end_oldest(self) -> None:
        """End the process that has been idle for the longest time."""
        self._end_idle(self.idle[0])

    def _end_idle(self, process: "FunctionProcess") -> None:
        self.idle.remove(process)
        self._timers.pop(process).cancel()
        process.kill()

    def _wake_one(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return

    def retire(self) -> list["FunctionProcess"]:
        """Keep none any more; answers those that are idle."""
        self._is_retired = True
        idle, self.idle = self.idle, []
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        return idle


def unpack(code: bytes, folder: Path) -> None:
    """Write a function's code into a folder, all of it or nothing.

    Raises:
        CodeArchiveError: it cannot be unpacked.
        OSError: the disk refuses it.
    """
    draft = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        draft.mkdir(parents=True, mode=0o700)
        for entry in entries_of(code):
            path = draft / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(entry.content)
            path.chmod(0o755 if entry.is_executable else 0o644)
        with contextlib.suppress(OSError):  # another process of the function was faster
            draft.rename(folder)
        if not folder.is_dir():
            raise OSError(f"cannot make {folder}")
    finally:
        shutil.rmtree(draft, ignore_errors=True)
