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
