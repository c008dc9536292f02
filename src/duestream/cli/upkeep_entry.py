"""The commands that tend an app that is there already, their options and their help."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from duestream.cli.stack_entry import AppArgument, EndpointUrl, Json, Profile, Region

BACKFILL_EXAMPLES = """
\b
Examples:
  duestream backfill appointments.py --dry-run                 only count
  duestream backfill appointments.py --region eu-central-1 --rate 500
  duestream backfill appointments.py --table Appointment-Table --json
  duestream backfill appointments.py --endpoint-url http://127.0.0.1:8787   a server of `duestream up`
"""
RECONCILE_EXAMPLES = """
\b
Examples:
  duestream reconcile appointments.py --region eu-central-1
  duestream reconcile appointments.py --shallow                only whether they are there
  duestream reconcile appointments.py --repair --json
"""
COST_EXAMPLES = """
\b
Examples:
  duestream cost appointments.py --items 1000000
  duestream cost appointments.py --items 1000000 --changes 0.2 --free-tier
  duestream cost appointments.py --items 1000000000 --json
"""

upkeep = typer.Typer(add_completion=False, rich_markup_mode=None)

Table = Annotated[str | None, typer.Option(metavar="NAME", help="Only this table.")]
Rate = Annotated[
    float,
    typer.Option(
        min=0.1, max=100_000, help="Calls a second to EventBridge Scheduler, at the most: leave some to others."
    ),
]
Segments = Annotated[int, typer.Option(min=1, max=64, help="Of each table's scan, side by side.")]


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


@upkeep.command(
    epilog=BACKFILL_EXAMPLES,
    short_help="Schedules for the items that were there before the rules.",
    help="Scan the tables and make the schedules that are missing: for items that were there before the rules were. "
    "What is there stays, what is past due is left alone. Can be interrupted: the same command goes on.",
)
def backfill(
    app: AppArgument,
    table: Table = None,
    rate: Rate = 200.0,
    segments: Segments = 4,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the progress is kept; otherwise .duestream-backfill-APP.json."),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget the progress there is, and begin anew.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be made.")] = False,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
    json: Json = False,
) -> int:
    from duestream.cli.backfill import run_backfill  # noqa: PLC0415 - lazy: see entry
    from duestream.cli.stack_door import Where  # noqa: PLC0415

    return run_backfill(
        app,
        Where(None, endpoint_url, region, profile),
        table=table,
        rate=rate,
        segments=segments,
        state=state,
        restart=restart,
        dry_run=dry_run,
        as_json=json,
    )


@upkeep.command(
    epilog=RECONCILE_EXAMPLES,
    short_help="Hold the tables against the schedules.",
    help="Look for schedules that are missing, orphaned or different from what the items want. Exits with 1 if there "
    "are any and they are not mended. What looks wrong is looked at again before it is told or mended.",
)
def reconcile(
    app: AppArgument,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is found.")] = False,
    shallow: Annotated[
        bool, typer.Option("--shallow", help="Only look whether schedules are there: saves a call for each.")
    ] = False,
    table: Table = None,
    rate: Rate = 200.0,
    segments: Segments = 4,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
    json: Json = False,
) -> int:
    from duestream.cli.reconcile import run_reconcile  # noqa: PLC0415 - lazy: see entry
    from duestream.cli.stack_door import Where  # noqa: PLC0415

    return run_reconcile(
        app,
        Where(None, endpoint_url, region, profile),
        table=table,
        rate=rate,
        segments=segments,
        repair=repair,
        shallow=shallow,
        as_json=json,
    )
