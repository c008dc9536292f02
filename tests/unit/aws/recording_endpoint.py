"""An endpoint that keeps requests and answers as it was told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Recorder(ThreadingHTTPServer):
    """An endpoint that keeps requests and gives the answers it was told: (status, error code, body)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.answers: list[tuple[int, str | None, bytes]] = []
        self.connections: set[Any] = set()
        self.is_silent = threading.Event()
        self.ends = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _record(self) -> None:
        recorder = self.server
        assert isinstance(recorder, Recorder)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        recorder.connections.add(self.client_address)
        recorder.requests.append(
            {"method": self.command, "url": self.path, "headers": dict(self.headers.items()), "body": body}
        )
        if recorder.is_silent.is_set():
            recorder.ends.wait(30)
        status, code, answer = recorder.answers.pop(0) if recorder.answers else (200, None, b"{}")
        self.send_response(status)
        if code is not None:
            self.send_header("x-amzn-ErrorType", code)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_GET = do_DELETE = _record  # noqa: N815 - the names that the library calls

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's name
        """Nothing: the requests are kept."""


@contextmanager
def recording() -> Iterator[Recorder]:
    """One that serves."""
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ends.set()
            server.shutdown()
            thread.join()
