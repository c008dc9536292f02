"""Who must be allowed what, from an app's rules; and what is allowed more widely than it need be."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from duestream.aws.stack.answers import Answers, answers_of
from duestream.aws.stack.grants import Grant, UnknownResourceError, grants_of, grants_of_kind
from duestream.aws.stack.parts import Parts
from duestream.core.rule import Rule
from duestream.core.target import AwsCall, HttpRequest
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
        if rule.via is not None:
            permissions.sweep += grants
        elif rule.guarded or rule.when_due is not None:
            permissions.when_due += grants
        else:
            permissions.scheduler += grants
    return permissions


def _grants(rule: Rule, tables: Iterable[str], warnings: list[str]) -> list[Grant]:
    if isinstance(rule.action, tuple):
        return [grant for target in rule.action for grant in _fixed(target, rule)]
    if rule.when_due is not None:
        return []
    return _answered(rule, answers_of(rule), tables, warnings)


def _fixed(target: object, rule: Rule) -> Iterable[Grant]:
    try:
        return grants_of(target, rule)  # type: ignore[arg-type]  # a rule's targets
    except UnknownResourceError as error:
        raise RuleError(
            str(error),
            remedy="Say it with allow=['service:Action arn:...'].",
            rule=rule.name,
            location=rule.location,
        ) from error


def _answered(rule: Rule, answers: Answers, tables: Iterable[str], warnings: list[str]) -> list[Grant]:
    kinds = [kind for kind in answers.kinds if kind is not HttpRequest]
    grants = [grant for kind in kinds for grant in grants_of_kind(kind, tables)]
    if AwsCall in kinds:
        warnings.append(f"rule {rule.name}: it may answer an AwsCall, and none is allowed.")
    if grants:
        names = ", ".join(kind.__name__ for kind in kinds)
        warnings.append(f"rule {rule.name}: any {names} within the account and region is allowed.")
    return grants
