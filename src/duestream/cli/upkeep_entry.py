"""The commands that tend an app that is there already, their options and their help."""

from decimal import Decimal
from typing import Annotated

import typer

COST_EXAMPLES = """
\b
Examples:
  duestream cost appointments.py --items 1000000
  duestream cost appointments.py --items 1000000 --changes 0.2 --free-tier
  duestream cost appointments.py --items 1000000000 --json
"""

upkeep = typer.Typer(add_completion=False, rich_markup_mode=None)

AppArgument = Annotated[
    str, typer.Argument(metavar="APP", help="The rule file: a path, or path:name where it has several apps.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@upkeep.command(
    epilog=COST_EXAMPLES,
    short_help="Dollars a month on AWS, for schedules against sweeps.",
    help="Estimate from counts what the rules cost on AWS a month, as they are declared, by schedules and by sweeps. "
    "Asks nobody; each price is shown with its date.",
)
def cost(
    app: AppArgument,
    items: Annotated[
        int, typer.Option(min=1, max=10**12, help="Items written into each table in a month.")
    ] = 1_000_000,
    changes: Annotated[float, typer.Option(min=0, max=10**6, help="How often an item's timestamp is moved.")] = 0.2,
    occurrences: Annotated[
        int, typer.Option(min=1, max=44_640, help="Deliveries in a month of each item of a recurring rule.")
    ] = 30,
    item_bytes: Annotated[int, typer.Option(min=1, max=409_600, help="Size of an item.")] = 1024,
    free_tier: Annotated[
        bool, typer.Option("--free-tier", help="Take off what AWS gives every account every month for nothing.")
    ] = False,
    json: Json = False,
) -> int:
    from duestream.aws.upkeep.cost import Load  # noqa: PLC0415 - lazy: see entry
    from duestream.cli.cost import tell_cost  # noqa: PLC0415

    load = Load(items, Decimal(str(changes)), occurrences, item_bytes, free_tier)
    return tell_cost(app, load, as_json=json)
