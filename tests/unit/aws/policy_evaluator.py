"""Says whether IAM would allow a call, from policies alone (IAM User Guide, "Policy evaluation logic").

It knows what our policies have: Allow and Deny, wildcards in actions and resources, and the condition operators below.
Anything else is an error, so that no policy passes because it was not understood.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

Effect = Literal["allowed", "denied", "not allowed"]
Statement = Mapping[str, Any]
_MEMBERS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


def evaluate(
    statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, str] | None = None
) -> Effect:
    """What comes of a call: an explicit Deny wins, else an Allow is needed.

    Args:
        statements: of all policies that count, with CloudFormation's functions filled in.
        action: ``sqs:SendMessage``.
        resource: its ARN.
        context: condition keys of the request.
    """
    effects = {statement["Effect"] for statement in statements if _applies(statement, action, resource, context or {})}
    if "Deny" in effects:
        return "denied"
    return "allowed" if "Allow" in effects else "not allowed"


def is_allowed(
    statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, str] | None = None
) -> bool:
    """Whether the call would be carried out."""
    return evaluate(statements, action, resource, context) == "allowed"


def _applies(statement: Statement, action: str, resource: str, context: Mapping[str, str]) -> bool:
    unknown = statement.keys() - _MEMBERS
    if unknown:
        raise ValueError(f"not understood: {unknown}")
    return (
        any(_is_like(pattern.lower(), action.lower()) for pattern in _list(statement["Action"]))
        # A role's trust policy has no resource: it is the role.
        and any(_is_like(pattern, resource) for pattern in _list(statement.get("Resource", "*")))
        and all(
            _holds(operator, key, _list(values), context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _holds(operator: str, key: str, values: list[str], context: Mapping[str, str]) -> bool:
    found = {name.lower(): value for name, value in context.items()}.get(key.lower())
    if operator.endswith("IfExists"):
        return found is None or _holds(operator.removesuffix("IfExists"), key, values, context)
    match operator:
        case "StringEquals" | "ArnEquals" if not any("*" in value for value in values):
            return found in values
        case "StringEqualsIgnoreCase":
            return found is not None and found.lower() in [value.lower() for value in values]
        case "StringNotEquals":
            return found not in values
        case "StringLike" | "ArnLike" | "ArnEquals":
            return found is not None and any(_is_like(value, found) for value in values)
        case "Bool":
            return found is not None and found.lower() in [value.lower() for value in values]
    raise ValueError(f"not understood: {operator} {values}")


def _is_like(pattern: str, text: str) -> bool:
    """``*`` is any text, ``?`` any character, ``${*}`` a star."""
    parts = re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    forms = {"*": ".*", "?": "."}
    expression = "".join(
        forms.get(part) or re.escape(part[2] if re.fullmatch(r"\$\{[*?$]\}", part) else part) for part in parts
    )
    return re.fullmatch(expression, text, flags=re.DOTALL) is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
