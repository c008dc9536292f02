"""Client request tokens of DynamoDB's transactions: which were carried out, so that a repeated one changes nothing.

A row is narrow and its id a hash; a clash of hashes shows as a refused request, never as a lost one.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from duestream.local.store.writer import Transaction

#: "A client request token is valid for 10 minutes after the first request that uses it is completed"
#: (API reference, TransactWriteItems).
RETENTION_MS = 10 * 60 * 1000
#: Old rows that each new one takes along: more than one, so that the table shrinks after a rush.
_TRIMMED_AT_ONCE = 4


def is_repeated(
    tx: Transaction, operation: str, token: str, parameters: Mapping[str, Any], *, now_ms: int
) -> bool | None:
    """Say whether this operation was carried out with this token within the retention.

    Returns:
        True: with the same parameters. False: with other ones. None: it was not.
    """
    request = tx.execute(
        "SELECT request FROM transaction_token WHERE id = ? AND created_at_ms > ?",
        (_id_of(operation, token), now_ms - RETENTION_MS),
    ).get
    return None if request is None else request == _digest(parameters)


def remember(tx: Transaction, operation: str, token: str, parameters: Mapping[str, Any], *, now_ms: int) -> None:
    """Keep a token in the transaction that it stands for; trim what is too old."""
    tx.execute(
        "DELETE FROM transaction_token WHERE id IN "
        "(SELECT id FROM transaction_token WHERE created_at_ms <= ? ORDER BY created_at_ms LIMIT ?)",
        (now_ms - RETENTION_MS, _TRIMMED_AT_ONCE),
    )
    tx.execute(
        "INSERT OR REPLACE INTO transaction_token (id, request, created_at_ms) VALUES (?, ?, ?)",
        (_id_of(operation, token), _digest(parameters), now_ms),
    )


def _id_of(operation: str, token: str) -> int:
    digest = hashlib.blake2b(f"{operation}/{token}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def _digest(parameters: Mapping[str, Any]) -> bytes:
    """A hash of the parameters but the token; the order of members does not matter (as on AWS), that of lists does."""
    members = {name: value for name, value in parameters.items() if name != "ClientRequestToken"}
    return hashlib.blake2b(msgspec.json.encode(members, order="sorted"), digest_size=16).digest()
