"""Functions, their log groups, and what invokes them."""

import json
from collections.abc import Mapping
from datetime import timedelta

from duestream.aws.stack.names import (
    Resource,
    Resources,
    Value,
    attribute,
    deliveries_table,
    function_name,
    our_arn,
    ref,
)
from duestream.aws.stack.options import MAX_TIMEOUT, StackOptions
from duestream.aws.stack.parts import Parts
from duestream.aws.stack.queues import DEAD_LETTERS_ID, STREAM_DEAD_LETTERS_ID
from duestream.aws.stack.roles import (
    EXECUTION_ROLE_ID,
    STREAM_ROLE_ID,
    SWEEP_ROLE_ID,
    SWEEP_SCHEDULE_ROLE_ID,
    WHEN_DUE_ROLE_ID,
)
from duestream.aws.stack.tables import WatchedTables
from duestream.core.rule import when_due_function
from duestream.core.schedule import schedule_name
from duestream.errors import RuleError

STREAM_ID = "StreamFunction"
WHEN_DUE_ID = "WhenDueFunction"
SWEEP_ID = "SweepFunction"
BUNDLE_BUCKET = "BundleBucket"
BUNDLE_KEY = "BundleKey"

#: A batch that fails is tried again for so long, and its place in the stream is then sent to the queue. Retries
#: are there for outages, so they are many; a record of its own fault is dead-lettered by the function at once.
STREAM_RETRIES = 100
STREAM_MAX_AGE = timedelta(hours=6)
STREAM_TIMEOUT = timedelta(minutes=2)
#: A sweep ends before the next begins; what it needs for that beside its rule's `every`.
SWEEP_MARGIN = timedelta(minutes=1)
#: What the due function needs beside the user's function: to read the item, and to put a retry.
DUE_MARGIN = timedelta(seconds=30)
MIN_DUE_TIMEOUT = timedelta(minutes=1)


def bundle_parameters() -> Resources:
    """Where the bundle was uploaded."""
    return {
        BUNDLE_BUCKET: {"Type": "String", "MinLength": 3, "Description": "S3 bucket with the bundle, in this region"},
        BUNDLE_KEY: {"Type": "String", "MinLength": 1, "Description": "Key of the bundle in that bucket"},
    }


def stream_resources(parts: Parts, tables: WatchedTables, options: StackOptions) -> Resources:
    """The stream function, and a mapping for the stream of each table."""
    mappings = {
        f"{tables.ids[table]}Mapping": _mapping(parts, table, tables.stream_arn(table), options)
        for table in parts.streamed_tables
    }
    return {**_function(STREAM_ID, "stream", STREAM_ROLE_ID, STREAM_TIMEOUT, parts, options), **mappings}


def when_due_resources(parts: Parts, options: StackOptions) -> Resources:
    """The due function, and what becomes of invocations that it does not survive."""
    config = _invoke_config(WHEN_DUE_ID, retries=2, max_age=timedelta(hours=6))
    config["Properties"]["DestinationConfig"] = {"OnFailure": {"Destination": attribute(DEAD_LETTERS_ID, "Arn")}}
    timeout = due_timeout(parts)
    return {
        **_function(WHEN_DUE_ID, "when-due", WHEN_DUE_ROLE_ID, timeout, parts, options),
        f"{WHEN_DUE_ID}InvokeConfig": config,
    }


def due_timeout(parts: Parts) -> timedelta:
    """How long the due function may run: the longest `timeout` of a rule, and a margin.

    Raises:
        RuleError: Lambda lets no function run so long.
    """
    longest = MIN_DUE_TIMEOUT
    for rule in parts.when_due:
        if rule.when_due is not None:
            if rule.timeout + DUE_MARGIN > MAX_TIMEOUT:
                raise RuleError(
                    f"timeout={rule.timeout} is longer than a Lambda function may run",
                    remedy=f"Give it at most {MAX_TIMEOUT - DUE_MARGIN}, or start a StateMachine for what takes longer.",
                    rule=rule.name,
                    location=rule.location,
                )
            longest = max(longest, rule.timeout + DUE_MARGIN)
    return longest


def sweep_resources(parts: Parts, options: StackOptions) -> Resources:
    """The sweep function, and for each of its rules a schedule."""
    app_name = parts.app.name
    longest = max(rule.via.every for rule in parts.swept if rule.via is not None)
    timeout = min(longest + SWEEP_MARGIN, MAX_TIMEOUT)
    resources = _function(SWEEP_ID, "sweep", SWEEP_ROLE_ID, timeout, parts, options)
    # The next sweep takes up what this one did not: one that is repeated would only be in its way.
    config = _invoke_config(SWEEP_ID, retries=0, max_age=timedelta(minutes=1))
    resources[f"{SWEEP_ID}InvokeConfig"] = config
    group_id = "SweepScheduleGroup"
    resources[group_id] = {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": sweep_group(app_name)}}
    for number, rule in enumerate(parts.swept, start=1):
        assert rule.via is not None
        resources[f"SweepSchedule{number}"] = {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                # Rules of two tables may have one name.
                "Name": schedule_name(rule.table.name, rule.name, {}),
                "Description": f"Sweeps index {rule.via.index} of table {rule.table.name}",
                "GroupName": ref(group_id),
                "ScheduleExpression": rule.via.rate_expression,
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "State": "ENABLED",
                "Target": {
                    "Arn": attribute(SWEEP_ID, "Arn"),
                    "RoleArn": attribute(SWEEP_SCHEDULE_ROLE_ID, "Arn"),
                    "Input": json.dumps({"Table": rule.table.name, "Rule": rule.name}),
                    "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
                },
            },
        }
    return resources


def sweep_group(app_name: str) -> str:
    """The group of the schedules that start sweeps; not the app's own, which holds items' schedules only."""
    return f"{app_name}-sweep"


def _invoke_config(function_id: str, *, retries: int, max_age: timedelta) -> Resource:
    """How often Lambda itself repeats an asynchronous invocation that crashed, timed out or found no room."""
    return {
        "Type": "AWS::Lambda::EventInvokeConfig",
        "Properties": {
            "FunctionName": ref(function_id),
            "Qualifier": "$LATEST",
            "MaximumRetryAttempts": retries,
            "MaximumEventAgeInSeconds": int(max_age.total_seconds()),
        },
    }


def _function(
    logical_id: str, part: str, role_id: str, timeout: timedelta, parts: Parts, options: StackOptions
) -> Resources:
    name = function_name(parts.app.name, part)
    module = {"stream": "handler", "when-due": "due", "sweep": "sweep"}[part]
    log_group = {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {"LogGroupName": f"/aws/lambda/{name}", "RetentionInDays": options.log_retention_days},
    }
    properties: dict[str, Value] = {
        "FunctionName": name,
        "Runtime": options.runtime,
        "Architectures": [options.architecture],
        "Handler": f"duestream.aws.{module}.handle",
        "Code": {"S3Bucket": ref(BUNDLE_BUCKET), "S3Key": ref(BUNDLE_KEY)},
        "Role": attribute(role_id, "Arn"),
        "Timeout": int(timeout.total_seconds()),
        "MemorySize": options.memory_mb,
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": ref(f"{logical_id}Logs")},
        "Environment": {"Variables": _environment(parts, options)},
    }
    if options.layers:
        properties["Layers"] = list(options.layers)
    return {f"{logical_id}Logs": log_group, logical_id: {"Type": "AWS::Lambda::Function", "Properties": properties}}


def _environment(parts: Parts, options: StackOptions) -> Mapping[str, Value]:
    """What `duestream.aws.settings` reads, and what the user added."""
    app_name = parts.app.name
    return {
        **options.environment,
        "DUESTREAM_APP": options.entry,
        "DUESTREAM_ACCOUNT_ID": ref("AWS::AccountId"),
        "DUESTREAM_PARTITION": ref("AWS::Partition"),
        "DUESTREAM_EXECUTION_ROLE_ARN": attribute(EXECUTION_ROLE_ID, "Arn"),
        "DUESTREAM_STREAM_DEAD_LETTER_QUEUE_URL": ref(STREAM_DEAD_LETTERS_ID),
        "DUESTREAM_DELIVERIES_TABLE": deliveries_table(app_name),
        "DUESTREAM_WHEN_DUE_FUNCTION_ARN": our_arn("lambda", f"function:{when_due_function(app_name)}"),
        "DUESTREAM_CONCURRENCY": str(options.concurrency),
    }


def _mapping(parts: Parts, table: str, stream_arn: Value, options: StackOptions) -> Resource:
    properties: dict[str, Value] = {
        "EventSourceArn": stream_arn,
        "FunctionName": ref(STREAM_ID),
        # LATEST may pass over what is written while the mapping is made.
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": options.batch_size,
        "ParallelizationFactor": options.parallelization,
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumRetryAttempts": STREAM_RETRIES,
        "MaximumRecordAgeInSeconds": int(STREAM_MAX_AGE.total_seconds()),
        "DestinationConfig": {"OnFailure": {"Destination": attribute(STREAM_DEAD_LETTERS_ID, "Arn")}},
    }
    if options.watched_only:
        watched = dict.fromkeys(rule.attribute for rule in parts.streamed if rule.table.name == table)
        properties["FilterCriteria"] = {"Filters": [{"Pattern": json.dumps(_pattern(list(watched)))}]}
    return {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}


def _pattern(attributes: list[str]) -> Value:
    """Records in which one of the attributes is a text or a number, in either image."""
    return {
        "dynamodb": {
            "$or": [
                {image: {name: {kind: [{"exists": True}]}}}
                for name in attributes
                for image in ("NewImage", "OldImage")
                for kind in ("S", "N")
            ]
        }
    }
