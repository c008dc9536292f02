"""What must come of it: the table of DESIGN.md once more, in other words and without any code of `core`.

Moments are whole microseconds since 1970. An image is an item in wire form, as its JSON in the store says.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

MINUTE = 60_000_000
Image = Mapping[str, Mapping[str, Any]]
#: An item's partition key and sort key.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """The place of one schedule: a rule's n-th target for one item."""

    rule: str
    key: Key
    number: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a rule asks for on behalf of an image: at least one content, each for the slot of its number."""

    due_us: int
    contents: tuple[str, ...]

    @property
    def due_ms(self) -> int:
        """The first whole millisecond at which it may be delivered."""
        return -(-self.due_us // 1000)


@dataclass(frozen=True, slots=True)
class Refused:
    """The rule cannot say what is to be done."""

    kind: Literal["unreadable timestamp", "rule raised"]


@dataclass(frozen=True, slots=True)
class RuleOracle:
    """One rule of `rules.make_app`, as this side understands it."""

    attribute: str
    #: None: the rule's `when` does not let the item in, so that nobody reads its timestamp.
    contents: Callable[[Image], Sequence[str] | Refused | None]
    offset_us: int = 0
    past_due: Literal["deliver", "skip", "dead_letter"] = "deliver"
    max_lateness_us: int = 15 * MINUTE

    def wanted(self, image: Image | None, moments: Mapping[str, int]) -> Wanted | Refused | None:
        """`moments`: which moment each timestamp that was ever written means; any other is unreadable."""
        if image is None or self.attribute not in image or "NULL" in image[self.attribute]:
            return None
        contents = self.contents(image)
        if contents is None:
            return None
        moment = moments.get(wire_text(image[self.attribute]))
        if moment is None:
            return Refused("unreadable timestamp")
        if isinstance(contents, Refused):
            return contents
        return Wanted(moment + self.offset_us, tuple(contents)) if contents else None


def wire_text(value: Mapping[str, Any]) -> str:
    """One text for one attribute value."""
    return json.dumps(value, sort_keys=True)


def _key(image: Image) -> str:
    return f"{image['PK']['S']}/{image['SK']['S']}"


def _text(image: Image) -> str:
    return str(image["TEXT"]["S"]) if "TEXT" in image else "None"


def _mail(image: Image) -> Sequence[str] | Refused:
    return Refused("rule raised") if _text(image) == "raise" else [f"{_key(image)} {_text(image)}"]


def _before(image: Image) -> Sequence[str] | None:
    return None if image.get("KIND") == {"S": "quiet"} else [_key(image)]


def _several(image: Image) -> Sequence[str]:
    count = int(image["COUNT"]["N"]) if "COUNT" in image else 0
    return [f"{_key(image)} {number} {_text(image)}" for number in range(count)]


RULES: Mapping[str, RuleOracle] = {
    "mail": RuleOracle("A", _mail),
    "before": RuleOracle("A", _before, offset_us=-MINUTE, past_due="skip"),
    "several": RuleOracle("B", _several, past_due="dead_letter"),
    "review": RuleOracle("B", lambda image: [_key(image)]),
    "count": RuleOracle("C", lambda image: [_key(image)], max_lateness_us=MINUTE),
    "absent": RuleOracle("C", lambda image: [_key(image)]),
    "expire": RuleOracle("EXPIRES", lambda image: [wire_text(image["EXPIRES"])]),
}


@dataclass(frozen=True, slots=True)
class Record:
    """One stream record of the watched table."""

    sequence: int
    key: Key
    old: Image | None
    new: Image | None
    created_at_ms: int


@dataclass(slots=True)
class Plan:
    """What a batch of records must lead to."""

    puts: dict[Slot, tuple[int, str]] = field(default_factory=dict)
    #: Of these slots nothing is pending any more, as far as `puts` does not say otherwise.
    cleared: set[Slot] = field(default_factory=set)
    skipped: list[Slot] = field(default_factory=list)
    letters: list[tuple[str, Key, str]] = field(default_factory=list)


def plan(batch: Iterable[Record], now_ms: int, pending: Iterable[Slot], moments: Mapping[str, int]) -> Plan:
    """What must become of the schedules that are pending, when these records are planned as one batch."""
    of_items: dict[Key, list[Record]] = {}
    for record in batch:
        of_items.setdefault(record.key, []).append(record)
    found, there = Plan(), list(pending)
    for key, records in of_items.items():
        for rule in RULES:
            mine = {slot for slot in there if (slot.rule, slot.key) == (rule, key)}
            _plan_rule(found, rule, mine, records, now_ms, moments)
    return found


def _plan_rule(
    found: Plan, name: str, mine: set[Slot], records: Sequence[Record], now_ms: int, moments: Mapping[str, int]
) -> None:
    rule, first, last = RULES[name], records[0], records[-1]
    new = rule.wanted(last.new, moments)
    if not isinstance(new, Wanted):
        found.cleared |= mine
        if isinstance(new, Refused):
            found.letters.append((name, first.key, new.kind))
        return
    written_anew = any(record.old is None for record in records)
    old = None if written_anew else rule.wanted(first.old, moments)
    seen_us = min(now_ms, first.created_at_ms) * 1000
    slots = [Slot(name, first.key, number) for number in range(len(new.contents))]
    found.cleared |= mine - set(slots)
    late: list[Slot] = []
    for slot, content in zip(slots, new.contents, strict=True):
        had = isinstance(old, Wanted) and old.due_us == new.due_us and slot.number < len(old.contents)
        if new.due_us > seen_us:
            assert isinstance(old, Wanted) or not had
            if not (had and isinstance(old, Wanted) and old.contents[slot.number] == content):
                found.puts[slot] = (new.due_ms, content)
        elif not had and not (isinstance(old, Refused) and _same_moment(rule, first.old, last.new)):
            late.append(slot)
    if not late:
        return
    if rule.past_due == "deliver" and seen_us - new.due_us <= rule.max_lateness_us:
        found.puts |= {slot: (new.due_ms, new.contents[slot.number]) for slot in late}
        return
    found.cleared |= mine & set(late)
    if rule.past_due == "dead_letter":
        found.letters.append((name, first.key, "past due"))
    else:
        found.skipped += late


def _same_moment(rule: RuleOracle, old: Image | None, new: Image | None) -> bool:
    return old is not None and new is not None and old.get(rule.attribute) == new.get(rule.attribute)


@dataclass(slots=True)
class Run:
    """An unbroken time in which an item wanted one due time of one slot, whatever else of it changed.

    This asks for no batches: it is what a user sees who knows only what was written, and when.
    """

    wanted: Wanted
    number: int
    #: Contents that may be delivered: once due, a later change is not followed any more.
    contents: set[str]
    #: Written ahead of its time, and never wanted before: its end must be heard of, whatever was planned together.
    is_plain: bool
    #: How often it may be delivered at the most.
    allowed: int = 1
    delivered: int = 0
    #: How many outcomes of any kind.
    ended: int = 0

    @property
    def content(self) -> str:
        """What the item asks for now."""
        return self.wanted.contents[self.number]


def next_run(
    run: Run | None,
    record: Record,
    slot: Slot,
    moments: Mapping[str, int],
    seen: dict[int, set[str]],
    *,
    now_ms: int,
    clock_went_on: bool,
) -> Run | None:
    """The slot's run after this record.

    Args:
        seen: due times of the slot's earlier runs and what was wanted then; this one's is added. A time that was
            left and came back may have been planned as one change, that is as none.
        now_ms: when the record was committed.
        clock_went_on: no record was written at a later time than this one's, so that before and after are plain.
    """
    new = RULES[slot.rule].wanted(record.new, moments)
    if record.new is None:
        seen.clear()
    if not isinstance(new, Wanted) or slot.number >= len(new.contents):
        return None
    content = new.contents[slot.number]
    was_ahead = clock_went_on and record.created_at_ms * 1000 < new.due_us
    is_new = run is None or record.old is None or run.wanted.due_us != new.due_us
    is_plain = was_ahead and new.due_us not in seen
    contents = seen.setdefault(new.due_us, set())
    if was_ahead:
        contents.clear()
    contents.add(content)
    if is_new or run is None:
        return Run(new, slot.number, contents, is_plain)
    if content != run.content and min(record.created_at_ms, now_ms) * 1000 < new.due_us:
        run.allowed += 1
    run.wanted = new
    return run
