"""Which parts of the stack an app needs."""

from dataclasses import dataclass

from duestream.aws.stack.answers import answers_of
from duestream.core.app import App
from duestream.core.rule import Rule
from duestream.core.target import DeleteItem, HttpRequest


@dataclass(frozen=True, slots=True)
class Parts:
    """An app's rules, by who sees to them.

    Args:
        app: the app.
        streamed: rules that the stream function plans for.
        when_due: rules that need the due function, for some of their targets or for what fails.
        swept: rules with ``via=Sweep(...)``.
    """

    app: App
    streamed: tuple[Rule, ...]
    when_due: tuple[Rule, ...]
    swept: tuple[Rule, ...]

    @property
    def streamed_tables(self) -> tuple[str, ...]:
        """Tables whose stream is read, in the order of their declaration."""
        return tuple(dict.fromkeys(rule.table.name for rule in self.streamed))


def parts_of(app: App) -> Parts:
    """Sort an app's rules. One may be in two sorts."""
    return Parts(
        app,
        streamed=tuple(rule for rule in app.rules if rule.via is None),
        when_due=tuple(rule for rule in app.rules if _needs_due_function(rule)),
        swept=tuple(rule for rule in app.rules if rule.via is not None),
    )


def only_deletes(rule: Rule) -> bool:
    """It deletes its own item and does nothing else: a sweep does that by itself."""
    action = rule.action
    return isinstance(action, tuple) and all(isinstance(one, DeleteItem) and one.is_own_item for one in action)


def _needs_due_function(rule: Rule) -> bool:
    """It runs a function or looks at the item again, it may call an HTTP server, or sweeps hand over what fails."""
    if rule.guarded or rule.when_due is not None or HttpRequest in answers_of(rule).kinds:
        return True
    return rule.via is not None and not only_deletes(rule)
