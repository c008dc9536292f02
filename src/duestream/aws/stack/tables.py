"""Tables: those that rules watch, and the one in which the due function keeps what it has done."""

from collections.abc import Mapping

from duestream.aws.stack.names import (
    DELIVERIES_ID,
    Resources,
    Value,
    attribute,
    deliveries_table,
    ref,
    table_ids,
)
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.parts import Parts
from duestream.core.rule import Rule, TableDeclaration

#: The deliveries table's key, and the attribute by which DynamoDB removes old items.
DELIVERIES_KEY = "id"
DELIVERIES_TTL = "expires_at"
_STREAM_ARN_PATTERN = r"arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[a-zA-Z0-9_.-]{3,255}/stream/.+"


class WatchedTables:
    """The tables of an app in its stack.

    Args:
        parts: the app.
        options: which of the tables are there already.
    """

    def __init__(self, parts: Parts, options: StackOptions) -> None:
        self._parts = parts
        self._options = options
        self._declared = {table.name: table.declaration for table in parts.app.tables}
        #: Logical ids, by the tables' names.
        self.ids: Mapping[str, str] = table_ids(self._declared)

    def is_made_here(self, table: str) -> bool:
        """The stack makes the table."""
        return table not in self._options.existing_tables

    def stream_parameter(self, table: str) -> str:
        """Name of the parameter with the ARN of an existing table's stream."""
        return f"{self.ids[table]}StreamArn"

    def stream_arn(self, table: str) -> Value:
        """The ARN of a table's stream."""
        if self.is_made_here(table):
            return attribute(self.ids[table], "StreamArn")
        return ref(self.stream_parameter(table))

    def parameters(self) -> Resources:
        """Parameters for the streams of existing tables that are read."""
        return {
            self.stream_parameter(table): {
                "Type": "String",
                "Description": f"ARN of the stream of {table}, whose view type must be NEW_AND_OLD_IMAGES",
                "AllowedPattern": _STREAM_ARN_PATTERN,
            }
            for table in self._parts.streamed_tables
            if not self.is_made_here(table)
        }

    def resources(self) -> Resources:
        """The tables that the stack makes."""
        return {self.ids[name]: self._table(name) for name in self._declared if self.is_made_here(name)}

    def _table(self, name: str) -> dict[str, Value]:
        declaration = self._declared[name]
        swept = [rule for rule in self._parts.swept if rule.table.name == name]
        properties: dict[str, Value] = {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": _attribute_definitions(declaration, swept),
            "KeySchema": _key_schema(declaration.partition_key, declaration.sort_key),
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
        }
        if swept:
            properties["GlobalSecondaryIndexes"] = [_index(rule) for rule in swept]
        policy = "Retain" if self._options.keep_tables else "Delete"
        return {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": policy,
            "UpdateReplacePolicy": policy,
            "Properties": properties,
        }


def deliveries_resources(app_name: str) -> Resources:
    """The deliveries table. It goes with the stack: it only tells repeated invocations from new ones."""
    table: dict[str, Value] = {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "TableName": deliveries_table(app_name),
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": DELIVERIES_KEY, "AttributeType": "S"}],
            "KeySchema": _key_schema(DELIVERIES_KEY, None),
            "TimeToLiveSpecification": {"AttributeName": DELIVERIES_TTL, "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False},
            "SSESpecification": {"SSEEnabled": True},
        },
    }
    return {DELIVERIES_ID: table}


def _attribute_definitions(declaration: TableDeclaration, swept: list[Rule]) -> list[dict[str, str]]:
    types = {declaration.partition_key: declaration.partition_key_type}
    if declaration.sort_key is not None:
        types[declaration.sort_key] = declaration.sort_key_type
    for rule in swept:
        assert rule.via is not None
        types |= {rule.via.shard_attribute: "S", rule.attribute: rule.via.timestamp_type}
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def _key_schema(partition_key: str, sort_key: str | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": partition_key, "KeyType": "HASH"}]
    return schema if sort_key is None else [*schema, {"AttributeName": sort_key, "KeyType": "RANGE"}]


def _index(rule: Rule) -> dict[str, Value]:
    assert rule.via is not None
    return {
        "IndexName": rule.via.index,
        "KeySchema": _key_schema(rule.via.shard_attribute, rule.attribute),
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
