"""CloudWatch's operations over a real store and a clock that moves when told to."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from duestream.clock import ManualClock
from duestream.core.schedule import Place
from duestream.errors import ServiceError, ValidationException
from duestream.local.services.cloudwatch import OPERATIONS
from duestream.local.services.cloudwatch.errors import (
    InvalidNextToken,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    MissingRequiredParameterException,
)
from duestream.local.services.context import RequestContext
from duestream.local.store import metrics
from duestream.local.store.store import Store
from duestream.local.store.writer import Transaction

START = datetime(2030, 1, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


class CloudWatch:
    """Calls operations as a request would."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self._context = RequestContext(store, clock, Place("eu-west-1"), "http://127.0.0.1:8787", "request-1")

    async def __call__(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        answer = await OPERATIONS[operation](self._context, parameters)
        assert isinstance(answer, Mapping)
        return answer

    async def put(self, value: float, name: str = "Jobs", **datum: Any) -> None:
        await self("PutMetricData", Namespace="Mine", MetricData=[{"MetricName": name, "Value": value, **datum}])

    async def statistics(self, **parameters: Any) -> list[Mapping[str, Any]]:
        asked = {
            "Namespace": "Mine",
            "MetricName": "Jobs",
            "StartTime": START - HOUR,
            "EndTime": START + HOUR,
            "Period": 60,
            "Statistics": ["Sum"],
            **parameters,
        }
        return list((await self("GetMetricStatistics", **asked))["Datapoints"])

    async def data(self, *queries: Mapping[str, Any], **parameters: Any) -> Mapping[str, Any]:
        asked = {"StartTime": START - HOUR, "EndTime": START + HOUR, **parameters}
        return await self("GetMetricData", MetricDataQueries=list(queries), **asked)


Run = Callable[[Callable[[CloudWatch], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run_scenario(scenario: Callable[[CloudWatch], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            store = Store.open(tmp_path)
            try:
                await scenario(CloudWatch(store, ManualClock(START)))
            finally:
                await store.close()

        asyncio.run(whole())

    return run_scenario


def query(identity: str = "q", stat: str = "Sum", period: int = 60, **metric: Any) -> dict[str, Any]:
    named = {"Namespace": "Mine", "MetricName": "Jobs", **metric}
    return {"Id": identity, "MetricStat": {"Metric": named, "Period": period, "Stat": stat}}


def test_what_was_put_is_read_with_every_statistic(run: Run) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        for value in (1, 2, 6):
            await cloudwatch.put(value, Unit="Seconds")
        cloudwatch.clock.tick(timedelta(minutes=2))
        await cloudwatch.put(10, Unit="Seconds")
        names = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"]
        first, second = await cloudwatch.statistics(Statistics=names, ExtendedStatistics=["p50", "p100"])
        told = first.pop("ExtendedStatistics")  # type: ignore[attr-defined]  # a dict of ours
        assert told["p100"] == 6
        assert told["p50"] == pytest.approx(2, rel=0.1)
        assert first == {
            "Timestamp": START,
            "Unit": "Seconds",
            "SampleCount": 3,
            "Sum": 9,
            "Average": 3,
            "Minimum": 1,
            "Maximum": 6,
        }
        assert (second["Timestamp"], second["Sum"]) == (START + timedelta(minutes=2), 10)

    run(scenario)


def test_units_are_metrics_of_their_own(run: Run) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        await cloudwatch.put(1, Unit="Seconds")
        await cloudwatch.put(2, Unit="Bytes")
        found = await cloudwatch.statistics()
        assert [(one["Unit"], one["Sum"]) for one in found] == [("Bytes", 2), ("Seconds", 1)]
        assert [one["Sum"] for one in await cloudwatch.statistics(Unit="Bytes")] == [2]

    run(scenario)


def test_dimensions_must_be_the_same_in_any_order(run: Run) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        one, two = {"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}
        await cloudwatch.put(4, Dimensions=[one, two])
        assert [point["Sum"] for point in await cloudwatch.statistics(Dimensions=[two, one])] == [4]
        assert await cloudwatch.statistics(Dimensions=[one]) == []
        assert await cloudwatch.statistics() == []
        with pytest.raises(InvalidParameterValueException):
            await cloudwatch.statistics(Dimensions=[one, one])

    run(scenario)


def test_values_with_counts_and_statistic_sets_are_added(run: Run) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        values = {"MetricName": "Jobs", "Values": [1.0, 5.0], "Counts": [3.0, 1.0]}
        statistics = {"SampleCount": 2.0, "Sum": 10.0, "Minimum": 0.5, "Maximum": 9.5}
        await cloudwatch("PutMetricData", Namespace="Mine", MetricData=[values])
        await cloudwatch(
            "PutMetricData", Namespace="Mine", MetricData=[{"MetricName": "Jobs", "StatisticValues": statistics}]
        )
        (point,) = await cloudwatch.statistics(
            Statistics=["SampleCount", "Sum", "Minimum", "Maximum"], ExtendedStatistics=["p50"]
        )
        assert (point["SampleCount"], point["Sum"], point["Minimum"], point["Maximum"]) == (6, 18, 0.5, 9.5)
        assert "ExtendedStatistics" not in point  # a statistic set tells no percentiles

    run(scenario)


REFUSED_DATA: list[tuple[dict[str, Any], type[ServiceError]]] = [
    ({"MetricName": "x"}, MissingRequiredParameterException),
    ({"MetricName": "x", "Value": 1.0, "Values": [1.0]}, InvalidParameterCombinationException),
    ({"MetricName": "x", "Values": [1.0], "Counts": [1.0, 2.0]}, InvalidParameterValueException),
    ({"MetricName": "x", "Value": float("nan")}, InvalidParameterValueException),
    ({"MetricName": "x", "Value": 2.0**361}, InvalidParameterValueException),
    ({"MetricName": "x", "Value": 1.0, "Timestamp": START - timedelta(days=15)}, InvalidParameterValueException),
    ({"MetricName": "x", "Value": 1.0, "Timestamp": START + timedelta(hours=3)}, InvalidParameterValueException),
]


@pytest.mark.parametrize(("datum", "error"), REFUSED_DATA)
def test_data_that_cloudwatch_refuses(run: Run, datum: dict[str, Any], error: type[ServiceError]) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        good = {"MetricName": "good", "Value": 1.0}
        with pytest.raises(error):
            await cloudwatch("PutMetricData", Namespace="Mine", MetricData=[good, datum])
        assert (await cloudwatch("ListMetrics"))["Metrics"] == []

    run(scenario)


@pytest.mark.parametrize("namespace", ["AWS/Scheduler", "AWS/EC2", "duestream"])
def test_the_servers_own_namespaces_take_no_data(run: Run, namespace: str) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        data = [{"MetricName": "x", "Value": 1.0}]
        with pytest.raises(InvalidParameterValueException):
            await cloudwatch("PutMetricData", Namespace=namespace, MetricData=data)

    run(scenario)


REFUSED_STATISTICS: list[tuple[dict[str, Any], type[ServiceError]]] = [
    ({"StartTime": START, "EndTime": START}, InvalidParameterCombinationException),
    ({"StartTime": START - timedelta(days=2)}, InvalidParameterCombinationException),
    ({"Period": 90}, InvalidParameterValueException),
    ({"Period": 0}, InvalidParameterValueException),
    ({"Statistics": []}, MissingRequiredParameterException),
    ({"ExtendedStatistics": ["tm99"]}, InvalidParameterValueException),
    ({"ExtendedStatistics": ["p101"]}, InvalidParameterValueException),
]


@pytest.mark.parametrize(("parameters", "error"), REFUSED_STATISTICS)
def test_statistics_that_are_refused(run: Run, parameters: dict[str, Any], error: type[ServiceError]) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        with pytest.raises(error):
            await cloudwatch.statistics(**parameters)

    run(scenario)


def test_a_whole_day_by_the_minute_is_not_too_much(run: Run) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        await cloudwatch.put(3)
        odd = START + timedelta(seconds=17)
        assert len(await cloudwatch.statistics(StartTime=odd - timedelta(days=1), EndTime=odd)) == 1
        assert await cloudwatch.statistics(EndTime=START) == []  # the end itself is not in it

    run(scenario)


def test_metric_data_is_newest_first_unless_asked_otherwise(run: Run) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        for value in (1, 2, 3):
            await cloudwatch.put(value)
            cloudwatch.clock.tick(timedelta(minutes=1))
        (result,) = (await cloudwatch.data(query()))["MetricDataResults"]
        assert (result["Label"], result["Values"], result["StatusCode"]) == ("Jobs", [3, 2, 1], "Complete")
        assert result["Timestamps"][0] == START + timedelta(minutes=2)
        (result,) = (await cloudwatch.data(query(), ScanBy="TimestampAscending"))["MetricDataResults"]
        assert result["Values"] == [1, 2, 3]
        both = await cloudwatch.data(
            query("a"), query("b", "p50", 300, MetricName="None"), {**query("c"), "ReturnData": False}
        )
        assert [(one["Id"], one["Values"]) for one in both["MetricDataResults"]] == [("a", [3, 2, 1]), ("b", [])]

    run(scenario)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("attempts", "attempts"),
        ("${LABEL} of ${PROP('Dim.host')}", "Jobs of a"),
        ("${PROP('Namespace')} ${PROP('MetricName')} ${PROP('Stat')} ${PROP('Period')}", "Mine Jobs Sum 60"),
        ("${PROP('Dim.none')} ${MAX}", "${PROP('Dim.none')} ${MAX}"),
    ],
)
def test_labels_may_name_what_they_are_of(run: Run, label: str, told: str) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        asked = query(Dimensions=[{"Name": "host", "Value": "a"}])
        (result,) = (await cloudwatch.data({**asked, "Label": label}))["MetricDataResults"]
        assert result["Label"] == told

    run(scenario)


def test_metric_data_comes_in_pages(run: Run) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        for value in range(5):
            await cloudwatch.put(value)
            await cloudwatch.put(value + 10, "Other")
            cloudwatch.clock.tick(timedelta(minutes=1))
        seen: dict[str, list[float]] = {"a": [], "b": []}
        token: dict[str, str] = {}
        pages = 0
        while True:
            asked = (query("a"), query("b", MetricName="Other"))
            page = await cloudwatch.data(*asked, MaxDatapoints=4, ScanBy="TimestampAscending", **token)
            pages += 1
            for result in page["MetricDataResults"]:
                seen[result["Id"]] += result["Values"]
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert (pages, seen) == (3, {"a": [0, 1, 2, 3, 4], "b": [10, 11, 12, 13, 14]})

    run(scenario)


@pytest.mark.parametrize(
    "queries",
    [
        [],
        [query("a"), query("a")],
        [{"Id": "e1", "Expression": "m1 * 2"}],
        [{"Id": "e1", "Expression": "SUM(SEARCH('{AWS/Scheduler}', 'Sum', 60))"}],
        [{"Id": "e1"}],
    ],
)
def test_queries_that_are_refused_in_words(run: Run, queries: list[dict[str, Any]]) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        with pytest.raises(ValidationException):
            await cloudwatch.data(*queries)

    run(scenario)


def test_metrics_are_listed_in_pages_and_by_filter(run: Run) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        data = [
            {"MetricName": f"m{number:03}", "Value": 1.0, "Dimensions": [{"Name": "host", "Value": str(number % 3)}]}
            for number in range(600)
        ]
        await cloudwatch("PutMetricData", Namespace="Mine", MetricData=data)
        first = await cloudwatch("ListMetrics", Namespace="Mine")
        second = await cloudwatch("ListMetrics", Namespace="Mine", NextToken=first["NextToken"])
        assert (len(first["Metrics"]), len(second["Metrics"]), "NextToken" in second) == (500, 100, False)
        of_one = await cloudwatch("ListMetrics", Dimensions=[{"Name": "host", "Value": "1"}])
        assert len(of_one["Metrics"]) == 200
        assert (await cloudwatch("ListMetrics", Dimensions=[{"Name": "none"}]))["Metrics"] == []
        cloudwatch.clock.tick(timedelta(hours=4))
        assert (await cloudwatch("ListMetrics", RecentlyActive="PT3H"))["Metrics"] == []
        with pytest.raises(InvalidNextToken):
            await cloudwatch("ListMetrics", NextToken="made up")

    run(scenario)


def test_the_engines_metrics_come_by_group_and_for_the_account(run: Run) -> None:
    async def scenario(cloudwatch: CloudWatch) -> None:
        now_ms = cloudwatch.clock.now_ms()

        def job(tx: Transaction) -> None:
            for group in ("clinic", "clinic", "billing"):
                metrics.count(tx, "InvocationAttemptCount", group_name=group, now_ms=now_ms)

        await cloudwatch.store.write(job)
        named = {"Namespace": "AWS/Scheduler", "MetricName": "InvocationAttemptCount"}
        of_group = [{"Name": "ScheduleGroup", "Value": "clinic"}]
        assert [one["Sum"] for one in await cloudwatch.statistics(**named, Dimensions=of_group)] == [2]
        assert [one["Sum"] for one in await cloudwatch.statistics(**named)] == [3]
        listed = (await cloudwatch("ListMetrics", **named))["Metrics"]
        assert listed[0]["Dimensions"] == []
        assert (await cloudwatch("DescribeAlarms"))["MetricAlarms"] == []

    run(scenario)
