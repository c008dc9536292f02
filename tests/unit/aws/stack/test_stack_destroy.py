"""A destruction: what it shows, what it takes, what it keeps, and what it says of the rest."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.aws.stack.scripted import ScriptedAccess, ScriptedClient, refusal

from duestream import App, QueueMessage
from duestream.aws.stack.deploy import Step
from duestream.aws.stack.destroy import Destruction, Doomed, look
from duestream.aws.stack.session import AwsError, Identity

IDENTITY = Identity("123456789012", "arn:aws:iam::123456789012:user/ann")
NO_STACK = refusal("ValidationError", "Stack with id clinic does not exist")
MISSING = refusal("ResourceNotFoundException")
STACK = {
    "Stacks": [
        {
            "StackId": "arn:stack",
            "StackName": "clinic",
            "StackStatus": "CREATE_COMPLETE",
            "Parameters": [{"ParameterKey": "BundleBucket", "ParameterValue": "releases"}],
        }
    ]
}
RESOURCES = {
    "StackResourceSummaries": [
        {"PhysicalResourceId": name, "ResourceType": kind, "ResourceStatus": "CREATE_COMPLETE"}
        for name, kind in (
            ("Visits", "AWS::DynamoDB::Table"),
            ("clinic-deliveries", "AWS::DynamoDB::Table"),
            ("clinic", "AWS::Scheduler::ScheduleGroup"),
            ("clinic-stream", "AWS::Lambda::Function"),
            ("https://sqs/1/clinic-dead-letters", "AWS::SQS::Queue"),
        )
    ]
}
TABLE = {"Table": {"TableName": "Visits", "TableArn": "arn:table", "ItemCount": 7, "TableStatus": "ACTIVE"}}


def app() -> App:
    app = App("clinic")
    app.table("Visits", partition_key="id").rule("AT", QueueMessage("reminders"))
    return app


def access(**clients: ScriptedClient) -> ScriptedAccess:
    usual = {
        "cloudformation": ScriptedClient(
            describe_stacks=[STACK, NO_STACK],
            list_stack_resources=RESOURCES,
            delete_stack={},
            describe_stack_events={"StackEvents": []},
        ),
        "scheduler": ScriptedClient(
            list_schedules=[
                {"Schedules": [{}] * 100, "NextToken": "t"},
                {"Schedules": [{}] * 20},
                refusal("ResourceNotFoundException"),
            ],
            get_schedule_group=MISSING,
        ),
        "dynamodb": ScriptedClient(describe_table=TABLE, list_tags_of_resource={"Tags": []}),
        "sqs": ScriptedClient(
            get_queue_attributes={
                "Attributes": {"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "1"}
            }
        ),
        "s3": ScriptedClient(
            list_objects_v2={"Contents": [{"Key": "clinic/a"}]},
            delete_objects={},
            delete_bucket={},
        ),
        "logs": ScriptedClient(delete_log_group=MISSING),
    }
    return ScriptedAccess(usual | clients)


def looked(here: ScriptedAccess) -> Doomed:
    return look(here, IDENTITY, app(), "clinic", None)  # type: ignore[arg-type]  # it has what is used


def destruction(here: ScriptedAccess, doomed: Doomed, *, delete_tables: bool = False) -> tuple[Destruction, list[Step]]:
    steps: list[Step] = []
    return Destruction(here, doomed, delete_tables, here.pause, steps.append), steps  # type: ignore[arg-type]


def test_what_would_go_is_counted_first() -> None:
    doomed = looked(access())
    assert doomed.schedules == 120
    assert doomed.tables == {"Visits": 7}, "the table of deliveries is not one of the user's"
    assert doomed.dead_letters == {"https://sqs/1/clinic-dead-letters": 3}
    assert (doomed.bucket.name, doomed.bucket.is_ours) == ("releases", False), "as the stack says"
    assert doomed.objects == ("clinic/a",)


def test_tables_and_a_named_bucket_stay_and_the_rest_goes() -> None:
    here = access()
    destroying, steps = destruction(here, looked(here))
    destroyed = destroying.run()
    assert (destroyed.kept, destroyed.deleted_tables, destroyed.left) == (("Visits",), (), ())
    assert here.client("cloudformation").called("delete_stack") == [{"StackName": "arn:stack"}]
    assert here.client("dynamodb").called("delete_table") == []
    assert here.client("s3").called("delete_bucket") == []
    assert [step.kind for step in steps] == ["kept", "delete"]


def test_told_so_it_deletes_the_tables_too() -> None:
    dynamodb = ScriptedClient(
        describe_table=[TABLE, TABLE, MISSING], delete_table={}, list_tags_of_resource={"Tags": []}
    )
    here = access(dynamodb=dynamodb)
    destroying, _ = destruction(here, looked(here), delete_tables=True)
    assert destroying.run().deleted_tables == ("Visits",)
    assert dynamodb.called("delete_table") == [{"TableName": "Visits"}]


@pytest.mark.parametrize(
    ("tag", "tables"),
    [("clinic", {"Visits": 7}), ("other", {})],
)
def test_without_a_stack_only_tables_with_its_tag_are_the_apps(tag: str, tables: dict[str, int]) -> None:
    here = access(
        cloudformation=ScriptedClient(describe_stacks=NO_STACK),
        dynamodb=ScriptedClient(
            describe_table=TABLE, list_tags_of_resource={"Tags": [{"Key": "duestream:app", "Value": tag}]}
        ),
        s3=ScriptedClient(list_objects_v2=refusal("NoSuchBucket")),
    )
    doomed = looked(here)
    assert doomed.tables == tables
    assert doomed.is_nothing == (not tables)


def test_schedules_that_outlive_their_group_are_deleted_one_by_one() -> None:
    listed: list[Any] = [{"Schedules": []}, {"Schedules": [{"Name": "a-1", "GroupName": "clinic"}]}]
    scheduler = ScriptedClient(
        list_schedules=listed,
        get_schedule_group=[{"State": "DELETING"}, MISSING],
        delete_schedule={},
    )
    here = access(scheduler=scheduler)
    destroying, _ = destruction(here, looked(here))
    assert destroying.run().left == ()
    assert scheduler.called("delete_schedule") == [{"GroupName": "clinic", "Name": "a-1"}]
    assert here.pauses, "a group with many schedules takes its time"


def test_a_group_that_takes_too_long_is_said_to_be_left() -> None:
    here = access(scheduler=ScriptedClient(list_schedules={"Schedules": []}, get_schedule_group={"State": "DELETING"}))
    destroying, _ = destruction(here, looked(here))
    (left,) = destroying.run().left
    assert "still deleting it" in left


def test_a_stack_that_stays_is_told_with_the_reason_and_nothing_more_is_deleted() -> None:
    stays = {"Stacks": [STACK["Stacks"][0] | {"StackStatus": "DELETE_FAILED"}]}
    failed = {
        "EventId": "1",
        "Timestamp": datetime(2030, 1, 1, tzinfo=UTC),
        "LogicalResourceId": "DeadLetters",
        "ResourceType": "AWS::SQS::Queue",
        "ResourceStatus": "DELETE_FAILED",
        "ResourceStatusReason": "not allowed",
    }
    here = access(
        cloudformation=ScriptedClient(
            describe_stacks=[STACK, stays],
            list_stack_resources=RESOURCES,
            delete_stack={},
            describe_stack_events=[{"StackEvents": []}, {"StackEvents": [failed]}],
        )
    )
    destroying, _ = destruction(here, looked(here), delete_tables=True)
    with pytest.raises(AwsError, match=r"DeadLetters .* DELETE_FAILED: not allowed\. Mend that, and destroy again"):
        destroying.run()
    assert here.client("dynamodb").called("delete_table") == []
    assert here.client("s3").called("delete_objects") == []
