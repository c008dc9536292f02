"""Alarms: what somebody should look at, each with a name that says what it is and a description that says what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from duestream.aws.stack.functions import STREAM_ID, SWEEP_ID, WHEN_DUE_ID, sweep_group
from duestream.aws.stack.names import Resource, Resources, Value, function_name
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.parts import Parts
from duestream.core.planner import schedule_dead_letter_queue, stream_dead_letter_queue

#: A stream keeps records for 24 hours. An hour behind is time enough to act.
MAX_ITERATOR_AGE_MS = 60 * 60 * 1000
#: SQS keeps dead letters for 14 days. After 10 of them somebody must decide.
MAX_LETTER_AGE_SECONDS = 10 * 24 * 60 * 60

Dimensions = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm.

    Args:
        logical_id: in the template.
        name: after the app's.
        about: what it means, and what to do.
        namespace: CloudWatch's.
        metric: its name there.
        dimensions: its dimensions.
        statistic: ``Sum`` or ``Maximum``.
        threshold: it begins when the metric is above.
        minutes: how many minutes in a row that must be so; of a period of one minute each.
    """

    logical_id: str
    name: str
    about: str
    namespace: str
    metric: str
    dimensions: Dimensions
    statistic: str = "Sum"
    threshold: int = 0
    minutes: int = 1

    def resource(self, app_name: str, options: StackOptions) -> Resource:
        """As CloudFormation takes it."""
        properties: dict[str, Value] = {
            "AlarmName": f"{app_name}-{self.name}",
            "AlarmDescription": self.about,
            "Namespace": self.namespace,
            "MetricName": self.metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in self.dimensions.items()],
            "Statistic": self.statistic,
            "Period": 60,
            "EvaluationPeriods": self.minutes,
            "Threshold": self.threshold,
            "ComparisonOperator": "GreaterThanThreshold",
            # These metrics are silent where there is nothing to tell.
            "TreatMissingData": "notBreaching",
        }
        if options.alarm_topics:
            properties |= {"AlarmActions": list(options.alarm_topics), "OKActions": list(options.alarm_topics)}
        return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def alarm_resources(parts: Parts, options: StackOptions) -> Resources:
    """The alarms of an app's stack."""
    return {alarm.logical_id: alarm.resource(parts.app.name, options) for alarm in alarms_of(parts)}


def alarms_of(parts: Parts) -> Iterator[Alarm]:
    """What is watched: queues, then schedules, then functions."""
    app_name = parts.app.name
    look = "Look at them with `duestream dead-letters list`."
    yield from _of_queue("DeadLetters", schedule_dead_letter_queue(app_name), f"Deliveries were given up. {look}")
    if parts.streamed:
        about = f"Stream records ended without a schedule. {look}"
        yield from _of_queue("StreamDeadLetters", stream_dead_letter_queue(app_name), about)
        yield from _of_schedules("Schedules", "schedules", app_name)
        yield from _of_function(STREAM_ID, function_name(app_name, "stream"))
        yield Alarm(
            logical_id="StreamFunctionBehindAlarm",
            name="stream-behind",
            about="The stream function is an hour behind the tables; after 24 hours changes are lost. See why its "
            "batches fail or are throttled.",
            namespace="AWS/Lambda",
            metric="IteratorAge",
            dimensions={"FunctionName": function_name(app_name, "stream")},
            statistic="Maximum",
            threshold=MAX_ITERATOR_AGE_MS,
            minutes=5,
        )
    if parts.when_due:
        yield from _of_function(WHEN_DUE_ID, function_name(app_name, "when-due"))
    if parts.swept:
        yield from _of_schedules("Sweeps", "sweeps", sweep_group(app_name))
        yield from _of_function(SWEEP_ID, function_name(app_name, "sweep"))


def _of_queue(logical_id: str, queue: str, about: str) -> Iterator[Alarm]:
    dimensions = {"QueueName": queue}
    name = "stream-dead-letters" if logical_id == "StreamDeadLetters" else "dead-letters"
    yield Alarm(
        logical_id=f"{logical_id}Alarm",
        name=name,
        about=about,
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions=dimensions,
        statistic="Maximum",
    )
    yield Alarm(
        logical_id=f"{logical_id}AgeAlarm",
        name=f"{name}-age",
        about="The oldest dead letter is ten days old, and SQS drops it after fourteen. Redrive it or drop it.",
        namespace="AWS/SQS",
        metric="ApproximateAgeOfOldestMessage",
        dimensions=dimensions,
        statistic="Maximum",
        threshold=MAX_LETTER_AGE_SECONDS,
    )


def _of_schedules(logical_id: str, name: str, group: str) -> Iterator[Alarm]:
    dimensions = {"ScheduleGroup": group}
    yield Alarm(
        logical_id=f"{logical_id}DroppedAlarm",
        name=f"{name}-dropped",
        about="EventBridge Scheduler gave deliveries up after all retries, or at once. Those with a dead-letter queue "
        "are in it.",
        namespace="AWS/Scheduler",
        metric="InvocationDroppedCount",
        dimensions=dimensions,
    )
    yield Alarm(
        logical_id=f"{logical_id}LostAlarm",
        name=f"{name}-lost",
        about="Dead letters could not be sent to their queue: these deliveries are lost. See whether the execution "
        "role may send there and the queue exists.",
        namespace="AWS/Scheduler",
        metric="InvocationsFailedToBeSentToDeadLetterCount",
        dimensions=dimensions,
    )


def _of_function(logical_id: str, name: str) -> Iterator[Alarm]:
    dimensions = {"FunctionName": name}
    part = name.rpartition("-")[2] if not name.endswith("-when-due") else "when-due"
    yield Alarm(
        logical_id=f"{logical_id}ErrorsAlarm",
        name=f"{part}-errors",
        about="The function raised, ran out of time or memory, or could not be started. See its log.",
        namespace="AWS/Lambda",
        metric="Errors",
        dimensions=dimensions,
        minutes=3,
    )
    yield Alarm(
        logical_id=f"{logical_id}ThrottlesAlarm",
        name=f"{part}-throttles",
        about="Lambda had no room for the function: raise the account's concurrency, or reserve some for it.",
        namespace="AWS/Lambda",
        metric="Throttles",
        dimensions=dimensions,
        minutes=5,
    )
