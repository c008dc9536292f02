"""Templated targets: what a resource's own ARN stands for, and the request that is made for it.

Source of the calls: EventBridge Scheduler User Guide, "Using templated targets"; of the requests: the API reference
of each service, with the schedule's input where that call has a place for it.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from duestream.errors import ValidationException


class Occurrence(Protocol):
    """What a request may say of the delivery that it is made for."""

    @property
    def schedule_arn(self) -> str:
        """The schedule's."""
        ...

    @property
    def scheduled_time(self) -> str:
        """The due time as ``2030-01-01T09:00:00Z``."""
        ...

    @property
    def region(self) -> str:
        """The schedule's."""
        ...

    @property
    def account_id(self) -> str:
        """The schedule's."""
        ...

    @property
    def delivery_id(self) -> str:
        """32 hexadecimal digits, the same for every attempt: what a receiver deduplicates by."""
        ...


Target = Mapping[str, Any]
Request = dict[str, Any]


def default_notification(occurrence: Occurrence) -> str:
    """What a target gets where the schedule has no input (SEMANTICS.md B7; the User Guide shows no example)."""
    digits = occurrence.delivery_id
    event_id = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
    event = {
        "version": "0",
        "id": event_id,
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": occurrence.account_id,
        "time": occurrence.scheduled_time,
        "region": occurrence.region,
        "resources": [occurrence.schedule_arn],
        "detail": "{}",
    }
    return json.dumps(event, separators=(",", ":"))


def _send_message(target: Target, text: str, _: Occurrence) -> Request:
    request = {"MessageBody": text, "QueueUrl": target["Arn"]}
    group_id = target.get("SqsParameters", {}).get("MessageGroupId")
    return request if group_id is None else {**request, "MessageGroupId": group_id}


def _publish(target: Target, text: str, _: Occurrence) -> Request:
    return {"TopicArn": target["Arn"], "Message": text}


def _start_execution(target: Target, text: str, occurrence: Occurrence) -> Request:
    # Named by us, so that an attempt that is repeated starts nothing anew.
    return {"StateMachineArn": target["Arn"], "Input": text, "Name": occurrence.delivery_id}


def _invoke(target: Target, text: str, _: Occurrence) -> Request:
    return {"FunctionName": target["Arn"], "InvocationType": "Event", "Payload": text}


def _put_events(target: Target, text: str, _: Occurrence) -> Request:
    parameters = target.get("EventBridgeParameters", {})
    entry = {
        "EventBusName": target["Arn"],
        "Source": parameters.get("Source"),
        "DetailType": parameters.get("DetailType"),
        "Detail": text,
    }
    return {"Entries": [entry]}


def _put_kinesis_record(target: Target, text: str, _: Occurrence) -> Request:
    partition_key = target.get("KinesisParameters", {}).get("PartitionKey")
    return {"StreamARN": target["Arn"], "Data": text, "PartitionKey": partition_key}


def _put_firehose_record(target: Target, text: str, _: Occurrence) -> Request:
    return {"DeliveryStreamName": _after(target, "/"), "Record": {"Data": text}}


def _run_task(target: Target, text: str, occurrence: Occurrence) -> Request:
    parameters = dict(target.get("EcsParameters", {}))
    request = {
        "Cluster": target["Arn"],
        "TaskDefinition": parameters.pop("TaskDefinitionArn", None),
        "Count": parameters.pop("TaskCount", 1),
        "ClientToken": occurrence.delivery_id,
        **parameters,
    }
    overrides = _members_of(text)
    return request if not overrides else {**request, "Overrides": overrides}


def _start_build(target: Target, text: str, occurrence: Occurrence) -> Request:
    return {**_members_of(text), "ProjectName": _after(target, "/"), "IdempotencyToken": occurrence.delivery_id}


def _start_code_pipeline(target: Target, text: str, occurrence: Occurrence) -> Request:
    return {**_members_of(text), "Name": _after(target, ":"), "ClientRequestToken": occurrence.delivery_id}


def _start_assessment_run(target: Target, _text: str, _occurrence: Occurrence) -> Request:
    return {"AssessmentTemplateArn": target["Arn"]}


def _start_model_pipeline(target: Target, _text: str, occurrence: Occurrence) -> Request:
    request = {"PipelineName": _after(target, "/"), "ClientRequestToken": occurrence.delivery_id}
    parameters = target.get("SageMakerPipelineParameters", {}).get("PipelineParameterList")
    return request if not parameters else {**request, "PipelineParameters": parameters}


@dataclass(frozen=True, slots=True)
class Template:
    """What the ARNs of one service stand for.

    Args:
        call: (service, action) of the universal target that it equals.
        resource: the last part of such an ARN.
        make: the request, under the member names of a universal target's input.
        takes_text: what it carries is the input, and without one the default notification.
        block: the further parameters without which there is no such target.
    """

    call: tuple[str, str]
    resource: str
    make: Callable[[Target, str, Occurrence], Request]
    takes_text: bool = True
    block: str | None = None


_NAME = r"[A-Za-z0-9_.-]+"
#: By the service in the target's ARN.
TEMPLATES: Mapping[str, Template] = {
    "codebuild": Template(("codebuild", "startBuild"), rf"project/{_NAME}", _start_build, takes_text=False),
    "codepipeline": Template(
        ("codepipeline", "startPipelineExecution"), r"[A-Za-z0-9.@_-]+", _start_code_pipeline, takes_text=False
    ),
    "ecs": Template(("ecs", "runTask"), rf"cluster/{_NAME}", _run_task, takes_text=False, block="EcsParameters"),
    "events": Template(
        ("eventbridge", "putEvents"), r"event-bus/[A-Za-z0-9_./-]+", _put_events, block="EventBridgeParameters"
    ),
    "firehose": Template(("firehose", "putRecord"), rf"deliverystream/{_NAME}", _put_firehose_record),
    "inspector": Template(
        ("inspector", "startAssessmentRun"),
        rf"target/{_NAME}/template/{_NAME}",
        _start_assessment_run,
        takes_text=False,
    ),
    "kinesis": Template(("kinesis", "putRecord"), rf"stream/{_NAME}", _put_kinesis_record, block="KinesisParameters"),
    "lambda": Template(("lambda", "invoke"), r"function:[A-Za-z0-9_-]+(?::[A-Za-z0-9_$-]+)?", _invoke),
    "sagemaker": Template(
        ("sagemaker", "startPipelineExecution"), rf"pipeline/{_NAME}", _start_model_pipeline, takes_text=False
    ),
    "sns": Template(("sns", "publish"), r"[A-Za-z0-9_-]{1,256}(?:\.fifo)?", _publish),
    "sqs": Template(("sqs", "sendMessage"), r"[a-zA-Z0-9_-]{1,80}|[a-zA-Z0-9_-]{1,75}\.fifo", _send_message),
    "states": Template(("sfn", "startExecution"), r"stateMachine:[^:]{1,80}(?::[^:]{1,80})?", _start_execution),
}


def check_resource(service: str, resource: str, target_arn: str) -> None:
    """Refuse an ARN of a templated service's that names something else than what is called.

    Raises:
        ValidationException: so it is. AWS's text is not known; this is the sentence of EventBridge rules' PutTargets.
    """
    if re.fullmatch(TEMPLATES[service].resource, resource) is None:
        raise ValidationException(
            f"Parameter {target_arn} is not valid. Reason: Provided Arn is not in correct format."
        )


def templated_request(target: Target, text: str | None, occurrence: Occurrence) -> Request:
    """The request for a templated target, under the names that a universal target's input would have.

    Args:
        target: AWS's Target, checked.
        text: its Input, with the context attributes replaced; None where there is none.
        occurrence: the delivery.
    """
    template = TEMPLATES[target["Arn"].split(":", 5)[2]]
    if not text:
        text = default_notification(occurrence) if template.takes_text else ""
    return template.make(target, text, occurrence)


def _after(target: Target, mark: str) -> str:
    return str(target["Arn"]).rpartition(mark)[2]


def _members_of(text: str) -> dict[str, Any]:
    """An input that is an object of further members; anything else has no place in such a call."""
    if not text:
        return {}
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        raise ValidationException("JSON syntax error in input for the target") from None
    if not isinstance(members, dict):
        raise ValidationException("JSON syntax error in input for the target")
    return members
