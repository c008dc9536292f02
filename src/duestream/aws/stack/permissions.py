"""Who must be allowed what, from an app's rules; and what is allowed more widely than it need be."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from duestream.aws.stack.answers import Kind, answers_of
from duestream.aws.stack.grants import Grant, UnknownResourceError, grants_of, grants_of_allowance, grants_of_kind
from duestream.aws.stack.parts import Parts, only_deletes
from duestream.core.allowance import TARGET_SERVICES
from duestream.core.rule import Rule
from duestream.core.service_targets import Function, Notification, StateMachine
from duestream.core.target import (
    AwsCall,
    DeleteItem,
    Email,
    HttpRequest,
    PutItem,
    QueueMessage,
    Target,
    UpdateItem,
)
from duestream.errors import RuleError


@dataclass(slots=True)
class Permissions:
    """Grants for those who invoke targets.

    Args:
        scheduler: for EventBridge Scheduler's execution role.
        when_due: for the due function.
        sweep: for the sweep function.
        warnings: what is wider than it need be, or not allowed at all, one sentence or two each.
    """

    scheduler: list[Grant] = field(default_factory=list)
    when_due: list[Grant] = field(default_factory=list)
    sweep: list[Grant] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def permissions_of(parts: Parts) -> Permissions:
    """What an app's rules need.

    Raises:
        RuleError: a fixed `AwsCall` needs what is not known here, and its rule does not say it.
    """
    permissions = Permissions()
    tables = [table.name for table in parts.app.tables]
    for rule in parts.app.rules:
        grants = _grants(rule, tables, permissions.warnings)
        if rule.guarded or rule.when_due is not None:
            permissions.when_due += grants
        elif rule.via is None:
            permissions.scheduler += grants
        elif only_deletes(rule):
            permissions.sweep += grants
        else:  # what fails in a sweep is tried again by the due function
            permissions.sweep += grants
            permissions.when_due += grants
    return permissions


def _grants(rule: Rule, tables: Iterable[str], warnings: list[str]) -> list[Grant]:
    said = [grant for text in rule.allow or () for grant in grants_of_allowance(text)]
    if isinstance(rule.action, tuple):
        return [*said, *(grant for target in rule.action for grant in _fixed(target, rule))]
    if rule.allow is not None or rule.when_due is not None:
        return said
    return _answered(rule, tables, warnings)


def _fixed(target: Target, rule: Rule) -> Iterable[Grant]:
    try:
        return grants_of(target, rule)
    except UnknownResourceError as error:
        if rule.allow is not None:
            return ()
        raise RuleError(
            str(error),
            remedy="Say it with allow=['service:Action arn:...'], one entry for each thing that the call touches.",
            rule=rule.name,
            location=rule.location,
        ) from error


def _answered(rule: Rule, tables: Iterable[str], warnings: list[str]) -> list[Grant]:
    """What a function may answer that does not say what it uses."""
    answers = answers_of(rule)
    wide = [kind.__name__ for kind in answers.kinds if kind not in _NARROW]
    if wide:
        by = "its annotation says" if answers.told_by == "annotation" else "its file imports"
        warnings.append(
            f"rule {rule.name} answers {' or '.join(wide)}, as {by}: it is allowed to any such target of the account "
            f"and region. Say to which, as in allow=[{_example(answers.kinds)!r}]."
        )
    if AwsCall in answers.kinds:
        warnings.append(
            f"rule {rule.name} may answer an AwsCall, and none is allowed. Say which, as in "
            "allow=['s3:DeleteObject arn:aws:s3:::notes/*']."
        )
    if not answers.kinds:
        warnings.append(
            f"rule {rule.name} answers what cannot be told from its file, and nothing is allowed. Say what it uses "
            "with allow=[...], or annotate what it returns."
        )
    return [grant for kind in answers.kinds for grant in grants_of_kind(kind, tables)]


#: Kinds for which nothing wide is allowed.
_NARROW = frozenset({AwsCall, HttpRequest, PutItem, UpdateItem, DeleteItem})
_EXAMPLES = {Email: "ses", QueueMessage: "sqs", Notification: "sns", StateMachine: "states", Function: "lambda"}


def _example(kinds: Iterable[Kind]) -> str:
    service = next((_EXAMPLES[kind] for kind in kinds if kind in _EXAMPLES), "events")
    return f"{service}:{TARGET_SERVICES[service]}"
