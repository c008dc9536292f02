"""Histograms count exactly; percentiles of exponential buckets are off by less than a tenth."""

import random

import pytest

from duestream.core.histogram import ZERO_BUCKET, Histogram, bucket_of, percentile


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1, 10))
    for value in (0, 1, 1.5, 10, 11):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1]
    assert (histogram.count, histogram.total) == (5, 23.5)


@pytest.mark.parametrize("value", [1e-9, 0.5, 1, 1.1, 99.9, 1e12])
def test_a_bucket_holds_its_values(value: float) -> None:
    bucket = bucket_of(value)
    assert 1.1**bucket <= value * (1 + 1e-12)
    assert value < 1.1 ** (bucket + 1) * (1 + 1e-12)


def test_what_is_not_positive_is_in_the_bucket_of_nothing() -> None:
    assert bucket_of(0) == bucket_of(-5) == ZERO_BUCKET


@pytest.mark.parametrize("percent", [0, 1, 50, 90, 99, 99.9, 100])
def test_percentiles_are_off_by_less_than_a_tenth(percent: float) -> None:
    values = sorted(random.Random(7).lognormvariate(3, 2) for _ in range(10_000))
    distribution: dict[int, float] = {}
    for value in values:
        distribution[bucket_of(value)] = distribution.get(bucket_of(value), 0) + 1
    exact = values[min(int(len(values) * percent / 100), len(values) - 1)]
    told = percentile(distribution, percent, minimum=values[0], maximum=values[-1])
    assert told == pytest.approx(exact, rel=0.1)


def test_percentiles_stay_within_what_was_seen() -> None:
    assert percentile({ZERO_BUCKET: 9, bucket_of(7): 1}, 50, minimum=0, maximum=7) == 0
    assert percentile({ZERO_BUCKET: 9, bucket_of(7): 1}, 100, minimum=0, maximum=7) == 7
    assert percentile({bucket_of(7): 5}, 10, minimum=7, maximum=7) == 7
