"""What transactions are made of, whether written as actions or as PartiQL: several changes, all of them or none.

No two may concern one item, so each sees the state from before the transaction, in whatever order they are
carried out. The texts of the reasons, which faults are reasons and which refuse the whole request, and which of
several comes first were recorded from AWS by nubo-db/dynamodb-conformance (``transactWriteItems.test.ts``),
paritysuite/dynamodb-conformance (``transactions.test.ts``, ``itemSizeBySurface.test.ts``, 2026-10) and
floci-io/floci (``DynamoDbPartiQLEdgeCaseIntegrationTest``, 2026-09-17).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import apsw

from duestream.core.attributes import item_size_bytes
from duestream.core.expression import Condition, Update
from duestream.core.record import Item
from duestream.errors import ConditionalCheckFailedException, ServiceError, ValidationException
from duestream.local.services.dynamodb.answers import read_units, wants_capacity
from duestream.local.services.dynamodb.write_costs import WriteCosts, collection_metrics, wants_metrics
from duestream.local.store import items, transaction_tokens
from duestream.local.store.items import Key
from duestream.local.store.streams import decode_image
from duestream.local.store.tables import Table
from duestream.local.store.writer import Transaction

#: Developer Guide, "Amazon DynamoDB Transactions: How it works".
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
#: A transaction prepares and then commits: each of its actions costs twice.
UNITS_FACTOR = 2

_CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons"
_SEVERAL_OPERATIONS = "Transaction request cannot include multiple operations on one item"
_DUPLICATE_ITEM = "Duplicate primary key exists in table"
#: Begins what AWS says of an empty key, of the table or of an index: that is never a reason of a cancellation.
_NOT_VALID = "One or more parameter values are not valid. "

#: Code, and where there is one Message and Item.
Reason = Mapping[str, Any]
NO_REASON: Reason = {"Code": "None"}


class TransactionCanceledException(ServiceError):
    """Nothing of the transaction was done; CancellationReasons has a reason for each action, in their order."""


class IdempotentParameterMismatchException(ServiceError):
    """The token came with other parameters within the last ten minutes."""

    def __init__(self) -> None:
        super().__init__(
            "DynamoDB rejected the request because you retried a request with a different payload "
            "but with an idempotent token that was already used."
        )


class DuplicateItemException(ServiceError):
    """There is an item with the key that was to be inserted."""

    def __init__(self) -> None:
        super().__init__(_DUPLICATE_ITEM)


@dataclass(frozen=True, slots=True)
class Action:
    """One change, or one condition, in a transaction; its expressions are read, its table is not known yet.

    `item` is what a Put writes, and the key of all others. `is_insert`: a Put that wants the key to be free.
    """

    kind: Literal["Put", "Update", "Delete", "ConditionCheck"]
    table_name: str
    item: Item
    condition: Condition | None = None
    update: Update | None = None
    return_old_on_failure: bool = False
    is_insert: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What an action did, for its capacity."""

    table: Table
    key: Key
    old: Item | None
    new: Item | None


def cancelled(reasons: Sequence[Reason]) -> TransactionCanceledException:
    """The error with these reasons."""
    codes = ", ".join(str(reason["Code"]) for reason in reasons)
    return TransactionCanceledException(f"{_CANCELLED} [{codes}]", CancellationReasons=list(reasons))


def reason_of(error: ServiceError) -> Reason:
    """The cancellation reason that stands for an error."""
    match error:
        case ConditionalCheckFailedException():
            code = "ConditionalCheckFailed"
        case DuplicateItemException():
            code = "DuplicateItem"
        case ValidationException():
            code = "ValidationError"
        case _:
            code = error.code.removesuffix("Exception")
    return {"Code": code, "Message": error.message, **error.members}


def check_keys(tables: Sequence[Table], actions: Sequence[Action]) -> list[Key]:
    """The actions' keys.

    Raises:
        ValidationException: a key is empty, or two actions concern one item.
        TransactionCanceledException: a key does not match its table's.
    """
    keys: list[Key] = []
    reasons: list[Reason] = []
    for table, action in zip(tables, actions, strict=True):
        read_key = items.key_of_item if action.kind == "Put" else items.key_of_key
        try:
            keys.append(read_key(table, action.item))
        except ValidationException as error:
            if error.message.startswith(_NOT_VALID):
                raise
            reasons.append(reason_of(error))
        else:
            reasons.append(NO_REASON)
    if len(keys) < len(actions):
        raise cancelled(reasons)
    refuse_repeated([(table.id, key) for table, key in zip(tables, keys, strict=True)])
    return keys


def refuse_repeated(concerned: Iterable[tuple[int, Key]]) -> None:
    """Refuse a transaction that names one item twice.

    Raises:
        ValidationException: it does.
    """
    seen: set[tuple[int, Key]] = set()
    for one in concerned:
        if one in seen:
            raise ValidationException(_SEVERAL_OPERATIONS)
        seen.add(one)


def carry_out(
    tx: Transaction,
    tables: Sequence[Table],
    keys: Sequence[Key],
    actions: Sequence[Action],
    *,
    now_ms: int,
    in_words: Callable[[ValidationException], ServiceError] = lambda error: error,
) -> list[Done]:
    """Carry out all actions; if one fails, the error undoes the others with the job.

    Args:
        in_words: puts a complaint into the words of what was asked for.

    Raises:
        TransactionCanceledException: what failed, action by action.
        ValidationException: an index's key would be empty, or all items are too large together.
    """
    done: list[Done] = []
    reasons: list[Reason] = []
    for table, key, action in zip(tables, keys, actions, strict=True):
        try:
            done.append(carry_out_one(tx, table, key, action, now_ms))
        except (ConditionalCheckFailedException, DuplicateItemException, ValidationException) as error:
            if error.message.startswith(_NOT_VALID):
                raise
            reasons.append(reason_of(in_words(error) if isinstance(error, ValidationException) else error))
        else:
            reasons.append(NO_REASON)
    if len(done) < len(actions):
        raise cancelled(reasons)
    if sum(max(_size_bytes(one.old), _size_bytes(one.new)) for one in done) > MAX_TRANSACTION_BYTES:
        raise ValidationException("Transaction request cannot exceed 4 MB of items in total")
    return done


def _size_bytes(item: Item | None) -> int:
    return 0 if item is None else item_size_bytes(item)


def carry_out_one(tx: Transaction, table: Table, key: Key, action: Action, now_ms: int) -> Done:
    """Carry out one action by itself; the errors are those of the operation that it is named after."""
    options: dict[str, Any] = {
        "condition": action.condition,
        "return_old_on_failure": action.return_old_on_failure,
    }
    match action.kind:
        case "Put":
            old = _put(tx, table, action, options, now_ms)
            return Done(table, key, old, action.item)
        case "Update":
            old, new = items.update_item(tx, table, action.item, update=action.update, now_ms=now_ms, **options)
            return Done(table, key, old, new or None)
        case "Delete":
            return Done(table, key, items.delete_item(tx, table, action.item, now_ms=now_ms, **options), None)
        case "ConditionCheck":
            stored = items.get_stored_item(tx.connection, table, key)
            found = None if stored is None else decode_image(stored.body)
            if action.condition is not None and not action.condition.holds(found or {}):
                if action.return_old_on_failure and found is not None:
                    raise ConditionalCheckFailedException(Item=found)
                raise ConditionalCheckFailedException
            return Done(table, key, found, found)


def _put(tx: Transaction, table: Table, action: Action, options: dict[str, Any], now_ms: int) -> Item | None:
    try:
        return items.put_item(tx, table, action.item, now_ms=now_ms, **options)
    except ConditionalCheckFailedException:
        if action.is_insert:
            raise DuplicateItemException from None
        raise


# ---- tokens --------------------------------------------------------------------------------------


def is_repetition(tx: Transaction, operation: str, parameters: Mapping[str, Any], *, now_ms: int) -> bool:
    """Whether the request was carried out already, as its token says.

    Raises:
        IdempotentParameterMismatchException: another one was, with the same token.
    """
    token = parameters.get("ClientRequestToken")
    if token is None:
        return False
    found = transaction_tokens.is_repeated(tx, operation, token, parameters, now_ms=now_ms)
    if found is False:
        raise IdempotentParameterMismatchException
    return found is True


def remember(tx: Transaction, operation: str, parameters: Mapping[str, Any], *, now_ms: int) -> None:
    """Keep the request's token, in the transaction of what it did."""
    token = parameters.get("ClientRequestToken")
    if token is not None:
        transaction_tokens.remember(tx, operation, token, parameters, now_ms=now_ms)


# ---- what it cost --------------------------------------------------------------------------------

#: ConsumedCapacity of a transaction: an entry for each table.
Consumed = list[dict[str, Any]]


def consumed_by_writes(parameters: Mapping[str, Any], done: Sequence[Done]) -> Consumed | None:
    """What the actions cost, in the detail that was asked for; None: in none. A condition costs what a write would
    (recorded by nubo-db/dynamodb-conformance)."""
    if not wants_capacity(parameters):
        return None
    costs: dict[str, WriteCosts] = {}
    for one in done:
        costs.setdefault(one.table.name, WriteCosts()).add(one.table, one.old, one.new)
    shown = []
    for name, cost in costs.items():
        total = cost.table_units + sum(cost.global_units.values()) + sum(cost.local_units.values())
        entry: dict[str, Any] = {"TableName": name, **_written(total)}
        if parameters["ReturnConsumedCapacity"] == "INDEXES":
            entry["Table"] = _written(cost.table_units)
            for member, by_index in (
                ("GlobalSecondaryIndexes", cost.global_units),
                ("LocalSecondaryIndexes", cost.local_units),
            ):
                if by_index:
                    entry[member] = {index: _written(units) for index, units in by_index.items()}
        shown.append(entry)
    return shown


def _written(units: float) -> dict[str, float]:
    return {"CapacityUnits": UNITS_FACTOR * units, "WriteCapacityUnits": UNITS_FACTOR * units}


def consumed_by_reads(parameters: Mapping[str, Any], reads: Sequence[tuple[str, int]]) -> Consumed | None:
    """What it cost to read items, or to find none: their tables' names and their sizes in bytes."""
    if not wants_capacity(parameters):
        return None
    totals: dict[str, float] = {}
    for name, size_bytes in reads:
        units = UNITS_FACTOR * read_units(size_bytes, consistent=True)
        totals[name] = totals.get(name, 0.0) + units
    shown = []
    for name, units in totals.items():
        capacity = {"CapacityUnits": units, "ReadCapacityUnits": units}
        is_detailed = parameters["ReturnConsumedCapacity"] == "INDEXES"
        shown.append({"TableName": name, **capacity, **({"Table": capacity} if is_detailed else {})})
    return shown


def consumed_by_repetition(
    connection: apsw.Connection, parameters: Mapping[str, Any], tables: Sequence[Table], keys: Sequence[Key]
) -> Consumed | None:
    """What a repeated request costs: AWS reads the items that the first one wrote."""
    if not wants_capacity(parameters):
        return None
    stored = [items.get_stored_item(connection, table, key) for table, key in zip(tables, keys, strict=True)]
    sizes = [0 if found is None else found.size_bytes for found in stored]
    return consumed_by_reads(parameters, [(table.name, size) for table, size in zip(tables, sizes, strict=True)])


def metrics_of(
    connection: apsw.Connection, parameters: Mapping[str, Any], tables: Sequence[Table], actions: Sequence[Action]
) -> dict[str, list[Any]] | None:
    """ItemCollectionMetrics of what the actions wrote, table by table; None: not asked for, or there are none."""
    if not wants_metrics(parameters):
        return None
    metrics: dict[str, list[Any]] = {}
    for table, action in zip(tables, actions, strict=True):
        shown = None if action.kind == "ConditionCheck" else collection_metrics(connection, table, action.item)
        if shown is not None and shown not in metrics.get(table.name, []):
            metrics.setdefault(table.name, []).append(shown)
    return metrics or None
