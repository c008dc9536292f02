"""The checker: looks at the store after every commit, and says what must not be.

It knows what was written and what the clock said; the store's tables tell it the rest. Held against `oracle`:

- an acknowledged write is there, also after the power went; a write appears once, whole, in its order;
- after each commit exactly those schedules are pending that the history asks for, with due time and content;
- each outcome stands in the commit of its effect (email, message, counted item, deleted item, dead letter), and
  no effect is there without its outcome: exactly once;
- nothing is delivered, or claimed for a function, before its time, after a committed move or delete of its item,
  or more often than what was written allows;
- when everything has been done that is to be done now, nothing due is pending, and each due time that was
  written ahead has its outcome.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
from tests.simulation import oracle
from tests.simulation.look import (
    KEY_OF_TEXT,
    SLOT_OF_NAME,
    Row,
    Violation,
    read_items,
    read_last_ids,
    read_records_after,
    read_schedules,
)
from tests.simulation.oracle import Image, Key, Record, Run, Slot
from tests.simulation.rules import APP, LOG, TABLE


@dataclass(slots=True)
class Write:
    """One write of the driver's."""

    what: str
    key: Key
    #: The item afterwards; None: gone.
    new: Image | None = None
    #: Of its stream record; None: it changed nothing, or has not been carried out.
    sequence: int | None = None
    committed: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    slot: Slot
    kind: str
    due_ms: int
    attempts: int
    delivery_id: str


@dataclass(slots=True)
class _Claim:
    """An attempt of a function that was counted, and has not ended."""

    row: Row
    items: list[Image | None]
    #: Known once the function has been called.
    delivery_id: str | None = None


@dataclass(slots=True)
class Checker:
    """What is known of one history, over all its processes."""

    moments: dict[str, int] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)
    items: dict[Key, Image] = field(default_factory=dict)
    log: Counter[str] = field(default_factory=Counter)
    rows: dict[Slot, Row] = field(default_factory=dict)
    pending: dict[Slot, tuple[int, str]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    checkpoint: int = 0
    #: The clock's highest reading since the last commit: no job of the next one can have seen a later time.
    clock_high_ms: int = 0
    clock_ms: int = 0
    written_high_ms: int = 0
    #: Faults (crashes, refused commits) so far: each may repeat an attempt outside.
    faults: int = 0
    #: By sequence: carried out, and to be in the next commit; and what a crash may show or not.
    _writes: dict[int, list[Write]] = field(default_factory=lambda: defaultdict(list))
    _unsure: dict[int, list[Write]] = field(default_factory=dict)
    _records: dict[int, Record] = field(default_factory=dict)
    _batches: list[tuple[list[int], int]] = field(default_factory=list)
    #: Sequences that this process has planned, and needed no commit for.
    _passed: set[int] = field(default_factory=set)
    _runs: dict[Slot, Run] = field(default_factory=dict)
    _seen_dues: dict[Slot, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    _claims: dict[tuple[int, int, int], _Claim] = field(default_factory=dict)
    _delivery_ids: dict[tuple[int, int], str] = field(default_factory=dict)
    _last_success: dict[str, int] = field(default_factory=dict)

    # What the driver tells ----------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Add a line to what is printed with a failure."""
        self.trace.append(text)

    def clock(self, now_ms: int) -> None:
        """The clock was read, or set."""
        self.clock_high_ms = max(self.clock_high_ms, now_ms)
        if now_ms < self.clock_ms:
            for run in self._runs.values():
                run.allowed += 1  # what was written when its time had passed may be planned when it is ahead again
        self.clock_ms = now_ms

    def carried_out(self, write: Write) -> None:
        """A write's job has run and appended the stream record of that sequence; it is not committed yet."""
        assert write.sequence is not None
        self._writes[write.sequence].append(write)

    def acknowledged(self, write: Write) -> None:
        """The driver was told that a write is durable."""
        if write.sequence is not None and not write.committed:
            raise Violation("lost", f"{write.what} of {write.key} was acknowledged before it was committed")

    def planned(self, sequences: Sequence[int], now_ms: int) -> None:
        """The poller asks the rules about these records. Earlier ones must have been applied, or ask for nothing."""
        self._pass_over([earlier for earlier in self._batches if earlier[0][-1] < sequences[0]])
        self._batches.append((list(sequences), now_ms))

    def log_written(self) -> None:
        """A commit put something into the log, over what a refused one may have left there."""
        self._unsure.clear()

    def refused(self) -> None:
        """A commit failed; it may still be found after a crash."""
        self.faults += 1
        self.note("  commit refused")
        self._not_sure()

    def crashed(self) -> None:
        """The process is gone. What it had asked the rules is not known to the next one."""
        self.faults += 1
        self._not_sure()

    def _not_sure(self) -> None:
        """What stands in the log may be found until the next commit writes over it."""
        for sequence, writes in self._writes.items():
            self._unsure.setdefault(sequence, []).extend(writes)
        self._writes.clear()

    def called(self, item: Image, rule: str, due_us: int, attempt: int, delivery_id: str, *, fails: bool) -> None:
        """A function is being called."""
        slot = Slot(rule, (item["PK"]["S"], item["SK"]["S"]))
        self.note(f"  call {slot} attempt {attempt}{' fails' if fails else ''}")
        claims = [
            claim
            for claim in self._claims.values()
            if claim.delivery_id is None
            and (claim.row.slot, claim.row.attempts, claim.row.due_ms) == (slot, attempt, -(-due_us // 1000))
        ]
        if not claims:
            raise Violation("orphan", f"{slot} was called without a claimed attempt {attempt}")
        claim = next((claim for claim in claims if item in claim.items), None)
        if claim is None:
            raise Violation("stale", f"{slot} was called with {item}, and the item is {claims[-1].items}")
        claim.delivery_id = delivery_id
        occurrence = (claim.row.id, claim.row.version)
        if self._delivery_ids.setdefault(occurrence, delivery_id) != delivery_id:
            raise Violation("identity", f"{slot} changed its delivery id")
        if self._last_success.get(delivery_id) == self.faults:
            raise Violation("duplicate", f"{slot} was called again after it had gone well, with no fault between")
        if not fails:
            self._last_success[delivery_id] = self.faults

    # What the store shows -----------------------------------------------------------------------------

    def reopened(self, connection: apsw.Connection) -> None:
        """A new process has opened what is left: everything that was committed must be there."""
        there = read_last_ids(connection)
        lost = {name: (last, there.get(name, 0)) for name, last in self.last.items() if there.get(name, 0) < last}
        if lost:
            raise Violation("lost", f"committed rows are gone (were, are): {lost}")
        self.committed(connection, is_found=True)
        self._batches.clear()
        self._passed.clear()
        self._claims.clear()
        if (items := read_items(connection)) != self.items:
            raise Violation("lost", f"the items are {items}, and must be {self.items}")

    def committed(self, connection: apsw.Connection, *, is_found: bool = False) -> None:
        """A commit went well, or (`is_found`) a process starts: look at all that is new, and judge it."""
        outcomes, rows = self._new_outcomes(connection), read_schedules(connection)
        items_before = dict(self.items)
        records, removed = self._new_records(connection, self._unsure if is_found else self._writes)
        self._writes.clear()
        effects = [*self._new_effects(connection), *removed]
        letters = self._new_letters(connection)
        checkpoint = int(connection.execute("SELECT max(sequence) FROM checkpoint WHERE app = ?", (APP,)).get or 0)
        if outcomes or effects or any(letters.values()) or records or checkpoint != self.checkpoint:
            found = " (found)" if is_found else ""
            self.note(
                f"  commit{found}: records {[r.sequence for r in records]} checkpoint {checkpoint} "
                f"outcomes {[(o.kind, o.slot) for o in outcomes]}"
            )
        self._judge_attempts(rows)
        delivered, dead = self._judge_outcomes([o for o in outcomes if o.attempts], items_before)
        if (wrong := _difference(delivered, effects)) is not None:
            raise Violation(*wrong)
        planned = self._apply_plan(checkpoint)
        _check_alike("skipped outcomes", [o.slot for o in outcomes if not o.attempts], planned.skipped)
        _check_alike("stream dead letters", letters["stream"], planned.letters)
        _check_alike("dead letters", letters["schedule"], dead)
        self._check_pending(rows)
        self._claim(rows, items_before)
        for record in records:
            self._go_on(record)
        self.rows, self.last, self.checkpoint = rows, read_last_ids(connection), checkpoint
        self.clock_high_ms = 0

    def quiet(self, connection: apsw.Connection, now_ms: int) -> None:
        """Everything has been done that is to be done now."""
        due = [row for row in self.rows.values() if row.attempt_at_ms <= now_ms]
        if due:
            raise Violation("missing", f"due and not delivered at {now_ms}: {due}")
        self._pass_over(list(self._batches))
        self._check_passed(sequence for sequence in self._records if sequence > self.checkpoint)
        for slot, run in self._runs.items():
            if run.is_plain and run.wanted.due_ms <= now_ms and not run.ended and slot not in self.rows:
                raise Violation("missing", f"{slot} was due at {run.wanted.due_ms}, and nothing became of it")
        if (items := read_items(connection)) != self.items:
            raise Violation("lost", f"the items are {items}, and must be {self.items}")

    # What is new --------------------------------------------------------------------------------------

    def _new_records(
        self, connection: apsw.Connection, writes: dict[int, list[Write]]
    ) -> tuple[list[Record], list[tuple[Slot, str]]]:
        """The watched table's records, each explained; and what rules deleted, as effects."""
        records, removed = [], []
        for name, record in read_records_after(connection, self.last.get("stream_record", 0)):
            if name != TABLE:
                continue
            records.append(record)
            self._records[record.sequence] = record
            if record.old != self.items.get(record.key):
                raise Violation("order", f"{record} does not follow {self.items.get(record.key)}")
            write = next((w for w in writes.get(record.sequence, []) if _explains(w, record)), None)
            if write is not None:
                write.committed = True
            elif record.new is None and record.old is not None and "EXPIRES" in record.old:
                removed.append((Slot("expire", record.key), oracle.wire_text(record.old["EXPIRES"])))
            else:
                raise Violation("orphan", f"nobody wrote {record}")
            if record.new is None:
                self.items.pop(record.key, None)
            else:
                self.items[record.key] = record.new
        return records, removed

    def _new_effects(self, connection: apsw.Connection) -> list[tuple[Slot, str]]:
        effects = []
        for (subject,) in connection.execute("SELECT subject FROM email WHERE id > ?", (self.last.get("email", 0),)):
            effects.append((Slot("mail", KEY_OF_TEXT[str(subject).split(" ")[0]]), str(subject)))
        for queue, body, _ in self._new_messages(connection):
            if queue in ("before", "several"):
                words = body.split(" ")
                number = int(words[1]) if queue == "several" else 0
                effects.append((Slot(queue, KEY_OF_TEXT[words[0]], number), body))
        query = "SELECT body FROM item WHERE table_id = (SELECT id FROM dynamodb_table WHERE name = ?)"
        rows: list[Any] = connection.execute(query, (LOG,)).fetchall()
        for (text,) in rows:
            body = json.loads(text)
            key_text, count = body["id"]["S"], int(body["n"]["N"])
            effects += [(Slot("count", KEY_OF_TEXT[key_text]), key_text)] * (count - self.log[key_text])
            if count < self.log[key_text]:
                raise Violation("lost", f"{key_text} was counted {self.log[key_text]} times, and now {count}")
            self.log[key_text] = count
        return effects

    def _new_letters(self, connection: apsw.Connection) -> dict[str, list[Any]]:
        letters: dict[str, list[Any]] = {"stream": [], "schedule": []}
        for queue, body, attributes in self._new_messages(connection):
            if queue == f"{APP}-stream-dead-letters":
                letter = json.loads(body)
                keys = letter["record"]["keys"]
                letters["stream"].append((letter["rule"], (keys["PK"]["S"], keys["SK"]["S"]), letter["kind"]))
            elif queue == f"{APP}-dead-letters":
                name = json.loads(attributes)["SCHEDULE_ARN"]["StringValue"].rpartition("/")[2]
                letters["schedule"].append(SLOT_OF_NAME[name])
        return letters

    def _new_messages(self, connection: apsw.Connection) -> list[tuple[str, str, bytes]]:
        query = "SELECT q.name, m.body, m.attributes FROM message m JOIN queue q ON q.id = m.queue_id WHERE m.id > ?"
        return connection.execute(query, (self.last.get("message", 0),)).fetchall()  # type: ignore[return-value]

    def _new_outcomes(self, connection: apsw.Connection) -> list[_Outcome]:
        query = "SELECT schedule_name, kind, due_at_ms, attempts, delivery_id FROM outcome WHERE id > ? ORDER BY id"
        rows: list[Any] = connection.execute(query, (self.last.get("outcome", 0),)).fetchall()
        return [_Outcome(SLOT_OF_NAME[name], *rest) for name, *rest in rows]

    # What may be --------------------------------------------------------------------------------------

    def _judge_attempts(self, rows: dict[Slot, Row]) -> None:
        """No attempt is counted before its time, and none is forgotten."""
        for slot, row in rows.items():
            before = self.rows.get(slot)
            if before is None or (before.id, before.version) != (row.id, row.version):
                continue
            if row.attempts < before.attempts:
                raise Violation("forgotten", f"{before} became {row}")
            if row.attempts > before.attempts:
                self._check_time(before)

    def _check_time(self, row: Row) -> None:
        if row.attempt_at_ms > self.clock_high_ms or row.due_ms > self.clock_high_ms:
            raise Violation("early", f"{row} was tried when it was {self.clock_high_ms}")

    def _judge_outcomes(
        self, outcomes: Sequence[_Outcome], items: dict[Key, Image]
    ) -> tuple[list[tuple[Slot, str]], list[Slot]]:
        """Which effects in the engine, and which dead letters, there must be with these outcomes."""
        delivered: list[tuple[Slot, str]] = []
        for outcome in outcomes:
            slot = outcome.slot
            row = self._function_row_of(outcome) if slot.rule == "review" else self._row_of(outcome)
            if row is not None:
                del self.pending[slot]
                if slot in self._runs:
                    self._runs[slot].ended += 1
            if outcome.kind == "delivered" and slot.rule != "review":
                assert row is not None
                delivered.append((slot, row.content))
            elif outcome.kind == "skipped":
                self._check_skipped(slot, row, items)
            elif outcome.kind == "dropped":
                raise Violation("outcome", f"{outcome} cannot be: there is a dead-letter queue")
        return delivered, [outcome.slot for outcome in outcomes if outcome.kind == "dead_lettered"]

    def _row_of(self, outcome: _Outcome) -> Row:
        """The schedule that ended, of a target inside the engine."""
        row = self.rows.get(outcome.slot)
        if row is None or outcome.slot not in self.pending or row.due_ms != outcome.due_ms:
            raise Violation("orphan", f"{outcome} of {row}")
        self._check_time(row)
        self._check_present(row, outcome.kind)
        return row

    def _function_row_of(self, outcome: _Outcome) -> Row | None:
        """The schedule that ended; None: it was replaced or deleted while its function ran."""
        claim, row = self._claim_of(outcome), self.rows.get(outcome.slot)
        if row is not None and (row.id, row.version) == (claim.row.id, claim.row.version):
            return row
        self.note(f"  {outcome.slot} of {claim.row.due_ms} was superseded by {row}")
        return None

    def _check_skipped(self, slot: Slot, row: Row | None, items: dict[Key, Image]) -> None:
        """Only a delete of the rule's own item may find that there is nothing to do."""
        wire = items.get(slot.key, {}).get("EXPIRES")
        if slot.rule != "expire" or row is None:
            raise Violation("outcome", f"{slot} cannot be skipped")
        if wire is not None and oracle.wire_text(wire) == row.content:
            raise Violation("missing", f"{slot} was skipped, and the item still says {row.content}")

    def _claim_of(self, outcome: _Outcome) -> _Claim:
        for key, claim in self._claims.items():
            if (claim.delivery_id, claim.row.attempts) == (outcome.delivery_id, outcome.attempts):
                return self._claims.pop(key)
        raise Violation("orphan", f"{outcome} without a claim that was called")

    def _check_present(self, row: Row, kind: str) -> None:
        """The item, as all earlier commits left it, asks for this delivery; and it has not had it yet."""
        run = self._runs.get(row.slot)
        if run is None or run.wanted.due_ms != row.due_ms:
            raise Violation("orphan", f"{row} was delivered after its item was moved or deleted: {run}")
        if row.content not in run.contents:
            raise Violation("stale", f"{row} was delivered, and must be {run.contents}")
        if kind == "delivered":
            run.delivered += 1
            if run.delivered > run.allowed:
                raise Violation("duplicate", f"{row} was delivered {run.delivered} times")

    def _apply_plan(self, checkpoint: int) -> oracle.Plan:
        if checkpoint == self.checkpoint:
            return oracle.Plan()
        if checkpoint < self.checkpoint:
            raise Violation("lost", f"the checkpoint went back from {self.checkpoint} to {checkpoint}")
        last = max((sequence for sequence in self._records if sequence <= checkpoint), default=0)
        batch, now_ms = next((b for b in reversed(self._batches) if b[0][-1] == last), ([], 0))
        self._batches = [earlier for earlier in self._batches if earlier[0][-1] > last]
        self._check_passed(s for s in self._records if self.checkpoint < s <= checkpoint and s not in batch)
        plan = oracle.plan([self._records[s] for s in batch], now_ms, self.pending, self.moments)
        for slot in plan.cleared:
            self.pending.pop(slot, None)
        self.pending |= plan.puts
        for slot in plan.skipped:
            if slot in self._runs:
                self._runs[slot].ended += 1
        return plan

    def _pass_over(self, batches: list[tuple[list[int], int]]) -> None:
        """These were planned and nothing was committed for them: so nothing must be asked for."""
        for sequences, now_ms in batches:
            plan = oracle.plan([self._records[s] for s in sequences], now_ms, self.pending, self.moments)
            if plan.puts or plan.skipped or plan.letters or plan.cleared & self.pending.keys():
                raise Violation("unplanned", f"{sequences} were passed over, and ask for {plan}")
            self._passed.update(sequences)
            self._batches.remove((sequences, now_ms))

    def _check_passed(self, sequences: Iterable[int]) -> None:
        if unplanned := set(sequences) - self._passed:
            raise Violation("unplanned", f"nobody asked the rules about {unplanned}")

    def _check_pending(self, rows: dict[Slot, Row]) -> None:
        there = {slot: (row.due_ms, row.content) for slot, row in rows.items()}
        if there != self.pending:
            missing = {slot: is_ for slot, is_ in self.pending.items() if there.get(slot) != is_}
            surplus = {slot: is_ for slot, is_ in there.items() if self.pending.get(slot) != is_}
            raise Violation("pending", f"missing {missing}, surplus {surplus}")

    def _claim(self, rows: dict[Slot, Row], items_before: dict[Key, Image]) -> None:
        """Attempts of functions that were counted in this commit, and are about to leave."""
        for slot, row in rows.items():
            before = self.rows.get(slot)
            if slot.rule != "review" or before is None or (before.id, before.version) != (row.id, row.version):
                continue
            if row.attempts == before.attempts + 1 and row.attempt_at_ms == before.attempt_at_ms:
                self._check_present(before, "claimed")
                present = [items_before.get(slot.key), self.items.get(slot.key)]
                self._claims[row.id, row.version, row.attempts] = _Claim(row, present)
            elif row.attempt_at_ms != before.attempt_at_ms:
                self._claims.pop((row.id, row.version, row.attempts), None)  # it failed, and is to be tried again

    def _go_on(self, record: Record) -> None:
        """What was written ends runs and begins them."""
        clock_went_on = record.created_at_ms >= self.written_high_ms
        self.written_high_ms = max(self.written_high_ms, record.created_at_ms)
        for slot in SLOT_OF_NAME.values():
            if slot.key != record.key:
                continue
            seen = self._seen_dues[slot]
            run = oracle.next_run(
                self._runs.get(slot),
                record,
                slot,
                self.moments,
                seen,
                now_ms=self.clock_ms,
                clock_went_on=clock_went_on,
            )
            if run is None:
                self._runs.pop(slot, None)
            else:
                self._runs[slot] = run


def _explains(write: Write, record: Record) -> bool:
    return not write.committed and write.key == record.key and write.new == record.new


def _difference(wanted: list[tuple[Slot, str]], found: list[tuple[Slot, str]]) -> tuple[str, str] | None:
    missing, surplus = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    if missing:
        return "missing", f"outcomes without their effects: {dict(missing)}; effects without outcomes: {dict(surplus)}"
    if surplus:
        return "duplicate", f"effects without outcomes: {dict(surplus)}"
    return None


def _check_alike(what: str, found: list[Any], wanted: list[Any]) -> None:
    if Counter(found) != Counter(wanted):
        raise Violation("outcome", f"{what}: {found}, and must be {wanted}")
