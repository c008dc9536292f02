"""Failed calls to AWS: what each one means for the call itself and for those beside it. Pure.

Source of the codes: the EventBridge Scheduler API reference ("Common error types", and each operation's errors), the
DynamoDB Developer Guide ("Error handling with DynamoDB"), and what was met in practice (SEMANTICS.md B5, B6).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from duestream.errors import Error

_THROTTLED = frozenset(
    ("ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded",
     "RequestThrottled", "RequestThrottledException", "SlowDown", "LimitExceededException",
     "ProvisionedThroughputExceededException")
)  # fmt: skip
_TRANSIENT = frozenset(
    ("InternalServerException", "InternalServerError", "InternalFailure", "InternalError", "ServiceUnavailable",
     "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException",
     "TransactionConflictException", "TransactionInProgressException", "ReplicatedWriteConflictException")
)  # fmt: skip
_MISSING = frozenset(("ResourceNotFoundException",))
_CONFLICT = frozenset(("ConflictException",))
_CONDITION = frozenset(("ConditionalCheckFailedException",))
_INVALID = frozenset(("ValidationException", "ValidationError", "SerializationException", "RequestEntityTooLarge"))
#: A role is not known everywhere for some seconds after it was made; Scheduler says so with a ValidationException.
_ROLE_IS_NOT_ASSUMED = "must allow AWS EventBridge Scheduler to assume the role"


class Meaning(Enum):
    """What follows from a failure."""

    #: Too many calls: all calls are to slow down, and this one is to be made again.
    THROTTLED = "throttled"
    #: Nobody knows whether it was done, or it may go well at once: to be made again.
    TRANSIENT = "transient"
    #: It is there already; or it is being changed by another call, and can be made again.
    CONFLICT = "conflict"
    #: The item is not as the request demands: nothing was done, and nothing is to be done.
    CONDITION = "condition"
    #: The schedule, or its group, is not there.
    MISSING = "missing"
    #: This very request is refused, and always will be.
    REFUSED = "refused"
    #: There is no room for more schedules; other calls may go well.
    NO_ROOM = "no room"
    #: No call will go well: permissions, credentials, roles, endpoints.
    HOPELESS = "hopeless"


class CallError(Error):
    """A call to AWS that failed.

    Args:
        code: AWS's name of the error, or ``ConnectionError`` where there was no answer.
        message: what it said.
        status: the HTTP status; 0 where there was no answer.
    """

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code, self.message, self.status = code, message, status

    @property
    def meaning(self) -> Meaning:
        """What follows from it."""
        return meaning_of(self.code, self.message, self.status)


def meaning_of(code: str, message: str, status: int) -> Meaning:
    """Tell by the code, which decides, or else by the HTTP status."""
    if code in _INVALID:
        return Meaning.HOPELESS if _ROLE_IS_NOT_ASSUMED in message else Meaning.REFUSED
    if code == "ServiceQuotaExceededException":
        return Meaning.NO_ROOM
    for codes, meaning in (
        (_THROTTLED, Meaning.THROTTLED),
        (_TRANSIENT, Meaning.TRANSIENT),
        (_CONFLICT, Meaning.CONFLICT),
        (_CONDITION, Meaning.CONDITION),
        (_MISSING, Meaning.MISSING),
    ):
        if code in codes:
            return meaning
    if status == 429:
        return Meaning.THROTTLED
    if status == 413:
        return Meaning.REFUSED
    return Meaning.TRANSIENT if status == 0 or status == 408 or status >= 500 else Meaning.HOPELESS


def error_from(response: Mapping[str, Any]) -> CallError:
    """What botocore's `ClientError.response` says."""
    described = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return CallError(str(described.get("Code", "Unknown")), str(described.get("Message", "")), status)
