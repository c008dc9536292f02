"""Transactions, of items and of statements, and batches of statements, held against answers recorded from AWS."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conformance.recorded import SOURCES, Golden, Recorded, create, index

CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons"
SEVERAL = "Transaction request cannot include multiple operations on one item"
NOT_FOUND = "Requested resource not found"
MISMATCH = "The provided key element does not match the schema"
CONDITION = "The conditional request failed"
DUPLICATE = "Duplicate primary key exists in table"
EMPTY = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
TYPE = "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: "
NESTING = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
ENUM_CAPACITY = (
    "Value 'BOGUS' at 'returnConsumedCapacity' failed to satisfy constraint: "
    "Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
)
ENUM_METRICS = (
    "Value 'BOGUS2' at 'returnItemCollectionMetrics' failed to satisfy constraint: "
    "Member must satisfy enum value set: [SIZE, NONE]"
)
TO_GIVE_KEY = "Select statements within {} must specify the primary key in the where clause."
IN_FIRST = "Validation failed in TransactStatements[0]: "
NONE: dict[str, Any] = {"Code": "None"}
FAILED = {"Code": "ConditionalCheckFailed", "Message": CONDITION}


def reason(code: str, message: str) -> dict[str, Any]:
    return {"Code": code, "Message": message}


def key(pk: Any) -> dict[str, Any]:
    return {"pk": {"S": pk} if isinstance(pk, str) else pk}


def put(pk: Any, table: str = "S_T", **more: Any) -> dict[str, Any]:
    options = {name: more.pop(name) for name in list(more) if name[0].isupper()}
    return {"Put": {"TableName": table, "Item": {**key(pk), **more}, **options}}


def update(pk: Any, table: str = "S_T", **more: Any) -> dict[str, Any]:
    given = {"UpdateExpression": "SET attr1 = :v", "ExpressionAttributeValues": {":v": {"S": "x"}}}
    return {"Update": {"TableName": table, "Key": key(pk), **given, **more}}


def delete(pk: Any, table: str = "S_T") -> dict[str, Any]:
    return {"Delete": {"TableName": table, "Key": key(pk)}}


def check(pk: Any, table: str = "S_T", condition: str = "attribute_not_exists(pk)", **more: Any) -> dict[str, Any]:
    return {"ConditionCheck": {"TableName": table, "Key": key(pk), "ConditionExpression": condition, **more}}


def write(source: str, items: list[Any], message: str, error: str = "ValidationException", **more: Any) -> Golden:
    return Golden(source, "TransactWriteItems", {"TransactItems": items, **more}, {"Message": message}, error)


def cancelled(source: str, operation: str, request: dict[str, Any], *reasons: dict[str, Any]) -> Golden:
    codes = ", ".join(each["Code"] for each in reasons)
    expected = {"Message": f"{CANCELLED} [{codes}]", "CancellationReasons": list(reasons)}
    return Golden(source, operation, request, expected, "TransactionCanceledException")


def write_goldens() -> Iterator[Golden]:
    source, operation = "nubo-transactions", "TransactWriteItems"
    exists = "attribute_not_exists(pk)"
    over, over_two = put("there", ConditionExpression=exists), put("there-2", ConditionExpression=exists)
    yield write(source, [put("dup"), put("dup")], SEVERAL)
    yield write(source, [put("x", "no-such-table")], NOT_FOUND, "ResourceNotFoundException")
    yield cancelled(source, operation, {"TransactItems": [over, over_two]}, FAILED, FAILED)
    fresh = put("fresh", ConditionExpression=exists)
    yield cancelled(source, operation, {"TransactItems": [fresh, over]}, NONE, FAILED)
    told = put("there", ConditionExpression=exists, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    old = {**FAILED, "Item": {**key("there"), "val": {"S": "here"}}}
    yield cancelled(source, operation, {"TransactItems": [told]}, old)
    wrong = check("there", condition="val = :v", ExpressionAttributeValues={":v": {"S": "wrong"}},
                  ReturnValuesOnConditionCheckFailure="ALL_OLD")  # fmt: skip
    yield cancelled(source, operation, {"TransactItems": [wrong]}, old)
    for value, kind in (({"N": "5"}, "N"), ({"L": [{"S": "x"}]}, "L")):
        yield cancelled(source, operation, {"TransactItems": [put(value)]}, reason("ValidationError", TYPE + kind))
        for action in (update(value), delete(value), check(value)):
            yield cancelled(source, operation, {"TransactItems": [action]}, reason("ValidationError", MISMATCH))
    for make in (put, update, delete, check):
        yield write(source, [make("")], EMPTY + "string value. Key: pk")
        yield write(source, [make({"B": ""}, "B_T")], EMPTY + "binary value. Key: pk")
    ghost = update("ghost", UpdateExpression="ADD hits :v", ExpressionAttributeValues={":v": {"N": "1"}},
                   ConditionExpression="attribute_exists(pk)")  # fmt: skip
    yield cancelled(source, operation, {"TransactItems": [ghost]}, FAILED)
    yield write(
        "moto", [{**put("a"), **delete("a")}], "TransactItems can only contain one of Check, Put, Update or Delete"
    )


def order_goldens() -> Iterator[Golden]:
    source = "parity-order"
    one, bogus = "1 validation error detected: ", {"ReturnConsumedCapacity": "BOGUS"}
    yield write(source, [put("a")], one + ENUM_CAPACITY, **bogus)
    yield write(source, [put("a")], one + ENUM_METRICS, ReturnItemCollectionMetrics="BOGUS2")
    both = {**bogus, "ReturnItemCollectionMetrics": "BOGUS2"}
    yield write(source, [put("a")], f"2 validation errors detected: {ENUM_CAPACITY}; {ENUM_METRICS}", **both)
    yield write(source, [put("a", "missing-table")], one + ENUM_CAPACITY, **bogus)
    yield write(source, [put("a"), delete("a")], one + ENUM_CAPACITY, **bogus)
    token = "x" * 37
    echoed = (
        f"Value '{token}' at 'clientRequestToken' failed to satisfy constraint: "
        "Member must have length less than or equal to 36"
    )
    yield write(source, [put("a")], one + echoed, ClientRequestToken=token)
    combined = f"2 validation errors detected: {echoed}; {ENUM_CAPACITY}"
    yield write(source, [put("a")], combined, ClientRequestToken=token, **bogus)
    syntax = 'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("'
    malformed = check("a", condition="attribute_not_exists(")
    nested: dict[str, Any] = {"S": "leaf"}
    for _ in range(32):
        nested = {"M": {"n": nested}}
    yield write(source, [put("a", "missing-table"), malformed], syntax)
    yield write(source, [malformed, put("b", data=nested)], syntax)
    yield write(source, [put("b", data=nested), malformed], NESTING)
    unused = "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"
    idle = check("a", ExpressionAttributeValues={":v": {"S": "x"}})
    yield write(source, [put("a", "missing-table"), idle], unused)
    yield write(source, [idle, put("a", "missing-table")], unused)
    yield write(source, [put("a"), idle], unused)
    empty = one + "Value '[]' at 'transactItems' failed to satisfy constraint: "
    yield write("dynalite", [], empty + "Member must have length greater than or equal to 1")
    yield write("dynalite", [delete("a", "a-table"), put("a", "a-table")], NOT_FOUND, "ResourceNotFoundException")
    values = "parity-values"
    number = "The parameter cannot be converted to a numeric value"
    overflow = "Number overflow. Attempting to store a number with magnitude larger than supported range"
    underflow = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
    for text, message in (("abc", f"{number}: abc"), ("", number), ("1e126", overflow), ("1e2147483647", underflow)):
        yield write(values, [put("vl-n", n={"N": text})], message)
        wrapped = f"ExpressionAttributeValues contains invalid value: {message} for key :v"
        yield write(values, [update("vl-n", ExpressionAttributeValues={":v": {"N": text}})], wrapped)
        request = {"TransactItems": [{"Get": {"TableName": "S_T", "Key": {"pk": {"N": text}}}}]}
        yield Golden(values, "TransactGetItems", request, {"Message": message}, "ValidationException")
    large = {"S": "x" * 409_600}
    too_large = "Item size has exceeded the maximum allowed size"
    yield write("parity-size", [put("large", p=large)], too_large)
    grown = [update("large", ExpressionAttributeValues={":v": large})]
    to_update = "Item size to update has exceeded the maximum allowed size"
    yield cancelled("parity-size", "TransactWriteItems", {"TransactItems": grown}, reason("ValidationError", to_update))


def read_goldens() -> Iterator[Golden]:
    source, operation = "nubo-transactions", "TransactGetItems"

    def get(pk: Any, table: str = "S_T", **more: Any) -> dict[str, Any]:
        return {"Get": {"TableName": table, "Key": key(pk), **more}}

    def refused(message: str, *gets: Any, error: str = "ValidationException", **more: Any) -> Golden:
        return Golden(source, operation, {"TransactItems": list(gets), **more}, {"Message": message}, error)

    yield refused(NOT_FOUND, get("x", "no-such-table"), error="ResourceNotFoundException")
    syntax = 'Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"'
    yield refused(syntax, get("x", ProjectionExpression="!!!"))
    yield refused(SEVERAL, get("x"), get("x"))
    yield refused("1 validation error detected: " + ENUM_CAPACITY, get("x"), get("x"), ReturnConsumedCapacity="BOGUS")
    no_key = {"TransactItems": [{"Get": {"TableName": "S_T", "Key": {}}}]}
    yield cancelled(source, operation, no_key, reason("ValidationError", MISMATCH))
    items = [get("there"), get("nobody"), get("there-2", ProjectionExpression="val")]
    found = [{"Item": {**key("there"), "val": {"S": "here"}}}, {}, {"Item": {"val": {"S": "here"}}}]
    units = {"CapacityUnits": 6.0, "ReadCapacityUnits": 6.0}
    capacity = [{"TableName": "S_T", **units, "Table": units}]
    yield Golden(source, operation, {"TransactItems": items, "ReturnConsumedCapacity": "INDEXES"},
                 {"Responses": found, "ConsumedCapacity": capacity})  # fmt: skip


def transaction(source: str, statements: list[str], message: str, **more: Any) -> Golden:
    members = [{"Statement": statement, **more} for statement in statements]
    expected = {"Message": message}
    return Golden(source, "ExecuteTransaction", {"TransactStatements": members}, expected, "ValidationException")


def stopped(source: str, statements: list[str], *reasons: dict[str, Any]) -> Golden:
    members = [{"Statement": statement} for statement in statements]
    return cancelled(source, "ExecuteTransaction", {"TransactStatements": members}, *reasons)


def statement_goldens() -> Iterator[Golden]:
    source = "floci-edges"
    one = "SELECT * FROM C_T WHERE pk='r' AND sk='1'"
    to_give_key = IN_FIRST + TO_GIVE_KEY.format("ExecuteTransaction")
    for where in ("pk='r' AND sk='1' AND flag='one'", "pk='r' AND sk='1' AND pk='x'", "pk='r'",
                  "pk IN ['other'] AND pk='r' AND sk='1'"):  # fmt: skip
        yield transaction(source, [f"SELECT * FROM C_T WHERE {where}"], to_give_key)
    yield transaction(source, [one, "SELECT a FROM C_T WHERE sk='1' AND pk='r'"], SEVERAL)
    bad = "SELECT * FROM C_T WHERE pk=1 AND sk='1'"
    yield stopped(source, [one, one, bad], NONE, NONE, reason("ValidationError", MISMATCH))
    overlapping = "Overlapping conditions with range keys are not supported in where clause"
    yield transaction(source, ["SELECT * FROM C_T WHERE pk IN ['r','r'] AND sk='1'"], IN_FIRST + overlapping)
    exists = "EXISTS(SELECT * FROM C_T WHERE {})"
    touch = "UPDATE C_T SET b=1 WHERE pk='r' AND sk='2'"
    more = IN_FIRST + "EXISTS() must contain a single item read with additional condition"
    yield transaction(source, [exists.format("pk IN ['r'] AND sk='1' AND flag='one'"), touch], more)
    yield transaction(source, [exists.format("pk='r' AND sk='1'"), touch], more)
    first = exists.format("pk='r' AND sk='1' AND pk='other' AND flag='one'")
    yield stopped(source, [first, touch], FAILED, NONE)
    missing = "UPDATE missing_table SET a=1 WHERE pk='x' AND sk='1'"
    nowhere = reason("ResourceNotFound", NOT_FOUND)
    drop = "DELETE FROM missing_table WHERE pk='x' AND sk='1'"
    yield stopped(source, [missing + " RETURNING ALL NEW *", drop], nowhere, nowhere)
    yield stopped(source, [one, "SELECT * FROM missing_table.\"idx\" WHERE pk='x'"], NONE, nowhere)
    returning = "RETURNING clause is not supported in ExecuteTransaction."
    yield transaction(source, [missing, touch + " RETURNING ALL NEW *"],
                      f"Validation failed in TransactStatements[1]: {returning}")  # fmt: skip
    yield transaction(source, [touch + " RETURNING ALL NEW *"], IN_FIRST + returning)
    on_index = "Reads on indices are not supported within transactions."
    yield transaction("nubo-statement-transactions", ["SELECT * FROM C_T.\"gsi\" WHERE g = 'x'"], IN_FIRST + on_index)
    update_where = "UPDATE C_T SET a=1 WHERE "
    mismatch = reason("ValidationError", MISMATCH)
    yield stopped(source, [update_where + "pk='r'", update_where + "pk IN ['r'] AND sk='1'",
                           update_where + "pk='r' AND sk=1", update_where + "pk='r' AND sk='1'"],
                  mismatch, mismatch, mismatch, NONE)  # fmt: skip
    insert = "INSERT INTO C_T VALUE {'pk':'keys-insert'}"
    no_sort_key = "One or more parameter values were invalid: Missing the key sk in the item"
    yield stopped(source, [insert, "DELETE FROM C_T WHERE sk='1'"], reason("ValidationError", no_sort_key), mismatch)
    yield stopped(source, ["SELECT * FROM C_T WHERE pk='r' AND sk=1"], mismatch)
    duplicates = "One or more parameter values were invalid: Input collection [a, a] contains duplicates."
    bag = "INSERT INTO C_T VALUE {'pk':'bags-tx','sk':'1','x':[<<'a','a'>>]}"
    yield transaction(source, [bag], IN_FIRST + duplicates)
    number = "The parameter cannot be converted to a numeric value: 1e99999999999"
    unconvertible = {"Parameters": [{"N": "1e99999999999"}]}
    yield transaction("parity-numbers", ["UPDATE C_T SET n = ? WHERE pk = 'r' AND sk = '1'"], number, **unconvertible)
    mixed = "ExecuteTransaction API does not support both read and write operations in the same request."
    yield transaction("floci-documented", [one, touch], mixed)
    well_formed = "Statement wasn't well formed, can't be processed: Unexpected term"
    yield transaction("parity-grammar", ["SELECT * FROM C_T WHERE"], IN_FIRST + well_formed)
    insert_twice = "INSERT INTO C_T VALUE {'pk':'r','sk':'1'}"
    yield stopped("nubo-statement-transactions", [insert_twice, touch], reason("DuplicateItem", DUPLICATE), NONE)
    missed = exists.format("pk='r' AND sk='1' AND flag IS MISSING")
    yield stopped("floci-documented", [missed, touch], FAILED, NONE)
    members = [{"Statement": touch}]
    units = {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}
    yield Golden("parity-writes", "ExecuteTransaction",
                 {"TransactStatements": members, "ReturnConsumedCapacity": "TOTAL"},
                 {"Responses": [], "ConsumedCapacity": [{"TableName": "C_T", **units}]})  # fmt: skip
    reads = [{"Statement": "SELECT flag FROM C_T WHERE pk IN ['r'] AND sk IN ['1']"},
             {"Statement": "SELECT * FROM C_T WHERE pk='r' AND sk='none'"}]  # fmt: skip
    yield Golden(source, "ExecuteTransaction", {"TransactStatements": reads},
                 {"Responses": [{"Item": {"flag": {"S": "one"}}}, {}]})  # fmt: skip


def batch(source: str, members: list[str | tuple[str, list[Any]]], *responses: dict[str, Any]) -> Golden:
    statements = [
        {"Statement": each} if isinstance(each, str) else {"Statement": each[0], "Parameters": each[1]}
        for each in members
    ]
    return Golden(source, "BatchExecuteStatement", {"Statements": statements}, {"Responses": list(responses)})


def batch_goldens() -> Iterator[Golden]:
    source = "nubo-batches"

    def failed(message: str, code: str = "ValidationError", **more: Any) -> dict[str, Any]:
        return {"Error": reason(code, message), **more}

    to_give_key = failed(TO_GIVE_KEY.format("BatchExecuteStatement"))
    there = {"TableName": "S_T", "Item": {**key("there"), "val": {"S": "here"}}}
    one = "SELECT * FROM S_T WHERE pk = 'there'"
    yield batch(source, [one, "SELECT * FROM nowhere_t WHERE pk = 'x'"], there, failed(NOT_FOUND, "ResourceNotFound"))
    yield batch(source, ["SELECT * FROM S_T WHERE val = 'nope'", one], to_give_key, there)
    yield batch(source, ["SELECT * FROM C_T.\"gsi\" WHERE g = 'x'"], to_give_key)
    yield batch(source, ["SELECT * FROM C_T.\"gsi\" WHERE pk = 'r' AND sk = '1' AND g = 'x'"], to_give_key)
    malformed = failed("Statement wasn't well formed, can't be processed: Expected data manipulation")
    yield batch(source, ["SLECT * FROM S_T WHERE pk = 'there'", one], malformed, there)
    variant = (
        "Invalid returning clause: RETURNING MODIFIED OLD *. Only RETURNING ALL OLD * is allowed in DELETE statements."
    )
    yield batch(source, ["DELETE FROM S_T WHERE pk = 'x' RETURNING MODIFIED OLD *"], failed(variant))
    wrong = ("UPDATE S_T SET touched = 'yes' WHERE pk = ? AND val = ?", [{"S": "there"}, {"S": "wrong"}])
    yield batch(source, [wrong], failed(CONDITION, "ConditionalCheckFailed", TableName="S_T"))
    again = ("INSERT INTO S_T VALUE {'pk': ?}", [{"S": "there"}])
    yield batch(source, [again], failed(DUPLICATE, "DuplicateItem", TableName="S_T"))
    multi = (
        "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
    )
    yield batch("parity-multi", ["SELECT * FROM M_T.\"gsi\" WHERE h1 = 'a' AND h2 = 'x'"], failed(multi))
    edges = "floci-edges"
    select = "SELECT sk FROM C_T WHERE "
    yield batch(edges, [select + "pk IN ['r'] AND sk='1'", select + "pk='r' AND sk='1' AND flag='one'",
                        select + "pk='r' AND sk='1' AND pk='other'"],
                {"TableName": "C_T", "Item": {"sk": {"S": "1"}}}, to_give_key, to_give_key)  # fmt: skip
    many = ",".join(f"'v{n}'" for n in range(51))
    reads = failed("Too many decomposed read operations for a given query.")
    yield batch(edges, [f"{select}pk IN [{many}] AND sk='1'"], reads)
    empty_set = "One or more parameter values were invalid: An string set  may not be empty"
    set_to: tuple[str, list[Any]] = ("UPDATE C_T SET y = ? WHERE pk='r' AND sk='1'", [{"SS": []}])
    yield batch(edges, [set_to], failed(empty_set))
    nested: dict[str, Any] = {"S": "x"}
    for _ in range(31):
        nested = {"M": {"a": nested}}
    deep = ("UPDATE C_T SET m.deep = ? WHERE pk='r' AND sk='1'", [nested])
    yield batch(edges, [deep], failed("Nesting Levels have exceeded supported limits", TableName="C_T"))


GOLDENS = [*write_goldens(), *order_goldens(), *read_goldens(), *statement_goldens(), *batch_goldens()]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    recorded = Recorded(tmp_path_factory.mktemp("recorded"))
    create(recorded, "S_T", "pk:S")
    create(recorded, "B_T", "pk:B")
    create(recorded, "C_T", "pk:S sk:S", more="g:S", GlobalSecondaryIndexes=[index("gsi", "g", None, "ALL")])
    gsi = index("gsi", "h1+h2", "r1", "ALL")
    create(recorded, "M_T", "id:S", more="h1:S h2:S r1:S", GlobalSecondaryIndexes=[gsi])
    for pk in ("there", "there-2"):
        recorded.answer("PutItem", TableName="S_T", Item={**key(pk), "val": {"S": "here"}})
    for sk, flag in (("1", "one"), ("2", "two")):
        item = {**key("r"), "sk": {"S": sk}, "flag": {"S": flag}, "m": {"M": {}}}
        recorded.answer("PutItem", TableName="C_T", Item=item)
    yield recorded
    recorded.close()


@pytest.mark.parametrize("golden", GOLDENS, ids=str)
def test_a_request_is_answered_as_aws_answered_it(recorded: Recorded, golden: Golden) -> None:
    assert golden.source in SOURCES
    recorded.check(golden)


def test_what_was_refused_changed_nothing(recorded: Recorded) -> None:
    for golden in GOLDENS:
        recorded.ask(golden.operation, **golden.request)
    assert recorded.answer("Scan", TableName="S_T", Select="COUNT")["Count"] == 2
    assert recorded.answer("Scan", TableName="C_T", Select="COUNT")["Count"] == 2
    assert recorded.answer("Scan", TableName="B_T", Select="COUNT")["Count"] == 0


@pytest.mark.parametrize("operation", ["TransactWriteItems", "TransactGetItems"])
def test_more_than_a_hundred_actions_are_refused_with_the_request_shown(recorded: Recorded, operation: str) -> None:
    """The request is shown as Java does, of which AWS's own text is longer (nubo-transactions, parity-order)."""
    kind, member = ("Put", "Item") if operation == "TransactWriteItems" else ("Get", "Key")
    actions = [{kind: {"TableName": "S_T", member: key(f"{number}")}} for number in range(101)]
    status, body = recorded.ask(operation, TransactItems=actions)
    pattern = (
        r"1 validation error detected: Value '\[.+\]' at 'transactItems' failed to satisfy constraint: "
        r"Member must have length less than or equal to 100"
    )
    assert status == 400
    assert re.fullmatch(pattern, body["message"], re.DOTALL)
    assert recorded.ask(operation, TransactItems=actions[:100])[0] == 200
    deletes = [{"Delete": {"TableName": "S_T", "Key": key(f"{number}")}} for number in range(100)]
    recorded.answer("TransactWriteItems", TransactItems=deletes)
