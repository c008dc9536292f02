"""EventBridge Scheduler as boto3 sees it: shapes, errors and texts, through the whole server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.integration.conftest import RunningServer

from duestream.local.services.scheduler import group_deletions

pytestmark = pytest.mark.slow

QUEUE = "arn:aws:sqs:eu-central-1:000000000000:reminders"
ROLE = "arn:aws:iam::123456789012:role/scheduler"
DECLARED: dict[str, Any] = {
    "Name": "reminder",
    "ScheduleExpression": "at(2090-01-02T03:04:05)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": QUEUE, "RoleArn": ROLE},
}


@pytest.fixture
def scheduler(server: RunningServer) -> Any:
    return server.client("scheduler")


def refused(call: Callable[..., Any], **parameters: Any) -> tuple[str, int, str]:
    """Code, HTTP status and text of the error."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_a_schedule_lives_from_create_to_delete(scheduler: Any) -> None:
    arn = scheduler.create_schedule(**DECLARED)["ScheduleArn"]
    shown = without_metadata(scheduler.get_schedule(Name="reminder"))
    created_at = shown.pop("CreationDate")
    assert created_at.tzinfo is not None
    assert shown.pop("LastModificationDate") == created_at
    assert shown == {
        **DECLARED,
        "Arn": arn,
        "GroupName": "default",
        "ScheduleExpressionTimezone": "UTC",
        "State": "ENABLED",
        "ActionAfterCompletion": "NONE",
        "Target": {
            **DECLARED["Target"],
            "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
        },
    }
    assert scheduler.update_schedule(**DECLARED, State="DISABLED", Description="später")["ScheduleArn"] == arn
    assert scheduler.get_schedule(Name="reminder", GroupName="default")["Description"] == "später"
    [listed] = scheduler.list_schedules(GroupName="default", NamePrefix="rem", State="DISABLED")["Schedules"]
    assert (listed["Arn"], listed["State"], listed["Target"]) == (arn, "DISABLED", {"Arn": QUEUE})
    assert scheduler.list_schedules(State="ENABLED")["Schedules"] == []
    scheduler.delete_schedule(Name="reminder")
    assert refused(scheduler.get_schedule, Name="reminder") == (
        "ResourceNotFoundException",
        404,
        "Schedule reminder does not exist.",
    )


def test_dates_go_there_and_back(scheduler: Any) -> None:
    start = datetime(2080, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
    scheduler.create_schedule(**DECLARED, StartDate=start, EndDate=start + timedelta(days=1))
    shown = scheduler.get_schedule(Name="reminder")
    assert (shown["StartDate"].timestamp(), shown["EndDate"] - shown["StartDate"]) == (
        pytest.approx(start.timestamp(), abs=1),
        timedelta(days=1),
    )


TARGET = DECLARED["Target"]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"ScheduleExpression": "at(2021-12-31)"}, "Invalid Schedule Expression at(2021-12-31)."),
    ({"Target": {**TARGET, "Arn": "arn:aws:s3:::b"}}, "s3 is not a supported service for a target"),
    (
        {"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}},
        "MaximumWindowInMinutes must not be provided when FlexibleTimeWindowMode is set to OFF.",
    ),
    # the model's own constraints
    ({"Name": "no spaces"}, "1 validation error detected: Value 'no spaces' at 'name' failed to satisfy constraint"),
    ({"Target": {**TARGET, "RoleArn": "role"}}, "1 validation error detected: Value 'role' at 'target.roleArn'"),
    (
        {"Target": {**TARGET, "DeadLetterConfig": {"Arn": f"{QUEUE}.fifo"}}},
        f"1 validation error detected: Value '{QUEUE}.fifo' at 'target.deadLetterConfig.arn'",
    ),
    ({"State": "PAUSED"}, "1 validation error detected: Value 'PAUSED' at 'state' failed to satisfy constraint"),
    (
        {"Target": {**TARGET, "RetryPolicy": {"MaximumRetryAttempts": 186}}},
        "1 validation error detected: Value '186' at 'target.retryPolicy.maximumRetryAttempts'",
    ),
]


@pytest.mark.parametrize(("members", "text"), REFUSED)
def test_a_create_is_refused_as_aws_refuses_it(server: RunningServer, members: dict[str, Any], text: str) -> None:
    # boto3 checks some of it before sending; what other clients send must be refused by the server
    scheduler = server.client("scheduler", config=Config(parameter_validation=False))
    code, status, message = refused(scheduler.create_schedule, **{**DECLARED, **members})
    assert (code, status) == ("ValidationException", 400)
    assert message.startswith(text)
    assert scheduler.list_schedules()["Schedules"] == []


def test_a_client_token_makes_a_create_safe_to_repeat(scheduler: Any) -> None:
    first = scheduler.create_schedule(**DECLARED, ClientToken="t")
    assert scheduler.create_schedule(**DECLARED, ClientToken="t")["ScheduleArn"] == first["ScheduleArn"]
    code, status, _ = refused(scheduler.create_schedule, **DECLARED, ClientToken="t", Description="other")
    assert (code, status) == ("ConflictException", 409)
    assert refused(scheduler.create_schedule, **DECLARED) == (
        "ConflictException",
        409,
        "Schedule reminder already exists.",
    )


def test_lists_are_walked_by_boto3s_paginators(scheduler: Any) -> None:
    names = [f"s-{number}" for number in range(5)]
    for name in names:
        scheduler.create_schedule_group(Name=name)
        scheduler.create_schedule(**{**DECLARED, "Name": name})
    pages = list(scheduler.get_paginator("list_schedules").paginate(PaginationConfig={"PageSize": 2}))
    assert [[summary["Name"] for summary in page["Schedules"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    groups = scheduler.get_paginator("list_schedule_groups").paginate(PaginationConfig={"PageSize": 4})
    assert [group["Name"] for page in groups for group in page["ScheduleGroups"]] == ["default", *names]
    code, status, _ = refused(scheduler.list_schedules, NextToken="garbled")
    assert (code, status) == ("ValidationException", 400)


def test_a_group_lives_from_create_to_delete(server: RunningServer, scheduler: Any) -> None:
    arn = scheduler.create_schedule_group(Name="g", Tags=[{"Key": "stage", "Value": "test"}])["ScheduleGroupArn"]
    scheduler.create_schedule(**DECLARED, GroupName="g")
    assert scheduler.get_schedule_group(Name="g")["State"] == "ACTIVE"
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "a b/c"}, {"Key": "x", "Value": "y"}])
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["stage", "x"])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a b/c"}]
    scheduler.delete_schedule_group(Name="g")
    server.run(group_deletions())
    code, status, _ = refused(scheduler.get_schedule_group, Name="g")
    assert (code, status) == ("ResourceNotFoundException", 404)
    assert scheduler.list_schedules()["Schedules"] == []
    assert refused(scheduler.delete_schedule_group, Name="default") == (
        "ValidationException",
        400,
        "This operation cannot be performed on schedule group default.",
    )
