"""PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy: policies are kept and shown, and have no effect.

Who sends a request is not looked at here, so a policy neither allows nor denies. It holds at once, where AWS takes
seconds and refuses a further change for 15 seconds. A table and each of its streams have a policy of their own.
Source of what is answered: ack-api-quirks, DDB-TABLE-205, -207, -209 and -212 to -214 (recorded from AWS, 2026-10-09).
"""

from collections.abc import Mapping
from typing import Any

import apsw

from duestream.errors import ResourceNotFoundException, ServiceError, ValidationException
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.policy_documents import canonical, shown
from duestream.local.services.dynamodb.requests import INVALID, declared_table, resource_of
from duestream.local.store import streams, tables
from duestream.local.store.streams import Stream
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

#: The table's declaration has them here: by the label of the stream, and by the empty text the table's own. An entry
#: has a RevisionId and, as long as there is a policy, the Policy; without one it tells when that was deleted.
_DECLARED = "ResourcePolicies"
#: The revision that PutResourcePolicy expects of a resource without a policy.
_NO_POLICY = "NO_POLICY"


class PolicyNotFoundException(ServiceError):
    """The table or the stream has no resource policy, or not the expected revision of it."""

    def __init__(self, found: str) -> None:
        super().__init__(f"Resource-based policy not found for the provided ResourceArn: {found}")


async def put_resource_policy(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Attach a policy to a table or a stream, or replace it. An equal one keeps its revision.

    Raises:
        PolicyNotFoundException: another revision was expected.
        ResourceNotFoundException: there is no such table or stream.
        ValidationException: it is no policy, or no ARN of a table's or a stream's of this account.
    """
    arn: str = parameters["ResourceArn"]
    name, label = _resource(context, arn)
    policy = canonical(parameters["Policy"], of_table=not label, partition=context.place.partition)
    expected = parameters.get("ExpectedRevisionId")

    def job(tx: Transaction) -> str:
        table = _owner(tx.connection, name, label, arn)
        kept = _kept(table, label)
        if expected == _NO_POLICY:
            if "Policy" in kept:
                raise PolicyNotFoundException(
                    f"Requested policy update expecting none to be present for table {name}, "
                    f"but a policy exists with revision id {kept['RevisionId']}."
                )
        else:
            _check_revision(kept, expected, name)
        if kept.get("Policy") == policy:
            return str(kept["RevisionId"])
        revision = _next_revision(kept, context.clock.now_ms())
        _keep(tx, table, label, {"Policy": policy, "RevisionId": revision})
        return revision

    return {"RevisionId": await context.store.write(job)}


async def get_resource_policy(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The policy of a table or a stream.

    Raises:
        PolicyNotFoundException: it has none.
        ResourceNotFoundException: there is no such table or stream.
        ValidationException: it is no ARN of a table's or a stream's of this account.
    """
    arn: str = parameters["ResourceArn"]
    name, label = _resource(context, arn)
    connection = context.store.reader
    if label:
        stream, table = _stream(connection, name, label), tables.get_table(connection, name)
        if table is None or table.id != stream.table_id:
            raise PolicyNotFoundException(
                arn
            )  # a deleted table's stream stays readable, its policy went with the table
    kept = _kept(_owner(connection, name, label, arn), label)
    if "Policy" not in kept:
        raise PolicyNotFoundException(arn)
    return {"Policy": shown(kept["Policy"]), "RevisionId": kept["RevisionId"]}


async def delete_resource_policy(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the policy off a table or a stream; fine if it has none.

    Returns:
        The revision that was deleted; without a policy, the moment of the last deletion if there was one.

    Raises:
        PolicyNotFoundException: a revision was expected that is not there.
        ResourceNotFoundException: there is no such table or stream.
        ValidationException: it is no ARN of a table's or a stream's of this account.
    """
    arn: str = parameters["ResourceArn"]
    name, label = _resource(context, arn)

    def job(tx: Transaction) -> Mapping[str, Any]:
        table = _owner(tx.connection, name, label, arn)
        kept = _kept(table, label)
        _check_revision(kept, parameters.get("ExpectedRevisionId"), name)
        if "Policy" in kept:
            _keep(tx, table, label, {"RevisionId": _next_revision(kept, context.clock.now_ms())})
        return {"RevisionId": kept["RevisionId"]} if kept else {}

    return await context.store.write(job)


def policies_at_creation(parameters: Mapping[str, Any], partition: str, now_ms: int) -> Mapping[str, Any]:
    """What the declaration of a new table has of its ResourcePolicy; nothing without one.

    Raises:
        ValidationException: it is no policy.
    """
    if parameters.get("ResourcePolicy") is None:
        return {}
    policy = canonical(parameters["ResourcePolicy"], of_table=True, partition=partition)
    return {_DECLARED: {"": {"Policy": policy, "RevisionId": _next_revision({}, now_ms)}}}


# The resource -------------------------------------------------------------------------------------------


def _resource(context: RequestContext, arn: str) -> tuple[str, str]:
    """The names of the table and of its stream (empty: the table itself)."""
    resource = resource_of(arn)
    if arn.split(":")[4:5] != [context.place.account_id]:
        raise ValidationException(
            "This action is only supported by accounts that match the resource owner\u2019s account."
        )
    return resource


def _owner(connection: apsw.Connection, name: str, label: str, arn: str) -> Table:
    """The table whose declaration has the policy, after a look at its stream."""
    table = declared_table(connection, name)
    owned = f"{table.arn}/stream/{label}" if label else table.arn
    if arn != owned:  # another region's or partition's
        raise ValidationException(f"{INVALID}Invalid resource Arn: {arn}")
    if label and _stream(connection, name, label).table_id != table.id:
        raise _no_stream(name, label)
    return table


def _stream(connection: apsw.Connection, name: str, label: str) -> Stream:
    stream = streams.find_stream(connection, name, label)
    if stream is None:
        raise _no_stream(name, label)
    return stream


def _no_stream(name: str, label: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Requested resource not found: Stream: {label} not found for Table: {name}")


# The policy ---------------------------------------------------------------------------------------------


def _kept(table: Table, label: str) -> Mapping[str, Any]:
    kept: Mapping[str, Any] = table.declaration.get(_DECLARED, {}).get(label, {})
    return kept


def _keep(tx: Transaction, table: Table, label: str, policy: Mapping[str, Any]) -> None:
    policies = {**table.declaration.get(_DECLARED, {}), label: policy}
    tables.set_declaration(tx, table, {**table.declaration, _DECLARED: policies})


def _next_revision(kept: Mapping[str, Any], now_ms: int) -> str:
    """The moment of the change in milliseconds, as on AWS; later than the one before."""
    return str(max(now_ms, int(kept.get("RevisionId", 0)) + 1))


def _check_revision(kept: Mapping[str, Any], expected: str | None, name: str) -> None:
    """The end of the second text was cut off where it was recorded."""
    if expected is None:
        return
    if "Policy" not in kept:
        raise PolicyNotFoundException(
            f"Requested update for policy with revision id {expected}, but table {name} has no associated policy."
        )
    if kept["RevisionId"] != expected:
        raise PolicyNotFoundException(
            f"Requested update for policy with revision id {expected}, but the policy associated to target table "
            f"{name} has revision id {kept['RevisionId']}."
        )
