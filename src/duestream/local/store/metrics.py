"""Metrics: what was counted, in buckets of one minute, and the same counts since the process began.

A transaction counts what it does (`count`); the counts of a whole group of transactions go into their buckets just
before the group's COMMIT, so they are as durable as what they count, and cost one upsert per bucket and group
(measured: 14 µs a group; with 4,000 deliveries due at one instant, nothing beside their 80 µs each). A job that is
undone takes its counts with it. The account's metrics are the sum of those of its schedule groups, made when they are
read.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import apsw
import msgspec

from duestream.core.histogram import Histogram, bucket_of
from duestream.local.store.writer import Change, Measurement, Transaction

MINUTE_MS = 60_000
#: AWS's namespace, with AWS's names; and ours, for what AWS does not count.
SCHEDULER, DUESTREAM = "AWS/Scheduler", "duestream"
GROUP_DIMENSION = "ScheduleGroup"
LATENESS = "LatenessMilliseconds"
#: What is held, and known without counting rows (`tally`): schedules with something to come, a queue's messages.
PENDING, MESSAGES = "pending schedules", "messages"
#: Ours, and all of them counts but the lateness.
OWN_NAMES = frozenset({"Delivered", "Skipped", "Missed", "Redriven", LATENESS})
#: AWS counts here what it throttles. Nothing is throttled here: it is 0 whenever something was attempted.
THROTTLED, ATTEMPTED = "InvocationThrottleCount", "InvocationAttemptCount"

#: Upper bounds in seconds of the lateness that is kept in memory.
LATENESS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600, 86400)
#: Schedule groups that are told apart in memory; the counts of any further ones are put together.
MAX_GROUPS = 500
OTHER_GROUPS = "(other)"

Dimensions = tuple[tuple[str, str], ...]


class Executes(Protocol):
    """A connection or a transaction: what a query needs."""

    def execute(self, sql: str, bindings: Any = ()) -> apsw.Cursor:
        """Run one statement."""
        ...


@dataclass(slots=True)
class Samples:
    """The values of one metric in one span of time. `distribution`: exponential bucket to count, where it is known."""

    samples: float = 0.0
    sum: float = 0.0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    distribution: dict[int, float] | None = field(default_factory=dict)

    def add(self, value: float, weight: float = 1.0) -> None:
        """One value, seen `weight` times."""
        self.samples += weight
        self.sum += value * weight
        self.minimum, self.maximum = min(self.minimum, value), max(self.maximum, value)
        if self.distribution is not None:
            bucket = bucket_of(value)
            self.distribution[bucket] = self.distribution.get(bucket, 0) + weight

    def merge(self, other: "Samples") -> None:
        """All of another's values."""
        self.samples += other.samples
        self.sum += other.sum
        self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        if self.distribution is not None and other.distribution is not None:
            for bucket, count in other.distribution.items():
                self.distribution[bucket] = self.distribution.get(bucket, 0) + count
        else:
            self.distribution = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name in full. `dimensions` are ordered by name."""

    namespace: str
    name: str
    dimensions: Dimensions
    unit: str


def count(tx: Transaction, name: str, *, group_name: str, now_ms: int, value: float = 1.0) -> None:
    """Count something of a schedule group's: one of AWS's metrics, or of ours (`OWN_NAMES`).

    Args:
        value: how many at once; for the lateness, how late one delivery was, in milliseconds.
    """
    tx.measurements.append((name, group_name, now_ms // MINUTE_MS, value))


def tally(tx: Transaction, name: str, key: int, by: int) -> None:
    """Say that there are so many more, or fewer, of what is held.

    Every statement that changes how many there are has one beside it. (Triggers would do it without being asked;
    measured, they make a put half as slow again, as SQLite then keeps each statement's changes apart.)

    Args:
        name: `PENDING` or `MESSAGES`.
        key: 0, or the queue's id.
    """
    if by:
        tx.changes.append((name, key, by))


class Recorder:
    """Writes what a group of transactions counted, and adds it up in memory once it is on disk."""

    def __init__(self) -> None:
        #: (metric name, schedule group) to how many since the process began; the lateness stands apart.
        self.totals: dict[tuple[str, str], float] = {}
        #: Schedule group to the lateness of its deliveries, in seconds.
        self.lateness: dict[str, Histogram] = {}
        self._groups: set[str] = set()

    def before_commit(
        self, connection: apsw.Connection, measurements: Sequence[Measurement], changes: Sequence[Change]
    ) -> Mapping[Measurement, int]:
        """Add them to their buckets, in the group's transaction; gives how often there was which."""
        sums: dict[tuple[str, int], int] = {}
        for what, whose, by in changes:
            sums[what, whose] = sums.get((what, whose), 0) + by
        for (what, whose), by in sums.items():
            if by:
                connection.execute(
                    "INSERT INTO tally VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET held = held + excluded.held",
                    (what, whose, by),
                )
        counted = Counter(measurements)  # deliveries of one moment count alike, and this counts at C's speed
        buckets: dict[tuple[str, str, int], Samples] = {}
        for (name, group_name, minute, value), times in counted.items():
            key = (name, group_name, minute)
            samples = buckets.get(key)
            if samples is None:
                samples = buckets[key] = Samples(distribution={} if name == LATENESS else None)
            if name == LATENESS:
                samples.add(value, times)
            else:
                samples.samples += value * times
                samples.sum += value * times
                samples.minimum = samples.maximum = 1.0
        for (name, group_name, minute), samples in buckets.items():
            add_samples(connection, _own_metric(name, group_name), minute, samples)
        return counted

    def after_commit(self, counted: Mapping[Measurement, int]) -> None:
        """Add them up in memory."""
        totals = self.totals
        for (name, group_name, _, value), times in counted.items():
            group = group_name if group_name in self._groups else self._told_apart(group_name)
            if name == LATENESS:
                histogram = self.lateness.get(group)
                if histogram is None:
                    histogram = self.lateness[group] = Histogram(LATENESS_BOUNDS)
                histogram.observe(value / 1000, times)
            else:
                totals[name, group] = totals.get((name, group), 0.0) + value * times

    def _told_apart(self, group_name: str) -> str:
        if len(self._groups) >= MAX_GROUPS:
            return OTHER_GROUPS
        self._groups.add(group_name)
        return group_name


@lru_cache(maxsize=4096)
def _own_metric(name: str, group_name: str) -> Metric:
    namespace = DUESTREAM if name in OWN_NAMES else SCHEDULER
    unit = "Milliseconds" if name == LATENESS else "Count"
    return Metric(namespace, name, ((GROUP_DIMENSION, group_name),), unit)


@lru_cache(maxsize=4096)
def _id_of(metric: Metric) -> tuple[int, str]:
    """The id of a metric, and its dimensions as they are stored."""
    dimensions = msgspec.json.encode(metric.dimensions)
    identity = msgspec.json.encode([metric.namespace, metric.name, dimensions.decode(), metric.unit])
    digest = hashlib.blake2b(identity, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1, dimensions.decode()


def add_samples(connection: Executes, metric: Metric, minute: int, samples: Samples) -> None:
    """Add values to the bucket of that minute (minutes since 1970)."""
    metric_id, dimensions = _id_of(metric)
    found: Any = connection.execute(
        "UPDATE metric_minute SET samples = samples + ?, sum = sum + ?, minimum = min(minimum, ?), "
        "maximum = max(maximum, ?) WHERE metric_id = ? AND minute = ? RETURNING distribution",
        (samples.samples, samples.sum, samples.minimum, samples.maximum, metric_id, minute),
    ).fetchall()
    if not found:
        connection.execute(
            "INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET last_minute = max(last_minute, excluded.last_minute)",
            (metric_id, metric.namespace, metric.name, dimensions, metric.unit, minute),
        )
        connection.execute(
            "INSERT INTO metric_minute VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                metric_id,
                minute,
                samples.samples,
                samples.sum,
                samples.minimum,
                samples.maximum,
                _encode(samples.distribution),
            ),
        )
    elif found[0][0] is not None:
        distribution = _decode(found[0][0])
        together = None
        if distribution is not None and samples.distribution is not None:
            together = dict(distribution)
            for bucket, number in samples.distribution.items():
                together[bucket] = together.get(bucket, 0) + number
        connection.execute(
            "UPDATE metric_minute SET distribution = ? WHERE metric_id = ? AND minute = ?",
            (_encode(together), metric_id, minute),
        )


def _encode(distribution: Mapping[int, float] | None) -> bytes | None:
    return None if distribution is None else msgspec.json.encode(distribution)


_decode_distribution = msgspec.json.Decoder(dict[int, float]).decode


def _decode(distribution: bytes | None) -> dict[int, float] | None:
    return None if distribution is None else _decode_distribution(distribution)


# Reading ------------------------------------------------------------------------------------------------------------


def read_samples(
    connection: Executes,
    *,
    namespace: str,
    name: str,
    dimensions: Dimensions,
    unit: str | None,
    from_minute: int,
    until_minute: int,
    period: int = 1,
    with_distributions: bool = False,
) -> Iterator[tuple[int, str, Samples]]:
    """(number of the period, unit, values) of a metric in the span, oldest first.

    Without dimensions, one of the engine's own metrics is that of the account: the sum over the schedule groups.

    Args:
        unit: None: of every unit.
        period: its length in minutes.
        with_distributions: what percentiles need. There may be several rows for a period and unit then.
    """
    read = ATTEMPTED if (namespace, name) == (SCHEDULER, THROTTLED) else name
    conditions, bindings = ["namespace = ?", "name = ?"], [namespace, read]
    if dimensions or namespace not in (SCHEDULER, DUESTREAM):
        conditions.append("dimensions = ?")
        bindings.append(msgspec.json.encode(dimensions).decode())
    if unit is not None:
        conditions.append("unit = ?")
        bindings.append(unit)
    columns = "total(b.samples), total(b.sum), min(b.minimum), max(b.maximum), NULL"
    grouping = "GROUP BY 1, m.unit "
    if with_distributions:
        columns, grouping = "b.samples, b.sum, b.minimum, b.maximum, b.distribution", ""
    rows: Any = connection.execute(
        f"SELECT (b.minute - ?) / ?, m.unit, {columns} FROM metric m JOIN metric_minute b ON b.metric_id = m.id "
        f"WHERE {' AND '.join(conditions)} AND b.minute >= ? AND b.minute < ? {grouping}ORDER BY 1, m.unit",
        (from_minute, period, *bindings, from_minute, until_minute),
    )
    for number, of_unit, samples, total, minimum, maximum, distribution in rows:
        if read != name:
            total = minimum = maximum = 0.0
        yield number, of_unit, Samples(samples, total, minimum, maximum, _decode(distribution))


def list_metrics(
    connection: Executes, *, namespace: str | None, name: str | None, since_minute: int
) -> Iterator[tuple[str, str, Dimensions]]:
    """(namespace, name, dimensions) of the metrics with a bucket since that minute, in that order.

    The engine's own ones come with those of the account, which have no dimensions.
    """
    conditions: list[str] = ["last_minute >= ?"]
    bindings: list[Any] = [since_minute]
    read = ATTEMPTED if name == THROTTLED and namespace in (None, SCHEDULER) else name
    for column, value in (("namespace", namespace), ("name", read)):
        if value is not None:
            conditions.append(f"{column} = ?")
            bindings.append(value)
    rows: Any = connection.execute(
        f"SELECT DISTINCT namespace, name, dimensions FROM metric WHERE {' AND '.join(conditions)} "
        "ORDER BY namespace, name, dimensions",
        bindings,
    )
    last = None
    for of_namespace, of_name, stored in rows:
        dimensions = tuple((key, value) for key, value in msgspec.json.decode(stored))
        names = [of_name]
        if (of_namespace, of_name) == (SCHEDULER, ATTEMPTED):
            names = [one for one in (ATTEMPTED, THROTTLED) if name in (None, one)]
        for one in names:
            if of_namespace in (SCHEDULER, DUESTREAM) and last != (of_namespace, of_name):
                yield of_namespace, one, ()
            yield of_namespace, one, dimensions
        last = (of_namespace, of_name)


def delete_older(tx: Transaction, before_minute: int, limit: int) -> int:
    """Delete up to `limit` of the oldest buckets, and metrics that have none any more; says how many went."""
    tx.execute(
        "DELETE FROM metric_minute WHERE (metric_id, minute) IN "
        "(SELECT metric_id, minute FROM metric_minute WHERE minute < ? ORDER BY minute LIMIT ?)",
        (before_minute, limit),
    )
    deleted = tx.connection.changes()
    tx.execute(
        "DELETE FROM metric WHERE id IN (SELECT id FROM metric WHERE last_minute < ? LIMIT ?)", (before_minute, limit)
    )
    return int(deleted)


# What is held -------------------------------------------------------------------------------------------------------


def pending_schedules(connection: Executes) -> int:
    """How many schedules have something to come. Exact, and as cheap with a million as with none."""
    found: Any = connection.execute("SELECT held FROM tally WHERE name = ? AND key = 0", (PENDING,)).fetchone()
    return 0 if found is None else int(found[0])


def deepest_queues(connection: Executes, limit: int) -> tuple[list[tuple[str, int]], int, int]:
    """(name, messages) of the queues that hold most; how many further queues there are, and what they hold.

    Exact: messages that are visible, delayed or in flight, and those past their retention that housekeeping has not
    come to yet.
    """
    rows: Any = connection.execute(
        "SELECT q.name, coalesce(t.held, 0) AS held FROM queue q LEFT JOIN tally t ON t.name = ? AND t.key = q.id "
        "ORDER BY held DESC, q.name",
        (MESSAGES,),
    ).fetchall()
    rest = rows[limit:]
    return [(str(name), int(number)) for name, number in rows[:limit]], len(rest), sum(number for _, number in rest)


def oldest_message_sent_at_ms(connection: Executes, queue_name: str) -> int | None:
    """When the oldest message of a queue was sent; None: it has none.

    Looks at no more than a thousand, those that can be received soonest: exact unless more were received and
    became visible again.
    """
    found: Any = connection.execute(
        "SELECT min(sent_at_ms) FROM (SELECT m.sent_at_ms FROM queue q JOIN message m ON m.queue_id = q.id "
        "WHERE q.name = ? ORDER BY m.visible_at_ms, m.sent_at_ms LIMIT 1000)",
        (queue_name,),
    ).fetchone()
    return None if found is None or found[0] is None else int(found[0])
