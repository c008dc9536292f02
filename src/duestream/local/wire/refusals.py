"""Errors that the wire itself answers with, before any service has seen the request. AWS's names and texts.

`status` is what AWS's query and REST services use; DynamoDB answers 400 to all of them (`codec.status_of`).
"""

from collections.abc import Iterable

from duestream.core.forwarding import REMEDY
from duestream.errors import ServiceError


class SerializationException(ServiceError):
    """The body cannot be read as what the operation takes."""

    query_code = "MalformedInput"


class UnknownOperationException(ServiceError):
    """No operation, or no service, of this name is served here."""

    query_code = "InvalidAction"


class ValidationError(ServiceError):
    """A parameter breaks the model's constraints (SES, STS)."""


class BadRequestException(ServiceError):
    """A parameter breaks the model's constraints (SES v2)."""


class MissingParameter(ServiceError):
    """A required parameter was not given (SQS)."""


class MissingAuthenticationTokenException(ServiceError):
    """The request carries no signature at all."""

    status = 403
    query_code = "MissingAuthenticationToken"


class IncompleteSignatureException(ServiceError):
    """The signature lacks a part, or a part cannot be read."""

    status = 403
    query_code = "IncompleteSignature"


class InvalidSignatureException(ServiceError):
    """The signature is not that of this request, or too old."""

    status = 403
    query_code = "SignatureDoesNotMatch"


class UnrecognizedClientException(ServiceError):
    """The access key is not one of ours."""

    status = 403
    query_code = "InvalidClientTokenId"


class InternalFailure(ServiceError):
    """We failed (every service but DynamoDB and Scheduler, which have names of their own)."""

    status = 500


class InternalServerException(ServiceError):
    """We failed (Scheduler)."""

    status = 500


def unknown_operation(service: str, operation: str, served: Iterable[str]) -> UnknownOperationException:
    """AWS gives no reason here; ours says what there is."""
    names = ", ".join(sorted(served))
    return UnknownOperationException(
        f"{operation!r} is not an operation of {service} that is served here. Served: {names}."
    )


def unknown_service(what: str, served: Iterable[str]) -> UnknownOperationException:
    """For a request to a service that we do not have."""
    names = ", ".join(sorted(served))
    return UnknownOperationException(f"{what} is not served here. Served services: {names}. {REMEDY}")
