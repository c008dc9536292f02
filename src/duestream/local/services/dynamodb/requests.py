"""What several operations read from their requests: the table, its expressions, what is to be returned."""

from collections.abc import Collection, Mapping
from typing import Any

import apsw

from duestream.errors import ResourceNotFoundException, ServiceError, ValidationException
from duestream.local.store import tables
from duestream.local.store.tables import Table

INVALID = "One or more parameter values were invalid: "

#: Parameters of before 2014, and what takes their place. They belong to a later version; to ignore them would
#: be to write without the condition that was asked for.
LEGACY_PARAMETERS = {
    "Expected": "ConditionExpression",
    "AttributeUpdates": "UpdateExpression",
    "KeyConditions": "KeyConditionExpression",
    "QueryFilter": "FilterExpression",
    "ScanFilter": "FilterExpression",
    "AttributesToGet": "ProjectionExpression",
    "ConditionalOperator": "AND and OR in an expression",
}


class ResourceInUseException(ServiceError):
    """The table exists already, or is protected."""


class LimitExceededException(ServiceError):
    """More than DynamoDB allows at once."""


def table_name_of(parameters: Mapping[str, Any]) -> str:
    """The table that the request names, by its name or by its ARN."""
    name: str = parameters["TableName"]
    return name.rpartition("/")[2] if name.startswith("arn:") else name


def existing_table(connection: apsw.Connection, name: str) -> Table:
    """The table that items are written to or read from.

    Raises:
        ResourceNotFoundException: there is none (the text of the item operations).
    """
    table = tables.get_table(connection, name)
    if table is None:
        raise ResourceNotFoundException("Requested resource not found")
    return table


def declared_table(connection: apsw.Connection, name: str) -> Table:
    """The table that is described, changed or deleted.

    Raises:
        ResourceNotFoundException: there is none (the text of the table operations).
    """
    table = tables.get_table(connection, name)
    if table is None:
        raise ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
    return table


def refuse_legacy(parameters: Mapping[str, Any]) -> None:
    """Refuse what this version does not serve, rather than ignore it."""
    if LEGACY_PARAMETERS.keys().isdisjoint(parameters):
        return
    name = next(name for name in LEGACY_PARAMETERS if name in parameters)
    raise ValidationException(
        f"{name} is a legacy parameter that this version of duestream does not serve: "
        f"use {LEGACY_PARAMETERS[name]} instead"
    )


def return_values_of(parameters: Mapping[str, Any], allowed: Collection[str]) -> str:
    """What a write is to return.

    Raises:
        ValidationException: not something this operation returns.
    """
    return_values: str = parameters.get("ReturnValues", "NONE")
    if return_values not in allowed:
        raise ValidationException("Return values set to invalid value")
    return return_values


def wants_old_on_failure(parameters: Mapping[str, Any]) -> bool:
    """Whether a condition that does not hold answers with the item that is there."""
    return parameters.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
