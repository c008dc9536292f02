"""Query and Scan."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from duestream.core.attributes import key_bytes, normalize_item
from duestream.core.expression import (
    Condition,
    KeyCondition,
    Placeholders,
    Projection,
    SortCondition,
    parse_condition,
    parse_key_condition,
    parse_projection,
)
from duestream.core.record import Item
from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.answers import answer, consumed_capacity, raw, read_units, wants_capacity
from duestream.local.services.dynamodb.requests import existing_table, refuse_legacy, table_name_of
from duestream.local.store import items
from duestream.local.store.items import Key, Page, SortRange
from duestream.local.store.streams import decode_image, key_of
from duestream.local.store.tables import Table

#: How much one page looks at (Developer Guide, "Paginating table query results").
MAX_PAGE_BYTES = 1024 * 1024

_INVALID_START = "The provided starting key is invalid"


# Query ------------------------------------------------------------------------------------------------


async def query(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Items of one partition key, in the order of their sort keys."""
    refuse_legacy(parameters)
    if parameters.get("KeyConditionExpression") is None:
        raise ValidationException(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    placeholders = Placeholders.of_request(
        parameters, "FilterExpression", "KeyConditionExpression", "ProjectionExpression"
    )
    text = parameters.get("FilterExpression")
    wanted = None if text is None else parse_condition(text, placeholders, parameter="FilterExpression")
    projection = _projection(parameters, placeholders)
    table = existing_table(context.store.reader, table_name_of(parameters))
    _refuse_index(parameters)
    condition = parse_key_condition(
        parameters["KeyConditionExpression"],
        placeholders,
        partition_key=table.partition_key,
        sort_key=table.sort_key,
    )
    placeholders.check_all_used()
    condition.check_types(partition_key_type=table.partition_key_type, sort_key_type=table.sort_key_type)
    if wanted is not None:
        _refuse_keys_in_filter(wanted, table)
    forward = parameters.get("ScanIndexForward", True)
    page = items.query_page(
        context.store.reader,
        table,
        items.partition_key_bytes(table, condition.partition),
        _sort_range(condition.sort),
        forward=forward,
        after=_start_of_query(table, condition, parameters.get("ExclusiveStartKey")),
        limit=parameters.get("Limit"),
        max_bytes=MAX_PAGE_BYTES,
    )
    return _page_answer(parameters, table, page, wanted, projection)


def _sort_range(condition: SortCondition | None) -> SortRange:
    if condition is None:
        return SortRange()
    low = key_bytes(condition.values[0])
    match condition.operator:
        case "=":
            return SortRange(low, True, low, True)
        case "<":
            return SortRange(high=low, high_included=False)
        case "<=":
            return SortRange(high=low)
        case ">":
            return SortRange(low, low_included=False)
        case ">=":
            return SortRange(low)
        case "BETWEEN":
            return SortRange(low, True, key_bytes(condition.values[1]), True)
        case _:
            return SortRange(low, True, _after_prefix(low), False)


def _after_prefix(prefix: bytes) -> bytes | None:
    """The first bytes that come after everything with this prefix; None: nothing does."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def _start_of_query(table: Table, condition: KeyCondition, start_key: Any) -> bytes | None:
    """The sort key after which the page begins. Texts: dynalite's tests, recorded from AWS."""
    if start_key is None:
        return None
    key = _start_key(start_key)
    if not _matches_schema(table, key):
        raise ValidationException(_INVALID_START)
    if condition.sort is not None and table.sort_key is not None and not condition.sort.holds(key[table.sort_key]):
        raise ValidationException("The provided starting key does not match the range key predicate")
    if key[table.partition_key] != condition.partition:
        raise ValidationException("The provided starting key is outside query boundaries based on provided conditions")
    return items.key_of_key(table, key)[1]


def _attributes_of(condition: Any) -> Iterator[str]:
    """Names of the attributes that a condition asks about."""
    for field in fields(condition):
        part = getattr(condition, field.name)
        if field.name == "path":
            yield str(part[0])
        for inner in part if isinstance(part, tuple) else (part,):
            if is_dataclass(inner):
                yield from _attributes_of(inner)


def _refuse_keys_in_filter(condition: Condition, table: Table) -> None:
    asked = set(_attributes_of(condition))
    for name in table.key_names:
        if name in asked:
            raise ValidationException(
                f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
            )


# Scan -------------------------------------------------------------------------------------------------


async def scan(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Items of a whole table, or of one of its segments."""
    refuse_legacy(parameters)
    placeholders = Placeholders.of_request(parameters, "FilterExpression", "ProjectionExpression")
    text = parameters.get("FilterExpression")
    wanted = None if text is None else parse_condition(text, placeholders, parameter="FilterExpression")
    projection = _projection(parameters, placeholders)
    placeholders.check_all_used()
    segment = _segment(parameters)
    table = existing_table(context.store.reader, table_name_of(parameters))
    _refuse_index(parameters)
    page = items.scan_page(
        context.store.reader,
        table,
        after=_start_of_scan(table, parameters.get("ExclusiveStartKey")),
        limit=parameters.get("Limit"),
        max_bytes=MAX_PAGE_BYTES,
        segment=segment,
    )
    return _page_answer(parameters, table, page, wanted, projection)


def _segment(parameters: Mapping[str, Any]) -> tuple[int, int] | None:
    segment, total = parameters.get("Segment"), parameters.get("TotalSegments")
    if segment is None and total is None:
        return None
    if total is None:
        raise ValidationException(
            "The TotalSegments parameter is required but was not present in the request "
            "when Segment parameter is present"
        )
    if segment is None:
        raise ValidationException(
            "The Segment parameter is required but was not present in the request "
            "when parameter TotalSegments is present"
        )
    if segment >= total:
        raise ValidationException(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )
    return segment, total


def _start_of_scan(table: Table, start_key: Any) -> Key | None:
    if start_key is None:
        return None
    key = _start_key(start_key)
    if not _matches_schema(table, key):
        raise ValidationException(f"{_INVALID_START}: The provided key element does not match the schema")
    return items.key_of_key(table, key)


# Both -------------------------------------------------------------------------------------------------


def _projection(parameters: Mapping[str, Any], placeholders: Placeholders) -> Projection | None:
    """The projection, after the checks of Select against it (texts recorded from AWS by dynalite's tests)."""
    select = parameters.get("Select")
    text = parameters.get("ProjectionExpression")
    if text is not None:
        if select == "COUNT":
            raise ValidationException("Cannot specify the ProjectionExpression when choosing to get only the Count")
        if select not in (None, "SPECIFIC_ATTRIBUTES"):
            raise ValidationException(f"Cannot specify the ProjectionExpression when choosing to get {select}")
        return parse_projection(text, placeholders)
    if select == "SPECIFIC_ATTRIBUTES":
        raise ValidationException(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
        )
    if select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in parameters:
        raise ValidationException("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
    return None


def _refuse_index(parameters: Mapping[str, Any]) -> None:
    if "IndexName" in parameters:  # no table has one in this version
        raise ValidationException(f"The table does not have the specified index: {parameters['IndexName']}")


def _start_key(start_key: Any) -> Item:
    try:
        return normalize_item(start_key)
    except ValidationException as error:
        raise ValidationException(f"{_INVALID_START}: {error.message}") from None


def _matches_schema(table: Table, key: Item) -> bool:
    types = (table.partition_key_type, table.sort_key_type)
    return len(key) == len(table.key_names) and all(
        kind in key.get(name, ()) for name, kind in zip(table.key_names, types, strict=False)
    )


def _page_answer(
    parameters: Mapping[str, Any],
    table: Table,
    page: Page,
    wanted: Condition | None,
    projection: Projection | None,
) -> bytes:
    """The answer of both: what of the page is wanted, as it is shown, and where to go on."""
    shown: list[Any] = []
    for stored in page.items:
        if wanted is None and projection is None:
            shown.append(raw(stored.body))
            continue
        item = decode_image(stored.body) or {}
        if wanted is None or wanted.holds(item):
            shown.append(raw(stored.body) if projection is None else projection.of(item))
    members: dict[str, Any] = {} if parameters.get("Select") == "COUNT" else {"Items": shown}
    members |= {"Count": len(shown), "ScannedCount": len(page.items)}
    if page.last_body is not None:
        members["LastEvaluatedKey"] = key_of(table.key_names, decode_image(page.last_body) or {})
    if wants_capacity(parameters):
        size_bytes = sum(stored.size_bytes for stored in page.items)
        units = read_units(size_bytes, consistent=parameters.get("ConsistentRead", False))
        members["ConsumedCapacity"] = consumed_capacity(parameters, table.name, units)
    return answer(members)
