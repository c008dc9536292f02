"""botocore itself makes the requests, so that every operation of a protocol is told from what is really sent."""

from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSRequest

from duestream.local.wire.called import called_operation
from duestream.local.wire.http import HttpRequest


def sent(service: str, operation: str, parameters: dict[str, Any]) -> HttpRequest:
    """The request that botocore would send."""
    client = botocore.session.get_session().create_client(
        service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", endpoint_url="http://here"
    )
    model = client.meta.service_model.operation_model(operation)
    made = client._serializer.serialize_to_request(parameters, model)
    headers = {name.lower(): str(value) for name, value in made["headers"].items()}
    path, _, query = made["url_path"].partition("?")
    prepared = AWSRequest(
        made["method"], f"http://here{path}", params=made["query_string"], data=made["body"]
    ).prepare()
    more = prepared.url.partition("?")[2]
    body = prepared.body if isinstance(prepared.body, bytes) else str(prepared.body or "").encode()
    return HttpRequest(made["method"], path, "&".join(filter(None, (query, more))), headers, body)


CALLS = [
    ("sns", "sns", "Publish", {"TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "Message": "m"}),
    ("states", "stepfunctions", "StartExecution", {"stateMachineArn": "arn:aws:states:us-east-1:1:stateMachine:m"}),
    ("events", "events", "PutEvents", {"Entries": [{"Source": "s", "DetailType": "d", "Detail": "{}"}]}),
    ("kinesis", "kinesis", "PutRecord", {"StreamName": "s", "Data": b"x", "PartitionKey": "k"}),
    ("monitoring", "cloudwatch", "PutDashboard", {"DashboardName": "d", "DashboardBody": "{}"}),
    ("s3", "s3", "CreateBucket", {"Bucket": "b"}),
    ("s3", "s3", "PutObject", {"Bucket": "b", "Key": "k/l"}),
    ("s3", "s3", "UploadPart", {"Bucket": "b", "Key": "k/l", "PartNumber": 1, "UploadId": "u"}),
    ("s3", "s3", "CopyObject", {"Bucket": "b", "Key": "k", "CopySource": "c/d"}),
    ("s3", "s3", "GetObjectAcl", {"Bucket": "b", "Key": "k"}),
    ("s3", "s3", "ListObjectsV2", {"Bucket": "b"}),
    ("s3", "s3", "ListObjects", {"Bucket": "b"}),
    ("s3", "s3", "ListBuckets", {}),
    ("ecs", "ecs", "RunTask", {"taskDefinition": "t"}),
    ("apigateway", "apigateway", "GetRestApi", {"restApiId": "a"}),
    ("elasticfilesystem", "efs", "DescribeFileSystems", {}),
]


@pytest.mark.parametrize(("scope", "service", "operation", "parameters"), CALLS, ids=lambda value: str(value)[:20])
def test_the_operation_is_told_from_what_clients_send(
    scope: str, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    assert called_operation(scope, sent(service, operation, parameters)) == (service, operation)


@pytest.mark.parametrize(
    ("scope", "method", "path", "headers", "body", "called"),
    [
        ("sns", "POST", "/", {"content-type": "application/x-www-form-urlencoded"}, b"Action=MadeUp", ("sns", None)),
        ("sns", "POST", "/", {"content-type": "application/x-www-form-urlencoded"}, b"\xff=1", ("sns", None)),
        ("states", "POST", "/", {"x-amz-target": "AWSStepFunctions.MadeUp"}, b"{}", ("stepfunctions", None)),
        ("s3", "BREW", "/b/k", {}, b"", ("s3", None)),
        ("made-up", "POST", "/", {"x-amz-target": "Any.Thing"}, b"{}", None),
    ],
)
def test_what_aws_does_not_have_gets_no_name(
    scope: str, method: str, path: str, headers: dict[str, str], body: bytes, called: Any
) -> None:
    assert called_operation(scope, HttpRequest(method, path, "", headers, body)) == called
