"""Transactions and PartiQL through boto3, by its client and by its resource."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError
from tests.integration.conftest import REGION, RunningServer

pytestmark = pytest.mark.slow

TABLE = "Music"


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    response: dict[str, Any] = caught.value.response
    return response


@pytest.fixture
def client(manual_server: RunningServer) -> Any:
    client = manual_server.client("dynamodb")
    names = ("Artist", "SongTitle", "Genre", "Year")
    client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "N" if name == "Year" else "S"} for name in names
        ],
        KeySchema=[
            {"AttributeName": "Artist", "KeyType": "HASH"},
            {"AttributeName": "SongTitle", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "ByGenre",
                "KeySchema": [
                    {"AttributeName": "Genre", "KeyType": "HASH"},
                    {"AttributeName": "Year", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "ByYear",
                "KeySchema": [
                    {"AttributeName": "Artist", "KeyType": "HASH"},
                    {"AttributeName": "Year", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


@pytest.fixture
def resource(manual_server: RunningServer, client: Any) -> Any:
    return boto3.resource(
        "dynamodb",
        endpoint_url=manual_server.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def song(number: int, artist: str = "Acme") -> dict[str, Any]:
    return {"Artist": artist, "SongTitle": f"song {number:02}", "Genre": "Rock", "Year": 1970 + number}


def test_the_resource_writes_and_reads_transactions_in_python_types(resource: Any) -> None:
    client = resource.meta.client
    client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": TABLE, "Item": song(1)}},
            {
                "Update": {
                    "TableName": TABLE,
                    "Key": {"Artist": "Acme", "SongTitle": "song 02"},
                    "UpdateExpression": "SET Plays = :one",
                    "ExpressionAttributeValues": {":one": 1},
                }
            },
        ]
    )
    keys = [{"Artist": "Acme", "SongTitle": f"song {number:02}"} for number in (1, 2, 3)]
    answer = client.transact_get_items(TransactItems=[{"Get": {"TableName": TABLE, "Key": key}} for key in keys])
    assert [one.get("Item") for one in answer["Responses"]] == [
        {**song(1), "Year": Decimal(1971)},
        {**keys[1], "Plays": Decimal(1)},
        None,
    ]


def test_a_cancelled_transaction_says_why_action_by_action(client: Any) -> None:
    key = {"Artist": {"S": "Acme"}, "SongTitle": {"S": "song"}}
    client.put_item(TableName=TABLE, Item=key)
    put = {"TableName": TABLE, "Item": key, "ConditionExpression": "attribute_not_exists(Artist)"}
    other = {"TableName": TABLE, "Item": {**key, "SongTitle": {"S": "other"}}}
    put["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    error = error_of(lambda: client.transact_write_items(TransactItems=[{"Put": put}, {"Put": other}]))
    assert error["Error"] == {
        "Code": "TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[ConditionalCheckFailed, None]",
    }
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": key}
    assert error["CancellationReasons"] == [failed, {"Code": "None"}]
    assert client.scan(TableName=TABLE)["Count"] == 1


def test_a_token_makes_repeating_safe(client: Any) -> None:
    update = {
        "TableName": TABLE,
        "Key": {"Artist": {"S": "Acme"}, "SongTitle": {"S": "song"}},
        "UpdateExpression": "ADD Plays :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for _ in range(2):
        client.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken="once")
    assert client.scan(TableName=TABLE)["Items"][0]["Plays"] == {"N": "1"}
    delete = {"Delete": {"TableName": TABLE, "Key": update["Key"]}}
    error = error_of(lambda: client.transact_write_items(TransactItems=[delete], ClientRequestToken="once"))
    assert error["Error"]["Code"] == "IdempotentParameterMismatchException"


def test_item_collection_metrics_are_told_of_tables_with_local_indexes(client: Any) -> None:
    key = {"Artist": {"S": "Acme"}, "SongTitle": {"S": "song"}}
    answer = client.transact_write_items(
        TransactItems=[{"Put": {"TableName": TABLE, "Item": key}}], ReturnItemCollectionMetrics="SIZE"
    )
    metrics = {"ItemCollectionKey": {"Artist": {"S": "Acme"}}, "SizeEstimateRangeGB": [0.0, 1.0]}
    assert answer["ItemCollectionMetrics"] == {TABLE: [metrics]}


def test_a_tour_of_statements(client: Any) -> None:
    def run(statement: str, *parameters: Any) -> Any:
        more = {"Parameters": list(parameters)} if parameters else {}
        return client.execute_statement(Statement=statement, **more)["Items"]

    run(
        f"INSERT INTO {TABLE} VALUE {{'Artist': ?, 'SongTitle': 'One', 'Year': 1999, 'Tags': <<'a', 'b'>>,"
        " 'Awards': {'Grammys': [2020, 2018]}}",
        {"S": "Acme"},
    )
    error = error_of(lambda: run(f"INSERT INTO {TABLE} VALUE {{'Artist': 'Acme', 'SongTitle': 'One'}}"))
    assert error["Error"]["Code"] == "DuplicateItemException"
    one = "WHERE Artist = 'Acme' AND SongTitle = 'One'"
    updated = run(
        f'UPDATE "{TABLE}" SET Plays = 1, Awards.Grammys = list_append(Awards.Grammys, [2016])'
        f' SET Tags = set_add(Tags, <<\'c\'>>) SET "Year" = "Year" + 1 {one} RETURNING MODIFIED NEW *'
    )
    deserialize = TypeDeserializer().deserialize
    assert {name: deserialize(value) for name, value in updated[0].items()} == {
        "Plays": 1,
        "Awards": {"Grammys": [2020, 2018, 2016]},
        "Tags": {"a", "b", "c"},
        "Year": 2000,
    }
    assert run(f"SELECT Awards.Grammys[0], Plays FROM {TABLE} {one}") == [
        {"Grammys[0]": {"N": "2020"}, "Plays": {"N": "1"}}
    ]
    assert run(f"UPDATE {TABLE} REMOVE Awards.Grammys[1] {one} RETURNING MODIFIED OLD *") == [
        {"Awards": {"M": {"Grammys": {"L": [{"N": "2018"}]}}}}
    ]
    error = error_of(lambda: run(f"UPDATE {TABLE} SET Plays = 2 {one} AND Plays > 5"))
    assert error["Error"]["Code"] == "ConditionalCheckFailedException"
    assert run(f"DELETE FROM {TABLE} {one} AND Plays = 1 RETURNING ALL OLD *")[0]["Year"] == {"N": "2000"}
    assert run(f"SELECT * FROM {TABLE}") == []


def test_statements_are_paged_by_their_tokens(resource: Any) -> None:
    table = resource.Table(TABLE)
    for number in range(10):
        table.put_item(Item=song(number))
        table.put_item(Item=song(number, "Other"))
    client = resource.meta.client
    for statement, wanted in (
        (f"SELECT SongTitle FROM {TABLE}", 20),
        (f"SELECT SongTitle FROM {TABLE} WHERE Artist = 'Acme'", 10),
        (f"SELECT SongTitle FROM {TABLE} WHERE Artist IN ['Acme', 'Other'] ORDER BY Artist DESC", 20),
        (f"SELECT SongTitle FROM {TABLE} WHERE Artist = 'Acme' AND \"Year\" > 1974", 5),
        (f'SELECT SongTitle FROM "{TABLE}"."ByGenre"', 20),
        (f'SELECT SongTitle FROM "{TABLE}"."ByGenre" WHERE Genre = \'Rock\' AND "Year" < 1975', 10),
        (f'SELECT SongTitle FROM "{TABLE}"."ByYear" WHERE Artist = \'Acme\' ORDER BY "Year" DESC', 10),
    ):
        whole = client.execute_statement(Statement=statement)["Items"]
        assert len(whole) == wanted
        pages: list[Any] = []
        token: dict[str, str] = {}
        while True:
            page = client.execute_statement(Statement=statement, Limit=3, **token)
            assert len(page["Items"]) <= 3
            pages += page["Items"]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert pages == whole
        elsewhere = {"Statement": f"SELECT * FROM {TABLE} WHERE Artist = 'x'", **token}
        error = error_of(partial(client.execute_statement, **elsewhere))
        assert error["Error"]["Message"] == "The provided starting key is invalid"
    error = error_of(lambda: client.execute_statement(Statement=f"SELECT * FROM {TABLE}", NextToken="x"))
    assert error["Error"]["Message"] == "Invalid NextToken"


def test_a_read_by_key_costs_what_it_returns(resource: Any) -> None:
    table = resource.Table(TABLE)
    for number in range(30):
        table.put_item(Item={**song(number), "text": "x" * 4000})

    def units(condition: str, source: str = TABLE, **more: Any) -> Any:
        answer = resource.meta.client.execute_statement(
            Statement=f"SELECT SongTitle FROM {source} {condition}", ReturnConsumedCapacity="INDEXES", **more
        )
        return answer["ConsumedCapacity"]

    assert units("WHERE Artist = 'Acme' AND SongTitle = 'song 01'")["CapacityUnits"] == 0.5
    assert units("WHERE Artist = 'Acme' AND SongTitle = 'song 01'", ConsistentRead=True)["CapacityUnits"] == 1.0
    assert units("WHERE Artist = 'Acme' AND SongTitle BETWEEN 'song 01' AND 'song 02'")["CapacityUnits"] == 1.0
    assert units('WHERE "Year" = 1971')["CapacityUnits"] > 10
    by_genre = units("WHERE Genre = 'Rock' AND \"Year\" = 1971", f'"{TABLE}"."ByGenre"')
    assert (by_genre["Table"], by_genre["GlobalSecondaryIndexes"]) == (
        {"CapacityUnits": 0.0},
        {"ByGenre": {"CapacityUnits": 0.5}},
    )


def test_a_batch_of_statements_tells_of_each(client: Any) -> None:
    inserts = [f"INSERT INTO {TABLE} VALUE {{'Artist': 'Acme', 'SongTitle': '{title}'}}" for title in ("a", "b", "a")]
    answer = client.batch_execute_statement(Statements=[{"Statement": insert} for insert in inserts])
    duplicate = {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}
    assert answer["Responses"] == [
        {"TableName": TABLE},
        {"TableName": TABLE},
        {"TableName": TABLE, "Error": duplicate},
    ]
    reads = [f"SELECT * FROM {TABLE} WHERE Artist = 'Acme' AND SongTitle = '{title}'" for title in ("b", "none")]
    answer = client.batch_execute_statement(Statements=[{"Statement": read} for read in reads])
    item = {"Artist": {"S": "Acme"}, "SongTitle": {"S": "b"}}
    assert answer["Responses"] == [{"TableName": TABLE, "Item": item}, {"TableName": TABLE}]


def test_a_transaction_of_statements_is_all_or_nothing(client: Any) -> None:
    insert = f"INSERT INTO {TABLE} VALUE {{'Artist': 'Acme', 'SongTitle': ?}}"

    def run(*titles: str) -> Any:
        members = [{"Statement": insert, "Parameters": [{"S": title}]} for title in titles]
        return client.execute_transaction(TransactStatements=members)

    run("a", "b")
    error = error_of(lambda: run("c", "a"))
    assert [reason["Code"] for reason in error["CancellationReasons"]] == ["None", "DuplicateItem"]
    assert client.scan(TableName=TABLE)["Count"] == 2
