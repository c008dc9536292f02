"""`duestream cost`: dollars a month on AWS, for schedules against sweeps."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from duestream.aws.upkeep.cost import Estimate, Line, Load, RuleCost, estimate
from duestream.aws.upkeep.prices import PRICES, REGION
from duestream.cli.app_file import load_app
from duestream.errors import SettingsError

WIDTH_WITHOUT_TERMINAL = 240


def tell_cost(named: str, load: Load, *, as_json: bool) -> int:
    """Show what the app in that file would cost under this load; answers the exit code.

    Raises:
        RuleError: the file has a mistake.
        SettingsError: there is nothing to cost.
    """
    app = load_app(named)
    if not app.rules:
        raise SettingsError(f"{named} has no rules, so there is nothing to estimate. Declare one first.")
    found = estimate(app, load)
    if as_json:
        typer.echo(json.dumps(_facts(found), ensure_ascii=False))
        return 0
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    _show(found, console)
    return 0


def _show(found: Estimate, console: Console) -> None:
    load = found.load
    console.print(
        f"dollars a month in {REGION}, for {load.items:,} items in each table, each moved {load.changes} times"
        + (", after what AWS gives for nothing" if load.free_tier else ""),
        markup=False,
    )
    table = Table(box=SIMPLE, pad_edge=False)
    for header in ("table", "rule", "by", "for", "units", "price", "dollars"):
        table.add_column(header, justify="right" if header in ("units", "dollars") else "left")
    for cost in found.rules:
        _add_rule(table, found, cost)
    for name, lines in found.streams.items():
        for line in lines:
            table.add_row(name, "(its stream)", "schedules", line.what, *_amounts(found, line))
    for line in found.fixed:
        table.add_row("", "(the stack)", "", line.what, *_amounts(found, line))
    console.print(table)
    console.print(f"as declared       {_dollars(found.total(found.chosen)):>12}")
    for strategy, words in (("schedules", "all by schedules"), ("sweep", "sweeps if can be")):
        console.print(f"{words:<17} {_dollars(found.total(found.if_all(strategy))):>12}")  # type: ignore[arg-type]
    console.print()
    used = _prices_used(found)
    prices = Table(box=SIMPLE, pad_edge=False)
    for header in ("price", "dollars", "for", "as of", "read at", "AWS's page"):
        prices.add_column(header)
    for name in sorted(used):
        price = PRICES[name]
        per = f"{price.per:,} {price.unit}"
        prices.add_row(name, str(price.dollars), per, price.as_of, price.said_by, price.page)
    console.print(prices)
    console.print(
        "Left out: the items' own writes and storage, data transfer, your own code's time, and what rules' functions "
        "answer.",
        markup=False,
    )


def _prices_used(found: Estimate) -> set[str]:
    of_rules = {line.price for cost in found.rules for line in cost.lines}
    of_streams = {line.price for lines in found.streams.values() for line in lines}
    return of_rules | of_streams | {line.price for line in found.fixed}


def _add_rule(table: Table, found: Estimate, cost: RuleCost) -> None:
    for number, line in enumerate(cost.lines):
        first = number == 0
        by = f"{cost.strategy}{' (as declared)' if cost.is_chosen else ''}"
        table.add_row(
            cost.table_name if first else "",
            cost.rule if first else "",
            by if first else "",
            line.what,
            *_amounts(found, line),
        )
    table.add_row("", "", "", "", "", "", _dollars(found.total(cost.lines)), end_section=True)


def _amounts(found: Estimate, line: Line) -> tuple[str, str, str]:
    return f"{line.units:,.0f}" if line.units >= 1 else f"{line.units:.3g}", line.price, _dollars(found.total([line]))


def _dollars(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _facts(found: Estimate) -> dict[str, Any]:
    """All of it for programs; dollars are numbers, rounded to hundredths of a cent."""

    def lines_of(lines: Sequence[Line]) -> list[dict[str, Any]]:
        return [
            {
                "for": line.what,
                "price": line.price,
                "units": float(line.units),
                "dollars": _rounded(found.total([line])),
            }
            for line in lines
        ]

    load = found.load
    used = _prices_used(found)
    return {
        "region": REGION,
        "items": load.items,
        "changes": float(load.changes),
        "free_tier": load.free_tier,
        "rules": [
            {
                "table": cost.table_name,
                "rule": cost.rule,
                "by": cost.strategy,
                "as_declared": cost.is_chosen,
                "lines": lines_of(cost.lines),
                "dollars": _rounded(found.total(cost.lines)),
            }
            for cost in found.rules
        ],
        "streams": {name: lines_of(lines) for name, lines in found.streams.items()},
        "stack": lines_of(found.fixed),
        "dollars": {
            "as_declared": _rounded(found.total(found.chosen)),
            "all_by_schedules": _rounded(found.total(found.if_all("schedules"))),
            "sweeps_if_can_be": _rounded(found.total(found.if_all("sweep"))),
        },
        "prices": {
            name: {
                "dollars": float(PRICES[name].dollars),
                "per": PRICES[name].per,
                "unit": PRICES[name].unit,
                "free": PRICES[name].free,
                "as_of": PRICES[name].as_of,
                "said_by": PRICES[name].said_by,
                "page": PRICES[name].page,
            }
            for name in sorted(used)
        },
    }


def _rounded(amount: Decimal) -> float:
    return float(round(amount, 4))
