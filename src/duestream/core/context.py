"""Context attributes: what EventBridge Scheduler puts into a target's input at each attempt.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
"""

from typing import Protocol


class AttemptFacts(Protocol):
    """What an input may say of the attempt."""

    @property
    def schedule_arn(self) -> str:
        """The schedule's."""
        ...

    @property
    def scheduled_time(self) -> str:
        """The due time as ``2030-01-01T09:00:00Z``."""
        ...

    @property
    def execution_id(self) -> str:
        """16 hexadecimal digits, only of this attempt."""
        ...

    @property
    def number(self) -> int:
        """Counted from 1."""
        ...


def with_context(text: str, attempt: AttemptFacts) -> str:
    """Replace EventBridge Scheduler's context attributes."""
    if "<aws.scheduler." not in text:
        return text
    for keyword, value in (
        ("schedule-arn", attempt.schedule_arn),
        ("scheduled-time", attempt.scheduled_time),
        ("execution-id", attempt.execution_id),
        ("attempt-number", str(attempt.number)),
    ):
        text = text.replace(f"<aws.scheduler.{keyword}>", value)
    return text
