"""Checks of what a rule file declares. Each raises `RuleError` with the place and a remedy."""

import difflib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, TypedDict

from duestream.core.allowance import allow_problem
from duestream.core.recurrence import CATCH_UP_POLICIES, CatchUp
from duestream.core.rule import PAST_DUE_POLICIES, Filter, PastDue, Rule, TableDeclaration
from duestream.core.schedule import MAX_RULE_NAME_LENGTH, Retry
from duestream.core.sweep import Sweep, sweep_problem
from duestream.core.target import TARGET_TYPES, Target
from duestream.core.target_names import check_table_name
from duestream.core.timestamps import find_zone
from duestream.errors import RuleError, TimestampError

#: A Lambda function's name has 64 characters, and ours ends in ``-when-due``; a queue's has 80, and no dots.
MAX_APP_NAME_LENGTH = 55
MAX_ATTRIBUTE_LENGTH_BYTES = 65_535
_APP_NAME = re.compile(r"[0-9a-zA-Z_-]+")
_RULE_NAME = re.compile(r"[0-9a-zA-Z_.-]+")
_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"


class RuleOptions(TypedDict, total=False):
    """What a rule may be told beside its attribute and target.

    name: 1 to 40 letters, digits, ``-``, ``_`` and ``.``; unique among the table's rules.
    offset: added to the timestamp, ``-timedelta(days=1)`` for a day before; an exact length of time.
    timezone: IANA name, for timestamps without an offset (UTC).
    timezone_attribute: the item's attribute that names its own zone; where it is missing, `timezone` holds.
    when: the rule watches only items that this answers true for.
    past_due: ``deliver`` (the default), ``skip`` or ``dead_letter``, for a due time that is past when first seen.
    max_lateness: how late ``deliver`` may still deliver (15 minutes).
    retry: how long a delivery is tried (185 times, 24 hours).
    via: None (the default) for one schedule per item, or a `Sweep` of an index.
    guarded: on AWS, look at the item again before anything is invoked (False).
    allow: on AWS, what the rule uses and so may: ``["sqs:reminders"]``. What fixed targets need is allowed anyway.
    """

    name: str
    offset: timedelta
    timezone: str
    timezone_attribute: str | None
    when: Filter | None
    past_due: PastDue
    max_lateness: timedelta
    retry: Retry
    via: Sweep | None
    guarded: bool
    allow: Sequence[str] | None


class RecurringOptions(TypedDict, total=False):
    """What a recurring rule may be told beside its attribute and target.

    name: 1 to 40 letters, digits, ``-``, ``_`` and ``.``; unique among the table's rules.
    timezone: IANA name of the zone in which expressions are read (UTC).
    timezone_attribute: the item's attribute that names its own zone; where it is missing, `timezone` holds.
    start: the item's attribute with the moment before which there is no occurrence; a rate counts from it.
    end: the item's attribute with the moment after which there is none.
    when: the rule watches only items that this answers true for.
    retry: how long a delivery is tried.
    catch_up: ``deliver_last`` (the default), ``deliver_all`` or ``skip``, for occurrences that were missed.
    guarded: on AWS, look at the item again before anything is invoked (False).
    allow: on AWS, what the rule uses and so may: ``["sqs:reminders"]``. What fixed targets need is allowed anyway.
    """

    name: str
    timezone: str
    timezone_attribute: str | None
    start: str | None
    end: str | None
    when: Filter | None
    retry: Retry
    catch_up: CatchUp
    guarded: bool
    allow: Sequence[str] | None


class RecurringWhenDueOptions(RecurringOptions, total=False):
    """What a recurring rule whose function itself runs may be told: as for other recurring rules, and

    timeout: how long one attempt of the function may take (60 seconds).
    """

    timeout: timedelta


class WhenDueOptions(RuleOptions, total=False):
    """What a `when_due` rule may be told beside its attribute: as for other rules, and

    timeout: how long one attempt of the function may take (60 seconds).
    """

    timeout: timedelta


def place_of_declaration() -> str:
    """``file:line`` of the nearest caller outside this package."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, and inspect would read source files
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""


def check_app_name(name: object, location: str) -> None:
    """Refuse a name that no schedule group, queue and function could be named after."""
    if not isinstance(name, str) or not _APP_NAME.fullmatch(name) or len(name) > MAX_APP_NAME_LENGTH:
        raise RuleError(
            f"an app cannot be named {name!r}",
            remedy=f"Use 1 to {MAX_APP_NAME_LENGTH} letters, digits, - and _.",
            location=location,
        )


def check_key(table: TableDeclaration, location: str) -> None:
    """Refuse a table that DynamoDB could not have."""

    def refuse(problem: str, remedy: str) -> RuleError:
        return RuleError(f"table {table.name!r}: {problem}", remedy=remedy, location=location)

    try:
        check_table_name("the name", table.name)
    except ValueError as error:
        raise refuse(str(error).rstrip("."), "Write the name as in CreateTable.") from error
    if table.name.startswith("arn:"):
        raise refuse("a table is declared by its name, not its ARN", "Leave out what stands before the name.")
    keys: tuple[tuple[str, object], ...] = (("partition_key", table.partition_key), ("sort_key", table.sort_key))
    for option, attribute in keys:
        if attribute is not None and (not isinstance(attribute, str) or not 1 <= len(attribute.encode()) <= 255):
            raise refuse(f"{option}={attribute!r} names no attribute", "Give it the key attribute's name.")
    if table.partition_key == table.sort_key:
        raise refuse("both keys are the same attribute", "Leave sort_key out if the table has none.")
    for option, kind in (
        ("partition_key_type", table.partition_key_type),
        ("sort_key_type", table.sort_key_type),
    ):
        if kind not in ("S", "N", "B"):
            raise refuse(f"{option}={kind!r} is no key's type", "Use 'S', 'N' or 'B'.")


def check_attribute(attribute: object, location: str) -> None:
    """Refuse what is no attribute's name: also the function itself, where the decorator was not called."""
    if not isinstance(attribute, str) or not 1 <= len(attribute.encode()) <= MAX_ATTRIBUTE_LENGTH_BYTES:
        remedy = "Write the attribute's name first: @table.rule('REMINDER_TIMESTAMP')."
        raise RuleError(f"{attribute!r} is no timestamp attribute", remedy=remedy, location=location)


def check_rule_name(name: object, location: str) -> None:
    """Refuse a name that a schedule's name cannot begin with."""
    if not isinstance(name, str) or not _RULE_NAME.fullmatch(name) or len(name) > MAX_RULE_NAME_LENGTH:
        raise RuleError(
            f"a rule cannot be named {name!r}",
            remedy=f"Give it name='...' of 1 to {MAX_RULE_NAME_LENGTH} letters, digits, -, _ and .",
            location=location,
        )


def name_of(function: Callable[..., Any]) -> str:
    """A rule's name from its function."""
    return str(getattr(function, "__name__", function))


def derived_name(attribute: object, targets: Sequence[Target]) -> str:
    """A rule's name from its attribute and the kinds of its targets: ``expires_at-delete-item``."""
    kinds = dict.fromkeys(target.kind for target in targets)
    return re.sub(r"[^0-9a-z_.-]+", "-", "-".join([str(attribute).lower(), *kinds]))


def check_fixed_targets(target: object, location: str) -> tuple[Target, ...]:
    """The targets of a rule that does not depend on the item."""
    targets = tuple(target) if isinstance(target, list | tuple) else (target,)
    for one in targets:
        if not isinstance(one, TARGET_TYPES):
            kinds = ", ".join(kind.__name__ for kind in TARGET_TYPES)
            raise RuleError(f"{one!r} is no target", remedy=f"Give the rule one of {kinds}.", location=location)
    if not targets:
        raise RuleError("a rule without targets does nothing", remedy="Give it one.", location=location)
    return targets


def check_rule_function(function: object, location: str) -> None:
    """Refuse what cannot be called with an item, or would not answer at once."""
    checked = _check_callable(function, "a rule", "def name(item): ...", ("item",), location)
    if _is_any(checked, inspect.iscoroutinefunction, inspect.isasyncgenfunction):
        raise RuleError(
            f"{name_of(checked)} is async, but a rule only says what is to be invoked",
            remedy="Write a plain function, or use when_due for code that runs when the moment comes.",
            location=location,
        )
    if _is_any(checked, inspect.isgeneratorfunction):
        raise RuleError(f"{name_of(checked)} yields", remedy="Return a list of targets.", location=location)


def check_when_due_function(function: object, location: str) -> bool:
    """Refuse what cannot be called with an item and a `Due`; tell whether it is async."""
    checked = _check_callable(function, "a when_due rule", "def name(item, due): ...", ("item", "due"), location)
    if _is_any(checked, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        remedy = "Write a plain or async function without yield."
        raise RuleError(f"{name_of(checked)} yields, so calling it would do nothing", remedy=remedy, location=location)
    return _is_any(checked, inspect.iscoroutinefunction)


def _check_callable(
    function: object, what: str, form: str, arguments: tuple[str, ...], location: str
) -> Callable[..., Any]:
    if not callable(function):
        raise RuleError(f"{what} decorates a function, not {function!r}", remedy=f"Write {form}", location=location)
    try:
        inspect.signature(function).bind(*arguments)
    except (TypeError, ValueError) as error:
        name = name_of(function)
        raise RuleError(
            f"{name} cannot be called with ({', '.join(arguments)}): {error}", remedy=f"Write {form}", location=location
        ) from error
    return function


def _is_any(function: Callable[..., Any], *tests: Callable[[Any], bool]) -> bool:
    """Of the function, or of the ``__call__`` of an object that is used as one."""
    return any(test(function) or test(getattr(function, "__call__", None)) for test in tests)  # noqa: B004


def checked_options(
    options: Mapping[str, Any], allowed: type[RuleOptions] | type[RecurringOptions], rule: str | None, location: str
) -> dict[str, Any]:
    """The options as arguments of `Rule` (without the name, and a function's timeout)."""

    def refuse(problem: str, remedy: str) -> RuleError:
        return RuleError(problem, remedy=remedy, rule=rule, location=location)

    for name, value in options.items():
        if name == "via" and name not in allowed.__annotations__:
            raise refuse(
                "a recurring rule cannot sweep an index: an expression is no timestamp to sort one by",
                "Leave via out, or keep the next moment in the item and use rule(...) with via=Sweep(...).",
            )
        if name not in allowed.__annotations__:
            near = difflib.get_close_matches(name, allowed.__annotations__, n=1)
            remedy = f"Did you mean {near[0]}?" if near else f"There are {', '.join(allowed.__annotations__)}."
            raise refuse(f"there is no option {name}", remedy)
        problem = _option_problem(name, value)
        if problem is not None:
            raise refuse(*problem)
    arguments = {name: value for name, value in options.items() if name not in ("name", "timeout")}
    if arguments.get("allow") is not None:
        arguments["allow"] = tuple(arguments["allow"])
    return arguments


def _option_problem(name: str, value: Any) -> tuple[str, str] | None:
    match name:
        case "offset" | "max_lateness" | "timeout" if not isinstance(value, timedelta):
            return (
                f"{name}={value!r} is no timedelta",
                f"Write {name}=timedelta(minutes=...), so that the unit is said.",
            )
        case "max_lateness" if value < timedelta(0):
            return f"max_lateness={value!r} is negative", "Write timedelta(0) for: only on time."
        case "timeout" if value <= timedelta(0):
            return f"timeout={value!r} leaves no time", "Write a positive timedelta."
        case "past_due" if value not in PAST_DUE_POLICIES:
            return f"past_due={value!r} is no policy", f"Write one of {', '.join(map(repr, PAST_DUE_POLICIES))}."
        case "catch_up" if value not in CATCH_UP_POLICIES:
            return f"catch_up={value!r} is no policy", f"Write one of {', '.join(map(repr, CATCH_UP_POLICIES))}."
        case "retry" if not isinstance(value, Retry):
            return f"retry={value!r} is no Retry", "Write retry=Retry(attempts=..., max_age=timedelta(...))."
        case "timezone":
            return _timezone_problem(value)
        case "timezone_attribute" | "start" | "end" if value is not None and (not isinstance(value, str) or not value):
            return f"{name}={value!r} names no attribute", "Write the attribute's name."
        case "via" | "allow":
            return sweep_problem(value) if name == "via" else allow_problem(value)
        case "guarded" if not isinstance(value, bool):
            return f"guarded={value!r} is neither True nor False", "Write guarded=True, or leave it out."
        case "when" if value is not None:
            return _filter_problem(value)
    return None


def check_sweep(rule: Rule, options: Mapping[str, Any], others: Iterable[Rule]) -> None:
    """Refuse what a `Sweep` cannot do, and what it and a `when_due` function do anyway.

    Args:
        rule: as it would be.
        options: those that were given.
        others: the table's rules so far.

    Raises:
        RuleError: it cannot be used as written.
    """

    def refuse(problem: str, remedy: str) -> RuleError:
        return RuleError(problem, remedy=remedy, rule=rule.name, location=rule.location)

    if "guarded" in options and rule.when_due is not None:
        raise refuse(
            "guarded means nothing to a function that runs when due", "Leave it out: it always gets the item as it is."
        )
    if rule.via is None:
        return
    for option, remedy in _NOT_WITH_SWEEP.items():
        if options.get(option) is not None:
            raise refuse(f"{option} and via=Sweep(...) do not go together", remedy)
    shard_attribute = rule.via.shard_attribute
    if shard_attribute in (rule.attribute, rule.table.partition_key, rule.table.sort_key):
        raise refuse(
            f"Sweep(shard_attribute={shard_attribute!r}) is the rule's attribute or in the table's key",
            "Give the index a partition key of its own, which can be removed once an item is done with.",
        )
    for other in others:
        if other.via is not None and shard_attribute == other.via.shard_attribute:
            raise refuse(
                f"rule {other.name!r} sweeps by {shard_attribute!r} already, and takes items out of the index",
                "Give each of the rules an index and a shard_attribute of its own.",
            )
        if other.via is not None and rule.via.index == other.via.index:
            raise refuse(
                f"rule {other.name!r} sweeps {rule.via.index!r} already", "Give each rule an index of its own."
            )


_NOT_WITH_SWEEP = {
    "when": "Leave when out, and the shard attribute too in items that the rule is not for: those are not in the index.",
    "past_due": "Leave past_due out: a sweep acts on whatever in the index is due.",
    "max_lateness": "Leave max_lateness out: a sweep acts on whatever in the index is due.",
    "timezone_attribute": "Keep timestamps in UTC: an index of times in several zones is not in the order of time.",
    "guarded": "Leave guarded out: a sweep always acts on the item as it is.",
}


def _timezone_problem(value: object) -> tuple[str, str] | None:
    try:
        find_zone(str(value))
    except TimestampError:
        return f"timezone={value!r} is unknown", "Use a name of the IANA database, such as 'Asia/Bangkok' or 'UTC'."
    return None


def _filter_problem(value: object) -> tuple[str, str] | None:
    remedy = "Write when=lambda item: ..., a plain function that answers true or false."
    if not callable(value) or _is_any(value, inspect.iscoroutinefunction):
        return f"when={value!r} is no plain function", remedy
    try:
        inspect.signature(value).bind("item")
    except (TypeError, ValueError) as error:
        return f"when={value!r} cannot be called with (item): {error}", remedy
    return None
