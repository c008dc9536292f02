"""Contributor insights: whether they are on, for a table and for each of its global indexes, is kept and shown.

Nothing is measured here, so no rules of CloudWatch are shown. What is asked holds at once, though the answer says
ENABLING or DISABLING, as AWS's does (there it takes 1 to 16 seconds). Source: ack-api-quirks, DDB-TABLE-089 to -095,
-116 and -343 (recorded from AWS, 2026-10-08 and 09).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import apsw

from duestream.clock import from_ms
from duestream.errors import ResourceNotFoundException, ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.requests import declared_table, table_name_of
from duestream.local.store import tables
from duestream.local.store.indexes import Index
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

#: How many entries a page has, unless fewer are asked for (API reference, MaxResults).
MAX_RESULTS = 100
#: What ENABLE turns on where it names no mode, also in place of another mode.
DEFAULT_MODE = "ACCESSED_AND_THROTTLED_KEYS"
#: The declaration of a table or an index has it here: IsOn, Mode and the moment of the change.
_DECLARED = "ContributorInsights"
_NOT_ACTIVE = (
    "Table or Index is not in a valid state to update Key Access Insights: "
    "IndexStatus must be ACTIVE to enable ContributorInsights."
)


async def update_contributor_insights(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Switch them on, with a mode, or off. What is so already stays as it is.

    Raises:
        ResourceNotFoundException: there is no such table, or no such global index.
        ValidationException: the index is being built.
    """
    wanted: bool = parameters["ContributorInsightsAction"] == "ENABLE"
    name = table_name_of(parameters)

    def job(tx: Transaction) -> Mapping[str, Any]:
        table = declared_table(tx.connection, name)
        index = _index(table, parameters.get("IndexName"))
        if wanted and index is not None and not index.is_active:
            raise ValidationException(_NOT_ACTIVE)
        kept = _kept(table, index)
        # A mode is for switching on; one that comes with DISABLE changes nothing.
        mode = (parameters.get("ContributorInsightsMode") or DEFAULT_MODE) if wanted else kept.get("Mode")
        if wanted == kept.get("IsOn", False) and mode == kept.get("Mode"):
            return _summary(table, index, kept)
        changed = {"IsOn": wanted, "Mode": mode, "UpdatedAtMs": context.clock.now_ms()}
        _keep(tx, table, index, changed)
        status = "ENABLING" if wanted else "DISABLING"
        return {**_summary(table, index, changed), "ContributorInsightsStatus": status}

    return await context.store.write(job)


async def describe_contributor_insights(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whether they are on, and since when.

    Raises:
        ResourceNotFoundException: there is no such table, or no such global index.
    """
    table = declared_table(context.store.reader, table_name_of(parameters))
    index = _index(table, parameters.get("IndexName"))
    kept = _kept(table, index)
    shown = _summary(table, index, kept)
    if kept:
        shown["LastUpdateDateTime"] = from_ms(kept["UpdatedAtMs"])
    return shown


async def list_contributor_insights(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where they are on: of one table, or of all, each before its indexes; both by their names.

    Raises:
        ResourceNotFoundException: a table is named that there is not.
    """
    reader = context.store.reader
    limit = parameters.get("MaxResults") or MAX_RESULTS
    after_table, _, after_index = parameters.get("NextToken", "").partition("/")
    if parameters.get("TableName") is not None:
        names = [declared_table(reader, table_name_of(parameters)).name]
    else:
        names = tables.list_tables(reader, after="", limit=-1)
    page: list[dict[str, Any]] = []
    for summary in _switched_on(reader, names):
        place = (summary["TableName"], summary.get("IndexName", ""))
        if after_table and place <= (after_table, after_index):
            continue
        if len(page) == limit:
            last = page[-1]
            token = f"{last['TableName']}/{last.get('IndexName', '')}"
            return {"ContributorInsightsSummaries": page, "NextToken": token}
        page.append(summary)
    return {"ContributorInsightsSummaries": page}


def _switched_on(connection: apsw.Connection, names: list[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        table = declared_table(connection, name)
        indexes = sorted((one for one in table.indexes if one.is_global), key=lambda one: one.name)
        for index in (None, *indexes):
            kept = _kept(table, index)
            if kept.get("IsOn"):
                yield _summary(table, index, kept)


def _index(table: Table, name: str | None) -> Index | None:
    if name is None:
        return None
    for index in table.indexes:
        if index.is_global and index.name == name:
            return index
    raise ResourceNotFoundException(f"Requested resource not found: Index: {name} not found for table: {table.name}")


def _kept(table: Table, index: Index | None) -> Mapping[str, Any]:
    declaration = table.declaration if index is None else index.declaration
    kept: Mapping[str, Any] = declaration.get(_DECLARED, {})
    return kept


def _keep(tx: Transaction, table: Table, index: Index | None, changed: Mapping[str, Any]) -> None:
    if index is None:
        tables.set_declaration(tx, table, {**table.declaration, _DECLARED: changed})
    else:
        tables.set_index_declaration(tx, table, index, {**index.declaration, _DECLARED: changed})


def _summary(table: Table, index: Index | None, kept: Mapping[str, Any]) -> dict[str, Any]:
    shown = {"TableName": table.name, "ContributorInsightsStatus": "ENABLED" if kept.get("IsOn") else "DISABLED"}
    if index is not None:
        shown["IndexName"] = index.name
    if kept:
        shown["ContributorInsightsMode"] = kept["Mode"]
    return shown
