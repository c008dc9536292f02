"""What a message may hold, and its digests: pure functions, shared by SendMessage and deliveries.

Sizes and characters: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
Digests: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from duestream.local.store.queue_errors import (
    InvalidMessageContents,
    InvalidParameterValueException,
)

#: Wire form: {"DataType": ..., "StringValue": ...} or {"DataType": ..., "BinaryValue": bytes}.
MessageAttributes = Mapping[str, Mapping[str, Any]]

MAX_MESSAGE_ATTRIBUTES = 10
_ALLOWED = "#x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]"
_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}\Z")
_RESERVED_NAME = re.compile(r"(aws|amazon)\.", re.IGNORECASE)
_DATA_TYPE = re.compile(r"(String|Number|Binary)(\.[^\x00]{1,249})?\Z")
_FIFO_ID = re.compile(r"""[A-Za-z0-9!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}\Z""")


def check_contents(body: str, attributes: MessageAttributes, *, limit_bytes: int) -> None:
    """Refuse what SQS refuses of a message: characters, attributes, size.

    Raises:
        InvalidMessageContents: the body has a character that XML 1.0 has not.
        InvalidParameterValueException: the body is empty, an attribute is not well-formed, or all is too large.
    """
    # The texts of this function are AWS's: asim/nitro-plugins#437 (characters), LocalStack's recordings (size).
    if not body:
        raise InvalidParameterValueException("The request must contain the parameter MessageBody.")
    found = _NOT_ALLOWED.search(body)
    if found is not None:
        raise InvalidMessageContents(
            f"Invalid binary character '#x{ord(found[0]):X}' was found in the message body, "
            f"the set of allowed characters is {_ALLOWED}."
        )
    check_attributes(attributes)
    if size_bytes(body, attributes) > limit_bytes:
        raise InvalidParameterValueException(
            f"One or more parameters are invalid. Reason: Message must be shorter than {limit_bytes} bytes."
        )


def size_bytes(body: str, attributes: MessageAttributes) -> int:
    """The size SQS counts: the body, and the attributes' names, types and values."""
    size = len(body) if body.isascii() else len(body.encode())
    for name, attribute in attributes.items():
        size += len(name.encode()) + len(str(attribute.get("DataType")).encode()) + len(_value_bytes(attribute))
    return size


def check_attributes(attributes: MessageAttributes, *, kind: str = "user") -> None:
    """Refuse message attributes that SQS refuses.

    Raises:
        InvalidParameterValueException: naming the attribute.
    """
    # Empty value: recorded by LocalStack. The other texts stand in public error reports of the AWS SDKs.
    if len(attributes) > MAX_MESSAGE_ATTRIBUTES:
        raise InvalidParameterValueException(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [{MAX_MESSAGE_ATTRIBUTES}]."
        )
    for name, attribute in attributes.items():
        if not _is_attribute_name(name):
            raise InvalidParameterValueException(
                f"Message ({kind}) attribute name '{name}' is invalid. "
                "Attribute name can contain A-Z, a-z, 0-9, underscore (_), hyphen (-), and period (.) characters."
            )
        data_type = attribute.get("DataType") or ""
        if not data_type:
            raise InvalidParameterValueException(
                f"The message attribute '{name}' must contain a non-empty message attribute type."
            )
        if _DATA_TYPE.match(data_type) is None:
            # grafana/k6-jslib-aws#65 (2023) quotes AWS.
            raise InvalidParameterValueException(
                f"The type of message ({kind}) attribute '{name}' is invalid. "
                "You must use only the following supported type prefixes: Binary, Number, String."
            )
        _check_value(name, data_type, attribute, kind)


def check_system_attributes(attributes: MessageAttributes) -> None:
    """Refuse what is not a message system attribute: there is only AWSTraceHeader.

    Raises:
        InvalidParameterValueException: naming the attribute.
    """
    check_attributes(attributes, kind="system")
    for name, attribute in attributes.items():
        if name != "AWSTraceHeader":
            raise InvalidParameterValueException(f"Message system attribute name '{name}' is invalid.")
        if attribute["DataType"] != "String":
            raise InvalidParameterValueException(
                f"The type of message (system) attribute '{name}' is invalid. You must use only the String type."
            )


def _is_attribute_name(name: str) -> bool:
    return (
        _ATTRIBUTE_NAME.match(name) is not None
        and _RESERVED_NAME.match(name) is None
        and not name.startswith(".")
        and not name.endswith(".")
        and ".." not in name
    )


def _check_value(name: str, data_type: str, attribute: Mapping[str, Any], kind: str) -> None:
    base = data_type.partition(".")[0]
    value = attribute.get("BinaryValue" if base == "Binary" else "StringValue")
    if not value:
        raise InvalidParameterValueException(
            f"Message ({kind}) attribute '{name}' must contain a non-empty value of type '{base}'."
        )
    if base == "Binary":
        return
    found = _NOT_ALLOWED.search(value)
    if found is not None:
        raise InvalidParameterValueException(
            f"Invalid binary character '#x{ord(found[0]):X}' was found in the message attribute '{name}', "
            f"the set of allowed characters is {_ALLOWED}."
        )
    if base == "Number" and not _is_number(value):
        raise InvalidParameterValueException(
            f"Could not cast message attribute '{name}' value to number."  # numbers go to 38 digits, 10^-128 to 10^126
        )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text, re.ASCII) is not None


def check_fifo_id(value: str, parameter: str) -> None:
    """Refuse a MessageGroupId or MessageDeduplicationId of other characters, or of more than 128.

    Raises:
        InvalidParameterValueException: naming the parameter.
    """
    if _FIFO_ID.match(value) is None:
        raise InvalidParameterValueException(
            f"Value {value} for parameter {parameter} is invalid. Reason: {parameter} can only include alphanumeric "
            "and punctuation characters. 1 to 128 in length."
        )


def md5_of_text(text: str) -> str:
    """The digest that SDKs compare with their own of the body they sent or received."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: MessageAttributes) -> str:
    """The digest of message attributes: names in order, each part with its length before it."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        attribute = attributes[name]
        value = _value_bytes(attribute)
        for part in (name.encode(), attribute["DataType"].encode()):
            digest.update(len(part).to_bytes(4, "big") + part)
        transport = b"\x02" if attribute["DataType"].startswith("Binary") else b"\x01"
        digest.update(transport + len(value).to_bytes(4, "big") + value)
    return digest.hexdigest()


def _value_bytes(attribute: Mapping[str, Any]) -> bytes:
    if str(attribute.get("DataType")).startswith("Binary"):
        return bytes(attribute.get("BinaryValue") or b"")
    return str(attribute.get("StringValue") or "").encode()
