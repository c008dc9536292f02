"""An app's two dead-letter queues on AWS, looked through.

SQS shows nothing without handing it out: each letter that is looked at is received, held back from others until the
look is over, and then given back. SQS counts each receive. So a look is bounded, and several receives run side by side.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from duestream.aws.stack.session import Access, AwsError, told_plainly
from duestream.aws.upkeep.dead_letters import Letter, read_letter
from duestream.core.planner import schedule_dead_letter_queue, stream_dead_letter_queue

#: So many letters of a queue are looked at in one go; SQS lets 120,000 be held of a queue.
MAX_LOOKED_AT = 10_000
#: So long they are held at the most. Should the process die, they are there again after it.
HOLD_SECONDS = 300
#: Receives side by side, and the letters of one (SQS's limit, also for giving back).
RECEIVERS = 8
BATCH = 10
#: A receive that waits asks all of SQS's servers; one that does not may come back empty from a queue with letters.
WAIT_SECONDS = 1
_MISSING = ("NonExistentQueue", "QueueDoesNotExist")


@dataclass(slots=True)
class Look:
    """What a look found. The letters are held until the look is over; see `DeadLetterQueues.look`.

    Args:
        letters: those that were wanted, the oldest first.
        is_cut_off: there are more than are looked at in one go.
        in_flight: about how many somebody else holds, so that they could not be looked at.
        notes: what else there is to say.
    """

    letters: list[Letter] = field(default_factory=list)
    is_cut_off: bool = False
    in_flight: int = 0
    notes: list[str] = field(default_factory=list)


class DeadLetterQueues:
    """Both queues of an app.

    Args:
        access: the way to AWS.
        app_name: the app's.
        hold_seconds: how long letters are held at the most.
        max_looked_at: how many letters of a queue are looked at in one go.
        wait_seconds: how long each receive waits for letters.
    """

    def __init__(
        self,
        access: Access,
        app_name: str,
        *,
        hold_seconds: int = HOLD_SECONDS,
        max_looked_at: int = MAX_LOOKED_AT,
        wait_seconds: int = WAIT_SECONDS,
    ) -> None:
        self._access, self._app_name = access, app_name
        self._hold_seconds, self._max_looked_at, self._wait_seconds = hold_seconds, max_looked_at, wait_seconds
        self._urls: dict[str, str] = {}
        self._held: dict[str, Letter] = {}
        self._lock = threading.Lock()

    @contextmanager
    def look(
        self, wants: Callable[[Letter], bool], is_enough: Callable[[Sequence[Letter]], bool] = lambda found: False
    ) -> Iterator[Look]:
        """Look through both queues. At the end, every letter is given back that was not deleted.

        Args:
            wants: whether a letter is asked for.
            is_enough: whether no further ones are, by those that were found.

        Raises:
            AwsError: the app has no such queues there, or AWS cannot be asked.
        """
        found = Look()
        try:
            with told_plainly(self._access):
                for name in (schedule_dead_letter_queue(self._app_name), stream_dead_letter_queue(self._app_name)):
                    self._look_through(name, found, wants, is_enough)
            if not self._urls:
                raise AwsError(
                    f"there is no queue {schedule_dead_letter_queue(self._app_name)} ({self._access.where}), so "
                    f"{self._app_name} is not deployed there",
                    remedy="Deploy it first: duestream deploy. Or is it another region, or another profile?",
                )
            wanted = {letter.message_id for letter in found.letters}
            self._give_back([letter for name, letter in self._held.items() if name not in wanted])
            found.letters.sort(key=lambda letter: letter.sent_at)
            yield found
        finally:
            self._give_back(list(self._held.values()))

    def hold_on(self, letters: Sequence[Letter]) -> set[str]:
        """Hold them for a full time again; answers the ids of those that are held.

        Raises:
            AwsError: AWS cannot be asked.
        """
        with told_plainly(self._access):
            refused = self._set_visibility(letters, self._hold_seconds)
        return {letter.message_id for letter in letters} - refused

    def delete(self, letter: Letter) -> None:
        """Delete it.

        Raises:
            AwsError: it is not known to be done.
        """
        with told_plainly(self._access):
            self._sqs.delete_message(QueueUrl=self._urls[letter.queue], ReceiptHandle=letter.receipt_handle)
        with self._lock:
            self._held.pop(letter.message_id, None)

    @property
    def _sqs(self) -> Any:
        return self._access.client("sqs")

    def _look_through(
        self,
        name: str,
        found: Look,
        wants: Callable[[Letter], bool],
        is_enough: Callable[[Sequence[Letter]], bool],
    ) -> None:
        if is_enough(found.letters):
            return
        try:
            url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        except ClientError as error:
            if any(words in str(error.response.get("Error", {}).get("Code")) for words in _MISSING):
                found.notes.append(f"there is no queue {name}")
                return
            raise
        self._urls[name] = url
        attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        found.in_flight += int(attributes.get("ApproximateNumberOfMessagesNotVisible", 0))
        if "RedrivePolicy" in attributes:
            found.notes.append(f"queue {name} has a redrive policy: SQS counts each look at a letter as a receive")
        about = int(attributes.get("ApproximateNumberOfMessages", 0))
        search = _Search(self, name, url, found, wants, is_enough, self._max_looked_at)
        with ThreadPoolExecutor(RECEIVERS, thread_name_prefix="letters") as pool:
            working = [pool.submit(search.work) for _ in range(min(RECEIVERS, about // BATCH + 1))]
            for worker in working:
                worker.result()
        found.is_cut_off |= search.is_cut_off

    def receive(self, name: str, url: str) -> list[Letter]:
        """Up to ten letters, held by us from now on; none: nothing more can be had."""
        answer = self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=self._hold_seconds,
            WaitTimeSeconds=self._wait_seconds,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        letters = [read_letter(name, message) for message in answer.get("Messages", [])]
        with self._lock:
            self._held.update((letter.message_id, letter) for letter in letters)
        return letters

    def _give_back(self, letters: Sequence[Letter]) -> None:
        """Let others have them again; those that cannot be given back come back by themselves."""
        with suppress(ClientError, BotoCoreError):
            self._set_visibility(letters, 0)
        with self._lock:
            for letter in letters:
                self._held.pop(letter.message_id, None)

    def _set_visibility(self, letters: Sequence[Letter], seconds: int) -> set[str]:
        """Hold letters for so long from now on; answers the ids of those that we hold no more."""
        by_queue: dict[str, list[Letter]] = {}
        for letter in letters:
            by_queue.setdefault(letter.queue, []).append(letter)
        batches = [
            (name, ours[start : start + BATCH])
            for name, ours in by_queue.items()
            for start in range(0, len(ours), BATCH)
        ]

        def change(batch: tuple[str, list[Letter]]) -> set[str]:
            name, ours = batch
            answer = self._sqs.change_message_visibility_batch(
                QueueUrl=self._urls[name],
                Entries=[
                    {"Id": str(number), "ReceiptHandle": letter.receipt_handle, "VisibilityTimeout": seconds}
                    for number, letter in enumerate(ours)
                ],
            )
            return {ours[int(failed["Id"])].message_id for failed in answer.get("Failed", [])}

        with ThreadPoolExecutor(RECEIVERS, thread_name_prefix="letters") as pool:
            return {lost for found in pool.map(change, batches) for lost in found}


class _Search:
    """One queue's, on which several threads work."""

    def __init__(
        self,
        queues: DeadLetterQueues,
        name: str,
        url: str,
        found: Look,
        wants: Callable[[Letter], bool],
        is_enough: Callable[[Sequence[Letter]], bool],
        most: int,
    ) -> None:
        self._queues, self._name, self._url, self._found = queues, name, url, found
        self._wants, self._is_enough, self._most = wants, is_enough, most
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._is_over = self.is_cut_off = False

    def work(self) -> None:
        """Receive until there is nothing more, or enough."""
        while not self._is_over:
            letters = self._queues.receive(self._name, self._url)
            if not letters:
                return
            with self._lock:
                for letter in letters:
                    # SQS may hand one out twice.
                    if letter.message_id not in self._seen:
                        self._seen.add(letter.message_id)
                        if self._wants(letter):
                            self._found.letters.append(letter)
                if len(self._seen) >= self._most:
                    self._is_over = self.is_cut_off = True
                elif self._is_enough(self._found.letters):
                    self._is_over = True
