import json
from typing import Any

import pytest

from duestream import BusEvent, Function, Notification, StateMachine
from duestream.core.schedule import Invocation, Place
from duestream.core.target import TARGET_TYPES, Target

PLACE = Place("eu-west-1", "123456789012")
ARN = "arn:aws:{}:eu-west-1:123456789012:{}"


def _made(target: Target) -> tuple[str, Any]:
    invocation = target.invocation(PLACE)
    return invocation.target_arn, json.loads(invocation.input)


def test_a_notification_is_the_topic_with_its_message() -> None:
    assert Notification("news", "hello").invocation(PLACE) == Invocation(ARN.format("sns", "news"), "hello")
    assert _made(Notification(ARN.format("sns", "news"), {"b": 1, "a": 2})) == (
        ARN.format("sns", "news"),
        {"a": 2, "b": 1},
    )


def test_a_notification_with_a_subject_is_a_publish_of_its_own() -> None:
    assert _made(Notification("news", "hello", subject="Hi")) == (
        "arn:aws:scheduler:::aws-sdk:sns:publish",
        {"TopicArn": ARN.format("sns", "news"), "Message": "hello", "Subject": "Hi"},
    )


def test_a_state_machine_gets_its_input_as_json() -> None:
    arn = ARN.format("states", "stateMachine:renewal")
    assert _made(StateMachine("renewal", {"id": 1})) == (arn, {"id": 1})
    assert _made(StateMachine(arn, '{"id": 1}')) == (arn, {"id": 1})
    assert _made(StateMachine("renewal")) == (arn, {})


def test_an_execution_can_be_named() -> None:
    assert _made(StateMachine("renewal", {}, execution_name="customer-1")) == (
        "arn:aws:scheduler:::aws-sdk:sfn:startExecution",
        {"StateMachineArn": ARN.format("states", "stateMachine:renewal"), "Input": "{}", "Name": "customer-1"},
    )


def test_a_function_gets_its_payload_as_json() -> None:
    assert _made(Function("renew:live", [1])) == (ARN.format("lambda", "function:renew:live"), [1])
    assert _made(Function(ARN.format("lambda", "function:renew"))) == (ARN.format("lambda", "function:renew"), {})


def test_an_event_is_put_on_its_bus() -> None:
    assert _made(BusEvent("Appointment due", {"id": 1}, "com.example", bus="clinic")) == (
        "arn:aws:scheduler:::aws-sdk:eventbridge:putEvents",
        {
            "Entries": [
                {
                    "EventBusName": "clinic",
                    "Source": "com.example",
                    "DetailType": "Appointment due",
                    "Detail": '{"id":1}',
                }
            ]
        },
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Notification("no topic", "m"), "Notification(topic=...)"),
        (lambda: Notification("news.fifo", "m"), "MessageGroupId"),
        (lambda: Notification("news", ""), "is empty"),
        (lambda: Notification("news", "m", subject="ä"), "ASCII"),
        (lambda: Notification("news", "m", subject="a\nb"), "line break"),
        (lambda: StateMachine("a b"), "StateMachine(state_machine=...)"),
        (
            lambda: StateMachine("arn:aws:states:eu-west-1:123456789012:execution:a:b"),
            "StateMachine(state_machine=...)",
        ),
        (lambda: StateMachine("m", "no json"), "not JSON"),
        (lambda: StateMachine("m", {}, execution_name="a b"), "execution_name"),
        (lambda: Function("f g"), "Function(function=...)"),
        (lambda: Function("clinic-reminder-when-due"), "when_due functions"),
        (lambda: Function("f", "no json"), "not JSON"),
        (lambda: BusEvent("", {}, "s"), "BusEvent(detail_type=...)"),
        (lambda: BusEvent("d", {}, "aws.ec2"), "AWS's own"),
        (lambda: BusEvent("d", [1], "s"), "must be a dict"),
        (lambda: BusEvent("d", {}, "s", bus="a b"), "BusEvent(bus=...)"),
    ],
)
def test_a_mistake_is_told_when_the_target_is_made(make: Any, problem: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text follows
        make()
    assert problem in str(refused.value)


@pytest.mark.parametrize("make", [lambda: Notification("news", b"m"), lambda: StateMachine("m", {"a": object()})])
def test_what_json_has_no_form_for_is_refused(make: Any) -> None:
    with pytest.raises(TypeError):
        make()


def test_rules_may_answer_them() -> None:
    assert {Notification, StateMachine, Function, BusEvent} <= set(TARGET_TYPES)
