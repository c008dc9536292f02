"""Which part of an index a sweep reads: whatever is due stands in it, however it is written."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream import App, DeleteItem, Sweep
from duestream.core.attributes import compare_values
from duestream.core.record import AttributeValue
from duestream.core.rule import Rule
from duestream.core.sweep_range import WIDE_EVERY, is_wide_sweep, sweep_ranges

NOW = datetime(2030, 1, 1, 9, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def rule_of(kind: Any = "S", **options: Any) -> Rule:
    return (
        App("shop")
        .table("Offers", partition_key="id")
        .rule("AT", DeleteItem(), via=Sweep("ByExpiry", timestamp_type=kind), **options)
    )


def is_read(rule: Rule, value: AttributeValue, now: datetime, *, wide: bool) -> bool:
    """Whether the value stands in a part of the index that is read."""

    def at_most(one: AttributeValue, other: AttributeValue) -> bool:
        order = compare_values(one, other)
        assert order is not None
        return order <= 0

    return any(
        at_most(value, part.upper) and (part.lower is None or at_most(part.lower, value))
        for part in sweep_ranges(rule, now)
        if wide or not part.is_wide
    )


FIRST, LAST = (datetime(year, 1, 1) for year in (2000, 2090))  # noqa: DTZ001 - as hypothesis wants them
MOMENTS = st.datetimes(min_value=FIRST, max_value=LAST, timezones=st.just(UTC))
AHEAD = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))
FORMS = st.sampled_from(
    [
        lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        lambda moment: moment.strftime("%Y-%m-%dT%H:%MZ"),
        lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S"),
        lambda moment: moment.strftime("%Y-%m-%dT%H:%M"),
        lambda moment: moment.strftime("%Y-%m-%d %H:%M:%SZ"),
        lambda moment: moment.strftime("%Y-%m-%d"),
    ]
)


@given(moment=MOMENTS, form=FORMS, late=AHEAD)
def test_every_text_in_utc_is_found_by_the_first_sweep_at_which_it_is_due(
    moment: datetime, form: Any, late: timedelta
) -> None:
    """Part 2 compared `...Z` with a time without Z, cut to the minute: what was due waited for the next minute."""
    rule = rule_of()
    value = {"S": form(moment)}
    due_at = rule.due_at({"AT": value})
    assert due_at is not None
    assert is_read(rule, value, due_at + late, wide=False)


@given(moment=MOMENTS, name=st.sampled_from(["Asia/Bangkok", "America/New_York", "Europe/Berlin"]), late=AHEAD)
def test_every_text_in_the_rules_own_zone_is_found_too(moment: datetime, name: str, late: timedelta) -> None:
    rule = rule_of(timezone=name)
    for value in (
        {"S": f"{moment.astimezone(ZoneInfo(name)):%Y-%m-%dT%H:%M:%S}"},
        {"S": f"{moment:%Y-%m-%dT%H:%M:%SZ}"},
    ):
        due_at = rule.due_at({"AT": value})
        assert due_at is not None
        assert is_read(rule, value, due_at + late, wide=False)


@given(moment=MOMENTS, hours=st.integers(min_value=-12, max_value=14), late=AHEAD)
def test_a_text_of_another_offset_is_found_by_a_wide_sweep(moment: datetime, hours: int, late: timedelta) -> None:
    text = moment.replace(microsecond=0).astimezone(timezone(timedelta(hours=hours))).isoformat()
    rule, value = rule_of(), {"S": text}
    due_at = rule.due_at({"AT": value})
    assert due_at is not None
    now = due_at + late
    wide_at = now + (-(now - datetime(1970, 1, 1, tzinfo=UTC)) % WIDE_EVERY)
    assert wide_at - now < WIDE_EVERY
    assert is_read(rule, value, wide_at, wide=True)


@given(moment=MOMENTS, late=AHEAD, offset=st.timedeltas(min_value=-timedelta(days=9), max_value=timedelta(days=9)))
def test_seconds_and_milliseconds_are_both_found(moment: datetime, late: timedelta, offset: timedelta) -> None:
    rule = rule_of("N", offset=offset)
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for text in (f"{microseconds // 1_000_000}", f"{microseconds // 1000}", f"{microseconds // 1_000_000}.5"):
        due_at = rule.due_at({"AT": {"N": text}})
        assert due_at is not None
        assert is_read(rule, {"N": text}, due_at + late, wide=False)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("S", "2030-01-01T09:02:00Z"),
        ("S", "2030-06-01T00:00:00Z"),
        ("N", "1893489000"),
        ("N", "1893489000000"),
    ],
)
def test_what_is_due_later_is_not_read(kind: str, value: str) -> None:
    assert not is_read(rule_of(kind), {kind: value}, NOW, wide=False)


def test_a_sweep_in_three_is_wide_that_comes_every_five_minutes() -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    minutes = [m for m in range(0, 60, 5) if is_wide_sweep(timedelta(minutes=5), start + m * MINUTE)]
    assert minutes == [0, 15, 30, 45]
    assert all(is_wide_sweep(timedelta(minutes=30), start + m * MINUTE) for m in (3, 33))
    assert sum(is_wide_sweep(MINUTE, start + m * MINUTE) for m in range(60)) == 4


def test_a_local_time_that_comes_twice_is_found_at_its_first_coming() -> None:
    """02:30 on the day the clocks go back means the first; it is still found when the clock shows 02:10 again."""
    rule = rule_of(timezone="Europe/Berlin")
    value = {"S": "2030-10-27T02:30:00"}
    assert rule.due_at({"AT": value}) == datetime(2030, 10, 27, 0, 30, tzinfo=UTC)
    assert is_read(rule, value, datetime(2030, 10, 27, 1, 10, tzinfo=UTC), wide=False)
