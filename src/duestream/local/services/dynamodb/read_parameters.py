"""What Query and Scan are asked for, as far as it can be told without the table.

The order of complaints is that of dynalite's tests: mixed parameters, placeholders without an expression, legacy
filters, start keys, expressions, placeholders that nothing uses; then come the table and its keys. Query says what is
wrong with values in the words of AWS's newer checks, Scan in those of the older ones (paritysuite/
dynamodb-conformance, ``valueLayers`` and ``queryKeyCondition``, 2026-10-09). What Select and Segment contradict Scan
says in the newer words too, since September 2026 (the same, ``error-messages/scan``, eu-west-2, 2026-09-26; moto's
tests against us-east-1, ``test_dynamodb_select``, between 2026-10-11 and 2026-10-27).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duestream.core.attributes import normalize_item
from duestream.core.expression import (
    Condition,
    Placeholders,
    Projection,
    SortCondition,
    parse_condition,
    parse_projection,
)
from duestream.core.expression.keys import parse_key_demands
from duestream.core.record import Item
from duestream.errors import ValidationException
from duestream.local.services.dynamodb.legacy import (
    check_conditional_operator,
    filter_condition,
    key_demands,
    legacy_projection,
    refuse_mixing,
)
from duestream.local.services.dynamodb.requests import counted, in_older_words

INVALID_START = "The provided starting key is invalid"
_QUERY_EXPRESSIONS = ("ProjectionExpression", "FilterExpression", "KeyConditionExpression")
_QUERY_LEGACY = ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions")
_SCAN_EXPRESSIONS = ("ProjectionExpression", "FilterExpression")
_SCAN_LEGACY = ("AttributesToGet", "ScanFilter", "ConditionalOperator")
#: What is wrong with the values of a start key that AWS says without saying that it is a start key.
_is_said_bare = re.compile(
    "contains duplicates|number set|numeric value|significant digits|number with magnitude"
).search


@dataclass(frozen=True, slots=True)
class ReadParameters:
    """What to read. `wanted` is the filter; None: everything."""

    wanted: Condition | None
    projection: Projection | None
    #: The parameter that the filter came in.
    filter_name: str
    #: ExclusiveStartKey in normal form.
    start_key: Item | None
    #: What a Query demands of the key, by attribute; empty for a Scan.
    demands: Mapping[str, SortCondition]


def query_parameters(parameters: Mapping[str, Any]) -> ReadParameters:
    """What a Query is asked for.

    Raises:
        ValidationException: it contradicts itself, or an expression is not one.
    """
    wanted, projection = None, None
    Placeholders.refuse_idle(parameters, "FilterExpression", "KeyConditionExpression", "ProjectionExpression")
    if not parameters.keys().isdisjoint(_QUERY_LEGACY):
        refuse_mixing(parameters, _QUERY_EXPRESSIONS, _QUERY_LEGACY)
        check_conditional_operator(parameters, "QueryFilter")
        wanted = filter_condition(parameters, "QueryFilter")
        projection = legacy_projection(parameters)
    start_key = _start_key(parameters)
    text = parameters.get("KeyConditionExpression")
    if text is None and "KeyConditions" not in parameters:
        raise ValidationException(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    placeholders = _placeholders(parameters)
    find_demands = None if text is None else parse_key_demands(text, placeholders)
    if (filter_text := parameters.get("FilterExpression")) is not None:
        wanted = parse_condition(filter_text, placeholders, parameter="FilterExpression")
    projection = _projection(parameters, placeholders, projection)
    placeholders.check_all_used()
    demands = key_demands(parameters) if find_demands is None else find_demands()
    name = "QueryFilter" if filter_text is None else "Filter Expression"
    return ReadParameters(wanted, projection, name, start_key, demands)


def scan_parameters(parameters: Mapping[str, Any]) -> ReadParameters:
    """What a Scan is asked for; errors as in `query_parameters`."""
    refuse_mixing(parameters, _SCAN_EXPRESSIONS, _SCAN_LEGACY)
    Placeholders.refuse_idle(parameters, "FilterExpression", "ProjectionExpression", says_which=True)
    check_conditional_operator(parameters, "ScanFilter")
    projection = legacy_projection(parameters)
    wanted = in_older_words(lambda: filter_condition(parameters, "ScanFilter"))
    start_key = in_older_words(lambda: _start_key(parameters))
    _check_segment(parameters)
    placeholders = _placeholders(parameters, older=True)
    text = parameters.get("FilterExpression")
    if text is not None:
        wanted = parse_condition(text, placeholders, parameter="FilterExpression")
    projection = _projection(parameters, placeholders, projection)
    placeholders.check_all_used()
    return ReadParameters(wanted, projection, "ScanFilter" if text is None else "FilterExpression", start_key, {})


def _placeholders(parameters: Mapping[str, Any], *, older: bool = False) -> Placeholders:
    names, values = parameters.get("ExpressionAttributeNames"), parameters.get("ExpressionAttributeValues")
    return Placeholders(names, values, older=older)


def _start_key(parameters: Mapping[str, Any]) -> Item | None:
    start_key = parameters.get("ExclusiveStartKey")
    if start_key is None:
        return None
    try:
        return normalize_item(start_key)
    except ValidationException as error:
        if _is_said_bare(error.message):
            raise
        raise ValidationException(f"{INVALID_START}: {error.message}") from None


def _check_segment(parameters: Mapping[str, Any]) -> None:
    segment, total = parameters.get("Segment"), parameters.get("TotalSegments")
    if segment is None and total is None:
        return
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
        raise ValidationException("The Segment parameter is zero-based and must be less than parameter TotalSegments")


def _projection(
    parameters: Mapping[str, Any], placeholders: Placeholders, legacy: Projection | None
) -> Projection | None:
    """The projection, after the checks of Select against it."""
    if contradiction := _select_contradiction(parameters, legacy):
        raise counted(ValidationException(contradiction), parameters)
    text = parameters.get("ProjectionExpression")
    return legacy if text is None else parse_projection(text, placeholders)


def _select_contradiction(parameters: Mapping[str, Any], legacy: Projection | None) -> str | None:
    """What Select does not go with (texts recorded from AWS by dynalite's tests)."""
    select = parameters.get("Select")
    for name in ("AttributesToGet", "ProjectionExpression"):
        if name in parameters and select not in (None, "SPECIFIC_ATTRIBUTES"):
            shown = "only the Count" if select == "COUNT" else select
            return f"Cannot specify the {name} when choosing to get {shown}"
    if select == "SPECIFIC_ATTRIBUTES" and legacy is None and "ProjectionExpression" not in parameters:
        return "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
    if select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in parameters:
        return "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
    return None
