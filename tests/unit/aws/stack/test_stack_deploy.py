"""A deployment's decisions: what is asked, what is left, and what is refused before anything is made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.aws.stack.scripted import ScriptedAccess, ScriptedClient, refusal

from duestream import App, QueueMessage
from duestream.aws.stack.bucket import bundle_key
from duestream.aws.stack.deploy import Deployment, Question, Step, failed_text
from duestream.aws.stack.draft import Draft
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.session import AwsError, Identity
from duestream.clock import ManualClock

IDENTITY = Identity("123456789012", "arn:aws:iam::123456789012:user/ann")
NO_STACK = refusal("ValidationError", "Stack with id clinic does not exist")
NO_CHANGES = {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
CHANGES = {
    "Status": "CREATE_COMPLETE",
    "Changes": [
        {"ResourceChange": {"Action": "Add", "LogicalResourceId": "Q", "ResourceType": "AWS::SQS::Queue"}},
    ],
}
EXISTING = {
    "Table": {
        "TableStatus": "ACTIVE",
        "ItemCount": 3,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    }
}
STREAMED = {
    "Table": {
        **EXISTING["Table"],
        "LatestStreamArn": "arn:aws:dynamodb:eu-central-1:123456789012:table/Visits/stream/1",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }
}


def draft() -> Draft:
    app = App("clinic")
    app.table("Visits", partition_key="id").rule("AT", QueueMessage("reminders"))
    return Draft(app, "clinic", StackOptions(entry="clinic:app"), b"code")


def stack(status: str, **members: Any) -> dict[str, Any]:
    return {"Stacks": [{"StackId": "arn:stack", "StackName": "clinic", "StackStatus": status, **members}]}


def event(number: int, logical_id: str, status: str, reason: str = "") -> dict[str, Any]:
    return {
        "EventId": str(number),
        "Timestamp": datetime(2030, 1, 1, tzinfo=UTC),
        "LogicalResourceId": logical_id,
        "ResourceType": "AWS::SQS::Queue",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


@dataclass
class Stage:
    """A deployment, and everything it talks to."""

    cloudformation: ScriptedClient
    dynamodb: ScriptedClient = field(
        default_factory=lambda: ScriptedClient(describe_table=refusal("ResourceNotFoundException"))
    )
    s3: ScriptedClient = field(
        default_factory=lambda: ScriptedClient(head_bucket={}, head_object=refusal("404"), put_object={})
    )
    in_the_way: str = ""
    answer: Callable[[Question], bool] = lambda _: True
    asked: list[Question] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def deployment(self) -> Deployment:
        queues = ScriptedClient(
            get_queue_url=lambda asked: {} if asked["QueueName"] == self.in_the_way else refusal("NonExistentQueue")
        )
        access = ScriptedAccess(
            {
                "cloudformation": self.cloudformation,
                "dynamodb": self.dynamodb,
                "s3": self.s3,
                "sqs": queues,
                "lambda": ScriptedClient(get_function=refusal("ResourceNotFoundException")),
                "scheduler": ScriptedClient(get_schedule_group=refusal("ResourceNotFoundException")),
                "logs": ScriptedClient(describe_log_groups={"logGroups": []}),
            }
        )

        def consent(question: Question) -> bool:
            self.asked.append(question)
            return self.answer(question)

        return Deployment(
            access=access,  # type: ignore[arg-type]  # it has what a deployment uses
            identity=IDENTITY,
            draft=draft(),
            bucket_name=None,
            clock=ManualClock(datetime(2030, 1, 1, tzinfo=UTC)),
            pause=lambda _: None,
            report=self.steps.append,
            consent=consent,
        )


def cloudformation(**answers: Any) -> ScriptedClient:
    usual = {
        "create_change_set": {"Id": "arn:changes", "StackId": "arn:stack"},
        "describe_change_set": CHANGES,
        "delete_change_set": {},
        "execute_change_set": {},
        "delete_stack": {},
        "describe_stack_events": [{"StackEvents": []}, {"StackEvents": [event(1, "Q", "CREATE_COMPLETE")]}],
        "list_stack_resources": {"StackResourceSummaries": []},
    }
    return ScriptedClient(**(usual | answers))


def test_a_first_deployment_is_asked_for_uploaded_and_carried_out() -> None:
    stage = Stage(cloudformation(describe_stacks=[NO_STACK, stack("CREATE_COMPLETE")]))
    outcome = stage.deployment().run()
    assert outcome.result == "deployed"
    assert outcome.uploaded
    assert [question.kind for question in stage.asked] == ["execute"]
    (uploaded,) = stage.s3.called("put_object")
    assert uploaded["Key"] == bundle_key("clinic", b"code")
    (asked,) = stage.cloudformation.called("create_change_set")
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in asked["Parameters"]}
    assert parameters == {"BundleBucket": "duestream-123456789012-eu-central-1", "BundleKey": uploaded["Key"]}
    assert asked["Tags"] == [{"Key": "duestream:app", "Value": "clinic"}]


def test_nothing_is_uploaded_or_asked_if_nothing_changes() -> None:
    stage = Stage(cloudformation(describe_stacks=stack("UPDATE_COMPLETE"), describe_change_set=NO_CHANGES))
    assert stage.deployment().run().result == "unchanged"
    assert stage.asked == []
    assert stage.s3.calls == []


@pytest.mark.parametrize("how", ["no", "interrupted"])
def test_without_consent_nothing_is_left_of_the_change_set(how: str) -> None:
    def answer(_: Question) -> bool:
        if how == "interrupted":
            raise KeyboardInterrupt
        return False

    planned = stack("REVIEW_IN_PROGRESS")
    stage = Stage(cloudformation(describe_stacks=[NO_STACK, planned]), answer=answer)
    if how == "no":
        assert stage.deployment().run().result == "declined"
    else:
        with pytest.raises(KeyboardInterrupt):
            stage.deployment().run()
    assert len(stage.cloudformation.called("delete_change_set")) == 1
    assert len(stage.cloudformation.called("delete_stack")) == 1
    assert stage.s3.called("put_object") == []


def test_a_stack_that_was_never_whole_is_deleted_with_consent_only() -> None:
    stage = Stage(cloudformation(describe_stacks=stack("ROLLBACK_COMPLETE")), answer=lambda _: False)
    assert stage.deployment().run().result == "declined"
    assert [question.kind for question in stage.asked] == ["delete failed stack"]
    assert stage.cloudformation.called("delete_stack") == []

    states = [stack("ROLLBACK_COMPLETE"), NO_STACK, NO_STACK, stack("CREATE_COMPLETE")]
    none: dict[str, Any] = {"StackEvents": []}
    events = [none, none, none, {"StackEvents": [event(1, "Q", "CREATE_COMPLETE")]}]
    stage = Stage(cloudformation(describe_stacks=states, describe_stack_events=events))
    assert stage.deployment().run().result == "deployed"
    assert stage.cloudformation.called("create_change_set")[0]["ChangeSetType"] == "CREATE"


def test_an_operation_under_way_is_waited_for() -> None:
    working = stack("UPDATE_IN_PROGRESS")
    done = stack("UPDATE_COMPLETE")
    stage = Stage(cloudformation(describe_stacks=[working, working, done, done], describe_change_set=NO_CHANGES))
    assert stage.deployment().run().result == "unchanged"
    assert stage.steps[0].kind == "waiting"


def test_a_failed_way_back_is_told_with_what_to_do() -> None:
    stage = Stage(cloudformation(describe_stacks=stack("UPDATE_ROLLBACK_FAILED", StackStatusReason="a queue")))
    with pytest.raises(AwsError, match=r"\(a queue\).*continue-update-rollback --stack-name clinic"):
        stage.deployment().run()


def test_a_failure_is_told_by_what_failed_first() -> None:
    events = [event(2, "Other", "CREATE_FAILED", "Resource creation cancelled"), event(1, "Q", "CREATE_FAILED", "why")]
    stage = Stage(
        cloudformation(
            describe_stacks=[NO_STACK, stack("ROLLBACK_COMPLETE")],
            describe_stack_events=[{"StackEvents": []}, {"StackEvents": events}],
        )
    )
    outcome = stage.deployment().run()
    assert outcome.result == "failed"
    assert failed_text(outcome.failure) == "Q (AWS::SQS::Queue) CREATE_FAILED: why"


def test_a_change_set_that_is_never_begun_is_no_success() -> None:
    stage = Stage(
        cloudformation(
            describe_stacks=stack("UPDATE_COMPLETE"), describe_stack_events={"StackEvents": [event(0, "Q", "CREATE")]}
        )
    )
    with pytest.raises(AwsError, match="not begun with it yet"):
        stage.deployment().run()


def test_an_existing_tables_stream_is_turned_on_with_consent_and_passed_on() -> None:
    stage = Stage(cloudformation(describe_stacks=NO_STACK), ScriptedClient(describe_table=EXISTING))
    stage.answer = lambda question: question.kind != "turn streams on"
    assert stage.deployment().run().result == "declined"
    assert stage.cloudformation.called("create_change_set") == []

    tables = ScriptedClient(describe_table=[EXISTING, STREAMED], update_table={})
    stage = Stage(cloudformation(describe_stacks=[NO_STACK, stack("CREATE_COMPLETE")]), tables)
    assert stage.deployment().run().result == "deployed"
    (asked,) = stage.cloudformation.called("create_change_set")
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in asked["Parameters"]}
    assert parameters["VisitsTableStreamArn"] == STREAMED["Table"]["LatestStreamArn"]
    assert '"AWS::DynamoDB::Table"' not in asked["TemplateBody"]


def test_a_name_that_is_taken_is_refused_before_anything_is_made() -> None:
    stage = Stage(cloudformation(describe_stacks=NO_STACK), in_the_way="clinic-dead-letters")
    with pytest.raises(AwsError, match="queue clinic-dead-letters exists already, and is not the stack's"):
        stage.deployment().run()
    assert stage.cloudformation.called("create_change_set") == []


def test_a_template_too_large_for_a_request_goes_through_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duestream.aws.stack.draft.MAX_INLINE_BYTES", 100)
    stage = Stage(cloudformation(describe_stacks=[NO_STACK, stack("CREATE_COMPLETE")]))
    assert stage.deployment().run().result == "deployed"
    (asked,) = stage.cloudformation.called("create_change_set")
    assert asked["TemplateURL"].startswith("https://duestream-123456789012-eu-central-1.s3.eu-central-1.")
    assert "TemplateBody" not in asked
