"""Secondary indexes as CreateTable and UpdateTable declare them: DynamoDB's checks, in its words.

Sources as of `key_schemas`; of UpdateTable's: ack-api-quirks, DDB-TABLE-149 to -175 and -375.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from duestream.errors import ResourceNotFoundException, ValidationException
from duestream.local.services.dynamodb.key_schemas import (
    Types,
    check_all_used,
    check_defined,
    check_index_schema,
    check_length,
    check_table_schema,
    names_of,
)
from duestream.local.services.dynamodb.requests import INVALID, LimitExceededException
from duestream.local.services.dynamodb.throughput import check_index_at_creation, check_index_at_update
from duestream.local.store.indexes import Index
from duestream.local.store.tables import IndexDeclaration, Table

MAX_LOCAL_INDEXES = 5
MAX_GLOBAL_INDEXES = 20
_KINDS = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
_THROUGHPUT = ("ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput")


def indexes_at_creation(parameters: Mapping[str, Any], types: Types, billing_mode: str) -> list[IndexDeclaration]:
    """The indexes that CreateTable declares, after all checks of keys: the table's, and the indexes'.

    Raises:
        ValidationException: keys, definitions and indexes do not belong together.
    """
    schema = parameters["KeySchema"]
    check_table_schema(schema, types)
    for kind in _KINDS:
        if parameters.get(kind) == []:
            raise ValidationException(f"{INVALID}List of {kind} is empty")
    local: Sequence[Mapping[str, Any]] = parameters.get("LocalSecondaryIndexes") or ()
    global_: Sequence[Mapping[str, Any]] = parameters.get("GlobalSecondaryIndexes") or ()
    if local and len(schema) < 2:
        raise ValidationException(
            f"{INVALID}Table KeySchema does not have a range key, which is required when specifying a "
            "LocalSecondaryIndex"
        )
    for index in local:
        check_index_schema(index["KeySchema"], types, is_global=False)
    for index in global_:
        check_index_schema(index["KeySchema"], types, is_global=True)
    check_all_used(types, schema, [index["KeySchema"] for index in (*local, *global_)])
    names: set[str] = set()
    for index in local:
        _check_local_keys(index, schema)
        _check_projection(index["Projection"])
        _check_name(index["IndexName"], names)
    for index in global_:
        _check_projection(index["Projection"])
        check_index_at_creation(index, billing_mode)
        _check_name(index["IndexName"], names)
    if len(local) > MAX_LOCAL_INDEXES:
        raise ValidationException(
            f"{INVALID}Number of LocalSecondaryIndexes exceeds per-table limit of {MAX_LOCAL_INDEXES}"
        )
    if len(global_) > MAX_GLOBAL_INDEXES:
        raise ValidationException(
            f"{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of {MAX_GLOBAL_INDEXES}"
        )
    declared = [declaration_of(index, types, is_global=False) for index in local]
    return declared + [declaration_of(index, types, is_global=True) for index in global_]


def check_lengths(parameters: Mapping[str, Any]) -> None:
    """The lengths of key schemas, which AWS checks with the shapes of the request."""
    check_length(parameters["KeySchema"], "keySchema")
    for place, index in enumerate(parameters.get("LocalSecondaryIndexes") or (), start=1):
        check_length(index["KeySchema"], f"localSecondaryIndexes.{place}.member.keySchema")


def declaration_of(index: Mapping[str, Any], types: Types, *, is_global: bool) -> IndexDeclaration:
    """What is kept of an index. AWS shows the attributes of a projection by their names."""
    projection = dict(index["Projection"])
    if "NonKeyAttributes" in projection:
        projection["NonKeyAttributes"] = sorted(projection["NonKeyAttributes"])
    schema = index["KeySchema"]
    kept = {"KeySchema": schema, "Types": {name: types[name] for name in names_of(schema)}, "Projection": projection}
    kept |= {name: index[name] for name in _THROUGHPUT if index.get(name) is not None}
    return IndexDeclaration(index["IndexName"], is_global, kept)


def _check_local_keys(index: Mapping[str, Any], table_schema: Sequence[Mapping[str, str]]) -> None:
    names, table_names = names_of(index["KeySchema"]), names_of(table_schema)
    if len(names) < 2:
        raise ValidationException(f"{INVALID}Index KeySchema does not have a range key for index: {index['IndexName']}")
    if names[0] != table_names[0]:
        raise ValidationException(
            f"{INVALID}Index KeySchema does not have the same leading hash key as table KeySchema for index: "
            f"{index['IndexName']}. index hash key: {names[0]}, table hash key: {table_names[0]}"
        )


def _check_projection(projection: Mapping[str, Any]) -> None:
    kind: str | None = projection.get("ProjectionType")
    names: list[str] | None = projection.get("NonKeyAttributes")
    if kind is None:
        raise ValidationException(f"{INVALID}Unknown ProjectionType: null")
    if kind != "INCLUDE" and names is not None:
        raise ValidationException(f"{INVALID}ProjectionType is {kind}, but NonKeyAttributes is specified")
    if kind == "INCLUDE" and names is None:
        raise ValidationException(f"{INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    if names is not None and len(set(names)) != len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise ValidationException(f"{INVALID}Duplicate element in NonKeyAttributes: {name}")


def _check_name(name: str, names: set[str]) -> None:
    if name in names:
        raise ValidationException(f"{INVALID}Duplicate index name: {name}")
    names.add(name)


# UpdateTable --------------------------------------------------------------------------------------------


def check_updates(updates: Sequence[Mapping[str, Any]]) -> None:
    """The checks of GlobalSecondaryIndexUpdates that need no table."""
    seen: set[str] = set()
    for update in updates:
        actions = [action for action in (update.get(name) for name in ("Update", "Create", "Delete")) if action]
        if not actions:
            raise ValidationException(
                f"{INVALID}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
                "GlobalSecondaryIndexUpdate.Delete must not be null"
            )
        if len(actions) > 1:
            raise ValidationException(
                f"{INVALID}Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object"
            )
        name = actions[0]["IndexName"]
        if name in seen:
            raise ValidationException(
                f"{INVALID}Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            )
        seen.add(name)


def check_one_at_a_time(table: Table, updates: Sequence[Mapping[str, Any]]) -> None:
    """One index at a time is made or deleted, here as there; deleting the one being built ends its building."""
    changing = [update for update in updates if update.get("Create") or update.get("Delete")]
    building = {index.name for index in table.indexes if not index.is_active}
    deleted = {update["Delete"]["IndexName"] for update in changing if update.get("Delete")}
    if len(changing) > 1 or (changing and building - deleted):
        raise LimitExceededException(
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
        )


def index_at_update(table: Table, created: Mapping[str, Any], parameters: Mapping[str, Any]) -> IndexDeclaration:
    """The global index that UpdateTable makes.

    Raises:
        LimitExceededException: the table has as many as there may be.
        ValidationException: it is there already, or cannot be made as declared.
    """
    name = created["IndexName"]
    if any(index.name == name for index in table.indexes):
        raise ValidationException("Attempting to create an index which already exists")
    definitions = parameters.get("AttributeDefinitions")
    if definitions is None:
        raise ValidationException(f"{INVALID}AttributeDefinitions is not specified for index: {name}")
    types = {definition["AttributeName"]: definition["AttributeType"] for definition in definitions}
    check_defined(created["KeySchema"], types)
    check_index_schema(created["KeySchema"], types, is_global=True)
    _refuse_redefinition(table, created["KeySchema"], types)
    _check_projection(created["Projection"])
    billing_mode = parameters.get("BillingMode") or table.declaration["BillingMode"]
    check_index_at_update(created, billing_mode)
    if sum(index.is_global for index in table.indexes) >= MAX_GLOBAL_INDEXES:
        raise LimitExceededException(
            "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of "
            f"{MAX_GLOBAL_INDEXES}"
        )
    return declaration_of(created, types, is_global=True)


def _refuse_redefinition(table: Table, schema: Sequence[Mapping[str, str]], types: Types) -> None:
    defined = {name: (kind, "HASH") for name, kind in ((table.partition_key, table.partition_key_type),)}
    if table.sort_key is not None:
        defined[table.sort_key] = (str(table.sort_key_type), "RANGE")
    for index in table.indexes:
        for element in index.declaration["KeySchema"]:
            name = element["AttributeName"]
            defined.setdefault(name, (index.declaration["Types"][name], element["KeyType"]))
    for element in schema:
        name = element["AttributeName"]
        kind, key_type = defined.get(name, (types[name], ""))
        if kind != types[name]:
            raise ValidationException(
                f"{INVALID}Attributes cannot be redefined. Please check that your attribute has the same type as "
                f"previously defined. Existing schema: Schema:[SchemaElement: key{{{name}:{kind}:{key_type}}}] "
                f"New schema: Schema:[SchemaElement: key{{{name}:{types[name]}:{element['KeyType']}}}]"
            )


def global_index(table: Table, name: str, verb: str) -> Index:
    """The global index that UpdateTable is to change or delete; `verb` says which, for the complaint.

    Raises:
        ResourceNotFoundException: the table has none of that name.
        ValidationException: it is a local one.
    """
    index = next((index for index in table.indexes if index.name == name), None)
    if index is None:
        raise ResourceNotFoundException(f"Requested resource not found: Index {name} for table {table.name}")
    if not index.is_global:
        raise ValidationException(f"Cannot {verb} an index that is not a GlobalSecondaryIndex: {name}")
    return index
