"""A rule: which attribute to watch, when that is due, and what is then to be invoked."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from duestream.core.attributes import unmarshal_item
from duestream.core.deliverable import MAX_INPUT_BYTES
from duestream.core.json_text import json_text, moment_text
from duestream.core.record import AttributeValue, Item
from duestream.core.recurrence import CatchUp, Recurrence
from duestream.core.schedule import Invocation, Place, Retry
from duestream.core.schedule_expression import OneTime, parse_schedule_expression
from duestream.core.sweep import Sweep
from duestream.core.target import SCHEDULED_TIME, TARGET_TYPES, DeleteItem, QueueMessage, Target
from duestream.core.timestamps import parse_timestamp
from duestream.errors import Error, TimestampError, ValidationException

#: What becomes of a due time that is already past when it is first seen. ``deliver``: delivered at once if no
#: later than the rule's `max_lateness`, else skipped; ``skip``: recorded, not delivered; ``dead_letter``: the
#: stream record goes to the stream-side dead-letter queue.
PastDue = Literal["deliver", "skip", "dead_letter"]
PAST_DUE_POLICIES: tuple[PastDue, ...] = ("deliver", "skip", "dead_letter")

DEFAULT_MAX_LATENESS = timedelta(minutes=15)
DEFAULT_RETRY = Retry()
DEFAULT_TIMEOUT = timedelta(seconds=60)
#: A schedule's name has room for two digits that number a rule's further targets.
MAX_TARGETS = 99
#: A value that was not understood may be quoted in a reason, and is then cut.
MAX_REASON_LENGTH = 1000

#: Answers a target, several, or None, from an item as Python values.
TargetFunction = Callable[[dict[str, Any]], Target | Sequence[Target] | None]
#: Says whether the rule watches this item at all.
Filter = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class TableDeclaration:
    """A table that rules watch, and its key."""

    name: str
    partition_key: str
    sort_key: str | None = None
    partition_key_type: str = "S"
    sort_key_type: str = "S"


@dataclass(frozen=True, slots=True)
class Due:
    """What a `when_due` function is told about its delivery.

    Args:
        due_at: the due time, aware, in UTC.
        rule: the rule's name.
        attempt: counted from 1.
        delivery_id: the same for every attempt of one delivery, so that what has been done once can be told.
    """

    due_at: datetime
    rule: str
    attempt: int
    delivery_id: str


#: A function that itself runs when due; what it returns is not looked at.
WhenDueFunction = Callable[[dict[str, Any], Due], Awaitable[object] | object]


@dataclass(frozen=True, slots=True)
class WhenDue:
    """The action of a `when_due` rule.

    Args:
        function: called with the item as it then is, and a `Due`; plain or async.
        timeout: how long one attempt may take.
        is_async: the function is a coroutine function.
    """

    function: WhenDueFunction
    timeout: timedelta
    is_async: bool


@dataclass(frozen=True, slots=True)
class Repeats:
    """What makes a rule recurring: its attribute holds a `cron(...)` or `rate(...)` expression.

    Args:
        start: the item's attribute with the moment before which there is no occurrence.
        end: the one after which there is none.
        catch_up: what becomes of missed occurrences.
    """

    start: str | None = None
    end: str | None = None
    catch_up: CatchUp = "deliver_last"


class _UnreadableError(TimestampError):
    """Our own reading failed; a `TimestampError` of the user's code is a fault of that code."""


class _ExpressionError(Error):
    """A schedule expression that was not understood."""


class AnswerError(Error):
    """A rule's function answered something that is no target."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rule says nothing about an image: what the record is dead-lettered with."""

    kind: Literal["unreadable timestamp", "unreadable expression", "rule raised"]
    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a rule asks for on behalf of one image of an item; there is at least one invocation."""

    due_at: datetime
    invocations: tuple[Invocation, ...]


@dataclass(frozen=True, slots=True)
class WantedSeries:
    """What a recurring rule asks for on behalf of one image of an item; there is at least one invocation."""

    recurrence: Recurrence
    invocations: tuple[Invocation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of an app, as `App` made and checked it.

    Args:
        name: unique among the rules of a table.
        app_name: the app, which is also the schedule group.
        table: the watched table and its key.
        attribute: the timestamp attribute.
        action: fixed targets, a function that answers them, or the function that runs when due.
        offset: added to the timestamp; an exact length of time, so a day is 24 hours, also across a change of
            the clocks.
        timezone: IANA name, for timestamps without an offset.
        timezone_attribute: the item's attribute that names its own zone; where it is missing, `timezone` holds.
        when: the rule watches only items that this answers true for.
        past_due: what becomes of a due time that is past when it is first seen.
        max_lateness: how late ``deliver`` may still deliver.
        retry: how long a delivery is tried.
        repeats: of a recurring rule; None: the attribute is a timestamp.
        via: the index that is swept for what is due; None: each item has a schedule of its own.
        guarded: on AWS, what is due goes through a function that first looks at the item as it is then.
        allow: what the rule uses, in the words of `duestream.core.allowance`; None: it does not say.
        location: ``file:line`` of the declaration.
    """

    name: str
    app_name: str
    table: TableDeclaration
    attribute: str
    action: tuple[Target, ...] | TargetFunction | WhenDue
    offset: timedelta = timedelta(0)
    timezone: str = "UTC"
    timezone_attribute: str | None = None
    when: Filter | None = None
    past_due: PastDue = "deliver"
    max_lateness: timedelta = DEFAULT_MAX_LATENESS
    retry: Retry = DEFAULT_RETRY
    repeats: Repeats | None = None
    via: Sweep | None = None
    guarded: bool = False
    allow: tuple[str, ...] | None = None
    location: str = ""

    @property
    def when_due(self) -> WhenDue | None:
        """The action, if this is a `when_due` rule."""
        return self.action if isinstance(self.action, WhenDue) else None

    @property
    def only_deletes_its_item(self) -> bool:
        """All it does when due is to delete its own item."""
        action = self.action
        return isinstance(action, tuple) and all(isinstance(one, DeleteItem) and one.is_own_item for one in action)

    @property
    def timeout(self) -> timedelta:
        """How long one attempt of a `when_due` function may take."""
        return self.action.timeout if isinstance(self.action, WhenDue) else DEFAULT_TIMEOUT

    def due_at(self, image: Item) -> datetime | None:
        """When the item is due, aware, in UTC; None if it has no timestamp (or NULL in its place).

        Raises:
            TimestampError: the timestamp or its zone cannot be read, or the offset leads out of the calendar.
        """
        value = _present(image, self.attribute)
        if value is None:
            return None
        try:
            return parse_timestamp(value, timezone=self._timezone_of(image)) + self.offset
        except OverflowError:
            raise _UnreadableError(
                f"attribute {self.attribute!r}: with the offset of {self.offset} it is outside the years 1 to 9999"
            ) from None
        except TimestampError as error:
            raise _UnreadableError(f"attribute {self.attribute!r}: {error}") from error

    def invocations(self, image: Item, place: Place) -> tuple[Invocation, ...]:
        """What is to be invoked for the item, in the order of their numbers; none if `when` or the rule says so.

        Whatever the rule's own code raises goes through.

        Raises:
            AnswerError: the rule's function answered something that is no target.
        """
        values = self._values(image)
        if self.when is not None and not self.when(values):
            return ()
        due_at = self.due_at(image) if self.when_due and self.repeats is None else None
        return self._answer(image, values, due_at, place)

    def recurrence(self, image: Item) -> Recurrence:
        """What a recurring rule reads of an image that has the attribute.

        Raises:
            Error: the expression, its zone, start or end cannot be read.
        """
        assert self.repeats is not None
        text = image[self.attribute].get("S")
        if not isinstance(text, str):
            raise _ExpressionError(f"attribute {self.attribute!r} is no string. {_EXPRESSIONS}")
        timezone = self._timezone_of(image)
        try:
            parsed = parse_schedule_expression(text, timezone)
        except ValidationException as error:
            raise _ExpressionError(f"attribute {self.attribute!r}: {error.message[:300]} {_EXPRESSIONS}") from error
        if isinstance(parsed, OneTime):
            raise _ExpressionError(
                f"attribute {self.attribute!r}: {text} comes once. {_EXPRESSIONS}; for one moment, keep a timestamp "
                "in the item and use rule(...)"
            )
        start, end = (self._moment(image, name) for name in (self.repeats.start, self.repeats.end))
        return Recurrence(text, timezone, start, end, self.repeats.catch_up)

    def wanted(self, image: Item | None, place: Place) -> Wanted | WantedSeries | Refusal | None:
        """What the rule asks for on behalf of an image; None for nothing. Never raises for what it finds there.

        Items without the timestamp attribute are not shown to `when` and the rule's function: in a table that
        holds several kinds of items, those are not for it.
        """
        if image is None or _present(image, self.attribute) is None:
            return None
        try:
            values = self._values(image)
            if self.when is not None and not self.when(values):
                return None
            recurrence = None if self.repeats is None else self.recurrence(image)
            due_at = self.due_at(image) if recurrence is None else None
            invocations = self._answer(image, values, due_at, place)
        except _ExpressionError as error:
            return Refusal("unreadable expression", str(error))
        except _UnreadableError as error:
            return Refusal("unreadable timestamp", str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code; its fault must not stop the others
            return Refusal("rule raised", _reason(error))
        if recurrence is not None:
            return WantedSeries(recurrence, invocations) if invocations else None
        assert due_at is not None, "the attribute is there"
        return Wanted(due_at, invocations) if invocations else None

    def key_of(self, image: Item) -> Item:
        """The key's part of an item of the rule's table."""
        names = (self.table.partition_key, self.table.sort_key)
        return {name: image[name] for name in names if name is not None}

    def _moment(self, image: Item, attribute: str | None) -> datetime | None:
        """The moment in another attribute of the item; None: there is none."""
        value = None if attribute is None else _present(image, attribute)
        if value is None:
            return None
        try:
            return parse_timestamp(value, timezone=self._timezone_of(image))
        except TimestampError as error:
            raise _UnreadableError(f"attribute {attribute!r}: {error}") from error

    def _timezone_of(self, image: Item) -> str:
        value = None if self.timezone_attribute is None else _present(image, self.timezone_attribute)
        if value is None:
            return self.timezone
        # A zone that is no text is shown as it is; it is an error only where a zone is needed.
        return str(value.get("S", value))

    def _values(self, image: Item) -> dict[str, Any]:
        """The image as Python values, if somebody will look at them."""
        return unmarshal_item(image) if self.when is not None or callable(self.action) else {}

    def _answer(
        self, image: Item, values: dict[str, Any], due_at: datetime | None, place: Place
    ) -> tuple[Invocation, ...]:
        match self.action:
            case WhenDue():
                return (self._when_due_invocation(image, due_at, place),)
            case tuple() as targets:
                pass
            case function:
                targets = self._checked(function(values))
        invocations = tuple(self._invocation(target, image, place) for target in targets)
        for invocation in invocations:
            size_bytes = len(invocation.input.encode())
            if size_bytes > MAX_INPUT_BYTES:
                raise AnswerError(
                    f"what is to be sent is {size_bytes} bytes. EventBridge Scheduler takes {MAX_INPUT_BYTES}; "
                    "send a key and let the receiver read the item"
                )
        return invocations

    def _checked(self, answer: Target | Sequence[Target] | None) -> tuple[Target, ...]:
        if answer is None:
            return ()
        targets: tuple[object, ...] = (answer,) if isinstance(answer, TARGET_TYPES) else ()
        if isinstance(answer, list | tuple):
            targets = tuple(answer)
        elif not targets:
            raise AnswerError(f"the rule answered {answer!r}. Answer a target, a list of targets, or None")
        if len(targets) > MAX_TARGETS:
            raise AnswerError(f"the rule answered {len(targets)} targets. Answer at most {MAX_TARGETS}")
        return tuple(_checked_target(target) for target in targets)

    def _invocation(self, target: Target, image: Item, place: Place) -> Invocation:
        if isinstance(target, QueueMessage) and target.is_notification:
            return target.notification(place, rule=self.name, table_name=self.table.name, key=self.key_of(image))
        if not isinstance(target, DeleteItem) or not target.is_own_item:
            return target.invocation(place)
        unchanged: dict[str, AttributeValue | None] = {self.attribute: image[self.attribute]}
        if self.timezone_attribute is not None and self.timezone_attribute != self.attribute:
            unchanged[self.timezone_attribute] = image.get(self.timezone_attribute)
        return DeleteItem.own_invocation(place, table_name=self.table.name, key=self.key_of(image), unchanged=unchanged)

    def _when_due_invocation(self, image: Item, due_at: datetime | None, place: Place) -> Invocation:
        request = {
            "Rule": self.name,
            "Table": self.table.name,
            "Key": self.key_of(image),
            "DueAt": SCHEDULED_TIME if due_at is None else moment_text(due_at),
        }
        return Invocation(place.arn("lambda", f"function:{when_due_function(self.app_name)}"), json_text(request))


_EXPRESSIONS = "Write cron(...) of six fields or rate(...), such as cron(0 9 ? * MON-FRI *) or rate(5 minutes)"


def when_due_function(app_name: str) -> str:
    """The Lambda function that runs an app's `when_due` functions; the local engine runs them itself."""
    return f"{app_name}-when-due"


def _present(image: Item, attribute: str) -> AttributeValue | None:
    value = image.get(attribute)
    return None if value is None or "NULL" in value else value


def _checked_target(target: object) -> Target:
    if not isinstance(target, TARGET_TYPES):
        raise AnswerError(f"the rule answered {target!r} among its targets. Answer targets only")
    return target


def _reason(error: BaseException) -> str:
    """What was raised, and the line that raised it."""
    frame, where = error.__traceback__, ""
    while frame is not None:
        where = f" ({frame.tb_frame.f_code.co_filename}:{frame.tb_lineno})"
        frame = frame.tb_next
    return f"{type(error).__name__}: {error}"[:MAX_REASON_LENGTH] + where
