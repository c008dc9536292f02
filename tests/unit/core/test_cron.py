"""AWS's cron: single days by hand, then against a minute scan through clock changes and against cronsim."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from duestream.core.cron import Cron, CronError, parse_cron

FAR = datetime(2200, 1, 1, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def days(text: str, year: int, month: int) -> list[int]:
    """The days of one month on which an expression has an occurrence at noon."""
    after = datetime(year, month, 1, tzinfo=UTC) - timedelta(minutes=1)
    found = []
    for moment in occurrences(parse_cron(f"0 12 {text}"), after, ZoneInfo("UTC")):
        if (moment.year, moment.month) != (year, month):
            break
        found.append(moment.day)
    return found


def occurrences(cron: Cron, after: datetime, zone: ZoneInfo, until: datetime = FAR) -> Iterator[datetime]:
    while (moment := cron.next_after(after, zone, until)) is not None:
        yield moment
        after = moment


# November 2026 begins on a Sunday and ends on a Monday; August 2026 begins on a Saturday and ends on a Monday;
# February 2026 has 28 days from Sunday to Saturday; May 2026 ends on a Sunday.
DAYS = [
    ("L * ? *", 2026, 2, [28]),
    ("L * ? *", 2028, 2, [29]),
    ("L-3 * ? *", 2026, 11, [27]),
    ("LW * ? *", 2026, 5, [29]),  # the 31st is a Sunday
    ("LW * ? *", 2026, 2, [27]),  # the 28th is a Saturday
    ("LW * ? *", 2026, 11, [30]),
    ("15W * ? *", 2026, 11, [16]),  # a Sunday: the Monday after
    ("14W * ? *", 2026, 11, [13]),  # a Saturday: the Friday before
    ("13W * ? *", 2026, 11, [13]),
    ("1W * ? *", 2026, 8, [3]),  # a Saturday, and the Friday before is in another month
    ("31W * ? *", 2026, 5, [29]),  # a Sunday, and the Monday after is in another month
    ("31W * ? *", 2026, 11, []),
    ("1,15W,L * ? *", 2026, 11, [1, 16, 30]),
    ("29-31 * ? *", 2026, 2, []),
    ("*/10 * ? *", 2026, 11, [1, 11, 21]),
    ("5/10 * ? *", 2026, 11, [5, 15, 25]),
    ("28-3 * ? *", 2026, 11, [1, 2, 3, 28, 29, 30]),
    ("? * 6L *", 2026, 11, [27]),
    ("? * FRIL *", 2026, 11, [27]),
    ("? * L *", 2026, 11, [7, 14, 21, 28]),  # Saturday
    ("? * 2#1 *", 2026, 11, [2]),
    ("? * MON#5 *", 2026, 11, [30]),
    ("? * TUE#5 *", 2026, 11, []),
    ("? * SUN#5 *", 2026, 11, [29]),
    ("? * MON-WED *", 2026, 2, [2, 3, 4, 9, 10, 11, 16, 17, 18, 23, 24, 25]),
    ("? * FRI-MON *", 2026, 2, [1, 2, 6, 7, 8, 9, 13, 14, 15, 16, 20, 21, 22, 23, 27, 28]),
    ("? * 1,7 *", 2026, 2, [1, 7, 8, 14, 15, 21, 22, 28]),
    ("? * mon#1,3L *", 2026, 11, [2, 24]),
    ("? NOV-FEB 2#1 *", 2026, 2, [2]),
    ("? NOV-FEB 2#1 *", 2026, 3, []),
]


@pytest.mark.parametrize(("text", "year", "month", "expected"), DAYS)
def test_days_of_a_month(text: str, year: int, month: int, expected: list[int]) -> None:
    assert days(text, year, month) == expected


# Not in SEMANTICS.md B3: ours, each a form that means nothing.
REFUSED = ["0 0 0W * ? *", "0 0 32W * ? *", "0 0 L-31 * ? *", "0 0 W * ? *", "0 0 ? * 0 *", "0 0 ? * 2#0 *",
           "0 0 ? * XYZL *", "0 0 ? * * 2200", "0 0 ? * * 2030-2020", "0 0 ? * * */0", "1- 0 ? * * *", "-1 0 ? * * *",
           "1,,2 0 ? * * *", "0 0 ? JANUARY * *", "0 24 ? * * *", "0 0 L/2 * ? *", " 0 0 ? * * *", "0 0 ? * ?L *"]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(CronError):
        parse_cron(text)


SPARSE = [
    ("0 0 29 2 ? *", datetime(2096, 3, 1, tzinfo=UTC), datetime(2104, 2, 29, tzinfo=UTC)),  # 2100 has none
    ("0 0 29 2 ? 2199", datetime(2030, 1, 1, tzinfo=UTC), None),
    ("0 0 30 2 ? *", datetime(1970, 1, 1, tzinfo=UTC), None),
    ("59 23 31 12 ? 2199", datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, tzinfo=UTC)),
    ("59 23 31 12 ? 2199", datetime(2199, 12, 31, 23, 59, tzinfo=UTC), None),
    ("0 0 ? 2 SUN#5 *", datetime(2026, 1, 1, tzinfo=UTC), datetime(2032, 2, 29, tzinfo=UTC)),
    ("0 12 ? * FRI#5 1990,2040/7", datetime(2026, 1, 1, tzinfo=UTC), datetime(2040, 3, 30, 12, tzinfo=UTC)),
    ("0 0 1 1 ? 1970-2000", datetime(2026, 1, 1, tzinfo=UTC), None),
    ("* * * * ? *", datetime(3000, 1, 1, tzinfo=UTC), None),
    ("* * * * ? *", datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize(("text", "after", "expected"), SPARSE)
def test_what_is_far_away_is_found_or_known_not_to_be(text: str, after: datetime, expected: datetime | None) -> None:
    far = datetime(9999, 1, 1, tzinfo=UTC)
    assert parse_cron(text).next_after(after, UTC_ZONE, far) == expected


def test_a_time_that_is_always_in_the_gap_never_comes() -> None:
    # Clocks in New York go forward at 02:00 on the second Sunday of March, every year.
    cron = parse_cron("30 2 ? 3 SUN#2 2007-2199")
    assert cron.next_after(datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("America/New_York"), FAR) is None


#: A cron of every minute, a step that is not aligned with hours, single times in gaps and overlaps of various zones.
SCANNED = ["* * * * ? *", "*/7 * * * ? *", "30 2 * * ? *", "30 1 ? * * *", "0 0 * * ? *", "15,45 0-3 ? * SUN,MON *",
           "59 23 L * ? *", "0 3 ? * SUN#2,1L *", "30 0/6 LW,1W,15W * ? *"]  # fmt: skip
#: Half an hour (Lord Howe), midnight (Santiago, Cairo, Beirut, Sao Paulo), a day that was skipped (Apia 2011), odd
#: offsets, Ramadan (Casablanca), and a change of the offset without summer time (Pyongyang, Caracas).
ZONES = {
    "America/New_York": (2026,),
    "Europe/Berlin": (2026, 2040),
    "Australia/Lord_Howe": (2026,),
    "America/Santiago": (2026,),
    "America/Sao_Paulo": (2018,),
    "Africa/Cairo": (2026,),
    "Pacific/Apia": (2011,),
    "Africa/Casablanca": (2026,),
    "Asia/Pyongyang": (2015, 2018),
    "America/Caracas": (2016,),
    "Asia/Kathmandu": (2026,),
}


def _is_match(cron: Cron, local: datetime) -> bool:
    """Straight from the meaning of the fields."""
    return (
        local.minute in cron.minutes
        and local.hour in cron.hours
        and local.month in cron.months
        and local.year in cron.years
        and local.day in cron.days.of(local.year, local.month)
    )


def _transitions(zone: ZoneInfo, year: int) -> list[datetime]:
    """The hours of a year in which the offset changes."""
    first = datetime(year, 1, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=hour) for hour in range(366 * 24)]
    return [a for a, b in pairwise(hours) if a.astimezone(zone).utcoffset() != b.astimezone(zone).utcoffset()]


@pytest.mark.parametrize("name", ZONES)
def test_a_minute_scan_through_every_clock_change_finds_the_same(name: str) -> None:
    zone = ZoneInfo(name)
    for year in ZONES[name]:
        transitions = _transitions(zone, year) or [datetime(year, 6, 1, tzinfo=UTC)]
        for around in transitions:
            first, length = around - timedelta(hours=26), 52 * 60
            minutes = [first + timedelta(minutes=minute) for minute in range(1, length + 1)]
            walls = [minute.astimezone(zone) for minute in minutes]
            for text in SCANNED:
                cron = parse_cron(text)
                # fold=1: the second time that the clock shows this.
                scanned = [
                    minute
                    for minute, wall in zip(minutes, walls, strict=True)
                    if not wall.fold and _is_match(cron, wall)
                ]
                assert list(occurrences(cron, first, zone, minutes[-1])) == scanned, text
                assert cron.count(first, minutes[-1], zone) == len(scanned), text
                for after in (minutes[700], minutes[1559], minutes[1600], minutes[1700]):
                    later = [moment for moment in scanned if moment > after]
                    assert cron.next_after(after, zone, minutes[-1]) == (later[0] if later else None), text
                    assert cron.count(after, minutes[-1], zone) == len(later), text
                    assert cron.count(first, after, zone) == len(scanned) - len(later), text


def test_there_was_a_clock_change_to_scan_in_all_zones_but_one() -> None:
    still = [name for name, years in ZONES.items() if not all(_transitions(ZoneInfo(name), year) for year in years)]
    assert still == ["Asia/Kathmandu"]


def _parts(lowest: int, highest: int) -> st.SearchStrategy[str]:
    number = st.integers(lowest, highest)
    # Not 5-5: cronsim takes 5-5/2 for 5/2, and AWS took 8-8.
    span = st.tuples(number, number).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.tuples(st.one_of(st.just("*"), span), st.integers(1, highest)).map(lambda both: f"{both[0]}/{both[1]}")
    return st.one_of(
        st.just("*"), st.lists(st.one_of(number.map(str), span, step), min_size=1, max_size=3).map(",".join)
    )


def _to_theirs(day_of_week: str) -> str:
    """Our 1-7 from Sunday as cron's 0-6; in steps, only what stands before the slash is a day."""
    parts = []
    for part in day_of_week.split(","):
        span, slash, step = part.partition("/")
        parts.append(
            re.sub(r"\d+", lambda found: str(int(found[0]) - 1), span.split("#")[0]) + part[len(span.split("#")[0]) :]
        )
        assert slash + step in part
    return ",".join(parts)


_DAY_OF_MONTH = st.one_of(_parts(1, 31), st.sampled_from(["L", "LW", "1,L", "29", "31"]))
_DAY_OF_WEEK = st.one_of(
    st.lists(st.integers(1, 7).map(str), min_size=1, max_size=3).map(",".join),
    st.tuples(st.integers(1, 7), st.integers(1, 4)).map(lambda both: f"{both[0]}#{both[1]}"),
    st.integers(1, 7).map(lambda day: f"{day}L"),
    st.sampled_from(["2-6", "1-7", "*"]),
)


@settings(max_examples=300, deadline=None)
@given(
    minute=_parts(0, 59),
    hour=_parts(0, 23),
    day_of_month=_DAY_OF_MONTH,
    month=_parts(1, 12),
    day_of_week=_DAY_OF_WEEK,
    by_week=st.booleans(),
    after=st.integers(946_684_800, 3_786_912_000),  # the years 2000 to 2090
)
def test_cronsim_finds_the_same_where_the_dialects_agree(
    minute: str, hour: str, day_of_month: str, month: str, day_of_week: str, by_week: bool, after: int
) -> None:
    start = datetime.fromtimestamp(after, UTC)
    if by_week:
        ours, theirs = (
            f"{minute} {hour} ? {month} {day_of_week}",
            f"{minute} {hour} * {month} {_to_theirs(day_of_week)}",
        )
    else:
        ours, theirs = f"{minute} {hour} {day_of_month} {month} ? *", f"{minute} {hour} {day_of_month} {month} *"
    cron = parse_cron(ours)
    try:
        iterator = iter(CronSim(theirs, start))
    except CronSimError:  # it refuses a 31st of February at once
        assert cron.next_after(start, UTC_ZONE, FAR) is None
        return
    expected = [next(iterator) for _ in range(5)]
    found = occurrences(cron, start, UTC_ZONE)
    assert [next(found) for _ in range(5)] == expected
    assert cron.count(start, expected[-1], UTC_ZONE) == 5


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789*,-/?LW#MONFRI ", max_size=24))
def test_no_text_ends_in_anything_but_a_cron_or_a_refusal(text: str) -> None:
    try:
        cron = parse_cron(text)
    except CronError:
        return
    assert all(1 <= day <= 29 for day in cron.days.of(2028, 2))
    moment = cron.next_after(datetime(2026, 1, 1, tzinfo=UTC), UTC_ZONE, FAR)
    assert moment is None or moment.date() > date(2025, 12, 31)
