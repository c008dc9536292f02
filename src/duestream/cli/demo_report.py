"""What the demo expected, what came, and what to make of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

#: A delivery later than this fails the demo.
MAX_LATENESS_MS = 1000


@dataclass(slots=True)
class Appointment:
    """One item of the demo, as it stands."""

    number: int
    due_at: datetime
    is_moved: bool = field(default=False, init=False)
    is_deleted: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The item's partition key."""
        return f"appointment-{self.number}"

    @property
    def email(self) -> str:
        """Whom the reminder is for: an address of its own, so that each delivery tells its item."""
        return f"patient-{self.number}@example.com"

    def moved_to(self, due_at: datetime) -> None:
        """It is due at another moment now."""
        self.due_at, self.is_moved = due_at, True


@dataclass(frozen=True, slots=True)
class Line:
    """One item's line of the report."""

    name: str
    change: str
    due_at: datetime
    delivered_at: Sequence[datetime]
    lateness_ms: int | None
    problem: str | None


class Report:
    """Compares what was written with what came.

    Args:
        appointments: as they stood at the end.
        delivered: address to the moments at which it got an email.
    """

    def __init__(self, appointments: Sequence[Appointment], delivered: Mapping[str, Sequence[datetime]]) -> None:
        self.lines = [_line(appointment, delivered.get(appointment.email, ())) for appointment in appointments]

    @property
    def is_good(self) -> bool:
        """Nothing was missing, early, doubled, late, or delivered though it was deleted."""
        return all(line.problem is None for line in self.lines)

    def summary(self) -> dict[str, Any]:
        """``items`` written; of those ``delivered`` at least once; ``duplicates``: emails beyond one for an item."""
        lateness = sorted(line.lateness_ms for line in self.lines if line.lateness_ms is not None)
        return {
            "items": len(self.lines),
            "delivered": sum(1 for line in self.lines if line.delivered_at),
            "duplicates": sum(max(len(line.delivered_at) - 1, 0) for line in self.lines),
            "lateness_ms": {
                "p50": _percentile(lateness, 50),
                "p99": _percentile(lateness, 99),
                "max": lateness[-1] if lateness else None,
            },
        }


def _line(appointment: Appointment, delivered_at: Sequence[datetime]) -> Line:
    change = "deleted" if appointment.is_deleted else "moved" if appointment.is_moved else ""
    lateness_ms = None
    if delivered_at:
        lateness_ms = (min(delivered_at) - appointment.due_at) // timedelta(milliseconds=1)
    problem = _problem(appointment, len(delivered_at), lateness_ms)
    return Line(appointment.name, change, appointment.due_at, delivered_at, lateness_ms, problem)


def _problem(appointment: Appointment, deliveries: int, lateness_ms: int | None) -> str | None:
    if appointment.is_deleted:
        return "delivered though deleted" if deliveries else None
    if lateness_ms is None:
        return "missing"
    if deliveries > 1:
        return f"delivered {deliveries} times"
    if lateness_ms < 0:
        return "early"
    return "late" if lateness_ms > MAX_LATENESS_MS else None


def _percentile(values: Sequence[int], percent: int) -> int | None:
    """The smallest value that so many percent are not above (nearest rank)."""
    return values[max(-(-len(values) * percent // 100) - 1, 0)] if values else None
