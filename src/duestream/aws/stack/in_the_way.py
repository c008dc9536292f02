"""What has a name already that the stack wants to give: CloudFormation would fail on it, and roll everything back."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from duestream.aws.stack.session import Access

_Exists = Callable[[Access, str], bool]


@dataclass(frozen=True, slots=True)
class InTheWay:
    """Something that is there and is not the stack's.

    Args:
        kind: in words.
        name: its own.
        logical_id: of the stack's resource that is to have this name.
    """

    kind: str
    name: str
    logical_id: str

    @property
    def words(self) -> str:
        """What is wrong."""
        return f"{self.kind} {self.name} exists already, and is not the stack's"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return f"Delete the {self.kind} if nobody needs it (it may be left from before), or give the app another name."


def _log_group_exists(access: Access, name: str) -> bool:
    found = access.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return any(group["logGroupName"] == name for group in found)


def _answers(call: Callable[[], object]) -> bool:
    """Whether a call finds something; one that may not be made, finds nothing either."""
    try:
        call()
    except ClientError:
        return False
    return True


#: Type to: in words, the property with the name, and whether there is one.
_KINDS: Mapping[str, tuple[str, str, _Exists]] = {
    "AWS::SQS::Queue": (
        "queue",
        "QueueName",
        lambda access, name: _answers(lambda: access.client("sqs").get_queue_url(QueueName=name)),
    ),
    "AWS::Lambda::Function": (
        "function",
        "FunctionName",
        lambda access, name: _answers(lambda: access.client("lambda").get_function(FunctionName=name)),
    ),
    "AWS::Scheduler::ScheduleGroup": (
        "schedule group",
        "Name",
        lambda access, name: _answers(lambda: access.client("scheduler").get_schedule_group(Name=name)),
    ),
    "AWS::DynamoDB::Table": (
        "table",
        "TableName",
        lambda access, name: _answers(lambda: access.client("dynamodb").describe_table(TableName=name)),
    ),
    "AWS::Logs::LogGroup": ("log group", "LogGroupName", _log_group_exists),
}


def in_the_way(access: Access, template: Mapping[str, Any], resources: Mapping[str, str]) -> Iterator[InTheWay]:
    """What has a name that the template gives, and is not in the stack.

    Args:
        template: as it is to be deployed.
        resources: physical name of each of the stack's resources to its type.
    """
    own = {(kind, name) for name, kind in resources.items()}
    own |= {(kind, name.rpartition("/")[2]) for name, kind in resources.items()}  # a queue's is its URL
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] not in _KINDS:
            continue
        kind, member, exists = _KINDS[resource["Type"]]
        name = resource.get("Properties", {}).get(member)
        if isinstance(name, str) and (resource["Type"], name) not in own and exists(access, name):
            yield InTheWay(kind, name, logical_id)
