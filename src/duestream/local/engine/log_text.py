"""Reasons as they stand in the log: not too long, and without what may be secret in URLs."""

import re

MAX_CHARACTERS = 1024
#: User names, passwords, queries and fragments: tokens stand there.
_URL = re.compile(r"(https?://)(?:[^\s/@]*@)?([^\s?#]*)([?#]\S*)?", re.IGNORECASE)


def for_log(reason: str | None) -> str | None:
    """What a target or a rule said, for the log. Outcomes and dead letters keep it whole."""
    if reason is None:
        return None
    if "://" in reason:
        reason = _URL.sub(lambda found: found[1] + found[2] + ("?..." if found[3] else ""), reason)
    return reason if len(reason) <= MAX_CHARACTERS else reason[:MAX_CHARACTERS] + "..."
