"""What `why` found on AWS of one rule, in sentences. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from duestream.aws.upkeep.dead_letter_requests import REDRIVES
from duestream.core.why_words import bare, call_words, distance, nothing_wanted, sweep_words, times

_MEND = "`duestream reconcile --repair` mends it"


def sentences(rule: Mapping[str, Any], *, now_ms: int) -> list[str]:
    """What there is to say of one rule and item: what is to come first, then what was.

    Args:
        rule: as `explaining.AwsExplainer` collects it.
        now_ms: the present moment, for lengths of time.
    """
    traces = rule["schedules"]
    pending = [trace["pending"] for trace in traces if trace["pending"] is not None]
    told = [_pending(one, now_ms) for one in pending]
    # A schedule that redrives a letter has the name of the item's own, but is not that.
    own = [one for one in pending if not str(one["description"] or "").startswith(REDRIVES)]
    if own:
        told += [_finding(finding) for finding in rule["findings"] if finding["kind"] != "missing"]
    elif not pending or (rule["item_says"].get("due_at_ms") or now_ms) > now_ms:
        told += _why_nothing_comes(rule, rule["item_says"], traces, now_ms)
    for trace in traces:
        if trace["delivery"] is not None:
            told.append(_delivery(trace["delivery"]))
        told += [_letter(letter) for letter in trace["dead_letters"][-3:]]
    return told


def _pending(pending: Mapping[str, Any], now_ms: int) -> str:
    if pending["due_at"] is None:
        return f"Its schedule stands ({pending['expression']}), and is due no more."
    is_one_time = str(pending["expression"]).startswith("at(")
    recurs = "" if is_one_time else f"{pending['expression']}, next "
    when = f"{recurs}due {pending['due_at']} ({distance(pending['due_at_ms'] - now_ms)}), "
    when += call_words(pending["target_arn"])
    if pending["state"] != "ENABLED":
        return f"Will not be delivered: its schedule is disabled ({when})."
    again = f" ({bare(pending['description'])})" if pending["description"] else ""
    if pending["due_at_ms"] > now_ms:
        return f"Will be delivered: {when}{again}."
    return f"Is being delivered, or tried again: {when}{again}. EventBridge Scheduler does not tell its attempts."


def _finding(finding: Mapping[str, Any]) -> str:
    if finding["kind"] == "orphaned":
        why = "the item asks for no such schedule"
    else:
        why = f"the item asks for another one ({finding['detail']})"
    return f"The schedule is wrong: {why}. If nobody has just written the item, {_MEND}."


def _why_nothing_comes(
    rule: Mapping[str, Any], said: Mapping[str, Any], traces: Sequence[Mapping[str, Any]], now_ms: int
) -> list[str]:
    """Why there is no schedule."""
    nothing = nothing_wanted(rule, said)
    if nothing is not None:
        return [nothing]
    not_there = (
        "there is no schedule for it: the stream function has not come to the item's last write yet, or it was written "
        "before the rule was there, or the schedule was deleted. `duestream reconcile --repair` makes it"
    )
    if said["due_at_ms"] is None:
        asked = f"The item asks for {said['expression']} in {said['timezone']}"
        is_missing = any(finding["kind"] == "missing" for finding in rule["findings"])
        return [f"{asked}, but {not_there}." if is_missing else f"{asked}, which has no occurrence to come."]
    when = f"{said['due_at']} ({distance(said['due_at_ms'] - now_ms)})"
    if "sweep" in said:
        return [sweep_words(said["sweep"], when)]
    if said["due_at_ms"] > now_ms:
        return [f"The item asks for {when}, but {not_there}."]
    if any(trace["delivery"] is not None or trace["dead_letters"] for trace in traces):
        return [f"The item asks for {when}, which was past; what came of it stands below."]
    why = "EventBridge Scheduler has delivered it, or it was never made. Which of both, AWS does not tell"
    return [f"The item asks for {when}, and no schedule waits: {why}; it is not in the dead letters."]


def _delivery(mark: Mapping[str, Any]) -> str:
    """What the due function put down; it keeps that for two days."""
    attempt = mark["attempt"]
    match mark["state"], mark["outcome"]:
        case "done", "delivered":
            return f"The due function has delivered it, in attempt {attempt}."
        case "done", _:
            return f"The due function gave it up after {times(attempt, 'attempt')}."
        case "failed", _:
            next_at = mark["next_attempt_at"]
            then = "the next one is not scheduled" if next_at is None else f"the next one is at {next_at}"
            return f"The due function's attempt {attempt} failed; {then}."
        case _:
            return f"The due function makes attempt {attempt}, until {mark['until']} at the latest."


def _letter(letter: Mapping[str, Any]) -> str:
    kind = ", a stream record" if letter["kind"] == "record" else ""
    given_up = f" after {times(letter['attempts'], 'attempt')}" if letter.get("attempts") else ""
    return (
        f"Dead letter {letter['id']} of {letter['at']}{kind}, given up{given_up}: {bare(letter['reason'])}. It waits in "
        f"{letter['queue']}: `duestream dead-letters redrive --app APP {letter['id']}`."
    )
