"""AWS's dialect of cron: six fields, minute to year, evaluated in a time zone.

The fields and their forms (EventBridge Scheduler User Guide, "Schedule types"; what AWS took and refused in
recordings is in the tests):

============  ===================  =======================================================================
field         values               forms
============  ===================  =======================================================================
minute        0-59                 ``*`` ``,`` ``-`` ``/``
hour          0-23                 ``*`` ``,`` ``-`` ``/``
day of month  1-31                 and ``?``, ``L`` (last), ``L-3`` (third before it), ``15W`` (the weekday
                                   nearest to it, in the same month), ``LW`` (last weekday)
month         1-12, JAN-DEC        ``*`` ``,`` ``-`` ``/``
day of week   1-7 (1 = SUN), names and ``?``, ``L`` (SAT), ``6L`` (last Friday), ``2#1`` (first Monday)
year          1970-2199            ``*`` ``,`` ``-`` ``/``; may be left out
============  ===================  =======================================================================

Decided here, where AWS is silent: a range whose end is below its start goes on at the beginning (``FRI-MON``,
``22-2``), but for years; ``31W`` is passed over in months that have no 31st.

Occurrences are found field by field from the year down, so that one that is centuries away costs little more
than one in the next minute.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

MIN_YEAR, MAX_YEAR = 1970, 2199

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_DAY = timedelta(days=1)

_is_number = re.compile(r"[0-9]{1,4}\Z").match
_is_step = re.compile(r"0*[1-9][0-9]{0,3}\Z").match
_read_before_last = re.compile(r"L-([0-9]{1,2})\Z").match
_read_weekday_near = re.compile(r"([0-9]{1,2})W\Z").match
_read_last_of_week = re.compile(r"([1-7]|[A-Z]{3})L\Z").match
_read_nth_of_week = re.compile(r"([1-7]|[A-Z]{3})#([1-5])\Z").match


class CronError(ValueError):
    """The text is no cron expression of AWS's dialect; the message says which field is at fault."""


@dataclass(frozen=True, slots=True)
class _Field:
    """What one field may hold."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    def numbers(self, text: str) -> list[int]:
        """All values that a whole field of plain parts stands for, in order."""
        return sorted({number for part in text.split(",") for number in self.part(part)})

    def part(self, part: str) -> Sequence[int]:
        """The values of one part: ``*``, ``5``, ``1-5``, ``*/15``, ``0/15``, ``MON-FRI``."""
        span, slash, step_text = part.partition("/")
        if slash and not _is_step(step_text):
            raise self.refuse(part)
        step = int(step_text) if slash else 1
        if span == "*":
            return range(self.lowest, self.highest + 1, step)
        first_text, dash, last_text = span.partition("-")
        first = self.number(first_text)
        if dash:
            last = self.number(last_text)
        else:
            last = self.highest if slash else first
        if last >= first:
            return range(first, last + 1, step)
        if self.lowest == MIN_YEAR:
            raise self.refuse(part)
        size = self.highest - self.lowest + 1
        return [(number - self.lowest) % size + self.lowest for number in range(first, last + size + 1, step)]

    def number(self, text: str) -> int:
        """The value that a number or a name stands for."""
        if text in self.names:
            return self.names.index(text) + 1
        if not _is_number(text) or not self.lowest <= int(text) <= self.highest:
            raise self.refuse(text)
        return int(text)

    def refuse(self, text: str) -> CronError:
        return CronError(f"the {self.name} cannot be {text[:40]!r}")


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY_OF_MONTH = _Field("day of the month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_DAY_OF_WEEK = _Field("day of the week", 1, 7, _DAYS)
_YEAR = _Field("year", MIN_YEAR, MAX_YEAR)


@dataclass(frozen=True, slots=True)
class _MonthDays:
    """Days told by their place in the month."""

    numbers: frozenset[int]
    #: So many days before the last; 0 is the last.
    before_last: frozenset[int] = frozenset()
    near: frozenset[int] = frozenset()
    last_weekday: bool = False

    def of(self, year: int, month: int) -> list[int]:
        last = _last_day(year, month)
        days = {day for day in self.numbers if day <= last}
        days |= {last - before for before in self.before_last if before < last}
        days |= {_weekday_near(year, month, day, last) for day in self.near if day <= last}
        if self.last_weekday:
            days.add(_weekday_near(year, month, last, last))
        return sorted(days)


@dataclass(frozen=True, slots=True)
class _WeekDays:
    """Days told by their place in the week; 1 is Sunday."""

    numbers: frozenset[int]
    last: frozenset[int] = frozenset()
    #: (day of the week, which of them in the month)
    nth: frozenset[tuple[int, int]] = frozenset()

    def of(self, year: int, month: int) -> list[int]:
        last = _last_day(year, month)
        first_weekday = date(year, month, 1).isoweekday() % 7 + 1
        days: set[int] = set()
        for weekday in self.numbers:
            days.update(range(1 + (weekday - first_weekday) % 7, last + 1, 7))
        for weekday, nth in self.nth:
            day = 1 + (weekday - first_weekday) % 7 + 7 * (nth - 1)
            if day <= last:
                days.add(day)
        for weekday in self.last:
            day = 1 + (weekday - first_weekday) % 7
            days.add(day + (last - day) // 7 * 7)
        return sorted(days)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. All sequences are sorted."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: _MonthDays | _WeekDays
    months: tuple[int, ...]
    years: tuple[int, ...]

    def next_after(self, after: datetime, zone: tzinfo, until: datetime) -> datetime | None:
        """The first occurrence later than `after` and not later than `until`; None: there is none.

        A local time that a clock change skips is skipped; one that comes twice is its first instant alone
        (User Guide, "Daylight savings time on EventBridge Scheduler").

        Args:
            after: aware.
            zone: where the fields are read.
            until: aware.

        Returns:
            An aware moment in UTC.
        """
        # Local times that exist follow each other as their first instants do, so a later one is never earlier.
        for local in self._local_from(_local(after, zone).replace(second=0, microsecond=0)):
            moment = _first_instant(local, zone)
            if moment is None:
                continue
            if moment > until:
                return None
            if moment > after:
                return moment
        return None

    def count(self, after: datetime, until: datetime, zone: tzinfo) -> int:
        """How many occurrences are later than `after` and not later than `until`; a day costs one step."""
        if until <= after:
            return 0
        first, last = _local(after, zone), _local(until, zone)
        total = 0
        for day in self._days_between(first.date(), last.date()):
            midnight = datetime.combine(day, time(), zone)
            if midnight.utcoffset() != (midnight + _DAY).utcoffset():
                moments = (_first_instant(local, zone) for local in self._local_of_day(day, time()))
                total += sum(moment is not None and after < moment <= until for moment in moments)
                continue
            total += self._count_to(last.time()) if day == last.date() else len(self.hours) * len(self.minutes)
            if day == first.date():
                total -= self._count_to(first.time())
        return total

    def _count_to(self, end: time) -> int:
        """How many times of an ordinary day there are up to this one."""
        hours = bisect_left(self.hours, end.hour)
        is_hour = hours < len(self.hours) and self.hours[hours] == end.hour
        return hours * len(self.minutes) + (bisect_right(self.minutes, end.minute) if is_hour else 0)

    def _days_between(self, first: date, last: date) -> Iterator[date]:
        for day in self._days_from(first):
            if day > last:
                return
            yield day

    def _days_from(self, first: date) -> Iterator[date]:
        for year in self.years[bisect_left(self.years, first.year) :]:
            for month in self.months:
                if (year, month) < (first.year, first.month):
                    continue
                for number in self.days.of(year, month):
                    day = date(year, month, number)
                    if day >= first:
                        yield day

    def _local_from(self, first: datetime) -> Iterator[datetime]:
        """Matching times on the clock on the wall, in order, whether or not the zone has them."""
        for day in self._days_from(first.date()):
            yield from self._local_of_day(day, first.time() if day == first.date() else time())

    def _local_of_day(self, day: date, first: time) -> Iterator[datetime]:
        for hour in self.hours[bisect_left(self.hours, first.hour) :]:
            skipped = bisect_left(self.minutes, first.minute) if hour == first.hour else 0
            for minute in self.minutes[skipped:]:
                yield datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001 - on the wall


@lru_cache(maxsize=4096)
def parse_cron(text: str) -> Cron:
    """Read what stands between the parentheses: five or six fields, one of the two day fields ``?`` (measured).

    Raises:
        CronError: AWS would refuse it.
    """
    fields = text.upper().split()
    if text != text.strip() or len(fields) not in (5, 6):
        raise CronError(
            "a cron expression has six fields: minute, hour, day of the month, month, day of the week, year"
        )
    minute, hour, day_of_month, month, day_of_week, *rest = fields
    if (day_of_month == "?") == (day_of_week == "?"):
        raise CronError("exactly one of day of the month and day of the week must be ?")
    return Cron(
        minutes=tuple(_MINUTE.numbers(minute)),
        hours=tuple(_HOUR.numbers(hour)),
        days=_week_days(day_of_week) if day_of_month == "?" else _month_days(day_of_month),
        months=tuple(_MONTH.numbers(month)),
        years=tuple(_YEAR.numbers(rest[0] if rest else "*")),
    )


def _month_days(text: str) -> _MonthDays:
    numbers: set[int] = set()
    before_last: set[int] = set()
    near: set[int] = set()
    last_weekday = False
    for part in text.split(","):
        if part == "L":
            before_last.add(0)
        elif part == "LW":
            last_weekday = True
        elif (found := _read_before_last(part)) and int(found[1]) <= 30:
            before_last.add(int(found[1]))
        elif (found := _read_weekday_near(part)) and 1 <= int(found[1]) <= 31:
            near.add(int(found[1]))
        else:
            numbers.update(_DAY_OF_MONTH.part(part))
    return _MonthDays(frozenset(numbers), frozenset(before_last), frozenset(near), last_weekday)


def _week_days(text: str) -> _WeekDays:
    if text.count("#") > 1:
        raise CronError("the day of the week can have one # only")
    numbers: set[int] = set()
    last: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for part in text.split(","):
        if part == "L":
            numbers.add(7)
        elif found := _read_last_of_week(part):
            last.add(_DAY_OF_WEEK.number(found[1]))
        elif found := _read_nth_of_week(part):
            nth.add((_DAY_OF_WEEK.number(found[1]), int(found[2])))
        else:
            numbers.update(_DAY_OF_WEEK.part(part))
    return _WeekDays(frozenset(numbers), frozenset(last), frozenset(nth))


def _last_day(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _weekday_near(year: int, month: int, day: int, last: int) -> int:
    """The day from Monday to Friday nearest to it that is in the same month."""
    match date(year, month, day).isoweekday():
        case 6:
            return day - 1 if day > 1 else day + 2
        case 7:
            return day + 1 if day < last else day - 2
        case _:
            return day


def _local(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone).replace(tzinfo=None)
    except OverflowError:  # at the ends of the calendar
        return moment.replace(tzinfo=None)


def _first_instant(local: datetime, zone: tzinfo) -> datetime | None:
    """When the clock on the wall first shows this; None: it never does."""
    aware = local.replace(tzinfo=zone)  # fold=0: the first of two
    moment = aware.astimezone(UTC)
    # A time in the gap comes back as another one.
    return moment if moment.astimezone(zone).replace(tzinfo=None) == local else None
