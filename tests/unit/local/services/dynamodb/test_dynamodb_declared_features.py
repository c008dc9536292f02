"""Resource policies and contributor insights: that they are kept, and with what they go."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from duestream.errors import ValidationException

TABLE = {"TableName": "Appointments"}
ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/Appointments"
ENABLE = {"ContributorInsightsAction": "ENABLE"}
STATEMENT = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
    "Action": "dynamodb:GetItem",
    "Resource": "*",
}
POLICY = msgspec.json.encode({"Version": "2012-10-17", "Statement": [STATEMENT]}).decode()


def index(name: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": "SK", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }


@pytest.fixture
def table(dynamodb_call: Any) -> Any:
    dynamodb_call.create(GlobalSecondaryIndexes=[index("ByDay")])
    return dynamodb_call


def everything(table: Any) -> list[Any]:
    return [
        table("GetResourcePolicy", ResourceArn=ARN),
        table("DescribeContributorInsights", **TABLE),
        table("DescribeContributorInsights", **TABLE, IndexName="ByDay"),
        table("ListContributorInsights"),
    ]


def test_they_stay_through_changes_of_the_table_and_in_the_data_folder(table: Any) -> None:
    table("PutResourcePolicy", ResourceArn=ARN, Policy=POLICY)
    table("UpdateContributorInsights", **TABLE, **ENABLE)
    table("UpdateContributorInsights", **TABLE, **ENABLE, IndexName="ByDay", ContributorInsightsMode="THROTTLED_KEYS")
    before = everything(table)
    assert len(before[-1]["ContributorInsightsSummaries"]) == 2
    units = {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
    updates = [{"Update": {"IndexName": "ByDay", **units}}]
    table("UpdateTable", **TABLE, BillingMode="PROVISIONED", **units, GlobalSecondaryIndexUpdates=updates)
    table("UpdateTable", **TABLE, BillingMode="PAY_PER_REQUEST")
    table("TagResource", ResourceArn=ARN, Tags=[{"Key": "team", "Value": "desk"}])
    table("UpdateTable", **TABLE, StreamSpecification={"StreamEnabled": False})
    assert everything(table) == before
    table.reopen()
    assert everything(table) == before


def test_they_go_with_the_table_and_the_index(table: Any) -> None:
    table("PutResourcePolicy", ResourceArn=ARN, Policy=POLICY)
    table("UpdateContributorInsights", **TABLE, **ENABLE)
    table("UpdateContributorInsights", **TABLE, **ENABLE, IndexName="ByDay")
    table("UpdateTable", **TABLE, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "ByDay"}}])
    assert [one.get("IndexName") for one in table("ListContributorInsights")["ContributorInsightsSummaries"]] == [None]
    old_stream = table("DescribeTable", **TABLE)["Table"]["LatestStreamArn"]
    table("DeleteTable", **TABLE)
    table.clock.tick(timedelta(seconds=1))
    table.create(GlobalSecondaryIndexes=[index("ByDay")])
    assert table("ListContributorInsights") == {"ContributorInsightsSummaries": []}
    for arn in (ARN, old_stream):
        assert table.refusal("GetResourcePolicy", ResourceArn=arn).startswith("PolicyNotFoundException")
    # A stream of the table that was there before is none of the present one's.
    refusal = table.refusal("PutResourcePolicy", ResourceArn=old_stream, Policy=POLICY)
    assert refusal.startswith("ResourceNotFoundException: Requested resource not found: Stream: ")


def test_a_revision_is_later_than_the_one_before_though_the_clock_stands(table: Any) -> None:
    other = POLICY.replace("GetItem", "PutItem")
    revisions = [
        table("PutResourcePolicy", ResourceArn=ARN, Policy=POLICY)["RevisionId"],
        table("PutResourcePolicy", ResourceArn=ARN, Policy=other)["RevisionId"],
    ]
    table("DeleteResourcePolicy", ResourceArn=ARN)
    revisions += [
        table("DeleteResourcePolicy", ResourceArn=ARN)["RevisionId"],
        table("PutResourcePolicy", ResourceArn=ARN, Policy=POLICY)["RevisionId"],
    ]
    assert revisions == sorted(set(revisions))


def test_no_table_is_made_with_what_is_no_policy(dynamodb_call: Any) -> None:
    for document in ("", "{", POLICY.ljust(20481)):
        with pytest.raises(ValidationException, match="policy"):
            dynamodb_call.create(ResourcePolicy=document)
    assert dynamodb_call("ListTables") == {"TableNames": []}


def test_insights_of_an_index_that_is_built_wait_for_it(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Source of the text: ack-api-quirks, DDB-TABLE-116 (AWS, 2026-10-08)."""
    monkeypatch.setattr("duestream.local.store.index_building.build_step", lambda tx: False)
    table(
        "UpdateTable",
        **TABLE,
        AttributeDefinitions=[{"AttributeName": "SK", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": index("New")}],
    )
    assert table.refusal("UpdateContributorInsights", **TABLE, **ENABLE, IndexName="New") == (
        "ValidationException: Table or Index is not in a valid state to update Key Access Insights: "
        "IndexStatus must be ACTIVE to enable ContributorInsights."
    )
    off = table("DescribeContributorInsights", **TABLE, IndexName="New")
    assert off["ContributorInsightsStatus"] == "DISABLED"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_pages_have_each_entry_once_in_order(dynamodb_call: Any, size: int) -> None:
    expected = []
    for name in ("Alpha", "Beta", "Gamma"):
        dynamodb_call.create(name, GlobalSecondaryIndexes=[index("ByDay"), index("ByAge")])
        dynamodb_call("UpdateContributorInsights", TableName=name, **ENABLE, IndexName="ByDay")
        expected.append((name, "ByDay"))
        if name != "Beta":
            dynamodb_call("UpdateContributorInsights", TableName=name, **ENABLE)
            expected.append((name, ""))
    got: list[tuple[str, str]] = []
    token: dict[str, str] = {}
    while True:
        page = dynamodb_call("ListContributorInsights", MaxResults=size, **token)
        entries = page["ContributorInsightsSummaries"]
        assert 0 < len(entries) <= size
        got += [(one["TableName"], one.get("IndexName", "")) for one in entries]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert got == sorted(expected)
