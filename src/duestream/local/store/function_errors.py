"""Lambda's own errors, which the service and the engine both raise."""

from typing import Any, ClassVar

from duestream.errors import ServiceError


class LambdaError(ServiceError):
    """Base of Lambda's errors, which all say whose fault they are."""

    fault: ClassVar[str] = "User"

    def __init__(self, message: str, **members: Any) -> None:
        super().__init__(message, Type=self.fault, **members)


class ResourceNotFoundException(LambdaError):
    """There is no such function, mapping or policy."""

    status = 404


class ResourceConflictException(LambdaError):
    """There is one already."""

    status = 409


class InvalidParameterValueException(LambdaError):
    """A parameter has a value that Lambda, or this version, does not take."""


class InvalidRequestContentException(LambdaError):
    """The payload is no JSON."""


class RequestTooLargeException(LambdaError):
    """The payload is too large."""

    status = 413


def no_function(arn: str) -> ResourceNotFoundException:
    """AWS's text."""
    return ResourceNotFoundException(f"Function not found: {arn}")
