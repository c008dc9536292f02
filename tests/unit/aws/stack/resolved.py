"""A template as CloudFormation would see it: references filled in for one account, as far as tests need them."""

import re
from collections.abc import Mapping
from typing import Any

ACCOUNT_ID = "111122223333"
REGION = "eu-west-1"
_PSEUDO = {"AWS::AccountId": ACCOUNT_ID, "AWS::Region": REGION, "AWS::Partition": "aws", "AWS::StackName": "stack"}
_NAME_OF = {
    "AWS::DynamoDB::Table": ("TableName", "dynamodb", "table/{}"),
    "AWS::SQS::Queue": ("QueueName", "sqs", "{}"),
    "AWS::Lambda::Function": ("FunctionName", "lambda", "function:{}"),
    "AWS::Scheduler::ScheduleGroup": ("Name", "scheduler", "schedule-group/{}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "logs", "log-group:{}"),
}


def arn(service: str, resource: str, *, account_id: str = ACCOUNT_ID, region: str = REGION) -> str:
    """An ARN in the tests' account."""
    return f"arn:aws:{service}:{region}:{account_id}:{resource}"


class Resolved:
    """A template with its references filled in.

    Args:
        template: from `duestream.aws.stack.template`.
        parameters: values of its parameters.
    """

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str] | None = None) -> None:
        self._template = template
        self._parameters = parameters or {}

    def resource(self, logical_id: str) -> Any:
        """One resource's properties."""
        return self.fill_in(self._template["Resources"][logical_id].get("Properties", {}))

    def statements(self, role_id: str) -> list[dict[str, Any]]:
        """All statements of a role's policies."""
        policies = self.resource(role_id)["Policies"]
        return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]

    def trust(self, role_id: str) -> list[dict[str, Any]]:
        """The statements by which a role may be assumed."""
        found: list[dict[str, Any]] = self.resource(role_id)["AssumeRolePolicyDocument"]["Statement"]
        return found

    def policies(self) -> dict[str, dict[str, Any]]:
        """All policy documents that have resources, by where they stand."""
        found = {}
        for logical_id, resource in self._template["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role":
                found[logical_id] = self.resource(logical_id)["Policies"][0]["PolicyDocument"]
            if resource["Type"] == "AWS::SQS::QueuePolicy":
                found[logical_id] = self.resource(logical_id)["PolicyDocument"]
        return found

    def fill_in(self, value: Any) -> Any:
        """A value without CloudFormation's functions."""
        match value:
            case {"Ref": name}:
                return self._ref(name)
            case {"Fn::GetAtt": [name, attribute]}:
                return self._attribute(name, attribute)
            case {"Fn::Sub": str(text)}:
                filled = re.sub(r"\$\{([^!}]+)\}", lambda found: str(self._ref(found[1])), text)
                return re.sub(r"\$\{!", "${", filled)
            case dict():
                return {name: self.fill_in(member) for name, member in value.items()}
            case list():
                return [self.fill_in(member) for member in value]
        return value

    def _ref(self, name: str) -> str:
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self._template["Parameters"]:
            return self._parameters.get(name, name)
        resource = self._template["Resources"][name]
        if resource["Type"] == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{resource['Properties']['QueueName']}"
        if resource["Type"] in _NAME_OF:
            return str(self.fill_in(resource["Properties"][_NAME_OF[resource["Type"]][0]]))
        return name

    def _attribute(self, name: str, attribute: str) -> str:
        resource = self._template["Resources"][name]
        if resource["Type"] == "AWS::IAM::Role" and attribute == "Arn":
            return f"arn:aws:iam::{ACCOUNT_ID}:role/stack-{name}-X"
        member, service, form = _NAME_OF[resource["Type"]]
        own = arn(service, form.format(self.fill_in(resource["Properties"][member])))
        assert attribute in ("Arn", "StreamArn"), f"{name}.{attribute}"
        return own if attribute == "Arn" else f"{own}/stream/2026-11-23T00:00:00.000"
