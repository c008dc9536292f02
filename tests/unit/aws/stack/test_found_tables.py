"""Tables as they are: whose they are, whether rules can watch them, and how their stream gets on."""

from typing import Any

import pytest
from tests.unit.aws.stack.scripted import ScriptedClient, refusal

from duestream import App, DeleteItem, Sweep
from duestream.aws.stack.found_tables import FoundTable, delete_table, look_for_table, turn_stream_on
from duestream.aws.stack.session import AwsError

VISITS = App("clinic").table("Visits", partition_key="PK", sort_key="SK")
MISSING = refusal("ResourceNotFoundException")


def described(keys: dict[str, str] | None = None, **members: Any) -> dict[str, Any]:
    keys = keys or {"PK": "S", "SK": "S"}
    schema = [{"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=False)]
    return {
        "Table": {
            "TableName": "Visits",
            "TableStatus": "ACTIVE",
            "ItemCount": 7,
            "KeySchema": schema,
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in keys.items()],
            **members,
        }
    }


def stream(view_type: str, *, is_on: bool = True) -> dict[str, Any]:
    return {
        "LatestStreamArn": "arn:stream",
        "StreamSpecification": {"StreamEnabled": is_on, "StreamViewType": view_type},
    }


def look(answer: Any, in_stack: tuple[str, ...] = ()) -> FoundTable:
    return look_for_table(ScriptedClient(describe_table=answer), VISITS, in_stack)


def test_a_table_is_missing_or_the_stacks_or_somebody_elses() -> None:
    assert look(MISSING).state == "missing"
    assert look(described(), ("Visits",)).state == "stack"
    found = look(described())
    assert (found.state, found.items, found.stream_arn, found.problem) == ("existing", 7, None, "")
    assert look(described(**stream("NEW_AND_OLD_IMAGES"))).stream_arn == "arn:stream"
    assert look(described(**stream("NEW_AND_OLD_IMAGES", is_on=False))).stream_arn is None


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"PK": "S"}, "has the key PK (S), and the app declares PK (S), SK (S)"),
        ({"PK": "S", "SK": "N"}, "has the key PK (S), SK (N), and the app declares PK (S), SK (S)"),
        ({"SK": "S", "PK": "S"}, "has the key SK (S), PK (S)"),
    ],
)
def test_another_key_is_a_problem(keys: dict[str, str], words: str) -> None:
    assert words in look(described(keys)).problem


def test_a_stream_with_another_view_is_a_problem_with_a_remedy() -> None:
    found = look(described(**stream("KEYS_ONLY")))
    assert "shows KEYS_ONLY, and rules need NEW_AND_OLD_IMAGES" in found.problem
    assert "StreamEnabled=false" in found.remedy


@pytest.mark.parametrize(
    ("sort_key", "words"),
    [
        ("", "sweeps index ByExpiry with the key GSI_PK (S), EXPIRES_AT (S), and table Visits has none"),
        ("CREATED_AT", "and the one of table Visits has GSI_PK (S), CREATED_AT (S)"),
        ("EXPIRES_AT", ""),
    ],
)
def test_a_sweep_needs_its_index_on_a_table_that_exists(sort_key: str, words: str) -> None:
    table = App("clinic").table("Visits", partition_key="PK", sort_key="SK")
    table.rule("EXPIRES_AT", DeleteItem(), via=Sweep(index="ByExpiry"))
    answer = described()
    if sort_key:
        schema = [{"AttributeName": "GSI_PK", "KeyType": "HASH"}, {"AttributeName": sort_key, "KeyType": "RANGE"}]
        answer["Table"]["GlobalSecondaryIndexes"] = [{"IndexName": "ByExpiry", "KeySchema": schema}]
        answer["Table"]["AttributeDefinitions"] += [
            {"AttributeName": name, "AttributeType": "S"} for name in ("GSI_PK", sort_key)
        ]
    found = look_for_table(ScriptedClient(describe_table=answer), table, ())
    assert found.problem.endswith(words)
    assert bool(found.problem) == bool(words)


def test_a_stream_is_turned_on_and_waited_for() -> None:
    client = ScriptedClient(
        update_table={},
        describe_table=[
            described(TableStatus="UPDATING"),
            described(**stream("NEW_AND_OLD_IMAGES")),
        ],
    )
    pauses: list[float] = []
    assert turn_stream_on(client, "Visits", pauses.append) == "arn:stream"
    assert len(pauses) == 1
    (asked,) = client.called("update_table")
    assert asked["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_a_table_that_never_gets_ready_is_given_up_with_words() -> None:
    client = ScriptedClient(update_table={}, describe_table=described(TableStatus="UPDATING"))
    with pytest.raises(AwsError, match="has been UPDATING for long"):
        turn_stream_on(client, "Visits", lambda _: None)


def test_a_deletion_waits_until_the_table_is_gone_and_asks_once() -> None:
    client = ScriptedClient(
        describe_table=[described(), described(TableStatus="DELETING"), MISSING],
        delete_table={},
    )
    delete_table(client, "Visits", lambda _: None)
    assert len(client.called("delete_table")) == 1
    delete_table(ScriptedClient(describe_table=MISSING), "Visits", lambda _: None)


def test_a_protected_table_is_no_reason_to_go_on() -> None:
    protected = refusal("ValidationException", "deletion protection")
    client = ScriptedClient(describe_table=described(), delete_table=protected)
    with pytest.raises(type(protected), match="deletion protection"):
        delete_table(client, "Visits", lambda _: None)
