"""Why an item was, was not, or will be delivered: what each rule says of it now, and what there is on record.

Reads only. Rules are evaluated in the planning thread, as they are when the item is written. Everything is found by
the names of schedules, which are a function of table, rule and key, so that it is found too when the item is gone.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from duestream.clock import Clock
from duestream.core import key_text
from duestream.core.evaluation import evaluate
from duestream.core.record import Item
from duestream.core.rule import MAX_TARGETS, Rule
from duestream.core.schedule import Place, schedule_name
from duestream.core.why_words import sentences
from duestream.local.engine.letter_box import moment
from duestream.local.engine.poller import Poller
from duestream.local.store import dead_letters, items, messages, outcomes, recurring, schedules, streams, tables
from duestream.local.store.dead_letters import Letter
from duestream.local.store.outcomes import Outcome
from duestream.local.store.schedules import ScheduleRow
from duestream.local.store.store import Store
from duestream.local.store.streams import decode_image
from duestream.local.store.tables import Table

#: So many outcomes of a schedule are told, the newest.
MAX_OUTCOMES = 10


class Explainer:
    """Tells of one item.

    Args:
        poller: of the app that is loaded; None: there is none.
    """

    def __init__(self, store: Store, clock: Clock, place: Place, poller: Poller | None) -> None:
        self._store, self._clock, self._place, self._poller = store, clock, place, poller

    async def explain(self, table_name: str, text: str) -> dict[str, Any]:
        """Everything that is known of an item and its rules.

        Args:
            text: the key as JSON, or ``PK=..,SK=..``, or the partition key's bare value.

        Raises:
            ValidationException: it is no key of the table's.
        """
        reader = self._store.reader
        table = tables.get_table(reader, table_name)
        facts: dict[str, Any] = {"table": table_name, "now": moment(self._clock.now_ms()), "known": False}
        if table is None:
            return facts | {"says": [f"There is no table {table_name} in the data folder."], "rules": []}
        key = read_key(table, text)
        stored_key = items.key_of_key(table, key)
        image = decode_image(items.get_item(reader, table, key))
        planned_through = None if self._poller is None else self._poller.planned_through
        behind = None
        if planned_through is not None:
            behind = streams.last_record_of_item(reader, planned_through, table.id, stored_key)
        facts |= {
            "key": key,
            "item": image,
            "planning": {
                "app_loaded": self._poller is not None,
                "caught_up": behind is None,
                "records_behind": max(0, streams.last_sequence(reader) - (planned_through or 0)) if behind else 0,
            },
        }
        rules = [await self._rule(rule, key, image) for rule in self._rules_of(table)]
        rules += self._rules_that_are_gone(table, key, {rule["rule"] for rule in rules})
        traces = any(rule["schedules"] for rule in rules)
        facts["known"] = image is not None or behind is not None or traces
        facts["rules"] = [
            {**rule, "says": sentences(rule, caught_up=behind is None, now_ms=self._clock.now_ms())} for rule in rules
        ]
        facts["says"] = _says(facts)
        return facts

    def _rules_of(self, table: Table) -> list[Rule]:
        return [] if self._poller is None else list(self._poller.rules_of(table.name))

    async def _rule(self, rule: Rule, key: Item, image: Item | None) -> dict[str, Any]:
        assert self._poller is not None
        said = await self._poller.evaluate(partial(evaluate, rule, image, self._place))
        count = len(said.get("targets", ()))
        return {
            "rule": rule.name,
            "app": rule.app_name,
            "location": rule.location,
            "attribute": rule.attribute,
            "value": None if image is None else image.get(rule.attribute),
            "offset_seconds": rule.offset.total_seconds(),
            "timezone": rule.timezone,
            "timezone_attribute": rule.timezone_attribute,
            "is_loaded": True,
            "item_says": said,
            "schedules": self._traces(rule.app_name, rule.table.name, rule.name, key, count),
        }

    def _rules_that_are_gone(self, table: Table, key: Item, loaded: set[str]) -> list[dict[str, Any]]:
        """Rules that watched the table once, and left a trace of this item."""
        app = None if self._poller is None else self._poller.app_name
        found = []
        for known in dead_letters.known_rules(self._store.reader, table.name):
            if known.app == app and known.rule in loaded:
                continue
            traces = self._traces(known.app, table.name, known.rule, key, 0)
            if traces:
                found.append(
                    {
                        "rule": known.rule,
                        "app": known.app,
                        "is_loaded": False,
                        "loaded_at": moment(known.loaded_at_ms),
                        "item_says": {"state": "rule is not loaded"},
                        "schedules": traces,
                    }
                )
        return found

    def _traces(self, app: str, table_name: str, rule: str, key: Item, count: int) -> list[dict[str, Any]]:
        """What there is of the item's schedules of one rule, by the numbers of the rule's targets."""
        traces: list[dict[str, Any]] = []
        for number in range(MAX_TARGETS):
            found = self._trace(app, schedule_name(table_name, rule, key, number))
            if not found and number >= max(count, 1):
                break
            traces += found
        return traces

    def _trace(self, group: str, name: str) -> list[dict[str, Any]]:
        """One schedule, and those that redrive it under a name of their own; empty if there is no trace of it."""
        reader = self._store.reader
        row = schedules.get_schedule(reader, group, name)
        ended = list(outcomes.outcomes_of(reader, group, name))[-MAX_OUTCOMES:]
        letters = dead_letters.letters_of(reader, group, name, limit=MAX_OUTCOMES)
        if row is None and not ended and not letters:
            return []
        trace = {
            "schedule": f"{group}/{name}",
            "pending": None if row is None else _pending(row),
            "under_way": [_pending(apart) for apart in recurring.under_way(reader, group, name)[:MAX_OUTCOMES]],
            "outcomes": [_outcome(outcome) for outcome in ended],
            "dead_letters": [self._letter(letter) for letter in letters],
        }
        further = {str(letter.ended_reason) for letter in letters if letter.ended == "redriven"} - {f"{group}/{name}"}
        traces = [trace]
        for schedule in sorted(further):
            its_group, _, its_name = schedule.partition("/")
            if its_name.startswith("redrive-"):
                traces += self._trace(its_group, its_name)
        return traces

    def _letter(self, letter: Letter) -> dict[str, Any]:
        found = messages.get_message(self._store.reader, letter.id)
        message = None if found is None else found[1]
        is_there = message is not None and message.message_id == letter.message_id
        state: str = letter.ended or "taken out of the queue by somebody"
        if message is not None and is_there:
            in_flight = message.visible_at_ms > self._clock.now_ms() and message.receive_count > 0
            state = "in flight" if in_flight else "waiting"
        return {
            "id": letter.id,
            "kind": letter.kind,
            "queue": letter.queue_name,
            "state": state,
            "at": moment(letter.created_at_ms),
            "attempts": letter.attempts,
            "reason": letter.reason,
            "ended_at": None if letter.ended_at_ms is None else moment(letter.ended_at_ms),
            "ended_reason": letter.ended_reason,
        }


def _pending(row: ScheduleRow) -> dict[str, Any]:
    return {
        "state": row.state,
        "expression": row.body.get("ScheduleExpression"),
        "due_at": None if row.due_at_ms is None else moment(row.due_at_ms),
        "due_at_ms": row.due_at_ms,
        "attempts": row.attempts,
        "next_attempt_at": None if row.attempt_at_ms is None else moment(row.attempt_at_ms),
        "last_failure": row.last_failure,
        "redrives": row.redrives,
        "is_apart": row.occurrence_of is not None,
        "target_arn": row.body.get("Target", {}).get("Arn"),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "kind": outcome.kind,
        "due_at": moment(outcome.due_at_ms),
        "due_at_ms": outcome.due_at_ms,
        "ended_at": moment(outcome.ended_at_ms),
        "lateness_ms": outcome.ended_at_ms - outcome.due_at_ms,
        "attempts": outcome.attempts,
        "reason": outcome.reason,
        "delivery_id": outcome.delivery_id,
        "target_arn": outcome.target_arn,
    }


def _says(facts: Mapping[str, Any]) -> list[str]:
    says = []
    if not facts["known"]:
        says.append("Nothing is known of such an item: it is not there, and it has left no trace.")
    elif facts["item"] is None:
        says.append("The item is not there; what is told is what it left.")
    planning = facts["planning"]
    if not planning["app_loaded"]:
        says.append("The server runs without a rule file: nothing is planned.")
    elif not planning["caught_up"]:
        says.append("Planning has not come to the item's last write yet; what is told may change.")
    elif not facts["rules"] and facts["known"]:
        says.append("No rule of the app that is loaded watches this table.")
    return says


def read_key(table: Table, text: str) -> Item:
    """The key of a table's item that a text names (see `duestream.core.key_text`).

    Raises:
        ValidationException: it is no key of this table's.
    """
    types = dict(zip(table.key_names, (table.partition_key_type, table.sort_key_type), strict=False))
    return key_text.read_key(text, {name: str(kind) for name, kind in types.items()}, table_name=table.name)
