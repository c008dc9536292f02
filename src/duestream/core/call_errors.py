"""What AWS's refusals of a call say about trying again."""

from collections.abc import Mapping
from typing import Any

from duestream.errors import DeliveryError

#: So much of an error is told.
MAX_TOLD_CHARACTERS = 500
#: Codes with a status of 4xx after which a later attempt may go well (botocore's own list, and IAM's slowness).
_THROTTLED = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown", "ProvisionedThroughputExceeded")
#: How the codes of AWS's services begin that say that the request itself is wrong. Whatever is not among these is
#: tried again: what is missing may be made later, and a permission granted.
_WRONG_REQUEST = ("Validation", "Invalid", "Malformed", "Missing", "Unknown", "Serialization", "UnsupportedOperation")
#: Further names of that kind, with other beginnings (SES, SQS, Lambda).
_REFUSED = frozenset({"MessageRejected", "MessageTooLong", "RequestTooLargeException"})
#: The exceptions to that: credentials that have run out or are not known yet.
_MENDED_LATER = frozenset({"InvalidClientTokenId", "InvalidSignatureException", "MissingAuthenticationToken"})
#: In answers of status 200: how many of a batch were refused.
_FAILED_COUNTS = ("FailedEntryCount", "FailedRecordCount", "FailedPutCount")


def refusal(response: Mapping[str, Any]) -> DeliveryError:
    """An answer of AWS's that is an error, as botocore's ClientError has it."""
    facts = response.get("Error", {})
    code, message = str(facts.get("Code") or "Unknown"), str(facts.get("Message") or "no reason given")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return DeliveryError(code, message[:MAX_TOLD_CHARACTERS], retryable=not is_permanent(code, status))


def is_permanent(code: str, status: int) -> bool:
    """Whether the request itself is refused, and would be again."""
    if status >= 500 or status in (408, 429) or code in _MENDED_LATER or any(word in code for word in _THROTTLED):
        return False
    name = code.rpartition(".")[2]
    return name in _REFUSED or name.startswith(_WRONG_REQUEST) or status == 413


def check_answer(answer: Mapping[str, Any]) -> None:
    """An answer of 200 may still say that what was sent was not taken.

    Raises:
        DeliveryError: so it does.
    """
    if not any(answer.get(count) for count in _FAILED_COUNTS):
        return
    entries = answer.get("Entries") or answer.get("Records") or answer.get("RequestResponses") or []
    for entry in entries:
        if code := entry.get("ErrorCode"):
            message = str(entry.get("ErrorMessage") or "no reason given")[:MAX_TOLD_CHARACTERS]
            raise DeliveryError(str(code), message, retryable=not is_permanent(str(code), 400))
    raise DeliveryError("PartialFailure", "a part of the request was not taken", retryable=True)
