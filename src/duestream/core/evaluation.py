"""What a rule says of an item as it is, for `why`. Runs the rule's own code."""

from typing import Any

from duestream.clock import from_ms, to_ms
from duestream.core.attributes import unmarshal_item
from duestream.core.json_text import moment_text
from duestream.core.record import Item
from duestream.core.rule import Refusal, Rule
from duestream.core.schedule import Place


def evaluate(rule: Rule, image: Item | None, place: Place) -> dict[str, Any]:
    """What a rule says of an image now: its `state`, and what it wants, if it wants something.

    Args:
        rule: any.
        image: the item; None: there is none.
        place: where targets are that the rule names without an ARN.
    """
    if image is None:
        return {"state": "no item"}
    value = image.get(rule.attribute)
    if value is None or "NULL" in value:
        return {"state": "no attribute"}
    wanted: Any = rule.wanted(image, place)
    if isinstance(wanted, Refusal):
        return {"state": wanted.kind, "reason": wanted.reason}
    if wanted is None:
        filtered = rule.when is not None and not rule.when(unmarshal_item(image))
        return {"state": "filtered" if filtered else "nothing wanted"}
    arns = [invocation.target_arn for invocation in wanted.invocations]
    recurrence = getattr(wanted, "recurrence", None)
    if recurrence is not None:
        facts = {"expression": recurrence.expression, "timezone": recurrence.timezone}
        return {"state": "wanted", "due_at_ms": None, **facts, "targets": arns}
    due_at_ms = to_ms(wanted.due_at)
    due_at = moment_text(from_ms(due_at_ms))
    said = {"state": "wanted", "due_at_ms": due_at_ms, "due_at": due_at, "targets": arns}
    if rule.via is None:
        return said
    sweep = {
        "index": rule.via.index,
        "every_minutes": rule.via.every_minutes,
        "shard_attribute": rule.via.shard_attribute,
        "shard": image.get(rule.via.shard_attribute, {}).get("S"),
        "is_read": image.get(rule.via.shard_attribute, {}).get("S") in rule.via.shard_names,
    }
    return {**said, "sweep": sweep}
