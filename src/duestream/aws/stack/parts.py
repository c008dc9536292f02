"""Which parts of the stack an app needs."""

from dataclasses import dataclass

from duestream.aws.stack.answers import answers_of
from duestream.core.app import App
from duestream.core.rule import Rule
from duestream.core.target import HttpRequest


@dataclass(frozen=True, slots=True)
class Parts:
    """An app's rules, by who invokes their targets.

    Args:
        app: the app.
        scheduled: rules whose targets EventBridge Scheduler may invoke itself.
        when_due: rules that need the due function, for some of their targets at least.
        swept: rules with ``via=Sweep(...)``.
    """

    app: App
    scheduled: tuple[Rule, ...]
    when_due: tuple[Rule, ...]
    swept: tuple[Rule, ...]

    @property
    def streamed(self) -> tuple[Rule, ...]:
        """Rules that the stream function plans for."""
        return tuple(rule for rule in self.app.rules if rule.via is None)

    @property
    def streamed_tables(self) -> tuple[str, ...]:
        """Tables whose stream is read, in the order of their declaration."""
        return tuple(dict.fromkeys(rule.table.name for rule in self.streamed))


def parts_of(app: App) -> Parts:
    """Sort an app's rules. One that has, or may answer, an `HttpRequest` beside other targets is in two sorts."""
    streamed = [rule for rule in app.rules if rule.via is None]
    return Parts(
        app,
        scheduled=tuple(rule for rule in streamed if not _runs_when_due(rule)),
        when_due=tuple(rule for rule in streamed if _runs_when_due(rule) or HttpRequest in answers_of(rule).kinds),
        swept=tuple(rule for rule in app.rules if rule.via is not None),
    )


def _runs_when_due(rule: Rule) -> bool:
    return rule.guarded or rule.when_due is not None
