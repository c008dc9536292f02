"""The stream-side dead-letter queue: records that a rule could not digest, sent to SQS as the local engine puts them."""

import threading
from typing import Any, Protocol

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from duestream.aws.failures import CallError, error_from
from duestream.core.dead_letter import record_letter, record_letter_text
from duestream.core.planner import DeadLetterRecord

#: SQS takes more nowadays; what fits into this fits into every queue whose limit nobody lowered.
MAX_BODY_BYTES = 262_144
READ_SECONDS = 10.0
CONNECT_SECONDS = 3.0


class Letters(Protocol):
    """Takes dead letters of stream records."""

    def send(self, letter: DeadLetterRecord) -> None:
        """Put it into the queue.

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
        self._client: Any = None
        self._making = threading.Lock()

    def send(self, letter: DeadLetterRecord) -> None:
        """SendMessage. See `Letters.send`."""
        body = record_letter_text(record_letter(letter), limit_bytes=MAX_BODY_BYTES)
        try:
            self._sqs().send_message(QueueUrl=self._queue_url, MessageBody=body)
        except ClientError as error:
            raise error_from(error.response) from error
        except BotoCoreError as error:
            raise CallError("ConnectionError", f"{type(error).__name__}: {error}") from error

    def _sqs(self) -> Any:
        """The client, made with the first letter: most functions never send one."""
        with self._making:
            if self._client is None:
                config = Config(
                    retries={"total_max_attempts": 1},
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    max_pool_connections=self._connections,
                )
                self._client = self._session.create_client("sqs", region_name=self._region, config=config)
            return self._client
