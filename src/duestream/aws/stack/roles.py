"""Roles: what Scheduler may do when a schedule is due, and what each function may do. Nothing else is allowed."""

from collections.abc import Iterable
from typing import Any

from duestream.aws.stack.grants import Grant, statements_of
from duestream.aws.stack.names import (
    DELIVERIES_ID,
    PLACE,
    Resource,
    Value,
    attribute,
    function_name,
    our_arn,
    ref,
    sub,
    table_arn,
)
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.parts import only_deletes
from duestream.aws.stack.queues import DEAD_LETTERS_ID, STREAM_DEAD_LETTERS_ID
from duestream.aws.stack.tables import WatchedTables
from duestream.core.rule import Rule, when_due_function

EXECUTION_ROLE_ID = "ExecutionRole"
STREAM_ROLE_ID = "StreamFunctionRole"
WHEN_DUE_ROLE_ID = "WhenDueFunctionRole"
SWEEP_ROLE_ID = "SweepFunctionRole"
SWEEP_SCHEDULE_ROLE_ID = "SweepScheduleRole"
POLICY_VERSION = "2012-10-17"

Statement = dict[str, Any]


def role(options: StackOptions, *, trust: Statement, statements: list[Statement]) -> Resource:
    """A role with one inline policy, in which every statement says by its Sid what it is for."""
    properties: dict[str, Value] = {
        "AssumeRolePolicyDocument": {"Version": POLICY_VERSION, "Statement": [trust]},
        "Policies": [
            {"PolicyName": "duestream", "PolicyDocument": {"Version": POLICY_VERSION, "Statement": statements}}
        ],
    }
    if options.permissions_boundary is not None:
        properties["PermissionsBoundary"] = options.permissions_boundary
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def scheduler_trust(group_name: str) -> Statement:
    """Only EventBridge Scheduler, only for this account, and only for schedules of this group.

    The source is the group's ARN, never a schedule's (Scheduler User Guide, "Confused deputy prevention").
    """
    return {
        "Effect": "Allow",
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {
                "aws:SourceAccount": ref("AWS::AccountId"),
                "aws:SourceArn": our_arn("scheduler", f"schedule-group/{group_name}"),
            }
        },
    }


def lambda_trust() -> Statement:
    """Only Lambda."""
    return {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


def execution_statements(app_name: str, grants: Iterable[Grant], *, has_due_function: bool) -> list[Statement]:
    """What Scheduler does as the execution role: invoke targets, and send what it gives up to the queue."""
    own = [_allow("SendDeadLetters", "sqs:SendMessage", attribute(DEAD_LETTERS_ID, "Arn"))]
    if has_due_function:
        function = our_arn("lambda", f"function:{when_due_function(app_name)}")
        own.append(_allow("InvokeDueFunction", "lambda:InvokeFunction", function))
    return [*own, *statements_of(grants, "InvokeTargets")]


def stream_statements(app_name: str, tables: WatchedTables, streamed: Iterable[str]) -> list[Statement]:
    """What the stream function does: read streams, put and delete schedules, dead-letter records."""
    streams = [tables.stream_arn(table) for table in streamed]
    return [
        _logs(function_name(app_name, "stream")),
        _allow("ReadStreams", ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], streams),
        # Lambda asks for it when the mapping is made; IAM knows no narrower resource for it.
        _allow("ListStreams", "dynamodb:ListStreams", "*"),
        _allow(
            "KeepSchedules",
            [
                "scheduler:CreateSchedule",
                "scheduler:UpdateSchedule",
                "scheduler:GetSchedule",
                "scheduler:DeleteSchedule",
            ],
            our_arn("scheduler", f"schedule/{app_name}/*"),
        ),
        # Which says since when the app is here.
        _allow("LookAtGroup", "scheduler:GetScheduleGroup", our_arn("scheduler", f"schedule-group/{app_name}")),
        _pass_execution_role(),
        _allow("SendStreamDeadLetters", "sqs:SendMessage", attribute(STREAM_DEAD_LETTERS_ID, "Arn")),
    ]


def when_due_statements(app_name: str, rules: Iterable[Rule], grants: Iterable[Grant]) -> list[Statement]:
    """What the due function does: look at the item, remember the delivery, invoke, retry, dead-letter."""
    tables = dict.fromkeys(rule.table.name for rule in rules)
    return [
        _logs(function_name(app_name, "when-due")),
        _allow("ReadItems", "dynamodb:GetItem", [sub(table_arn(table)) for table in tables]),
        _remember_deliveries(),
        _allow(
            "ScheduleRetries",
            ["scheduler:CreateSchedule", "scheduler:UpdateSchedule"],
            our_arn("scheduler", f"schedule/{app_name}/retry-*"),
        ),
        _pass_execution_role(),
        _allow("SendDeadLetters", "sqs:SendMessage", attribute(DEAD_LETTERS_ID, "Arn")),
        *statements_of(grants, "InvokeTargets"),
    ]


def sweep_statements(app_name: str, rules: Iterable[Rule], grants: Iterable[Grant]) -> list[Statement]:
    """What the sweep function does: query indexes, take what is due out of them, invoke, hand over what fails."""
    rules = tuple(rules)
    indexes = [PLACE.arn("dynamodb", f"table/{rule.table.name}/index/{rule.via.index}") for rule in rules if rule.via]
    invoking = [rule for rule in rules if not only_deletes(rule)]
    statements = [
        _logs(function_name(app_name, "sweep")),
        _allow("QueryIndexes", "dynamodb:Query", [sub(index) for index in indexes]),
    ]
    if invoking:
        tables = [sub(table_arn(table)) for table in dict.fromkeys(rule.table.name for rule in invoking)]
        function = our_arn("lambda", f"function:{when_due_function(app_name)}")
        statements.append(_allow("TakeItemsOut", ["dynamodb:GetItem", "dynamodb:UpdateItem"], tables))
        statements.append(_allow("HandOver", "lambda:InvokeFunction", function))
    return [*statements, *statements_of(grants, "InvokeTargets")]


def sweep_schedule_statements(function_arn: Value) -> list[Statement]:
    """What Scheduler does to start a sweep."""
    return [_allow("InvokeSweep", "lambda:InvokeFunction", function_arn)]


def _allow(sid: str, actions: str | list[str], resources: Value) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [actions] if isinstance(actions, str) else actions,
        "Resource": resources if isinstance(resources, list) else [resources],
    }


def _remember_deliveries() -> Statement:
    actions = ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
    return _allow("RememberDeliveries", actions, attribute(DELIVERIES_ID, "Arn"))


def _pass_execution_role() -> Statement:
    """To Scheduler, and no other role: who may pass roles on may do what they may."""
    statement = _allow("PassExecutionRole", "iam:PassRole", attribute(EXECUTION_ROLE_ID, "Arn"))
    statement["Condition"] = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    return statement


def _logs(function: str) -> Statement:
    """Into the function's own log group, which the stack makes."""
    group = our_arn("logs", f"log-group:/aws/lambda/{function}:*")
    return _allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], group)
