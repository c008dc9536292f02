"""Queue names and queue attributes: what SQS takes, and in which words it refuses the rest.

Ranges: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
Texts: LocalStack's recordings of AWS (tests/aws/services/sqs/test_sqs.snapshot.json), boto/botocore#3058
(names), and cloudfriend#94 (FIFO names); RedrivePolicy's further texts as several public mocks quote them.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import apsw

from duestream.local.store.messages import count_messages
from duestream.local.store.queue_errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValueException,
)
from duestream.local.store.queues import Queue, get_queue, queue_name_of

#: Attribute -> lowest and highest value.
NUMBERS: Mapping[str, tuple[int, int]] = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "ContentBasedDeduplication": ("true", "false"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
    "SqsManagedSseEnabled": ("true", "false"),
    "FifoQueue": ("true", "false"),
}
DOCUMENTS = ("Policy", "RedrivePolicy", "RedriveAllowPolicy")
FIFO_ONLY = ("ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "FifoQueue")
COUNTED = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
READ_ONLY = (*COUNTED, "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn")
KNOWN = frozenset([*NUMBERS, *CHOICES, *DOCUMENTS, *READ_ONLY, "KmsMasterKeyId", "All"])

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")
_FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo\Z")
_QUEUE_ARN = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,80}\Z")
_MAX_RECEIVE_COUNT = 1000


def check_name(name: str, attributes: Mapping[str, str]) -> None:
    """Refuse a name that a queue cannot have.

    Raises:
        InvalidParameterValueException: naming the rule that is broken.
    """
    if attributes.get("FifoQueue") == "true":
        if _FIFO_NAME.match(name) is None:
            raise InvalidParameterValueException(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
                "must end with .fifo suffix and be 1 to 80 in length."
            )
    elif _NAME.match(name) is None:
        raise InvalidParameterValueException(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )


def check_attributes(
    connection: apsw.Connection, name: str, attributes: Mapping[str, str], *, creating: bool
) -> dict[str, str]:
    """The attributes as they are to be kept for the queue of this name.

    Raises:
        InvalidAttributeName: no such attribute, or not for this kind of queue.
        InvalidAttributeValue: a value out of range.
        InvalidParameterValueException: a RedrivePolicy that cannot be carried out.
    """
    is_fifo = name.endswith(".fifo")
    for attribute, value in attributes.items():
        if attribute not in KNOWN or attribute in READ_ONLY or attribute == "All":
            raise InvalidAttributeName(f"Unknown Attribute {attribute}.")
        if attribute in FIFO_ONLY and not is_fifo:
            raise InvalidAttributeName(f"Unknown Attribute {attribute}.")
        _check_value(attribute, value, creating=creating)
        if attribute == "RedrivePolicy" and value:
            _check_redrive_policy(connection, name, value)
    if attributes.get("KmsMasterKeyId") and attributes.get("SqsManagedSseEnabled") == "true":
        raise InvalidAttributeName(
            "You can use one type of server-side encryption (SSE) at one time. "
            "You can either enable KMS SSE or SQS SSE."
        )
    kept = dict(attributes)
    if "RedrivePolicy" in kept:
        kept["RedrivePolicy"] = _with_number(kept["RedrivePolicy"])
    if kept.get("KmsMasterKeyId"):
        kept["SqsManagedSseEnabled"] = "false"
    elif kept.get("SqsManagedSseEnabled") == "true":
        kept |= {"KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": ""}
    return kept


def _check_value(attribute: str, value: str, *, creating: bool) -> None:
    if attribute in NUMBERS:
        low, high = NUMBERS[attribute]
        if re.fullmatch(r"\d{1,9}", value, re.ASCII) is None or not low <= int(value) <= high:
            raise InvalidAttributeValue(f"Invalid value for the parameter {attribute}.")
    elif attribute == "FifoQueue" and value != "true" and not creating:
        raise InvalidAttributeValue(
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
        )
    elif attribute in CHOICES:
        if value not in CHOICES[attribute]:
            raise InvalidAttributeValue(f"Invalid value for the parameter {attribute}.")
    elif attribute in ("Policy", "RedriveAllowPolicy") and value and not isinstance(_parse_json(value), dict):
        raise InvalidAttributeValue(f"Invalid value for the parameter {attribute}.")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _with_number(redrive_policy: str) -> str:
    """AWS gives maxReceiveCount back as a number (getmoto/moto#2402, terraform-aws-sqs#63)."""
    policy = _parse_json(redrive_policy)
    if not isinstance(policy, dict) or not isinstance(policy.get("maxReceiveCount"), str):
        return redrive_policy
    return json.dumps(policy | {"maxReceiveCount": int(policy["maxReceiveCount"])}, separators=(",", ":"))


def _check_redrive_policy(connection: apsw.Connection, name: str, value: str) -> None:
    def refuse(reason: str) -> InvalidParameterValueException:
        return InvalidParameterValueException(
            f"Value {value} for parameter RedrivePolicy is invalid. Reason: {reason}."
        )

    policy = _parse_json(value)
    if not isinstance(policy, dict):
        raise refuse("Redrive policy is not a valid JSON map")
    for member in ("maxReceiveCount", "deadLetterTargetArn"):
        if member not in policy:
            raise refuse(f"Redrive policy does not contain mandatory attribute: {member}")
    arn, count = policy["deadLetterTargetArn"], str(policy["maxReceiveCount"])
    if re.fullmatch(r"\d{1,4}", count, re.ASCII) is None or not 1 <= int(count) <= _MAX_RECEIVE_COUNT:
        raise refuse(
            f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to {_MAX_RECEIVE_COUNT} both inclusive"
        )
    if not isinstance(arn, str) or _QUEUE_ARN.match(arn) is None:
        raise refuse("Invalid value for deadLetterTargetArn")
    dead_letter_queue = get_queue(connection, queue_name_of(arn))
    if dead_letter_queue is None:
        raise refuse("Dead letter target does not exist")
    if dead_letter_queue.is_fifo != name.endswith(".fifo"):
        raise refuse("Dead-letter queue must be same type of queue as the source.")


def first_difference(queue: Queue, attributes: Mapping[str, str]) -> str | None:
    """The first of these attributes that the queue has another value for."""
    for attribute, value in attributes.items():
        present = queue.attributes.get(attribute, "")
        if attribute in DOCUMENTS and present and value and _parse_json(present) == _parse_json(value):
            continue
        if present != value:
            return attribute
    return None


def read_attributes(connection: apsw.Connection, queue: Queue, names: Iterable[str], *, now_ms: int) -> dict[str, str]:
    """What GetQueueAttributes answers for these names; messages are counted only where asked for.

    Raises:
        InvalidAttributeName: there is no such attribute.
    """
    wanted = set(names)
    for name in wanted - KNOWN:
        raise InvalidAttributeName(f"Unknown Attribute {name}.")
    everything = "All" in wanted
    answer = {
        "QueueArn": queue.arn,
        "CreatedTimestamp": str(queue.created_at_ms // 1000),
        "LastModifiedTimestamp": str(queue.last_modified_at_ms // 1000),
        **queue.attributes,
    }
    if "KmsMasterKeyId" in queue.attributes:
        answer.setdefault("KmsDataKeyReusePeriodSeconds", "300")
    if everything or wanted.intersection(COUNTED):
        counts = count_messages(connection, queue, now_ms=now_ms)
        answer |= zip(COUNTED, map(str, (counts.visible, counts.in_flight, counts.delayed)), strict=True)
    return answer if everything else {name: value for name, value in answer.items() if name in wanted}
