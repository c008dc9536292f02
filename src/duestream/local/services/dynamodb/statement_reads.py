"""SELECT: how a statement reads a table or an index, page by page.

What is refused, the order of an ORDER BY that leaves the sort key out, and what a page of an index costs was
recorded from AWS by nubo-db/dynamodb-conformance (``indexQualifier.test.ts``, ``partiqlIndexQualifier.test.ts``,
2026-08), paritysuite/dynamodb-conformance (``partiqlMultiAttributeIndex.test.ts``, 2026-10) and floci-io/floci
(``DynamoDbPartiQL...IntegrationTest``, 2026-09-17).
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from duestream.core.attributes import item_size_bytes, key_bytes, normalize_item
from duestream.core.expression.paths import value_at
from duestream.core.partiql import (
    KeyPlan,
    KeySchema,
    Read,
    SelectSyntax,
    column_name,
    plan_reads,
)
from duestream.core.record import Item
from duestream.errors import ServiceError, ValidationException
from duestream.local.services.dynamodb.answers import raw, read_units
from duestream.local.services.dynamodb.requests import INVALID
from duestream.local.services.dynamodb.statements import Bound
from duestream.local.store import index_pages, items
from duestream.local.store.index_pages import Place
from duestream.local.store.indexes import Index, entry_key
from duestream.local.store.items import Page, SortRange, StoredItem
from duestream.local.store.streams import decode_image, key_of
from duestream.local.store.tables import Table

#: How much one page looks at (Developer Guide, "Paginating table query results").
MAX_PAGE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Selection:
    """A SELECT that is planned: what is read, and in which order."""

    bound: Bound
    syntax: SelectSyntax
    table: Table
    index: Index | None
    #: None: all of the table, or of the index.
    plan: KeyPlan | None
    reads: tuple[Read | None, ...]
    forward: bool

    @property
    def key_names(self) -> tuple[str, ...]:
        """What a page ends at: the table's key, and the index's."""
        of_index = () if self.index is None else tuple(attribute.name for attribute in self.index.key_attributes)
        return tuple(dict.fromkeys((*self.table.key_names, *of_index)))

    @property
    def reaches_back(self) -> bool:
        """Whether a local index is asked for what only the table has."""
        return bool(self.index is not None and not self.index.is_global and _unprojected(self.syntax, self.index))

    @property
    def digest(self) -> str:
        """What a token must have been made for to be good here."""
        parts = [str(self.table.id), "" if self.index is None else str(self.index.id), str(self.forward)]
        parts += [repr(read) for read in self.reads]
        return hashlib.blake2b("\0".join(parts).encode(), digest_size=9).hexdigest()


def select_of(bound: Bound, table: Table, *, consistent: bool = False) -> Selection:
    """Plan a SELECT.

    Raises:
        ValidationException: the table has no such index, or cannot be read so; AWS's text.
    """
    syntax = bound.syntax
    assert isinstance(syntax, SelectSyntax)
    index = index_of(syntax, table)
    if index is not None and index.is_global:
        if consistent:
            raise ValidationException("Strongly consistent read is not supported on Global Secondary Indexes")
        missing = _unprojected(syntax, index)
        if missing:
            raise ValidationException(
                f"{INVALID}Global secondary index {index.name} does not project [{', '.join(missing)}]"
            )
    schema = schema_of(table, index)
    plan = plan_reads(bound.where, schema)
    if index is not None and plan is not None:
        _check_filters(index, plan)
    descending = _check_order(syntax, schema, plan)
    partition_descends = descending.get(schema.partition_key, False)
    forward = not descending or not descending.get(str(schema.sort_key), True)
    reads = (None,) if plan is None else _in_order(plan.reads, forward=forward, reverse=partition_descends)
    return Selection(bound, syntax, table, index, plan, reads, forward)


def index_of(syntax: SelectSyntax, table: Table) -> Index | None:
    """The index that a SELECT names, if any.

    Raises:
        ValidationException: the table has none of that name, or its key has several attributes.
    """
    name = syntax.source.index_name
    if name is None:
        return None
    index = next((index for index in table.indexes if index.name == name and index.is_active), None)
    if index is None:
        raise ValidationException("The table does not have the specified index")
    if len(index.partition) > 1 or len(index.sort) > 1:
        raise ValidationException(
            "PartiQL statements cannot be executed on tables with multi-attribute HASH keys "
            "or multi-attribute RANGE keys."
        )
    return index


def schema_of(table: Table, index: Index | None = None) -> KeySchema:
    """The key that a table, or an index of it, is read by."""
    if index is None:
        return KeySchema(table.partition_key, table.partition_key_type, table.sort_key, table.sort_key_type)
    partition, sort = index.partition[0], index.sort[0] if index.sort else None
    return KeySchema(partition.name, partition.kind, sort.name if sort else None, sort.kind if sort else None)


def _unprojected(syntax: SelectSyntax, index: Index) -> list[str]:
    if index.projected is None or syntax.projection is None:
        return []
    names = dict.fromkeys(str(term.path[0]) for term in syntax.projection)
    return [name for name in names if name not in index.projected]


def _check_filters(index: Index, plan: KeyPlan) -> None:
    """Every branch filters by something that the index does not have: AWS then names the last one's."""
    if index.projected is None:
        return
    missing = [[name for name in names if name not in index.projected] for names in plan.filtered]
    if all(missing):
        raise ValidationException(
            f"{INVALID}Secondary index {index.name} does not project one or more filter attributes: "
            f"[{', '.join(missing[-1])}]"
        )


def _check_order(syntax: SelectSyntax, schema: KeySchema, plan: KeyPlan | None) -> dict[str, bool]:
    """Which attributes the answer is ordered by, and whether each goes down."""
    descending = dict(syntax.order_by)
    if not descending:
        return {}
    if syntax.where is None:
        raise ValidationException("Must have WHERE clause in the statement when using ORDER BY clause.")
    for name in descending:
        if name not in schema.names:
            raise ValidationException(f"Attribute {name} in ORDER BY clause must be part of the primary key")
    if plan is None:
        raise ValidationException(
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."
        )
    if plan.partitions > 1 and schema.partition_key not in descending:
        raise ValidationException(
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause."
        )
    return descending


def _in_order(reads: Sequence[Read], *, forward: bool, reverse: bool) -> tuple[Read, ...]:
    """The reads come by partition and then by range; either may go down."""
    by_range = sorted(reads, key=lambda read: read.range.low, reverse=not forward)
    return tuple(sorted(by_range, key=lambda read: key_bytes(read.partition), reverse=reverse))


# ---- pages ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Selected:
    """A page of a SELECT's answer."""

    shown: list[Any]
    #: The key after which the next page begins, and its token; None: this is the last page, or it ends between reads.
    last_key: Item | None = None
    token: str | None = None
    #: Capacity used on what the statement reads by, and on the table beside it.
    units: float = 0.0
    table_units: float = 0.0


def select_page(
    connection: apsw.Connection, selection: Selection, *, token: str | None, limit: int | None, consistent: bool
) -> Selected:
    """Read one page.

    Args:
        token: the NextToken of the page before; None: from the start.
        limit: how many items to look at; None: as many as fit into 1 MB.

    Raises:
        ValidationException: the token is none, or of another statement.
    """
    number, start = _position(selection, token)
    selected = Selected([])
    left_bytes = MAX_PAGE_BYTES
    while number < len(selection.reads):
        page = _page(connection, selection, selection.reads[number], start, limit, left_bytes)
        page_bytes = sum(stored.size_bytes for stored in page.items)
        if page_bytes > left_bytes < MAX_PAGE_BYTES:  # one item that no longer fits
            selected.token = _token(selection, number, None)
            return selected
        selected.units += read_units(page_bytes, consistent=consistent)
        _show(selection, page, selected, consistent=consistent)
        if page.last_body is not None:
            selected.last_key = key_of(selection.key_names, decode_image(page.last_body) or {})
            selected.token = _token(selection, number, selected.last_key)
            return selected
        number, start = number + 1, None
        left_bytes -= page_bytes
        limit = None if limit is None else limit - len(page.items)
    return selected


def _page(
    connection: apsw.Connection,
    selection: Selection,
    read: Read | None,
    start: Item | None,
    limit: int | None,
    max_bytes: int,
) -> Page:
    table, index = selection.table, selection.index
    key = None if start is None else _item_key(table, start)
    if index is None:
        if read is None:
            return items.scan_page(connection, table, after=key, limit=limit, max_bytes=max_bytes)
        return items.query_page(
            connection,
            table,
            items.partition_key_bytes(table, read.partition),
            _sort_range(read),
            forward=selection.forward,
            after=None if key is None else key[1],
            limit=limit,
            max_bytes=max_bytes,
        )
    place = None
    if start is not None and key is not None:
        entry = entry_key(index, start)
        if entry is None:
            raise ValidationException("The provided starting key is invalid")
        place = Place(*entry, *key)
    if read is None:
        return index_pages.scan_page(connection, index, after=place, limit=limit, max_bytes=max_bytes)
    return index_pages.query_page(
        connection,
        index,
        key_bytes(read.partition),
        _sort_range(read),
        forward=selection.forward,
        after=place,
        limit=limit,
        max_bytes=max_bytes,
    )


def _item_key(table: Table, start: Item) -> items.Key:
    return items.key_of_key(table, {name: start[name] for name in table.key_names})


def _sort_range(read: Read) -> SortRange:
    wanted = read.range
    return SortRange(wanted.low, wanted.low_included, wanted.high, wanted.high_included)


def _show(selection: Selection, page: Page, selected: Selected, *, consistent: bool) -> None:
    """Add what of a page is wanted, as it is shown."""
    where = selection.bound.where if selection.plan is None or selection.plan.needs_filter else None
    index, syntax = selection.index, selection.syntax
    is_raw = where is None and syntax.projection is None and (index is None or index.projected is None)
    for stored in page.items:
        if is_raw:
            selected.shown.append(raw(stored.body))
            continue
        item = decode_image(stored.body) or {}
        if selection.reaches_back:
            selected.table_units += read_units(item_size_bytes(item), consistent=consistent)
        view = item if index is None else index.view(item)
        if where is None or where.holds(view):
            selected.shown.append(projected(syntax, item if selection.reaches_back else view))


def shown_item(syntax: SelectSyntax, stored: StoredItem) -> Any:
    """One item of a table as a SELECT shows it."""
    if syntax.projection is None:
        return raw(stored.body)
    return projected(syntax, decode_image(stored.body) or {})


def projected(syntax: SelectSyntax, item: Item) -> Item:
    """What a SELECT shows of an item."""
    if syntax.projection is None:
        return item
    found = {column_name(term): value_at(item, term.path) for term in syntax.projection}
    return {name: value for name, value in found.items() if value is not None}


# ---- tokens --------------------------------------------------------------------------------------


def _token(selection: Selection, number: int, key: Item | None) -> str:
    """Says which read goes on, and after which key."""
    return urlsafe_b64encode(msgspec.json.encode([selection.digest, number, key])).decode("ascii")


def _position(selection: Selection, token: str | None) -> tuple[int, Item | None]:
    if token is None:
        return 0, None
    try:
        digest, number, key = msgspec.json.decode(urlsafe_b64decode(token), type=tuple[str, int, dict[str, Any] | None])
        start = None if key is None else normalize_item(key)
    except (ValueError, msgspec.DecodeError, ServiceError):
        raise ValidationException("Invalid NextToken") from None
    is_of_this = digest == selection.digest and 0 <= number < len(selection.reads)
    if not is_of_this or (start is not None and start.keys() != set(selection.key_names)):
        raise ValidationException("The provided starting key is invalid")
    return number, start


# ---- capacity ------------------------------------------------------------------------------------


def consumed_by_select(parameters: Mapping[str, Any], selection: Selection, selected: Selected) -> dict[str, Any]:
    """ConsumedCapacity of a page, in the detail that was asked for."""
    consumed: dict[str, Any] = {
        "TableName": selection.table.name,
        "CapacityUnits": selected.units + selected.table_units,
    }
    if parameters.get("ReturnConsumedCapacity") == "INDEXES":
        index = selection.index
        consumed["Table"] = {"CapacityUnits": selected.units if index is None else selected.table_units}
        if index is not None:
            member = "GlobalSecondaryIndexes" if index.is_global else "LocalSecondaryIndexes"
            consumed[member] = {index.name: {"CapacityUnits": selected.units}}
    return consumed
