"""What follows a batch that a function was called with: the next one, the same again, halves of it, or giving up.

Source: Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB", and answers of AWS recorded by LocalStack
(SEMANTICS.md C3).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

#: The first wait before a failed batch is tried again; each further one doubles. (AWS publishes none.)
FIRST_BACKOFF_MS = 200
MAX_BACKOFF_MS = 60_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be tried: what follows the position, up to this record, after so many failed attempts."""

    last_sequence: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Next:
    """Where a lane goes on.

    Args:
        sequence: done up to this record.
        batches: what is to be tried again, in this order, before anything new is read.
        given_up: how many records at the end of the batch are not tried any more.
        backoff_ms: how long to wait before the first of `batches`.
    """

    sequence: int
    batches: tuple[Batch, ...]
    given_up: int = 0
    backoff_ms: int = 0


def after_batch(
    sequences: Sequence[int],
    *,
    position: int,
    batch: Batch,
    further: tuple[Batch, ...],
    first_failed: int | None,
    bisects: bool,
    maximum_retries: int,
) -> Next:
    """Decide what follows.

    Args:
        sequences: the batch's records, in their order.
        position: what was done before the batch.
        batch: the batch.
        further: batches that wait behind it.
        first_failed: index of the first record that failed; 0 if all did; None if none did.
        bisects: BisectBatchOnFunctionError.
        maximum_retries: MaximumRetryAttempts; -1: without end.
    """
    if first_failed is None:
        return Next(batch.last_sequence, further)
    done = position if first_failed == 0 else sequences[first_failed - 1]
    remaining = sequences[first_failed:]
    if bisects and first_failed > 0:  # cut at the record that was returned; a cut uses up no attempt
        return Next(done, (batch, *further))
    if bisects and len(remaining) > 1:
        middle = remaining[(len(remaining) - 1) // 2]
        return Next(done, (Batch(middle, batch.attempts), batch, *further))
    attempts = batch.attempts + 1
    if 0 <= maximum_retries < attempts:
        return Next(batch.last_sequence, further, given_up=len(remaining))
    again = Batch(batch.last_sequence, attempts)
    return Next(done, (again, *further), backoff_ms=min(FIRST_BACKOFF_MS << min(attempts - 1, 20), MAX_BACKOFF_MS))


def first_failed_of(answer: bytes, identifiers: Sequence[str]) -> int | None:
    """Read a partial batch response: the index of the first item that failed; None: all is well; 0 also for an answer
    that cannot be understood, which fails the whole batch."""
    failed = failed_items(answer, identifiers)
    if failed is None:
        return 0
    return min(failed, default=None)


def failed_items(answer: bytes, identifiers: Sequence[str]) -> set[int] | None:
    """Read a partial batch response: the indexes of all items that failed; None: the whole batch did."""
    try:
        response = json.loads(answer) if answer else None
    except ValueError:
        return None
    failures = response.get("batchItemFailures") if isinstance(response, dict) else None
    if failures is None:
        return set()
    if not isinstance(failures, list):
        return None
    places = {identifier: index for index, identifier in enumerate(identifiers)}
    found = set()
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or identifier not in places:
            return None
        found.add(places[identifier])
    return found
