"""What an invocation of a Lambda function ends with."""

import json
from dataclasses import dataclass

#: AWS's limits of what is sent in and out ("Lambda quotas"): 6 MB, and 1 MB for asynchronous invocations.
MAX_PAYLOAD_BYTES = 6_291_456
MAX_EVENT_BYTES = 1_048_576
MAX_REASON_LENGTH = 1024
#: How much of the log an answer carries.
LOG_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """How an invocation ended. `function_error` is AWS's ``Unhandled``, or None where it went well."""

    request_id: str
    payload: bytes
    function_error: str | None = None
    log_tail: bytes = b""

    @property
    def reason(self) -> str:
        """What went wrong, for people: the error's type and message, as far as a dead letter has room."""
        try:
            error = json.loads(self.payload)
            return f"{error['errorType']}: {error['errorMessage']}"[:MAX_REASON_LENGTH]
        except (ValueError, KeyError, TypeError):
            return self.payload[:300].decode("utf-8", "replace")


def error_payload(kind: str, message: str) -> bytes:
    """The payload of an error that the function itself could not report."""
    return json.dumps({"errorType": kind, "errorMessage": message}, separators=(",", ":")).encode()
