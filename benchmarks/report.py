"""What a benchmark has found: tables of numbers, printed as markdown or JSON."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

#: A number, a text, or nothing to be said.
Cell = float | int | str | None


@dataclass
class Table:
    """One table of results.

    Args:
        columns: headings; each with its unit.
        rows: raw numbers, which `markdown` rounds to three digits.
        notes: sentences that belong under it.
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The table as it stands in the documentation."""
        is_text = [any(isinstance(row[place], str) for row in self.rows) for place in range(len(self.columns))]
        lines = [f"### {self.title}", "", _line(self.columns), _line("---" if text else "--:" for text in is_text)]
        lines += [_line(shown(cell) for cell in row) for row in self.rows]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """The same for programs, not rounded."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": self.notes}


def _line(cells: object) -> str:
    return f"| {' | '.join(cells)} |"  # type: ignore[arg-type]


def shown(cell: Cell) -> str:
    """A number with three digits that count; a text as it is."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}" if abs(cell) >= 0.1 or cell == 0 else f"{cell:.4f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed (nearest rank); `values` need not be sorted."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)
