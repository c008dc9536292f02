"""Change sets: waited for, put into words, and never left behind."""

from typing import Any

import pytest
from tests.unit.aws.stack.scripted import ScriptedClient, refusal

from duestream.aws.stack.change_set import Change, Request, create_change_set, drop_change_set, summary
from duestream.aws.stack.session import AwsError

REQUEST = Request("clinic", "{}", None, {"BundleKey": "k"}, {"duestream:app": "clinic"})
MADE = {"Id": "arn:changes", "StackId": "arn:stack"}


def resource_change(**members: Any) -> dict[str, Any]:
    return {
        "Type": "Resource",
        "ResourceChange": {"Action": "Modify", "LogicalResourceId": "Table", "ResourceType": "AWS::DynamoDB::Table"}
        | members,
    }


def test_it_waits_for_the_change_set_and_reads_all_its_pages() -> None:
    client = ScriptedClient(
        create_change_set=MADE,
        describe_change_set=[
            {"Status": "CREATE_IN_PROGRESS"},
            {"Status": "CREATE_COMPLETE", "Changes": [resource_change(Action="Add")], "NextToken": "more"},
            {"Status": "CREATE_COMPLETE", "Changes": [resource_change(LogicalResourceId="Other", Replacement="True")]},
        ],
    )
    pauses: list[float] = []
    made = create_change_set(client, REQUEST, "name", is_first=True, pause=pauses.append)
    assert [change.logical_id for change in made.changes] == ["Table", "Other"]
    assert len(pauses) == 1
    (asked,) = client.called("create_change_set")
    assert asked["ChangeSetType"] == "CREATE"
    assert asked["Capabilities"] == ["CAPABILITY_IAM"]
    assert asked["Parameters"] == [{"ParameterKey": "BundleKey", "ParameterValue": "k"}]
    assert asked["TemplateBody"] == "{}"


def test_no_changes_is_an_answer_and_leaves_nothing() -> None:
    reason = "The submitted information didn't contain changes. Submit different information to create a change set."
    client = ScriptedClient(
        create_change_set=MADE,
        describe_change_set={"Status": "FAILED", "StatusReason": reason},
        delete_change_set={},
    )
    assert create_change_set(client, REQUEST, "name", is_first=False, pause=lambda _: None).changes == ()
    assert len(client.called("delete_change_set")) == 1
    refuses = ScriptedClient(create_change_set=refusal("ValidationError", "No updates are to be performed."))
    assert create_change_set(refuses, REQUEST, "name", is_first=False, pause=lambda _: None).changes == ()


def test_a_template_that_is_refused_is_told_and_leaves_nothing() -> None:
    client = ScriptedClient(
        create_change_set=MADE,
        describe_change_set={"Status": "FAILED", "StatusReason": "Transform failed."},
        delete_change_set={},
        describe_stacks={"Stacks": [{"StackId": "s", "StackName": "clinic", "StackStatus": "REVIEW_IN_PROGRESS"}]},
        delete_stack={},
    )
    with pytest.raises(AwsError, match="cannot make the change set: Transform failed"):
        create_change_set(client, REQUEST, "name", is_first=True, pause=lambda _: None)
    assert len(client.called("delete_stack")) == 1, "the stack that was only noted for the change set"


def test_dropping_a_change_set_never_deletes_a_stack_that_is_more_than_a_note() -> None:
    client = ScriptedClient(
        create_change_set=MADE,
        describe_change_set={"Status": "CREATE_COMPLETE", "Changes": [resource_change(Action="Add")]},
        delete_change_set={},
        describe_stacks={"Stacks": [{"StackId": "s", "StackName": "clinic", "StackStatus": "CREATE_COMPLETE"}]},
    )
    drop_change_set(client, create_change_set(client, REQUEST, "name", is_first=True, pause=lambda _: None))
    assert client.called("delete_stack") == []


@pytest.mark.parametrize(
    ("change", "words", "loses"),
    [
        (Change("Add", "T", "AWS::DynamoDB::Table"), "is made", None),
        (Change("Modify", "T", "AWS::DynamoDB::Table"), "is changed", None),
        (
            Change("Modify", "T", "AWS::DynamoDB::Table", replacement="True"),
            "is REPLACED",
            "the table and all its items",
        ),
        (
            Change("Modify", "Q", "AWS::SQS::Queue", replacement="Conditional"),
            "may be REPLACED",
            "the queue and its messages",
        ),
        (Change("Modify", "F", "AWS::Lambda::Function", replacement="True"), "is REPLACED", None),
        (Change("Remove", "T", "AWS::DynamoDB::Table", is_kept=True), "leaves the stack, and stays", None),
        (Change("Remove", "Q", "AWS::SQS::Queue"), "is removed", "the queue and its messages"),
    ],
)
def test_a_change_says_what_happens_and_what_is_lost(change: Change, words: str, loses: str | None) -> None:
    assert (change.words, change.loses) == (words, loses)


def test_changes_are_read_with_their_properties_and_policy() -> None:
    details = [{"Target": {"Attribute": "Properties", "Name": "KeySchema"}}, {"Target": {"Attribute": "Tags"}}]
    client = ScriptedClient(
        create_change_set=MADE,
        describe_change_set={
            "Status": "CREATE_COMPLETE",
            "Changes": [
                resource_change(Details=details, Replacement="True", PhysicalResourceId="T"),
                resource_change(Action="Remove", PolicyAction="Retain"),
            ],
        },
    )
    changed, removed = create_change_set(client, REQUEST, "name", is_first=False, pause=lambda _: None).changes
    assert changed.properties == ("KeySchema", "Tags")
    assert changed.is_replacement
    assert removed.is_kept


def test_a_summary_counts_each_kind() -> None:
    assert summary([]) == "nothing changes"
    changes = [Change("Add", "A", "t"), Change("Add", "B", "t"), Change("Modify", "C", "t", replacement="True")]
    assert summary(changes) == "2 are made, 1 is REPLACED"
