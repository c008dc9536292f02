from datetime import UTC, datetime, timedelta

import pytest

from duestream.cli.demo_client import forget_aws_settings, sent_at, timestamp
from duestream.cli.demo_report import Appointment, Report

DUE = datetime(2030, 1, 1, 9, 0, 0, 250_000, tzinfo=UTC)


def _appointments(count: int) -> list[Appointment]:
    return [Appointment(number, DUE) for number in range(1, count + 1)]


def _after(milliseconds: int) -> datetime:
    return DUE + timedelta(milliseconds=milliseconds)


def test_all_delivered_on_time_is_good() -> None:
    written = _appointments(3)
    report = Report(written, {one.email: [_after(one.number)] for one in written})
    assert report.is_good
    assert report.summary() == {
        "items": 3,
        "delivered": 3,
        "duplicates": 0,
        "lateness_ms": {"p50": 2, "p99": 3, "max": 3},
    }


@pytest.mark.parametrize(
    ("delivered", "problem"),
    [
        ([], "missing"),
        ([0, 5], "delivered 2 times"),
        ([-1], "early"),
        ([1000], None),
        ([1001], "late"),
    ],
)
def test_what_went_wrong_is_named(delivered: list[int], problem: str | None) -> None:
    (written,) = _appointments(1)
    report = Report([written], {written.email: [_after(one) for one in delivered]})
    assert report.lines[0].problem == problem
    assert report.is_good == (problem is None)


def test_a_deleted_item_is_good_when_nothing_came_and_bad_when_something_did() -> None:
    (written,) = _appointments(1)
    written.is_deleted = True
    assert Report([written], {}).is_good
    assert Report([written], {written.email: [_after(0)]}).lines[0].problem == "delivered though deleted"


def test_a_moved_item_is_measured_from_where_it_was_moved_to() -> None:
    (written,) = _appointments(1)
    written.moved_to(_after(2000))
    assert Report([written], {written.email: [_after(0)]}).lines[0].problem == "early"
    assert Report([written], {written.email: [_after(2003)]}).lines[0].lateness_ms == 3


def test_duplicates_are_counted_beyond_the_first() -> None:
    (written,) = _appointments(1)
    assert Report([written], {written.email: [_after(0)] * 3}).summary()["duplicates"] == 2


def test_nothing_delivered_has_no_lateness() -> None:
    assert Report(_appointments(1), {}).summary()["lateness_ms"] == {"p50": None, "p99": None, "max": None}


def test_timestamps_are_written_without_a_zone_and_with_milliseconds() -> None:
    assert timestamp(DUE) == "2030-01-01T09:00:00.250"


def test_the_moment_of_sending_is_utc() -> None:
    assert sent_at("2030-01-01T09:00:00.250") == DUE


def test_the_readers_aws_settings_are_forgotten() -> None:
    environ = {"AWS_PROFILE": "work", "AWS_ENDPOINT_URL": "http://elsewhere", "HOME": "/home/x"}
    forget_aws_settings(environ)
    assert set(environ) == {"HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}
