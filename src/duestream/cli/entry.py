"""The commands, their options and their help.

What a command does is in a room of its own, which is imported when the command runs: `duestream --help` loads
neither the server nor boto3, and `up` loads neither rich nor boto3.
"""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from duestream.cli.letters_entry import AppOption, EndpointUrl, letters
from duestream.cli.stack_entry import Profile, Region, stack
from duestream.cli.upkeep_entry import upkeep
from duestream.errors import Error, RuleError, SettingsError
from duestream.version import __version__

#: What was asked could not be done.
FAILED = 1
#: It was asked wrongly: an option, a setting, or a rule file with a mistake.
ASKED_WRONGLY = 2

EXAMPLES = """
\b
Examples:
  duestream demo                   ten reminders, delivered while you watch
  duestream check appointments.py  read a rule file and list its rules
  duestream up appointments.py     serve http://127.0.0.1:8787
  duestream why TABLE PK=..,SK=..  why an item was, was not, or will be delivered
  duestream dead-letters list      what was given up
  duestream deploy appointments.py the same rules, on AWS
\b
Then, with the AWS CLI or any SDK:
  export AWS_ENDPOINT_URL=http://127.0.0.1:8787
  aws dynamodb scan --table-name Appointment-Table
"""
CHECK_EXAMPLES = """
\b
Examples:
  duestream check appointments.py
  duestream check rules/main.py:clinic  the app `clinic`, where a file has several
  duestream check appointments.py --json
"""
UP_EXAMPLES = """
\b
Examples:
  duestream up appointments.py
  duestream up appointments.py --port 0 --data /tmp/try
  duestream up appointments.py --smtp mail.example.com:587
  duestream up appointments.py --forward sns=http://127.0.0.1:4566
  duestream up appointments.py --clock manual=2030-01-01T09:00:00Z
  duestream up  # AWS's operations only, without rules
"""
DEMO_EXAMPLES = """
\b
Examples:
  duestream demo
  duestream demo --appointments 100 --seconds 5
  duestream demo --json  # the last line is one JSON object
"""

WHY_EXAMPLES = """
\b
Examples:
  duestream why Appointment-Table PK=42,SK=2030-01-01
  duestream why Offers '{"id": 7}' --json
  duestream why Appointment-Table PK=42,SK=1 --app appointments.py --region eu-central-1
"""

# add_completion: it would add two options that change the reader's shell files.
cli = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

AppArgument = Annotated[
    str, typer.Argument(metavar="APP", help="The rule file: a path, or path:name where it has several apps.")
]
Forward = Annotated[
    list[str] | None,
    typer.Option(
        envvar="DUESTREAM_FORWARD",
        metavar="[SERVICE=]URL|aws|moto|none",
        help="Where services go that are not served here; moto if it is installed. Can be repeated.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def main() -> NoReturn:
    """Run the command that the arguments name, and exit: 0 done, 1 not done, 2 asked wrongly."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; answers the exit code. Errors meant for people go to stderr, without a traceback."""
    try:
        answer = cli(arguments, prog_name="duestream", standalone_mode=False)
    except (RuleError, SettingsError) as error:
        return _report(str(error), ASKED_WRONGLY)
    except Error as error:
        return _report(str(error), FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return _report("interrupted", FAILED)
    except Exception as error:
        # typer's own errors, told by what they can do: the class moved between typer's versions.
        if not hasattr(error, "format_message"):
            raise
        return _report(_usage_problem(error), ASKED_WRONGLY)
    return answer if isinstance(answer, int) else 0


def _usage_problem(error: Exception) -> str:
    problem = str(error.format_message()).strip()  # type: ignore[attr-defined]  # see above
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "duestream"
    return f"{problem} Try '{command} --help'."


def _report(problem: str, exit_code: int) -> int:
    print(f"error: {problem}", file=sys.stderr)  # noqa: T201 - stderr is where errors go
    return exit_code


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"duestream {__version__}")
        raise typer.Exit


@cli.callback(
    invoke_without_command=True,
    help="Actions that follow your data, on time: what a timestamp in an item asks for is done when it comes.",
    epilog=EXAMPLES,
)
def _duestream(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ASKED_WRONGLY)


@cli.command(
    epilog=UP_EXAMPLES,
    short_help="Serve AWS's operations on one endpoint, and deliver what is due.",
    help="Serve DynamoDB, SQS, SES, STS and EventBridge Scheduler on one endpoint, and deliver what is due.",
)
def up(
    app: Annotated[
        str | None,
        typer.Argument(
            metavar="APP",
            envvar="DUESTREAM_APP",
            help="The rule file: a path, or path:name where it has several apps.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(envvar="DUESTREAM_HOST", help="Address to bind. Beyond loopback needs --credentials.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="DUESTREAM_PORT", help="Port to bind; 0 takes a free one.")] = 8787,
    data: Annotated[Path, typer.Option(envvar="DUESTREAM_DATA", help="The data folder, made if it is missing.")] = Path(
        ".duestream"
    ),
    smtp: Annotated[
        str | None,
        typer.Option(
            envvar="DUESTREAM_SMTP",
            metavar="HOST[:PORT]",
            help="Hand emails to this mail server. Login: DUESTREAM_SMTP_USERNAME and DUESTREAM_SMTP_PASSWORD.",
        ),
    ] = None,
    forward: Forward = None,
    clock: Annotated[
        str,
        typer.Option(
            envvar="DUESTREAM_CLOCK",
            metavar="system|manual[=START]",
            help="manual: time stands still until POST /_duestream/clock moves it; START is ISO 8601.",
        ),
    ] = "system",
    credentials: Annotated[
        Path | None,
        typer.Option(
            envvar="DUESTREAM_CREDENTIALS",
            metavar="FILE",
            help="Ask for a signature by one of these keys on every request. The form is that of ~/.aws/credentials.",
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            envvar="DUESTREAM_ALLOWED_HOST",
            metavar="NAME",
            help="A further name this server is called by: name, name:port or *.name. Can be repeated.",
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option("--json", envvar="DUESTREAM_JSON", help="After the first line, print one JSON object a line."),
    ] = False,
) -> int:
    from duestream.cli.up import serve, settings_of  # noqa: PLC0415 - lazy: see above

    settings = settings_of(
        host=host,
        port=port,
        data=data,
        smtp=smtp,
        clock=clock,
        credentials=credentials,
        allowed_hosts=tuple(allowed_host or ()),
        forward=tuple(forward or ()),
    )
    return serve(settings, app, as_json=json)


@cli.command(
    epilog=CHECK_EXAMPLES,
    short_help="Read a rule file and list its rules.",
    help="Read a rule file, list its rules, and exit with 2 if it has a mistake.",
)
def check(app: AppArgument, json: Json = False) -> int:
    from duestream.cli.check import check_app  # noqa: PLC0415 - lazy: see above

    return check_app(app, as_json=json)


@cli.command(
    epilog=DEMO_EXAMPLES,
    short_help="Ten appointments, delivered while you watch.",
    help="Start the engine on a free port, write appointments with boto3, move one, delete one, and show what came.",
)
def demo(
    appointments: Annotated[int, typer.Option(min=1, max=10_000, help="How many items to write.")] = 10,
    seconds: Annotated[float, typer.Option(min=1.0, max=3600.0, help="How far ahead they are due.")] = 3.0,
    json: Json = False,
) -> int:
    from duestream.cli.demo import run_demo  # noqa: PLC0415 - lazy: see above

    return run_demo(appointments=appointments, seconds=seconds, as_json=json)


@cli.command(
    epilog=WHY_EXAMPLES,
    short_help="Why an item was, was not, or will be delivered.",
    help="Ask a running server, or AWS if an app is named, for each rule, why an item was, was not, or will be "
    "delivered. Exits with 1 if nothing is known of the item.",
)
def why(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The item's table.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The item's key: PK=..,SK=.. or JSON.")],
    json: Json = False,
    app: AppOption = None,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> int:
    from duestream.cli.letters_door import who_answers  # noqa: PLC0415 - lazy: see above
    from duestream.cli.why import tell_why  # noqa: PLC0415

    answering = who_answers(app, endpoint_url=endpoint_url, region=region, profile=profile)
    return tell_why(answering, table, key, as_json=json)


cli.add_typer(letters, name="dead-letters")
cli.add_typer(stack)
cli.add_typer(upkeep)
