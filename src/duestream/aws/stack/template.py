"""The template: everything that an app needs on AWS, as CloudFormation takes it."""

from duestream.aws.stack.alarms import alarm_resources
from duestream.aws.stack.dashboard import dashboard_resource
from duestream.aws.stack.functions import (
    STREAM_ID,
    SWEEP_ID,
    WHEN_DUE_ID,
    bundle_parameters,
    stream_resources,
    sweep_group,
    sweep_resources,
    when_due_resources,
)
from duestream.aws.stack.names import DELIVERIES_ID, Resources, Value, attribute, deliveries_table, ref
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.parts import Parts, parts_of
from duestream.aws.stack.permissions import permissions_of
from duestream.aws.stack.queues import DEAD_LETTERS_ID, STREAM_DEAD_LETTERS_ID, queue_resources
from duestream.aws.stack.roles import (
    EXECUTION_ROLE_ID,
    STREAM_ROLE_ID,
    SWEEP_ROLE_ID,
    SWEEP_SCHEDULE_ROLE_ID,
    WHEN_DUE_ROLE_ID,
    execution_statements,
    lambda_trust,
    role,
    scheduler_trust,
    stream_statements,
    sweep_schedule_statements,
    sweep_statements,
    when_due_statements,
)
from duestream.aws.stack.tables import WatchedTables, deliveries_resources
from duestream.core.app import App
from duestream.errors import RuleError

SCHEDULE_GROUP_ID = "ScheduleGroup"
DASHBOARD_ID = "Dashboard"
Template = dict[str, Value]


def template(app: App, options: StackOptions) -> Template:
    """The stack of an app.

    Args:
        app: the rules.
        options: what may be chosen.

    Returns:
        A template for CloudFormation, which needs ``CAPABILITY_IAM`` and the parameters ``BundleBucket`` and
        ``BundleKey``; for each existing table whose stream is read, also the ARN of that stream.

    Raises:
        RuleError: a rule cannot be carried out on AWS as it is written.
    """
    if app.name == "default":
        raise RuleError(
            "an app on AWS cannot be named 'default'",
            remedy="Give it another name: EventBridge Scheduler has a schedule group of that name in every account.",
        )
    if any(table.name == deliveries_table(app.name) for table in app.tables):
        raise RuleError(
            f"table {deliveries_table(app.name)} has the name of the app's own table, in which it keeps its deliveries",
            remedy="Give the app another name.",
        )
    parts = parts_of(app)
    tables = WatchedTables(parts, options)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"{app.name}: actions that follow its data, on time. Made by duestream.",
        "Parameters": {**(bundle_parameters() if app.rules else {}), **tables.parameters()},
        "Resources": {
            **tables.resources(),
            **_schedule_group(app.name),
            **queue_resources(app.name),
            **_function_resources(parts, tables, options),
            **_role_resources(parts, tables, options),
            **(alarm_resources(parts, options) if options.alarms else {}),
            **({DASHBOARD_ID: dashboard_resource(parts)} if options.dashboard else {}),
        },
        "Outputs": _outputs(parts, tables),
    }


def _schedule_group(app_name: str) -> Resources:
    return {SCHEDULE_GROUP_ID: {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": app_name}}}


def _function_resources(parts: Parts, tables: WatchedTables, options: StackOptions) -> Resources:
    resources: Resources = {}
    if parts.streamed:
        resources |= stream_resources(parts, tables, options)
    if parts.when_due:
        resources |= {**deliveries_resources(parts.app.name), **when_due_resources(parts, options)}
    if parts.swept:
        resources |= sweep_resources(parts, options)
    return resources


def _role_resources(parts: Parts, tables: WatchedTables, options: StackOptions) -> Resources:
    name, needs = parts.app.name, permissions_of(parts)
    statements = execution_statements(name, needs.scheduler, has_due_function=bool(parts.when_due))
    resources = {EXECUTION_ROLE_ID: role(options, trust=scheduler_trust(name), statements=statements)}
    if parts.streamed:
        statements = stream_statements(name, tables, parts.streamed_tables)
        resources[STREAM_ROLE_ID] = role(options, trust=lambda_trust(), statements=statements)
    if parts.when_due:
        statements = when_due_statements(name, parts.when_due, needs.when_due)
        resources[WHEN_DUE_ROLE_ID] = role(options, trust=lambda_trust(), statements=statements)
    if parts.swept:
        statements = sweep_statements(name, parts.swept, needs.sweep)
        resources[SWEEP_ROLE_ID] = role(options, trust=lambda_trust(), statements=statements)
        trust = scheduler_trust(sweep_group(name))
        resources[SWEEP_SCHEDULE_ROLE_ID] = role(
            options, trust=trust, statements=sweep_schedule_statements(attribute(SWEEP_ID, "Arn"))
        )
    return resources


def _outputs(parts: Parts, tables: WatchedTables) -> Resources:
    outputs = {
        "ScheduleGroupName": ("Schedules of items are in this group", ref(SCHEDULE_GROUP_ID)),
        "ExecutionRoleArn": ("EventBridge Scheduler invokes targets as this role", attribute(EXECUTION_ROLE_ID, "Arn")),
        "DeadLettersUrl": ("Deliveries that were given up", ref(DEAD_LETTERS_ID)),
        "StreamDeadLettersUrl": ("Stream records that no schedule could be made from", ref(STREAM_DEAD_LETTERS_ID)),
    }
    if parts.streamed:
        outputs["StreamFunctionName"] = ("Reads the tables' streams", ref(STREAM_ID))
    if parts.when_due:
        outputs["WhenDueFunctionName"] = ("Runs what looks at the item again when it is due", ref(WHEN_DUE_ID))
        outputs["DeliveriesTableName"] = ("What the due function has done", ref(DELIVERIES_ID))
    if parts.swept:
        outputs["SweepFunctionName"] = ("Looks through indexes for what is due", ref(SWEEP_ID))
    for table, logical_id in tables.ids.items():
        if tables.is_made_here(table):
            outputs[f"{logical_id}Name"] = ("A watched table", ref(logical_id))
            outputs[f"{logical_id}StreamArn"] = ("Its stream", tables.stream_arn(table))
    return {name: {"Description": text, "Value": value} for name, (text, value) in outputs.items()}
