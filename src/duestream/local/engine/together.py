"""What the deliveries of a batch leave to be done at its end: once for all of them, and not for each.

Of what one delivery into a queue costs, an outcome, the end of its schedule and its counts were a third; together
they are a few statements for a batch. All of it is in the batch's transaction.
"""

from collections import Counter

from duestream.local.engine import counts
from duestream.local.engine.call import Attempt
from duestream.local.engine.settle import Settled, outcome_of, settle_success
from duestream.local.store import outcomes, schedules
from duestream.local.store.schedules import ScheduleRow
from duestream.local.store.writer import Transaction


class Together:
    """The delivered of one batch, until `carry_out`."""

    def __init__(self, tx: Transaction, now_ms: int) -> None:
        self._tx, self._now_ms = tx, now_ms
        self._outcomes: list[tuple[object, ...]] = []
        self._completed: list[int] = []
        #: Group and milliseconds late to how many.
        self._delivered: Counter[tuple[str, int]] = Counter()

    def delivered(self, row: ScheduleRow, attempt: Attempt, target_arn: str, *, is_last: bool) -> Settled:
        """The target has it, with the first attempt or a later one.

        Args:
            is_last: the schedule has nothing to come and goes; one that stays or goes on is settled at once.
        """
        if not is_last:
            counts.attempted(self._tx, row, attempt)
            return settle_success(self._tx, row, attempt)
        outcome = outcome_of(row, attempt, "delivered", None, target_arn)
        self._outcomes.append(
            outcomes.bindings_of(
                outcome, group_name=row.group_name, name=row.name, rule=row.rule, table_id=row.table_id
            )
        )
        self._completed.append(row.id)
        self._delivered[row.group_name, max(0, attempt.now_ms - row.begins_at_ms)] += 1
        return Settled(row, attempt, "delivered", outcome.reason)

    def carry_out(self) -> None:
        """Write it all down."""
        if not self._completed:
            return
        outcomes.record_outcomes(self._tx, self._outcomes)
        schedules.delete_completed(self._tx, self._completed)
        counts.delivered_at_first(self._tx, self._delivered, self._now_ms)
