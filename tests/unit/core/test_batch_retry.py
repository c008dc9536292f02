"""What follows a batch: recorded answers, and rules that hold for every course of events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.batch_retry import MAX_BACKOFF_MS, Batch, Next, after_batch, failed_items, first_failed_of

NUMBERS = ["101", "102", "103"]


@pytest.mark.parametrize(
    ("answer", "first_failed"),
    [
        # The eleven cases that LocalStack recorded from AWS (SEMANTICS.md C3): complete success ...
        (b"[]", None),
        (b"null", None),
        (b"{}", None),
        (b'{"batchItemFailures": []}', None),
        (b'{"batchItemFailures": null}', None),
        # ... and complete failure (the eleventh, an exception, is no answer)
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', 0),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', 0),
        (b'{"batchItemFailures": [{"wrongKey": "102"}]}', 0),
        (b'{"batchItemFailures": [{"itemIdentifier": "nobody"}]}', 0),
        (b'{"batchItemFailures": [{"itemIdentifier": "103"}, {"itemIdentifier": "102"}]}', 1),
        # What a handler answers that thinks of API Gateway is no word about items.
        (b'{"statusCode": 500}', None),
        (b'{"batchItemFailures": "102"}', 0),
        (b"no json", 0),
        (b"", None),
    ],
)
def test_partial_answers_are_read_as_aws_reads_them(answer: bytes, first_failed: int | None) -> None:
    assert first_failed_of(answer, NUMBERS) == first_failed


def test_all_failed_items_of_a_queue_are_told() -> None:
    answer = b'{"batchItemFailures": [{"itemIdentifier": "103"}, {"itemIdentifier": "101"}]}'
    assert failed_items(answer, NUMBERS) == {0, 2}


def follow(
    sequences: list[int],
    first_failed: int | None,
    *,
    attempts: int = 0,
    bisects: bool = False,
    maximum_retries: int = -1,
) -> Next:
    return after_batch(
        sequences,
        position=sequences[0] - 1,
        batch=Batch(sequences[-1], attempts),
        further=(Batch(99, 0),),
        first_failed=first_failed,
        bisects=bisects,
        maximum_retries=maximum_retries,
    )


def test_a_batch_that_went_well_is_done_and_the_next_one_follows() -> None:
    assert follow([1, 2, 3], None) == Next(3, (Batch(99, 0),))


def test_a_failed_batch_is_tried_again_with_growing_waits() -> None:
    assert follow([1, 2, 3], 0) == Next(0, (Batch(3, 1), Batch(99, 0)), backoff_ms=200)
    assert follow([1, 2, 3], 0, attempts=3).backoff_ms == 1600
    assert follow([1, 2, 3], 0, attempts=10_000).backoff_ms == MAX_BACKOFF_MS


def test_after_a_partial_answer_only_the_rest_is_tried_again_or_given_up() -> None:
    assert follow([1, 2, 3], 1) == Next(1, (Batch(3, 1), Batch(99, 0)), backoff_ms=200)
    assert follow([1, 2, 3], 1, maximum_retries=0) == Next(3, (Batch(99, 0),), given_up=2)


def test_a_bisect_uses_up_no_attempt() -> None:
    assert follow([1, 2, 3, 4], 0, bisects=True, maximum_retries=0) == Next(0, (Batch(2, 0), Batch(4, 0), Batch(99, 0)))
    assert follow([1, 2, 3, 4], 2, bisects=True, maximum_retries=0) == Next(2, (Batch(4, 0), Batch(99, 0)))
    assert follow([4], 0, bisects=True, maximum_retries=0) == Next(4, (Batch(99, 0),), given_up=1)


@given(
    size=st.integers(1, 40),
    bad=st.sets(st.integers(1, 40), max_size=5),
    bisects=st.booleans(),
    reports=st.booleans(),
    maximum_retries=st.integers(0, 3),
)
def test_every_record_is_taken_or_given_up_once_and_in_order(
    size: int, bad: set[int], bisects: bool, reports: bool, maximum_retries: int
) -> None:
    """A function that fails for bad records, whatever the settings: it ends, and nothing is passed over unsaid."""
    position = 0
    batches: tuple[Batch, ...] = (Batch(size, 0),)
    taken: list[int] = []
    given_up: list[int] = []
    while batches:
        batch, further = batches[0], batches[1:]
        sequences = list(range(position + 1, batch.last_sequence + 1))
        failing = [index for index, sequence in enumerate(sequences) if sequence in bad]
        first_failed = None if not failing else failing[0] if reports else 0
        following = after_batch(
            sequences,
            position=position,
            batch=batch,
            further=further,
            first_failed=first_failed,
            bisects=bisects,
            maximum_retries=maximum_retries,
        )
        done = [sequence for sequence in sequences if sequence <= following.sequence]
        lost = done[len(done) - following.given_up :] if following.given_up else []
        given_up += lost
        taken += done[: len(done) - len(lost)]
        position, batches = following.sequence, following.batches
    assert sorted(taken + given_up) == list(range(1, size + 1))
    assert set(taken).isdisjoint(bad)
    assert taken == sorted(taken)
    if bisects:
        assert set(given_up) == {sequence for sequence in bad if sequence <= size}
