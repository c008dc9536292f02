"""The evaluator against examples of the IAM User Guide's rules: it must be able to say no."""

from typing import Any

import pytest
from tests.unit.aws.policy_evaluator import evaluate

QUEUE = "arn:aws:sqs:eu-west-1:111122223333:orders"


def allow(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE, **more}


def test_what_nothing_allows_is_not_allowed() -> None:
    assert evaluate([], "sqs:SendMessage", QUEUE) == "not allowed"
    assert evaluate([allow()], "sqs:ReceiveMessage", QUEUE) == "not allowed"
    assert evaluate([allow()], "sqs:SendMessage", QUEUE + "-2") == "not allowed"


def test_a_deny_wins() -> None:
    deny = allow(Effect="Deny", Resource="*")
    assert evaluate([allow()], "sqs:SendMessage", QUEUE) == "allowed"
    assert evaluate([allow(), deny], "sqs:SendMessage", QUEUE) == "denied"


def test_actions_are_compared_without_case_and_resources_with_it() -> None:
    assert evaluate([allow(Action="SQS:sendmessage")], "sqs:SendMessage", QUEUE) == "allowed"
    assert evaluate([allow()], "sqs:SendMessage", QUEUE.replace("orders", "Orders")) == "not allowed"


@pytest.mark.parametrize(
    ("pattern", "resource", "is_like"),
    [
        ("*", QUEUE, True),
        ("arn:aws:sqs:*:*:orders", QUEUE, True),
        ("arn:aws:sqs:eu-west-1:111122223333:order?", QUEUE, True),
        ("arn:aws:sqs:eu-west-1:111122223333:order", QUEUE, False),
        ("arn:aws:s3:::a/${*}", "arn:aws:s3:::a/*", True),
        ("arn:aws:s3:::a/${*}", "arn:aws:s3:::a/b", False),
        ("arn:aws:s3:::a.b", "arn:aws:s3:::a-b", False),
    ],
)
def test_wildcards(pattern: str, resource: str, is_like: bool) -> None:
    found = evaluate([allow(Action="*", Resource=["nothing", pattern])], "any:Thing", resource)
    assert (found == "allowed") is is_like


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"iam:PassedToService": "a"}}, {"iam:PassedToService": "a"}, True),
        ({"StringEquals": {"iam:PassedToService": "a"}}, {"iam:passedtoservice": "a"}, True),
        ({"StringEquals": {"iam:PassedToService": "a"}}, {"iam:PassedToService": "b"}, False),
        ({"StringEquals": {"iam:PassedToService": "a"}}, {}, False),
        ({"StringEquals": {"x": "a", "y": "b"}}, {"x": "a"}, False),
        ({"StringEquals": {"x": "a"}}, {"x": "A"}, False),
        ({"StringEqualsIgnoreCase": {"x": "a"}}, {"x": "A"}, True),
        ({"StringEqualsIgnoreCase": {"x": "a"}}, {"x": "B"}, False),
        ({"StringEqualsIfExists": {"x": "a"}}, {}, True),
        ({"StringNotEquals": {"x": "a"}}, {}, True),
        ({"StringLike": {"ses:FromAddress": "*@example.com"}}, {"ses:FromAddress": "a@example.com"}, True),
        ({"StringLike": {"ses:FromAddress": "*@example.com"}}, {"ses:FromAddress": "a@example.org"}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:news"}}, {"aws:SourceArn": "arn:aws:sns:a:b:news"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "true"}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "false"}, True),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, str], holds: bool) -> None:
    assert (evaluate([allow(Condition=condition)], "sqs:SendMessage", QUEUE, context) == "allowed") is holds


def test_what_is_not_understood_is_an_error() -> None:
    with pytest.raises(ValueError, match="NotAction"):
        evaluate([{"Effect": "Allow", "NotAction": "a:B", "Resource": "*"}], "a:C", "*")
    with pytest.raises(ValueError, match="NumericLessThan"):
        evaluate([allow(Condition={"NumericLessThan": {"x": "1"}})], "sqs:SendMessage", QUEUE)
