"""Carrying plans out on AWS: items in parallel, the operations of one item in their order.

What is not done when time is up is told by the lowest sequence number of all its records, also of those that were
coalesced into others: Lambda hands over again what comes from there on.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime

from duestream.aws.failures import CallError, Meaning
from duestream.aws.letters import Letters
from duestream.aws.metrics import Metric
from duestream.aws.pace import Pace, Patience, Stopwatch
from duestream.aws.records import lowest_sequence_number
from duestream.aws.schedules import Schedules
from duestream.aws.settings import Settings
from duestream.aws.steady import SteadySchedules
from duestream.core.batch import coalesce, first_sequence_numbers
from duestream.core.planner import DeadLetterRecord, DeleteSchedule, Operation, PutSchedule, SkipDelivery, plan
from duestream.core.record import EventName, StreamRecord
from duestream.core.rule import Rule
from duestream.core.schedule import Schedule

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch.

    Args:
        not_done: the lowest sequence number of the records that are to come again; None: all is done.
        counted: what was counted.
        is_to_wait: something failed that only time mends, or somebody: a permission, a queue that is gone, no room.
    """

    not_done: str | None
    counted: Mapping[Metric, int]
    is_to_wait: bool


_NOT_MENDED_BY_TRYING = frozenset({Meaning.HOPELESS, Meaning.MISSING, Meaning.NO_ROOM})


class LetterError(CallError):
    """A dead letter could not be sent."""


class Applier:
    """Carries out what an app's rules plan. One for all batches of a function; one batch at a time.

    Args:
        rules: the app's.
        settings: the function's.
        schedules: where schedules are kept.
        letters: where records go that a rule cannot digest.
        now: tells the present moment.
        stopwatch: measures and waits.
        jitter: gives random numbers from 0 to under 1.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        settings: Settings,
        schedules: Schedules,
        letters: Letters,
        *,
        now: Callable[[], datetime],
        stopwatch: Stopwatch,
        jitter: Callable[[], float],
    ) -> None:
        self.rules, self.settings, self.letters, self.now, self.stopwatch = rules, settings, letters, now, stopwatch
        self.rule_of = {(rule.table.name, rule.name): rule for rule in rules}
        self.tally = Tally()
        patience = Patience(Pace(stopwatch), stopwatch, jitter, self.tally.called)
        self.schedules = SteadySchedules(
            schedules,
            patience,
            execution_role_arn=settings.execution_role_arn,
            when_due_arn=settings.when_due_function_arn,
            now=now,
        )
        self.letter_patience = Patience(Pace(stopwatch), stopwatch, jitter, lambda _: None)
        self._app_name = rules[0].app_name if rules else ""
        self._began_at: datetime | None = None
        self._is_beginning_known = False
        self._looking = threading.Lock()
        # Kept from batch to batch; its threads are started as they are needed.
        self._pool = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="apply")

    def apply(self, records: Sequence[StreamRecord], *, deadline: float) -> Applied:
        """Plan and carry out a batch.

        Args:
            records: in the order of their sequence numbers.
            deadline: by the stopwatch; nothing is begun after it, and every call ends by it.
        """
        self.tally.clear()
        batch = _Batch(self, records, deadline)
        self.tally.add(Metric.RECORDS, len(records))
        self.tally.add(Metric.ITEMS, len(batch.records))
        workers = min(self.settings.concurrency, len(batch.records))
        working = [self._pool.submit(batch.work) for _ in range(workers)]
        wait(working)  # for all of them: none may be at it still when the next batch comes
        for worker in working:
            worker.result()
        not_done = batch.not_done()
        return Applied(not_done, self.tally.counted(), batch.is_to_wait)

    def began_at(self, *, deadline: float) -> datetime | None:
        """Since when the app is here, which is as long as its schedule group; None: nobody says. Asked once.

        Raises:
            CallError: it is not known yet; a new role may not be allowed to ask for some seconds.
        """
        with self._looking:
            if not self._is_beginning_known:
                made_at = self.schedules.group_made_at(self._app_name, deadline=deadline)
                # Streams tell the time of a write to the second: one of the same second may have come after.
                self._began_at = None if made_at is None else made_at.replace(microsecond=0)
                self._is_beginning_known = True
            return self._began_at


class Tally:
    """What happened, counted by several threads."""

    def __init__(self) -> None:
        self._counts: Counter[Metric] = Counter()
        self._lock = threading.Lock()

    def add(self, metric: Metric, count: int = 1) -> None:
        """Count it."""
        with self._lock:
            self._counts[metric] += count

    def called(self, failure: Meaning | None) -> None:
        """Count a call to EventBridge Scheduler, and how it failed."""
        with self._lock:
            self._counts[Metric.CALLS] += 1
            if failure is Meaning.THROTTLED:
                self._counts[Metric.THROTTLED] += 1
            if failure in (Meaning.THROTTLED, Meaning.TRANSIENT):
                self._counts[Metric.RETRIED] += 1

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self._counts.clear()

    def counted(self) -> dict[Metric, int]:
        """All that were counted, and those that were not, as 0."""
        with self._lock:
            return {metric: self._counts[metric] for metric in Metric if metric is not Metric.STREAM_DELAY}


class _Batch:
    """One batch, on which several threads work: each takes the next item when it is done with one."""

    def __init__(self, applier: Applier, records: Sequence[StreamRecord], deadline: float) -> None:
        self.records = coalesce(records)
        self._first_numbers = first_sequence_numbers(records)
        #: By sequence number. Of records that are coalesced, the first one's moment is kept, and here the last one's.
        self._written_at = {record.sequence_number: record.created_at for record in records}
        self._applier, self._deadline = applier, deadline
        self._lock = threading.Lock()
        self._taken = 0
        self._failed: list[StreamRecord] = []
        #: No call can go well: nothing else is begun.
        self.is_hopeless = False
        self.is_to_wait = False

    def work(self) -> None:
        """Take items until there are none, or there is no sense in going on."""
        while (taken := self._take()) is not None:
            record, operations = taken
            try:
                for operation in self._of_its_time(operations, record):
                    self._carry_out(operation, record)
            except CallError as error:
                self._fail(record, error)

    def not_done(self) -> str | None:
        """The lowest sequence number of the items that failed and of those that nobody took."""
        remaining = [*self._failed, *self.records[self._taken :]]
        self._applier.tally.add(Metric.NOT_DONE, len(remaining))
        lowest = lowest_sequence_number(self._first_numbers[record.sequence_number] for record in remaining)
        if lowest is not None:
            logger.warning(
                "records are not done, and come again",
                extra={"action": "records_not_done", "sequence_number": lowest, "count": len(remaining)},
            )
        return lowest

    def _take(self) -> tuple[StreamRecord, list[Operation]] | None:
        """The next item and its plan. One at a time: rules are a user's code, which need not bear threads."""
        applier = self._applier
        with self._lock:
            has_time = applier.stopwatch.seconds() < self._deadline
            if self.is_hopeless or not has_time or self._taken == len(self.records):
                return None
            record = self.records[self._taken]
            operations = plan(record, applier.rules, now=applier.now(), place=applier.settings.place)
            self._taken += 1
        if operations:
            applier.tally.add(Metric.PLANNED, len(operations))
        return record, operations

    def _of_its_time(self, operations: list[Operation], record: StreamRecord) -> list[Operation]:
        """Without what was due before the app was here. A stream begins a day ago: what it tells of that day was not
        the app's to deliver, or has been delivered by the one that was here before.

        Raises:
            CallError: nobody can tell yet since when it is here.
        """
        now, written_at = self._applier.now(), self._written_at[record.sequence_number]
        if written_at is None or not any(_is_of_the_past(operation, now) for operation in operations):
            return operations
        began_at = self._applier.began_at(deadline=self._deadline)
        if began_at is None or written_at >= began_at:
            return operations
        kept = [operation for operation in operations if not _is_of_the_past(operation, began_at)]
        if passed_over := len(operations) - len(kept):
            self._applier.tally.add(Metric.SKIPPED, passed_over)
            logger.warning(
                "passed over: due, and written, before the app was here",
                extra={
                    "action": "skip_from_before",
                    "table": record.table_name,
                    "key": record.keys,
                    "count": passed_over,
                    "reason": f"the app is here since {began_at.isoformat()}",
                },
            )
        return kept

    def _fail(self, record: StreamRecord, error: CallError) -> None:
        # A group that is missing where a schedule was to be made is as hopeless as a permission.
        # Without their dead-letter queue the schedules are still to be made.
        is_hopeless = error.meaning in (Meaning.HOPELESS, Meaning.MISSING) and not isinstance(error, LetterError)
        with self._lock:
            self._failed.append(record)
            self.is_hopeless = self.is_hopeless or is_hopeless
            self.is_to_wait = self.is_to_wait or error.meaning in _NOT_MENDED_BY_TRYING
        logger.warning(
            "an item's schedules could not be changed",
            extra={"action": "apply_failed", "table": record.table_name, "key": record.keys, "reason": str(error)},
        )

    def _carry_out(self, operation: Operation, record: StreamRecord) -> None:
        """Do what the plan says.

        Raises:
            CallError: it is not known to be done.
        """
        applier, tally = self._applier, self._applier.tally
        match operation:
            case PutSchedule(schedule, is_past_due):
                self._put(schedule, record)
                if is_past_due:
                    tally.add(Metric.PAST_DUE)
            case DeleteSchedule(group_name, name):
                if applier.schedules.delete(group_name, name, deadline=self._deadline):
                    tally.add(Metric.DELETED)
            case SkipDelivery(schedule, reason):
                tally.add(Metric.PAST_DUE)
                tally.add(Metric.SKIPPED)
                logger.warning(
                    "delivery skipped: past due when it was written",
                    extra={
                        "action": "skip_past_due",
                        "schedule": f"{schedule.group_name}/{schedule.name}",
                        "rule": schedule.rule,
                        "table": record.table_name,
                        "key": record.keys,
                        "reason": reason,
                    },
                )
            case DeadLetterRecord():
                self._send(operation)

    def _put(self, schedule: Schedule, record: StreamRecord) -> None:
        """Put it; what Scheduler refuses for good is dead-lettered for this rule alone, and leaves nothing behind."""
        applier = self._applier
        rule = applier.rule_of[schedule.table_name, schedule.rule]
        was_there = record.event_name is EventName.MODIFY and rule.attribute in (record.old_image or {})
        try:
            is_put = applier.schedules.put(schedule, rule, deadline=self._deadline, is_there=was_there)
        except CallError as error:
            if error.meaning is not Meaning.REFUSED:
                raise
            applier.schedules.delete(schedule.group_name, schedule.name, deadline=self._deadline)
            reason = f"EventBridge Scheduler refused the schedule: {error}"
            self._send(DeadLetterRecord(rule, record, reason, "rule raised"))
        else:
            applier.tally.add(Metric.PUT if is_put else Metric.DELETED)

    def _send(self, letter: DeadLetterRecord) -> None:
        letters = self._applier.letters
        try:
            self._applier.letter_patience.made(
                lambda seconds: letters.send(letter, seconds=seconds), deadline=self._deadline
            )
        except CallError as error:
            raise LetterError(error.code, error.message, error.status) from error
        self._applier.tally.add(Metric.DEAD_LETTERED)
        logger.error(
            "stream record dead-lettered",
            extra={
                "action": "dead_letter_record",
                "rule": letter.rule.name,
                "table": letter.record.table_name,
                "key": letter.record.keys,
                "reason": f"{letter.kind}: {letter.reason}",
            },
        )


def _is_of_the_past(operation: Operation, moment: datetime) -> bool:
    """Whether it is about a delivery that was due by then."""
    match operation:
        case PutSchedule(schedule) | SkipDelivery(schedule):
            return schedule.recurrence is None and schedule.due_at <= moment
        case DeadLetterRecord(kind="past due"):
            return True
    return False
