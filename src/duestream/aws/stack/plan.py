"""What a deployment would do: checks, the change set that CloudFormation makes of it, and what rules would schedule.

Nothing is changed. A change set is made and deleted again; of a stack that does not exist yet, CloudFormation notes
the name for that moment.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from duestream.aws.stack.bucket import Bucket, bucket_exists, bucket_for, object_url, put_object, template_key
from duestream.aws.stack.change_set import Change, Request, create_change_set, drop_change_set
from duestream.aws.stack.checks import Check, offline_checks
from duestream.aws.stack.deploy import APP_TAG, change_set_name
from duestream.aws.stack.draft import Draft, Fitted, fit, stack_resources
from duestream.aws.stack.in_the_way import InTheWay, in_the_way
from duestream.aws.stack.session import DENIED, Access, AwsError, Identity, code_of, message_of
from duestream.aws.stack.stack_events import Pause, Stack, get_stack
from duestream.aws.stack.targets import (
    check_quotas,
    check_resources,
    check_senders,
    invoked_arn,
    looked_at,
    resources_of,
    senders_of,
)
from duestream.clock import Clock
from duestream.core.planner import DeadLetterRecord, PutSchedule, plan
from duestream.core.record import EventName, StreamRecord
from duestream.core.rule import Rule
from duestream.core.schedule import Invocation, Place

#: Items of an existing table that are shown to its rules: one page of a scan, a few read units.
SAMPLE_ITEMS = 100
#: Stands for a stream that only a deployment turns on, so that the change set can be made before.
_STREAM_TO_COME = "stream/turned-on-by-deploy"


@dataclass(slots=True)
class Preview:
    """What one rule would schedule of the items that were looked at.

    Args:
        rule: the rule.
        items: how many of its table's items were looked at; None: the table is not there, or was not read.
        puts: schedules for them.
        next_due_at: the soonest.
        letters: items that would end in the stream-side dead-letter queue.
        reason: why, of the first.
    """

    rule: Rule
    items: int | None = None
    puts: int = 0
    next_due_at: datetime | None = None
    letters: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment, before it is done.

    Args:
        checks: what was looked at.
        previews: rule by rule.
        stack: as it is; None: there is none.
        changes: what would become of the stack's resources; None: CloudFormation was not asked, or refused.
    """

    checks: tuple[Check, ...]
    previews: tuple[Preview, ...]
    stack: Stack | None = None
    changes: tuple[Change, ...] | None = None

    @property
    def can_be_deployed(self) -> bool:
        """Whether nothing was found that would make a deployment fail."""
        return not any(check.state == "failed" for check in self.checks)


def plan_offline(draft: Draft) -> Plan:
    """What can be said without asking AWS.

    Raises:
        RuleError: a rule cannot be carried out on AWS.
    """
    checks = offline_checks(draft, Fitted(draft, ()).template())
    return Plan(tuple(checks), tuple(Preview(rule) for rule in draft.app.rules))


@dataclass(frozen=True, slots=True)
class Planning:
    """The questions to AWS, and what is made of the answers.

    Args:
        access: to AWS.
        draft: what would be deployed.
        bucket_name: where the bundle would go; None: our own bucket.
        clock: tells due from past, and names the change set.
        pause: called between two looks at the change set.
        report: told what is being looked at.
    """

    access: Access
    draft: Draft
    bucket_name: str | None
    clock: Clock
    pause: Pause
    report: Callable[[str], object]

    def run(self) -> Plan:
        """Look.

        Raises:
            AwsError: AWS cannot be asked.
            ClientError: it refuses what a plan cannot be made without.
        """
        access, draft = self.access, self.draft
        offline = plan_offline(draft)
        self.report("who asks")
        identity = access.identity()
        checks = [*offline.checks, Check("caller", "ok", f"{identity.arn}, account {identity.account_id}")]
        checks.append(Check("region", "ok", access.where))
        cloudformation = access.client("cloudformation")
        stack = get_stack(cloudformation, draft.stack_name)
        is_first = stack is None or stack.is_only_planned
        checks.append(_of_stack(stack, draft.stack_name))
        self.report("tables")
        resources = {} if is_first else stack_resources(cloudformation, draft.stack_name)
        fitted = fit(access, draft, resources)
        checks += _of_tables(fitted)
        checks += _of_names(in_the_way(access, fitted.template(), resources))
        place = Place(access.region, identity.account_id, identity.partition)
        previews, invocations = self._previews(fitted, place)
        self.report("targets")
        checks += self._of_targets(invocations, identity, place)
        bucket = bucket_for(identity, access.region, self.bucket_name)
        bucket_check = looked_at(f"bucket {bucket.name}", lambda: self._of_bucket(bucket, identity), "")
        checks += [bucket_check, check_quotas(access)]
        changes = None
        if all(check.state != "failed" for check in checks) and not (stack is not None and stack.is_at_work):
            self.report("what would change")
            changes, check = self._changes(fitted, bucket, identity, stack)
            checks += [check] if check else []
        return Plan(tuple(checks), tuple(previews), stack, changes)

    def _of_bucket(self, bucket: Bucket, identity: Identity) -> Check:
        subject = f"bucket {bucket.name}"
        try:
            is_there = bucket_exists(self.access, bucket, identity)
        except AwsError as error:
            return Check(subject, "failed", error.problem, error.remedy)
        if is_there:
            return Check(subject, "ok", "is there")
        if not bucket.is_ours:
            return Check(subject, "failed", "there is none", "Make it, or leave --bucket out to have one made.")
        return Check(subject, "ok", "is made by the deployment, encrypted and shut to the public")

    def _of_targets(self, invocations: list[Invocation], identity: Identity, place: Place) -> Iterator[Check]:
        fixed = [
            target.invocation(place)
            for rule in self.draft.app.rules
            if isinstance(rule.action, tuple)
            for target in rule.action
            if not getattr(target, "is_own_item", False) and not getattr(target, "is_notification", False)
        ]
        arns = {arn for rule in self.draft.app.rules for arn in resources_of(rule, self.access, identity)}
        arns |= {arn for one in invocations if (arn := invoked_arn(one, self.access, identity))}
        yield from check_resources(arns, self.draft.app, self.access, identity)
        yield from check_senders(senders_of([*fixed, *invocations]), self.access)

    def _previews(self, fitted: Fitted, place: Place) -> tuple[list[Preview], list[Invocation]]:
        """What the rules would make of some of the items that are there."""
        found = {table.name: table for table in fitted.tables}
        previews: list[Preview] = []
        invocations: list[Invocation] = []
        for table in self.draft.app.tables:
            # Of a table that is not as it was declared, nobody can say which attributes are the key.
            is_readable = found[table.name].state != "missing" and not found[table.name].problem
            items = self._sample(table.name) if is_readable else None
            for rule in table.rules:
                preview = Preview(rule, None if items is None else len(items))
                for item in items or ():
                    invocations += self._show(preview, item, place)
                previews.append(preview)
        return previews, invocations

    def _sample(self, table: str) -> list[dict[str, Any]] | None:
        try:
            page = self.access.client("dynamodb").scan(TableName=table, Limit=SAMPLE_ITEMS)
        except ClientError as error:
            if code_of(error) not in DENIED:
                raise
            return None
        return [_as_in_records(item) for item in page["Items"]]

    def _show(self, preview: Preview, item: dict[str, Any], place: Place) -> Iterator[Invocation]:
        """Show an item to a rule, as if it were written now."""
        rule, now = preview.rule, self.clock.now()
        record = StreamRecord(
            event_name=EventName.INSERT,
            table_name=rule.table.name,
            keys=rule.key_of(item),
            new_image=item,
            old_image=None,
            sequence_number="0",
            created_at=now,
        )
        for operation in plan(record, [rule], now=now, place=place):
            match operation:
                case PutSchedule(schedule):
                    preview.puts += 1
                    if preview.next_due_at is None or schedule.due_at < preview.next_due_at:
                        preview.next_due_at = schedule.due_at
                    yield schedule.invocation
                case DeadLetterRecord(reason=reason):
                    preview.letters += 1
                    preview.reason = preview.reason or reason
                case _:
                    pass

    def _changes(
        self, fitted: Fitted, bucket: Bucket, identity: Identity, stack: Stack | None
    ) -> tuple[tuple[Change, ...] | None, Check | None]:
        """What CloudFormation says; and why it said nothing."""
        text, url = fitted.text(), None
        if not fitted.is_inline():
            if not bucket_exists(self.access, bucket, identity):
                words = f"the template is too large for the request, and there is no bucket {bucket.name} yet"
                return None, Check("change set", "unknown", words, "The first deployment makes the bucket.")
            key = template_key(self.draft.stack_name, text.encode())
            put_object(self.access, bucket, key, text.encode(), identity)
            url = object_url(self.access, bucket, key)
        is_first = stack is None or stack.is_only_planned or stack.must_be_deleted
        if stack is not None and stack.must_be_deleted:
            words = f"not made: stack {stack.name} is in {stack.status}, and is deleted and made again by a deployment"
            return None, Check("change set", "unknown", words)
        request = Request(
            self.draft.stack_name,
            text if url is None else None,
            url,
            fitted.parameters(bucket, _streams(fitted, self.access, identity)),
            {APP_TAG: self.draft.app.name},
        )
        cloudformation = self.access.client("cloudformation")
        try:
            made = create_change_set(
                cloudformation, request, change_set_name(self.clock), is_first=is_first, pause=self.pause
            )
        except AwsError as error:
            return None, Check("change set", "failed", error.problem, error.remedy)
        except ClientError as error:
            code = code_of(error)
            words = f"{error.operation_name}: {code}: {message_of(error)}"
            return None, Check("change set", "unknown" if code in DENIED else "failed", words)
        if made.changes:
            drop_change_set(cloudformation, made)
        return made.changes, None


def _as_in_records(value: Any) -> Any:
    """An item as boto3 shows it, as stream records have it: bytes are base64."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {name: _as_in_records(one) for name, one in value.items()}
        case list():
            return [_as_in_records(one) for one in value]
    return value


def _of_stack(stack: Stack | None, name: str) -> Check:
    subject = f"stack {name}"
    if stack is None or stack.is_only_planned:
        return Check(subject, "ok", "is made by the deployment")
    if stack.is_at_work:
        return Check(subject, "warning", f"is at work ({stack.status})", "A deployment waits for its end.")
    if stack.must_be_deleted:
        remedy = "A deployment asks whether to delete it, and makes it again."
        return Check(subject, "warning", f"is in {stack.status}: it was never whole", remedy)
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        remedy = f"aws cloudformation continue-update-rollback --stack-name {name}"
        return Check(
            subject, "failed", "is in UPDATE_ROLLBACK_FAILED: an update failed, and so did the way back", remedy
        )
    return Check(subject, "ok", f"is there ({stack.status}), and is updated")


def _of_tables(fitted: Fitted) -> Iterator[Check]:
    for table in fitted.tables:
        subject = f"table {table.name}"
        if table.problem:
            yield Check(subject, "failed", table.problem, table.remedy)
        elif table.state == "missing":
            yield Check(subject, "ok", "is made by the stack, and outlives it")
        elif table.state == "stack":
            yield Check(subject, "ok", f"is the stack's; about {table.items} items")
        elif table.name in fitted.without_stream:
            yield Check(subject, "ok", f"exists, about {table.items} items; its stream is turned on by the deployment")
        else:
            yield Check(subject, "ok", f"exists, about {table.items} items; its stream is on")
        if table.state == "existing" and table.items and not table.problem:
            yield Check(
                subject,
                "warning",
                "items that are there already have no stream record, so nothing is scheduled for them",
                "After the deployment: duestream backfill.",
            )


def _of_names(found: Iterable[InTheWay]) -> Iterator[Check]:
    for one in found:
        yield Check(f"{one.kind} {one.name}", "failed", "exists already, and is not the stack's", one.remedy)


def _streams(fitted: Fitted, access: Access, identity: Identity) -> Mapping[str, str]:
    """Streams of existing tables; where one is off, what stands for it."""
    table_arns = f"arn:{identity.partition}:dynamodb:{access.region}:{identity.account_id}:table"
    return {
        table.name: table.stream_arn or f"{table_arns}/{table.name}/{_STREAM_TO_COME}"
        for table in fitted.tables
        if table.state == "existing"
    }
