"""Sources of the texts: SEMANTICS.md B6 ([m PF]: measured against CreateSchedule; [m]: recorded) and B8 (user guide)."""

import json
from typing import Any

import pytest

from duestream.core.deliverable import CALLS, MAX_INPUT_BYTES, check_target, parse_target_arn
from duestream.core.schedule import Place
from duestream.core.target import DeleteItem, Email, PutItem, QueueMessage, Target, UpdateItem
from duestream.errors import ValidationException

QUEUE = "arn:aws:sqs:us-east-1:000000000000:reminders"
FIFO_QUEUE = f"{QUEUE}.fifo"
UNIVERSAL = "arn:aws:scheduler:::aws-sdk"
EMAIL = json.dumps({"Source": "a@example.com", "Destination": {"ToAddresses": ["b@example.com"]}, "Message": {}})

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
        "arn:aws:lambda:us-east-1:000000000000:function:f",
        "arn:aws:states:us-east-1:000000000000:stateMachine:m",
        f"{UNIVERSAL}:sfn:startExecution",
        f"{UNIVERSAL}:dynamodb:getawayItem",
        f"{QUEUE}:more",
    ],
)
def test_a_target_of_another_engine_is_refused_with_what_is_delivered(arn: str) -> None:
    with pytest.raises(ValidationException) as refused:
        check_target({"Arn": arn, "Input": "{}"}, region="us-east-1")
    assert f"does not deliver to {arn}." in refused.value.message
    assert all(f"{UNIVERSAL}:{service}:{action}" in refused.value.message for service, action in CALLS)


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
