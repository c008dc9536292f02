"""The options of `duestream dead-letters`. What the commands do is in dead_letters.py, imported when one runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from duestream.cli.stack_entry import Profile, Region
from duestream.errors import SettingsError

if TYPE_CHECKING:
    from duestream.cli.dead_letters import Box

LIST_EXAMPLES = """
\b
Examples:
  duestream dead-letters list
  duestream dead-letters list --rule reminder --newer-than 2h
  duestream dead-letters show 17
  duestream dead-letters redrive 17 18
  duestream dead-letters redrive --all --error NonExistentQueue --dry-run
  duestream dead-letters drop --all --kind record --older-than 7d
\b
On AWS:
  duestream dead-letters list appointments.py --region eu-central-1
  duestream dead-letters redrive --app appointments.py --all --rule reminder
"""

EndpointUrl = Annotated[
    str | None,
    typer.Option(
        envvar="AWS_ENDPOINT_URL",
        metavar="URL",
        help="The running server, else http://127.0.0.1:8787; with an app, what is asked instead of AWS. Requests are "
        "signed if there are credentials.",
    ),
]
AppOption = Annotated[
    str | None, typer.Option(metavar="APP", help="The rule file of an app on AWS, which is asked instead of a server.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
_All = Annotated[bool, typer.Option("--all", help="All that the filters leave.")]
_Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Numbers or message ids, as `list` shows them.")]
_Rule = Annotated[str | None, typer.Option(metavar="NAME", help="Those of this rule.")]
_Error = Annotated[str | None, typer.Option(metavar="TEXT", help="Those with this text in the error's code or words.")]
_Older = Annotated[str | None, typer.Option(metavar="AGE", help="Those given up longer ago: 90s, 15m, 2h, 7d.")]
_Newer = Annotated[str | None, typer.Option(metavar="AGE", help="Those given up since then.")]
_Kind = Annotated[
    str | None,
    typer.Option(
        metavar="delivery|record|message",
        help="Failed deliveries, stream records, or messages that SQS moved there out of other queues.",
    ),
]
_Table = Annotated[str | None, typer.Option(metavar="NAME", help="Those of this table's items.")]

letters = typer.Typer(rich_markup_mode=None)


def _box(app: str | None, endpoint_url: str | None, region: str | None, profile: str | None) -> "Box":
    from duestream.cli.letters_door import open_box  # noqa: PLC0415 - lazy: boto3 is not needed for --help

    return open_box(app, endpoint_url=endpoint_url, region=region, profile=profile)


@letters.callback(
    invoke_without_command=True,
    help="Look at what was given up, deliver it again, or let it go.",
    short_help="List, show, redrive or drop dead letters.",
    epilog=LIST_EXAMPLES,
)
def _letters(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


@letters.command("list", help="List dead letters: failed deliveries, and stream records that no rule could digest.")
def list_(
    app_file: Annotated[
        str | None, typer.Argument(metavar="APP", help="The rule file of an app on AWS; without one, a server's.")
    ] = None,
    rule: _Rule = None,
    error: _Error = None,
    older_than: _Older = None,
    newer_than: _Newer = None,
    kind: _Kind = None,
    table: _Table = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many to show at the most.")] = 100,
    json: _Json = False,
    app: AppOption = None,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> int:
    from duestream.cli import dead_letters  # noqa: PLC0415 - lazy: see above

    if app is not None and app_file is not None:
        raise SettingsError("name the app once")
    wanted = dead_letters.Wanted(rule, error, older_than, newer_than, kind, table)
    return dead_letters.list_letters(
        _box(app or app_file, endpoint_url, region, profile), wanted, limit=limit, as_json=json
    )


@letters.command(help="Show one dead letter whole, and what happened before and after it.")
def show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="Its number, or its SQS message id.")],
    json: _Json = False,
    app: AppOption = None,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> int:
    from duestream.cli import dead_letters  # noqa: PLC0415 - lazy: see above

    return dead_letters.show_letter(_box(app, endpoint_url, region, profile), letter, as_json=json)


@letters.command(help="Deliver failed deliveries again, now; plan stream records again, by the rules as they are.")
def redrive(
    ids: _Ids = None,
    take_all: _All = False,
    rule: _Rule = None,
    error: _Error = None,
    older_than: _Older = None,
    newer_than: _Newer = None,
    kind: _Kind = None,
    table: _Table = None,
    force: Annotated[
        bool, typer.Option("--force", help="Deliver also where the item is gone or has a newer schedule.")
    ] = False,
    dry_run: _DryRun = False,
    json: _Json = False,
    app: AppOption = None,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> int:
    from duestream.cli import dead_letters  # noqa: PLC0415 - lazy: see above

    return dead_letters.end_letters(
        _box(app, endpoint_url, region, profile),
        "redrive",
        ids or [],
        dead_letters.Wanted(rule, error, older_than, newer_than, kind, table),
        take_all=take_all,
        dry_run=dry_run,
        force=force,
        as_json=json,
    )


@letters.command(help="Delete dead letters.")
def drop(
    ids: _Ids = None,
    take_all: _All = False,
    rule: _Rule = None,
    error: _Error = None,
    older_than: _Older = None,
    newer_than: _Newer = None,
    kind: _Kind = None,
    table: _Table = None,
    dry_run: _DryRun = False,
    json: _Json = False,
    app: AppOption = None,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> int:
    from duestream.cli import dead_letters  # noqa: PLC0415 - lazy: see above

    return dead_letters.end_letters(
        _box(app, endpoint_url, region, profile),
        "drop",
        ids or [],
        dead_letters.Wanted(rule, error, older_than, newer_than, kind, table),
        take_all=take_all,
        dry_run=dry_run,
        force=False,
        as_json=json,
    )
