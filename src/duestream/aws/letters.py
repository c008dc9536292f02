"""The stream-side dead-letter queue: records that a rule could not digest, sent to SQS as the local engine puts them."""

import threading
from typing import Protocol

from botocore.session import Session

from duestream.aws.signed_calls import Call, SignedCalls
from duestream.core.dead_letter import record_letter, record_letter_text
from duestream.core.planner import DeadLetterRecord

#: SQS takes more nowadays; what fits into this fits into every queue whose limit nobody lowered.
MAX_BODY_BYTES = 262_144
_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "AmazonSQS.SendMessage",
    "x-amzn-query-mode": "true",
}


class Letters(Protocol):
    """Takes dead letters of stream records."""

    def send(self, letter: DeadLetterRecord, *, seconds: float | None = None) -> None:
        """Put it into the queue.

        Args:
            letter: the record and the reason.
            seconds: how long to wait for the answer at most.

        Raises:
            CallError: nobody knows whether it is there.
        """


class SqsLetters:
    """Letters to one SQS queue. May be used by several threads.

    Args:
        session: botocore's.
        queue_url: the queue's.
        region: where it is.
        connections: how many are kept.
    """

    def __init__(self, session: Session, queue_url: str, *, region: str, connections: int) -> None:
        self._session, self._queue_url, self._region, self._connections = session, queue_url, region, connections
        self._calls: SignedCalls | None = None
        self._making = threading.Lock()

    def send(self, letter: DeadLetterRecord, *, seconds: float | None = None) -> None:
        """SendMessage. See `Letters.send`."""
        self._sqs().send(send_call(self._queue_url, letter), seconds=seconds)

    def _sqs(self) -> SignedCalls:
        """Made with the first letter: most functions never send one."""
        with self._making:
            if self._calls is None:
                self._calls = SignedCalls(
                    self._session, "sqs", region=self._region, endpoint_url=None, connections=self._connections
                )
            return self._calls


def send_call(queue_url: str, letter: DeadLetterRecord) -> Call:
    """SendMessage, as botocore's serializer writes it."""
    body = record_letter_text(record_letter(letter), limit_bytes=MAX_BODY_BYTES)
    return Call("POST", (), {}, {"QueueUrl": queue_url, "MessageBody": body}, _HEADERS)
