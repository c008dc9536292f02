"""What all commands for AWS begin with: where it is, which stack, and whom to ask."""

import os
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

import typer

from duestream.aws.stack.deploy import Question
from duestream.aws.stack.draft import Draft
from duestream.aws.stack.session import Access, open_access
from duestream.aws.stack.stack_events import Pause
from duestream.cli.synth import Typed
from duestream.errors import SettingsError

#: CloudFormation's rule for names of stacks (API reference, CreateStack).
_is_stack_name = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}").fullmatch


@dataclass(frozen=True, slots=True)
class Where:
    """Where AWS is, as it was said on the command line.

    Args:
        stack: the stack's name; None: the app's.
        endpoint_url: of all services; None: as the environment says.
        region: None: as the environment or the profile says.
        profile: None: as the environment says.
        bucket: for the bundle; None: our own.
    """

    stack: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    bucket: str | None = None

    def access(self) -> Access:
        """The way to AWS.

        Raises:
            SettingsError: there is none.
        """
        return open_access(
            profile=self.profile, region=self.region, endpoint_url=self.endpoint_url, environ=dict(os.environ)
        )

    def stack_name(self, app_name: str) -> str:
        """The stack's name: the one given, or the app's in the letters that CloudFormation takes.

        Raises:
            SettingsError: CloudFormation does not take it.
        """
        name = self.stack if self.stack is not None else _stack_name_for(app_name)
        if not _is_stack_name(name):
            raise SettingsError(
                f"--stack {name!r} is no name for a stack. Write a letter, then letters, digits and -, 128 at the most."
            )
        return name


def draft_of(typed: Typed, where: Where) -> Draft:
    """What is to be deployed.

    Raises:
        RuleError: the rule file has a mistake, or imports what Lambda would not find.
        SettingsError: an option is not what it has to be.
    """
    app_file = typed.load()
    options = typed.options(app_file)
    return Draft(app_file.app, where.stack_name(app_file.app.name), options, typed.bundle(app_file))


def pause() -> Pause:
    """Waits between two looks; Ctrl-C ends it at once."""
    return threading.Event().wait


def consent(*, yes: bool, show: Callable[[Question], object]) -> Callable[[Question], bool]:
    """Asks on the terminal before something is changed.

    Args:
        yes: everything was agreed to on the command line.
        show: what the question is about.
    """

    def ask(question: Question) -> bool:
        show(question)
        if yes:
            return True
        if not sys.stdin.isatty():
            raise SettingsError(f"{question.words} Nobody can be asked here: say --yes, if that is meant.")
        return typer.confirm(question.words, err=True)

    return ask


def _stack_name_for(app_name: str) -> str:
    name = app_name.replace("_", "-")
    return name if name[0].isalpha() else f"duestream-{name.lstrip('-')}"
