"""What AWS answers to operations on tables, tags and Time to Live, and to reads in transactions.

Sources, each read as facts about AWS:
    tables    nubo-db/dynamodb-conformance, ``tier1/createTable``, ``tier1/updateTable``, ``tier2/updateTable``;
              eu-west-2; 2026-06 to 2026-08
    texts     the same, ``error-messages/createTable``; eu-west-2; 2026-06
    order     paritysuite/dynamodb-conformance, ``validation-ordering/createTable``; eu-west-2, us-east-1; 2026-10-09
    names     the same, ``registry/suite-manifest.json``: what each case says of AWS; eu-west-2; 2026-09-11
    tags      nubo-db/dynamodb-conformance, ``tier2/tags``; eu-west-2; 2026-08. The text of a denial: dynalite
"""

from itertools import count
from typing import Any

import pytest

INVALID = "One or more parameter values were invalid: "
THROUGHPUT = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST"}
_numbers = count()


def new_name() -> str:
    return f"table-{next(_numbers)}"


def s(text: str) -> dict[str, str]:
    return {"S": text}


def definitions(declared: str) -> list[dict[str, str]]:
    """Such as ``pk:S sk:N``."""
    return [dict(zip(("AttributeName", "AttributeType"), each.split(":"), strict=True)) for each in declared.split()]


def keys(*names: str) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE", "RANGE")
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)]


def index(name: str, *key: str, projection: str = "ALL", **more: Any) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": keys(*key), "Projection": {"ProjectionType": projection}, **more}


def table(declared: str, *key: str, **more: Any) -> dict[str, Any]:
    billing = {} if "BillingMode" in more or "ProvisionedThroughput" in more else ON_DEMAND
    return {
        "TableName": new_name(),
        "AttributeDefinitions": definitions(declared),
        "KeySchema": keys(*key),
        **billing,
        **more,
    }


def made(db: Any, declared: str, *key: str, **more: Any) -> str:
    request = table(declared, *key, **more)
    db("CreateTable", **request)
    name: str = request["TableName"]
    return name


def described(db: Any, name: str) -> Any:
    return db("DescribeTable", TableName=name)["Table"]


# ---- CreateTable ---------------------------------------------------------------------------------


def too_short(name: str, kind: str) -> str:
    return (
        f"Value '{name}' at '{kind}.1.member.indexName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 3"
    )


#: Request and text.
REFUSED: list[tuple[dict[str, Any], str]] = [
    # texts
    (
        table("pk:S", "pk", TableName="ab"),
        (
            "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: "
            "Member must have length greater than or equal to 3"
        ),
    ),
    (table("pk:S", "pk", "pk"), "Invalid KeySchema: Some index key attribute have no definition"),
    (
        table("pk:S", KeySchema=[{"AttributeName": "pk", "KeyType": "INVALID"}]),
        (
            "1 validation error detected: Value 'INVALID' at 'keySchema.1.member.keyType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [HASH, RANGE]"
        ),
    ),
    (
        table("pk:INVALID", "pk"),
        (
            "1 validation error detected: Value 'INVALID' at 'attributeDefinitions.1.member.attributeType' failed to "
            "satisfy constraint: Member must satisfy enum value set: [B, N, S]"
        ),
    ),
    (
        table("pk:S sk:S tk:S", "pk", "sk", "tk"),
        (
            "1 validation error detected: Value '[KeySchemaElement(attributeName=pk, keyType=HASH), "
            "KeySchemaElement(attributeName=sk, keyType=RANGE), KeySchemaElement(attributeName=tk, keyType=RANGE)]' at "
            "'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2"
        ),
    ),
    (
        table("pk:S l:S", "pk", LocalSecondaryIndexes=[index("lsi1", "pk", "l")]),
        INVALID + "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
    ),
    (
        table("pk:S a:S b:S", "pk", GlobalSecondaryIndexes=[index("same", "a"), index("same", "b")]),
        INVALID + "Duplicate index name: same",
    ),
    # order: global indexes first, whatever the request lists first and whatever the names sort to
    (
        table(
            "pk:S sk:S",
            "pk",
            "sk",
            LocalSecondaryIndexes=[index("l1", "pk", "lr")],
            GlobalSecondaryIndexes=[index("g1", "gh")],
        ),
        (
            "2 validation errors detected: "
            f"{too_short('g1', 'globalSecondaryIndexes')}; {too_short('l1', 'localSecondaryIndexes')}"
        ),
    ),
    (
        table(
            "pk:S sk:S",
            "pk",
            "sk",
            LocalSecondaryIndexes=[index("aa", "pk", "lr")],
            GlobalSecondaryIndexes=[index("zz", "gh")],
        ),
        (
            "2 validation errors detected: "
            f"{too_short('zz', 'globalSecondaryIndexes')}; {too_short('aa', 'localSecondaryIndexes')}"
        ),
    ),
    # names: that they are refused
    (
        table("pk:S", "pk", **ON_DEMAND, ProvisionedThroughput=THROUGHPUT),
        INVALID
        + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    ),
    (
        table("pk:S g:S", "pk", GlobalSecondaryIndexes=[index("gsi1", "g", projection="INCLUDE")]),
        INVALID + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
    ),
    (
        table("pk:S sk:S l:S", "pk", "sk", LocalSecondaryIndexes=[index("lsi1", "pk", "l", projection="INCLUDE")]),
        INVALID + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
    ),
]


@pytest.mark.parametrize(("request_", "text"), REFUSED)
def test_a_table_that_cannot_be_is_refused_in_awss_words(db: Any, request_: dict[str, Any], text: str) -> None:
    assert db.refusal("CreateTable", **request_) == text


def test_a_table_without_a_name_is_refused(db: Any) -> None:
    """Source: texts."""
    request = table("pk:S", "pk")
    del request["TableName"]
    assert db.refusal("CreateTable", **request) == (
        "The parameter 'TableName' is required but was not present in the request"
    )


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        # order: what is named, not how
        ({"TableName": "", "KeySchema": [], "AttributeDefinitions": []}, "tableName"),
        ({"TableName": "x!", "KeySchema": [], "AttributeDefinitions": definitions("pk:S")}, "tableName"),
        (table("pk:S", "pk", BillingMode="INVALID_MODE"), "billingMode"),
        (table("pk:S", "pk", BillingMode="INVALID_MODE"), "[PROVISIONED, PAY_PER_REQUEST]"),
        # tables
        (table("pk:S", "pk", StreamSpecification={"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}), "stream"),
        (table("pk:S e:N", "pk"), INVALID),
        (table("pk:S", "pk", TableName="a" * 256), "tableName"),
        (table("pk:S", "pk", TableName="invalid;name"), "tableName"),
    ],
)
def test_a_refusal_names_what_is_wrong(db: Any, request_: dict[str, Any], word: str) -> None:
    assert word in db.refusal("CreateTable", **request_)


@pytest.mark.parametrize(
    ("declared", "shown"),
    [
        ({"DeletionProtectionEnabled": True}, {"DeletionProtectionEnabled": True}),
        ({}, {"DeletionProtectionEnabled": False}),
        (
            {"OnDemandThroughput": {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 5}},
            {"OnDemandThroughput": {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 5}},
        ),
    ],
)
def test_a_table_is_described_as_it_was_declared(db: Any, declared: dict[str, Any], shown: dict[str, Any]) -> None:
    """Source: tables."""
    description = described(db, made(db, "pk:S", "pk", **declared))
    assert {name: description.get(name) for name in shown} == shown


def test_a_table_has_an_id_that_stays(db: Any) -> None:
    """Source: names."""
    request = table("pk:S", "pk")
    made_id = db("CreateTable", **request)["TableDescription"]["TableId"]
    assert described(db, request["TableName"])["TableId"] == described(db, request["TableName"])["TableId"] == made_id


def test_encryption_with_a_key_of_kms_is_shown_and_awss_own_is_not(db: Any) -> None:
    """Source: tables."""
    encrypted = described(db, made(db, "pk:S", "pk", SSESpecification={"Enabled": True}))["SSEDescription"]
    assert (encrypted["Status"], encrypted["SSEType"]) == ("ENABLED", "KMS")
    assert encrypted["KMSMasterKeyArn"].startswith("arn:aws:kms:")
    assert "SSEDescription" not in described(db, made(db, "pk:S", "pk"))


# ---- UpdateTable ---------------------------------------------------------------------------------


def creation(new_index: dict[str, Any], declared: str) -> dict[str, Any]:
    return {"AttributeDefinitions": definitions(declared), "GlobalSecondaryIndexUpdates": [{"Create": new_index}]}


@pytest.mark.parametrize(
    ("declared", "attributes"),
    [
        ("h:S g:N", {"pk": "S", "g": "S", "h": "S"}),  # what is declared otherwise stays what it was
        ("h:S z:N", {"pk": "S", "g": "S", "h": "S"}),  # what no key needs is not kept
    ],
)
def test_an_index_is_made_with_the_attributes_it_needs(db: Any, declared: str, attributes: dict[str, str]) -> None:
    """Source: names."""
    name = made(db, "pk:S g:S", "pk", GlobalSecondaryIndexes=[index("first", "g")])
    answer = db("UpdateTable", TableName=name, **creation(index("second", "h"), declared))["TableDescription"]
    assert {each["AttributeName"]: each["AttributeType"] for each in answer["AttributeDefinitions"]} == attributes
    kept = {each["AttributeName"]: each["AttributeType"] for each in described(db, name)["AttributeDefinitions"]}
    assert kept == attributes


@pytest.mark.parametrize(
    "update",
    [
        creation(index("second", "h", "sk"), "h:S"),  # names: sk is the table's, but is not declared in the request
        creation(index("second", "h"), ""),
        creation(index("first", "g"), "g:S"),
        {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": THROUGHPUT},
        {"ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 5}},
    ],
)
def test_an_update_that_cannot_be_is_refused(db: Any, update: dict[str, Any]) -> None:
    """Source: tables."""
    name = made(db, "pk:S sk:S g:S", "pk", "sk", GlobalSecondaryIndexes=[index("first", "g")])
    assert db.refusal("UpdateTable", TableName=name, **update)


def test_throughput_that_is_there_already_is_refused_and_on_demand_is_not(db: Any) -> None:
    """Source: tables."""
    provisioned = made(db, "pk:S", "pk", ProvisionedThroughput=THROUGHPUT)
    assert db.refusal("UpdateTable", TableName=provisioned, BillingMode="PROVISIONED", ProvisionedThroughput=THROUGHPUT)
    db("UpdateTable", TableName=made(db, "pk:S", "pk"), **ON_DEMAND)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("UpdateTable", {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "no-index"}}]}),
        ("UpdateTable", {"TableName": "no-table", "ProvisionedThroughput": THROUGHPUT}),
        ("DeleteTable", {"TableName": "no-table"}),
        ("DescribeTable", {"TableName": "no-table"}),
        ("DescribeTimeToLive", {"TableName": "no-table"}),
        (
            "UpdateTimeToLive",
            {"TableName": "no-table", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ttl"}},
        ),
    ],
)
def test_what_is_not_there_is_not_found(db: Any, operation: str, request_: dict[str, Any]) -> None:
    """Source: tables."""
    answer = db.send(operation, {"TableName": "Hash", **request_})
    assert (answer.status, answer.code) == (400, "ResourceNotFoundException")


def test_a_protected_table_stays(db: Any) -> None:
    """Source: tables."""
    name = made(db, "pk:S", "pk", DeletionProtectionEnabled=True)
    assert "protected against deletion" in db.refusal("DeleteTable", TableName=name)
    db("UpdateTable", TableName=name, DeletionProtectionEnabled=False)
    assert db("DeleteTable", TableName=name)["TableDescription"]["TableName"] == name


# ---- Time to Live, tags --------------------------------------------------------------------------


def test_time_to_live_is_off_until_it_is_switched_on(db: Any) -> None:
    """Source: tables (``tier2/ttl``)."""
    name = made(db, "pk:S", "pk")
    assert db("DescribeTimeToLive", TableName=name) == {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    wanted = {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ttl"}}
    assert db("UpdateTimeToLive", TableName=name, **wanted) == wanted
    description = db("DescribeTimeToLive", TableName=name)["TimeToLiveDescription"]
    assert description["AttributeName"] == "ttl"
    assert description["TimeToLiveStatus"] in ("ENABLED", "ENABLING")


def test_tags_of_another_account_are_denied_and_of_no_table_not_found(db: Any) -> None:
    """Source: tags. Ours is account 000000000000; AWS's recorder was another one."""
    foreign = "arn:aws:dynamodb:eu-west-1:123456789012:table/no-table"
    denied = db.send("ListTagsOfResource", {"ResourceArn": foreign})
    assert (denied.status, denied.code) == (400, "AccessDeniedException")
    assert denied.body["__type"] == "com.amazon.coral.service#AccessDeniedException"
    assert denied.body["Message"] == (
        "User: arn:aws:iam::000000000000:root is not authorized to perform: "
        f"dynamodb:ListTagsOfResource on resource: {foreign}"
    )
    own = db.send("ListTagsOfResource", {"ResourceArn": foreign.replace("123456789012", "000000000000")})
    assert own.code == "ResourceNotFoundException"
    assert db.refusal("TagResource", ResourceArn="not-an-arn", Tags=[{"Key": "env", "Value": "test"}])


# ---- transactions --------------------------------------------------------------------------------


def test_a_get_in_a_transaction_of_nothing_that_is_there_has_no_item(db: Any) -> None:
    """Source: names. GetItem and BatchGetItem answer an empty item there."""
    db("PutItem", TableName="Hash", Item={"pk": s("transact"), "a": s("x")})
    asked = {"ProjectionExpression": "nothing"}
    key = {"pk": s("transact")}
    get = {"Get": {"TableName": "Hash", "Key": key, **asked}}
    assert db("TransactGetItems", TransactItems=[get])["Responses"] == [{}]
    assert db("GetItem", TableName="Hash", Key=key, **asked) == {"Item": {}}
    assert db("BatchGetItem", RequestItems={"Hash": {"Keys": [key], **asked}})["Responses"] == {"Hash": [{}]}


def test_a_transaction_that_is_sent_again_costs_what_reading_its_items_costs(db: Any) -> None:
    """Source: names, and nubo-db's ``tier2/transactions`` (eu-west-2, 2026-08): 2 a kB written, 2 every 4 kB read."""
    put = {"Put": {"TableName": "Hash", "Item": {"pk": s("again"), "v": s("x" * 1536)}}}
    request = {"TransactItems": [put], "ClientRequestToken": "again", "ReturnConsumedCapacity": "TOTAL"}
    written = {"TableName": "Hash", "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}
    read = {"TableName": "Hash", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}
    assert db("TransactWriteItems", **request)["ConsumedCapacity"] == [written]
    assert db("TransactWriteItems", **request)["ConsumedCapacity"] == [read]
