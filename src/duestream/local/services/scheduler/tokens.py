"""Client tokens: a repeated request is answered like the first, and done once.

AWS documents neither how long it remembers a token nor what a token with other parameters gets (SEMANTICS.md
B5). Ours: eight hours by the clock; the same parameters get the same answer, others a ConflictException. A
request is taken as new all the same where something else has happened since that its answer would deny: what
it made was deleted, or what it deleted was made again. Tokens may then be named after one's own things (an
order, an appointment), and no schedule goes missing for it.
"""

from collections.abc import Mapping
from typing import Any

from duestream.local.services.scheduler.errors import ConflictException
from duestream.local.store import client_tokens
from duestream.local.store.client_tokens import Remembered
from duestream.local.store.writer import Transaction


def find_answer(tx: Transaction, operation: str, parameters: Mapping[str, Any], *, now_ms: int) -> Remembered | None:
    """What the same request was answered before, if it has a token and was made before.

    Raises:
        ConflictException: the token was used with other parameters.
    """
    token = parameters.get("ClientToken")
    if token is None:
        return None
    found = client_tokens.find(tx, operation, token, parameters, now_ms=now_ms)
    if found is not None and not found.is_same_request:
        raise ConflictException(f"The client token {token} was used with other parameters.")
    return found


def keep_answer(
    tx: Transaction,
    operation: str,
    parameters: Mapping[str, Any],
    answer: dict[str, Any],
    *,
    version: int | None = None,
    now_ms: int,
) -> dict[str, Any]:
    """Remember the answer under the request's token, if it has one; gives the answer back."""
    token = parameters.get("ClientToken")
    if token is not None:
        client_tokens.remember(tx, operation, token, parameters, answer=answer, version=version, now_ms=now_ms)
    return answer
