"""What each part of a template is there for: the comments of the printed one."""

from collections.abc import Mapping

from duestream.aws.stack.template import Template

_BY_ID = {
    "ScheduleGroup": "Schedules of items, one for each rule and item.",
    "DeadLetters": "Deliveries that were given up: what was to be sent, and why it could not be.",
    "StreamDeadLetters": "Stream records that no schedule could be made from, and batches that the function failed on.",
    "StreamFunction": "Reads what changes in the tables, and keeps schedules as the rules ask.",
    "WhenDueFunction": "Looks at the item again when it is due, and runs or sends what the rule says.",
    "WhenDueFunctionInvokeConfig": "For invocations that crash or time out; the function itself retries what fails.",
    "DeliveriesTable": "What the due function has done, so that an invocation that is repeated does nothing twice.",
    "SweepFunction": "Looks through indexes for what is due.",
    "SweepFunctionInvokeConfig": "The next sweep takes up what this one did not.",
    "SweepScheduleGroup": "Schedules that start sweeps; not among those of items.",
    "ExecutionRole": "What EventBridge Scheduler may do when a schedule is due.",
    "StreamFunctionRole": "What the stream function may do.",
    "WhenDueFunctionRole": "What the due function may do.",
    "SweepFunctionRole": "What the sweep function may do.",
    "SweepScheduleRole": "What EventBridge Scheduler may do to start a sweep.",
    "Dashboard": "What to look at first.",
}
_BY_TYPE = {
    "AWS::DynamoDB::Table": "A table that rules watch.",
    "AWS::Lambda::EventSourceMapping": "Hands the table's stream records to the stream function, each item's in order.",
}


def comments_of(template: Template) -> Mapping[str, str]:
    """Comments for the resources of a template, by their logical ids."""
    found = {}
    for logical_id, resource in template["Resources"].items():
        text = _BY_ID.get(logical_id) or _BY_TYPE.get(resource["Type"])
        if text:
            found[logical_id] = text
    return found
