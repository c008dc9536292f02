"""CloudWatch's errors. Their codes in the query protocol are the model's."""

from duestream.errors import ServiceError


class InvalidParameterValueException(ServiceError):
    """A parameter has a value that it cannot have."""


class InvalidParameterCombinationException(ServiceError):
    """Parameters that do not go together."""


class MissingRequiredParameterException(ServiceError):
    """A parameter is missing that has to be there."""


class InvalidNextToken(ServiceError):
    """The token is none that was given out."""
