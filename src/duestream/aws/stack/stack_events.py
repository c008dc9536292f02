"""What CloudFormation tells while it works: its events, oldest first, until the stack is at rest."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from duestream.aws.stack.session import code_of, message_of

STACK_TYPE = "AWS::CloudFormation::Stack"
#: Between two looks at a stack that is at work: its API takes some calls a second for an account.
LOOK_SECONDS = 2.0
#: As often a stack that was asked for something is looked at, though nothing has begun yet.
MAX_LOOKS_BEFORE = 15
#: Waits so many seconds; handed in, so that tests need not.
Pause = Callable[[float], object]
#: What CloudFormation says of resources that it gave up because another one failed.
_CANCELLED = ("Resource creation cancelled", "Resource update cancelled", "Resource deletion cancelled")


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as CloudFormation describes it.

    Args:
        id: its ARN, which also finds it once it is deleted.
        status: such as ``CREATE_COMPLETE``.
        reason: why that is so, where CloudFormation says it.
        outputs: name to value.
        parameters: name to value, as it was last deployed.
    """

    id: str
    name: str
    status: str
    reason: str
    outputs: dict[str, str]
    parameters: dict[str, str]

    @property
    def is_at_work(self) -> bool:
        """Whether an operation is under way. A stack that only has a change set to look at is at rest."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def is_only_planned(self) -> bool:
        """Whether there is nothing yet but a change set."""
        return self.status == "REVIEW_IN_PROGRESS"

    @property
    def is_well(self) -> bool:
        """Whether the last operation came to its end as it was meant."""
        return self.status.endswith("_COMPLETE") and "ROLLBACK" not in self.status

    @property
    def must_be_deleted(self) -> bool:
        """Whether CloudFormation updates it no more: its creation failed."""
        return self.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One step of CloudFormation's.

    Args:
        id: unique.
        at: when.
        logical_id: the resource's name in the template.
        resource_type: such as ``AWS::SQS::Queue``.
        status: such as ``CREATE_IN_PROGRESS``.
        reason: why, for failures.
        physical_id: the resource's name, once there is one.
    """

    id: str
    at: datetime
    logical_id: str
    resource_type: str
    status: str
    reason: str
    physical_id: str

    @property
    def is_failure(self) -> bool:
        """Whether the resource itself failed, and was not only given up with another."""
        return self.status.endswith("_FAILED") and not self.reason.startswith(_CANCELLED)


def get_stack(cloudformation: Any, name: str) -> Stack | None:
    """A stack by its name or its ARN; None if there is none, or only a deleted one."""
    try:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if code_of(error) == "ValidationError" and "does not exist" in message_of(error):
            return None
        raise
    if not found or found[0]["StackStatus"] == "DELETE_COMPLETE":
        return None
    shown = found[0]
    return Stack(
        shown["StackId"],
        shown["StackName"],
        shown["StackStatus"],
        shown.get("StackStatusReason", ""),
        {output["OutputKey"]: output["OutputValue"] for output in shown.get("Outputs", ())},
        {one["ParameterKey"]: one["ParameterValue"] for one in shown.get("Parameters", ())},
    )


def last_event(cloudformation: Any, stack_id: str) -> str | None:
    """The id of the newest event; None if there is none."""
    events = cloudformation.describe_stack_events(StackName=stack_id).get("StackEvents", ())
    return events[0]["EventId"] if events else None


def follow(
    cloudformation: Any,
    stack_id: str,
    *,
    after: str | None,
    pause: Pause,
    has_begun: bool = False,
    look_seconds: float = LOOK_SECONDS,
) -> Iterator[StackEvent]:
    """The events after a known one, as they come, until the stack is at rest or gone.

    Args:
        stack_id: the stack's ARN: its name finds it no more once it is deleted.
        after: the id of the newest event that is known; None: from the first on.
        pause: called between two looks.
        has_begun: the stack was seen at work. Otherwise it may still look as it was before it was asked for something,
            and is at rest only once it has told of something new.
    """
    known, looks = after, 0
    while True:
        # The state first: what happened before it was seen at rest is then among the events.
        stack = get_stack(cloudformation, stack_id)
        for event in reversed(list(_newer(cloudformation, stack_id, known))):
            known, has_begun = event.id, True
            yield event
        looks += 1
        has_begun = has_begun or looks > MAX_LOOKS_BEFORE
        if stack is None or (has_begun and not stack.is_at_work):
            return
        pause(look_seconds)


def first_failure(events: Iterable[StackEvent]) -> StackEvent | None:
    """What failed first: the rest mostly failed because of it."""
    failures = [event for event in events if event.is_failure]
    of_resources = [event for event in failures if event.resource_type != STACK_TYPE]
    return next(iter(of_resources or failures), None)


def _newer(cloudformation: Any, stack_id: str, known: str | None) -> Iterator[StackEvent]:
    """The events that came after a known one, newest first."""
    try:
        pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        for page in pages:
            for shown in page["StackEvents"]:
                if shown["EventId"] == known:
                    return
                yield StackEvent(
                    shown["EventId"],
                    shown["Timestamp"],
                    shown["LogicalResourceId"],
                    shown["ResourceType"],
                    shown.get("ResourceStatus", ""),
                    shown.get("ResourceStatusReason", ""),
                    shown.get("PhysicalResourceId", ""),
                )
    except ClientError as error:
        # Some forget a stack's events with the stack.
        if code_of(error) != "ValidationError":
            raise
