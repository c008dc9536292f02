"""How fast calls are made, and how often again."""

import heapq
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.aws.stream_bench import ManualStopwatch

from duestream.aws.failures import CallError, Meaning
from duestream.aws.pace import (
    FREE_AFTER_SECONDS,
    MAX_BACKOFF_SECONDS,
    MIN_CALLS_PER_SECOND,
    SECONDS_BETWEEN_CUTS,
    Pace,
    Patience,
)
from duestream.clock import ManualClock

THROTTLED = CallError("ThrottlingException", "Rate exceeded", 429)
LOST = CallError("ConnectionError", "Read timed out.")


class Seconds:
    """A stopwatch of floats."""

    def __init__(self) -> None:
        self.now = 100.0

    def seconds(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def simulated(quota: float, calls_per_second: float, seconds: float, callers: int = 1) -> tuple[list[float], float]:
    """Callers that could each make so many calls a second meet one token bucket: admitted of each and refused, a
    second."""
    stopwatch = Seconds()
    paces = [Pace(stopwatch) for _ in range(callers)]
    tokens, filled_at, ends_at = quota / 10, stopwatch.now, stopwatch.now + seconds
    admitted, refused = [0] * callers, 0
    turns = [(stopwatch.now + number / 1e6, number) for number in range(callers)]
    while stopwatch.now < ends_at:
        stopwatch.now, caller = heapq.heappop(turns)
        tokens = min(tokens + (stopwatch.now - filled_at) * quota, quota / 10)
        filled_at = stopwatch.now
        if tokens >= 1:
            tokens -= 1
            admitted[caller] += 1
            paces[caller].admitted()
        else:
            refused += 1
            paces[caller].throttled(stopwatch.now)
        heapq.heappush(turns, (stopwatch.now + max(paces[caller].turn(), 1 / calls_per_second), caller))
    return [count / seconds for count in admitted], refused / seconds


def test_calls_are_made_as_fast_as_they_go_until_one_is_throttled() -> None:
    stopwatch = Seconds()
    pace = Pace(stopwatch)
    for _ in range(100):
        assert pace.turn() == 0
        pace.admitted()
        stopwatch.wait(0.001)
    assert pace.calls_per_second is None
    pace.throttled(stopwatch.now)
    assert pace.calls_per_second == pytest.approx(970, rel=0.02)
    assert [round(pace.turn() * 1000) for _ in range(3)] == [0, 0, 0], "turns of the last moments are made up for"
    for _ in range(60):
        wait = pace.turn()
    assert 0.005 < wait < 0.05


@pytest.mark.parametrize(("quota", "calls_per_second"), [(1000, 1600), (1000, 5000), (250, 1600), (50, 1600)])
def test_nine_tenths_of_a_quota_are_used_and_few_calls_refused(quota: float, calls_per_second: float) -> None:
    (admitted,), refused = simulated(quota, calls_per_second, 30)
    assert admitted > 0.9 * quota
    assert refused < 0.1 * quota


def test_under_the_quota_nothing_is_slowed() -> None:
    (admitted,), refused = simulated(1000, 500, 5)
    assert (round(admitted), refused) == (500, 0)


@pytest.mark.parametrize("callers", [2, 5, 20])
def test_functions_that_share_a_quota_use_it_and_each_has_some_of_it(callers: int) -> None:
    admitted, refused = simulated(1000, 1600, 30, callers)
    assert 900 < sum(admitted) < 1010
    assert refused < 300, f"{callers} callers that nobody slows would be refused {1600 * callers - 1000} times"
    assert min(admitted) > 0.3 * 1000 / callers, admitted


def test_one_cut_stands_for_all_calls_that_were_under_way() -> None:
    stopwatch = Seconds()
    pace = Pace(stopwatch)
    for _ in range(100):
        pace.admitted()
        stopwatch.wait(0.01)
    pace.throttled(stopwatch.now)
    cut = pace.calls_per_second
    for _ in range(31):
        pace.throttled(stopwatch.now - 0.02)
    assert pace.calls_per_second == cut
    stopwatch.wait(SECONDS_BETWEEN_CUTS)
    pace.throttled(stopwatch.now - SECONDS_BETWEEN_CUTS - 0.01)
    assert pace.calls_per_second is not None
    assert cut is not None
    assert pace.calls_per_second >= cut, "that call began before the cut"


def test_the_rate_never_falls_to_nothing() -> None:
    stopwatch = Seconds()
    pace = Pace(stopwatch)
    for _ in range(200):
        pace.throttled(stopwatch.now)
        stopwatch.wait(SECONDS_BETWEEN_CUTS)
    assert pace.calls_per_second is not None
    assert pace.calls_per_second >= MIN_CALLS_PER_SECOND


def test_the_rate_is_free_again_when_nothing_was_throttled_for_a_while() -> None:
    stopwatch = Seconds()
    pace = Pace(stopwatch)
    pace.throttled(stopwatch.now)
    pace.turn()
    assert pace.calls_per_second is not None
    stopwatch.wait(FREE_AFTER_SECONDS)
    assert pace.turn() == 0
    assert pace.calls_per_second is None


def patience_of(jitter: float = 0.5) -> tuple[Patience, ManualStopwatch, list[Meaning | None]]:
    stopwatch = ManualStopwatch(ManualClock(datetime(2026, 11, 23, tzinfo=UTC)))
    told: list[Meaning | None] = []
    return Patience(Pace(stopwatch), stopwatch, lambda: jitter, told.append), stopwatch, told


class Failing:
    """A call that fails with these errors first."""

    def __init__(self, *errors: CallError) -> None:
        self.errors, self.given = list(errors), list[float]()

    def __call__(self, seconds: float) -> str:
        self.given.append(seconds)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_a_call_is_made_again_with_waits_that_double_at_the_most() -> None:
    patience, stopwatch, told = patience_of(jitter=0.5)
    call = Failing(*[LOST] * 9)
    assert patience.made(call, deadline=stopwatch.seconds() + 60) == "done"
    assert stopwatch.waits == [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.5, 2.5]
    assert max(stopwatch.waits) <= MAX_BACKOFF_SECONDS
    assert told == [Meaning.TRANSIENT] * 9 + [None]


def test_each_call_is_told_how_much_time_is_left() -> None:
    patience, stopwatch, _ = patience_of()
    call = Failing(LOST)
    patience.made(call, deadline=stopwatch.seconds() + 10)
    assert [round(given, 3) for given in call.given] == [10.0, 9.975]


def test_when_time_is_up_the_last_failure_rises() -> None:
    patience, stopwatch, _ = patience_of()
    with pytest.raises(CallError) as caught:
        patience.made(Failing(*[LOST] * 99), deadline=stopwatch.seconds() + 3)
    assert caught.value is LOST
    with pytest.raises(CallError, match="OutOfTime"):
        patience.made(Failing(), deadline=stopwatch.seconds())


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "ConflictException"])
def test_what_does_not_pass_is_not_made_again(code: str) -> None:
    patience, stopwatch, _ = patience_of()
    call = Failing(CallError(code, "", 400))
    with pytest.raises(CallError, match=code):
        patience.made(call, deadline=stopwatch.seconds() + 60)
    assert len(call.given) == 1


def test_a_conflict_passes_where_the_caller_says_so() -> None:
    patience, stopwatch, _ = patience_of()
    call: Any = Failing(CallError("ConflictException", "", 409))
    assert patience.made(call, deadline=stopwatch.seconds() + 60, is_conflict_passing=True) == "done"


def test_a_throttled_call_slows_all() -> None:
    patience, stopwatch, _ = patience_of()
    for _ in range(20):
        patience.made(Failing(), deadline=stopwatch.seconds() + 60)
    patience.made(Failing(THROTTLED), deadline=stopwatch.seconds() + 60)
    assert patience._pace.calls_per_second is not None
