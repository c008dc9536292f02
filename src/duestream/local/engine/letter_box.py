"""Reading dead letters: which of a queue's messages are ours, what each says, and those that match a filter.

A letter's number is that of its message's row, so that it is found at once; it changes where SQS moves the message.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import apsw
import msgspec

from duestream.clock import from_ms
from duestream.core.attributes import key_value
from duestream.core.json_text import moment_text
from duestream.core.record import Item
from duestream.errors import ValidationException
from duestream.local.store import dead_letters, messages, queues, schedules, tables
from duestream.local.store.dead_letters import Letter
from duestream.local.store.messages import FROM_THE_FIRST, Message, Position
from duestream.local.store.move_tasks import SOURCE_ATTRIBUTE

#: What a delivery's letter always has among its message attributes.
DELIVERY_ATTRIBUTES = frozenset({"SCHEDULE_ARN", "TARGET_ARN", "ERROR_CODE"})
MAX_PAGE = 500
#: ``message``: one that SQS moved there out of another queue, by that queue's redrive policy.
FoundKind = Literal["delivery", "record", "message"]
KINDS: tuple[FoundKind, ...] = ("delivery", "record", "message")
#: So many messages are looked at for one page at the most; the next page goes on.
MAX_LOOKED_AT = 500


@dataclass(frozen=True, slots=True)
class FoundLetter:
    """A dead letter in its queue. `kept` is what was put down beside it; None: it was not put there by this server."""

    queue_name: str
    message: Message
    kind: FoundKind
    kept: Letter | None
    #: Of a stream record: the letter, uncut where it was kept.
    content: Mapping[str, Any]

    @property
    def id(self) -> int:
        """Its number."""
        return self.message.row_id

    @property
    def source_queue(self) -> str | None:
        """The queue that a redrive policy took it out of."""
        arn = self.message.system_attributes.get(SOURCE_ATTRIBUTE)
        return None if arn is None else queues.queue_name_of(arn)

    def state(self, now_ms: int) -> str:
        """``waiting``, ``in flight`` (somebody received it) or ``delayed``."""
        if self.message.visible_at_ms <= now_ms:
            return "waiting"
        return "in flight" if self.message.receive_count else "delayed"

    def attribute(self, name: str) -> str | None:
        """A message attribute of EventBridge Scheduler's."""
        value = self.message.attributes.get(name, {}).get("StringValue")
        return None if value is None else str(value)


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """What letters are asked for; None: any."""

    kind: str | None = None
    rule: str | None = None
    table: str | None = None
    #: Part of the error's code or text, whatever the case.
    error: str | None = None
    sent_before_ms: int | None = None
    sent_after_ms: int | None = None

    def takes(self, facts: Mapping[str, Any], message: Message) -> bool:
        """Whether a letter is among those that are asked for."""
        if self.sent_before_ms is not None and message.sent_at_ms > self.sent_before_ms:
            return False
        if self.sent_after_ms is not None and message.sent_at_ms < self.sent_after_ms:
            return False
        if any(
            wanted not in (None, facts[name])
            for name, wanted in (("kind", self.kind), ("rule", self.rule), ("table", self.table))
        ):
            return False
        return self.error is None or self.error.casefold() in str(facts["reason"]).casefold()


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Facts of letters, and where the next page begins; None: this is the last one."""

    letters: list[dict[str, Any]]
    next_token: str | None


def read_letter(connection: apsw.Connection, queue_name: str, message: Message) -> FoundLetter | None:
    """The letter that a message is; None: it is none of ours."""
    kept = dead_letters.letter_of_message(connection, message.message_id)
    if kept is not None:
        return FoundLetter(queue_name, message, kept.kind, kept, kept.content)
    if message.attributes.keys() >= DELIVERY_ATTRIBUTES:
        return FoundLetter(queue_name, message, "delivery", None, {})
    content = _record_letter(message.body)
    if content is not None:
        return FoundLetter(queue_name, message, "record", None, content)
    if SOURCE_ATTRIBUTE in message.system_attributes:
        return FoundLetter(queue_name, message, "message", None, {})
    return None


def _record_letter(body: str) -> dict[str, Any] | None:
    if not body.startswith("{"):
        return None
    try:
        content = json.loads(body)
    except ValueError:
        return None
    record = content.get("record")
    if not isinstance(record, dict) or not isinstance(record.get("keys"), dict):
        return None
    has_all = {"app", "rule", "kind", "reason"} <= content.keys() and "tableName" in record
    return content if has_all else None


def find_letter(connection: apsw.Connection, named: str) -> FoundLetter | None:
    """The letter of that number, or of that SQS MessageId."""
    if named.isascii() and named.isdigit() and len(named) < 19:
        found = messages.get_message(connection, int(named))
        return None if found is None else read_letter(connection, *found)
    for name in dead_letters.dead_letter_queues(connection):
        queue = queues.get_queue(connection, name)
        message = None if queue is None else messages.find_message(connection, queue, named)
        if message is not None:
            return read_letter(connection, name, message)
    return None


def ended_letter(connection: apsw.Connection, named: str) -> Letter | None:
    """A letter that is not in a queue any more, as it was put down."""
    if named.isascii() and named.isdigit() and len(named) < 19:
        return dead_letters.get_letter(connection, int(named))
    return dead_letters.letter_of_message(connection, named)


def list_letters(
    connection: apsw.Connection, wanted: LetterFilter, *, token: str | None, limit: int, now_ms: int
) -> LetterPage:
    """A page of letters, queue by queue, those that became visible first before the others.

    Raises:
        ValidationException: the token is none of ours.
    """
    start_at, position = _read_token(token)
    page: list[dict[str, Any]] = []
    looked_at = 0
    for name in dead_letters.dead_letter_queues(connection):
        queue = queues.get_queue(connection, name)
        if queue is None or name < start_at:
            continue
        after = position if name == start_at else FROM_THE_FIRST
        while True:
            found = messages.walk_messages(connection, queue, after=after, limit=100, now_ms=now_ms)
            for message in found:
                after = (message.visible_at_ms, message.sent_at_ms, message.row_id)
                looked_at += 1
                letter = read_letter(connection, name, message)
                if letter is not None and wanted.takes(facts := facts_of(connection, letter, now_ms), message):
                    page.append(facts)
                if len(page) >= limit or looked_at >= MAX_LOOKED_AT:
                    return LetterPage(page, _write_token(name, after))
            if len(found) < 100:
                break
    return LetterPage(page, None)


def _write_token(name: str, position: Position) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([name, *position])).decode()


def _read_token(token: str | None) -> tuple[str, Position]:
    if not token:
        return "", FROM_THE_FIRST
    try:
        name, *position = msgspec.json.decode(base64.urlsafe_b64decode(token), type=tuple[str, int, int, int])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise ValidationException("The token for the next page is none of this server's.") from None
    return name, (position[0], position[1], position[2])


def facts_of(connection: apsw.Connection, letter: FoundLetter, now_ms: int) -> dict[str, Any]:
    """What is said of a letter. Moments are ISO 8601."""
    message, kept = letter.message, letter.kept
    facts: dict[str, Any] = {
        "id": letter.id,
        "message_id": message.message_id,
        "queue": letter.queue_name,
        "kind": letter.kind,
        "state": letter.state(now_ms),
        "visible_at": None if message.visible_at_ms <= now_ms else moment(message.visible_at_ms),
        "received": message.receive_count,
        "sent_at": moment(message.sent_at_ms),
        "age_seconds": (now_ms - message.sent_at_ms) / 1000,
    }
    if letter.kind == "record":
        record = letter.content["record"]
        return facts | {
            "rule": letter.content["rule"],
            "table": record["tableName"],
            "key": record["keys"],
            "schedule": None if kept is None else f"{kept.schedule_group}/{kept.schedule_name}",
            "reason": f"{letter.content['kind']}: {letter.content['reason']}",
        }
    if letter.kind == "message":
        reason = f"it was received too often in queue {letter.source_queue}, and not deleted"
        nothing = dict.fromkeys(("rule", "table", "key", "schedule"))
        return facts | nothing | {"source_queue": letter.source_queue, "reason": reason}
    return facts | (_facts_of_delivery(letter) if kept is None else kept_facts(connection, kept))


def _facts_of_delivery(letter: FoundLetter) -> dict[str, Any]:
    """Of a letter that only its message tells of."""
    retries = letter.attribute("RETRY_ATTEMPTS") or ""
    return {
        "rule": None,
        "table": None,
        "key": None,
        "schedule": str(letter.attribute("SCHEDULE_ARN")).rpartition(":schedule/")[2],
        "target_arn": letter.attribute("TARGET_ARN"),
        "due_at": letter.attribute("SCHEDULED_TIME"),
        "attempts": int(retries) + 1 if retries.isascii() and retries.isdigit() else None,
        "reason": f"{letter.attribute('ERROR_CODE')}: {letter.attribute('ERROR_MESSAGE')}",
        "delivery_id": None,
        "redrives": None,
    }


def kept_facts(connection: apsw.Connection, kept: Letter) -> dict[str, Any]:
    """What is said of a letter that was put down here, whether or not its message is still there."""
    table = None if kept.table_id is None else tables.get_table_by_id(connection, kept.table_id)
    return {
        "rule": kept.rule,
        "table": None if table is None else table.name,
        "key": None if table is None else item_key(table, kept),
        "schedule": f"{kept.schedule_group}/{kept.schedule_name}",
        "target_arn": kept.content.get("Target", {}).get("Arn"),
        "due_at": None if kept.due_at_ms is None else moment(kept.due_at_ms),
        "attempts": kept.attempts,
        "reason": kept.reason,
        "delivery_id": kept.delivery_id,
        "redrives": kept.redrives,
    }


def item_key(table: tables.Table, letter: Letter) -> Item:
    """The key of a rule's letter, read from its bytes."""
    assert letter.partition_key is not None
    assert letter.sort_key is not None
    key = {table.partition_key: key_value(letter.partition_key, table.partition_key_type)}
    if table.sort_key is not None and table.sort_key_type is not None:
        key[table.sort_key] = key_value(letter.sort_key, table.sort_key_type)
    return key


def history_of(connection: apsw.Connection, kept: Letter) -> list[dict[str, Any]]:
    """The letters of the same schedule, and those that were redriven into it, oldest first."""
    names, found = [(kept.schedule_group, kept.schedule_name)], {kept.id: kept}
    for group, name in names:
        for letter in dead_letters.letters_of(connection, group, name):
            found[letter.id] = letter
            if letter.ended == "redriven" and letter.ended_reason and letter.ended_reason.partition("/")[2]:
                _append(names, letter.ended_reason)
        origin = origin_of(name)
        earlier = None if origin is None else dead_letters.get_letter(connection, origin)
        if earlier is not None:
            _append(names, f"{earlier.schedule_group}/{earlier.schedule_name}")
    return [_history_entry(letter) for _, letter in sorted(found.items())]


def _append(names: list[tuple[str, str]], schedule: str) -> None:
    group, _, name = schedule.partition("/")
    if (group, name) not in names and len(names) < 20:
        names.append((group, name))


def redrive_name(letter_id: int) -> str:
    """The schedule that makes a delivery again, where the schedule's own name is not free."""
    return f"redrive-{letter_id}"


def origin_of(schedule_name: str) -> int | None:
    """The number of the letter that a schedule of `redrive_name` came from."""
    prefix, _, number = schedule_name.rpartition("-")
    return int(number) if prefix == "redrive" and number.isascii() and number.isdigit() else None


def _history_entry(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "at": moment(letter.created_at_ms),
        "schedule": f"{letter.schedule_group}/{letter.schedule_name}",
        "delivery_id": letter.delivery_id,
        "redrives": letter.redrives,
        "due_at": None if letter.due_at_ms is None else moment(letter.due_at_ms),
        "attempts": letter.attempts,
        "reason": letter.reason,
        "ended": letter.ended,
        "ended_at": None if letter.ended_at_ms is None else moment(letter.ended_at_ms),
        "ended_reason": letter.ended_reason,
    }


def moment(moment_ms: int) -> str:
    """A moment as it is shown."""
    return moment_text(from_ms(moment_ms))


def pending_of(connection: apsw.Connection, schedule: str) -> schedules.ScheduleRow | None:
    """The schedule named ``group/name``."""
    group, _, name = schedule.partition("/")
    return schedules.get_schedule(connection, group, name)
