"""Query and Scan, of tables and of their indexes."""

from collections.abc import Mapping
from typing import Any

from duestream.errors import ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.index_reads import (
    attributes_of,
    check_filter,
    index_to_read,
    reads_items,
    refuse_steps_into_keys,
)
from duestream.local.services.dynamodb.page_answers import Source, page_answer
from duestream.local.services.dynamodb.read_keys import ReadKey, demand_of, partition_bytes, sort_range
from duestream.local.services.dynamodb.read_parameters import ReadParameters, query_parameters, scan_parameters
from duestream.local.services.dynamodb.requests import existing_table, table_name_of
from duestream.local.services.dynamodb.start_keys import (
    check_start_key,
    check_within,
    index_place,
    scan_start,
    table_key,
)
from duestream.local.store import index_pages, items
from duestream.local.store.indexes import Index
from duestream.local.store.tables import Table

#: How much one page looks at (Developer Guide, "Paginating table query results").
MAX_PAGE_BYTES = 1024 * 1024


async def query(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Items of one partition key, in the order of their sort keys."""
    request = query_parameters(parameters)
    reader = context.store.reader
    table = existing_table(reader, table_name_of(parameters))
    index = index_to_read(table, parameters)
    read_key = ReadKey.of(table, index)
    demand = demand_of(request.demands, read_key)
    source = _source(table, index, read_key, parameters, request)
    after = request.start_key
    if after is not None:
        check_within(demand, read_key, after)
    refuse_steps_into_keys(table, request.projection)
    if request.wanted is not None:
        _check_filter(request, read_key, index)
        refuse_steps_into_keys(table, request.wanted)
    partition_key = partition_bytes(read_key, demand.partition)
    wanted = sort_range(read_key, demand)
    forward, limit = parameters.get("ScanIndexForward", True), parameters.get("Limit")
    if index is None:
        page = items.query_page(
            reader,
            table,
            partition_key,
            wanted,
            forward=forward,
            after=None if after is None else table_key(table, after)[1],
            limit=limit,
            max_bytes=MAX_PAGE_BYTES,
        )
    else:
        page = index_pages.query_page(
            reader,
            index,
            partition_key,
            wanted,
            forward=forward,
            after=None if after is None else index_place(table, index, after),
            limit=limit,
            max_bytes=MAX_PAGE_BYTES,
        )
    return page_answer(parameters, source, page, request)


async def scan(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Items of a whole table or index, or of one of its segments."""
    request = scan_parameters(parameters)
    reader = context.store.reader
    table = existing_table(reader, table_name_of(parameters))
    index = index_to_read(table, parameters)
    after, limit = request.start_key, parameters.get("Limit")
    segment = (parameters["Segment"], parameters["TotalSegments"]) if "Segment" in parameters else None
    if index is None:
        source = Source(table)
        start = None if after is None else scan_start(table, after)
        _check_steps(request, table)
        page = items.scan_page(reader, table, after=start, limit=limit, max_bytes=MAX_PAGE_BYTES, segment=segment)
    else:
        source = _source(table, index, ReadKey.of(table, index), parameters, request)
        place = None if after is None else index_place(table, index, after)
        _check_steps(request, table)
        page = index_pages.scan_page(reader, index, after=place, limit=limit, max_bytes=MAX_PAGE_BYTES, segment=segment)
    return page_answer(parameters, source, page, request)


def _source(
    table: Table, index: Index | None, read_key: ReadKey, parameters: Mapping[str, Any], request: ReadParameters
) -> Source:
    """What is read, after the checks of where to start and of what is asked for, in AWS's order."""
    if request.start_key is not None:
        check_start_key(table, index, request.start_key, read_key)
    looks_up = index is not None and reads_items(index, parameters, request.projection)
    if request.start_key is not None:
        table_key(table, request.start_key)
    return Source(table, index, looks_up)


def _check_steps(request: ReadParameters, table: Table) -> None:
    refuse_steps_into_keys(table, request.projection)
    refuse_steps_into_keys(table, request.wanted)


def _check_filter(request: ReadParameters, read_key: ReadKey, index: Index | None) -> None:
    """A Query's filter asks neither about the key that it goes by nor about what an index does not have."""
    assert request.wanted is not None
    asked = attributes_of(request.wanted)
    for attribute in read_key.attributes:
        if attribute.name in asked:
            raise ValidationException(
                f"{request.filter_name} can only contain non-primary key attributes: "
                f"Primary key attribute: {attribute.name}"
            )
    if index is not None:
        check_filter(index, request.wanted)
