"""`duestream destroy`: takes an app's stack away, and says what goes and what stays."""

import json
from collections.abc import Iterator
from typing import Any

import typer
from rich.text import Text

from duestream.aws.stack.deploy import Question
from duestream.aws.stack.destroy import Destroyed, Destruction, Doomed, look
from duestream.aws.stack.session import AwsError, is_local_engine, told_plainly
from duestream.cli.app_file import load_app
from duestream.cli.deploy import refuse_local
from duestream.cli.stack_door import Where, consent, pause
from duestream.cli.stack_view import ProgressView, counted, progress_console


def destroy_app(named: str, where: Where, *, delete_tables: bool, yes: bool, as_json: bool) -> int:
    """Destroy; answers the exit code.

    Args:
        named: the app.
        where: it is.
        delete_tables: with all their items.
        yes: ask nothing.

    Raises:
        Error: AWS cannot be asked, or did not do it.
    """
    app = load_app(named)
    stack_name = where.stack_name(app.name)
    access = where.access()
    refuse_local(is_local_engine(access), named)
    console = progress_console(as_json=as_json)
    with told_plainly(access):
        identity = access.identity()
        doomed = look(access, identity, app, stack_name, where.bucket)
        if doomed.is_nothing or (doomed.stack is None and not doomed.objects and not delete_tables):
            return _tell_nothing(stack_name, access.where, doomed, as_json=as_json)
        for line in _shown(doomed, stack_name, delete_tables=delete_tables):
            console.print(line)
        if not consent(yes=yes, show=lambda _: None)(Question("execute", "Destroy this?")):
            console.print(Text("not destroyed: nothing was changed"))
            return 1
        with ProgressView(console) as view:
            destruction = Destruction(access, doomed, delete_tables, pause(), view.report)
            try:
                destroyed = destruction.run()
            except KeyboardInterrupt:
                view.rest()
                raise AwsError(
                    "interrupted. What CloudFormation has begun, it goes on with; the same command again takes the rest"
                ) from None
    if as_json:
        typer.echo(json.dumps(_facts(destroyed, stack_name), ensure_ascii=False))
    else:
        for line in _told(destroyed, stack_name):
            console.print(line)
    return 1 if destroyed.left else 0


def _shown(doomed: Doomed, stack_name: str, *, delete_tables: bool) -> Iterator[Text]:
    """What goes, and what stays."""
    if doomed.stack is not None:
        yield Text(
            f"stack {stack_name} ({doomed.stack.status}) goes, with {counted(len(doomed.resources), 'resource')}:"
        )
        kinds: dict[str, list[str]] = {}
        for name, kind in doomed.resources.items():
            if name not in doomed.tables:
                kinds.setdefault(kind, []).append(name.rpartition("/")[2])
        for kind, names in sorted(kinds.items()):
            yield Text(f"  {kind:<32} {', '.join(sorted(names))}", style="dim")
    if doomed.schedules:
        more = "" if doomed.counted_all else "more than "
        is_one = doomed.schedules == 1 and not more
        words = "goes, and what it waits for never comes" if is_one else "go, and what they wait for never comes"
        words = f"{more}{counted(doomed.schedules, 'pending schedule')} {words}"
        yield Text(words, style="red")
    for queue, count in doomed.dead_letters.items():
        yield Text(
            f"with the queue {queue.rpartition('/')[2]} goes what is in it: {counted(count, 'message')}", style="red"
        )
    for table, items in doomed.tables.items():
        if delete_tables:
            yield Text(f"table {table} goes, with about {items} items", style="bold red")
        else:
            yield Text(f"table {table} stays, with its items (--delete-tables takes it too)")
    if doomed.objects:
        yield Text(f"s3://{doomed.bucket.name}/{stack_name}/ goes, with {counted(len(doomed.objects), 'object')}")


def _told(destroyed: Destroyed, stack_name: str) -> Iterator[Text]:
    if destroyed.left:
        yield Text(f"stack {stack_name} is gone, but this is left:", style="red")
        for words in destroyed.left:
            yield Text(f"  {words}")
    else:
        yield Text(f"destroyed: nothing of stack {stack_name} is left" + (" but:" if destroyed.kept else ""))
    for table in destroyed.kept:
        yield Text(f"  table {table}, which was kept (its stream is still on, and costs nothing unread)")


def _tell_nothing(stack_name: str, place: str, doomed: Doomed, *, as_json: bool) -> int:
    kept = sorted(doomed.tables)
    if as_json:
        typer.echo(
            json.dumps({"stack_name": stack_name, "destroyed": False, "kept": kept, "deleted_tables": [], "left": []})
        )
    else:
        typer.echo(f"nothing to destroy: there is no stack {stack_name} in {place}")
        for table in kept:
            typer.echo(f"  table {table} was kept when its stack went; --delete-tables deletes it")
    return 0


def _facts(destroyed: Destroyed, stack_name: str) -> dict[str, Any]:
    return {
        "stack_name": stack_name,
        "destroyed": True,
        "kept": list(destroyed.kept),
        "deleted_tables": list(destroyed.deleted_tables),
        "left": list(destroyed.left),
    }
