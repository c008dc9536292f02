"""The runtime of Python functions: AWS's own runtime client where it is installed, or the loop below.

The loop follows AWS's documentation of the runtime API
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). Only the standard library is needed, so that any
Python 3.9 or newer can run it. It is started as a file, with the function's folder as LAMBDA_TASK_ROOT.
"""

from __future__ import annotations

import decimal
import http.client
import importlib
import json
import logging
import os
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "/2018-06-01/runtime"


def watch_parent() -> None:
    """End with the server: its end of our standard input closes when it ends, however that comes."""

    def watch() -> None:
        try:
            while os.read(0, 1024):
                pass
        finally:
            os._exit(1)

    threading.Thread(target=watch, name="watch", daemon=True).start()


def request(
    method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, bytes]:
    """One request to the runtime API: status, headers, body."""
    host, _, token = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")
    connection = http.client.HTTPConnection(host)
    try:
        connection.request(method, f"/{token}{VERSION}{path}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def error_body(kind: str, message: str, trace: Any = (), request_id: str = "") -> bytes:
    """An error as AWS's runtime reports it."""
    body = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": list(trace)}
    return json.dumps(body).encode()


def end_with_init_error(kind: str, message: str, trace: Any = ()) -> NoReturn:
    """The function cannot be loaded: say so, and end."""
    print(f"[ERROR] {kind}: {message}\n{''.join(trace)}", flush=True)  # noqa: T201 - the function's log
    request("POST", "/init/error", error_body(kind, message, trace), {"Lambda-Runtime-Function-Error-Type": kind})
    os._exit(1)


def load_handler(name: str) -> Callable[[Any, Any], Any]:
    """Find ``module.function``."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        end_with_init_error(
            "Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
        )
    module_name = module_name.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        end_with_init_error("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}")
    except SyntaxError as error:
        end_with_init_error("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}")
    except BaseException as error:  # noqa: BLE001 - whatever the user's code raises
        end_with_init_error(type(error).__name__, str(error), traceback.format_exc().splitlines(keepends=True))
    handler = getattr(module, function_name, None)
    if handler is None:
        end_with_init_error("Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'")
    return handler  # type: ignore[no-any-return]  # whatever the user has put there


class MarshalError(Exception):
    """What the handler returned is no JSON."""


class Context:
    """What a handler gets as its second argument."""

    def __init__(self, headers: Any) -> None:
        environ = os.environ
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        client_context = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = json.loads(client_context) if client_context else None
        self.identity = None
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self) -> int:
        """How long the function may still take."""
        return max(0, self._deadline_ms - int(time.time() * 1000))  # noqa: TID251 - a process of its own

    def log(self, message: object) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(message))


def to_json(value: Any) -> float:
    """What AWS's runtime also takes."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def run_loop(handler_name: str) -> NoReturn:
    """Invocations, one after the other, until the server ends this process."""
    logging.basicConfig(
        stream=sys.stdout, format="[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
    )
    logging.Formatter.converter = time.gmtime
    handler = load_handler(handler_name)
    while True:
        status, headers, body = request("GET", "/invocation/next")
        if status != 200:
            os._exit(0)
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        try:
            value = handler(json.loads(body), Context(headers))
            try:
                answer = json.dumps(value, default=to_json).encode()
            except (TypeError, ValueError) as error:
                raise MarshalError(f"Unable to marshal response: {error}") from None
        except BaseException as error:
            if isinstance(error, (SystemExit, KeyboardInterrupt)):
                raise
            kind = "Runtime.MarshalError" if isinstance(error, MarshalError) else type(error).__name__
            trace = traceback.format_exc().splitlines(keepends=True)
            print(f"[ERROR] {kind}: {error}\n{''.join(trace)}", flush=True)  # noqa: T201 - as above
            failure = error_body(kind, str(error), trace, request_id)
            headers = {"Lambda-Runtime-Function-Error-Type": kind}
            request("POST", f"/invocation/{request_id}/error", failure, headers)
        else:
            request("POST", f"/invocation/{request_id}/response", answer)


def run_aws_client(handler_name: str) -> None:
    """AWS's own client, whose loop does not end. Does nothing where it is not installed."""
    try:
        from awslambdaric import bootstrap, lambda_runtime_client  # noqa: PLC0415 - there or not
    except ImportError:
        return
    if getattr(lambda_runtime_client, "runtime_client", None) is None:
        return

    class Client(lambda_runtime_client.LambdaRuntimeClient):  # type: ignore[misc]  # it has no types
        """Its native part takes an address with a path; this part of it does not."""

        def call_rapid(
            self, http_method: str, endpoint: str, expected_http_code: int, payload: Any = None, headers: Any = None
        ) -> None:
            body = None if payload is None else json.dumps(payload, default=str).encode()
            request(http_method, endpoint[len(VERSION) :], body, headers)

    bootstrap.run(handler_name, Client(os.environ["AWS_LAMBDA_RUNTIME_API"]))


def main() -> None:
    """Set the function's surroundings up and serve it."""
    watch_parent()
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - imports of pathlib cost time here
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != here]  # noqa: PTH100 - as above
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    sys.path += [path for path in sys.argv[1:] if path not in sys.path]
    sys.argv[1:] = []
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is a text file
    handler_name = os.environ["_HANDLER"]
    run_aws_client(handler_name)
    run_loop(handler_name)


if __name__ == "__main__":
    main()
