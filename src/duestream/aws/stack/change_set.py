"""What a deployment would change: CloudFormation's change set, and what it means in words."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from duestream.aws.stack.session import AwsError, message_of
from duestream.aws.stack.stack_events import Pause, get_stack

#: CloudFormation takes so much in the request itself, and up to 1 MB from S3 ("CloudFormation quotas").
MAX_INLINE_BYTES = 51_200
MAX_TEMPLATE_BYTES = 1_048_576
LOOK_SECONDS = 1.0
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed", "no updates to be performed")
_ARTICLES = {"Add": "is made", "Modify": "is changed", "Remove": "is removed", "Import": "is taken in"}
#: What is lost if it is made anew, or removed.
_HOLDS = {
    "AWS::DynamoDB::Table": "the table and all its items",
    "AWS::SQS::Queue": "the queue and its messages",
    "AWS::Scheduler::ScheduleGroup": "the group and all pending schedules",
    "AWS::Logs::LogGroup": "the log group and its lines",
    "AWS::KMS::Key": "the key, and what is encrypted with it",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one resource.

    Args:
        action: as CloudFormation says it.
        logical_id: its name in the template.
        resource_type: such as ``AWS::SQS::Queue``.
        physical_id: its own name; empty: it is yet to be made.
        replacement: whether it is made anew: ``True``, ``False``, or ``Conditional`` where that is seen only then.
        properties: which of its properties change.
        is_kept: it leaves the stack, but is not deleted.
    """

    action: Literal["Add", "Modify", "Remove", "Import", "Dynamic"]
    logical_id: str
    resource_type: str
    physical_id: str = ""
    replacement: str = "False"
    properties: tuple[str, ...] = ()
    is_kept: bool = False

    @property
    def is_replacement(self) -> bool:
        """Whether it is, or may be, made anew."""
        return self.action == "Modify" and self.replacement in ("True", "Conditional")

    @property
    def loses(self) -> str | None:
        """What is lost by it, in words; None: nothing that cannot be made again."""
        gone = (self.action == "Remove" or self.is_replacement) and not self.is_kept
        return _HOLDS.get(self.resource_type) if gone else None

    @property
    def words(self) -> str:
        """What happens, in a few words."""
        if self.action == "Remove" and self.is_kept:
            return "leaves the stack, and stays"
        if self.is_replacement:
            return "may be REPLACED" if self.replacement == "Conditional" else "is REPLACED"
        return _ARTICLES.get(self.action, f"({self.action})")


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that CloudFormation has made.

    Args:
        id: its ARN.
        stack_id: of the stack.
        is_first: the stack is yet to be made.
        changes: none: the stack is as it is to be.
    """

    id: str
    stack_id: str
    is_first: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be deployed.

    Args:
        stack_name: of the stack.
        template_body: JSON; or
        template_url: where it lies in S3, if it is larger than a request takes.
        parameters: of the template.
        tags: of the stack and all its resources.
    """

    stack_name: str
    template_body: str | None
    template_url: str | None
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


def template_text(template: Mapping[str, Any]) -> str:
    """A template as it is sent: without a space too many, always the same for the same template."""
    return json.dumps(template, separators=(",", ":"), ensure_ascii=False)


def create_change_set(cloudformation: Any, request: Request, name: str, *, is_first: bool, pause: Pause) -> ChangeSet:
    """Have CloudFormation work out what would change. Nothing is changed by it.

    Args:
        name: of the change set.
        is_first: there is no stack yet. CloudFormation then notes one that has nothing but this change set.
        pause: called between two looks.

    Raises:
        AwsError: CloudFormation does not take the template.
    """
    template = (
        {"TemplateURL": request.template_url} if request.template_url else {"TemplateBody": request.template_body}
    )
    try:
        made = cloudformation.create_change_set(
            StackName=request.stack_name,
            ChangeSetName=name,
            ChangeSetType="CREATE" if is_first else "UPDATE",
            Description="made by duestream",
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in request.parameters.items()],
            Tags=[{"Key": key, "Value": value} for key, value in request.tags.items()],
            **template,
        )
    except ClientError as error:
        if _is_no_change(message_of(error)):  # of moto; AWS makes a change set that has failed
            return ChangeSet("", "", is_first, ())
        raise
    change_set_id, stack_id = made["Id"], made["StackId"]
    while True:
        changes, state = _described(cloudformation, change_set_id, request.stack_name)
        if state["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        pause(LOOK_SECONDS)
    if state["Status"] == "CREATE_COMPLETE":
        return ChangeSet(change_set_id, stack_id, is_first, tuple(changes))
    reason = state.get("StatusReason", "")
    drop_change_set(cloudformation, ChangeSet(change_set_id, stack_id, is_first, ()))
    if _is_no_change(reason):
        return ChangeSet(change_set_id, stack_id, is_first, ())
    raise AwsError(f"CloudFormation cannot make the change set: {reason.rstrip('.') or state['Status']}")


def drop_change_set(cloudformation: Any, change_set: ChangeSet) -> None:
    """Delete a change set, and the note of a stack that was made for it."""
    cloudformation.delete_change_set(ChangeSetName=change_set.id, StackName=change_set.stack_id)
    if not change_set.is_first:
        return
    stack = get_stack(cloudformation, change_set.stack_id)
    if stack is not None and stack.is_only_planned:
        cloudformation.delete_stack(StackName=change_set.stack_id)


def summary(changes: Sequence[Change]) -> str:
    """How many of each kind: ``12 are made, 1 is changed, 1 is REPLACED``."""
    if not changes:
        return "nothing changes"
    counted: dict[str, int] = {}
    for change in changes:
        counted[change.words] = counted.get(change.words, 0) + 1
    return ", ".join(
        f"{count} {words if count == 1 else words.replace('is ', 'are ', 1)}" for words, count in counted.items()
    )


def _is_no_change(reason: str) -> bool:
    return any(words in reason for words in _NO_CHANGES)


def _described(cloudformation: Any, change_set_id: str, stack_name: str) -> tuple[list[Change], dict[str, Any]]:
    changes: list[Change] = []
    token: dict[str, str] = {}
    while True:
        page = cloudformation.describe_change_set(ChangeSetName=change_set_id, StackName=stack_name, **token)
        changes += [_change(one["ResourceChange"]) for one in page.get("Changes", ()) if "ResourceChange" in one]
        if not page.get("NextToken"):
            return changes, page
        token = {"NextToken": page["NextToken"]}


def _change(shown: Mapping[str, Any]) -> Change:
    targets = (detail.get("Target", {}) for detail in shown.get("Details", ()))
    names = dict.fromkeys(target.get("Name") or target.get("Attribute", "") for target in targets)
    return Change(
        shown["Action"],
        shown["LogicalResourceId"],
        shown["ResourceType"],
        shown.get("PhysicalResourceId", ""),
        shown.get("Replacement", "False"),
        tuple(name for name in names if name),
        "Retain" in shown.get("PolicyAction", ""),
    )
