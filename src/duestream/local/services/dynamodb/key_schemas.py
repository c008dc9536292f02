"""Key schemas of tables and indexes, as CreateTable and UpdateTable declare them: DynamoDB's checks, in its words.

The texts and their order are from dynalite's tests (``test/createTable.js``), from nubo-db/dynamodb-conformance
(``createTable.test.ts``) and from ack-api-quirks (DDB-TABLE-123 to -129 and -442), all recorded from AWS.
"""

from collections.abc import Mapping, Sequence

from duestream.errors import ValidationException
from duestream.local.services.dynamodb.requests import INVALID

MAX_PARTITION_ATTRIBUTES = MAX_SORT_ATTRIBUTES = 4

Schema = Sequence[Mapping[str, str]]
#: Types of the attributes that are defined, in the order of their definition.
Types = Mapping[str, str]


def types_of(definitions: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The types of AttributeDefinitions.

    Raises:
        ValidationException: an attribute is defined twice.
    """
    types: dict[str, str] = {}
    for definition in definitions:
        name = definition["AttributeName"]
        if name in types:
            raise ValidationException(f"Attribute Name is duplicated: {name}")
        types[name] = definition["AttributeType"]
    return types


def names_of(schema: Schema) -> list[str]:
    """Names of the attributes of a key schema."""
    return [element["AttributeName"] for element in schema]


def check_length(schema: Schema, member: str) -> None:
    """Tables and local indexes go by two attributes at the most; `member` is the schema's place in the request."""
    if len(schema) > 2:
        shown = ", ".join(
            f"KeySchemaElement(attributeName={element['AttributeName']}, keyType={element['KeyType']})"
            for element in schema
        )
        raise ValidationException(
            f"1 validation error detected: Value '[{shown}]' at '{member}' failed to satisfy constraint: "
            "Member must have length less than or equal to 2"
        )


def check_table_schema(schema: Schema, types: Types) -> None:
    """Refuse a key schema that no table can have."""
    if len(schema) > len(types):
        raise ValidationException("Invalid KeySchema: Some index key attribute have no definition")
    _check_order(schema)
    check_defined(schema, types)


def check_index_schema(schema: Schema, types: Types, *, is_global: bool) -> None:
    """Refuse a key schema that no index can have."""
    check_defined(schema, types)
    kinds = [element["KeyType"] for element in schema]
    if is_global and (len(schema) > 2 or kinds == ["HASH", "HASH"]):
        _check_attributes(schema, kinds)
    else:
        _check_order(schema)


def check_defined(schema: Schema, types: Types) -> None:
    """Each attribute of a key must be defined."""
    names = names_of(schema)
    if any(name not in types for name in names):
        raise ValidationException(
            f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(types)}]"
        )


def _check_order(schema: Schema) -> None:
    names = names_of(schema)
    if len(names) == 2 and names[0] == names[1]:
        raise ValidationException("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    if schema[0]["KeyType"] != "HASH":
        raise ValidationException("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(schema) > 1 and schema[1]["KeyType"] != "RANGE":
        raise ValidationException("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")


def _check_attributes(schema: Schema, kinds: Sequence[str]) -> None:
    """A global index may go by up to four partition and four sort attributes."""
    names = names_of(schema)
    if kinds[0] != "HASH":
        raise ValidationException("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(set(names)) != len(names):
        raise ValidationException("The KeySchema contains multiple key attributes with the same name")
    if list(kinds) != sorted(kinds):
        raise ValidationException(
            f"{INVALID}All HASH key attributes must precede RANGE key attributes in the KeySchema"
        )
    for kind, most in (("HASH", MAX_PARTITION_ATTRIBUTES), ("RANGE", MAX_SORT_ATTRIBUTES)):
        if kinds.count(kind) > most:
            raise ValidationException(
                f"{INVALID}The KeySchema exceeds the maximum allowed number of {kind} key attributes"
            )


def check_all_used(types: Types, schema: Schema, index_schemas: Sequence[Schema]) -> None:
    """CreateTable defines the attributes of its keys, and no others."""
    used: dict[str, None] = dict.fromkeys(name for one in (schema, *index_schemas) for name in names_of(one))
    if len(used) == len(types):
        return
    if not index_schemas:
        raise ValidationException(
            f"{INVALID}Number of attributes in KeySchema does not exactly match "
            "number of attributes defined in AttributeDefinitions"
        )
    raise ValidationException(
        f"{INVALID}Some AttributeDefinitions are not used. "
        f"AttributeDefinitions: [{', '.join(types)}], keys used: [{', '.join(used)}]"
    )
