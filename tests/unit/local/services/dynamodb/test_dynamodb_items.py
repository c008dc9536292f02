"""Items: writes, reads, batches, queries and scans, in AWS's words.

Sources of the texts: dynalite's tests (recorded from AWS) and the Amazon DynamoDB API reference.
"""

from typing import Any

import pytest

INVALID = "ValidationException: One or more parameter values were invalid: "
TABLE = {"TableName": "Appointments"}


def key(sort_key: str = "1", partition_key: str = "p") -> dict[str, Any]:
    return {"PK": {"S": partition_key}, "SK": {"S": sort_key}}


def item(sort_key: str = "1", **attributes: Any) -> dict[str, Any]:
    return key(sort_key) | attributes


@pytest.fixture
def table(dynamodb_call: Any) -> Any:
    dynamodb_call.create()
    return dynamodb_call


def test_an_item_is_written_read_changed_and_deleted(table: Any) -> None:
    written = item(at={"N": "1.50"}, labels={"SS": ["b", "a"]})
    assert table("PutItem", **TABLE, Item=written) == {}
    stored = item(at={"N": "1.5"}, labels={"SS": ["a", "b"]})
    assert table("GetItem", **TABLE, Key=key()) == {"Item": stored}
    changed = table(
        "UpdateItem",
        **TABLE,
        Key=key(),
        UpdateExpression="SET #at = #at + :one REMOVE labels",
        ExpressionAttributeNames={"#at": "at"},
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )
    assert changed == {"Attributes": item(at={"N": "2.5"})}
    assert table("DeleteItem", **TABLE, Key=key(), ReturnValues="ALL_OLD") == changed
    assert table("GetItem", **TABLE, Key=key()) == {}
    assert table("DeleteItem", **TABLE, Key=key(), ReturnValues="ALL_OLD") == {}


@pytest.mark.parametrize(
    ("return_values", "attributes"),
    [
        ("NONE", None),
        ("ALL_OLD", item(a={"N": "1"}, b={"S": "x"})),
        ("UPDATED_OLD", {"a": {"N": "1"}}),
        ("ALL_NEW", item(a={"N": "2"}, b={"S": "x"}, c={"N": "9"})),
        ("UPDATED_NEW", {"a": {"N": "2"}, "c": {"N": "9"}}),
    ],
)
def test_an_update_returns_what_was_asked_for(table: Any, return_values: str, attributes: Any) -> None:
    table("PutItem", **TABLE, Item=item(a={"N": "1"}, b={"S": "x"}))
    answer = table(
        "UpdateItem",
        **TABLE,
        Key=key(),
        UpdateExpression="SET a = :two, c = :nine",
        ExpressionAttributeValues={":two": {"N": "2"}, ":nine": {"N": "9"}},
        ReturnValues=return_values,
    )
    assert answer.get("Attributes") == attributes


@pytest.mark.parametrize(
    ("operation", "return_values"),
    [("PutItem", "ALL_NEW"), ("PutItem", "UPDATED_OLD"), ("DeleteItem", "ALL_NEW"), ("DeleteItem", "UPDATED_NEW")],
)
def test_puts_and_deletes_return_the_old_item_or_nothing(table: Any, operation: str, return_values: str) -> None:
    named = {"Item": item()} if operation == "PutItem" else {"Key": key()}
    assert (
        table.refusal(operation, **TABLE, **named, ReturnValues=return_values)
        == "ValidationException: 1 validation error detected: ReturnValues can only be ALL_OLD or NONE"
    )


def test_a_condition_decides_and_tells_what_is_there_when_asked(table: Any) -> None:
    once = {"Item": item(), "ConditionExpression": "attribute_not_exists(PK)"}
    table("PutItem", **TABLE, **once)
    assert (
        table.refusal("PutItem", **TABLE, **once) == "ConditionalCheckFailedException: The conditional request failed"
    )


@pytest.mark.parametrize(
    ("operation", "parameters", "text"),
    [
        ("PutItem", {"Item": {"PK": {"S": "p"}}}, INVALID + "Missing the key SK in the item"),
        (
            "PutItem",
            {"Item": item() | {"PK": {"N": "1"}}},
            INVALID + "Type mismatch for key PK expected: S actual: N",
        ),
        (
            "GetItem",
            {"Key": {"PK": {"S": "p"}}},
            "ValidationException: The provided key element does not match the schema",
        ),
        (
            "GetItem",
            {"Key": key("")},
            (
                "ValidationException: One or more parameter values are not valid. The AttributeValue for a key attribute "
                "cannot contain an empty string value. Key: SK"
            ),
        ),
        (
            "PutItem",
            {"Item": item(big={"S": "x" * 409600})},
            "ValidationException: Item size has exceeded the maximum allowed size",
        ),
        (
            "UpdateItem",
            {
                "Key": key(),
                "UpdateExpression": "SET big = :big",
                "ExpressionAttributeValues": {":big": {"S": "x" * 409600}},
            },
            "ValidationException: Item size to update has exceeded the maximum allowed size",
        ),
        (
            "UpdateItem",
            {
                "Key": key(),
                "UpdateExpression": "SET SK = :other",
                "ExpressionAttributeValues": {":other": {"S": "2"}},
            },
            INVALID + "Cannot update attribute SK. This attribute is part of the key",
        ),
        (
            "PutItem",
            {"Item": item(), "ExpressionAttributeValues": {":a": {"S": "x"}}},
            (
                "ValidationException: 1 validation error detected: "
                "ExpressionAttributeValues can only be specified when using expressions"
            ),
        ),
        (
            "UpdateItem",
            {"Key": key(), "ExpressionAttributeValues": {":a": {"S": "x"}}},
            (
                "ValidationException: 1 validation error detected: "
                "ExpressionAttributeValues can only be specified when using expressions"
            ),
        ),
        (
            "GetItem",
            {"Key": key(), "ExpressionAttributeNames": {"#a": "x"}},
            "ValidationException: ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            "GetItem",
            {"Key": key(), "ProjectionExpression": "a", "ExpressionAttributeNames": {"#a": "x"}},
            "ValidationException: Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}",
        ),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused(
    table: Any, operation: str, parameters: dict[str, Any], text: str
) -> None:
    assert table.refusal(operation, **TABLE, **parameters) == text
    assert table("Scan", **TABLE)["Count"] == 0


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("PutItem", {"Item": item()}),
        ("GetItem", {"Key": key()}),
        ("UpdateItem", {"Key": key()}),
        ("DeleteItem", {"Key": key()}),
        ("Scan", {}),
        ("Query", {"KeyConditionExpression": "PK = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}}),
    ],
)
def test_a_table_that_is_not_there_is_not_named_by_item_operations(
    dynamodb_call: Any, operation: str, parameters: dict[str, Any]
) -> None:
    expected = "ResourceNotFoundException: Requested resource not found"
    assert dynamodb_call.refusal(operation, TableName="Nothing", **parameters) == expected


def test_a_projection_shows_only_its_part(table: Any) -> None:
    table("PutItem", **TABLE, Item=item(a={"M": {"b": {"S": "x"}, "c": {"S": "y"}}}, d={"S": "z"}))
    assert table("GetItem", **TABLE, Key=key(), ProjectionExpression="a.b, SK") == {
        "Item": {"a": {"M": {"b": {"S": "x"}}}, "SK": {"S": "1"}}
    }


def test_capacity_is_counted_as_dynamodb_counts_it(table: Any) -> None:
    def consumed(operation: str, detail: str = "TOTAL", **parameters: Any) -> Any:
        return table(operation, **TABLE, ReturnConsumedCapacity=detail, **parameters)["ConsumedCapacity"]

    large = item(big={"S": "x" * 5000})
    assert consumed("PutItem", Item=item()) == {"TableName": "Appointments", "CapacityUnits": 1.0}
    assert consumed("PutItem", Item=large)["CapacityUnits"] == 5.0
    assert consumed("PutItem", Item=item())["CapacityUnits"] == 5.0  # the larger of the two images
    table("PutItem", **TABLE, Item=large)
    assert consumed("GetItem", Key=key())["CapacityUnits"] == 1.0
    assert consumed("GetItem", Key=key(), ConsistentRead=True)["CapacityUnits"] == 2.0
    assert consumed("GetItem", Key=key("none"))["CapacityUnits"] == 0.5
    assert consumed("Scan", "INDEXES") == {
        "TableName": "Appointments",
        "CapacityUnits": 1.0,
        "Table": {"CapacityUnits": 1.0},
    }
    assert consumed("DeleteItem", Key=key())["CapacityUnits"] == 5.0
    assert "ConsumedCapacity" not in table("PutItem", **TABLE, Item=item(), ReturnConsumedCapacity="NONE")


# Batches ----------------------------------------------------------------------------------------------


def test_a_batch_writes_and_reads_several_tables(table: Any) -> None:
    table.create("Others", sort_key=None)
    other = {"PK": {"S": "o"}}
    table("PutItem", **TABLE, Item=item("old"))
    answer = table(
        "BatchWriteItem",
        RequestItems={
            "Appointments": [
                {"PutRequest": {"Item": item("1")}},
                {"PutRequest": {"Item": item("2")}},
                {"DeleteRequest": {"Key": key("old")}},
            ],
            "Others": [{"PutRequest": {"Item": other}}],
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["UnprocessedItems"] == {}
    assert [consumed["CapacityUnits"] for consumed in answer["ConsumedCapacity"]] == [3.0, 1.0]
    read = table(
        "BatchGetItem",
        RequestItems={
            "Appointments": {"Keys": [key("1"), key("2"), key("old")], "ProjectionExpression": "SK"},
            "Others": {"Keys": [other]},
        },
    )
    assert read == {
        "Responses": {"Appointments": [{"SK": {"S": "1"}}, {"SK": {"S": "2"}}], "Others": [other]},
        "UnprocessedKeys": {},
    }


def test_a_batch_that_answers_with_more_than_16_mb_leaves_the_rest_to_the_next_call(table: Any) -> None:
    keys = [key(str(number)) for number in range(50)]
    for sort_key in range(50):
        table("PutItem", **TABLE, Item=item(str(sort_key), big={"S": "x" * 400_000}))
    first = table("BatchGetItem", RequestItems={"Appointments": {"Keys": keys, "ConsistentRead": True}})
    rest = first["UnprocessedKeys"]
    assert len(first["Responses"]["Appointments"]) + len(rest["Appointments"]["Keys"]) == 50
    assert rest["Appointments"]["ConsistentRead"] is True
    second = table("BatchGetItem", RequestItems=rest)
    assert len(second["Responses"]["Appointments"]) == len(rest["Appointments"]["Keys"]) > 0
    assert second["UnprocessedKeys"] == {}


@pytest.mark.parametrize(
    ("writes", "text"),
    [
        (
            [{"PutRequest": {"Item": item(str(number))}} for number in range(26)],
            "ValidationException: Too many items requested for the BatchWriteItem call",
        ),
        (
            [{"PutRequest": {"Item": item()}}, {"DeleteRequest": {"Key": key()}}],
            "ValidationException: Provided list of item keys contains duplicates",
        ),
        (
            [{"PutRequest": {"Item": item(big={"S": "x" * 409600})}}],
            "ValidationException: Item size has exceeded the maximum allowed size",
        ),
        (
            [{"PutRequest": {"Item": item()}, "DeleteRequest": {"Key": key()}}],
            (
                "ValidationException: Supplied AttributeValue has more than one datatypes set, must contain exactly one "
                "of the supported datatypes"
            ),
        ),
        (
            [{}],
            (
                "ValidationException: Supplied AttributeValue has more than one datatypes set, must contain exactly one "
                "of the supported datatypes"
            ),
        ),
        (
            [{"PutRequest": {"Item": item("2")}}, {"DeleteRequest": {"Key": {"PK": {"S": "p"}}}}],
            "ValidationException: The provided key element does not match the schema",
        ),
    ],
    ids=["26", "duplicates", "large", "both", "neither", "key"],
)
def test_a_batch_with_a_mistake_writes_nothing(table: Any, writes: list[Any], text: str) -> None:
    assert table.refusal("BatchWriteItem", RequestItems={"Appointments": writes}) == text
    assert table("Scan", **TABLE)["Count"] == 0


def test_a_batch_of_reads_names_each_key_once(table: Any) -> None:
    many = [key(str(number)) for number in range(101)]
    assert (
        table.refusal("BatchGetItem", RequestItems={"Appointments": {"Keys": many}})
        == "ValidationException: Too many items requested for the BatchGetItem call"
    )
    assert (
        table.refusal("BatchGetItem", RequestItems={"Appointments": {"Keys": [key(), key()]}})
        == "ValidationException: Provided list of item keys contains duplicates"
    )
    assert (
        table.refusal("BatchGetItem", RequestItems={"Nothing": {"Keys": [key()]}})
        == "ResourceNotFoundException: Requested resource not found"
    )


# Query and Scan ---------------------------------------------------------------------------------------


@pytest.fixture
def filled(table: Any) -> Any:
    for number, sort_key in enumerate(["a1", "a2", "b1", "b2", "c1"]):
        table("PutItem", **TABLE, Item=item(sort_key, n={"N": str(number)}))
    table("PutItem", **TABLE, Item=key("a1", "other"))
    return table


def query(table: Any, condition: str, values: dict[str, str], **more: Any) -> Any:
    return table(
        "Query",
        **TABLE,
        KeyConditionExpression=f"PK = :pk{condition}",
        ExpressionAttributeValues={":pk": {"S": "p"}, **{name: {"S": value} for name, value in values.items()}},
        **more,
    )


def sort_keys(answer: Any) -> list[str]:
    return [found["SK"]["S"] for found in answer["Items"]]


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("", {}, ["a1", "a2", "b1", "b2", "c1"]),
        (" AND SK = :a", {":a": "b1"}, ["b1"]),
        (" AND SK < :a", {":a": "b1"}, ["a1", "a2"]),
        (" AND SK <= :a", {":a": "b1"}, ["a1", "a2", "b1"]),
        (" AND SK > :a", {":a": "b1"}, ["b2", "c1"]),
        (" AND SK >= :a", {":a": "b1"}, ["b1", "b2", "c1"]),
        (" AND SK BETWEEN :a AND :b", {":a": "a2", ":b": "b1"}, ["a2", "b1"]),
        (" AND begins_with(SK, :a)", {":a": "b"}, ["b1", "b2"]),
        (" AND begins_with(SK, :a)", {":a": "x"}, []),
    ],
)
def test_a_query_finds_what_its_key_condition_says(
    filled: Any, condition: str, values: dict[str, str], expected: list[str]
) -> None:
    assert sort_keys(query(filled, condition, values)) == expected
    assert sort_keys(query(filled, condition, values, ScanIndexForward=False)) == expected[::-1]


def test_a_query_goes_on_where_it_stopped(filled: Any) -> None:
    first = query(filled, "", {}, Limit=2)
    assert sort_keys(first) == ["a1", "a2"]
    assert first["LastEvaluatedKey"] == key("a2")
    second = query(filled, "", {}, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert sort_keys(second) == ["b1", "b2", "c1"]
    assert "LastEvaluatedKey" not in second


def test_a_filter_counts_what_it_saw(filled: Any) -> None:
    answer = filled(
        "Query",
        **TABLE,
        KeyConditionExpression="PK = :pk",
        FilterExpression="n > :one",
        ExpressionAttributeValues={":pk": {"S": "p"}, ":one": {"N": "1"}},
        Select="COUNT",
    )
    assert answer == {"Count": 3, "ScannedCount": 5}


def test_a_page_is_at_most_1_mb(table: Any) -> None:
    for sort_key in "abcdef":
        table("PutItem", **TABLE, Item=item(sort_key, big={"S": "x" * 300_000}))
    assert sort_keys(query(table, "", {})) == ["a", "b", "c"]
    scanned = table("Scan", **TABLE)
    assert scanned["LastEvaluatedKey"] == key("c")
    assert sort_keys(table("Scan", **TABLE, ExclusiveStartKey=scanned["LastEvaluatedKey"])) == ["d", "e", "f"]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"ExclusiveStartKey": {"PK": {"S": "p"}}},
            "The provided starting key is invalid",
        ),
        (
            {"ExclusiveStartKey": key("a", "other")},
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        ({"IndexName": "ByExpiry"}, "The table does not have the specified index: ByExpiry"),
        (
            {"Select": "COUNT", "ProjectionExpression": "n"},
            "1 validation error detected: Cannot specify the ProjectionExpression when choosing to get only the Count",
        ),
        (
            {"Select": "SPECIFIC_ATTRIBUTES"},
            (
                "1 validation error detected: Must specify the AttributesToGet or ProjectionExpression when choosing "
                "to get SPECIFIC_ATTRIBUTES"
            ),
        ),
        (
            {"FilterExpression": "SK = :pk"},
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: SK",
        ),
        (
            {"FilterExpression": "SK = :pk OR (attribute_exists(PK) AND n = :pk)"},
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: PK",
        ),
    ],
)
def test_a_query_that_cannot_be_is_refused(filled: Any, parameters: dict[str, Any], text: str) -> None:
    asked = {
        "KeyConditionExpression": "PK = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "p"}},
        **parameters,
    }
    assert filled.refusal("Query", **TABLE, **asked) == f"ValidationException: {text}"


def test_a_query_needs_a_key_condition_of_the_keys_type(table: Any) -> None:
    assert table.refusal("Query", **TABLE) == (
        "ValidationException: Either the KeyConditions or KeyConditionExpression parameter must be specified in the "
        "request."
    )
    assert (
        table.refusal(
            "Query", **TABLE, KeyConditionExpression="PK = :pk", ExpressionAttributeValues={":pk": {"N": "1"}}
        )
        == INVALID + "Condition parameter type does not match schema type"
    )


@pytest.mark.parametrize("condition", ["= :low", "> :low", "BETWEEN :low AND :high"])
def test_a_query_for_an_empty_sort_key_is_refused(filled: Any, condition: str) -> None:
    values = {":pk": {"S": "p"}, ":low": {"S": ""}, **({":high": {"S": "z"}} if ":high" in condition else {})}
    refusal = filled.refusal(
        "Query", **TABLE, KeyConditionExpression=f"PK = :pk AND SK {condition}", ExpressionAttributeValues=values
    )
    assert refusal == (
        "ValidationException: One or more parameter values are not valid. The AttributeValue for a key attribute "
        "cannot contain an empty string value. Key: SK"
    )


def test_a_table_named_by_its_arn_is_answered_under_the_arn(filled: Any) -> None:
    """moto's ``test_batch_write_using_arn``, verified against AWS."""
    arn = filled("DescribeTable", **TABLE)["Table"]["TableArn"]
    answer = filled("BatchGetItem", RequestItems={arn: {"Keys": [key("a", "other")]}})
    assert list(answer["Responses"]) == [arn]


def test_numbers_sort_as_numbers(dynamodb_call: Any) -> None:
    dynamodb_call.create(
        AttributeDefinitions=[
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "N"},
        ]
    )
    numbers = ["10", "-1", "2", "0", "-20", "1E+30", "0.5"]
    for number in numbers:
        dynamodb_call("PutItem", **TABLE, Item={"PK": {"S": "p"}, "SK": {"N": number}})
    answer = dynamodb_call(
        "Query",
        **TABLE,
        KeyConditionExpression="PK = :pk AND SK > :low",
        ExpressionAttributeValues={":pk": {"S": "p"}, ":low": {"N": "-20"}},
    )
    assert [float(found["SK"]["N"]) for found in answer["Items"]] == [-1, 0, 0.5, 2, 10, 1e30]


def test_a_scan_gives_everything_whole_or_in_segments(filled: Any) -> None:
    whole = filled("Scan", **TABLE)
    assert (whole["Count"], whole["ScannedCount"]) == (6, 6)
    parts = [filled("Scan", **TABLE, Segment=number, TotalSegments=4)["Items"] for number in range(4)]
    assert sum(len(part) for part in parts) == 6
    filtered = filled("Scan", **TABLE, FilterExpression="n = :n", ExpressionAttributeValues={":n": {"N": "3"}})
    assert (sort_keys(filtered), filtered["ScannedCount"]) == (["b2"], 6)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"Segment": 1},
            (
                "The TotalSegments parameter is required but was not present in the request when Segment parameter is "
                "present"
            ),
        ),
        (
            {"TotalSegments": 1},
            (
                "The Segment parameter is required but was not present in the request when parameter TotalSegments is "
                "present"
            ),
        ),
        (
            {"Segment": 2, "TotalSegments": 2},
            "The Segment parameter is zero-based and must be less than parameter TotalSegments",
        ),
        (
            {"ExclusiveStartKey": {"PK": {"S": "p"}}},
            "The provided starting key is invalid",
        ),
    ],
)
def test_a_scan_that_cannot_be_is_refused(table: Any, parameters: dict[str, Any], text: str) -> None:
    assert table.refusal("Scan", **TABLE, **parameters) == f"ValidationException: {text}"
