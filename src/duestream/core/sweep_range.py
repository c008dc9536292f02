"""Which part of an index a sweep reads: everything that may be due, and as little else as its order allows.

The index is in the order of its sort key, the timestamp attribute as it was written. That is the order of time for

- numbers: seconds since 1970, and milliseconds, which are told apart by their size and are two parts of the index;
- texts in UTC, or without an offset in the rule's time zone, with ``T`` between date and time.

Texts with another offset stand where their local time puts them: those of the east up to 14 hours later than they are
due, those of the west earlier. They are found all the same, by a wide sweep every `WIDE_EVERY`, which reads 14 hours
further. Whatever is read is judged by the moment that it names, not by its place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from duestream.core.record import AttributeValue
from duestream.core.rule import Rule
from duestream.core.timestamps import MIN_EPOCH_MILLISECONDS, find_zone

#: How often texts are looked for that stand too far back.
WIDE_EVERY = timedelta(minutes=15)
#: The easternmost offset in use.
EASTERNMOST = timedelta(hours=14)
#: Sorts behind everything that may follow a minute in a timestamp.
_LAST = "~"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SweepRange:
    """A part of each shard, in the index's own order.

    Args:
        upper: the last value that is read.
        lower: the first; None: from the beginning.
        is_wide: beyond the place where anything due should stand.
    """

    upper: AttributeValue
    lower: AttributeValue | None = None
    is_wide: bool = False


def sweep_ranges(rule: Rule, now: datetime) -> Iterator[SweepRange]:
    """What a sweep at this moment reads of each shard.

    Args:
        rule: with ``via=Sweep(...)``.
        now: the present moment, aware.
    """
    assert rule.via is not None
    latest = now - rule.offset  # a timestamp up to here is due
    if rule.via.timestamp_type == "N":
        microseconds = (latest - _EPOCH) // timedelta(microseconds=1)
        yield SweepRange({"N": _plain(Decimal(microseconds) / 1_000_000)})
        yield SweepRange({"N": _plain(Decimal(microseconds) / 1_000)}, {"N": str(MIN_EPOCH_MILLISECONDS)})
        return
    zone = find_zone(rule.timezone)
    # The day before has the other offset where clocks have just been put back.
    offsets = [moment.astimezone(zone).utcoffset() or timedelta(0) for moment in (latest, latest - timedelta(days=1))]
    tight = {"S": _text(latest + max(timedelta(0), *offsets))}
    yield SweepRange(tight)
    if is_wide_sweep(rule.via.every, now):
        yield SweepRange({"S": _text(latest + EASTERNMOST)}, tight, is_wide=True)


def is_wide_sweep(every: timedelta, now: datetime) -> bool:
    """Whether the sweep of this moment reads further: the first one of each `WIDE_EVERY`."""
    return (now - _EPOCH) % WIDE_EVERY < max(every, _MINUTE)


def _text(local: datetime) -> str:
    """Behind every text that begins with this minute. Seconds would put ``09:30Z`` behind ``09:30:59``."""
    return f"{local.astimezone(UTC).isoformat()[:16]}{_LAST}"


def _plain(number: Decimal) -> str:
    """Without an exponent, which is of no use to a reader."""
    return f"{number:f}"
