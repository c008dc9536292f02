"""Policies and tags of functions. Policies are kept and shown; there is no IAM that would read them."""

import json
from collections.abc import Mapping
from typing import Any

import apsw

from duestream.local.services.context import RequestContext
from duestream.local.services.lambda_.names import named_function
from duestream.local.store import functions, mappings
from duestream.local.store.function_errors import ResourceConflictException, ResourceNotFoundException
from duestream.local.store.functions import Function
from duestream.local.store.mappings import EventSourceMapping
from duestream.local.store.writer import Transaction

NO_POLICY = "The resource you requested does not exist."


async def add_permission(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Add a statement to a function's policy."""

    def add(tx: Transaction) -> dict[str, Any]:
        function = named_function(context, tx.connection, parameters)
        sid = parameters["StatementId"]
        if any(statement["Sid"] == sid for statement in function.policy):
            raise ResourceConflictException(
                f"The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the "
                "existing statement."
            )
        statement = _statement(function, parameters)
        functions.set_policy(tx, function, (*function.policy, statement))
        return statement

    return {"Statement": _compact(await context.store.write(add))}


def _statement(function: Function, parameters: Mapping[str, Any]) -> dict[str, Any]:
    principal: str = parameters["Principal"]
    is_service = principal.endswith(".amazonaws.com")
    who: Any = {"Service": principal} if is_service else {"AWS": f"arn:aws:iam::{principal}:root"}
    statement: dict[str, Any] = {
        "Sid": parameters["StatementId"],
        "Effect": "Allow",
        "Principal": principal if principal == "*" else who,
        "Action": parameters["Action"],
        "Resource": function.arn,
    }
    conditions: dict[str, dict[str, str]] = {}
    if "SourceArn" in parameters:
        conditions["ArnLike"] = {"AWS:SourceArn": parameters["SourceArn"]}
    if "SourceAccount" in parameters:
        conditions["StringEquals"] = {"AWS:SourceAccount": parameters["SourceAccount"]}
    return {**statement, "Condition": conditions} if conditions else statement


async def remove_permission(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Take a statement out of a function's policy."""

    def remove(tx: Transaction) -> None:
        function = named_function(context, tx.connection, parameters)
        sid = parameters["StatementId"]
        left = tuple(statement for statement in function.policy if statement["Sid"] != sid)
        if len(left) == len(function.policy):
            raise ResourceNotFoundException(f"Statement {sid} is not found in resource policy.")
        functions.set_policy(tx, function, left)

    await context.store.write(remove)
    return {}


async def get_policy(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Show a function's policy."""
    function = named_function(context, context.store.reader, parameters)
    if not function.policy:
        raise ResourceNotFoundException(NO_POLICY)
    policy = {"Version": "2012-10-17", "Id": "default", "Statement": list(function.policy)}
    return {"Policy": _compact(policy), "RevisionId": function.revision_id}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


# Tags ---------------------------------------------------------------------------------------------------


async def list_tags(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The tags of a function or a mapping."""
    return {"Tags": _tagged(context, context.store.reader, parameters["Resource"]).tags}


async def tag_resource(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Add tags; one with a key that is there already gets the new value."""

    def tag(tx: Transaction) -> None:
        tagged = _tagged(context, tx.connection, parameters["Resource"])
        _set_tags(tx, tagged, {**tagged.tags, **parameters["Tags"]})

    await context.store.write(tag)
    return {}


async def untag_resource(context: RequestContext, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Take tags away."""
    gone = frozenset(parameters["TagKeys"])

    def untag(tx: Transaction) -> None:
        tagged = _tagged(context, tx.connection, parameters["Resource"])
        _set_tags(tx, tagged, {key: value for key, value in tagged.tags.items() if key not in gone})

    await context.store.write(untag)
    return {}


def _tagged(context: RequestContext, connection: apsw.Connection, arn: str) -> Function | EventSourceMapping:
    if ":event-source-mapping:" not in arn:
        return named_function(context, connection, {"FunctionName": arn})
    mapping = mappings.get_mapping(connection, arn.rpartition(":")[2])
    if mapping is None:
        raise ResourceNotFoundException(NO_POLICY)
    return mapping


def _set_tags(tx: Transaction, tagged: Function | EventSourceMapping, tags: Mapping[str, str]) -> None:
    if isinstance(tagged, Function):
        functions.set_tags(tx, tagged, tags)
    else:
        mappings.set_tags(tx, tagged, tags)
