"""`duestream synth`: prints the stack's template, and writes the bundle."""

import json
from dataclasses import dataclass
from pathlib import Path

import typer

from duestream.aws.stack.bundle import bundle, module_of
from duestream.aws.stack.choices import stack_options
from duestream.aws.stack.comments import comments_of
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.parts import parts_of
from duestream.aws.stack.permissions import permissions_of
from duestream.aws.stack.sam import sam_template
from duestream.aws.stack.template import template
from duestream.aws.stack.yaml_text import yaml_text
from duestream.cli.app_file import AppFile, load_app_file
from duestream.errors import SettingsError

#: Where a template for SAM looks for the code if it was not said where that is.
DEFAULT_BUNDLE = "bundle.zip"


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed about an app's stack.

    Args:
        app: the rule file, ``path`` or ``path:name``.
        layers: ARNs.
        include: folders put into the bundle.
        environment: ``NAME=value``.
        choices: ``name=value``.
        existing_tables: names.
    """

    app: str
    layers: tuple[str, ...] = ()
    include: tuple[Path, ...] = ()
    environment: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    existing_tables: tuple[str, ...] = ()

    def load(self) -> AppFile:
        """The app.

        Raises:
            RuleError: the rule file has a mistake.
        """
        return load_app_file(self.app)

    def options(self, app_file: AppFile) -> StackOptions:
        """The stack's options.

        Raises:
            RuleError: the rule file cannot be imported under its name.
            SettingsError: an option is not what it has to be.
        """
        options = stack_options(
            f"{module_of(app_file.path)}:{app_file.name}",
            choices=self.choices,
            environment=self.environment,
            layers=self.layers,
            existing_tables=self.existing_tables,
        )
        unknown = options.existing_tables - {table.name for table in app_file.app.tables}
        if unknown:
            raise SettingsError(f"no rule watches a table {', '.join(sorted(unknown))}: --existing-table is for those")
        return options

    def bundle(self, app_file: AppFile) -> bytes:
        """The functions' code.

        Raises:
            RuleError: it imports what Lambda would not find.
            SettingsError: a folder is missing, or it is too large.
        """
        return bundle(app_file.path, include=self.include, has_layers=bool(self.layers))


def print_template(typed: Typed, *, is_sam: bool, bundle_file: Path | None, as_json: bool) -> int:
    """Print the template on stdout, and on stderr what to know of it; answers the exit code."""
    app_file = typed.load()
    packed = typed.bundle(app_file)
    made = template(app_file.app, typed.options(app_file))
    if is_sam:
        made = sam_template(made, str(bundle_file or DEFAULT_BUNDLE))
    typer.echo(json.dumps(made, indent=2) if as_json else yaml_text(made, comments_of(made)), nl=as_json)
    for warning in permissions_of(parts_of(app_file.app)).warnings:
        typer.echo(f"warning: {warning}", err=True)
    if bundle_file is not None:
        bundle_file.write_bytes(packed)
        typer.echo(f"{bundle_file}: {len(packed):,} bytes", err=True)
    return 0
