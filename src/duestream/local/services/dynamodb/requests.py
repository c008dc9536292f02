"""What several operations read from their requests: the table, its expressions, what is to be returned."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import apsw

from duestream.errors import ResourceNotFoundException, ServiceError, ValidationException
from duestream.local.store import tables
from duestream.local.store.tables import Table
from duestream.local.wire.item_complaints import is_deep

T = TypeVar("T")

INVALID = "One or more parameter values were invalid: "


class AccessDeniedException(ServiceError):
    """The resource is another account's."""


class ResourceInUseException(ServiceError):
    """The table exists already, or is protected."""


class LimitExceededException(ServiceError):
    """More than DynamoDB allows at once."""


def table_name_of(parameters: Mapping[str, Any]) -> str:
    """The table that the request names, by its name or by its ARN."""
    name: str = parameters["TableName"]
    return name.rpartition("/")[2] if name.startswith("arn:") else name


def resource_of(arn: str) -> tuple[str, str]:
    """The table that an ARN names, and the label of its stream (empty: the table itself is meant).

    Raises:
        ValidationException: it is no ARN of a table's or a stream's (texts: ack-api-quirks, DDB-TABLE-071 and its
            catalogue of ValidationException; AWS, 2026-10).
    """
    if not arn.startswith("arn:"):
        raise ValidationException(f"{INVALID}ARNs must start with 'arn:': {arn}")
    name, _, rest = arn.partition(":table/")[2].partition("/")
    kind, _, label = rest.partition("/")
    if kind == "index":
        raise ValidationException(
            f"{INVALID}Invalid resource arn provided, only table or stream is accepted. Provided resource arn: {arn}"
        )
    if not name or kind not in ("", "stream"):
        raise ValidationException(f"{INVALID}Provided Arn is not a DynamoDB resource arn: {arn}")
    return name, label


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


def in_older_words(read: Callable[[], T]) -> T:
    """What `read` gives; what it says of values is said as AWS's older checks do.

    Raises:
        ValidationException: in the older words, where there are any.
    """
    try:
        return read()
    except ValidationException as error:
        if error.older_message is None:
            raise
        raise ValidationException(error.older_message) from None


def counted(error: ValidationException, parameters: Mapping[str, Any]) -> ValidationException:
    """What is wrong with a request, as those operations say it that count the errors: it is always one.

    A request that nests very deep comes to AWS's older checks, which do not count.
    """
    if is_deep(parameters):
        return ValidationException(error.older_message or error.message)
    return ValidationException(f"1 validation error detected: {error.message}")


def return_values_of(parameters: Mapping[str, Any]) -> str:
    """What a PutItem or DeleteItem is to return.

    Raises:
        ValidationException: something that only UpdateItem returns.
    """
    return_values: str = parameters.get("ReturnValues", "NONE")
    if return_values not in ("NONE", "ALL_OLD"):
        raise ValidationException("ReturnValues can only be ALL_OLD or NONE")
    return return_values


def wants_old_on_failure(parameters: Mapping[str, Any]) -> bool:
    """Whether a condition that does not hold answers with the item that is there."""
    return parameters.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
