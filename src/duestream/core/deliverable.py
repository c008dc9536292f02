"""Which targets this version delivers to: the one list that the API refuses by and the engine delivers by.

AWS takes two forms of a target: a resource's own ARN ("templated": an SQS queue stands for SendMessage), and
``arn:aws:scheduler:::aws-sdk:<service>:<action>`` ("universal") with the request in the schedule's Input.
Texts of refusals were measured against AWS (SEMANTICS.md B6, B8) where no comment says otherwise.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duestream.core.target_names import UNSUPPORTED_ACTION_PREFIXES
from duestream.errors import ValidationException

#: Documented in AWS's API reference (Target, Input).
MAX_INPUT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Members:
    """What the request of a deliverable call must and may have."""

    #: In the order of AWS's service models, in which AWS lists those that are missing.
    required: tuple[str, ...]
    optional: frozenset[str]


def _members(required: str, optional: str) -> Members:
    return Members(tuple(required.split()), frozenset(optional.split()))


_CONDITION = (
    "ConditionExpression ExpressionAttributeNames ExpressionAttributeValues "
    "ReturnValues ReturnConsumedCapacity ReturnItemCollectionMetrics ReturnValuesOnConditionCheckFailure"
)
#: Every call that is delivered, as (service, action) of a universal target's ARN. DynamoDB's members from before
#: its expressions (Expected, AttributeUpdates, ConditionalOperator) are not carried out and so not taken.
CALLS: Mapping[tuple[str, str], Members] = {
    ("sqs", "sendMessage"): _members(
        "QueueUrl MessageBody",
        "DelaySeconds MessageAttributes MessageSystemAttributes MessageDeduplicationId MessageGroupId",
    ),
    ("ses", "sendEmail"): _members(
        "Source Destination Message",
        "ReplyToAddresses ReturnPath SourceArn ReturnPathArn Tags ConfigurationSetName",
    ),
    ("sesv2", "sendEmail"): _members(
        "Content",
        "FromEmailAddress FromEmailAddressIdentityArn Destination ReplyToAddresses FeedbackForwardingEmailAddress "
        "FeedbackForwardingEmailAddressIdentityArn EmailTags ConfigurationSetName EndpointId TenantName "
        "ListManagementOptions",
    ),
    ("dynamodb", "putItem"): _members("TableName Item", _CONDITION),
    ("dynamodb", "updateItem"): _members("TableName Key", f"UpdateExpression {_CONDITION}"),
    ("dynamodb", "deleteItem"): _members("TableName Key", _CONDITION),
}
#: The action that a templated target of a service stands for.
TEMPLATED_ACTIONS: Mapping[str, str] = {"sqs": "sendMessage"}

#: Services whose resources AWS takes as templated targets (UG, "Using templated targets").
_TEMPLATED_SERVICES = frozenset(
    "codebuild codepipeline ecs events firehose inspector kinesis lambda sagemaker sns sqs states".split()  # noqa: SIM905 - a list of words
)
#: Of these AWS wants the Input to be JSON (API reference, Target).
_JSON_SERVICES = frozenset(("events", "lambda", "states"))
#: A target's further parameters, and the service whose templated targets alone take them.
_BLOCKS = {
    "EcsParameters": "ecs",
    "EventBridgeParameters": "events",
    "KinesisParameters": "kinesis",
    "SageMakerPipelineParameters": "sagemaker",
    "SqsParameters": "sqs",
}
_is_unsupported_action = re.compile(rf"(?:{'|'.join(UNSUPPORTED_ACTION_PREFIXES)})(?![a-z])").match
_is_service = re.compile(r"[a-z0-9-]+\Z").match
_is_action = re.compile(r"[a-z][a-zA-Z0-9]*\Z").match
_read_arn = re.compile(r"arn:aws[a-z-]*:([^:]+):([^:]*):([^:]*):(.+)\Z", re.DOTALL).match
_read_universal = re.compile(r"aws-sdk:([^:]+):([^:]+)\Z").match
_is_queue_name = re.compile(r"(?:[a-zA-Z0-9_-]{1,80}|[a-zA-Z0-9_-]{1,75}\.fifo)\Z").match


def parse_target_arn(target_arn: str) -> tuple[str, str]:
    """Say which call of `CALLS` a target's ARN stands for. A queue of any account is the queue of that name here.

    Raises:
        ValidationException: it is no target of AWS's, or none that this version delivers to; the text says which.
    """
    service, region, account_id, resource = _arn_parts(target_arn)
    universal = _read_universal(resource)
    if service == "scheduler" and universal is not None and not region and not account_id:
        service, action = universal.groups()
        # Services are lower case and actions camel case; what AWS answers to others is not known.
        if not _is_service(service):
            raise ValidationException(f"{service} is not a supported service for a target")
        if not _is_action(action) or _is_unsupported_action(action):
            raise ValidationException(f"{action} API is not supported")
        if (service, action) not in CALLS:
            raise _not_delivered(target_arn)
        return service, action
    if service not in _TEMPLATED_SERVICES:
        raise ValidationException(f"{service} is not a supported service for a target")
    if service not in TEMPLATED_ACTIONS or not _is_queue_name(resource):
        raise _not_delivered(target_arn)
    return service, TEMPLATED_ACTIONS[service]


def check_target(target: Mapping[str, Any], *, region: str) -> None:
    """Check a target as CreateSchedule gives it, under AWS's names.

    Args:
        target: AWS's Target, of which the model's own constraints hold already.
        region: where the schedule is being made; templated targets must be there too.

    Raises:
        ValidationException: as AWS refuses it, or because this version would not deliver to it.
    """
    target_arn: str = target["Arn"]
    text: str | None = target.get("Input")
    service, target_region, _, resource = _arn_parts(target_arn)
    is_templated = service in _TEMPLATED_SERVICES
    if is_templated and target_region != region:
        raise ValidationException(f"The target ARN provided does not match the current region {region}.")
    for block, its_service in _BLOCKS.items():
        if target.get(block) is not None and service != its_service:
            raise ValidationException(f"Parameters {block} not supported for the target")
    if service in _JSON_SERVICES and text is not None:
        _parse_input(text)
    call = parse_target_arn(target_arn)
    if text is not None and len(text.encode()) > MAX_INPUT_BYTES:
        raise ValidationException("The maximum size of the Input field is 256 KB.")  # AWS's text is not known
    if is_templated:
        _check_message_group(target.get("SqsParameters"), is_fifo=resource.endswith(".fifo"))
    else:
        _check_request(CALLS[call], text)


def _arn_parts(arn: str) -> tuple[str, str, str, str]:
    """Service, region, account id and resource."""
    found = _read_arn(arn)
    if found is None:
        # AWS's text is not known; this is the sentence of EventBridge rules' PutTargets.
        raise ValidationException(f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.")
    return found[1], found[2], found[3], found[4]


def _check_message_group(parameters: Mapping[str, Any] | None, *, is_fifo: bool) -> None:
    has_group = parameters is not None and parameters.get("MessageGroupId") is not None
    if is_fifo and parameters is None:
        raise ValidationException("Parameters SqsParameters must be specified")
    if is_fifo and not has_group:
        raise ValidationException("Parameters MessageGroupId must be specified")  # in the manner of the line above
    if has_group and not is_fifo:
        raise ValidationException("Parameters MessageGroupId not valid for the target")


def _check_request(members: Members, text: str | None) -> None:
    """Check a universal target's Input as far as AWS does, and that no member of it would be left undone."""
    if text is None:
        raise ValidationException("You must provide an input to set this target for your schedule")
    request = _parse_input(text)
    if not isinstance(request, dict):
        raise ValidationException("Invalid RequestJson provided. Reason Request payload is not a JSON object.")
    missing = [member for member in members.required if request.get(member) is None]
    if missing:
        raise ValidationException(
            "Invalid RequestJson provided. Reason Request payload is missing the following field(s): "
            f"{', '.join(missing)}."
        )
    unknown = sorted(request.keys() - set(members.required) - members.optional)
    if unknown:  # ours: what AWS answers is not known
        raise ValidationException(
            "Invalid RequestJson provided. Reason Request payload has field(s) that are not supported: "
            f"{', '.join(unknown)}."
        )


def _parse_input(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ValidationException("JSON syntax error in input for the target") from None


def _refuse_constant(text: str) -> None:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(text)


def _not_delivered(target_arn: str) -> ValidationException:
    universal = ", ".join(f"arn:aws:scheduler:::aws-sdk:{service}:{action}" for service, action in CALLS)
    return ValidationException(
        f"This version of duestream does not deliver to {target_arn}. "
        f"It delivers to the ARN of an SQS queue, and to the universal targets {universal}."
    )
