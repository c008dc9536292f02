"""Deploys a draft: bundle to the bucket, change set, execution, and what came of it.

Each step can be done again: a deployment that was interrupted goes on where it stands when it is asked for once more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from duestream.aws.stack.bucket import (
    Bucket,
    bucket_exists,
    bucket_for,
    bundle_key,
    make_bucket,
    object_url,
    put_object,
    template_key,
)
from duestream.aws.stack.change_set import Change, ChangeSet, Request, create_change_set, drop_change_set
from duestream.aws.stack.draft import Draft, Fitted, fit, stack_resources
from duestream.aws.stack.found_tables import turn_stream_on
from duestream.aws.stack.in_the_way import in_the_way
from duestream.aws.stack.session import Access, AwsError, Identity
from duestream.aws.stack.stack_events import (
    Pause,
    Stack,
    StackEvent,
    first_failure,
    follow,
    get_stack,
    last_event,
)
from duestream.clock import Clock

#: Tags every resource of the stack.
APP_TAG = "duestream:app"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done, or is being done.

    Args:
        kind: what it is about, for programs.
        words: the same for people.
        event: of CloudFormation, for steps of kind ``event``.
    """

    kind: Literal["waiting", "bucket", "upload", "stream", "change set", "execute", "event", "delete", "kept"]
    words: str
    event: StackEvent | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Something that is not done without consent.

    Args:
        kind: what it is about.
        words: the question.
        changes: what would change, if that is the question.
    """

    kind: Literal["delete failed stack", "turn streams on", "execute"]
    words: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a deployment ended.

    Args:
        result: ``deployed``; ``unchanged``; ``failed``; ``declined``: no consent.
        stack: as it is now; None: there is none.
        changes: what was to change.
        failure: what failed first.
        uploaded: whether the bundle was uploaded; False: it was there.
    """

    result: Literal["deployed", "unchanged", "failed", "declined"]
    stack: Stack | None
    changes: tuple[Change, ...] = ()
    failure: StackEvent | None = None
    uploaded: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a draft.

    Args:
        access: to AWS.
        identity: who deploys.
        draft: what is to be deployed.
        bucket_name: where the bundle goes; None: our own bucket, made if need be.
        clock: names the change set.
        pause: called between two looks at what is under way.
        report: told of every step.
        consent: asked before anything is changed.
    """

    access: Access
    identity: Identity
    draft: Draft
    bucket_name: str | None
    clock: Clock
    pause: Pause
    report: Callable[[Step], object]
    consent: Callable[[Question], bool]
    _events: list[StackEvent] = field(default_factory=list)

    def run(self) -> Outcome:
        """Deploy.

        Raises:
            AwsError: it cannot be begun; nothing that was there was changed, beside what was reported.
            ClientError: AWS refuses something else.
        """
        found = self._stack_at_rest()
        if found is not None and found.must_be_deleted:
            if not self.consent(_question_of_failed(found)):
                return Outcome("declined", found)
            self._delete_failed(found)
            found = None
        is_first = found is None or found.is_only_planned
        resources = {} if is_first else stack_resources(self._cloudformation, self.draft.stack_name)
        fitted = fit(self.access, self.draft, resources)
        check_tables(fitted)
        for found_one in in_the_way(self.access, fitted.template(), resources):
            raise AwsError(found_one.words, remedy=found_one.remedy)
        streams = self._streams(fitted)
        if streams is None:
            return Outcome("declined", found)
        bucket = bucket_for(self.identity, self.access.region, self.bucket_name)
        change_set = self._change_set(fitted, bucket, streams, is_first=is_first)
        if not change_set.changes:
            return Outcome("unchanged", get_stack(self._cloudformation, self.draft.stack_name))
        if not self._is_wanted(change_set):
            return Outcome("declined", found, change_set.changes)
        uploaded = self._upload(bucket)
        return self._execute(change_set, uploaded=uploaded)

    def _is_wanted(self, change_set: ChangeSet) -> bool:
        """Ask; without consent nothing is left of the change set, however the question ended."""
        agreed = False
        try:
            agreed = self.consent(Question("execute", "Deploy this?", change_set.changes))
        finally:
            if not agreed:
                drop_change_set(self._cloudformation, change_set)
        return agreed

    @property
    def _cloudformation(self) -> Any:
        return self.access.client("cloudformation")

    def _stack_at_rest(self) -> Stack | None:
        """The stack, once whatever is under way has ended: somebody else's deployment, or one that was left."""
        stack = get_stack(self._cloudformation, self.draft.stack_name)
        if stack is not None and stack.is_at_work:
            self.report(Step("waiting", f"stack {stack.name} is at work ({stack.status}); waiting for its end"))
            self._follow(stack.id, last_event(self._cloudformation, stack.id), has_begun=True)
            stack = get_stack(self._cloudformation, stack.id)
        if stack is not None and stack.status == "UPDATE_ROLLBACK_FAILED":
            raise AwsError(
                f"stack {stack.name} is in UPDATE_ROLLBACK_FAILED: an update failed, and so did the way back"
                + (f" ({stack.reason})" if stack.reason else ""),
                remedy="Mend what its events name, then: aws cloudformation continue-update-rollback --stack-name "
                f"{stack.name}; and deploy again.",
            )
        return stack

    def _delete_failed(self, stack: Stack) -> None:
        self.report(Step("delete", f"deleting stack {stack.name}, which was never whole"))
        after = last_event(self._cloudformation, stack.id)
        self._cloudformation.delete_stack(StackName=stack.id)
        self._follow(stack.id, after)
        left = get_stack(self._cloudformation, stack.id)
        if left is not None:
            failed = first_failure(self._events)
            raise AwsError(
                f"stack {stack.name} could not be deleted: {failed_text(failed) or left.reason or left.status}",
                remedy="Mend that in CloudFormation's console, and deploy again.",
            )
        self._events.clear()

    def _streams(self, fitted: Fitted) -> dict[str, str] | None:
        """Streams of existing tables, all on; None: no consent to turn one on."""
        off = fitted.without_stream
        if off:
            words = f"Turn on the stream of {', '.join(off)}? (Nothing else of an existing table is changed.)"
            if not self.consent(Question("turn streams on", words)):
                return None
        streams = {
            table.name: table.stream_arn
            for table in fitted.tables
            if table.state == "existing" and table.stream_arn is not None
        }
        for name in off:
            streams[name] = turn_stream_on(self.access.client("dynamodb"), name, self.pause)
            self.report(Step("stream", f"turned on the stream of table {name}"))
        return streams

    def _change_set(self, fitted: Fitted, bucket: Bucket, streams: Mapping[str, str], *, is_first: bool) -> ChangeSet:
        text, url = fitted.text(), None
        if not fitted.is_inline():
            self._make_bucket_if_missing(bucket)
            key = template_key(self.draft.stack_name, text.encode())
            put_object(self.access, bucket, key, text.encode(), self.identity)
            url = object_url(self.access, bucket, key)
            self.report(Step("upload", f"template to s3://{bucket.name}/{key}"))
        request = Request(
            self.draft.stack_name,
            text if url is None else None,
            url,
            fitted.parameters(bucket, streams),
            {APP_TAG: self.draft.app.name},
        )
        self.report(Step("change set", "asking CloudFormation what would change"))
        name = change_set_name(self.clock)
        return create_change_set(self._cloudformation, request, name, is_first=is_first, pause=self.pause)

    def _make_bucket_if_missing(self, bucket: Bucket) -> None:
        if not bucket_exists(self.access, bucket, self.identity):
            make_bucket(self.access, bucket, self.identity)
            self.report(Step("bucket", f"made the bucket {bucket.name}, encrypted and shut to the public"))

    def _upload(self, bucket: Bucket) -> bool:
        self._make_bucket_if_missing(bucket)
        key, bundle = bundle_key(self.draft.stack_name, self.draft.bundle), self.draft.bundle
        uploaded = put_object(self.access, bucket, key, bundle, self.identity)
        size = f"{len(bundle) / 1000:.0f} kB"
        words = f"bundle ({size}) to s3://{bucket.name}/{key}" if uploaded else f"bundle ({size}) is there already"
        self.report(Step("upload", words))
        return uploaded

    def _execute(self, change_set: ChangeSet, *, uploaded: bool) -> Outcome:
        after = last_event(self._cloudformation, change_set.stack_id)
        self._cloudformation.execute_change_set(ChangeSetName=change_set.id, StackName=change_set.stack_id)
        self.report(Step("execute", f"CloudFormation carries it out: {change_set.stack_id}"))
        self._events.clear()
        self._follow(change_set.stack_id, after)
        if not self._events:
            raise AwsError(
                "CloudFormation has taken the change set, and not begun with it yet",
                remedy="The same command again waits for it, and tells how it ended.",
            )
        stack = get_stack(self._cloudformation, change_set.stack_id)
        if stack is not None and stack.is_well:
            return Outcome("deployed", stack, change_set.changes, uploaded=uploaded)
        return Outcome("failed", stack, change_set.changes, first_failure(self._events), uploaded)

    def _follow(self, stack_id: str, after: str | None, *, has_begun: bool = False) -> None:
        for event in follow(self._cloudformation, stack_id, after=after, pause=self.pause, has_begun=has_begun):
            self._events.append(event)
            self.report(Step("event", f"{event.logical_id} {event.status}", event))


def check_tables(fitted: Fitted) -> None:
    """Refuse tables that the rules cannot watch.

    Raises:
        AwsError: there is one.
    """
    for table in fitted.tables:
        if table.problem:
            raise AwsError(table.problem, remedy=table.remedy)


def change_set_name(clock: Clock) -> str:
    """A name that no change set of the stack has: the moment."""
    return f"duestream-{clock.now():%Y%m%d-%H%M%S-%f}"


def failed_text(event: StackEvent | None) -> str:
    """What failed, and why, in one sentence; empty: nothing is known."""
    if event is None:
        return ""
    return f"{event.logical_id} ({event.resource_type}) {event.status}: {event.reason or 'no reason is given'}"


def _question_of_failed(stack: Stack) -> Question:
    return Question(
        "delete failed stack",
        f"Stack {stack.name} is in {stack.status}: it was never whole, and CloudFormation updates it no more. "
        "Delete it and make it again?",
    )
