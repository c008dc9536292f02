"""Resource-based policies: which documents DynamoDB takes, and the form in which it gives them back.

Source: ack-api-quirks, DDB-TABLE-207, -208, -211 and -351 to -356 (recorded from AWS, 2026-10-09). What is marked as
ours below was not recorded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from duestream.errors import ValidationException
from duestream.local.services.dynamodb.requests import INVALID

#: Of the document as it was sent, white space included.
MAX_BYTES = 20480
#: What IAM takes a document for that names no version.
DEFAULT_VERSION = "2008-10-17"

_DOCUMENT = f"{INVALID}Invalid policy document: "
_NO_JSON = f"{_DOCUMENT}This policy contains invalid Json"
_UNBOUNDED = (
    "Resource-based policy grants unbounded access in one or more elements. "
    "Please revise the policy to ensure least-privilege form of access"
)
#: The order of a statement's members; the first two of each pair exclude one another.
_MEMBERS = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)
_REQUIRED = (("Effect",), ("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource"))
_EFFECTS = {"allow": "Allow", "deny": "Deny"}
#: Only a stream's policy may name these.
_STREAM_ACTIONS = frozenset({"dynamodb:describestream", "dynamodb:getrecords", "dynamodb:getsharditerator"})


def canonical(document: str, *, of_table: bool, partition: str) -> str:
    """A policy as it is kept: without white space, its members in order, lists of one element as the element.

    Args:
        document: the policy as it was sent.
        of_table: it is for a table, not for a stream.
        partition: such as ``aws``, for the ARNs of accounts that are named by their numbers.

    Raises:
        ValidationException: it is no policy, or one that DynamoDB refuses.
    """
    encoded = document.encode()
    if len(encoded) > MAX_BYTES:
        raise ValidationException(f"{INVALID}Maximum policy size of {MAX_BYTES} bytes exceeded")
    try:
        policy: Any = msgspec.json.decode(encoded)
    except (msgspec.DecodeError, RecursionError):
        raise ValidationException(_NO_JSON) from None
    if not isinstance(policy, dict):
        raise ValidationException(_NO_JSON)
    given = policy.get("Statement", [])
    statements = [_statement(one, partition) for one in (given if isinstance(given, list) else [given])]
    if not statements:
        raise ValidationException(f"{_DOCUMENT}Could not parse the policy: Statement is empty!")
    ids = [one["Sid"] for one in statements if "Sid" in one]
    if len(set(map(str, ids))) < len(ids):
        raise ValidationException(f"{_DOCUMENT}The Statement Ids in the policy are not unique")
    if of_table:
        _refuse_stream_actions(statements)
    if any(_is_unbounded(one) for one in statements):
        raise ValidationException(_UNBOUNDED)
    head = {name: policy[name] for name in ("Version", "Id") if name in policy}
    return msgspec.json.encode({**head, "Statement": statements}).decode()


def shown(kept: str) -> str:
    """A kept policy as it is given back: with the version that one without a version has."""
    policy: dict[str, Any] = msgspec.json.decode(kept)
    return msgspec.json.encode({"Version": DEFAULT_VERSION, **policy}).decode()


def _statement(given: Any, partition: str) -> dict[str, Any]:
    """One statement, in order. The texts are ours but for the one of a missing Resource."""
    if not isinstance(given, dict):
        raise ValidationException(f"{_DOCUMENT}A statement is no JSON object")
    for names in _REQUIRED:
        if not any(name in given for name in names):
            raise ValidationException(f"{_DOCUMENT}Missing required field {names[0]}")
    if unknown := [name for name in given if name not in _MEMBERS]:
        raise ValidationException(f"{_DOCUMENT}A statement has no member {unknown[0]}")
    effect = _EFFECTS.get(str(given["Effect"]).lower())
    if effect is None:
        raise ValidationException(f"{_DOCUMENT}Invalid effect: {given['Effect']}")
    statement = {name: given[name] for name in _MEMBERS if name in given} | {"Effect": effect}
    for name in ("Principal", "NotPrincipal"):
        if name in statement:
            statement[name] = _principal(statement[name], partition)
    for name in ("Action", "NotAction", "Resource", "NotResource"):
        if name in statement:
            statement[name] = _texts(statement[name], name)
    if "Condition" in statement:
        statement["Condition"] = _condition(statement["Condition"])
    return statement


def _texts(value: Any, name: str) -> Any:
    """A text, or several of them; one that stands alone in a list comes out of it."""
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValidationException(f"{_DOCUMENT}{name} is neither a text nor a list of texts")
    return _alone(texts)


def _principal(value: Any, partition: str) -> Any:
    """Accounts by their numbers become the ARNs of their roots; who is named twice is named once."""
    if value == "*":
        return value
    if not isinstance(value, dict) or not value:
        raise ValidationException(f"{INVALID}Invalid principal in policy document.")
    principal = {}
    for kind, given in value.items():
        names = given if isinstance(given, list) else [given]
        if not names or not all(isinstance(name, str) for name in names):
            raise ValidationException(f"{INVALID}Invalid principal in policy document.")
        if kind == "AWS":
            names = [f"arn:{partition}:iam::{name}:root" if _is_account(name) else name for name in names]
        principal[kind] = _alone(list(dict.fromkeys(names)))
    return principal


def _is_account(name: str) -> bool:
    return len(name) == 12 and name.isdecimal()


def _condition(value: Any) -> Any:
    if not isinstance(value, dict) or not all(isinstance(operands, dict) for operands in value.values()):
        raise ValidationException(f"{_DOCUMENT}Condition is no JSON object of JSON objects")
    return {
        operator: {key: _alone(given) if isinstance(given, list) else given for key, given in operands.items()}
        for operator, operands in value.items()
    }


def _alone(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _refuse_stream_actions(statements: Sequence[Mapping[str, Any]]) -> None:
    wrong = []
    for statement in statements:
        actions = statement.get("Action", statement.get("NotAction"))
        wrong += [
            one for one in (actions if isinstance(actions, list) else [actions]) if one.lower() in _STREAM_ACTIONS
        ]
    if wrong:
        names = ", ".join(f'"{name}"' for name in wrong)
        raise ValidationException(f"{_DOCUMENT}The following action names are invalid: {names}")


def _is_unbounded(statement: Mapping[str, Any]) -> bool:
    """Whether it allows something to everyone; a condition bounds it (which ones do was not recorded)."""
    if statement["Effect"] != "Allow" or statement.get("Condition"):
        return False
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return named == "*" or (isinstance(named, list) and "*" in named)
