"""CloudFormation's events: followed to the end, each once, and what failed first is found."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.aws.stack.scripted import ScriptedAccess, ScriptedClient, refusal

from duestream.aws.stack.stack_events import Stack, StackEvent, first_failure, follow, get_stack

AT = datetime(2030, 1, 1, tzinfo=UTC)
GONE = refusal("ValidationError", "Stack with id clinic does not exist")


def described(status: str) -> dict[str, Any]:
    return {"Stacks": [{"StackId": "arn:1", "StackName": "clinic", "StackStatus": status}]}


def shown(number: int, status: str = "CREATE_COMPLETE", kind: str = "AWS::SQS::Queue", reason: str = "") -> Any:
    return {
        "EventId": str(number),
        "Timestamp": AT,
        "LogicalResourceId": f"R{number}",
        "ResourceType": kind,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def event(status: str, reason: str = "", kind: str = "AWS::SQS::Queue", logical_id: str = "Q") -> StackEvent:
    return StackEvent("1", AT, logical_id, kind, status, reason, "")


def stack(status: str) -> Stack:
    return Stack("arn:1", "clinic", status, "", {}, {})


def test_events_come_oldest_first_and_each_once_until_the_stack_is_at_rest() -> None:
    access = ScriptedAccess({})
    cloudformation = ScriptedClient(
        describe_stacks=[
            described("CREATE_IN_PROGRESS"),
            described("CREATE_IN_PROGRESS"),
            described("CREATE_COMPLETE"),
        ],
        describe_stack_events=[
            {"StackEvents": [shown(2), shown(1), shown(0)]},
            {"StackEvents": [shown(2), shown(1), shown(0)]},
            {"StackEvents": [shown(4), shown(3), shown(2)]},
        ],
    )
    ids = [one.id for one in follow(cloudformation, "arn:1", after="0", pause=access.pause, look_seconds=7)]
    assert ids == ["1", "2", "3", "4"]
    assert access.pauses == [7, 7]


def test_new_events_on_further_pages_are_not_missed() -> None:
    cloudformation = ScriptedClient(
        describe_stacks=described("CREATE_COMPLETE"),
        describe_stack_events=[{"StackEvents": [shown(3), shown(2)], "NextToken": "t"}, {"StackEvents": [shown(1)]}],
    )
    assert [one.id for one in follow(cloudformation, "arn:1", after=None, pause=lambda _: None)] == ["1", "2", "3"]


def test_a_stack_that_has_not_begun_is_not_taken_for_one_that_is_done() -> None:
    access = ScriptedAccess({})
    before = {"StackEvents": [shown(0)]}
    cloudformation = ScriptedClient(
        describe_stacks=[
            described("REVIEW_IN_PROGRESS"),
            described("CREATE_IN_PROGRESS"),
            described("CREATE_COMPLETE"),
        ],
        describe_stack_events=[before, before, {"StackEvents": [shown(1), shown(0)]}],
    )
    assert [one.id for one in follow(cloudformation, "arn:1", after="0", pause=access.pause)] == ["1"]
    assert len(access.pauses) == 2


def test_a_stack_that_never_begins_is_given_up() -> None:
    access = ScriptedAccess({})
    cloudformation = ScriptedClient(
        describe_stacks=described("UPDATE_COMPLETE"), describe_stack_events={"StackEvents": [shown(0)]}
    )
    assert list(follow(cloudformation, "arn:1", after="0", pause=access.pause)) == []
    assert 10 < len(access.pauses) < 30
    access.pauses.clear()
    assert list(follow(cloudformation, "arn:1", after="0", pause=access.pause, has_begun=True)) == []
    assert access.pauses == []


def test_a_stack_that_is_gone_ends_it() -> None:
    cloudformation = ScriptedClient(describe_stacks=GONE, describe_stack_events=GONE)
    assert list(follow(cloudformation, "arn:1", after=None, pause=lambda _: None)) == []


def test_what_was_only_given_up_with_another_is_not_what_failed_first() -> None:
    events = [
        event("CREATE_IN_PROGRESS"),
        event("CREATE_FAILED", "Resource creation cancelled", logical_id="Other"),
        event("CREATE_FAILED", "no such layer", logical_id="Function"),
        event("ROLLBACK_IN_PROGRESS", "The following resource(s) failed", "AWS::CloudFormation::Stack"),
    ]
    found = first_failure(events)
    assert found is not None
    assert found.logical_id == "Function"
    assert first_failure(events[:1]) is None


def test_a_stack_itself_is_named_where_no_resource_failed() -> None:
    found = first_failure([event("DELETE_FAILED", "protected", "AWS::CloudFormation::Stack", "clinic")])
    assert found is not None
    assert found.reason == "protected"


def test_no_stack_and_a_deleted_one_are_the_same() -> None:
    assert get_stack(ScriptedClient(describe_stacks=GONE), "clinic") is None
    assert get_stack(ScriptedClient(describe_stacks=described("DELETE_COMPLETE")), "clinic") is None
    found = get_stack(ScriptedClient(describe_stacks=described("CREATE_COMPLETE")), "clinic")
    assert found is not None
    assert found.is_well


@pytest.mark.parametrize(
    ("status", "at_work", "well", "to_delete"),
    [
        ("CREATE_COMPLETE", False, True, False),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", True, False, False),
        ("UPDATE_ROLLBACK_COMPLETE", False, False, False),
        ("ROLLBACK_COMPLETE", False, False, True),
        ("REVIEW_IN_PROGRESS", False, False, False),
        ("DELETE_FAILED", False, False, True),
    ],
)
def test_a_status_says_what_can_be_done(status: str, at_work: bool, well: bool, to_delete: bool) -> None:
    found = stack(status)
    assert (found.is_at_work, found.is_well, found.must_be_deleted) == (at_work, well, to_delete)
