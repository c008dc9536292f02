"""What `why` found of one rule, in sentences. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

#: What a rule says of an item for which it asks nothing.
_NOT_WANTED = {
    "no attribute": "the item has no {attribute}",
    "filtered": "the rule's filter (`when`) leaves this item out",
    "nothing wanted": "the rule answers that there is nothing to do",
    "unreadable timestamp": "{reason}",
    "unreadable expression": "{reason}",
    "rule raised": "the rule's code raised {reason}",
    "past due": "{reason}",
}
_NOT_PLANNED = (
    "It was written before the rule was there, or its outcome is older than what is kept. Write it again to have it "
    "planned."
)
_MANY_MS = ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


def sentences(rule: Mapping[str, Any], *, caught_up: bool, now_ms: int) -> list[str]:
    """What there is to say of one rule and item: what is to come first, then what was.

    Args:
        rule: as `why.Explainer` collects it.
        caught_up: whether planning has come past the item's last write.
        now_ms: the present moment, for lengths of time.
    """
    said, traces = rule["item_says"], rule["schedules"]
    is_pending = any(trace["pending"] is not None and trace["pending"]["due_at"] is not None for trace in traces)
    told = [
        _pending(pending, rule, now_ms)
        for trace in traces
        for pending in (*trace["under_way"], trace["pending"])
        if pending is not None and pending["due_at"] is not None
    ]
    if not is_pending:
        told += _why_nothing_comes(rule, said, traces, caught_up=caught_up, now_ms=now_ms)
    for trace in traces:
        told += _outcomes(trace)
        told += [_letter(letter) for letter in trace["dead_letters"][-3:]]
    return told


def _pending(pending: Mapping[str, Any], rule: Mapping[str, Any], now_ms: int) -> str:
    is_next = not pending["is_apart"] and not str(pending["expression"]).startswith("at(")
    recurs = f"{pending['expression']}, next " if is_next else ""
    when = f"{recurs}due {pending['due_at']} ({distance(pending['due_at_ms'] - now_ms)}), {call_words(pending['target_arn'])}"
    if not rule["is_loaded"]:
        return f"Waits, {when}: the app that is loaded has no rule {rule['rule']}, and nobody else delivers for it."
    if pending["state"] != "ENABLED":
        return f"Will not be delivered: its schedule is disabled ({when})."
    again = ", again out of a dead letter" if pending["redrives"] else ""
    if pending["attempts"] == 0:
        verb = "Will be delivered" if pending["due_at_ms"] > now_ms else "Is being delivered"
        return f"{verb}{again}: {when}; no attempt has failed yet."
    if pending["last_failure"] is None:
        return f"Is being delivered{again}: {when}; attempt {pending['attempts']} was begun."
    made, why = times(pending["attempts"], "attempt"), bare(pending["last_failure"])
    return (
        f"Is being tried{again}: {when}; {made} made; the last one failed with {why}. "
        f"The next one is at {pending['next_attempt_at']}."
    )


def _why_nothing_comes(
    rule: Mapping[str, Any],
    said: Mapping[str, Any],
    traces: Sequence[Mapping[str, Any]],
    *,
    caught_up: bool,
    now_ms: int,
) -> list[str]:
    """Why there is no schedule that has anything to come."""
    nothing = nothing_wanted(rule, said)
    if nothing is not None:
        return [nothing]
    if said["state"] != "wanted":
        return [f"Nothing is to come: the app that is loaded has no rule {rule['rule']}."]
    if said["due_at_ms"] is None:
        asked = f"The item asks for {said['expression']} in {said['timezone']}"
        if not caught_up:
            return [f"{asked}; planning has not come to its last write yet."]
        return [f"{asked}, which has no occurrence to come."]
    when = f"{said['due_at']} ({distance(said['due_at_ms'] - now_ms)})"
    if not caught_up:
        return [f"The item asks for {when}; planning has not come to its last write yet."]
    if _is_done(said["due_at_ms"], traces):
        return []
    if "sweep" in said:
        return [sweep_words(said["sweep"], when)]
    if said["due_at_ms"] <= now_ms and any(trace["outcomes"] for trace in traces):
        return [f"The item asks for {when}, which was past; what came of it stands below."]
    return [f"The item asks for {when}, but nothing is pending and nothing is on record. {_NOT_PLANNED}"]


def nothing_wanted(rule: Mapping[str, Any], said: Mapping[str, Any]) -> str | None:
    """Why an item asks for nothing; None: it does ask, or its rule is not loaded."""
    state = said["state"]
    if state == "no item":
        return "Nothing is to come: the item is not there."
    if state not in _NOT_WANTED:
        return None
    why = _NOT_WANTED[state].format(attribute=rule["attribute"], reason=bare(said.get("reason")))
    return f"Nothing is to come: {why}."


def sweep_words(sweep: Mapping[str, Any], when: str) -> str:
    """What an index says of an item that is to be swept."""
    name, index = sweep["shard_attribute"], sweep["index"]
    if sweep["shard"] is None:
        return f"The item names {when}, but has no {name} and so is not in the index {index}: nothing is to come."
    if not sweep["is_read"]:
        return f"The item asks for {when}, but no sweep of {index} reads its {name} {sweep['shard']!r}."
    return f"The item asks for {when}: the sweep of {index}, every {sweep['every_minutes']} min, finds it then."


def _is_done(due_at_ms: int, traces: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an outcome or a letter is of the moment that the item names now; a due time is rounded up to the ms."""
    return any(trace["dead_letters"] for trace in traces) or any(
        due_at_ms <= outcome["due_at_ms"] <= due_at_ms + 1 for trace in traces for outcome in trace["outcomes"]
    )


def _outcomes(trace: Mapping[str, Any]) -> list[str]:
    """The newest outcomes, the last first."""
    told = []
    for outcome in reversed(trace["outcomes"][-3:]):
        due = f"due {outcome['due_at']}"
        because = f": {bare(outcome['reason'])}" if outcome["reason"] else ""
        match outcome["kind"]:
            case "delivered":
                late = length(outcome["lateness_ms"])
                attempts = times(outcome["attempts"], "attempt")
                told.append(f"Was delivered at {outcome['ended_at']}, {late} late ({due}; {attempts}){because}.")
            case "skipped":
                told.append(f"Was skipped at {outcome['ended_at']} ({due}){because}.")
            case "dead_lettered":
                attempts = times(outcome["attempts"], "attempt")
                told.append(f"Was given up at {outcome['ended_at']} after {attempts} ({due}){because}.")
            case "missed":
                told.append(f"Was missed{because}.")
            case _:
                told.append(f"Was dropped at {outcome['ended_at']}, and is in no queue ({due}){because}.")
    if len(trace["outcomes"]) > len(told):
        told.append(f"Before that, {times(len(trace['outcomes']) - len(told), 'outcome')} more (see --json).")
    return told


def _letter(letter: Mapping[str, Any]) -> str:
    # A delivery's reason stands in its outcome; a record has none.
    why = "" if letter["kind"] == "delivery" else f", a stream record: {bare(letter['reason'])}"
    told = f"Dead letter {letter['id']} of {letter['at']}{why}."
    match letter["state"]:
        case "waiting":
            return f"{told} It waits in {letter['queue']}: `duestream dead-letters redrive {letter['id']}`."
        case "in flight":
            return f"{told} It is in {letter['queue']}, and somebody has received it."
        case "redriven":
            return f"{told} It was redriven at {letter['ended_at']}, as {letter['ended_reason']}."
        case "dropped":
            return f"{told} It was dropped at {letter['ended_at']}: {bare(letter['ended_reason'])}."
        case state:
            return f"{told} It was in {letter['queue']}: {state}."


def times(count: int, noun: str) -> str:
    """``1 attempt``, ``2 attempts``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def distance(milliseconds: int) -> str:
    """``in 2 h``, ``3 min ago``."""
    return f"in {length(milliseconds)}" if milliseconds >= 0 else f"{length(-milliseconds)} ago"


def length(milliseconds: int) -> str:
    """A length of time, in the unit that reads well."""
    for size, unit in _MANY_MS:
        if milliseconds >= 2 * size:
            return f"{milliseconds / size:.1f} {unit}".replace(".0 ", " ")
    return f"{milliseconds} ms"


def bare(reason: str | None) -> str:
    """A reason without its full stop, as a part of a sentence."""
    return (reason or "").removesuffix(".")


def call_words(target_arn: str | None) -> str:
    """What is called: ``by ses:sendEmail``, ``by sqs reminders``, or by the ARN."""
    arn = target_arn or ""
    call = arn.partition(":aws-sdk:")[2]
    if call:
        return f"by {call}"
    parts = arn.split(":", 5)
    return f"by {parts[2]} {parts[5]}" if len(parts) == 6 else f"by {arn}"
