"""Timestamps on the wire: epoch seconds, ISO 8601 and the dates of HTTP headers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch(seconds: float) -> datetime:
    """The aware moment so many seconds after 1970.

    Raises:
        ValueError: no calendar has that moment.
    """
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{seconds} seconds after 1970 is in no calendar") from error


def to_epoch(moment: datetime | float) -> float | int:
    """Seconds since 1970 with milliseconds at the most; whole seconds are an int. Numbers are taken as seconds."""
    seconds = (moment - _EPOCH) / timedelta(seconds=1) if isinstance(moment, datetime) else moment
    return int(seconds) if seconds == int(seconds) else round(seconds, 3)


def parse(text: str) -> datetime:
    """ISO 8601 (without an offset: UTC), an HTTP date, or epoch seconds as text.

    Raises:
        ValueError: it is none of them.
    """
    try:
        return from_epoch(float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def to_iso(moment: datetime | float) -> str:
    """``2030-01-01T09:00:00Z``, with milliseconds where there are any."""
    if not isinstance(moment, datetime):
        moment = from_epoch(moment)
    moment = moment.astimezone(UTC)
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def to_http_date(moment: datetime | float) -> str:
    """``Tue, 01 Jan 2030 09:00:00 GMT``."""
    if not isinstance(moment, datetime):
        moment = from_epoch(moment)
    return format_datetime(moment.astimezone(UTC), usegmt=True)
