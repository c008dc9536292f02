"""The Lambda Runtime API: where the processes of functions get their invocations and answer them.

It listens on 127.0.0.1 alone, on a port of its own; each process has a path of its own with a secret in it, so that
nobody else on the machine can answer for a function or read what it is given. aiohttp is imported with this module,
which is why the module is imported with the first function.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import secrets
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from duestream.core.invocation import MAX_PAYLOAD_BYTES

#: An answer may be over the limit, and is then refused with Lambda's own error, not by a cut connection.
MAX_ANSWER_BYTES = 2 * MAX_PAYLOAD_BYTES
#: Of our own bootstrap, with the last answer of a process.
ENDS_HEADER = "Duestream-Runtime-Ends"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event for a function. `deadline_ms` is a moment of the machine's clock, as AWS has it."""

    request_id: str
    payload: bytes
    function_arn: str
    deadline_ms: int
    client_context: str | None = None


class Runtime(Protocol):
    """The server's side of one process."""

    async def next_invocation(self) -> Invocation | None:
        """The next one, once there is one; None: there will be none."""
        ...

    def answer(self, request_id: str, payload: bytes, *, is_error: bool, is_last: bool) -> bool:
        """Take an answer; False: nobody waits for it. `is_last`: the process is about to end."""
        ...

    def fail_init(self, payload: bytes) -> None:
        """The function could not be loaded."""
        ...


class RuntimeApi:
    """The endpoint, for all processes of one server."""

    def __init__(self) -> None:
        self._runtimes: dict[str, Runtime] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        """Open the port."""
        application = web.Application(client_max_size=MAX_ANSWER_BYTES)
        application.router.add_route("*", "/{token}/2018-06-01/runtime/{what:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Close the port and all connections."""
        if self._runner is not None:
            await self._runner.cleanup()

    def register(self, runtime: Runtime) -> tuple[str, str]:
        """Give a process its secret, and its address (host, port and path)."""
        token = secrets.token_urlsafe(24)
        self._runtimes[token] = runtime
        return token, f"127.0.0.1:{self._port}/{token}"

    def forget(self, token: str) -> None:
        """The process has ended."""
        self._runtimes.pop(token, None)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        runtime = self._runtimes.get(request.match_info["token"])
        if runtime is None:
            return web.Response(status=403)
        match request.method, request.match_info["what"].split("/"):
            case "GET", ["invocation", "next"]:
                return _told(await runtime.next_invocation())
            case "POST", ["invocation", request_id, "response" | "error" as kind]:
                try:
                    payload = await request.read()
                except web.HTTPRequestEntityTooLarge:
                    payload = b"\0" * (MAX_PAYLOAD_BYTES + 1)
                is_taken = runtime.answer(
                    request_id, payload, is_error=kind == "error", is_last=ENDS_HEADER in request.headers
                )
                return _status(202) if is_taken else _status(400, "InvalidRequestID")
            case "POST", ["init", "error"]:
                runtime.fail_init(await request.read())
                return _status(202)
            case _:
                return _status(404, "NotFound")


def _status(status: int, error_type: str | None = None) -> web.Response:
    if error_type is None:
        return web.json_response({"status": "OK"}, status=status)
    return web.json_response({"errorType": error_type, "errorMessage": error_type}, status=status)


def _told(invocation: Invocation | None) -> web.Response:
    if invocation is None:
        return _status(410, "Gone")
    headers = {
        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
        "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
        "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
        "Content-Type": "application/json",
    }
    if invocation.client_context is not None:
        headers["Lambda-Runtime-Client-Context"] = invocation.client_context
    return web.Response(body=invocation.payload, headers=headers)
