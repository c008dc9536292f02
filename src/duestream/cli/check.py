"""`duestream check`: reads a rule file and lists what it declares."""

import json

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from duestream.cli import rule_view
from duestream.cli.app_file import load_app
from duestream.core.app import App

#: Beside a pipe there is no terminal to fit into, and cut words help nobody.
WIDTH_WITHOUT_TERMINAL = 240


def check_app(named: str, *, as_json: bool) -> int:
    """List the rules of the app in that file; answers the exit code.

    Raises:
        RuleError: the file has a mistake.
    """
    app = load_app(named)
    if as_json:
        typer.echo(json.dumps({"ok": True, **rule_view.app_facts(app)}, ensure_ascii=False))
        return 0
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    _show(app, console)
    return 0


def _show(app: App, console: Console) -> None:
    rules = len(app.rules)
    console.print(f"app {app.name}: {rules} rule{'' if rules == 1 else 's'}, no mistakes found", markup=False)
    if not rules:
        return
    table = Table(box=SIMPLE, pad_edge=False)
    headers = ("table", "rule", "attribute", "zone", "past due", "retry", "via", "action", "declared at")
    for header in headers:
        table.add_column(header, overflow="fold")
    for rule in app.rules:
        table.add_row(
            rule.table.name,
            rule.name,
            rule_view.watches(rule) + (" (filtered)" if rule.when is not None else ""),
            rule_view.zone_of(rule),
            rule_view.past_due_of(rule),
            rule_view.retry_of(rule),
            rule_view.via_of(rule),
            rule_view.action_of(rule),
            rule_view.location_of(rule),
        )
    console.print(table)
