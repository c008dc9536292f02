"""Takes a deployment away: what goes and what stays is shown first, and nothing is left behind unsaid.

Tables are kept unless told: items cannot be made again. A table that was there before the stack is never touched.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from duestream.aws.stack.bucket import (
    Bucket,
    bucket_for,
    delete_bucket_if_empty,
    delete_objects,
    stack_objects,
)
from duestream.aws.stack.deploy import APP_TAG, Step, failed_text
from duestream.aws.stack.draft import TABLE_TYPE, stack_resources
from duestream.aws.stack.found_tables import delete_table
from duestream.aws.stack.names import deliveries_table
from duestream.aws.stack.session import Access, AwsError, Identity, code_of
from duestream.aws.stack.stack_events import Pause, Stack, first_failure, follow, get_stack, last_event
from duestream.core.app import App

FUNCTION_TYPE = "AWS::Lambda::Function"
GROUP_TYPE = "AWS::Scheduler::ScheduleGroup"
QUEUE_TYPE = "AWS::SQS::Queue"
LOG_GROUP_TYPE = "AWS::Logs::LogGroup"
#: As many schedules are counted, at 100 a call; beyond it, "more than".
MAX_COUNTED = 10_000
MISSING = frozenset({"ResourceNotFoundException", "ResourceNotFound", "404", "NoSuchEntity"})
#: A schedule group with many schedules takes its time to go.
MAX_LOOKS = 900
LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Doomed:
    """What a destruction would take.

    Args:
        stack: the stack; None: there is none (any more), only remains.
        resources: physical name to type of what goes with the stack.
        tables: the stack's tables with users' items, and how many items each has.
        schedules: how many are pending.
        counted_all: False: there are more schedules than were counted.
        dead_letters: queue to the messages in it, which go with it.
        bucket: where the bundles lie.
        objects: their keys.
    """

    stack: Stack | None
    resources: dict[str, str]
    tables: dict[str, int]
    schedules: int
    counted_all: bool
    dead_letters: dict[str, int]
    bucket: Bucket
    objects: tuple[str, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to destroy."""
        return self.stack is None and not self.objects and not self.tables


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What came of it.

    Args:
        kept: tables that were kept.
        deleted_tables: tables that were deleted with all their items.
        left: what could not be taken away, and why.
    """

    kept: tuple[str, ...]
    deleted_tables: tuple[str, ...]
    left: tuple[str, ...] = ()


def look(access: Access, identity: Identity, app: App, stack_name: str, bucket_name: str | None) -> Doomed:
    """What would go.

    Args:
        app: its schedule group has its name, and its tables may have stayed when their stack went.
        bucket_name: None: as the stack says, else our own.
    """
    stack = get_stack(access.client("cloudformation"), stack_name)
    resources = {} if stack is None else stack_resources(access.client("cloudformation"), stack_name)
    named = bucket_name or (stack.parameters.get("BundleBucket") if stack else None)
    bucket = bucket_for(identity, access.region, named)
    groups = [name for name, kind in resources.items() if kind == GROUP_TYPE]
    schedules, counted_all = _count_schedules(access, app.name) if groups else (0, True)
    ours = deliveries_table(app.name)
    users_tables = [name for name, kind in resources.items() if kind == TABLE_TYPE and name != ours]
    # Of an earlier stack of the app, which kept them when it went.
    users_tables += [
        table.name
        for table in app.tables
        if table.name not in users_tables and _was_made_for(access, table.name, app.name)
    ]
    return Doomed(
        stack,
        resources,
        {name: _count_items(access, name) for name in users_tables},
        schedules,
        counted_all,
        {name: count for name, kind in resources.items() if kind == QUEUE_TYPE and (count := _messages(access, name))},
        bucket,
        tuple(stack_objects(access, bucket, stack_name)),
    )


@dataclass(frozen=True, slots=True)
class Destruction:
    """Takes away what was looked at.

    Args:
        access: to AWS.
        doomed: what goes.
        delete_tables: the stack's tables go too, with all items.
        pause: called between two looks.
        report: told of every step.
    """

    access: Access
    doomed: Doomed
    delete_tables: bool
    pause: Pause
    report: Callable[[Step], object]
    _left: list[str] = field(default_factory=list)

    def run(self) -> Destroyed:
        """Destroy.

        Raises:
            AwsError: CloudFormation could not delete the stack; asked again, it goes on.
            ClientError: AWS refuses something else.
        """
        doomed = self.doomed
        if doomed.stack is not None:
            self._delete_stack(doomed.stack)
        for name in (name for name, kind in doomed.resources.items() if kind == GROUP_TYPE):
            self._await_group(name)
        for name in (name for name, kind in doomed.resources.items() if kind == FUNCTION_TYPE):
            self._delete_log_group(f"/aws/lambda/{name}")
        kept, deleted = self._tables()
        if doomed.objects:
            delete_objects(self.access, doomed.bucket, list(doomed.objects))
            self.report(Step("delete", f"deleted the code from s3://{doomed.bucket.name}"))
        if doomed.bucket.is_ours and delete_bucket_if_empty(self.access, doomed.bucket):
            self.report(Step("delete", f"deleted the bucket {doomed.bucket.name}, which was empty"))
        return Destroyed(tuple(kept), tuple(deleted), tuple(self._left))

    def _delete_stack(self, stack: Stack) -> None:
        cloudformation = self.access.client("cloudformation")
        after = last_event(cloudformation, stack.id)
        cloudformation.delete_stack(StackName=stack.id)
        events = []
        for event in follow(cloudformation, stack.id, after=after, pause=self.pause):
            events.append(event)
            self.report(Step("event", f"{event.logical_id} {event.status}", event))
        left = get_stack(cloudformation, stack.id)
        if left is not None:
            raise AwsError(
                f"stack {stack.name} was not deleted ({left.status}): "
                f"{failed_text(first_failure(events)) or left.reason or 'no reason is given'}",
                remedy="Mend that, and destroy again: it goes on where it stopped.",
            )

    def _await_group(self, name: str) -> None:
        """Scheduler deletes a group's schedules with it, in its own time; whatever is not deleted by then, we do."""
        scheduler = self.access.client("scheduler")
        for _ in range(MAX_LOOKS):
            try:
                state = scheduler.get_schedule_group(Name=name)["State"]
            except ClientError as error:
                if code_of(error) not in MISSING:
                    raise
                break
            if state != "DELETING":  # the stack kept it
                scheduler.delete_schedule_group(Name=name)
            self.pause(LOOK_SECONDS)
        else:
            self._left.append(f"schedule group {name}: Scheduler is still deleting it, and goes on by itself")
            return
        self._delete_stray_schedules(name)

    def _delete_stray_schedules(self, group: str) -> None:
        scheduler = self.access.client("scheduler")
        try:
            pages = scheduler.get_paginator("list_schedules").paginate(GroupName=group)
            names = [shown["Name"] for page in pages for shown in page["Schedules"] if shown["GroupName"] == group]
        except ClientError as error:
            if code_of(error) not in MISSING:
                raise
            return
        for name in names:
            try:
                scheduler.delete_schedule(GroupName=group, Name=name)
            except ClientError as error:
                if code_of(error) not in MISSING:
                    raise
        if names:
            self.report(Step("delete", f"deleted what was left in schedule group {group}: {len(names)}"))

    def _delete_log_group(self, name: str) -> None:
        """A function that still ran while the stack went has made its log group anew."""
        try:
            self.access.client("logs").delete_log_group(logGroupName=name)
        except ClientError as error:
            if code_of(error) not in MISSING:
                self._left.append(f"log group {name}: {code_of(error)}")
            return
        self.report(Step("delete", f"deleted the log group {name}"))

    def _tables(self) -> tuple[list[str], list[str]]:
        kept, deleted = [], []
        dynamodb = self.access.client("dynamodb")
        for name in self.doomed.tables:
            if not self.delete_tables:
                kept.append(name)
                self.report(Step("kept", f"kept table {name}, with its items"))
            else:
                delete_table(dynamodb, name, self.pause)
                deleted.append(name)
                self.report(Step("delete", f"deleted table {name}, with its items"))
        return kept, deleted


def _count_schedules(access: Access, group: str) -> tuple[int, bool]:
    count = 0
    try:
        for page in access.client("scheduler").get_paginator("list_schedules").paginate(GroupName=group):
            count += len(page["Schedules"])
            if count >= MAX_COUNTED:
                return count, False
    except ClientError as error:
        if code_of(error) not in MISSING:
            raise
    return count, True


def _was_made_for(access: Access, table: str, app_name: str) -> bool:
    """Whether a stack of the app made the table: it has the stack's tag, also when the stack is gone."""
    dynamodb = access.client("dynamodb")
    try:
        arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
        tags = dynamodb.list_tags_of_resource(ResourceArn=arn).get("Tags", ())
    except ClientError as error:
        if code_of(error) not in MISSING:
            raise
        return False
    return any(tag["Key"] == APP_TAG and tag["Value"] == app_name for tag in tags)


def _count_items(access: Access, table: str) -> int:
    try:
        return int(access.client("dynamodb").describe_table(TableName=table)["Table"]["ItemCount"])
    except ClientError as error:
        if code_of(error) not in MISSING:
            raise
        return 0


def _messages(access: Access, queue_url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    try:
        got: dict[str, Any] = access.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
    except ClientError as error:
        if "NonExistent" in code_of(error) or "DoesNotExist" in code_of(error):
            return 0
        raise
    return sum(int(value) for value in got["Attributes"].values())
