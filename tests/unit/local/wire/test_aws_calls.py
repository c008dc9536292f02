"""Oracle: botocore's own models; the names of targets are those of the user guide's examples (SEMANTICS.md B8)."""

from typing import Any

import pytest

from duestream.core.templated import TEMPLATES
from duestream.errors import ValidationException
from duestream.local.wire.aws_calls import Operation, botocore_service, members_of, operation_of, to_request
from duestream.local.wire.models import service_model

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("service", "action", "operation"),
    [
        ("sfn", "startExecution", Operation("stepfunctions", "StartExecution")),
        ("eventbridge", "putEvents", Operation("events", "PutEvents")),
        ("sns", "publish", Operation("sns", "Publish")),
        ("cloudwatchlogs", "createLogGroup", Operation("logs", "CreateLogGroup")),
        ("cognitoidentityprovider", "adminDisableUser", Operation("cognito-idp", "AdminDisableUser")),
        ("rds", "stopDBInstance", Operation("rds", "StopDBInstance")),
        ("ec2", "stopInstances", Operation("ec2", "StopInstances")),
    ],
)
def test_targets_are_found_under_schedulers_names(service: str, action: str, operation: Operation) -> None:
    assert operation_of(service, action) == operation


@pytest.mark.parametrize("service", sorted(TEMPLATES))
def test_every_templated_target_has_its_operation(service: str) -> None:
    operation_of(*TEMPLATES[service].call)


@pytest.mark.parametrize("name", ["stepfunctions", "sfn", "states"])
def test_a_service_is_known_by_each_of_its_names(name: str) -> None:
    assert botocore_service(name) == "stepfunctions"


def test_what_aws_has_not_is_refused_in_its_words() -> None:
    with pytest.raises(ValidationException, match=r"^nothing is not a supported service for a target$"):
        operation_of("nothing", "startExecution")
    with pytest.raises(ValidationException, match=r"^beginExecution API is not supported$"):
        operation_of("sfn", "beginExecution")


def test_members_begin_with_an_upper_case_letter() -> None:
    members = members_of("sfn", "startExecution")
    assert members.required == ("StateMachineArn",)
    assert {"Input", "Name"} <= members.optional


def test_a_request_has_the_models_own_names_at_every_depth() -> None:
    given: dict[str, Any] = {
        "Cluster": "c",
        "TaskDefinition": "t",
        "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["s"], "AssignPublicIp": "ENABLED"}},
        "Overrides": {"ContainerOverrides": [{"Name": "n", "Environment": [{"Name": "A", "Value": "1"}]}]},
    }
    assert to_request(operation_of("ecs", "runTask"), given, token=TOKEN) == {
        "cluster": "c",
        "taskDefinition": "t",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["s"], "assignPublicIp": "ENABLED"}},
        "overrides": {"containerOverrides": [{"name": "n", "environment": [{"name": "A", "value": "1"}]}]},
        "clientToken": TOKEN,
    }


def test_keys_of_maps_stay_as_they_are_and_blobs_are_utf_8() -> None:
    given: dict[str, Any] = {"FunctionName": "f", "Payload": "ä"}
    assert to_request(operation_of("lambda", "invoke"), given, token=TOKEN) == {
        "FunctionName": "f",
        "Payload": "ä".encode(),
    }
    given = {"TopicArn": "t", "Message": "m", "MessageAttributes": {"aB": {"DataType": "String", "StringValue": "v"}}}
    assert to_request(operation_of("sns", "publish"), given, token=TOKEN) == given


def test_a_token_of_the_input_is_kept() -> None:
    given = {"TaskDefinition": "t", "ClientToken": "mine"}
    assert to_request(operation_of("ecs", "runTask"), given, token=TOKEN)["clientToken"] == "mine"


def test_members_that_the_model_has_not_are_left_for_botocore_to_refuse() -> None:
    assert to_request(operation_of("sns", "publish"), {"Wrong": 1}, token=TOKEN) == {"Wrong": 1}


@pytest.mark.parametrize(
    "name",
    ["apigateway", "cloudwatch", "cognito-idp", "elbv2", "iot-data", "logs", "ses", "stepfunctions", "efs", "emr"],
)
def test_schedulers_name_of_a_service_is_its_id(name: str) -> None:
    service_id = "".join(letter for letter in service_model(name).metadata["serviceId"].lower() if letter.isalnum())
    assert operation_of(service_id, next(iter(service_model(name).operation_names))).service == name
