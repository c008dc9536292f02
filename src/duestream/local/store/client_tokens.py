"""Client tokens in the store: what was answered to a request, so that a repeated one can be answered alike.

A row is narrow and its id a hash, so that one B-tree is all that a request pays for; a clash of hashes
(one in 10^12 with millions of tokens) shows as a refused request, never as a wrong answer.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from duestream.local.store.writer import Transaction

#: How long a token is remembered. AWS documents no time; eight hours outlast every client's retries.
RETENTION_MS = 8 * 60 * 60 * 1000
#: Old rows that each new one takes along: more than one, so that the table shrinks after a rush.
_TRIMMED_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answer to an earlier request with the same token."""

    #: The earlier request had the same parameters.
    is_same_request: bool
    answer: dict[str, Any]
    #: Of the schedule, as the earlier request left it.
    version: int | None
    created_at_ms: int


def find(
    tx: Transaction, operation: str, token: str, parameters: Mapping[str, Any], *, now_ms: int
) -> Remembered | None:
    """What was answered to this operation with this token, if that was within the retention."""
    found = tx.execute(
        "SELECT request, answer, version, created_at_ms FROM client_token WHERE id = ? AND created_at_ms > ?",
        (_id_of(operation, token), now_ms - RETENTION_MS),
    ).fetchone()
    if found is None:
        return None
    request, answer, version, created_at_ms = found
    return Remembered(request == _digest(parameters), msgspec.json.decode(answer), version, created_at_ms)


def remember(
    tx: Transaction,
    operation: str,
    token: str,
    parameters: Mapping[str, Any],
    *,
    answer: Mapping[str, Any],
    version: int | None,
    now_ms: int,
) -> None:
    """Keep the answer, in the place of an earlier one of the same token; trim what is too old."""
    tx.execute(
        "DELETE FROM client_token WHERE id IN "
        "(SELECT id FROM client_token WHERE created_at_ms <= ? ORDER BY created_at_ms LIMIT ?)",
        (now_ms - RETENTION_MS, _TRIMMED_AT_ONCE),
    )
    tx.execute(
        "INSERT OR REPLACE INTO client_token (id, request, answer, version, created_at_ms) VALUES (?, ?, ?, ?, ?)",
        (_id_of(operation, token), _digest(parameters), msgspec.json.encode(answer), version, now_ms),
    )


def _id_of(operation: str, token: str) -> int:
    digest = hashlib.blake2b(f"{operation}/{token}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def _digest(parameters: Mapping[str, Any]) -> bytes:
    """A hash of the parameters but the token; the order of members does not matter, that of lists does."""
    members = {name: value for name, value in parameters.items() if name != "ClientToken"}
    return hashlib.blake2b(msgspec.json.encode(members, order="sorted"), digest_size=16).digest()
