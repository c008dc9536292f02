"""moto's server as a program of its own: ``python -m duestream.local.engine.moto_child [PORT]``.

Takes a free port, says which on stdout, and ends when its stdin does, so that it never outlives who started it.
PORT is where state machines find the services that their tasks call; without it, at moto itself.
"""

import io
import json
import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

#: The one account that is served here.
ACCOUNT_ID = "000000000000"


def main() -> None:
    """Serve until stdin ends."""
    os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT_ID
    from moto.core.config import default_user_config  # noqa: PLC0415 - after the environment is set
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415

    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server(
        "127.0.0.1",
        0,
        _naming_executions(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    os.environ["MOTO_PORT"] = sys.argv[1] if len(sys.argv) > 1 else str(server.server_port)
    threading.Thread(target=server.serve_forever, name="moto", daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # a state machine that still runs would keep the process


def _naming_executions(application: Callable[..., Any]) -> Callable[..., Any]:
    """AWS names an execution that its starter did not; moto calls all of them None, and so refuses the second."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("HTTP_X_AMZ_TARGET") == "AWSStepFunctions.StartExecution":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            with suppress(ValueError, AttributeError):
                body = json.dumps({"name": str(uuid.uuid4()), **json.loads(body)}).encode()
            environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        return application(environ, start_response)

    return answer


if __name__ == "__main__":
    main()
