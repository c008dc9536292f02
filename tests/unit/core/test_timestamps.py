from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream.core.timestamps import MIN_EPOCH_MILLISECONDS, find_zone, parse_timestamp
from duestream.errors import TimestampError


def moment(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T09:30:00Z", moment(2026, 11, 23, 9, 30)),
        ("2026-11-23t09:30:00z", moment(2026, 11, 23, 9, 30)),
        ("2026-11-23 09:30Z", moment(2026, 11, 23, 9, 30)),
        ("2026-11-23T09:30:00+07:00", moment(2026, 11, 23, 2, 30)),
        ("2026-11-23T09:30:00+0700", moment(2026, 11, 23, 2, 30)),
        ("2026-11-23T09:30:00-07", moment(2026, 11, 23, 16, 30)),
        ("2026-11-23T09:30+05:45", moment(2026, 11, 23, 3, 45)),
        ("2026-11-23T09:30:00.5Z", moment(2026, 11, 23, 9, 30, 0, 500_000)),
        ("2026-11-23T09:30:00.1234567890123Z", moment(2026, 11, 23, 9, 30, 0, 123_456)),
        ("2026-11-23T09:30:00", moment(2026, 11, 23, 2, 30)),
        ("2026-11-23 09:30", moment(2026, 11, 23, 2, 30)),
        ("2026-11-23", moment(2026, 11, 22, 17)),
        ("2024-02-29T23:59:59.999999Z", moment(2024, 2, 29, 23, 59, 59, 999_999)),
        ("0001-01-02T00:00:00Z", moment(1, 1, 2)),
        ("9999-12-31T23:59:59Z", moment(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_iso_8601_is_read_and_what_has_no_offset_is_in_the_zone(text: str, expected: datetime) -> None:
    assert parse_timestamp({"S": text}, timezone="Asia/Bangkok") == expected
    assert parse_timestamp({"S": text}, timezone="Asia/Bangkok").tzinfo is UTC


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("0", moment(1970, 1, 1)),
        ("1795426200", moment(2026, 11, 23, 9, 30)),
        ("1795426200.25", moment(2026, 11, 23, 9, 30, 0, 250_000)),
        ("1795426200.9999999999999999999999999999", moment(2026, 11, 23, 9, 30, 0, 999_999)),
        ("1795426200250", moment(2026, 11, 23, 9, 30, 0, 250_000)),
        ("1.7954262E+9", moment(2026, 11, 23, 9, 30)),
        ("-1", moment(1969, 12, 31, 23, 59, 59)),
        ("-0.5", moment(1969, 12, 31, 23, 59, 59, 500_000)),
        (str(MIN_EPOCH_MILLISECONDS), moment(1973, 3, 3, 9, 46, 40)),
        (str(-MIN_EPOCH_MILLISECONDS), moment(1966, 10, 31, 14, 13, 20)),
        (str(MIN_EPOCH_MILLISECONDS - 1), moment(5138, 11, 16, 9, 46, 39)),
    ],
)
def test_numbers_are_seconds_or_from_ten_to_the_eleventh_milliseconds(number: str, expected: datetime) -> None:
    assert parse_timestamp({"N": number}, timezone="Asia/Bangkok") == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "20261123", "20261123T093000Z", "2026-W48-1", "2026-327", "1795426200", "2026-11-23T24:00:00Z",
        "2026-13-01", "2026-02-29", "0000-01-01", "10000-01-01", "2026-11-23T09:30:60Z", "2026-11-23T09Z",
        "2026-11-23T09:30:00,5Z", "2026-11-23T09:30:00 Z", " 2026-11-23", "2026-11-23\n", "2026-11-23Z",
        "2026-11-23T09:30:00+24:00", "2026-11-23T09:30:00+07:60", "2026-11-23T09:30:00.Z", "٢٠٢٦-11-23",
        "0001-01-01T00:00:00+07:00", "9999-12-31T23:00:00-07:00", "2026-11-23T09:30:00[Asia/Bangkok]",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_what_was_found_and_what_is_read(text: str) -> None:
    with pytest.raises(TimestampError, match="Write ISO 8601") as raised:
        parse_timestamp({"S": text}, timezone="UTC")
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("number", ["1E+15", "-1E+125", "NaN", "1E+999999999", "-99999999999999999"])
def test_numbers_outside_the_calendar_are_refused(number: str) -> None:
    with pytest.raises(TimestampError, match="years 1 and 9999"):
        parse_timestamp({"N": number}, timezone="UTC")


@pytest.mark.parametrize("value", [{"BOOL": True}, {"M": {}}, {"SS": ["2026-11-23"]}, {"B": "aGk="}])
def test_other_types_are_refused_by_name(value: dict[str, object]) -> None:
    with pytest.raises(TimestampError, match=f"type {next(iter(value))}"):
        parse_timestamp(value, timezone="UTC")


def test_digits_in_a_string_are_refused_with_the_remedy() -> None:
    with pytest.raises(TimestampError, match=r"as a number \(N\)"):
        parse_timestamp({"S": "1795426200"}, timezone="UTC")


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "America", "/etc/passwd", "../UTC", "posix/UTC", "localtime"])
def test_an_unknown_zone_is_refused_by_name_where_it_is_needed(name: str) -> None:
    with pytest.raises(TimestampError, match="time zone") as raised:
        parse_timestamp({"S": "2026-11-23T09:30"}, timezone=name)
    assert repr(name) in str(raised.value)
    assert parse_timestamp({"S": "2026-11-23T09:30Z"}, timezone=name) == moment(2026, 11, 23, 9, 30)


def test_a_time_in_a_gap_moves_forward_by_the_gaps_length() -> None:
    read = parse_timestamp({"S": "2026-03-08T02:30:00"}, timezone="America/New_York")
    assert (
        read == parse_timestamp({"S": "2026-03-08T03:30:00"}, timezone="America/New_York") == moment(2026, 3, 8, 7, 30)
    )


def test_a_time_that_comes_twice_is_the_first() -> None:
    assert parse_timestamp({"S": "2026-11-01T01:30:00"}, timezone="America/New_York") == moment(2026, 11, 1, 5, 30)


def test_a_date_whose_midnight_is_in_a_gap_is_the_moment_the_day_begins() -> None:
    read = parse_timestamp({"S": "2017-10-15"}, timezone="America/Sao_Paulo")
    assert read == moment(2017, 10, 15, 3)
    assert read.astimezone(ZoneInfo("America/Sao_Paulo")).hour == 1


def transitions(zone: ZoneInfo, year: int) -> list[datetime]:
    """The moments at which a zone's offset changes in a year, to the minute; an oracle of its own."""
    found = []
    low = moment(year, 1, 1)
    while low.year == year:
        high = low + timedelta(days=1)
        if zone.utcoffset(low.astimezone(zone)) != zone.utcoffset(high.astimezone(zone)):
            near, far = low, high
            while far - near > timedelta(minutes=1):
                middle = near + timedelta(minutes=(far - near) // timedelta(minutes=2))
                same = zone.utcoffset(near.astimezone(zone)) == zone.utcoffset(middle.astimezone(zone))
                near, far = (middle, far) if same else (near, middle)
            found.append(far)
        low = high
    return found


ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Gaza", "Africa/Casablanca", "Asia/Bangkok"]


@pytest.mark.parametrize("name", ZONES)
def test_around_every_change_of_the_clocks_local_times_are_read_as_decided(name: str) -> None:
    zone = ZoneInfo(name)
    for change in transitions(zone, 2026):
        before = zone.utcoffset((change - timedelta(hours=3)).astimezone(zone))
        after = zone.utcoffset((change + timedelta(hours=3)).astimezone(zone))
        assert before is not None
        assert after is not None
        for minutes in range(-180, 181, 15):
            local = change.replace(tzinfo=None) + before + timedelta(minutes=minutes)
            read = parse_timestamp({"S": local.isoformat()}, timezone=name)
            # Before the change, in the gap, and at the first of two instants, the earlier offset holds.
            by_old_clock = local - before
            in_gap_or_first = by_old_clock.replace(tzinfo=UTC) < change + max(after - before, timedelta(0))
            assert read.replace(tzinfo=None) == (by_old_clock if in_gap_or_first else local - after)


@given(
    st.datetimes(
        timezones=st.sampled_from([timezone(timedelta(minutes=m)) for m in (-720, -330, 0, 345, 840)]),
        min_value=moment(2, 1, 1).replace(tzinfo=None),
        max_value=moment(9998, 1, 1).replace(tzinfo=None),
    )
)
def test_every_moment_survives_being_written_with_its_offset(at: datetime) -> None:
    assert parse_timestamp({"S": at.isoformat()}, timezone="Asia/Tokyo") == at
    assert parse_timestamp({"S": at.isoformat(" ")}, timezone="Asia/Tokyo") == at


@given(
    st.integers(0, MIN_EPOCH_MILLISECONDS - 1),
    st.sampled_from(["", ".5", ".000001"]),
)
def test_every_second_survives_as_a_number(seconds: int, fraction: str) -> None:
    read = parse_timestamp({"N": f"{seconds}{fraction}"}, timezone="UTC")
    assert read - moment(1970, 1, 1) == timedelta(seconds=seconds) + timedelta(seconds=float(fraction or 0))


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1)), st.sampled_from(ZONES))  # noqa: DTZ001
def test_a_local_time_that_exists_once_survives_in_its_zone(local: datetime, name: str) -> None:
    read = parse_timestamp({"S": local.isoformat()}, timezone=name).astimezone(ZoneInfo(name))
    twice_or_never = (
        local.replace(tzinfo=ZoneInfo(name)).utcoffset() != local.replace(tzinfo=ZoneInfo(name), fold=1).utcoffset()
    )
    assert read.replace(tzinfo=None) == local or twice_or_never


@given(st.text(max_size=40))
def test_no_text_raises_anything_but_a_timestamp_error(text: str) -> None:
    with suppress(TimestampError):
        assert parse_timestamp({"S": text}, timezone="UTC").tzinfo is UTC


def test_every_zone_of_the_database_is_known() -> None:
    for name in available_timezones():
        if name not in ("localtime", "Factory"):
            find_zone(name)
