"""Recurring schedules as boto3 makes them, delivered on a manual clock through the whole server."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.conftest import REGION, START, RunningServer

from duestream.clock import ManualClock

pytestmark = pytest.mark.slow


def declared(queue: str, expression: str, **members: Any) -> dict[str, Any]:
    return {
        "Name": "tick",
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": f"arn:aws:sqs:{REGION}:000000000000:{queue}",
            "RoleArn": "arn:aws:iam::000000000000:role/scheduler",
            "Input": "<aws.scheduler.scheduled-time>",
        },
        **members,
    }


class Ticks:
    """A queue, and what arrives in it as the clock moves."""

    def __init__(self, server: RunningServer, clock: ManualClock) -> None:
        self._server, self._clock = server, clock
        self.scheduler, self._sqs = server.client("scheduler"), server.client("sqs")
        self._url = self._sqs.create_queue(QueueName="ticks")["QueueUrl"]

    def next(self, **after: float) -> str:
        """Move on; the one message that arrives then."""
        self._server.call(lambda: self._clock.tick(timedelta(**after)))
        (message,) = self._sqs.receive_message(QueueUrl=self._url, WaitTimeSeconds=20)["Messages"]
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return str(message["Body"])

    @property
    def waiting(self) -> str:
        names = ["ApproximateNumberOfMessages"]
        return str(self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"][names[0]])


@pytest.fixture
def ticks(manual_server: RunningServer, clock: ManualClock) -> Ticks:
    return Ticks(manual_server, clock)


def moment(**after: float) -> str:
    return f"{START + timedelta(**after):%Y-%m-%dT%H:%M:%SZ}"


def test_a_rate_comes_at_once_and_then_again_and_again(ticks: Ticks) -> None:
    ticks.scheduler.create_schedule(**declared("ticks", "rate(1 minute)"))
    assert ticks.next() == moment()
    assert [ticks.next(seconds=60) for _ in range(3)] == [moment(minutes=number) for number in (1, 2, 3)]
    shown = ticks.scheduler.get_schedule(Name="tick")
    assert (shown["ScheduleExpression"], shown["State"]) == ("rate(1 minute)", "ENABLED")
    ticks.scheduler.update_schedule(**declared("ticks", "rate(1 minute)", State="DISABLED"))
    ticks.scheduler.update_schedule(**declared("ticks", "rate(1 minute)"))
    assert ticks.next(seconds=60) == moment(minutes=4)
    ticks.scheduler.delete_schedule(Name="tick")
    assert ticks.waiting == "0"


def test_a_cron_is_read_in_its_zone_and_ends_at_its_end(ticks: Ticks) -> None:
    end = START + timedelta(days=2)
    ticks.scheduler.create_schedule(
        **declared("ticks", "cron(0 9 ? * MON-FRI *)", ActionAfterCompletion="DELETE"),
        ScheduleExpressionTimezone="America/New_York",  # 14:00 UTC
        StartDate=START + timedelta(hours=6),
        EndDate=end,
    )
    # 1 January 2030 is a Tuesday; its own 14:00 is before the start
    assert ticks.next(hours=29) == moment(hours=29)
    with pytest.raises(ClientError) as error:
        ticks.scheduler.get_schedule(Name="tick")
    assert error.value.response["Error"]["Message"] == "Schedule tick does not exist."


def test_after_downtime_the_last_occurrence_is_delivered(ticks: Ticks) -> None:
    ticks.scheduler.create_schedule(**declared("ticks", "rate(1 hour)"))
    assert ticks.next() == moment()
    assert ticks.next(hours=50, minutes=10) == moment(hours=50)
    assert ticks.next(minutes=50) == moment(hours=51)


@pytest.mark.parametrize("expression", ["cron(0 1 * * * *)", "cron(71 8 1 * ? *)", "rate(10 seconds)", "rate(0 days)"])
def test_a_malformed_expression_is_refused_in_aws_words(ticks: Ticks, expression: str) -> None:
    with pytest.raises(ClientError) as error:
        ticks.scheduler.create_schedule(**declared("ticks", expression))
    assert error.value.response["Error"]["Code"] == "ValidationException"
    assert error.value.response["Error"]["Message"] == f"Invalid Schedule Expression {expression}."
