"""The requests of templated targets, under the names that a universal target's input would have."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from duestream.core.templated import templated_request
from duestream.errors import ValidationException

PLACE = "us-east-1:000000000000"
DELIVERY_ID = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Delivery:
    schedule_arn: str = f"arn:aws:scheduler:{PLACE}:schedule/default/s"
    scheduled_time: str = "2030-01-01T09:00:00Z"
    region: str = "us-east-1"
    account_id: str = "000000000000"
    delivery_id: str = DELIVERY_ID


def _request(arn: str, text: str | None, **more: Any) -> dict[str, Any]:
    return templated_request({"Arn": f"arn:aws:{arn}", **more}, text, Delivery())


REQUESTS: list[tuple[str, str | None, dict[str, Any], dict[str, Any]]] = [
    (f"sqs:{PLACE}:q", "m", {}, {"QueueUrl": f"arn:aws:sqs:{PLACE}:q", "MessageBody": "m"}),
    (
        f"sqs:{PLACE}:q.fifo",
        "m",
        {"SqsParameters": {"MessageGroupId": "g"}},
        {"QueueUrl": f"arn:aws:sqs:{PLACE}:q.fifo", "MessageBody": "m", "MessageGroupId": "g"},
    ),
    (f"sns:{PLACE}:t", "m", {}, {"TopicArn": f"arn:aws:sns:{PLACE}:t", "Message": "m"}),
    (
        f"states:{PLACE}:stateMachine:m",
        '{"a":1}',
        {},
        {"StateMachineArn": f"arn:aws:states:{PLACE}:stateMachine:m", "Input": '{"a":1}', "Name": DELIVERY_ID},
    ),
    (
        f"lambda:{PLACE}:function:f",
        "{}",
        {},
        {"FunctionName": f"arn:aws:lambda:{PLACE}:function:f", "InvocationType": "Event", "Payload": "{}"},
    ),
    (
        f"events:{PLACE}:event-bus/b",
        "{}",
        {"EventBridgeParameters": {"Source": "s", "DetailType": "d"}},
        {
            "Entries": [
                {
                    "EventBusName": f"arn:aws:events:{PLACE}:event-bus/b",
                    "Source": "s",
                    "DetailType": "d",
                    "Detail": "{}",
                }
            ]
        },
    ),
    (
        f"kinesis:{PLACE}:stream/s",
        "data",
        {"KinesisParameters": {"PartitionKey": "k"}},
        {"StreamARN": f"arn:aws:kinesis:{PLACE}:stream/s", "Data": "data", "PartitionKey": "k"},
    ),
    (f"firehose:{PLACE}:deliverystream/d", "data", {}, {"DeliveryStreamName": "d", "Record": {"Data": "data"}}),
    (
        f"ecs:{PLACE}:cluster/c",
        '{"ContainerOverrides": []}',
        {"EcsParameters": {"TaskDefinitionArn": "t", "TaskCount": 2, "LaunchType": "EC2"}},
        {
            "Cluster": f"arn:aws:ecs:{PLACE}:cluster/c",
            "TaskDefinition": "t",
            "Count": 2,
            "LaunchType": "EC2",
            "ClientToken": DELIVERY_ID,
            "Overrides": {"ContainerOverrides": []},
        },
    ),
    (f"codebuild:{PLACE}:project/p", None, {}, {"ProjectName": "p", "IdempotencyToken": DELIVERY_ID}),
    (f"codepipeline:{PLACE}:p", None, {}, {"Name": "p", "ClientRequestToken": DELIVERY_ID}),
    (
        f"inspector:{PLACE}:target/0-a/template/0-b",
        None,
        {},
        {"AssessmentTemplateArn": f"arn:aws:inspector:{PLACE}:target/0-a/template/0-b"},
    ),
    (
        f"sagemaker:{PLACE}:pipeline/p",
        None,
        {"SageMakerPipelineParameters": {"PipelineParameterList": [{"Name": "n", "Value": "v"}]}},
        {
            "PipelineName": "p",
            "ClientRequestToken": DELIVERY_ID,
            "PipelineParameters": [{"Name": "n", "Value": "v"}],
        },
    ),
]


@pytest.mark.parametrize(("arn", "text", "more", "request_"), REQUESTS, ids=[row[0] for row in REQUESTS])
def test_the_request_of_each_templated_target(
    arn: str, text: str | None, more: dict[str, Any], request_: dict[str, Any]
) -> None:
    assert _request(arn, text, **more) == request_


@pytest.mark.parametrize(
    ("arn", "member"),
    [
        (f"sqs:{PLACE}:q", "MessageBody"),
        (f"sns:{PLACE}:t", "Message"),
        (f"states:{PLACE}:stateMachine:m", "Input"),
        (f"lambda:{PLACE}:function:f", "Payload"),
    ],
)
def test_without_an_input_a_default_notification_is_sent(arn: str, member: str) -> None:  # SEMANTICS.md B7
    assert json.loads(_request(arn, None)[member]) == {
        "version": "0",
        "id": "01234567-89ab-cdef-0123-456789abcdef",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "000000000000",
        "time": "2030-01-01T09:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:scheduler:{PLACE}:schedule/default/s"],
        "detail": "{}",
    }


@pytest.mark.parametrize("text", ["no json", "[]", "1"])
def test_an_input_that_cannot_be_members_is_refused(text: str) -> None:
    with pytest.raises(ValidationException):
        _request(f"codebuild:{PLACE}:project/p", text)
