"""Which index a Query or Scan reads, and what may be asked of it.

Texts: dynalite's tests, nubo-db/dynamodb-conformance (``query.test.ts``, ``gsi.test.ts``), recorded from AWS.
"""

from collections.abc import Mapping
from typing import Any

from duestream.core.expression import Condition, Projection
from duestream.core.expression.asked import paths_in
from duestream.errors import ValidationException
from duestream.local.services.dynamodb.requests import INVALID
from duestream.local.store.index_updates import refuse_steps
from duestream.local.store.indexes import Index
from duestream.local.store.tables import Table


def index_to_read(table: Table, parameters: Mapping[str, Any]) -> Index | None:
    """The index that the request names; None: it names none.

    Raises:
        ValidationException: the table has none of that name, it is being built, or it is to be read consistently.
    """
    name = parameters.get("IndexName")
    if name is None:
        return None
    index = next((index for index in table.indexes if index.name == name), None)
    if index is None:
        raise ValidationException(f"The table does not have the specified index: {name}")
    if index.is_global and parameters.get("ConsistentRead"):
        raise ValidationException("Consistent reads are not supported on global secondary indexes")
    if not index.is_active:
        raise ValidationException(f"Cannot read from backfilling global secondary index: {name}")
    return index


def reads_items(index: Index, parameters: Mapping[str, Any], projection: Projection | None) -> bool:
    """Whether what is asked for is not all in the index, so that a local one looks up the items themselves.

    Raises:
        ValidationException: a global index is asked for what it does not have.
    """
    if index.projected is None:
        return False
    if parameters.get("Select") == "ALL_ATTRIBUTES":
        if index.is_global:
            raise ValidationException(
                f"{INVALID}Select type ALL_ATTRIBUTES is not supported for global secondary index {index.name} "
                "because its projection type is not ALL"
            )
        return True
    if projection is None:
        return False
    names = dict.fromkeys(str(path[0]) for path in projection.paths)
    missing = [name for name in names if name not in index.projected]
    if missing and index.is_global:
        raise ValidationException(
            f"{INVALID}Global secondary index {index.name} does not project [{', '.join(missing)}]"
        )
    return bool(missing)


def check_filter(index: Index, wanted: Condition) -> None:
    """Refuse a Query whose filter asks about what the index does not have (a Scan just finds nothing)."""
    if index.projected is None:
        return
    missing = sorted(attributes_of(wanted) - index.projected)
    if missing:
        raise ValidationException(
            f"{INVALID}Secondary index {index.name} does not project one or more filter attributes: "
            f"[{', '.join(missing)}]"
        )


def refuse_steps_into_keys(table: Table, expression: Condition | Projection | None) -> None:
    """Refuse an expression that looks into a key attribute, of the table or of an index: they have no parts."""
    if expression is None:
        return
    for path in paths_in(expression):
        if len(path) > 1 and path[0] in table.key_names:
            raise ValidationException(
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
                f"Key: {path[0]}"
            )
    refuse_steps(table.indexes, expression)


def attributes_of(condition: Condition) -> set[str]:
    """Names of the attributes that a condition asks about."""
    return {str(path[0]) for path in paths_in(condition)}
