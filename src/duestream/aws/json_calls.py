"""Calls to a service that speaks AWS JSON, as lean as `duestream.aws.signed_calls` makes them, and made again if need be.

What is throttled, what has no answer, and what went wrong on AWS's side is made again for a while; calls that share a
quota find the rate that is left to them (`duestream.aws.pace`).
"""

import random
import threading
from collections.abc import Callable, Mapping
from json import loads
from typing import Any

from botocore.session import Session

from duestream.aws.pace import Pace, Patience, Stopwatch, SystemStopwatch
from duestream.aws.signed_calls import Call, SignedCalls

#: For so long a call is made again. The sweep function keeps more than that back of its time.
PATIENT_SECONDS = 8.0
#: A table's throughput is its own and nobody else waits for it: the rate is raised faster than Scheduler's, half a minute
#: of slow growth would be half a sweep.
GROWTH_SHARE, GROWTH_CALLS = 0.5, 50.0


class JsonCalls:
    """Calls to one service. May be used by several threads.

    Args:
        session: botocore's.
        service: botocore's name of the service.
        region: where it is called.
        endpoint_url: None: what the environment or the profile says, or else AWS's own.
        connections: how many are kept: as many as there are threads.
        stopwatch: measures and waits.
        jitter: gives random numbers from 0 to under 1.
    """

    def __init__(
        self,
        session: Session,
        service: str,
        *,
        region: str,
        endpoint_url: str | None = None,
        connections: int,
        stopwatch: Stopwatch | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._signed = SignedCalls(session, service, region=region, endpoint_url=endpoint_url, connections=connections)
        self._model = self._signed.client.meta.service_model
        self._stopwatch, self._jitter = stopwatch or SystemStopwatch(), jitter
        self._headers: dict[str, dict[str, str]] = {}
        self._patience: dict[str, Patience] = {}
        self._making = threading.Lock()

    def make(self, operation: str, request: Mapping[str, Any], *, quota: str = "") -> dict[str, Any]:
        """The answer; binary values in it, and in the request, are base64 text.

        Args:
            operation: as AWS writes it: ``DeleteItem``.
            request: its members, as they are on the wire.
            quota: what is throttled together; a name of the caller's.

        Raises:
            CallError: AWS refused it, or nobody knows whether it was done.
        """
        call = Call("POST", (), {}, request, self._headers_of(operation))
        deadline = self._stopwatch.seconds() + PATIENT_SECONDS
        body = self._patience_of(quota).made(
            lambda seconds: self._signed.send(call, seconds=seconds), deadline=deadline
        )
        answer: dict[str, Any] = loads(body) if body else {}
        return answer

    def input_shape(self, operation: str) -> Any:
        """Botocore's shape of an operation's request."""
        return self._model.operation_model(operation).input_shape

    def _headers_of(self, operation: str) -> dict[str, str]:
        if operation not in self._headers:
            self._headers[operation] = headers_of(self._model.metadata, operation)
        return self._headers[operation]

    def _patience_of(self, quota: str) -> Patience:
        if quota not in self._patience:
            with self._making:
                pace = Pace(self._stopwatch, growth_share=GROWTH_SHARE, growth_calls=GROWTH_CALLS)
                self._patience.setdefault(quota, Patience(pace, self._stopwatch, self._jitter, lambda _: None))
        return self._patience[quota]


def headers_of(metadata: Mapping[str, Any], operation: str) -> dict[str, str]:
    """What AWS JSON says in headers, as botocore's serializer writes them.

    Args:
        metadata: of botocore's model of the service.
        operation: as AWS writes it.
    """
    headers = {
        "Content-Type": f"application/x-amz-json-{metadata['jsonVersion']}",
        "X-Amz-Target": f"{metadata['targetPrefix']}.{operation}",
    }
    if "awsQueryCompatible" in metadata:
        headers["x-amzn-query-mode"] = "true"
    return headers
