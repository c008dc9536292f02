"""`duestream plan`: what a deployment would change, and whether it would go well."""

import json
from typing import Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from duestream.aws.stack.draft import Draft
from duestream.aws.stack.plan import Plan, Planning, Preview, plan_offline
from duestream.aws.stack.session import is_local_engine, told_plainly
from duestream.cli import rule_view
from duestream.cli.deploy import refuse_local
from duestream.cli.stack_door import Where, draft_of, pause
from duestream.cli.stack_view import (
    change_facts,
    check_facts,
    counted,
    progress_console,
    show_changes,
    show_checks,
    stack_facts,
)
from duestream.cli.synth import Typed
from duestream.clock import SystemClock
from duestream.core.planner import schedule_dead_letter_queue


def plan_app(typed: Typed, where: Where, *, offline: bool, as_json: bool) -> int:
    """Plan; answers the exit code: 1 if a deployment would fail.

    Args:
        typed: what would be deployed.
        where: to.
        offline: ask nobody.

    Raises:
        Error: AWS cannot be asked.
    """
    draft = draft_of(typed, where)
    console = progress_console(as_json=as_json)
    if offline:
        plan = plan_offline(draft)
    else:
        access = where.access()
        refuse_local(is_local_engine(access), typed.app)
        with told_plainly(access), console.status("looking") as status:
            planning = Planning(
                access=access,
                draft=draft,
                bucket_name=where.bucket,
                clock=SystemClock(),
                pause=pause(),
                report=lambda what: status.update(f"looking: {what}"),
            )
            plan = planning.run()
    if as_json:
        typer.echo(json.dumps(_facts(plan, draft, is_offline=offline), ensure_ascii=False))
    else:
        _tell(plan, draft, console, typed.app)
    return 0 if plan.can_be_deployed else 1


def _tell(plan: Plan, draft: Draft, console: Console, named: str) -> None:
    show_checks(console, plan.checks)
    console.print(_rules_table(plan))
    letters = schedule_dead_letter_queue(draft.app.name)
    console.print(Text(f"Schedules are in group {draft.app.name}; what is given up ends in {letters}."))
    if plan.changes is not None and plan.changes:
        show_changes(console, plan.changes)
        console.print(Text(f"Nothing was changed. To do it: duestream deploy {named} --stack {draft.stack_name}"))
    elif plan.changes is not None:
        console.print(Text(f"No changes: stack {draft.stack_name} is as these rules want it."))
    if not plan.can_be_deployed:
        console.print(Text("It cannot be deployed like this: see FAILED above.", style="red"))


def _rules_table(plan: Plan) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    for header in ("table", "rule", "due at", "invokes", "retry", "of the items there"):
        table.add_column(header, overflow="fold")
    for preview in plan.previews:
        rule = preview.rule
        table.add_row(
            *(
                Text(cell)
                for cell in (
                    rule.table.name,
                    rule.name,
                    rule_view.watches(rule),
                    rule_view.action_of(rule),
                    rule_view.retry_of(rule),
                    _preview_text(preview),
                )
            )
        )
    return table


def _preview_text(preview: Preview) -> str:
    if preview.items is None:
        return ""
    words = f"{counted(preview.puts, 'schedule')} for {counted(preview.items, 'item')}"
    if preview.next_due_at is not None:
        words += f", the next {preview.next_due_at:%Y-%m-%d %H:%M:%S} UTC"
    if preview.letters:
        words += f"; {preview.letters} would be dead-lettered: {preview.reason}"
    return words


def _facts(plan: Plan, draft: Draft, *, is_offline: bool) -> dict[str, Any]:
    return {
        "ok": plan.can_be_deployed,
        "offline": is_offline,
        "stack_name": draft.stack_name,
        "stack": stack_facts(plan.stack),
        "checks": [check_facts(check) for check in plan.checks],
        "rules": [_rule_facts(preview) for preview in plan.previews],
        "changes": None if plan.changes is None else [change_facts(change) for change in plan.changes],
    }


def _rule_facts(preview: Preview) -> dict[str, Any]:
    return {
        "table": preview.rule.table.name,
        **rule_view.rule_facts(preview.rule),
        "items_looked_at": preview.items,
        "schedules": preview.puts,
        "next_due_at": None if preview.next_due_at is None else preview.next_due_at.isoformat(),
        "dead_letters": preview.letters,
        "dead_letter_reason": preview.reason or None,
    }
