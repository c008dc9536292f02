"""ExecuteStatement, BatchExecuteStatement and ExecuteTransaction.

Which errors concern one statement and which the whole request was recorded from AWS by nubo-db/
dynamodb-conformance (``batchExecuteStatement.test.ts``, ``executeTransaction.test.ts``, 2026-08) and floci-io/floci
(``DynamoDbPartiQLEdgeCaseIntegrationTest``, 2026-09-17).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import apsw

from duestream.core.expression.conditions import Comparison, Condition, OneOf, PathOperand
from duestream.core.partiql import DeleteSyntax, SelectSyntax, UpdateSyntax, parts_of, plan_reads
from duestream.core.record import Item
from duestream.errors import (
    ConditionalCheckFailedException,
    ResourceNotFoundException,
    ServiceError,
    ValidationException,
)
from duestream.local.services.context import RequestContext
from duestream.local.services.dynamodb.answers import answer, read_units, wants_capacity
from duestream.local.services.dynamodb.requests import existing_table
from duestream.local.services.dynamodb.statement_reads import (
    consumed_by_select,
    index_of,
    schema_of,
    select_of,
    select_page,
    shown_item,
)
from duestream.local.services.dynamodb.statements import (
    Bound,
    action_of,
    bind,
    in_words_of_statements,
    key_equality,
    parameters_of,
    returned_by,
    run_action,
    write_one,
)
from duestream.local.services.dynamodb.transact_actions import (
    NO_REASON,
    Action,
    Done,
    DuplicateItemException,
    Reason,
    cancelled,
    carry_out,
    check_keys,
    consumed_by_reads,
    consumed_by_repetition,
    consumed_by_writes,
    is_repetition,
    reason_of,
    remember,
)
from duestream.local.services.dynamodb.write_costs import WriteCosts
from duestream.local.store import items, tables
from duestream.local.store.snapshot import snapshot
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

T = TypeVar("T")

_TRANSACTION = "ExecuteTransaction"
_NEEDS_KEY = "Select statements within {} must specify the primary key in the where clause."
_NOT_FOUND = "Requested resource not found"


# ExecuteStatement -------------------------------------------------------------------------------------


async def execute_statement(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Carry out one statement: one page of a SELECT, or the change of one item."""
    bound = bind(parameters["Statement"], parameters_of(parameters))
    _refuse_condition(bound)
    if bound.is_read:
        return _select(context, parameters, bound)

    def job(tx: Transaction) -> tuple[Table, Done]:
        table = existing_table(tx.connection, bound.table_name)
        return table, write_one(tx, bound, table, parameters, context.clock.now_ms())

    table, done = await context.store.write(job)
    returned = returned_by(bound, done)
    consumed = None
    if wants_capacity(parameters):
        costs = WriteCosts()
        costs.add(table, done.old, done.new)
        consumed = costs.shown(parameters, table.name)
    return answer({"Items": [] if returned is None else [returned], "ConsumedCapacity": consumed})


def _refuse_condition(bound: Bound) -> None:
    if isinstance(bound.syntax, SelectSyntax) and bound.syntax.is_condition:
        raise ValidationException("EXISTS can only be used in ExecuteTransaction write requests.")


def _select(context: RequestContext, parameters: Mapping[str, Any], bound: Bound) -> bytes:
    reader = context.store.reader
    consistent: bool = parameters.get("ConsistentRead", False)
    selection = select_of(bound, existing_table(reader, bound.table_name), consistent=consistent)
    selected = select_page(
        reader, selection, token=parameters.get("NextToken"), limit=parameters.get("Limit"), consistent=consistent
    )
    consumed = consumed_by_select(parameters, selection, selected) if wants_capacity(parameters) else None
    return answer(
        {
            "Items": selected.shown,
            "NextToken": selected.token,
            "LastEvaluatedKey": selected.last_key,
            "ConsumedCapacity": consumed,
        }
    )


# BatchExecuteStatement --------------------------------------------------------------------------------


async def batch_execute_statement(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Carry out up to 25 statements, each by itself: what is wrong with one is said in its place."""
    given: Sequence[Mapping[str, Any]] = parameters["Statements"]
    members = [_attempt(partial(_member, one)) for one in given]
    kinds = {member.is_read for member in members if isinstance(member, Bound)}
    if len(kinds) > 1:
        raise ValidationException(
            "BatchExecuteStatement API does not support both read and write operations in the same request."
        )
    if kinds == {False}:
        return await _batch_write(context, parameters, members)
    reader = context.store.reader
    responses: list[dict[str, Any]] = []
    read: dict[str, float] = {}
    for member, one in zip(members, given, strict=True):
        found = member if isinstance(member, ServiceError) else _attempt(partial(_batch_read, reader, member))
        if isinstance(found, ServiceError):
            responses.append({"Error": reason_of(found)})
            continue
        table, size_bytes, response = found
        responses.append(response)
        units = read_units(size_bytes, consistent=one.get("ConsistentRead", False))
        read[table.name] = read.get(table.name, 0.0) + units
    consumed = [_consumed(parameters, name, units) for name, units in read.items()]
    return answer({"Responses": responses, "ConsumedCapacity": consumed if wants_capacity(parameters) else None})


def _attempt(run: Callable[[], T]) -> T | ServiceError:
    try:
        return run()
    except (ConditionalCheckFailedException, DuplicateItemException, ResourceNotFoundException) as error:
        return error
    except ValidationException as error:
        return in_words_of_statements(error)


def _member(given: Mapping[str, Any]) -> Bound:
    bound = bind(given["Statement"], parameters_of(given))
    _refuse_condition(bound)
    return bound


def _batch_read(reader: apsw.Connection, bound: Bound) -> tuple[Table, int, dict[str, Any]]:
    syntax = bound.syntax
    assert isinstance(syntax, SelectSyntax)
    table = existing_table(reader, bound.table_name)
    if index_of(syntax, table) is not None:
        raise ValidationException(_NEEDS_KEY.format("BatchExecuteStatement"))
    plan = plan_reads(bound.where, schema_of(table))
    if plan is None or plan.single_key is None:
        raise ValidationException(_NEEDS_KEY.format("BatchExecuteStatement"))
    stored = items.get_stored_item(reader, table, items.key_of_key(table, plan.single_key))
    response: dict[str, Any] = {"TableName": table.name}
    if stored is not None:
        response["Item"] = shown_item(syntax, stored)
    return table, 0 if stored is None else stored.size_bytes, response


def _consumed(parameters: Mapping[str, Any], name: str, units: float) -> dict[str, Any]:
    consumed: dict[str, Any] = {"TableName": name, "CapacityUnits": units}
    if parameters.get("ReturnConsumedCapacity") == "INDEXES":
        consumed["Table"] = {"CapacityUnits": units}
    return consumed


async def _batch_write(
    context: RequestContext, parameters: Mapping[str, Any], members: Sequence[Bound | ServiceError]
) -> bytes:
    given: Sequence[Mapping[str, Any]] = parameters["Statements"]

    def job(tx: Transaction) -> tuple[list[dict[str, Any]], dict[str, WriteCosts]]:
        costs: dict[str, WriteCosts] = {}
        responses = []
        for member, one in zip(members, given, strict=True):
            if isinstance(member, ServiceError):
                responses.append({"Error": reason_of(member)})
            else:
                responses.append(_batch_write_one(tx, member, one, costs, context.clock.now_ms()))
        return responses, costs

    responses, costs = await context.store.write(job)
    consumed = [cost.shown(parameters, name) for name, cost in costs.items()]
    return answer({"Responses": responses, "ConsumedCapacity": consumed if wants_capacity(parameters) else None})


def _batch_write_one(
    tx: Transaction, bound: Bound, given: Mapping[str, Any], costs: dict[str, WriteCosts], now_ms: int
) -> dict[str, Any]:
    """Carry out one statement of a batch. Only what failed in its table says the table's name."""

    def plan() -> tuple[Table, Action]:
        table = existing_table(tx.connection, bound.table_name)
        return table, action_of(bound, table, given, in_transaction=False)

    planned = _attempt(plan)
    if isinstance(planned, ServiceError):
        return {"Error": reason_of(planned)}
    table, action = planned
    mark = tx.mark()
    tx.execute("SAVEPOINT statement")
    done = _attempt(lambda: run_action(tx, table, action, now_ms))
    if isinstance(done, ServiceError):
        tx.undo_to("statement", mark)
    tx.execute("RELEASE statement")
    if isinstance(done, ServiceError):
        return {"Error": reason_of(done), "TableName": table.name}
    costs.setdefault(table.name, WriteCosts()).add(table, done.old, done.new)
    returned = returned_by(bound, done)
    return {"TableName": table.name, **({} if returned is None else {"Item": returned})}


# ExecuteTransaction -----------------------------------------------------------------------------------


async def execute_transaction(context: RequestContext, parameters: Mapping[str, Any]) -> bytes:
    """Carry out up to 100 statements, all that read or all that write, as one transaction."""
    given: Sequence[Mapping[str, Any]] = parameters["TransactStatements"]
    values = [parameters_of(one) for one in given]
    members = [_in_place(number, partial(bind, one["Statement"], values[number])) for number, one in enumerate(given)]
    kinds = {member.is_read for member in members}
    if len(kinds) > 1:
        raise ValidationException(
            "ExecuteTransaction API does not support both read and write operations in the same request."
        )
    if kinds == {True}:
        return _read_transaction(context.store.reader, parameters, members)

    def job(tx: Transaction) -> Any:
        now_ms = context.clock.now_ms()
        found, actions = _planned(tx.connection, members, lambda bound, table, at: _write(bound, table, given[at]))
        keys = check_keys(found, actions)
        if is_repetition(tx, _TRANSACTION, parameters, now_ms=now_ms):
            return consumed_by_repetition(tx.connection, parameters, found, keys)
        done = carry_out(tx, found, keys, actions, now_ms=now_ms, in_words=in_words_of_statements)
        remember(tx, _TRANSACTION, parameters, now_ms=now_ms)
        return consumed_by_writes(parameters, done)

    return answer({"Responses": [], "ConsumedCapacity": await context.store.write(job)})


def _in_place(number: int, run: Callable[[], T]) -> T:
    """Say of what is wrong with a statement which one it is."""
    try:
        return run()
    except ValidationException as error:
        raise ValidationException(f"Validation failed in TransactStatements[{number}]: {error.message}") from None


def _planned(
    connection: apsw.Connection, members: Sequence[Bound], plan: Callable[[Bound, Table, int], Action]
) -> tuple[list[Table], list[Action]]:
    """The tables, and what is done in them.

    Raises:
        ValidationException: a statement on a table that exists cannot be part of a transaction.
        TransactionCanceledException: there is no such table.
    """
    found = [tables.get_table(connection, member.table_name) for member in members]
    actions: list[Action] = []
    for number, (member, table) in enumerate(zip(members, found, strict=True)):
        if table is not None:
            actions.append(_in_place(number, partial(plan, member, table, number)))
    if len(actions) < len(members):
        missing: Reason = {"Code": "ResourceNotFound", "Message": _NOT_FOUND}
        raise cancelled([missing if table is None else NO_REASON for table in found])
    return [table for table in found if table is not None], actions


def _write(bound: Bound, table: Table, given: Mapping[str, Any]) -> Action:
    if isinstance(bound.syntax, UpdateSyntax | DeleteSyntax) and bound.syntax.returning is not None:
        raise ValidationException("RETURNING clause is not supported in ExecuteTransaction.")
    return action_of(bound, table, given, in_transaction=True)


def _read_transaction(reader: apsw.Connection, parameters: Mapping[str, Any], members: Sequence[Bound]) -> bytes:
    responses: list[dict[str, Any]] = []
    reads: list[tuple[str, int]] = []
    with snapshot(reader):
        found, actions = _planned(reader, members, lambda bound, table, _: _read(bound, table))
        keys = check_keys(found, actions)
        for member, table, key in zip(members, found, keys, strict=True):
            assert isinstance(member.syntax, SelectSyntax)
            stored = items.get_stored_item(reader, table, key)
            responses.append({} if stored is None else {"Item": shown_item(member.syntax, stored)})
            reads.append((table.name, 0 if stored is None else stored.size_bytes))
    return answer({"Responses": responses, "ConsumedCapacity": consumed_by_reads(parameters, reads)})


def _read(bound: Bound, table: Table) -> Action:
    """A SELECT as the read of one key: its condition must demand each key attribute, and nothing else."""
    if bound.syntax.source.index_name is not None:
        raise ValidationException("Reads on indices are not supported within transactions.")
    key: Item = {}
    for part in parts_of(bound.where):
        name, value = key_equality(_only_candidate(part), table)
        if name is None or key.setdefault(name, value) != value:
            break
    else:
        if len(key) == len(table.key_names):
            return Action("ConditionCheck", table.name, key)
    plan_reads(bound.where, schema_of(table))
    raise ValidationException(_NEEDS_KEY.format(_TRANSACTION))


def _only_candidate(part: Condition) -> Condition:
    """``a IN [b]`` says what ``a = b`` says."""
    if isinstance(part, OneOf) and len(part.candidates) == 1 and isinstance(part.operand, PathOperand):
        return Comparison("=", part.operand, part.candidates[0])
    return part
