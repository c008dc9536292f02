"""Errors that this package raises on purpose. Everything else that rises is a fault of ours."""

from typing import Any, ClassVar


class Error(Exception):
    """Base of every error this package raises on purpose."""


class RuleError(Error):
    """A rule, or the file that declares it, cannot be used as written.

    Args:
        problem: what is wrong, in one sentence without a full stop.
        remedy: what to write instead.
        rule: name of the rule, where one is known.
        location: ``file:line`` of the declaration, where it is known.
    """

    def __init__(self, problem: str, *, remedy: str, rule: str | None = None, location: str | None = None) -> None:
        where = f"{location}: " if location else ""
        which = f"rule {rule!r}: " if rule else ""
        super().__init__(f"{where}{which}{problem}. {remedy}")
        self.problem, self.remedy, self.rule, self.location = problem, remedy, rule, location


class TimestampError(Error):
    """A timestamp attribute cannot be read as a moment."""


class DataFolderError(Error):
    """The data folder cannot be used: another process has it, or a newer version wrote it."""


class SettingsError(Error):
    """The settings given at the door contradict each other or are incomplete."""


class DeliveryError(Error):
    """An attempt to deliver to a target outside failed.

    Args:
        code: what the far side called it, or a name of ours: ``"550"``, ``"503"``, ``"ConnectionError"``.
        message: the far side's text, or ours.
        retryable: a later attempt may go well.
        retry_after: the far side asked not to be tried again before so many seconds; None: it asked nothing.
    """

    def __init__(self, code: str, message: str, *, retryable: bool, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.retryable, self.retry_after = code, message, retryable, retry_after


class ServiceError(Error):
    """An answer of AWS's that is an error. A child's class name is AWS's error code.

    Args:
        message: AWS's text.
        members: further members of the error's body, such as ``Item`` or ``CancellationReasons``.
    """

    status: ClassVar[int] = 400
    #: The error code of the query protocol where it differs from the class name (SQS, SES).
    query_code: ClassVar[str | None] = None

    def __init__(self, message: str = "", **members: Any) -> None:
        super().__init__(message)
        self.message, self.members = message, members

    @property
    def code(self) -> str:
        """AWS's name of the error."""
        return type(self).__name__


class ValidationException(ServiceError):
    """The request is not one that AWS would carry out.

    `older_message` is the same complaint in the words of those operations of DynamoDB that have kept its older
    checks, where the two differ.
    """

    older_message: str | None = None


class SerializationException(ServiceError):
    """The request's body is not of the types that the operation's shapes ask for (JSON protocols)."""


class ConditionalCheckFailedException(ServiceError):
    """The item is not as the condition demands (DynamoDB)."""

    def __init__(self, message: str = "The conditional request failed", **members: Any) -> None:
        super().__init__(message, **members)


class ResourceNotFoundException(ServiceError):
    """The table or stream does not exist (DynamoDB; other services answer with a status of their own)."""


class InternalServerError(ServiceError):
    """We failed. The text never says more than that; the log does."""

    status = 500
