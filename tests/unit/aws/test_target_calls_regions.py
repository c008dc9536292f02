"""Where a target's call is made: in the region of what it names."""

from typing import Any

import pytest

from duestream.aws.target_calls import TargetCalls


class Asked(Exception):
    """Stands for a client: which region it was wanted for."""


def ask(*identity: str) -> Any:
    raise Asked(identity[-1])


HERE, THERE = "eu-west-1", "us-west-2"
ELSEWHERE = f"arn:aws:s3:{THERE}:123456789012:bucket"


@pytest.mark.parametrize(
    ("service", "action", "parameters", "region"),
    [
        ("sqs", "sendMessage", {"QueueUrl": f"arn:aws:sqs:{THERE}:123456789012:q", "MessageBody": "a"}, THERE),
        ("sqs", "sendMessage", {"MessageBody": ELSEWHERE, "QueueUrl": "https://sqs/q"}, HERE),
        ("sqs", "sendMessage", {"MessageGroupId": ELSEWHERE, "MessageBody": "a", "QueueUrl": "https://sqs/q"}, HERE),
        ("sns", "publish", {"Message": ELSEWHERE, "TopicArn": f"arn:aws:sns:{HERE}:123456789012:t"}, HERE),
        ("lambda", "invoke", {"FunctionName": f"arn:aws:lambda:{THERE}:123456789012:function:f"}, THERE),
        ("kinesis", "putRecord", {"Data": ELSEWHERE, "StreamARN": f"arn:aws:kinesis:{THERE}:1:stream/s"}, THERE),
        ("ssm", "putParameter", {"Name": "/last", "Value": ELSEWHERE}, HERE),
        ("dynamodb", "putItem", {"TableName": "Notes", "Item": {"id": {"S": ELSEWHERE}}}, HERE),
    ],
)
def test_a_call_goes_to_the_region_of_what_it_names_and_not_to_one_in_its_text(
    service: str, action: str, parameters: dict[str, Any], region: str
) -> None:
    calls = TargetCalls(HERE, queue_url_prefix="", own_queues="", make=ask, make_queue_calls=ask)
    with pytest.raises(Asked, match=region):
        calls.make(service, action, parameters, token="0" * 32)
