"""The schedule that sends a dead letter's request once more. Pure."""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from duestream.aws.given_up import queue_url_prefix
from duestream.aws.requests import LEAD
from duestream.aws.settings import Settings
from duestream.aws.upkeep.dead_letters import Letter
from duestream.core.json_text import json_text
from duestream.core.planner import schedule_dead_letter_queue
from duestream.core.rule import Rule
from duestream.core.schedule import at_expression

#: CreateSchedule, Description.
MAX_DESCRIPTION_LENGTH = 512
#: What the descriptions of such schedules begin with.
REDRIVES = "Redrives dead letter "
_SECOND = timedelta(seconds=1)
_is_universal = re.compile(r"arn:[a-z-]+:scheduler:::aws-sdk:(?P<service>[a-z0-9]+):(?P<action>[A-Za-z0-9]+)").fullmatch
#: What a request says about where it goes. AWS does not tell whether the letter of a templated target has the request
#: as its body, or only the target's input: one without any of these cannot be sent.
_DESTINATIONS: Mapping[str, tuple[str, ...]] = {
    "sqs:sendMessage": ("QueueUrl",),
    "sns:publish": ("TopicArn", "TargetArn", "PhoneNumber"),
    "lambda:invoke": ("FunctionName",),
    "sfn:startExecution": ("StateMachineArn",),
    "eventbridge:putEvents": ("Entries",),
    "kinesis:putRecord": ("StreamName", "StreamARN"),
    "firehose:putRecord": ("DeliveryStreamName",),
    "ecs:runTask": ("TaskDefinition",),
    "codebuild:startBuild": ("ProjectName",),
    "codepipeline:startPipelineExecution": ("Name",),
    "inspector:startAssessmentRun": ("AssessmentTemplateArn",),
    "sagemaker:startPipelineExecution": ("PipelineName",),
}


def redrive_request(
    letter: Letter, name: str, rule: Rule | None, *, app_name: str, settings: Settings, now: datetime
) -> dict[str, Any] | str:
    """The body of CreateSchedule, for a universal target; or why there is none.

    Args:
        letter: of a delivery that EventBridge Scheduler was to make.
        name: the schedule's.
        rule: whose `Retry` holds, anew; None: Scheduler's own defaults.
        app_name: the app's, and so the group's.
        settings: those of the app's functions.
        now: the present moment, aware.
    """
    if letter.attributes.get("IS_PAYLOAD_TRUNCATED") == "true":
        return "its request was cut to fit into the queue"
    arn = letter.attributes["TARGET_ARN"]
    call = _is_universal(arn)
    if call is None:
        return f"EventBridge Scheduler cannot call {arn}"
    text = _input(letter.body, f"{call['service']}:{call['action']}", settings)
    if text is None:
        return f"its body is no request of {call['service']}:{call['action']} that says where it goes"
    target: dict[str, Any] = {
        "Arn": arn,
        "RoleArn": settings.execution_role_arn,
        "Input": text,
        "DeadLetterConfig": {"Arn": settings.place.arn("sqs", schedule_dead_letter_queue(app_name))},
    }
    if rule is not None:
        target["RetryPolicy"] = {
            "MaximumEventAgeInSeconds": rule.retry.max_age // _SECOND,
            "MaximumRetryAttempts": rule.retry.attempts,
        }
    return {
        "Name": name,
        "GroupName": app_name,
        "Description": description_of(letter),
        "ScheduleExpression": at_expression(now + LEAD),
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "ActionAfterCompletion": "DELETE",
        "Target": target,
    }


def description_of(letter: Letter) -> str:
    """What the schedule says of where it comes from."""
    due_at = letter.attributes.get("SCHEDULED_TIME", "?")
    text = f"{REDRIVES}{letter.message_id} of schedule {letter.schedule}, due at {due_at}"
    return text[:MAX_DESCRIPTION_LENGTH]


def _input(body: str, call: str, settings: Settings) -> str | None:
    """A universal target's input; None: the body is no such request."""
    try:
        request = json.loads(body)
    except ValueError:
        return None
    if not isinstance(request, dict):
        return None
    named = {name.casefold() for name in request}
    destinations = _DESTINATIONS.get(call, ())
    if destinations and not any(name.casefold() in named for name in destinations):
        return None
    queue = str(request.get("QueueUrl", ""))
    if call == "sqs:sendMessage" and queue.startswith("arn:"):  # a templated target names its queue so
        return json_text({**request, "QueueUrl": _queue_url(queue, settings)})
    return body


def _queue_url(arn: str, settings: Settings) -> str:
    _, partition, _, region, account_id, name = arn.split(":", 5)
    if arn.startswith(settings.place.arn("sqs", "")):
        return queue_url_prefix(settings.stream_dead_letter_queue_url) + name
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return f"https://sqs.{region}.{suffix}/{account_id}/{name}"
