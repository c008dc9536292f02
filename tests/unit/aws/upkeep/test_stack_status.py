"""The status of an app: what is counted, what is only sampled, and what could not be asked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.aws.stack.scripted import ScriptedAccess, ScriptedClient, refusal

from duestream import App, DeleteItem, QueueMessage, Sweep
from duestream.aws.stack.session import AwsError
from duestream.aws.upkeep.status import Inquiry, Status, check_deployed, functions_of, rule_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MISSING = refusal("ResourceNotFoundException")
STACK = {"Stacks": [{"StackId": "s", "StackName": "clinic", "StackStatus": "CREATE_COMPLETE"}]}


def app() -> App:
    app = App("clinic")
    table = app.table("Visits", partition_key="id")
    table.rule("AT", QueueMessage("reminders"), name="remind")
    table.rule("AT", QueueMessage("reminders"), name="remind-2")
    return app


def name(rule: str, number: int) -> str:
    return f"{rule}-{number:020x}"


def clients(**others: ScriptedClient) -> dict[str, ScriptedClient]:
    usual = {
        "cloudformation": ScriptedClient(describe_stacks=STACK),
        "scheduler": ScriptedClient(list_schedules={"Schedules": []}, get_schedule_group={}),
        "lambda": ScriptedClient(
            list_event_source_mappings={
                "EventSourceMappings": [
                    {"EventSourceArn": "arn:aws:dynamodb:r:1:table/Visits/stream/1", "State": "Enabled"}
                ]
            }
        ),
        "cloudwatch": ScriptedClient(
            get_metric_data={
                "MetricDataResults": [{"Id": "m0", "Values": [3.0, 4.0]}, {"Id": "m8", "Values": [5.0, 9.0]}]
            }
        ),
        "sqs": ScriptedClient(
            get_queue_url={"QueueUrl": "u"}, get_queue_attributes={"Attributes": {"ApproximateNumberOfMessages": "2"}}
        ),
    }
    return usual | others


def ask(limit: int = 1000, sample: int = 10, *, is_local: bool = False, **others: ScriptedClient) -> Status:
    access: Any = ScriptedAccess(clients(**others))
    return Inquiry(access, app(), "clinic", is_local, limit, sample).ask(now=NOW, since=timedelta(hours=1))


@pytest.mark.parametrize(
    ("schedule", "rule"),
    [
        (name("remind", 1), "remind"),
        (name("remind-2", 1), "remind-2"),
        (name("remind", 1) + "-2", "remind"),
        ("something-of-somebodys", ""),
        (name("gone", 1), ""),
    ],
)
def test_a_schedules_name_tells_its_rule(schedule: str, rule: str) -> None:
    assert rule_of(schedule, {"remind", "remind-2"}) == rule


def test_pending_schedules_are_counted_by_rule_over_all_pages() -> None:
    pages = [
        {"Schedules": [{"Name": name("remind", number)} for number in range(100)], "NextToken": "t"},
        {"Schedules": [{"Name": name("remind-2", 1)}, {"Name": "by-hand"}]},
    ]
    scheduler = ScriptedClient(list_schedules=pages, get_schedule={"ScheduleExpression": "at(2031-01-01T09:00:00)"})
    pending = ask(scheduler=scheduler).pending
    assert pending is not None
    assert pending.by_rule == {"remind": 100, "remind-2": 1, "": 1}
    assert (pending.count, pending.is_all, pending.list_calls, pending.looked_at) == (102, True, 2, 10)
    looked_at = [call["Name"] for call in scheduler.called("get_schedule")]
    assert name("remind-2", 1) in looked_at, "each rule has its part of the sample"


def test_listing_ends_at_the_limit_and_says_so() -> None:
    page = {"Schedules": [{"Name": name("remind", 1)}] * 100, "NextToken": "t"}
    scheduler = ScriptedClient(list_schedules=page)
    pending = ask(limit=150, sample=0, scheduler=scheduler).pending
    assert pending is not None
    assert not pending.is_all
    assert [call["MaxResults"] for call in scheduler.called("list_schedules")] == [100, 50]


def test_the_next_due_is_the_soonest_one_time_schedule_in_its_zone() -> None:
    expressions = {
        name("remind", 1): ("at(2031-01-01T09:00:00)", "UTC"),
        name("remind", 2): ("at(2031-01-01T09:30:00)", "Europe/Berlin"),
        name("remind", 3): ("rate(5 minutes)", "UTC"),
    }

    def shown(asked: dict[str, Any]) -> Any:
        if asked["Name"] not in expressions:
            return MISSING  # delivered since it was listed
        expression, zone = expressions[asked["Name"]]
        return {"ScheduleExpression": expression, "ScheduleExpressionTimezone": zone}

    listed = {"Schedules": [{"Name": one} for one in [*expressions, name("remind", 4)]]}
    pending = ask(scheduler=ScriptedClient(list_schedules=listed, get_schedule=shown)).pending
    assert pending is not None
    assert [one for one, _ in pending.next_due] == [name("remind", 2), name("remind", 1)]
    assert pending.next_due[0][1] == datetime(2031, 1, 1, 8, 30, tzinfo=UTC)


def test_metrics_are_summed_and_the_age_of_the_stream_is_its_worst() -> None:
    status = ask()
    assert status.metrics["attempts"] == 7
    assert status.metrics["stream: age in ms"] == 9
    assert status.metrics["dropped"] == 0
    assert [(mapping.table, mapping.state) for mapping in status.mappings] == [("Visits", "Enabled")]
    assert status.dead_letters == {"clinic-dead-letters": 2, "clinic-stream-dead-letters": 2}


def test_what_may_not_be_asked_is_told_and_the_rest_is_still_there() -> None:
    denied = refusal("AccessDeniedException", operation="GetMetricData")
    status = ask(cloudwatch=ScriptedClient(get_metric_data=denied))
    assert status.metrics == {}
    assert status.unknown == ("metrics: the caller may not ask (GetMetricData: AccessDeniedException)",)
    assert status.is_deployed


def test_of_a_server_of_ours_no_stack_and_no_functions_are_asked() -> None:
    access: Any = ScriptedAccess(
        {key: one for key, one in clients().items() if key not in ("cloudformation", "lambda")}
    )
    status = Inquiry(access, app(), "clinic", True, 10, 10).ask(now=NOW, since=timedelta(hours=1))
    assert status.is_deployed
    assert not any(label.startswith("stream") for label in status.metrics)


def test_functions_are_those_that_the_app_needs() -> None:
    assert functions_of(app()) == ("stream",)
    swept = App("offers")
    swept.table("Offers", partition_key="id").rule("AT", DeleteItem(), via=Sweep(index="ByExpiry"))
    assert functions_of(swept) == ("sweep",)


def test_nothing_there_is_told_with_what_to_do() -> None:
    status = ask(
        cloudformation=ScriptedClient(describe_stacks=refusal("ValidationError", "Stack x does not exist")),
        scheduler=ScriptedClient(list_schedules=MISSING),
        sqs=ScriptedClient(get_queue_url=refusal("AWS.SimpleQueueService.NonExistentQueue")),
    )
    with pytest.raises(AwsError, match=r"there is no stack clinic in eu-central-1.*duestream deploy"):
        check_deployed(status, "clinic")
