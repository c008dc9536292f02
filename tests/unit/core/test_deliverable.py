"""Sources of the texts: SEMANTICS.md B6 ([m PF]: measured against CreateSchedule; [m]: recorded) and B8 (user guide)."""

import json
import re
from typing import Any

import pytest

from duestream.core.deliverable import CALLS, MAX_INPUT_BYTES, Members, check_target, parse_target_arn
from duestream.core.schedule import Place
from duestream.core.target import DeleteItem, Email, PutItem, QueueMessage, Target, UpdateItem
from duestream.errors import ValidationException

QUEUE = "arn:aws:sqs:us-east-1:000000000000:reminders"
FIFO_QUEUE = f"{QUEUE}.fifo"
UNIVERSAL = "arn:aws:scheduler:::aws-sdk"
EMAIL = json.dumps({"Source": "a@example.com", "Destination": {"ToAddresses": ["b@example.com"]}, "Message": {}})

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:m"
#: The twelve of the user guide, "Using templated targets".
TEMPLATED: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"Arn": "arn:aws:codebuild:us-east-1:000000000000:project/p"}, ("codebuild", "startBuild")),
    ({"Arn": "arn:aws:codepipeline:us-east-1:000000000000:p"}, ("codepipeline", "startPipelineExecution")),
    (
        {"Arn": "arn:aws:ecs:us-east-1:000000000000:cluster/c", "EcsParameters": {"TaskDefinitionArn": "t"}},
        ("ecs", "runTask"),
    ),
    (
        {
            "Arn": "arn:aws:events:us-east-1:000000000000:event-bus/default",
            "EventBridgeParameters": {"Source": "s", "DetailType": "d"},
            "Input": "{}",
        },
        ("eventbridge", "putEvents"),
    ),
    ({"Arn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/d"}, ("firehose", "putRecord")),
    (
        {"Arn": "arn:aws:inspector:us-east-1:000000000000:target/0-a/template/0-b"},
        ("inspector", "startAssessmentRun"),
    ),
    (
        {
            "Arn": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
            "KinesisParameters": {"PartitionKey": "k"},
            "Input": "any text",
        },
        ("kinesis", "putRecord"),
    ),
    ({"Arn": "arn:aws:lambda:us-east-1:000000000000:function:f:live", "Input": "{}"}, ("lambda", "invoke")),
    (
        {
            "Arn": "arn:aws:sagemaker:us-east-1:000000000000:pipeline/p",
            "SageMakerPipelineParameters": {"PipelineParameterList": [{"Name": "n", "Value": "v"}]},
        },
        ("sagemaker", "startPipelineExecution"),
    ),
    ({"Arn": "arn:aws:sns:us-east-1:000000000000:news", "Input": "any text"}, ("sns", "publish")),
    ({"Arn": QUEUE}, ("sqs", "sendMessage")),
    ({"Arn": MACHINE, "Input": "{}"}, ("sfn", "startExecution")),
]

TAKEN: list[dict[str, Any]] = [
    {"Arn": QUEUE},
    {"Arn": QUEUE, "Input": "free text"},
    {"Arn": QUEUE, "SqsParameters": {}},
    {"Arn": FIFO_QUEUE, "SqsParameters": {"MessageGroupId": "g"}},
    {"Arn": QUEUE.replace("arn:aws:", "arn:aws-cn:")},
    {"Arn": QUEUE.replace("000000000000", "123456789012")},
    {"Arn": QUEUE, "Input": "x" * MAX_INPUT_BYTES},
    {"Arn": f"{UNIVERSAL}:ses:sendEmail", "Input": EMAIL},
    {"Arn": f"{UNIVERSAL}:sesv2:sendEmail", "Input": '{"Content": {}}'},
    {"Arn": f"{UNIVERSAL}:sqs:sendMessage", "Input": '{"QueueUrl": "u", "MessageBody": "b", "DelaySeconds": 1}'},
    {"Arn": f"{UNIVERSAL}:dynamodb:putItem", "Input": '{"TableName": "t", "Item": {}}'},
    {"Arn": f"{UNIVERSAL}:dynamodb:updateItem", "Input": '{"TableName": "t", "Key": {}, "UpdateExpression": "x"}'},
    {"Arn": f"{UNIVERSAL}:dynamodb:deleteItem", "Input": '{"TableName": "t", "Key": {}, "ReturnValues": "NONE"}'},
]

NOT_JSON = "JSON syntax error in input for the target"
MISSING = "Invalid RequestJson provided. Reason Request payload is missing the following field(s):"
REFUSED: list[tuple[dict[str, Any], str]] = [
    # [m PF]
    ({"Arn": "arn:aws:s3:::bucket"}, "s3 is not a supported service for a target"),
    ({"Arn": "arn:aws:dynamodb:us-east-1:000000000000:table/t"}, "dynamodb is not a supported service for a target"),
    (
        {"Arn": "arn:aws:scheduler:us-east-1:000000000000:aws-sdk:sqs:sendMessage", "Input": "{}"},
        "scheduler is not a supported service for a target",
    ),
    ({"Arn": f"{UNIVERSAL}:sqs:getQueueUrl", "Input": "{}"}, "getQueueUrl API is not supported"),
    ({"Arn": f"{UNIVERSAL}:sqs:listQueues", "Input": "{}"}, "listQueues API is not supported"),
    ({"Arn": f"{UNIVERSAL}:ec2:describeInstances", "Input": "{}"}, "describeInstances API is not supported"),
    ({"Arn": f"{UNIVERSAL}:sqs:sendMessage"}, "You must provide an input to set this target for your schedule"),
    ({"Arn": f"{UNIVERSAL}:sqs:sendMessage", "Input": "no json"}, NOT_JSON),
    ({"Arn": f"{UNIVERSAL}:sqs:sendMessage", "Input": '{"a": NaN}'}, NOT_JSON),
    ({"Arn": f"{UNIVERSAL}:sqs:sendMessage", "Input": "[" * 100_000}, NOT_JSON),
    ({"Arn": "arn:aws:lambda:us-east-1:000000000000:function:f", "Input": "no json"}, NOT_JSON),
    (
        {"Arn": QUEUE.replace("us-east-1", "eu-west-1")},
        "The target ARN provided does not match the current region us-east-1.",
    ),
    ({"Arn": QUEUE, "EcsParameters": {}}, "Parameters EcsParameters not supported for the target"),
    (
        {"Arn": f"{UNIVERSAL}:sqs:sendMessage", "Input": "{}", "SqsParameters": {}},
        "Parameters SqsParameters not supported for the target",
    ),
    ({"Arn": FIFO_QUEUE}, "Parameters SqsParameters must be specified"),
    (
        {"Arn": QUEUE, "SqsParameters": {"MessageGroupId": "g"}},
        "Parameters MessageGroupId not valid for the target",
    ),
    # [m]: in the order of AWS's model, and upper case wanted
    ({"Arn": f"{UNIVERSAL}:sqs:sendMessage", "Input": "{}"}, f"{MISSING} QueueUrl, MessageBody."),
    ({"Arn": f"{UNIVERSAL}:ses:sendEmail", "Input": EMAIL.replace("Source", "source")}, f"{MISSING} Source."),
    # B8, prefixes
    ({"Arn": f"{UNIVERSAL}:dynamodb:batchGetItem", "Input": "{}"}, "batchGetItem API is not supported"),
    ({"Arn": f"{UNIVERSAL}:sqs:receiveMessage", "Input": "{}"}, "receiveMessage API is not supported"),
    # ours: AWS's text is not known
    ({"Arn": "queue"}, "Parameter queue is not valid. Reason: Provided Arn is not in correct format."),
    ({"Arn": f"{UNIVERSAL}:SQS:sendMessage", "Input": "{}"}, "SQS is not a supported service for a target"),
    ({"Arn": f"{UNIVERSAL}:sqs:SendMessage", "Input": "{}"}, "SendMessage API is not supported"),
    ({"Arn": FIFO_QUEUE, "SqsParameters": {}}, "Parameters MessageGroupId must be specified"),
    ({"Arn": QUEUE, "Input": "x" * (MAX_INPUT_BYTES + 1)}, "The maximum size of the Input field is 256 KB."),
    (
        {"Arn": f"{UNIVERSAL}:dynamodb:deleteItem", "Input": "[]"},
        "Invalid RequestJson provided. Reason Request payload is not a JSON object.",
    ),
    (
        {"Arn": f"{UNIVERSAL}:dynamodb:deleteItem", "Input": '{"TableName": "t", "Key": {}, "Expected": {}}'},
        "Invalid RequestJson provided. Reason Request payload has field(s) that are not supported: Expected.",
    ),
]


@pytest.mark.parametrize("target", TAKEN)
def test_what_is_delivered_is_taken(target: dict[str, Any]) -> None:
    check_target(target, region="us-east-1")


@pytest.mark.parametrize(("target", "text"), REFUSED)
def test_what_is_not_is_refused_with_the_reason(target: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationException) as refused:
        check_target(target, region="us-east-1")
    assert refused.value.message == text


@pytest.mark.parametrize(
    "arn",
    [
        MACHINE,
        "arn:aws:sns:us-east-1:000000000000:news",
        f"{UNIVERSAL}:sfn:startExecution",
        f"{UNIVERSAL}:dynamodb:getawayItem",
    ],
)
def test_what_goes_nowhere_is_refused_with_what_to_do_about_it(arn: str) -> None:
    with pytest.raises(ValidationException) as refused:
        check_target({"Arn": arn, "Input": "{}"}, region="us-east-1")
    assert "pip install 'duestream[moto]'" in refused.value.message
    assert "--forward" in refused.value.message


@pytest.mark.parametrize(("target", "call"), TEMPLATED, ids=[target["Arn"] for target, _ in TEMPLATED])
def test_each_templated_target_stands_for_its_call(target: dict[str, Any], call: tuple[str, str]) -> None:
    asked: list[tuple[str, str]] = []

    def forwarded(service: str, action: str) -> Members:
        asked.append((service, action))
        return Members((), frozenset())

    check_target(target, region="us-east-1", forwarded=forwarded)
    assert parse_target_arn(target["Arn"]) == call
    assert asked == ([] if call in CALLS else [call])


@pytest.mark.parametrize(
    ("arn", "block"),
    [
        ("events:us-east-1:000000000000:event-bus/default", "EventBridgeParameters"),
        ("kinesis:us-east-1:000000000000:stream/s", "KinesisParameters"),
        ("ecs:us-east-1:000000000000:cluster/c", "EcsParameters"),
    ],
)
def test_some_templated_targets_need_parameters_of_their_own(arn: str, block: str) -> None:
    with pytest.raises(ValidationException, match=f"Parameters {block} must be specified"):
        check_target({"Arn": f"arn:aws:{arn}", "Input": "{}"}, region="us-east-1", forwarded=_anything)


def test_the_functions_of_rules_are_scheduled_by_their_rules_only() -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:clinic-reminder-when-due"
    with pytest.raises(ValidationException, match="only their rules schedule"):
        check_target({"Arn": arn, "Input": "{}"}, region="us-east-1", forwarded=_anything)


def test_fargate_needs_a_network() -> None:  # [m PF]
    target = {
        "Arn": "arn:aws:ecs:us-east-1:000000000000:cluster/c",
        "EcsParameters": {"TaskDefinitionArn": "t", "LaunchType": "FARGATE"},
    }
    with pytest.raises(ValidationException, match="NetworkConfiguration"):
        check_target(target, region="us-east-1", forwarded=_anything)


@pytest.mark.parametrize(
    "arn",
    [
        f"{QUEUE}:more",
        "arn:aws:states:us-east-1:000000000000:execution:m:e",
        "arn:aws:events:us-east-1:000000000000:rule/r",
        "arn:aws:sns:us-east-1:000000000000:a/b",
    ],
)
def test_an_arn_of_something_that_cannot_be_called_is_refused(arn: str) -> None:
    with pytest.raises(ValidationException, match="Provided Arn is not in correct format"):
        check_target({"Arn": arn, "Input": "{}"}, region="us-east-1", forwarded=_anything)


def test_the_input_of_what_goes_elsewhere_is_checked_as_well() -> None:
    def forwarded(service: str, action: str) -> Members:
        return Members(("StateMachineArn",), frozenset(("Input", "Name")))

    arn = f"{UNIVERSAL}:sfn:startExecution"
    check_target({"Arn": arn, "Input": '{"StateMachineArn": "m"}'}, region="us-east-1", forwarded=forwarded)
    for text, problem in (
        ('{"stateMachineArn": "m"}', "missing the following field(s): StateMachineArn."),
        ('{"StateMachineArn": "m", "Nmae": "n"}', "not supported: Nmae."),
        (None, "You must provide an input"),
    ):
        with pytest.raises(ValidationException, match=re.escape(problem)):
            check_target({"Arn": arn} | ({"Input": text} if text else {}), region="us-east-1", forwarded=forwarded)


def _anything(service: str, action: str) -> Members:
    return Members((), frozenset())


@pytest.mark.parametrize(
    "target",
    [
        Email(source="a@example.com", to="b@example.com", subject="s", text="t", reply_to="c@example.com"),
        QueueMessage("reminders", {"a": 1}),
        QueueMessage("reminders.fifo", "text", group_id="g"),
        PutItem("Table", {"PK": "1"}),
        UpdateItem("Table", {"PK": "1"}, "SET a = :a", condition_expression="b = :a", values={":a": 1}),
        DeleteItem("Table", {"PK": "1"}),
    ],
)
def test_what_rules_answer_would_be_taken_from_the_api_too(target: Target) -> None:
    invocation = target.invocation(Place())
    given: dict[str, Any] = {"Arn": invocation.target_arn, "Input": invocation.input}
    if invocation.message_group_id is not None:
        given["SqsParameters"] = {"MessageGroupId": invocation.message_group_id}
    check_target(given, region="us-east-1")
    assert parse_target_arn(invocation.target_arn) in CALLS
