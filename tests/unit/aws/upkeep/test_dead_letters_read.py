"""What messages of the dead-letter queues on AWS are taken for, and the requests that redrive them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duestream import App, QueueMessage, Retry
from duestream.aws.due_work import DueWork
from duestream.aws.given_up import EVENT_ATTRIBUTE
from duestream.aws.settings import Settings
from duestream.aws.upkeep.dead_letter_requests import redrive_request
from duestream.aws.upkeep.dead_letters import LetterFilter, facts_of, read_letter, redrive_name, whole_of
from duestream.aws.upkeep.group import rule_of_name
from duestream.core.schedule import Place

NOW = datetime(2030, 1, 1, 9, tzinfo=UTC)
PLACE = Place(region="eu-central-1", account_id="123456789012")
SETTINGS = Settings(
    app="rules:app",
    place=PLACE,
    execution_role_arn="arn:aws:iam::123456789012:role/execution",
    stream_dead_letter_queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/clinic-stream-dead-letters",
    deliveries_table="clinic-deliveries",
    when_due_function_arn=PLACE.arn("lambda", "function:clinic-when-due"),
)
NAME = "reminder-0123456789abcdef0123"
SCHEDULER = {
    "ERROR_CODE": "NonExistentQueue",
    "ERROR_MESSAGE": "there is none",
    "RETRY_ATTEMPTS": "3",
    "SCHEDULED_TIME": "2030-01-01T08:00:00Z",
    "SCHEDULE_ARN": PLACE.arn("scheduler", f"schedule/clinic/{NAME}"),
    "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
}
WORK = DueWork("reminder", "Appointments", {"PK": {"S": "a"}}, NOW, NAME)
BATCH = {
    "requestContext": {"condition": "RecordAgeExceeded", "approximateInvokeCount": 4},
    "DDBStreamBatchInfo": {
        "shardId": "shardId-1",
        "startSequenceNumber": "1",
        "endSequenceNumber": "9",
        "approximateArrivalOfFirstRecord": "2030-01-01T07:00:00Z",
        "batchSize": 9,
        "streamArn": PLACE.arn("dynamodb", "table/Appointments/stream/2029-01-01T00:00:00.000"),
    },
}
RECORD = {
    "app": "clinic",
    "rule": "reminder",
    "kind": "rule raised",
    "reason": "KeyError: 'email'",
    "record": {"tableName": "Appointments", "keys": {"PK": {"S": "a"}}, "newImage": {"PK": {"S": "a"}}},
}


def letter(body: object, attributes: Mapping[str, str] | None = None, **system: str) -> Any:
    message = {
        "MessageId": "11111111-2222-3333-4444-555555555555",
        "ReceiptHandle": "handle",
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"SentTimestamp": str(int((NOW - timedelta(hours=1)).timestamp() * 1000)), **system},
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()
        },
    }
    return read_letter("clinic-dead-letters", message)


@pytest.mark.parametrize(
    ("body", "attributes", "form", "kind"),
    [
        ({"MessageBody": "x", "QueueUrl": "u"}, SCHEDULER, "delivery", "delivery"),
        ({}, {**SCHEDULER, EVENT_ATTRIBUTE: json.dumps(WORK.lambda_event())}, "due work", "delivery"),
        (
            {"FunctionName": "f", "Payload": json.dumps(WORK.lambda_event())},
            {**SCHEDULER, "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:lambda:invoke"},
            "due work",
            "delivery",
        ),
        (
            WORK.lambda_event(),
            {**SCHEDULER, "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:lambda:invoke"},
            "due work",
            "delivery",
        ),
        (
            {"FunctionName": "mine", "Payload": "{}"},
            {**SCHEDULER, "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:lambda:invoke"},
            "delivery",
            "delivery",
        ),
        ({"requestContext": {}, "requestPayload": WORK.lambda_event()}, {}, "crashed", "delivery"),
        ({"requestContext": {}, "requestPayload": {"Records": []}}, {}, "other", "message"),
        (RECORD, {}, "record", "record"),
        (BATCH, {}, "batch", "record"),
        ("hello", {}, "other", "message"),
        ("[1]", {}, "other", "message"),
        ("{broken", {}, "other", "message"),
    ],
)
def test_each_form_is_told_from_the_others(body: object, attributes: dict[str, str], form: str, kind: str) -> None:
    found = letter(body, attributes)
    assert (found.form, found.kind) == (form, kind)
    assert whole_of(found, NOW)["body"] == found.body


@given(st.text(), st.dictionaries(st.sampled_from([*SCHEDULER, EVENT_ATTRIBUTE]), st.text(), max_size=4))
def test_whatever_is_in_a_queue_can_be_told_of(body: str, attributes: dict[str, str]) -> None:
    facts = facts_of(letter(body, attributes), NOW)
    assert facts["kind"] in ("delivery", "record", "message")
    json.dumps(facts)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.dictionaries(
            st.sampled_from(["requestContext", "requestPayload", "DDBStreamBatchInfo", "record", "keys", "streamArn"]),
            inner,
        ),
    )
)
def test_bodies_that_only_look_like_letters_are_told_of_too(body: object) -> None:
    json.dumps(whole_of(letter(body), NOW))


def test_a_letter_says_what_was_given_up_and_why() -> None:
    facts = facts_of(letter({"MessageBody": "x"}, SCHEDULER), NOW)
    assert facts["rule"] == "reminder"
    assert facts["schedule"] == f"clinic/{NAME}"
    assert facts["reason"] == "NonExistentQueue: there is none"
    assert facts["attempts"] == 4
    assert facts["age_seconds"] == 3600
    assert facts_of(letter(BATCH), NOW)["table"] == "Appointments"
    assert facts_of(letter(BATCH), NOW)["reason"] == (
        "RecordAgeExceeded: the stream function failed on 9 stream records from 2030-01-01T07:00:00Z on"
    )
    moved = letter("x", DeadLetterQueueSourceArn=PLACE.arn("sqs", "orders"))
    assert facts_of(moved, NOW)["source_queue"] == "orders"


def test_an_arn_of_the_old_form_names_the_schedule_too() -> None:
    old = {**SCHEDULER, "SCHEDULE_ARN": PLACE.arn("scheduler", f"schedule/{NAME}")}
    assert letter({}, old).rule == "reminder"


def test_a_letter_of_a_redriven_delivery_names_the_one_before() -> None:
    name = redrive_name("11111111-2222-3333-4444-555555555555")
    again = {**SCHEDULER, "SCHEDULE_ARN": PLACE.arn("scheduler", f"schedule/clinic/{name}")}
    assert letter({}, again).redrive_of == "11111111-2222-3333-4444-555555555555"
    assert rule_of_name(name) is None
    assert len(redrive_name("x" * 100)) <= 64


def test_filters_take_what_they_name() -> None:
    facts = facts_of(letter({"MessageBody": "x"}, SCHEDULER), NOW)
    for wanted, is_taken in (
        (LetterFilter(), True),
        (LetterFilter(kind="delivery", rule="reminder", error="NONEXISTENT"), True),
        (LetterFilter(kind="record"), False),
        (LetterFilter(rule="other"), False),
        (LetterFilter(table="Appointments"), False),
        (LetterFilter(error="throttled"), False),
        (LetterFilter(older_than_seconds=3600), True),
        (LetterFilter(older_than_seconds=3601), False),
        (LetterFilter(newer_than_seconds=3600), True),
        (LetterFilter(newer_than_seconds=3599), False),
    ):
        assert wanted.takes(facts) is is_taken, wanted


# Requests -----------------------------------------------------------------------------------------------


def request_of(body: object, attributes: Mapping[str, str] = SCHEDULER, **more: Any) -> Any:
    app = App("clinic")
    rule = app.table("Appointments", partition_key="PK").rule(
        "AT", QueueMessage("reminders"), name="reminder", retry=Retry(attempts=2, max_age=timedelta(hours=2))
    )
    return redrive_request(
        letter(body, attributes), "name", more.get("rule", rule), app_name="clinic", settings=SETTINGS, now=NOW
    )


def test_the_request_of_a_letter_goes_out_by_a_schedule_of_its_own() -> None:
    body = {"MessageBody": "x", "QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/reminders"}
    assert request_of(body) == {
        "Name": "name",
        "GroupName": "clinic",
        "Description": "Redrives dead letter 11111111-2222-3333-4444-555555555555 of schedule "
        f"clinic/{NAME}, due at 2030-01-01T08:00:00Z",
        "ScheduleExpression": "at(2030-01-01T09:00:05)",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
            "RoleArn": SETTINGS.execution_role_arn,
            "Input": json.dumps(body),
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-central-1:123456789012:clinic-dead-letters"},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 7200, "MaximumRetryAttempts": 2},
        },
    }
    assert "RetryPolicy" not in request_of(body, rule=None)["Target"]


@pytest.mark.parametrize(
    ("arn", "url"),
    [
        (PLACE.arn("sqs", "q.fifo"), "https://sqs.eu-central-1.amazonaws.com/123456789012/q.fifo"),
        ("arn:aws:sqs:us-east-1:210987654321:q", "https://sqs.us-east-1.amazonaws.com/210987654321/q"),
        ("arn:aws-cn:sqs:cn-north-1:210987654321:q", "https://sqs.cn-north-1.amazonaws.com.cn/210987654321/q"),
    ],
)
def test_a_queue_that_is_named_by_its_arn_gets_its_url(arn: str, url: str) -> None:
    sent = json.loads(request_of({"MessageBody": "x", "QueueUrl": arn})["Target"]["Input"])
    assert sent == {"MessageBody": "x", "QueueUrl": url}


@pytest.mark.parametrize(
    ("body", "changed", "words"),
    [
        ("{}", {"IS_PAYLOAD_TRUNCATED": "true"}, "cut to fit"),
        ("text", {}, "no request of sqs:sendMessage"),
        ("[]", {}, "no request of sqs:sendMessage"),
        ('{"MessageBody":"x"}', {}, "no request of sqs:sendMessage that says where it goes"),
        ("{}", {"TARGET_ARN": PLACE.arn("sqs", "q")}, "EventBridge Scheduler cannot call"),
    ],
)
def test_what_cannot_be_sent_says_why(body: str, changed: dict[str, str], words: str) -> None:
    assert words in request_of(body, SCHEDULER | changed)


def test_requests_of_services_that_say_it_otherwise_are_sent_as_they_are() -> None:
    ses = {**SCHEDULER, "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:ses:sendEmail"}
    assert request_of({"Source": "a@example.com"}, ses)["Target"]["Input"] == '{"Source": "a@example.com"}'
