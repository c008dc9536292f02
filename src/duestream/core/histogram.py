"""Histograms: fixed bounds for what a scraper reads, and exponential buckets for percentiles kept over days."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence

#: Each bucket of a distribution is a tenth wider than the one below (CloudWatch's own distributions are made so).
GROWTH = 1.1
_LOG_GROWTH = math.log(GROWTH)
#: The bucket of exactly nothing; no logarithm leads to it.
ZERO_BUCKET = -(2**15)


class Histogram:
    """Counts of values up to each of some bounds, and beyond them.

    Args:
        bounds: upper bounds, each belonging to its bucket, in ascending order.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count one value, seen so often."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self.counts)


def bucket_of(value: float) -> int:
    """The exponential bucket of a value: the k with GROWTH**k <= value < GROWTH**(k+1). Negative values count as 0."""
    return ZERO_BUCKET if value <= 0 else math.floor(math.log(value) / _LOG_GROWTH)


def percentile(distribution: Mapping[int, float], percent: float, *, minimum: float, maximum: float) -> float:
    """The value under which so many percent of the values lie, off by less than a tenth.

    Args:
        distribution: exponential bucket (`bucket_of`) to how many values it has; not empty.
        percent: from 0 to 100.
        minimum, maximum: of the values; no answer lies beyond them.
    """
    wanted = sum(distribution.values()) * percent / 100
    seen = 0.0
    for bucket, count in sorted(distribution.items()):
        if seen + count >= wanted:
            if bucket == ZERO_BUCKET:
                return max(0.0, minimum) if minimum > 0 else min(0.0, maximum)
            low = GROWTH**bucket
            value = low + (low * GROWTH - low) * (wanted - seen) / count
            return min(max(value, minimum), maximum)
        seen += count
    return maximum
