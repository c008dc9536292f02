from datetime import UTC, datetime

import pytest

from duestream.core.schedule_expression import OneTime, Recurring, parse_schedule_expression
from duestream.errors import ValidationException

AT = [
    # SEMANTICS.md B3, measured grammar: seconds optional, the keyword in any case; default zone UTC
    ("at(2030-01-02T03:04:05)", "UTC", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("at(2030-01-02T03:04)", "UTC", datetime(2030, 1, 2, 3, 4, tzinfo=UTC)),
    ("AT(2030-01-02T03:04:05)", "UTC", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("At(2030-01-02T03:04:05)", "Etc/UTC", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
    # B4: the past is accepted (recorded with this very moment)
    ("at(2022-12-31T23:59:59)", "UTC", datetime(2022, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ("at(1969-07-20T20:17:40)", "UTC", datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC)),
    # zones
    ("at(2030-01-02T03:04:05)", "Asia/Bangkok", datetime(2030, 1, 1, 20, 4, 5, tzinfo=UTC)),
    ("at(2030-07-02T03:04:05)", "Europe/Berlin", datetime(2030, 7, 2, 1, 4, 5, tzinfo=UTC)),
    ("at(2030-01-02T03:04:05)", "Europe/Berlin", datetime(2030, 1, 2, 2, 4, 5, tzinfo=UTC)),
    ("at(2030-01-02T03:04:05)", "Asia/Kathmandu", datetime(2030, 1, 1, 21, 19, 5, tzinfo=UTC)),
    # core/timestamps.py: a gap moves forward by its length; an overlap is its first instant
    ("at(2026-03-08T02:30:00)", "America/New_York", datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
    ("at(2026-11-01T01:30:00)", "America/New_York", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
    ("at(2026-10-04T02:15:00)", "Australia/Lord_Howe", datetime(2026, 10, 3, 15, 45, tzinfo=UTC)),
    # leap day, and the ends of what can be said
    ("at(2028-02-29T00:00:00)", "UTC", datetime(2028, 2, 29, tzinfo=UTC)),
    ("at(9999-12-31T23:59:59)", "UTC", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
]

RECURRING = [
    # SEMANTICS.md B3, accepted by AWS in recordings
    ("cron(0-15/1 8-8 ? * 2,3,4,5,6,7 *)", "cron"),
    ("cron(30-30 13-13 ? * 2,4,6 *)", "cron"),
    ("cron(1-31/30 1-1 ? * 1,7 *)", "cron"),
    ("cron(0 18 ? * MON-FRI *)", "cron"),
    ("cron(*/15 * * * ? *)", "cron"),
    ("cron(0-59/10 0-23/2 ? * * *)", "cron"),
    # measured grammar: five fields, L, W, <dow>L, #, any case, no check of singular and plural
    ("cron(0 18 ? * MON-FRI)", "cron"),
    ("cron(0 0 L * ? *)", "cron"),
    ("cron(0 0 15W * ? *)", "cron"),
    ("cron(0 0 LW * ? *)", "cron"),
    ("cron(0 0 ? * 6L *)", "cron"),
    ("cron(0 0 ? * 2#1 2030-2040)", "cron"),
    ("CRON(0 0 1 jan,JUL ? *)", "cron"),
    ("rate(5 minutes)", "rate"),
    ("rate(1 minutes)", "rate"),
    ("rate(2 hour)", "rate"),
    ("rate(10days)", "rate"),
    ("Rate(1 day)", "rate"),
]

REFUSED = [
    # SEMANTICS.md B3, refused by AWS in recordings
    "cron(0 1 * * * *)",
    "cron(7 20 * * NOT *)",
    "cron(INVALID)",
    "cron(0 dummy ? * MON-FRI *)",
    "cron(71 8 1 * ? *)",
    "cron()",
    "rate(10 seconds)",
    "rate(10 years)",
    "rate()",
    "rate(10)",
    "rate(10 minutess)",
    "rate(foo minutes)",
    "rate(-10 minutes)",
    "rate( 10 minutes )",
    " rate(10 minutes)",
    "at(2021-12-31T23:59:59Z)",
    "at(2021-12-31)",
    # measured grammar: zero, 4 and 7 fields, `?` twice or never, two `#` in a list, # up to 5
    "rate(0 minutes)",
    "rate(00 days)",
    "cron(0 18 ? *)",
    "cron(0 18 ? * MON-FRI * *)",
    "cron(0 18 ? * ? *)",
    "cron(0 18 ? * 2#1,3#2 *)",
    "cron(0 18 ? * 2#6 *)",
    "cron(0 18 ? * 8 *)",
    "cron(0 18 ? * MON 1969)",
    "cron(0 18 ? 13 MON *)",
    "cron(*/0 18 ? * MON *)",
    "cron(? 18 ? * MON *)",
    # measured grammar: no Z, offset, space or fraction in at()
    "at(2021-12-31T23:59:59.5)",
    "at(2021-12-31T23:59:59+01:00)",
    "at(2021-12-31 23:59:59)",
    "at( 2021-12-31T23:59:59)",
    "at(2021-12-31T23:59:59) ",
    "at(2021-12-31T23:59:59)\n",
    "at(2021-12-31T23)",
    # no such moment
    "at(2021-02-29T00:00:00)",
    "at(2021-13-01T00:00:00)",
    "at(2021-12-31T24:00:00)",
    "at(2021-12-31T23:59:60)",
    "at(0000-01-01T00:00:00)",
    "at(٢٠٣٠-01-01T00:00:00)",
    "at()",
    "at",
    "now",
]


@pytest.mark.parametrize(("text", "timezone", "due_at"), AT)
def test_an_at_expression_is_a_moment(text: str, timezone: str, due_at: datetime) -> None:
    assert parse_schedule_expression(text, timezone) == OneTime(due_at)


@pytest.mark.parametrize(("text", "keyword"), RECURRING)
def test_recurring_expressions_are_recognised(text: str, keyword: str) -> None:
    parsed = parse_schedule_expression(text)
    assert isinstance(parsed, Recurring)
    assert parsed.keyword == keyword


@pytest.mark.parametrize("text", REFUSED)
def test_a_malformed_expression_is_refused_in_aws_words(text: str) -> None:
    with pytest.raises(ValidationException) as refused:
        parse_schedule_expression(text)
    assert refused.value.message == f"Invalid Schedule Expression {text}."


@pytest.mark.parametrize(
    ("text", "timezone"), [("at(0001-01-01T00:00)", "Asia/Tokyo"), ("at(9999-12-31T23:59)", "US/Hawaii")]
)
def test_a_moment_beyond_the_calendar_is_refused(text: str, timezone: str) -> None:
    with pytest.raises(ValidationException, match=r"^Invalid Schedule Expression"):
        parse_schedule_expression(text, timezone)


@pytest.mark.parametrize(
    "timezone", ["Mars/Olympus", "Europe", "../etc/passwd", "/etc/localtime", "localtime", "right/UTC", "a\0b"]
)
def test_an_unknown_time_zone_is_refused(timezone: str) -> None:
    with pytest.raises(ValidationException, match="Invalid ScheduleExpressionTimezone"):
        parse_schedule_expression("at(2030-01-01T00:00:00)", timezone)


def test_digits_without_end_cost_nothing() -> None:
    parsed = parse_schedule_expression(f"rate({'9' * 5000} days)")
    assert isinstance(parsed, Recurring)
