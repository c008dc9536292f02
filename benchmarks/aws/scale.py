"""How an app behaves on AWS when much happens at once: simulated, for nobody rents AWS for a benchmark.

    python benchmarks/aws/scale.py [--seed N] [--json]

Virtual time; the calls' pace is the stream function's own (`duestream.aws.pace`), all else is a model with AWS's quotas
and with latencies as they are commonly met. What is assumed stands at the top, so that it can be doubted and changed.
What the model leaves out: AWS's own faults, cold starts after the first, and that Scheduler is precise to a minute only.
"""

import argparse
import heapq
import json
import random
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import quantiles

from duestream.aws.pace import FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, Pace

#: A call to Scheduler: log-normal, half of them within 20 ms, one in a hundred above 80 ms.
CALL_MEDIAN_SECONDS, CALL_SIGMA = 0.020, 0.6
#: Lambda polls a shard four times a second (Lambda Developer Guide), and starts an environment in so long.
POLL_SECONDS, COLD_START_SECONDS = 0.25, 0.6
#: The stack's own: records of a batch, calls under way in one environment, environments for one shard.
BATCH, CONCURRENCY, PARALLELIZATION = 1000, 32, 2
#: A shard of a stream takes so many writes a second, as a partition of its table does, and of an index.
WRITES_PER_SHARD = 1000
#: The sweep function: deletes under way at once, and what one takes then, of which 5 ms are the service's. Measured
#: with `sweep_function.py`: 3,400 a second, bound by one processor and not by what the service takes.
SWEEP_THREADS, DELETE_SECONDS = 32, 0.0094


class Simulation:
    """A clock that leaps from one thing that happens to the next."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.dice = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Have something happen."""
        self._count += 1
        heapq.heappush(self._events, (self.now + seconds, self._count, what))

    def run(self) -> None:
        """Until nothing more happens."""
        while self._events:
            self.now, _, what = heapq.heappop(self._events)
            what()

    def seconds(self) -> float:
        """As a stopwatch."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Nothing here waits; what comes later is put later."""
        raise NotImplementedError

    def call_seconds(self) -> float:
        """How long a call takes."""
        return CALL_MEDIAN_SECONDS * self.dice.lognormvariate(0, CALL_SIGMA)


class Quota:
    """So many calls in each second of the clock; what is above is refused for the rest of it (AWS's series, part 1)."""

    def __init__(self, simulation: Simulation, per_second: int) -> None:
        self._simulation, self._per_second = simulation, per_second
        self._second, self._used = -1, 0
        self.admitted = self.refused = 0

    def admits(self) -> bool:
        """Whether one more goes through now."""
        second = int(self._simulation.now)
        if second != self._second:
            self._second, self._used = second, 0
        self._used += 1
        if self._used <= self._per_second:
            self.admitted += 1
            return True
        self.refused += 1
        return False


class Environment:
    """One Lambda environment, which carries out one part of a shard's records, batch after batch."""

    def __init__(self, simulation: Simulation, quota: Quota, done: Callable[[float], None]) -> None:
        self._simulation, self._quota, self._done = simulation, quota, done
        self._pace = Pace(simulation)
        self.waiting: deque[float] = deque()
        self._batch: deque[float] = deque()
        self._under_way = 0
        self._is_awake = False
        self._is_warm = False

    def written(self) -> None:
        """A record came."""
        self.waiting.append(self._simulation.now)
        if not self._is_awake:
            self._is_awake = True
            start = 0.0 if self._is_warm else COLD_START_SECONDS
            self._is_warm = True
            self._simulation.after(start + self._simulation.dice.random() * POLL_SECONDS, self._next_batch)

    def _next_batch(self) -> None:
        count = min(BATCH, len(self.waiting))
        self._is_awake = count > 0
        self._batch = deque(self.waiting.popleft() for _ in range(count))
        for _ in range(min(CONCURRENCY, count)):
            self._under_way += 1
            self._next_item()

    def _next_item(self) -> None:
        if self._batch:
            written_at = self._batch.popleft()
            self._simulation.after(self._pace.turn(), lambda: self._call(written_at, 0))
            return
        self._under_way -= 1
        if self._under_way == 0:
            self._next_batch()

    def _call(self, written_at: float, tries: int) -> None:
        began_at = self._simulation.now
        is_admitted = self._quota.admits()

        def answered() -> None:
            if is_admitted:
                self._pace.admitted()
                self._done(self._simulation.now - written_at)
                self._next_item()
                return
            self._pace.throttled(began_at)
            longest = min(FIRST_BACKOFF_SECONDS * 2**tries, MAX_BACKOFF_SECONDS)
            backoff = self._simulation.dice.random() * longest
            self._simulation.after(
                backoff,
                lambda: self._simulation.after(self._pace.turn(), lambda: self._call(written_at, min(tries + 1, 30))),
            )

        self._simulation.after(self._simulation.call_seconds(), answered)


@dataclass(frozen=True)
class Planned:
    """Items written, until each had its schedule."""

    writes: int
    writes_per_second: int
    quota: int
    shards: int
    p50_seconds: float
    p99_seconds: float
    max_seconds: float
    took_seconds: float
    calls_per_item: float
    quota_used: float


def plan(seed: int, *, writes: int, per_second: int, quota_per_second: int) -> Planned:
    """Write so many items at an even rate, each needing one call."""
    simulation = Simulation(seed)
    quota = Quota(simulation, quota_per_second)
    delays: list[float] = []
    shards = max(1, -(-per_second // WRITES_PER_SHARD))
    environments = [Environment(simulation, quota, delays.append) for _ in range(shards * PARALLELIZATION)]
    written = 0

    def write() -> None:
        nonlocal written
        simulation.dice.choice(environments).written()
        written += 1
        if written < writes:
            simulation.after(1 / per_second, write)

    simulation.after(0, write)
    simulation.run()
    assert len(delays) == writes, "something was lost"
    cuts = quantiles(delays, n=100)
    needed = min(quota_per_second, per_second) if writes / per_second > 1 else quota_per_second
    return Planned(
        writes,
        per_second,
        quota_per_second,
        shards,
        round(cuts[49], 2),
        round(cuts[98], 2),
        round(max(delays), 2),
        round(simulation.now, 1),
        round((quota.admitted + quota.refused) / writes, 2),
        round(writes / simulation.now / needed, 2),
    )


@dataclass(frozen=True)
class Delivered:
    """Items due, until each was invoked or deleted; what Scheduler's precision of a minute adds is not in it."""

    due: int
    over_seconds: int
    way: str
    p50_seconds: float
    p99_seconds: float
    max_seconds: float


def _told(due: int, over_seconds: int, way: str, lateness: list[float]) -> Delivered:
    cuts = quantiles(lateness, n=100)
    return Delivered(due, over_seconds, way, round(cuts[49], 1), round(cuts[98], 1), round(max(lateness), 1))


def deliver_by_schedules(seed: int, *, due: int, over_seconds: int, invocations_per_second: int) -> Delivered:
    """Scheduler's invocations: above the quota they wait, none is lost (AWS's series, part 1)."""
    dice = random.Random(seed)
    moments = sorted(dice.random() * over_seconds for _ in range(due))
    free_at, lateness = 0.0, []
    for moment in moments:
        free_at = max(free_at, moment) + 1 / invocations_per_second
        lateness.append(free_at - moment)
    return _told(due, over_seconds, f"schedules, {invocations_per_second:,} invocations/s", lateness)


def deliver_by_sweeps(seed: int, *, due: int, over_seconds: int, shards: int, every_seconds: int) -> Delivered:
    """The sweep function: it begins up to a minute after its time, and shares its threads among the shards."""
    dice = random.Random(seed)
    moments = deque(sorted(dice.random() * over_seconds for _ in range(due)))
    lateness: list[float] = []
    per_second, begins_at = min(SWEEP_THREADS / DELETE_SECONDS, shards * WRITES_PER_SHARD), 0.0
    while moments:
        begins_at += every_seconds
        now = begins_at + dice.random() * 60
        deadline = now + every_seconds * 0.9
        while moments and moments[0] <= now and now < deadline:
            lateness.append(now - moments.popleft())
            now += 1 / per_second
    return _told(due, over_seconds, f"sweep, {shards} shards every {every_seconds} s", lateness)


def main(arguments: list[str]) -> None:
    """Run all of them and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    planned = [
        plan(options.seed, writes=writes, per_second=per_second, quota_per_second=quota)
        for writes, per_second, quota in (
            (48_000, 800, 1000),
            (100_000, 1_667, 1000),
            (100_000, 1_667, 5000),
            (200_000, 10_000, 1000),
            (200_000, 10_000, 5000),
            (30_000, 500, 250),
        )
    ]
    delivered = [
        *(
            deliver_by_schedules(options.seed, due=100_000, over_seconds=over, invocations_per_second=rate)
            for over in (1, 60)
            for rate in (1000, 10_000)
        ),
        *(
            deliver_by_sweeps(options.seed, due=100_000, over_seconds=60, shards=shards, every_seconds=60)
            for shards in (1, 10)
        ),
    ]
    if options.json:
        print(
            json.dumps({"planned": [asdict(one) for one in planned], "delivered": [asdict(one) for one in delivered]})
        )
        return
    print(
        "| writes | at /s | quota /s | shards | s until scheduled: p50 | p99 | max | all done after s | calls per item | quota used |"
    )
    print("| --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |")
    for one in planned:
        print(
            f"| {one.writes:,} | {one.writes_per_second:,} | {one.quota:,} | {one.shards} | {one.p50_seconds} | "
            f"{one.p99_seconds} | {one.max_seconds} | {one.took_seconds} | {one.calls_per_item} | {one.quota_used:.0%} |"
        )
    print("\n| due | within s | by | s late: p50 | p99 | max |\n| --: | --: | --- | --: | --: | --: |")
    for late in delivered:
        print(
            f"| {late.due:,} | {late.over_seconds} | {late.way} | {late.p50_seconds} | {late.p99_seconds} | "
            f"{late.max_seconds} |"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
