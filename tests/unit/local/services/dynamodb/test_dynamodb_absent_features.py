"""What clients ask about features that no table has here.

Texts: ack-api-quirks (DDB-TABLE-097, -187, and its catalogue of ResourceNotFoundException; AWS, 2026-10-08 and 09).
"""

from typing import Any

import pytest

ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/Appointments"
TABLE = {"TableName": "Appointments"}
INDEX = {
    "IndexName": "ByDay",
    "KeySchema": [{"AttributeName": "SK", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


@pytest.fixture
def table(dynamodb_call: Any) -> Any:
    dynamodb_call.create(GlobalSecondaryIndexes=[INDEX])
    return dynamodb_call


def test_contributor_insights_are_off(table: Any) -> None:
    off = {"TableName": "Appointments", "ContributorInsightsStatus": "DISABLED"}
    assert table("DescribeContributorInsights", **TABLE) == off
    assert table("DescribeContributorInsights", TableName=ARN, IndexName="ByDay") == {**off, "IndexName": "ByDay"}
    assert table("ListContributorInsights", **TABLE) == table("ListContributorInsights")
    assert table("ListContributorInsights") == {"ContributorInsightsSummaries": []}


def test_changes_go_to_no_kinesis_stream(table: Any) -> None:
    none = {"TableName": "Appointments", "KinesisDataStreamDestinations": []}
    assert table("DescribeKinesisStreamingDestination", **TABLE) == none


def test_neither_tables_nor_streams_have_policies(table: Any) -> None:
    stream = table("DescribeTable", **TABLE)["Table"]["LatestStreamArn"]
    for arn in (ARN, stream):
        assert table.refusal("GetResourcePolicy", ResourceArn=arn) == (
            f"PolicyNotFoundException: Resource-based policy not found for the provided ResourceArn: {arn}"
        )


@pytest.mark.parametrize(
    ("operation", "asked", "refusal"),
    [
        (
            "DescribeContributorInsights",
            {"TableName": "Missing"},
            "ResourceNotFoundException: Requested resource not found: Table: Missing not found",
        ),
        (
            "DescribeContributorInsights",
            {**TABLE, "IndexName": "Missing"},
            "ResourceNotFoundException: Requested resource not found: Index: Missing not found for table: Appointments",
        ),
        (
            "ListContributorInsights",
            {"TableName": "Missing"},
            "ResourceNotFoundException: Requested resource not found: Table: Missing not found",
        ),
        (
            "DescribeKinesisStreamingDestination",
            {"TableName": "Missing"},
            "ResourceNotFoundException: Requested resource not found: Table: Missing not found",
        ),
        (
            "DescribeTableReplicaAutoScaling",
            TABLE,
            "ResourceNotFoundException: Global table with name: 'Appointments' does not exist.",
        ),
        (
            "DescribeGlobalTable",
            {"GlobalTableName": "Appointments"},
            "GlobalTableNotFoundException: Global table with name: 'Appointments' does not exist.",
        ),
        (
            "GetResourcePolicy",
            {"ResourceArn": "Appointments"},
            "ValidationException: One or more parameter values were invalid: ARNs must start with 'arn:': Appointments",
        ),
        (
            "GetResourcePolicy",
            {"ResourceArn": f"{ARN}/backup/1"},
            (
                "ValidationException: One or more parameter values were invalid: "
                f"Provided Arn is not a DynamoDB resource arn: {ARN}/backup/1"
            ),
        ),
        (
            "GetResourcePolicy",
            {"ResourceArn": f"{ARN}s"},
            "ResourceNotFoundException: Requested resource not found: Table: Appointmentss not found",
        ),
        (
            "GetResourcePolicy",
            {"ResourceArn": f"{ARN}/stream/2029"},
            "ResourceNotFoundException: Requested resource not found: Stream: 2029 not found for Table: Appointments",
        ),
    ],
)
def test_what_is_not_there_is_named(table: Any, operation: str, asked: dict[str, str], refusal: str) -> None:
    assert table.refusal(operation, **asked) == refusal


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("ListBackups", "BackupSummaries"),
        ("ListExports", "ExportSummaries"),
        ("ListGlobalTables", "GlobalTables"),
        ("ListImports", "ImportSummaryList"),
    ],
)
def test_there_is_nothing_to_list(table: Any, operation: str, member: str) -> None:
    assert table(operation) == {member: []}
