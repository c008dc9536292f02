"""What AWS answers about resource policies and contributor insights, which are kept and shown here, and about the Kinesis
destinations of a table without any.

Sources, each read as facts about AWS:
    quirks    ack-api-quirks, the finding named beside each case; us-west-2; 2026-10-08 and 09
    moto      getmoto/moto, ``tests/test_dynamodb/test_dynamodb_resource_policy.py``, marked as verified on AWS; 2026
    suite     nubo-db/dynamodb-conformance, ``tier2/resourcePolicy`` and ``tier2/contributorInsights``; 2026-06
"""

from itertools import count
from typing import Any

import msgspec
import pytest

INVALID = "One or more parameter values were invalid: "
DOCUMENT = f"{INVALID}Invalid policy document: "
UNBOUNDED = (
    "Resource-based policy grants unbounded access in one or more elements. "
    "Please revise the policy to ensure least-privilege form of access"
)
NOT_FOUND = "Resource-based policy not found for the provided ResourceArn: "
ACCOUNT = "000000000000"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
_numbers = count()


def arn_of(name: str) -> str:
    return f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/{name}"


@pytest.fixture
def name(db: Any) -> str:
    """A table of its own, with a stream and a global and a local index."""
    new = f"declared-{next(_numbers)}"
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    projection = {"Projection": {"ProjectionType": "ALL"}}
    db.create(
        new,
        [("pk", "S"), ("sk", "S")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        GlobalSecondaryIndexes=[{"IndexName": "gsi1", "KeySchema": keys[:1], **projection}],
        LocalSecondaryIndexes=[{"IndexName": "lsi1", "KeySchema": keys, **projection}],
    )
    return new


def statement(**members: Any) -> dict[str, Any]:
    return {
        "Sid": "one",
        "Effect": "Allow",
        "Principal": {"AWS": ROOT},
        "Action": "dynamodb:GetItem",
        "Resource": arn_of("any"),
        **members,
    }


def document(*statements: dict[str, Any], **members: Any) -> str:
    policy = {"Version": "2012-10-17", **members, "Statement": [*(statements or [statement()])]}
    return msgspec.json.encode(policy).decode()


def refusal(db: Any, operation: str, **body: Any) -> tuple[str, str]:
    answer = db.send(operation, body)
    assert answer.status == 400, answer
    return answer.code, answer.message


# ---- Policies: the document ----------------------------------------------------------------------


#: A statement as it is sent, and as it comes back (quirks, DDB-TABLE-208 and -352 to -355).
STATEMENTS = [
    (statement(), statement()),
    (statement(Action=["dynamodb:GetItem"], Resource=[arn_of("any")]), statement()),
    (dict(reversed(statement().items())), statement()),
    (statement(Principal={"AWS": ACCOUNT}), statement()),
    (statement(Principal={"AWS": [ACCOUNT, ROOT]}), statement()),
    (statement(Effect="allow"), statement()),
    *[
        (kept, kept)
        for kept in (
            statement(Action=["dynamodb:Query", "dynamodb:GetItem"]),
            statement(Action=["dynamodb:GetItem", "dynamodb:GetItem"]),
            statement(Action="dynamodb:getitem"),
            statement(Resource=[f"{arn_of('any')}/index/*", arn_of("any")]),
            statement(Resource="*"),
            statement(Effect="Deny", Principal="*"),
        )
    ],
    (
        statement(Condition={"StringEquals": {"aws:PrincipalAccount": [ACCOUNT]}}),
        statement(Condition={"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}),
    ),
]


@pytest.mark.parametrize(("sent", "kept"), STATEMENTS)
def test_a_policy_comes_back_in_one_form(db: Any, name: str, sent: dict[str, Any], kept: dict[str, Any]) -> None:
    revision = db("PutResourcePolicy", ResourceArn=arn_of(name), Policy=document(sent))["RevisionId"]
    assert db("GetResourcePolicy", ResourceArn=arn_of(name)) == {"Policy": document(kept), "RevisionId": revision}
    # What came back is the same policy (DDB-TABLE-351).
    again = db("PutResourcePolicy", ResourceArn=arn_of(name), Policy=document(kept))
    assert again["RevisionId"] == revision


def test_white_space_order_and_a_single_statement_make_no_difference(db: Any, name: str) -> None:
    """Quirks, DDB-TABLE-207, -208 and -355; a text of up to 20,480 bytes is taken (-211)."""
    spread = msgspec.json.format(msgspec.json.encode({"Statement": statement(), "Version": "2012-10-17"}), indent=4)
    revision = db("PutResourcePolicy", ResourceArn=arn_of(name), Policy=spread.decode().ljust(20480))["RevisionId"]
    assert db("GetResourcePolicy", ResourceArn=arn_of(name))["Policy"] == document()
    assert db("PutResourcePolicy", ResourceArn=arn_of(name), Policy=document())["RevisionId"] == revision


def test_a_policy_without_a_version_is_shown_with_the_first_and_is_another_than_that(db: Any, name: str) -> None:
    """Quirks, DDB-TABLE-354."""
    sent = msgspec.json.encode({"Statement": [statement()]}).decode()
    first = db("PutResourcePolicy", ResourceArn=arn_of(name), Policy=sent)["RevisionId"]
    got = db("GetResourcePolicy", ResourceArn=arn_of(name))["Policy"]
    assert got == document(Version="2008-10-17")
    assert db("PutResourcePolicy", ResourceArn=arn_of(name), Policy=sent)["RevisionId"] == first
    assert db("PutResourcePolicy", ResourceArn=arn_of(name), Policy=got)["RevisionId"] > first


@pytest.mark.parametrize(
    ("sent", "text"),
    [  # quirks, DDB-TABLE-211 and -356
        ("{not json", f"{DOCUMENT}This policy contains invalid Json"),
        ("", f"{DOCUMENT}This policy contains invalid Json"),
        ('{"Version":"2012-10-17","Statement":[]}', f"{DOCUMENT}Could not parse the policy: Statement is empty!"),
        (document().ljust(21504), f"{INVALID}Maximum policy size of 20480 bytes exceeded"),
        (
            document(*[statement(Sid=f"s{n}") for n in range(150)]),
            f"{INVALID}Maximum policy size of 20480 bytes exceeded",
        ),
        (
            document({k: v for k, v in statement().items() if k != "Resource"}),
            f"{DOCUMENT}Missing required field Resource",
        ),
        (document(statement(), statement()), f"{DOCUMENT}The Statement Ids in the policy are not unique"),
        (document(statement(Principal="*")), UNBOUNDED),
        (document(statement(Principal={"AWS": "*"})), UNBOUNDED),
        (
            document(statement(Action=["dynamodb:GetRecords"])),
            f'{DOCUMENT}The following action names are invalid: "dynamodb:GetRecords"',
        ),
    ],
)
def test_a_document_is_refused_and_the_policy_stays(db: Any, name: str, sent: str, text: str) -> None:
    revision = db("PutResourcePolicy", ResourceArn=arn_of(name), Policy=document())["RevisionId"]
    assert db.refusal("PutResourcePolicy", ResourceArn=arn_of(name), Policy=sent) == text
    assert db("GetResourcePolicy", ResourceArn=arn_of(name))["RevisionId"] == revision


# ---- Policies: the resource and its revision ---------------------------------------------------------


def test_without_a_policy_there_is_none_to_get_and_deleting_is_fine(db: Any, name: str) -> None:
    """Moto, suite; quirks, DDB-TABLE-205, where the end of the second text is cut off after "associated"."""
    arn = arn_of(name)
    assert refusal(db, "GetResourcePolicy", ResourceArn=arn) == ("PolicyNotFoundException", f"{NOT_FOUND}{arn}")
    assert db("DeleteResourcePolicy", ResourceArn=arn) == {}
    for operation, more in [("DeleteResourcePolicy", {}), ("PutResourcePolicy", {"Policy": document()})]:
        code, text = refusal(db, operation, ResourceArn=arn, ExpectedRevisionId="123456789", **more)
        assert code == "PolicyNotFoundException"
        assert text.startswith(
            f"{NOT_FOUND}Requested update for policy with revision id 123456789, but table {name} has no associated"
        )


def test_a_change_gives_a_later_revision_and_expects_the_present_one(db: Any, name: str) -> None:
    """Moto; quirks, DDB-TABLE-205, -207 and -209."""
    arn = arn_of(name)
    first = db("PutResourcePolicy", ResourceArn=arn, Policy=document(), ExpectedRevisionId="NO_POLICY")["RevisionId"]
    other = document(statement(Action="dynamodb:PutItem"))
    second = db("PutResourcePolicy", ResourceArn=arn, Policy=other, ExpectedRevisionId=first)["RevisionId"]
    assert len(second) == 13
    assert second > first
    stale = (
        "PolicyNotFoundException",
        (
            f"{NOT_FOUND}Requested update for policy with revision id {first}, "
            f"but the policy associated to target table {name} has revision id {second}."
        ),
    )
    assert refusal(db, "PutResourcePolicy", ResourceArn=arn, Policy=document(), ExpectedRevisionId=first) == stale
    assert refusal(db, "DeleteResourcePolicy", ResourceArn=arn, ExpectedRevisionId=first) == stale
    assert refusal(db, "PutResourcePolicy", ResourceArn=arn, Policy=other, ExpectedRevisionId="NO_POLICY") == (
        "PolicyNotFoundException",
        (
            f"{NOT_FOUND}Requested policy update expecting none to be present for table {name}, "
            f"but a policy exists with revision id {second}."
        ),
    )
    assert db("DeleteResourcePolicy", ResourceArn=arn, ExpectedRevisionId=second) == {"RevisionId": second}
    deletion = db("DeleteResourcePolicy", ResourceArn=arn)["RevisionId"]
    assert deletion > second
    assert db("PutResourcePolicy", ResourceArn=arn, Policy=document())["RevisionId"] > deletion


def test_a_stream_has_a_policy_of_its_own(db: Any, name: str) -> None:
    """Quirks, DDB-TABLE-213; what is left of a stream's after its table is deleted, -214."""
    stream = db("DescribeTable", TableName=name)["Table"]["LatestStreamArn"]
    policy = document(statement(Action="dynamodb:GetRecords", Resource=stream))
    revision = db("PutResourcePolicy", ResourceArn=stream, Policy=policy)["RevisionId"]
    assert refusal(db, "GetResourcePolicy", ResourceArn=arn_of(name))[0] == "PolicyNotFoundException"
    db("PutResourcePolicy", ResourceArn=arn_of(name), Policy=document())
    assert db("GetResourcePolicy", ResourceArn=stream) == {"Policy": policy, "RevisionId": revision}
    db("DeleteTable", TableName=name)
    assert refusal(db, "GetResourcePolicy", ResourceArn=stream) == ("PolicyNotFoundException", f"{NOT_FOUND}{stream}")
    gone = ("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")
    for operation, more in [("Get", {}), ("Put", {"Policy": document()}), ("Delete", {})]:
        assert refusal(db, f"{operation}ResourcePolicy", ResourceArn=arn_of(name), **more) == gone


@pytest.mark.parametrize("operation", ["GetResourcePolicy", "PutResourcePolicy", "DeleteResourcePolicy"])
def test_which_arns_are_refused(db: Any, name: str, operation: str) -> None:
    """Quirks, DDB-TABLE-212; of DeleteResourcePolicy nothing was recorded."""
    more = {"Policy": document()} if operation == "PutResourcePolicy" else {}
    arn = arn_of(name)
    for wrong, text in [
        (name, f"{INVALID}ARNs must start with 'arn:': {name}"),
        (
            arn.replace(ACCOUNT, "111122223333"),
            "This action is only supported by accounts that match the resource owner\u2019s account.",
        ),
        (arn.replace("eu-west-1", "us-east-1"), None),
        (arn.replace("arn:aws:", "arn:aws-cn:"), None),
        (f"{arn}/backup/0170", f"{INVALID}Provided Arn is not a DynamoDB resource arn: {arn}/backup/0170"),
    ]:
        expected = text or f"{INVALID}Invalid resource Arn: {wrong}"
        assert db.refusal(operation, ResourceArn=wrong, **more) == expected
    missing = ("ResourceNotFoundException", f"Requested resource not found: Table: {name.upper()} not found")
    assert refusal(db, operation, ResourceArn=arn_of(name.upper()), **more) == missing
    assert refusal(db, operation, ResourceArn=f"{arn}/stream/2000-01-01T00:00:00.000", **more) == (
        "ResourceNotFoundException",
        f"Requested resource not found: Stream: 2000-01-01T00:00:00.000 not found for Table: {name}",
    )


def test_a_table_may_be_made_with_a_policy_that_its_descriptions_do_not_show(db: Any) -> None:
    """Quirks, DDB-TABLE-233."""
    new = f"declared-{next(_numbers)}"
    db.create(new, [("pk", "S")], ResourcePolicy=document())
    got = db("GetResourcePolicy", ResourceArn=arn_of(new))
    assert got["Policy"] == document()
    assert len(got["RevisionId"]) == 13
    assert not [member for member in db("DescribeTable", TableName=new)["Table"] if "Policy" in member]


# ---- Contributor insights ------------------------------------------------------------------------


def switched(db: Any, name: str, action: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = db("UpdateContributorInsights", TableName=name, ContributorInsightsAction=action, **more)
    return answer


def summary(name: str, status: str, mode: str | None = "ACCESSED_AND_THROTTLED_KEYS", **more: str) -> dict[str, str]:
    kept = {"TableName": name, "ContributorInsightsStatus": status, **more}
    return kept if mode is None else {**kept, "ContributorInsightsMode": mode}


def test_insights_are_off_on_and_off_again(db: Any, name: str) -> None:
    """Suite; quirks, DDB-TABLE-089, -090, -091 and -343. On AWS the list of rules comes along while they are on."""
    never = summary(name, "DISABLED", None)
    assert db("DescribeContributorInsights", TableName=name) == never
    assert switched(db, name, "DISABLE") == never
    assert switched(db, name, "ENABLE") == summary(name, "ENABLING")
    on = db("DescribeContributorInsights", TableName=arn_of(name))
    assert isinstance(on.pop("LastUpdateDateTime"), float | int)
    assert on == summary(name, "ENABLED")
    assert switched(db, name, "ENABLE") == summary(name, "ENABLED")
    assert switched(db, name, "DISABLE") == summary(name, "DISABLING")
    assert switched(db, name, "DISABLE") == summary(name, "DISABLED")
    off = db("DescribeContributorInsights", TableName=name)
    assert off.pop("LastUpdateDateTime")
    assert off == summary(name, "DISABLED")


def test_a_mode_is_changed_by_switching_on_again(db: Any, name: str) -> None:
    """Quirks, DDB-TABLE-092: without a mode the first one is meant; with DISABLE a mode changes nothing."""
    throttled = {"ContributorInsightsMode": "THROTTLED_KEYS"}
    switched(db, name, "ENABLE")
    assert switched(db, name, "ENABLE", **throttled) == summary(name, "ENABLING", "THROTTLED_KEYS")
    assert switched(db, name, "ENABLE") == summary(name, "ENABLING")
    again = switched(db, name, "ENABLE", ContributorInsightsMode="ACCESSED_AND_THROTTLED_KEYS")
    assert again == summary(name, "ENABLED")
    assert switched(db, name, "DISABLE", **throttled) == summary(name, "DISABLING")


def test_the_list_has_what_is_on_the_table_first_and_ends_with_its_last_page(db: Any, name: str) -> None:
    """Quirks, DDB-TABLE-094 and -095."""
    assert db("ListContributorInsights", TableName=name) == {"ContributorInsightsSummaries": []}
    switched(db, name, "ENABLE", IndexName="gsi1")
    switched(db, name, "ENABLE")
    table, index = summary(name, "ENABLED"), summary(name, "ENABLED", IndexName="gsi1")
    first = db("ListContributorInsights", TableName=name, MaxResults=1)
    assert first["ContributorInsightsSummaries"] == [table]
    assert db("ListContributorInsights", TableName=name, MaxResults=1, NextToken=first["NextToken"]) == {
        "ContributorInsightsSummaries": [index]
    }
    everywhere = db("ListContributorInsights")["ContributorInsightsSummaries"]
    assert [one for one in everywhere if one["TableName"] == name] == [table, index]
    switched(db, name, "DISABLE")
    assert db("ListContributorInsights", TableName=name) == {"ContributorInsightsSummaries": [index]}


def test_insights_are_of_tables_and_global_indexes(db: Any, name: str) -> None:
    """Quirks, DDB-TABLE-094 and -097."""
    for index in ("lsi1", "nope"):
        expected = (
            "ResourceNotFoundException",
            f"Requested resource not found: Index: {index} not found for table: {name}",
        )
        asked = {"TableName": name, "IndexName": index}
        assert refusal(db, "DescribeContributorInsights", **asked) == expected
        assert refusal(db, "UpdateContributorInsights", ContributorInsightsAction="ENABLE", **asked) == expected
    missing = ("ResourceNotFoundException", "Requested resource not found: Table: Missing not found")
    assert refusal(db, "DescribeContributorInsights", TableName="Missing") == missing
    assert refusal(db, "ListContributorInsights", TableName="Missing") == missing
    assert refusal(db, "UpdateContributorInsights", TableName="Missing", ContributorInsightsAction="ENABLE") == missing


# ---- Kinesis -------------------------------------------------------------------------------------


def test_a_table_has_no_kinesis_destinations(db: Any, name: str) -> None:
    """Quirks, DDB-TABLE-233 and -236."""
    none = {"TableName": name, "KinesisDataStreamDestinations": []}
    assert db("DescribeKinesisStreamingDestination", TableName=name) == none
    missing = ("ResourceNotFoundException", "Requested resource not found: Table: Missing not found")
    assert refusal(db, "DescribeKinesisStreamingDestination", TableName="Missing") == missing
