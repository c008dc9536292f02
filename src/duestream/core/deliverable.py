"""Which targets are delivered to: the one list that the API refuses by and the engine delivers by.

`CALLS` are carried out here; all others go out to another endpoint, if there is one for them. AWS takes two forms of a target: a resource's own ARN ("templated": an SQS queue stands for SendMessage), and
``arn:aws:scheduler:::aws-sdk:<service>:<action>`` ("universal") with the request in the schedule's Input.
Texts of refusals were measured against AWS (SEMANTICS.md B6, B8) where no comment says otherwise.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from duestream.core.forwarding import REMEDY
from duestream.core.service_targets import WHEN_DUE_ENDING
from duestream.core.target_names import UNSUPPORTED_ACTION_PREFIXES
from duestream.core.templated import TEMPLATES, check_resource
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
    ("ses", "sendTemplatedEmail"): _members(
        "Source Destination Template TemplateData",
        "ReplyToAddresses ReturnPath SourceArn ReturnPathArn Tags ConfigurationSetName TemplateArn",
    ),
    ("sesv2", "sendEmail"): _members(
        "Content",
        "FromEmailAddress FromEmailAddressIdentityArn Destination ReplyToAddresses FeedbackForwardingEmailAddress "
        "FeedbackForwardingEmailAddressIdentityArn EmailTags ConfigurationSetName EndpointId TenantName "
        "ListManagementOptions",
    ),
    # Carried out by accepting the event: a function that fails is its own asynchronous invocation's matter.
    ("lambda", "invoke"): _members("FunctionName", "InvocationType Payload Qualifier ClientContext LogType"),
    ("dynamodb", "putItem"): _members("TableName Item", _CONDITION),
    ("dynamodb", "updateItem"): _members("TableName Key", f"UpdateExpression {_CONDITION}"),
    ("dynamodb", "deleteItem"): _members("TableName Key", _CONDITION),
}
#: Says what the request of a call that goes elsewhere must and may have.
#: Raises ValidationException: there is no such call, or nowhere to send it to.
Forwarded = Callable[[str, str], Members]

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


def parse_target_arn(target_arn: str) -> tuple[str, str]:
    """Say which call a target's ARN stands for, as (service, action) of a universal target.

    A queue of any account is the queue of that name here.

    Raises:
        ValidationException: it is no target of AWS's.
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
        return service, action
    if service not in TEMPLATES:
        raise ValidationException(f"{service} is not a supported service for a target")
    check_resource(service, resource, target_arn)
    return TEMPLATES[service].call


def check_call(call: tuple[str, str], forwarded: Forwarded | None) -> Members:
    """What the request of this call must and may have.

    Raises:
        ValidationException: there is no such call, or it is neither carried out here nor sent elsewhere.
    """
    if call in CALLS:
        return CALLS[call]
    if forwarded is None:
        raise ValidationException(f"Targets {call[0]}:{call[1]} are not delivered by this server. {REMEDY}")
    return forwarded(*call)


def check_target(target: Mapping[str, Any], *, region: str, forwarded: Forwarded | None = None) -> None:
    """Check a target as CreateSchedule gives it, under AWS's names.

    Args:
        target: AWS's Target, of which the model's own constraints hold already.
        region: where the schedule is being made; templated targets must be there too.
        forwarded: what goes elsewhere; None: nothing does.

    Raises:
        ValidationException: as AWS refuses it, or because it would not be delivered.
    """
    target_arn: str = target["Arn"]
    text: str | None = target.get("Input")
    service, target_region, _, resource = _arn_parts(target_arn)
    is_templated = service in TEMPLATES
    if is_templated and target_region != region:
        raise ValidationException(f"The target ARN provided does not match the current region {region}.")
    for block, its_service in _BLOCKS.items():
        if target.get(block) is not None and service != its_service:
            raise ValidationException(f"Parameters {block} not supported for the target")
    if service in _JSON_SERVICES and text is not None:
        _parse_input(text)
    call = parse_target_arn(target_arn)
    if service == "lambda" and resource.endswith(WHEN_DUE_ENDING):
        raise ValidationException(
            f"{target_arn} is not a function of Lambda's: names that end in {WHEN_DUE_ENDING} are those of rules' own "
            "functions, which only their rules schedule."
        )
    members = check_call(call, forwarded)
    if text is not None and len(text.encode()) > MAX_INPUT_BYTES:
        raise ValidationException("The maximum size of the Input field is 256 KB.")  # AWS's text is not known
    if is_templated:
        _check_blocks(service, target, is_fifo=resource.endswith(".fifo"))
    else:
        _check_request(members, text)


def _check_blocks(service: str, target: Mapping[str, Any], *, is_fifo: bool) -> None:
    """The further parameters that a templated target needs."""
    block = TEMPLATES[service].block
    if block is not None and target.get(block) is None:  # in the manner of the text for SqsParameters
        raise ValidationException(f"Parameters {block} must be specified")
    if service == "sqs":
        _check_message_group(target.get("SqsParameters"), is_fifo=is_fifo)
    if service == "ecs":
        parameters = target["EcsParameters"]
        if parameters.get("LaunchType") == "FARGATE" and parameters.get("NetworkConfiguration") is None:
            # That AWS refuses it was measured, its text is not known.
            raise ValidationException("Parameters NetworkConfiguration must be specified")


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
