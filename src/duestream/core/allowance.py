"""What a rule says that it uses, so that on AWS it may: ``allow=["sqs:reminders", "s3:GetObject arn:aws:s3:::notes/*"]``.

Three forms:

- ``service:name``: something that targets are sent to, in the app's own account and region. For ``ses`` the name is an
  address or a domain to send from; for ``dynamodb`` a table to put, update and delete items in.
- the ARN of such a thing, wherever it is.
- ``service:Action resource``: one action of IAM's on one resource, for all else.

Names and ARNs may have IAM's wildcards.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: Services of targets, with a name of each as an example.
TARGET_SERVICES = {
    "dynamodb": "Audit",
    "events": "default",
    "lambda": "resize",
    "ses": "clinic@example.com",
    "sns": "news",
    "sqs": "reminders",
    "states": "billing",
}
_NAME = r"(?P<service>[a-z]+):(?P<name>[^\s:]+(?::[^\s:]+)?)"
_is_action = re.compile(r"(?P<action>[a-z0-9-]+:[A-Z][A-Za-z0-9]*\*?) (?P<resource>arn:[^\s:]*:\S+|\*)").fullmatch
_is_name = re.compile(_NAME).fullmatch
_is_arn = re.compile(r"arn:[^\s:]+:(?P<service>[a-z]+):[^\s:]*:[^\s:]*:(?P<name>\S+)").fullmatch


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of a rule's ``allow``.

    Args:
        service: as IAM calls it: ``sqs``.
        resource: a name, or an ARN.
        action: IAM's, ``s3:GetObject``; None: whatever sends a target there.
    """

    service: str
    resource: str
    action: str | None = None


def parse_allowance(text: str) -> Allowance:
    """Read one entry.

    Raises:
        ValueError: it is none; with what to write instead.
    """
    if found := _is_action(text):
        return Allowance(found["action"].partition(":")[0], found["resource"], found["action"])
    found = _is_arn(text)
    if found and found["service"] in TARGET_SERVICES and found["service"] != "ses":
        return Allowance(found["service"], text)
    found = None if text.startswith("arn:") else _is_name(text)
    if found and found["service"] in TARGET_SERVICES:
        return Allowance(found["service"], found["name"])
    examples = ", ".join(f"{service}:{name}" for service, name in TARGET_SERVICES.items())
    raise ValueError(
        f"Write what targets are sent to ({examples}, or an ARN of one), or an action and a resource: "
        "'s3:GetObject arn:aws:s3:::notes/*'."
    )


def allow_problem(value: object) -> tuple[str, str] | None:
    """What is wrong with a rule's ``allow``, and what to write instead; None: nothing."""
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        return f"allow={value!r} is no list", "Write allow=['sqs:reminders'], with what the rule uses."
    for text in value:
        try:
            parse_allowance(text)
        except (ValueError, TypeError) as error:
            remedy = str(error) if isinstance(error, ValueError) else "Write texts, such as 'sqs:reminders'."
            return f"allow has {text!r}, which allows nothing", remedy
    return None
