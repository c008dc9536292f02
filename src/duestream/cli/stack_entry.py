"""The commands for the stack on AWS, their options and their help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

SYNTH_EXAMPLES = """
\b
Examples:
  duestream synth appointments.py > template.yaml
  duestream synth appointments.py --bundle bundle.zip > template.yaml
  duestream synth appointments.py --format sam --bundle bundle.zip > template.yaml
  duestream synth appointments.py --existing-table Appointment-Table --set memory_mb=512
"""

PLAN_EXAMPLES = """
\b
Examples:
  duestream plan appointments.py --offline            asks nobody
  duestream plan appointments.py --region eu-central-1
  duestream plan appointments.py --profile clinic --json
"""
DEPLOY_EXAMPLES = """
\b
Examples:
  duestream deploy appointments.py --region eu-central-1
  duestream deploy appointments.py --stack clinic-test --profile test
  duestream deploy appointments.py --yes --json       in CI: asks nothing, prints one JSON object
  duestream deploy appointments.py --set memory_mb=512 --include ./packages
  duestream deploy appointments.py --endpoint-url http://127.0.0.1:4566
"""
STATUS_EXAMPLES = """
\b
Examples:
  duestream status appointments.py --region eu-central-1
  duestream status appointments.py --since 24h --json
  duestream status appointments.py --endpoint-url http://127.0.0.1:8787   a server of `duestream up`
"""
LOGS_EXAMPLES = """
\b
Examples:
  duestream logs appointments.py --since 1h
  duestream logs appointments.py --follow --rule reminder
"""
DESTROY_EXAMPLES = """
\b
Examples:
  duestream destroy appointments.py --region eu-central-1
  duestream destroy appointments.py --delete-tables   with all their items
"""

stack = typer.Typer(add_completion=False, rich_markup_mode=None)

AppArgument = Annotated[
    str, typer.Argument(metavar="APP", help="The rule file: a path, or path:name where it has several apps.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Layer = Annotated[
    list[str] | None,
    typer.Option(metavar="ARN", help="A layer with packages that the rules import. Can be repeated."),
]
Include = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR", help="A folder put into the bundle, such as one of `pip install --target`. Can be repeated."
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="A further environment variable of the functions. Can be repeated."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="An option of the stack, such as memory_mb=512. Can be repeated."),
]

StackName = Annotated[
    str | None, typer.Option("--stack", metavar="NAME", help="The stack; if it is not said, it is named as the app.")
]
EndpointUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Ask there instead of AWS; otherwise AWS_ENDPOINT_URL, or what the profile says."),
]
Region = Annotated[str | None, typer.Option(help="Otherwise AWS_REGION, AWS_DEFAULT_REGION, or what the profile says.")]
Profile = Annotated[str | None, typer.Option(help="Of ~/.aws/config; otherwise AWS_PROFILE.")]
Bucket = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="For the functions' code; otherwise duestream-ACCOUNT-REGION, made if missing."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; do it.")]


class TemplateFormat(StrEnum):
    """What a template is for."""

    CFN = "cfn"
    SAM = "sam"


@stack.command(
    epilog=SYNTH_EXAMPLES,
    short_help="Print the stack's template.",
    help="Print the CloudFormation template of the app's stack as YAML, and write the functions' code. Asks nobody.",
)
def synth(
    app: AppArgument,
    template_format: Annotated[
        TemplateFormat, typer.Option("--format", help="For CloudFormation, or for AWS SAM.")
    ] = TemplateFormat.CFN,
    bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the functions' code to this zip file.")
    ] = None,
    existing_table: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A table that is there already. Can be repeated."),
    ] = None,
    layer: Layer = None,
    include: Include = None,
    env: Env = None,
    choices: Set = None,
    json: Json = False,
) -> int:
    from duestream.cli.synth import Typed, print_template  # noqa: PLC0415 - lazy: see entry

    typed = Typed(
        app,
        layers=tuple(layer or ()),
        include=tuple(include or ()),
        environment=tuple(env or ()),
        choices=tuple(choices or ()),
        existing_tables=tuple(existing_table or ()),
    )
    return print_template(typed, is_sam=template_format is TemplateFormat.SAM, bundle_file=bundle, as_json=json)


@stack.command(
    epilog=PLAN_EXAMPLES,
    short_help="Say what a deployment would change, and whether it would go well.",
    help="Check the rules, the bundle and the template; with AWS also the caller, the tables, the targets and the "
    "senders; have CloudFormation work out what would change, and show what the rules would schedule of the items "
    "that are there. Changes nothing. Exits with 1 if a deployment would fail.",
)
def plan(
    app: AppArgument,
    stack_name: StackName = None,
    offline: Annotated[bool, typer.Option("--offline", help="Only what can be said without asking AWS.")] = False,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
    bucket: Bucket = None,
    layer: Layer = None,
    include: Include = None,
    env: Env = None,
    choices: Set = None,
    json: Json = False,
) -> int:
    from duestream.cli.plan import plan_app  # noqa: PLC0415 - lazy: see entry
    from duestream.cli.stack_door import Where  # noqa: PLC0415
    from duestream.cli.synth import Typed  # noqa: PLC0415

    typed = Typed(app, tuple(layer or ()), tuple(include or ()), tuple(env or ()), tuple(choices or ()))
    return plan_app(typed, Where(stack_name, endpoint_url, region, profile, bucket), offline=offline, as_json=json)


@stack.command(
    epilog=DEPLOY_EXAMPLES,
    short_help="Put the rules on AWS: functions, queues and what belongs to them, as one stack.",
    help="Upload the functions' code, show what CloudFormation would change, ask, carry it out, and tell how it goes. "
    "Tables that are missing are made; of those that exist, only the stream is turned on. The same command again "
    "changes what has changed, and goes on where an interrupted one stands. Exits with 1 if the stack is not as "
    "these rules want it.",
)
def deploy(
    app: AppArgument,
    stack_name: StackName = None,
    yes: Yes = False,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
    bucket: Bucket = None,
    layer: Layer = None,
    include: Include = None,
    env: Env = None,
    choices: Set = None,
    json: Json = False,
) -> int:
    from duestream.cli.deploy import deploy_app  # noqa: PLC0415 - lazy: see entry
    from duestream.cli.stack_door import Where  # noqa: PLC0415
    from duestream.cli.synth import Typed  # noqa: PLC0415

    typed = Typed(app, tuple(layer or ()), tuple(include or ()), tuple(env or ()), tuple(choices or ()))
    return deploy_app(typed, Where(stack_name, endpoint_url, region, profile, bucket), yes=yes, as_json=json)


@stack.command(
    epilog=STATUS_EXAMPLES,
    short_help="What is pending, what was delivered, and what was given up.",
    help="Show the stack, the mappings that read the streams, pending schedules by rule, the next due, the metrics and "
    "the dead letters of an app. Exits with 1 if it is not deployed.",
)
def status(
    app: AppArgument,
    stack_name: StackName = None,
    since: Annotated[str, typer.Option(metavar="AGE", help="Metrics of this last time: 90s, 15m, 2h, 7d.")] = "1h",
    limit: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="Schedules to list at the most, 100 for each request.")
    ] = 10_000,
    sample: Annotated[
        int, typer.Option(min=0, max=10_000, help="Schedules to look at for the next due, one request each.")
    ] = 100,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
    json: Json = False,
) -> int:
    from duestream.cli.stack_door import Where  # noqa: PLC0415 - lazy: see entry
    from duestream.cli.status import tell_status  # noqa: PLC0415

    where = Where(stack_name, endpoint_url, region, profile)
    return tell_status(app, where, since=since, limit=limit, sample=sample, as_json=json)


@stack.command(
    epilog=LOGS_EXAMPLES,
    short_help="What the functions on AWS log.",
    help="Print the log lines of the app's functions, oldest first.",
)
def logs(
    app: AppArgument,
    stack_name: StackName = None,
    since: Annotated[str, typer.Option(metavar="AGE", help="From so long ago on: 90s, 15m, 2h, 7d.")] = "10m",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    rule: Annotated[str | None, typer.Option(metavar="NAME", help="Only lines about this rule.")] = None,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
    json: Json = False,
) -> int:
    from duestream.cli.logs import print_logs  # noqa: PLC0415 - lazy: see entry
    from duestream.cli.stack_door import Where  # noqa: PLC0415

    where = Where(stack_name, endpoint_url, region, profile)
    return print_logs(app, where, since=since, follow=follow, rule=rule, as_json=json)


@stack.command(
    epilog=DESTROY_EXAMPLES,
    short_help="Take the stack away, and keep the tables.",
    help="Show what goes and what stays, ask, and delete the stack with its schedules, log groups and code. Tables are "
    "kept unless told; those that were there before the stack are never touched.",
)
def destroy(
    app: AppArgument,
    stack_name: StackName = None,
    delete_tables: Annotated[
        bool, typer.Option("--delete-tables", help="Delete the stack's tables too, with all their items.")
    ] = False,
    yes: Yes = False,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
    bucket: Bucket = None,
    json: Json = False,
) -> int:
    from duestream.cli.destroy import destroy_app  # noqa: PLC0415 - lazy: see entry
    from duestream.cli.stack_door import Where  # noqa: PLC0415

    where = Where(stack_name, endpoint_url, region, profile, bucket)
    return destroy_app(app, where, delete_tables=delete_tables, yes=yes, as_json=json)
