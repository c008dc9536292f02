"""Reading dead letters on AWS: what a message in one of an app's two queues is, and what it says. Pure.

=================  =================================================================================================
delivery           EventBridge Scheduler gave it up: its attributes, and the request that the target did not take
due work           a delivery that the due function was to make, and that it or Scheduler gave up
crashed            an invocation of the due function that Lambda gave up (its record of asynchronous invocations)
record             a stream record that a rule could not digest, with the record inside
batch              a place in a stream that the stream function failed on (the event source mapping's record): the
                   records themselves are not in it (SEMANTICS.md C4)
other              none of these
=================  =================================================================================================
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from duestream.aws.due_work import DueWork, parse_due_work
from duestream.aws.given_up import EVENT_ATTRIBUTE
from duestream.aws.upkeep.group import rule_of_name
from duestream.core.json_text import moment_text
from duestream.core.why_words import times
from duestream.errors import Error

Form = Literal["delivery", "due work", "crashed", "record", "batch", "other"]
#: The kinds that are filtered by, which are those of a duestream server.
Kind = Literal["delivery", "record", "message"]
_KIND_OF: Mapping[Form, Kind] = {
    "delivery": "delivery",
    "due work": "delivery",
    "crashed": "delivery",
    "record": "record",
    "batch": "record",
    "other": "message",
}
_DELIVERY_ATTRIBUTES = frozenset({"SCHEDULE_ARN", "TARGET_ARN"})
_SOURCE_ATTRIBUTE = "DeadLetterQueueSourceArn"
_REDRIVE = "redrive-"
_is_name = re.compile(r"[0-9a-zA-Z_.-]{1,56}").fullmatch


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of a dead-letter queue.

    Args:
        queue: the queue's name.
        message_id: SQS's.
        receipt_handle: of the receive by which it is held.
        body: as it is.
        attributes: its message attributes, as texts.
        system_attributes: SQS's own.
        sent_at: aware.
        received: how often it was, this time included.
        form: what it is.
        work: of due work, and of a crashed invocation: the delivery.
        content: of a record, a batch and a crashed invocation: the body.
    """

    queue: str
    message_id: str
    receipt_handle: str
    body: str
    attributes: Mapping[str, str]
    system_attributes: Mapping[str, str]
    sent_at: datetime
    received: int
    form: Form
    work: DueWork | None
    content: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        """``delivery``, ``record`` or ``message``."""
        return _KIND_OF[self.form]

    @property
    def schedule(self) -> str | None:
        """``group/name`` of the schedule that was given up; an old form of AWS's has no group."""
        if "SCHEDULE_ARN" in self.attributes:
            return self.attributes["SCHEDULE_ARN"].rpartition(":schedule/")[2] or None
        return None if self.work is None else self.work.schedule

    @property
    def schedule_name(self) -> str:
        """The same without the group; empty: there was none."""
        return (self.schedule or "").rpartition("/")[2]

    @property
    def rule(self) -> str | None:
        """The rule, as far as the letter tells."""
        if self.form == "record":
            return str(self.content["rule"])
        return rule_of_name(self.schedule_name) if self.work is None else self.work.rule

    @property
    def table(self) -> str | None:
        """The item's table, or that of the stream."""
        if self.work is not None:
            return self.work.table_name
        if self.form == "record":
            return str(self.content["record"]["tableName"])
        if self.form == "batch":
            return table_of_stream(str(self.content["DDBStreamBatchInfo"]["streamArn"]))
        return None

    @property
    def key(self) -> Mapping[str, Any] | None:
        """The item's key."""
        if self.work is not None:
            return self.work.key
        found: Mapping[str, Any] | None = self.content["record"]["keys"] if self.form == "record" else None
        return found

    @property
    def redrive_of(self) -> str | None:
        """The letter whose delivery was made once more, and given up again."""
        if self.work is not None and self.work.redrive:
            return self.work.redrive
        name = self.schedule_name
        return name.removeprefix(_REDRIVE) if name.startswith(_REDRIVE) else None


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """What letters are asked for; None: any."""

    kind: str | None = None
    rule: str | None = None
    table: str | None = None
    #: Part of the error's code or text, whatever the case.
    error: str | None = None
    older_than_seconds: float | None = None
    newer_than_seconds: float | None = None

    def takes(self, facts: Mapping[str, Any]) -> bool:
        """Whether a letter is among them.

        Args:
            facts: as `facts_of` tells them.
        """
        if any(
            wanted not in (None, facts[name])
            for name, wanted in (("kind", self.kind), ("rule", self.rule), ("table", self.table))
        ):
            return False
        if self.older_than_seconds is not None and facts["age_seconds"] < self.older_than_seconds:
            return False
        if self.newer_than_seconds is not None and facts["age_seconds"] > self.newer_than_seconds:
            return False
        return self.error is None or self.error.casefold() in str(facts["reason"]).casefold()


def read_letter(queue: str, message: Mapping[str, Any]) -> Letter:
    """What a message is.

    Args:
        queue: the name of the queue that it was in.
        message: as boto3's ``receive_message`` answers it, with all attributes.
    """
    attributes = {
        name: str(value.get("StringValue", "")) for name, value in message.get("MessageAttributes", {}).items()
    }
    system = message.get("Attributes", {})
    body = str(message["Body"])
    form, work, content = _told(attributes, body)
    return Letter(
        queue,
        message["MessageId"],
        message["ReceiptHandle"],
        body,
        attributes,
        system,
        datetime.fromtimestamp(int(system.get("SentTimestamp", 0)) / 1000, UTC),
        int(system.get("ApproximateReceiveCount", 1)),
        form,
        work,
        content,
    )


def facts_of(letter: Letter, now: datetime) -> dict[str, Any]:
    """What is said of a letter, under the names that a duestream server says it. Moments are ISO 8601.

    Args:
        letter: held by us, so that it waits for everybody else.
        now: the present moment, aware.
    """
    facts: dict[str, Any] = {
        "id": letter.message_id,
        "message_id": letter.message_id,
        "queue": letter.queue,
        "kind": letter.kind,
        "form": letter.form,
        "state": "waiting",
        "visible_at": None,
        "received": letter.received,
        "sent_at": moment_text(letter.sent_at),
        "age_seconds": max((now - letter.sent_at).total_seconds(), 0.0),
        "rule": letter.rule,
        "table": letter.table,
        "key": letter.key,
        "schedule": letter.schedule,
        "reason": _reason(letter),
        "redrive_of": letter.redrive_of,
    }
    if letter.form == "other":
        facts["source_queue"] = letter.system_attributes.get(_SOURCE_ATTRIBUTE, "").rpartition(":")[2] or None
    if letter.kind == "delivery":
        facts |= {
            "target_arn": letter.attributes.get("TARGET_ARN"),
            "due_at": letter.attributes.get("SCHEDULED_TIME")
            or (None if letter.work is None else moment_text(letter.work.due_at)),
            "attempts": _attempts(letter),
            "delivery_id": None,
            "redrives": None,
        }
    return facts


def whole_of(letter: Letter, now: datetime) -> dict[str, Any]:
    """The same with body and attributes."""
    whole = facts_of(letter, now) | {"body": letter.body, "attributes": dict(letter.attributes), "history": []}
    if letter.form == "record":
        whole["record"] = letter.content["record"]
    return whole


def redrive_name(message_id: str) -> str:
    """The schedule that makes a delivery once more, where the schedule's own name is not free."""
    return f"{_REDRIVE}{message_id}" if _is_name(message_id) else f"{_REDRIVE}{message_id.encode().hex()[:40]}"


def table_of_stream(stream_arn: str) -> str:
    """The table of ``arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL``."""
    return stream_arn.partition(":table/")[2].partition("/")[0]


def _told(attributes: Mapping[str, str], body: str) -> tuple[Form, DueWork | None, Mapping[str, Any]]:
    content = _object(body)
    if attributes.keys() >= _DELIVERY_ATTRIBUTES:
        work = _work_of_delivery(attributes, content)
        return ("delivery" if work is None else "due work"), work, {}
    if _is_record_letter(content):
        return "record", None, content
    if not isinstance(content.get("requestContext", {}), dict):
        return "other", None, {}
    if _is_batch(content.get("DDBStreamBatchInfo")):
        return "batch", None, content
    if "requestContext" in content and "requestPayload" in content:
        payload = content["requestPayload"]
        work = _work(payload) if isinstance(payload, dict) else None
        if work is not None:
            return "crashed", work, content
    return "other", None, {}


def _work_of_delivery(attributes: Mapping[str, str], content: Mapping[str, Any]) -> DueWork | None:
    """What the due function was to do: said beside the letter, or in the event that it was not handed."""
    if EVENT_ATTRIBUTE in attributes:
        return _work(_object(attributes[EVENT_ATTRIBUTE]))
    if not attributes["TARGET_ARN"].endswith(":aws-sdk:lambda:invoke"):
        return None
    payload = content.get("Payload")
    return _work(_object(payload) if isinstance(payload, str) else content)


def _work(event: Mapping[str, Any]) -> DueWork | None:
    try:
        return parse_due_work(event)
    except Error:
        return None


def _object(text: str) -> dict[str, Any]:
    """A JSON object; empty: it is none."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _is_batch(info: object) -> bool:
    if not isinstance(info, dict) or not isinstance(info.get("shardId"), str):
        return False
    numbers = (str(info.get("startSequenceNumber", "")), str(info.get("endSequenceNumber", "")))
    return ":table/" in str(info.get("streamArn", "")) and all(one.isascii() and one.isdigit() for one in numbers)


def _is_record_letter(content: Mapping[str, Any]) -> bool:
    record = content.get("record")
    if not isinstance(record, dict) or not isinstance(record.get("keys"), dict):
        return False
    return {"app", "rule", "kind", "reason"} <= content.keys() and "tableName" in record


def _reason(letter: Letter) -> str:
    match letter.form:
        case "record":
            return f"{letter.content['kind']}: {letter.content['reason']}"
        case "batch":
            info, context = letter.content["DDBStreamBatchInfo"], letter.content.get("requestContext", {})
            size = info.get("batchSize")
            count = times(size, "stream record") if isinstance(size, int) else "stream records"
            count += f" from {info.get('approximateArrivalOfFirstRecord')} on"
            return f"{context.get('condition', 'given up')}: the stream function failed on {count}"
        case "crashed":
            said = letter.content.get("responsePayload")
            error = f"{said.get('errorType')}: {said.get('errorMessage')}" if isinstance(said, dict) else "no answer"
            return f"{letter.content['requestContext'].get('condition', 'given up')}: {error}"
        case "other":
            source = letter.system_attributes.get(_SOURCE_ATTRIBUTE, "").rpartition(":")[2]
            if source:
                return f"it was received too often in queue {source}, and not deleted"
            return "no dead letter of duestream's"
        case _:
            return f"{letter.attributes.get('ERROR_CODE')}: {letter.attributes.get('ERROR_MESSAGE')}"


def _attempts(letter: Letter) -> int | None:
    if letter.form == "crashed":
        count = letter.content["requestContext"].get("approximateInvokeCount")
        return count if isinstance(count, int) else None
    retries = letter.attributes.get("RETRY_ATTEMPTS", "")
    return int(retries) + 1 if retries.isascii() and retries.isdigit() else None
