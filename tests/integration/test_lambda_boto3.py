"""Lambda's API with boto3: functions, their invocation, and what they leave behind."""

import asyncio
import base64
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.conftest import RunningServer
from tests.integration.lambda_code import zipped

from duestream.clock import ManualClock

pytestmark = pytest.mark.slow

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/any"
ECHO = """
import os, time

def handler(event, context):
    print("told", event)
    match event.get("do"):
        case "raise":
            raise ValueError("it does not fit")
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(600)
        case "allocate":
            return len(bytearray(2_000_000_000))
        case "environment":
            return dict(os.environ)
        case "context":
            return [context.function_name, context.memory_limit_in_mb, context.invoked_function_arn,
                    context.aws_request_id, context.get_remaining_time_in_millis() > 0]
    return {"told": event, "process": os.getpid()}
"""


@pytest.fixture
def client(server: RunningServer) -> Any:
    return server.client("lambda")


def create(client: Any, name: str = "echo", code: str = ECHO, **parameters: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"Runtime": PYTHON, "Handler": "app.handler", "Code": {"ZipFile": zipped(app_py=code)}}
    answer: dict[str, Any] = client.create_function(FunctionName=name, Role=ROLE, **(settings | parameters))
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    return answer


def invoke(client: Any, event: object, name: str = "echo", **parameters: Any) -> tuple[Any, dict[str, Any]]:
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), **parameters)
    return json.loads(answer["Payload"].read() or b"null"), answer


def refused(call: Callable[[], Any]) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    answer: Any = caught.value.response
    error = answer["Error"]
    return error["Code"], error["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_function_lives_from_create_to_delete(client: Any) -> None:
    made = create(client, Description="echoes", Environment={"Variables": {"AB": "1"}}, Tags={"team": "blue"})
    assert made["State"] == "Pending"
    assert made["FunctionArn"] == "arn:aws:lambda:eu-central-1:000000000000:function:echo"
    shown = client.get_function(FunctionName="echo")
    assert shown["Tags"] == {"team": "blue"}
    configuration = shown["Configuration"]
    assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful")
    assert (configuration["Timeout"], configuration["MemorySize"], configuration["Version"]) == (3, 128, "$LATEST")
    assert client.get_function_configuration(FunctionName=made["FunctionArn"])["CodeSha256"] == made["CodeSha256"]
    assert [one["FunctionName"] for one in client.list_functions()["Functions"]] == ["echo"]
    with pytest.raises(client.exceptions.ResourceConflictException, match="Function already exist: echo"):
        create(client)
    client.delete_function(FunctionName="echo")
    assert refused(lambda: client.get_function(FunctionName="echo")) == (
        "ResourceNotFoundException",
        "Function not found: arn:aws:lambda:eu-central-1:000000000000:function:echo",
        404,
    )


def test_an_invocation_answers_and_keeps_its_process_warm(client: Any) -> None:
    create(client)
    first, answer = invoke(client, {"a": "ä"}, LogType="Tail")
    assert first["told"] == {"a": "ä"}
    assert (answer["StatusCode"], answer["ExecutedVersion"], "FunctionError" in answer) == (200, "$LATEST", False)
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "told {'a': 'ä'}" in log
    assert "REPORT RequestId" in log
    second, _ = invoke(client, {})
    assert second["process"] == first["process"]


def test_failures_are_answered_as_aws_answers_them(client: Any) -> None:
    create(client, Timeout=1)
    error, answer = invoke(client, {"do": "raise"})
    assert answer["FunctionError"] == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "it does not fit")
    error, _ = invoke(client, {"do": "exit"})
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    error, _ = invoke(client, {"do": "hang"})
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    again, answer = invoke(client, {"after": "all that"})
    assert again["told"] == {"after": "all that"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory in a way that can be relied on")
def test_a_function_has_the_memory_it_was_given(client: Any) -> None:
    create(client)
    error, _ = invoke(client, {"do": "allocate"})
    assert error["errorType"] == "MemoryError"


def test_code_that_cannot_be_loaded_says_why(client: Any) -> None:
    create(client, "broken", "import nothing_of_that_name")
    error, answer = invoke(client, {}, "broken")
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert "nothing_of_that_name" in error["errorMessage"]
    create(client, "headless", "x = 1")
    error, _ = invoke(client, {}, "headless")
    assert error["errorType"] == "Runtime.HandlerNotFound"


def test_functions_find_their_surroundings_and_the_server(client: Any, server: RunningServer) -> None:
    create(client, Environment={"Variables": {"GREETING": "hello"}}, MemorySize=256)
    environment, _ = invoke(client, {"do": "environment"})
    assert environment["GREETING"] == "hello"
    assert environment["AWS_REGION"] == "eu-central-1"
    assert environment["AWS_ENDPOINT_URL"] == server.endpoint_url
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{PYTHON}"
    context, answer = invoke(client, {"do": "context"})
    request_id = answer["ResponseMetadata"]["RequestId"]
    arn = "arn:aws:lambda:eu-central-1:000000000000:function:echo"
    assert context == ["echo", "256", arn, request_id, True]


def test_a_function_calls_back_with_boto3(client: Any, server: RunningServer) -> None:
    code = (
        "import boto3\ndef handler(event, context):\n    return boto3.client('sts').get_caller_identity()['Account']\n"
    )
    create(client, "caller", code, Timeout=60, MemorySize=512)
    assert invoke(client, {}, "caller")[0] == "000000000000"


def test_a_function_signs_where_the_server_asks_for_it(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(credentials={"AKIDEXAMPLE": "the secret"})
    client = server.client("lambda", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="the secret")
    code = "import boto3\ndef handler(event, context):\n    return boto3.client('sqs').list_queues().get('QueueUrls')\n"
    create(client, "caller", code, Timeout=60)
    assert invoke(client, {}, "caller")[0] is None


def test_code_that_was_replaced_is_removed(client: Any, server: RunningServer) -> None:
    create(client)
    invoke(client, {})
    client.update_function_configuration(FunctionName="echo", Description="another revision")
    invoke(client, {})
    folder = server.local.store.folder / "lambda-code"
    client.delete_function(FunctionName="echo")
    server.run(emptied(folder))


async def emptied(folder: Path) -> None:
    """Until nothing is in it; a thread removes it."""
    while list(folder.iterdir()):
        await asyncio.sleep(0.01)  # nothing is concluded from how long it is


def test_new_code_and_new_settings_count_from_the_next_invocation(client: Any) -> None:
    create(client)
    invoke(client, {})
    newer = zipped(app_py="import os\ndef handler(event, context):\n    return os.environ.get('WHICH', 'newer')\n")
    answer = client.update_function_code(FunctionName="echo", ZipFile=newer)
    assert answer["LastUpdateStatus"] == "InProgress"
    client.get_waiter("function_updated_v2").wait(FunctionName="echo")
    assert invoke(client, {})[0] == "newer"
    client.update_function_configuration(FunctionName="echo", Environment={"Variables": {"WHICH": "newest"}})
    assert invoke(client, {})[0] == "newest"


def test_what_cannot_be_invoked_is_refused(client: Any) -> None:
    create(client)
    code, _, status = refused(lambda: client.invoke(FunctionName="echo", Payload=b"{no json"))
    assert (code, status) == ("InvalidRequestContentException", 400)
    code, message, status = refused(lambda: client.invoke(FunctionName="echo", Payload=b'"' + b"x" * 6_291_455 + b'"'))
    assert (code, status) == ("RequestTooLargeException", 413)
    assert message.startswith("6291457 byte payload is too large for the RequestResponse invocation type")
    code, _, _ = refused(lambda: client.invoke(FunctionName="echo", Qualifier="live"))
    assert code == "ResourceNotFoundException"
    assert client.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Runtime": "java21"}, "does not run functions of the runtime java21"),
        ({"Code": {"S3Bucket": "bucket", "S3Key": "k"}}, "not from S3"),
        ({"Code": {"ZipFile": b"no zip"}}, "Could not unzip uploaded file"),
        ({"Layers": ["arn:aws:lambda:eu-central-1:000000000000:layer:l:1"]}, "no layers"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "Reserved keys used in this request: AWS_REGION"),
        ({"FunctionName": "ask-when-due"}, "Names that end in -when-due"),
    ],
)
def test_what_cannot_be_created_is_refused_with_the_reason(
    client: Any, parameters: dict[str, Any], message: str
) -> None:
    settings = {"FunctionName": "f", "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE}
    settings |= {"Code": {"ZipFile": zipped(app_py=ECHO)}} | parameters
    code, text, status = refused(lambda: client.create_function(**settings))
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert message in text


def test_code_cannot_be_written_outside_its_folder(client: Any) -> None:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../outside.py", "x = 1")
    code, text, _ = refused(
        lambda: client.create_function(
            FunctionName="f", Runtime=PYTHON, Handler="a.b", Role=ROLE, Code={"ZipFile": packed.getvalue()}
        )
    )
    assert code == "InvalidParameterValueException"
    assert "leads out of its folder" in text


def test_permissions_and_tags_are_kept(client: Any) -> None:
    arn = create(client)["FunctionArn"]
    statement = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
    client.add_permission(FunctionName="echo", **statement, SourceArn="arn:aws:events:eu-central-1:000000000000:rule/r")
    (kept,) = json.loads(client.get_policy(FunctionName="echo")["Policy"])["Statement"]
    assert (kept["Sid"], kept["Principal"]) == ("s", {"Service": "events.amazonaws.com"})
    assert refused(lambda: client.add_permission(FunctionName="echo", **statement))[0] == "ResourceConflictException"
    client.remove_permission(FunctionName="echo", StatementId="s")
    assert refused(lambda: client.get_policy(FunctionName="echo"))[0] == "ResourceNotFoundException"
    client.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    client.untag_resource(Resource=arn, TagKeys=["a"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "2"}


def receive(server: RunningServer, url: str) -> dict[str, Any]:
    """Wait for one message."""
    sqs = server.client("sqs")
    answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageAttributeNames=["All"])
    (message,) = answer["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return dict(message)


TELLING = """
import boto3, json, os
sqs = boto3.client("sqs")

def handler(event, context):
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
    if event.get("do") == "raise":
        raise ValueError("not this time")
"""


def telling(client: Any, server: RunningServer, **parameters: Any) -> str:
    """A function that sends what it gets to a queue; answers the queue's URL."""
    url = str(server.client("sqs").create_queue(QueueName="told")["QueueUrl"])
    settings = {"Timeout": 60, "MemorySize": 512, "Environment": {"Variables": {"QUEUE": url}}}
    create(client, "telling", TELLING, **(settings | parameters))
    return url


def test_an_asynchronous_invocation_is_carried_out_after_the_answer(client: Any, server: RunningServer) -> None:
    url = telling(client, server)
    answer = client.invoke(FunctionName="telling", InvocationType="Event", Payload=b'{"n": 1}')
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert json.loads(receive(server, url)["Body"]) == {"n": 1}


def test_a_failed_asynchronous_invocation_is_tried_twice_more_and_then_told_of(
    manual_server: RunningServer, clock: ManualClock
) -> None:
    server = manual_server
    client, sqs = server.client("lambda"), server.client("sqs")
    sqs.create_queue(QueueName="given-up")
    lost = sqs.create_queue(QueueName="lost")["QueueUrl"]
    prefix = "arn:aws:sqs:eu-central-1:000000000000"
    url = telling(client, server, DeadLetterConfig={"TargetArn": f"{prefix}:lost"})
    destination = {"OnFailure": {"Destination": f"{prefix}:given-up"}}
    client.put_function_event_invoke_config(FunctionName="telling", DestinationConfig=destination)
    client.invoke(FunctionName="telling", InvocationType="Event", Payload=b'{"do": "raise"}')
    for minutes in (1, 2):
        receive(server, url)
        server.run(retry_noted(server))
        server.call(lambda minutes=minutes: clock.tick(timedelta(minutes=minutes)))  # type: ignore[misc]
    receive(server, url)
    told = json.loads(receive(server, sqs.get_queue_url(QueueName="given-up")["QueueUrl"])["Body"])
    assert told["requestContext"]["condition"] == "RetriesExhausted"
    assert told["requestContext"]["approximateInvokeCount"] == 3
    assert told["requestPayload"] == {"do": "raise"}
    assert told["responsePayload"]["errorMessage"] == "not this time"
    letter = receive(server, lost)
    assert letter["Body"] == '{"do": "raise"}'
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "ValueError: not this time"


async def retry_noted(server: RunningServer) -> None:
    """Until the store says when the failed invocation is tried again."""
    reader = server.local.store.reader
    while not reader.execute(
        "SELECT 1 FROM lambda_invocation WHERE attempts > 0 AND attempt_at_ms > ?",
        (server.local.settings.clock.now_ms(),),
    ).get:
        await asyncio.sleep(0.01)  # a look at another process; nothing is concluded from how long it is


def test_an_invocation_that_went_well_is_told_to_another_function(client: Any, server: RunningServer) -> None:
    create(client)
    url = telling(client, server)
    arn = client.get_function(FunctionName="telling")["Configuration"]["FunctionArn"]
    config = client.put_function_event_invoke_config(
        FunctionName="echo", MaximumRetryAttempts=0, DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    assert (config["MaximumRetryAttempts"], config["DestinationConfig"]["OnSuccess"]) == (0, {"Destination": arn})
    assert client.get_function_event_invoke_config(FunctionName="echo")["MaximumRetryAttempts"] == 0
    client.invoke(FunctionName="echo", InvocationType="Event", Payload=b'{"n": 1}')
    told = json.loads(receive(server, url)["Body"])
    assert told["requestContext"]["condition"] == "Success"
    assert (told["requestPayload"], told["responsePayload"]["told"]) == ({"n": 1}, {"n": 1})
    client.delete_function_event_invoke_config(FunctionName="echo")
    code, _, status = refused(lambda: client.get_function_event_invoke_config(FunctionName="echo"))
    assert (code, status) == ("ResourceNotFoundException", 404)


def test_a_schedule_for_a_function_that_is_not_there_ends_as_a_dead_letter(client: Any, server: RunningServer) -> None:
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    target = {
        "Arn": "arn:aws:lambda:eu-central-1:000000000000:function:nobody",
        "RoleArn": ROLE,
        "Input": "{}",
        "RetryPolicy": {"MaximumRetryAttempts": 0},
        "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-central-1:000000000000:dead"},
    }
    server.client("scheduler").create_schedule(
        Name="once",
        ScheduleExpression="at(2020-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    letter = receive(server, url)
    attributes = {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "ResourceNotFoundException"
    assert attributes["TARGET_ARN"] == "arn:aws:scheduler:::aws-sdk:lambda:invoke"
    assert json.loads(letter["Body"])["Payload"] == "{}"


def test_a_schedule_invokes_a_function_at_its_time(client: Any, server: RunningServer) -> None:
    url = telling(client, server)
    arn = client.get_function(FunctionName="telling")["Configuration"]["FunctionArn"]
    target = {"Arn": arn, "RoleArn": ROLE, "Input": '{"at": "<aws.scheduler.scheduled-time>", "do": "raise"}'}
    server.client("scheduler").create_schedule(
        Name="once",
        ScheduleExpression="at(2020-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
        ActionAfterCompletion="DELETE",
    )
    assert json.loads(receive(server, url)["Body"])["at"] == "2020-01-01T00:00:00Z"


def test_no_process_outlives_the_server(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    server = start_server(data=tmp_path / "lived")
    client = server.client("lambda")
    create(client)
    process = invoke(client, {})[0]["process"]
    server.run(server.local.stop())
    assert not Path(f"/proc/{process}").exists() or sys.platform != "linux"
    assert "told {}" in (tmp_path / "lived" / "lambda-logs" / "echo.log").read_text()
