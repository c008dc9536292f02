"""UpdateContinuousBackups and DescribeContinuousBackups: what is declared is kept and shown, nothing more.

Nothing here restores a table to a moment, so no moment is shown to which one could be restored.
"""

from collections.abc import Mapping
from typing import Any

from duestream.errors import ServiceError
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.requests import table_name_of
from duestream.local.store import tables
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

#: DynamoDB keeps 35 days unless told otherwise (API reference, PointInTimeRecoverySpecification).
DEFAULT_PERIOD_DAYS = 35
_DECLARED = "PointInTimeRecoverySpecification"


class TableNotFoundException(ServiceError):
    """There is no such table; the backup operations have an error of their own for it."""


async def update_continuous_backups(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Declare point-in-time recovery.

    Raises:
        TableNotFoundException: there is no such table.
    """
    specification = parameters[_DECLARED]
    name = table_name_of(parameters)

    def job(tx: Transaction) -> Table:
        table = _existing(tables.get_table(tx.connection, name), name)
        return tables.set_declaration(tx, table, {**table.declaration, _DECLARED: dict(specification)})

    return _description(await context.store.write(job))


async def describe_continuous_backups(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Show what is declared.

    Raises:
        TableNotFoundException: there is no such table.
    """
    name = table_name_of(parameters)
    return _description(_existing(tables.get_table(context.store.reader, name), name))


def _existing(table: Table | None, name: str) -> Table:
    if table is None:
        raise TableNotFoundException(f"Table not found: {name}")
    return table


def _description(table: Table) -> Mapping[str, Any]:
    declared = table.declaration.get(_DECLARED, {})
    recovery: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
    if declared.get("PointInTimeRecoveryEnabled"):
        days = declared.get("RecoveryPeriodInDays", DEFAULT_PERIOD_DAYS)
        recovery = {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": days}
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": recovery,
        }
    }
