"""The calls of Grafana's CloudWatch data source, and what it needs of the answers.

Source: grafana/grafana, pkg/tsdb/cloudwatch (cloudwatch.go, metric_data_query_builder.go, metric_data_input_builder.go,
clients/metrics.go, models/cloudwatch_query.go). Its SDK for Go spoke the query protocol for years, and speaks AWS JSON
or RPC v2 CBOR since, so each call is made in all three.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore import parsers, serialize
from tests.integration.conftest import START, RunningServer

from duestream.local.store import metrics
from duestream.local.store.writer import Transaction
from duestream.local.wire import models

pytestmark = pytest.mark.slow

Call = Callable[..., dict[str, Any]]
PROTOCOLS = ("query", "json", "smithy-rpc-v2-cbor")
SCOPE = "AWS4-HMAC-SHA256 Credential=x/20300101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0"
#: "Last 3 hours", and the period that the data source works out for it.
FROM, TO, PERIOD = START - timedelta(hours=3), START + timedelta(minutes=1), 60


@pytest.fixture(params=PROTOCOLS)
def call(request: pytest.FixtureRequest, manual_server: RunningServer) -> Call:
    """Call an operation as an SDK does that speaks this protocol; an error's answer is given too."""
    model, protocol = models.service_model("cloudwatch"), request.param

    def made(operation: str, **parameters: Any) -> dict[str, Any]:
        described = model.operation_model(operation)
        asked = serialize.create_serializer(protocol).serialize_to_request(parameters, described)
        body = asked["body"]
        if isinstance(body, Mapping):
            body = urllib.parse.urlencode(body)
        request = urllib.request.Request(
            manual_server.endpoint_url + asked["url_path"],
            data=body if isinstance(body, bytes) else body.encode(),
            headers={**asked["headers"], "Authorization": SCOPE, "User-Agent": "Grafana/12.0"},
        )
        try:
            answer = urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            told = {"body": answer.read(), "headers": dict(answer.headers), "status_code": answer.status}
        parsed: dict[str, Any] = parsers.create_parser(protocol).parse(told, described.output_shape)
        return parsed

    return made


@pytest.fixture
def counted(manual_server: RunningServer) -> None:
    """An hour ago two attempts of one group; now three, and one of another group."""

    def job(tx: Transaction) -> None:
        now_ms = manual_server.local.settings.clock.now_ms()
        for group, at_ms in (("clinic", now_ms - 3_600_000),) * 2 + (("clinic", now_ms),) * 3 + (("billing", now_ms),):
            metrics.count(tx, "InvocationAttemptCount", group_name=group, now_ms=at_ms)
            metrics.count(tx, metrics.LATENESS, group_name=group, now_ms=at_ms, value=20)

    async def write() -> None:
        await manual_server.local.store.write(job)

    manual_server.run(write())


def query(id_: str = "queryA", label: str | None = None, **more: Any) -> dict[str, Any]:
    """One row of the query editor, as buildMetricDataQuery writes it."""
    return {"Id": id_, "ReturnData": True, **({} if label is None else {"Label": label}), **more}


def stat(name: str, statistic: str = "Sum", namespace: str = "AWS/Scheduler", **dimensions: str) -> dict[str, Any]:
    wanted = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": wanted}
    return {"Metric": metric, "Period": PERIOD, "Stat": statistic}


def read(call: Call, *queries: dict[str, Any], **more: Any) -> dict[str, Any]:
    """GetMetricData, as buildMetricDataInput makes it."""
    return call(
        "GetMetricData",
        StartTime=FROM,
        EndTime=TO,
        ScanBy="TimestampAscending",
        LabelOptions={"Timezone": "+0000"},
        MetricDataQueries=list(queries),
        **more,
    )


def test_save_and_test_asks_for_a_metric_that_there_is_not(call: Call) -> None:
    answer = call("ListMetrics", Namespace="AWS/Billing", MetricName="EstimatedCharges")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer.get("Metrics", []) == []


@pytest.mark.usefixtures("counted")
def test_the_editors_lists_are_filled_from_list_metrics(call: Call) -> None:
    of_namespace = call("ListMetrics", Namespace="AWS/Scheduler")["Metrics"]
    assert {metric["MetricName"] for metric in of_namespace} == {"InvocationAttemptCount", "InvocationThrottleCount"}
    values = call(
        "ListMetrics",
        Namespace="AWS/Scheduler",
        MetricName="InvocationAttemptCount",
        Dimensions=[{"Name": "ScheduleGroup"}],
    )["Metrics"]
    assert [one["Dimensions"][0]["Value"] for one in values] == ["billing", "clinic"]
    assert {metric["Namespace"] for metric in call("ListMetrics")["Metrics"]} == {"AWS/Scheduler", "duestream"}


@pytest.mark.usefixtures("counted")
def test_a_panel_with_a_metric_and_its_dimension(call: Call) -> None:
    answer = read(
        call,
        query(MetricStat=stat("InvocationAttemptCount", ScheduleGroup="clinic"), label="${PROP('Dim.ScheduleGroup')}"),
        query("queryB", MetricStat=stat("InvocationAttemptCount"), label=""),
        query("queryC", MetricStat=stat("LatenessMilliseconds", "p99", "duestream", ScheduleGroup="clinic")),
        query("queryD", MetricStat=stat("InvocationAttemptCount", ScheduleGroup="none")),
    )
    one, every, late, none = answer["MetricDataResults"]
    assert [result["Id"] for result in answer["MetricDataResults"]] == ["queryA", "queryB", "queryC", "queryD"]
    assert {result["StatusCode"] for result in answer["MetricDataResults"]} == {"Complete"}
    assert one["Label"] == "clinic"
    assert [moment.astimezone(UTC) for moment in one["Timestamps"]] == [START - timedelta(hours=1), START]
    assert one["Values"] == [2, 3]
    assert every["Values"] == [2, 4]
    assert late["Values"] == [20, 20]
    assert none.get("Values", []) == []
    assert not answer.get("NextToken")
    assert all(isinstance(moment, datetime) for moment in one["Timestamps"])


@pytest.mark.usefixtures("counted")
def test_a_panel_with_an_open_dimension_is_a_search(call: Call) -> None:
    """What buildSearchExpression writes for a dimension that is ``*``, or has several values."""
    schema = '{"AWS/Scheduler","ScheduleGroup"} MetricName="InvocationAttemptCount"'
    told_apart = "${LABEL}|&|${PROP('Dim.ScheduleGroup')}"
    answer = read(
        call,
        query(Expression=f"REMOVE_EMPTY(SEARCH('{schema}', 'Sum', {PERIOD}))", label=told_apart),
        query(
            "queryB",
            Expression=f'REMOVE_EMPTY(SEARCH(\'{schema} "ScheduleGroup"=("clinic" OR "none")\', \'Sum\', {PERIOD}))',
        ),
    )
    found = [(one["Id"], one["Label"], one["Values"]) for one in answer["MetricDataResults"]]
    assert found == [
        ("queryA", "billing|&|billing", [1]),
        ("queryA", "clinic|&|clinic", [2, 3]),
        ("queryB", "clinic", [2, 3]),
    ]


@pytest.mark.usefixtures("counted")
def test_without_match_exact_any_dimensions_are_found(call: Call) -> None:
    search = 'Namespace="AWS/Scheduler" MetricName="InvocationAttemptCount"'
    answer = read(call, query(Expression=f"REMOVE_EMPTY(SEARCH('{search}', 'Sum', {PERIOD}))"))
    assert [one["Label"] for one in answer["MetricDataResults"]] == ["InvocationAttemptCount", "billing", "clinic"]


@pytest.mark.usefixtures("counted")
def test_a_search_that_finds_nothing_is_an_empty_answer(call: Call) -> None:
    answer = read(call, query(Expression="REMOVE_EMPTY(SEARCH('{\"AWS/Nothing\"} MetricName=\"x\"', 'Sum', 60))"))
    assert answer.get("MetricDataResults", []) == []
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.usefixtures("counted")
def test_pages_are_followed_by_their_token(call: Call) -> None:
    asked = query(Expression="REMOVE_EMPTY(SEARCH('{\"AWS/Scheduler\",\"ScheduleGroup\"} Attempt', 'Sum', 60))")
    values, token = [], None
    for _ in range(10):
        page = read(call, asked, MaxDatapoints=1, **({} if token is None else {"NextToken": token}))
        values += [value for result in page["MetricDataResults"] for value in result.get("Values", [])]
        token = page.get("NextToken")
        if not token:
            break
    assert values == [1, 2, 3]


def test_what_is_not_served_is_an_error_that_can_be_shown(call: Call) -> None:
    refused = read(call, query("e1", Expression="m1 * 2", Period=60))
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "Error in expression 'e1'" in refused["Error"]["Message"]


def test_alerts_of_an_annotation_query_are_none(call: Call) -> None:
    answer = call("DescribeAlarms", MaxRecords=100, ActionPrefix="arn:", AlarmNamePrefix="clinic")
    assert answer.get("MetricAlarms", []) == []


def test_json_is_answered_as_the_sdk_for_go_reads_it(manual_server: RunningServer) -> None:
    """Timestamps are numbers there, and not texts."""
    body = {
        "StartTime": FROM.timestamp(),
        "EndTime": TO.timestamp(),
        "MetricDataQueries": [query(MetricStat=stat("x"))],
    }
    headers = {
        "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData",
        "Content-Type": "application/x-amz-json-1.0",
    }
    request = urllib.request.Request(manual_server.endpoint_url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        (told,) = json.load(answer)["MetricDataResults"]
    assert (told["Id"], told["Label"], told["StatusCode"]) == ("queryA", "x", "Complete")
