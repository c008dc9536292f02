"""Next tokens: where the next page of a list begins, opaque to clients, refused when garbled."""

import base64
import binascii
import hashlib
from typing import TypeVar

import msgspec

from duestream.errors import ValidationException

T = TypeVar("T", int, str)

_CHECK_BYTES = 8


def next_token(operation: str, after: int | str) -> str:
    """A token for the page of this operation after that place."""
    place = msgspec.json.encode([operation, after])
    return base64.urlsafe_b64encode(_check(place) + place).decode("ascii")


def read_next_token(operation: str, token: str | None, first: T) -> T:
    """The place that a token stands for; `first` where there is no token.

    Raises:
        ValidationException: the token is none of ours, or of another operation. AWS's text is not known.
    """
    if token is None:
        return first
    try:
        whole = base64.b64decode(token, altchars=b"-_", validate=True)
        check, place = whole[:_CHECK_BYTES], whole[_CHECK_BYTES:]
        its_operation, after = msgspec.json.decode(place, type=tuple[str, type(first)])  # type: ignore[misc]
    except (binascii.Error, ValueError):
        raise _refused() from None
    if check != _check(place) or its_operation != operation:
        raise _refused()
    found: T = after
    return found


def _check(place: bytes) -> bytes:
    return hashlib.blake2b(place, digest_size=_CHECK_BYTES).digest()


def _refused() -> ValidationException:
    return ValidationException("The NextToken you specify is not valid.")
