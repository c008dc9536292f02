"""Least privilege: what the functions and Scheduler do is allowed, and what is near it is not."""

from typing import Any

import pytest
from tests.unit.aws.policy_evaluator import evaluate, is_allowed
from tests.unit.aws.stack.apps import everything, only_sweeps
from tests.unit.aws.stack.resolved import ACCOUNT_ID, Resolved, arn

from duestream import App, AwsCall, Email, QueueMessage, RuleError
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.parts import parts_of
from duestream.aws.stack.permissions import permissions_of
from duestream.aws.stack.template import template

STREAM = arn("dynamodb", "table/Appointment-Table/stream/2026-11-23T00:00:00.000")
EXECUTION_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/stack-ExecutionRole-X"
TO_SCHEDULER = {"iam:PassedToService": "scheduler.amazonaws.com"}
FROM_CLINIC = {"ses:FromAddress": "clinic@mail.example.com"}


@pytest.fixture(scope="module")
def stack() -> Resolved:
    return Resolved(template(everything(), StackOptions(entry="rules:app")))


ALLOWED: list[tuple[str, str, str, dict[str, str]]] = [
    ("StreamFunctionRole", "logs:PutLogEvents", arn("logs", "log-group:/aws/lambda/clinic-stream:log-stream:x"), {}),
    ("StreamFunctionRole", "dynamodb:GetRecords", STREAM, {}),
    ("StreamFunctionRole", "dynamodb:GetShardIterator", STREAM, {}),
    ("StreamFunctionRole", "dynamodb:DescribeStream", STREAM, {}),
    ("StreamFunctionRole", "dynamodb:ListStreams", "*", {}),
    ("StreamFunctionRole", "scheduler:CreateSchedule", arn("scheduler", "schedule/clinic/a-0123"), {}),
    ("StreamFunctionRole", "scheduler:UpdateSchedule", arn("scheduler", "schedule/clinic/a-0123"), {}),
    ("StreamFunctionRole", "scheduler:GetSchedule", arn("scheduler", "schedule/clinic/a-0123"), {}),
    ("StreamFunctionRole", "scheduler:DeleteSchedule", arn("scheduler", "schedule/clinic/a-0123"), {}),
    ("StreamFunctionRole", "scheduler:GetScheduleGroup", arn("scheduler", "schedule-group/clinic"), {}),
    ("StreamFunctionRole", "iam:PassRole", EXECUTION_ROLE, TO_SCHEDULER),
    ("StreamFunctionRole", "sqs:SendMessage", arn("sqs", "clinic-stream-dead-letters"), {}),
    ("WhenDueFunctionRole", "dynamodb:GetItem", arn("dynamodb", "table/Appointment-Table"), {}),
    ("WhenDueFunctionRole", "dynamodb:GetItem", arn("dynamodb", "table/clinic-deliveries"), {}),
    ("WhenDueFunctionRole", "dynamodb:UpdateItem", arn("dynamodb", "table/clinic-deliveries"), {}),
    ("WhenDueFunctionRole", "dynamodb:DeleteItem", arn("dynamodb", "table/clinic-deliveries"), {}),
    ("WhenDueFunctionRole", "scheduler:CreateSchedule", arn("scheduler", "schedule/clinic/retry-0123-2"), {}),
    ("WhenDueFunctionRole", "scheduler:UpdateSchedule", arn("scheduler", "schedule/clinic/retry-0123-2"), {}),
    ("WhenDueFunctionRole", "iam:PassRole", EXECUTION_ROLE, TO_SCHEDULER),
    ("WhenDueFunctionRole", "sqs:SendMessage", arn("sqs", "clinic-dead-letters"), {}),
    ("WhenDueFunctionRole", "sqs:SendMessage", arn("sqs", "guarded"), {}),
    ("WhenDueFunctionRole", "s3:GetObject", "arn:aws:s3:::notes/a", {}),
    ("SweepFunctionRole", "dynamodb:Query", arn("dynamodb", "table/Offers/index/ByExpiry"), {}),
    ("SweepFunctionRole", "dynamodb:Query", arn("dynamodb", "table/Offers/index/ByReminder"), {}),
    ("SweepFunctionRole", "dynamodb:UpdateItem", arn("dynamodb", "table/Offers"), {}),
    ("SweepFunctionRole", "dynamodb:DeleteItem", arn("dynamodb", "table/Offers"), {}),
    ("SweepFunctionRole", "sqs:SendMessage", arn("sqs", "swept"), {}),
    ("SweepFunctionRole", "lambda:InvokeFunction", arn("lambda", "function:clinic-when-due"), {}),
    ("WhenDueFunctionRole", "sqs:SendMessage", arn("sqs", "swept"), {}),
    ("WhenDueFunctionRole", "dynamodb:GetItem", arn("dynamodb", "table/Offers"), {}),
    ("SweepScheduleRole", "lambda:InvokeFunction", arn("lambda", "function:clinic-sweep"), {}),
    ("ExecutionRole", "lambda:InvokeFunction", arn("lambda", "function:clinic-when-due"), {}),
    ("ExecutionRole", "sqs:SendMessage", arn("sqs", "clinic-dead-letters"), {}),
    ("ExecutionRole", "sqs:SendMessage", "arn:aws:sqs:us-east-1:999999999999:theirs", {}),
    ("ExecutionRole", "sqs:SendMessage", arn("sqs", "told-7"), {}),
    ("ExecutionRole", "sns:Publish", arn("sns", "news"), {}),
    ("ExecutionRole", "states:StartExecution", arn("states", "stateMachine:billing"), {}),
    ("ExecutionRole", "lambda:InvokeFunction", arn("lambda", "function:resize:live"), {}),
    ("ExecutionRole", "events:PutEvents", arn("events", "event-bus/own"), {}),
    ("ExecutionRole", "dynamodb:PutItem", arn("dynamodb", "table/Audit"), {}),
    ("ExecutionRole", "dynamodb:UpdateItem", arn("dynamodb", "table/Audit"), {}),
    ("ExecutionRole", "dynamodb:DeleteItem", arn("dynamodb", "table/Audit"), {}),
    ("ExecutionRole", "dynamodb:DeleteItem", arn("dynamodb", "table/Appointment-Table"), {}),
    ("ExecutionRole", "s3:DeleteObject", "arn:aws:s3:::notes/a/*", {}),
    ("ExecutionRole", "s3:PutObject", "arn:aws:s3:::told/x", {}),
    ("ExecutionRole", "ecs:RunTask", arn("ecs", "task-definition/c:7"), {}),
    ("ExecutionRole", "ses:SendEmail", arn("ses", "identity/clinic@mail.example.com"), FROM_CLINIC),
    ("ExecutionRole", "ses:SendEmail", arn("ses", "identity/mail.example.com"), FROM_CLINIC),
    ("ExecutionRole", "ses:SendEmail", arn("ses", "identity/example.com"), FROM_CLINIC),
    ("ExecutionRole", "ses:SendEmail", arn("ses", "configuration-set/default"), FROM_CLINIC),
]


@pytest.mark.parametrize(("role", "action", "resource", "context"), ALLOWED)
def test_what_is_done_is_allowed(
    stack: Resolved, role: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert is_allowed(stack.statements(role), action, resource, context)


NOT_ALLOWED: list[tuple[str, str, str, dict[str, str]]] = [
    # Other groups, other schedules.
    ("StreamFunctionRole", "scheduler:CreateSchedule", arn("scheduler", "schedule/default/a-0123"), {}),
    ("StreamFunctionRole", "scheduler:DeleteSchedule", arn("scheduler", "schedule/clinic2/a-0123"), {}),
    ("StreamFunctionRole", "scheduler:DeleteSchedule", arn("scheduler", "schedule/clinic-sweep/a"), {}),
    ("StreamFunctionRole", "scheduler:DeleteScheduleGroup", arn("scheduler", "schedule-group/clinic"), {}),
    ("WhenDueFunctionRole", "scheduler:CreateSchedule", arn("scheduler", "schedule/clinic/a-0123"), {}),
    ("WhenDueFunctionRole", "scheduler:DeleteSchedule", arn("scheduler", "schedule/clinic/retry-0123-2"), {}),
    ("SweepFunctionRole", "scheduler:CreateSchedule", arn("scheduler", "schedule/clinic/a-0123"), {}),
    # Other roles, and this one to other services.
    ("StreamFunctionRole", "iam:PassRole", f"arn:aws:iam::{ACCOUNT_ID}:role/Admin", TO_SCHEDULER),
    ("StreamFunctionRole", "iam:PassRole", EXECUTION_ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}),
    ("StreamFunctionRole", "iam:PassRole", EXECUTION_ROLE, {}),
    ("WhenDueFunctionRole", "iam:PassRole", f"arn:aws:iam::{ACCOUNT_ID}:role/Admin", TO_SCHEDULER),
    # Tables: other ones, other actions, other streams.
    ("StreamFunctionRole", "dynamodb:GetRecords", arn("dynamodb", "table/Other/stream/x"), {}),
    ("StreamFunctionRole", "dynamodb:GetItem", arn("dynamodb", "table/Appointment-Table"), {}),
    ("StreamFunctionRole", "dynamodb:DeleteItem", arn("dynamodb", "table/Appointment-Table"), {}),
    ("WhenDueFunctionRole", "dynamodb:GetItem", arn("dynamodb", "table/Other"), {}),
    ("WhenDueFunctionRole", "dynamodb:DeleteItem", arn("dynamodb", "table/Offers"), {}),
    ("WhenDueFunctionRole", "dynamodb:PutItem", arn("dynamodb", "table/Appointment-Table"), {}),
    ("WhenDueFunctionRole", "dynamodb:Scan", arn("dynamodb", "table/clinic-deliveries"), {}),
    ("SweepFunctionRole", "dynamodb:Query", arn("dynamodb", "table/Offers/index/Other"), {}),
    ("SweepFunctionRole", "dynamodb:Query", arn("dynamodb", "table/Appointment-Table/index/ByExpiry"), {}),
    ("SweepFunctionRole", "dynamodb:Scan", arn("dynamodb", "table/Offers"), {}),
    ("ExecutionRole", "dynamodb:GetItem", arn("dynamodb", "table/Appointment-Table"), {}),
    ("ExecutionRole", "dynamodb:DeleteItem", arn("dynamodb", "table/Unknown"), {}),
    # Queues, in other accounts and regions too.
    ("StreamFunctionRole", "sqs:SendMessage", arn("sqs", "clinic-dead-letters"), {}),
    ("WhenDueFunctionRole", "sqs:SendMessage", arn("sqs", "reminders"), {}),
    ("ExecutionRole", "sqs:SendMessage", arn("sqs", "reminders", account_id="999999999999"), {}),
    ("ExecutionRole", "sqs:SendMessage", arn("sqs", "reminders", region="us-east-2"), {}),
    ("ExecutionRole", "sqs:ReceiveMessage", arn("sqs", "reminders"), {}),
    ("ExecutionRole", "sqs:PurgeQueue", arn("sqs", "clinic-dead-letters"), {}),
    # Objects: a star in a key is a star.
    ("ExecutionRole", "s3:DeleteObject", "arn:aws:s3:::notes/a/b", {}),
    ("WhenDueFunctionRole", "s3:PutObject", "arn:aws:s3:::notes/a", {}),
    ("SweepScheduleRole", "lambda:InvokeFunction", arn("lambda", "function:clinic-stream"), {}),
    # Logs of others.
    ("StreamFunctionRole", "logs:PutLogEvents", arn("logs", "log-group:/aws/lambda/clinic-sweep:log-stream:x"), {}),
    ("StreamFunctionRole", "logs:CreateLogGroup", arn("logs", "log-group:/aws/lambda/clinic-stream"), {}),
    # And things that nobody does.
    ("StreamFunctionRole", "iam:CreateRole", f"arn:aws:iam::{ACCOUNT_ID}:role/x", {}),
    ("ExecutionRole", "sts:AssumeRole", f"arn:aws:iam::{ACCOUNT_ID}:role/x", {}),
    ("WhenDueFunctionRole", "lambda:UpdateFunctionCode", arn("lambda", "function:clinic-when-due"), {}),
]


@pytest.mark.parametrize(("role", "action", "resource", "context"), NOT_ALLOWED)
def test_what_is_near_it_is_not_allowed(
    stack: Resolved, role: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert not is_allowed(stack.statements(role), action, resource, context)


def test_a_star_stands_only_where_iam_has_nothing_narrower(stack: Resolved) -> None:
    stars = {
        (role, action)
        for role, policy in stack.policies().items()
        for statement in policy["Statement"]
        for action in statement["Action"]
        if "*" in statement["Resource"]
    }
    assert stars == {("StreamFunctionRole", "dynamodb:ListStreams")}


def test_no_action_has_a_wildcard(stack: Resolved) -> None:
    for role, policy in stack.policies().items():
        if role.endswith("Role"):
            assert all("*" not in action for statement in policy["Statement"] for action in statement["Action"])


@pytest.mark.parametrize(("role", "group"), [("ExecutionRole", "clinic"), ("SweepScheduleRole", "clinic-sweep")])
def test_scheduler_assumes_a_role_only_for_schedules_of_our_group(stack: Resolved, role: str, group: str) -> None:
    ours = {"aws:SourceAccount": ACCOUNT_ID, "aws:SourceArn": arn("scheduler", f"schedule-group/{group}")}
    (trust,) = stack.trust(role)
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert is_allowed([trust], "sts:AssumeRole", "*", ours)
    for key, other in (
        ("aws:SourceAccount", "999999999999"),
        ("aws:SourceArn", arn("scheduler", "schedule-group/default")),
        ("aws:SourceArn", arn("scheduler", f"schedule-group/{group}", account_id="999999999999")),
    ):
        assert not is_allowed([trust], "sts:AssumeRole", "*", {**ours, key: other})
        assert not is_allowed([trust], "sts:AssumeRole", "*", {name: ours[name] for name in ours if name != key})


@pytest.mark.parametrize("role", ["StreamFunctionRole", "WhenDueFunctionRole", "SweepFunctionRole"])
def test_only_lambda_assumes_the_functions_roles(stack: Resolved, role: str) -> None:
    (trust,) = stack.trust(role)
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


@pytest.mark.parametrize("queue", ["DeadLetters", "StreamDeadLetters"])
def test_queues_refuse_what_comes_without_tls(stack: Resolved, queue: str) -> None:
    policy = stack.policies()[f"{queue}Policy"]["Statement"]
    name = stack.resource(queue)["QueueName"]
    assert evaluate(policy, "sqs:SendMessage", arn("sqs", name), {"aws:SecureTransport": "false"}) == "denied"
    assert evaluate(policy, "sqs:SendMessage", arn("sqs", name), {"aws:SecureTransport": "true"}) == "not allowed"


def test_every_role_is_within_the_boundary() -> None:
    boundary = f"arn:aws:iam::{ACCOUNT_ID}:policy/boundary"
    made = template(everything(), StackOptions(entry="rules:app", permissions_boundary=boundary))
    roles = [name for name, resource in made["Resources"].items() if resource["Type"] == "AWS::IAM::Role"]
    assert len(roles) == 5
    assert all(Resolved(made).resource(name)["PermissionsBoundary"] == boundary for name in roles)


def test_a_stack_without_such_rules_allows_scheduler_nothing_but_dead_letters() -> None:
    stack = Resolved(template(only_sweeps(), StackOptions(entry="rules:app")))
    assert [statement["Sid"] for statement in stack.statements("ExecutionRole")] == ["SendDeadLetters"]


# What a function answers ---------------------------------------------------------------------------


def _table() -> tuple[App, Any]:
    app = App("clinic")
    return app, app.table("Things", partition_key="id")


def _execution(app: App) -> list[dict[str, Any]]:
    return Resolved(template(app, StackOptions(entry="rules:app"))).statements("ExecutionRole")


def _warnings(app: App) -> list[str]:
    return permissions_of(parts_of(app)).warnings


def test_an_annotation_narrows_what_a_function_may_answer() -> None:
    app, table = _table()

    @table.rule("A")
    def remind(item: dict[str, Any]) -> Email | None:
        return None

    assert is_allowed(_execution(app), "ses:SendEmail", arn("ses", "identity/anybody.example"))
    assert not is_allowed(_execution(app), "sqs:SendMessage", arn("sqs", "any"))
    (warning,) = _warnings(app)
    assert warning.startswith("rule remind answers Email, as its annotation says")
    assert warning.endswith("allow=['ses:clinic@example.com'].")


def test_without_an_annotation_it_is_what_the_file_imports() -> None:
    app, table = _table()
    namespace: dict[str, Any] = {}
    exec("from duestream import QueueMessage\ndef remind(item): return QueueMessage('q')", namespace)
    table.rule("A")(namespace["remind"])
    assert is_allowed(_execution(app), "sqs:SendMessage", arn("sqs", "any"))
    assert not is_allowed(_execution(app), "ses:SendEmail", arn("ses", "identity/anybody.example"))
    assert "as its file imports" in _warnings(app)[0]


def test_what_cannot_be_told_is_not_allowed_and_said() -> None:
    app, table = _table()
    namespace: dict[str, Any] = {}
    exec("import json\ndef remind(item): return None", namespace)
    table.rule("A")(namespace["remind"])
    assert not is_allowed(_execution(app), "sqs:SendMessage", arn("sqs", "any"))
    assert "cannot be told" in _warnings(app)[0]


def test_what_a_rule_says_that_it_uses_is_all_that_it_may() -> None:
    app, table = _table()

    @table.rule("A", allow=["sqs:reminders"])
    def remind(item: dict[str, Any]) -> Email | QueueMessage:
        return QueueMessage("reminders")

    assert is_allowed(_execution(app), "sqs:SendMessage", arn("sqs", "reminders"))
    assert not is_allowed(_execution(app), "sqs:SendMessage", arn("sqs", "other"))
    assert not is_allowed(_execution(app), "ses:SendEmail", arn("ses", "identity/anybody.example"))
    assert _warnings(app) == []


def test_a_domain_allows_senders_of_that_domain_only() -> None:
    app, table = _table()
    table.rule("A", QueueMessage("q"), allow=["ses:example.com"])
    statements, identity = _execution(app), arn("ses", "identity/example.com")
    assert is_allowed(statements, "ses:SendEmail", identity, {"ses:FromAddress": "a@example.com"})
    assert not is_allowed(statements, "ses:SendEmail", identity, {"ses:FromAddress": "a@example.org"})
    assert not is_allowed(statements, "ses:SendEmail", identity, {"ses:FromAddress": "a@b.example.com"})


def test_a_call_whose_needs_are_not_known_is_refused_with_the_remedy() -> None:
    app, table = _table()
    table.rule("A", AwsCall("ecs", "runTask", {"Cluster": "c"}))
    with pytest.raises(RuleError, match=r"ecs:runTask may be any call.*allow=\['service:Action arn:"):
        template(app, StackOptions(entry="rules:app"))


def test_a_fixed_email_is_sent_from_its_address_only() -> None:
    app, table = _table()
    table.rule("A", Email("Clinic <Clinic@example.com>", "a@example.org", "s", "t"))
    statements, identity = _execution(app), arn("ses", "identity/example.com")
    assert is_allowed(statements, "ses:SendEmail", identity, {"ses:FromAddress": "clinic@example.com"})
    assert not is_allowed(statements, "ses:SendEmail", identity, {"ses:FromAddress": "ceo@example.com"})
    assert not is_allowed(statements, "ses:SendEmail", arn("ses", "identity/example.org"), FROM_CLINIC)
    assert not is_allowed(statements, "ses:SendRawEmail", identity, {"ses:FromAddress": "clinic@example.com"})
