"""What is in a stack, and how it is set."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.aws.stack.apps import everything, no_rules, only_sweeps
from tests.unit.aws.stack.resolved import ACCOUNT_ID, REGION, Resolved

from duestream import App, DeleteItem, Due, HttpRequest, QueueMessage, RuleError, Sweep
from duestream.aws import delivery_metrics, metrics
from duestream.aws.settings import Settings
from duestream.aws.stack.names import table_ids
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.template import template
from duestream.core.event_pattern import EventPattern
from duestream.errors import SettingsError

OPTIONS = StackOptions(entry="rules:app")
STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/Appointment-Table/stream/2026-11-23T00:00:00.000"


def options(**chosen: Any) -> StackOptions:
    return StackOptions(entry="rules:app", **chosen)


def types_of(made: dict[str, Any], kind: str) -> list[str]:
    return [name for name, resource in made["Resources"].items() if resource["Type"] == kind]


def properties(app: App, logical_id: str, **chosen: Any) -> Any:
    return Resolved(template(app, options(**chosen))).resource(logical_id)


def test_a_table_streams_both_images_and_is_kept() -> None:
    made = template(everything(), OPTIONS)["Resources"]["AppointmentTable"]
    assert made["DeletionPolicy"] == made["UpdateReplacePolicy"] == "Retain"
    assert made["Properties"] == {
        "TableName": "Appointment-Table",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "N"},
        ],
        "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {"SSEEnabled": True},
    }


def test_a_table_goes_with_the_stack_only_when_that_was_said() -> None:
    made = template(everything(), options(keep_tables=False))["Resources"]
    assert made["AppointmentTable"]["DeletionPolicy"] == "Delete"


def test_a_swept_table_has_the_indexes_that_are_swept() -> None:
    made = properties(everything(), "OffersTable")
    assert made["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "ByExpiry",
            "KeySchema": [
                {"AttributeName": "GSI_PK", "KeyType": "HASH"},
                {"AttributeName": "EXPIRES_AT", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
        {
            "IndexName": "ByReminder",
            "KeySchema": [
                {"AttributeName": "REMINDER_SHARD", "KeyType": "HASH"},
                {"AttributeName": "REMIND_AT", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
    ]
    types = {one["AttributeName"]: one["AttributeType"] for one in made["AttributeDefinitions"]}
    assert types == {"id": "S", "GSI_PK": "S", "EXPIRES_AT": "S", "REMINDER_SHARD": "S", "REMIND_AT": "N"}


def test_an_existing_table_is_left_alone_and_its_stream_is_a_parameter() -> None:
    made = template(everything(), options(existing_tables=frozenset({"Appointment-Table", "Offers"})))
    assert set(made["Parameters"]) == {"BundleBucket", "BundleKey", "AppointmentTableStreamArn"}, "Offers is not read"
    assert types_of(made, "AWS::DynamoDB::Table") == ["DeliveriesTable"]
    resolved = Resolved(made, {"AppointmentTableStreamArn": STREAM})
    assert resolved.resource("AppointmentTableMapping")["EventSourceArn"] == STREAM
    reads = next(one for one in resolved.statements("StreamFunctionRole") if one["Sid"] == "ReadStreams")
    assert reads["Resource"] == [STREAM]


def test_a_mapping_loses_nothing_that_fails() -> None:
    made = properties(everything(), "AppointmentTableMapping")
    dead_letters = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:clinic-stream-dead-letters"
    assert made == {
        "EventSourceArn": STREAM,
        "FunctionName": "clinic-stream",
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 1000,
        "ParallelizationFactor": 2,
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumRetryAttempts": 100,
        "MaximumRecordAgeInSeconds": 21600,
        "DestinationConfig": {"OnFailure": {"Destination": dead_letters}},
    }


def test_records_without_a_timestamp_can_be_left_out_before_the_function() -> None:
    app = App("clinic")
    table = app.table("Things", partition_key="id")
    table.rule("A", DeleteItem())
    table.rule("B", DeleteItem())
    assert "FilterCriteria" not in properties(app, "ThingsTableMapping")
    (only,) = properties(app, "ThingsTableMapping", watched_only=True)["FilterCriteria"]["Filters"]
    passes = EventPattern(only["Pattern"]).matches
    assert passes({"dynamodb": {"NewImage": {"id": {"S": "1"}, "A": {"S": "2030-01-01"}}}})
    assert passes({"dynamodb": {"NewImage": {"id": {"S": "1"}}, "OldImage": {"B": {"N": "1"}}}})
    assert not passes({"dynamodb": {"NewImage": {"id": {"S": "1"}, "C": {"S": "x"}}}})


def test_parts_that_no_rule_needs_are_not_there() -> None:
    made = template(only_sweeps(), OPTIONS)
    assert types_of(made, "AWS::Lambda::Function") == ["SweepFunction"]
    assert types_of(made, "AWS::Lambda::EventSourceMapping") == []
    made = template(no_rules(), OPTIONS)
    assert types_of(made, "AWS::Lambda::Function") == []
    assert made["Parameters"] == {}


@pytest.mark.parametrize(
    ("action", "rule_options", "is_needed"),
    [
        (DeleteItem(), {}, False),
        (DeleteItem(), {"guarded": True}, True),
        ([QueueMessage("q"), HttpRequest("https://example.com")], {}, True),
    ],
)
def test_the_due_function_is_there_if_a_rule_needs_it(
    action: Any, rule_options: dict[str, Any], is_needed: bool
) -> None:
    app = App("clinic")
    app.table("Things", partition_key="id").rule("A", action, **rule_options)
    assert ("WhenDueFunction" in template(app, OPTIONS)["Resources"]) is is_needed


def _plain(item: dict[str, Any]) -> QueueMessage | None:
    return QueueMessage("q")


def _web(item: dict[str, Any]) -> list[HttpRequest]:
    return [HttpRequest("https://example.com")]


@pytest.mark.parametrize(("function", "is_needed"), [(_plain, False), (_web, True)])
def test_a_rules_annotation_says_whether_it_calls_http_servers(function: Any, is_needed: bool) -> None:
    app = App("clinic")
    app.table("Things", partition_key="id").rule("A")(function)
    assert ("WhenDueFunction" in template(app, OPTIONS)["Resources"]) is is_needed


@pytest.mark.parametrize("function", ["StreamFunction", "WhenDueFunction", "SweepFunction"])
def test_each_function_gets_the_settings_it_reads(function: str) -> None:
    made = properties(everything(), function, environment={"LEVEL": "debug"}, concurrency=64)
    variables = made["Environment"]["Variables"]
    settings = Settings.from_environment({**variables, "AWS_REGION": REGION})
    assert settings.app == "rules:app"
    assert settings.place.account_id == ACCOUNT_ID
    assert settings.when_due_function_arn == f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:clinic-when-due"
    assert settings.stream_dead_letter_queue_url.endswith("/clinic-stream-dead-letters")
    assert settings.deliveries_table == properties(everything(), "DeliveriesTable")["TableName"]
    assert settings.concurrency == 64
    assert variables["LEVEL"] == "debug"


def test_functions_are_as_they_were_chosen() -> None:
    layer = "arn:aws:lambda:eu-west-1:111122223333:layer:dates:3"
    made = properties(
        everything(), "StreamFunction", runtime="python3.12", architecture="x86_64", layers=(layer,), memory_mb=512
    )
    assert (made["Runtime"], made["Architectures"], made["Layers"], made["MemorySize"]) == (
        "python3.12",
        ["x86_64"],
        [layer],
        512,
    )


def test_the_due_function_may_run_as_long_as_the_longest_rule() -> None:
    assert properties(everything(), "WhenDueFunction")["Timeout"] == 3 * 60 + 30


def test_a_rule_that_runs_longer_than_lambda_lets_it_is_refused() -> None:
    app = App("clinic")

    @app.table("Things", partition_key="id").when_due("A", timeout=timedelta(minutes=15))
    def run(item: dict[str, Any], due: Due) -> None:
        pass

    with pytest.raises(RuleError, match=r"rule 'run': timeout=0:15:00 is longer.*at most 0:14:30.*StateMachine"):
        template(app, OPTIONS)


def test_each_sweep_has_its_rate_and_a_group_of_its_own() -> None:
    resolved = Resolved(template(everything(), OPTIONS))
    first, second = (resolved.resource(f"SweepSchedule{number}") for number in (1, 2))
    assert (first["ScheduleExpression"], second["ScheduleExpression"]) == ("rate(1 minute)", "rate(5 minutes)")
    assert first["GroupName"] == "clinic-sweep", "the app's own group holds items' schedules only"
    assert json.loads(second["Target"]["Input"]) == {"Table": "Offers", "Rule": "remind_at-queue-message"}


def test_sweeps_of_two_tables_may_have_rules_of_one_name() -> None:
    app = App("offers")
    for name in ("Offers", "Sessions"):
        app.table(name, partition_key="id").rule("A", DeleteItem(), via=Sweep("ByA"))
    names = {properties(app, f"SweepSchedule{number}")["Name"] for number in (1, 2)}
    assert len(names) == 2
    assert all(name.startswith("a-delete-item-") for name in names)


def test_an_app_cannot_have_the_name_of_the_group_that_every_account_has() -> None:
    with pytest.raises(RuleError, match="cannot be named 'default'"):
        template(App("default"), OPTIONS)


def test_a_sweep_may_run_until_the_next_one() -> None:
    assert properties(everything(), "SweepFunction")["Timeout"] == 6 * 60, "the longest of its rules comes every 5 min"
    config = properties(everything(), "SweepFunctionInvokeConfig")
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (0, 60)


def test_a_sweep_that_only_deletes_needs_no_due_function() -> None:
    assert "WhenDueFunction" not in template(only_sweeps(), OPTIONS)["Resources"]
    app = App("offers")
    app.table("Offers", partition_key="id").rule("A", QueueMessage("q"), via=Sweep("ByA"))
    assert "WhenDueFunction" in template(app, OPTIONS)["Resources"], "what fails is handed over to it"


def test_dead_letters_are_encrypted_and_kept_as_long_as_sqs_can() -> None:
    for queue in ("DeadLetters", "StreamDeadLetters"):
        made = properties(everything(), queue)
        assert made["SqsManagedSseEnabled"] is True
        assert made["MessageRetentionPeriod"] == 14 * 86400


@pytest.mark.parametrize(
    ("namespace", "metric"),
    [
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        ("AWS/Lambda", "IteratorAge"),
        ("AWS/Lambda", "Errors"),
        ("AWS/Lambda", "Throttles"),
        ("AWS/Scheduler", "InvocationDroppedCount"),
        ("AWS/Scheduler", "InvocationsFailedToBeSentToDeadLetterCount"),
    ],
)
def test_there_is_an_alarm_and_a_graph(namespace: str, metric: str) -> None:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:ops"
    resolved = Resolved(made := template(everything(), options(alarm_topics=(topic,))))
    alarms = [resolved.resource(name) for name in types_of(made, "AWS::CloudWatch::Alarm")]
    found = [alarm for alarm in alarms if (alarm["Namespace"], alarm["MetricName"]) == (namespace, metric)]
    assert found
    assert all(alarm["AlarmActions"] == [topic] for alarm in found)
    assert any(line[:2] == [namespace, metric] for line in _lines(resolved))


def _lines(resolved: Resolved) -> list[list[Any]]:
    body = json.loads(resolved.resource("Dashboard")["DashboardBody"])
    return [line for widget in body["widgets"] for line in widget["properties"]["metrics"]]


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    shown = {line[1] for line in _lines(Resolved(template(everything(), OPTIONS))) if line[0] == "Duestream"}
    told = {str(metric) for metric in (*metrics.Metric, *delivery_metrics.Metric)}
    assert told - shown == {"Planned"}


def test_widgets_do_not_lie_over_each_other() -> None:
    body = json.loads(Resolved(template(everything(), OPTIONS)).resource("Dashboard")["DashboardBody"])
    places = [(widget["x"], widget["y"]) for widget in body["widgets"]]
    assert len(set(places)) == len(places) > 8
    assert all(widget["properties"]["region"] == REGION for widget in body["widgets"])


def test_what_costs_money_can_be_left_out() -> None:
    made = template(everything(), options(alarms=False, dashboard=False))
    assert types_of(made, "AWS::CloudWatch::Alarm") == types_of(made, "AWS::CloudWatch::Dashboard") == []


def test_everything_that_is_needed_afterwards_is_an_output() -> None:
    assert set(template(everything(), OPTIONS)["Outputs"]) == {
        "ScheduleGroupName",
        "ExecutionRoleArn",
        "DeadLettersUrl",
        "StreamDeadLettersUrl",
        "StreamFunctionName",
        "WhenDueFunctionName",
        "DeliveriesTableName",
        "SweepFunctionName",
        "AppointmentTableName",
        "AppointmentTableStreamArn",
        "OffersTableName",
        "OffersTableStreamArn",
    }


def test_logical_ids_of_tables_are_told_apart() -> None:
    assert table_ids(["Offers", "offers", "Offers-Table", "a.b"]) == {
        "Offers": "OffersTable",
        "offers": "OffersTableNo2",
        "Offers-Table": "OffersTableNo3",
        "a.b": "ABTable",
    }


def test_tables_with_the_longest_names_have_ids_that_cloudformation_takes() -> None:
    app = App("clinic")
    for ending in "ab":
        app.table("T" * 254 + ending, partition_key="id").rule("AT", QueueMessage("late"))
    made = template(app, StackOptions(entry="rules:app"))
    assert len(types_of(made, "AWS::DynamoDB::Table")) == 2
    assert len(types_of(made, "AWS::Lambda::EventSourceMapping")) == 2
    assert max(len(name) for part in ("Resources", "Outputs") for name in made[part]) <= 255


def test_a_table_of_deliveries_is_not_taken_for_the_apps_own() -> None:
    app = App("courier")

    @app.table("Deliveries", partition_key="id").when_due("EXPECTED_AT")
    def ask(item: dict[str, Any], due: Due) -> None: ...

    resources = template(app, StackOptions(entry="rules:app"))["Resources"]
    tables = [one["Properties"]["TableName"] for one in resources.values() if one["Type"] == "AWS::DynamoDB::Table"]
    assert sorted(tables) == ["Deliveries", "courier-deliveries"]


def test_no_table_of_the_users_has_the_name_of_the_apps_own() -> None:
    app = App("courier")
    app.table("courier-deliveries", partition_key="id").rule("EXPECTED_AT", QueueMessage("late"))
    with pytest.raises(RuleError, match="the app's own table"):
        template(app, StackOptions(entry="rules:app"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"runtime": "python3.8"},
        {"architecture": "risc"},
        {"layers": ("layer",)},
        {"memory_mb": 64},
        {"log_retention_days": 2},
        {"alarm_topics": ("ops",)},
        {"permissions_boundary": "boundary"},
        {"environment": {"AWS_REGION": "x"}},
        {"batch_size": 0},
        {"parallelization": 11},
        {"concurrency": 0},
    ],
)
def test_what_aws_would_not_take_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        options(**wrong)
