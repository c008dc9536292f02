"""The tables that rules watch, as they are on AWS: missing, in the stack, or there already; and their streams."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from duestream.aws.stack.session import AwsError, code_of
from duestream.aws.stack.stack_events import Pause
from duestream.core.app import WatchedTable
from duestream.core.rule import Rule, TableDeclaration
from duestream.core.sweep import Sweep

VIEW_TYPE = "NEW_AND_OLD_IMAGES"
LOOK_SECONDS = 1.0
#: A table becomes active within minutes, as a rule; beyond that, somebody has to look.
MAX_LOOKS = 600
KEY_REMEDY = "A table's key cannot be changed: declare it as it is, or declare another table and move the items."


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table that was looked for.

    Args:
        name: of the table.
        state: ``missing``; ``stack``: the stack made it; ``existing``: somebody else did.
        problem: why rules cannot watch it; empty: they can.
        remedy: what to do about the problem.
        stream_arn: of its stream that shows both images; None: it is off.
        items: how many there are, as DynamoDB counts them every six hours or so.
    """

    name: str
    state: Literal["missing", "stack", "existing"]
    problem: str = ""
    remedy: str = ""
    stream_arn: str | None = None
    items: int = 0


def look_for_table(dynamodb: Any, watched: WatchedTable, in_stack: Collection[str]) -> FoundTable:
    """A table as it is.

    Args:
        watched: as the app declares it, with its rules.
        in_stack: names of the tables that the stack made.
    """
    declaration, name = watched.declaration, watched.name
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return FoundTable(name, "missing")
        raise
    state: Literal["stack", "existing"] = "stack" if name in in_stack else "existing"
    items = int(table.get("ItemCount", 0))
    stream = table.get("StreamSpecification", {})
    stream_arn = table.get("LatestStreamArn") if stream.get("StreamEnabled") else None
    problem = key_problem(declaration, table)
    if problem:
        return FoundTable(name, state, problem, KEY_REMEDY)
    if state == "stack":  # what else changes there, the change set tells
        return FoundTable(name, state, stream_arn=stream_arn, items=items)
    for rule in watched.rules:
        if rule.via is not None and (problem := _index_problem(rule, rule.via, table)):
            remedy = "Add it, with any projection (DynamoDB fills it from the items that are there), and deploy then."
            return FoundTable(name, state, problem, remedy)
    if stream_arn is not None and stream.get("StreamViewType") != VIEW_TYPE:
        return FoundTable(
            name,
            state,
            f"the stream of table {name} shows {stream.get('StreamViewType')}, and rules need {VIEW_TYPE}",
            "A stream's view cannot be changed: if nobody reads it, turn it off "
            f"(aws dynamodb update-table --table-name {name} --stream-specification StreamEnabled=false) "
            "and deploy again, which turns it on as it must be.",
        )
    return FoundTable(name, state, stream_arn=stream_arn, items=items)


def turn_stream_on(dynamodb: Any, name: str, pause: Pause) -> str:
    """Turn a table's stream on, with both images; the stream's ARN, once it can be read.

    Raises:
        AwsError: the table does not get ready.
    """
    dynamodb.update_table(TableName=name, StreamSpecification={"StreamEnabled": True, "StreamViewType": VIEW_TYPE})
    for _ in range(MAX_LOOKS):
        table = dynamodb.describe_table(TableName=name)["Table"]
        if table["TableStatus"] == "ACTIVE" and table.get("LatestStreamArn"):
            return str(table["LatestStreamArn"])
        pause(LOOK_SECONDS)
    raise AwsError(
        f"table {name} has been {table['TableStatus']} for long since its stream was turned on",
        remedy="Look at it in DynamoDB's console, and deploy again when it is ACTIVE.",
    )


def delete_table(dynamodb: Any, name: str, pause: Pause) -> None:
    """Delete a table with all its items, and wait until it is gone; fine if there is none.

    Raises:
        AwsError: it stays.
    """
    for _ in range(MAX_LOOKS):
        try:
            if dynamodb.describe_table(TableName=name)["Table"]["TableStatus"] != "DELETING":
                dynamodb.delete_table(TableName=name)
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return
            if code_of(error) != "ResourceInUseException":  # it is still being made or changed
                raise
        pause(LOOK_SECONDS)
    raise AwsError(f"table {name} is still being deleted", remedy="DynamoDB goes on with it; look again later.")


def _index_problem(rule: Rule, sweep: Sweep, table: Mapping[str, Any]) -> str:
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    wanted = [(sweep.shard_attribute, "S"), (rule.attribute, sweep.timestamp_type)]
    found = {one["IndexName"]: _key_of(one["KeySchema"], types) for one in table.get("GlobalSecondaryIndexes", ())}
    if found.get(sweep.index) == wanted:
        return ""
    what = f"rule {rule.name} sweeps index {sweep.index} with the key {_key_text(wanted)}"
    if sweep.index in found:
        return f"{what}, and the one of table {table['TableName']} has {_key_text(found[sweep.index])}"
    return f"{what}, and table {table['TableName']} has none"


def _key_of(schema: Iterable[Mapping[str, str]], types: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and types of a key's attributes, partition key first."""
    there = {one["KeyType"]: one["AttributeName"] for one in schema}
    return [(name, types.get(name, "?")) for name in (there.get("HASH"), there.get("RANGE")) if name]


def key_problem(declaration: TableDeclaration, table: Mapping[str, Any]) -> str:
    """How a table's key differs from the declared one; empty: it does not.

    Args:
        declaration: the app's.
        table: DescribeTable's ``Table``.
    """
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    is_so = _key_of(table["KeySchema"], types)
    declared = [(declaration.partition_key, declaration.partition_key_type)]
    if declaration.sort_key is not None:
        declared.append((declaration.sort_key, declaration.sort_key_type))
    if is_so == declared:
        return ""
    return f"table {declaration.name} has the key {_key_text(is_so)}, and the app declares {_key_text(declared)}"


def _key_text(parts: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in parts)
