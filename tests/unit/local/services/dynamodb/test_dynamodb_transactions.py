"""Transactions: atomicity, tokens, stream records, and random ones against a model in memory."""

import copy
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.local.services.dynamodb.conftest import Caller

from duestream.errors import ServiceError
from duestream.local.services.dynamodb.transact_actions import TransactionCanceledException
from duestream.local.store import items

TABLE = "Appointments"


def key(pk: str) -> dict[str, Any]:
    return {"PK": {"S": pk}}


def put(pk: str, table: str = TABLE, **attributes: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": key(pk) | attributes}}


def add(pk: str, by: int = 1, **more: Any) -> dict[str, Any]:
    values = {":by": {"N": str(by)}}
    given = {"UpdateExpression": "ADD n :by", "ExpressionAttributeValues": values}
    return {"Update": {"TableName": TABLE, "Key": key(pk), **given, **more}}


def number_of(call: Caller, pk: str) -> str | None:
    item = call("GetItem", TableName=TABLE, Key=key(pk)).get("Item")
    return None if item is None else item["n"]["N"]


@pytest.fixture
def call(dynamodb_call: Caller) -> Caller:
    dynamodb_call.create(sort_key=None)
    return dynamodb_call


def records(call: Caller) -> list[tuple[str, str]]:
    arn = call("DescribeTable", TableName=TABLE)["Table"]["LatestStreamArn"]
    shard = call("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = call("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    found = call("GetRecords", ShardIterator=iterator["ShardIterator"])["Records"]
    return [(record["eventName"], record["dynamodb"]["Keys"]["PK"]["S"]) for record in found]


def test_each_change_has_its_stream_record_in_the_order_of_the_actions(call: Caller) -> None:
    call("PutItem", TableName=TABLE, Item=key("c") | {"n": {"N": "1"}})
    actions = [add("c"), put("a"), {"Delete": {"TableName": TABLE, "Key": key("nobody")}}, put("b")]
    call("TransactWriteItems", TransactItems=actions)
    assert records(call) == [("INSERT", "c"), ("MODIFY", "c"), ("INSERT", "a"), ("INSERT", "b")]


def test_a_cancelled_transaction_leaves_no_item_no_record_and_no_count(call: Caller) -> None:
    actions = [put("a"), put("b")]
    actions[1]["Put"]["ConditionExpression"] = "attribute_exists(PK)"
    with pytest.raises(TransactionCanceledException) as caught:
        call("TransactWriteItems", TransactItems=actions)
    assert [reason["Code"] for reason in caught.value.members["CancellationReasons"]] == [
        "None",
        "ConditionalCheckFailed",
    ]
    assert records(call) == []
    assert call("DescribeTable", TableName=TABLE)["Table"]["ItemCount"] == 0


def test_a_token_makes_a_transaction_happen_once_in_ten_minutes(call: Caller) -> None:
    request = {"TransactItems": [add("a")], "ClientRequestToken": "t"}
    for _ in range(3):
        call("TransactWriteItems", **request)
        call.clock.tick(timedelta(minutes=3))
    assert number_of(call, "a") == "1"
    call.clock.tick(timedelta(minutes=1))
    call("TransactWriteItems", **request)
    assert number_of(call, "a") == "2"


def test_a_token_with_other_parameters_is_refused_and_changes_nothing(call: Caller) -> None:
    call("TransactWriteItems", TransactItems=[add("a")], ClientRequestToken="t")
    refusal = call.refusal("TransactWriteItems", TransactItems=[add("a", 2)], ClientRequestToken="t")
    assert refusal.startswith("IdempotentParameterMismatchException: ")
    assert number_of(call, "a") == "1"


def test_the_order_of_members_is_no_other_request(call: Caller) -> None:
    first, second = add("a"), add("a")
    second["Update"] = dict(reversed(second["Update"].items()))
    call("TransactWriteItems", TransactItems=[first], ClientRequestToken="t")
    call("TransactWriteItems", TransactItems=[second], ClientRequestToken="t")
    assert number_of(call, "a") == "1"


def test_a_cancelled_transaction_can_be_tried_again_with_its_token(call: Caller) -> None:
    request = {
        "TransactItems": [add("a", ConditionExpression="attribute_exists(PK)")],
        "ClientRequestToken": "t",
    }
    assert call.refusal("TransactWriteItems", **request).startswith("TransactionCanceledException")
    call("PutItem", TableName=TABLE, Item=key("a") | {"n": {"N": "5"}})
    call("TransactWriteItems", **request)
    assert number_of(call, "a") == "6"


def test_a_repeated_request_reports_what_it_costs_to_read(call: Caller) -> None:
    large = put("a", text={"S": "x" * 1536})
    request = {"TransactItems": [large], "ClientRequestToken": "t", "ReturnConsumedCapacity": "TOTAL"}
    costs = [call("TransactWriteItems", **request)["ConsumedCapacity"] for _ in range(2)]
    assert costs == [
        [{"TableName": TABLE, "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}],
        [{"TableName": TABLE, "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}],
    ]


def test_a_transaction_of_statements_has_a_token_too(call: Caller) -> None:
    call("PutItem", TableName=TABLE, Item=key("a") | {"n": {"N": "0"}})
    statements = [{"Statement": f"UPDATE {TABLE} SET n = n + 1 WHERE PK = 'a'"}]
    for _ in range(2):
        assert call("ExecuteTransaction", TransactStatements=statements, ClientRequestToken="t") == {"Responses": []}
    assert number_of(call, "a") == "1"


def test_more_than_four_megabytes_are_refused(call: Caller) -> None:
    actions = [put(f"{number}", text={"S": "x" * 350_000}) for number in range(12)]
    assert call.refusal("TransactWriteItems", TransactItems=actions).startswith("ValidationException")
    assert call("DescribeTable", TableName=TABLE)["Table"]["ItemCount"] == 0
    call("TransactWriteItems", TransactItems=actions[:11])
    assert call("DescribeTable", TableName=TABLE)["Table"]["ItemCount"] == 11


def test_conditions_see_the_state_before_the_transaction(call: Caller) -> None:
    call.create("Other-Table", sort_key=None)
    check = {"TableName": TABLE, "Key": key("a"), "ConditionExpression": "attribute_not_exists(PK)"}
    call("TransactWriteItems", TransactItems=[put("a", "Other-Table"), {"ConditionCheck": check}])
    assert "Item" in call("GetItem", TableName="Other-Table", Key=key("a"))


@pytest.mark.parametrize("operation", ["TransactGetItems", "ExecuteTransaction"])
def test_reads_of_a_transaction_see_one_moment(call: Caller, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    for pk in "ab":
        call("PutItem", TableName=TABLE, Item=key(pk) | {"n": {"N": "1"}})
    writer = call.store._database.write_connection  # what a COMMIT in the disk's thread does, between two reads
    read = items.get_stored_item

    def read_then_write(*arguments: Any) -> Any:
        found = read(*arguments)
        writer.execute("""UPDATE item SET body = CAST(replace(CAST(body AS TEXT), '"1"', '"2"') AS BLOB)""")
        return found

    monkeypatch.setattr(items, "get_stored_item", read_then_write)
    gets = [{"Get": {"TableName": TABLE, "Key": key(pk)}} for pk in "ab"]
    statements = [{"Statement": f"SELECT * FROM {TABLE} WHERE PK = '{pk}'"} for pk in "ab"]
    request = {"TransactItems": gets} if operation == "TransactGetItems" else {"TransactStatements": statements}
    answer = call(operation, **request)
    assert [response["Item"]["n"]["N"] for response in answer["Responses"]] == ["1", "1"]
    assert [response["Item"]["n"]["N"] for response in call(operation, **request)["Responses"]] == ["2", "2"]


# ---- against a model -----------------------------------------------------------------------------

NAMES = "abcde"
names = st.sampled_from(NAMES)
actions = st.one_of(
    st.tuples(st.just("put"), names, st.integers(0, 3), st.sampled_from([None, "free", "there", "small"])),
    st.tuples(st.just("add"), names, st.integers(-2, 2), st.sampled_from([None, "there", "small"])),
    st.tuples(st.just("delete"), names, st.just(0), st.sampled_from([None, "there", "small"])),
    st.tuples(st.just("check"), names, st.just(0), st.sampled_from(["free", "there", "small"])),
)
transactions = st.lists(
    st.tuples(st.booleans(), st.lists(actions, min_size=1, max_size=4, unique_by=lambda action: action[1])), max_size=12
)
CONDITIONS = {"free": "attribute_not_exists(PK)", "there": "attribute_exists(PK)", "small": "n < :two"}
STATEMENT_CONDITIONS = {"there": "attribute_exists(PK)", "small": "n < 2", "free": "attribute_not_exists(PK)"}
Action = tuple[str, str, int, str | None]


def item_action(action: Action) -> dict[str, Any]:
    kind, pk, number, condition = action
    given: dict[str, Any] = {"TableName": TABLE}
    values: dict[str, Any] = {}
    if condition is not None:
        given["ConditionExpression"] = CONDITIONS[condition]
    if condition == "small":
        values[":two"] = {"N": "2"}
    if kind == "put":
        given["Item"] = key(pk) | {"n": {"N": str(number)}}
    else:
        given["Key"] = key(pk)
    if kind == "add":
        given["UpdateExpression"] = "ADD n :by"
        values[":by"] = {"N": str(number)}
    if values:
        given["ExpressionAttributeValues"] = values
    return {{"put": "Put", "add": "Update", "delete": "Delete", "check": "ConditionCheck"}[kind]: given}


def statement_of(action: Action) -> dict[str, Any]:
    kind, pk, number, condition = action
    where = f"PK = '{pk}'" + ("" if condition is None else f" AND {STATEMENT_CONDITIONS[condition]}")
    text = {
        "put": f"INSERT INTO {TABLE} VALUE {{'PK': '{pk}', 'n': {number}}}",
        "add": f"UPDATE {TABLE} SET n = n + {number} WHERE {where}",
        "delete": f"DELETE FROM {TABLE} WHERE {where}",
        "check": f"EXISTS(SELECT * FROM {TABLE} WHERE {where})",
    }[kind]
    return {"Statement": text}


def holds(old: int | None, condition: str | None) -> bool:
    match condition:
        case None:
            return True
        case "free":
            return old is None
        case "there":
            return old is not None
    return old is not None and old < 2


def reasons_and_state(
    state: dict[str, int], wanted: list[Action], *, statements: bool
) -> tuple[list[str], dict[str, int]]:
    """What each action comes to, and the state after all of them."""
    after, codes = dict(state), []
    for kind, pk, number, condition in wanted:
        old = state.get(pk)
        code = "None" if holds(old, condition) else "ConditionalCheckFailed"
        if statements and kind == "put":
            code = "None" if old is None else "DuplicateItem"
        if statements and kind == "add" and old is None:
            code = "ConditionalCheckFailed"
        if statements and kind == "delete" and old is None:
            code = "None"
        codes.append(code)
        if kind == "put":
            after[pk] = number
        elif kind == "add":
            after[pk] = (old or 0) + number
        elif kind == "delete":
            after.pop(pk, None)
    return codes, after if set(codes) == {"None"} else state


def callers() -> Iterator[Caller]:
    with tempfile.TemporaryDirectory() as folder:
        call = Caller(Path(folder))
        try:
            call.create(sort_key=None)
            yield call
        finally:
            call.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(transactions)
def test_random_transactions_do_all_or_nothing_as_a_model_does(history: list[tuple[bool, list[Action]]]) -> None:
    for call in callers():
        state: dict[str, int] = {}
        for statements, wanted in history:
            codes, after = reasons_and_state(state, wanted, statements=statements)
            try:
                if statements:
                    call("ExecuteTransaction", TransactStatements=[statement_of(action) for action in wanted])
                else:
                    call("TransactWriteItems", TransactItems=[item_action(action) for action in wanted])
                got = ["None"] * len(wanted)
            except ServiceError as error:
                got = [reason["Code"] for reason in error.members["CancellationReasons"]]
            assert got == codes
            state = copy.copy(after)
            found = call("Scan", TableName=TABLE)["Items"]
            assert {item["PK"]["S"]: int(item["n"]["N"]) for item in found} == state
