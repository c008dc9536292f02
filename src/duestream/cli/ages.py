"""Lengths of time as options: ``90s``, ``15m``, ``2h``, ``7d``, ``1h30m``."""

import re

from duestream.errors import SettingsError

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)(min|[smhd])")


def parse_age(text: str, option: str) -> float:
    """A length of time in seconds.

    Args:
        option: the option that it was given for, named in the error.

    Raises:
        SettingsError: it is none.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise SettingsError(f"{option} {text!r} is no length of time. Write 90s, 15m, 2h, 7d or 1h30m.")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def age_text(seconds: float) -> str:
    """An age in words, in the unit that reads well: ``3 days``, ``2 h``, ``15 min``, ``40 s``."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
