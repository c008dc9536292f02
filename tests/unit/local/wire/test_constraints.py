"""AWS's constraint texts, service by service."""

from typing import Any

import pytest

from duestream.errors import ServiceError, ValidationException
from duestream.local.wire import models
from duestream.local.wire.constraints import Constraints, compile_java_pattern
from duestream.local.wire.refusals import BadRequestException, MissingParameter, ValidationError

SCHEDULE: dict[str, Any] = {
    "Name": "reminder-7",
    "ScheduleExpression": "at(2030-01-01T09:00:00)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {
        "Arn": "arn:aws:sqs:eu-west-1:000000000000:reminders",
        "RoleArn": "arn:aws:iam::000000000000:role/scheduler",
    },
}


def check(service: str, operation: str, parameters: dict[str, Any]) -> None:
    Constraints(service).checker(models.service_model(service).operation_model(operation))(parameters)


def refusal(service: str, operation: str, parameters: dict[str, Any]) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        check(service, operation, parameters)
    return caught.value


def test_what_the_model_allows_passes() -> None:
    check("scheduler", "CreateSchedule", SCHEDULE)
    check("dynamodb", "PutItem", {"TableName": "Offers", "Item": {"id": {"S": "1"}}, "ReturnValues": "ALL_OLD"})


@pytest.mark.parametrize("operation", ["CreateTable", "UpdateTable", "DescribeTable", "DeleteTable"])
def test_an_operation_on_a_table_asks_for_its_name_before_all_else(operation: str) -> None:
    error = refusal("dynamodb", operation, {"KeySchema": []})
    assert error.message == "The parameter 'TableName' is required but was not present in the request"


def test_a_missing_member_is_null() -> None:
    error = refusal("dynamodb", "PutItem", {"Item": {}})
    assert isinstance(error, ValidationException)
    assert error.message == (
        "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null"
    )


def test_all_that_is_wrong_is_said_at_once() -> None:
    name = "a b" + "c" * 62
    error = refusal("scheduler", "CreateSchedule", {**SCHEDULE, "Name": name})
    assert error.message == (
        f"2 validation errors detected: Value '{name}' at 'name' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$; "
        f"Value '{name}' at 'name' failed to satisfy constraint: Member must have length less than or equal to 64"
    )


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "problem"),
    [
        (
            "dynamodb",
            "PutItem",
            {"TableName": "Offers", "Item": {}, "ReturnValues": "EVERYTHING"},
            (
                "Failed to satisfy constraint: Member must satisfy enum value set: "
                "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"
            ),
        ),
        (
            "dynamodb",
            "Scan",
            {"TableName": "Offers", "Limit": 0},
            "Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            "dynamodb",
            "BatchWriteItem",
            {"RequestItems": {"Offers": []}},
            (
                "Value '{Offers=[]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: "
                "[Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"
            ),
        ),
        (
            "dynamodb",
            "BatchWriteItem",
            {"RequestItems": {"Offers": [{"PutRequest": {}}]}},
            (
                "Value null at 'requestItems.Offers.member.1.member.putRequest.item' failed to satisfy constraint: "
                "Member must not be null"
            ),
        ),
        (
            "scheduler",
            "CreateSchedule",
            {**SCHEDULE, "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1441}},
            (
                "Value '1441' at 'flexibleTimeWindow.maximumWindowInMinutes' failed to satisfy constraint: "
                "Member must have value less than or equal to 1440"
            ),
        ),
        (
            "scheduler",
            "CreateScheduleGroup",
            {"Name": "group", "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c"}]},
            "Value null at 'tags.2.member.value' failed to satisfy constraint: Member must not be null",
        ),
        (
            "scheduler",
            "UntagResource",
            {"ResourceArn": "arn:aws:scheduler:eu-west-1:000000000000:schedule-group/a", "TagKeys": ["a", ""]},
            (
                "Value '[a, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: "
                "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
            ),
        ),
    ],
)
def test_each_kind_of_constraint_has_its_text(
    service: str, operation: str, parameters: dict[str, Any], problem: str
) -> None:
    assert refusal(service, operation, parameters).message == f"1 validation error detected: {problem}"


@pytest.mark.parametrize(
    ("service", "operation", "error"),
    [
        ("scheduler", "CreateSchedule", ValidationException),
        ("ses", "SendEmail", ValidationError),
        ("sts", "AssumeRole", ValidationError),
        ("sesv2", "SendEmail", BadRequestException),
        ("sqs", "SendMessage", MissingParameter),
    ],
)
def test_each_service_has_its_error(service: str, operation: str, error: type[ServiceError]) -> None:
    assert type(refusal(service, operation, {})) is error


def test_sqs_names_the_first_parameter_that_is_missing() -> None:
    error = refusal("sqs", "SendMessage", {"MessageBody": "x"})
    assert error.message == "The request must contain the parameter QueueUrl."


def test_sensitive_values_are_not_repeated() -> None:
    signing = {"DomainSigningPrivateKey": "not base64!", "DomainSigningSelector": "a"}
    error = refusal("sesv2", "CreateEmailIdentity", {"EmailIdentity": "x.example", "DkimSigningAttributes": signing})
    assert "Value at 'dkimSigningAttributes.domainSigningPrivateKey' failed" in error.message
    assert "base64!" not in error.message


def test_a_long_value_is_cut() -> None:
    error = refusal("scheduler", "CreateSchedule", {**SCHEDULE, "Name": "x" * 1_000_000})
    assert len(error.message) < 5000


def test_attribute_values_are_left_to_the_core() -> None:
    check("dynamodb", "PutItem", {"TableName": "Offers", "Item": {"id": {"nonsense": 17}}})


@pytest.mark.parametrize(
    ("pattern", "matches", "does_not"),
    [
        ("[0-9a-zA-Z-_.]+", "a-b_c.9", "a b"),
        ("^[0-9a-z]+$", "a9", "a9\n"),
        ("[\\w+=,.@-]*", "a@b", "é"),
        ("\\d{12}", "0" * 12, "٣" * 12),
        ("[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\r\\n\\t]*", "𝄞\n", "\x00"),
    ],
)
def test_javas_patterns_are_pythons(pattern: str, matches: str, does_not: str) -> None:
    compiled = compile_java_pattern(pattern)
    assert compiled is not None
    assert compiled.fullmatch(matches)
    assert not compiled.fullmatch(does_not)


def test_patterns_that_python_has_not_are_not_checked() -> None:
    assert compile_java_pattern("[\\p{L}\\p{Z}]+") is None


@pytest.mark.parametrize("service", ["dynamodb", "dynamodbstreams", "sqs", "ses", "sesv2", "sts", "scheduler"])
def test_every_operation_can_be_checked(service: str) -> None:
    model = models.service_model(service)
    constraints = Constraints(service)
    for operation in model.operation_names:
        constraints.checker(model.operation_model(operation))
