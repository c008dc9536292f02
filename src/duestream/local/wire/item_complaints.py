"""How DynamoDB's item operations put together what is wrong with the shape of a request.

The members are named in the order of AWS's own validation, which dynalite's authors recorded (``validations/*.js``).
In 2026 AWS moved most of these operations to newer checks, which have other words for some members and leave out
others (paritysuite/dynamodb-conformance: ``captures/cross-region-latest.json``, 2026-09-20, and the tests of
``validation-ordering``, 2026-10-09; what all but two regions answer). A request that lacks a member, or that nests
deeper than `MAX_NEWER_LEVELS`, is still told in the older words.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

#: Nested deeper, a request comes to the older checks.
MAX_NEWER_LEVELS = 62

#: By operation, the order of the members; the others follow.
MEMBER_ORDER: Mapping[str, Sequence[str]] = {
    "PutItem": (
        "ReturnConsumedCapacity",
        "TableName",
        "Item",
        "ConditionalOperator",
        "Expected",
        "ReturnValues",
        "ReturnItemCollectionMetrics",
    ),
    "GetItem": ("ReturnConsumedCapacity", "AttributesToGet", "TableName", "Key"),
    "UpdateItem": (
        "ReturnConsumedCapacity",
        "TableName",
        "ReturnItemCollectionMetrics",
        "ReturnValues",
        "ConditionalOperator",
        "Key",
        "Expected",
        "AttributeUpdates",
    ),
    "DeleteItem": (
        "ReturnConsumedCapacity",
        "TableName",
        "ReturnValues",
        "ReturnItemCollectionMetrics",
        "ConditionalOperator",
        "Key",
        "Expected",
    ),
    "Query": (
        "Select",
        "IndexName",
        "ReturnConsumedCapacity",
        "QueryFilter",
        "TableName",
        "ConditionalOperator",
        "AttributesToGet",
        "Limit",
        "KeyConditions",
        "ExclusiveStartKey",
    ),
    "Scan": (
        "Select",
        "IndexName",
        "TotalSegments",
        "ReturnConsumedCapacity",
        "TableName",
        "ConditionalOperator",
        "ScanFilter",
        "Segment",
        "Limit",
        "AttributesToGet",
        "ExclusiveStartKey",
    ),
    "BatchGetItem": ("RequestItems", "ReturnConsumedCapacity"),
    "BatchWriteItem": ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "RequestItems"),
}
_NEWER = frozenset({"PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query"})
#: Of Scan's members only these are told in the newer words, since September 2026 (``error-messages/scan``).
_SCAN_NEWER = frozenset({"Limit", "Segment", "TotalSegments"})
_RETURN_VALUES = (
    "Failed to satisfy constraint: Member must satisfy enum value set: "
    "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"
)
_CONDITIONAL_OPERATOR = "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]"
_EMPTY_NAME = "Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1"
_demand_of = re.compile(r"at '[^']*' failed to satisfy constraint: (.*)\Z", re.DOTALL).search
_find_batch_member = re.compile(r" at 'requestItems\.(.+)\.member\.keys' failed to satisfy constraint: (.*)\Z").search
#: The members of an attribute value, as Java's toString shows them (recorded in us-east-1, 2026-06-09).
_AS_JAVA = (
    *("S", "N", "B", "INT", "DECIMAL", "DOUBLE", "SS", "NS", "BS", "INTSET", "DECIMALSET", "DOUBLESET"),
    *("M", "L", "NULL", "BOOL"),
)

_NO_PROFILE = "workloadProfileName=null"

#: What is wrong with one member.
Problem = tuple[str, str]


def is_deep(parameters: Mapping[str, Any]) -> bool:
    """Whether a value of the request nests so deep that AWS's older checks look at it."""
    # in the wire form a level is two containers: the type's, and that of its content; around them are the
    # attributes, and in the middle is a value
    most = 2 * MAX_NEWER_LEVELS + 2

    def reaches(value: Any, level: int) -> bool:
        if not isinstance(value, dict | list):
            return False
        members = value.values() if isinstance(value, dict) else value
        return level == most or any(reaches(member, level + 1) for member in members)

    return any(reaches(value, 0) for value in parameters.values())


def complaint(operation: str, parameters: Mapping[str, Any], problems: Sequence[Problem]) -> str:
    """The text of the error, for problems in the order of `MEMBER_ORDER`."""
    if operation in ("BatchGetItem", "BatchWriteItem"):
        return _counted(_batch_texts(operation, parameters, problems))
    is_missing = any(text.startswith("Value null") for _, text in problems)
    if operation == "Scan" and not is_missing and not is_deep(parameters):
        return _counted([_newer(member, text) if member in _SCAN_NEWER else text for member, text in problems])
    if operation not in _NEWER or is_missing or is_deep(parameters):
        return _counted([text for _, text in problems])
    if parameters.get("TableName") == "":
        return _counted([_EMPTY_NAME])
    by_member = dict(problems)
    if operation == "Query" and "ConditionalOperator" in by_member:
        return _CONDITIONAL_OPERATOR
    if operation == "UpdateItem" and "ReturnValues" in by_member:
        return _counted([_RETURN_VALUES])
    return _counted([_newer(member, text) for member, text in problems])


def _newer(member: str, text: str) -> str:
    if member == "ReturnValues":
        return _RETURN_VALUES
    if member == "ConditionalOperator":
        return _CONDITIONAL_OPERATOR
    if member in _SCAN_NEWER:
        return f"Value at '{member}' failed to satisfy constraint: {_demand(text)}"
    return text


def _batch_texts(operation: str, parameters: Mapping[str, Any], problems: Sequence[Problem]) -> list[str]:
    texts = []
    for member, text in problems:
        if member != "RequestItems" or "Value null" in text:
            texts.append(text)
        elif not parameters["RequestItems"]:
            texts.append(f"Value at 'RequestItems' failed to satisfy constraint: {_demand(text)}")
        elif operation == "BatchWriteItem":
            texts.append(_batch_write_text(parameters["RequestItems"], text))
        elif found := _find_batch_member(text):
            table, demand = found.groups()
            texts.append(f"Value at 'RequestItems.{table}.member.Keys' failed to satisfy constraint: {demand}")
        elif "Map keys" in text:
            shown = msgspec.json.encode(parameters["RequestItems"]).decode()
            texts.append(f"Value '{shown}' at 'requestItems' failed to satisfy constraint: {_demand(text)}")
        else:
            texts.append(text)
    if operation == "BatchWriteItem" and len(texts) > 1 and "Map keys" in texts[-1]:
        texts.pop()  # other members come first, and alone
    return texts


def _batch_write_text(requested: Mapping[str, Any], text: str) -> str:
    demand = _demand(text)
    if "Map value" in demand:
        for table, writes in requested.items():
            if len(writes) > 1:
                return (
                    f"Value at 'RequestItems.{table}.member' failed to satisfy constraint: "
                    "Member must have length less than or equal to 25"
                )
    shown = ", ".join(f"{table}=[{', '.join(map(_write_shown, writes))}]" for table, writes in requested.items())
    return f"Value '{{{shown}}}' at 'requestItems' failed to satisfy constraint: {demand}"


def _write_shown(write: Mapping[str, Any]) -> str:
    """A write as Java's toString shows it."""
    put, delete = write.get("PutRequest"), write.get("DeleteRequest")
    shown_put = "null" if put is None else f"PutRequest(item={_item_shown(put.get('Item') or {})}, {_NO_PROFILE})"
    shown_delete = "null" if delete is None else f"DeleteRequest(key={_item_shown(delete.get('Key') or {})})"
    return f"WriteRequest(putRequest={shown_put}, deleteRequest={shown_delete})"


def _item_shown(item: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}={_value_shown(value)}" for name, value in item.items()) + "}"


def _value_shown(value: Any) -> str:
    given: Mapping[str, Any] = value if isinstance(value, dict) else {}
    shown = (f"{kind[0].lower()}{kind[1:]}={given.get(kind, 'null')}" for kind in _AS_JAVA)
    return f"AttributeValue({', '.join(shown)})"


def _demand(text: str) -> str:
    found = _demand_of(text)
    return found.group(1) if found is not None else text


def _counted(texts: Sequence[str]) -> str:
    errors = "error" if len(texts) == 1 else "errors"
    return f"{len(texts)} validation {errors} detected: {'; '.join(texts)}"
