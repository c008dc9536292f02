"""SQS's errors. They stand beside the store, since a delivery meets the same refusals as SendMessage.

Class names are the codes of the JSON protocol, `query_code` those that SDKs were built on. Codes, texts
and statuses were recorded against AWS by LocalStack (tests/aws/services/sqs/test_sqs.snapshot.json,
2022 to 2024), where nothing else is said.
"""

from typing import Any

from duestream.errors import ServiceError

_PREFIX = "AWS.SimpleQueueService."


class QueueDoesNotExist(ServiceError):
    """No queue has this name."""

    query_code = _PREFIX + "NonExistentQueue"

    def __init__(self, message: str = "The specified queue does not exist.", **members: Any) -> None:
        super().__init__(message, **members)


class QueueNameExists(ServiceError):
    """CreateQueue for a queue that exists with other attributes."""

    query_code = "QueueAlreadyExists"

    def __init__(self, attribute: str) -> None:
        super().__init__(f"A queue already exists with the same name and a different value for attribute {attribute}")


class PurgeQueueInProgress(ServiceError):
    """PurgeQueue within 60 seconds of the last one."""

    status = 403
    query_code = _PREFIX + "PurgeQueueInProgress"

    def __init__(self, queue_name: str) -> None:
        super().__init__(f"Only one PurgeQueue operation on {queue_name} is allowed every 60 seconds.")


class InvalidParameterValueException(ServiceError):
    """A parameter's value cannot be used."""

    query_code = "InvalidParameterValue"


class MissingRequiredParameterException(ServiceError):
    """A parameter is missing that this queue needs."""

    query_code = "MissingParameter"

    def __init__(self, parameter: str) -> None:
        super().__init__(f"The request must contain the parameter {parameter}.")


class InvalidAttributeName(ServiceError):
    """There is no such queue attribute, or not for this kind of queue."""


class InvalidAttributeValue(ServiceError):
    """A queue attribute's value cannot be used."""


class InvalidMessageContents(ServiceError):
    """The body has characters that XML 1.0 has not."""


class InvalidAddress(ServiceError):
    """The QueueUrl names no queue at all."""

    status = 404

    def __init__(self, queue_url: str) -> None:
        super().__init__(f"The address {queue_url} is not valid for this endpoint.")


class ReceiptHandleIsInvalid(ServiceError):
    """The handle was never given out for this queue."""

    status = 404

    def __init__(self, receipt_handle: str) -> None:
        super().__init__(f'The input receipt handle "{receipt_handle}" is not a valid receipt handle.')


class MessageNotInflight(ServiceError):
    """The message is visible: there is no visibility timeout to change."""

    query_code = _PREFIX + "MessageNotInflight"


class UnsupportedOperation(ServiceError):
    """What is asked for cannot be done."""

    query_code = _PREFIX + "UnsupportedOperation"


class OverLimit(ServiceError):
    """More than SQS allows."""

    status = 403


class EmptyBatchRequest(ServiceError):
    """A batch without entries."""

    query_code = _PREFIX + "EmptyBatchRequest"

    def __init__(self, entry_type: str) -> None:
        super().__init__(f"There should be at least one {entry_type} in the request.")


class TooManyEntriesInBatchRequest(ServiceError):
    """A batch of more than 10."""

    query_code = _PREFIX + "TooManyEntriesInBatchRequest"

    def __init__(self, count: int) -> None:
        super().__init__(f"Maximum number of entries per request are 10. You have sent {count}.")


class BatchEntryIdsNotDistinct(ServiceError):
    """Two entries of a batch share an Id."""

    query_code = _PREFIX + "BatchEntryIdsNotDistinct"

    def __init__(self, entry_id: str) -> None:
        super().__init__(f"Id {entry_id} repeated.")


class InvalidBatchEntryId(ServiceError):
    """An entry's Id has other characters than AWS takes."""

    query_code = _PREFIX + "InvalidBatchEntryId"

    def __init__(self) -> None:
        super().__init__(
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
            "It can be at most 80 letters long."
        )


class BatchRequestTooLong(ServiceError):
    """The messages of a batch are larger, together, than a request may be."""

    query_code = _PREFIX + "BatchRequestTooLong"

    def __init__(self, limit_bytes: int, sent_bytes: int) -> None:
        super().__init__(f"Batch requests cannot be longer than {limit_bytes} bytes. You have sent {sent_bytes} bytes.")
