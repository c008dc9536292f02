"""Page tokens: how far the pages before have come."""

import base64
import binascii

from duestream.local.services.cloudwatch.errors import InvalidNextToken

_PREFIX = "from:"


def next_token(offset: int) -> str:
    """The token of the page that begins there."""
    return base64.urlsafe_b64encode(f"{_PREFIX}{offset}".encode()).decode()


def offset_of(token: str | None) -> int:
    """Where the page begins; 0 without a token.

    Raises:
        InvalidNextToken: it is none of ours.
    """
    if token is None:
        return 0
    try:
        prefix, _, offset = base64.b64decode(token, altchars=b"-_", validate=True).decode("ascii").partition(":")
        if f"{prefix}:" == _PREFIX and offset.isdecimal() and len(offset) < 19:
            return int(offset)
    except (binascii.Error, ValueError):
        pass
    raise InvalidNextToken("The parameter NextToken is not one that was given out.")
