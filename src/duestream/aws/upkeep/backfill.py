"""Backfill: schedules for the items that were there before the rules.

A scan in parallel segments, whose progress is kept page by page; what is there already stays as it is, so that it can
be run again at any time. It makes no schedule for what is past: that would deliver what nobody waits for any more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from duestream.aws.stack.session import Access
from duestream.aws.upkeep.keepers import Keeper
from duestream.aws.upkeep.scanning import Progress, described, scan
from duestream.core.app import App
from duestream.core.record import Item
from duestream.core.rule import TableDeclaration
from duestream.errors import RuleError


@dataclass(frozen=True, slots=True)
class TableProgress:
    """How far the backfill of one table is.

    Args:
        table: its name.
        about: how many items it has, as AWS counted them last (up to six hours ago); None: not known.
        counts: of ``items`` and what was done for them, in all runs together.
    """

    table: str
    about: int | None
    counts: Mapping[str, int]


def scheduled_tables(app: App, only: str | None = None) -> list[TableDeclaration]:
    """The tables that have a rule with one schedule for each item.

    Args:
        app: the app.
        only: the one table that is wanted.

    Raises:
        RuleError: there is none, or that one is none of them.
    """
    tables = [table.declaration for table in app.tables if any(rule.via is None for rule in table.rules)]
    if only is not None:
        tables = [table for table in tables if table.name == only]
    if not tables:
        named = f"table {only!r} has" if only is not None else f"app {app.name!r} has"
        raise RuleError(f"{named} no rule that makes schedules", remedy="There is nothing to do.")
    return tables


def backfill(
    access: Access,
    tables: list[TableDeclaration],
    keeper: Keeper,
    progress: Progress,
    *,
    segments: int,
    dry_run: bool,
    tell: Callable[[TableProgress], None],
) -> dict[str, dict[str, int]]:
    """Make the schedules of all items that are there.

    Args:
        access: the way to the tables.
        tables: whose items.
        keeper: of their schedules.
        progress: where to go on, and what is done.
        segments: of each table's scan.
        dry_run: only count what would be wanted.
        tell: told after each page, in several threads.

    Returns:
        What was counted, by table.

    Raises:
        Error: AWS refused; the progress is kept, and the same call goes on.
    """
    for table in tables:
        about = described(access, table).get("ItemCount") or None

        def page(items: Sequence[Item], table: TableDeclaration = table) -> Mapping[str, int]:
            return keeper.make_missing(table, items, dry_run=dry_run).counts

        def tell_of(table: TableDeclaration = table, about: int | None = about) -> None:
            tell(TableProgress(table.name, about, progress.counts(table.name)))

        progress.begin(table.name, segments)
        tell_of()
        scan(access, table.name, segments=segments, progress=progress, page=page, tell=tell_of)
    progress.end()
    return {table.name: progress.counts(table.name) for table in tables}
