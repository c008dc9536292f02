"""Dead letters of stream records: what the stream-side dead-letter queue is told, by both engines.

The record itself is inside, so that nothing has to be read again from a stream that forgets after 24 hours.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from duestream.core.json_text import moment_text
from duestream.core.planner import DeadLetterRecord

#: A text is not cut below this.
MIN_MESSAGE_CHARACTERS = 16

#: Characters that SQS refuses in a body; JSON can say them otherwise.
_NOT_TAKEN = re.compile("[\ud800-\udfff\ufffe\uffff]")


def record_letter(letter: DeadLetterRecord) -> dict[str, Any]:
    """What is said of a record that a rule could not digest."""
    rule, record = letter.rule, letter.record
    return {
        "app": rule.app_name,
        "rule": rule.name,
        "location": rule.location,
        "kind": letter.kind,
        "reason": letter.reason,
        "record": {
            "tableName": record.table_name,
            "eventName": str(record.event_name),
            "sequenceNumber": record.sequence_number,
            "writtenAt": None if record.created_at is None else moment_text(record.created_at),
            "keys": record.keys,
            "newImage": record.new_image,
            "oldImage": record.old_image,
        },
    }


def record_letter_text(content: Mapping[str, Any], *, limit_bytes: int) -> str:
    """A record's letter as it fits into its queue: without the old image, then without the new one, then with a
    short reason.

    Args:
        content: made by `record_letter`.
        limit_bytes: the queue's MaximumMessageSize.
    """
    record = dict(content["record"])
    cut = {**content, "record": record}
    for image in ("oldImage", "newImage"):
        text = letter_json(cut)
        if len(text.encode()) <= limit_bytes:
            return text
        del record[image]
    text = letter_json(cut)
    surplus = len(text.encode()) - limit_bytes
    if surplus > 0:
        reason = str(content["reason"])
        text = letter_json({**cut, "reason": reason[: max(MIN_MESSAGE_CHARACTERS, len(reason) - surplus)]})
    return text


def letter_json(value: Any) -> str:
    """JSON as it stands in letters."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _NOT_TAKEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
