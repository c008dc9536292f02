"""Statements: what the recorded answers do not show - tokens, pages, binary values, what a batch leaves behind."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from tests.unit.local.services.dynamodb.conftest import Caller

TABLE = "Appointments"


@pytest.fixture
def call(dynamodb_call: Caller) -> Caller:
    dynamodb_call.create()
    for sort_key in "123":
        dynamodb_call("PutItem", TableName=TABLE, Item={"PK": {"S": "p"}, "SK": {"S": sort_key}, "n": {"N": sort_key}})
    return dynamodb_call


def run(call: Caller, statement: str, *parameters: Any, **more: Any) -> Any:
    given = {"Parameters": list(parameters)} if parameters else {}
    return call("ExecuteStatement", Statement=statement, **given, **more)


def sort_keys(answer: Any) -> str:
    return "".join(item["SK"]["S"] for item in answer["Items"])


def test_a_page_looks_at_so_many_items_and_shows_those_that_are_wanted(call: Caller) -> None:
    statement = f"SELECT SK FROM {TABLE} WHERE PK = 'p' AND n > 1"
    first = run(call, statement, Limit=2)
    assert sort_keys(first) == "2"
    assert first["LastEvaluatedKey"] == {"PK": {"S": "p"}, "SK": {"S": "2"}}
    second = run(call, statement, Limit=2, NextToken=first["NextToken"])
    assert sort_keys(second) == "3"
    assert "NextToken" not in second


def test_a_page_may_end_between_two_reads(call: Caller) -> None:
    for partition in "ab":
        for number in range(3):
            text = {"S": "x" * 340_000}
            call("PutItem", TableName=TABLE, Item={"PK": {"S": partition}, "SK": {"S": str(number)}, "text": text})
    statement = f"SELECT SK FROM {TABLE} WHERE PK IN ['a', 'b']"
    first = run(call, statement)
    second = run(call, statement, NextToken=first["NextToken"])
    assert sort_keys(first) + sort_keys(second) == "012012"
    assert "NextToken" not in second


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: [parts[0], 7, parts[2]],
        lambda parts: [parts[0], -1, parts[2]],
        lambda parts: [parts[0], 0, {"PK": {"S": "p"}}],
        lambda parts: [parts[0], 0, {"PK": "p", "SK": 1}],
        lambda parts: [parts[0], "0", None],
        lambda parts: "text",
    ],
)
def test_a_token_that_was_changed_is_refused(call: Caller, change: Any) -> None:
    statement = f"SELECT SK FROM {TABLE} WHERE PK = 'p'"
    token = run(call, statement, Limit=1)["NextToken"]
    changed = urlsafe_b64encode(msgspec.json.encode(change(msgspec.json.decode(urlsafe_b64decode(token))))).decode()
    refusal = call.refusal("ExecuteStatement", Statement=statement, NextToken=changed)
    assert refusal in (
        "ValidationException: Invalid NextToken",
        "ValidationException: The provided starting key is invalid",
    )


def test_binary_values_come_as_parameters(call: Caller) -> None:
    value = {"B": "AAEC"}
    run(call, f"UPDATE {TABLE} SET b = ? WHERE PK = 'p' AND SK = '1'", value)
    assert run(call, f"SELECT b FROM {TABLE} WHERE PK = 'p' AND b = ?", value)["Items"] == [{"b": value}]


def test_a_list_may_be_a_parameter_of_in(call: Caller) -> None:
    wanted = {"L": [{"S": "1"}, {"S": "3"}]}
    assert sort_keys(run(call, f"SELECT SK FROM {TABLE} WHERE PK = 'p' AND SK IN ?", wanted)) == "13"


def test_a_table_may_be_named_by_its_arn(call: Caller) -> None:
    arn = call("DescribeTable", TableName=TABLE)["Table"]["TableArn"]
    assert sort_keys(run(call, f"SELECT SK FROM \"{arn}\" WHERE PK = 'p'")) == "123"


def test_a_statement_that_changes_the_key_is_refused(call: Caller) -> None:
    statement = f"UPDATE {TABLE} SET SK = '9' WHERE PK = 'p' AND SK = '1'"
    assert "This attribute is part of the key" in call.refusal("ExecuteStatement", Statement=statement)


def test_a_batch_does_what_it_can_and_reads_and_writes_do_not_mix(call: Caller) -> None:
    statements = [
        {"Statement": f"UPDATE {TABLE} SET n = n + 10 WHERE PK = 'p' AND SK = '1'"},
        {"Statement": f"UPDATE {TABLE} SET n = n + 10 WHERE PK = 'p' AND SK = 'none'"},
        {"Statement": f"DELETE FROM {TABLE} WHERE PK = 'p' AND SK = '3' RETURNING ALL OLD *"},
    ]
    answer = call("BatchExecuteStatement", Statements=statements, ReturnConsumedCapacity="TOTAL")
    assert [response.get("Error", {}).get("Code") for response in answer["Responses"]] == [
        None,
        "ConditionalCheckFailed",
        None,
    ]
    assert answer["Responses"][2]["Item"]["n"] == {"N": "3"}
    assert answer["ConsumedCapacity"] == [{"TableName": TABLE, "CapacityUnits": 2.0}]
    found = run(call, f"SELECT SK, n FROM {TABLE} WHERE PK = 'p'")["Items"]
    assert [(item["SK"]["S"], item["n"]["N"]) for item in found] == [("1", "11"), ("2", "2")]
    read = {"Statement": f"SELECT * FROM {TABLE} WHERE PK = 'p' AND SK = '1'"}
    refusal = call.refusal("BatchExecuteStatement", Statements=[read, statements[0]])
    assert refusal.startswith("ValidationException")


def test_a_failed_statement_of_a_batch_shows_the_item_if_asked(call: Caller) -> None:
    statement = {
        "Statement": f"DELETE FROM {TABLE} WHERE PK = 'p' AND SK = '1' AND n = 7",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    (response,) = call("BatchExecuteStatement", Statements=[statement])["Responses"]
    assert response["Error"]["Item"] == {"PK": {"S": "p"}, "SK": {"S": "1"}, "n": {"N": "1"}}
    assert "Item" not in response


def test_what_a_local_index_does_not_hold_is_fetched_from_the_table_and_paid_for(call: Caller) -> None:
    schema = [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}]
    index = {"IndexName": "by-at", "KeySchema": schema, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK", "at")]
    call.create("Indexed", AttributeDefinitions=types, LocalSecondaryIndexes=[index])
    for number in "123":
        item = {"PK": {"S": "p"}, "SK": {"S": number}, "at": {"S": number}, "text": {"S": "x" * 5000}}
        call("PutItem", TableName="Indexed", Item=item)

    def units(columns: str, **more: Any) -> tuple[float, float]:
        statement = f'SELECT {columns} FROM "Indexed"."by-at" WHERE PK = \'p\''
        capacity = run(call, statement, ReturnConsumedCapacity="INDEXES", **more)["ConsumedCapacity"]
        of_index = capacity["LocalSecondaryIndexes"]["by-at"]["CapacityUnits"]
        assert capacity["CapacityUnits"] == of_index + capacity["Table"]["CapacityUnits"]
        return of_index, capacity["Table"]["CapacityUnits"]

    assert units("*") == units("SK") == (0.5, 0.0)
    assert units("text") == (0.5, 3.0)
    assert units("text", Limit=1) == (0.5, 1.0)
    assert units("text", ConsistentRead=True) == (1.0, 6.0)
