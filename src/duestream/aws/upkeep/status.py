"""How an app is doing: what is pending, what was delivered, what was given up, and whether the streams are read.

Everything is asked of the services by name: group, functions and queues are named after the app. So it is the same on
AWS and on a server of `duestream up`, which has no stack and no functions.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from botocore.exceptions import ClientError

from duestream.aws.stack.names import function_name
from duestream.aws.stack.parts import parts_of
from duestream.aws.stack.session import DENIED, Access, AwsError, code_of, message_of
from duestream.aws.stack.stack_events import Stack, get_stack
from duestream.core.app import App
from duestream.core.planner import schedule_dead_letter_queue, stream_dead_letter_queue

PAGE = 100
#: A schedule's name is its rule's, a hash of 20 digits, and a number for further targets.
_SCHEDULE_NAME = re.compile(r"(?P<rule>.+)-[0-9a-f]{20}(?:-\d+)?")
_AT = re.compile(r"at\((?P<at>[\d:T-]+)\)")
_MISSING = ("NotFound", "NonExistent", "DoesNotExist")
#: CloudWatch keeps one value a minute for 15 days; more values than these are not needed for a sum.
_PERIODS = (60, 300, 3600, 86_400)
_MAX_PERIODS = 1_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pending:
    """Schedules that wait.

    Args:
        by_rule: rule's name to how many; those of nobody's rule are under the empty name.
        is_all: False: there are more than were listed.
        next_due: the soonest one-time schedules that were looked at, soonest first: name and moment.
        looked_at: how many were looked at for that; listing does not tell when one is due.
        list_calls: requests that it took to list them.
    """

    by_rule: Mapping[str, int]
    is_all: bool
    next_due: tuple[tuple[str, datetime], ...]
    looked_at: int
    list_calls: int

    @property
    def count(self) -> int:
        """How many were listed."""
        return sum(self.by_rule.values())


@dataclass(frozen=True, slots=True)
class Mapped:
    """What reads a table's stream.

    Args:
        table: of the table.
        state: ``Enabled``, if all is well.
        last_result: what became of the last batch.
    """

    table: str
    state: str
    last_result: str


@dataclass(frozen=True, slots=True)
class Status:
    """How an app is doing.

    Args:
        place: where.
        is_local: a duestream server, which reads the streams itself.
        stack: the stack; None: there is none.
        pending: schedules that wait; None: there is no schedule group.
        mappings: what reads the streams; none on a duestream server.
        metrics: name to value over the time that was asked for; None: CloudWatch has none.
        dead_letters: queue to how many messages are in it; None: there is no such queue.
        unknown: what could not be asked, and why.
    """

    place: str
    is_local: bool
    stack: Stack | None
    pending: Pending | None
    mappings: tuple[Mapped, ...]
    metrics: Mapping[str, float | None]
    dead_letters: Mapping[str, int | None]
    unknown: tuple[str, ...]

    @property
    def is_deployed(self) -> bool:
        """Whether there is anything of the app."""
        return (
            self.stack is not None
            or self.pending is not None
            or any(count is not None for count in self.dead_letters.values())
        )


@dataclass(slots=True)
class Inquiry:
    """The questions.

    Args:
        access: to AWS, or to a duestream server.
        app: the app.
        stack_name: of its stack.
        is_local: it is a duestream server.
        limit: schedules to list at the most.
        sample: schedules to look at for the next due.
    """

    access: Access
    app: App
    stack_name: str
    is_local: bool
    limit: int
    sample: int
    _unknown: list[str] = field(default_factory=list)

    def ask(self, *, now: datetime, since: timedelta) -> Status:
        """Ask.

        Args:
            now: the present moment.
            since: the metrics' time, back from now.

        Raises:
            AwsError: AWS cannot be asked.
        """
        stack = None
        if not self.is_local:
            stack = self._asked("the stack", lambda: get_stack(self.access.client("cloudformation"), self.stack_name))
        return Status(
            self.access.where,
            self.is_local,
            stack,
            self._asked("pending schedules", self._pending),
            tuple(self._asked("event source mappings", self._mappings) or ()) if not self.is_local else (),
            self._asked("metrics", lambda: self._metrics(now, since)) or {},
            {
                name: self._asked(f"queue {name}", lambda name=name: self._messages(name))  # type: ignore[misc]
                for name in (schedule_dead_letter_queue(self.app.name), stream_dead_letter_queue(self.app.name))
            },
            tuple(self._unknown),
        )

    def _asked(self, what: str, ask: Callable[[], T]) -> T | None:
        """An answer; None if there is nothing of the kind, or the caller may not ask (which is then told)."""
        try:
            return ask()
        except ClientError as error:
            code = code_of(error)
            if any(words in code for words in _MISSING):
                return None
            why = f"the caller may not ask ({error.operation_name}: {code})" if code in DENIED else message_of(error)
            self._unknown.append(f"{what}: {why}")
            return None

    def _pending(self) -> Pending:
        scheduler, group = self.access.client("scheduler"), self.app.name
        by_rule: dict[str, int] = {rule.name: 0 for rule in self.app.rules if rule.via is None}
        samples: dict[str, list[str]] = {}
        calls, listed = 0, 0
        token: str | None = None
        while True:
            size = min(PAGE, self.limit - listed)
            asked: dict[str, str] = {"NextToken": token} if token else {}
            page = scheduler.list_schedules(GroupName=group, MaxResults=size, **asked)
            calls += 1
            for shown in page["Schedules"]:
                listed += 1
                rule = rule_of(shown["Name"], by_rule)
                by_rule[rule] = by_rule.get(rule, 0) + 1
                samples.setdefault(rule, []).append(shown["Name"])
            token = page.get("NextToken")
            if not token or listed >= self.limit:
                break
        if not listed:
            scheduler.get_schedule_group(Name=group)  # tells an empty group from none
        names = list(_fairly(samples, self.sample))
        due = [(name, at) for name in names if (at := self._due_at(name)) is not None]
        return Pending(by_rule, not token, tuple(sorted(due, key=lambda one: one[1])[:5]), len(names), calls)

    def _due_at(self, name: str) -> datetime | None:
        try:
            shown = self.access.client("scheduler").get_schedule(GroupName=self.app.name, Name=name)
        except ClientError as error:
            if any(words in code_of(error) for words in _MISSING):
                return None  # delivered since it was listed
            raise
        found = _AT.fullmatch(shown["ScheduleExpression"])
        if found is None:
            return None
        zone = ZoneInfo(shown.get("ScheduleExpressionTimezone") or "UTC")
        return datetime.fromisoformat(found["at"]).replace(tzinfo=zone)

    def _mappings(self) -> Iterator[Mapped]:
        pages = self.access.client("lambda").get_paginator("list_event_source_mappings")
        for page in pages.paginate(FunctionName=function_name(self.app.name, "stream")):
            for shown in page["EventSourceMappings"]:
                table = shown["EventSourceArn"].partition(":table/")[2].partition("/")[0]
                yield Mapped(table, shown.get("State", "?"), shown.get("LastProcessingResult", ""))

    def _metrics(self, now: datetime, since: timedelta) -> dict[str, float | None]:
        wanted = dict(self._wanted_metrics())
        period = next((size for size in _PERIODS if since.total_seconds() <= size * _MAX_PERIODS), _PERIODS[-1])
        queries = [
            {
                "Id": f"m{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": namespace,
                        "MetricName": metric,
                        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                    },
                    "Period": period,
                    "Stat": statistic,
                },
            }
            for number, (namespace, metric, dimensions, statistic) in enumerate(wanted.values())
        ]
        values: dict[str, list[float]] = {}
        pages = self.access.client("cloudwatch").get_paginator("get_metric_data")
        for page in pages.paginate(
            MetricDataQueries=queries, StartTime=now - since, EndTime=now + timedelta(minutes=1)
        ):
            for result in page["MetricDataResults"]:
                values.setdefault(result["Id"], []).extend(result["Values"])
        return {label: _combined(values.get(f"m{number}", []), wanted[label][3]) for number, label in enumerate(wanted)}

    def _wanted_metrics(self) -> Iterator[tuple[str, tuple[str, str, Mapping[str, str], str]]]:
        """What is asked of CloudWatch: label to namespace, metric, dimensions and statistic."""
        group = {"ScheduleGroup": self.app.name}
        for label, metric in (
            ("attempts", "InvocationAttemptCount"),
            ("target errors", "TargetErrorCount"),
            ("target throttles", "TargetErrorThrottledCount"),
            ("dropped", "InvocationDroppedCount"),
            ("to dead letters", "InvocationsSentToDeadLetterCount"),
        ):
            yield label, ("AWS/Scheduler", metric, group, "Sum")
        if self.is_local:
            return
        for part in functions_of(self.app):
            function = {"FunctionName": function_name(self.app.name, part)}
            for label, metric in (("invocations", "Invocations"), ("errors", "Errors"), ("throttles", "Throttles")):
                yield f"{part}: {label}", ("AWS/Lambda", metric, function, "Sum")
            if part == "stream":
                yield "stream: age in ms", ("AWS/Lambda", "IteratorAge", function, "Maximum")

    def _messages(self, queue: str) -> int:
        sqs = self.access.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return sum(map(int, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


def functions_of(app: App) -> tuple[str, ...]:
    """The parts of the app that are functions of their own on AWS."""
    parts = parts_of(app)
    needed = {"stream": parts.streamed, "when-due": parts.when_due, "sweep": parts.swept}
    return tuple(part for part, rules in needed.items() if rules)


def rule_of(schedule_name: str, rules: Iterable[str]) -> str:
    """The rule that a schedule's name tells; empty: none of these."""
    found = _SCHEDULE_NAME.fullmatch(schedule_name)
    return found["rule"] if found and found["rule"] in rules else ""


def check_deployed(status: Status, stack_name: str) -> None:
    """Refuse to tell of what is not there.

    Raises:
        AwsError: nothing of the app is there.
    """
    if not status.is_deployed:
        raise AwsError(
            f"there is no stack {stack_name} in {status.place}, and nothing else of the app",
            remedy="Deploy it with duestream deploy, or say where it is with --stack, --region and --profile.",
        )


def _fairly(samples: Mapping[str, list[str]], count: int) -> Iterator[str]:
    """Up to so many names, of all rules alike."""
    columns = [iter(names) for names in samples.values()]
    while columns and count > 0:
        for column in list(columns):
            name = next(column, None)
            if name is None:
                columns.remove(column)
            elif count > 0:
                count -= 1
                yield name


def _combined(values: list[float], statistic: str) -> float | None:
    if statistic == "Maximum":
        return max(values, default=None)
    return sum(values)
