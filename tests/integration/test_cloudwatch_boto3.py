"""boto3, the AWS CLI and Prometheus's own parser read what the server counts."""

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.conftest import START, RunningServer

from duestream.clock import ManualClock, from_ms
from duestream.local.store import metrics
from duestream.local.store.writer import Transaction

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)


def _count(server: RunningServer, *lateness_ms: float, group: str = "clinic") -> None:
    """What deliveries would count."""

    def job(tx: Transaction) -> None:
        now_ms = server.local.settings.clock.now_ms()
        for late_ms in lateness_ms:
            metrics.count(tx, "InvocationAttemptCount", group_name=group, now_ms=now_ms)
            metrics.count(tx, "Delivered", group_name=group, now_ms=now_ms)
            metrics.count(tx, metrics.LATENESS, group_name=group, now_ms=now_ms, value=late_ms)

    async def write() -> None:
        await server.local.store.write(job)

    server.run(write())


def _scrape(server: RunningServer, **headers: str) -> dict[str, list[Any]]:
    request = urllib.request.Request(f"{server.endpoint_url}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        text = answer.read().decode()
    return {family.name: family.samples for family in text_string_to_metric_families(text)}


def _value(samples: list[Any], **labels: str) -> float:
    (found,) = [sample.value for sample in samples if labels.items() <= sample.labels.items()]
    return float(found)


def test_boto3_reads_statistics_of_a_group_and_of_all(manual_server: RunningServer) -> None:
    _count(manual_server, 1, 2, 300)
    _count(manual_server, 5, group="billing")
    cloudwatch = manual_server.client("cloudwatch")
    asked = {
        "Namespace": "AWS/Scheduler",
        "MetricName": "InvocationAttemptCount",
        "StartTime": START - MINUTE,
        "EndTime": START + MINUTE,
        "Period": 60,
        "Statistics": ["Sum"],
    }
    of_group = [{"Name": "ScheduleGroup", "Value": "clinic"}]
    (point,) = cloudwatch.get_metric_statistics(**asked, Dimensions=of_group)["Datapoints"]
    assert (point["Timestamp"], point["Sum"], point["Unit"]) == (START, 3, "Count")
    (point,) = cloudwatch.get_metric_statistics(**asked)["Datapoints"]
    assert point["Sum"] == 4
    lateness = {**asked, "Namespace": "duestream", "MetricName": "LatenessMilliseconds", "ExtendedStatistics": ["p99"]}
    (point,) = cloudwatch.get_metric_statistics(**lateness, Dimensions=of_group)["Datapoints"]
    assert point["ExtendedStatistics"]["p99"] == pytest.approx(300, rel=0.1)


def test_boto3_pages_through_metrics_and_their_data(manual_server: RunningServer) -> None:
    cloudwatch = manual_server.client("cloudwatch")
    for first in range(0, 1500, 500):
        data = [
            {"MetricName": f"m{number:04}", "Value": number, "Unit": "Count"} for number in range(first, first + 500)
        ]
        cloudwatch.put_metric_data(Namespace="Mine", MetricData=data)  # packed: it is more than 10 KB
    listed = [
        metric["MetricName"]
        for page in cloudwatch.get_paginator("list_metrics").paginate(Namespace="Mine")
        for metric in page["Metrics"]
    ]
    assert listed == [f"m{number:04}" for number in range(1500)]
    queries = [
        {
            "Id": f"q{number}",
            "MetricStat": {
                "Metric": {"Namespace": "Mine", "MetricName": f"m{number:04}"},
                "Period": 60,
                "Stat": "Maximum",
            },
        }
        for number in range(5)
    ]
    pages = list(
        cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=START - MINUTE, EndTime=START + MINUTE, MaxDatapoints=2
        )
    )
    values = [value for page in pages for result in page["MetricDataResults"] for value in result["Values"]]
    assert (len(pages), values) == (3, [0, 1, 2, 3, 4])


def test_errors_have_the_codes_and_classes_that_clients_look_for(manual_server: RunningServer) -> None:
    cloudwatch = manual_server.client("cloudwatch")
    span = {"StartTime": START, "EndTime": START + timedelta(days=9), "Period": 60, "Statistics": ["Sum"]}
    with pytest.raises(cloudwatch.exceptions.InvalidParameterCombinationException) as refused:
        cloudwatch.get_metric_statistics(Namespace="Mine", MetricName="m", **span)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterCombination"
    assert "12960 datapoints, which exceeds the limit of 1440" in str(refused.value)
    math = [{"Id": "e1", "Expression": "1 + 1"}]
    with pytest.raises(ClientError, match="metric math"):
        cloudwatch.get_metric_data(MetricDataQueries=math, StartTime=START, EndTime=START + MINUTE)
    with pytest.raises(ClientError, match="'PutMetricAlarm' is not an operation of cloudwatch that is served here"):
        cloudwatch.put_metric_alarm(AlarmName="x", EvaluationPeriods=1, ComparisonOperator="LessThanThreshold")
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


@pytest.mark.parametrize("protocol", ["form", "json"])
def test_older_clients_speak_query_and_json(manual_server: RunningServer, protocol: str) -> None:
    _count(manual_server, 1)
    if protocol == "form":
        body = b"Action=ListMetrics&Version=2010-08-01&Namespace=duestream&MetricName=Delivered"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
    else:
        body = b'{"Namespace": "duestream", "MetricName": "Delivered"}'
        target = "GraniteServiceVersion20100801.ListMetrics"
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target}
    request = urllib.request.Request(manual_server.endpoint_url, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    assert text.count("Delivered") == 2
    assert "clinic" in text


def test_requests_are_signed_for_monitoring_where_keys_are_asked_for(
    start_server: Callable[..., RunningServer],
) -> None:
    server = start_server(credentials={"AKID": "secret"})
    good = {"aws_access_key_id": "AKID", "aws_secret_access_key": "secret"}
    assert server.client("cloudwatch", **good).list_metrics()["Metrics"] == []
    with pytest.raises(ClientError, match="signature"):
        server.client("cloudwatch", **{**good, "aws_secret_access_key": "wrong"}).list_metrics()


def test_the_aws_cli_reads_attempts_back(server: RunningServer) -> None:
    """The whole way: a schedule made through the API is delivered, and counted."""
    sqs, scheduler = server.client("sqs"), server.client("scheduler")
    url = sqs.create_queue(QueueName="out")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    scheduler.create_schedule_group(Name="clinic")
    scheduler.create_schedule(
        Name="now",
        GroupName="clinic",
        ScheduleExpression=f"at({server.local.settings.clock.now() - MINUTE:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": "arn:aws:iam::000000000000:role/any", "Input": "{}"},
    )
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    now = from_ms(server.local.settings.clock.now_ms())
    command = [
        *(sys.executable, "-m", "awscli", "cloudwatch", "get-metric-statistics"),
        *("--endpoint-url", server.endpoint_url, "--namespace", "AWS/Scheduler"),
        *("--metric-name", "InvocationAttemptCount", "--dimensions", "Name=ScheduleGroup,Value=clinic"),
        *("--start-time", (now - timedelta(hours=1)).isoformat(), "--end-time", (now + MINUTE).isoformat()),
        *("--period", "60", "--statistics", "Sum", "SampleCount"),
    ]
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}
    told = subprocess.run(command, env={**os.environ, **keys}, capture_output=True, text=True, check=True, timeout=60)
    (point,) = json.loads(told.stdout)["Datapoints"]
    assert (point["Sum"], point["Unit"]) == (1, "Count")


def test_prometheus_reads_counts_gauges_and_histograms(manual_server: RunningServer, clock: ManualClock) -> None:
    sqs = manual_server.client("sqs", config=Config(retries={"max_attempts": 0}))
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    with pytest.raises(ClientError):
        sqs.get_queue_url(QueueName="none")
    _count(manual_server, 1, 400)
    found = _scrape(manual_server)
    assert _value(found["duestream_invocation_attempts"], schedule_group="clinic") == 2
    assert _value(found["duestream_invocations_dropped"], schedule_group="clinic") == 0
    lateness = found["duestream_delivery_lateness_seconds"]
    assert _value(lateness, le="0.001") == 1
    assert _value(lateness, le="0.5") == _value(lateness, le="+Inf") == 2
    assert _value(found["duestream_queue_messages"], queue="jobs") == 1
    assert _value(found["duestream_pending_schedules"]) == 0
    http = [one for one in found["duestream_http_request_duration_seconds"] if one.name.endswith("_count")]
    assert _value(http, service="sqs", operation="SendMessage", status="2xx") == 1
    assert _value(http, service="sqs", operation="GetQueueUrl", status="4xx") == 1
    commits = [one for one in found["duestream_store_commit_seconds"] if one.name.endswith("_count")]
    assert _value(commits) > 0
    assert "process_resident_memory_bytes" in found


def test_the_oldest_dead_letter_has_an_age(manual_server: RunningServer, clock: ManualClock) -> None:
    sqs = manual_server.client("sqs")
    for name in ("a-dead-letters", "b-dead-letters", "jobs"):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        if name != "b-dead-letters":
            sqs.send_message(QueueUrl=url, MessageBody="x")
    manual_server.call(lambda: clock.tick(timedelta(seconds=90)))
    ages = _scrape(manual_server)["duestream_oldest_dead_letter_age_seconds"]
    assert {one.labels["queue"]: one.value for one in ages} == {"a-dead-letters": 90, "b-dead-letters": 0}


def test_what_is_not_served_gets_no_label_of_its_own(manual_server: RunningServer) -> None:
    for number in range(3):
        request = urllib.request.Request(
            manual_server.endpoint_url, data=b"{}", headers={"X-Amz-Target": f"DynamoDB_20120810.Made{number}Up"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        refused.value.close()
    http = _scrape(manual_server)["duestream_http_request_duration_seconds"]
    assert {one.labels["operation"] for one in http if one.labels["service"] == "dynamodb"} == {"(unknown)"}


def test_metrics_want_a_key_where_requests_do(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(credentials={"AKID": "secret"})

    def basic(text: str) -> dict[str, str]:
        return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

    assert "duestream_pending_schedules" in _scrape(server, **basic("AKID:secret"))
    for headers in ({}, basic("AKID:wrong"), basic("other:secret"), basic("AKID"), {"Authorization": "Basic !"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            _scrape(server, **headers)
        assert (refused.value.code, refused.value.headers["WWW-Authenticate"]) == (401, 'Basic realm="duestream"')
        refused.value.close()
