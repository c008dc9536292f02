from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duestream.core.recurrence import CATCH_UP_POLICIES, MAX_CAUGHT_UP, CatchUp, CaughtUp, Series, window_delay
from duestream.core.schedule_expression import Recurring, next_occurrence, parse_schedule_expression

START = datetime(2026, 3, 7, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def recurring(text: str, timezone: str = "UTC") -> Recurring:
    parsed = parse_schedule_expression(text, timezone)
    assert isinstance(parsed, Recurring)
    return parsed


def series(text: str, timezone: str = "UTC", *, start: datetime = START, end: datetime | None = None) -> Series:
    return recurring(text, timezone).series(start, end)


def test_a_rate_begins_at_its_start_and_counts_from_it() -> None:
    rate = recurring("rate(5 minutes)")
    assert next_occurrence(rate, after=START - DAY, start=START) == START
    assert next_occurrence(rate, after=START, start=START) == START + 5 * MINUTE
    assert next_occurrence(rate, after=START + 7 * MINUTE, start=START) == START + 10 * MINUTE


def test_a_day_of_a_rate_is_24_hours_where_clocks_change() -> None:
    # New York loses an hour on 8 March 2026: noon becomes one o'clock.
    daily = recurring("rate(1 day)", "America/New_York")
    assert next_occurrence(daily, after=START + DAY, start=START) == START + 2 * DAY


def test_a_cron_keeps_the_time_on_the_wall_where_clocks_change() -> None:
    daily = recurring("cron(0 7 * * ? *)", "America/New_York")
    first = next_occurrence(daily, after=START - MINUTE, start=START)
    assert first == START  # 07:00 is 12:00 UTC in winter
    assert next_occurrence(daily, after=first, start=START) == START + 23 * HOUR


def test_nothing_is_before_the_start_or_after_the_end() -> None:
    bounded = series("cron(0 * * * ? *)", start=START + 30 * MINUTE, end=START + 2 * HOUR)
    assert bounded.next_after(START - DAY) == START + HOUR
    assert bounded.next_after(START + HOUR) == START + 2 * HOUR, "the end itself counts"
    assert bounded.next_after(START + 2 * HOUR) is None
    assert bounded.count(START - DAY, START + DAY) == 2
    rate = series("rate(1 hour)", end=START + 90 * MINUTE)
    assert rate.next_after(START) == START + HOUR
    assert rate.next_after(START + HOUR) is None
    assert rate.count(START - DAY, START + DAY) == 2


def test_a_rate_beyond_the_calendar_comes_once() -> None:
    endless = series(f"rate({'9' * 200} days)")
    assert endless.first_from(START) == START
    assert endless.next_after(START) is None


CATCH_UP: list[tuple[str, timedelta, CatchUp, CaughtUp]] = [
    # on time: nothing is missed, whatever the policy
    ("rate(1 hour)", timedelta(seconds=3), "deliver_last", CaughtUp(START, 0)),
    ("rate(1 hour)", timedelta(seconds=3), "deliver_all", CaughtUp(START, 0)),
    ("rate(1 hour)", timedelta(seconds=3), "skip", CaughtUp(START, 0)),
    # late, and the only one
    ("rate(1 hour)", 30 * MINUTE, "deliver_last", CaughtUp(START, 0)),
    ("rate(1 hour)", 30 * MINUTE, "deliver_all", CaughtUp(START, 0)),
    ("rate(1 hour)", 30 * MINUTE, "skip", CaughtUp(None, 1)),
    # after three further ones
    ("rate(1 hour)", 210 * MINUTE, "deliver_last", CaughtUp(START + 3 * HOUR, 3)),
    ("rate(1 hour)", 210 * MINUTE, "deliver_all", CaughtUp(START, 0)),
    ("rate(1 hour)", 210 * MINUTE, "skip", CaughtUp(None, 4)),
    ("rate(1 hour)", 180 * MINUTE, "skip", CaughtUp(START + 3 * HOUR, 3)),
    ("cron(0 12 * * ? *)", 10 * DAY + HOUR, "deliver_last", CaughtUp(START + 10 * DAY, 10)),
    ("cron(0 12 * * ? *)", 10 * DAY, "skip", CaughtUp(START + 10 * DAY, 10)),
    # beyond the bound of deliver_all
    ("rate(1 minute)", 1500 * MINUTE, "deliver_all", CaughtUp(START + 501 * MINUTE, 501)),
    ("cron(* * * * ? *)", 1500 * MINUTE, "deliver_all", CaughtUp(START + 501 * MINUTE, 501)),
    ("rate(1 minute)", 999 * MINUTE, "deliver_all", CaughtUp(START, 0)),
]


@pytest.mark.parametrize(("text", "late", "policy", "expected"), CATCH_UP)
def test_what_is_caught_up_after_downtime(text: str, late: timedelta, policy: CatchUp, expected: CaughtUp) -> None:
    assert series(text).caught_up(START, START + late, policy) == expected


@settings(max_examples=150, deadline=None)
@given(
    text=st.sampled_from(
        ["rate(7 minutes)", "cron(*/20 1-3 * * ? *)", "cron(0 0 L * ? *)", "cron(30 1,2 ? * SUN *)", "rate(36 hours)"]
    ),
    zone=st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
    late_minutes=st.integers(0, 60 * 24 * 40),
    days_to_end=st.none() | st.integers(0, 50),
    policy=st.sampled_from(CATCH_UP_POLICIES),
)
def test_every_occurrence_is_delivered_or_missed_once(
    text: str, zone: str, late_minutes: int, days_to_end: int | None, policy: CatchUp
) -> None:
    end = None if days_to_end is None else START + timedelta(days=days_to_end)
    its = series(text, zone, end=end)
    due_at = its.first_from(START)
    if due_at is None:
        return
    now = due_at + timedelta(minutes=late_minutes)
    every, moment = [due_at], its.next_after(due_at)
    while moment is not None and moment <= now:
        every.append(moment)
        moment = its.next_after(moment)
    found = its.caught_up(due_at, now, policy)
    left = every[found.missed :]
    assert found.due_at == (left[0] if left else None)
    assert its.count(due_at, now) == len(every) - 1
    match policy:
        case "deliver_last":
            assert left == every[-1:]
        case "deliver_all":
            assert left == every[-MAX_CAUGHT_UP:]
        case "skip":
            assert left == ([every[-1]] if now - every[-1] <= MINUTE else [])


def test_a_window_is_used_evenly_and_alike_every_time() -> None:
    window = 10 * MINUTE
    delays = [window_delay("default/s", START + number * HOUR, window) for number in range(2000)]
    assert delays == [window_delay("default/s", START + number * HOUR, window) for number in range(2000)]
    assert min(delays) >= timedelta(0)
    assert max(delays) < window
    in_tenths = [sum(delay // MINUTE == tenth for delay in delays) for tenth in range(10)]
    assert min(in_tenths) > 150  # of 200 expected; the draw is fixed
    assert max(in_tenths) < 250
    assert window_delay("default/t", START, window) != window_delay("default/s", START, window)
