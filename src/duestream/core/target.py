"""Targets: what a rule answers, and what EventBridge Scheduler invokes for it.

A target checks itself when it is made, so that a mistake shows in a user's own test and in the stream record
that caused it, not hours later at its delivery. All of them raise `ValueError` with what is wrong and what to
write instead (`TypeError` for values that JSON has no form for).

The documents inside targets are requests of AWS's, under AWS's member names.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from duestream.core.attributes import marshal_item, unmarshal_item
from duestream.core.json_text import json_text
from duestream.core.record import AttributeValue, Item
from duestream.core.schedule import Invocation, Place
from duestream.core.service_targets import (
    BusEvent,
    Function,
    Notification,
    StateMachine,
    set_input,
    universal_arn,
)
from duestream.core.target_names import (
    check_action,
    check_addresses,
    check_headers,
    check_table_name,
    check_text,
    check_url,
    parse_queue,
)

#: SES refuses an email for more (SES Developer Guide, "Service quotas": 50 recipients per message).
MAX_RECIPIENTS = 50
#: SqsParameters.MessageGroupId.
MAX_GROUP_ID_LENGTH = 128
#: The API destination that stands for every `HttpRequest`; the local engine knows it by this name.
HTTP_DESTINATION = "api-destination/duestream-http"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Email:
    """An email through SES (v1 ``SendEmail``), or SMTP where the local engine has a server.

    Args:
        source: the sender, ``clinic@example.com`` or ``Clinic <clinic@example.com>``.
        to: one recipient or several; so are `cc`, `bcc` and `reply_to`.
        subject: one line.
        text: the body as plain text; at least one of `text` and `html` is needed.
        html: the body as HTML.
    """

    kind: ClassVar[str] = "email"

    source: str
    to: str | Sequence[str]
    subject: str
    text: str | None = None
    html: str | None = None
    cc: str | Sequence[str] = ()
    bcc: str | Sequence[str] = ()
    reply_to: str | Sequence[str] = ()
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_addresses("Email(source=...)", self.source)
        to = check_addresses("Email(to=...)", self.to)
        destination = {"ToAddresses": to}
        if not to:
            raise ValueError("Email(to=...) names nobody. Answer None where there is nobody to write to.")
        if cc := check_addresses("Email(cc=...)", self.cc):
            destination["CcAddresses"] = cc
        if bcc := check_addresses("Email(bcc=...)", self.bcc):
            destination["BccAddresses"] = bcc
        if sum(map(len, destination.values())) > MAX_RECIPIENTS:
            raise ValueError(f"an Email has at most {MAX_RECIPIENTS} recipients (SES's limit). Answer several emails.")
        check_text("Email(subject=...)", self.subject, one_line=True)
        body = {}
        if self.text is not None:
            body["Text"] = {"Data": check_text("Email(text=...)", self.text)}
        if self.html is not None:
            body["Html"] = {"Data": check_text("Email(html=...)", self.html)}
        if not body:
            raise ValueError("an Email without a body is not sent. Give it text=... or html=...")
        request: dict[str, Any] = {
            "Source": self.source,
            "Destination": destination,
            "Message": {"Subject": {"Data": self.subject}, "Body": body},
        }
        if reply_to := check_addresses("Email(reply_to=...)", self.reply_to):
            request["ReplyToAddresses"] = reply_to
        set_input(self, _encode_texts(request))

    def invocation(self, place: Place) -> Invocation:
        """SES's ``sendEmail``, universal: there is no templated target for SES."""
        return Invocation(universal_arn("ses", "sendEmail", place.partition), self._input)


class _Notification:
    """Stands for a body that is made when the rule knows its item."""

    def __repr__(self) -> str:
        return "NOTIFICATION"


#: The body of a `QueueMessage` that is given none: rule, table, key and due time, as JSON.
NOTIFICATION = _Notification()
#: EventBridge Scheduler puts the due time in its place, at each delivery.
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message for an SQS queue (the templated target).

    Args:
        queue: the queue's name, ARN or URL. A name is one in the app's own account and region.
        body: a text is sent as it is, anything else as JSON. Without one the message says as JSON which rule is due
            for which item, and when: ``{"due": "2026-11-23T09:00:00Z", "key": {"id": "7"}, "rule": ..., "table": ...}``.
        group_id: the message group; for FIFO queues, and needed there.
    """

    kind: ClassVar[str] = "queue-message"

    queue: str
    body: Any = NOTIFICATION
    group_id: str | None = None
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = parse_queue(self.queue).name
        if isinstance(self.body, bytes | bytearray):
            raise TypeError("QueueMessage(body=...) is bytes. Give it text, or a value that JSON has a form for.")
        if self.is_notification:
            body = json_text({"due": SCHEDULED_TIME})
        else:
            body = self.body if isinstance(self.body, str) else json_text(self.body)
        if not check_text("QueueMessage(body=...)", body):
            raise ValueError("QueueMessage(body=...) is empty, which SQS refuses. Send a text or a value.")
        if name.endswith(".fifo"):
            if not self.group_id or len(self.group_id) > MAX_GROUP_ID_LENGTH:
                raise ValueError(
                    f"queue {name!r} is a FIFO queue. Give the QueueMessage a group_id=... of 1 to "
                    f"{MAX_GROUP_ID_LENGTH} characters."
                )
        elif self.group_id is not None:
            raise ValueError(f"queue {name!r} is no FIFO queue (no .fifo at its end). Leave group_id out.")
        set_input(self, body)

    @property
    def is_notification(self) -> bool:
        """Whether the body is left to the rule."""
        return self.body is NOTIFICATION

    def invocation(self, place: Place) -> Invocation:
        """The queue's ARN, with the body as input."""
        return Invocation(parse_queue(self.queue).arn(place), self._input, self.group_id)

    def notification(self, place: Place, *, rule: str, table_name: str, key: Item) -> Invocation:
        """As `invocation`, with a body that says what is due."""
        text = json_text({"due": SCHEDULED_TIME, "key": unmarshal_item(key), "rule": rule, "table": table_name})
        return Invocation(parse_queue(self.queue).arn(place), text, self.group_id)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to an HTTP server: a webhook.

    The local engine sends it itself. Its target ARN looks like that of an API destination (`HTTP_DESTINATION`)
    and its input holds the whole request; EventBridge Scheduler has no such target.

    Args:
        url: ``http://`` or ``https://``.
        method: one of `METHODS`.
        headers: further headers; ``Idempotency-Key`` is duestream's and carries the delivery id.
        body: a text is sent as it is, None not at all, anything else as JSON with its ``Content-Type``.
    """

    kind: ClassVar[str] = "http-request"

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_url(self.url)
        if self.method not in METHODS:
            raise ValueError(f"HttpRequest(method={self.method!r}) is none of {', '.join(sorted(METHODS))}.")
        headers = check_headers(self.headers)
        if isinstance(self.body, bytes | bytearray):
            raise TypeError("HttpRequest(body=...) is bytes. Give it text, or a value that JSON has a form for.")
        request: dict[str, Any] = {"Url": self.url, "Method": self.method, "Headers": headers}
        if isinstance(self.body, str):
            request["Body"] = self.body
        elif self.body is not None:
            request["Body"] = json_text(self.body)
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = "application/json"
        set_input(self, json_text(request))

    def invocation(self, place: Place) -> Invocation:
        """The one API destination that stands for all of them; input: Url, Method, Headers and Body."""
        return Invocation(place.arn("events", HTTP_DESTINATION), self._input)


@dataclass(frozen=True, slots=True)
class PutItem:
    """An item put into a DynamoDB table.

    Args:
        table: the table's name or ARN.
        item: Python values; numbers as `int` or `Decimal`.
    """

    kind: ClassVar[str] = "put-item"

    table: str
    item: Mapping[str, Any]
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_table_name("PutItem(table=...)", self.table)
        item = _marshal("PutItem(item=...)", self.item)
        set_input(self, json_text({"TableName": self.table, "Item": item}))

    def invocation(self, place: Place) -> Invocation:
        """DynamoDB's ``putItem``, universal."""
        return Invocation(universal_arn("dynamodb", "putItem", place.partition), self._input)


@dataclass(frozen=True, slots=True)
class UpdateItem:
    """A DynamoDB item updated.

    Args:
        table: the table's name or ARN.
        key: the key's attributes as Python values.
        update_expression: DynamoDB's, such as ``SET #state = :overdue``.
        condition_expression: the update is left undone, and the delivery given up, where it does not hold.
        names: the expressions' ``#`` placeholders.
        values: the expressions' ``:`` placeholders, as Python values.
    """

    kind: ClassVar[str] = "update-item"

    table: str
    key: Mapping[str, Any]
    update_expression: str
    condition_expression: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_table_name("UpdateItem(table=...)", self.table)
        _check_placeholders("UpdateItem(names=...)", self.names, "#")
        _check_placeholders("UpdateItem(values=...)", self.values, ":")
        if not self.update_expression:
            raise ValueError("UpdateItem(update_expression=...) is empty. Write one, such as 'SET #state = :done'.")
        request: dict[str, Any] = {
            "TableName": self.table,
            "Key": _marshal_key("UpdateItem(key=...)", self.key),
            "UpdateExpression": self.update_expression,
        }
        if self.condition_expression is not None:
            request["ConditionExpression"] = self.condition_expression
        if self.names:
            request["ExpressionAttributeNames"] = dict(self.names)
        if self.values:
            request["ExpressionAttributeValues"] = _marshal("UpdateItem(values=...)", self.values)
        set_input(self, json_text(request))

    def invocation(self, place: Place) -> Invocation:
        """DynamoDB's ``updateItem``, universal."""
        return Invocation(universal_arn("dynamodb", "updateItem", place.partition), self._input)


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """A DynamoDB item deleted.

    ``DeleteItem()`` deletes the rule's own item, and only if the attributes that told its due time still are
    what they were, so that an item whose time was moved at the last moment lives on.

    Args:
        table: the table's name or ARN; with `key`, or not at all.
        key: the key's attributes as Python values.
    """

    kind: ClassVar[str] = "delete-item"

    table: str | None = None
    key: Mapping[str, Any] | None = None
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.table is None and self.key is None:
            set_input(self, "")
            return
        if self.table is None or self.key is None:
            raise ValueError("DeleteItem() takes both table and key, or neither of them for the rule's own item.")
        check_table_name("DeleteItem(table=...)", self.table)
        key = _marshal_key("DeleteItem(key=...)", self.key)
        set_input(self, json_text({"TableName": self.table, "Key": key}))

    @property
    def is_own_item(self) -> bool:
        """It is the rule's own item that is to be deleted."""
        return self.table is None

    def invocation(self, place: Place) -> Invocation:
        """DynamoDB's ``deleteItem``, universal. The rule's own item needs `own_invocation`."""
        if self.is_own_item:
            raise ValueError("DeleteItem() without table and key means something only to a rule.")
        return Invocation(universal_arn("dynamodb", "deleteItem", place.partition), self._input)

    @staticmethod
    def own_invocation(
        place: Place, *, table_name: str, key: Item, unchanged: Mapping[str, AttributeValue | None]
    ) -> Invocation:
        """``deleteItem`` of the rule's own item, as a universal target. See `own_request`."""
        request = DeleteItem.own_request(table_name=table_name, key=key, unchanged=unchanged)
        return Invocation(universal_arn("dynamodb", "deleteItem", place.partition), json_text(request))

    @staticmethod
    def own_request(*, table_name: str, key: Item, unchanged: Mapping[str, AttributeValue | None]) -> dict[str, Any]:
        """DeleteItem of the rule's own item on the condition that these attributes are unchanged.

        Args:
            table_name: the rule's table.
            key: the item's key.
            unchanged: attribute name to its value now, None for one that is missing. The timestamp attribute
                comes first (``#ts = :due``), after it the one that tells the time zone.
        """
        conditions, names, values = [], {}, {}
        for (attribute, value), (name, placeholder) in zip(unchanged.items(), _PLACEHOLDERS, strict=False):
            names[name] = attribute
            if value is None:
                conditions.append(f"attribute_not_exists({name})")
            else:
                conditions.append(f"{name} = {placeholder}")
                values[placeholder] = value
        return {
            "TableName": table_name,
            "Key": key,
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }


_PLACEHOLDERS = (("#ts", ":due"), ("#tz", ":tz"))


@dataclass(frozen=True, slots=True)
class AwsCall:
    """Any AWS call that changes something (a universal target).

    Args:
        service: the service's name as the SDK for JavaScript has it, lower case: ``sfn``, ``ecs``.
        action: the operation, its first letter in lower case: ``startExecution``.
        parameters: the request; every member's name begins with an upper-case letter, also where the API's
            own does not (``StateMachineArn``).
    """

    kind: ClassVar[str] = "aws-call"

    service: str
    action: str
    parameters: Mapping[str, Any]
    _input: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_action(self.service, self.action)
        for name in self.parameters:
            if not str(name)[:1].isupper():
                raise ValueError(
                    f"AwsCall(parameters=...): {name!r} must begin with an upper-case letter, as Scheduler wants it "
                    "even where the API has a lower-case one."
                )
        set_input(self, json_text(self.parameters))

    def invocation(self, place: Place) -> Invocation:
        """The universal target of the call."""
        return Invocation(universal_arn(self.service, self.action, place.partition), self._input)


Target = (
    Email
    | QueueMessage
    | Notification
    | StateMachine
    | Function
    | BusEvent
    | HttpRequest
    | PutItem
    | UpdateItem
    | DeleteItem
    | AwsCall
)
TARGET_TYPES = (
    Email,
    QueueMessage,
    Notification,
    StateMachine,
    Function,
    BusEvent,
    HttpRequest,
    PutItem,
    UpdateItem,
    DeleteItem,
    AwsCall,
)


#: For requests of nothing but checked texts, built in one order: several times as fast as `json_text`.
_encode_texts = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def _marshal(where: str, values: Mapping[str, Any]) -> Item:
    if not isinstance(values, Mapping):
        raise TypeError(f"{where} is {values!r}. Give it a dict of attribute names and Python values.")
    return marshal_item(values)


def _marshal_key(where: str, key: Mapping[str, Any]) -> Item:
    wire = _marshal(where, key)
    if not 1 <= len(wire) <= 2 or any(next(iter(value)) not in ("S", "N", "B") for value in wire.values()):
        raise ValueError(f"{where} is {key!r}. A key is one or two attributes that are text, a number or bytes.")
    return wire


def _check_placeholders(where: str, placeholders: Mapping[str, Any], prefix: str) -> None:
    for name in placeholders:
        if not str(name).startswith(prefix) or len(name) < 2:
            raise ValueError(f"{where}: {name!r} must begin with {prefix!r}, as it stands in the expression.")
