"""EventBridge Scheduler's own errors. Where no recording has AWS's text, the text is ours (SEMANTICS.md B6)."""

from duestream.errors import ServiceError


class ConflictException(ServiceError):
    """There is one already, or the request contradicts an earlier one."""

    status = 409


class ResourceNotFoundException(ServiceError):
    """There is no such schedule or group. DynamoDB's error of the same name has another status."""

    status = 404


class ServiceQuotaExceededException(ServiceError):
    """One more would be more than the quota."""

    status = 402


def no_schedule(name: str) -> ResourceNotFoundException:
    """AWS's text, recorded."""
    return ResourceNotFoundException(f"Schedule {name} does not exist.")


def no_group(name: str) -> ResourceNotFoundException:
    """In the manner of `no_schedule`; AWS's own text is not known."""
    return ResourceNotFoundException(f"Schedule group {name} does not exist.")
