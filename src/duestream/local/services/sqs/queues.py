"""SQS's operations on queues."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import apsw

from duestream.local.services.context import RequestContext
from duestream.local.services.sqs import attributes as queue_attributes
from duestream.local.store import queues
from duestream.local.store.queue_errors import (
    InvalidAddress,
    InvalidParameterValueException,
    QueueDoesNotExist,
    QueueNameExists,
)
from duestream.local.store.queues import Queue
from duestream.local.store.writer import Transaction

Parameters = Mapping[str, Any]
Answer = Mapping[str, Any]

MAX_RESULTS = 1000
_QUEUE_PATH = re.compile(r"/(?:[^/]+/)*[^/]+/([^/]+)/?\Z")


def queue_name(parameters: Parameters) -> str:
    """The name at the end of QueueUrl, whatever host and account stand before it; a name alone is one too.

    AWS takes names in place of URLs (aws/aws-sdk-js-v3#6337, getmoto/moto#5073), and calls an address without a path
    a queue that does not exist (moto's ``test_get_queue_url_error_not_exists``, verified against AWS).

    Raises:
        InvalidAddress: there is no account and name in it.
    """
    queue_url = str(parameters["QueueUrl"])
    if queue_url and "/" not in queue_url:
        return queue_url
    try:
        path = urlsplit(queue_url).path
    except ValueError:
        raise InvalidAddress(queue_url) from None
    found = _QUEUE_PATH.match(path)
    if found is None and not path:
        return queue_url  # no queue has such a name
    if found is None:
        raise InvalidAddress(queue_url)
    return unquote(found[1])


def queue_url(context: RequestContext, name: str) -> str:
    """The QueueUrl a client gets: under the address it reached us by."""
    return f"{context.endpoint_url}/{queues.ACCOUNT_ID}/{name}"


def require_queue(connection: apsw.Connection, name: str) -> Queue:
    """The queue of this name.

    Raises:
        QueueDoesNotExist: there is none.
    """
    queue = queues.get_queue(connection, name)
    if queue is None:
        raise QueueDoesNotExist
    return queue


async def create_queue(context: RequestContext, parameters: Parameters) -> Answer:
    """CreateQueue: fine if the queue exists and has these attributes."""
    name, given = str(parameters["QueueName"]), dict(parameters.get("Attributes") or {})
    tags = dict(parameters.get("tags") or {})
    if given.get("FifoQueue") == "false":
        queue_attributes.check_attributes(context.store.reader, "standard", given, creating=True)
    queue_attributes.check_name(name, given)

    def create(tx: Transaction) -> None:
        kept = queue_attributes.check_attributes(tx.connection, name, given, creating=True)
        existing = queues.get_queue(tx.connection, name)
        if existing is None:
            queues.create_queue(
                tx,
                name,
                region=context.place.region,
                attributes={attribute: value for attribute, value in kept.items() if value != ""},
                tags=tags,
                now_ms=context.clock.now_ms(),
            )
            return
        different = queue_attributes.first_difference(existing, {name: kept[name] for name in given})
        if different is not None:
            raise QueueNameExists(different)

    existing = queues.get_queue(context.store.reader, name)
    if existing is None or queue_attributes.first_difference(existing, given) is not None:
        await context.store.write(create)
    return {"QueueUrl": queue_url(context, name)}


async def get_queue_url(context: RequestContext, parameters: Parameters) -> Answer:
    """GetQueueUrl; QueueOwnerAWSAccountId does not count, as there is one account."""
    queue = require_queue(context.store.reader, str(parameters["QueueName"]))
    return {"QueueUrl": queue_url(context, queue.name)}


async def list_queues(context: RequestContext, parameters: Parameters) -> Answer:
    """ListQueues, by name; pages only where MaxResults is given, as on AWS."""
    limit, after = _page(parameters)
    found = queues.list_queues(
        context.store.reader, prefix=str(parameters.get("QueueNamePrefix") or ""), after=after, limit=limit + 1
    )
    return _page_of(context, found, parameters, "QueueUrls")


async def list_dead_letter_source_queues(context: RequestContext, parameters: Parameters) -> Answer:
    """ListDeadLetterSourceQueues, by name."""
    queue = require_queue(context.store.reader, queue_name(parameters))
    limit, after = _page(parameters)
    found = queues.list_dead_letter_sources(context.store.reader, queue.name, after=after, limit=limit + 1)
    return {"queueUrls": [], **_page_of(context, found, parameters, "queueUrls")}  # a required member


def _page(parameters: Parameters) -> tuple[int, str]:
    limit = parameters.get("MaxResults")
    if limit is not None and not 1 <= limit <= MAX_RESULTS:
        raise InvalidParameterValueException(
            f"Value {limit} for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000."
        )
    token = str(parameters.get("NextToken") or "")
    try:
        after = base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, ValueError):
        raise InvalidParameterValueException("Invalid or expired next token.") from None
    return limit or MAX_RESULTS, after


def _page_of(context: RequestContext, found: Sequence[Queue], parameters: Parameters, member: str) -> dict[str, Any]:
    limit = parameters.get("MaxResults") or MAX_RESULTS
    answer: dict[str, Any] = {}
    if found:
        answer[member] = [queue_url(context, queue.name) for queue in found[:limit]]
    if len(found) > limit and parameters.get("MaxResults"):
        answer["NextToken"] = base64.urlsafe_b64encode(found[limit - 1].name.encode()).decode()
    return answer


async def get_queue_attributes(context: RequestContext, parameters: Parameters) -> Answer:
    """GetQueueAttributes: nothing where no name is given, as on AWS."""
    queue = require_queue(context.store.reader, queue_name(parameters))
    names = parameters.get("AttributeNames") or []
    found = queue_attributes.read_attributes(context.store.reader, queue, names, now_ms=context.clock.now_ms())
    return {"Attributes": found} if found else {}


async def set_queue_attributes(context: RequestContext, parameters: Parameters) -> Answer:
    """SetQueueAttributes."""
    name, given = queue_name(parameters), parameters["Attributes"]

    def set_them(tx: Transaction) -> None:
        queue = require_queue(tx.connection, name)
        kept = queue_attributes.check_attributes(tx.connection, name, given, creating=False)
        queues.set_attributes(tx, queue, kept, now_ms=context.clock.now_ms())

    await context.store.write(set_them)
    return {}


async def delete_queue(context: RequestContext, parameters: Parameters) -> Answer:
    """DeleteQueue, with all its messages. (AWS keeps the name for 60 seconds; we give it back at once.)"""
    name = queue_name(parameters)
    await context.store.write(lambda tx: queues.delete_queue(tx, require_queue(tx.connection, name)))
    return {}


async def purge_queue(context: RequestContext, parameters: Parameters) -> Answer:
    """PurgeQueue."""
    name, now_ms = queue_name(parameters), context.clock.now_ms()
    await context.store.write(lambda tx: queues.purge_queue(tx, require_queue(tx.connection, name), now_ms=now_ms))
    return {}


async def tag_queue(context: RequestContext, parameters: Parameters) -> Answer:
    """TagQueue."""
    name = queue_name(parameters)

    def tag(tx: Transaction) -> None:
        queue = require_queue(tx.connection, name)
        tags = {**queue.tags, **parameters["Tags"]}
        if len(tags) > MAX_TAGS:
            raise InvalidParameterValueException(f"Too many tags added for queue {queue.name}.")
        queues.set_tags(tx, queue, tags)

    await context.store.write(tag)
    return {}


#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
MAX_TAGS = 50


async def untag_queue(context: RequestContext, parameters: Parameters) -> Answer:
    """UntagQueue: fine where there is no such tag."""
    name = queue_name(parameters)

    def untag(tx: Transaction) -> None:
        queue = require_queue(tx.connection, name)
        queues.set_tags(tx, queue, {key: tag for key, tag in queue.tags.items() if key not in parameters["TagKeys"]})

    await context.store.write(untag)
    return {}


async def list_queue_tags(context: RequestContext, parameters: Parameters) -> Answer:
    """ListQueueTags."""
    queue = require_queue(context.store.reader, queue_name(parameters))
    return {"Tags": dict(queue.tags)} if queue.tags else {}
