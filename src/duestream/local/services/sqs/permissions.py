"""AddPermission and RemovePermission: statements of the queue's policy, which is kept and shown but not enforced.

Texts: moto's tests (``test_add_permission_errors``, ``test_remove_permission_errors``), limits: SQS API reference.
"""

import json
from typing import Any

from duestream.local.services.context import RequestContext
from duestream.local.services.sqs.queues import Answer, Parameters, queue_name, require_queue
from duestream.local.store import queues
from duestream.local.store.queue_errors import (
    InvalidParameterValueException,
    MissingRequiredParameterException,
    OverLimit,
)
from duestream.local.store.queues import Queue
from duestream.local.store.writer import Transaction

MAX_ACTIONS = 7
#: What AddPermission can allow, by the API reference; ``*`` is everything.
ACTIONS = frozenset(
    {
        "*",
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "PurgeQueue",
        "ReceiveMessage",
        "SendMessage",
    }
)


async def add_permission(context: RequestContext, parameters: Parameters) -> Answer:
    """AddPermission: a statement under this label, for the accounts and actions that are named."""
    name, label = queue_name(parameters), parameters["Label"]
    accounts, actions = _accounts_and_actions(parameters)

    def add(tx: Transaction) -> None:
        queue = require_queue(tx.connection, name)
        policy = _policy_of(queue)
        if any(statement.get("Sid") == label for statement in policy["Statement"]):
            raise InvalidParameterValueException(
                f"Value {label} for parameter Label is invalid. Reason: Already exists."
            )
        roots = [f"arn:aws:iam::{account}:root" for account in accounts]
        policy["Statement"].append(
            {
                "Sid": label,
                "Effect": "Allow",
                "Principal": {"AWS": _one_or_all(roots)},
                "Action": _one_or_all([f"SQS:{action}" for action in actions]),
                "Resource": queue.arn,
            }
        )
        _keep(context, tx, queue, policy)

    await context.store.write(add)
    return {}


async def remove_permission(context: RequestContext, parameters: Parameters) -> Answer:
    """RemovePermission: the statement of this label; the policy goes with its last one."""
    name, label = queue_name(parameters), parameters["Label"]

    def remove(tx: Transaction) -> None:
        queue = require_queue(tx.connection, name)
        policy = _policy_of(queue)
        left = [statement for statement in policy["Statement"] if statement.get("Sid") != label]
        if len(left) == len(policy["Statement"]):
            raise InvalidParameterValueException(
                f"Value {label} for parameter Label is invalid. Reason: can't find label on existing policy."
            )
        _keep(context, tx, queue, policy | {"Statement": left})

    await context.store.write(remove)
    return {}


def _accounts_and_actions(parameters: Parameters) -> tuple[list[str], list[str]]:
    accounts, actions = parameters["AWSAccountIds"], parameters["Actions"]
    if not actions:
        raise MissingRequiredParameterException("Actions")
    if not accounts:
        raise InvalidParameterValueException("Value [] for parameter PrincipalId is invalid. Reason: Unable to verify.")
    if len(actions) > MAX_ACTIONS:
        raise OverLimit(f"{len(actions)} Actions were found, maximum allowed is {MAX_ACTIONS}.")
    for action in actions:
        if action not in ACTIONS:
            raise InvalidParameterValueException(
                f"Value SQS:{action} for parameter ActionName is invalid. "
                "Reason: Only the queue owner is allowed to invoke this action."
            )
    return accounts, actions


def _policy_of(queue: Queue) -> dict[str, Any]:
    present = queue.attributes.get("Policy")
    policy: dict[str, Any] = json.loads(present) if present else {}
    statements = policy.get("Statement", [])
    empty = {"Version": "2012-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy"}
    return {**empty, **policy, "Statement": statements if isinstance(statements, list) else [statements]}


def _keep(context: RequestContext, tx: Transaction, queue: Queue, policy: dict[str, Any]) -> None:
    text = json.dumps(policy, separators=(",", ":")) if policy["Statement"] else ""
    queues.set_attributes(tx, queue, {"Policy": text}, now_ms=context.clock.now_ms())


def _one_or_all(texts: list[str]) -> str | list[str]:
    """A policy's list of one is written without the list."""
    return texts[0] if len(texts) == 1 else texts
